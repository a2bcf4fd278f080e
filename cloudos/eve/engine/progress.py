"""Follows a run by its events: notes in the state what was made, tells progress, and collects failures with their causes."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from cloudos.eve.engine.calls import GATE
from cloudos.eve.engine.plan import REPLACE, UNDO, Plan
from cloudos.eve.engine.state import State
from cloudos.eve.engine.tasks import DONE_TASK, fact_of

DONE, FAILED = ("runner_on_ok",), ("runner_on_failed", "runner_on_unreachable")
SHOWN = 40  # lines of output that a failure tells
STAGE = "Stage "  # begins the names of plays about resources
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TELLING = 8  # characters from which on a line of a secret is one itself
ADVICE = "Look at the output, mend the cause and run the same again: what was done stays done."


class Follower:
    """Takes the events of one run. `save` is called whenever the state has changed; None: nothing is noted (check mode).

    `plays`: play -> server -> operation, as the project says.
    """

    def __init__(self, plan: Plan, state: State, secrets: Mapping[str, str], tell: Callable[[dict], None],
                 save: Callable[[], None] | None, plays: Mapping[str, Mapping[str, str]]):  # fmt: skip
        self.plan, self.state, self.tell, self.save, self.plays = plan, state, tell, save, plays
        masks = ((form, f"${{secret:{name}}}") for name, value in secrets.items() if value for form in _forms(value))
        self.masks = sorted(masks, key=lambda pair: -len(pair[0]))
        self.failures: list[dict] = []
        self.seen: set[str] = set()
        self.output = ""
        self.total = sum(len(stage.names) for stage in plan.stages)
        self.done = 0
        self._down = {name for stage in plan.stages if stage.down for name in stage.names}
        self._play, self._began = "", time.monotonic()

    def event(self, event: Mapping[str, Any]) -> None:
        """One event of ansible-runner."""
        data = event.get("event_data") or {}
        kind = event.get("event")
        if kind == "playbook_on_play_start":
            self._play, self._began = data.get("name", ""), time.monotonic()
        elif kind in (*DONE, *FAILED):
            result = data.get("res") or {}
            told = result.get("resources", (result.get("failure") or {}).get("resources"))
            if told is not None:
                self._resources({**(self._gone(told) if kind in DONE else {}), **told})
            if kind in FAILED and not data.get("ignore_errors"):
                self._failed(data, result)
            elif name := self._done(data):
                self._operation(name, result)

    def end(self, code: int | None, output: str) -> None:
        """The run is over; one that failed without an event that says why tells its last lines."""
        self.output = self._masked(COLOUR.sub("", output))
        if code != 0 and not self.failures:
            lines = [line for line in self.output.splitlines() if line.strip()][-SHOWN:]
            (operation,) = names if len(names := {*self.plays.get(self._play, {}).values()}) == 1 else (None,)
            node = self.plan.steps[operation].resource.node if operation else None
            self.failures.append({"node": node, "operation": operation, "cause": f"ansible-playbook ended with {code}", "log": lines,
                                  "next_step": ADVICE})  # fmt: skip

    # What was made

    def _gone(self, told: Mapping[str, Any]) -> dict[str, dict]:
        """What a stage that removes did not even find: an earlier run, killed before it could note it, has removed it."""
        number = self._play.removeprefix(STAGE)
        if self.save is None or number == self._play or not number.isdigit():
            return {}
        stage = self.plan.stages[int(number) - 1]
        return {name: {"action": "deleted"} for name in stage.names if name not in told} if stage.down else {}

    def _resources(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        for name, one in told.items():
            self.seen.add(name)
            step = self.plan.steps.get(name)
            if step is None or self.save is None:
                continue
            action = one.get("action")
            attributes = {key: value for key, value in one.items() if key not in ("action", "seconds", "kind")}
            if action == "deleted" and step.action == REPLACE:
                self.state.begin(step.resource)  # the next stage makes it; a kill in between must not lose it
            elif action == "deleted":
                self.state.forget(name)
            elif action != "found":
                self.state.have(step.resource, self._masked(attributes), one.get("seconds", 0))
            if action != "found":
                self._tell(name, step.resource.node, action or "")
        if self.save:
            self.save()

    def _done(self, data: Mapping[str, Any]) -> str | None:
        """The operation whose last task an event is about."""
        name = str(data.get("task", "")).removesuffix(DONE_TASK)
        return name if name != data.get("task") and name in self.plays.get(self._play, {}).values() else None

    def _operation(self, name: str, result: Mapping[str, Any]) -> None:
        step = self.plan.steps[name]
        outputs = (result.get("ansible_facts") or {}).get(fact_of(name)) or {}
        undone = step.action == UNDO or name in self._down
        if undone:
            self.state.forget(name)
        else:
            self.state.have(step.resource, self._masked(outputs), round(time.monotonic() - self._began, 1))
        self._tell(name, step.resource.node, UNDO if undone else "run")
        if self.save:
            self.save()

    def _tell(self, name: str, node: str, action: str) -> None:
        self.done += 1
        about = {"kind": "progress", "name": name, "node": node, "action": action}
        self.tell({**about, "done": min(self.done, self.total), "total": self.total})

    # What went wrong

    def _failed(self, data: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        failure = result.get("failure") or {}
        if data.get("task") == GATE and self.failures:
            return None  # it ends the run because of what was told already
        operation = self.plays.get(self._play, {}).get(str(data.get("host")))
        node = self.plan.steps[operation].resource.node if operation else failure.get("node")
        if operation and operation in self._down:
            return self._undo_failed(operation, data, result)
        for line in self._each(failure):
            self._add(node, operation, line, data, failure, result)
        if not failure.get("failed"):
            self._add(node, operation, failure.get("cause") or _cause(result), data, failure, result)
        return None

    @staticmethod
    def _each(failure: Mapping[str, Any]) -> list[str]:
        """The words about every resource that failed."""
        return list((failure.get("failed") or {}).values())

    def _undo_failed(self, operation: str, data: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """What cannot be stopped on a server that goes away anyhow must not keep it; elsewhere it is a failure."""
        hosts = self.plan.steps[operation].resource.arguments.get("hosts", {})
        if hosts and all(host in self._down for host in hosts):
            self.state.forget(operation)
            self._tell(operation, self.plan.steps[operation].resource.node, "skipped")
            return
        undo = self.plan.steps[operation].resource.arguments["undo"]["operation"]
        self._add(self.plan.steps[operation].resource.node, operation, f"{undo}: {_cause(result)}", data, {}, result)

    def _add(self, node: str | None, operation: str | None, cause: str, data: Mapping[str, Any], failure: Mapping, result: Mapping) -> None:
        said = self._masked(str(result.get("stderr") or result.get("module_stderr") or ""))  # before it is lines: a secret may be several
        log = [*(failure.get("log") or []), *said.splitlines()[-SHOWN:]]
        told = {"node": node, "operation": operation, "task": data.get("task"), "host": data.get("host"), "cause": cause,
                "log": log, "next_step": failure.get("next_step") or ADVICE}  # fmt: skip
        self.failures.append(self._masked(told))

    def _masked(self, value: Any) -> Any:
        """The value with every secret as its reference, at any depth."""
        if isinstance(value, str):
            for secret, name in self.masks:
                value = value.replace(secret, name)
            return value
        if isinstance(value, dict):
            return {key: self._masked(item) for key, item in value.items()}
        return [self._masked(item) for item in value] if isinstance(value, list) else value


def _forms(secret: str) -> set[str]:
    """A secret as it may be told: all of it or a line of it, as it is or inside JSON, and as outputs of scripts are told."""
    lines = secret.splitlines() if "\n" in secret else []
    parts = {secret, *(line.strip() for line in lines if len(line.strip()) >= TELLING)}
    in_json = {json.dumps(part, ensure_ascii=ascii_only)[1:-1] for part in parts for ascii_only in (True, False)}
    return {*parts, *in_json, base64.b64encode(secret.encode()).decode()}


def _cause(result: Mapping[str, Any]) -> str:
    """Why a task failed; of one in a loop, why its first item did."""
    failed = next((one for one in result.get("results") or () if isinstance(one, Mapping) and one.get("failed")), result)
    return str(failed.get("msg") or failed.get("reason") or result.get("msg") or "no reason was given")
