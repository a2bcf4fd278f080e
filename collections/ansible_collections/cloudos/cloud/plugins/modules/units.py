#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All systemd units of a node in one call: enabled, active, and no older than what they were started from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: units
short_description: Converge the systemd units of a node
description:
  - Enables and starts units, and restarts those that are older than one of their inputs. What a unit needs is read off
    the node (times of the inputs, start of the unit); a call after a killed one or a reboot does what is left to do.
  - Units are queued in the order given; that a unit waits for another one is said in its unit file (C(After=)).
  - A socket is compared with its own unit file only, so that it goes on listening while its service is replaced. A
    socket that must be renewed takes its service along.
  - A unit that does not come up fails with its last lines of the journal.
options:
  units:
    description:
      - Ordered list of units. C(name) with suffix; C(service) it belongs to; C(inputs), paths that it is made from.
      - An input that is a directory has changed when an entry of it was added, replaced or removed.
      - C(reload) reloads instead of restarting when inputs other than unit files or the bundle changed; for daemons
        that start a new process upon a reload, as HAProxy does, and for no others.
      - C(oneshot), C(stage) and C(after) of the plan are accepted; systemd knows them from the unit files.
    type: list
    elements: dict
    default: []
  absent:
    description: Units that must be neither active nor enabled.
    type: list
    elements: str
    default: []
  changed_paths:
    description:
      - Paths that M(cloudos.cloud.files) changes. They count as changed inputs in check mode; otherwise times tell.
    type: list
    elements: str
    default: []
  bundle_changed:
    description: Whether the bundle was replaced; the same as listing its link in O(changed_paths).
    type: bool
    default: false
  wait:
    description:
      - Wait until all units are active. Otherwise a unit that is starting is good enough, and only one that fails at
        once is told.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for all units together.
    type: int
    default: 90
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS
"""

EXAMPLES = r"""
- name: Run the units of Placement
  cloudos.cloud.units:
    units:
      - {name: placement-api.socket, service: placement, inputs: [/etc/systemd/system/placement-api.socket]}
      - name: placement-api.service
        service: placement
        inputs: [/etc/systemd/system/placement-api.service, /etc/placement/placement.conf, /opt/cloudos/current]
"""

RETURN = r"""
units:
  description:
    - Units with a change, each with C(service), C(action) and C(reason). C(action) is start, join (it was starting
      already), restart, reload, enable or disable; C(reason) the input that is newer than the unit.
  type: dict
  returned: success
"""

import os
import time
from functools import cached_property

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import BUNDLE, Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import journal, run
from ansible_collections.cloudos.cloud.plugins.module_utils.systemd import UNIT_FILES, changed_at, hide_passwords, show

ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated", "linked", "transient")
GOOD = {"active": "active", "enabled": "enabled", "older_than": None}
CRASHES = 5   # starts in a row that fail before waiting is given up


class Units(Operation):
    lock = "units"
    spec = {
        "units": {"type": "list", "elements": "dict", "default": []},
        "absent": {"type": "list", "elements": "str", "default": []},
        "changed_paths": {"type": "list", "elements": "str", "default": []},
        "bundle_changed": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 90},
    }

    @cached_property
    def units(self):
        return {unit["name"]: unit for unit in self.params["units"]}

    def wanted(self):
        return {name: dict(GOOD) for name in self.units}

    def found(self):
        changed = self.foreseen(self.params["changed_paths"])
        announced = {*changed, *map(os.path.dirname, changed)}   # replacing an entry changes its directory
        if self.foreseen(self.params["bundle_changed"]):
            announced.add(BUNDLE)
        state, shown = {}, show([*self.units, *self.params["absent"]])
        for name, unit in self.units.items():
            now = shown[name]
            state[name] = {"active": self._activity(now), "enabled": _enabled(now),
                           "older_than": self._older_than(name, unit, now, announced) if now.running else None}
            socket = f"{name.removesuffix('.service')}.socket"
            if now.running and (state.get(socket, GOOD)["older_than"] or state.get(socket, GOOD)["active"] != "active"):
                state[name]["older_than"] = socket
        for name in self.params["absent"]:
            if shown[name].running or shown[name].file_state == "enabled":
                state[name] = {"active": shown[name].active, "enabled": _enabled(shown[name]), "older_than": None}
        return state

    def _activity(self, now):
        return "active" if now.starting and not self.params["wait"] else now.active

    def _older_than(self, name, unit, now, announced):
        """An input that changed after the unit started, rather one that needs a restart; None if there is none."""
        inputs = unit.get("inputs") or []
        if name.endswith(".socket"):
            inputs = [path for path in inputs if path.endswith(f"/{name}")]
        for path in sorted(inputs, key=_needs_restart, reverse=True):
            since = now.reloaded if unit.get("reload") and not _needs_restart(path) else now.started
            if path in announced or changed_at(path) > since > 0:
                return path
        return None

    def converge(self, step):
        actions = {name: self._action(step, name) for name in step.changes}
        gone = sorted((name for name, action in actions.items() if action == "disable"),
                      key=lambda name: not name.endswith(".socket"))   # a socket would start its service again
        self._systemctl("disable", "--now", names=gone)
        self._systemctl("enable", names=[name for name in step.changes
                                         if name in step.after and step.before[name]["enabled"] != "enabled"])
        self._systemctl("reset-failed", names=[name for name in step.changes
                                               if name in step.after and step.before[name]["active"] == "failed"])
        # systemd refuses to start a socket whose service runs.
        self._systemctl("stop", names=[name for name in step.after if name.endswith(".service")
                                       and (step.before[name]["older_than"] or "").endswith(".socket")])
        self._systemctl("restart", "--no-block",
                        names=[name for name, action in actions.items() if action in ("start", "restart")])
        for name, action in actions.items():
            if action == "reload":
                self._systemctl("reload", names=[name])
        self._settle([name for name, action in actions.items() if action in ("start", "restart", "reload", "join")])

    def _action(self, step, name):
        before = step.before.get(name)
        if name not in step.after:
            return "disable"
        if before["older_than"]:
            gentle = self.units[name].get("reload") and before["active"] == "active"
            return "reload" if gentle and not _needs_restart(before["older_than"]) else "restart"
        if before["active"] == "active":
            return "enable"
        return "join" if before["active"] == "starting" else "start"

    def _systemctl(self, *verb, names):
        if names:
            try:
                run(["systemctl", *verb, *names], timeout=self.params["timeout"])
            except Failure as failure:
                told = failure.facts["log"]
                unit = next((name for name in names if any(name in line for line in told)), names[0])
                raise Failure(failure.facts["cause"], service=self._service(unit), unit=unit,
                              log=self._hidden([*told, *journal(unit)]),
                              next_step=f"systemctl status {unit}") from failure

    def _settle(self, names):
        """Wait for the units (or, without wait, look once) and tell the first one that is not as it must be."""
        deadline, waiting = time.monotonic() + self.params["timeout"], names
        while names:
            shown = show(names)
            if lost := {name: reason for name in names if (reason := _lost(shown[name]))}:
                self._fail(lost)
            settled = not waiting
            waiting = [name for name in names if shown[name].job or shown[name].active != "active"]
            if not self.params["wait"] or (settled and not waiting):
                return   # active at two looks: a daemon that ends at once is active for a moment
            if time.monotonic() > deadline:
                self._fail({name: f"is not active after {self.params['timeout']} s ({shown[name].detail})"
                            for name in waiting or names})
            time.sleep(0.1 if waiting else 0.3)

    def _fail(self, lost):
        """Tell the first of the units, given as {name: reason}; the others by name."""
        (name, reason), *others = sorted(lost.items(), key=lambda item: item[0].endswith(".socket"))   # never the cause
        more = f"; the same goes for {', '.join(other for other, _reason in others)}" if others else ""
        raise Failure(f"{reason}{more}", service=self._service(name), unit=name, log=self._hidden(journal(name)),
                      next_step=f"mend what its journal tells (journalctl -u {name}), then run again")

    def _hidden(self, lines):
        return hide_passwords(self.mask("\n".join(lines))).splitlines()

    def rendered(self, state):
        return {name: f"{unit['active']}, {unit['enabled']}"
                      + (f", older than {unit['older_than']}" if unit["older_than"] else "") + "\n"
                for name, unit in state.items()}

    def result(self, step):
        return {"units": {name: {"service": self._service(name), "action": self._action(step, name),
                                 "reason": step.before[name]["older_than"]} for name in step.changes}}

    def _service(self, name):
        return self.units.get(name, {}).get("service")


def _enabled(now):
    return "enabled" if now.file_state in ENABLED else now.file_state or "disabled"


def _needs_restart(path):
    return path.startswith((f"{UNIT_FILES}/", BUNDLE)) or path.endswith(".socket")


def _lost(now):
    """Why waiting for the unit is pointless; None while there is hope."""
    if now.job:
        return None
    if now.active in ("failed", "inactive"):
        return f"did not start ({now.detail})"
    hopeless = now.active == "crashing" and now.restarts >= CRASHES
    return f"crashed {now.restarts} times ({now.detail})" if hopeless else None


main = Units.main

if __name__ == "__main__":
    main()
