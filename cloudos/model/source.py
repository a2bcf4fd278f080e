"""YAML with a memory: every value knows the file and line that it was written in, and no key may stand twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from cloudos.model.problems import Report

ROOT = Path(__file__).resolve().parents[2]  # the tree with services/, plugins/, releases/ and inventory/
MERGE = "tag:yaml.org,2002:merge"
STRING = "tag:yaml.org,2002:str"

Key = tuple[Hashable, ...]


class Expression(str):
    """Text with Jinja in it that knows where it was written (`where`: "file:line"), however often it is merged."""

    __slots__ = ("where",)
    where: str


class Source:
    """One YAML file: `data` (a mapping), and `where(*path)` for the place of anything in it."""

    def __init__(self, file: str, data: dict, lines: dict[Key, int]):
        self.file, self.data, self._lines = file, data, lines

    def where(self, *path: Hashable) -> str:
        """ "file:line" of the key or list item at `path`, or of the nearest thing above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self.file}:{self._lines.get(path, 1)}"


def load(path: Path, report: Report) -> Source:
    """Read a YAML mapping. What is wrong goes to the report: no such file, no YAML, no mapping, a key twice."""
    file = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.add(file, f"cannot be read: {error}")
        return Source(file, {}, {})
    reader = _Reader(text, file, report)
    try:
        data = reader.read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report.add(f"{file}:{mark.line + 1 if mark else 1}", f"is not YAML: {error.problem or error.context}")
        data = {}
    except (yaml.YAMLError, RecursionError) as error:
        report.add(f"{file}:1", f"is not YAML: {error}")
        data = {}
    if not isinstance(data, dict):
        report.add(f"{file}:1", f"holds {kind_of(data)}, must be a mapping of keys to values")
        data = {}
    return Source(file, data, reader.lines)


def shown(path: Path) -> str:
    """A path as reports and provenance name it: one in the tree from the tree on, so that it is the same everywhere."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def kind_of(value: Any) -> str:
    """What a value is, in words of YAML."""
    kinds = {
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        dict: "a mapping",
        list: "a list",
        type(None): "nothing",
    }
    return kinds.get(type(value), "text" if isinstance(value, str) else f"a {type(value).__name__}")


class _Reader:
    def __init__(self, text: str, file: str, report: Report):
        self.loader = yaml.CSafeLoader(text)
        self.file, self.report = file, report
        self.lines: dict[Key, int] = {}

    def read(self) -> Any:
        try:
            node = self.loader.get_single_node()
            return None if node is None else self._value(node, ())
        finally:
            self.loader.dispose()

    def _value(self, node: yaml.Node, path: Key) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._mapping(node, path)

    def _item(self, node: yaml.Node, path: Key) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self._value(node, path)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag != STRING:
            return self.loader.construct_object(node)
        if "{{" not in node.value and "{%" not in node.value:
            return node.value
        text = Expression(node.value)
        text.where = f"{self.file}:{node.start_mark.line + 1}"
        return text

    def _mapping(self, node: yaml.MappingNode, path: Key) -> dict:
        own = [(key, value) for key, value in node.value if key.tag != MERGE]
        result: dict = {}
        for key, value in node.value:
            if key.tag == MERGE:
                for source in reversed(value.value) if isinstance(value, yaml.SequenceNode) else [value]:
                    result.update(self._value(source, path))
        seen = set()
        for key_node, value in own:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.report.add(f"{self.file}:{line}", "a key must be a single word, not a list or mapping")
                continue
            key = key_node.value  # as written: YAML 1.1 would make a boolean of `on`
            if key in seen:
                self.report.add(
                    f"{self.file}:{line}",
                    f"{key} stands twice in one mapping (first in line {self.lines[(*path, key)]})",
                )
                continue
            seen.add(key)
            self.lines[(*path, key)] = line
            result[key] = self._value(value, (*path, key))
        return result
