"""Configuration files of services: the layers of each merged, and rendered once for all nodes that share a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudos.model import merge, render
from cloudos.model.assemble import Cloud
from cloudos.model.expressions import ExpressionError, Expressions
from cloudos.model.overrides import Overrides, Place
from cloudos.model.problems import Report, nearest

Skeleton = list[tuple[str, list]]  # (section, [finished text, or (option, value) that each node evaluates])


class Configuration:
    """Texts of one cloud's files."""

    def __init__(self, cloud: Cloud, expressions: Expressions, overrides: Overrides, report: Report):
        self.cloud, self.expressions, self.overrides, self.report = cloud, expressions, overrides, report
        self._skeletons: dict[tuple[str, str, tuple[Place, ...]], Skeleton] = {}
        self._texts: dict[int, str] = {}

    def text(self, service: str, path: str, file: dict, node: Any) -> str:
        """The content of a file on a node."""
        form = file.get("format", "ini")
        if form == "text":
            return str(self.value(file.get("content", ""), service, node))
        places = self.overrides.places(service, path, node)
        key = (service, path, places)
        if key not in self._skeletons:
            self._skeletons[key] = self._skeleton(service, path, file, places)
        skeleton = self._skeletons[key]
        if id(skeleton) not in self._texts:
            text = self._rendered(skeleton, form, service, node)
            if any(not isinstance(line, str) for _, lines in skeleton for line in lines):
                return text
            self._texts[id(skeleton)] = text
        return self._texts[id(skeleton)]

    def value(self, value: Any, service: str, node: Any = None) -> Any:
        """An evaluated value; a mistake in it goes to the report and gives None."""
        try:
            return self.expressions.value(value, service, node)
        except ExpressionError as error:
            self.report.add(error.where, str(error))
            return None

    def _skeleton(self, service: str, path: str, file: dict, places: tuple[Place, ...]) -> Skeleton:
        said = self.overrides.sections(service, path, places)
        sections = merge.sections(*self._layers(service, file), file.get("options", {}), *said)
        write = render.WRITERS[file.get("format", "ini")]
        return [(name, self._lines(options, write, service)) for name, options in render.in_order(sections)]

    def _layers(self, service: str, file: dict) -> list[dict]:
        known = self.cloud.services.layers
        for name in file.get("layers", []):
            if name not in known:
                self.report.add(
                    self.cloud.origin(service).where("files"),
                    f"{name} is not a layer of layers.yml{nearest(name, known)}",
                )
        return [known[name] for name in file.get("layers", []) if name in known]

    def _lines(self, options: dict, write: Callable[[str, Any], str], service: str) -> list:
        lines: list = []
        for name, value in options.items():
            try:
                if self.expressions.per_node(value):
                    lines.append((name, value))
                    continue
                text = write(name, self.expressions.value(value, service))
            except ExpressionError as error:
                self.report.add(error.where, str(error))
                continue
            if lines and isinstance(lines[-1], str):
                lines[-1] += text
            else:
                lines.append(text)
        return lines

    def _rendered(self, skeleton: Skeleton, form: str, service: str, node: Any) -> str:
        write, parts = render.WRITERS[form], [render.HEADER]
        for section, lines in skeleton:
            text = "".join(
                line if isinstance(line, str) else write(line[0], self.value(line[1], service, node))
                for line in lines
            )
            if text:
                parts.append(render.HEADINGS[form].format(section) + text)
        return "".join(parts)
