"""Verbs in an order that nobody planned, wrong names and missing secrets: nothing is lost, begun or told that must not be."""

import base64
import json
import os

import pytest
import yaml
from click.testing import CliRunner

from cloudos.cli import main
from cloudos.eve.compiler.compile import compile_topology
from cloudos.eve.engine.state import Directory
from cloudos.eve.engine.tasks import variable
from cloudos.eve.lifecycle import within
from cloudos.eve.problems import Undeployable
from cloudos.runs import start
from tests.api.eve import PROVIDER

TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  toy.nodes.File:
    derived_from: tosca.nodes.Root
    properties:
      content: {type: string, default: empty}
      seconds: {type: float, default: 0}
      least: {type: integer, default: 1}
      most: {type: integer, default: 1}
  toy.nodes.Program: {derived_from: tosca.nodes.Compute}
topology_template:
  node_templates:
    file: {type: toy.nodes.File, properties: {most: 3}}
    program:
      type: toy.nodes.Program
      interfaces: {Standard: {operations: {create: {implementation: create me.sh, inputs: {word: "${secret:word}"}}, delete: delete.sh}}}
"""
WORD = 'first "line"\nof a secret\nof several lines'


class World:
    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        for name in ("disk", "design"):
            (folder / name).mkdir()
        self.script('[ "$word" != wrong ]')
        (folder / "design" / "delete.sh").write_text("exit 0\n")
        self.template(TEMPLATE)
        profile = {"pools": {"here": {"provider": "files", "root": str(folder / "disk")}}}
        (folder / "profile.yaml").write_text(yaml.safe_dump(profile))

    def script(self, text):
        (self.folder / "design" / "create me.sh").write_text(f"{text}\n")

    def template(self, text):
        (self.folder / "design" / "t.yaml").write_text(text)

    def secret(self, value):
        self.monkeypatch.setenv(variable("word"), value)

    def call(self, *words, code=0):
        states = ("--states", str(self.folder / "states"))
        done = CliRunner().invoke(main, ["eve", *map(str, words), *states], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done.output

    def verb(self, name, *words, code=0):
        """A verb about the template."""
        return self.call(name, self.folder / "design" / "t.yaml", *words, "--profile", self.folder / "profile.yaml", code=code)

    @property
    def made(self):
        return sorted(path.name.split("=")[1] for path in (self.folder / "disk").glob("*=*=*"))

    @property
    def state(self):
        return Directory(self.folder / "states").load("t")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A template of a file and a program whose operation needs a secret, and the commands about it."""
    monkeypatch.syspath_prepend(str(PROVIDER))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(PROVIDER / "library"))
    return World(tmp_path, monkeypatch)


def test_what_is_refused_has_begun_nothing(world):
    assert f"as {variable('word')}" in world.verb("deploy", code=2)
    assert world.call("topologies") == "" and not world.state.entries
    world.secret("right")
    (world.folder / "design" / "delete.sh").unlink()
    world.verb("deploy")  # what undeploys is needed then, and told then
    assert world.made == ["file", "program"]
    before = (world.folder / "states" / "t" / "design.csar").read_bytes()
    world.template(TEMPLATE.replace("create me.sh", "gone.sh"))
    assert "gone.sh: an operation needs this file" in world.verb("update", code=2)
    assert (world.folder / "states" / "t" / "design.csar").read_bytes() == before
    assert {one.status for one in world.state.entries.values()} == {"present"}


def test_a_plan_touches_nothing(world):
    world.secret("right")
    precious = world.folder / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    assert "Name a new directory" in world.verb("plan", "--project", precious, code=2)
    assert [path.name for path in precious.iterdir()] == ["thesis.txt"]
    for _ in range(2):
        assert "2 to create, 1 to run" in world.verb("plan", "--project", world.folder / "project")
    assert not (world.folder / "states").exists()


@pytest.mark.parametrize("words", [("heal",), ("scale", "file=2"), ("undeploy",), ("export",), ("outputs",)])
def test_only_deploy_begins_with_nothing(world, words):
    name, *more = words
    told = world.verb(name, *more, code=2) if name in ("heal", "scale") else world.call(name, "t", code=2)
    assert "topology t is not deployed" in told
    assert world.made == [] and not (world.folder / "states" / "t" / "lock").exists()


@pytest.mark.parametrize("number", ["-1", "²", "1.5", "", "99999999999"])
def test_a_number_that_is_none_is_told(world, number):
    assert "write NODE=NUMBER" in world.verb("scale", f"file={number}", code=2)


def test_a_deploy_goes_on_with_a_scaling_that_failed(world):
    world.secret("right")
    world.verb("deploy")
    (world.folder / "disk" / "broken").write_text("file")
    world.verb("scale", "file=3", code=1)
    (world.folder / "disk" / "broken").unlink()
    world.verb("deploy")
    assert world.made == ["file", "file-2", "file-3", "program"]
    assert "Nothing was to be done" in world.verb("scale", "file=3")


def test_a_failure_tells_no_secret_in_any_form_and_what_can_be_done(world):
    world.secret(WORD)
    world.script('printf %s "$word" >&2; printf %s "$word" | base64 -w0; false')
    told = world.verb("deploy", code=1)
    left = "".join(path.read_text(errors="replace") for path in (world.folder / "states").rglob("*") if path.is_file())
    for part in (*WORD.splitlines(), json.dumps(WORD)[1:-1], base64.b64encode(WORD.encode()).decode()):
        assert part not in told + left
    assert "FAILED node program operation program:create: non-zero return code" in told and "| ${secret:word}" in told
    assert "`cloudos eve undeploy t` takes all of it down" in told
    world.script("true")
    assert "1/1    run      program:create" in world.verb("deploy"), "it goes on with what failed"


def test_what_runs_leaves_no_secret_beside_the_project(world, monkeypatch):
    """ansible-runner keeps environment and output in files; the former goes at once, both are in memory, and the next run sweeps them."""
    seen = []
    monkeypatch.setattr(start, "MEMORY", world.folder / "memory")
    monkeypatch.setattr(start.Workplace.__init__, "__defaults__", (world.folder / "memory",))
    start.MEMORY.mkdir()
    left = start.MEMORY / f"{start.PREFIX}of-a-killed-one"
    left.mkdir()
    os.utime(left, (1, 1))
    close = start.Workplace.close
    monkeypatch.setattr(start.Workplace, "close", lambda self: (seen.extend(self.path.rglob("*")), close(self)))
    world.secret("geheim")
    world.verb("deploy")
    assert {"stdout", "job_events"} <= {path.name for path in seen} and "command" not in {path.name for path in seen}
    assert not any(start.MEMORY.iterdir()) and not left.exists()


def test_a_living_runs_directory_is_left_alone(tmp_path):
    living = start.Workplace(tmp_path)
    os.utime(living.path, (1, 1))
    start.Workplace(tmp_path).close()
    assert living.path.is_dir()
    living.close()
    assert not any(tmp_path.iterdir())


def test_what_ansible_itself_does_not_take_names_its_operation(world):
    (world.folder / "design" / "tasks.yml").write_text("[{ansible.builtin.command: [a]}]\n")
    world.template(TEMPLATE.replace("create me.sh", "tasks.yml").replace("word: ", "other: "))
    world.secret("right")
    told = world.verb("deploy", code=1)
    assert "FAILED node program operation program:create: ansible-playbook ended with" in told and "\x1b" not in told


def test_an_input_that_is_no_variable_is_told_before_anything_is_begun(world):
    world.template(TEMPLATE.replace("word: ", "db-word: "))
    assert "t.yaml:16:44" in (told := world.verb("plan", code=2))
    assert "db-word of operation create of program cannot be the name of a variable" in told


FILES = TEMPLATE[: TEMPLATE.index("    program:")]


def test_one_command_at_a_time_has_a_topology(world):
    world.template(FILES)
    with Directory(world.folder / "states").locked("t"):
        assert "topology t is held by another command" in world.verb("deploy", code=2)
    assert world.made == []


def test_limits_that_change_take_the_numbers_with_them(world):
    """Nobody asked for three when the template allows two: what is kept is the nearest number that it allows."""
    world.template(FILES)
    world.verb("deploy")
    assert "1 to 3" in world.verb("scale", "file=4", code=2)
    world.verb("scale", "file=3")
    world.template(FILES.replace("most: 3", "most: 2"))
    assert "- delete  file                 file-3" in world.verb("plan")
    world.verb("update")
    assert world.made == ["file", "file-2"]
    world.template(FILES.replace("most: 3", "most: 1"))
    world.verb("update")
    world.template(FILES.replace("most: 3", "most: 3, least: 2"))
    assert "+ create  file                 file-2" in world.verb("plan")


@pytest.mark.parametrize(("limits", "words"), [
    ("min_instances: 3, max_instances: 2, default_instances: 2", "web may have at least 3 instances and at most 2"),
    ("min_instances: 1, max_instances: 2, default_instances: 5", "5 instances of web are asked for; it may have 1 to 2"),
])  # fmt: skip
def test_limits_that_exclude_each_other_are_told(compiled, limits, words):
    node = f"    web: {{type: tosca.nodes.Compute, capabilities: {{scalable: {{properties: {{{limits}}}}}}}}}"
    with pytest.raises(Undeployable, match=words):
        compiled(node)


def test_a_stated_count_is_what_there_is(template, pools):
    made = template("    net: {type: cloudos.nodes.Network}")
    made.nodes["net"].count = 3
    graph = compile_topology(made, pools)
    assert graph.counts == {"net": {"count": 3, "min": 3, "max": 3}} and within(2, graph.counts["net"]) == 3
    with pytest.raises(Undeployable, match="4 instances of net are asked for; it may have 3 to 3"):
        compile_topology(made, pools, instances={"net": 4})


def test_what_is_undone_is_told_as_such(world):
    world.secret("right")
    world.verb("deploy")
    assert "undo     program:create" in world.call("undeploy", "t")
    assert "not deployed" in world.call("undeploy", "t", code=2) and world.made == []


NOTHING = """\
tosca_definitions_version: tosca_simple_yaml_1_3
interface_types:
  my.Work: {derived_from: tosca.interfaces.Root, operations: {work: {}}}
node_types:
  toy.nodes.Nothing: {derived_from: tosca.nodes.Root, interfaces: {Work: {type: my.Work, operations: {work: delete.sh}}}}
topology_template:
  node_templates: {desk: {type: toy.nodes.Nothing}}
  outputs: {answer: {value: 42}}
  workflows: {day: {steps: {noon: {target: desk, activities: [{call_operation: Work.work}]}}}}
"""


def test_what_makes_nothing_is_deployed_all_the_same(world):
    """It has outputs and workflows, until it is undeployed."""
    world.template(NOTHING)
    assert "topology t is not deployed" in world.call("workflow", "run", "t", "day", code=2)
    world.verb("deploy")
    assert json.loads(world.call("outputs", "t")) == {"answer": 42}
    world.call("workflow", "run", "t", "day")
    world.verb("heal")
    assert world.call("topologies").split()[:2] == ["t", "0"]
    world.call("undeploy", "t")
    assert world.call("topologies") == "" and "topology t is not deployed" in world.call("workflow", "run", "t", "day", code=2)
