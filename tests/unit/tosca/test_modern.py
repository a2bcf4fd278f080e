"""TOSCA 2.0: profiles, validation clauses, scalars, functions, counts, allocation, substitution, workflows."""

import pytest

from cloudos.tosca import matching
from tests.unit.tosca.marked import MODERN, judge, load

WORLD = MODERN + """
capability_types:
  Compute: {properties: {cpus: {type: integer}, memory: {type: Size, required: false}}}
  Reach: {}
relationship_types:
  HostedOn: {valid_capability_types: [Compute]}
  Talks: {properties: {speed: {type: integer, default: 1}}}
  Wire: {derived_from: Talks, valid_capability_types: [Reach], valid_target_node_types: [App], valid_source_node_types: [App]}
  Tube: {derived_from: Talks, valid_capability_types: [Compute]}
  Pipe: {derived_from: Talks, valid_target_node_types: [Host]}
  Duct: {derived_from: Talks, valid_source_node_types: [Host]}
data_types: {Size: {derived_from: scalar, data_type: integer, units: {B: 1}, prefixes: {"": 1, k: 1000, M: 1000000}}}
interface_types: {Life: {operations: {start: {inputs: {delay: {type: integer}}}, stop: {}}}}
node_types:
  Host: {capabilities: {compute: Compute}}
  App:
    properties: {port: {type: integer, default: 80}, name: {type: string, required: false}}
    attributes: {address: {type: string}}
    capabilities: {reach: Reach}
    interfaces: {life: {type: Life}}
    requirements:
      - host: {capability: Compute, relationship: HostedOn, count_range: [1, 1]}
      - peer: {capability: Reach, relationship: Talks, count_range: [0, 2]}
service_template:
"""
HOSTS = """
  node_templates:
    small: {type: Host, capabilities: {compute: {properties: {cpus: 2, memory: 4 MB}}}}
    large: {type: Host, capabilities: {compute: {properties: {cpus: 8, memory: 16 MB}}}}
"""


def test_a_filter_chooses_and_reasons_are_kept(tmp_path):
    report = judge(
        tmp_path,
        WORLD + HOSTS + """
    app:
      type: App
      requirements:
        - host: {node_filter: {$and: [{$greater_or_equal: [{$get_property: [SELF, CAPABILITY, memory]}, 10 MB]},
                                      {$less_than: [{$get_property: [SELF, TARGET, CAPABILITY, compute, cpus]}, 9]}]}}
""",
    )  # fmt: skip
    (relation,) = report.template.relationships()
    assert (relation.target.name, relation.capability, relation.type.name) == ("large", "compute", "HostedOn")
    (requirement,) = report.template.nodes["app"].requirements
    assert list(requirement.rejected) == ["small"]
    assert "is not satisfied" in requirement.rejected["small"]


def test_demands_of_the_type_are_matched_unasked_and_ambiguity_is_told(tmp_path):
    apps = "    one: {type: App}\n    two: {type: App, requirements: [{«requirement.ambiguous»host: {}}]}\n"
    report = judge(tmp_path, WORLD + HOSTS + apps)
    assert [(one.source.name, one.target.name) for one in report.template.relationships()] == [("one", "small"), ("two", "small")]
    assert not report.template.nodes["one"].requirements[0].assigned


def test_the_search_for_targets_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(matching, "COMPARISONS", 3)
    judge(tmp_path, WORLD + HOSTS + """
    one: {type: App}
    «requirement.limit»two: {type: App}
    three: {type: App}
""")


def test_two_assignments_take_two_nodes(tmp_path):
    report = load(tmp_path, WORLD + HOSTS + """
    a: {type: App, requirements: [{host: small}]}
    b: {type: App, requirements: [{host: small}]}
    c: {type: App, requirements: [{host: small}, {peer: {}}, {peer: {optional: true}}]}
""")  # fmt: skip
    assert [one.target.name for one in report.template.nodes["c"].requirements] == ["small", "a", "b"]


@pytest.mark.parametrize(
    ("requirements", "rule"),
    [
        ("[{host: small}, {«requirement.count»host: large}]", 1),
        ("[{host: small}, {peer: {count: 2}}]", 0),
        ("[{host: small}, {«requirement.count»peer: {count: 3}}]", 1),
        ("[{host: small}, {peer: {directives: [external]}}]", 0),
        ("[{host: small}, {«requirement.internal»peer: {directives: [internal]}}]", 2),
        ("[{host: {node: small, allocation: {cpus: 2}}}]", 0),
        ("[{host: {node: small, allocation: {cpus: «requirement.capacity»3}}}]", 2),
        ("[{host: {node: small, allocation: {colour: «requirement.allocation»3}}}]", 1),
        ("[{host: {node: small, relationship: «requirement.relationship»Nothing}}]", 1),
        ("[{host: {node: small, «requirement.relationship»relationship: Talks}}]", 1),
        ("[{host: [small, 0]}]", 0),
        ("[{host: small}, {peer: {node: other, relationship: Wire}}]", 0),
        ("[{host: small}, {peer: {node: «requirement.mismatch»other, relationship: Tube}}]", 1),
        ("[{host: small}, {peer: {node: «requirement.mismatch»other, relationship: Pipe}}]", 1),
        ("[{host: small}, {peer: {node: «requirement.mismatch»other, relationship: Duct}}]", 1),
    ],
)
def test_requirement(requirements, rule, tmp_path):
    text = WORLD + HOSTS + f"    app: {{type: App, requirements: {requirements}}}\n"
    if "other" in requirements:
        text += "    other: {type: App, requirements: [{host: large}]}\n"
    assert judge(tmp_path, text).exit_code == rule


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{$sum: [1, 2, 3]}", 6),
        ("{$difference: [5, {$product: [2, 2]}]}", 1),
        ("{$quotient: [9, 2]}", 4.5),
        ("{$remainder: [9, 4]}", 1),
        ("{$round: [2.5]}", 3),
        ("{$floor: 2.9}", 2),
        ("{$ceil: 2.1}", 3),
        ("{$concat: [a, {$join: [[b, c], '-']}]}", "ab-c"),
        ("{$concat: [[1], [2]]}", [1, 2]),
        ("{$token: ['a.b.c', '.', 2]}", "c"),
        ("{$union: [[1, 2], [2, 3]]}", [1, 2, 3]),
        ("{$intersection: [[1, 2], [2, 3]]}", [2]),
        ("{$length: abc}", 3),
        ("{$and: [true, {$not: false}]}", True),
        ("{$xor: [true, true]}", False),
        ("{$or: [false, {$has_key: [{a: 1}, a]}]}", True),
        ("{$has_all_entries: [[1, 2, 3], [1, 3]]}", True),
        ("{$has_any_key: [{a: 1}, [b]]}", False),
        ("{$contains: [[1, 2, 3], [2, 3]]}", True),
        ("{$has_prefix: [abc, ab]}", True),
        ("{$has_suffix: [abc, ab]}", False),
        ("{$matches: [abc, '^a']}", True),
        ("{$valid_values: [1, [1, 2]]}", True),
        ("{$less_than: [1.5, 2]}", True),
        ("{$get_property: [app, port]}", 80),
        ("{$get_input: [net, names, 1]}", "b"),
        ("$$name", "$name"),
        ("{a: $$x, b: [$$y]}", {"a": "$x", "b": ["$y"]}),
    ],
)
def test_function(expression, value, tmp_path):
    text = WORLD + HOSTS + "    app: {type: App, requirements: [{host: small}]}\n"
    text += "  inputs: {net: {type: map, entry_schema: {type: list}, default: {names: [a, b]}}}\n"
    report = judge(tmp_path, text + f"  outputs: {{o: {{value: {expression}}}}}\n")
    assert report.template.outputs["o"].value == value


@pytest.mark.parametrize(
    "expression",
    [
        "«function.unknown»{$nothing: [1]}",
        "«function.unknown»$5.00",
        "«function.arguments»{$concat: [a], other: 1}",
        "«function.arguments»{$token: [a, b]}",
        "«function.arguments»{$sum: [1, x]}",
        "«function.arguments»{$quotient: [1, 0]}",
        "«function.input»{$get_input: nothing}",
        "«function.path»{$get_property: [nobody, port]}",
        "«function.path»{$get_property: [app, prot]}",
        "«function.path»{$get_property: [app, CAPABILITY, nothing, x]}",
        "«function.path»{$get_attribute: [app, colour]}",
        "«function.path»{$get_property: [app, RELATIONSHIP, nothing, TARGET, x]}",
        "«function.path»{$get_property: [SELF, port]}",
    ],
)
def test_wrong_function(expression, tmp_path):
    text = WORLD + HOSTS + "    app: {type: App, requirements: [{host: small}]}\n"
    judge(tmp_path, text + f"  outputs: {{o: {{value: {expression}}}}}\n")


def test_paths_lead_along_relationships(tmp_path):
    text = WORLD + HOSTS + """
    app: {type: App, requirements: [{host: large}, {peer: {node: other, relationship: {type: Talks, properties: {speed: 5}}}}]}
    other: {type: App, properties: {name: {$get_property: [SELF, RELATIONSHIP, host, CAPABILITY, memory]}}, requirements: [{host: large}]}
  outputs:
    cpus: {value: {$get_property: [app, RELATIONSHIP, peer, 0, TARGET, RELATIONSHIP, host, CAPABILITY, cpus]}}
    speed: {value: {$get_property: [app, RELATIONSHIP, peer, speed]}}
    address: {value: {$get_attribute: [app, RELATIONSHIP, peer, TARGET, address]}}
"""
    template = judge(tmp_path, text).template
    assert (template.outputs["cpus"].value, template.outputs["speed"].value) == (8, 5)
    assert template.nodes["other"].properties["name"].value == "16 MB"
    assert template.outputs["address"].value.to_json() == {"$get_attribute": ["app", "RELATIONSHIP", "peer", "TARGET", "address"]}


def test_defaults_of_inputs_may_ask_for_later_ones(tmp_path):
    inputs = "{a: {type: integer, default: {$sum: [{$get_input: b}, 1]}}, b: {type: integer, default: {$get_input: c}}, c: {type: integer}}"
    text = MODERN + f"service_template: {{inputs: {inputs}, node_templates: {{}}}}\n"
    assert load(tmp_path, text, inputs={"c": 3}).template.inputs == {"c": 3, "b": 3, "a": 4}
    assert load(tmp_path, text).template.inputs["b"].name == "get_input"


def test_inputs_change_what_is_computed(tmp_path):
    text = WORLD + HOSTS + "    app: {type: App, properties: {port: {$get_input: port}}, requirements: [{host: small}]}\n"
    text += "  inputs: {port: {type: integer, validation: {$less_than: [$value, 100]}}}\n"
    assert load(tmp_path, text).template.nodes["app"].properties["port"].value.name == "get_input"
    assert load(tmp_path, text, inputs={"port": 8}).template.nodes["app"].properties["port"].value == 8
    for inputs, rule in (({"port": 800}, "input.invalid"), ({"port": "x"}, "input.invalid"), ({}, "input.missing")):
        report = load(tmp_path, text, inputs=inputs)
        assert (report.exit_code, [one.rule for one in report.problems]) == (2, [rule])
    assert [one.rule for one in load(tmp_path, text, inputs={"port": 1, "x": 1}).problems] == ["input.unknown"]


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("units: {g: 1}, prefixes: {'': 1, k: 1000}", "2.5 kg"),
        ("units: {g: 1}, prefixes: {'': 1, k: 1000}", "«value.type»2.5"),
        ("units: {g: 1}, prefixes: {'': 1, k: 1000}", "«value.type»kg"),
        ("units: {g: 1}, prefixes: {'': 1, k: 1000}, validation: {$less_than: [$value, 3 kg]}", "2999 g"),
        ("units: {g: 1}, prefixes: {'': 1, k: 1000}, validation: {$less_than: [$value, 3 kg]}", "«value.constraint»3000 g"),
        ("data_type: integer, units: {g: 1, kg: 1000}", "«value.type»1.5 kg"),
    ],
)
def test_scalar(definition, value, tmp_path):
    judge(tmp_path, MODERN + f"""
data_types: {{Mass: {{derived_from: scalar, {definition}}}}}
node_types: {{Box: {{properties: {{weight: {{type: Mass}}}}}}}}
service_template: {{node_templates: {{box: {{type: Box, properties: {{weight: {value}}}}}}}}}
""")  # fmt: skip


SUBSTITUTION = WORLD + """
  inputs: {port: {type: integer, default: 1}}
  node_templates:
    app: {type: App}
    out: {type: Host, directives: [select], capabilities: {compute: {properties: {cpus: 1}}}}
  workflows: {begin: {steps: {}}}
  outputs: {where: {value: x}}
"""


@pytest.mark.parametrize(
    "mappings",
    [
        "{node_type: App, properties: {port: port}, attributes: {address: where}, capabilities: {reach: [app, reach]},"
        " requirements: [{host: [app, host]}, {host: out}], interfaces: {life: {start: begin}}}",
        "{node_type: «type.unknown»Nothing}",
        "{node_type: App, properties: {«substitution.invalid»colour: port}}",
        "{node_type: App, properties: {«substitution.invalid»port: nothing}}",
        "{node_type: App, properties: {«substitution.invalid»name: port}}",
        "{node_type: App, attributes: {«substitution.invalid»address: nothing}}",
        "{node_type: App, capabilities: {«substitution.invalid»reach: [out, compute]}}",
        "{node_type: App, capabilities: {reach: [«substitution.invalid»nobody, reach]}}",
        "{node_type: App, requirements: [{«substitution.invalid»nothing: out}]}",
        "{node_type: App, requirements: [{«substitution.invalid»host: app}]}",
        "{node_type: App, requirements: [{«substitution.invalid»host: [app, nothing]}]}",
        "{node_type: App, interfaces: {life: {«substitution.invalid»fly: begin}}}",
        "{node_type: App, interfaces: {life: {«substitution.invalid»start: nothing}}}",
    ],
)
def test_substitution(mappings, tmp_path):
    judge(tmp_path, SUBSTITUTION + f"  substitution_mappings: {mappings}\n")


@pytest.mark.parametrize(
    "step",
    [
        "{target: app, activities: [{call_operation: {operation: life.start, inputs: {delay: 1}}}, {set_state: up}, {inline: other}]}",
        "{target: app, activities: [«workflow.cycle»{inline: {workflow: flow, inputs: {word: x}}}]}",
        "{target: app, activities: [{call_operation: «value.required»life.start}]}",
        "{target: app, activities: [{call_operation: {operation: life.start, inputs: {delay: «value.type»x}}}]}",
        "{target: app, activities: [{call_operation: {operation: life.start, inputs: {delay: «value.type»{$get_input: word}}}}]}",
        "{target: app, activities: [{call_operation: {operation: life.start, inputs: {delay: «value.required»{$get_input: maybe}}}}]}",
        "{target: app, activities: [{call_operation: {operation: life.start, inputs: {delay: 1, «workflow.invalid»x: 1}}}]}",
        "{target: app, activities: [{call_operation: «workflow.invalid»life.fly}]}",
        "{target: app, activities: [{call_operation: «workflow.invalid»death.start}]}",
        "{target: «workflow.invalid»nobody, activities: []}",
        "{target: app, target_relationship: «workflow.invalid»nothing, activities: []}",
        "{target: app, activities: [{delegate: «workflow.invalid»nothing}]}",
        "{target: app, activities: [«workflow.invalid»{dance: now}]}",
        "{target: app, activities: [], on_success: [«workflow.invalid»nothing]}",
    ],
)
def test_workflow(step, tmp_path):
    inputs = "{word: {type: string}, maybe: {type: integer, required: false}}"
    text = WORLD + HOSTS + "    app: {type: App, requirements: [{host: small}]}\n"
    judge(tmp_path, text + f"  workflows: {{flow: {{inputs: {inputs}, steps: {{one: {step}}}}}, other: {{steps: {{}}}}}}\n")


def test_groups_and_policies(tmp_path):
    text = WORLD.replace("service_template:", "group_types: {G: {members: [App]}}\npolicy_types: {P: {targets: [G]}}\nservice_template:")
    judge(tmp_path, text + HOSTS + """
    app: {type: App, requirements: [{host: small}]}
  groups: {good: {type: G, members: [app]}, bad: {type: G, members: [«group.invalid»small, «group.invalid»nobody]}}
  policies: [{fine: {type: P, targets: [good]}}, {wrong: {type: P, targets: [«policy.invalid»app, «policy.invalid»nobody]}}]
""")  # fmt: skip


def test_interfaces_are_merged_along_both_chains(tmp_path):
    report = judge(tmp_path, MODERN + """
interface_types:
  Base: {inputs: {level: {type: integer, default: 1}}, operations: {create: {}, remove: {}}}
  More: {derived_from: Base, operations: {resize: {inputs: {to: {type: integer, default: 2}}}}}
node_types:
  Thing: {interfaces: {life: {type: More, operations: {create: {implementation: a.sh}, resize: {implementation: r.sh}}}}}
  Better: {derived_from: Thing, interfaces: {life: {operations: {create: {implementation: b.sh}}}}}
service_template:
  node_templates:
    one: {type: Better, interfaces: {life: {inputs: {level: 9}, operations: {resize: {inputs: {to: 7}}}}}}
    two: {type: Better}
""")  # fmt: skip
    life = report.template.nodes["one"].interfaces["life"]
    files = {name: one.implementation.primary.file if one.implementation else None for name, one in life.operations.items()}
    assert files == {"create": "b.sh", "remove": None, "resize": "r.sh"}
    assert (life.values["level"].value, life.operations["resize"].values["to"].value) == (9, 7)
    assert report.template.nodes["two"].interfaces["life"].operations["resize"].values["to"].value == 2


def test_profiles_are_found_by_name_and_keep_their_own_types(tmp_path):
    (tmp_path / "one.yaml").write_text(MODERN + "profile: base:v1\ncapability_types: {Host: {}}\n")
    (tmp_path / "two.yaml").write_text(MODERN + "profile: base:v2\ncapability_types: {Host: {}}\n")
    report = judge(tmp_path, MODERN + """
imports:
  - {profile: 'base:v1', namespace: old}
  - {profile: 'base:v2', namespace: new}
  - {profile: 'org.oasis-open.tosca.simple:2.0', namespace: s}
node_types:
  Old: {capabilities: {host: 'old:Host'}}
  User: {requirements: [{host: {capability: 'new:Host'}}]}
service_template:
  node_templates:
    old: {type: Old}
    user: {type: User, requirements: [{host: «requirement.mismatch»old}]}
    server: {type: 's:Compute'}
""")  # fmt: skip
    assert report.template.nodes["server"].type.name == "tosca.nodes.Compute"
    judge(tmp_path, MODERN + "imports: [{profile: «import.profile»nobody.knows}]\n")


def test_the_file_of_a_profile_may_have_any_name_and_one_that_is_called_yaml_goes_first(tmp_path):
    (tmp_path / "io.example").write_text(MODERN + "profile: io.example:1.0\nnode_types: {Pod: {}}\n")
    text = MODERN + "imports: [{profile: 'io.example:1.0', namespace: x}]\nnode_types: {Super: {derived_from: 'x:Pod'}}\n"
    judge(tmp_path, text)
    (tmp_path / "other.yaml").write_text(MODERN + "profile: io.example:1.0\nnode_types: {Other: {}}\n")
    judge(tmp_path, text.replace("'x:Pod'", "«type.unknown»'x:Pod'"))


def test_what_is_wrong_inside_of_what_an_input_gives_is_told_once(tmp_path):
    judge(tmp_path, MODERN + """
node_types: {Box: {attributes: {size: {type: integer}}, properties: {sizes: {type: list, entry_schema: integer, default: []}}}}
service_template:
  inputs: {sizes: {type: list, entry_schema: integer, default: [1, «function.path»{$get_attribute: [one, size]}]}}
  node_templates: {one: {type: Box}, two: {type: Box, properties: {sizes: {$get_input: sizes}}}}
""")  # fmt: skip
