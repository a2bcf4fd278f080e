"""Network functions take choices as servers, volumes and networks do: those of ETSI SOL 001 (of which the types here are what Eve reads)
and those of the simple profile for NFV."""

import textwrap

import pytest

from cloudos import tosca
from cloudos.eve import given
from cloudos.eve.compiler.compile import compile_topology
from cloudos.eve.problems import Undeployable
from cloudos.eve.provider import Pool
from cloudos.graffiti.openings import openings

SOL001 = """
tosca_definitions_version: tosca_simple_yaml_1_2
data_types:
  nfv.Any: {derived_from: tosca.datatypes.Root, properties: &any {name: {type: string, required: false}}}
  nfv.Cpu: {derived_from: tosca.datatypes.Root, properties: {num_virtual_cpu: {type: integer}}}
  nfv.Memory: {derived_from: tosca.datatypes.Root, properties: {virtual_mem_size: {type: scalar-unit.size}}}
  nfv.Disk: {derived_from: tosca.datatypes.Root, properties: {size_of_storage: {type: scalar-unit.size}}}
  nfv.Layers: {derived_from: tosca.datatypes.Root, properties: {layer_protocols: {type: list, entry_schema: {type: string}}}}
capability_types:
  nfv.VirtualCompute:
    derived_from: tosca.capabilities.Node
    properties:
      virtual_cpu: {type: nfv.Cpu, required: false}
      virtual_memory: {type: nfv.Memory, required: false}
      virtual_local_storage: {type: list, entry_schema: {type: nfv.Disk}, required: false}
  tosca.capabilities.nfv.VirtualBindable: {derived_from: tosca.capabilities.Node}
  tosca.capabilities.nfv.VirtualLinkable: {derived_from: tosca.capabilities.Node}
  tosca.capabilities.nfv.VirtualStorage: {derived_from: tosca.capabilities.Root}
relationship_types:
  tosca.relationships.nfv.VirtualBindsTo: {derived_from: tosca.relationships.DependsOn}
  tosca.relationships.nfv.VirtualLinksTo: {derived_from: tosca.relationships.DependsOn}
  tosca.relationships.nfv.AttachesTo: {derived_from: tosca.relationships.Root}
node_types:
  tosca.nodes.nfv.Vdu.Compute:
    derived_from: tosca.nodes.Root
    properties: {name: {type: string}, sw_image_data: {type: nfv.Any, required: false}}
    capabilities:
      virtual_compute: {type: nfv.VirtualCompute, occurrences: [0, UNBOUNDED]}
      virtual_binding: {type: tosca.capabilities.nfv.VirtualBindable}
    requirements:
      - virtual_storage:
          capability: tosca.capabilities.nfv.VirtualStorage
          relationship: tosca.relationships.nfv.AttachesTo
          occurrences: [0, UNBOUNDED]
  tosca.nodes.nfv.VduCp:
    derived_from: tosca.nodes.Root
    properties: {order: {type: integer, required: false}, vnic_type: {type: string, required: false}}
    requirements:
      - virtual_link:
          capability: tosca.capabilities.nfv.VirtualLinkable
          relationship: tosca.relationships.nfv.VirtualLinksTo
          occurrences: [0, 1]
      - virtual_binding:
          capability: tosca.capabilities.nfv.VirtualBindable
          relationship: tosca.relationships.nfv.VirtualBindsTo
          occurrences: [0, 1]
  tosca.nodes.nfv.VnfVirtualLink:
    derived_from: tosca.nodes.Root
    properties: {connectivity_type: {type: nfv.Layers}}
    capabilities: {virtual_linkable: {type: tosca.capabilities.nfv.VirtualLinkable}}
  tosca.nodes.nfv.Vdu.VirtualBlockStorage:
    derived_from: tosca.nodes.Root
    properties: {virtual_block_storage_data: {type: nfv.Disk}, sw_image_data: {type: nfv.Any, required: false}}
    capabilities: {virtual_storage: {type: tosca.capabilities.nfv.VirtualStorage}}
topology_template:
  node_templates:
    vdu:
      type: tosca.nodes.nfv.Vdu.Compute
      properties: {name: vdu, sw_image_data: {name: firewall}}
      capabilities:
        virtual_compute:
          properties:
            virtual_cpu: {num_virtual_cpu: 2}
            virtual_memory: {virtual_mem_size: 512 MiB}
            virtual_local_storage: [{size_of_storage: 3 GiB}]
    booted:
      type: tosca.nodes.nfv.Vdu.Compute
      properties: {name: booted}
      requirements: [{virtual_storage: disk}]
    disk:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      properties: {virtual_block_storage_data: {size_of_storage: 30 GiB}, sw_image_data: {name: router}}
    lan: {type: tosca.nodes.nfv.VnfVirtualLink, properties: {connectivity_type: {layer_protocols: [ipv4]}}}
    inside: {type: tosca.nodes.nfv.VduCp, requirements: [{virtual_binding: vdu}, {virtual_link: lan}]}
    outside:
      type: tosca.nodes.nfv.VduCp
      requirements: [{virtual_binding: vdu}, {virtual_link: {node_filter: {properties: [{name: {equal: dmz}}]}}}]
"""
SIMPLE = """
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
topology_template:
  node_templates:
    vdu:
      type: tosca.nodes.nfv.VDU
      capabilities: {host: {properties: {num_cpus: 2, mem_size: 1 GB}}, os: {properties: {distribution: debian}}}
    lan: {type: tosca.nodes.nfv.VL, properties: {vendor: us, cidr: 10.9.0.0/24}}
    inside: {type: tosca.nodes.nfv.CP, requirements: [{virtualBinding: vdu}, {virtualLink: lan}, {link: lan}, {binding: vdu}]}
    outside:
      type: tosca.nodes.nfv.CP
      requirements: [{virtualBinding: vdu}, {virtualLink: {node_filter: {properties: [{name: {equal: dmz}}]}}}, {link: lan}, {binding: vdu}]
"""


def chosen(name):
    return {"id": f"{name}-id", "name": name}


VDU = {"flavor": chosen("large"), "image": chosen("guest"), "availability_zone": {"name": "az2"}}
CHOICES = {"vdu": VDU, "lan": {"network": chosen("corporate")}}


@pytest.fixture
def loaded(tmp_path):
    """A function: the template of a text."""

    def load(text):
        (tmp_path / "t.yaml").write_text(textwrap.dedent(text))
        report = tosca.load(tmp_path / "t.yaml", given.resolver(()), {})
        assert not report.exit_code, [str(one) for one in report.problems]
        return report.template

    return load


def compiled(template, choices, **defaults):
    return compile_topology(template, {"default": Pool("default", "openstack", {"cloud": "any"}, defaults)}, choices=choices)


def asked(graph, name, argument):
    """What exists and an argument leads to is looked for by."""
    one = graph.resources[graph.resources[name].arguments[argument]["$attribute"][0]]
    return one.arguments if one.existing else one.name


@pytest.mark.parametrize("text, link", [(SOL001, "virtual_link"), (SIMPLE, "virtualLink")], ids=["SOL 001", "simple profile"])
def test_a_unit_is_made_of_what_was_chosen_for_it_and_linked_to_what_was_bound(loaded, text, link):
    graph = compiled(loaded(text), {**CHOICES, "outside": {link: chosen("dmz")}})
    assert graph.notes == []
    assert [asked(graph, "vdu", key) for key in ("flavor", "image")] == [{"name": "large-id"}, {"name": "guest-id"}]
    assert graph.resources["vdu"].arguments["availability_zone"] == "az2"
    assert graph.resources["lan"].existing and asked(graph, "inside", "network_id") == {"name": "corporate-id"}
    assert asked(graph, "outside", "network_id") == {"name": "dmz-id"}
    assert not {"vdu_flavor", "lan_subnet"} & graph.resources.keys(), "what was chosen is not made"


def test_without_choices_a_unit_is_as_its_descriptor_says(loaded):
    graph = compiled(loaded(SOL001), {}, image="guest", flavor="small")
    assert asked(graph, "vdu", "flavor") == "vdu_flavor" and asked(graph, "vdu", "image") == {"name": "firewall"}
    assert asked(graph, "booted", "flavor") == {"name": "small"} and "image" not in graph.resources["booted"].arguments
    assert not graph.resources["lan"].existing and "lan_subnet" in graph.resources


def test_storage_is_of_the_image_and_the_type_that_were_chosen(loaded):
    graph = compiled(loaded(SOL001), {"disk": {"image": chosen("router"), "volume_type": chosen("fast")}, "booted": {"image": chosen("x")}})
    assert asked(graph, "disk", "imageRef") == {"name": "router-id"} and graph.resources["disk"].arguments["volume_type"] == "fast"
    assert len(graph.notes) == 1 and "x, which is chosen for image" in graph.notes[0], "what boots from storage has no image"


def test_a_descriptor_asks_the_directory_for_what_it_describes(loaded):
    asked_for = {one["id"]: one for one in openings(loaded(SOL001))["requirements"]}
    assert asked_for.keys() == {"vdu.flavor", "vdu.image", "booted.flavor", "disk.image", "disk.volume_type", "outside.virtual_link"}
    conditions = asked_for["vdu.flavor"]["node_filter"]["capabilities"]["cloudos.openstack/Flavor"]["properties"]
    assert conditions == [{"num_cpus": {"greater_or_equal": 2}}, {"mem_size": {"greater_or_equal": "512 MiB"}},
                          {"disk_size": {"greater_or_equal": "3 GiB"}}]  # fmt: skip
    assert asked_for["vdu.image"]["node_filter"] == {"properties": [{"name": {"equal": "firewall"}}]}
    assert asked_for["outside.virtual_link"]["capability"] == "cloudos.openstack/Network"
    assert "node_filter" not in asked_for["booted.flavor"]


def test_the_unit_of_tacker_takes_choices_where_it_says_nothing(loaded):
    text = SIMPLE.replace("topology_template:", """node_types:
  tosca.nodes.nfv.VDU.Tacker:
    derived_from: tosca.nodes.nfv.VDU
    properties: {flavor: {type: string, required: false}, image: {type: string, required: false}}
topology_template:""").replace("type: tosca.nodes.nfv.VDU\n", "type: tosca.nodes.nfv.VDU.Tacker\n      properties: {flavor: own}\n")
    graph = compiled(loaded(text), CHOICES)
    assert [asked(graph, "vdu", key) for key in ("flavor", "image")] == [{"name": "own"}, {"name": "guest-id"}]
    assert graph.resources["vdu"].arguments["availability_zone"] == "az2" and "large, which is chosen for flavor" in graph.notes[0]


def test_what_a_network_cannot_carry_is_refused_in_words(loaded):
    with pytest.raises(Undeployable) as told:
        compiled(loaded(SOL001.replace("[ipv4]", "[mpls]")), {})
    messages = [one.message for one in told.value.problems]
    assert "lan (tosca.nodes.nfv.VnfVirtualLink): networks carry Ethernet and IP, not mpls" in messages, messages


AFFINITY = """
policy_types:
  tosca.policies.nfv.AntiAffinityRule: {derived_from: tosca.policies.Placement, properties: {scope: {type: string}}}
"""


@pytest.mark.parametrize(("scope", "made", "notes"), [
    ("nfvi_node", True, []),
    ("zone", False, ["policy apart: its scope zone is not kept to; servers are put together or apart by host (nfvi_node) only"]),
])  # fmt: skip
def test_a_scope_that_no_server_group_has_is_told(loaded, scope, made, notes):
    rule = f"{{type: tosca.policies.nfv.AntiAffinityRule, targets: [vdu, booted], properties: {{scope: {scope}}}}}"
    text = SOL001.replace("topology_template:", f"{AFFINITY}\ntopology_template:") + f"  policies: [{{apart: {rule}}}]\n"
    graph = compiled(loaded(text), {})
    assert ("apart_group" in graph.resources, graph.notes) == (made, notes)
    assert ("os:scheduler_hints" in graph.resources["vdu"].arguments) == made
