"""Values as they are compared: numbers, scalars with units, versions and text, each brought to one comparable form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cloudos.tosca.scalars import UNITS

# Kind -> unit -> how many of the smallest. Case counts: bits and bytes a second differ by nothing else.
SCALARS = {name.removeprefix("scalar-unit."): units for name, units in UNITS.items()}
KINDS = ("number", "boolean", "string", "version", "list", "map", *SCALARS)
_SCALAR = re.compile(r"\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-z]+)\s*")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?")
_VERSION = re.compile(r"(\d{1,5})(?:\.(\d{1,5}))?(?:\.(\d{1,5}))?(?:[.-].*)?")
LONGEST = 255  # characters of a text that are compared


class NotComparable(ValueError):
    """A value that is not of the kind that a type or a condition asks for; the text says what would be."""


class Value(NamedTuple):
    """One comparable value.

    number: the value in the kind's smallest unit (bytes, seconds, hertz, bits a second); 0 or 1 of a boolean; the length of
    a string, list or map; a version as major * 10^10 + minor * 10^5 + fix. text: what was given, shortened to 255 characters.
    """

    kind: str
    number: float
    text: str

    def same(self, other: Value) -> bool:
        """Equality; 1024 MiB is 1 GiB, and 12 is version 12.0."""
        return self.kind == other.kind and (
            self.text == other.text if self.kind in ("string", "list", "map") else self.number == other.number
        )

    def ordered(self, other: Value) -> bool:
        """Whether less and more mean something between the two."""
        return self.kind == other.kind and self.kind not in ("boolean", "list", "map")


def value(raw: Any, kind: str | None = None) -> Value:
    """One scalar as a Value. `kind` is what a type declares; without it the value itself tells. Raises NotComparable."""
    if isinstance(raw, Mapping | list | tuple):
        return Value("map" if isinstance(raw, Mapping) else "list", float(len(raw)), "")
    if raw is None or (kind is not None and kind not in KINDS):
        raise NotComparable(f"{raw!r} is not a value of kind {kind}")
    return _declared(raw, kind) if kind in _READERS else _guessed(raw)


def spread(properties: Mapping[str, Any], kinds: Mapping[str, str], prefix: str = "") -> Iterator[tuple[str, Value]]:
    """(name, Value) of everything in `properties`: of a list also each element (`a[]`), of a map also each path (`a.b`).

    `kinds`: name -> declared kind; a value that does not fit it is kept as what it looks like, so that it is still found.
    """
    for name, raw in properties.items():
        path = f"{prefix}{name}"
        if raw is None:
            continue
        if isinstance(raw, Mapping):
            yield from spread(raw, kinds, f"{path}.")
        for element in raw if isinstance(raw, list | tuple) else ():
            if element is not None and not isinstance(element, Mapping | list | tuple):
                yield f"{path}[]", fitting(element, kinds.get(path))
        yield path, fitting(raw, kinds.get(path))


def fitting(raw: Any, kind: str | None) -> Value:
    """The value as the declared kind, or as what it looks like where it is not of that kind."""
    try:
        return value(raw, kind)
    except NotComparable:
        return value(raw)


def scalar(raw: Any, kind: str) -> float:
    """A scalar with unit in the kind's smallest unit. Raises NotComparable."""
    match = _SCALAR.fullmatch(raw) if isinstance(raw, str) else None
    factor = SCALARS[kind].get(match[2]) if match else None
    if match is None or factor is None:
        raise NotComparable(f"{raw!r} is not a {kind}; write a number and one of {', '.join(SCALARS[kind])}")
    return float(match[1]) * factor


def _guessed(raw: Any) -> Value:
    if isinstance(raw, bool | int | float):
        return _declared(raw, "boolean" if isinstance(raw, bool) else "number")
    text = str(raw)
    if text.lower() in ("true", "false"):
        return _declared(text, "boolean")
    if _NUMBER.fullmatch(text):
        return _declared(text, "number")
    if match := _SCALAR.fullmatch(text):
        for kind in SCALARS:
            if match[2] in SCALARS[kind]:
                return _declared(text, kind)
    return _declared(text, "string")


def _declared(raw: Any, kind: str) -> Value:
    text = str(raw).lower() if isinstance(raw, bool) else str(raw)
    return Value(kind, _READERS[kind](raw), text[:LONGEST])


def _number(raw: Any) -> float:
    if isinstance(raw, bool) or not (isinstance(raw, int | float) or _NUMBER.fullmatch(str(raw))):
        raise NotComparable(f"{raw!r} is not a number")
    return float(raw)


def _boolean(raw: Any) -> float:
    if str(raw).lower() not in ("true", "false"):
        raise NotComparable(f"{raw!r} is neither true nor false")
    return float(str(raw).lower() == "true")


def _version(raw: Any) -> float:
    match = _VERSION.fullmatch(str(raw))
    if isinstance(raw, bool) or not match:
        raise NotComparable(f"{raw!r} is not a version; write major.minor or major.minor.fix")
    major, minor, fix = (int(part or 0) for part in match.groups())
    return float(major * 10**10 + minor * 10**5 + fix)


_READERS = {
    "number": _number, "boolean": _boolean, "version": _version, "string": lambda raw: float(len(str(raw))),
    **{kind: (lambda raw, kind=kind: scalar(raw, kind)) for kind in SCALARS},
}  # fmt: skip
