"""Workers: threads that look for work, or Celery's, which are told of it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from celery import signals
from oslo_config import cfg
from oslo_log import log

from cloudos.eden.jobs.queue import TASK, Broker, options_of_worker
from cloudos.eden.jobs.run import Run
from cloudos.eden.jobs.store import LostLease
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import Service

LOG = log.getLogger(__name__)
HOLD = 600  # seconds after which a slot lets a hint go; RabbitMQ waits half an hour for that


def name() -> str:
    """This worker, for people who look for it."""
    return f"{socket.gethostname()}-{os.getpid()}"


def work_once(runtime: Runtime, worker: str) -> bool:
    """Claim the oldest job and do it; False when there was none."""
    lease = runtime.jobs.claim(worker)
    if lease is None:
        return False
    LOG.info("Job %s is begun.", lease.id)
    try:
        Run(runtime, lease).perform()
    except LostLease:
        LOG.warning("Job %s was lost before it began.", lease.id)
    return True


def work_on(runtime: Runtime, worker: str, stopping: threading.Event) -> None:
    """Do jobs until none is left or the worker stops. RabbitMQ waits for the hint to be acknowledged meanwhile; lest it waits for
    ever, a slot that is never idle changes it for another now and then."""
    until = time.monotonic() + HOLD
    while not stopping.is_set() and work_once(runtime, worker):
        if time.monotonic() > until:
            runtime.queue.hint(1)
            return


class Watch(threading.Thread):
    """The worker's signs of life and the watchdog's rounds, every third of a lease. One in each worker, so that any one is enough."""

    def __init__(self, runtime: Runtime, slots: int, worker: str):
        super().__init__(daemon=True, name="watch")
        self._runtime, self._slots, self._worker = runtime, slots, worker
        self.stopped = threading.Event()

    def run(self) -> None:
        """Until stopped; what fails is logged and tried again."""
        while True:
            try:
                self._runtime.jobs.alive(self._worker, self._slots)
                self._runtime.queue.hint(self._runtime.jobs.watch())
            except Exception:
                LOG.exception("The watchdog's round failed; it tries again.")
            if self.stopped.wait(self._runtime.conf.jobs.lease / 3):
                return


class LocalWorker:
    """`slots` threads that look for work every `poll` seconds. SIGTERM lets jobs at work end first; SIGKILL harms nothing."""

    def __init__(self, runtime: Runtime):
        self._runtime, self._conf = runtime, runtime.conf.jobs
        self._stopping = threading.Event()

    def stop(self, *_: object) -> None:
        """No more jobs."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped."""
        watch = Watch(self._runtime, self._conf.slots, name())
        watch.start()
        with ThreadPoolExecutor(self._conf.slots, "slot") as pool:
            for _ in range(self._conf.slots):
                pool.submit(self._slot)
        watch.stopped.set()

    def _slot(self) -> None:
        while not self._stopping.is_set():
            try:
                busy = work_once(self._runtime, name())
            except Exception:
                LOG.exception("Looking for work failed; the worker tries again.")
                busy = False
            if not busy:
                self._stopping.wait(self._conf.poll)


def run(service: Service, conf: cfg.ConfigOpts) -> None:
    """Be a worker of the backend that is configured, until SIGTERM or SIGINT."""
    if conf.jobs.backend == "celery":
        _celery(service, conf)
        return
    worker = LocalWorker(Runtime(service, conf))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)
    worker.run()


def _celery(service: Service, conf: cfg.ConfigOpts) -> None:
    """Celery's worker."""
    broker = Broker(service, conf)
    runtime, stopping = Runtime(service, conf), threading.Event()

    @broker.celery.task(name=TASK, shared=False)
    def work() -> None:
        work_on(runtime, name(), stopping)

    @signals.worker_shutting_down.connect(weak=False)
    def stop(**_: object) -> None:
        stopping.set()

    @signals.worker_ready.connect(weak=False)
    def ready(**_: object) -> None:
        Watch(runtime, conf.jobs.slots, name()).start()

    worker = broker.celery.Worker(**options_of_worker(conf.jobs.slots, f"{service.name}@{socket.gethostname()}"), queues=[broker.name])
    worker.start()

