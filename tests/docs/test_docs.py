"""What can be used is documented: modules, playbooks, and each key of the data."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from cloudos.eve import catalogue

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PLUGINS = ROOT / "collections" / "ansible_collections" / "cloudos" / "cloud" / "plugins"
MODULES = sorted((PLUGINS / "modules").glob("[a-z]*.py"))
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
DATA = sorted({path for pattern in ("inventory/*/cloud.yml", "services/*.yml", "plugins/*/*.yml")
               for path in ROOT.glob(pattern)} - {ROOT / "services" / "layers.yml"})
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#]+)")


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
