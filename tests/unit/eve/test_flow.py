"""Flows: what a workflow becomes before anything is run."""

import itertools
import json

import jinja2
import pytest
from topologies import APP, APP_NODE, SHOP

from cloudos import tosca
from cloudos.eve import given
from cloudos.eve.compiler.compile import Compiler
from cloudos.eve.engine.state import PRESENT, Entry, State
from cloudos.eve.lifecycle import Eve, Request
from cloudos.eve.problems import Undeployable
from cloudos.eve.workflow.compile import compile_workflow
from cloudos.eve.workflow.conditions import Unusable, holds, text_of
from cloudos.eve.workflow.flow import CAUGHT, FAILED, OFF, OK, STUCK, WHOLE, Unit
from cloudos.eve.workflow.project import REACH, WHAT_CAME, _decision, emit_flow
from cloudos.eve.workflow.run import FlowFollower, begin
from cloudos.runs import start
from cloudos.tosca import model
from cloudos.tosca.model import Reference
from cloudos.tosca.resolver import DirectoryTree

FILES = ("create.sh", "stop.sh", "configure.yml")


@pytest.fixture
def flow_of(pools, tmp_path):
    """A function: (flow, state) of workflow `flow` (its steps as text) on the deployed shop with its application."""
    (tmp_path / "scripts").mkdir()
    for name in FILES:
        (tmp_path / "scripts" / name).write_text("- hosts: all\n  tasks: []\n" if name.endswith("yml") else "true\n")

    def make(steps, more="", outside="", instances=None):
        nodes = SHOP + APP_NODE
        text = f"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: ['cloudos:openstack.yaml']\n{APP}\ntopology_template:\n"
        text += "  inputs: {password: {type: string, default: none}}\n  node_templates:\n" + nodes + outside
        text += f"  workflows:\n    flow: {{steps: {steps}}}\n{more}"
        (tmp_path / "template.yaml").write_text(text)
        report = tosca.load(tmp_path / "template.yaml", given.resolver(()), {}, runs={"flow": {}})
        assert not report.exit_code, [str(one) for one in report.problems]
        compiler = Compiler(report.template, pools, "shop", {}, instances or {}, "ssh-ed25519 A", {})
        state = State("shop")
        graph = Compiler(report.template, pools, "shop", {}, instances or {}, "ssh-ed25519 A", {}).graph()
        state.entries = {name: Entry(one, PRESENT, {"id": name}) for name, one in graph.resources.items()}
        return compile_workflow(compiler, "flow", state), state

    return make


def ways(flow):
    """Unit -> what leads to it."""
    return {name: sorted(f"{kind}:{one}" for one, kind in unit.after) for name, unit in flow.units.items()}


def test_a_delegate_does_and_undoes_what_eve_does(flow_of):
    flow, _ = flow_of("{one: {target: app, activities: [{delegate: undeploy}, {delegate: deploy}]}}", instances={"web": 2})
    done = [[(one.arguments["operation"], sorted(one.arguments["hosts"]), one.arguments.get("entry")) for one in unit.calls.values()]
            for unit in flow.units.values()]  # fmt: skip
    assert done == [
        [("stop", ["web"], "app:stop"), ("stop", ["web-2"], "app-2:stop")], [("set_state", [], None)] * 2,
        [("create", ["web"], "app:create"), ("create", ["web-2"], "app-2:create")],
        [("configure", ["web"], "app:configure"), ("configure", ["web-2"], "app-2:configure")], [("set_state", [], None)] * 2]  # fmt: skip
    (initial, _), (started, _) = [[*unit.calls.values()] for unit in flow.units.values() if "set_state" in str(unit.calls)]
    assert initial.arguments["forgets"] == ["app:start", "app:create", "app:configure"] and initial.arguments["state"] == {"app": "initial"}
    assert started.arguments["forgets"] == [] and started.arguments["state"] == {"app": "started"}


def test_inlined_steps_lie_between_and_their_failures_lead_out(flow_of):
    flow, _ = flow_of(
        "{a: {target: app, activities: [{set_state: error}, {inline: inner}, {set_state: error}], on_failure: [mend], on_success: [b]},"
        " b: {target: app, activities: [{set_state: started}]}, mend: {target: app, activities: [{set_state: error}]}}",
        "    inner: {steps: {x: {target: app, activities: [{delegate: stop}], on_failure: [y]}, y: {target: app, activities: "
        "[{set_state: error}]}}}\n")  # fmt: skip
    assert ways(flow) == {
        "a.1": [], "a.2/x.1": ["ok:a.1"], "a.2/x.1.2": ["ok:a.2/x.1"], "a.2/y.1": ["failed:a.2/x.1", "failed:a.2/x.1.2"],
        "a.2": ["ok:a.2/x.1", "ok:a.2/x.1.2", "whole:a.2/y.1"], "a.3": ["ok:a.2"], "b.1": ["ok:a.3"],
        "mend.1": ["failed:a.1", "failed:a.2", "failed:a.2/y.1", "failed:a.3"]}  # fmt: skip
    assert {name for name, unit in flow.units.items() if unit.caught} == {"a.1", "a.2/x.1", "a.2/x.1.2", "a.2/y.1", "a.2", "a.3"}


def test_an_input_of_the_workflow_goes_before_the_templates_of_that_name(flow_of):
    inner = "{inputs: {password: {type: string}}, steps: {x: {target: app, activities: [{call_operation: Standard.create}]}}}"
    flow, _ = flow_of("{a: {target: app, activities: [{call_operation: Standard.create}, "
                      "{inline: {workflow: inner, inputs: {password: mine}}}]}}", f"    inner: {inner}\n")  # fmt: skip
    given = [one.arguments["inputs"]["password"] for unit in flow.units.values() for one in unit.calls.values()]
    assert given == ["none", "mine"]
    assert flow.graph.resources["app:create"].arguments["inputs"]["password"] == "none", "deploy knows the template's only"


def test_what_becomes_of_a_unit():
    """A failure that is handled leads on; what is held up holds up; what was not chosen holds nothing up."""
    decide = jinja2.Environment().compile_expression
    cases = {
        ((OK, OK),): "go", ((OK, OFF),): "off", ((OK, STUCK),): "stuck", ((OK, FAILED),): "stuck", ((OK, CAUGHT),): "off",
        ((OK, OK), (OK, OFF)): "go", ((OK, OK), (OK, CAUGHT)): "go", ((OK, OK), (OK, STUCK)): "stuck", ((OK, OK), (OK, FAILED)): "stuck",
        ((FAILED, CAUGHT),): "go", ((FAILED, OK),): "off", ((FAILED, OFF),): "off", ((FAILED, STUCK),): "stuck",
        ((FAILED, CAUGHT), (FAILED, STUCK)): "go", ((FAILED, CAUGHT), (OK, STUCK)): "go", ((FAILED, OK), (OK, OK)): "go",
        ((WHOLE, OK), (WHOLE, OFF)): "go", ((WHOLE, OK), (WHOLE, CAUGHT)): "off", ((WHOLE, OK), (OK, CAUGHT)): "go",
    }  # fmt: skip
    for led, wanted in cases.items():
        for order in itertools.permutations(led):
            unit = Unit("u", "u", "", {}, [(f"p{number}", kind) for number, (kind, _) in enumerate(order)])
            before = {f"p{number}": status for number, (_, status) in enumerate(order)}
            assert decide(_decision(unit))(eve_flow=before) == wanted, order
    assert decide(_decision(Unit("u", "u", "")))() == "go"


@pytest.mark.parametrize(("steps", "words"), [
    ("{one: {target: web, activities: [{delegate: undeploy}]}}", "would make or delete what web is in its cloud"),
    ("{one: {target: disk, activities: [{delegate: start}]}}", "nothing is implemented for it on disk"),
    ("{one: {target: app, activities: [{call_operation: Standard.delete}]}}", "operation Standard.delete of app has no implementation"),
    ("{one: {target: app, activities: [{delegate: {workflow: stop, inputs: {a: 1}}}]}}", "delegate stop takes no inputs"),
    ("{one: {target: app, target_relationship: host, activities: [{delegate: start}]}}", "is about a node, not about a relationship"),
])  # fmt: skip
def test_what_cannot_be_run_is_told_with_its_place(flow_of, steps, words):
    with pytest.raises(Undeployable, match=words) as told:
        flow_of(steps)
    assert "template.yaml:" in str(told.value)


def test_workflows_that_double_at_each_level_are_refused(flow_of):
    more = "".join(f"    w{number}: {{steps: {{s: {{activities: [{{inline: w{number + 1}}}, {{inline: w{number + 1}}}]}}}}}}\n"
                   for number in range(40))  # fmt: skip
    with pytest.raises(Undeployable, match="more than 20,000 activities"):
        flow_of("{s: {activities: [{inline: w0}]}}", more + "    w40: {steps: {s: {target: app, activities: [{delegate: stop}]}}}\n")


def test_workflows_very_deep_inside_of_each_other_are_refused(flow_of):
    more = "".join(f"    w{number}: {{steps: {{s: {{activities: [{{inline: w{number + 1}}}]}}}}}}\n" for number in range(1000))
    with pytest.raises(Undeployable, match="more than 50 deep"):
        flow_of("{s: {activities: [{inline: w0}]}}", more + "    w1000: {steps: {}}\n")


def test_servers_get_a_key_when_workflows_may_run_on_them(template, pools):
    made = template(SHOP)
    request = Request("shop", made, pools)
    first = Eve._compiling(request, {}, None)
    first.graph()
    assert not Eve._logs_in(request, first)
    made.workflows["w"] = model.Workflow("w", made.place, steps={"s": model.Step("s", made.place, "web", None)})
    assert Eve._logs_in(request, first)


def test_a_playbook_whose_failure_leads_somewhere_is_refused(flow_of, pools, tmp_path):
    handled = "{one: {target: app, activities: [{delegate: configure}], on_failure: [two]}, two: {target: app, activities: [{inline: x}]}}"
    flow, state = flow_of(handled, "    x: {steps: {}}\n")
    record, out = begin(state, flow, "1", {}), tmp_path.parent / f"{tmp_path.name}-out"
    with pytest.raises(Undeployable, match="cannot go on after a failed playbook"):
        emit_flow(flow, record, flow.plan("shop"), state, pools, out, DirectoryTree(tmp_path))
    (tmp_path / "scripts" / "configure.yml").write_text("- ansible.builtin.debug: {msg: tasks}\n")
    emit_flow(flow, record, flow.plan("shop"), state, pools, out, DirectoryTree(tmp_path))
    assert start.check_syntax(out, "playbook.json", "inventory.json") is None


def test_steps_without_order_between_them_share_a_play_and_the_project_is_the_same_again(flow_of, pools, tmp_path):
    steps = "{one: {target: app, activities: [{delegate: stop}]}, two: {target: app, activities: [{set_state: error}]}}"
    flow, state = flow_of(steps, instances={"web": 2})
    out = tmp_path.parent / f"{tmp_path.name}-out"
    written = []
    for _ in range(2):
        emit_flow(flow, begin(state, flow, "1", {}), flow.plan("shop"), state, pools, out, DirectoryTree(tmp_path))
        written.append({path.name: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()})
    assert written[0] == written[1]
    plays = json.loads((out / "playbook.json").read_text())
    (work,) = [play for play in plays if play["name"].startswith("Stage 1")]
    assert (work["hosts"], work["strategy"]) == (["web", "web-2"], "ansible.builtin.free")
    assert json.loads((out / "known.json").read_text())["app-2:(state)"] == {"state": "started"}


def test_a_server_that_is_away_is_a_failure_of_what_is_done_there(flow_of, pools, tmp_path):
    flow, state = flow_of("{one: {target: app, activities: [{delegate: stop}]}, two: {target: app, activities: [{set_state: error}]}}")
    record = begin(state, flow, "1", {})
    plays = {"Stage 1: work": {"web": "one: stop app"}}
    follower = FlowFollower(flow, record, flow.plan("shop"), state, {}, lambda event: None, None, plays)

    def tell(kind, task="", host="localhost", **result):
        follower.event({"event": kind, "event_data": {"name": task, "task": task, "host": host, "res": result}})

    tell("playbook_on_play_start", REACH)
    tell("runner_on_failed", "Wait until it can be logged in to", "web", msg="timed out")
    assert follower.failures == []
    tell("playbook_on_play_start", "Stage 1: work")
    tell("runner_on_failed", "one: stop app: server", "web", msg="the server cannot be logged in to")
    tell("runner_on_ok", WHAT_CAME, ansible_facts={"eve_flow": {"one.1": "failed", "two.1": "ok"}})
    follower.end(2, "")
    assert [(one["node"], one["operation"], one["cause"]) for one in follower.failures] == [
        ("app", "one: stop app", "the server cannot be logged in to")]  # fmt: skip
    assert (record["status"], record["units"]["one.1"]) == ("failed", "failed")


def attribute(name):
    return Reference("get_attribute", ("SELF", name))


@pytest.mark.parametrize(("condition", "wanted"), [
    (True, True), (Reference("equal", (attribute("state"), "up")), True), (Reference("equal", (attribute("none"), "up")), False),
    (Reference("and", (Reference("greater_than", (attribute("size"), 2)), Reference("less_or_equal", (attribute("size"), 3)))), True),
    (Reference("greater_than", (attribute("none"), 2)), False), (Reference("not", (Reference("less_than", (attribute("none"), 2)),)), True),
    (Reference("valid_values", (attribute("state"), ["a", "up"])), True), (Reference("pattern", (attribute("state"), "u")), False),
    (Reference("pattern", (attribute("state"), "u.|x")), True), (Reference("matches", (attribute("state"), "^u")), True),
    (Reference("has_prefix", (attribute("state"), "u")), True), (Reference("has_suffix", (attribute("state"), "")), True),
    (Reference("contains", (attribute("state"), "p")), True), (Reference("has_key", (attribute("map"), "k")), True),
    (Reference("has_entry", (attribute("none"), "k")), False), (Reference("xor", (True, False)), True),
    (Reference("equal", (Reference("length", (attribute("state"),)), 2)), True),
    (Reference("or", (Reference("equal", (attribute("state"), "it's {{ no }}")), False)), False),
])  # fmt: skip
def test_conditions(condition, wanted):
    known = {"one": {"state": "up", "size": 3, "map": {"k": 1}}}
    assert holds(text_of(condition, lambda one: {"$attribute": ["one", one.arguments[1]]}), known) is wanted


def test_a_condition_that_cannot_be_evaluated_says_so():
    with pytest.raises(Unusable, match="function sum cannot be used"):
        text_of(Reference("equal", (Reference("sum", (1, 2)), 3)), lambda one: one)
    text = text_of(Reference("greater_than", (attribute("state"), 3)), lambda one: {"$attribute": ["one", "state"]})
    with pytest.raises(Unusable, match="cannot be evaluated"):
        holds(text, {"one": {"state": "up"}})
