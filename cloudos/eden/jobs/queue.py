"""How workers hear of work: not at all (they look, with backend local), or through RabbitMQ by Celery.

A message carries nothing; it makes a worker claim the oldest job. A lost or doubled one does no harm: leases decide, and
the watchdog sends hints again.
"""

from __future__ import annotations

import ssl
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery, bootsteps
from celery import __version__ as celery_version
from celery.worker.consumer import Consumer
from kombu import Exchange, Queue
from kombu.exceptions import KombuError
from kombu.transport import pyamqp
from oslo_config import cfg
from oslo_log import log

from cloudos.eden.service import Service

LOG = log.getLogger(__name__)
TASK = "eden.work"
# A connection from before a restart of RabbitMQ is noticed by using it.
ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}


class Local:
    """Workers look into the table."""

    def hint(self, count: int) -> None:
        """Nothing to tell."""


class Broker:
    """Workers listen to a quorum queue of the service."""

    def __init__(self, service: Service, conf: cfg.ConfigOpts):
        self.name, self._fresh = f"{service.name}.jobs", conf.jobs.lease
        self.celery = celery(self.name, conf)

    def hint(self, count: int) -> None:
        """Tell `count` workers. RabbitMQ may be away: the watchdog tells them later.

        A hint that nobody took until the watchdog repeats it is dropped, so that none pile up while all workers are busy.
        """
        try:
            for _ in range(count):
                self.celery.send_task(TASK, queue=self.name, retry=True, retry_policy=ONCE_MORE, expiration=self._fresh)
        except (KombuError, AMQPError, OSError) as error:
            LOG.warning("RabbitMQ does not take the hint that there is work (%s); the watchdog repeats it.", error)


def make(service: Service, conf: cfg.ConfigOpts) -> Local | Broker:
    """The queue that [jobs] backend names."""
    return Broker(service, conf) if conf.jobs.backend == "celery" else Local()


def celery(name: str, conf: cfg.ConfigOpts) -> Celery:
    """The Celery application: acknowledged late, requeued when a worker is lost, one durable quorum queue, no results."""
    if not conf.jobs.broker_url:
        raise ValueError("[jobs] backend = celery needs [jobs] broker_url: amqp://user:password@host:5672/vhost")
    if celery_version < "5.5":
        # Celery 5.4, the newest that the constraints of 2025.1 let in, asks RabbitMQ for a kind of limit that quorum
        # queues refuse, unless the transport says that limits are per consumer. From 5.5 on it knows by itself.
        pyamqp.Transport.qos_semantics_matches_spec = lambda self, connection: True
    # From 5.5 on it makes 28 quorum queues of its own for tasks that are to wait; hints never do.
    steps = Consumer.Blueprint.default_steps
    steps[:] = [step for step in steps if "delayed_delivery" not in step]
    app = Celery(name, broker=broker_url(conf.jobs.broker_url), set_as_current=False)
    app.steps["consumer"].add(Prompt)
    app.conf.update(
        task_acks_late=True, task_reject_on_worker_lost=True, task_acks_on_failure_or_timeout=True, task_ignore_result=True,
        task_default_queue=name, task_create_missing_queues=False,
        task_queues=[Queue(name, Exchange(name, type="direct", durable=True), routing_key=name, durable=True,
                           queue_arguments={"x-queue-type": "quorum"})],
        worker_prefetch_multiplier=1, worker_enable_remote_control=False, worker_cancel_long_running_tasks_on_connection_loss=False,
        # A job may take longer than RabbitMQ waits for an acknowledgement; the channel that it closes is opened anew.
        broker_channel_error_retry=True,
        worker_hijack_root_logger=False, broker_connection_retry_on_startup=True, broker_connection_max_retries=None,
        broker_connection_timeout=4, broker_heartbeat=30, broker_transport_options={"confirm_publish": True},
        broker_use_ssl={"ca_certs": conf.jobs.broker_ca, "cert_reqs": ssl.CERT_REQUIRED} if conf.jobs.broker_ca else None,
    )  # fmt: skip
    return app


class Prompt(bootsteps.StartStopStep):
    """Turns the loop of a worker every second. Threads that end a task leave its acknowledgement to the loop, which before
    kombu 5.7 sleeps on, up to ten seconds; until then RabbitMQ takes their slots for busy."""

    def start(self, parent: Consumer) -> None:
        """At every connection, as Celery clears the loop's timers when it loses one."""
        if parent.hub:
            parent.hub.timer.call_repeatedly(1, lambda: None)


def broker_url(text: str) -> list[str] | str:
    """Celery's URLs from its own, or from an oslo.messaging transport_url: rabbit://u:p@one:5672,u:p@two:5672/vhost."""
    scheme, _, rest = text.partition("://")
    if scheme not in ("rabbit", "kombu"):
        return text.split(";") if ";" in text else text
    hosts, _, tail = rest.partition("/")
    vhost = tail.partition("?")[0]
    return [f"amqp://{host}/{vhost}" for host in hosts.split(",")]


def options_of_worker(slots: int, name: str) -> dict[str, Any]:
    """How the worker runs: threads, as jobs wait more than they compute, and no chatter with other workers."""
    return {"concurrency": slots, "hostname": name, "without_gossip": True, "without_mingle": True, "without_heartbeat": True,
            "pool": "threads", "loglevel": "INFO"}  # fmt: skip
