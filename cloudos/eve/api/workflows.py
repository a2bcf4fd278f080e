"""Handlers of workflows: those that a topology's template has, what one would do, and its run as a job."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from cloudos.eden.call import Call
from cloudos.eden.problems import NotFound
from cloudos.eden.service import Answer
from cloudos.eve.api import ordering, topologies
from cloudos.eve.engine.plan import Plan
from cloudos.eve.jobs import designs, pools, work
from cloudos.eve.jobs.faults import WorkflowRefused, found
from cloudos.eve.lifecycle import Request
from cloudos.eve.models import Topology
from cloudos.eve.problems import Refused, Undeployable
from cloudos.eve.workflow.run import described


def listed(call: Call) -> dict:
    """The workflows of a topology, and its last runs."""
    topology = topologies.find(call)
    ordering.demand_active(topology)
    with _request(call, topology, {}) as request:
        return described(request.template, ordering.Planner(call, topology, {}).states.load(topology.mark))


def plan(call: Call) -> dict:
    """What a workflow would do now, step by step; nothing is begun."""
    topology = topologies.find(call)
    ordering.demand_active(topology)
    return _looked_at(call, topology)[0]


def run(call: Call) -> Answer:
    """Run a workflow, as a job. A retry of the job goes on where it stopped."""
    topology = topologies.taken(call)
    ordering.demand_active(topology)
    _, made = _looked_at(call, topology)
    ordering.demand_operations(call, made)
    topologies.seal(call, topology, (call.body or {}).get("secrets"))
    name, wanted = call.path["workflow"], topology.wanted
    input = {"topology": topology.id, "workflow": name, "inputs": (call.body or {}).get("inputs", {}), "wanted": wanted,
             "pools": {pool: topology.pools[pool] for pool in wanted["pools"]}}  # fmt: skip
    return topologies.job_of(call, topology, work.WORKFLOW, f"Run {name} of {topology.name}", input)


def _looked_at(call: Call, topology: Topology) -> tuple[dict, Plan]:
    """(what would run, its plan). Raises NotFound, Undeployable of the front end or the compiler, WorkflowRefused."""
    name = call.path["workflow"]
    eve = ordering.Planner(call, topology, {})
    with _request(call, topology, {name: (call.body or {}).get("inputs", {})}) as request:
        try:
            made = eve.check_workflow(request, name)
            return made, eve.flow(request, name)[2]
        except Undeployable as error:
            raise found(topology.wanted["design"]["reference"], error.problems) from error
        except Refused as error:
            raise WorkflowRefused(name=name, topology=topology.name, reason=str(error)) from error


@contextlib.contextmanager
def _request(call: Call, topology: Topology, runs: Mapping[str, Mapping[str, Any]]) -> Iterator[Request]:
    """The compiler's request for a topology as it is kept, with inputs for workflows. Raises NotFound for one that there is not."""
    wanted = topology.wanted
    own = {name: topology.pools[name] for name in wanted["pools"]}
    with designs.opened(ordering.archive_of(call, wanted["design"]), wanted["design"]["name"]) as tree:
        bare = work.request_of(topology.mark, wanted, pools.usable(own), tree)
        if missing := [name for name in runs if name not in bare.template.workflows]:
            raise NotFound(what="workflow", id=missing[0], list=f"{topologies.LIST}/{topology.id}/workflows")
        yield work.request_of(topology.mark, wanted, pools.usable(own), tree, runs) if runs else bare
