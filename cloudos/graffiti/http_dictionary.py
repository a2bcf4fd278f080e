"""Handlers of the dictionary: namespaces, types, loading, and what the dictionary knows of keys and instances."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_context.context import RequestContext

from cloudos.eden.call import Call
from cloudos.eden.db import shown
from cloudos.eden.models import Owned
from cloudos.eden.policy import CHANGE, visible
from cloudos.eden.problems import Conflict, NotFound
from cloudos.eden.service import Answer
from cloudos.graffiti import dictionary, schema
from cloudos.graffiti.models import StoredNamespace, StoredType
from cloudos.graffiti.problems import DictionaryWrong, NamespaceInUse, TypeUnknown
from cloudos.graffiti.sources import document, metadefs
from cloudos.graffiti.types import Batch, Dictionary, Mistakes, Type, UnknownType

NAMESPACE_SORT = {"name": StoredNamespace.name, "updated_at": StoredNamespace.updated_at}
TYPE_SORT = {"name": StoredType.name, "updated_at": StoredType.updated_at}
NAMESPACES, TYPES = "/v1/namespaces", "/v1/types"


def known(call: Call) -> Dictionary:
    """The dictionary as the caller sees it."""
    return call.runtime.extra.dictionaries.of(call.session, call.context)


def show_namespace(row: StoredNamespace) -> dict[str, Any]:
    """A namespace as JSON."""
    return {"id": row.id, "name": row.name, "title": row.title, "description": row.description, "source": row.source, "scope": row.scope,
            "associations": row.associations, "extra": row.extra, "user_id": row.user_id, "project_id": row.project_id,
            "created_at": shown(row.created_at), "updated_at": shown(row.updated_at)}  # fmt: skip


def show_type(row: StoredType) -> dict[str, Any]:
    """A type as JSON."""
    return {"id": row.id, **row.body, "full_name": f"{row.namespace.name}/{row.name}", "scope": row.namespace.scope,
            "updated_at": shown(row.updated_at)}  # fmt: skip


def list_namespaces(call: Call) -> dict[str, Any]:
    """Namespaces that the caller sees."""
    return call.page("namespaces", call.visible(StoredNamespace), NAMESPACE_SORT, StoredNamespace, show_namespace)


def get_namespace(call: Call) -> Answer:
    """One, by id or name."""
    row = _namespace(call)
    return Answer(show_namespace(row), etag=_tag(row))


def create_namespace(call: Call) -> Answer:
    """A new, empty namespace."""
    scope = call.body.get("scope", "private-project")
    if _own(call, call.body["name"], scope):
        raise Conflict(reason=f"Namespace {call.body['name']} is there already; change it with PUT {NAMESPACES}/{{id}}.")
    body = {key: value for key, value in call.body.items() if key != "scope"}
    _load(call, document.batch({"namespaces": [body]}), scope)
    row = _own(call, call.body["name"], scope)
    call.audit["target"] = f"namespace/{row.id}"
    return Answer(show_namespace(row), 201, {"Location": f"{NAMESPACES}/{row.id}"}, etag=_tag(row))


def update_namespace(call: Call) -> Answer:
    """Its title, description and associations."""
    row = _namespace(call)
    call.change(row, _tag(row))
    body = {"name": row.name, "source": row.source, "extra": row.extra,
            **{key: value for key, value in call.body.items() if key not in ("scope", "name")}}  # fmt: skip
    _load(call, document.batch({"namespaces": [body]}), row.scope, row)
    call.session.refresh(row)
    return Answer(show_namespace(row), etag=_tag(row))


def delete_namespace(call: Call) -> None:
    """With its types, unless types of others derive from them; `descendants` deletes those too."""
    row = _namespace(call)
    call.change(row)
    call.demand_match(_tag(row), f"namespace/{row.id}")
    of = known_of(call, row)
    gone = [one for one in of.types.values() if one.namespace == row.name]
    users = dictionary.users_of(of, gone)
    if users and not call.query.get("include_descendants"):
        raise NamespaceInUse(what=f"Namespace {row.name}", users=_names(users))
    _delete_types(call, row, users)
    call.session.execute(sa.delete(StoredType).where(StoredType.namespace_id == row.id))
    call.session.delete(row)
    dictionary.touch(call.session)


def export(call: Call) -> dict[str, Any]:
    """As a document of Glance's metadata definitions."""
    row = _namespace(call)
    of = known_of(call, row)
    return metadefs.write(of.namespaces[row.name], [one for one in of.types.values() if one.namespace == row.name])


def load(call: Call) -> dict[str, Any]:
    """Many namespaces and types at once, ours or Glance's documents; all or nothing."""
    try:
        batch = document.batch({key: call.body.get(key) or [] for key in ("namespaces", "types")})
        extra = metadefs.batch(call.body.get("metadefs") or [])
    except (ValueError, KeyError, TypeError) as error:
        raise DictionaryWrong(count=1, errors=[{"pointer": "/", "message": f"{type(error).__name__}: {error}"}]) from error
    whole = Batch((*batch.namespaces, *extra.namespaces), (*batch.types, *extra.types))
    return _load(call, whole, call.body.get("scope", "private-project"), dry=call.body.get("dry_run", False))


def list_types(call: Call) -> dict[str, Any]:
    """Types of the namespaces that the caller sees."""
    statement = sa.select(StoredType).join(StoredNamespace).where(visible(StoredNamespace, call.context))
    statement = statement.options(sa.orm.contains_eager(StoredType.namespace))
    for name, column in (("kind", StoredType.kind), ("namespace", StoredNamespace.name), ("name", StoredType.name)):
        if name in call.query:
            statement = statement.where(column == call.query[name])
    if "reference" in call.query:
        statement = statement.where(_referred(call))
    if "q" in call.query:
        statement = statement.where(sa.func.lower(StoredType.name).contains(call.query["q"].lower(), autoescape=True))
    return call.page("types", statement, TYPE_SORT, StoredType, show_type)


def _referred(call: Call) -> sa.ColumnElement[bool]:
    """What a reference means for the caller, as templates write it: a full name, a name or an alias. Raises TypeUnknown."""
    one = type_of(known(call), call.query["reference"], call.query.get("kind", "capability"))
    row = next(row for row in dictionary.seen(call.session, call.context) if row.name == one.namespace)
    return sa.and_(StoredType.namespace_id == row.id, StoredType.kind == one.kind, StoredType.name == one.name)


def list_capability_types(call: Call) -> dict[str, Any]:
    """The original's list."""
    call.query = {"kind": "capability", **call.query}
    return list_types(call)


def create_type(call: Call) -> Answer:
    """One new type in a namespace."""
    scope = call.body.get("scope", "private-project")
    row = _own(call, call.body["namespace"], scope)
    if row and _stored(call, row, call.body["kind"], call.body["name"]):
        raise Conflict(reason=f"Type {row.name}/{call.body['name']} is there already; change it with PUT {TYPES}/{{id}}.")
    _load(call, document.batch({"types": [{key: value for key, value in call.body.items() if key != "scope"}]}), scope)
    made = _stored(call, row, call.body["kind"], call.body["name"])
    call.audit["target"] = f"type/{made.id}"
    return Answer(show_type(made), 201, {"Location": f"{TYPES}/{made.id}"}, etag=made.digest[:32])


def get_type(call: Call) -> Answer:
    """One type, and with every property where it comes from."""
    row = _type(call)
    of = known_of(call, row.namespace)
    one = of.types[row.kind, f"{row.namespace.name}/{row.name}"]
    body = {**show_type(row), "derived_properties": of.properties(one), "ancestry": [above.full for above in of.ancestry(one)],
            "derived_types": of.derived(one)[:1000], "instance_schema": of.schema(one)}  # fmt: skip
    return Answer(body, etag=row.digest[:32])


def update_type(call: Call) -> Answer:
    """All of a type but its name; types that derive from it must still hold."""
    row = _type(call)
    call.change(row.namespace, row.digest[:32])
    body = {**call.body, "kind": row.kind, "namespace": row.namespace.name, "name": row.name}
    body.pop("scope", None)
    _load(call, document.batch({"types": [body]}), row.namespace.scope, row.namespace)
    call.session.refresh(row)
    return Answer(show_type(row), etag=row.digest[:32])


def delete_type(call: Call) -> None:
    """One that nothing derives from."""
    row = _type(call)
    call.change(row.namespace)
    call.demand_match(row.digest[:32], f"type/{row.id}")
    of = known_of(call, row.namespace)
    one = of.types[row.kind, f"{row.namespace.name}/{row.name}"]
    if users := dictionary.users_of(of, [one]):
        raise NamespaceInUse(what=f"Type {one.full}", users=_names(users))
    call.session.delete(row)
    dictionary.touch(call.session)


def check(call: Call) -> dict[str, Any]:
    """Whether an instance has the properties that its type wants."""
    row = _type(call)
    of = known_of(call, row.namespace)
    wrong = schema.check(of.schema(of.types[row.kind, f"{row.namespace.name}/{row.name}"]), call.body["instance"])
    return {"valid": not wrong, "errors": [{"pointer": pointer, "message": text} for pointer, text in wrong]}


def keys(call: Call) -> dict[str, Any]:
    """Which properties a resource of a type may carry, and with which key."""
    found = known(call).keys(call.path["resource_type"])
    if "target" in call.query:
        found = [one for one in found if (one["target"] or "") == call.query["target"]]
    return {"resource_type": call.path["resource_type"], "keys": found}


def known_of(call: Call, row: StoredNamespace) -> Dictionary:
    """The dictionary in which a namespace's types mean what they do for its owner."""
    return call.runtime.extra.dictionaries.of(call.session, owner_of(row), row.scope)


def owner_of(row: Owned) -> RequestContext:
    """The owner of a thing, to see what that one sees."""
    return RequestContext(user_id=row.user_id, project_id=row.project_id, roles=["reader"])


def type_of(of: Dictionary, reference: str, kind: str = "capability") -> Type:
    """A type by name. Raises TypeUnknown."""
    try:
        return of.get(reference, kind)
    except UnknownType as error:
        raise TypeUnknown(reason=str(error)) from error


def _load(call: Call, batch: Batch, scope: str, row: StoredNamespace | None = None, dry: bool = False) -> dict[str, Any]:
    """Judge, store and count. row: the namespace that is changed, whose owner stays."""
    context, owner = call.context, call.owner()
    if row is not None:
        context = owner_of(row)
        owner = {"user_id": row.user_id, "project_id": row.project_id, "domain_id": row.domain_id}
    call.guard.demand(CHANGE, {"scope": scope, "user_id": owner["user_id"], "project_id": owner["project_id"]})
    _demand_names(call, batch, scope, context)
    of = call.runtime.extra.dictionaries.of(call.session, context, scope)
    try:
        changes = dictionary.load(call.session, of, batch, owner, scope, context, dry)
    except Mistakes as error:
        errors = [{"pointer": where, "message": text} for where, text in error.errors[:50]]
        raise DictionaryWrong(count=len(error.errors), errors=errors) from error
    for resource, model in (("namespaces", StoredNamespace), ("types", StoredType)) if not dry else ():
        call.session.flush()
        if changes.created:
            call.runtime.quotas.demand(call.session, owner["project_id"], resource, 0)
        call.audit[resource] = call.session.scalar(sa.select(sa.func.count()).select_from(model))
    return {**changes.shown(), "dry_run": dry}


def _demand_names(call: Call, batch: Batch, scope: str, context: RequestContext) -> None:
    """The rule may be one that heeds whose the namespaces are that are there already."""
    names = {one.name for one in batch.namespaces} | {one.namespace for one in batch.types}
    mine = StoredNamespace.space == dictionary.own_space(scope, context)
    for row in call.session.scalars(sa.select(StoredNamespace).where(StoredNamespace.name.in_(names), mine)):
        call.change(row)


def _delete_types(call: Call, row: StoredNamespace, types: list[Type]) -> None:
    """Types of other namespaces that derive from what goes: those the caller may change, else nothing goes."""
    spaces = {one.name: one for one in dictionary.seen(call.session, owner_of(row), row.scope)}
    for one in types:
        call.change(spaces[one.namespace])
        call.session.delete(_stored(call, spaces[one.namespace], one.kind, one.name))


def _names(types: list[Type]) -> str:
    return ", ".join(one.full for one in types[:10])


def _namespace(call: Call) -> StoredNamespace:
    name = call.path["id"]
    rows = {row.name: row for row in dictionary.seen(call.session, call.context)}
    return rows[name] if name in rows else call.find(StoredNamespace, name, "namespace", NAMESPACES)


def _type(call: Call) -> StoredType:
    row = call.session.get(StoredType, call.path["id"])
    if row is None or not call.guard.may("eden:see", row.namespace.target()):
        raise NotFound(what="type", id=call.path["id"], list=TYPES)
    call.audit["target"] = f"type/{row.id}"
    return row


def _own(call: Call, name: str, scope: str) -> StoredNamespace | None:
    mine = dictionary.own_space(scope, call.context)
    return call.session.scalar(sa.select(StoredNamespace).where(StoredNamespace.name == name, StoredNamespace.space == mine))


def _stored(call: Call, row: StoredNamespace, kind: str, name: str) -> StoredType | None:
    return call.session.scalar(
        sa.select(StoredType).where(StoredType.namespace_id == row.id, StoredType.kind == kind, StoredType.name == name)
    )


def _tag(row: StoredNamespace) -> str:
    return hashlib.sha256(f"{row.id} {row.digest} {row.scope}".encode()).hexdigest()[:32]


def warnings(of: Dictionary, references: Mapping[str, str]) -> list[str]:
    """What callers should know of the types that they name: reference -> kind."""
    found = []
    for reference, kind in references.items():
        one = of.find(reference, kind)
        if one and one.deprecated:
            use = one.deprecated.get("use")
            found.append(f"{one.full} is deprecated: {one.deprecated.get('reason', 'no reason given')}" + (f"; use {use}" if use else ""))
    return found
