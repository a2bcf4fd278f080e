"""Runs the plan's operations of one moment on a host, one after another, as one task."""

from __future__ import annotations

from ansible_collections.cloudos.cloud.plugins.plugin_utils.phase import Phase


class ActionModule(Phase):
    """Runs each module of `operations`; the first failure ends the list."""

    def run(self, tmp=None, task_vars=None):
        outcome = {"changed": False, "results": {}, "diff": []}
        for operation in self._task.args.get("operations") or []:
            result = self._one(operation, task_vars)
            add(outcome, operation, result)
            if result.get("failed"):
                break
        return {key: value for key, value in outcome.items() if value or key != "diff"}

    def _one(self, operation, task_vars):
        """Through the module's own action plugin where it has one."""
        name, args = operation["module"], operation.get("args") or {}
        task = self._task.copy()
        task.args = dict(args)
        action = self._shared_loader_obj.action_loader.get(
            name, task=task, connection=self._connection, play_context=self._play_context, loader=self._loader,
            templar=self._templar, shared_loader_obj=None, collection_list=self._task.collections,
        )  # fmt: skip
        if action is None:
            return self.module(name, args, task_vars)
        task.action = name
        task.resolved_action = name
        return action.run(task_vars=task_vars)


def add(outcome, operation, result):
    """Add one operation's module result to the task's: results per service, differences, the failure."""
    service = operation.get("service") or "node"
    elsewhere = ("diff", "invocation", "warnings", "deprecations")
    kept = {key: value for key, value in result.items() if key not in elsewhere}
    outcome["results"].setdefault(service, []).append({"module": operation["module"], **kept})
    outcome["changed"] = outcome["changed"] or bool(result.get("changed"))
    diff = result.get("diff") or []
    outcome["diff"] += diff if isinstance(diff, list) else [diff]
    for key in ("warnings", "deprecations"):
        if result.get(key):
            outcome.setdefault(key, []).extend(result[key])
    if result.get("failed"):
        outcome["failed"] = True
        outcome["msg"] = f"{service}: {operation['module']} failed: {result.get('msg', 'no reason was given')}"
        outcome["failure"] = {**(result.get("failure") or {"cause": result.get("msg")}), "service": service}
