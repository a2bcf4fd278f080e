"""What Prometheus reads: requests by route and status, their durations, jobs by state, workers."""

from __future__ import annotations

import os

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy.orm import Session

from cloudos.eden.jobs import states
from cloudos.eden.models import Job
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import Route

MEDIA = CONTENT_TYPE_LATEST
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one process; with PROMETHEUS_MULTIPROC_DIR, of all processes of the API together."""

    def __init__(self, service: str):
        self._registry = CollectorRegistry()
        labels = ["service", "verb", "route"]
        self._requests = Counter("cloudos_requests", "Requests by route and status.", [*labels, "status"], registry=self._registry)
        self._seconds = Histogram("cloudos_request_seconds", "How long requests took.", labels, registry=self._registry, buckets=BUCKETS)
        self._service = service

    def request(self, route: Route, status: int, seconds: float) -> None:
        """Count one request. Unknown paths are one route, and unknown verbs one verb, so that nobody makes labels at will."""
        verb = route.verb if route.verb in VERBS else "other"
        self._requests.labels(self._service, verb, route.path, status).inc()
        self._seconds.labels(self._service, verb, route.path).observe(seconds)

    def text(self, runtime: Runtime, session: Session) -> bytes:
        """All of it in Prometheus' text form; jobs and workers are counted in the database now."""
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry) + generate_latest(self._jobs(runtime, session))

    def _jobs(self, runtime: Runtime, session: Session) -> CollectorRegistry:
        registry = CollectorRegistry()
        jobs = Gauge("cloudos_jobs", "Jobs by state.", ["service", "state"], registry=registry, multiprocess_mode="mostrecent")
        workers = Gauge("cloudos_workers", "Workers that live.", ["service"], registry=registry, multiprocess_mode="mostrecent")
        found = dict(session.execute(sa.select(Job.state, sa.func.count()).group_by(Job.state)).tuples().all())
        for state in states.ALL:
            jobs.labels(self._service, state).set(found.get(state, 0))
        workers.labels(self._service).set(len(runtime.jobs.workers(session)))
        return registry
