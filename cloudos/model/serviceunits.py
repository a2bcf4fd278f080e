"""The units of a service on a node, as the plan lists them, with the files that define them."""

from __future__ import annotations

from cloudos.model import nodefiles, paths, units
from cloudos.model.addresses import bracketed
from cloudos.model.frontend import elsewhere
from cloudos.model.scope import Scope

TLS = [paths.CA, paths.CERTIFICATE, paths.KEY]


def service_units(scope: Scope, service: str, body: dict, files: dict[str, dict]) -> list[dict]:
    """The plan's units of a service; adds their unit files to `files`."""
    all_files = [path for path, entry in files.items() if entry.get("type") != "directory"]
    result = []
    for name, raw in body.get("units", {}).items():
        if not scope.on(raw, service):
            continue
        unit = scope.value({key: value for key, value in raw.items() if key not in ("on", "when")}, service)
        if unit is None:  # told already
            continue
        after = _after(scope, service, body, unit)
        own = _unit_files(scope, name, unit, service, body, after)
        inputs = [
            *(path for path, text in own.items() if text is not None),
            *([paths.in_service(service, path) for path in unit["files"]] if "files" in unit else all_files),
        ]
        inputs += _more_inputs(scope, name, unit, service, body)
        entry = {
            "name": paths.unit_name(name),
            "service": service,
            "stage": unit.get("stage", "foundations" if body.get("base") else "services"),
            "inputs": inputs,
            "reload": unit.get("reload", False),
            "oneshot": unit.get("oneshot", False),
            "after": after,
        }
        if "wsgi" in unit:
            name_of_socket = f"{name}.socket"
            alone = {"inputs": [f"{paths.UNITS}/{name_of_socket}"], "reload": False, "oneshot": False, "after": []}
            result.append({**entry, "name": name_of_socket, **alone})
            entry["after"] = [*after, name_of_socket]
        if "schedule" in unit:  # the timer starts the service, and nobody else
            timer = f"{name}.timer"
            entry |= {"name": timer, "inputs": [f"{paths.UNITS}/{timer}"], "after": []}
        result.append(entry)
        for path, content in own.items():
            files.setdefault(path, nodefiles.directory() if content is None else nodefiles.file(content))
    return result


def _unit_files(
    scope: Scope, name: str, unit: dict, service: str, body: dict, after: list[str]
) -> dict[str, str | None]:
    """Path -> content of the files that define a unit; None is a directory."""
    full = paths.unit_name(name)
    if unit.get("distribution"):
        text = units.drop_in(name, unit, [paths.unit_name(other) for other in unit.get("after", [])])
        return {f"{paths.UNITS}/{full}.d": None, f"{paths.UNITS}/{full}.d/cloudos.conf": text} if text else {}
    away = "wsgi" in unit and "port" in unit and elsewhere(scope.groups)
    text = units.service_unit(name, unit, service, body, scope.cloud.release.patch_level, after, away)
    socket = {}
    if "wsgi" in unit:
        address = f"{bracketed(scope.node.address)}:{unit['port']}" if away else None
        socket = {f"{paths.UNITS}/{name}.socket": units.socket_unit(name, body.get("title", service), address)}
    if "schedule" in unit:
        socket = {f"{paths.UNITS}/{name}.timer": units.timer_unit(name, unit["schedule"], body.get("title", service))}
    return {**socket, f"{paths.UNITS}/{full}": text}


def _more_inputs(scope: Scope, name: str, unit: dict, service: str, body: dict) -> list[str]:
    if "wsgi" in unit:
        return [units.GUNICORN, paths.BUNDLE, *(TLS if elsewhere(scope.groups) else ())]
    if not unit.get("distribution"):
        return [paths.BUNDLE] if not unit["exec"].startswith("/") else []
    if service == paths.FRONTEND:
        return [paths.FRONTEND_PEM]
    return TLS if body.get("tls_user") and not name.endswith(".socket") else []


def _after(scope: Scope, service: str, body: dict, unit: dict) -> list[str]:
    """Units of this node that come before: those named, and those of the foundations that the service needs."""
    bases = {need: scope.bodies[need] for need in body.get("needs", []) if scope.bodies.get(need, {}).get("base")}
    foundations = {} if unit.get("distribution") else bases
    names = [
        name
        for need, base in foundations.items()
        for name, other in base.get("units", {}).items()
        if scope.on(other, need)
    ]
    return list(dict.fromkeys(paths.unit_name(name) for name in [*names, *unit.get("after", [])]))
