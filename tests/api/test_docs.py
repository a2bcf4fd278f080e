"""Codes and settings that a caller or operator meets are in the reference."""

import re
from importlib import resources
from pathlib import Path

import pytest

from cloudos.eden import config, routes
from cloudos.eden.problems import known
from cloudos.eve.service import SERVICE as EVE
from cloudos.focus.cli import focus
from cloudos.focus.service import SERVICE as FOCUS
from cloudos.graffiti.cli import graffiti
from cloudos.graffiti.service import SERVICE as GRAFFITI
from tests.api import toy

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_every_code_is_documented():
    rows = set(re.findall(r"^\| `([\w.]+)` \| (\d+) \|", "".join(page.read_text() for page in REFERENCE.glob("*.md")), re.M))
    assert {(problem.code, str(problem.status)) for problem in known()} <= rows


def test_every_option_has_help():
    for group, options in config.options(toy.SERVICE) + config.options(FOCUS):
        assert not [f"[{group}] {option.name}" for option in options if not (option.help or "").endswith(".")]


@pytest.mark.parametrize("group", [focus, graffiti], ids=lambda group: group.name)
def test_every_command_is_documented(group):
    text = (REFERENCE / f"{group.name}.md").read_text()
    rows = set(re.findall(r"[a-z-]+", " ".join(re.findall(rf"^\| (`cloudos {group.name} .*?) \| ", text, re.M))))
    assert set(group.commands) <= rows


COMMON = {route.path for route in routes.common_routes("toy", resources.files("cloudos.eden") / "tryit")}
PATHS = {"eden": COMMON, **{page: {route.path for route in service.routes if route.tag != "original"} - COMMON
                            for page, service in (("focus", FOCUS), ("graffiti", GRAFFITI), ("eve-service", EVE))}}  # fmt: skip


@pytest.mark.parametrize("page", PATHS)
def test_every_path_is_documented(page):
    text = (REFERENCE / f"{page}.md").read_text()
    words = {part for path in PATHS[page] for part in re.findall(r"/([a-z_]{2,})", path)}
    assert not {word for word in words if not re.search(rf"[/.]{word}\b", text)}
