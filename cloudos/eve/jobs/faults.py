"""What goes wrong in Eve's interface; problems.py has the compiler's."""

from __future__ import annotations

from typing import Any

from cloudos.eden.problems import BadRequest, Conflict, Problem, Unavailable
from cloudos.eve.problems import Problem as Finding


class Locked(Conflict):
    """One job at a time has a topology."""

    code = "topology.locked"
    text = "Topology {name} is held by job {job} ({kind}, {state}). Wait for its end, or cancel it: POST /v1/jobs/{job}/cancel."


class NotActive(Conflict):
    """What has nothing cannot be changed or undeployed."""

    code = "topology.inactive"
    text = "Topology {name} is inactive: nothing of it is there. POST /v1/topologies/{id}/update deploys it again."


class WorkflowRefused(Conflict):
    """A workflow does not begin with the topology as it is."""

    code = "workflow.refused"
    text = "Workflow {name} of topology {topology} is not begun: {reason}"


class Moved(Conflict):
    """A plan is for the state that it was made for."""

    code = "plan.outdated"
    text = "Plan {id} was made for an earlier state of the topology; plan again: POST /v1/plans."


class Undeployable(BadRequest):
    """The design cannot be deployed with what was given; each problem has its place."""

    code, title = "design.undeployable", "Not deployable"
    text = "{what} cannot be deployed as it is: {count} problems, which `errors` names with file, line and mend."


class DesignRefused(Problem):
    """Focus does not give the document."""

    code, status, title = "design.refused", 400, "No design"
    text = "Focus does not give {reference}: {reason} `cloudos focus search` shows what you see."


class ProfileWrong(BadRequest):
    """A document that is no profile."""

    code, title = "profile.invalid", "No profile"
    text = "{reference} is no deployment profile: {reason}"


class NoPool(Problem):
    """Where the topology should be is not known."""

    code, status, title = "pool.unknown", 400, "No such pool"
    text = "There is no pool {name} that you see. {known}"


class NoAuthority(Problem):
    """Eve cannot act for the caller."""

    code, status, title = "authority.refused", 403, "No authority"
    text = "Keystone gives no application credential for you: {reason} {mend}"


class NeighbourAway(Unavailable):
    """Another service does not answer."""

    code = "neighbour.unavailable"


def found(what: str, problems: list[Any]) -> Undeployable:
    """The problem that tells those of the front end or of the compiler."""
    return Undeployable(what=what, count=len(problems), errors=[shown(one) for one in problems[:100]])


def shown(one: Any) -> dict[str, Any]:
    """A problem of the front end or of the compiler as JSON: pointer (file:line:column), message, mend, rule."""
    if isinstance(one, Finding):
        return {"pointer": one.place, "message": one.message, "mend": one.mend, "rule": "deploy"}
    pointer = f"{one.file}:{one.line}:{one.column}"
    return {"pointer": pointer, "message": one.message, "mend": one.mend, "rule": one.rule, "severity": one.severity}
