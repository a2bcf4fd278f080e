"""Runs of workflows: what is remembered of each in the state, and how Ansible's events become that.

A run: {"id", "workflow", "inputs", "status": running | succeeded | failed, "began", "ended", "units": {unit: what came of it},
"passed": {filter: bool}, "done": [calls], "failures": [...], "outputs": {...}}. One that did not succeed can go on where it stopped.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import Any

from cloudos.eve.engine.progress import Follower
from cloudos.eve.engine.state import RUNS, State
from cloudos.eve.engine.tasks import DONE_TASK, fact_of
from cloudos.eve.graph import computed
from cloudos.eve.problems import Refused
from cloudos.eve.workflow.flow import CAUGHT, FAILED, OFF, OK, Flow
from cloudos.eve.workflow.project import REACH, WHAT_CAME
from cloudos.tosca.model import Template, plain

RUNNING, SUCCEEDED, BROKEN = "running", "succeeded", "failed"
KEPT = ("node", "operation", "cause", "next_step", "handled")  # of a failure
ADVICE = "Look at the output, mend the cause and resume the run: what was done stays done."


def begin(state: State, flow: Flow, identity: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a run: a new one, or that of the identity, which goes on."""
    found = next((one for one in state.runs if one["id"] == identity), None)
    if found is None:
        found = {"id": identity, "workflow": flow.name, "inputs": dict(inputs), "began": _now(), "units": {}, "passed": {}, "done": []}
        state.runs = [*state.runs, found][-RUNS:]
    # What was held up, or not chosen, is decided anew; so is what failed.
    found["units"] = {name: status for name, status in found["units"].items() if status in (OK, CAUGHT)}
    found["passed"] = {key: found["passed"][key] for key, (_, first) in flow.filters.items()
                       if key in found["passed"] and first in found["units"]}  # fmt: skip
    found.update(status=RUNNING, ended=None, failures=[], outputs={})
    return found


def resumable(state: State, name: str) -> dict[str, Any]:
    """The last run of a workflow, if it did not succeed. Raises Refused."""
    last = next((one for one in reversed(state.runs) if one["workflow"] == name), None)
    if last is None or last["status"] == SUCCEEDED:
        what = "has not been run" if last is None else f"succeeded at {last['ended']}"
        raise Refused(f"workflow {name} of topology {state.topology} {what}; there is nothing to resume. Run it without --resume.")
    return last


class FlowFollower(Follower):
    """Takes the events of one run of a workflow into its record and the state. Handled failures are not among `failures`."""

    def __init__(self, flow: Flow, record: dict[str, Any], *rest: Any):
        super().__init__(*rest)
        self.flow, self.record = flow, record
        self.handled: list[dict] = []
        self._told: set[str] = set()

    def event(self, event: Mapping[str, Any]) -> None:
        """One event of ansible-runner."""
        super().event(event)
        data = event.get("event_data") or {}
        facts = (data.get("res") or {}).get("ansible_facts") or {}
        if event.get("event") != "runner_on_ok" or data.get("host") != "localhost":
            return
        if "eve_pass" in facts:
            self.record["passed"] = dict(facts["eve_pass"])
        if data.get("task") == WHAT_CAME and "eve_flow" in facts:
            self.record["units"] = dict(facts["eve_flow"])
            self._left_out()
        if self.save and {"eve_pass", "eve_flow"} & facts.keys():
            self.save()

    def end(self, code: int | None, output: str) -> None:
        """The run is over."""
        super().end(code, output)
        caught = {call for call, unit in self.flow.unit_of.items() if self.record["units"].get(unit.name) == CAUGHT}
        self.handled = [{**one, "handled": True} for one in self.failures if one["operation"] in caught]
        self.failures = [{**one, "next_step": ADVICE} for one in self.failures if one["operation"] not in caught]
        if code != 0 and not self.failures:
            cause = f"ansible-playbook ended with {code}"
            self.failures = [{"node": None, "operation": None, "cause": cause, "log": [], "next_step": ADVICE}]
        known = self.flow.known(self.state)
        kept = [{key: one[key] for key in KEPT if key in one} for one in (*self.handled, *self.failures)]
        self.record.update(status=BROKEN if self.failures else SUCCEEDED, ended=_now(), failures=kept,
                           outputs={name: computed(value, known) for name, value in self.flow.outputs.items()})  # fmt: skip

    def _left_out(self) -> None:
        """Calls of units that were not chosen, or whose filter let nobody pass, are behind us, too."""
        for call, step in self.plan.steps.items():
            unit = self.flow.unit_of[call]
            status, key = self.record["units"].get(unit.name), unit.guards.get(call)
            off = status == OFF or (status is not None and key and not self.record["passed"].get(key, True))
            if off and call not in self._told:
                self._told.add(call)
                self._tell(call, step.resource.node, "left out")

    def _failed(self, data: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        if self._play != REACH:  # that a server is away is a failure of what is to be done there, if anything is
            super()._failed(data, result)

    def _done(self, data: Mapping[str, Any]) -> str | None:
        name = str(data.get("task", "")).removesuffix(DONE_TASK)
        # A task that its conditions skip ends, too, but in another event.
        return name if name != data.get("task") and name in self.plan.steps else None

    def _operation(self, name: str, result: Mapping[str, Any]) -> None:
        """Note what a call has done."""
        if name in self.record["done"]:
            return
        call = self.plan.steps[name].resource.arguments
        outputs = self._masked((result.get("ansible_facts") or {}).get(fact_of(name)) or {})
        self.record["done"].append(name)
        self.flow.states.update(call.get("state", {}))
        self.state.states.update(call.get("state", {}))
        if (entry := call.get("entry")) and entry in self.flow.graph.resources:
            self.state.have(self.flow.graph.resources[entry], outputs, round(time.monotonic() - self._began, 1))
        elif keeps := call.get("keeps"):
            self.state.tell(keeps, outputs)
        for gone in call.get("forgets", ()):
            self.state.entries.pop(gone, None)
        self._told.add(name)
        self._tell(name, self.plan.steps[name].resource.node, "run")
        if self.save:
            self.save()


def described(template: Template, state: State) -> dict[str, Any]:
    """The workflows of a template with their inputs, and the runs of a topology, the last ones first."""
    found = [{"name": name, "steps": list(one.steps), "inputs": {
        key: {"type": part.schema.type.name if part.schema else None, "required": part.required and key not in one.defaults,
              "default": plain(one.defaults.get(key))} for key, part in one.inputs.items()}}
        for name, one in template.workflows.items()]  # fmt: skip
    return {"workflows": found, "runs": [shown(one) for one in reversed(state.runs)]}


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run as it is shown: without what only a resume needs."""
    failed = sorted(name for name, status in record["units"].items() if status == FAILED)
    return {**{key: value for key, value in record.items() if key not in ("units", "passed", "done")}, "done": len(record["done"]),
            "failed": failed}  # fmt: skip


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
