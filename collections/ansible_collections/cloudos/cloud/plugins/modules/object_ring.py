#!/usr/bin/python
"""Module object_ring: Swift's rings, which say on which devices each partition's replicas are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_ring
short_description: Build and rebalance Swift's rings
description:
  - Keeps the builders of the account, container and object ring with the devices that are declared, and writes the rings
    that follow from them. What a rebalance could not move yet, because a partition moves once in C(min_part_hours) only,
    is moved by a later run.
  - A device leaves in two steps, so that nothing is lost with it; first C(drained), which gives it weight 0 and moves its
    partitions away; once its disk is empty, C(absent). C(lost) takes a broken one out at once.
  - A device that is in a ring and not declared is refused.
options:
  nodes:
    description:
      - The storage nodes, each with C(node), C(address), C(region), C(zone) and C(devices), a mapping of names to C(weight)
        (default 100) and C(state) (C(present), C(drained), C(absent) or C(lost)).
    type: list
    elements: dict
    required: true
  directory: {description: Where builders and rings are., type: path, default: /etc/swift}
  settings:
    description: File whose section C(rings) has C(part_power), C(replicas) and C(min_part_hours).
    type: path
    default: /etc/swift/rings.conf
  group: {description: Group that reads the rings., type: str, default: swift}
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Drain a device
  cloudos.cloud.object_ring:
    nodes:
      - node: sto1
        address: 192.0.2.21
        region: 1
        zone: 1
        devices: {d1: {weight: 100}, d2: {weight: 100}, d3: {weight: 100}, d4: {state: drained}}
"""

RETURN = r"""
rings:
  description:
    - Ring to its C(balance) (percent that the worst device is off its share), C(version) and C(movable_in) (seconds until
      partitions may move again).
  type: dict
  returned: outside of check mode
"""

import configparser
import os
from copy import deepcopy
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.filesystem import write_file
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation, use_bundle

PORTS = {"account": 6202, "container": 6201, "object": 6200}
DEFAULTS = {"part_power": 10, "replicas": 3, "min_part_hours": 1}
WORTH = 1  # percent of balance that a rebalance must gain


class ObjectRing(Operation):
    lock = "object-rings"
    spec = {
        "nodes": {"type": "list", "elements": "dict", "required": True},
        "directory": {"type": "path", "default": "/etc/swift"},
        "settings": {"type": "path", "default": "/etc/swift/rings.conf"},
        "group": {"type": "str", "default": "swift"},
    }

    def found(self):
        """{ring: {part_power, replicas, min_part_hours, devices: {name: text}, partitions, file}} of those there are."""
        self.settings = self.read_settings()
        directory = Path(self.params["directory"])
        use_bundle()
        if not _library() and not self.rehearsal:  # on a blank node it would be there by now
            raise Failure("Swift's library is missing", service="swift", next_step="see whether the bundle is mounted")
        self.rings = {kind: Ring(kind, directory, self.params["group"]) for kind in PORTS}
        return {kind: ring.found() for kind, ring in self.rings.items() if ring.builder}

    def wanted(self):
        declared = self.declared()
        return {kind: ring.wanted(self.settings, declared) for kind, ring in self.rings.items()}

    def read_settings(self):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.params["settings"])
        given = dict(parser["rings"]) if parser.has_section("rings") else {}
        try:
            return {key: int(given.get(key, default)) for key, default in DEFAULTS.items()}
        except ValueError as error:
            raise Failure(
                f"{self.params['settings']} [rings]: {error}", service="swift", next_step="set whole numbers there"
            ) from error

    def declared(self):
        """{(address, device name): {state, region, zone, weight}}."""
        return {
            (node["address"], name): {
                "state": (device or {}).get("state") or "present",
                "region": int(node.get("region") or 1),
                "zone": int(node.get("zone") or 1),
                "weight": float(100 if (weight := (device or {}).get("weight")) is None else weight),
            }
            for node in self.params["nodes"]
            for name, device in node["devices"].items()
        }

    def converge(self, step):
        for kind in step.changes:
            self.rings[kind].converge(step.before.get(kind), step.after[kind])

    def rendered(self, state):
        return {
            kind: "".join(
                f"{key}: {value}\n"
                for key, value in ({**ring, **{f"device {name}": text for name, text in ring["devices"].items()}}).items()
                if key != "devices"
            )
            for kind, ring in state.items()
        }

    def result(self, step):
        if self.rehearsal:
            return {}
        told = {
            kind: {
                "balance": ring.builder.get_balance(),
                "version": ring.builder.version,
                "movable_in": ring.builder.min_part_seconds_left,
            }
            for kind, ring in self.rings.items()
        }
        return {"rings": told}


class Ring:
    """One ring and its builder; `builder` is None where there is none yet."""

    def __init__(self, kind, directory, group):
        self.kind, self.group = kind, group
        self.builder_path, self.path = directory / f"{kind}.builder", directory / f"{kind}.ring.gz"
        self.builder = None
        if self.builder_path.exists():
            from swift.common.ring import RingBuilder

            self.builder = RingBuilder.load(str(self.builder_path))

    def found(self):
        builder = self.builder
        return {
            "part_power": builder.part_power,
            "replicas": int(builder.replicas),
            "min_part_hours": builder.min_part_hours,
            "devices": {_name(device): _shown(device) for device in self.devices()},
            "partitions": "to move" if self.movable() else "in place",
            "file": self.file(),
        }

    def wanted(self, settings, declared):
        """Its state with the devices that are declared. Raises Failure for what cannot be done, or not safely."""
        known = {(device["ip"], device["device"]): device for device in self.devices()} if self.builder else {}
        for key in known.keys() - declared.keys():
            self.refuse(
                f"device {key[1]} of {key[0]} is not declared",
                "declare it in the inventory with state: drained, and with state: absent once it is empty",
            )
        for key, device in known.items():
            if declared[key]["state"] == "absent" and device["parts"]:
                self.refuse(
                    f"device {key[1]} of {key[0]} has {device['parts']} partitions",
                    "declare it with state: drained, and with state: absent once its disk is empty",
                )
        if self.builder and self.builder.part_power != settings["part_power"]:
            self.refuse(
                f"its part_power is {self.builder.part_power}, not {settings['part_power']}",
                "set it back; objects would have to be moved with swift-object-relinker",
            )
        self.targets = {
            key: {**device, "weight": device["weight"] if device["state"] == "present" else 0.0}
            for key, device in declared.items()
            if device["state"] in ("present", "drained")
        }
        usable = [device for device in self.targets.values() if device["weight"]]
        if len(usable) < settings["replicas"]:
            self.refuse(
                f"{settings['replicas']} replicas need as many devices with a weight, and {len(usable)} are declared",
                "declare more devices, or fewer replicas: overrides of rings.conf [rings] replicas",
            )
        devices = {_name({"ip": ip, "device": name}): _shown(device) for (ip, name), device in self.targets.items()}
        return {**settings, "devices": dict(sorted(devices.items())), "partitions": "in place", "file": "written"}

    def refuse(self, cause, next_step):
        raise Failure(f"{self.kind} ring: {cause}", service="swift", next_step=next_step)

    def devices(self):
        """Its devices, by name."""
        return sorted((device for device in self.builder.devs if device), key=_name)

    def movable(self):
        """Whether a rebalance now would move partitions for good reason."""
        builder = self.builder
        draining = any(device["parts"] and not device["weight"] for device in self.devices())
        if builder.min_part_seconds_left or not (draining or builder.get_balance() > WORTH):
            return False
        before, trial = builder.get_balance(), deepcopy(builder)
        moved, balance, _removed = trial.rebalance(seed=0)
        return bool(moved) and (draining or before - balance >= WORTH)

    def file(self):
        """Whether the ring that the servers read is what the builder says."""
        from swift.common.ring import RingData

        if not self.path.exists():
            return "missing"
        version = RingData.load(str(self.path), metadata_only=True).version
        return "written" if version == self.builder.version else "older than its builder"

    def converge(self, before, after):
        from swift.common.exceptions import RingBuilderError
        from swift.common.ring import RingBuilder

        if before and {**before, "file": after["file"]} == after:
            self.write()
            return
        if self.builder is None:
            self.builder = RingBuilder(*(after[key] for key in DEFAULTS))
        try:
            self.builder.change_min_part_hours(after["min_part_hours"])
            self.builder.set_replicas(after["replicas"])
            self.apply()
            self.builder.rebalance()
            self.builder.validate()
        except RingBuilderError as error:
            self.refuse(f"it cannot be built: {error}", "look at the devices and their weights in the inventory")
        self.save()
        self.write()

    def apply(self):
        """Add, change and remove devices until the builder has the targets."""
        known = {(device["ip"], device["device"]): device for device in self.devices()}
        for key, device in known.items():
            if key not in self.targets:
                self.builder.remove_dev(device["id"])
                continue
            target = self.targets[key]
            if device["weight"] != target["weight"]:
                self.builder.set_dev_weight(device["id"], target["weight"])
            if device["region"] != target["region"]:
                self.builder.set_dev_region(device["id"], target["region"])
            if device["zone"] != target["zone"]:
                self.builder.set_dev_zone(device["id"], target["zone"])
        for (address, name), target in self.targets.items():
            if (address, name) not in known:
                place = {key: target[key] for key in ("region", "zone", "weight")}
                where = {"ip": address, "port": PORTS[self.kind], "device": name, "meta": ""}
                self.builder.add_dev({**place, **where, "replication_ip": address, "replication_port": PORTS[self.kind]})

    def save(self):
        """The builder under its name, complete; what it was before stays beside it."""
        if self.builder_path.exists():
            write_file(f"{self.builder_path}.before", self.builder_path.read_bytes(), mode="0600")
        new = self.builder_path.with_suffix(".new")
        self.builder.save(str(new))
        new.chmod(0o600)
        new.replace(self.builder_path)

    def write(self):
        """The ring under its name, complete, readable by the servers."""
        new = self.path.with_name(f".{self.path.name}")
        self.builder.get_ring().save(str(new))
        write_file(str(self.path), new.read_bytes(), group=self.group)
        os.unlink(new)


def _library():
    try:
        import swift.common.ring  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True


def _name(device):
    return f"{device['ip']}/{device['device']}"


def _shown(device):
    return f"region {device['region']}, zone {device['zone']}, weight {device['weight']:g}"


def main():
    ObjectRing.main()


if __name__ == "__main__":
    main()
