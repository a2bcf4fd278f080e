"""Graffiti as a service of Eden."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudos.eden import config, policy
from cloudos.eden import routes as common
from cloudos.eden.app import complete
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import Quota, Service, Work
from cloudos.graffiti import binding, index, pools
from cloudos.graffiti.models import Binding, Pool, Resource, StoredNamespace, StoredType
from cloudos.graffiti.problems import PROBLEMS
from cloudos.graffiti.routes import ROUTES, SCHEMAS


def _count(model: Any, *where: Any) -> Callable[[Session, str], int]:
    def counted(session: Session, project: str) -> int:
        statement = sa.select(sa.func.count()).select_from(model).where(model.project_id == project, *where)
        return session.scalar(statement) or 0

    return counted


def _types(session: Session, project: str) -> int:
    statement = sa.select(sa.func.count()).select_from(StoredType).join(StoredNamespace).where(StoredNamespace.project_id == project)
    return session.scalar(statement) or 0


def _bindings(session: Session, project: str) -> int:
    return _count(Binding, binding.held())(session, project)


def start(runtime: Runtime) -> pools.Tools:
    """What handlers and works share."""
    index.prepare(runtime.db.engine)
    settle()
    return pools.Tools(runtime.vault, runtime.conf.pools)


def settle() -> None:
    """What is loaded by now stays, and a match makes a hundred thousand objects that go with it: with Python's usual thresholds, looking
    through all of them again and again costs a third of the time of a large match."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


SERVICE = Service(
    name="graffiti", title="Graffiti", version="1.0", port=21071, routes=complete(ROUTES, "graffiti"),
    description="Dictionary of capabilities, directory of resources, and binding of requirements to them.",
    schemas={**common.SCHEMAS, **SCHEMAS}, migrations="cloudos.graffiti:migrations", problems=PROBLEMS, start=start,
    works={"graffiti.discover": Work(pools.discover, timeout=3600)},
    options={"pools": pools.OPTIONS}, sealed=pools.SEALED,
    quotas={
        "namespaces": Quota(100, _count(StoredNamespace), "Namespaces."), "types": Quota(10000, _types, "Types."),
        "resource_pools": Quota(50, _count(Pool, Pool.state != "deleted"), "Resource pools."),
        "resources": Quota(10000, _count(Resource, Resource.source == "published"), "Published resources."),
        "bindings": Quota(1000, _bindings, "Bindings that are committed, or reserved and not expired."),
    },
)  # fmt: skip


def list_opts() -> list[tuple[str, list[Any]]]:
    """For oslo-config-generator."""
    return config.options(SERVICE)


def list_rules() -> list[Any]:
    """For oslopolicy-sample-generator."""
    return policy.rules(SERVICE)
