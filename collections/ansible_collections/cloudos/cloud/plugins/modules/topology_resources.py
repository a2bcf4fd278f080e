#!/usr/bin/python
"""Module topology_resources: a topology's resources in one cloud, all in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: topology_resources
short_description: Keep the resources of a topology in an OpenStack cloud
description:
  - Makes, changes and removes resources of many kinds side by side, each as soon as those that it refers to are ready.
  - Each resource carries the mark of its topology from the request that makes it. An interrupted call is continued by the
    same call. Resources with other marks are left alone.
  - A failure of one resource keeps back only those that need it; the others are finished, and the failure tells them.
options:
  topology: {description: Identifier of the topology., type: str, required: true}
  resources:
    description:
      - What is to be there; each has a C(name), unique in the topology, a C(kind) and C(arguments), which have the names of the
        API's own documents.
      - A mapping of C($attribute) to C([other, id]) anywhere in the arguments is an attribute of another resource, of this call
        or of O(known).
      - C(needs) lists names that come before, without being referred to. C(node) is what failures name besides.
      - With C(existing) a resource is looked for by its arguments (a name or an id, a flavor's least size, what an image says
        of its system), is never changed and must be there, else nothing is begun.
      - Kinds are container, flavor, floating_ip, image, keypair, network, port, qos_bandwidth_rule, qos_policy, router,
        router_interface, security_group (with C(rules)), server, server_group, subnet, volume and volume_attachment.
    type: list
    elements: dict
    required: true
  known:
    description: Attributes of resources of earlier calls or other clouds by name, as RV(resources) has them.
    type: dict
    default: {}
  state: {description: Whether they are there., type: str, choices: [present, absent], default: present}
  parallel: {description: How many resources are worked on at once., type: int, default: 10}
  timeout: {description: Seconds that one resource may take., type: int, default: 600}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.cloud]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: A network with a server on it
  cloudos.cloud.topology_resources:
    cloud: mycloud
    topology: shop
    resources:
      - {name: net, kind: network, arguments: {}}
      - {name: subnet, kind: subnet, arguments: {network_id: {$attribute: [net, id]}, ip_version: 4, cidr: 10.0.0.0/24}}
      - {name: port, kind: port, arguments: {network_id: {$attribute: [net, id]}}, needs: [subnet]}
      - {name: small, kind: flavor, existing: true, arguments: {vcpus: 1, ram: 512}}
      - {name: guest, kind: image, existing: true, arguments: {name: guest}}
      - name: web
        kind: server
        arguments:
          flavor: {$attribute: [small, id]}
          image: {$attribute: [guest, id]}
          networks: [{port: {$attribute: [port, id]}}]
"""

RETURN = r"""
resources:
  description: Resource by name, with its id and other attributes; C(action) is what was done and C(seconds) how long it took.
  type: dict
  returned: always, in a failure as C(failure.resources)
"""

from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cloudos.cloud.plugins.module_utils.cloud import CLOUD, CloudOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure
from ansible_collections.cloudos.cloud.plugins.module_utils.topology import schedule
from ansible_collections.cloudos.cloud.plugins.module_utils.topology.cloud import Cloud
from ansible_collections.cloudos.cloud.plugins.module_utils.topology.special import KINDS


class TopologyResources(CloudOperation):
    spec = {
        **CLOUD,
        "topology": {"type": "str", "required": True},
        "resources": {"type": "list", "elements": "dict", "required": True},
        "known": {"type": "dict", "default": {}},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "parallel": {"type": "int", "default": 10},
        "timeout": {"type": "int", "default": 600},
    }

    def found(self):
        """Name -> what is there of the arguments, for the resources that are there."""
        self.cloud = Cloud(self.connection, self.params["topology"], self.params["timeout"])
        self.resources = {one["name"]: self.reveal(one) for one in self.params["resources"]}
        self.graph = self.ordered()
        self.known = dict(self.params["known"])
        self.objects, self.actions = {}, {}
        listings = self.listings()
        for name in schedule.order(self.graph):
            resource = self.resources[name]
            kind, arguments = self.kinds[name], self.arguments(name)
            with named(resource):
                if resource.get("existing") and self.params["state"] == "absent":
                    continue
                one = kind.find(listings[resource["kind"]], resource, arguments)
            if one:
                self.objects[name] = one
                self.known[name] = kind.attributes(one)
        return self.masked({name: self.shown(name) for name in self.mine() if name in self.objects})

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        return self.masked({name: self.kinds[name].wanted(self.arguments(name)) for name in self.mine()})

    def converge(self, step):
        present = self.params["state"] == "present"
        names = [name for name in self.graph if name in self.objects or present]
        graph = {name: self.graph[name] & {*names} for name in names}
        one = self.make if present else self.remove
        done, failed, waiting = schedule.work(graph if present else self.removal(graph), one, self.params["parallel"])
        self.seconds = {name: one["seconds"] for name, one in done.items()}
        if failed:
            raise self.told_together(failed, waiting)

    def result(self, step):
        return {"resources": self.outcome()}

    # One resource

    def make(self, name):
        """Bring one resource to what is wanted."""
        resource, kind, one = self.resources[name], self.kinds[name], self.objects.get(name)
        with named(resource), self.told():
            arguments = self.arguments(name, complete=True)
            if one is None:
                one, action = kind.create(resource, arguments), "created"
                self.objects[name], self.known[name] = one, {"id": one["id"]}
            elif not resource.get("existing") and (keys := self.differences(name, arguments)):
                self.refuse_replacement(kind, keys)
                one, action = kind.change(resource, one, arguments, keys), "changed"
            else:
                action = "existing" if resource.get("existing") else "kept"
            self.objects[name] = one = one if resource.get("existing") else kind.settled(one)
        self.known[name], self.actions[name] = kind.attributes(one), action

    def remove(self, name):
        """Delete one resource."""
        with named(self.resources[name]), self.told():
            self.kinds[name].delete(self.objects[name])
        self.actions[name] = "deleted"

    def removal(self, graph):
        """The order of removing. An attachment goes with its server, without a request; its volume waits for that."""
        turned = schedule.reverse(graph)
        for name in [name for name in graph if self.resources[name]["kind"] == "volume_attachment"]:
            servers = {one for one in graph[name] if self.resources[one]["kind"] == "server"}
            if servers:
                for other in turned:
                    if name in turned[other]:
                        turned[other] = turned[other] - {name} | (set() if other in servers else servers)
                del turned[name]
                self.actions[name] = "deleted"
        return turned

    def differences(self, name, arguments):
        wanted, there = self.kinds[name].wanted(arguments), self.kinds[name].shown(self.objects[name], arguments)
        return [key for key in wanted if wanted[key] != there[key]]

    @staticmethod
    def refuse_replacement(kind, keys):
        if stuck := [key for key in keys if key not in kind.changeable]:
            raise Failure(f"{', '.join(stuck)} cannot be changed in place",
                          next_step="remove the resource first (state: absent), as Eve's plan does where it says replace")  # fmt: skip

    # What all share

    def ordered(self):
        """Name -> names before it; the resources' kinds are made on the way."""
        if unknown := {one.get("kind") for one in self.resources.values()} - {*KINDS}:
            raise Failure(f"unknown kinds {', '.join(map(str, sorted(unknown, key=str)))}",
                          next_step=f"the kinds are {', '.join(sorted(KINDS))}")  # fmt: skip
        made = {kind: KINDS[kind](self.cloud) for kind in {one["kind"] for one in self.resources.values()}}
        self.kinds = {name: made[one["kind"]] for name, one in self.resources.items()}
        self.cloud.prepare({service for kind in made.values() for service in (kind.service, *kind.also)})
        return schedule.needs(list(self.resources.values()))

    def listings(self):
        """Kind -> objects that are there; asked side by side."""
        kinds = {one["kind"]: self.kinds[name] for name, one in self.resources.items()}
        if self.params["state"] == "absent":
            kinds = {kind: one for kind, one in kinds.items() if kind not in self.only_existing()}
        with ThreadPoolExecutor(max_workers=self.params["parallel"]) as pool:
            asked = {kind: pool.submit(one.all) for kind, one in kinds.items()}
            return {kind: future.result() for kind, future in asked.items()}

    def only_existing(self):
        made = {one["kind"] for one in self.resources.values() if not one.get("existing")}
        return {one["kind"] for one in self.resources.values()} - made

    def arguments(self, name, complete=False):
        """A resource's arguments with references replaced; with `complete` none may be left."""
        try:
            arguments = schedule.resolved(self.resources[name].get("arguments") or {}, self.known)
        except LookupError as error:
            raise Failure(str(error), next_step="correct the attribute in the template or the mapping") from error
        left = [other for other, _ in schedule.references(arguments)]
        if complete and left:
            raise Failure(f"it refers to {', '.join(left)}, which is neither here nor known",
                          next_step="pass what earlier calls returned as `known`")  # fmt: skip
        return arguments

    def mine(self):
        return [name for name, one in self.resources.items() if not one.get("existing")]

    def shown(self, name):
        return self.kinds[name].shown(self.objects[name], self.arguments(name))

    def masked(self, value):
        """The state with secrets as references, at any depth."""
        if isinstance(value, dict):
            return {key: self.masked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.masked(item) for item in value]
        return self.mask(value) if isinstance(value, str) else value

    def outcome(self):
        """What is told of each resource."""
        seconds = getattr(self, "seconds", {})
        present = self.params["state"] == "present"
        told = {}
        for name, resource in self.resources.items():
            if name not in self.objects:
                continue
            action = self.actions.get(name) or ("existing" if resource.get("existing") else "kept" if present else "found")
            told[name] = {**self.masked(self.known.get(name) or {}), "kind": resource["kind"], "action": action,
                          "seconds": seconds.get(name, 0)}  # fmt: skip
        return told

    def told_together(self, failed, waiting):
        """One failure for all: the first one's facts lead, every one's words are in the log."""
        texts = {name: str(error).splitlines()[0] for name, error in failed.items()}
        first = next(iter(failed.values()))
        facts = getattr(first, "facts", {"service": None, "next_step": None})
        if unexpected := [error for error in failed.values() if not isinstance(error, Failure)]:
            raise unexpected[0]
        failure = Failure("; ".join(texts.values()), service=facts["service"], next_step=facts["next_step"],
                          log=[f"not begun: {', '.join(waiting)}"] if waiting else [])  # fmt: skip
        failure.facts.update(resources=self.outcome(), failed=texts, waiting=waiting,
                             node=self.resources[next(iter(failed))].get("node"))  # fmt: skip
        return failure


class named:  # noqa: N801 - used as a statement
    """Inside it, a failure begins with the resource it is about."""

    def __init__(self, resource):
        node = resource.get("node")
        self.text = f"{resource['kind']} {resource['name']}" + (f" of node {node}" if node and node != resource["name"] else "")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Failure):
            facts = error.facts
            raise Failure(f"{self.text}: {facts['cause']}", service=facts["service"], log=facts["log"],
                          next_step=facts["next_step"]) from error  # fmt: skip


def main():
    TopologyResources.main()


if __name__ == "__main__":
    main()
