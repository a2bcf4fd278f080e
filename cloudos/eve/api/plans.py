"""Handlers of plans and of designs: what would be done, found out before anything is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from cloudos.eden import paging
from cloudos.eden.call import Call
from cloudos.eden.db import shown
from cloudos.eden.problems import BadRequest
from cloudos.eden.service import Answer
from cloudos.eve.api import ordering
from cloudos.eve.api.topologies import shown_pools
from cloudos.eve.jobs import designs
from cloudos.eve.jobs.faults import Undeployable
from cloudos.eve.jobs.faults import shown as told
from cloudos.eve.models import StoredPlan, Topology
from cloudos.tosca.model import plain

LIST = "/v1/plans"
SORT = {"created_at": StoredPlan.created_at, "name": StoredPlan.name}
QUERY = {**paging.query(SORT), "topology": {"type": "string", "maxLength": 36}}


def show(plan: StoredPlan) -> dict[str, Any]:
    """A plan as JSON; `plan` is null where the design cannot be deployed, and `problems` tell why."""
    document = plan.document or {}
    actions: dict[str, int] = {}
    for step in document.get("steps", []):
        actions[step["action"]] = actions.get(step["action"], 0) + 1
    return {
        "id": plan.id, "name": plan.name, "topology": plan.topology_id, "design": plan.wanted["design"],
        "profile": plan.wanted.get("profile"), "inputs": plan.wanted["inputs"], "instances": plan.wanted["instances"],
        "placement": plan.wanted["placement"], "choices": plan.wanted.get("choices", {}),
        "substitutions": plan.wanted.get("substitutions", {}),
        "pools": shown_pools({name: plan.pools[name] for name in plan.wanted["pools"]}), "deployable": bool(document) and not plan.problems,
        "problems": plan.problems, "actions": actions, "seconds": document.get("seconds"), "quota": document.get("quota", {}),
        "plan": document or None, "serial": plan.serial, "scope": plan.scope, "user_id": plan.user_id, "project_id": plan.project_id,
        "created_at": shown(plan.created_at), "links": [{"rel": "self", "href": f"{LIST}/{plan.id}"}],
    }  # fmt: skip


def create(call: Call) -> Answer:
    """Plan a new topology, or a change of one; nothing is started."""
    topology = call.find(Topology, call.body["topology"], "topology", "/v1/topologies") if "topology" in call.body else None
    order = ordering.asked(call, topology)
    name = call.body.get("name") or (topology.name if topology else order.wanted["design"]["name"])
    mark = topology.mark if topology else f"{name}-planned"
    try:
        ordering.planned(call, order, topology, mark)
    except Undeployable as wrong:
        order.problems = wrong.facts["errors"]
    plan = ordering.store_plan(call, order, topology, name)
    call.audit["target"] = f"plan/{plan.id}"
    return Answer(show(plan), 201, {"Location": f"{LIST}/{plan.id}"})


def list_plans(call: Call) -> dict:
    """Plans that the caller sees."""
    statement = call.visible(StoredPlan)
    if "topology" in call.query:
        statement = statement.where(StoredPlan.topology_id == call.query["topology"])
    return call.page("plans", statement, SORT, StoredPlan, show, default="created_at:desc")


def get(call: Call) -> dict:
    """One plan."""
    return show(_find(call))


def delete(call: Call) -> None:
    """Forget a plan."""
    plan = _find(call)
    call.change(plan)
    call.session.execute(sa.delete(StoredPlan).where(StoredPlan.id == plan.id))


def _find(call: Call) -> StoredPlan:
    return call.find(StoredPlan, call.path["plan_id"], "plan", LIST)


def design(call: Call) -> dict:
    """What a design of Focus asks for: inputs, nodes, what is wrong with it."""
    if "reference" not in call.query:
        raise BadRequest(what="The query", errors=[{"pointer": "reference", "message": "is missing; name a document of Focus"}])
    fetched = designs.design(call, call.query["reference"])
    with designs.opened(fetched.data, fetched.about["name"]) as tree:
        report = designs.template(tree, None)
        template = report.template
        inputs, nodes = {}, {}
        if template:
            inputs = {name: {"type": one.schema.type.name if one.schema and one.schema.type else None, "required": one.required,
                             "value": plain(template.inputs.get(name))} for name, one in template.definitions.items()}  # fmt: skip
            nodes = {name: {"type": one.type.name} for name, one in template.nodes.items()}
        return {"design": fetched.about, "exit_code": report.exit_code, "inputs": inputs, "nodes": nodes,
                "problems": [told(one) for one in report.problems]}  # fmt: skip
