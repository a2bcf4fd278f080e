"""Operations on different servers run at once; one on each server at a time, in the order of their requirements."""

import json
import time

import pytest
import yaml

from cloudos.eve.engine.calls import GATE, Job, side_by_side
from cloudos.eve.engine.emit import emit
from cloudos.eve.engine.state import Directory
from cloudos.eve.lifecycle import Eve, Request
from cloudos.eve.provider import Pool
from cloudos.runs import start
from cloudos.tosca.resolver import DirectoryTree
from tests.api.eve import PROVIDER, TYPES

NODE = "    {name}: {{type: toy.nodes.Program, interfaces: {{Standard: {{{operations}}}}}{more}}}\n"
STEPS = {"create": "create.sh", "start": "start.sh"}


@pytest.fixture
def work(tmp_path, monkeypatch, template):
    """A directory, and a function: what comes of a deployment of programs (name -> operations) with files of that directory."""
    monkeypatch.syspath_prepend(str(PROVIDER))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(PROVIDER / "library"))
    disk, design = tmp_path / "disk", tmp_path / "design"
    disk.mkdir()
    design.mkdir()
    pools = {"disk": Pool("disk", "files", {"root": str(disk)})}
    eve = Eve(Directory(tmp_path / "states"))

    def request(programs, after=None):
        from cloudos.eve import verbs

        text = TYPES + "  node_templates:\n"
        for name, operations in programs.items():
            more = f", requirements: [{{dependency: {after[name]}}}]" if name in (after or {}) else ""
            written = ", ".join(f"{key}: {value}" for key, value in operations.items())
            text += NODE.format(name=name, operations=written, more=more)
        (design / "t.yaml").write_text(text)
        made = verbs.request_of(design / "t.yaml", (), "none", None, (), "work")
        return Request("work", made.template, pools, DirectoryTree(design))

    return design, eve, request


def log(design, *words):
    """A script's line that writes words and the node's name down when it runs."""
    return f"echo {' '.join(words)} >> {design}/log\n"


def test_ten_servers_are_worked_on_at_once(work):
    """However busy this machine is: some begin before others have ended."""
    design, eve, request = work
    (design / "create.sh").write_text(log(design, "begin") + "sleep 1\n" + log(design, "end"))
    began = time.monotonic()
    done = eve.deploy(request({f"n{number}": {"create": "create.sh"} for number in range(10)}))
    assert done.ok, (done.failures, done.output)
    print(f"10 operations of 1 s each on 10 servers: the run took {time.monotonic() - began:.1f} s")
    words = (design / "log").read_text().split()
    assert sorted(words) == ["begin"] * 10 + ["end"] * 10 and words != ["begin", "end"] * 10


def test_different_implementations_run_together_with_their_own_inputs_and_outputs(work):
    design, eve, request = work
    waiting = "for i in $(seq 300); do [ -e {there} ] && break; sleep 0.1; done\n[ -e {there} ]\n"
    (design / "one.sh").write_text(f"touch {design}/one\n" + waiting.format(there=design / "two"))
    tasks = [{"name": "Wait for the other", "ansible.builtin.wait_for": {"path": str(design / "one"), "timeout": 30}},
             {"name": "Be there", "ansible.builtin.file": {"path": str(design / "two"), "state": "touch", "mode": "0644"}}]  # fmt: skip
    (design / "two.yml").write_text(yaml.safe_dump(tasks))
    done = eve.deploy(request({"a": {"create": "one.sh"}, "b": {"create": "two.yml"}}))
    assert done.ok, "each waits for the other, so that only both together come to their end"


def test_one_failure_stops_what_comes_after_and_the_others_come_to_their_end(work):
    design, eve, request = work
    (design / "good.sh").write_text("sleep 0.5\n" + log(design, "good"))
    (design / "bad.sh").write_text("echo no room >&2; exit 3\n")
    (design / "late.sh").write_text(log(design, "late"))
    programs = {"a": {"create": "bad.sh"}, "b": {"create": "good.sh"}, "c": {"create": "late.sh"}}
    failed = eve.deploy(request(programs, {"c": "b"}))
    (failure,) = failed.failures
    assert (failure["node"], failure["operation"], failure["host"]) == ("a", "a:create", "a") and "no room" in failure["log"]
    assert (design / "log").read_text().splitlines() == ["good"]
    assert {name for name in failed.state.entries if name.endswith(":create")} == {"b:create"}
    (design / "bad.sh").write_text("true\n")
    resumed = eve.deploy(request(programs, {"c": "b"}))
    assert resumed.ok and (design / "log").read_text().splitlines() == ["good", "late"], "what was done is not done again"


def test_a_playbook_of_several_servers_runs_once_for_all_and_names_what_failed(work):
    design, eve, request = work
    tasks = [{"name": "Fail on b", "ansible.builtin.command": "test {{ inventory_hostname }} != b", "changed_when": False}]
    (design / "play.yml").write_text(yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    failed = eve.deploy(request({"a": {"create": "play.yml"}, "b": {"create": "play.yml"}}))
    plays = json.loads((eve.states.folder("work") / "project" / "playbook.json").read_text())
    assert len([play for play in plays if "import_playbook" in play]) == 1
    assert [(one["node"], one["operation"]) for one in failed.failures] == [("b", "b:create")]
    assert {name for name in failed.state.entries if name.endswith(":create")} <= {"a:create"}


@pytest.mark.parametrize(("words", "alone"), [("", False), ("# run_once", True), ("strategy: linear", True)])
def test_what_ansible_cannot_do_at_each_servers_pace_has_a_play_for_itself(work, words, alone):
    design, eve, request = work
    play = f"- hosts: all\n  gather_facts: false\n  {words}\n  tasks: []\n"
    (design / "play.yml").write_text(play)
    made = eve.plan(request({"a": {"create": "play.yml"}, "b": {"create": "play.yml"}}))
    target = design.parent / "project"
    emit(made, eve.states.load("work"), request({"a": {}}).pools, target, DirectoryTree(design))
    plays = json.loads((target / "playbook.json").read_text())
    assert len([one for one in plays if "import_playbook" in one]) == (2 if alone else 1)
    assert (GATE in [one["name"] for one in plays]) is not alone
    assert start.check_syntax(target, "playbook.json", "inventory.json") is None
    copies = [path.read_text() for path in (target / "artifacts").glob(".eve-*.yml")]
    assert all(("ansible.builtin.free" in text) is not alone and "a:create" in text for text in copies[:1])


def test_a_server_has_one_operation_at_a_time():
    def job(name, *hosts, together="tasks"):
        return Job(name, name, {"operation": "create"}, {}, {}, list(hosts), together=together)

    groups = side_by_side([job("a", "x"), job("b", "y"), job("c", "x"), job("d", "y", "z", together=None), job("e", "localhost")])
    assert [[one.name for one in group] for group in groups] == [["a", "b", "e"], ["c"], ["d"]]
