"""Nodes that are substituted: the nodes of another template of the design come in their place, or it is told why none can."""

import pytest

from cloudos import tosca
from tests.unit.tosca.marked import write

TYPES = """\
tosca_definitions_version: tosca_simple_yaml_1_3
capability_types: {Data: {derived_from: tosca.capabilities.Root}}
interface_types: {Care: {derived_from: tosca.interfaces.Root, operations: {backup: {inputs: {to: {type: string, default: x}}}, check: {}}}}
node_types:
  Net: {derived_from: tosca.nodes.Root, capabilities: {link: tosca.capabilities.Network}}
  Db:
    derived_from: tosca.nodes.Root
    properties:
      port: {type: integer, default: 5432}
      peer: {type: string, required: false}
    attributes: {address: {type: string}, other: {type: string}}
    capabilities: {data: Data, more: Data}
    requirements:
      - net: {capability: tosca.capabilities.Network, occurrences: [0, UNBOUNDED]}
    interfaces: {Care: {type: Care}}
  Special: {derived_from: Db}
  Twin: {derived_from: Db}
  Vm:
    derived_from: tosca.nodes.Compute
    requirements: [{net: {capability: tosca.capabilities.Network, occurrences: [0, 2]}}]
  Server:
    derived_from: tosca.nodes.SoftwareComponent
    properties: {port: {type: integer}, peer: {type: string, required: false}}
    attributes: {address: {type: string}}
    capabilities: {sql: Data}
    interfaces: {Care: {type: Care}}
  User:
    derived_from: tosca.nodes.Root
    properties: {at: {type: string, required: false}}
    requirements: [{db: {capability: Data, occurrences: [0, 2]}}]
"""
INNER = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [types.yaml]
topology_template:
  inputs: {port: {type: integer, constraints: [{less_than: 9000}]}, peer: {type: string, required: false}}
  substitution_mappings:
    node_type: Special
    attributes: {address: [where]}
    capabilities: {data: [server, sql]}
    requirements: {net: [vm, net]}
    interfaces: {Care: {backup: save}}
  node_templates:
    vm: {type: Vm}
    server:
      type: Server
      properties: {port: {get_input: port}, peer: {concat: ["@", {get_input: peer}]}}
      requirements: [{host: vm}]
  outputs: {where: {value: {get_attribute: [vm, private_address]}}}
  groups: {all: {type: tosca.groups.Root, members: [vm, server]}}
  policies: [{apart: {type: tosca.policies.Placement, targets: [vm, all]}}]
  workflows:
    save:
      inputs: {to: {type: string, default: here}}
      steps:
        one: {target: server, activities: [{call_operation: {operation: Care.backup, inputs: {to: {get_input: to}}}}, {inline: rest}]}
      outputs: {last: [server, address]}
    rest: {steps: {one: {target: all, activities: [{set_state: started}]}}}
"""
OUTER = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [types.yaml]
topology_template:
  node_templates:
    net: {type: Net}
    user: {type: User, properties: {at: {get_attribute: [db, address]}}, requirements: [{db: DB}, {dependency: db}]}
    db: {type: Db, directives: [substitute], properties: {PROPERTIES}, requirements: [{net: net}]}
  groups: {whole: {type: tosca.groups.Root, members: [user, db]}}
  outputs: {url: {value: {concat: [{get_attribute: [db, address]}, ":", {get_property: [db, port]}]}}}
  workflows: {nightly: {steps: {save: {target: db, activities: [{call_operation: Care.backup}, {set_state: started}]}}}}
"""


@pytest.fixture
def design(tmp_path):
    """A function: the report on OUTER with files beside it; `swap` are pairs of texts that replace others in it."""

    def load(*swap, properties="port: 6000", files=None, **more):
        text = OUTER.replace("DB}", "db}").replace("PROPERTIES", properties)
        for old, new in swap:
            assert old in text, old
            text = text.replace(old, new)
        for name, content in {"types.yaml": TYPES, **({"inner.yaml": INNER} if files is None else files)}.items():
            write(tmp_path, content, name)
        return tosca.load(write(tmp_path, text, "outer.yaml"), **more)

    return load


def links(template):
    return {(one.source.name, one.requirement, one.target.name, one.capability) for one in template.relationships()}


def test_the_nodes_of_the_template_come_in_the_place_of_the_node(design, tmp_path):
    report = design()
    template = report.template
    assert not report.problems and list(template.nodes) == ["net", "user", "db.vm", "db.server"]
    assert links(template) == {
        ("user", "db", "db.server", "sql"), ("user", "dependency", "db.vm", "feature"), ("user", "dependency", "db.server", "feature"),
        ("db.vm", "net", "net", "link"), ("db.server", "host", "db.vm", "host")}  # fmt: skip
    assert all(one is template.nodes[one.name] for link in template.relationships() for one in (link.source, link.target))
    assert template.nodes["db.server"].properties["port"].value == 6000
    assert template.nodes["db.server"].place.file == f"{tmp_path}/inner.yaml"
    assert tosca.model.plain(template.outputs["url"].value) == {"$concat": [{"$get_attribute": ["db.vm", "private_address"]}, ":", 6000]}
    assert template.nodes["user"].properties["at"].value.arguments == ("db.vm", "private_address")
    assert {name: one.members for name, one in template.groups.items()} == {
        "whole": ["user", "db.vm", "db.server"], "db": ["db.vm", "db.server"], "db.all": ["db.vm", "db.server"]}  # fmt: skip
    assert template.policies["db.apart"].targets == ["db.vm", "db.all"] and template.policies["db.apart"].name == "db.apart"
    assert [one.name for one in report.files] == ["outer.yaml", "types.yaml", "inner.yaml"]
    made = template.substituted["db"]
    assert (made.file, made.type.name, made.operations) == ("inner.yaml", "Db", {"Care.backup": "db.save"})


def test_workflows_come_along_and_are_called_for_what_is_mapped_to_them(design):
    report = design(runs={"db.save": {"to": "tape"}})
    flows = report.template.workflows
    assert not report.problems and list(flows) == ["nightly", "db.save", "db.rest"] and flows["db.save"].values == {"to": "tape"}
    (step,) = flows["nightly"].steps.values()
    assert [(one.kind, one.name) for one in step.activities] == [("inline", "db.save"), ("set_state", "started")]
    (step,) = flows["db.save"].steps.values()
    assert (step.target, [one.name for one in step.activities]) == ("db.server", ["Care.backup", "db.rest"])
    assert step.activities[0].inputs["to"].arguments == ("to",), "inputs of a workflow are its own"
    assert flows["db.save"].outputs == {"last": ["db.server", "address"]}
    assert [one.rule for one in design(runs={"db.nothing": {}}).problems] == ["workflow.unknown"]


def test_what_is_known_at_run_time_goes_into_it_and_comes_out_of_it(design):
    nodes = design(properties="peer: {get_attribute: [SELF, net, tosca_name]}").template.nodes
    assert tosca.model.plain(nodes["db.server"].properties["peer"].value) == {"$concat": ["@", {"$get_attribute": ["net", "tosca_name"]}]}
    assert nodes["db.server"].properties["port"].value == 5432, "of the type, as the node says nothing"
    report = design(properties="port: {get_input: p}", files={"inner.yaml": INNER, "x.yaml": "a: b"})
    assert [one.rule for one in report.problems] == ["function.input"] and "db" in report.template.nodes, "wrong templates stay as they are"
    swap = ("topology_template:\n", "topology_template:\n  inputs: {p: {type: integer}}\n")
    ports = [design(swap, properties="port: {get_input: p}", inputs=given).template.nodes["db.server"].properties["port"].value
             for given in (None, {"p": 7})]  # fmt: skip
    assert (ports[0].arguments, ports[1]) == (("p",), 7)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("node_type: Special", "node_type: Vm", "node type Vm has no attribute address"),
    ("    node_type: Special", "    node_type: Db\n    substitution_filter: {properties: [{port: {less_than: 9}}]}",
     "port is 6000, not less_than 9"),
    ("less_than: 9000", "less_than: 6000", "input port: 6000 does not satisfy less_than 6000"),
    ("peer: {type: string, required: false}", "peer: {type: string}", "input peer has no value"),
    ("    attributes: {address: [where]}\n", "", "asks db for what is mapped to no output"),
    ("    capabilities: {data: [server, sql]}\n", "", "capability data, which requirement db of user"),
    ("    interfaces: {Care: {backup: save}}\n", "", "operation Care.backup of db is mapped to no workflow"),
    ("    vm: {type: Vm}", "    own: {type: Net}\n    vm: {type: Vm, requirements: [{net: own}, {net: own}]}",
     "requirement net of its node vm is fulfilled"),
    ("{target: server", "{target: sever", "target sever does not exist"),
    ("inputs: {to: {type", "inputs: {port: {type: integer, default: 1}, to: {type",
     "input port is one of a workflow and one of the template"),
    ("simple_yaml_1_3", "simple_yaml_1_7", "tosca_simple_yaml_1_7 is not supported"),
])  # fmt: skip
def test_why_a_template_does_not_fit_is_told_and_nothing_is_changed(design, old, new, words):
    assert old in INNER
    report = design(files={"inner.yaml": INNER.replace(old, new)})
    node = report.template.nodes["db"]
    assert words in f"inner.yaml: {node.rejected['inner.yaml']}"
    assert not report.problems and not node.candidates and not report.template.substituted
    assert ("user", "db", "db", "data") in links(report.template) and list(report.template.workflows) == ["nightly"]


@pytest.mark.parametrize(("old", "new", "words"), [
    ("{get_attribute: [db, address]}, \":\"", "{get_attribute: [db, other]}, \":\"",
     "['db', 'other'] asks db for what is mapped to no output"),
    ("{get_attribute: [db, address]}, \":\"", "{get_operation_output: [db, Care, check, x]}, \":\"", "asks db for what is mapped"),
    ("user: {type: User,", "db.vm: {type: Net}\n    user: {type: User,", "db.vm is the name of something else"),
    ("{db: db}", "{db: {node: db, capability: more}}", "capability more, which requirement db of user"),
    ("type: Db", "type: Twin", "it stands for Special "),
    ("type: Db", "type: Twin", "which is no Twin of "),
    ("groups: {whole: {type", "groups: {db: {type: tosca.groups.Root}, whole: {type", "group db has the name of the node"),
])  # fmt: skip
def test_what_the_design_asks_for_must_be_mapped(design, old, new, words):
    assert words in design((old, new)).template.nodes["db"].rejected["inner.yaml"]


def test_what_goes_in_does_not_depend_on_what_comes_out(design):
    inner = INNER.replace("{get_attribute: [vm, private_address]}", "{get_property: [server, peer]}")
    report = design(("port: 6000", "peer: {get_attribute: [SELF, address]}"), files={"inner.yaml": inner})
    assert report.template.nodes["db"].rejected == {"inner.yaml": "its input peer depends on what becomes of it"}


def test_of_several_that_fit_one_is_named(design):
    other = INNER.replace("types.yaml", "../types.yaml")
    files = {"inner.yaml": INNER, "b/other.yaml": other, "none.yaml": TYPES + "# substitution_mappings"}
    node = design(files=files).template.nodes["db"]
    assert sorted(node.candidates) == ["b/other.yaml", "inner.yaml"]
    assert node.rejected == {"none.yaml": "it has no substitution_mappings with a node type"}
    assert design(files=files, substitutions={"db": "b/other.yaml"}).template.substituted["db"].file == "b/other.yaml"
    node = design(files=files, substitutions={"db": "c.yaml"}).template.nodes["db"]
    assert (node.candidates, node.rejected) == ([], {"c.yaml": "there is no such file with substitution_mappings in the design"})
    report = design(files=files, substitutions={"db": "inner.yaml", "user": "inner.yaml"})
    assert [(one.rule, one.severity) for one in report.problems] == [("substitution.unknown", "undeployable")]
    assert "no node that is to be substituted" in report.problems[0].message and "db.vm" in report.template.nodes


def test_templates_are_put_into_what_was_put_in_and_never_into_themselves(design):
    wrapper = INNER
    for old, new in (("node_type: Special", "node_type: Db"), ("[server, sql]", "[server, data]"), ("[{host: vm}]", "[{net: own}]"),
                     ("type: Server", "type: Special\n      directives: [substitute]"), ("[vm, private_address]", "[server, address]"),
                     ("vm: {type: Vm}", "vm: {type: Vm}\n    own: {type: Net}")):  # fmt: skip
        wrapper = wrapper.replace(old, new)
    files = {"inner.yaml": INNER, "wrapper.yaml": wrapper}
    report = design(files=files, substitutions={"db": "wrapper.yaml"})
    template = report.template
    assert not report.problems and list(template.nodes) == ["net", "user", "db.vm", "db.own", "db.server.vm", "db.server.server"]
    assert links(template) >= {
        ("user", "db", "db.server.server", "sql"), ("db.server.vm", "net", "db.own", "link"), ("db.vm", "net", "net", "link")}  # fmt: skip
    assert template.groups["db"].members == ["db.vm", "db.own", "db.server.vm", "db.server.server"]
    assert template.outputs["url"].value.arguments[0].arguments == ("db.server.vm", "private_address")
    assert template.nodes["db.server.server"].properties["port"].value == 6000
    assert template.workflows["db.save"].steps["one"].activities[0].name == "db.server.save", "what inner steps call is mapped, too"
    alone = design(files={"inner.yaml": TYPES, "wrapper.yaml": wrapper.replace("type: Special", "type: Db")}).template
    assert "db.server" in alone.nodes
    assert alone.nodes["db.server"].rejected["wrapper.yaml"] == "it would be put into itself: wrapper.yaml -> wrapper.yaml"


def test_what_nobody_has_is_told_and_the_order_of_things_is_kept(design):
    plain = INNER.replace("    requirements: {net: [vm, net]}\n", "")
    report = design(("{net: net}]", "{net: net}, {dependency: net}]"), files={"inner.yaml": plain})
    assert [(one.rule, one.severity) for one in report.problems] == [("substitution.unmapped", "warning")]
    assert "nothing in inner.yaml is mapped to requirement net of db, which net fulfils" in report.problems[0].message
    assert {("db.vm", "dependency", "net", "feature"), ("db.server", "dependency", "net", "feature")} <= links(report.template)


def test_what_is_left_open_outside_is_open_inside(design):
    template = design(("{net: net}", "{net: {node: Net, node_filter: {properties: [{nothing: 1}]}}}")).template
    (open_,) = [one for node, one in template.unmatched() if node.name == "db.vm" and one.name == "net"]
    assert [one.data() for one in open_.filters] == [{"properties": [{"nothing": 1}]}] and open_.node_type.name == "Net"


def test_circles_that_only_the_whole_has_are_told(design):
    swap = ("net: {type: Net}", "net: {type: Net, requirements: [{dependency: user}]}")
    plain = INNER.replace("    vm: {type: Vm}", "    vm: {type: Vm, requirements: [{dependency: server}]}").replace("[{host: vm}]", "[]")
    report = design(swap, ("{net: net}]", "{dependency: net}]"), files={"inner.yaml": plain})
    assert "requirement.cycle" in [one.rule for one in report.problems] and report.exit_code == 2
