"""The plan: what a cloud must be, per node; it never holds a secret. docs/reference/data.md describes its JSON form."""

from __future__ import annotations

import json
from dataclasses import dataclass

FORMAT = 1


@dataclass(frozen=True)
class Host:
    """One node's part: `data` as in the JSON form."""

    name: str
    data: dict

    @property
    def files(self) -> dict[str, dict[str, dict]]:
        """service -> path -> {content, owner, group, mode, ...}; below /etc/<service> also by relative path."""
        return {service: _Files(service, files) for service, files in self.data["files"].items()}

    @property
    def units(self) -> list[dict]:
        return self.data["units"]

    def unit(self, name: str) -> dict:
        """A unit by its full name. Raises KeyError."""
        return {unit["name"]: unit for unit in self.data["units"]}[name]


@dataclass(frozen=True)
class Plan:
    """What a cloud must be; `data` is the JSON form."""

    data: dict

    def host(self, name: str) -> Host:
        """One node's part. Raises KeyError."""
        return Host(name, self.data["nodes"][name])

    def hosts(self) -> list[Host]:
        return [Host(name, data) for name, data in self.data["nodes"].items()]

    def to_json(self) -> str:
        """The plan as text; the same plan always gives the same bytes."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Raises ValueError for something that is not a plan of this format."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"this is not a plan of format {FORMAT}; compile it again")
        return cls(data)


class _Files(dict):
    def __init__(self, service: str, files: dict):
        super().__init__(files)
        self.service = service

    def __missing__(self, path: str) -> dict:
        return dict.__getitem__(self, f"/etc/{self.service}/{path}") if not path.startswith("/") else _absent(path)


def _absent(path: str) -> dict:
    raise KeyError(path)
