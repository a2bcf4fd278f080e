"""Wrong templates, thirty and more of each class: each mistake is told by the right rule at the right line and column, and says why.

wrong/<class>.yml is a list of cases: `of` is the version (none: `wrong` is the whole file), `in` a surrounding of given.yml whose line
@ the case takes, `wrong` the text with the rule before what breaks it, `says` a part of the message or of the mend; `files` lie beside
the template, `inputs` are given to it.
"""

import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from cloudos import tosca
from cloudos.tosca.problems import RULES, exit_code
from tests.unit.tosca.marked import MARK, judge, write

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(__file__).parent / "wrong"
LOADED = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yml"))}
GIVEN = LOADED.pop("given")
ALL = [one for cases in LOADED.values() for one in cases]
CASES = [pytest.param(one, id=f"{name}-{number}") for name, cases in LOADED.items() for number, one in enumerate(cases, 1)]
OPENED: list[str] | None = None  # what is opened or connected to while it is a list


def heard(event, arguments):
    if OPENED is not None and (event == "open" or event.startswith(("socket.", "subprocess.", "os.exec", "os.posix_spawn", "urllib."))):
        OPENED.append(str(arguments[0]) if event == "open" else event)


sys.addaudithook(heard)


@contextmanager
def listening():
    """Everything that is opened, connected to or started, by name."""
    global OPENED
    OPENED = []
    try:
        yield OPENED
    finally:
        OPENED = None


def composed(case):
    """The whole text of a case, marks and all."""
    if "of" not in case:
        return case["wrong"]
    minor = str(case["of"])
    head = "tosca_2_0" if minor == "2.0" else f"tosca_simple_yaml_{minor.replace('.', '_')}"
    lines = []
    for line in GIVEN[case["in"]].splitlines() if "in" in case else ["@"]:
        indent = line[: len(line) - len(line.lstrip())]
        lines += [indent + part if part else "" for part in case["wrong"].splitlines()] if line.strip() == "@" else [line]
    return "\n".join([f"tosca_definitions_version: {head}", *lines, ""])


@pytest.mark.parametrize("case", CASES)
def test_wrong(case, tmp_path):
    for name, text in case.get("files", {}).items():
        write(tmp_path, text, name)
    text = composed(case)
    with listening() as opened:
        report = judge(tmp_path, text, inputs=case.get("inputs"))
    rules = set(MARK.findall(text))
    assert report.exit_code == exit_code(one for one in report.problems if one.rule in rules) != 0
    told = [f"{one.message} {one.mend}" for one in report.problems if one.rule in rules]
    assert any(case["says"] in one for one in told), told
    allowed = (str(tmp_path), str(ROOT / "cloudos" / "tosca"), sys.prefix, sys.base_prefix)
    assert not [name for name in opened if not name.startswith(allowed)]


@pytest.mark.parametrize("name", LOADED)
def test_every_class_has_thirty_mistakes_of_many_versions(name):
    texts = {(composed(case), str(case.get("inputs"))) for case in LOADED[name]}
    assert len(texts) == len(LOADED[name]) >= 30
    assert len({str(case["of"]) for case in LOADED[name] if "of" in case}) == 5, "1.0 to 1.3 and 2.0"


def test_what_is_expected_is_a_rule_that_refuses():
    for name, cases in LOADED.items():
        for case in cases:
            assert any(RULES[rule][0] != "warning" for rule in MARK.findall(composed(case))), (name, case)


def test_the_ear_hears(tmp_path):
    path = write(tmp_path, "tosca_definitions_version: tosca_2_0\n")
    with listening() as opened:
        tosca.load(path)
    assert str(path) in opened
