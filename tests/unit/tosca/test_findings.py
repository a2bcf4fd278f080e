"""What the best known parser gets wrong (its findings by number), and what is right: accepted, or refused at its place."""

import pytest

from cloudos import tosca
from tests.unit.tosca.marked import MODERN, OLDER, judge, load

NODES = OLDER + "topology_template:\n  node_templates:\n"
SERVER = "    server: {type: tosca.nodes.Compute, capabilities: {host: {properties: {num_cpus: 4, mem_size: 8 GB}}}}\n"

ACCEPTED = {
    "1 requirement by type with a filter": NODES + SERVER + """
    web:
      type: WebServer
      requirements:
        - host: {node: tosca.nodes.Compute, node_filter: {capabilities: [{host: {properties: [{num_cpus: {in_range: [2, 8]}}]}}]}}
""",
    "4 requirement by capability": NODES + SERVER + """
    web: {type: WebServer, requirements: [{host: {capability: tosca.capabilities.Compute}}]}
""",
    "6 occurrences that are not reached": OLDER + """
node_types:
  Line: {derived_from: tosca.nodes.Root, capabilities: {end: {type: tosca.capabilities.Endpoint, occurrences: [2, 2]}}}
  End: {derived_from: tosca.nodes.Root, requirements: [{end: {capability: tosca.capabilities.Endpoint}}]}
topology_template:
  node_templates:
    «requirement.unreached»line: {type: Line}
    left: {type: End, requirements: [{end: line}]}
""",
    "8 imperative workflow": NODES + SERVER + """
  workflows:
    grow:
      inputs: {size: {type: integer}}
      steps:
        stop: {target: server, activities: [{call_operation: Standard.stop}], on_success: [start]}
        start: {target: server, activities: [{set_state: starting}, {call_operation: {operation: Standard.start}}]}
""",
    "9 operation of an interface type's parent": OLDER + """
interface_types:
  Base: {create: {inputs: {size: {type: integer, default: 1}}}}
  More: {derived_from: Base, resize: {}}
node_types:
  Thing: {derived_from: tosca.nodes.Root, interfaces: {Life: {type: More, create: create.sh}}}
  Better: {derived_from: Thing}
topology_template:
  node_templates:
    one: {type: Better, interfaces: {Life: {resize: resize.sh}}}
""",
    "10 custom capability without node": OLDER + """
capability_types: {Sound: {derived_from: tosca.capabilities.Root}}
node_types:
  Speaker: {derived_from: tosca.nodes.Root, capabilities: {sound: {type: Sound}}}
  Player: {derived_from: tosca.nodes.Root, requirements: [{sound: {capability: Sound, relationship: tosca.relationships.DependsOn}}]}
topology_template:
  node_templates:
    player: {type: Player, requirements: [{sound: speaker}]}
    speaker: {type: Speaker}
""",
    "11 short forms": OLDER + """
node_types:
  Q: {derived_from: tosca.nodes.Root, capabilities: {q: tosca.capabilities.Node}, requirements: [{q: tosca.capabilities.Node}]}
topology_template:
  node_templates:
    one: {type: Q, requirements: [{q: two}]}
    two: {type: Q, requirements: [{q: {node: three}}]}
    three: {type: tosca.nodes.Root}
""",
    "12 capability without properties": NODES + """
    web: {type: WebServer, capabilities: {data_endpoint: {attributes: {ip_address: 10.0.0.1}}}}
""",
    "13 assigned occurrences": NODES + SERVER + """
    web: {type: WebServer, requirements: [{host: {node: server, occurrences: [1, UNBOUNDED]}}]}
""",
    "14 copy": NODES + SERVER + """
    other: {copy: server, capabilities: {host: {properties: {num_cpus: 2}}}}
  relationship_templates:
    first: {type: tosca.relationships.AttachesTo, properties: {location: /a}}
    second: {copy: first, properties: {location: /b}}
""",
    "15 entry schema as text": OLDER + """
node_types: {T: {derived_from: tosca.nodes.Root, properties: {l: {type: list, entry_schema: integer}}}}
topology_template: {node_templates: {t: {type: T, properties: {l: [1, 2]}}}}
""",
    "16 constraint schema": OLDER + """
node_types: {T: {derived_from: tosca.nodes.Root, properties: {j: {type: string, constraints: [{schema: '{"type": "object"}'}]}}}}
topology_template: {node_templates: {t: {type: T, properties: {j: '{"a": 1}'}}}}
""",
    "17 constraints on versions, ranges, bit rates, lists": OLDER + """
node_types:
  T:
    derived_from: tosca.nodes.Root
    properties:
      v: {type: version, constraints: [{greater_or_equal: 1.2}]}
      r: {type: range, constraints: [{in_range: [1, 100]}]}
      b: {type: scalar-unit.bitrate, constraints: [{greater_than: 1 Mbps}]}
      l: {type: list, entry_schema: string, constraints: [{length: 2}]}
topology_template: {node_templates: {t: {type: T, properties: {v: 1.10, r: [2, 99], b: 1 Gbps, l: [a, b]}}}}
""",
    "19 inputs of data types, and without type": OLDER + """
data_types: {Pair: {properties: {left: {type: integer}, right: {type: integer, default: 2}}}}
topology_template:
  inputs: {pair: {type: Pair, default: {left: 1}}, loose: {default: 3}, fixed: {type: string, value: x}}
  node_templates: {server: {type: Compute, capabilities: {host: {properties: {num_cpus: {get_input: [pair, right]}}}}}}
""",
    "20 outputs with type": NODES + SERVER + """
  outputs: {address: {type: string, value: {get_attribute: [server, public_address]}}}
""",
    "22 functions": NODES + SERVER + """
    web:
      type: WebServer
      requirements: [{host: server}]
      artifacts: {page: {file: page.html, type: tosca.artifacts.File}}
      interfaces:
        Standard:
          create: {implementation: create.sh, inputs: {names: {join: [[a, b], "-"]}, page: {get_artifact: [SELF, page]}}}
          start: {implementation: start.sh, inputs: {done: {get_operation_output: [SELF, Standard, create, done]}}}
  outputs: {servers: {value: {get_nodes_of_type: tosca.nodes.Compute}}}
""",
    "24 separators of several characters": NODES + SERVER + """
  outputs: {second: {value: {token: ["a::b::c", "::", 1]}}}
""",
    "28 types inside an import see each other": OLDER + "imports: [{file: lib.yaml, namespace_prefix: lib}]\n" + """
topology_template: {node_templates: {one: {type: "lib:Second"}}}
""",
    "30 import of artifact types only": OLDER + """
imports: [{arts: artifacts.yaml}]
node_types: {Mine: {derived_from: tosca.nodes.Root}}
topology_template: {node_templates: {one: {type: Mine, artifacts: {a: {type: My.File, file: a.txt}}}}}
""",
    "34 triggers and scaling": NODES + SERVER + """
  policies:
    - scale:
        type: tosca.policies.Scaling
        targets: [server]
        properties: {min_instances: 1, max_instances: 3}
        triggers:
          busy: {event: tosca.events.busy, period: 60 s, action: [{call_operation: Standard.start}]}
""",
    "36 normative types": OLDER + """
node_types: {Box: {derived_from: tosca.nodes.Abstract.Compute}}
data_types:
  Doc: {properties: {a: {type: tosca.datatypes.json, required: false}, t: {type: tosca.datatypes.TimeInterval, required: false}}}
topology_template:
  node_templates:
    disk: {type: tosca.nodes.Storage.BlockStorage, properties: {name: d, size: 1 GB}}
    bucket: {type: tosca.nodes.Storage.ObjectStorage, properties: {name: b}}
    box: {type: Box}
    server: {type: Compute, requirements: [{local_storage: {node: disk, relationship: {type: AttachesTo, properties: {location: /d}}}}]}
""",
    "37 valid_source_types, metadata, notifications": OLDER + """
relationship_types: {R: {derived_from: tosca.relationships.DependsOn, valid_source_types: [tosca.nodes.Compute], metadata: {a: b}}}
interface_types: {Watch: {operations: {look: {}}, notifications: {seen: {}}}}
node_types: {T: {derived_from: tosca.nodes.Root, interfaces: {Watch: {type: Watch}}}}
topology_template: {node_templates: {t: {type: T, interfaces: {Watch: {notifications: {seen: {implementation: seen.sh}}}}}}}
""",
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case, tmp_path):
    (tmp_path / "lib.yaml").write_text(OLDER + "node_types: {First: {derived_from: tosca.nodes.Root}, Second: {derived_from: First}}")
    (tmp_path / "artifacts.yaml").write_text(OLDER + "artifact_types: {My.File: {derived_from: tosca.artifacts.File}}")
    judge(tmp_path, ACCEPTED[case])


REFUSED = {
    "2 filter that nothing passes is told as unmatched": None,
    "3 directive": NODES + "    server: {type: Compute, directives: [«directive.unknown»frobnicate]}\n",
    "5 target lacks the capability": NODES + """
    net: {type: tosca.nodes.network.Network}
    web: {type: SoftwareComponent, requirements: [{host: {node: «requirement.mismatch»net}}]}
""",
    "6 valid_source_types and occurrences": OLDER + """
node_types:
  Narrow:
    derived_from: tosca.nodes.Root
    capabilities: {only: {type: tosca.capabilities.Endpoint, valid_source_types: [Narrow], occurrences: [0, 1]}}
  Wide: {derived_from: tosca.nodes.Root, requirements: [{only: {capability: tosca.capabilities.Endpoint}}]}
  Kin: {derived_from: Narrow, requirements: [{only: {capability: tosca.capabilities.Endpoint}}]}
topology_template:
  node_templates:
    narrow: {type: Narrow}
    wide: {type: Wide, requirements: [{only: {node: «requirement.mismatch»narrow}}]}
    first: {type: Kin, requirements: [{only: narrow}]}
    second: {type: Kin, requirements: [{«requirement.occurrences»only: narrow}]}
""",
    "7 hosting circle": OLDER + """
node_types:
  Box:
    derived_from: tosca.nodes.Root
    capabilities: {host: {type: tosca.capabilities.Compute}}
    requirements: [{host: {capability: Container, relationship: HostedOn}}]
topology_template:
  node_templates:
    «requirement.cycle»a: {type: Box, requirements: [{host: b}]}
    b: {type: Box, requirements: [{host: a}]}
""",
    "16 unknown operator": OLDER + """
node_types: {T: {derived_from: tosca.nodes.Root, properties: {p: {type: integer, constraints: [{«constraint.invalid»about: 3}]}}}}
""",
    "18 wrong type under a constraint": NODES + """
    server: {type: Compute, capabilities: {host: {properties: {num_cpus: «value.type»x}}}}
""",
    "21 arguments of concat": NODES + SERVER + """
  outputs:
    one: {value: {concat: [a, «function.input»{get_input: nope}]}}
    two: {value: {concat: [b, «function.path»{get_property: [server, zz]}]}}
""",
    "23 get_property to itself": NODES + """
    web: {type: WebServer, properties: {component_version: «function.cycle»{get_property: [SELF, component_version]}}}
""",
    "25 unused types": OLDER + """
node_types:
  Lost: {derived_from: «type.unknown»Nowhere}
  Base: {derived_from: tosca.nodes.Root, properties: {p: {type: integer}}}
  Worse: {derived_from: Base, properties: {p: {type: «type.refinement»boolean}}}
""",
    "26 derivation circle": OLDER + """
node_types:
  A: {derived_from: B}
  B: {derived_from: «type.cycle»A}
topology_template: {node_templates: {a: {type: A}}}
""",
    "32 artifacts": NODES + """
    server:
      type: Compute
      artifacts:
        one: {type: «type.unknown»Nothing, file: x}
        two: {type: tosca.artifacts.File, file: x, «key.unknown»colour: red}
        «key.missing»three: {type: tosca.artifacts.File}
""",
    "33 attribute": NODES + "    server: {type: Compute, attributes: {«attribute.unknown»colour: red}}\n",
    "34 policy type and trigger": NODES + SERVER + """
  policies:
    - one: {type: «type.unknown»No.Such, targets: [server]}
    - two: {type: tosca.policies.Placement, targets: [«policy.invalid»nobody]}
""",
    "35 relationship": NODES + SERVER + """
    web: {type: WebServer, requirements: [{host: {node: server, relationship: «requirement.relationship»nosuchrel}}]}
""",
    "38 duplicate key": OLDER + "description: a\n«yaml.duplicate_key»description: b\n",
    "39 null node": NODES + "    web: {type: WebServer, requirements: [{host: {node: 7}}]}\n".replace("7", "«requirement.target»7"),
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case, text in REFUSED.items() if text])
def test_refused_at_its_place(case, tmp_path):
    report = judge(tmp_path, REFUSED[case])
    assert report.exit_code in (1, 2)


def test_2_a_filter_that_nothing_passes_leaves_the_requirement_with_reasons(tmp_path):
    wanted = "{node_filter: {capabilities: [{host: {properties: [{num_cpus: {greater_than: 4}}]}}]}}"
    report = load(tmp_path, NODES + SERVER + f"    web: {{type: WebServer, requirements: [{{host: {wanted}}}]}}\n")
    ((node, requirement),) = report.template.unmatched()
    assert (report.exit_code, node.name, requirement.name) == (0, "web", "host")
    assert requirement.rejected == {"server": "host.num_cpus is 4, not greater_than 4"}


def test_27_an_import_in_a_list_is_one_import(tmp_path):
    (tmp_path / "lib.yaml").write_text(OLDER + "node_types: {First: {derived_from: tosca.nodes.Root}}")
    text = OLDER + "imports: [{file: lib.yaml, namespace_prefix: p}]\n"
    report = load(tmp_path, text + "topology_template: {node_templates: {a: {type: 'p:First'}}}")
    assert report.exit_code == 0
    assert report.template.nodes["a"].type.name == "First"


def test_29_import_circles_do_no_harm(tmp_path):
    (tmp_path / "b.yaml").write_text(OLDER + "imports: [template.yaml]\nnode_types: {B: {derived_from: A}}")
    text = OLDER + "imports: [b.yaml]\nnode_types: {A: {derived_from: tosca.nodes.Root}}\n"
    assert load(tmp_path, text + "topology_template: {node_templates: {b: {type: B}}}").exit_code == 0


def test_31_two_imports_of_one_name_are_told(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(OLDER + "node_types: {Same: {derived_from: tosca.nodes.Root}}")
    judge(tmp_path, OLDER + "imports: «import.ambiguous»[a.yaml, b.yaml]\n")


@pytest.mark.parametrize(
    ("text", "rule"),
    [("", "key.shape"), ("# nothing\n", "key.shape"), ("- a\n- b\n", "key.shape"), ("just text", "key.shape"), ("{a: [", "yaml.syntax")],
)
def test_38_39_what_is_no_template_is_told(text, rule, tmp_path):
    (problem,) = load(tmp_path, text).problems
    assert (problem.rule, problem.severity) == (rule, "error")


def test_40_a_relationship_is_listed_once(tmp_path):
    report = load(tmp_path, NODES + SERVER + "    web: {type: WebServer, requirements: [{host: server}, {dependency: server}]}\n")
    assert [(one.requirement, one.target.name) for one in report.template.relationships()] == [("host", "server"), ("dependency", "server")]


def test_41_given_inputs_stay_as_they_are(tmp_path):
    given = {"pair": {"left": 1}}
    text = OLDER + "data_types: {Pair: {properties: {left: {type: integer}, right: {type: integer, default: 2}}}}\n"
    report = load(tmp_path, text + "topology_template: {inputs: {pair: {type: Pair}}}", inputs=given)
    assert report.template.inputs == {"pair": {"left": 1, "right": 2}}
    assert given == {"pair": {"left": 1}}


def test_two_versions_do_not_leak_into_each_other(tmp_path):
    nfv = "tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0\n"
    assert load(tmp_path, nfv + "topology_template: {node_templates: {v: {type: tosca.nodes.nfv.VDU}}}").exit_code == 0
    judge(tmp_path, NODES + "    v: {type: «type.unknown»tosca.nodes.nfv.VDU}\n")
    judge(tmp_path, MODERN + "service_template: {node_templates: {v: {type: «type.unknown»tosca.nodes.Compute}}}")


@pytest.mark.parametrize("minor", range(4))
def test_every_1_x_version_is_read(minor, tmp_path):
    text = f"tosca_definitions_version: tosca_simple_yaml_1_{minor}\n"
    report = load(tmp_path, text + "topology_template: {node_templates: {s: {type: tosca.nodes.Compute}}}")
    assert report.exit_code == 0
    assert isinstance(report.template, tosca.Template)
