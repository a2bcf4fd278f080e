"""Where a topology is made: the own cloud, pools of Graffiti, pools that the operator has written down; and what a binding says of nodes.

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
from cloudos.eve import export, neighbours
from cloudos.eve.authority import GRAFFITI, LOCAL, OPERATOR, OWN
from cloudos.eve.designs import BINDING
from cloudos.eve.faults import NeighbourAway, NoPool, ProfileWrong
from cloudos.eve.neighbours import Graffiti, as_caller
from cloudos.eve.plan import Plan
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool
from cloudos.eve.quota import Survey

DEFAULT = "default"
# Where pools let servers be logged in to without SSH, programs of templates run on the controller: the operator's decision.
OPERATORS_ONLY = ("connection",)
BOUND = {"flavor": "flavor", "image": "image", "external_network": "external_network", "network": "external_network",
         "volume_type": "volume_type"}  # fmt: skip
BY_NAME = ("external_network", "volume_type")  # Cinder shows a volume's type by its name


class Chosen:
    """The pools of an order by name, the first being the default, with `placement` of nodes. Raises NoPool, ProfileWrong, NeighbourAway."""

    def __init__(self, call: Call, body: dict[str, Any], profile: dict[str, Any], reference: str):
        self._call, self._reference = call, reference
        self._resolved: dict[str | None, dict[str, Any]] = {}
        self.pools: dict[str, dict[str, Any]] = {}
        self.placement: dict[str, str] = {}
        if profile.get("kind") == BINDING:
            self._bound(profile.get("nodes") or {})
        for name, one in (profile.get("pools") or {}).items():
            if not isinstance(one, dict):
                raise ProfileWrong(reference=reference, reason=f"pool {name} must be a map of `pool` and `defaults`.")
            self._add(name, one.get("pool"), one.get("defaults") or {}, one)
        if body.get("pool") or not self.pools:
            defaults = {**(self.pools.get(DEFAULT) or {}).get("defaults", {}), **body.get("defaults", {})}
            self.pools = {DEFAULT: {}, **self.pools}
            self._add(DEFAULT, body.get("pool"), defaults)
        elif body.get("defaults"):
            first = next(iter(self.pools))
            self._add(first, self.pools[first]["ref"], {**self.pools[first]["defaults"], **body["defaults"]})
        self.placement.update(profile.get("placement") or {})
        self.placement.update(body.get("placement", {}))

    def _add(self, name: str, reference: str | None, defaults: dict[str, Any], given: dict[str, Any] | None = None) -> None:
        local = self._call.runtime.conf.api.auth_strategy == "noauth"
        if wrong := [key for key in OPERATORS_ONLY if key in defaults and not local]:
            raise ProfileWrong(reference=self._reference, reason=f"defaults of a pool may not say {', '.join(wrong)}; the operator may.")
        if local and given and given.get("provider"):
            login = {key: value for key, value in given.items() if key not in ("provider", "defaults", "pool")}
            found = {"source": LOCAL, "provider": given["provider"], "login": login, "defaults": {}, "ref": reference}
        else:
            found = self._found(reference)
        login = {"cloud": name} if found["source"] in (OWN, GRAFFITI) else found["login"]
        self.pools[name] = {**found, "login": login, "defaults": {**found["defaults"], **defaults}}

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
        if conf.api.auth_strategy == "noauth":
            if reference is None:
                raise NoPool(name="default", known="Name a cloud of clouds.yaml as pool.")
            return {"source": LOCAL, "provider": "openstack", "login": {"cloud": reference}, "defaults": {}, "ref": reference}
        if reference is None:
            return {"source": OWN, "provider": "openstack", "login": {}, "defaults": {}, "ref": None}
        pool = _of_graffiti(self._call, reference)
        if pool is None:
            known = f"The operator's are {', '.join(operators)}." if operators else "`cloudos graffiti pool list` shows Graffiti's."
            raise NoPool(name=reference, known=known)
        return {"source": GRAFFITI, "provider": pool["type"], "login": {}, "defaults": {}, "ref": pool["id"], "name": pool["name"],
                "quota": pool.get("quota") or {}}  # fmt: skip

    def _bound(self, nodes: dict[str, Any]) -> None:
        """A binding says of each node its pool and what was chosen for it. Nodes whose choices do not contradict each other share a
        pool entry, so that what they become is made in one go."""
        for node, one in sorted(nodes.items()):
            reference = one.get("resource_pool_ref")
            chosen = {BOUND[name]: choice for name, choice in (one.get("requirements") or {}).items() if name in BOUND}
            defaults = {key: choice["name"] if key in BY_NAME else choice["id"] or choice["name"] for key, choice in chosen.items()}
            entry = self._fitting(reference, defaults)
            self.placement[node] = entry
            known = self.pools.get(entry, {})
            bound = {**known.get("bound", {}), **defaults}
            self._add(entry, reference, {**bound, "chosen": sorted(bound)})
            self.pools[entry]["bound"] = bound
            self.pools[entry]["names"] = {**known.get("names", {}), **{key: choice["name"] for key, choice in chosen.items()}}

    def _fitting(self, reference: str | None, defaults: dict[str, Any]) -> str:
        """The name of the first entry of a pool that says nothing else than the defaults, or of a new one."""
        for name, one in self.pools.items():
            same = one["ref"] == self._found(reference)["ref"]
            if same and all(one["bound"].get(key, value) == value for key, value in defaults.items()):
                return name
        return f"{DEFAULT}-{len(self.pools) + 1}" if self.pools else DEFAULT


def usable(pools: dict[str, dict[str, Any]]) -> dict[str, Pool]:
    """The pools as the compiler takes them."""
    return {name: Pool(name, one["provider"], one["login"], one["defaults"]) for name, one in pools.items()}


def profile_of(pools: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pools as a profile says them, by names: other clouds have other ids. What only the operator may say is not in it."""
    found = {}
    for name, one in pools.items():
        login = export.public(one["login"]) if one["source"] == LOCAL else {}
        reference = one.get("name") or one["ref"]
        defaults = {key: value for key, value in {**one["defaults"], **one.get("names", {})}.items() if key not in OPERATORS_ONLY}
        found[name] = {"provider": one["provider"], **login, **({"pool": reference} if reference else {}), "defaults": defaults}
    return found


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
