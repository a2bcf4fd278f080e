"""The expression of a filter as SQL over the index of properties; `conditions.judge` gives the same answers in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa

from cloudos.graffiti.conditions import LENGTH, MANY, ORDER, TEXTS, Joint, Rejection, Test, Unreadable, argument, bounds, comparable, judge
from cloudos.graffiti.models import Property, Resource
from cloudos.graffiti.types import Dictionary, Type
from cloudos.graffiti.values import NotComparable, Value, value

# Tables and not their classes: of these SQLAlchemy makes a statement in half the time.
PROPERTY, RESOURCE = Property.__table__, Resource.__table__
Found = tuple[str, str, str, Value]  # capability, its type, name, value


class Filter:
    """An expression that knows the dictionary: which kinds each test compares, and which types a capability's name means.

    `resource_types`: those that the own properties are of; without them any. Raises Unreadable for an argument of a wrong kind.
    """

    def __init__(self, joint: Joint, dictionary: Dictionary, resource_types: Sequence[Type] = ()):
        self.joint, self._dictionary, self._resource_types = joint, dictionary, resource_types
        tests = list(joint.tests())
        named = {test.capability: dictionary.find(test.capability) for test in tests if test.capability}
        self._types = {name: one for name, one in named.items() if one}
        self._families = {name: frozenset(dictionary.derived(one)) for name, one in self._types.items()}
        self._kinds = {test: self._comparable(test) for test in tests}

    @property
    def names(self) -> set[str]:
        """The properties that are asked."""
        return {test.name for test in self.joint.tests()}

    @property
    def keyed(self) -> frozenset[str]:
        """The maps whose keys are asked."""
        return frozenset(test.name for test in self.joint.tests() if MANY.get(test.operator, ("", ""))[1] == "exists")

    def sql(self) -> sa.ColumnElement[bool]:
        """The condition on Resource."""
        return self._sql(self.joint)

    def reasons(self, found: Sequence[Found]) -> list[Rejection]:
        """Why the values of one resource do not fit; nothing when they do."""
        return list(self._reasons(self.joint, found))

    def slack(self, found: Sequence[Found]) -> float:
        """How much more there is than was asked for, from 0 (just enough) to 1 (much more), over all lower bounds."""
        shares = [share for test in self.joint.tests() if (share := self._slack(test, found)) is not None]
        return sum(shares) / len(shares) if shares else 0.0

    def _comparable(self, test: Test) -> list[str | None]:
        """The kinds that a test's argument can be read as, of those that the dictionary declares for its property."""
        good: dict[tuple[Value, ...], str | None] = {}
        wrong = []
        for kind in sorted(self._declared(test), key=str):
            try:
                good.setdefault(comparable(test, kind), kind)  # kinds that read it alike need one look only
            except NotComparable as error:
                wrong.append(str(error))
        if not good:
            raise Unreadable(test.pointer, f"{test.name}: {'; '.join(wrong)}")
        return list(good.values())

    def _declared(self, test: Test) -> set[str | None]:
        base = test.name.split(".")[0]
        if test.capability in self._types:
            return {self._dictionary.kinds(self._types[test.capability]).get(base)}
        if test.capability is None and self._resource_types:
            return {self._dictionary.kinds(one).get(base) for one in self._resource_types}
        return {*self._dictionary.kinds_of(base, "capability" if test.capability else "resource"), None}

    def _sql(self, part: Test | Joint) -> sa.ColumnElement[bool]:
        if isinstance(part, Test):
            return sa.or_(*[self._exists(part, kind) for kind in self._kinds[part]])
        parts = [self._sql(one) for one in part.parts]
        if part.kind == "not":
            return sa.not_(parts[0])
        if part.kind == "xor":
            return _odd(parts)
        return sa.and_(sa.true(), *parts) if part.kind == "and" else sa.or_(sa.false(), *parts)

    def _exists(self, test: Test, kind: str | None) -> sa.ColumnElement[bool]:
        if test.operator in MANY:
            every = MANY[test.operator][0]
            if not every and len({part.name for part in test.parts}) == 1:  # one look at the property is enough
                same = [_COMPARE[part.operator](part, kind) for part in test.parts]
                return self._row(test.capability, test.parts[0].name, sa.or_(sa.false(), *same))
            parts = [self._exists(part, kind) for part in test.parts]
            return sa.and_(sa.true(), *parts) if every else sa.or_(sa.false(), *parts)
        held = [self._row(test.capability, test.name, _COMPARE[test.operator](test, kind))]
        if test.operator == "contains":
            held.append(self._row(test.capability, f"{test.name}[]", PROPERTY.c.text == str(test.argument)))
        return sa.or_(*held)

    def _row(self, capability: str | None, name: str, comparison: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        here = [PROPERTY.c.resource_id == RESOURCE.c.id, PROPERTY.c.name == name, self._of(capability), comparison]
        return sa.exists(sa.select(sa.literal(1)).select_from(PROPERTY).where(*here).correlate(RESOURCE))

    def _of(self, capability: str | None) -> sa.ColumnElement[bool]:
        if capability is None:
            return PROPERTY.c.capability == ""
        family = self._families.get(capability)
        by_name = PROPERTY.c.capability == capability
        return sa.or_(by_name, PROPERTY.c.type.in_(sorted(family))) if family else by_name

    def _reasons(self, part: Test | Joint, found: Sequence[Found]) -> Iterator[Rejection]:
        if isinstance(part, Test):
            yield from self._tested(part, found)
            return
        reasons = [list(self._reasons(one, found)) for one in part.parts]
        good = sum(not one for one in reasons)
        if part.kind == "and":
            yield from (reason for one in reasons for reason in one)
        elif part.kind == "not" and good:
            yield _joint(part, "is what is excluded: " + _said(part.parts[0]))
        elif part.kind == "or" and not good:
            yield _joint(part, "none of these holds: " + "; ".join(reason.text for one in reasons for reason in one[:1]))
        elif part.kind == "xor" and good % 2 == 0:
            yield _joint(part, f"{good} of {len(reasons)} exclusive conditions hold: {_said(part)}")

    def _tested(self, test: Test, found: Sequence[Found]) -> Iterator[Rejection]:
        pairs = [(name, one) for capability, type_, name, one in found if self._about(test, capability, type_)]
        if judge(test, pairs, self._kinds[test]):
            return
        here = [one for name, one in pairs if name in (test.name, f"{test.name}[]") and one.kind not in ("list", "map")]
        label = _label(test)
        shown = ", ".join(one.text for one in here[:5]) or None
        text = f"{label} {_against(shown, test)}" if shown else f"has no {label}, wanted {test}"
        yield Rejection(label, shown, str(test), text)

    def _about(self, test: Test, capability: str, type_: str) -> bool:
        if test.capability is None:
            return capability == ""
        return capability != "" and (capability == test.capability or type_ in self._families.get(test.capability, ()))

    def _slack(self, test: Test, found: Sequence[Found]) -> float | None:
        if test.operator not in ("greater_or_equal", "greater_than"):
            return None
        wanted = argument(test.argument, self._kinds[test][0])
        about = [one for capability, type_, name, one in found if name == test.name and self._about(test, capability, type_)]
        here = [one.number for one in about if one.kind == wanted.kind]
        if not here or wanted.kind == "string":
            return None
        return 1 - wanted.number / max(here) if max(here) > wanted.number > 0 else 0.0


_OPPOSITE = {"equal": "is not", "greater_than": "<=", "greater_or_equal": "<", "less_than": ">=", "less_or_equal": ">"}


def _against(shown: str, test: Test) -> str:
    """`512 MB < 2 GB wanted`: what is there against what was wanted."""
    if test.operator in _OPPOSITE:
        return f"{shown} {_OPPOSITE[test.operator]} {test.argument} wanted"
    return f"{shown} is not {test} as wanted"


def _label(test: Test) -> str:
    return f"{test.capability}.{test.name}" if test.capability else test.name


def _joint(part: Joint, text: str) -> Rejection:
    names = sorted({_label(test) for test in part.tests()})
    return Rejection(", ".join(names), None, _said(part), text)


def _said(part: Test | Joint) -> str:
    if isinstance(part, Test):
        return f"{_label(part)} {part}"
    return f"{part.kind}(" + ", ".join(map(_said, part.parts)) + ")"


def _odd(parts: Sequence[sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    """An exclusive or of many holds when an odd number of them does."""
    count = sa.literal(0)
    for part in parts:
        count = count + sa.case((part, 1), else_=0)
    return count % 2 == 1


def _equal(test: Test, kind: str | None) -> sa.ColumnElement[bool]:
    wanted = value(test.argument, kind)
    column, same = (PROPERTY.c.text, wanted.text) if wanted.kind == "string" else (PROPERTY.c.number, wanted.number)
    return sa.and_(PROPERTY.c.kind == wanted.kind, column == same)


def _beyond(wanted: Value, sign: str) -> sa.ColumnElement[bool]:
    column, limit = (PROPERTY.c.text, wanted.text) if wanted.kind == "string" else (PROPERTY.c.number, wanted.number)
    return sa.and_(PROPERTY.c.kind == wanted.kind, column.op(sign, is_comparison=True)(limit))


def _in_range(test: Test, kind: str | None) -> sa.ColumnElement[bool]:
    low, high = bounds(*test.argument, kind)
    return sa.and_(sa.true(), *[_beyond(end, sign) for end, sign in ((low, ">="), (high, "<=")) if end is not None])


def _length(test: Test, _kind: str | None) -> sa.ColumnElement[bool]:
    sign = {"length": "=", "min_length": ">=", "max_length": "<="}[test.operator]
    return sa.and_(PROPERTY.c.kind.in_(("string", "list", "map")), PROPERTY.c.number.op(sign, is_comparison=True)(test.argument))


def _text(test: Test, _kind: str | None) -> sa.ColumnElement[bool]:
    """Without LIKE, which does not tell cases apart on SQLite."""
    text = str(test.argument)
    shapes = {
        "pattern": lambda: PROPERTY.c.text.regexp_match(f"^(?:{text})$"), "contains": lambda: sa.func.instr(PROPERTY.c.text, text) > 0,
        "has_prefix": lambda: sa.func.substr(PROPERTY.c.text, 1, len(text)) == text,
        "has_suffix": lambda: sa.func.substr(PROPERTY.c.text, -len(text)) == text if text else sa.true(),
    }  # fmt: skip
    return sa.and_(PROPERTY.c.kind.not_in(("list", "map")), shapes[test.operator]())


_COMPARE: dict[str, Callable[[Test, str | None], sa.ColumnElement[bool]]] = {
    "equal": _equal, "in_range": _in_range, "exists": lambda _test, _kind: sa.true(), **dict.fromkeys(LENGTH, _length),
    **dict.fromkeys(TEXTS, _text),
    **{name: (lambda test, kind, sign=sign: _beyond(value(test.argument, kind), sign)) for name, sign in ORDER.items()},
}  # fmt: skip
