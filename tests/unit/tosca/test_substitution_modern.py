"""Substitution in the words of TOSCA 2.0 (chapter 15), and designs of either language that are mutilated."""

import random

import pytest
import yaml

from cloudos import tosca
from tests.unit.tosca.marked import write
from tests.unit.tosca.test_safety import mutilated
from tests.unit.tosca.test_substitution import INNER, OUTER, TYPES, links

MODERN_TYPES = """\
tosca_definitions_version: tosca_2_0
profile: test.shop
capability_types: {Service: {properties: {rate: {type: integer, default: 1}}, attributes: {load: {type: integer}}}, Host: {}}
relationship_types: {ServedBy: {properties: {weight: {type: integer, default: 1}}}, HostedOn: {}}
node_types:
  Server: {attributes: {name: {type: string}}, capabilities: {service: Service}}
  Compute: {capabilities: {host: Host}}
  Client:
    properties: {size: {type: integer, default: 3}}
    capabilities: {own: Service}
    requirements:
      - service: {capability: Service, relationship: ServedBy, node: Server, count_range: [0, 4]}
      - host: {capability: Host, relationship: HostedOn, count_range: [0, 1]}
  Software:
    properties:
      size: {type: integer, default: 0}
      rate: {type: integer, default: 0}
      weights: {type: list, entry_schema: integer, default: []}
    capabilities: {own: Service}
    requirements:
      - service: {capability: Service, relationship: ServedBy, count_range: [0, 3]}
      - host: {capability: Host, relationship: HostedOn, count_range: [0, 1]}
"""
MODERN_OUTER = """\
tosca_definitions_version: tosca_2_0
imports: [{profile: test.shop}]
service_template:
  node_templates:
    one: {type: Server}
    two: {type: Server}
    three: {type: Server}
    compute: {type: Compute}
    client:
      type: Client
      directives: [substitute]
      capabilities: {own: {properties: {rate: 7}}}
      requirements:
        - service: {node: one, relationship: {type: ServedBy, properties: {weight: 5}}}
        - service: two
        - service: three
        - host: compute
  outputs: {load: {value: {$get_attribute: [client, CAPABILITY, own, load]}}}
"""
MODERN_INNER = """\
tosca_definitions_version: tosca_2_0
imports: [{profile: test.shop}]
service_template:
  inputs: {size: {type: integer, default: 0}, rate: {type: integer, default: 0}, weights: {type: list, entry_schema: integer, default: []}}
  substitution_mappings: {node_type: Client, capabilities: {own: [a, own]}, MAPPINGS}
  node_templates:
    a: {type: Software, properties: {size: {$get_input: size}, rate: {$get_input: rate}, weights: {$get_input: weights}}}
    b: {type: Software, requirements: [{host: there}]}
    there: {type: Compute, directives: [select]}
  outputs: {busy: {value: {$get_attribute: [a, CAPABILITY, own, load]}}}
"""


@pytest.fixture
def modern(tmp_path):
    """A function: the report on MODERN_OUTER with MODERN_INNER of the given mappings beside it."""

    def load(mappings, swap=("", "")):
        write(tmp_path, MODERN_TYPES, "types.yaml")
        write(tmp_path, MODERN_INNER.replace("MAPPINGS", mappings), "inner.yaml")
        return tosca.load(write(tmp_path, MODERN_OUTER.replace(*swap), "outer.yaml"))

    return load


@pytest.mark.parametrize(("mappings", "wanted"), [
    ("requirements: [{service: [a, service]}]", {("a", "one"), ("a", "two"), ("a", "three")}),
    ("requirements: [{service: [[a, service], [b, service]]}]", {(who, to) for who in "ab" for to in ("one", "two", "three")}),
    ("requirements: [{service: [a, service]}, {service: [b, service]}, {service: [a, service]}]",
     {("a", "one"), ("b", "two"), ("a", "three")}),
    ("requirements: [{[service, 2]: [b, service]}, {[service, UNBOUNDED]: [a, service]}]", {("b", "one"), ("b", "two"), ("a", "three")}),
    ("requirements: [{service: [b, service]}, {service: [a, service]}]", {("b", "one"), ("a", "two")}),
])  # fmt: skip
def test_requirements_of_one_name_are_mapped_as_the_standard_says(modern, mappings, wanted):
    report = modern(mappings)
    assert report.template.substituted, report.template.nodes["client"].rejected
    found = {(source.removeprefix("client."), target) for source, name, target, _ in links(report.template) if name == "service"}
    assert found == wanted and all(one.severity == "warning" for one in report.problems)
    told = {one.message.split(" of client, which ")[1].split()[0] for one in report.problems if one.rule == "substitution.unmapped"}
    assert told == {"one", "two", "three", "compute"} - {target for _, target in found}
    (weighed,) = {one.properties["weight"].value for one in report.template.relationships() if one.target.name == "one"}
    assert weighed == 5, "what the design says of the relationship stays"
    assert all(one.properties["weight"].owner is one for one in report.template.relationships() if one.requirement == "service")


def test_a_selected_node_stands_for_the_target_of_a_requirement(modern):
    template = modern("requirements: [{host: there}]").template
    assert list(template.nodes) == ["one", "two", "three", "compute", "client.a", "client.b"]
    assert ("client.b", "host", "compute", "host") in links(template)
    template = modern("requirements: [{host: there}]", ("        - host: compute\n", "")).template
    assert template.nodes["client.there"].directives == ["select"] and ("client.b", "host", "client.there", "host") in links(template)


def test_capabilities_and_relationships_give_and_take_values(modern):
    properties = "properties: {size: size, [CAPABILITY, own, rate]: rate, [RELATIONSHIP, service, ALL, weight]: weights}"
    template = modern(properties).template
    assert {key: one.value for key, one in template.nodes["client.a"].properties.items()} == {"size": 3, "rate": 7, "weights": [5, 1, 1]}
    assert template.outputs["load"].value.arguments == ("client.a", "CAPABILITY", "own", "load"), "of the capability that is mapped"
    assert modern("properties: {[RELATIONSHIP, service, 1, weight]: rate}").template.nodes["client.a"].properties["rate"].value == 1
    template = modern("attributes: {[CAPABILITY, own, load]: busy}").template
    assert template.outputs["load"].value.arguments == ("client.a", "CAPABILITY", "own", "load")


@pytest.mark.parametrize(("condition", "fits"), [
    ("{$greater_than: [{$get_property: [SELF, size]}, 2]}", True), ("{$greater_than: [{$get_property: [SELF, size]}, 3]}", False),
    ("{$equal: [{$get_property: [SELF, CAPABILITY, own, rate]}, 7]}", True),
])  # fmt: skip
def test_a_filter_is_about_the_node(modern, condition, fits):
    template = modern(f"substitution_filter: {condition}").template
    assert bool(template.substituted) is fits
    assert fits or "its substitution_filter does not let the node pass: filter" in template.nodes["client"].rejected["inner.yaml"]


@pytest.mark.parametrize(("swap", "why"), [
    (("directives: [substitute]", "directives: [substitute]\n      count: 2"), "only a single node can be substituted, and it has a count"),
    (("[substitute]", "[select, substitute]"), None), (("[substitute]", "[create]"), None),
])  # fmt: skip
def test_what_is_made_or_selected_or_counted_is_left(modern, swap, why):
    node = modern("properties: {}", swap).template.nodes["client"]
    assert node.rejected == ({"*": why} if why else {})


def test_templates_of_another_language_do_not_fit(modern, tmp_path):
    write(tmp_path, TYPES, "old-types.yaml")
    write(tmp_path, INNER.replace("types.yaml", "old-types.yaml"), "old.yaml")
    node = modern("properties: {}", ("client:", "other: {type: Client, directives: [substitute]}\n    client:"))
    assert {"client.a", "other.a"} <= node.template.nodes.keys(), "one template stands for several nodes"
    node = modern("requirements: [{host: [b, host]}]").template.nodes["client"]
    assert node.rejected["old.yaml"] == "it is written in tosca_simple_yaml_1_3, the node in tosca_2_0"
    assert "requirement host of its node b is fulfilled already" in node.rejected["inner.yaml"]


def test_designs_that_would_grow_without_end_are_held_up(modern):
    peers = "".join(f"    c{number}: {{type: Client, directives: [substitute]}}\n" for number in range(120))
    template = modern("properties: {}", ("    client:", f"{peers}    client:")).template
    assert len(template.substituted) == 100
    assert template.nodes["client"].rejected == {"*": "more than 100 nodes would be substituted"}


@pytest.mark.parametrize("number", range(4))
def test_no_mutilated_design_raises(number, tmp_path):
    older = {"outer.yaml": OUTER.replace("DB}", "db}").replace("PROPERTIES", "port: 6000"), "inner.yaml": INNER, "types.yaml": TYPES}
    mappings = "properties: {size: size}, requirements: [{service: [a, service]}, {host: there}]"
    newer = {"outer.yaml": MODERN_OUTER, "inner.yaml": MODERN_INNER.replace("MAPPINGS", mappings), "types.yaml": MODERN_TYPES}
    files, chance = (older, newer)[number % 2], random.Random(number)
    put_in = 0
    for name, text in files.items():
        write(tmp_path, text, name)
    for _ in range(60):
        name = ("inner.yaml", "outer.yaml")[number // 2]
        write(tmp_path, yaml.safe_dump(mutilated(yaml.safe_load(files[name]), chance), sort_keys=False), name)
        report = tosca.load(tmp_path / "outer.yaml")
        assert report.exit_code in (0, 1, 2)
        put_in += bool(report.template and report.template.substituted)
    assert 0 < put_in < 60
