"""One node's part of the plan: packages, files, units, schemas, operations and probes of the services on it."""

from __future__ import annotations

from collections.abc import Callable

from cloudos.model import nodefiles, paths
from cloudos.model.addresses import bracketed
from cloudos.model.assemble import groups
from cloudos.model.frontend import elsewhere
from cloudos.model.ordering import ordered_units
from cloudos.model.problems import Report
from cloudos.model.scope import Scope, unit_groups
from cloudos.model.servicefiles import service_files
from cloudos.model.serviceunits import service_units

HTTP_TIMEOUT = 120  # seconds until an API must have answered once


def compile_host(scope: Scope, facts: dict | None, report: Report) -> dict:
    """The node's entry in the plan; `facts` are those gathered, None where nobody has looked yet."""
    files = {"node": nodefiles.node_files(str(scope.node), scope.bodies)}
    units: list[dict] = []
    for service, body in scope.bodies.items():
        files[service] = service_files(scope, service, body)
        units += service_units(scope, service, body, files[service])
    return {
        "address": scope.node.address,
        "groups": list(scope.node.groups),
        "facts": facts or {},
        "facts_known": facts is not None,
        "bundle": scope.cloud.release.patch_level,
        "packages": _packages(scope),
        "files": files,
        "units": ordered_units(units, scope.cloud, report),
        "schemas": _each(scope, _schemas),
        "operations": _each(scope, _operations),
        "probes": _each(scope, _probes),
    }


def _each(scope: Scope, part: Callable[[Scope, str, dict], list[dict]]) -> list[dict]:
    return [entry for service, body in scope.bodies.items() for entry in part(scope, service, body)]


def _packages(scope: Scope) -> list[str]:
    named = [packages for body in scope.bodies.values() for packages in body.get("packages", {}).items()]
    return sorted({*nodefiles.PACKAGES, *(name for group, names in named if group in scope.groups for name in names)})


def _schemas(scope: Scope, service: str, body: dict) -> list[dict]:
    if not _first(scope, body) or not (body.get("databases") or body.get("migrate")):
        return []
    return [
        {
            "service": service,
            "databases": body.get("databases", []),
            "user": service,
            "password": "${secret:database/%s}" % service,
            "migrate": scope.value(body.get("migrate", []), service),
            "run_as": service if body.get("account") is not None else "root",
            "host": scope.cloud.host_of(paths.DATABASE) or scope.node.address,
        }
    ]


def _first(scope: Scope, body: dict) -> bool:
    """Whether a service's single steps run on this node: the first of group control, else the first that has it."""
    on = ("control",) if "control" in unit_groups(body) else unit_groups(body)
    return scope.cloud.members(on)[:1] == [str(scope.node)]


def _operations(scope: Scope, service: str, body: dict) -> list[dict]:
    return _listed(scope, service, body, "operations")


def _probes(scope: Scope, service: str, body: dict) -> list[dict]:
    result = []
    for name, unit in body.get("units", {}).items():
        if unit.get("oneshot") or not scope.on(unit, service):
            continue
        probe: dict = {"service": service, "name": name}
        if "port" in unit and unit.get("tls", True) and ("wsgi" in unit or "backend" in unit):
            health = scope.value(unit.get("health", "/"), service)
            away = "wsgi" in unit and elsewhere(scope.groups)
            address = scope.node.address if away else scope.cloud.inventory.endpoint
            http = {"kind": "http", "url": f"https://{bracketed(address)}:{unit['port']}{health}", "cafile": paths.CA}
            http |= {"certfile": paths.CERTIFICATE, "keyfile": paths.KEY} if away else {}
            http |= {"timeout": HTTP_TIMEOUT, "before": "agents"}
            result.append({**probe, **http, "unit": paths.unit_name(name)})
        else:
            unit_name = f"{name}.timer" if "schedule" in unit else paths.unit_name(name)
            result.append({**probe, "kind": "unit", "unit": unit_name})
    return result + _listed(scope, service, body, "probes")


def _listed(scope: Scope, service: str, body: dict, key: str) -> list[dict]:
    """Operations or probes of a service that are for this node."""
    result = []
    for entry in body.get(key, []):
        if not scope.on(entry, service, unit_groups(body)):
            continue
        if entry.get("once") and scope.cloud.members(groups(entry, unit_groups(body)))[0] != str(scope.node):
            continue
        kept = {name: value for name, value in entry.items() if name not in ("on", "once", "when")}
        if (value := scope.value(kept, service)) is not None:
            result.append({"service": service, **value})
    return result
