"""What a project may have and has, and how large the flavors are that a plan uses: asked before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cloudos.eve.graph import Graph
from cloudos.eve.problems import Problem

# Of the quotas of plans: service -> quota -> what openstacksdk calls its limit, and what is used of it.
COMPUTE = {"instances": ("instances", "instances_used"), "cores": ("total_cores", "total_cores_used"),
           "ram": ("total_ram", "total_ram_used"), "server_groups": ("server_groups", "server_groups_used")}  # fmt: skip
VOLUME = {"volumes": ("max_total_volumes", "total_volumes_used"), "gigabytes": ("max_total_volume_gigabytes", "total_gigabytes_used")}
NETWORK = ("floating_ips", "networks", "ports", "routers", "subnets", "security_groups")
UNLIMITED = -1


@dataclass(frozen=True)
class Survey:
    """`limits`: quota -> {"limit", "used"}; `flavors`: {"id", "name", "vcpus", "ram", "disk"} each; `notes`: what is not known, and why.

    `live`: asked just now, so that what does not fit need not be tried.
    """

    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    flavors: Iterable[Mapping[str, Any]] = ()
    notes: tuple[str, ...] = ()
    live: bool = True


def of_login(login: Mapping[str, Any]) -> Survey:
    """A cloud of clouds.yaml, as pools name it."""
    import openstack  # takes a second; those who only read templates need not wait for it

    return _survey(lambda: openstack.connect(cloud=login.get("cloud"), app_name="cloudos-eve"))


def of_session(session: Any, **where: Any) -> Survey:
    """The project of a session of keystoneauth1. `where`: region_name, interface."""
    from openstack import connection

    return _survey(lambda: connection.Connection(session=session, **where))


def _survey(connect: Callable[[], Any]) -> Survey:
    """Asks all services at once; what one does not tell is a note, for the cloud itself refuses what is too much."""
    failures = _failures()
    try:
        cloud = connect()
        asked: dict[str, Callable[[], Any]] = {"compute": lambda: _absolute(cloud.compute, COMPUTE), "network": lambda: _network(cloud),
                                               "flavors": lambda: [_flavor(one) for one in cloud.compute.flavors()]}  # fmt: skip
        if cloud.has_service("block-storage"):
            asked["volume"] = lambda: _absolute(cloud.block_storage, VOLUME)
    except failures as error:
        return Survey(notes=(f"quotas are not known: {error}",))
    limits: dict[str, Mapping[str, float]] = {}
    flavors: list[dict] = []
    notes = []
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = {name: pool.submit(ask) for name, ask in asked.items()}
    for name, answer in answers.items():
        try:
            found = answer.result()
        except failures as error:
            notes.append(f"{name if name == 'flavors' else f'quotas of {name}'} are not known: {error}")
            continue
        if name == "flavors":
            flavors = found
        else:
            limits.update(found)
    return Survey(limits, flavors, tuple(notes))


def _failures() -> tuple[type[Exception], ...]:
    from keystoneauth1.exceptions import ClientException
    from openstack.exceptions import SDKException

    return (ClientException, SDKException, OSError)


def _absolute(service: Any, names: Mapping[str, tuple[str, str]]) -> dict[str, Mapping[str, float]]:
    told = service.get_limits().absolute
    found = {quota: {"limit": getattr(told, limit, None), "used": getattr(told, used, None) or 0} for quota, (limit, used) in names.items()}
    return {quota: one for quota, one in found.items() if one["limit"] is not None}


def _network(cloud: Any) -> dict[str, Mapping[str, float]]:
    told = cloud.network.get_quota(cloud.current_project_id, details=True)
    bodies = {name: getattr(told, name, None) for name in NETWORK}
    return {name: {"limit": body["limit"], "used": body["used"] + int(body.get("reserved") or 0)}
            for name, body in bodies.items() if isinstance(body, dict)}  # fmt: skip


def _flavor(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("id", "name", "vcpus", "ram", "disk")}


def sizes(graph: Graph, surveys: Mapping[str, Survey]) -> dict[str, Mapping[str, Any]]:
    """Name of each flavor that is used -> the flavor that it will be: of that name or id, or the smallest that is large enough."""
    found = {}
    for name, one in graph.resources.items():
        if one.kind == "flavor" and one.existing and one.pool in surveys:
            fitting = [flavor for flavor in surveys[one.pool].flavors if _fits(flavor, one.arguments)]
            if fitting:
                found[name] = min(fitting, key=lambda flavor: (flavor["vcpus"], flavor["ram"], flavor["disk"], flavor["name"]))
    return found


def _fits(flavor: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    if "name" in wanted:
        return wanted["name"] in (flavor["id"], flavor["name"])
    return all((flavor.get(key) or 0) >= value for key, value in wanted.items() if isinstance(value, int))


def lacking(wanted: Mapping[str, Mapping[str, int]], surveys: Mapping[str, Survey]) -> list[Problem]:
    """What a plan wants more than is free (pool -> quota -> number); what is not known or has no limit never lacks."""
    found = []
    for pool, numbers in wanted.items():
        limits = surveys[pool].limits if pool in surveys else {}
        for name, number in numbers.items():
            one = limits.get(name)
            if one and number > 0 and one["limit"] > UNLIMITED and one["used"] + number > one["limit"]:
                message = f"quota {name}: {one['used']:.0f} of {one['limit']:.0f} are used, {number} more are wanted"
                found.append(Problem(f"pool {pool}", message, "Raise the quota, free some, or ask for less."))
    return found
