"""The text of systemd units: WSGI applications with their sockets, programs of the bundle, drop-ins for other units."""

from __future__ import annotations

from typing import Any

from cloudos.model import paths
from cloudos.model.render import scalar

GUNICORN = "/etc/cloudos/gunicorn.py"
ENVIRONMENT = {
    "PATH": f"{paths.BUNDLE}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    # Python's threads take turns anyway, and each pool of the C library keeps the most that its thread ever needed:
    # ten threads that backed up one volume kept 450 MB.
    "MALLOC_ARENA_MAX": 2,
}
# Only who has a certificate of the cloud's authority is answered: 2 is ssl.CERT_REQUIRED.
MUTUAL_TLS = f" --certfile {paths.CERTIFICATE} --keyfile {paths.KEY} --ca-certs {paths.CA} --cert-reqs 2"
# Not for a unit that becomes root for a moment, or makes mounts that others have to see (network namespaces).
SANDBOX = {"NoNewPrivileges": "yes", "ProtectSystem": "full", "ProtectHome": "yes", "PrivateTmp": "yes"}
# WSGI applications take sys.argv for their own arguments, so that a worker must not show them gunicorn's.
GUNICORN_CONFIG = '''\
"""Settings of every WSGI application. Written by Cloud OS: a change made here is undone."""

import itertools
import os
import sys
import time

# It becomes gthread where there are threads. A worker without takes a connection only when it is free, and leaves it to others else.
worker_class = "sync"
worker_tmp_dir = "/dev/shm"
timeout = 600
graceful_timeout = 180
keepalive = 0
control_socket_disable = True
raw_env = [f"WSGI_SERVER_STARTED={int(time.time())}"]


def pre_fork(server, worker):
    """Workers are numbered from 1 on; one that takes the place of another has its number."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in itertools.count(1) if number not in taken)


def post_fork(server, worker):
    """Before the application is loaded: it must not take gunicorn's arguments for its own, and its messaging names
    queues, and a file in /dev/shm, after the program."""
    sys.argv[:] = [server.proc_name]
    os.environ["WSGI_WORKER"] = str(worker.number)


def post_worker_init(worker):
    """An application may have taken signals for itself; the worker would not leave when it is asked to."""
    worker.init_signals()
'''


def unit_text(sections: dict[str, dict]) -> str:
    """A unit file from section -> option -> value; a list gives repeated lines, None leaves an option out."""
    parts = []
    for section, options in sections.items():
        lines = [f"{key}={scalar(item)}\n" for key, value in options.items() for item in _lines(value)]
        if lines:
            parts.append(f"[{section}]\n{''.join(lines)}")
    return "\n".join(parts)


def socket_unit(name: str, title: str, address: str | None = None) -> str:
    """The socket of a WSGI unit; it stays while the service behind it restarts, so that no connection is refused.

    With an address (host:port) it is one of the network: the front end is on another node.
    """
    near = {"SocketUser": "root", "SocketGroup": paths.FRONTEND, "SocketMode": "0660", "RemoveOnStop": "yes"}
    socket = {
        "ListenStream": address or f"{paths.RUN}/{name}.sock",
        "Backlog": 4096,
        **({"FreeBind": "yes"} if address else near),
    }
    return unit_text(
        {
            "Unit": {"Description": f"Socket of {name} ({title})"},
            "Socket": socket,
            "Install": {"WantedBy": "sockets.target"},
        }
    )


def timer_unit(name: str, schedule: str, title: str) -> str:
    """The timer of a unit with a schedule (systemd.time's calendar events); what was missed while down is made up for."""
    return unit_text(
        {
            "Unit": {"Description": f"Schedule of {name} ({title})"},
            "Timer": {"OnCalendar": schedule, "RandomizedDelaySec": 300, "Persistent": "yes"},
            "Install": {"WantedBy": "timers.target"},
        }
    )


def service_unit(
    name: str, unit: dict, service: str, body: dict, patch_level: str, after: list[str], away: bool = False
) -> str:
    """The unit of a WSGI application or of a program of the bundle; `unit` has its expressions evaluated.

    `away`: the front end of a WSGI application is on another node, and shows a certificate of the cloud, as it is shown one.
    """
    sections = {
        "Unit": {
            "Description": f"{body.get('title', service)}: {name}",
            "Wants": "network-online.target",
            "After": " ".join(["network-online.target", *after]),
            "RequiresMountsFor": f"{paths.BUNDLES}/{patch_level}",
        },
        "Service": {
            **_process(name, unit, away),
            **_account(unit, service, body, [paths.TLS_GROUP] if away else []),
            **_environment({**ENVIRONMENT, **unit.get("environment", {})}),
            **_sandbox(unit),
            "StandardOutput": "journal",
        },
        "Install": {} if "schedule" in unit else {"WantedBy": "multi-user.target"},
    }
    if "wsgi" in unit:
        sections["Unit"]["Requires"] = f"{name}.socket"
        sections["Unit"]["After"] += f" {name}.socket"
    return unit_text(_laid_over(sections, unit.get("options", {})))


def drop_in(name: str, unit: dict, after: list[str]) -> str:
    """What is laid over a unit of the distribution; empty when nothing is."""
    sections: dict[str, dict] = {"Unit": {"After": " ".join(after)} if after else {}}
    if paths.unit_name(name).endswith(".service"):
        restart = {} if unit.get("oneshot") else {"Restart": "always", "RestartSec": 2}
        sections["Service"] = {**restart, **_environment(unit.get("environment", {}))}
    return unit_text(_laid_over(sections, unit.get("options", {})))


def _process(name: str, unit: dict, away: bool) -> dict[str, Any]:
    if "wsgi" in unit:
        command = f"{paths.BUNDLE}/bin/gunicorn --config {GUNICORN} --name {name}"
        command += MUTUAL_TLS if away else ""
        command += f" --workers {unit.get('workers', 1)} --threads {unit.get('threads', 4)} {unit['wsgi']}"
        return {
            "Type": "notify",
            "NotifyAccess": "main",
            "ExecStart": command,
            "KillMode": "mixed",
            "Restart": "always",
            "RestartSec": 2,
            "TimeoutStopSec": 200,
        }
    command = unit["exec"] if unit["exec"].startswith("/") else f"{paths.BUNDLE}/bin/{unit['exec']}"
    if "schedule" in unit:
        return {"Type": "oneshot", "ExecStart": command}
    if unit.get("oneshot"):
        return {"Type": "oneshot", "RemainAfterExit": "yes", "ExecStart": command}
    return {
        "Type": "simple",
        "ExecStart": command,
        "Restart": "always",
        "RestartSec": 2,
        "TimeoutStopSec": 60,
        # A main process that is gone takes its workers along at once; asked to stop, it ends them in its own time.
        "KillMode": "mixed",
    }


def _account(unit: dict, service: str, body: dict, more: list[str]) -> dict[str, str]:
    user = unit.get("user") or (service if body.get("account") is not None else "root")
    if user == "root":
        return {}
    groups = [*((body.get("account") or {}).get("groups", []) if user == service else []), *more]
    return {"User": user, "Group": user, **({"SupplementaryGroups": " ".join(groups)} if groups else {})}


def _environment(variables: dict[str, Any]) -> dict[str, list[str]]:
    return {"Environment": [f'"{key}={_quoted(value)}"' for key, value in variables.items() if value is not None]}


def _quoted(value: Any) -> str:
    return scalar(value).replace("\\", "\\\\").replace('"', '\\"')


def _sandbox(unit: dict) -> dict[str, str]:
    return {} if unit.get("privileged") or unit.get("user") == "root" else SANDBOX


def _laid_over(sections: dict[str, dict], options: dict[str, dict]) -> dict[str, dict]:
    return {
        name: {**sections.get(name, {}), **(options.get(name) or {})}
        for name in [*sections, *(key for key in options if key not in sections)]
    }


def _lines(value: Any) -> list:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
