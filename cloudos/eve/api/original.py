"""The original's paths: /1/{projectId}/infrastructure_topology_list and the realized groups below it, with the original's fields."""

from __future__ import annotations

from typing import Any

from cloudos.eden.call import Call
from cloudos.eden.db import shown
from cloudos.eden.problems import NotFound
from cloudos.eden.service import Answer
from cloudos.eve.api import topologies
from cloudos.eve.models import COMPLETED, FAILED, INACTIVE, PROCESSING, Topology

STATES = {COMPLETED: "provision:succeeded", FAILED: "provision:failed", PROCESSING: "provision:processing",
          INACTIVE: "deprovision:succeeded"}  # fmt: skip
KINDS = {
    "realized_server_group_list": ("server",), "realized_volume_group_list": ("volume",),
    "realized_network_segment_list": ("network", "subnet"),
}  # fmt: skip


def listed(call: Call) -> dict:
    """Realized topologies, as the original named them."""
    return call.page("infrastructure_topology_list", call.visible(Topology), topologies.SORT, Topology, lambda one: _record(call, one))


def create(call: Call) -> Answer:
    """Submit: the body is ours, as the original's binding had node types that are no more; the answer is a job."""
    return topologies.deploy(call)


def get(call: Call) -> Answer:
    """One realized topology with links to its groups."""
    topology = topologies.find(call)
    return Answer(_record(call, topology, whole=True), etag=topologies.etag(topology))


def delete(call: Call) -> Answer:
    """De-provision and forget."""
    return topologies.delete(call)


def group(call: Call) -> dict:
    """One realized group; its id is node and topology."""
    topology = topologies.find(call)
    node = call.path["group_id"].removesuffix(f"-{topology.id}")
    kind = call.path["kind"]
    for one in topologies.groups_of(topology, topologies.state_of(call, topology)):
        if one["node"] == node and set(KINDS.get(kind, ())) & set(one["kinds"]):
            return {**one, "id": f"{node}-{topology.id}", "uri": f"{_base(topology)}/{kind}/{node}-{topology.id}"}
    raise NotFound(what="group", id=call.path["group_id"], list=_base(topology))


def _base(topology: Topology) -> str:
    return f"/1/{topology.project_id}/infrastructure_topology_list/{topology.id}"


def _record(call: Call, topology: Topology, whole: bool = False) -> dict[str, Any]:
    status, _ = topologies.standing(call, topology)
    found = {
        "id": topology.id, "name": topology.name, "state": f"urn:com:hp:iaasc:eve:{STATES[status]}", "uri": _base(topology),
        "templateUri": topology.wanted["design"]["reference"], "owner": topology.user_id, "tenantId": topology.project_id,
        "lastUpdate": shown(topology.updated_at),
        "jobUri": f"/eden/1/{topology.project_id}/job_list/{topology.job_id}" if topology.job_id else None,
    }  # fmt: skip
    if not whole:
        return found
    groups = topologies.groups_of(topology, topologies.state_of(call, topology))
    for name, kinds in KINDS.items():
        found[name] = [{"id": f"{one['node']}-{topology.id}", "uri": f"{_base(topology)}/{name}/{one['node']}-{topology.id}"}
                       for one in groups if set(kinds) & set(one["kinds"])]  # fmt: skip
    return found
