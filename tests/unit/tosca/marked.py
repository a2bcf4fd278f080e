"""Templates with their problems marked in them: «rule» stands before the line and column where the rule is told."""

import re
from pathlib import Path

from cloudos import tosca

MARK = re.compile(r"«([\w.]+)»")
OLDER = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
MODERN = "tosca_definitions_version: tosca_2_0\n"


def expected(text):
    """({(line, column, rule)}, text without the marks)."""
    found, lines = set(), []
    for number, line in enumerate(text.split("\n"), 1):
        while match := MARK.search(line):
            found.add((number, match.start() + 1, match[1]))
            line = line[: match.start()] + line[match.end() :]
        lines.append(line)
    return found, "\n".join(lines)


def write(directory, text, name="template.yaml"):
    """The file with that text, in a directory."""
    path = Path(directory) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load(directory, text, **more):
    """The report on a template without marks."""
    return tosca.load(write(directory, text), **more)


def judge(directory, text, **more):
    """The report on a template, after its problems were found to be exactly the marked ones, warnings among them if any
    is marked."""
    wanted, clean = expected(text)
    report = load(directory, clean, **more)
    marked = {rule for _, _, rule in wanted}
    told = {(one.line, one.column, one.rule) for one in report.problems if one.severity != "warning" or one.rule in marked}
    assert told == wanted, "\n".join(map(str, report.problems))
    assert not [one for one in report.problems if " object at 0x" in one.message], "messages show what is written"
    assert all(one.message and one.mend for one in report.problems), "every problem says what is wrong and what to do"
    return report


def problems(directory, text, **more):
    """{(line, rule)} of all that is graver than a warning."""
    return {(one.line, one.rule) for one in load(directory, text, **more).problems if one.severity != "warning"}
