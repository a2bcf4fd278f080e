"""Handlers of the directory: pools, resources, search."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

from cloudos.eden import paging
from cloudos.eden.call import Call
from cloudos.eden.db import now, shown
from cloudos.eden.jobs.routes import accepted
from cloudos.eden.policy import SEE
from cloudos.eden.problems import BadRequest, Conflict
from cloudos.eden.service import Answer
from cloudos.graffiti import directory, index
from cloudos.graffiti.binding import bound_by
from cloudos.graffiti.conditions import Unreadable
from cloudos.graffiti.drivers import DriverError
from cloudos.graffiti.http_dictionary import known
from cloudos.graffiti.models import Pool, Resource
from cloudos.graffiti.problems import DriverFailed, FilterWrong, PoolUnusable, ResourceWrong, ServiceOnly, TypeUnknown
from cloudos.graffiti.types import UnknownType

POOLS, RESOURCES = "/v1/resource_pools", "/v1/resources"
POOL_SORT = {"name": Pool.name, "created_at": Pool.created_at}
RESOURCE_SORT = {"name": Resource.name, "type": Resource.type, "seen_at": Resource.seen_at, "created_at": Resource.created_at}
_WRITABLE = ("name", "type", "version", "provider_url", "region_id", "country", "login", "services", "prices", "state", "scope")
_LOGIN = ("provider_url", "region_id", "login", "type")


def show_pool(pool: Pool) -> dict[str, Any]:
    """A pool as JSON: everything but its secret."""
    body = {name: getattr(pool, name) for name in ("id", *_WRITABLE, "quota", "user_id", "project_id", "domain_id")}
    moments = ("checked_at", "discovered_at", "created_at", "updated_at")
    return {**body, **{name: shown(getattr(pool, name)) for name in moments}}


def list_pools(call: Call) -> dict[str, Any]:
    """Pools that the caller sees; state all shows the deleted ones too."""
    statement = call.visible(Pool)
    state = call.query.get("state", "active")
    if state != "all":
        statement = statement.where(Pool.state == state)
    for name in ("region_id", "type"):
        if name in call.query:
            statement = statement.where(getattr(Pool, name) == call.query[name])
    return call.page("resource_pools", statement, POOL_SORT, Pool, show_pool)


def create_pool(call: Call) -> Answer:
    """Register: log in first, then keep it."""
    pool = Pool(**{name: call.body[name] for name in _WRITABLE if name in call.body}, **call.owner())
    pool.scope = pool.scope or "private-project"
    pool.type, pool.state = pool.type or "openstack", "active"
    pool.login, pool.services, pool.prices, pool.quota = pool.login or {}, pool.services or [], pool.prices or {}, {}
    call.change(pool)
    call.runtime.extra.admit(pool, call.body["secret"])
    call.runtime.quotas.demand(call.session, pool.project_id, "resource_pools")
    _one_per_region(call, pool)
    call.session.add(pool)
    call.session.flush()
    call.audit["target"] = f"resource_pool/{pool.id}"
    return Answer(show_pool(pool), 201, {"Location": f"{POOLS}/{pool.id}"}, etag=_pool_tag(pool))


def get_pool(call: Call) -> Answer:
    """One pool; a deleted one says so."""
    pool = call.find(Pool, call.path["id"], "resource_pool", POOLS)
    return Answer(show_pool(pool), etag=_pool_tag(pool))


def update_pool(call: Call) -> Answer:
    """Change it; whatever the log-in depends on is tried first."""
    pool = call.find(Pool, call.path["id"], "resource_pool", POOLS)
    call.change(pool, _pool_tag(pool))
    if pool.state == "deleted":
        raise PoolUnusable(pool=pool.id, state="deleted", next="a deleted pool cannot be changed; register a new one")
    before = {name: getattr(pool, name) for name in (*_LOGIN, "scope")}
    for name in _WRITABLE:
        if name in call.body:
            setattr(pool, name, call.body[name])
    call.change(pool)
    changed = any(before[name] != getattr(pool, name) for name in _LOGIN)
    if changed and "secret" not in call.body and pool.provider_url != before["provider_url"]:
        # Otherwise whoever may change a pool could have its password sent to an address of his own.
        raise Conflict(reason="A new provider_url needs the secret too: the one that is kept goes to no other address.")
    if changed or "secret" in call.body:
        with call.session.no_autoflush:
            call.runtime.extra.admit(pool, call.body.get("secret") or call.runtime.extra.secret(pool))
    _one_per_region(call, pool)
    pool.updated_at = now()
    if pool.scope != before["scope"]:
        call.session.execute(
            sa.update(Resource).where(Resource.pool_id == pool.id, Resource.source != "published").values(scope=pool.scope)
        )
    call.session.flush()
    return Answer(show_pool(pool), etag=_pool_tag(pool))


def delete_pool(call: Call) -> None:
    """Mark it: nothing is bound to it any more, what is provisioned can still be taken down."""
    pool = call.find(Pool, call.path["id"], "resource_pool", POOLS)
    call.change(pool)
    call.demand_match(_pool_tag(pool), f"resource_pool/{pool.id}")
    if pool.state != "deleted":
        pool.state, pool.updated_at = "deleted", now()
        gone = sa.update(Resource).where(Resource.pool_id == pool.id, Resource.vanished_at.is_(None), Resource.source != "published")
        call.session.execute(gone.values(vanished_at=now(), health="vanished"))


def discover(call: Call) -> Answer:
    """A job that looks into the pool."""
    pool = call.find(Pool, call.path["id"], "resource_pool", POOLS)
    call.change(pool)
    if pool.state != "active":
        raise PoolUnusable(pool=pool.id, state=pool.state, next="only active pools are discovered")
    kinds = (call.body or {}).get("kinds")
    if kinds:
        _demand_kinds(call, pool, kinds)
    body = {"pool": pool.id, "kinds": kinds}
    job = call.submit("graffiti.discover", f"Discover {pool.name}", body, f"{POOLS}/{pool.id}")
    return accepted(call, job)


def _demand_kinds(call: Call, pool: Pool, kinds: list[str]) -> None:
    try:
        there = call.runtime.extra.driver(pool).kinds
    except DriverError as error:
        raise DriverFailed(reason=str(error)) from error
    if unknown := [kind for kind in kinds if kind not in there]:
        message = f"{', '.join(unknown)}: pools of type {pool.type} have {', '.join(there)}"
        raise BadRequest(what="The body", errors=[{"pointer": "/kinds", "message": message}])


def token(call: Call) -> dict[str, Any]:
    """A token of the pool's account, for services that provision, also from a deleted pool; the secret itself never leaves."""
    pool = call.find(Pool, call.path["id"], "resource_pool", POOLS)
    roles = {role.lower() for role in (*call.context.roles, *(call.context.service_roles or ()))}
    if "service" not in roles:
        raise ServiceOnly
    try:
        return call.runtime.extra.driver(pool).token()
    except DriverError as error:
        raise DriverFailed(reason=str(error)) from error


def show_resource(call: Call, one: Resource) -> dict[str, Any]:
    """A resource as JSON."""
    names = ("id", "name", "type", "native_id", "description", "provider", "region", "zone", "properties", "capabilities", "requirements",
             "tags", "health", "capacity", "price", "source", "scope", "user_id", "project_id")  # fmt: skip
    return {**{name: getattr(one, name) for name in names}, "pool": one.pool_id, "seen_at": shown(one.seen_at),
            "vanished_at": shown(one.vanished_at), "freshness": directory.state(one, call.runtime.extra.stale),
            "updated_at": shown(one.updated_at)}  # fmt: skip


def list_resources(call: Call) -> dict[str, Any]:
    """Resources by simple conditions; POST /v1/search asks more."""
    asked = {**call.query, "tags": call.query.get("tag")}
    return _listed(call, _search(call, asked))


def search(call: Call) -> dict[str, Any]:
    """Structured search with total and facets, a page at a time."""
    found = _search(call, call.body)
    asked = {key: call.body[key] for key in ("limit", "marker", "sort") if key in call.body}
    call.query = {**call.query, **asked}
    page = paging.Page(call.session, call.runtime.conf, call.query, RESOURCE_SORT, Resource)
    items, following = page.of(found.statement(), call.visible(Resource))
    return {"resources": [show_resource(call, one) for one in items], "next_marker": following, "total": found.total(call.session),
            "facets": found.facets(call.session, call.body.get("facets") or ())}  # fmt: skip


def publish(call: Call) -> Answer:
    """A resource made known by hand."""
    one = Resource(scope=call.body.get("scope", "private-project"), source="published", **call.owner())
    call.audit["name"] = call.body["name"]
    return _put(call, one, 201)


def get_resource(call: Call) -> Answer:
    """One resource."""
    one = call.find(Resource, call.path["id"], "resource", RESOURCES)
    return Answer(show_resource(call, one), etag=_tag(one))


def update_resource(call: Call) -> Answer:
    """What was published; what was discovered is as its provider says."""
    one = call.find(Resource, call.path["id"], "resource", RESOURCES)
    call.change(one, _tag(one))
    if one.source != "published":
        raise Conflict(reason=f"Resource {one.id} was discovered in pool {one.pool_id}: change it there, and discover the pool again.")
    one.scope = call.body.get("scope", one.scope)
    return _put(call, one, 200)


def delete_resource(call: Call) -> None:
    """What was published, or has vanished and is not bound."""
    one = call.find(Resource, call.path["id"], "resource", RESOURCES)
    call.change(one)
    call.demand_match(_tag(one), f"resource/{one.id}")
    if one.source != "published" and one.vanished_at is None:
        raise Conflict(reason=f"Resource {one.id} is there in pool {one.pool_id}; the next discovery would bring it back.")
    if users := bound_by(call.session, one):
        seen = [user.name for user in users if call.guard.may(SEE, user.target())]
        hidden = [f"{len(users) - len(seen)} that you may not see"] if len(seen) < len(users) else []
        raise Conflict(reason=f"Resource {one.id} is bound by {', '.join([*seen[:10], *hidden])}; release those first.")
    for table in index.INDEXES:
        call.session.execute(sa.delete(table).where(table.resource_id == one.id))
    call.session.delete(one)


def _put(call: Call, one: Resource, status: int) -> Answer:
    of, body = known(call), call.body
    if wrong := index.mistakes(body, of):
        raise ResourceWrong(errors=[{"pointer": pointer, "message": text} for pointer, text in wrong[:50]])
    for name in ("name", "type", "description", "zone", "region", "provider", "price"):
        setattr(one, name, body.get(name) if name in ("description", "price") else body.get(name, ""))
    for name, empty in (("properties", {}), ("requirements", []), ("tags", []), ("capacity", {})):
        setattr(one, name, body.get(name, empty))
    one.native_id, one.health = body.get("native_id") or body["name"], body.get("health", "ok")
    one.pool_id = body.get("pool")
    if one.pool_id:
        call.find(Pool, one.pool_id, "resource_pool", POOLS)
    one.capabilities = index.resolved(body.get("capabilities") or (), of)
    one.seen_at = one.updated_at = now()
    one.digest = index.digest(body)
    call.change(one)
    if status == 201:
        call.runtime.quotas.demand(call.session, one.project_id, "resources")
        call.session.add(one)
    _unique(call, one)
    index.write(call.session, [one], of)
    call.audit["target"] = f"resource/{one.id}"
    return Answer(show_resource(call, one), status, {"Location": f"{RESOURCES}/{one.id}"} if status == 201 else {}, etag=_tag(one))


def _unique(call: Call, one: Resource) -> None:
    if one.pool_id is None:
        return
    with call.session.no_autoflush:
        same = sa.select(Resource.id).where(Resource.pool_id == one.pool_id, Resource.type == one.type, Resource.native_id == one.native_id)
        if call.session.scalar(same.where(Resource.id != (one.id or ""))):
            raise Conflict(reason=f"Pool {one.pool_id} has a {one.type} {one.native_id} already.")


def _search(call: Call, asked: Any) -> directory.Search:
    try:
        return directory.Search(asked, known(call), call.context)
    except Unreadable as error:
        raise FilterWrong(pointer=error.pointer, reason=str(error)) from error
    except UnknownType as error:
        raise TypeUnknown(reason=str(error)) from error


def _listed(call: Call, found: directory.Search) -> dict[str, Any]:
    return call.page("resources", found.statement(), RESOURCE_SORT, Resource, lambda one: show_resource(call, one))


def _one_per_region(call: Call, pool: Pool) -> None:
    """A project keeps one pool for each region and account of a provider, as the original asks."""
    with call.session.no_autoflush:
        same = sa.select(Pool).where(Pool.project_id == pool.project_id, Pool.provider_url == pool.provider_url, Pool.state != "deleted")
        for other in call.session.scalars(same):
            if other.id != pool.id and other.region_id == pool.region_id and other.login.get("project_id") == pool.login.get("project_id"):
                if not call.guard.may("eden:see", other.target()):
                    continue
                raise Conflict(reason=f"Pool {other.name} ({other.id}) has this region and project already; change that one.")


def _pool_tag(pool: Pool) -> str:
    return f"{pool.id}-{pool.version_id}"


def _tag(one: Resource) -> str:
    return hashlib.sha256(f"{one.id} {shown(one.updated_at)} {one.health} {one.scope}".encode()).hexdigest()[:32]
