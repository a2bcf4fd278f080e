"""Resources and their indexes: the comparable values, capabilities, tags and words that they are found by."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudos.graffiti import schema
from cloudos.graffiti.filters import Found
from cloudos.graffiti.models import Capability, Property, Resource, ResourceTag, Word
from cloudos.graffiti.types import Dictionary
from cloudos.graffiti.values import spread

WORD = re.compile(r"[^\W_]+")
LONGEST_WORD, MOST_WORDS, AT_ONCE = 64, 200, 500
CACHE_KB, MAPPED = 65536, 2**30
INDEXES = (Capability, Property, ResourceTag, Word)


def prepare(engine: sa.Engine) -> None:
    """Let SQLite keep the indexes of a large directory in memory; its own 2 MB make each match read them from the file again."""
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA cache_size={-CACHE_KB}")
        connection.execute(f"PRAGMA mmap_size={MAPPED}")


def words(text: str) -> list[str]:
    """The words of a text, in lower case, each once, in order."""
    found = dict.fromkeys(word.lower()[:LONGEST_WORD] for word in WORD.findall(text))
    return list(found)[:MOST_WORDS]


def mistakes(body: Mapping[str, Any], dictionary: Dictionary) -> list[tuple[str, str]]:
    """(pointer, text) of everything wrong in a resource's body, as the dictionary has its types."""
    found = [("/" + where, text) for where, text in _unknown(body, dictionary)]
    if one := dictionary.find(body["type"], "resource"):
        found += [(f"/properties{pointer}", text) for pointer, text in schema.check(dictionary.schema(one), body.get("properties") or {})]
    for index, capability in enumerate(body.get("capabilities") or ()):
        if one := dictionary.find(capability["type"]):
            wrong = schema.check(dictionary.schema(one), capability.get("properties") or {})
            found += [(f"/capabilities/{index}/properties{pointer}", text) for pointer, text in wrong]
    return found


def _unknown(body: Mapping[str, Any], dictionary: Dictionary) -> Iterator[tuple[str, str]]:
    names = [capability["name"] for capability in body.get("capabilities") or ()]
    yield from (("capabilities", f"{name} is there twice") for name in sorted({name for name in names if names.count(name) > 1}))
    for index, capability in enumerate(body.get("capabilities") or ()):
        try:
            dictionary.get(capability["type"])
        except LookupError as error:
            yield f"capabilities/{index}/type", str(error)


def digest(body: Mapping[str, Any]) -> str:
    """Equal for equal content."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()


def resolved(capabilities: Iterable[Mapping[str, Any]], dictionary: Dictionary) -> list[dict[str, Any]]:
    """Capabilities with their types' full names and the defaults of their properties."""
    found = []
    for capability in capabilities:
        one = dictionary.get(capability["type"])
        defaults = {name: body["schema"]["default"] for name, body in dictionary.properties(one).items() if "default" in body["schema"]}
        found.append({"name": capability["name"], "type": one.full, "properties": {**defaults, **(capability.get("properties") or {})}})
    return found


def values(resource: Resource, dictionary: Dictionary) -> list[Found]:
    """Every comparable value of a resource."""
    one = dictionary.find(resource.type, "resource")
    own = {"name": resource.name, "region": resource.region, "zone": resource.zone, **resource.properties}
    found = [("", "", name, value) for name, value in spread(own, dictionary.kinds(one) if one else {})]
    for capability in resource.capabilities:
        type_ = dictionary.find(capability["type"])
        kinds = dictionary.kinds(type_) if type_ else {}
        found += [(capability["name"], capability["type"], name, value) for name, value in spread(capability["properties"], kinds)]
    return found


def rows(resource: Resource, dictionary: Dictionary) -> dict[type, list[dict[str, Any]]]:
    """The rows of every index for one resource."""
    found = values(resource, dictionary)
    texts = [resource.name, resource.description or "", resource.type, *resource.tags,
             *(value.text for _, _, _, value in found if value.kind == "string")]  # fmt: skip
    return {
        Capability: [{"resource_id": resource.id, "name": one["name"], "type": one["type"]} for one in resource.capabilities],
        Property: [
            {"resource_id": resource.id, "name": name, "position": position, "capability": capability, "type": type_, "kind": value.kind,
             "number": value.number, "text": value.text}
            for position, (capability, type_, name, value) in enumerate(found)
        ],
        ResourceTag: [{"resource_id": resource.id, "tag": tag} for tag in dict.fromkeys(resource.tags)],
        Word: [{"resource_id": resource.id, "word": word} for word in words(" ".join(texts))],
    }  # fmt: skip


def write(session: Session, resources: Sequence[Resource], dictionary: Dictionary) -> None:
    """Make the indexes of these resources anew."""
    session.flush()
    for begin in range(0, len(resources), AT_ONCE):
        some = resources[begin : begin + AT_ONCE]
        gathered: dict[type, list[dict[str, Any]]] = {index: [] for index in INDEXES}
        for resource in some:
            for index, found in rows(resource, dictionary).items():
                gathered[index] += found
        ids = [resource.id for resource in some]
        for index in INDEXES:
            session.execute(sa.delete(index).where(index.resource_id.in_(ids)))
            if gathered[index]:
                session.execute(sa.insert(index), gathered[index])
