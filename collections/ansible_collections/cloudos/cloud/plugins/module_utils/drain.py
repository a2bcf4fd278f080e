"""What can be taken out of use: enabled, disabled, or disabled and empty, as a compute host or a back end of Cinder."""

from __future__ import annotations

import time

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation

DRAIN = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["active", "disabled", "drained"], "default": "active"},
    "reason": {"type": "str", "default": "maintenance"},
}


class Drain(Operation):
    """Subclasses set `service` and `holds`, what there is to be gone, such as "servers", and say the methods below."""

    service = None
    holds = ""

    def status(self):
        """(enabled or disabled, the reason given with it)."""
        raise NotImplementedError

    def held(self):
        """List of what is there."""
        raise NotImplementedError

    def enable(self):
        """Let new ones come."""
        raise NotImplementedError

    def disable(self, reason):
        """Let no new ones come."""
        raise NotImplementedError

    def move(self, held):
        """One step towards emptiness; asked again each second until nothing is held. Raises Failure."""
        raise NotImplementedError

    def shown(self, one):
        """What a failure calls one of those held."""
        raise NotImplementedError

    def found(self):
        status, reason = self.status()
        self.left = len(self.held())
        state = {"status": status, "reason": reason if status == "disabled" else None}
        return {**state, self.holds: self.left} if self.draining else state

    def wanted(self):
        if self.params["state"] == "active":
            return {"status": "enabled", "reason": None}
        state = {"status": "disabled", "reason": self.params["reason"]}
        return {**state, self.holds: 0} if self.draining else state

    @property
    def draining(self):
        return self.params["state"] == "drained"

    def converge(self, step):
        if self.params["state"] == "active":
            self.enable()
        elif "status" in step.changes or "reason" in step.changes:
            self.disable(self.params["reason"])
        if self.holds in step.changes:
            self.empty()

    def empty(self):
        deadline = time.monotonic() + self.params["timeout"]
        while held := self.held():
            if time.monotonic() > deadline:
                names = ", ".join(map(self.shown, held))
                raise Failure(
                    f"after {self.params['timeout']} s, still on {self.params['name']}: {names}",
                    service=self.service,
                    next_step=f"look at these {self.holds}; running again goes on with them",
                )
            self.move(held)
            time.sleep(1)
        self.left = 0

    def result(self, step):
        return {self.holds: self.left}
