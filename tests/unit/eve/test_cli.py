"""`cloudos eve validate` as a person calls it: exit codes, words, JSON."""

import json

import pytest
from click.testing import CliRunner

from cloudos.cli import main
from cloudos.eve import crosscheck

TEMPLATE = """tosca_definitions_version: tosca_simple_yaml_1_3
topology_template:
  inputs: {cpus: {type: integer, constraints: [{less_than: 9}]}}
  node_templates:
    web: {type: WebServer, requirements: [{host: server}]}
    server: {type: Compute, capabilities: {host: {properties: {num_cpus: {get_input: cpus}}}}}
    app: {type: WebApplication, requirements: [{host: {node_filter: {properties: [{component_version: 2.0}]}}}]}
"""


@pytest.fixture
def validate(tmp_path):
    """Calls the command on a template; gives exit code and output."""
    path = tmp_path / "template.yaml"

    def call(*arguments, text=TEMPLATE):
        path.write_text(text)
        result = CliRunner().invoke(main, ["eve", "validate", str(path), *arguments])
        assert not result.exception or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return call


def test_accepted(validate):
    code, output = validate()
    assert code == 0
    assert output.splitlines() == [
        "Accepted.",
        "3 nodes, 1 relationships between them.",
        "Left open: app needs host (tosca.nodes.WebServer) - web: component_version is not set",
    ]


def test_not_valid_tells_place_rule_and_next_step(validate, tmp_path):
    code, output = validate(text=TEMPLATE.replace("host: server", "host: sever"))
    assert code == 1
    where = f"{tmp_path}/template.yaml:5:50: sever is neither a node template nor a node type"
    assert output.splitlines()[0] == f"{where} [requirement.target] Did you mean server?"
    assert output.splitlines()[-1] == "Not valid: 1 error."


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("cpus=4", 0, "Accepted."),
        ("cpus=9", 2, "9 does not satisfy less_than 9"),
        ("cpus=many", 2, "integer is wanted"),
        ("cores=4", 2, "the template has no input cores"),
        ("nothing.yaml", 2, "No such file"),
    ],
)
def test_inputs(given, code, said, validate):
    found, output = validate("-i", given)
    assert (found, said in output) == (code, True), output


def test_inputs_from_a_file_and_later_ones_win(validate, tmp_path):
    (tmp_path / "values.yaml").write_text("cpus: 100\n")
    assert validate("--inputs", str(tmp_path / "values.yaml"))[0] == 2
    code, output = validate("-i", str(tmp_path / "values.yaml"), "-i", "cpus=3", "--json")
    data = json.loads(output)
    assert (code, data["template"]["inputs"]["cpus"]["value"]) == (0, 3)
    assert data["template"]["nodes"]["server"]["capabilities"]["host"]["properties"]["num_cpus"] == 3


def test_json_tells_everything(validate):
    code, output = validate("--json", text=TEMPLATE.replace("type: Compute,", "type: Computer,"))
    data = json.loads(output)
    assert (code, data["verdict"]) == (1, "not valid")
    first = data["problems"][0]
    assert (first["line"], first["column"], first["rule"], first["severity"]) == (6, 20, "type.unknown", "error")
    assert first["mend"].startswith("Did you mean")
    assert len(data["problems"]) == 1, "what follows from one mistake is not told again"
    code, output = validate("--json")
    (requirement,) = json.loads(output)["template"]["nodes"]["web"]["requirements"]
    found = requirement["target"], requirement["capability"], requirement["relationship"]
    assert found == ("server", "host", "tosca.relationships.HostedOn")


def test_unreadable(validate, tmp_path):
    result = CliRunner().invoke(main, ["eve", "validate", str(tmp_path / "nothing.yaml")])
    assert (result.exit_code, "is not there" in result.output) == (3, True)
    (tmp_path / "a.csar").write_bytes(b"PK\x05\x06" + b"\0" * 18)
    assert CliRunner().invoke(main, ["eve", "validate", str(tmp_path / "a.csar")]).exit_code == 1


def test_root_and_mirror(validate, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "t.yaml").write_text("tosca_definitions_version: tosca_simple_yaml_1_3\nnode_types: {N: {derived_from: Root}}\n")
    text = "tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [{file: 'https://example.com/a/t.yaml'}]\n"
    assert validate(text=text)[0] == 1
    assert validate("--mirror", f"https://example.com/a/={tmp_path}/m", "--root", str(tmp_path), text=text)[0] == 0
    assert "write ADDRESS=DIRECTORY" in validate("--mirror", "nonsense", text=text)[1]


def test_a_second_opinion_is_asked_in_a_process_with_limits(tmp_path):
    path = tmp_path / "t.yaml"
    head = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
    path.write_text(head + "topology_template: {node_templates: {s: {type: tosca.nodes.Compute}}}\n")
    assert crosscheck.ask(path)["verdict"] == "accepted"
    path.write_text("tosca_definitions_version: tosca_2_0\n")
    assert crosscheck.ask(path)["verdict"] == "not valid"
    circle = "node_types: {my.A: {derived_from: my.B}, my.B: {derived_from: my.A}}"
    path.write_text(f"{head}{circle}\ntopology_template: {{node_templates: {{a: {{type: my.A}}}}}}\n")
    assert crosscheck.ask(path, seconds=2)["verdict"] == "no answer"


def test_nobody_asks_unless_told(validate, monkeypatch):
    monkeypatch.setattr(crosscheck, "ask", lambda _: {"verdict": "accepted", "message": ""})
    assert "tosca-parser" not in validate()[1]
    assert "tosca-parser: accepted" in validate("--cross-check")[1]
