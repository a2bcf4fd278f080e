"""Ranges and fixed addresses of a whole topology fit to each other, as far as what is made is known."""

import pytest

from cloudos.eve.problems import Undeployable

ROUTED = """
    outside: {type: cloudos.nodes.ExternalNetwork}
    a: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.7.0.0/16}}
    b: {type: cloudos.nodes.NetworkSegment, properties: {cidr: CIDR}}
    router: {type: cloudos.nodes.Router, requirements: [{gateway: outside}, {segment: a}, {segment: b}]}
"""
SUBNETS = """
    net: {type: cloudos.nodes.Network}
    a: {type: cloudos.nodes.Subnet, properties: {cidr: 10.7.0.0/24}, requirements: [{network: net}]}
    b: {type: cloudos.nodes.Subnet, properties: {cidr: CIDR}, requirements: [{network: net}]}
"""
PORTS = """
    net: {type: tosca.nodes.network.Network, properties: {NET}}
    p: {type: tosca.nodes.network.Port, properties: {ip_address: FIRST}, requirements: [{link: net}]}
    q: {type: tosca.nodes.network.Port, properties: {ip_address: SECOND}, requirements: [{link: net}]}
"""


def ports(net, first, second):
    return PORTS.replace("NET", net).replace("FIRST", first).replace("SECOND", second)


@pytest.mark.parametrize(("text", "words"), [
    (ROUTED.replace("CIDR", "10.7.3.0/24"), r"template.yaml:9:64: range 10.7.3.0/24 of b overlaps 10.7.0.0/16 of a.*router router"),
    (SUBNETS.replace("CIDR", "10.7.0.128/25"), r"range 10.7.0.128/25 of b overlaps 10.7.0.0/24 of a.*network net"),
    (ports("cidr: 10.7.0.0/24", "10.8.0.5", "10.7.0.6"), r"address 10.8.0.5 of p is none that 10.7.0.0/24 of net can give"),
    (ports("cidr: 10.7.0.0/24", "10.7.0.5", "10.7.0.255"), r"address 10.7.0.255 of q is none"),
    (ports("cidr: 10.7.0.0/24", "10.7.0.5", "10.7.0.5"), r"address 10.7.0.5 of q is that of p, too"),
    (ports("network_id: corporate", "10.7.0.5", "10.7.0.5"), r"address 10.7.0.5 of q is that of p, too"),
])  # fmt: skip
def test_what_neutron_would_refuse_is_told_before(compiled, text, words):
    with pytest.raises(Undeployable, match=words):
        compiled(text)


@pytest.mark.parametrize("text", [
    ROUTED.replace("CIDR", "10.8.0.0/24"),
    SUBNETS.replace("CIDR", "10.7.1.0/24"),
    SUBNETS.replace("CIDR", "'fd00:7::/64', ip_version: 6"),
    ports("cidr: 10.7.0.0/24", "10.7.0.5", "10.7.0.6"),
    ports("network_id: corporate", "10.8.0.5", "10.7.0.6"),
])  # fmt: skip
def test_what_fits_is_compiled(compiled, text):
    compiled(text)


def test_segments_that_are_bound_to_networks_need_no_ranges(compiled):
    text = ROUTED.replace("CIDR", "10.7.0.0/16")
    compiled(text, choices={name: {"network": {"name": f"corporate-{name}"}} for name in ("a", "b")})


def test_instances_cannot_share_a_fixed_address(compiled):
    text = """
    net: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.7.0.0/24}}
    web: {type: cloudos.nodes.ServerGroup, properties: {image: debian, flavor: small, max_instances: 3}}
    port: {type: cloudos.nodes.Port, properties: {ip_address: 10.7.0.5}, requirements: [{link: net}, {binding: web}]}
    """
    compiled(text)
    with pytest.raises(Undeployable, match=r"address 10\.7\.0\.5 of port-2 is that of port, too"):
        compiled(text, instances={"web": 2})


def test_all_that_a_link_of_network_functions_says_of_its_range_is_asked_for(compiled):
    types = """
    data_types:
      nfv.Layers: {properties: {layer_protocols: {type: list, entry_schema: string}}}
      nfv.Pool: {properties: {start_ip_address: {type: string}, end_ip_address: {type: string}}}
      nfv.Layer3:
        properties:
          cidr: {type: string}
          gateway_ip: {type: string}
          dhcp_enabled: {type: boolean}
          ip_allocation_pools: {type: list, entry_schema: nfv.Pool}
      nfv.Protocol: {properties: {l3_protocol_data: {type: nfv.Layer3}}}
      nfv.Profile: {properties: {virtual_link_protocol_data: {type: list, entry_schema: nfv.Protocol}}}
    node_types:
      tosca.nodes.nfv.VnfVirtualLink: {properties: {connectivity_type: {type: nfv.Layers}, vl_profile: {type: nfv.Profile}}}
    """
    graph = compiled("""
    lan:
      type: tosca.nodes.nfv.VnfVirtualLink
      properties:
        connectivity_type: {layer_protocols: [ipv4]}
        vl_profile:
          virtual_link_protocol_data:
            - l3_protocol_data:
                cidr: 10.0.0.0/24
                gateway_ip: 10.0.0.254
                dhcp_enabled: false
                ip_allocation_pools: [{start_ip_address: 10.0.0.5, end_ip_address: 10.0.0.9}]
    """, types=types)  # fmt: skip
    wanted = {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.254", "enable_dhcp": False,
              "allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"}]}  # fmt: skip
    assert wanted.items() <= graph.resources["lan_subnet"].arguments.items()
