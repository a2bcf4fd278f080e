"""Regular expressions of templates end in time, whatever they are."""

import time

import pytest

from cloudos import tosca
from cloudos.tosca import patterns

TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  Slow:
    derived_from: tosca.nodes.Root
    properties:
%s
topology_template:
  node_templates:
    slow: {type: Slow, properties: {%s}}
"""


@pytest.mark.parametrize(("pattern", "text", "found"), [
    ("(a+)+$", "a" * 60 + "!", False), ("(a+)+$", "a" * 60, True), ("(?=.*[0-9])[a-z0-9]{4,}", "abc1", True), (r"(\w)\1", "aa", True),
    ("[a-z]+", "abc1", False), ("[[:alpha:]]+", "abc", True), ("ä+", "ää", True), ("", "", True),
])  # fmt: skip
def test_patterns_mean_what_they_mean_in_python(pattern, text, found):
    assert patterns.matches(text, pattern, whole=True) is found


def test_what_takes_too_long_is_ended():
    began = time.process_time()
    with pytest.raises(patterns.BadPattern, match="takes longer than 1 s; write it without repetitions inside"):
        patterns.matches("a" * 80 + "!", "(a|aa)+$")
    assert time.process_time() - began < 4


def test_all_patterns_of_a_template_have_a_limit_together():
    began = time.process_time()
    with patterns.together(0.2):
        for _ in range(50):
            with pytest.raises(patterns.BadPattern):
                patterns.matches("a" * 80 + "!", "(a|aa)+$")
    assert time.process_time() - began < 3
    assert patterns.matches("a", "a")


@pytest.mark.parametrize(("pattern", "why"), [("(", "no regular expression"), ("a" * 10_001, "at most 10000")])
def test_what_is_no_pattern_is_told(pattern, why):
    with pytest.raises(patterns.BadPattern, match=why):
        patterns.compiled(pattern)


def test_a_template_with_many_hostile_patterns_is_judged_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(patterns, "SECONDS", 0.1)
    count = 30
    properties = "\n".join(f"      p{number}: {{type: string, constraints: [pattern: '(a|aa)+{number}$']}}" for number in range(count))
    values = ", ".join(f"p{number}: {'a' * 80}!" for number in range(count))
    (tmp_path / "slow.yaml").write_text(TEMPLATE % (properties, values))
    began = time.process_time()
    report = tosca.load(tmp_path / "slow.yaml")
    told = [problem for problem in report.problems if "takes longer than" in problem.message]
    assert len(told) == count and all(problem.line and problem.mend for problem in told) and report.exit_code == 1
    assert time.process_time() - began < 12
