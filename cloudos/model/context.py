"""The names that expressions in data files may use; docs/reference/data.md lists them for people."""

from __future__ import annotations

import uuid
from typing import Any

from cloudos.model import paths, settings
from cloudos.model.addresses import bracketed
from cloudos.model.assemble import Cloud
from cloudos.model.expressions import UnknownName
from cloudos.model.frontend import frontend_config
from cloudos.model.problems import nearest
from cloudos.model.schemas import GROUPS


class Named(str):
    """A name that also has attributes: `{{ service }}` is nova, `{{ service.title }}` is Compute."""

    def __new__(cls, name: str, **attributes: Any):
        self = super().__new__(cls, name)
        self.__dict__.update(attributes, name=name)
        return self


class Context:
    """Makes the names for one cloud. `nodes`: name -> Named with address, groups, facts."""

    def __init__(self, cloud: Cloud, nodes: dict[str, Named]):
        self.cloud, self._nodes = cloud, nodes
        inventory = cloud.inventory
        self._shared = {
            "cloud": Named(inventory.cloud, region=inventory.region, domain="Default", retention=inventory.retention),
            "release": Named(cloud.release.series, series=cloud.release.series, patch_level=cloud.release.patch_level),
            "services": list(cloud.bodies),
            "networks": inventory.networks,
            "endpoint": Named(inventory.endpoint, address=inventory.endpoint),
            "plugins": {kind: choice.shown for kind, choice in cloud.choices.items()},
            "uuid": self.uuid,
            "bundle": paths.BUNDLE,
            "ca": paths.CA,
            "nodes": self.nodes,
            "url": self.url,
            "settings_of": self.settings_of,
            "database_url": self.database_url,
            "messaging_url": self.messaging_url,
            "frontend_config": lambda: frontend_config(cloud),
        }

    def of(self, service: str) -> dict:
        """The names in expressions of one service, without `node`."""
        body = self.cloud.bodies[service]
        catalog = catalogs(body)
        attributes = {"title": body.get("title", service), "type": catalog[0]["type"] if catalog else None}
        return {
            **self._shared,
            "service": Named(service, **attributes),
            "settings": settings.of(self.cloud, service),
            "secret": lambda name: self.secret(service, name),
        }

    def nodes(self, group: str = "all") -> list[Named]:
        """The nodes of a group, each with name, address, groups and facts."""
        if group not in (*GROUPS, "all"):
            raise UnknownName(f"{group} is not a group{nearest(group, (*GROUPS, 'all'))}")
        return [self._nodes[name] for name in self.cloud.inventory.members(group)]

    def uuid(self, name: str) -> str:
        """A UUID that is always the same for this cloud and a name."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"cloudos:{self.cloud.inventory.cloud}/{name}"))

    def secret(self, service: str, name: str) -> str:
        """A reference to a secret: one of the service's own by its short name, any other by its full one."""
        full = name if "/" in name else f"service/{service}/{name}"
        if full not in self.cloud.secrets:
            raise UnknownName(f"there is no secret {full}{nearest(full, self.cloud.secrets)}")
        return "${secret:%s}" % full

    def url(self, service: str, path: bool = False) -> str:
        """Where the API of a service answers, with `path` as the catalog has it."""
        body = self.cloud.bodies.get(service)
        if body is None:
            raise UnknownName(f"{service} is not a service of this cloud{nearest(service, self.cloud.bodies)}")
        entries = catalogs(body)
        if not entries:
            raise UnknownName(f"{service} has no catalog entry, and so no URL")
        return endpoint_url(self.cloud, service, entries[0], path)

    def settings_of(self, service: str) -> dict[str, Any]:
        """The settings of another service of the cloud."""
        if service not in self.cloud.bodies:
            raise UnknownName(f"{service} is not a service of this cloud{nearest(service, self.cloud.bodies)}")
        return settings.of(self.cloud, service)

    def database_url(self, name: str) -> str:
        """SQLAlchemy URL of a database with the password of the service that has it; TLS verified by the cloud's CA."""
        owners = self.cloud.database_owners()
        if name not in owners:
            raise UnknownName(f"no service of this cloud has a database {name}{nearest(name, owners)}")
        owner = owners[name]
        host = bracketed(self._host(paths.DATABASE))
        reference = "${secret:database/%s}" % owner
        return f"mysql+pymysql://{owner}:{reference}@{host}:3306/{name}?charset=utf8mb4&ssl_ca={paths.CA}"

    def messaging_url(self) -> str:
        """Transport URL of the message broker, by TLS."""
        return "rabbit://cloudos:${secret:messaging/cloudos}@%s:5671/" % bracketed(self._host(paths.MESSAGING))

    def _host(self, service: str) -> str:
        return self.cloud.host_of(service) or _absent(service)


def _absent(service: str) -> str:
    raise UnknownName(f"{service} is not in this cloud; name it in `needs` of the service")


def catalogs(body: dict) -> list[dict]:
    """The catalog entries of a service; most have one."""
    catalog = body.get("catalog") or []
    return [catalog] if isinstance(catalog, dict) else catalog


def endpoint_url(cloud: Cloud, service: str, entry: dict, path: bool) -> str:
    """The public URL of a catalog entry."""
    unit = cloud.bodies[service].get("units", {}).get(entry["unit"], {})
    if "port" not in unit:
        raise UnknownName(f"the catalog of {service} names unit {entry['unit']}, which has no port")
    return f"https://{bracketed(cloud.inventory.endpoint)}:{unit['port']}" + (entry.get("path", "") if path else "")
