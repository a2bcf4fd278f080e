"""TOSCA's node_filter as an expression: read from the forms of 1.x and 2.0, judged on one resource with the reason of each failure.

`filters.py` compiles the same expression to SQL; a test holds both to the same answer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from cloudos.graffiti.values import NotComparable, Value, value
from cloudos.tosca import patterns

ORDER = {"greater_than": ">", "greater_or_equal": ">=", "less_than": "<", "less_or_equal": "<="}
LENGTH = {"length": "==", "min_length": ">=", "max_length": "<="}
LISTS = ("valid_values", "in_range", "has_all_entries", "has_any_entry", "has_all_keys", "has_any_key")
OPERATORS = ("equal", *ORDER, *LENGTH, *LISTS, "pattern", "has_prefix", "has_suffix", "contains", "has_entry", "has_key")
SYNONYMS = {"matches": "pattern", "has_entries": "has_all_entries", "has_keys": "has_all_keys"}
JOINTS = ("and", "or", "not", "xor")
WORDS = {"equal": "=", **ORDER, **{name: f"length {sign}" for name, sign in LENGTH.items()}, "valid_values": "one of", "in_range": "in",
         "pattern": "matching"}  # fmt: skip
LONGEST_PATTERN, DEEPEST, MOST = 256, 20, 200
PARTS = {"properties", "capabilities"}  # of a node_filter of 1.x


class Unreadable(ValueError):
    """A filter that is not TOSCA's: `pointer` is the place in it (JSON pointer), the text what to write instead."""

    def __init__(self, pointer: str, message: str):
        self.pointer = pointer or "/"
        super().__init__(message)


@dataclass(frozen=True, eq=False)
class Test:
    """One comparison. `capability` is the name or type of a capability, None for the resource's own properties; `name` a dotted path."""

    capability: str | None
    name: str
    operator: str
    argument: Any
    pointer: str = ""

    @cached_property
    def parts(self) -> tuple[Test, ...]:
        """Of an operator of several values: the test of each."""
        _, single, suffix = MANY[self.operator]
        arguments = self.argument if isinstance(self.argument, tuple) else (self.argument,)
        return tuple(Test(self.capability, self.name + (suffix % one if "%" in suffix else suffix), single, one) for one in arguments)

    def __str__(self) -> str:
        return f"{WORDS.get(self.operator, self.operator)} {words(self.argument)}"


@dataclass(frozen=True)
class Joint:
    """Tests and joints together: `kind` is and, or, not (one part) or xor."""

    kind: str
    parts: tuple[Test | Joint, ...]

    def tests(self) -> Iterator[Test]:
        """Every test in it."""
        for part in self.parts:
            yield from part.tests() if isinstance(part, Joint) else (part,)


@dataclass(frozen=True)
class Rejection:
    """Why a test failed: the property, what was found (None: nothing), what was wanted, and one sentence."""

    property: str
    found: str | None
    wanted: str
    text: str


def read(filter_: Any, pointer: str = "") -> Joint:
    """The expression of a node_filter; None and {} accept everything. Raises Unreadable."""
    joint = Joint("and", tuple(_filter(filter_, pointer)))
    if len(list(joint.tests())) > MOST:
        raise Unreadable(pointer, f"a filter has at most {MOST} conditions; split the requirement")
    return joint


def _filter(filter_: Any, pointer: str) -> Iterator[Test | Joint]:
    if not filter_:
        return
    if isinstance(filter_, Mapping) and set(filter_) <= PARTS:
        yield from _properties(filter_.get("properties"), None, f"{pointer}/properties")
        for name, body, place in _items(filter_.get("capabilities"), f"{pointer}/capabilities"):
            if not isinstance(body, Mapping) or set(body) - {"properties"}:
                raise Unreadable(place, "a capability's filter is a mapping with the key properties")
            yield from _properties(body.get("properties"), name, f"{place}/properties")
        return
    yield _clause(filter_, None, pointer, 0)


def _items(entries: Any, pointer: str) -> Iterator[tuple[str, Any, str]]:
    """(name, body, pointer) of a map, or of a list of maps, as the examples of the standard have both."""
    if entries is None:
        return
    if isinstance(entries, Mapping):
        yield from ((str(name), body, f"{pointer}/{name}") for name, body in entries.items())
        return
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise Unreadable(pointer, "write a map, or a list of maps with one name each")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise Unreadable(f"{pointer}/{index}", "each element is a map: name -> conditions")
        yield from ((str(name), body, f"{pointer}/{index}/{name}") for name, body in entry.items())


def _properties(entries: Any, capability: str | None, pointer: str) -> Iterator[Test | Joint]:
    for name, body, place in _items(entries, pointer):
        clauses = body if isinstance(body, list) and all(isinstance(one, Mapping) for one in body) and body else [body]
        for index, clause in enumerate(clauses):
            yield _clause(clause, (capability, name), f"{place}/{index}" if clauses is body else place, 0)


def _clause(clause: Any, subject: tuple[str | None, str] | None, pointer: str, depth: int) -> Test | Joint:
    """One condition: {operator: argument}, a joint of such, or a plain value that means equal."""
    if depth > DEEPEST:
        raise Unreadable(pointer, f"conditions nest at most {DEEPEST} deep")
    if not isinstance(clause, Mapping):
        if subject is None:
            raise Unreadable(pointer, "write {operator: argument}")
        return _test(subject, "equal", clause, pointer)
    if subject is None and clause and set(clause) <= PARTS:  # a type's filter of 1.x and that of its heir, joined
        return Joint("and", tuple(_filter(clause, pointer)))
    if len(clause) != 1:
        raise Unreadable(pointer, f"one operator to a condition, not {len(clause)}; write a list of conditions")
    ((key, argument),) = clause.items()
    operator = str(key).removeprefix("$")
    operator = SYNONYMS.get(operator, operator)
    place = f"{pointer}/{key}"
    if operator in JOINTS:
        parts = argument if isinstance(argument, list) else [argument]
        return _joint(operator, [_clause(part, subject, f"{place}/{index}", depth + 1) for index, part in enumerate(parts)], place)
    if operator not in OPERATORS:
        raise Unreadable(place, f"{key} is not an operator; there are {', '.join((*OPERATORS, *JOINTS))}")
    if str(key).startswith("$") and isinstance(argument, list) and argument and _path(argument[0]) is not None:
        return _function(operator, argument, subject, place)
    if subject is None:
        raise Unreadable(place, "say of which property: {$get_property: [SELF, name]} as the first argument")
    return _test(subject, operator, argument, place)


def _joint(kind: str, parts: list[Test | Joint], pointer: str) -> Joint:
    if not parts or (kind == "not" and len(parts) != 1):
        raise Unreadable(pointer, "not takes one condition; and, or, xor take a list of them")
    return Joint(kind, tuple(parts))


def _path(expression: Any) -> list | str | None:
    """The path of {$get_property: [...]}; `$value` is the property that the condition is about."""
    if expression == "$value" or (isinstance(expression, Mapping) and list(expression) == ["$value"]):
        return "$value"
    if isinstance(expression, Mapping) and len(expression) == 1:
        ((name, path),) = expression.items()
        if name in ("$get_property", "get_property") and isinstance(path, list):
            return path
    return None


def _function(operator: str, arguments: list, subject: tuple[str | None, str] | None, pointer: str) -> Test:
    """2.0: {$operator: [{$get_property: [SELF, CAPABILITY, host, mem_size]}, 2 GB]}; of several values, a list."""
    path, rest = _path(arguments[0]), arguments[1:]
    if path == "$value":
        if subject is None:
            raise Unreadable(pointer, "$value means the property of a condition; here there is none")
    else:
        subject = _subject(path, pointer)
    if len(rest) != 1 and operator not in LISTS:
        raise Unreadable(pointer, f"{operator} compares with one value, not with {len(rest)}")
    if any(_path(one) is not None for one in rest):
        raise Unreadable(pointer, "a property is compared with values, not with another property")
    flat = operator in LISTS and not (len(rest) == 1 and isinstance(rest[0], list))
    return _test(subject, operator, rest if flat else rest[0], pointer)


def _subject(path: list, pointer: str) -> tuple[str | None, str]:
    words_ = [str(word) for word in path]
    if len(words_) > 3 and words_[:2] == ["SELF", "CAPABILITY"]:
        return words_[2], ".".join(words_[3:])
    if len(words_) > 1 and words_[0] == "SELF" and words_[1] not in ("CAPABILITY", "RELATIONSHIP"):
        return None, ".".join(words_[1:])
    raise Unreadable(pointer, "a filter asks [SELF, property] or [SELF, CAPABILITY, capability, property]")


def _test(subject: tuple[str | None, str], operator: str, argument: Any, pointer: str) -> Test:
    _shape(operator, argument, pointer)
    return Test(subject[0], subject[1], operator, tuple(argument) if isinstance(argument, list) else argument, pointer)


def _shape(operator: str, argument: Any, pointer: str) -> None:
    if isinstance(argument, Mapping) or argument is None:
        raise Unreadable(pointer, f"{operator} takes values; functions are evaluated before a filter is asked")
    if (operator in LISTS) != isinstance(argument, list):
        raise Unreadable(pointer, f"{operator} takes {'a list' if operator in LISTS else 'one value'}")
    if any(isinstance(one, Mapping | list) or one is None for one in (argument if isinstance(argument, list) else ())):
        raise Unreadable(pointer, f"{operator} takes a list of values")
    if operator == "in_range" and len(argument) != 2:
        raise Unreadable(pointer, "in_range takes [lowest, highest]; UNBOUNDED is no limit")
    if operator in LENGTH and (isinstance(argument, bool) or not isinstance(argument, int)):
        raise Unreadable(pointer, f"{operator} takes a whole number")
    if operator == "pattern":
        _pattern(argument, pointer)


def _pattern(pattern: Any, pointer: str) -> None:
    """A pattern, which must match the whole text. Raises Unreadable."""
    if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN:
        raise Unreadable(pointer, f"a pattern is a text of at most {LONGEST_PATTERN} characters")
    try:
        patterns.compiled(pattern)
    except patterns.BadPattern as error:
        raise Unreadable(pointer, str(error)) from error


# An argument is compared with many values; True and 1 are not the same.
argument = lru_cache(4096, typed=True)(value)


@lru_cache(4096, typed=True)
def bounds(low: Any, high: Any, kind: str | None) -> tuple[Value | None, Value | None]:
    """The two ends of in_range; None is UNBOUNDED. Raises NotComparable."""
    return tuple(None if str(end).upper() == "UNBOUNDED" else value(end, kind) for end in (low, high))


def judge(test: Test, found: Sequence[tuple[str, Value]], kinds: Sequence[str | None]) -> bool:
    """Whether a test holds for `found`, (name, Value) of properties; `kinds`: what its argument may be read as, each comparable."""
    return any(_judged(test, found, kind) for kind in kinds)


def _judged(test: Test, found: Sequence[tuple[str, Value]], kind: str | None) -> bool:
    if test.operator in MANY:
        every = MANY[test.operator][0]
        return (all if every else any)(_judged(part, found, kind) for part in test.parts)
    here = [one for name, one in found if name == test.name]
    if test.operator == "contains" and any(name == f"{test.name}[]" and one.text == str(test.argument) for name, one in found):
        return True
    return any(_holds(test, one, kind) for one in here)


def _holds(test: Test, one: Value, kind: str | None) -> bool:
    if test.operator == "exists":
        return True
    if test.operator in LENGTH:
        return one.kind in ("string", "list", "map") and LENGTHS[test.operator](one.number, test.argument)
    if test.operator in TEXTS:
        return one.kind not in ("list", "map") and TEXTS[test.operator](one.text, str(test.argument))
    if test.operator == "in_range":
        low, high = bounds(*test.argument, kind)
        return (low is None or _compared(one, low, ">=")) and (high is None or _compared(one, high, "<="))
    wanted = argument(test.argument, kind)
    return one.same(wanted) if test.operator == "equal" else _compared(one, wanted, ORDER[test.operator])


def _compared(one: Value, other: Value, sign: str) -> bool:
    if not one.ordered(other):
        return False
    left, right = (one.text, other.text) if one.kind == "string" else (one.number, other.number)
    return SIGNS[sign](left, right)


def comparable(test: Test, kind: str | None) -> tuple[Value, ...]:
    """The argument read as a kind, as far as the operator compares values. Raises NotComparable."""
    if test.operator not in ("equal", *ORDER, "in_range") and MANY.get(test.operator, ("", ""))[1] != "equal":
        return ()
    arguments = test.argument if isinstance(test.argument, tuple) else (test.argument,)
    found = tuple(argument(one, kind) for one in arguments if test.operator != "in_range" or str(one).upper() != "UNBOUNDED")
    if test.operator in (*ORDER, "in_range") and any(one.kind == "boolean" for one in found):
        raise NotComparable(f"{found[0].text} is true or false: {test.operator} means nothing there")
    return found


def _matching(text: str, pattern: str) -> bool:
    try:
        return patterns.matches(text, pattern, whole=True)
    except patterns.BadPattern as error:
        raise NotComparable(str(error)) from error


# Operators of several values: whether all must hold, the operator of each, and what of the property it is about.
MANY = {
    "valid_values": (False, "equal", ""), "has_any_entry": (False, "equal", "[]"), "has_all_entries": (True, "equal", "[]"),
    "has_entry": (True, "equal", "[]"), "has_key": (True, "exists", ".%s"), "has_all_keys": (True, "exists", ".%s"),
    "has_any_key": (False, "exists", ".%s"),
}  # fmt: skip
SIGNS: dict[str, Callable[[Any, Any], bool]] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
LENGTHS = {"length": operator.eq, "min_length": operator.ge, "max_length": operator.le}
TEXTS: dict[str, Callable[[str, str], bool]] = {
    "pattern": _matching,
    "has_prefix": str.startswith, "has_suffix": str.endswith, "contains": lambda text, part: part in text,
}  # fmt: skip


def words(argument: Any) -> str:
    """A value as it stands in a sentence."""
    if isinstance(argument, tuple | list):
        return "[" + ", ".join(map(words, argument)) + "]"
    return str(argument).lower() if isinstance(argument, bool) else str(argument)
