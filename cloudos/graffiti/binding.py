"""Binding: requirements in, one choice out, reserved for a while; and whether what was bound is what is there."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudos.eden import turns
from cloudos.eden.db import now, shown
from cloudos.graffiti import joint, matching
from cloudos.graffiti.joint import Choice, Impossible, Item, Option, Pair, Rule
from cloudos.graffiti.matching import Candidate, Match, Matcher, Wanted
from cloudos.graffiti.models import Binding, Claim, Pool, Resource
from cloudos.graffiti.types import Dictionary

SHOWN = 10
DEFAULT = "default"  # what profiles call the first of their pools


@dataclass
class Outcome:
    """What matching gave: per requirement its Match, the Choice or why there is none."""

    wanted: list[Wanted]
    matches: dict[str, Match]
    choice: Choice | None
    impossible: Impossible | None
    pools: Mapping[str, Pool]

    def shown(self, explain: bool) -> dict[str, Any]:
        """As JSON has it; `explain` adds candidates and rejections."""
        body: dict[str, Any] = {"bound": self.choice is not None, "requirements": [self._requirement(one, explain) for one in self.wanted]}
        if self.impossible:
            body |= {"reasons": self.impossible.reasons, "proven": self.impossible.proven}
        if self.choice:
            body["uses"] = {pool: dict(found) for pool, found in sorted(self.choice.uses.items())}
            priced = [(self.choice.chosen[one.id].price, one.count) for one in self.wanted]
            body["price"] = round(sum(price * count for price, count in priced if price is not None), 6)
            body["unpriced"] = sum(price is None for price, _ in priced)
        return body

    def _requirement(self, one: Wanted, explain: bool) -> dict[str, Any]:
        match = self.matches[one.id]
        body: dict[str, Any] = {"id": one.id, "node": one.node, "count": one.count, "matched": match.total, "rejected": match.rejected}
        if self.choice:
            chosen = self.choice.chosen[one.id]
            body["chosen"] = self._candidate(next(each for each in match.candidates if each.row.id == chosen.resource))
        if explain or not match.candidates:
            body["candidates"] = [self._candidate(each) for each in match.candidates[:SHOWN]]
            body |= {"reasons": match.reasons, "nearest": match.nearest}
            if not match.total and not match.rejected:
                what = " of ".join(filter(None, (one.capability and f"capability {one.capability.full}",
                                                 one.resource_type and f"type {one.resource_type.full}")))  # fmt: skip
                body["reasons"] = [
                    {"reason": f"you see no resource with {what}; register a pool and discover it, or publish one", "count": 0}
                ]
        return body

    def _candidate(self, one: Candidate) -> dict[str, Any]:
        pool = self.pools.get(one.row.pool_id)
        return {"resource": one.row.id, "name": one.row.name, "type": one.row.type, "pool": one.row.pool_id,
                "pool_name": pool.name if pool else None, "region": one.row.region, "zone": one.row.zone, "price": one.row.price,
                "score": one.score, "because": one.because}  # fmt: skip


class Binder:
    """Matches and binds for one caller. Raises UnknownType and Unreadable for requirements that mean nothing."""

    def __init__(self, session: Session, context: Any, dictionary: Dictionary, stale: datetime.timedelta):
        self._session, self._context, self._dictionary, self._stale = session, context, dictionary, stale

    def match(self, request: Mapping[str, Any]) -> Outcome:
        """Match all requirements and choose; nothing is written."""
        policy = request.get("policy") or {}
        matcher = Matcher(self._session, self._context, self._dictionary, policy, self._stale)
        wanted = [matching.wanted(one, self._dictionary) for one in request["requirements"]]
        matches = {one.id: matcher.match(one) for one in wanted}
        pools, held = matching.claimed(self._session, now())
        items = [self._item(one, matches[one.id], held) for one in wanted]
        left = {id_: _left(pool, pools.get(id_, {})) for id_, pool in matcher.pools.items()}
        try:
            choice = joint.choose(items, rules(request, wanted), left, policy.get("prefer", "balanced"), _pairs())
        except Impossible as error:
            if cut := sorted(id_ for id_, match in matches.items() if match.total > len(match.candidates)):
                error.proven = False
                error.reasons.append(f"of {', '.join(cut)} only the {matching.MOST_OPTIONS} cheapest that fit took part")
            return Outcome(wanted, matches, None, error, matcher.pools)
        return Outcome(wanted, matches, choice, None, matcher.pools)

    def reserve(self, request: Mapping[str, Any], owner: Mapping[str, Any], seconds: int) -> tuple[Outcome, Binding | None]:
        """Match, choose, and claim what was chosen until it is committed, released or `seconds` are over."""
        # Two never take the same last piece.
        turns.take(self._session, Claim.TURN)
        outcome = self.match(request)
        if outcome.choice is None:
            return outcome, None
        ends = now() + datetime.timedelta(seconds=seconds)
        chosen = {one.id: self._kept(one, outcome) for one in outcome.wanted}
        binding = Binding(name=request.get("name") or "binding", request=dict(request), chosen=chosen, expires_at=ends,
                          scope=request.get("scope", "private-project"), **owner)  # fmt: skip
        binding.claims = list(_claims(outcome, ends))
        self._session.add(binding)
        self._session.flush()
        return outcome, binding

    def _item(self, one: Wanted, match: Match, held: Mapping[str, float]) -> Item:
        options = [self._option(each, held) for each in match.candidates]
        return Item(one.id, one.node, one.count, tuple(options))

    def _option(self, one: Candidate, held: Mapping[str, float]) -> Option:
        bound = self._dictionary.types.get(("capability", one.bound))
        lineage = [above.full for above in self._dictionary.ancestry(bound)] if bound else []
        capacity = (one.row.capacity or {}).get("uses")
        return Option(
            one.row.id,
            one.row.pool_id,
            one.row.region,
            one.row.zone,
            one.score,
            one.row.price,
            matching.uses(one.bound, one.facts, lineage),
            None if capacity is None else capacity - held.get(one.row.id, 0),
            one.facts,
        )

    def _kept(self, one: Wanted, outcome: Outcome) -> dict[str, Any]:
        """What is remembered of a choice, for the profile and to verify it later."""
        option = outcome.choice.chosen[one.id]
        resource = self._session.get(Resource, option.resource)
        pool = outcome.pools.get(option.pool or "")
        return {"node": one.node, "count": one.count, "resource": resource.id, "native_id": resource.native_id, "name": resource.name,
                "type": resource.type, "pool": resource.pool_id, "pool_name": pool.name if pool else None, "region": resource.region,
                "zone": resource.zone, "digest": resource.digest, "properties": resource.properties, "score": option.score}  # fmt: skip


def rules(request: Mapping[str, Any], wanted: Sequence[Wanted]) -> list[Rule]:
    """The request's own rules, whose members are requirements or nodes; and one pool for all, or for each node if `span` is any."""
    by_node: dict[str, list[str]] = {}
    for one in wanted:
        by_node.setdefault(one.node, []).append(one.id)
    found = [Rule("same", "pool", tuple(ids)) for _, ids in sorted(by_node.items())]
    if (request.get("policy") or {}).get("span", "one") == "one":
        found = [Rule("same", "pool", tuple(one.id for one in wanted))]
    for body in request.get("rules") or ():
        members = {id_: member for member in body["members"] for id_ in by_node.get(member, [member])}
        found.append(Rule(body["kind"], body["of"], tuple(members), members))
    return found


def unknown_members(request: Mapping[str, Any]) -> list[str]:
    """Members of rules that are neither a requirement nor a node; and requirements that are there twice."""
    ids = [one["id"] for one in request["requirements"]]
    known = {*ids, *(one.get("node") for one in request["requirements"])}
    wrong = [f"rule for {member}: no requirement and no node is called so" for body in request.get("rules") or ()
             for member in body["members"] if member not in known]  # fmt: skip
    return wrong + [f"requirement {one} is there twice" for one in sorted({one for one in ids if ids.count(one) > 1})]


def alive(binding: Binding) -> str:
    """The state of a binding as of now; a reservation that nobody committed in time is expired."""
    if binding.state == "reserved" and binding.expires_at and binding.expires_at <= now():
        return "expired"
    return binding.state


def held() -> sa.ColumnElement[bool]:
    """The same as SQL: bindings that are committed, or reserved and not expired."""
    return sa.or_(Binding.state == "committed", sa.and_(Binding.state == "reserved", Binding.expires_at > now()))


def bound_by(session: Session, resource: Resource) -> list[Binding]:
    """The bindings that hold a resource now, by name."""
    named = sa.select(Binding).where(held(), sa.cast(Binding.chosen, sa.Text).contains(resource.id)).order_by(Binding.name, Binding.id)
    return [one for one in session.scalars(named) if any(chosen["resource"] == resource.id for chosen in one.chosen.values())]


def purge(session: Session, days: int) -> int:
    """Forget bindings that ended, released or expired, so many days ago; returns how many. What is committed stays."""
    # Of what was bound again while it was committed, older databases know no end.
    ended = sa.func.coalesce(Binding.expires_at, Binding.created_at) < now() - datetime.timedelta(days=days)
    return session.execute(sa.delete(Binding).where(Binding.state != "committed", ended)).rowcount


def profile(binding: Binding) -> dict[str, Any]:
    """The binding as a profile for Focus: `pools`, `placement` of nodes, `choices`: node -> requirement -> what was chosen for it, and the
    `substitutions` that it was asked for with.

    A template stays untouched by it.
    """
    pools: dict[str, str] = {}
    placement: dict[str, str] = {}
    choices: dict[str, dict[str, Any]] = {}
    for id_, one in sorted(binding.chosen.items()):
        node = one["node"]
        where = {key: one[key] for key in ("region", "zone") if one[key]}
        choices.setdefault(node, {})[id_.removeprefix(f"{node}.")] = {
            "resource": one["resource"], "type": one["type"], "id": one["native_id"], "name": one["name"], "count": one["count"], **where,
        }  # fmt: skip
        if one["pool"]:  # what was published by hand belongs to none
            placement[node] = pools.setdefault(one["pool"], f"{DEFAULT}-{len(pools) + 1}" if pools else DEFAULT)
    request = binding.request
    about = dict(request.get("template") or {})
    substituted = {"substitutions": found} if (found := about.pop("substitutions", None)) else {}
    template = {"template": about} if "template" in request else {}
    return {"kind": "resource_pool_binding", "name": binding.name, "binding": binding.id, **template, "policy": request.get("policy") or {},
            "expires_at": shown(binding.expires_at) if binding.state == "reserved" else None,
            "pools": {name: {"pool": id_} for id_, name in pools.items()}, "placement": placement, "choices": choices,
            **substituted}  # fmt: skip


def drift(binding: Binding, session: Session) -> list[dict[str, Any]]:
    """What differs between what was bound and what the directory knows now: {requirement, resource, what, bound, found}."""
    found = []
    for id_, one in sorted(binding.chosen.items()):
        found += [
            {"requirement": id_, "resource": one["resource"], **body} for body in _differs(one, session.get(Resource, one["resource"]))
        ]
    return found


def _differs(bound: Mapping[str, Any], resource: Resource | None) -> list[dict[str, Any]]:
    if resource is None or resource.vanished_at:
        since = shown(resource.vanished_at) if resource else None
        return [{"what": "gone", "bound": bound["name"], "found": None, "since": since}]
    changes = []
    if resource.health != "ok":
        changes.append({"what": "health", "bound": "ok", "found": resource.health})
    changes += [{"what": name, "bound": bound[name], "found": getattr(resource, name)}
                for name in ("name", "region", "zone") if bound[name] != getattr(resource, name)]  # fmt: skip
    before, after = bound["properties"], resource.properties
    changes += [{"what": f"properties.{name}", "bound": before.get(name), "found": after.get(name)}
                for name in sorted({*before, *after}) if before.get(name) != after.get(name)]  # fmt: skip
    return changes


def _left(pool: Pool, claims: Mapping[str, float]) -> dict[str, float]:
    return {name: body["limit"] - body["used"] - claims.get(name, 0) for name, body in pool.quota.items() if body["limit"] >= 0}


def _pairs() -> list[Pair]:
    return [Pair(tuple(body["needs"]), tuple(body["has"]), body.get("free", False)) for body in matching.needs()["pairs"]]


def _claims(outcome: Outcome, ends: datetime.datetime) -> list[Claim]:
    found = [Claim(pool_id=pool or None, of=name, amount=amount, expires_at=ends)
             for pool, classes in outcome.choice.uses.items() for name, amount in classes.items() if amount and pool]  # fmt: skip
    for one in outcome.wanted:
        option = outcome.choice.chosen[one.id]
        if option.capacity is not None:
            found.append(Claim(resource_id=option.resource, pool_id=option.pool, of="uses", amount=one.count, expires_at=ends))
    return found
