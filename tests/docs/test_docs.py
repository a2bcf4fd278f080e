"""What can be used is documented: modules, playbooks, and each key of the data."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from cloudos import tosca
from cloudos.cli import main as cloudos
from cloudos.eve import catalogue
from cloudos.eve.manage import main as eve_manage
from cloudos.focus.manage import main as focus_manage
from cloudos.graffiti.manage import main as graffiti_manage

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PLUGINS = ROOT / "collections" / "ansible_collections" / "cloudos" / "cloud" / "plugins"
MODULES = sorted((PLUGINS / "modules").glob("[a-z]*.py"))
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
DATA = sorted({path for pattern in ("inventory/*/cloud.yml", "services/*.yml", "plugins/*/*.yml")
               for path in ROOT.glob(pattern)} - {ROOT / "services" / "layers.yml"})
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#]+)")
ANCHOR = re.compile(r"\]\(([^)#\s]*)#([^)]+)\)")
PROGRAMS = {"cloudos": cloudos, "focus-manage": focus_manage, "graffiti-manage": graffiti_manage, "eve-manage": eve_manage}
COMMAND = re.compile(rf"(?:^ {{4,}}|^\$ |`)(?:\.venv/bin/)?((?:{'|'.join(PROGRAMS)}) [^`#\n]+)", re.MULTILINE)


def documentation(path):
    """The DOCUMENTATION of a module, read without importing it."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError(f"{path.name} has no DOCUMENTATION")


def keys(data):
    """The names that Cloud OS gives a meaning: at the top, of units, files and nodes; not what those are called."""
    found = set(data)
    for group in ("units", "files", "nodes", "directories", "networks"):
        found.update(key for item in (data.get(group) or {}).values() for key in item or {})
    for group in ("probes", "operations"):
        found.update(key for item in data.get(group) or [] for key in item)
    return {"on" if key is True else key for key in found}   # YAML reads a plain `on` as true


def test_node_types_are_those_of_the_profile():
    """`cloudos eve types >docs/reference/node-types.md` brings the page up to date."""
    assert (REFERENCE / "node-types.md").read_text() == catalogue.page(catalogue.profile())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_has_a_row(path):
    row = f"| `{path.stem}` | {documentation(path)['short_description']} |"
    assert row in (REFERENCE / "modules.md").read_text().splitlines(), "docs/reference/modules.md needs this row"


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_playbook_has_a_heading(path):
    assert f"## {path.name}" in (REFERENCE / "playbooks.md").read_text().splitlines(), "docs/reference/playbooks.md"


@pytest.mark.parametrize("path", DATA, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_of_the_data_is_explained(path):
    explained = set(re.findall(r"[\w-]+(?=:)|(?<=`)[\w-]+(?=`)", (REFERENCE / "data.md").read_text()))
    unexplained = sorted(keys(yaml.safe_load(path.read_text())) - explained)
    assert not unexplained, "docs/reference/data.md explains every key"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    local = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert not [link for link in local if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_page_is_reachable(page):
    linked = {(other.parent / link).resolve() for other in PAGES for link in LINK.findall(other.read_text())}
    assert page in linked or page.name == "README.md", "no other page leads here"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_headings_that_are_there(page):
    wrong = []
    for link, anchor in ANCHOR.findall(page.read_text()):
        headings = re.findall(r"^#+ (.*)$", (page.parent / link if link else page).read_text(), re.MULTILINE)
        if "://" not in link and anchor not in [re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in headings]:
            wrong.append(f"{link}#{anchor}")
    assert not wrong


def misused(line):
    """Words of a command line that are no command or option there. `show|run` names several commands, the options being anyone's."""
    program, *words = [word.strip("[]") for word in shlex.split(line)]
    commands, wrong = [PROGRAMS[program]], []
    for word in words:
        known = {"--help", *(name for command in commands for option in command.params for name in (*option.opts, *option.secondary_opts))}
        groups = [command for command in commands if isinstance(command, click.Group)]
        if word.startswith("-"):
            wrong += [word] if word.split("=")[0] not in known else []
        elif groups and word != word.upper():
            inner = {name: groups[0].get_command(click.Context(groups[0]), name) for name in word.split("|")}
            wrong += [name for name, command in inner.items() if command is None]
            commands = [command for command in inner.values() if command] or [click.Command("unknown")]
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_as_they_are_written(page):
    lines = [line for line in COMMAND.findall(page.read_text()) if "..." not in line]
    assert {line: misused(line) for line in lines if misused(line)} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_whole_templates_are_accepted(page, tmp_path):
    for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        if re.search(r"^tosca_definitions_version:", text, re.MULTILINE):
            for name, content in re.findall(r"```bash\n# \w+/(\S+)\n(.*?)```", page.read_text(), re.DOTALL):
                (tmp_path / name).write_text(content)
            (tmp_path / "template.yaml").write_text(text)
            report = tosca.load(tmp_path / "template.yaml")
            assert [str(problem) for problem in report.problems] == []
