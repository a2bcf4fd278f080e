"""Thirty questions on meaning, each with one right answer: nothing, or one rule at one place."""

import pytest

from tests.unit.tosca.marked import MODERN, OLDER, judge

TYPES = OLDER + """
data_types:
  Port: {derived_from: integer, constraints: [{in_range: [1, 65535]}]}
  Pair: {properties: {left: {type: integer}, right: {type: integer, required: false}}}
node_types:
  T:
    derived_from: tosca.nodes.Root
    properties:
      number: {type: integer, required: false, constraints: [{greater_or_equal: 1}, {less_than: 10}]}
      size: {type: scalar-unit.size, required: false, constraints: [{greater_or_equal: 1 GB}]}
      word: {type: string, required: false, constraints: [{pattern: '[a-z]+'}, {max_length: 5}]}
      one: {type: string, required: false, constraints: [{valid_values: [a, b]}]}
      port: {type: Port, required: false}
      pair: {type: Pair, required: false}
      ports: {type: list, required: false, entry_schema: Port}
      map: {type: map, required: false, key_schema: {type: string, constraints: [{min_length: 2}]}, entry_schema: {type: integer}}
      when: {type: timestamp, required: false}
      release: {type: version, required: false, constraints: [{greater_than: 1.9}]}
      sure: {type: boolean, required: false}
topology_template:
  inputs: {number: {type: integer, default: 3}, word: {type: string, default: abc}}
  node_templates:
"""
PROBES = {
    1: "n: {type: T, properties: {number: 9}}",
    2: "n: {type: T, properties: {number: «value.constraint»10}}",
    3: "n: {type: T, properties: {number: «value.type»nine}}",
    4: "n: {type: T, properties: {size: 1024 MiB}}",
    5: "n: {type: T, properties: {size: «value.constraint»999 MB}}",
    6: "n: {type: T, properties: {size: «value.type»10}}",
    7: "n: {type: T, properties: {word: «value.constraint»Abc}}",
    8: "n: {type: T, properties: {word: «value.constraint»abcdef}}",
    9: "n: {type: T, properties: {one: «value.constraint»c}}",
    10: "n: {type: T, properties: {port: «value.constraint»65536}}",
    11: "n: {type: T, properties: {pair: {left: 1, «property.unknown»middle: 2}}}",
    12: "n: {type: T, properties: {«value.required»pair: {right: 1}}}",
    13: "n: {type: T, properties: {ports: [80, «value.constraint»0, 443]}}",
    14: "n: {type: T, properties: {map: {ab: 1, «value.constraint»c: 2}}}",
    15: "n: {type: T, properties: {when: 2024-01-31 10:00:00}}",
    16: "n: {type: T, properties: {when: «value.type»2024-13-31}}",
    17: "n: {type: T, properties: {release: 1.10}}",
    18: "n: {type: T, properties: {release: «value.constraint»1.9.0.beta}}",
    19: "n: {type: T, properties: {«property.unknown»numbr: 1}}",
    20: "n: {type: T, properties: {number: {get_input: number}, word: {get_input: word}}}",
    21: "n: {type: T, properties: {number: «value.constraint»{get_property: [m, port]}}}\n    m: {type: T, properties: {port: 80}}",
    22: "n: {type: T, properties: {number: «value.type»{get_input: word}}}",
    23: "n: {type: T, capabilities: {«capability.unknown»nothing: {}}}",
    24: "n: {type: T, requirements: [{«requirement.unknown»nothing: n}]}",
    25: "n: {type: T, requirements: [{dependency: «requirement.target»nobody}]}",
    26: "n: {type: T, interfaces: {Standard: {«interface.unknown»fly: fly.sh}}}",
    27: "n: {type: T, properties: {sure: «value.type»1}}",
    28: "n: {type: T, properties: {word: «function.cycle»{get_property: [m, word]}}}\n"
    "    m: {type: T, properties: {word: {get_property: [n, word]}}}",
    29: "«key.missing»n: {properties: {number: 1}}",
    30: "n: {type: T, copy: «copy.invalid»m}\n    m: {copy: n}".replace("m: {copy: n}", "m: {type: T, copy: «copy.invalid»n}"),
}


@pytest.mark.parametrize("number", PROBES)
def test_probe(number, tmp_path):
    judge(tmp_path, TYPES + "    " + PROBES[number] + "\n")




@pytest.mark.parametrize(
    ("refined", "modern"),
    [
        ("«type.refinement»p: {type: integer, required: false}", False),
        ("p: {type: Small}", False),
        ("p: {type: «type.refinement»string}", False),
        ("p: {validation: {$less_than: [$value, 9]}}", True),
        ("p: {type: integer, default: «value.type»x}", True),
        ("p: {default: «value.constraint»11}", True),
    ],
)
def test_refinement(refined, modern, tmp_path):
    small = "validation: {$less_than: [$value, 5]}" if modern else "constraints: [{less_than: 5}]"
    ten = "validation: {$less_or_equal: [$value, 10]}" if modern else "constraints: [{less_or_equal: 10}]"
    judge(
        tmp_path,
        (MODERN if modern else OLDER)
        + f"""
data_types: {{Small: {{derived_from: integer, {small}}}}}
node_types:
  Base: {{properties: {{p: {{type: integer, {ten}}}}}}}
  Derived:
    derived_from: Base
    properties:
      {refined}
""",
    )


def test_a_fixed_value_stays(tmp_path):
    judge(
        tmp_path,
        MODERN
        + """
node_types:
  Base: {properties: {p: {type: integer, value: 7}}}
  Same: {derived_from: Base}
  Other: {derived_from: Base, properties: {«value.fixed»p: 8}}
service_template:
  node_templates:
    a: {type: Base, properties: {p: 7}}
    b: {type: Same, properties: {«value.fixed»p: 9}}
""",
    )


def test_all_problems_in_one_pass_sorted(tmp_path):
    report = judge(
        tmp_path,
        TYPES
        + """
    a: {type: T, properties: {number: «value.type»x, «property.unknown»other: 1}}
    b: {type: «type.unknown»Missing}
    c: {type: T, requirements: [{dependency: «requirement.target»d}]}
""",
    )
    assert [one.line for one in report.problems] == sorted(one.line for one in report.problems)


def test_an_unknown_name_gets_a_suggestion(tmp_path):
    report = judge(tmp_path, TYPES + "    n: {type: T, properties: {«property.unknown»numbr: 1}}\n")
    assert report.problems[0].mend == "Did you mean number?"
