"""Ranges and addresses of networks are judged with the template, at their places; what is known at run time only is left to the cloud."""

import pytest

from tests.unit.tosca.marked import MODERN, OLDER, judge, load

HEAD = f'{OLDER}imports: ["cloudos:openstack.yaml"]\ntopology_template:\n'
MARKED = "«network.addresses»"
LINK = """\
tosca_definitions_version: tosca_simple_yaml_1_3
data_types:
  nfv.Any: {properties: {layer_protocols: {type: list, entry_schema: string, required: false}}}
  nfv.Pool: {properties: {start_ip_address: {type: string}, end_ip_address: {type: string}}}
  nfv.Layer3:
    properties:
      cidr: {type: string}
      gateway_ip: {type: string, required: false}
      ip_allocation_pools: {type: list, entry_schema: nfv.Pool, required: false}
      dhcp_enabled: {type: boolean, required: false}
  nfv.Protocol: {properties: {l3_protocol_data: {type: nfv.Layer3, required: false}}}
  nfv.Profile: {properties: {virtual_link_protocol_data: {type: list, entry_schema: nfv.Protocol, required: false}}}
node_types:
  tosca.nodes.nfv.VnfVirtualLink:
    properties: {connectivity_type: {type: nfv.Any}, vl_profile: {type: nfv.Profile}}
topology_template:
  node_templates:
    lan:
      type: tosca.nodes.nfv.VnfVirtualLink
      properties:
        connectivity_type: {layer_protocols: [LAYERS]}
        vl_profile: MARK{virtual_link_protocol_data: [{l3_protocol_data: DATA}]}
"""


def judged(tmp_path, node, **more):
    return judge(tmp_path, f"{HEAD}  node_templates:\n    net: {node}\n", **more)


@pytest.mark.parametrize(("said", "words"), [
    ("cidr: @10.0.0.0/33", "no range of addresses"),
    ("cidr: @10.0.0.0", "no range of addresses"),
    ("cidr: @10.0.0.0/255.255.255.0", "no range of addresses"),
    ("cidr: @any", "no range of addresses"),
    ("cidr: @'fe80::1%eth0/64', ip_version: 6", "no range of addresses"),
    ("cidr: @0.0.0.0/0", "the range of everything"),
    ("cidr: @'::/64', ip_version: 6", "the range of everything"),
    ("cidr: @10.0.0.0/31", "too small for DHCP"),
    ("cidr: @224.0.1.0/24", "no machine can be given"),
    ("cidr: @'fd00:7::/64'", "of IP version 6, and ip_version says 4"),
    ("cidr: @10.0.0.0/24, ip_version: 6", "of IP version 4, and ip_version says 6"),
    ("cidr: 10.0.0.0/24, gateway_ip: @10.0.1.1", "outside of the range 10.0.0.0/24"),
    ("cidr: 10.0.0.0/24, gateway_ip: @10.0.0.255", "the first or last address"),
    ("cidr: 10.0.0.0/24, gateway_ip: @10.0.0", "no address"),
    ("cidr: 10.0.0.0/24, gateway_ip: @'fd00::1'", "of IP version 6"),
    ("cidr: 10.0.0.0/24, start_ip: @10.0.0.9", "one end of a pool"),
    ("cidr: 10.0.0.0/24, end_ip: @10.0.0.9", "one end of a pool"),
    ("cidr: 10.0.0.0/24, start_ip: @10.0.1.9, end_ip: @10.0.1.12", "not among the addresses"),
    ("cidr: 10.0.0.0/24, start_ip: 10.0.0.9, end_ip: @10.0.0.255", "not among the addresses"),
    ("cidr: 10.0.0.0/24, start_ip: 10.0.0.9, end_ip: @10.0.0.5", "before the begin"),
    ("cidr: 10.0.0.0/24, start_ip: @10.0.0.1, end_ip: 10.0.0.5", "that the gateway 10.0.0.1 lies in"),
    ("cidr: 10.0.0.0/24, gateway_ip: 10.0.0.7, start_ip: @10.0.0.2, end_ip: 10.0.0.9", "that the gateway 10.0.0.7 lies in"),
])  # fmt: skip
def test_what_no_cloud_takes_is_told_at_its_place(tmp_path, said, words):
    report = judged(tmp_path, f"{{type: tosca.nodes.network.Network, properties: {{{said.replace('@', MARKED)}}}}}")
    assert report.exit_code == 2, "the template itself is valid"
    assert words in report.problems[0].message and " of net " in report.problems[0].message


@pytest.mark.parametrize("said", [
    "cidr: 10.0.0.5/24",  # Neutron takes the range that it is of
    "cidr: 10.0.0.0/31, dhcp_enabled: false",
    "cidr: 10.0.0.0/24, gateway_ip: 10.0.0.254, start_ip: 10.0.0.1, end_ip: 10.0.0.9",
    "cidr: 'fd00:7::/64', ip_version: 6, gateway_ip: 'fe80::1', start_ip: 'fd00:7::1', end_ip: 'fd00:7::ffff'",
    "network_id: corporate, cidr: none of ours",  # it exists, and nothing is made
    "network_name: corporate",
])  # fmt: skip
def test_what_a_cloud_takes_is_left_alone(tmp_path, said):
    assert judged(tmp_path, f"{{type: tosca.nodes.network.Network, properties: {{{said}}}}}").exit_code == 0


@pytest.mark.parametrize("node", [
    "{type: cloudos.nodes.NetworkSegment, properties: {cidr: @10.0.0.0/99}}",
    "{type: cloudos.nodes.NetworkSegment, properties: {ip_version: 6, cidr: @10.0.0.0/24}}",
    "{type: cloudos.nodes.NetworkSegment, properties: {dns: @[10.0.0.2, resolver]}}",
    "{type: cloudos.nodes.Port, properties: {ip_address: @10.0.0}}",
    "{type: tosca.nodes.network.Port, properties: {ip_address: @10.0.0.256}}",
])  # fmt: skip
def test_our_own_nodes_and_ports_are_judged(tmp_path, node):
    judged(tmp_path, node.replace("@", MARKED))


def test_the_default_range_is_of_version_4(tmp_path):
    report = load(tmp_path, f"{HEAD}  node_templates:\n    net: {{type: cloudos.nodes.NetworkSegment, properties: {{ip_version: 6}}}}\n")
    assert [one.rule for one in report.problems] == ["network.addresses"]
    named = "{type: cloudos.nodes.NetworkSegment, properties: {ip_version: 6, subnet: corporate}}"
    assert judged(tmp_path, named).exit_code == 0, "the default is for what is made"


@pytest.mark.parametrize(("given", "code"), [(None, 0), ({"range": "10.9.0.0/24"}, 0), ({"range": "10.9.0.0/240"}, 2)])
def test_inputs_are_judged_when_they_are_given(tmp_path, given, code):
    text = f"{HEAD}  inputs: {{range: {{type: string}}}}\n  node_templates:\n    net: {{type: cloudos.nodes.NetworkSegment, "
    assert load(tmp_path, text + "properties: {cidr: {get_input: range}}}\n", inputs=given).exit_code == code


def test_what_is_known_at_run_time_only_is_left_to_the_cloud(tmp_path):
    node = "properties: {cidr: {get_attribute: [other, network_id]}, gateway_ip: {get_attribute: [other, network_id]}, start_ip: 10.0.0.4}"
    nodes = f"    other: {{type: tosca.nodes.network.Network}}\n    net: {{type: tosca.nodes.network.Network, {node}}}\n"
    assert load(tmp_path, f"{HEAD}  node_templates:\n{nodes}").exit_code == 0


def test_templates_of_2_are_judged(tmp_path):
    judge(tmp_path, f"{MODERN}imports: [{{profile: 'cloudos.openstack'}}]\nservice_template:\n  node_templates:\n    net: "
          f"{{type: cloudos.nodes.NetworkSegment, properties: {{cidr: {MARKED}10.0.0.0/33}}}}\n")  # fmt: skip


@pytest.mark.parametrize(("layers", "data", "wrong"), [
    ("ipv4", "{cidr: 10.0.0.0/24, ip_allocation_pools: [{start_ip_address: 10.0.0.5, end_ip_address: 10.0.0.9}]}", False),
    ("ipv4", "{cidr: 10.0.0.0/24, ip_allocation_pools: [{start_ip_address: 10.0.0.5, end_ip_address: 10.0.0.9}, "
             "{start_ip_address: 10.0.0.9, end_ip_address: 10.0.0.12}]}", True),
    ("ipv4", "{cidr: 10.0.0.0/33}", True),
    ("ipv6", "{cidr: 10.0.0.0/24}", True),
    ("ipv4", "{cidr: 10.0.0.0/24, gateway_ip: 10.0.1.1}", True),
])  # fmt: skip
def test_links_of_network_functions_are_judged(tmp_path, layers, data, wrong):
    judge(tmp_path, LINK.replace("LAYERS", layers).replace("DATA", data).replace("MARK", MARKED if wrong else ""))
