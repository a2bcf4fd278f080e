"""Codes and settings that a caller or operator meets are in the reference."""

import re
from pathlib import Path

from cloudos.eden import config
from cloudos.eden.problems import known
from tests.api import toy

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_every_code_is_documented():
    rows = set(re.findall(r"^\| `([\w.]+)` \| (\d+) \|", "".join(page.read_text() for page in REFERENCE.glob("*.md")), re.M))
    assert {(problem.code, str(problem.status)) for problem in known()} <= rows


def test_every_option_has_help():
    for group, options in config.options(toy.SERVICE):
        assert not [f"[{group}] {option.name}" for option in options if not (option.help or "").endswith(".")]
