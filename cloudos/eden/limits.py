"""How much one caller may have: requests a second, and things of a project."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from oslo_config import cfg
from sqlalchemy.orm import Session

from cloudos.eden import turns
from cloudos.eden.models import QuotaLimit
from cloudos.eden.problems import OverQuota, TooManyRequests
from cloudos.eden.service import Service

MOST_CALLERS = 10_000


class Rate:
    """A token bucket for each caller, in this process: `rate` tokens a second, `burst` at most."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic):
        self.rate, self.burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, caller: str) -> None:
        """Count one request. Raises TooManyRequests with the seconds to wait."""
        if not self.rate:
            return
        with self._lock:
            now = self._clock()
            if len(self._buckets) > MOST_CALLERS:
                self._buckets = {key: found for key, found in self._buckets.items() if now - found[1] < self.burst / self.rate}
            tokens, last = self._buckets.get(caller, (self.burst, now))
            tokens = min(self.burst, tokens + (now - last) * self.rate)
            self._buckets[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
        if tokens < 1:
            seconds = max(1, round((1 - tokens) / self.rate))
            raise TooManyRequests(headers={"Retry-After": str(seconds)}, rate=self.rate, seconds=seconds)


class Quotas:
    """Limits of projects: the configuration's, or those that an administrator set for one."""

    def __init__(self, service: Service, conf: cfg.ConfigOpts):
        self._quotas = service.quotas
        self._conf = conf

    def demand(self, session: Session, project: str, resource: str, more: int = 1, made: bool = False) -> None:
        """Raise OverQuota when the project may not have so many more; or those that this transaction has `made` and flushed.

        Others of the project that demand something wait from here until the transaction ends: what takes long is done before.
        """
        limit = self._limit(session, project, resource)
        if limit < 0:
            return
        if self._quotas[resource].used:
            turns.take(session, f"quota {project}")
        used = self._used(session, project, resource) - (more if made else 0)
        if used + more > limit:
            raise OverQuota(project=project, resource=resource, used=used, limit=limit)

    def of(self, session: Session, project: str) -> dict[str, dict[str, int]]:
        """Resource -> {limit, used} of a project."""
        return {name: {"limit": self._limit(session, project, name), "used": self._used(session, project, name)}
                for name in self._quotas}  # fmt: skip

    def set(self, session: Session, project: str, limits: dict[str, int]) -> None:
        """Give a project limits of its own."""
        for resource, limit in limits.items():
            session.merge(QuotaLimit(project_id=project, resource=resource, limit=limit))

    def _used(self, session: Session, project: str, resource: str) -> int:
        count = self._quotas[resource].used
        return count(session, project) if count else 0

    def _limit(self, session: Session, project: str, resource: str) -> int:
        own = session.get(QuotaLimit, (project, resource))
        return own.limit if own else self._conf.quota[resource]
