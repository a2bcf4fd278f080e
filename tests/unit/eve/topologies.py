"""Templates that several tests of Eve use, as text."""

SHOP = """
    outside: {type: cloudos.nodes.ExternalNetwork}
    segment: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.7.0.0/24}}
    router: {type: cloudos.nodes.Router, requirements: [{gateway: outside}, {segment: segment}]}
    disk: {type: cloudos.nodes.VolumeGroup, properties: {size: 2 GB}}
    web:
      type: cloudos.nodes.ServerGroup
      properties: {image: debian, flavor: small, max_instances: 3}
      requirements:
        - network:
            node: segment
            relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {floating_ip: true, open_ports: [22]}}
        - volume: disk
"""
APP = """
node_types:
  my.App:
    derived_from: tosca.nodes.SoftwareComponent
    properties: {greeting: {type: string, default: "hello {{ nobody }}"}}
    attributes: {token: {type: string}}
    interfaces:
      Standard:
        type: tosca.interfaces.node.lifecycle.Standard
        operations:
          create:
            implementation: scripts/create.sh
            inputs:
              where: {type: string, default: {get_attribute: [HOST, private_address]}}
              greeting: {type: string, default: {get_property: [SELF, greeting]}}
              password: {type: string, default: {get_input: password}}
            outputs: {token: [SELF, token]}
          configure: scripts/configure.yml
          stop: scripts/stop.sh
"""
APP_NODE = """
    app: {type: my.App, requirements: [{host: web}]}
"""
