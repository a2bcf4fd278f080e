"""Workflows run by Ansible itself on programs that are this machine: order, failures and what handles them, conditions, resume."""

import json

import pytest
from click.testing import CliRunner

from cloudos.eve import cli
from cloudos.eve.engine.state import Directory
from cloudos.eve.engine.tasks import variable
from cloudos.eve.problems import Refused
from tests.api.eve import PROVIDER

TYPES = """\
tosca_definitions_version: tosca_simple_yaml_1_3
interface_types:
  my.Backup:
    derived_from: tosca.interfaces.Root
    operations:
      backup: {inputs: {url: {type: string, default: URL}, word: {type: string, default: ""}}}
      check: {}
      restore: {}
relationship_types:
  my.Link:
    derived_from: tosca.relationships.DependsOn
    interfaces: {Link: {type: my.Backup, operations: {check: link.sh}}}
node_types:
  my.Program:
    derived_from: tosca.nodes.Compute
    attributes: {last: {type: string}, size: {type: integer}}
    interfaces:
      Standard:
        type: tosca.interfaces.node.lifecycle.Standard
        operations: {create: create.sh, start: start.sh, stop: stop.sh}
      Backup:
        type: my.Backup
        operations:
          backup: {implementation: backup.sh, outputs: {last: [SELF, last], size: [SELF, size]}}
          check: check.sh
          restore: restore.sh
  toy.nodes.Program: {derived_from: my.Program}
topology_template:
  node_templates:
    a: {type: toy.nodes.Program}
    b: {type: toy.nodes.Program, requirements: [{dependency: {node: a, relationship: my.Link}}]}
  groups: {all: {type: tosca.groups.Root, members: [a, b]}}
  outputs: {last: {value: {get_attribute: [a, last]}}}
  workflows:
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A function: deploys a and b with workflows as text; then commands run workflows, and `log` tells what scripts have done."""
    monkeypatch.syspath_prepend(str(PROVIDER))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(PROVIDER / "library"))
    return World(tmp_path)


class World:
    def __init__(self, folder):
        self.design, self.states, self.disk = folder / "design", folder / "states", folder / "disk"
        self.design.mkdir()
        self.disk.mkdir()
        for name in ("create", "start", "stop", "check", "restore", "link", "backup"):
            says = f"echo {name} ${{url:-}} ${{word:-}} >> {self.design}/log\n. {self.design}/{name}.more\n"
            (self.design / f"{name}.sh").write_text(says)
            self.more(name, "last=${url:-nowhere}/\nsize=3" if name == "backup" else "")
        profile = {"pools": {"default": {"provider": "files", "root": str(self.disk)}}}
        (self.design / "profile.yml").write_text(json.dumps(profile))

    def more(self, name, text=""):
        """What an operation does besides telling its name and inputs."""
        (self.design / f"{name}.more").write_text(text)

    def deploy(self, workflows, url="''"):
        body = TYPES.replace("URL", url) + "".join(f"    {line}\n" for line in workflows.strip("\n").splitlines())
        (self.design / "w.yaml").write_text(body)
        done = self.eve("deploy", self.design / "w.yaml", "--profile", self.design / "profile.yml")
        assert done.exit_code == 0, done.output
        self.log()

    def eve(self, *words):
        states = ["--states", str(self.states)]
        return CliRunner().invoke(cli.eve, [*map(str, words), *states], catch_exceptions=False)

    def run(self, name, *words, code=0):
        done = self.eve("workflow", "run", "w", name, *words)
        assert done.exit_code == code, done.output
        return done.output

    def log(self):
        """What was done since the last asking."""
        path = self.design / "log"
        found = path.read_text().split("\n")[:-1] if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.strip() for line in found]

    @property
    def state(self):
        return Directory(self.states).load("w")


def test_steps_run_in_their_order_with_inputs_outputs_and_states(world):
    world.deploy("""
nightly:
  inputs: {url: {type: string}, word: {type: string, default: quiet}}
  preconditions: [{target: a, condition: [{assert: [{state: [{equal: started}]}]}]}]
  steps:
    stop: {target: a, activities: [{delegate: stop}], on_success: [save]}
    save:
      target: a
      activities:
        - set_state: backing_up
        - call_operation: {operation: Backup.backup, inputs: {word: {concat: [very, "-", {get_input: word}]}}}
      on_success: [start]
    start: {target: a, activities: [{inline: up}], on_success: [link]}
    link: {target: b, target_relationship: dependency, activities: [{call_operation: Link.check}]}
  outputs: {where: [a, last]}
up: {steps: {up: {target: a, activities: [{call_operation: Standard.start}, {set_state: started}]}}}
""", "{get_input: url}")
    shown = world.run("nightly", "-i", "url=ftp://x", "--check")
    assert world.log() == [] and "save: call_operation Backup.backup\n  a                        backup               on a\n" in shown
    told = world.run("nightly", "-i", "url=ftp://x")
    assert world.log() == ["stop", "backup ftp://x very-quiet", "start", "link"]
    assert 'nightly.where: "ftp://x/"' in told and 'last: "ftp://x/"' in told, "an attribute has what the operation told"
    state = world.state
    assert (state.states, state.called["a:backup"]) == ({"a": "started"}, {"last": "ftp://x/", "size": "3"})
    assert "a:start" not in state.entries, "what was stopped as Eve stops it is not there for Eve"
    assert [(run["workflow"], run["status"]) for run in state.runs] == [("nightly", "succeeded")]
    again = world.eve("deploy", world.design / "w.yaml", "--profile", world.design / "profile.yml")
    assert again.exit_code == 0 and world.log() == ["start"], "a deployment brings back what a workflow has stopped"


def test_an_unhandled_failure_holds_up_what_follows_and_nothing_else_and_is_resumed(world):
    world.deploy("""
flow:
  steps:
    one: {target: a, activities: [{call_operation: Backup.check}], on_success: [two]}
    two: {target: a, activities: [{call_operation: Backup.restore}], on_success: [join]}
    other: {target: b, activities: [{call_operation: Backup.backup}], on_success: [more]}
    more: {target: b, activities: [{call_operation: Standard.start}], on_success: [join]}
    join: {target: all, activities: [{call_operation: Standard.stop}]}
""")
    world.more("restore", "echo no tape >&2; exit 3")
    told = world.run("flow", code=1)
    assert sorted(world.log()) == ["backup", "check", "restore", "start"] and "no tape" in told and "--resume" in told
    run = world.state.runs[-1]
    assert (run["status"], run["units"]["two.1"], run["units"]["join.1"], run["units"]["more.1"]) == ("failed", "failed", "stuck", "ok")
    assert run["failures"][0]["operation"] == "two: restore a"
    shown = json.loads(world.run("flow", "--resume", "--check", "--json"))
    assert [(unit["step"], [one["done"] for one in unit["calls"]]) for unit in shown["units"]] == [
        ("one", [True]), ("other", [True]), ("more", [True]), ("two", [False]), ("join", [False, False])]  # fmt: skip
    world.more("restore")
    world.run("flow", "--resume")
    assert world.log() == ["restore", "stop", "stop"] and len(world.state.runs) == 1
    assert "nothing to resume" in world.run("flow", "--resume", code=2)


def test_a_failure_that_leads_somewhere_is_handled(world):
    world.deploy("""
flow:
  steps:
    try: {target: a, activities: [{call_operation: Backup.check}, {set_state: available}], on_success: [good], on_failure: [mend]}
    good: {target: a, activities: [{call_operation: Standard.start}], on_success: [last]}
    mend: {target: b, activities: [{call_operation: Backup.restore}], on_success: [last]}
    last: {target: a, activities: [{call_operation: Backup.backup}]}
outer: {steps: {all: {activities: [{inline: inner}, {inline: inner}], on_failure: [clean]},
                clean: {target: b, activities: [{call_operation: Standard.stop}]}}}
inner: {steps: {x: {target: a, activities: [{call_operation: Backup.check}], on_success: [y]},
                y: {target: a, activities: [{call_operation: Standard.start}]}}}
""")
    world.run("flow")
    assert world.log() == ["check", "start", "backup"], "nothing of what handles failures"
    world.more("check", "exit 4")
    told = world.run("flow")
    assert world.log() == ["check", "restore", "backup"] and "failed and handled: try: check a" in told
    assert world.state.states == {"a": "available"}, "left from the run before"
    world.run("outer")
    assert world.log() == ["check", "stop"], "the failure inside leads out of all of it"


def test_conditions_are_evaluated_when_their_step_has_come(world):
    world.deploy("""
flow:
  inputs: {least: {type: integer, default: 2}}
  steps:
    save: {target: a, activities: [{call_operation: Backup.backup}, {set_state: available}], on_success: [some]}
    some:
      target: all
      filter: [{assert: [{state: [{valid_values: [available]}]}, {size: [{greater_than: {get_input: least}}, {in_range: [1, 3]}]}]}]
      activities: [{set_state: error}, {call_operation: Backup.check}]
      on_success: [none]
    none: {target: all, filter: [{not: [{or: [{state: [{equal: error}]}, {state: [{pattern: "start.*"}]}]}]}],
           activities: [{call_operation: Standard.stop}]}
guarded: {preconditions: [{target: all, condition: [{state: [{equal: available}]}]}],
          steps: {one: {target: a, activities: [{delegate: stop}]}}}
inlines: {steps: {one: {target: b, activities: [{call_operation: Backup.check}, {inline: guarded}]}}}
""")
    assert "does not hold" in world.run("guarded", code=2) and world.log() == []
    world.run("inlines")
    assert world.log() == ["check"], "the precondition of what is inlined is about each instance"
    world.run("flow")
    assert world.log() == ["backup", "check"] and world.state.states == {"a": "error"}
    world.run("flow", "-i", "least=3")
    assert world.log() == ["backup", "stop"]


def test_a_secret_is_in_no_file(world, monkeypatch):
    world.deploy("""
flow: {inputs: {url: {type: string}}, steps: {one: {target: a, activities: [{call_operation: Backup.backup}]}}}
""", "{get_input: url}")
    assert "EVE_SECRET_" in world.run("flow", "-i", "url=${secret:tape}", code=2)
    monkeypatch.setenv(variable("tape"), "geheim")
    world.run("flow", "-i", "url=${secret:tape}")
    assert world.log() == ["backup geheim"]
    assert not [path for path in world.states.rglob("*") if path.is_file() and b"geheim" in path.read_bytes()]


def test_an_implementation_is_run_with_the_inputs(world):
    (world.design / "whole.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [
        {"name": "Tell", "ansible.builtin.set_fact": {"answer": "{{ question }}!"}}]}]))  # fmt: skip
    world.deploy("""
flow: {inputs: {question: {type: string}}, implementation: whole.yml, outputs: {answer: [a, last]}}
""")
    assert 'last: "why!"' in world.run("flow", "-i", "question=why")


def test_inputs_and_names_are_checked(world):
    world.deploy("flow: {inputs: {size: {type: integer}}, steps: {one: {target: a, activities: [{delegate: stop}]}}}")
    assert "input size of workflow flow has no value" in world.run("flow", code=2)
    assert "integer" in world.run("flow", "-i", "size=big", code=2)
    assert "has no input sise" in world.run("flow", "-i", "sise=1", "-i", "size=1", code=2)
    assert "Did you mean flow?" in world.run("flowe", code=2)
    assert "flow                     1 steps; inputs: size" in world.eve("workflow", "show", "w").output
    assert world.log() == []
    with pytest.raises(Refused, match="not deployed"):
        from cloudos.eve.workflow_verbs import deployed

        with deployed(Directory(world.states), "x", {}):
            pass
