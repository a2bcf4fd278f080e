"""The cloud-wide part of a plan: what Keystone's catalog and its service users must be."""

from __future__ import annotations

from cloudos.model import paths
from cloudos.model.assemble import Cloud
from cloudos.model.context import catalogs, endpoint_url
from cloudos.model.expressions import UnknownName
from cloudos.model.problems import Report

INTERFACES = ("public", "internal", "admin")


def identity(cloud: Cloud, report: Report) -> dict:
    """The arguments of module `cloudos.cloud.identity`: {auth_url, cafile, region, admin,
    services: {name: {type, description, endpoints}}, users: {name: {password, project, roles}}, roles: [name]}."""
    services, users, roles = {}, {}, set()
    for service, body in cloud.bodies.items():
        for entry in catalogs(body):
            try:
                url = endpoint_url(cloud, service, entry, path=True)
            except UnknownName as error:
                report.add(cloud.origin(service).where("catalog"), str(error.args[0]))
                continue
            services[entry.get("name", service)] = {
                "type": entry["type"],
                "description": entry.get("description", body.get("title", service)),
                "endpoints": dict.fromkeys(INTERFACES, url),
            }
        roles.update(body.get("roles", ()))
        if user := body.get("user"):
            users[service] = {
                "password": "${secret:identity/%s}" % service,
                "project": "service",
                "roles": user["roles"],
            }
    return {
        "auth_url": _keystone(cloud),
        "cafile": paths.CA,
        "region": cloud.inventory.region,
        "admin": {
            "user": "admin",
            "password": "${secret:identity/admin}",
            "project": "admin",
            "role": "admin",
            "domain": "Default",
        },
        "services": services,
        "users": users,
        "roles": sorted(roles),
    }


def _keystone(cloud: Cloud) -> str | None:
    """Keystone's URL; None in a cloud without Keystone."""
    for service, body in cloud.bodies.items():
        for entry in catalogs(body):
            if entry["type"] == "identity" and "port" in body.get("units", {}).get(entry["unit"], {}):
                return endpoint_url(cloud, service, entry, path=True)
    return None
