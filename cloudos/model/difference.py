"""The difference of two plans as unified text, by node: what people read before a run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from cloudos.model.plan import Plan

LISTS = ("units", "schemas", "operations", "probes")
CLOUD_WIDE = ("release", "services", "identity", "secrets")


def diff(old: Plan | None, new: Plan) -> str:
    """Unified diff of all that differs, each part under a heading like "ctl1: /etc/nova/nova.conf"; else empty.

    `old` is None where nothing was applied yet.
    """
    before = dict(_parts(old)) if old else {}
    after = dict(_parts(new))
    names = list(dict.fromkeys([*after, *before]))
    return "".join(
        _one(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def _parts(plan: Plan) -> Iterator[tuple[str, str | tuple]]:
    """(heading, text) of everything that is compared."""
    for key in CLOUD_WIDE:
        yield f"cloud: {key}", _text(plan.data.get(key))
    for node, data in plan.data["nodes"].items():
        yield f"{node}: packages", "".join(f"{name}\n" for name in data["packages"])
        for files in data["files"].values():
            for path, entry in files.items():
                attributes = {key: value for key, value in entry.items() if key != "content"}
                yield f"{node}: {path}", _text(attributes, compact=True) + entry.get("content", "")
        for key in LISTS:
            for entry in data[key]:
                yield f"{node}: {key[:-1]} {entry.get('name') or entry.get('module') or entry['service']}", _text(entry)


def _text(value: object, compact: bool = False) -> str:
    if isinstance(value, str):
        return value + "\n"
    return json.dumps(value, indent=None if compact else 1, ensure_ascii=False) + "\n"


def _one(name: str, before: str | None, after: str | None) -> str:
    old, new = (before or "").splitlines(), (after or "").splitlines()
    source = "/dev/null" if before is None else name
    target = "/dev/null" if after is None else name
    return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, source, target, lineterm=""))
