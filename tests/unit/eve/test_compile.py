"""Templates become resources of the right kinds, with the right links, as often as there are instances."""

import pytest
from topologies import APP, APP_NODE, SHOP

from cloudos.eve.compiler.expressions import ExpressionError, Refusal, evaluate
from cloudos.eve.compiler.instances import refuse
from cloudos.eve.problems import Undeployable
from cloudos.eve.provider import Pool


def kinds(graph):
    return {name: one.kind for name, one in graph.resources.items() if not one.existing}


def links(graph, name):
    return graph.resources[name].links()


def test_the_original_six_become_resources(compiled):
    graph = compiled(SHOP)
    assert kinds(graph) == {
        "segment": "network", "segment_subnet": "subnet", "router": "router", "router_segment_router_interface": "router_interface",
        "disk": "volume", "web": "server", "web_segment_security": "security_group", "web_segment_port": "port",
        "web_segment_floating_ip": "floating_ip", "web_disk_volume_attachment": "volume_attachment",
    }  # fmt: skip
    assert graph.resources["outside"].existing and graph.resources["outside"].arguments == {"router:external": True}
    assert links(graph, "web_segment_port") == {
        ("network_id", "segment"), ("security_groups", "web_segment_security"), ("fixed_ips", "segment_subnet")}  # fmt: skip
    assert ("floating_network_id", "outside") in links(graph, "web_segment_floating_ip")
    assert graph.counts == {"web": {"count": 1, "min": 1, "max": 3}}


def test_levels_respect_every_need(compiled):
    graph = compiled(SHOP)
    level = {name: number for number, names in enumerate(graph.levels()) for name in names}
    assert all(level[before] < level[name] for name, needs in graph.edges().items() for before in needs)
    assert level["router_segment_router_interface"] < level["web_segment_floating_ip"], "an address is reached through the router"


def test_what_belongs_to_a_scaled_server_is_scaled_with_it(compiled):
    graph = compiled(SHOP + APP_NODE, types=APP, instances={"web": 3}, declared="    password: {type: string, default: x}")
    assert [name for name, kind in kinds(graph).items() if kind == "volume"] == ["disk", "disk-2", "disk-3"]
    assert links(graph, "web-2_disk-2_volume_attachment") == {("server_id", "web-2"), ("volume_id", "disk-2")}
    assert list(graph.resources["app-3:create"].arguments["hosts"]) == ["web-3"]
    assert [name for name in graph.resources if "security" in name] == ["web_segment_security"], "one group for all of them"


def test_a_number_of_what_goes_along_with_another_is_told(compiled):
    assert compiled(SHOP, instances={"web": 2, "disk": 2}).notes == []
    graph = compiled(SHOP, instances={"disk": 3})
    words = "3 instances are asked for, and it goes along with web, of which there are 1; ask for that many of web"
    assert graph.notes == [f"node disk: {words}"]
    assert graph.counts["web"]["count"] == 1


@pytest.mark.parametrize("number", [0, 4])
def test_a_number_outside_the_limits_is_refused(compiled, number):
    with pytest.raises(Undeployable, match=f"{number} instances of web are asked for; it may have 1 to 3"):
        compiled(SHOP, instances={"web": number})


def test_normative_types_without_a_cloud_of_ours(compiled):
    graph = compiled("""
        server:
          type: tosca.nodes.Compute
          capabilities:
            host: {properties: {num_cpus: 2, mem_size: 4 GB, disk_size: 10 GB}}
            os: {properties: {distribution: debian, version: 12.0}}
          requirements:
            - local_storage: {node: data, relationship: {type: tosca.relationships.AttachesTo, properties: {location: /dev/vdc}}}
        data: {type: tosca.nodes.Storage.BlockStorage, properties: {name: data, size: 3 GB}}
        net: {type: tosca.nodes.network.Network, properties: {cidr: 10.1.0.0/24, start_ip: 10.1.0.5, end_ip: 10.1.0.9}}
        second: {type: tosca.nodes.network.Port, properties: {order: 1}, requirements: [{binding: server}, {link: net}]}
        first: {type: tosca.nodes.network.Port, properties: {order: 0}, requirements: [{binding: server}, {link: net}]}
    """)
    server = graph.resources["server"].arguments
    assert [one["port"]["$attribute"][0] for one in server["networks"]] == ["first", "second"], "ports in their order"
    flavor = graph.resources[server["flavor"]["$attribute"][0]]
    assert flavor.existing and flavor.arguments == {"vcpus": 2, "ram": 4096, "disk": 10}
    assert graph.resources["server_data_volume_attachment"].arguments["device"] == "/dev/vdc"
    assert graph.resources["net_subnet"].arguments["allocation_pools"] == [{"start": "10.1.0.5", "end": "10.1.0.9"}]


def test_a_network_without_addresses_is_one_that_exists(compiled):
    graph = compiled("""
        net: {type: tosca.nodes.network.Network, properties: {network_name: corporate}}
        port: {type: tosca.nodes.network.Port, requirements: [{link: net}, {binding: server}]}
        server: {type: tosca.nodes.Compute}
    """)
    assert graph.resources["net"].existing and graph.resources["net"].arguments == {"name": "corporate"}


def test_an_attribute_of_the_mapping_may_be_that_of_the_resource(compiled):
    """The address of a port is asked for by an output, and by the login of the server that it is bound to."""
    graph = compiled("""
        net: {type: tosca.nodes.network.Network, properties: {network_name: corporate}}
        port: {type: tosca.nodes.network.Port, requirements: [{link: net}, {binding: server}]}
        server: {type: tosca.nodes.Compute}
        app: {type: tosca.nodes.SoftwareComponent, interfaces: {Standard: {create: a.sh}}, requirements: [{host: server}]}
    """, outputs="    address: {value: {get_attribute: [port, ip_address]}}")  # fmt: skip
    address = {"$attribute": ["port", "ip_address"]}
    assert graph.outputs == {"address": address}
    assert address in graph.resources["app:create"].arguments["hosts"]["server"]["address"]


def test_placement_policies_become_server_groups(compiled):
    graph = compiled("    a: {type: tosca.nodes.Compute}\n    b: {type: tosca.nodes.Compute}",
                     policies="    - apart: {type: tosca.policies.Placement, targets: [a, b]}")  # fmt: skip
    assert kinds(graph)["apart"] == "server_group"
    assert ("os:scheduler_hints", "apart") in links(graph, "a") & links(graph, "b")


def test_operations_run_in_the_order_of_the_lifecycle(compiled):
    graph = compiled("""
        server: {type: tosca.nodes.Compute}
        db: {type: my.Db, requirements: [{host: server}]}
        app:
          type: my.Db
          requirements:
            - host: server
            - dependency:
                node: db
                relationship:
                  type: tosca.relationships.DependsOn
                  interfaces:
                    Configure:
                      operations:
                        {pre_configure_source: pre.sh, post_configure_target: post.sh, add_target: add.sh, remove_target: remove.sh}
    """, types="""
        node_types:
          my.Db:
            derived_from: tosca.nodes.SoftwareComponent
            interfaces: {Standard: {type: tosca.interfaces.node.lifecycle.Standard,
                                    operations: {create: a.sh, configure: b.sh, start: c.sh, delete: d.sh}}}
    """)  # fmt: skip
    names = [name for level in graph.levels() for name in level if ":" in name and not graph.resources[name].existing]
    assert names == ["db:create", "db:configure", "db:start", "app:create", "app:dependency:db:pre_configure_source", "app:configure",
                     "app:dependency:db:post_configure_target", "app:start", "app:dependency:db:add_target"]  # fmt: skip
    assert graph.resources["app:dependency:db:add_target"].arguments["undo"]["operation"] == "remove_target"
    assert graph.resources["db:create"].arguments["undo"]["how"]["file"] == "d.sh"


def test_an_operation_gets_the_inputs_of_its_interface(compiled):
    graph = compiled("""
        server: {type: tosca.nodes.Compute}
        app:
          type: my.App
          properties: {greeting: Hello}
          interfaces: {Standard: {operations: {start: {inputs: {port: 81}}}}}
          requirements: [{host: server}]
    """, types="""
        node_types:
          my.App:
            derived_from: tosca.nodes.SoftwareComponent
            properties: {greeting: {type: string}}
            interfaces:
              Standard:
                inputs:
                  greeting: {type: string, default: {get_property: [SELF, greeting]}}
                  port: {type: integer, default: 80}
                operations: {create: a.sh, start: b.sh}
    """)  # fmt: skip
    assert graph.resources["app:create"].arguments["inputs"] == {"greeting": "Hello", "port": 80}
    assert graph.resources["app:start"].arguments["inputs"] == {"greeting": "Hello", "port": 81}


def test_run_time_values_become_references(compiled):
    graph = compiled(SHOP + APP_NODE, types=APP, declared="    password: {type: string, default: '${secret:shop/password}'}",
                     outputs="    url: {value: {concat: ['http://', {get_attribute: [web, public_address]}]}}\n"
                             "    token: {value: {get_attribute: [app, token]}}")  # fmt: skip
    inputs = graph.resources["app:create"].arguments["inputs"]
    assert inputs["where"] == {"$attribute": ["web_segment_port", "ip_address"]}
    assert inputs["password"] == "${secret:shop/password}"
    assert graph.outputs["token"] == [{"$output": ["app:create", "token"]}]


def test_two_pools_hold_one_topology(compiled):
    places = {name: Pool(name, "openstack", {"cloud": name}) for name in ("near", "far")}
    graph = compiled("    a: {type: tosca.nodes.Compute}\n    b: {type: tosca.nodes.Compute}", places=places, placement={"b": "far"})
    assert {one.name: one.pool for one in graph.resources.values() if one.kind == "server"} == {"a": "near", "b": "far"}


def test_every_problem_is_told_at_once_with_its_place(compiled):
    with pytest.raises(Undeployable) as told:
        compiled("    a: {type: tosca.nodes.Compute}\n    b: {type: tosca.nodes.Compute}", placement={"a": "moon", "b": "mars"})
    assert [one.message for one in told.value.problems] == ["node a is placed in pool moon", "node b is placed in pool mars"]
    assert [one.place.rsplit("/", 1)[1] for one in told.value.problems] == ["template.yaml:6:5", "template.yaml:7:5"]


def test_the_same_template_gives_the_same_graph(compiled):
    first, second = compiled(SHOP), compiled(SHOP)
    assert [one.to_json() for one in first.resources.values()] == [one.to_json() for one in second.resources.values()]


BALANCER = """
    lb:
      type: cloudos.nodes.LoadBalancer
      properties: {image: debian, flavor: small, port: 80, member_port: 8080%s}
      requirements: [{network: segment}, {member: web}]
"""


def test_a_load_balancer_is_haproxy_that_knows_every_member(compiled):
    graph = compiled(SHOP + BALANCER % "", instances={"web": 2})
    configure = graph.resources["lb:configure"].arguments
    assert configure["how"] == {"kind": "role", "name": "load_balancer"} and list(configure["hosts"]) == ["lb"]
    assert configure["inputs"]["load_balancer_members"] == [
        {"name": name, "address": {"$attribute": [f"{name}_segment_port", "ip_address"]}, "port": 8080} for name in ("web", "web-2")
    ]
    assert {"web_segment_port", "lb", "lb_segment_port"} <= graph.resources["lb:configure"].before()


def test_a_shared_load_balancer_needs_no_server_and_leaves_again(compiled):
    graph = compiled(SHOP + (BALANCER % ", shared_address: 192.0.2.80").replace("{network: segment}, ", ""))
    assert "lb" not in graph.resources
    assert graph.resources["lb:configure"].arguments["hosts"] == {"lb": {"address": ["192.0.2.80"], "user": "debian"}}
    assert graph.resources["lb:create"].arguments["undo"]["inputs"] == {
        "load_balancer_name": "shop-lb", "load_balancer_state": "absent"}  # fmt: skip


def test_the_volume_type_of_the_pool_is_that_of_volumes_that_say_none(compiled, pools):
    places = {"default": Pool("default", "openstack", {"cloud": "any"}, {"volume_type": "fast"})}
    nodes = """
        one: {type: cloudos.nodes.VolumeGroup, properties: {size: 1 GB}}
        two: {type: cloudos.nodes.Volume, properties: {size: 1 GB, volume_type: slow}}
        three: {type: tosca.nodes.Storage.BlockStorage, properties: {name: three, size: 1 GB}}
    """
    graph = compiled(nodes, places=places)
    assert [graph.resources[name].arguments["volume_type"] for name in ("one", "two", "three")] == ["fast", "slow", "fast"]


def test_networks_are_where_their_servers_are(compiled, pools):
    side = """
        outside-{0}: {{type: cloudos.nodes.ExternalNetwork}}
        lan-{0}: {{type: cloudos.nodes.NetworkSegment}}
        router-{0}: {{type: cloudos.nodes.Router, requirements: [{{gateway: outside-{0}}}, {{segment: lan-{0}}}]}}
        server-{0}: {{type: cloudos.nodes.Server, requirements: [{{network: lan-{0}}}]}}
    """
    places = {**pools, "far": Pool("far", "openstack", {"cloud": "other"})}
    graph = compiled(side.format("a") + side.format("b"), places=places, placement={"server-a": "default", "server-b": "far"})
    ends = {"a": "default", "b": "far"}
    made = {one.node: one.pool for one in graph.resources.values() if one.node[-2:] in ("-a", "-b")}
    assert made == {f"{kind}-{end}": ends[end] for end in ends for kind in ("outside", "lan", "router", "server")}


SERVERS = """
    web:
      type: cloudos.nodes.ServerGroup
      properties: {max_instances: 3}
      capabilities: {host: {properties: {num_cpus: 1}}, os: {properties: {distribution: debian}}}
    db: {type: cloudos.nodes.Server}
    cache: {type: tosca.nodes.Compute}
"""


def made_of(graph, name, argument):
    """What exists and a resource is made of, as it is looked for."""
    return graph.resources[graph.resources[name].arguments[argument]["$attribute"][0]].arguments


def test_nodes_of_one_pool_are_made_each_of_what_was_chosen_for_it(compiled):
    places = {"default": Pool("default", "openstack", {"cloud": "any"}, {"flavor": "tiny", "image": "cirros"})}
    choices = {"web": {"flavor": {"id": "f1", "name": "small"}, "image": {"id": "i1", "name": "debian"}},
               "db": {"flavor": {"id": "f2", "name": "large"}, "availability_zone": {"name": "az2"}}}  # fmt: skip
    graph = compiled(SERVERS, places=places, choices=choices, instances={"web": 2})
    found = {name: (made_of(graph, name, "flavor"), made_of(graph, name, "image")) for name in ("web", "web-2", "db", "cache")}
    assert found["web"] == found["web-2"] == ({"name": "f1"}, {"name": "i1"}), "before what the template asks by its capabilities"
    assert found["db"] == ({"name": "f2"}, {"name": "cirros"}) and found["cache"] == ({"name": "tiny"}, {"name": "cirros"})
    assert {one.pool for one in graph.resources.values()} == {"default"}
    assert [graph.resources[name].arguments.get("availability_zone") for name in ("web", "db")] == [None, "az2"]


def test_a_default_of_the_pool_is_for_what_the_template_does_not_ask(compiled):
    graph = compiled(SERVERS, places={"default": Pool("default", "openstack", {"cloud": "any"}, {"flavor": "tiny", "image": "cirros"})})
    assert made_of(graph, "web", "flavor") == {"vcpus": 1, "ram": 1, "disk": 0} and made_of(graph, "db", "flavor") == {"name": "tiny"}
    assert made_of(graph, "web", "image") == {"os_distro": "debian"} and made_of(graph, "db", "image") == {"name": "cirros"}


def test_what_a_node_itself_says_goes_before_what_was_chosen(compiled):
    graph = compiled("    web: {type: cloudos.nodes.Server, properties: {flavor: own}}", choices={"web": {"flavor": {"name": "small"}}})
    assert made_of(graph, "web", "flavor") == {"name": "own"}


def test_volumes_and_networks_are_what_was_chosen_for_them(compiled):
    graph = compiled("""
        outside: {type: cloudos.nodes.ExternalNetwork}
        lan: {type: cloudos.nodes.Network}
        net: {type: tosca.nodes.network.Network, properties: {cidr: 10.1.0.0/24}}
        disk: {type: cloudos.nodes.VolumeGroup, properties: {size: 1 GB}}
        web:
          type: cloudos.nodes.Server
          requirements:
            - network: {node: net2, relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {floating_ip: true}}}
        net2: {type: cloudos.nodes.NetworkSegment}
    """, choices={"outside": {"external_network": {"id": "n1", "name": "public"}}, "lan": {"network": {"id": "n2", "name": "corporate"}},
                  "net": {"network": {"id": "n3", "name": "old"}}, "disk": {"volume_type": {"id": "v1", "name": "fast"}},
                  "web": {"external_network": {"id": "n4", "name": "other"}}})  # fmt: skip
    assert graph.resources["outside"].arguments == {"name": "n1", "router:external": True}
    assert graph.resources["lan"].existing and graph.resources["lan"].arguments == {"name": "n2"}
    assert graph.resources["net"].existing and graph.resources["net"].arguments == {"name": "n3"} and "net_subnet" not in graph.resources
    assert graph.resources["disk"].arguments["volume_type"] == "fast", "Cinder shows types by name"
    assert made_of(graph, "web_net2_floating_ip", "floating_network_id") == {"name": "n4"}


def test_a_choice_for_a_node_that_is_not_there_is_told(compiled):
    with pytest.raises(Undeployable, match="there is no node moon"):
        compiled(SERVERS, choices={"moon": {"flavor": {"name": "small"}}})


def test_a_floating_ip_goes_before_the_router_in_whichever_pool_that_is(compiled, pools):
    places = {**pools, "again": Pool("again", "openstack", {"cloud": "any"})}
    graph = compiled("""
        outside: {type: cloudos.nodes.ExternalNetwork}
        lan: {type: cloudos.nodes.NetworkSegment}
        router: {type: cloudos.nodes.Router, requirements: [{gateway: outside}, {segment: lan}]}
        web:
          type: cloudos.nodes.Server
          requirements:
            - network: {node: lan, relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {floating_ip: true}}}
    """, places=places, placement={"web": "again", "lan": "default", "router": "default"})  # fmt: skip
    assert "router_lan_router_interface" in graph.resources["web_lan_floating_ip"].needs


def test_two_things_of_one_name_are_told_without_the_mapping(compiled):
    nodes = """
    web: {type: cloudos.nodes.ServerGroup, properties: {min_instances: 2, max_instances: 2}}
    web-2: {type: cloudos.nodes.Server}
"""
    words = r"web-2 \(cloudos.nodes.Server\): two things would be named web-2; rename one of the nodes. Correct it in the template"
    with pytest.raises(Undeployable, match=words):
        compiled(nodes)


def test_what_a_mapping_refuses_is_told_in_its_words_only():
    with pytest.raises(Refusal) as told:
        evaluate("{{ false or refuse('networks carry no ' ~ kind) }}", {"refuse": refuse, "kind": "pigeons"})
    assert str(told.value) == "networks carry no pigeons"
    with pytest.raises(ExpressionError, match=r"size \| gigabytes \}\}: 'big' is no size"):
        evaluate("{{ size | gigabytes }}", {"size": "big"})
