"""Candidates for a requirement: which resources fulfil it, how well, and why the others do not."""

from __future__ import annotations

import datetime
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy.orm import Session

from cloudos.eden.db import now
from cloudos.eden.policy import visible
from cloudos.graffiti import conditions
from cloudos.graffiti.directory import names_of
from cloudos.graffiti.filters import PROPERTY, RESOURCE, Filter, Found
from cloudos.graffiti.models import Capability, Claim, Pool, ResourceTag
from cloudos.graffiti.types import Dictionary, Type, UnknownType
from cloudos.graffiti.values import Value, scalar

CAPABILITY = Capability.__table__
MOST_OPTIONS, MOST_REJECTED, SHOWN, ALL = 50, 30, 10, 2**31 - 1
_COLUMNS = [RESOURCE.c[name] for name in ("id", "name", "type", "pool_id", "region", "zone", "price", "health", "vanished_at", "seen_at",
                                          "capacity")]  # fmt: skip
# Policy -> what counts how much in a score.
WEIGHTS = {
    "cheapest": {"price": 0.7, "fit": 0.2, "fresh": 0.1}, "pack": {"fit": 0.7, "price": 0.2, "fresh": 0.1},
    "spread": {"fit": 0.4, "price": 0.3, "fresh": 0.3}, "balanced": {"fit": 0.4, "price": 0.4, "fresh": 0.2},
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """One requirement as it is asked of the directory. `types`: the capability type, or none; `resource_types` likewise."""

    id: str
    node: str
    count: int
    capability: Type | None
    resource_type: Type | None
    filter: Filter
    tags: tuple[str, ...]
    signature: str


@dataclass
class Candidate:
    """A resource that fulfils a requirement. because: what its score is made of, from 0 to 1; facts: numbers of the bound capability."""

    row: Any
    bound: str
    score: float
    because: dict[str, float]
    facts: dict[tuple[str, str], float]


@dataclass
class Match:
    """What was found for one requirement: candidates (at most 50, the best first) of `total`, and why others were rejected."""

    total: int
    candidates: list[Candidate]
    rejected: int
    reasons: list[dict[str, Any]] = field(default_factory=list)
    nearest: list[dict[str, Any]] = field(default_factory=list)


@lru_cache(1)
def needs() -> dict[str, Any]:
    """data/needs.yml."""
    return yaml.safe_load(resources.files("cloudos.graffiti").joinpath("data", "needs.yml").read_bytes())


def wanted(asked: Mapping[str, Any], dictionary: Dictionary) -> Wanted:
    """A requirement of a request, with its types known. Raises UnknownType, Unreadable."""
    filters, capability = [("/node_filter", asked.get("node_filter"))], asked.get("capability")
    if asked.get("requirement"):
        chain = dictionary.ancestry(dictionary.get(asked["requirement"], "requirement"))
        filters += [(f"{one.full}/node_filter", one.definition.get("node_filter")) for one in chain]
        capability = capability or next(one.definition["capability"] for one in chain if one.definition.get("capability"))
    if not capability and not asked.get("type"):
        raise UnknownType(f"requirement {asked['id']} names neither capability nor type; say what it needs")
    resource_type = dictionary.get(asked["type"], "resource") if asked.get("type") else None
    joint = conditions.Joint("and", tuple(conditions.read(body, pointer) for pointer, body in filters))
    signature = json.dumps(
        [capability, asked.get("type"), asked.get("requirement"), asked.get("node_filter"), asked.get("tags")], sort_keys=True
    )
    return Wanted(
        asked["id"], asked.get("node") or asked["id"], asked.get("count", 1), dictionary.get(capability) if capability else None,
        resource_type, Filter(joint, dictionary, [resource_type] if resource_type else []), tuple(asked.get("tags") or ()), signature,
    )  # fmt: skip


class Matcher:
    """Asks the directory for one caller; equal requirements are asked once."""

    def __init__(self, session: Session, context: Any, dictionary: Dictionary, policy: Mapping[str, Any], stale: datetime.timedelta):
        self._session, self._context, self._dictionary = session, context, dictionary
        self._weights = WEIGHTS[policy.get("prefer", "balanced")]
        self._stale = stale
        self._now = now()
        self.pools = {one.id: one for one in session.scalars(sa.select(Pool))}
        self._barred = self._bar(policy)
        self._residency = policy.get("residency") or {}
        self._seen: dict[str, Match] = {}

    def match(self, one: Wanted) -> Match:
        """Everything found for a requirement."""
        if one.signature not in self._seen:
            self._seen[one.signature] = self._match(one)
        return self._seen[one.signature]

    def _bar(self, policy: Mapping[str, Any]) -> dict[str, str]:
        """Pool -> why it must not be used: its state, or where it is."""
        residency, barred = policy.get("residency") or {}, {}
        only = policy.get("pools")
        for pool in self.pools.values():
            if pool.state != "active":
                barred[pool.id] = f"pool {pool.name} is {pool.state}"
            elif only and pool.id not in only and pool.name not in only:
                barred[pool.id] = f"pool {pool.name} is not among those asked for"
            elif residency.get("countries") and pool.country not in residency["countries"]:
                barred[pool.id] = (
                    f"pool {pool.name} is in {pool.country or 'a country that nobody named'}, not in {', '.join(residency['countries'])}"
                )
            elif residency.get("regions") and pool.region_id not in residency["regions"]:
                barred[pool.id] = f"pool {pool.name} is in region {pool.region_id}, not in {', '.join(residency['regions'])}"
        return barred

    def _match(self, one: Wanted) -> Match:
        base = self._base(one)
        tagged = [sa.exists().where(ResourceTag.resource_id == RESOURCE.c.id, ResourceTag.tag == tag) for tag in one.tags]
        good = sa.and_(self._usable(), one.filter.sql(), *tagged)
        rows = self._judged(base, good)
        fitting, others = ([row for row in rows if row.good == flag] for flag in (1, 0))
        values = self._values([*fitting, *others], one.filter.names | (_counted() if fitting else frozenset()), one.filter.keyed)
        totals = [group[0].total if group else 0 for group in (fitting, others)]
        found = Match(totals[0], self._candidates(one, fitting, values), totals[1])
        if others:
            self._explain(one, others, values, found)
        return found

    def _judged(self, base: list[sa.ColumnElement[bool]], good: sa.ColumnElement[bool]) -> Sequence[Any]:
        """The first of those that fit and of those that do not, cheapest first, each with how many there are of its sort."""
        flag = sa.case((good, 1), else_=0).label("good")
        # Only what sorting needs goes through it; the rest is fetched for the few that are kept. The limit has SQLite judge each once.
        judged = sa.select(RESOURCE.c.id, RESOURCE.c.price, RESOURCE.c.name, flag).where(*base).limit(ALL).subquery()
        order = (judged.c.price.is_(None), judged.c.price, judged.c.name, judged.c.id)
        total = sa.func.count().over(partition_by=judged.c.good).label("total")
        rank = sa.func.row_number().over(partition_by=judged.c.good, order_by=order).label("rank")
        counted = sa.select(judged.c.id, judged.c.good, total, rank).subquery()
        most = sa.case((counted.c.good == 1, MOST_OPTIONS), else_=MOST_REJECTED)
        statement = sa.select(*_COLUMNS, counted.c.good, counted.c.total).join(counted, counted.c.id == RESOURCE.c.id)
        return self._session.execute(statement.where(counted.c.rank <= most).order_by(counted.c.rank)).all()

    def _base(self, one: Wanted) -> list[sa.ColumnElement[bool]]:
        """What a requirement is about at all: resources that the caller sees, with the capability and of the type."""
        where = [visible(RESOURCE.c, self._context)]
        if one.capability:
            family = self._dictionary.derived(one.capability)
            where.append(RESOURCE.c.id.in_(sa.select(CAPABILITY.c.resource_id).where(CAPABILITY.c.type.in_(family))))
        if one.resource_type:
            where.append(RESOURCE.c.type.in_(names_of(one.resource_type, self._dictionary)))
        return where

    def _usable(self) -> sa.ColumnElement[bool]:
        where = [RESOURCE.c.vanished_at.is_(None), RESOURCE.c.health == "ok"]
        if self._barred:
            where.append(sa.or_(RESOURCE.c.pool_id.is_(None), RESOURCE.c.pool_id.not_in(sorted(self._barred))))
        # Nobody named the country of what belongs to no pool.
        if self._residency.get("countries"):
            where.append(RESOURCE.c.pool_id.is_not(None))
        if self._residency.get("regions"):
            where.append(sa.or_(RESOURCE.c.pool_id.is_not(None), RESOURCE.c.region.in_(self._residency["regions"])))
        return sa.and_(*where)

    def _values(self, rows: Sequence[Any], names: set[str], keyed: frozenset[str]) -> dict[str, list[Found]]:
        """By resource the values with these names, elements of lists included, and everything in the maps of `keyed`."""
        wanted_names = sorted({one for name in names for one in (name, f"{name}[]")})
        deep = [PROPERTY.c.name.startswith(f"{name}.", autoescape=True) for name in sorted(keyed)]
        columns = [PROPERTY.c[name] for name in ("resource_id", "capability", "type", "name", "kind", "number", "text")]
        statement = sa.select(*columns).where(
            PROPERTY.c.resource_id.in_([row.id for row in rows]), sa.or_(PROPERTY.c.name.in_(wanted_names), *deep)
        )
        found: dict[str, list[Found]] = defaultdict(list)
        for id_, capability, type_, name, kind, number, text in self._session.execute(statement) if wanted_names else ():
            found[id_].append((capability, type_, name, Value(kind, number, text)))
        return found

    def _candidates(self, one: Wanted, rows: Sequence[Any], values: Mapping[str, list[Found]]) -> list[Candidate]:
        bound = self._bound(one, rows)
        prices = [row.price for row in rows if row.price]
        lowest = min(prices) if prices else None
        found = []
        for row in rows:
            mine = values.get(row.id, [])
            because = {"fit": round(1 - one.filter.slack(mine), 4), "price": _price(row.price, lowest), "fresh": self._fresh(row)}
            score = round(sum(self._weights[name] * share for name, share in because.items()), 6)
            facts = {(type_, name): value.number for _, type_, name, value in mine if type_}
            found.append(Candidate(row, bound.get(row.id, ""), score, because, facts))
        return sorted(found, key=lambda each: (-each.score, each.row.price or 0, each.row.name, each.row.id))

    def _bound(self, one: Wanted, rows: Sequence[Any]) -> dict[str, str]:
        """The capability type that is bound of each resource: the wanted one itself, or else the nearest that derives from it."""
        if one.capability is None:
            return {}
        family = self._dictionary.derived(one.capability)
        if len(family) == 1:
            return dict.fromkeys((row.id for row in rows), family[0])
        depth = {full: len(self._dictionary.ancestry(self._dictionary.types["capability", full]))
                 for full in family}  # fmt: skip
        statement = sa.select(CAPABILITY.c.resource_id, CAPABILITY.c.type).where(
            CAPABILITY.c.resource_id.in_([row.id for row in rows]), CAPABILITY.c.type.in_(sorted(depth)))  # fmt: skip
        found: dict[str, str] = {}
        for id_, type_ in self._session.execute(statement):
            if id_ not in found or (depth[type_], type_) < (depth[found[id_]], found[id_]):
                found[id_] = type_
        return found

    def _fresh(self, row: Any) -> float:
        if row.pool_id is None:
            return 1.0
        age = (self._now - row.seen_at).total_seconds()
        return round(max(0.0, min(1.0, 1 - (age - self._stale.total_seconds()) / self._stale.total_seconds())), 4)

    def _explain(self, one: Wanted, rows: Sequence[Any], values: Mapping[str, list[Found]], found: Match) -> None:
        tags: dict[str, set[str]] = defaultdict(set)
        if one.tags:
            for tag in self._session.scalars(sa.select(ResourceTag).where(ResourceTag.resource_id.in_([row.id for row in rows]))):
                tags[tag.resource_id].add(tag.tag)
        judged = []
        for row in rows:
            reasons = [*self._unusable(row), *[f"has no tag {tag}" for tag in one.tags if tag not in tags[row.id]]]
            gists = [(reason, reason) for reason in reasons]
            gists += [(reason.text, f"{reason.property} not {reason.wanted}") for reason in one.filter.reasons(values.get(row.id, []))]
            judged.append((len(gists), row.name, row.id, row, gists))
        judged.sort(key=lambda each: each[:3])
        found.nearest = [{"resource": row.id, "name": row.name, "type": row.type, "pool": row.pool_id,
                          "reasons": [f"{_kind(row.type)} {row.name}: {text}" for text, _ in gists]}
                         for *_, row, gists in judged[:SHOWN]]  # fmt: skip
        counts = Counter(gist for *_, gists in judged for _, gist in gists)
        found.reasons = [
            {"reason": reason, "count": count} for reason, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
        ]

    def _unusable(self, row: Any) -> list[str]:
        reasons = []
        if row.vanished_at:
            reasons.append(f"has vanished since {row.vanished_at:%Y-%m-%d %H:%M} UTC")
        elif row.health != "ok":
            reasons.append(f"health is {row.health}, not ok")
        if row.pool_id in self._barred:
            reasons.append(self._barred[row.pool_id])
        if row.pool_id is None and self._residency.get("countries"):
            reasons.append("it belongs to no pool, so nobody named its country")
        elif row.pool_id is None and self._residency.get("regions") and row.region not in self._residency["regions"]:
            reasons.append(f"region is {row.region or 'not named'}, not one of {', '.join(self._residency['regions'])}")
        return reasons


def claimed(session: Session, moment: datetime.datetime) -> tuple[dict[str, Counter], Counter]:
    """What bindings hold: pool -> quota class -> amount, and resource -> uses."""
    alive = sa.or_(Claim.expires_at.is_(None), Claim.expires_at > moment)
    of = (Claim.pool_id, Claim.resource_id, Claim.of)
    statement = sa.select(*of, sa.func.sum(Claim.amount)).where(alive).group_by(*of)
    pools: dict[str, Counter] = defaultdict(Counter)
    held: Counter = Counter()
    for pool, resource, name, amount in session.execute(statement):
        if resource:
            held[resource] += amount
        else:
            pools[pool or ""][name] += amount
    return pools, held


def uses(bound: str, facts: Mapping[tuple[str, str], float], lineage: Sequence[str]) -> dict[str, float]:
    """What a choice takes of its pool's quota. lineage: the bound type and those it derives from, nearest first."""
    body = next((needs()["consumes"][full] for full in lineage if full in needs()["consumes"]), {})
    found = {}
    for name, use in body.items():
        if isinstance(use, dict):
            amount = facts.get((bound, use["property"]), 0.0)
            found[name] = amount / scalar(f"1 {use['unit']}", "size") if "unit" in use else amount
        else:
            found[name] = float(use)
    return found


@lru_cache(1)
def _counted() -> frozenset[str]:
    """The properties that quotas and pairs are about."""
    used = {use["property"] for body in needs()["consumes"].values() for use in body.values() if isinstance(use, dict)}
    return frozenset(used | {fact[1] for pair in needs()["pairs"] for fact in (pair["needs"], pair["has"])})


def _price(price: float | None, lowest: float | None) -> float:
    """Relative to the cheapest; a resource without a price is neither cheap nor dear."""
    if price is None or lowest is None:
        return 1.0 if price == 0 else 0.5
    return 1.0 if price == 0 else round(lowest / price, 4)


def _kind(type_: str) -> str:
    return type_.rpartition("::")[2].rpartition("/")[2].lower()
