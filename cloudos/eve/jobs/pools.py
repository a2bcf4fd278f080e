"""Where a topology is made: the own cloud, pools of Graffiti, pools that the operator has written down.

A pool is kept as {source, provider, login, defaults, ref}; it never has a secret. `source`: own, graffiti, operator, local.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import yaml
from keystoneauth1 import exceptions as keystone

from cloudos.eden.call import Call
from cloudos.eden.client import Failure
from cloudos.eve.engine import export
from cloudos.eve.engine.plan import Plan
from cloudos.eve.jobs import neighbours
from cloudos.eve.jobs.authority import GRAFFITI, LOCAL, OPERATOR, OWN
from cloudos.eve.jobs.faults import NeighbourAway, NoPool, ProfileWrong
from cloudos.eve.jobs.neighbours import Graffiti, as_caller
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool
from cloudos.eve.quota import Survey

DEFAULT = "default"
# Where pools let servers be logged in to without SSH, programs of templates run on the controller: the operator's decision.
OPERATORS_ONLY = ("connection",)


class Places:
    """Where the nodes of an order are: `pools` by name, the first being the default, `placement` of nodes, `choices` of what they are
    made of. `before`: pools, placement and choices that stay where the order says nothing else.

    Raises NoPool, ProfileWrong, NeighbourAway.
    """

    def __init__(self, call: Call, body: dict[str, Any], profile: dict[str, Any], reference: str, before: dict[str, Any] | None = None):
        self._call, self._reference, before = call, reference, before or {}
        self._resolved: dict[str | None, dict[str, Any]] = {}
        self.pools: dict[str, dict[str, Any]] = dict(before.get("pools") or {})
        said = profile.get("pools") or {}
        for name, one in said.items():
            self._add(name, one.get("pool"), one.get("defaults") or {}, one)
        if body.get("pool") or not self.pools:
            self.pools = {DEFAULT: {}, **self.pools}
            self._add(DEFAULT, body.get("pool"), said.get(DEFAULT, {}).get("defaults") or {})
        if body.get("defaults"):
            first, pool = next(iter(self.pools.items()))
            self.pools[first] = {**pool, "defaults": {**pool["defaults"], **self._allowed(body["defaults"])}}
        layers = (before, profile, body)
        self.placement = {node: pool for one in layers for node, pool in (one.get("placement") or {}).items()}
        self.choices: dict[str, dict[str, Any]] = {}
        for node, chosen in ((node, chosen) for one in layers for node, chosen in (one.get("choices") or {}).items()):
            self.choices[node] = {**self.choices.get(node, {}), **chosen}

    def _add(self, name: str, reference: str | None, defaults: dict[str, Any], given: dict[str, Any] | None = None) -> None:
        if self._local and given and given.get("provider"):
            login = {key: value for key, value in given.items() if key not in ("provider", "defaults", "pool")}
            found = {"source": LOCAL, "provider": given["provider"], "login": login, "defaults": {}, "ref": reference}
        else:
            found = self._found(reference)
        login = {"cloud": name} if found["source"] in (OWN, GRAFFITI) else found["login"]
        self.pools[name] = {**found, "login": login, "defaults": {**found["defaults"], **self._allowed(defaults)}}

    @property
    def _local(self) -> bool:
        return self._call.runtime.conf.api.auth_strategy == "noauth"

    def _allowed(self, defaults: dict[str, Any]) -> dict[str, Any]:
        if wrong := [key for key in OPERATORS_ONLY if key in defaults and not self._local]:
            raise ProfileWrong(reference=self._reference, reason=f"defaults of a pool may not say {', '.join(wrong)}; the operator may.")
        return defaults

    def _found(self, reference: str | None) -> dict[str, Any]:
        if reference not in self._resolved:
            self._resolved[reference] = self._resolve(reference)
        return self._resolved[reference]

    def _resolve(self, reference: str | None) -> dict[str, Any]:
        conf = self._call.runtime.conf
        operators = operators_pools(conf.eve.pools_file)
        if reference in operators:
            one = operators[reference]
            return {"source": OPERATOR, "provider": one["provider"], "login": one.get("login") or {},
                    "defaults": one.get("defaults") or {}, "ref": reference}  # fmt: skip
        if self._local:
            if reference is None:
                raise NoPool(name=DEFAULT, known="Without a cloud there is no project of your own: name an entry of clouds.yaml as pool.")
            return {"source": LOCAL, "provider": "openstack", "login": {"cloud": reference}, "defaults": {}, "ref": reference}
        if reference is None:
            return {"source": OWN, "provider": "openstack", "login": {}, "defaults": {}, "ref": None}
        pool = _of_graffiti(self._call, reference)
        if pool is None:
            known = f"The operator's are {', '.join(operators)}." if operators else "`cloudos graffiti pool list` shows Graffiti's."
            raise NoPool(name=reference, known=f"{known} Leave pool out to deploy to your own project of this cloud.")
        return {"source": GRAFFITI, "provider": pool["type"], "login": {}, "defaults": {}, "ref": pool["id"], "name": pool["name"],
                "quota": pool.get("quota") or {}}  # fmt: skip


def usable(pools: dict[str, dict[str, Any]]) -> dict[str, Pool]:
    """The pools as the compiler takes them."""
    return {name: Pool(name, one["provider"], one["login"], one["defaults"]) for name, one in pools.items()}


def profile_of(pools: dict[str, dict[str, Any]], choices: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Pools and choices as a profile says them, by names: other clouds have other ids. What only the operator may say is not in it."""
    found = {}
    for name, one in pools.items():
        login = export.public(one["login"]) if one["source"] == LOCAL else {}
        reference = one.get("name") or one["ref"]
        defaults = {key: value for key, value in one["defaults"].items() if key not in OPERATORS_ONLY}
        found[name] = {"provider": one["provider"], **login, **({"pool": reference} if reference else {}), "defaults": defaults}
    named = {node: {what: {"name": one["name"]} for what, one in chosen.items()} for node, chosen in choices.items()}
    return {"pools": found, "choices": named}


def surveys(call: Call, pools: dict[str, dict[str, Any]]) -> dict[str, Survey]:
    """What the pools may have and have: of the own project asked now, of Graffiti's as it last saw it."""
    found: dict[str, Survey] = {}
    own: Survey | None = None
    for name, one in pools.items():
        if one["source"] == OWN:
            own = own or neighbours.survey(call)
            found[name] = own
        elif one["source"] == GRAFFITI:
            found[name] = Survey(one.get("quota") or {}, live=False)
        else:
            with contextlib.suppress(Refused):  # a provider that is not installed is told when the design is compiled
                if survey := usable({name: one})[name].mapping.survey:
                    found[name] = survey(one["login"])
    return found


def runs_on_the_controller(plan: Plan) -> list[str]:
    """Names of operations that do more than log in to servers of the topology: Ansible content of the template, or no server at all."""
    found = []
    for step in plan.steps.values():
        arguments = step.resource.arguments
        if step.resource.kind != "operation":
            continue
        kinds = {call.get("how", {}).get("kind") for call in (arguments, arguments.get("undo") or {})}
        hosts = arguments.get("hosts") or {}
        if kinds == {"state", None}:
            continue
        if "ansible" in kinds or not hosts or any(login.get("connection") for login in hosts.values()):
            found.append(step.name)
    return found


def operators_pools(path: str | None) -> dict[str, dict[str, Any]]:
    """The pools of [eve] pools_file: name -> {provider, login, defaults}."""
    return (yaml.safe_load(Path(path).read_text()) or {}) if path else {}


def _of_graffiti(call: Call, reference: str) -> dict[str, Any] | None:
    try:
        return as_caller(call, Graffiti).pool(reference)
    except Failure as failure:
        raise NeighbourAway(headers={"Retry-After": "5"}, reason=f"Graffiti does not tell its pools: {failure}", seconds=5) from failure
    except keystone.EndpointNotFound:
        return None
    except keystone.ClientException as error:
        raise NeighbourAway(headers={"Retry-After": "5"}, reason=f"Graffiti does not answer: {error}", seconds=5) from error
