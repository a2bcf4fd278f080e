"""Operations on a service as the cloud's administrator, with the standard library only: `self.keystone` talks to it."""

from __future__ import annotations

import time

from ansible_collections.cloudos.cloud.plugins.module_utils.keystone import (
    STARTING,
    Denied,
    Keystone,
    Refused,
    Unreachable,
)
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation

ADMINISTRATOR = {
    "auth_url": {"type": "str", "required": True},
    "cafile": {"type": "path"},
    "region": {"type": "str"},
    "admin": {"type": "dict", "required": True},
    "timeout": {"type": "int", "default": 60},
}


class AdministratorOperation(Operation):
    """Subclasses say look() instead of found(), and may name the API they need.

    In check mode a cloud that does not have the service yet is found empty, as what would make it has not run.
    """

    service = unit = None  # who is named in a failure
    service_type = None  # of the catalog, beside identity

    def __init__(self, module):
        super().__init__(module)
        self.keystone = Keystone(self.params["auth_url"], self.params["cafile"], self.params["region"])

    def look(self):
        """The state as found() gives it; the administrator is logged in."""
        raise NotImplementedError

    def found(self):
        admin = {"user": "admin", "project": "admin", "domain": "Default", **self.params["admin"]}
        login = admin["user"], self.reveal(admin["password"]), admin["project"], admin["domain"]
        try:
            self.keystone.login_when_up(self.params["timeout"], *login, patient=not self.rehearsal)
        except Denied as denied:
            if self.rehearsal:
                return {}
            raise self.told(f"{denied} cannot log in at {self.keystone.auth_url}") from denied
        except Unreachable as problem:
            if self.rehearsal and problem.absent:
                return {}
            raise self.told(f"no answer within {self.params['timeout']} s: {problem}") from problem
        if self.rehearsal and self.service_type and not self.catalogued():
            return {}
        return self.when_up(self.look)

    def catalogued(self):
        return any(entry["type"] == self.service_type for entry in self.keystone.catalog)

    def when_up(self, ask):
        """What `ask` returns, once the service behind the front end answers."""
        deadline = time.monotonic() + self.params["timeout"]
        while True:
            try:
                return ask()
            except (Refused, Unreachable) as problem:
                starting = isinstance(problem, Unreachable) or problem.code in STARTING
                if starting and self.rehearsal:
                    return {}
                if not starting or time.monotonic() > deadline:
                    raise self.told(str(problem)) from problem
            time.sleep(0.5)

    def told(self, cause):
        """A Failure that names the service and the next step."""
        return Failure(
            self.mask(cause),
            service=self.service,
            unit=self.unit,
            next_step=f"read journalctl -u {self.unit} on the control node; what was written stays, so run again",
        )

    def write(self, method, path, body=None):
        """The answer to a write; refusals are told."""
        try:
            return self.keystone.call(method, path, body, **({"service": self.service_type} if self.service_type else {}))
        except (Refused, Unreachable) as problem:
            raise self.told(str(problem)) from problem
