"""From what a caller sends to an order: design and profile of Focus, pools, inputs, compiled and planned before anything is begun."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from oslo_db.exception import DBDuplicateEntry

from cloudos.eden.call import Call
from cloudos.eden.db import now
from cloudos.eden.problems import Conflict
from cloudos.eve import quota
from cloudos.eve.engine.plan import Plan
from cloudos.eve.jobs import designs, pools
from cloudos.eve.jobs.faults import Moved, NotActive, Undeployable, found, shown
from cloudos.eve.jobs.stored import States
from cloudos.eve.jobs.work import request_of
from cloudos.eve.jobs.workplace import PUBLIC
from cloudos.eve.lifecycle import NO_KEY, Eve, Request
from cloudos.eve.models import INACTIVE, Design, Kept, StateDocument, StoredPlan, Topology
from cloudos.eve.problems import Refused
from cloudos.eve.problems import Undeployable as NotCompiled
from cloudos.eve.provider import Pool
from cloudos.eve.quota import Survey
from cloudos.tosca.archive import ArchiveTree

OUTLIVING = ("inputs", "instances", "placement", "choices", "substitutions")


class Planner(Eve):
    """Eve that only plans: it makes no keys."""

    def __init__(self, call: Call, topology: Topology | None, surveys: dict[str, Survey]):
        super().__init__(States(lambda work: work(call.session), project=call.context.project_id))
        kept = call.session.get(Kept, (topology.id, PUBLIC)) if topology else None
        self._surveys = surveys
        self._known = kept.data.decode().strip() if kept else NO_KEY

    def key(self, topology: str) -> str:
        """The key that there is, or a word in its place."""
        return self._known

    def survey(self, pool: Pool) -> Survey | None:
        """What was asked with the order."""
        return self._surveys.get(pool.name)


@dataclass
class Wanted:
    """An order. `wanted` goes into the topology and the job: design, profile, inputs, placement, choices, instances,
    names of pools; no secrets. `outlives`: what of it is only from before, when the design is another one: inputs ... -> names."""

    wanted: dict[str, Any]
    pools: dict[str, dict[str, Any]]
    archive: bytes
    verb: str = "deploy"
    plan: Plan | None = None
    nodes: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    surveys: dict[str, Survey] = field(default_factory=dict)
    outlives: dict[str, set[str]] = field(default_factory=dict)

    def keep(self, call: Call) -> None:
        """The design's archive, for the job."""
        sha256 = self.wanted["design"]["sha256"]
        if call.session.get(Design, sha256) is not None:
            return
        # Another order of the same design may be keeping it at this moment: the database waits for that one and refuses this.
        with contextlib.suppress(DBDuplicateEntry), call.session.begin_nested():
            call.session.add(Design(sha256=sha256, data=self.archive))

    def own_pools(self) -> dict[str, dict[str, Any]]:
        """The pools that it names."""
        return {name: self.pools[name] for name in self.wanted["pools"]}


def asked(call: Call, topology: Topology | None = None) -> Wanted:
    """What the body asks for, over what the topology has already. Raises what the neighbours and the profile are wrong about."""
    body = call.body or {}
    if "plan" in body:
        return _planned(call, body["plan"], topology)
    before = topology.wanted if topology else {}
    kept = dict(topology.pools) if topology else {}
    # For a new topology nothing was read yet, so that no transaction waits for what goes over the network.
    fetched = designs.design(call, body["design"]) if "design" in body else None
    if "profile" in body:
        about, profile = designs.profile(call, body["profile"])
    else:
        about, profile = before.get("profile"), {} if topology or not fetched else designs.own_profile(fetched)
    wanted: dict[str, Any] = {"profile": about, "design": fetched.about if fetched else before["design"]}
    wanted["inputs"] = {**before.get("inputs", {}), **(profile.get("inputs") or {}), **body.get("inputs", {})}
    wanted["substitutions"] = {**before.get("substitutions", {}), **(profile.get("substitutions") or {}), **body.get("substitutions", {})}
    numbers = {**before.get("instances", {}), **(profile.get("instances") or {}), **body.get("instances", {})}
    wanted["instances"] = {node: int(number) for node, number in numbers.items()}
    stays = {**before, "pools": {name: kept[name] for name in before["pools"]}} if topology and "profile" not in body else {}
    places = pools.Places(call, body, profile, body.get("profile", "the order"), stays)
    named, wanted["placement"], wanted["choices"] = places.pools, places.placement, places.choices
    wanted["pools"] = list(named)
    if topology:
        _same_pools(call, topology, kept, named)
    archive = fetched.data if fetched else archive_of(call, wanted["design"])
    order = Wanted(wanted, {**kept, **named}, archive, surveys=pools.surveys(call, named))
    another = bool(fetched) and fetched.about["sha256"] != before.get("design", {}).get("sha256")
    if topology and (another or wanted["substitutions"] != before.get("substitutions", {})):
        order.outlives = {key: before.get(key, {}).keys() - (profile.get(key) or {}).keys() - body.get(key, {}).keys() for key in OUTLIVING}
    return order


def planned(call: Call, order: Wanted, topology: Topology | None, mark: str, verb: str = "deploy") -> Wanted:
    """The order with its plan. Raises Undeployable with every problem and its place."""
    order.verb = verb
    reference = order.wanted["design"]["reference"]
    with designs.opened(order.archive, order.wanted["design"]["name"]) as tree:
        _forget(order, tree)
        request = request_of(mark, order.wanted, pools.usable(order.own_pools()), tree)
        order.nodes = len(request.template.nodes)
        order.plan = _plan(call, order, topology, request, reference)
    order.problems = [shown(one) for one in order.plan.lacking]
    return order


def _forget(order: Wanted, tree: ArchiveTree) -> None:
    """Of what the topology had by earlier orders, what is about inputs and nodes that another design does not have any more."""
    if not any(order.outlives.values()) or (
        template := designs.template(tree, None, substitutions=order.wanted["substitutions"]).template) is None:  # fmt: skip
        return
    for key, names in order.outlives.items():
        known = template.definitions if key == "inputs" else {**template.nodes, **template.substituted}
        order.wanted[key] = {name: value for name, value in order.wanted[key].items() if name not in names or name in known}


def demand_room(order: Wanted) -> None:
    """Raise Undeployable for a plan for which the quotas, asked just now, have no room."""
    live = {name: one for name, one in order.surveys.items() if one.live}
    if order.plan and (problems := quota.lacking(order.plan.peak, live)):
        raise found(order.wanted["design"]["reference"], problems)


def _plan(call: Call, order: Wanted, topology: Topology | None, request: Request, reference: str) -> Plan:
    eve = Planner(call, topology, order.surveys)
    try:
        if order.verb == "scale":
            known = eve.states.load(request.topology).counts
            if wrong := [name for name in call.body["instances"] if name not in known]:
                raise Refused(f"{', '.join(wrong)}: not scalable. Scalable nodes: {', '.join(known) or 'none'}.")
        return eve.plan(request)
    except NotCompiled as error:
        raise found(reference, error.problems) from error
    except Refused as error:
        problem = {"pointer": "", "message": str(error), "mend": "", "rule": "deploy"}
        raise Undeployable(what=reference, count=1, errors=[problem]) from error


def demand_operations(call: Call, plan: Plan | None) -> None:
    """What runs on the controller itself wants an architect. Raises Forbidden."""
    if plan and (names := pools.runs_on_the_controller(plan)):
        why = f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''} would run on the machine of Eve's worker."
        call.guard.demand("architect", {"scope": "", "user_id": call.context.user_id, "project_id": call.context.project_id}, why)


def serial_of(call: Call, topology: Topology | None) -> int:
    """The serial of a topology's state; 0 without one."""
    document = call.session.get(StateDocument, topology.id) if topology else None
    return document.serial if document else 0


def demand_active(topology: Topology) -> None:
    """Raise NotActive for a topology of which nothing is there."""
    if topology.status == INACTIVE:
        raise NotActive(name=topology.name, id=topology.id)


def store_plan(call: Call, order: Wanted, topology: Topology | None, name: str) -> StoredPlan:
    """Keep a plan, so that it is what is deployed."""
    order.keep(call)
    plan = StoredPlan(**call.owner(), topology_id=topology.id if topology else None, name=name, serial=serial_of(call, topology),
                      design_sha256=order.wanted["design"]["sha256"], wanted=order.wanted, pools=order.pools,
                      document=order.plan.to_json() if order.plan else {}, problems=order.problems, created_at=now())  # fmt: skip
    call.session.add(plan)
    call.session.flush()
    return plan


def _planned(call: Call, identity: str, topology: Topology | None) -> Wanted:
    """The order of a stored plan. Raises NotFound, Moved, Conflict."""
    plan = call.find(StoredPlan, identity, "plan", "/v1/plans")
    if (topology.id if topology else None) != plan.topology_id:
        raise Conflict(reason=f"Plan {plan.id} is for {plan.topology_id or 'a new topology'}; use it there, or plan again.")
    if plan.serial != serial_of(call, topology):
        raise Moved(id=plan.id)
    named = {name: plan.pools[name] for name in plan.wanted["pools"]}
    return Wanted(dict(plan.wanted), dict(plan.pools), archive_of(call, plan.wanted["design"]), surveys=pools.surveys(call, named))


def archive_of(call: Call, design: dict[str, Any]) -> bytes:
    """The archive of a design that is kept. Raises Conflict."""
    kept = call.session.get(Design, design["sha256"])
    if kept is None:
        raise Conflict(reason=f"Design {design['reference']} is no longer kept here; name it again, as `design`.")
    return kept.data


def _same_pools(call: Call, topology: Topology, kept: dict[str, dict], named: dict[str, dict]) -> None:
    """What lies in a pool must not come to lie in another one by its name."""
    document = call.session.get(StateDocument, topology.id)
    if document is None:
        return
    for name in named.keys() & document.document["pools"].keys() & kept.keys():
        old, new = kept[name], named[name]
        if [old[key] for key in ("source", "provider", "ref")] != [new[key] for key in ("source", "provider", "ref")]:
            raise Conflict(reason=f"Pool {name} of topology {topology.name} is {old['ref'] or old['source']}, and things are in it; "
                           f"give {new['ref'] or new['source']} another name in the profile.")  # fmt: skip
