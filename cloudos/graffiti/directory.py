"""The directory in the database: what a pool has is brought to what was seen there, what people publish is kept, and all is found."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudos.eden.db import now
from cloudos.eden.policy import visible
from cloudos.graffiti import conditions, index
from cloudos.graffiti.drivers import Found
from cloudos.graffiti.filters import Filter
from cloudos.graffiti.models import Capability, Pool, Property, Resource, ResourceTag, Word
from cloudos.graffiti.types import Dictionary, Type

FACETS = {"type": Resource.type, "pool": Resource.pool_id, "region": Resource.region, "zone": Resource.zone, "provider": Resource.provider,
          "health": Resource.health, "source": Resource.source}  # fmt: skip
MOST_FACETS, MOST_WORDS = 100, 10


def explained(found: Found, dictionary: Dictionary) -> list[dict[str, Any]]:
    """Capabilities that the dictionary sees in a resource's metadata: by the keys of its resource type's namespaces, traits, classes."""
    known = dictionary.keys_of(found.type)
    gathered: dict[str, dict[str, Any]] = {}
    for key, value in sorted(found.keys.items()):
        for entry in known.get(key, ()):
            gathered.setdefault(entry["type"], {})[entry["property"]] = value
        prefix, _, rest = key.partition(":")
        if prefix == "trait" and value == "required" and dictionary.find(f"os-traits/{rest}"):
            gathered.setdefault(f"os-traits/{rest}", {})
        if prefix == "resources" and str(value).isdecimal() and dictionary.find(f"os-resource-classes/{rest}"):
            gathered.setdefault(f"os-resource-classes/{rest}", {})["total"] = int(value)
    names = {one["name"] for one in found.capabilities}
    return [{"name": _free_name(type_, names), "type": type_, "properties": properties} for type_, properties in gathered.items()]


def _free_name(type_: str, names: set[str]) -> str:
    name = type_.rpartition("/")[2]
    name = type_ if name in names else name
    names.add(name)
    return name


class Sync:
    """Brings the resources of a pool to what a driver finds, kind by kind; a kind that could not be listed stays as it is."""

    def __init__(self, session: Session, pool: Pool, dictionary: Dictionary):
        self._session, self._pool, self._dictionary = session, pool, dictionary
        self._seen = now()

    def kind(self, types: Iterable[str], found: Iterable[Found]) -> dict[str, int]:
        """Store everything of one kind, and mark what is no longer there. `types`: the resource types of the kind."""
        statement = sa.select(Resource).where(
            Resource.pool_id == self._pool.id, Resource.type.in_(list(types)), Resource.source != "published"
        )
        old = {(one.type, one.native_id): one for one in self._session.scalars(statement)}
        counts = {"new": 0, "changed": 0, "same": 0, "vanished": 0}
        written = []
        for one in found:
            row = old.pop((one.type, one.native_id), None)
            outcome, row = self._store(row, one)
            counts[outcome] += 1
            if outcome != "same":
                written.append(row)
        for row in old.values():
            if row.vanished_at is None:
                row.vanished_at, row.health = self._seen, "vanished"
                counts["vanished"] += 1
        index.write(self._session, written, self._dictionary)
        return counts

    def _store(self, row: Resource | None, found: Found) -> tuple[str, Resource]:
        capabilities = index.resolved([*found.capabilities, *explained(found, self._dictionary)], self._dictionary)
        body = {**asdict(found), "capabilities": capabilities, "region": self._pool.region_id, "edition": self._dictionary.fingerprint,
                "price": self._pool.prices.get(found.name), "scope": self._pool.scope}  # fmt: skip
        digest = index.digest(body)
        if row is not None and row.digest == digest:
            back = row.vanished_at is not None
            row.seen_at, row.vanished_at, row.health = self._seen, None, found.health
            return ("changed" if back else "same"), row
        outcome = "new" if row is None else "changed"
        if row is None:
            row = Resource(type=found.type, native_id=found.native_id, pool_id=self._pool.id, source=self._pool.type)
            self._session.add(row)
        self._fill(row, found, capabilities)
        row.digest, row.price = digest, self._pool.prices.get(found.name)
        return outcome, row

    def _fill(self, row: Resource, found: Found, capabilities: list[dict[str, Any]]) -> None:
        row.name, row.description, row.zone, row.health = found.name, found.description, found.zone, found.health
        row.properties, row.capabilities, row.tags, row.capacity = found.properties, capabilities, found.tags, found.capacity
        row.provider, row.region = self._pool.provider_url, self._pool.region_id or ""
        row.scope, row.user_id = self._pool.scope, self._pool.user_id
        row.project_id, row.domain_id = self._pool.project_id, self._pool.domain_id
        row.seen_at, row.vanished_at, row.updated_at = self._seen, None, self._seen


class Search:
    """A question to the directory. Raises Unreadable for a filter that is none, UnknownType for a type that is none."""

    def __init__(self, asked: Mapping[str, Any], dictionary: Dictionary, context: Any):
        self.asked = asked
        self._types: list[Type] = []
        where = [visible(Resource, context)]
        if asked.get("type"):
            where.append(self._of_type(asked["type"], dictionary))
        if asked.get("capability"):
            where.append(has_capability(dictionary.get(asked["capability"]), dictionary))
        if asked.get("node_filter"):
            joint = conditions.read(asked["node_filter"], "/node_filter")
            where.append(Filter(joint, dictionary, self._types).sql())
        where += [sa.exists().where(ResourceTag.resource_id == Resource.id, ResourceTag.tag == tag) for tag in asked.get("tags") or ()]
        where += [_has_word(word) for word in index.words(asked.get("text") or "")[:MOST_WORDS]]
        where += [FACETS[name] == asked[name] for name in ("pool", "region", "zone", "provider", "health", "source") if asked.get(name)]
        if not asked.get("vanished"):
            where.append(Resource.vanished_at.is_(None))
        self.where = where

    def statement(self) -> sa.Select:
        """Select the resources."""
        return sa.select(Resource).where(*self.where)

    def total(self, session: Session) -> int:
        """How many there are."""
        return session.scalar(sa.select(sa.func.count()).select_from(Resource).where(*self.where)) or 0

    def facets(self, session: Session, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Per facet its values with how many resources have each, the most frequent first."""
        return {name: self._facet(session, name) for name in names}

    def _facet(self, session: Session, name: str) -> list[dict[str, Any]]:
        count = sa.func.count().label("count")
        if name in FACETS:
            column = FACETS[name]
            statement = sa.select(column, count).where(*self.where)
        elif name in ("tag", "capability"):
            table, column = (ResourceTag, ResourceTag.tag) if name == "tag" else (Capability, Capability.type)
            statement = sa.select(column, count).join(Resource, Resource.id == table.resource_id).where(*self.where)
        else:
            column = Property.text
            statement = sa.select(column, count).join(Resource, Resource.id == Property.resource_id)
            statement = statement.where(*self.where, Property.name == name, Property.kind.not_in(("list", "map")))
        found = session.execute(statement.group_by(column).order_by(count.desc(), column).limit(MOST_FACETS))
        return [{"value": value, "count": number} for value, number in found]

    def _of_type(self, name: str, dictionary: Dictionary) -> sa.ColumnElement[bool]:
        one = dictionary.find(name, "resource")
        if one is None:
            return Resource.type == name
        self._types = [one]
        return Resource.type.in_(names_of(one, dictionary))


def names_of(one: Type, dictionary: Dictionary) -> list[str]:
    """The names that resources of a type, or of one that derives from it, carry: full ones and plain ones."""
    full = dictionary.derived(one)
    return sorted({*full, *(name.rpartition("/")[2] for name in full)})


def has_capability(one: Type, dictionary: Dictionary) -> sa.ColumnElement[bool]:
    """Resources with a capability of the type or of one that derives from it."""
    names = dictionary.derived(one)
    return sa.exists().where(Capability.resource_id == Resource.id, Capability.type.in_(names))


def _has_word(word: str) -> sa.ColumnElement[bool]:
    """Beginnings of words count: from `ubun` up to what follows the last word that begins so."""
    return sa.exists().where(Word.resource_id == Resource.id, Word.word >= word, Word.word < word + "\U0010ffff")


def state(resource: Resource, stale: datetime.timedelta) -> dict[str, Any]:
    """How fresh what we know of a resource is: {seen_at, age in seconds, state fresh, stale or vanished}."""
    age = (now() - resource.seen_at).total_seconds()
    known = "vanished" if resource.vanished_at else "stale" if resource.pool_id and age > stale.total_seconds() else "fresh"
    return {"age": round(age, 1), "state": known}
