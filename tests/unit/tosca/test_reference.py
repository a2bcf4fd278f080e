"""The reference shows what the code does; the types we bring are sound."""

import re
from pathlib import Path

import pytest

from cloudos.tosca import checks, documents, grammar, normative
from cloudos.tosca.model import Template
from cloudos.tosca.problems import RULES, Mark, Problems
from cloudos.tosca.resolver import FileResolver
from cloudos.tosca.source import Limits
from cloudos.tosca.types import Types
from cloudos.tosca.values import Checker

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = (ROOT / "docs" / "reference" / "tosca.md").read_text()


def test_the_table_of_rules_is_that_of_the_code():
    rows = [line for line in REFERENCE.splitlines() if re.match(r"\| `\w+\.\w+` \|", line)]
    assert rows == [f"| `{rule}` | {severity} | {text} |" for rule, (severity, text) in RULES.items()]


def test_every_rule_is_told_somewhere():
    code = "".join(path.read_text() for path in (ROOT / "cloudos" / "tosca").glob("*.py") if path.name != "problems.py")
    told = set(re.findall(r"\"([a-z]+\.[a-z_]+)\"", code))
    told |= {f"{entity}.unknown" for entity in ("property", "attribute")}
    assert set(RULES) <= told


def test_exit_codes_are_told():
    for code in range(4):
        assert f"| {code} |" in REFERENCE


@pytest.mark.parametrize("version", ["tosca_simple_yaml_1_3", *documents.PROFILES_AS_VERSIONS])
def test_normative_types_keep_to_our_own_rules(version):
    problems = Problems()
    types = Types(problems)
    library = documents.Library(FileResolver(), problems, normative.documents, Limits())
    checker = Checker(types, Template(Mark("-"), version), library)
    for document in normative.documents(version):
        for (kind, name), _ in list(document.types.items()):
            fresh = documents.Document(document.location, document.source, document.fields, version, document.imports, document.definitions)
            types.shell(kind, name, fresh)
    types.complete()
    checks.definitions(types, checker)
    assert [str(one) for one in problems.sorted() if one.severity == "error"] == []


@pytest.mark.parametrize("version", ["tosca_simple_yaml_1_3", *documents.PROFILES_AS_VERSIONS])
def test_normative_types_implement_nothing(version):
    made = [one for document in normative.documents(version) for one in document.types.values()]
    interfaces = [one for one in made if one.kind == "interface"]
    interfaces += [inner for one in made if one.kind in ("node", "relationship") for inner in one.interfaces.values()]
    assert len(interfaces) > 10
    operations = [(one.name, each) for one in interfaces for each in (*one.operations.values(), *one.notifications.values())]
    assert [(name, each.name) for name, each in operations if each.implementation] == []
    configure = next(one for one in interfaces if one.name == "tosca.interfaces.relationship.Configure")
    assert {"add_source", "target_changed"} <= set(configure.operations)


def test_the_shapes_of_the_grammar_exist():
    known = {"string", "boolean", "integer", "version", "any", "metadata", "value", "imports"}
    for entities in grammar.entities().values():
        for entity in entities.values():
            for spec in entity.keys.values():
                assert spec.shape.split()[-1] in known | set(entities), (entity.name, spec)
