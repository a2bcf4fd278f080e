"""The house keeps its rooms: what lies where, how long it may get, and who knows whom."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "collections" / "ansible_collections" / "cloudos" / "cloud"
MODULES = sorted(path for path in (COLLECTION / "plugins" / "modules").glob("*.py") if path.name != "__init__.py")
ROOMS = {"playbooks", "roles", "services", "plugins", "releases", "collections", "inventory", "cloudos", "webui",
         "molecule", "tests", "docs", "benchmarks", "changelog.d", ".ci"}
FILES = {"Makefile", "README.md", "setup.cfg", "pyproject.toml", "requirements.txt", "ansible.cfg",
         ".gitignore", ".ansible-lint", ".yamllint", "LICENSE"}
GENERATED = re.compile(r"^(requirements\.txt|releases/.*\.lock)$")
LONGEST = {"*.py": 400, "services/*.yml": 120, "roles/*/tasks/*.yml": 100, "*.j2": 80}
# Modules whose work is the controller's own; they run there only, with the Python that runs Ansible.
CONTROLLER = {"bundle_build"}
# In two parts, so that this file does not contain what it looks for.
UNWANTED = ("TO" "DO", "FIX" "ME", "/" "work/", "/" "root/")


def tracked():
    """Every file of the project, as git sees it: neither ignored nor generated elsewhere."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(name for name in names if (ROOT / name).is_file())


def text(name):
    return (ROOT / name).read_bytes().decode(errors="ignore")


def test_every_file_has_a_room():
    strangers = {name for name in tracked() if name.split("/")[0] not in (ROOMS if "/" in name else FILES)}
    assert not strangers, "top-level rooms and files are those of tests/layout/test_layout.py"


@pytest.mark.parametrize("unwanted", UNWANTED)
def test_nothing_unwanted_is_written_anywhere(unwanted):
    found = [name for name in tracked() if not GENERATED.match(name) and unwanted in text(name)]
    assert not found, f"{unwanted!r} in these files"


@pytest.mark.parametrize("pattern", LONGEST)
def test_files_stay_short(pattern):
    lengths = {name: text(name).count("\n") for name in tracked() if Path(name).match(pattern)}
    long = {name: length for name, length in lengths.items() if length > LONGEST[pattern]}
    assert not long, f"longer than {LONGEST[pattern]} lines: can it be two things?"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_is_documented(path):
    names = {target.id for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)
             for target in node.targets}
    assert {"DOCUMENTATION", "EXAMPLES", "RETURN"} <= names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_is_tested(path):
    assert (ROOT / "tests" / "modules" / f"test_{path.stem}.py").is_file()


@pytest.mark.parametrize("directory", ["modules", "module_utils"])
def test_what_runs_on_nodes_does_not_know_the_controller(directory):
    """Ansible copies these files to nodes, where the package cloudos is not installed."""
    for path in (COLLECTION / "plugins" / directory).rglob("*.py"):
        if path.stem in CONTROLLER:
            continue
        imported = {name for node in ast.walk(ast.parse(path.read_text())) for name in imports(node)}
        assert "cloudos" not in {name.split(".")[0] for name in imported}, path.name


def imports(node):
    """The absolute names that a node of a syntax tree imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module]
    return []
