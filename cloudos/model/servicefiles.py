"""The files and directories of a service on a node, without its unit files."""

from __future__ import annotations

from pathlib import PurePosixPath

from cloudos.model import nodefiles, paths
from cloudos.model.scope import Scope, unit_groups

ROOTWRAP = [
    r"^exec_dirs\s*=.*",
    f"exec_dirs={paths.BUNDLE}/bin,/sbin,/usr/sbin,/bin,/usr/bin,/usr/local/bin,/usr/local/sbin",
]


def service_files(scope: Scope, service: str, body: dict) -> dict[str, dict]:
    """Path -> file, directory or copy as the plan has it, in the order in which they are made."""
    account, default = body.get("account"), unit_groups(body)
    owner = service if account is not None else "root"
    listed = {path: file for path, file in body.get("files", {}).items() if scope.on(file, service, default)}
    result: dict[str, dict] = {}
    for name in body.get("config_data", []):
        result[f"/etc/{service}"] = {
            "type": "copy",
            "source": f"{paths.BUNDLE}/etc/{name}",
            "owner": "root",
            "group": owner,
            "mode": "0640",
            "replace": [ROOTWRAP],
        }
    if not result and (account is not None or any(not path.startswith("/") for path in listed)):
        result[f"/etc/{service}"] = nodefiles.directory(group=owner, mode="0750")
    if account is not None:
        result[f"/var/lib/{service}"] = nodefiles.directory(service, service, "0750")
    for path, entry in body.get("directories", {}).items():
        if scope.on(entry, service, default):
            given = {key: value for key, value in (entry or {}).items() if key in ("owner", "group", "mode")}
            result[path] = {**nodefiles.directory(owner, owner, "0750"), **given}
    for path, entry in listed.items():
        for parent in reversed(PurePosixPath(path).parents[:-1] if not path.startswith("/") else []):
            result.setdefault(f"/etc/{service}/{parent}", nodefiles.directory(group=owner, mode="0750"))
        content = scope.configuration.text(service, path, entry, scope.node)
        result[paths.in_service(service, path)] = nodefiles.file(
            content,
            entry.get("owner", "root"),
            entry.get("group", owner),
            entry.get("mode", "0640"),
            scope.value(entry.get("apply"), service),
        )
    return result
