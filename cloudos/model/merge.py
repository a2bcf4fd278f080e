"""How mappings are laid over one another. None of these changes its arguments."""

from __future__ import annotations

from typing import Any


def overlay(base: Any, over: Any) -> Any:
    """`over` laid over `base`: mappings merged, everything else, lists too, replaced."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    result = dict(base)
    for key, value in over.items():
        result[key] = overlay(base[key], value) if key in base else value
    return result


def extend(base: Any, more: Any) -> Any:
    """`more` added to `base`: mappings merged, lists appended without what is there already, all else replaced."""
    if isinstance(base, dict) and isinstance(more, dict):
        result = dict(base)
        for key, value in more.items():
            result[key] = extend(base[key], value) if key in base else value
        return result
    if isinstance(base, list) and isinstance(more, list):
        return base + [item for item in more if item not in base]
    return base if more is None else more


def sections(*layers: dict) -> dict[str, dict]:
    """Options of a file, section -> option -> value; the last layer wins; None stays, to be left out later."""
    result: dict[str, dict] = {}
    for layer in layers:
        for section, options in layer.items():
            result.setdefault(section, {}).update(options or {})
    return result
