"""Handlers of topologies: deploy, look, change, take down. Whatever takes time is a job; one job at a time has a topology."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from cloudos.eden import paging
from cloudos.eden.call import Call
from cloudos.eden.db import now, shown
from cloudos.eden.jobs import states
from cloudos.eden.jobs.routes import accepted
from cloudos.eden.models import Job
from cloudos.eden.problems import NotFound
from cloudos.eden.service import Answer
from cloudos.eden.vault import VaultError
from cloudos.eve.api import ordering
from cloudos.eve.api.ordering import Wanted, demand_active
from cloudos.eve.engine import export
from cloudos.eve.graph import references
from cloudos.eve.jobs import authority, neighbours, pools, work
from cloudos.eve.jobs.faults import NoAuthority
from cloudos.eve.jobs.vault import CREDENTIAL, SECRETS, TOKEN
from cloudos.eve.models import FAILED, INACTIVE, PROCESSING, Kept, StateDocument, Topology

LIST = "/v1/topologies"
SORT = {"name": Topology.name, "created_at": Topology.created_at, "updated_at": Topology.updated_at, "status": Topology.status}
QUERY = {
    **paging.query(SORT), "name": {"type": "string", "maxLength": 255}, "status": {"type": "string", "maxLength": 16},
    "scope": {"type": "string", "maxLength": 16}, "project_id": {"type": "string", "maxLength": 64},
}  # fmt: skip
SPACE = uuid.UUID("0d3a4b3e-6c53-4be6-9ed4-0c4a1f0f5a11")


def etag(topology: Topology) -> str:
    """It changes with every change of the topology, also with those of its jobs."""
    return f"{topology.id}-{topology.edition}"


def show(call: Call, topology: Topology) -> dict[str, Any]:
    """A topology as JSON, without what its state tells."""
    status, fault = standing(call, topology)
    base = f"{LIST}/{topology.id}"
    links = {"self": base, "groups": f"{base}/groups", "state": f"{base}/state", "jobs": f"/v1/jobs?resource={base}"}
    wanted = topology.wanted
    return {
        "id": topology.id, "name": topology.name, "mark": topology.mark, "description": topology.description, "status": status,
        "design": wanted["design"], "profile": wanted.get("profile"), "inputs": wanted["inputs"], "instances": wanted["instances"],
        "placement": wanted["placement"], "choices": wanted.get("choices", {}),
        "substitutions": wanted.get("substitutions", {}),
        "pools": shown_pools({name: topology.pools[name] for name in wanted["pools"]}),
        "nodes": topology.nodes, "fault": fault, "job": topology.job_id, "scope": topology.scope, "user_id": topology.user_id,
        "project_id": topology.project_id, "domain_id": topology.domain_id, "created_at": shown(topology.created_at),
        "updated_at": shown(topology.updated_at), "links": [{"rel": rel, "href": href} for rel, href in links.items()],
    }  # fmt: skip


def standing(call: Call, topology: Topology) -> tuple[str, dict | None]:
    """(status, fault); of a topology whose job ended without a worker, as one that was cancelled in the queue, what that left."""
    if topology.status != PROCESSING:
        return topology.status, topology.fault
    job = call.session.scalar(sa.select(Job).where(Job.id == topology.job_id))
    if job is not None and job.state not in states.FINAL:
        return PROCESSING, None
    there = call.session.get(StateDocument, topology.id) is not None
    cause = (job and job.error) or f"job {topology.job_id} ended before a worker had it"
    return (FAILED if there else INACTIVE), work.fault(cause, "Order it again: POST .../update.")


def shown_pools(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Pools without how the operator logs in to them."""
    return {name: {key: one.get(key) for key in ("source", "provider", "ref", "defaults")} for name, one in found.items()}


def find(call: Call) -> Topology:
    """The topology of the path, if the caller sees it."""
    return call.find(Topology, call.path["topology_id"], "topology", LIST)


def taken(call: Call) -> Topology:
    """The topology of the path for a change, locked. Raises Locked, Forbidden, PreconditionFailed."""
    topology = find(call)
    call.change(topology, etag(topology))
    locked(call, topology)
    return topology


def locked(call: Call, topology: Topology) -> None:
    """Nobody else changes the topology until the transaction ends, and no job has it. Raises Locked."""
    call.session.refresh(topology, with_for_update=True)
    work.demand_free(call.session, topology)


def list_topologies(call: Call) -> dict:
    """Those that the caller sees."""
    return call.page("topologies", call.visible(Topology).where(*_criteria(call)), SORT, Topology, lambda one: show(call, one))


def _criteria(call: Call) -> Iterator[Any]:
    for name in ("name", "status", "scope", "project_id"):
        if name in call.query:
            yield getattr(Topology, name) == call.query[name]


def get(call: Call) -> Answer:
    """One topology with outputs and realized groups."""
    topology = find(call)
    document = state_of(call, topology)
    told = {"outputs": document.get("outputs", {}), "counts": document.get("counts", {}), "groups": groups_of(topology, document)}
    return Answer({**show(call, topology), **told}, etag=etag(topology))


def state_of(call: Call, topology: Topology) -> dict[str, Any]:
    """The state document; empty for an inactive topology."""
    found = call.session.get(StateDocument, topology.id)
    return found.document if found else {}


def state_document(call: Call) -> dict:
    """The state document, for those who look closely; it has no secrets, and not how the operator logs in."""
    document = state_of(call, find(call))
    pools = {name: {key: value for key, value in one.items() if key != "login"} for name, one in document.get("pools", {}).items()}
    return {"state": {**document, "pools": pools} if document else {}}


def groups_of(topology: Topology, document: dict[str, Any]) -> list[dict[str, Any]]:
    """What has become of each node: its resources, how many, and links to the groups that it refers to."""
    resources = document.get("resources", {})
    nodes: dict[str, list[tuple[str, dict]]] = {}
    for name, one in resources.items():
        nodes.setdefault(one["node"] or name, []).append((name, one))
    return [_group(topology, node, members, resources, document.get("counts", {}).get(node)) for node, members in sorted(nodes.items())]


def _group(topology: Topology, node: str, members: list[tuple[str, dict]], resources: dict[str, dict], count: Any) -> dict[str, Any]:
    base = f"{LIST}/{topology.id}/groups"
    named = {name for _, one in members for name in [*(found for found, _ in references(one["arguments"])), *one.get("needs", ())]}
    others = sorted({resources[name]["node"] for name in named if name in resources} - {node, ""})
    shown_members = [{"name": name, "kind": one["kind"], "pool": one.get("pool", ""), "status": one["status"],
                      "existing": one.get("existing", False), "instance": one.get("instance", 0), "attributes": one["attributes"]}
                     for name, one in members]  # fmt: skip
    return {"node": node, "kinds": sorted({one["kind"] for _, one in members}), "count": count, "resources": shown_members, "links": [
        {"rel": "self", "href": f"{base}/{node}"}, *({"rel": "uses", "href": f"{base}/{other}"} for other in others)]}  # fmt: skip


def groups(call: Call) -> dict:
    """All realized groups."""
    topology = find(call)
    return {"groups": groups_of(topology, state_of(call, topology))}


def group(call: Call) -> dict:
    """The realized group of one node."""
    topology, node = find(call), call.path["node"]
    found = next((one for one in groups_of(topology, state_of(call, topology)) if one["node"] == node), None)
    if found is None:
        raise NotFound(what="group", id=node, list=f"{LIST}/{topology.id}/groups")
    return found


def exported(call: Call) -> Answer:
    """The topology as an archive from which it is deployed elsewhere or again: its design, and the profile as it is now."""
    topology = find(call)
    demand_active(topology)
    wanted = topology.wanted
    named = pools.profile_of({name: topology.pools[name] for name in wanted["pools"]}, wanted.get("choices", {}))
    instances = {**wanted["instances"], **export.numbers(state_of(call, topology).get("counts", {}))}
    profile = {**named, "placement": wanted["placement"], "inputs": wanted["inputs"], "instances": instances,
               "substitutions": wanted.get("substitutions", {})}  # fmt: skip
    data = export.again(ordering.archive_of(call, wanted["design"]), profile)
    headers = {"Content-Disposition": f'attachment; filename="{topology.name}.csar"'}
    return Answer(data, headers=headers, media=export.MEDIA)


def deploy(call: Call) -> Answer:
    """A new topology, from a design or a plan, as a job."""
    # The same request makes the same topology when its transaction is done again.
    identity = str(uuid.uuid5(SPACE, call.context.request_id))
    order = ordering.asked(call)
    mark = f"{call.body['name']}-{identity[:8]}"
    ordering.planned(call, order, None, mark)
    topology = Topology(**call.owner(), id=identity, mark=mark, name=call.body["name"], status=PROCESSING,
                        description=call.body.get("description", ""), fault=None, job_id=None)  # fmt: skip
    topology.scope = call.body.get("scope", "private-project")
    call.change(topology)
    call.runtime.quotas.demand(call.session, topology.project_id, "topologies")
    _demand(call, order)
    order.keep(call)
    _put(topology, order)
    call.session.add(topology)
    call.session.flush()
    call.audit["target"] = f"topology/{topology.id}"
    return _submitted(call, topology, order, f"Deploy {topology.name}")


def update(call: Call) -> Answer:
    """Bring a topology to another design, profile, inputs or numbers; an inactive one is deployed again."""
    return _ordered(call, "deploy", "Update")


def scale(call: Call) -> Answer:
    """Bring scalable nodes to a number of instances."""
    return _ordered(call, "scale", "Scale")


def heal(call: Call) -> Answer:
    """Make again what is missing."""
    return _ordered(call, "heal", "Heal")


def _ordered(call: Call, verb: str, word: str) -> Answer:
    topology = find(call)
    call.change(topology, etag(topology))
    order = ordering.asked(call, topology)
    locked(call, topology)
    if verb != "deploy":
        demand_active(topology)
    ordering.planned(call, order, topology, topology.mark, verb)
    _demand(call, order)
    order.keep(call)
    _put(topology, order)
    return _submitted(call, topology, order, f"{word} {topology.name}")


def _demand(call: Call, order: Wanted) -> None:
    call.runtime.quotas.demand(call.session, call.context.project_id, "nodes_per_topology", order.nodes)
    ordering.demand_room(order)
    ordering.demand_operations(call, order.plan)


def _put(topology: Topology, order: Wanted) -> None:
    topology.wanted, topology.pools, topology.nodes = order.wanted, order.pools, order.nodes
    topology.design_sha256, topology.updated_at = order.wanted["design"]["sha256"], now()


def _submitted(call: Call, topology: Topology, order: Wanted, words: str) -> Answer:
    secrets = call.body.get("secrets") if call.body else None
    seal(call, topology, secrets)
    input = {"topology": topology.id, "verb": order.verb, "wanted": order.wanted, "pools": order.own_pools(),
             "on_failure": (call.body or {}).get("on_failure", work.KEEP)}  # fmt: skip
    return job_of(call, topology, work.APPLY, words, input)


def job_of(call: Call, topology: Topology, kind: str, words: str, input: dict[str, Any]) -> Answer:
    """The answer with a job that has the topology until it ends."""
    job = call.submit(kind, words, input, f"{LIST}/{topology.id}")
    topology.job_id, topology.status = job.id, PROCESSING
    call.session.flush()
    return accepted(call, job)


def seal(call: Call, topology: Topology, secrets: dict[str, str] | None) -> None:
    """Keep what the job acts with, encrypted: the caller's token, an application credential, the order's secrets."""
    vault, sources = call.runtime.extra.vault, {one["source"] for one in topology.pools.values()}
    try:
        if secrets:
            known = vault.get(call.session, topology.id, SECRETS) or {}
            vault.put(call.session, topology.id, SECRETS, {**known, **secrets})
        _token(call, topology)
        if authority.OWN in sources and call.session.get(Kept, (topology.id, CREDENTIAL)) is None:
            vault.put(call.session, topology.id, CREDENTIAL, authority.grant(call, topology.id))
    except VaultError as error:
        raise NoAuthority(reason="Eve could not keep it.", mend=str(error)) from error


def change(call: Call) -> Answer:
    """Name, description and scope; nothing is done in clouds."""
    topology = find(call)
    call.change(topology, etag(topology))
    if "scope" in call.body:
        call.guard.demand("eden:change", {**topology.target(), "scope": call.body["scope"]})
    for key, value in call.body.items():
        setattr(topology, key, value)
    topology.updated_at = now()
    call.session.flush()
    return Answer(show(call, topology), etag=etag(topology))


def undeploy(call: Call) -> Answer:
    """Take everything down; the record stays, inactive."""
    topology = taken(call)
    demand_active(topology)
    _token(call, topology)
    force = bool((call.body or {}).get("force"))
    return job_of(call, topology, work.UNDEPLOY, f"Undeploy {topology.name}", {"topology": topology.id, "force": force})


def delete(call: Call) -> Answer:
    """Take everything down and forget the topology."""
    topology = taken(call)
    _token(call, topology)
    force = bool(call.query.get("force"))
    return job_of(call, topology, work.DELETE, f"Delete {topology.name}", {"topology": topology.id, "force": force})


def _token(call: Call, topology: Topology) -> None:
    """The token with which the credential is deleted, pools of Graffiti are reached, and Focus is told what is used.

    Raises VaultError where nothing can be encrypted and a pool needs it.
    """
    try:
        call.runtime.extra.vault.put(call.session, topology.id, TOKEN, neighbours.token_of(call))
    except VaultError:
        if {one["source"] for one in topology.pools.values()} & {authority.OWN, authority.GRAFFITI}:
            raise
