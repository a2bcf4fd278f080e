"""What one process of a service holds: configuration, database, rules, limits, jobs. API and workers make the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_log import log

from cloudos import home
from cloudos.eden import policy, vault
from cloudos.eden.db import OWN_MIGRATIONS, Database, current, sync
from cloudos.eden.jobs import queue, store
from cloudos.eden.limits import Quotas, Rate
from cloudos.eden.service import Service


class Runtime:
    """The parts that handlers and works use. Make it after a fork: connections do not survive one."""

    def __init__(self, service: Service, conf: cfg.ConfigOpts):
        self.service, self.conf = service, conf
        self.db = Database(conf)
        self.enforcer = policy.enforcer(service, conf)
        self.rate = Rate(conf.api.rate, conf.api.burst)
        self.quotas = Quotas(service, conf)
        self.jobs = store.Jobs(service, conf, self.db)
        self.queue = queue.make(service, conf)
        self.streams = threading.BoundedSemaphore(conf.api.streams)
        self.vault = _vault(service, conf)
        self.extra: Any = service.start(self) if service.start else None

    @property
    def migrations(self) -> list[str]:
        """The folders of revisions: Eden's and the service's."""
        return [OWN_MIGRATIONS, self.service.migrations]

    def db_sync(self) -> dict[str, str | None]:
        """Bring the database to the newest revisions; returns folder -> revision."""
        return sync(self.db.engine, self.migrations)

    def db_current(self) -> bool:
        """Whether the database is at the newest revisions."""
        return current(self.db.engine, self.migrations)

    def close(self) -> None:
        """Let go of connections."""
        self.db.close()


def _vault(service: Service, conf: cfg.ConfigOpts) -> vault.Vault | None:
    """Where the keys of what the service keeps encrypted are."""
    if service.sealed is None:
        return None
    if conf.vault.key_file:
        return vault.Vault(conf.vault.key_file)
    if conf.api.auth_strategy == "noauth":
        return vault.embedded(home.root() / service.name / service.sealed.file)
    return vault.Vault(Path("/etc", service.name, service.sealed.file))


def log_setup(conf: cfg.ConfigOpts, service: Service) -> None:
    """Log as OpenStack services do: oslo.log, with the request's id on each line."""
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), "alembic=INFO", "celery=INFO", "kombu=WARN"])
    log.setup(conf, service.name, service.version)
