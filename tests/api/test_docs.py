"""Codes and settings that a caller or operator meets are in the reference."""

import re
from pathlib import Path

from cloudos.eden import config
from cloudos.eden.problems import known
from cloudos.focus.cli import focus
from cloudos.focus.service import SERVICE as FOCUS
from tests.api import toy

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_every_code_is_documented():
    rows = set(re.findall(r"^\| `([\w.]+)` \| (\d+) \|", "".join(page.read_text() for page in REFERENCE.glob("*.md")), re.M))
    assert {(problem.code, str(problem.status)) for problem in known()} <= rows


def test_every_option_has_help():
    for group, options in config.options(toy.SERVICE) + config.options(FOCUS):
        assert not [f"[{group}] {option.name}" for option in options if not (option.help or "").endswith(".")]


def test_every_command_is_documented():
    text = (REFERENCE / "focus.md").read_text()
    rows = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"^\| `cloudos focus (.*?) \|", text, re.M))))
    assert set(focus.commands) <= rows


def test_every_path_is_documented():
    text = (REFERENCE / "focus.md").read_text()
    paths = {route.path for route in FOCUS.routes if route.tag in ("documents", "versions", "upkeep")}
    words = {part for path in paths for part in re.findall(r"/([a-z_]{2,})", path)}
    assert not {word for word in words if not re.search(rf"[/.]{word}\b", text)}
