"""Compiles the plan of a cloud on the controller; see the module's documentation for the states.

Every host of the play runs the task, each in a process of its own. The first one does the work and the others find its
result on disk (`cloudos.runs.once`), so that 200 hosts cost one compilation, and one report of mistakes.
"""

from __future__ import annotations

import datetime

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from cloudos.model.difference import diff
from cloudos.model.plan import Plan
from cloudos.model.problems import Problems
from cloudos.runs import compiling
from cloudos.runs.once import FailedBefore, once
from cloudos.runs.plans import PlanMissing, Plans
from cloudos.secrets import SecretsError, Store


class ActionModule(ActionBase):
    """Each state is a method; none of them needs a connection to the host."""

    _requires_connection = False
    _VALID_ARGS = frozenset(("state",))

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        self._vars = task_vars
        self._cloud = task_vars["cloudos_cloud"]
        self._host = task_vars["inventory_hostname"]
        self._plans = Plans(self._cloud, check=self._task.check_mode)
        states = {"checked": self._check, "compiled": self._compile, "applied": self._apply}
        state = self._task.args.get("state", "compiled")
        if state not in states:
            raise AnsibleActionFail(f"state is {state}, must be one of {', '.join(states)}.")
        try:
            first, result = once(self._plans.once, self._task._uuid, self._host, states[state])
            if state == "compiled":
                part = self._plans.part(self._host, result["plan_digest"])
                result["ansible_facts"] = {
                    "plan": part,
                    "plan_identity": part["identity"],
                    "plan_login": _login(part["identity"]),
                    "plan_digest": part["digest"],
                }
        except (Problems, SecretsError, PlanMissing, FailedBefore) as error:
            raise AnsibleActionFail(str(error)) from None
        reported = result if first else {**result, "changed": False, "diff": []}
        return {"changed": False, "_ansible_verbose_override": True, **reported}

    def _check(self):
        compiling.compiled(self._vars["cloudos_inventory"])
        return {}

    def _compile(self):
        facts = compiling.all_facts(self._cloud, self._gathered(), keep=not self._task.check_mode)
        plan = compiling.compiled(self._vars["cloudos_inventory"], facts)
        made = self._secrets(plan["secrets"])
        last = self._plans.last()
        changes = diff(Plan(last), Plan(plan)) if last else ""
        return {
            "changed": last is None or bool(changes or made),
            "plan_digest": self._plans.save(plan),
            "secrets_made": made,
            "diff": [{"prepared": changes}] if self._task.diff and changes else [],
        }

    def _secrets(self, specs):
        now = datetime.datetime.now(datetime.UTC)
        store = Store(self._cloud)
        return store.preview(specs, now)[0] if self._task.check_mode else store.ensure(specs, now)

    def _apply(self):
        return {"plan_digest": self._plans.digest() if self._task.check_mode else self._plans.apply()}

    def _gathered(self):
        """Node -> facts, of the hosts that node_facts has run on in this run."""
        hosts = self._vars["hostvars"]
        names = self._vars["groups"]["nodes"]
        found = {name: hosts[name].get("ansible_facts", {}).get("cloudos_facts") for name in names}
        return {name: facts for name, facts in found.items() if facts}


def _login(identity):
    """How modules that ask the cloud log in as its administrator; the password is a reference."""
    admin = identity["admin"]
    return {
        "auth_url": identity["auth_url"],
        "username": admin["user"],
        "password": admin["password"],
        "project": admin["project"],
        "region": identity["region"],
        "cafile": identity["cafile"],
    }
