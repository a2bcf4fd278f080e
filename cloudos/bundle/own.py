"""The package cloudos in a bundle: the services of the base layer are made of it."""

import configparser
import hashlib
import shutil
from pathlib import Path

from cloudos.bundle.commands import run, uv
from cloudos.model.source import ROOT

# What only a controller runs.
LEFT_OUT = ("bundle", "cli.py")
COLLECTION = "collections/ansible_collections/cloudos/cloud"
# Ansible content that Eve's projects use; it lies beside the package, as in the tree that the package comes from.
CONTENT = (f"{COLLECTION}/galaxy.yml", f"{COLLECTION}/meta", f"{COLLECTION}/plugins/module_utils", f"{COLLECTION}/plugins/doc_fragments",
           f"{COLLECTION}/plugins/modules/topology_resources.py", f"{COLLECTION}/plugins/modules/hypervisor_resources.py",
           "roles/load_balancer")  # fmt: skip


def requirements() -> list[str]:
    """What the package needs, from setup.cfg: part of every release's lock."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["options"]["install_requires"].split("\n")[1:]


def digest_input() -> dict[str, str]:
    """{file: SHA-256} of what a bundle gets of the package."""
    package = ROOT / "cloudos"
    kept = [path for path in files(package) if path.relative_to(package).parts[0] not in LEFT_OUT]
    content = [path for name in CONTENT for path in files(ROOT / name)]
    every = [*sorted(kept), *content, ROOT / "setup.cfg"]
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in every}


def files(path: Path) -> list[Path]:
    """A file, or the files below a directory, in order; nothing that Python leaves there."""
    found = path.rglob("*") if path.is_dir() else [path]
    return sorted(one for one in found if one.is_file() and "__pycache__" not in one.parts)


def add_content(site: Path) -> None:
    """Put the Ansible content beside the package in site-packages."""
    for file in [file for name in CONTENT for file in files(ROOT / name)]:
        target = site / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)


def wheel(work: Path) -> Path:
    """Make the package's wheel in the directory `work`, of a copy, because building leaves its traces beside the source."""
    source = work / "cloudos"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "cloudos", source / "cloudos", ignore=shutil.ignore_patterns("__pycache__"))
    for name in LEFT_OUT:
        path = source / "cloudos" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run([uv(), "build", "--quiet", "--wheel", "--out-dir", work, source], what="making the package of the base layer")
    (made,) = work.glob("cloudos-*.whl")
    return made
