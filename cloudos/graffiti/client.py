"""The Python SDK of Graffiti."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from cloudos.eden.client import Client
from cloudos.graffiti import sources
from cloudos.graffiti.types import Batch

PROFILE = "resource_binding"  # the type of a binding among Focus's documents
# In the order in which they refer to each other.
STANDARD = ("tosca", "os-traits", "os-resource-classes", "openstack")


class Focus(Client):
    """Where profiles are stored."""

    service_type = "focus"


class Graffiti(Client):
    """Graffiti through a session of keystoneauth1. What the methods return is JSON as docs/reference/graffiti.md has it."""

    service_type = "graffiti"

    def load(self, source: str, path: Path | None = None, scope: str = "private-project", dry_run: bool = False) -> dict[str, Any]:
        """Load a source of the dictionary; {created, changed, same}. Raises sources.Unloadable, Failure."""
        return self.load_batch(sources.load(source, path), scope, dry_run)

    def load_batch(self, batch: Batch, scope: str = "private-project", dry_run: bool = False) -> dict[str, Any]:
        """Load namespaces and types at once."""
        body = {"namespaces": [_some(asdict(one)) for one in batch.namespaces], "types": [_some(one.body()) for one in batch.types],
                "scope": scope, "dry_run": dry_run}  # fmt: skip
        return self.request("POST", "/v1/dictionary", body=body).json()

    def types(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Types, by kind, namespace, name or q."""
        return self.every("/v1/types", "types", **query)

    def type(self, reference: str, kind: str = "capability") -> dict[str, Any]:
        """A type by its full name, name or alias, as templates refer to it, with derived properties. Raises Failure."""
        found = next(self.types(kind=kind, reference=reference))
        return self.get(f"/v1/types/{found['id']}")

    def keys(self, resource_type: str) -> list[dict[str, Any]]:
        """Which properties a resource of a type may carry, with which key."""
        return self.get(f"/v1/keys/{quote(resource_type, safe='')}")["keys"]

    def pools(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Resource pools."""
        return self.every("/v1/resource_pools", "resource_pools", **query)

    def pool(self, name: str) -> dict[str, Any]:
        """A pool by id or name. Raises LookupError."""
        found = [one for one in self.pools(state="all") if name in (one["id"], one["name"])]
        alive = [one for one in found if one["state"] != "deleted"] or found
        if len(alive) != 1:
            raise LookupError(f"{len(alive)} pools are called {name}; `cloudos graffiti pool list` shows them with their ids")
        return alive[0]

    def add_pool(self, body: dict[str, Any]) -> dict[str, Any]:
        """Register a pool; its log-in is tried first."""
        return self.request("POST", "/v1/resource_pools", body=body).json()

    def update_pool(self, pool: str, **changes: Any) -> dict[str, Any]:
        """Change a pool: name, state, country, prices, login, secret ...; a new log-in is tried first. Raises Conflict."""
        return self._change(f"/v1/resource_pools/{quote(pool, safe='')}", changes)

    def delete_pool(self, pool: str) -> None:
        """Mark a pool as deleted."""
        self.request("DELETE", f"/v1/resource_pools/{quote(pool, safe='')}")

    def discover(self, pool: str, kinds: list[str] | None = None) -> dict[str, Any]:
        """The job that looks what a pool has."""
        return self.request("POST", f"/v1/resource_pools/{quote(pool, safe='')}/discover", body={"kinds": kinds} if kinds else {}).json()

    def token(self, pool: str) -> dict[str, Any]:
        """A token of a pool's account; for services."""
        return self.request("POST", f"/v1/resource_pools/{quote(pool, safe='')}/token").json()

    def search(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """Resources, page after page."""
        while True:
            page = self.request("POST", "/v1/search", body=asked).json()
            yield from page["resources"]
            if not page["next_marker"]:
                return
            asked["marker"] = page["next_marker"]

    def resource(self, resource: str) -> dict[str, Any]:
        """One resource."""
        return self.get(f"/v1/resources/{quote(resource, safe='')}")

    def publish(self, body: dict[str, Any]) -> dict[str, Any]:
        """Publish a resource by hand."""
        return self.request("POST", "/v1/resources", body=body).json()

    def update_resource(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """Publish it anew: `body` takes the place of what it was. Raises Conflict."""
        return self._change(f"/v1/resources/{quote(resource, safe='')}", body)

    def delete_resource(self, resource: str) -> None:
        """Delete what was published, or has vanished. Raises Conflict where it is bound."""
        self.request("DELETE", f"/v1/resources/{quote(resource, safe='')}")

    def match(self, request: dict[str, Any]) -> dict[str, Any]:
        """Candidates, reasons and a choice; nothing is kept."""
        return self.request("POST", "/v1/match", body=request).json()

    def bind(self, request: dict[str, Any]) -> dict[str, Any]:
        """Match, choose and reserve. Raises Conflict, whose problem has `requirements` with the reasons."""
        return self.request("POST", "/v1/bindings", body=request).json()

    def bindings(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Bindings."""
        return self.every("/v1/bindings", "bindings", **query)

    def commit(self, binding: str) -> dict[str, Any]:
        """What was reserved is provisioned."""
        return self.request("POST", f"/v1/bindings/{quote(binding, safe='')}/commit").json()

    def rebind(self, binding: str) -> dict[str, Any]:
        """Choose again, as if what the binding holds were free; the new binding, with `changes`. Raises Conflict."""
        return self.request("POST", f"/v1/bindings/{quote(binding, safe='')}/rebind").json()

    def release(self, binding: str) -> None:
        """Give back what a binding holds."""
        self.request("DELETE", f"/v1/bindings/{quote(binding, safe='')}")

    def profile(self, binding: str) -> dict[str, Any]:
        """The binding document."""
        return yaml.safe_load(self.profile_text(binding))

    def profile_text(self, binding: str) -> bytes:
        """The binding document as YAML, to be stored in Focus."""
        return self.request("GET", f"/v1/bindings/{quote(binding, safe='')}/profile", headers={"Accept": "application/yaml"}).content

    def store_profile(self, binding: str, focus: Client, name: str, reference: str | None = None) -> dict[str, Any]:
        """Store a binding's profile as a new document of Focus and return that; `reference`: the topology that it binds, as name@version.

        focus: a client of Focus, or `Focus(session)` of this module; the services know each other over HTTP only.
        """
        about = {"name": name, "type": PROFILE, "reference": reference}
        headers = {"Content-Type": "application/yaml"}
        return focus.request("POST", "/v1/documents", query=about, data=self.profile_text(binding), headers=headers).json()

    def drift(self, binding: str) -> dict[str, Any]:
        """What differs between what was bound and what is there."""
        return self.get(f"/v1/bindings/{quote(binding, safe='')}/drift")


    def _change(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change what is there now."""
        tag = self.request("GET", path).headers["ETag"]
        return self.request("PUT", path, body=body, headers={"If-Match": tag}).json()


def _some(body: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in body.items() if value is not None}
