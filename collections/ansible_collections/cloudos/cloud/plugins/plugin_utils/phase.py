"""What the phases have in common: run a module with exactly the secrets that its arguments refer to.

An action plugin here runs in Ansible's worker process on the controller. It finds `${secret:name}` in the task's
arguments, takes the values from the cloud's store and adds them as `secrets`, which modules declare no_log. Task
arguments, results and records keep the references only.
"""

from __future__ import annotations

import datetime
import json
import re

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from cloudos.runs.plans import PlanMissing, Plans
from cloudos.runs.record import Mask
from cloudos.secrets import SecretsError, Store, pick

REFERENCE = re.compile(r"\$\{secret:([^}]+)\}")


class Secrets(dict):
    """Name -> value that does not show values when something prints it."""

    def __repr__(self):
        return f"<{len(self)} secrets>"

    __str__ = __repr__


class Phase(ActionBase):
    """Base of the batch modules' actions: `class ActionModule(Phase): pass` runs the module of the same name."""

    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result.update(self.module(self._task.resolved_action or self._task.action, self._task.args, task_vars))
        return result

    def module(self, name, args, task_vars):
        """Run module `name` on the host with `args` (mapping) and the secrets they refer to; returns its result."""
        arguments = dict(args)
        if names := references(arguments):
            self._refuse_copies(name)
            arguments["secrets"] = Secrets(self._values(names, task_vars))
        result = self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)
        # What a daemon wrote to its journal may hold secrets that the module, which shows it, was never given.
        return Mask(task_vars.get("cloudos_cloud")).within(result) if result.get("failed") else result

    def _values(self, names, task_vars):
        cloud = task_vars["cloudos_cloud"]
        store = Store(cloud)
        try:
            if not self._task.check_mode:
                return store.values(names)
            specs = needed(Plans(cloud, check=True).cloud()["secrets"], names)
            return pick(store.preview(specs, datetime.datetime.now(datetime.UTC))[1], names, store.path)
        except (SecretsError, PlanMissing) as error:
            raise AnsibleActionFail(str(error)) from error

    def _refuse_copies(self, name):
        """Without pipelining Ansible would put the module, secrets included, into a file on the node."""
        if constants.DEFAULT_KEEP_REMOTE_FILES or not self._is_pipelining_enabled("new"):
            raise AnsibleActionFail(
                f"{name} is given secrets, and without pipelining Ansible would write them to a file on the node. "
                "Set pipelining = True in [connection] of ansible.cfg and unset ANSIBLE_KEEP_REMOTE_FILES."
            )


def references(value):
    """Sorted names of the secrets that a JSON-like value refers to, at any depth."""
    return sorted(set(REFERENCE.findall(json.dumps(value))))


def needed(specs, names):
    """The specs of `names`: a key comes with its certificate, a certificate with its CA."""
    names = {name.removesuffix(".key") + ".crt" if name.endswith(".key") else name for name in names}
    if any(spec["kind"] == "certificate" and spec["name"] in names for spec in specs):
        names |= {spec["name"] for spec in specs if spec["kind"] == "ca"}
    return [spec for spec in specs if spec["name"] in names]
