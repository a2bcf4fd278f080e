"""Rotates the keys that services encrypt with, in the cloud's secrets on the controller; see the module's documentation."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from cloudos import pki
from cloudos.runs.plans import Plans
from cloudos.secrets import SecretsError, Store


class ActionModule(ActionBase):
    """Needs no connection."""

    _requires_connection = False
    _VALID_ARGS = frozenset(("state", "names"))

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        # Ansible tags its strings with where they came from; file names are plain ones.
        cloud, state = str(task_vars["cloudos_cloud"]), str(self._task.args.get("state", "listed"))
        store = Store(cloud)
        changes = {"listed": lambda names, check: [], "rotated": store.rotate, "retired": store.retire}
        if state not in changes:
            raise AnsibleActionFail(f"state is {state}, must be one of {', '.join(changes)}.")
        plan = _applied(cloud)
        names = _names(cloud, plan, [str(name) for name in self._task.args.get("names") or ()])
        try:
            changed = changes[state](names, self._task.check_mode)
            values = store.values(names)
        except SecretsError as error:
            raise AnsibleActionFail(str(error)) from None
        return {"changed": bool(changed), "rotated": changed, "rings": [_ring(name, values[name].split(), plan) for name in names]}


def _applied(cloud):
    """The plan that was last applied."""
    plan = Plans(cloud).last()
    if plan is None:
        raise AnsibleActionFail(f"Nothing was applied to cloud {cloud} yet, so no keys are in use. Run playbooks/site.yml first.")
    return plan


def _names(cloud, plan, wanted):
    """The secrets meant: those named, or all that are keys."""
    known = [spec["name"] for spec in plan["secrets"] if spec["kind"] == "fernet"]
    if strangers := sorted(set(wanted) - set(known)):
        raise AnsibleActionFail(f"{', '.join(strangers)}: no keys of cloud {cloud}; there are {', '.join(known) or 'none'}.")
    return [name for name in known if not wanted or name in wanted]


def _ring(name, keys, plan):
    """What may be told of a list of keys."""
    service = name.split("/")[1]
    nodes = [node for node, about in plan["nodes"].items() if service in about["files"]]
    return {"name": name, "service": service, "nodes": nodes, "keys": len(keys), "newest": pki.fingerprint(keys[0])}
