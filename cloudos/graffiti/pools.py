"""Resource pools: credentials that were tried before they are kept, and what a driver needs to use them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden import turns
from cloudos.eden.db import now
from cloudos.eden.jobs.run import Run, WorkFailed
from cloudos.eden.problems import Unavailable
from cloudos.eden.vault import Sealed, Vault, VaultError
from cloudos.graffiti.dictionary import Dictionaries
from cloudos.graffiti.directory import Sync
from cloudos.graffiti.drivers import Access, Driver, DriverError, NotAllowed, drivers
from cloudos.graffiti.models import Binding, Claim, Pool
from cloudos.graffiti.problems import LoginRefused
from cloudos.graffiti.types import UnknownType

OPTIONS = [
    cfg.ListOpt(
        "denied_networks",
        default=["127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10", "0.0.0.0/8", "::/128"],
        help="Networks in which no pool may be, so that nobody reaches this machine or a metadata service through Graffiti.",
    ),
    cfg.FloatOpt("timeout", default=20, min=1, help="Seconds that a provider has to answer one request."),
    cfg.StrOpt("ca_file", help="Certificate authorities of providers, instead of the system's."),
    cfg.IntOpt("stale_after", default=86400, min=60, help="Seconds after which what was discovered counts as stale."),
    cfg.IntOpt("reservation", default=900, min=10, help="Seconds that a binding is reserved when the caller names none."),
    cfg.IntOpt("max_reservation", default=86400, min=10, help="The most seconds that a binding may be reserved."),
    cfg.IntOpt("keep_bindings_days", default=30, min=0,
               help="How long `graffiti-manage purge-bindings` keeps bindings that have expired or were released, in days."),
]  # fmt: skip
# What is encrypted of pools, and the name of the file with its keys.
SEALED = Sealed("pool-keys", ((Pool.secret, None),))


@dataclass
class Tools:
    """What handlers and works of one process share; `drivers` by type of pool."""

    vault: Vault
    conf: Any
    dictionaries: Dictionaries = field(default_factory=Dictionaries)
    drivers: dict[str, type[Driver]] = field(default_factory=drivers)

    def driver(self, pool: Pool, secret: Mapping[str, Any] | None = None) -> Driver:
        """The driver of a pool. Raises Unavailable where the keys are not there, DriverError where no driver is."""
        if pool.type not in self.drivers:
            raise DriverError(f"There is no driver for pools of type {pool.type}; there are {', '.join(sorted(self.drivers))}")
        opened = dict(secret) if secret is not None else self.secret(pool)
        conf = self.conf
        return self.drivers[pool.type](
            Access(pool.provider_url, pool.region_id, pool.login, opened, conf.denied_networks, conf.timeout, conf.ca_file)
        )

    def secret(self, pool: Pool) -> dict[str, Any]:
        """A pool's credentials, to be used and never shown. Raises Unavailable where no key opens them."""
        try:
            return self.vault.open(pool.secret)
        except VaultError as error:
            raise Unavailable(reason=str(error), seconds=60) from error

    def admit(self, pool: Pool, secret: Mapping[str, Any]) -> None:
        """Log in; only then keep the secret and what the provider told. Raises LoginRefused."""
        try:
            facts = self.driver(pool, secret).check()
            pool.secret = self.vault.seal(dict(secret))
        except DriverError as error:
            raise LoginRefused(reason=str(error)) from error
        except VaultError as error:
            raise Unavailable(reason=str(error), seconds=60) from error
        pool.login = {**pool.login, "project_id": facts["project_id"], "project_name": facts["project_name"]}
        if pool.region_id is None and len(facts["regions"]) == 1:
            pool.region_id = facts["regions"][0]
        pool.checked_at = now()

    @property
    def stale(self) -> datetime.timedelta:
        """The age from which what was discovered is stale."""
        return datetime.timedelta(seconds=self.conf.stale_after)


# Kind of a driver -> the resource types that it yields.
TYPES = {
    "flavors": ("OS::Nova::Flavor",), "images": ("OS::Glance::Image",), "networks": ("OS::Neutron::Net",),
    "volume_types": ("OS::Cinder::VolumeType",), "zones": ("OS::Nova::AvailabilityZone",), "aggregates": ("OS::Nova::Aggregate",),
    "hosts": ("OS::Placement::ResourceProvider",), "key_pairs": ("OS::Nova::KeyPair",),
}  # fmt: skip


def discover(run: Run) -> dict[str, Any]:
    """The job: look into a pool and bring the directory to what is there. Result: kind -> counts, or what was not allowed."""
    tools: Tools = run.runtime.extra
    pool = run.runtime.db.transact(lambda session: _usable(session, run.input["pool"]))
    try:
        driver = tools.driver(pool)
    except DriverError as error:
        raise WorkFailed(str(error)) from error
    kinds = [kind for kind in run.input.get("kinds") or driver.kinds if kind in driver.kinds]
    run.plan([*kinds, "quota"])
    result = {kind: run.do(kind, lambda step, kind=kind: _kind(run, driver, kind, step)) for kind in kinds}
    result["quota"] = run.do("quota", lambda step: _quota(run, driver))
    return result


def _usable(session: Session, id_: str) -> Pool:
    pool = session.get(Pool, id_)
    if pool is None or pool.state != "active":
        raise WorkFailed(f"Pool {id_} is {pool.state if pool else 'not there'}; only active pools are discovered")
    return pool


def _kind(run: Run, driver: Driver, kind: str, step: Any) -> dict[str, Any]:
    try:
        found = list(driver.discover(kind))
    except NotAllowed as error:
        step.tell(str(error))
        return {"not_allowed": str(error)}
    except DriverError as error:
        raise WorkFailed(str(error)) from error

    def store(session: Session) -> dict[str, int]:
        pool = _usable(session, run.input["pool"])
        owner = RequestContext(user_id=pool.user_id, project_id=pool.project_id, roles=["reader"])
        dictionary = run.runtime.extra.dictionaries.of(session, owner)
        types = TYPES.get(kind) or tuple(sorted({one.type for one in found}))
        return Sync(session, pool, dictionary).kind(types, found)

    try:
        counts = run.runtime.db.transact(store)
    except UnknownType as error:
        raise WorkFailed(f"{error}. Load the dictionary first: `cloudos graffiti load standard`") from error
    step.tell(f"{len(found)} found", 100)
    return counts


def _quota(run: Run, driver: Driver) -> dict[str, Any]:
    try:
        quota = driver.quota()
    except NotAllowed as error:
        return {"not_allowed": str(error)}
    except DriverError as error:
        raise WorkFailed(str(error)) from error

    def store(session: Session) -> None:
        turns.take(session, Claim.TURN)
        pool = _usable(session, run.input["pool"])
        pool.quota, pool.discovered_at = quota, now()
        # What was committed is in the provider's own count from now on.
        committed = sa.select(Binding.id).where(Binding.state == "committed")
        session.execute(sa.delete(Claim).where(Claim.pool_id == pool.id, Claim.resource_id.is_(None), Claim.binding_id.in_(committed)))

    run.runtime.db.transact(store)
    return quota
