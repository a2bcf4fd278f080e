"""Configuration by oslo.config: one `<service>.conf`, with Eden's options, the service's own and those of the libraries."""

from __future__ import annotations

import os
from collections.abc import Sequence

from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_db import options as db_options
from oslo_log import log
from oslo_middleware import http_proxy_to_wsgi

from cloudos.eden.service import Service

API = [
    cfg.StrOpt("auth_strategy", default="keystone", choices=["keystone", "noauth"],
               help="Who says who a caller is. noauth makes every caller the one local user, and answers loopback and unix sockets only."),
    cfg.IntOpt("max_request_size", default=16 * 1024 * 1024, min=1024, help="The longest body of a request, in bytes."),
    cfg.FloatOpt("rate", default=100, min=0, help="Requests a second that one user may make of one process; 0 is no limit."),
    cfg.IntOpt("burst", default=400, min=1, help="Requests that one user may make at once before the rate counts."),
    cfg.IntOpt("page_limit", default=100, min=1, help="Items on a page when the caller names no limit."),
    cfg.IntOpt("max_page_limit", default=1000, min=1, help="The most items on a page."),
    cfg.IntOpt("streams", default=16, min=1, help="Event streams that one process holds open; each takes a thread."),
    cfg.IntOpt("stream_seconds", default=60, min=1, help="After this time a stream ends; the reader comes back with Last-Event-ID."),
    cfg.BoolOpt("metrics_open", default=False, help="Give /metrics without a token. Only where nobody but Prometheus reaches the port."),
    cfg.IntOpt("audit_days", default=365, min=1, help="How long the purge keeps the audit's records, in days."),
]  # fmt: skip
JOBS = [
    cfg.StrOpt("backend", default="local", choices=["local", "celery"],
               help="local: workers look into the database for work. celery: RabbitMQ tells them."),
    cfg.StrOpt("broker_url", secret=True,
               help="RabbitMQ for celery: amqp://user:password@host:5672/vhost, also several, or the transport_url of oslo.messaging."),
    cfg.StrOpt("broker_ca", help="Certificate authority of RabbitMQ; with it the connection is encrypted."),
    cfg.IntOpt("slots", default=4, min=1, help="Jobs that one worker runs at once."),
    cfg.FloatOpt("lease", default=15, min=0.5, help="Seconds without a sign of life after which another worker takes a job over."),
    cfg.FloatOpt("poll", default=1, min=0.05, help="Seconds between two looks for work of a worker with backend local."),
    cfg.IntOpt("attempts", default=5, min=1, help="Workers that may die of a job before it has failed."),
    cfg.FloatOpt("queue_timeout", default=86400, min=1, help="Seconds after which a job that no worker took has failed."),
    cfg.FloatOpt("cancel_timeout", default=600, min=1, help="Seconds that a cancelled job has to end before the watchdog ends it."),
    cfg.IntOpt("keep_days", default=90, min=1, help="How long the purge keeps jobs that have ended, in days."),
]  # fmt: skip

VAULT = [
    cfg.StrOpt("key_file",
               help="Fernet keys, one a line, the first for what is new; the same on every node. Without it a file in "
                    "/etc/<service>, or embedded one in CLOUDOS_HOME that is made when it is missing."),
]  # fmt: skip


def options(service: Service) -> list[tuple[str, list[cfg.Opt]]]:
    """What the entry point oslo.config.opts of a service lists: Eden's options and its own."""
    quota = [cfg.IntOpt(name, default=one.limit, min=-1, help=f"{one.help} A project may have so many; -1 is no limit.")
             for name, one in service.quotas.items()]  # fmt: skip
    own = [(group, list(opts)) for group, opts in service.options.items()]
    vault = [("vault", list(VAULT))] if service.sealed else []
    return [("api", list(API)), ("jobs", list(JOBS)), *([("quota", quota)] if quota else []), *vault, *own]


def make(service: Service) -> cfg.ConfigOpts:
    """The options of a service, declared and with their defaults; nothing is read yet."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    for group, opts in options(service):
        conf.register_opts(opts, group=group)
    conf.register_opts(db_options.database_opts, group="database")
    conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
    # The middleware declares them too, yet only once it is made; without a token the service names Keystone.
    for group, opts in auth_token.list_opts():
        conf.register_opts(opts, group=group)
    return conf


def load(service: Service, files: Sequence[str] | None = None) -> cfg.ConfigOpts:
    """Read the configuration: the files named, or OS_<SERVICE>_CONFIG_FILES (; between), or /etc/<service>/<service>.conf."""
    named = os.environ.get(f"OS_{service.name.upper()}_CONFIG_FILES")
    if files is None and named:
        files = named.split(";")
    conf = make(service)
    conf(args=[], project=service.name, version=service.version, default_config_files=files)
    return conf
