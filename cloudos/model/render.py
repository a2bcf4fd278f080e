"""The text of files made of options: INI as oslo.config and systemd's neighbours read it, and Python as Django does."""

from __future__ import annotations

from collections.abc import Iterator
from pprint import pformat
from typing import Any

HEADER = "# Written by Cloud OS: a change made here is undone. Set options in the inventory, under `overrides`.\n"


def scalar(value: Any) -> str:
    """One value: booleans as true and false, lists joined by commas, mappings as key:value pairs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(scalar, value))
    if isinstance(value, dict):
        return ",".join(f"{key}:{scalar(item)}" for key, item in value.items())
    return str(value).rstrip("\n").replace("\n", "\n    ")


def option(name: str, value: Any) -> str:
    """The line, or for `{multi: [...]}` the lines, of one option; nothing for None."""
    if value is None:
        return ""
    values = value["multi"] if isinstance(value, dict) and value.keys() == {"multi"} else [value]
    return "".join(f"{name} = {scalar(item)}\n" for item in values)


def assignment(name: str, value: Any) -> str:
    """The line, or lines, of one setting of a Python file; nothing for None."""
    return "" if value is None else f"{name} = {pformat(value, width=110, sort_dicts=False)}\n"


WRITERS = {"ini": option, "python": assignment}
HEADINGS = {"ini": "\n[{}]\n", "python": "\n# {}\n"}


def in_order(sections: dict[str, dict]) -> Iterator[tuple[str, dict]]:
    """Sections as they are written: DEFAULT first, the others by name."""
    for name in sorted(sections, key=lambda name: (name != "DEFAULT", name)):
        yield name, sections[name]
