"""One node's part of the plan: packages, files, units, schemas, operations and probes of the services on it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from cloudos.model import nodefiles, paths, units
from cloudos.model.assemble import Cloud, groups
from cloudos.model.configuration import Configuration
from cloudos.model.context import bracketed
from cloudos.model.ordering import ordered_units
from cloudos.model.problems import Report

HTTP_TIMEOUT = 120  # seconds until an API must have answered once
ROOTWRAP = [r"^exec_dirs\s*=.*", f"exec_dirs={paths.BUNDLE}/bin,/sbin,/usr/sbin,/bin,/usr/bin,/usr/local/bin,/usr/local/sbin"]


class Host:
    """Compiles the node `node` (a `context.Named` with address, groups, facts)."""

    def __init__(self, cloud: Cloud, configuration: Configuration, node: Any, facts: dict | None, report: Report):
        self.cloud, self.configuration, self.node, self.report = cloud, configuration, node, report
        self.gathered = facts
        self.groups = {*node.groups, "all"}
        self.bodies = {name: body for name, body in cloud.bodies.items() if self._has(name, body)}

    def compile(self) -> dict:
        """The node's entry in the plan."""
        files = {"node": nodefiles.node_files(str(self.node), self.bodies)}
        found: list[dict] = []
        for service, body in self.bodies.items():
            files[service] = self._files(service, body)
            found += self._units(service, body, files[service])
        return {
            "address": self.node.address,
            "groups": list(self.node.groups),
            "facts": self.gathered or {},
            "facts_known": self.gathered is not None,
            "bundle": self.cloud.release.patch_level,
            "packages": self._packages(),
            "files": files,
            "units": ordered_units(found, self.node, self.cloud, self.report),
            "schemas": [schema for service, body in self.bodies.items() for schema in self._schemas(service, body)],
            "operations": [one for service, body in self.bodies.items() for one in self._listed("operations", service, body)],
            "probes": [one for service, body in self.bodies.items() for one in self._probes(service, body)],
        }

    def _value(self, value: Any, service: str) -> Any:
        return self.configuration.value(value, service, self.node)

    def _on(self, entry: dict | None, service: str, default: tuple[str, ...] = ("control",)) -> bool:
        entry = entry or {}
        if not self.groups.intersection(groups(entry, default)):
            return False
        return bool(self._value(entry["when"], service)) if "when" in entry else True

    def _has(self, service: str, body: dict) -> bool:
        """Whether anything of a service is for this node's groups."""
        parts = [*body.get("units", {}).values(), *(file for file in body.get("files", {}).values() if "on" in file)]
        wanted = {group for part in parts for group in groups(part)} or {"all"}
        if not self.groups & wanted:
            return False
        return bool(self._value(body["when"], service)) if "when" in body else True

    def _packages(self) -> list[str]:
        names = {name for body in self.bodies.values() for group, some in body.get("packages", {}).items() if group in self.groups for name in some}
        return sorted(names.union(nodefiles.PACKAGES))

    def _default_on(self, body: dict) -> tuple[str, ...]:
        return tuple({group: None for unit in body.get("units", {}).values() for group in groups(unit)}) or ("all",)

    def _files(self, service: str, body: dict) -> dict[str, dict]:
        account, default = body.get("account"), self._default_on(body)
        owner = service if account is not None else "root"
        listed = {path: file for path, file in body.get("files", {}).items() if self._on(file, service, default)}
        result: dict[str, dict] = {}
        for name in body.get("config_data", []):
            result[f"/etc/{service}"] = {"type": "copy", "source": f"{paths.BUNDLE}/etc/{name}", "owner": "root", "group": owner,
                                         "mode": "0640", "replace": [ROOTWRAP]}  # fmt: skip
        if not result and (account is not None or any(not path.startswith("/") for path in listed)):
            result[f"/etc/{service}"] = nodefiles.directory(group=owner, mode="0750")
        if account is not None:
            result[f"/var/lib/{service}"] = nodefiles.directory(service, service, "0750")
        for path, entry in body.get("directories", {}).items():
            if self._on(entry, service, default):
                given = {key: value for key, value in (entry or {}).items() if key in ("owner", "group", "mode")}
                result[path] = {**nodefiles.directory(owner, owner, "0750"), **given}
        for path, entry in listed.items():
            for parent in reversed(PurePosixPath(path).parents[:-1] if not path.startswith("/") else []):
                result.setdefault(f"/etc/{service}/{parent}", nodefiles.directory(group=owner, mode="0750"))
            content = self.configuration.text(service, path, entry, self.node)
            result[paths.in_service(service, path)] = nodefiles.file(
                content, entry.get("owner", "root"), entry.get("group", owner), entry.get("mode", "0640"), self._value(entry.get("apply"), service)
            )
        return result

    def _units(self, service: str, body: dict, files: dict[str, dict]) -> list[dict]:
        """The plan's units of a service; adds their unit files to `files`."""
        all_files = [path for path, entry in files.items() if entry.get("type") != "directory"]
        result = []
        for name, raw in body.get("units", {}).items():
            if not self._on(raw, service):
                continue
            unit = self._value({key: value for key, value in raw.items() if key not in ("on", "when")}, service)
            if unit is None:  # told already
                continue
            after = self._after(service, body, unit)
            own = self._unit_files(name, unit, service, body, after)
            inputs = [*(path for path, text in own.items() if text is not None), *([paths.in_service(service, path) for path in unit["files"]] if "files" in unit else all_files)]
            inputs += self._more_inputs(name, unit, service, body)
            entry = {
                "name": paths.unit_name(name), "service": service,
                "stage": unit.get("stage", "foundations" if body.get("base") else "services"),
                "inputs": inputs, "reload": unit.get("reload", False), "oneshot": unit.get("oneshot", False), "after": after,
            }  # fmt: skip
            if "wsgi" in unit:
                socket = {"name": f"{name}.socket", "inputs": [f"{paths.UNITS}/{name}.socket"], "reload": False, "oneshot": False, "after": []}
                result.append({**entry, **socket})
                entry["after"] = [*after, f"{name}.socket"]
            result.append(entry)
            for path, content in own.items():
                files.setdefault(path, nodefiles.directory() if content is None else nodefiles.file(content))
        return result

    def _unit_files(self, name: str, unit: dict, service: str, body: dict, after: list[str]) -> dict[str, str | None]:
        """Path -> content of the files that define a unit; None is a directory."""
        full = paths.unit_name(name)
        if unit.get("distribution"):
            text = units.drop_in(name, unit, [paths.unit_name(other) for other in unit.get("after", [])])
            return {f"{paths.UNITS}/{full}.d": None, f"{paths.UNITS}/{full}.d/cloudos.conf": text} if text else {}
        text = units.service_unit(name, unit, service, body, self.cloud.release.patch_level, after)
        socket = {f"{paths.UNITS}/{name}.socket": units.socket_unit(name, body.get("title", service))} if "wsgi" in unit else {}
        return {**socket, f"{paths.UNITS}/{full}": text}

    def _more_inputs(self, name: str, unit: dict, service: str, body: dict) -> list[str]:
        if "wsgi" in unit:
            return [units.GUNICORN, paths.BUNDLE]
        if not unit.get("distribution"):
            return [paths.BUNDLE] if not unit["exec"].startswith("/") else []
        if service == paths.FRONTEND:
            return [paths.FRONTEND_PEM]
        return [paths.CA, paths.CERTIFICATE, paths.KEY] if body.get("tls_user") and not name.endswith(".socket") else []

    def _after(self, service: str, body: dict, unit: dict) -> list[str]:
        """Units of this node that come before: those named, and those of the foundations that the service needs."""
        needed = [] if unit.get("distribution") else [need for need in body.get("needs", []) if self.bodies.get(need, {}).get("base")]
        names = [name for need in needed for name, other in self.bodies[need].get("units", {}).items() if self._on(other, need)]
        return list(dict.fromkeys(paths.unit_name(name) for name in [*names, *unit.get("after", [])]))

    def _first(self, body: dict) -> bool:
        """Whether this is the node where a service's single steps run: the first control node, else the first that has it."""
        members = self.cloud.inventory.members("control") if "control" in self._default_on(body) else []
        candidates = members or [name for group in self._default_on(body) for name in self.cloud.inventory.members(group)]
        return candidates[:1] == [str(self.node)]

    def _schemas(self, service: str, body: dict) -> list[dict]:
        if not self._first(body) or not (body.get("databases") or body.get("migrate")):
            return []
        return [{
            "service": service,
            "databases": body.get("databases", []),
            "user": service,
            "password": "${secret:database/%s}" % service,
            "migrate": self._value(body.get("migrate", []), service),
            "run_as": service if body.get("account") is not None else "root",
            "host": self.cloud.host_of(paths.DATABASE) or self.node.address,
        }]  # fmt: skip

    def _listed(self, key: str, service: str, body: dict) -> list[dict]:
        """Operations or probes of a service that are for this node."""
        result = []
        for entry in body.get(key, []):
            if not self._on(entry, service, self._default_on(body)):
                continue
            members = [name for group in groups(entry, self._default_on(body)) for name in self.cloud.inventory.members(group)]
            if entry.get("once") and members[0] != str(self.node):
                continue
            kept = {name: value for name, value in entry.items() if name not in ("on", "once", "when")}
            if (value := self._value(kept, service)) is not None:
                result.append({"service": service, **value})
        return result

    def _probes(self, service: str, body: dict) -> list[dict]:
        result = []
        for name, unit in body.get("units", {}).items():
            if unit.get("oneshot") or not self._on(unit, service):
                continue
            probe: dict = {"service": service, "name": name}
            if "port" in unit and unit.get("tls", True) and ("wsgi" in unit or "backend" in unit):
                url = f"https://{bracketed(self.cloud.inventory.endpoint)}:{unit['port']}{unit.get('health', '/')}"
                result.append({**probe, "kind": "http", "url": url, "timeout": HTTP_TIMEOUT})
            else:
                result.append({**probe, "kind": "unit", "unit": paths.unit_name(name)})
        return result + self._listed("probes", service, body)
