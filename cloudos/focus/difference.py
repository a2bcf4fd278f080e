"""What differs between two versions: by structure (what was added, removed, changed, with before and after) and by lines."""

from __future__ import annotations

import difflib
from typing import Any

MOST_LINES = 50_000


def structure(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """{section: {added: {name: facts}, removed: {...}, changed: {name: [{path, before, after}]}}}; equal sections are left out."""
    found = {}
    for section in sorted({*before, *after}):
        old, new = _named(before.get(section)), _named(after.get(section))
        part = {
            "added": {name: new[name] for name in new if name not in old},
            "removed": {name: old[name] for name in old if name not in new},
            "changed": {name: changes for name in old if name in new and (changes := _changes("", old[name], new[name]))},
        }
        if any(part.values()):
            found[section] = part
    return found


def lines(before: str, after: str, old: str, new: str) -> str:
    """A unified diff of two texts; `old` and `new` name them."""
    one, two = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if max(len(one), len(two)) > MOST_LINES:
        return f"--- {old}\n+++ {new}\n(longer than {MOST_LINES} lines: {'equal' if one == two else 'they differ'})\n"
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
                   for line in difflib.unified_diff(one, two, old, new))  # fmt: skip


def files(before: dict[str, str | None], after: dict[str, str | None], old: str, new: str) -> str:
    """The diffs of the texts of two archives, file by file."""
    parts = []
    for name in sorted({*before, *after}):
        one, two = before.get(name) or "", after.get(name) or ""
        if name not in before or name not in after:
            parts.append(f"{'Only in ' + (new if name in after else old)}: {name}\n")
        if one != two:
            parts.append(lines(one, two, f"{old}/{name}", f"{new}/{name}"))
    return "".join(parts)


def _named(section: Any) -> dict[str, Any]:
    return section if isinstance(section, dict) else {} if section is None else {"": section}


def _changes(path: str, before: Any, after: Any) -> list[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted({*before, *after}, key=str):
            found += _changes(f"{path}/{key}", before.get(key), after.get(key))
        return found
    return [] if before == after else [{"path": path or "/", "before": before, "after": after}]
