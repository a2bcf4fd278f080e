"""Eve for Python programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from cloudos.eden.client import Client, Failure, NotFound, local

__all__ = ["Eve", "Failure", "local"]


class Eve(Client):
    """Topologies as a service. What takes time returns a job; wait(job["id"]) waits for its end."""

    service_type = "eve"

    def design(self, reference: str) -> dict[str, Any]:
        """What a design of Focus asks for: inputs, nodes, problems."""
        return self.get("/v1/design", reference=reference)

    def plan(self, **order: Any) -> dict[str, Any]:
        """What an order would do: design, profile, pool, defaults, inputs, placement, choices, instances, name, topology."""
        return self.request("POST", "/v1/plans", body=order).json()

    def topologies(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Topologies, by name, status, scope."""
        return self.every("/v1/topologies", "topologies", **query)

    def topology(self, topology: str) -> dict[str, Any]:
        """One topology with outputs and realized groups, by id."""
        return self.get(_path(topology))

    def named(self, name: str) -> dict[str, Any]:
        """The topology of an id or a name. Raises NotFound; LookupError where several have the name."""
        try:
            return self.topology(name)
        except NotFound:
            found = list(self.topologies(name=name))
            if not found:
                raise
        if len(found) > 1:
            raise LookupError(f"{len(found)} topologies are called {name}; say which by its id: {', '.join(one['id'] for one in found)}")
        return self.topology(found[0]["id"])

    def deploy(self, name: str, **order: Any) -> dict[str, Any]:
        """The job that deploys a design or a plan; its `resource` is the topology. order: as plan(), and plan, secrets, on_failure."""
        return self.request("POST", "/v1/topologies", body={"name": name, **order}).json()

    def update(self, topology: str, **order: Any) -> dict[str, Any]:
        """The job that brings a topology to another order; what is not named stays."""
        return self._order(topology, "update", order)

    def scale(self, topology: str, instances: dict[str, int], **order: Any) -> dict[str, Any]:
        """The job that brings nodes to a number of instances."""
        return self._order(topology, "scale", {"instances": instances, **order})

    def heal(self, topology: str, **order: Any) -> dict[str, Any]:
        """The job that makes again what is missing."""
        return self._order(topology, "heal", order)

    def undeploy(self, topology: str, force: bool = False) -> dict[str, Any]:
        """The job that takes it down; the record stays."""
        return self._order(topology, "undeploy", {"force": force})

    def delete(self, topology: str, force: bool = False) -> dict[str, Any]:
        """The job that takes it down and forgets it."""
        return self.request("DELETE", _path(topology), query={"force": force}).json()

    def groups(self, topology: str) -> list[dict[str, Any]]:
        """What has become of its nodes."""
        return self.get(f"{_path(topology)}/groups")["groups"]

    def state(self, topology: str) -> dict[str, Any]:
        """The state document."""
        return self.get(f"{_path(topology)}/state")["state"]

    def export(self, topology: str) -> bytes:
        """An archive from which it can be deployed elsewhere or again."""
        return self.request("GET", f"{_path(topology)}/export", headers={"Accept": "application/zip, application/problem+json"}).content

    def workflows(self, topology: str) -> dict[str, Any]:
        """{"workflows": [...], "runs": [...]}: those of its template with their inputs, and the last runs."""
        return self.get(f"{_path(topology)}/workflows")

    def plan_workflow(self, topology: str, workflow: str, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
        """What a workflow would do now, step by step."""
        path = f"{_path(topology)}/workflows/{quote(workflow, safe='')}/plan"
        return self.request("POST", path, body={"inputs": inputs or {}}).json()

    def run_workflow(self, topology: str, workflow: str, inputs: dict[str, Any] | None = None, **order: Any) -> dict[str, Any]:
        """The job that runs a workflow of its template. order: secrets."""
        return self._order(topology, f"workflows/{quote(workflow, safe='')}", {"inputs": inputs or {}, **order})

    def _order(self, topology: str, verb: str, order: dict[str, Any]) -> dict[str, Any]:
        return self.request("POST", f"{_path(topology)}/{verb}", body=order).json()


def _path(topology: str) -> str:
    return f"/v1/topologies/{quote(topology, safe='')}"
