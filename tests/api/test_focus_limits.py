"""Contents that would hold up or fell the service: they are examined elsewhere, with limits, and kept as not validated."""

import re
import sys
import threading

import pytest

from cloudos.focus.judges import Judges
from cloudos.focus.service import SERVICE
from tests.api import kit
from tests.api.focus import PLAIN, TOPOLOGY, TYPES, Repository, csar

PATTERN = b"""\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  Slow:
    derived_from: tosca.nodes.Root
    properties:
      one: {type: string, constraints: [pattern: '%s']}
topology_template:
  node_templates:
    slow: {type: Slow, properties: {one: %s}}
"""
HOSTILE = PATTERN % (b"(a|aa)+$", b"a" * 80 + b"!")
KNOWN = PATTERN % (b"(a+)+$", b"a" * 80 + b"!")


@pytest.fixture
def served(tmp_path, monkeypatch, request):
    yield from kit.serve(SERVICE, "cloudos.focus.service", tmp_path, monkeypatch, **getattr(request, "param", {}))


@pytest.fixture
def ann(served):
    return Repository(served.as_("ann", "p1", "architect"))


@pytest.fixture
def slow(served, monkeypatch):
    """Judges with little time, and a program in their place that never answers when the content says so."""
    program = "import sys, time; from cloudos.focus import judge, judging; real = judging.examine\n" \
              "def examine(content, *rest):\n" \
              "    if b'wait' in content: time.sleep(60)\n" \
              "    if b'grow' in content: bytearray(2**40)\n" \
              "    if b'die' in content: sys.exit(3)\n" \
              "    return real(content, *rest)\n" \
              "judging.examine = examine; judge.main(int(sys.argv[1]), int(sys.argv[2]))"  # fmt: skip
    found = Judges(6, 1024, 1, [sys.executable, "-c", program])
    monkeypatch.setattr(served.app.runtime, "extra", type(served.app.runtime.extra)(found))
    yield found
    found.close()


def version(ann, content):
    document = ann.made(content)
    return {**ann.get(f"documents/{document}/versions/1").json(), **ann.get(f"documents/{document}/versions/1/validation").json()}


@pytest.mark.parametrize(("word", "why"), [
    (b"wait", "not validated: took more than 6 s"), (b"grow", "not validated: needed more than 1024 MB"),
    (b"die", "not validated: the process that examined it died"),
])  # fmt: skip
def test_what_cannot_be_examined_is_kept_and_told(ann, slow, word, why):
    found = version(ann, PLAIN + b"# " + word)
    assert found["judge"].startswith(why) and (found["valid"], found["exit_code"], found["format"]) == (False, 3, "tosca")
    assert [(one["rule"], one["line"]) for one in found["problems"]] == [("judge.limit", 1)] and why in found["problems"][0]["message"]
    assert version(ann, PLAIN)["valid"], "the next one is examined by another process"
    answer = ann.caller.post("/v1/validate", data=PLAIN + b"# " + word, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 200 and answer.json()["judge"].startswith(why)


def test_it_is_judged_anew_when_there_is_time(ann, slow, served):
    document = ann.made(PLAIN + b"# wait")
    assert ann.names(q="simple") == []
    slow.close()
    served.app.runtime.extra = kit.SHARED["focus"]
    served.as_("root", "p0", "admin").post("/v1/revalidations")
    served.work()
    assert ann.get(f"documents/{document}/versions/1").json()["valid"] and len(ann.names(q="simple")) == 1


def test_when_all_are_busy_the_next_is_told_to_come_again(ann, slow):
    slow._seconds = 2
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ann.store(PLAIN + b"# wait")), daemon=True) for _ in range(2)]
    with slow._room:
        threads[0].start()
        threads[0].join(20)
    assert answers[0].status_code == 503 and answers[0].headers["Retry-After"] == "5"
    assert answers[0].json()["code"] == "unavailable"


def test_a_hostile_pattern_holds_nobody_up(ann):
    for content, rule in ((HOSTILE, "constraint.invalid"), (KNOWN, "value.constraint")):
        found = version(ann, content)
        assert found["judge"] == "cloudos.tosca" and rule in [one["rule"] for one in found["problems"]], found
        assert re.search("longer than 1 s|does not satisfy", " ".join(one["message"] for one in found["problems"]))


def test_processes_are_kept_and_imports_asked_for(ann):
    found = kit.SHARED["focus"].judges
    ann.made(TYPES, name="types.yaml")
    before = {judge._process.pid for judge in found._idle}
    shop = ann.made(TOPOLOGY, name="shop")
    assert {judge._process.pid for judge in found._idle} == before and len(before) == 1
    assert ann.get(f"documents/{shop}/versions/1").json()["valid"]
    assert ann.store(csar(**{"..__out_yaml": PLAIN}), media="application/zip").json()["code"] == "content.unsafe"
