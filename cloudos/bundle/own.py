"""The package cloudos in a bundle: the services of the base layer are made of it."""

import configparser
import hashlib
import shutil
from pathlib import Path

from cloudos.bundle.commands import run, uv
from cloudos.model.source import ROOT

# What only a controller runs; the import contract `nodes` keeps the services from needing it.
LEFT_OUT = ("bundle", "model", "cli.py")


def requirements() -> list[str]:
    """What the package needs, from setup.cfg: part of every release's lock."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["options"]["install_requires"].split("\n")[1:]


def digest_input() -> dict[str, str]:
    """{file: SHA-256} of what a bundle gets of the package."""
    package = ROOT / "cloudos"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    kept = [path for path in files if path.relative_to(package).parts[0] not in LEFT_OUT]
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in [*sorted(kept), ROOT / "setup.cfg"]}


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
