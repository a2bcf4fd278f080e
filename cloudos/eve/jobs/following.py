"""A run of Ansible as a job of Eden: its tasks, one for each node and what is done to it, its end on a cancel, its environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudos.eden.jobs import states
from cloudos.eden.jobs.run import Run
from cloudos.eve.engine.calls import plays_of
from cloudos.eve.engine.plan import OPERATION_SECONDS, Plan, Stage
from cloudos.eve.engine.progress import STAGE
from cloudos.eve.graph import OPERATION
from cloudos.runs import leftovers, start

MARK = "EVE_TOPOLOGY"  # in the environment of all that a run starts


class Tasks:
    """The tasks of a job after its plan. `told` takes Eve's progress, `began` the name of each play that begins."""

    def __init__(self, run: Run):
        self._run = run
        self._plan: Plan | None = None
        self._of: dict[tuple[str, bool], str] = {}
        self._left: dict[str, set[tuple[str, bool]]] = {}
        self._size: dict[str, int] = {}
        self._node: dict[str, str] = {}
        self.plays: dict[str, dict[str, str]] = {}  # play -> server -> operation, of the project that runs

    def plan(self, plan: Plan) -> None:
        """Write the tasks of a plan down, with their shares."""
        self._plan, self._of, self._left, self._node = plan, {}, {}, {}
        weights: dict[str, float] = {}
        for stage in plan.stages:
            for name in stage.names:
                task = self._named(plan, stage, name)
                self._of[name, stage.down] = task
                self._left.setdefault(task, set()).add((name, stage.down))
                self._node[task] = plan.steps[name].resource.node
                weights[task] = weights.get(task, 0) + (OPERATION_SECONDS if not stage.pool else 1)
        self._size = {task: len(left) for task, left in self._left.items()}
        self._run.plan(weights.items())

    @staticmethod
    def _named(plan: Plan, stage: Stage, name: str) -> str:
        step = plan.steps[name]
        if step.resource.kind == OPERATION:
            return f"{name} (undo)" if stage.down else name
        return f"{step.resource.node or name}: {'delete' if stage.down else 'create' if step.action == 'replace' else step.action}"[:255]

    def began(self, play: str) -> None:
        """A play begins: its tasks have started."""
        if self._plan is None:
            return
        if play.startswith(STAGE) and play.removeprefix(STAGE).isdigit():
            stage = self._plan.stages[int(play.removeprefix(STAGE)) - 1]
            tasks = {self._of[name, stage.down] for name in stage.names}
        else:
            names = {*self.plays.get(play, {}).values()}
            tasks = {task for key, task in self._of.items() if key[0] in names and self._left[task]}
        for task in sorted(tasks):
            if self._left[task]:
                self._run.note(task, states.STARTED, self._percent(task))

    def told(self, event: Mapping[str, Any]) -> None:
        """Something is done."""
        down = event["action"] == "deleted"
        key = next((key for key in ((event["name"], down), (event["name"], not down)) if key in self._of), None)
        if key is None:
            return
        task = self._of[key]
        self._left[task].discard(key)
        done = not self._left[task]
        status = f"{event['name']} {event['action']}, {event['done']} of {event['total']}"
        self._run.note(task, states.SUCCEEDED if done else states.STARTED, self._percent(task), status)

    def failed(self, failures: list[dict]) -> None:
        """Tell every failure as an event, and at the tasks that it is about."""
        for failure in failures:
            self._run.event("failure", **failure)
            about = [failure["operation"]] if failure.get("operation") in self._left else [
                task for task, node in self._node.items() if node == failure["node"] and self._left[task]]  # fmt: skip
            for task in about:
                self._run.note(task, states.FAILED, self._percent(task), failure["cause"])

    def _percent(self, task: str) -> float:
        return 100 * (1 - len(self._left[task]) / self._size[task])


class Followed:
    """Starts Ansible for a job as cloudos.runs does, marked, with the job's clouds.yaml; ends it when the job must end.

    `before` is called before the start of each. What its own event handling raises is raised by wait().
    """

    def __init__(self, run: Run, tasks: Tasks, mark: str, clouds: Path | None, before: Callable[[], None]):
        self._run, self._tasks, self._mark, self._clouds, self._before = run, tasks, mark, clouds, before

    def __call__(self, project: Path, playbook: str, inventory: str, on_event: Callable[[dict], None],
                 environment: Mapping[str, str], arguments: tuple[str, ...], cancelled: Callable[[], bool]) -> Started:  # fmt: skip
        self._before()
        self._run.check()
        extra = {MARK: self._mark, **({"OS_CLIENT_CONFIG_FILE": str(self._clouds)} if self._clouds else {})}
        started = Started(self._run, self._mark, cancelled)
        self._tasks.plays = plays_of(project)

        def handle(event: dict) -> None:
            if started.error is not None:
                return
            try:
                if event.get("event") == "playbook_on_play_start" and not arguments:
                    self._tasks.began((event.get("event_data") or {}).get("name", ""))
                on_event(event)
            except Exception as error:  # in ansible-runner's thread nobody would hear of it
                started.error = error

        started.project = start.start_project(project, playbook, inventory, handle, {**environment, **extra}, arguments,
                                              started.must_end)  # fmt: skip
        return started


class Started:
    """A run of Ansible that ends with its job."""

    def __init__(self, run: Run, mark: str, cancelled: Callable[[], bool]):
        self._run, self._mark, self._cancelled = run, mark, cancelled
        self.project: start.Project
        self.error: Exception | None = None

    def must_end(self) -> bool:
        """Whether Ansible must go on no longer."""
        return self._cancelled() or self._run.lost or self.error is not None

    def wait(self) -> int | None:
        """Exit code; looks all the time whether it should end. Raises what its event handling raised, Cancelled, LostLease."""
        while (code := self.project.wait(0.1)) is None:
            if self.must_end():
                self._end()
                self._run.check()
                break
        if self.error:
            raise self.error
        self._run.check()
        return code

    def _end(self) -> None:
        """End Ansible, and what it started: its workers are sessions of their own."""
        self.project.cancel()
        until = time.monotonic() + 10
        while self.project.wait(0.2) is None and time.monotonic() < until:
            leftovers.end(MARK, self._mark)

    def output(self) -> str:
        """What Ansible has printed."""
        return self.project.output()

    def cancel(self) -> None:
        """Ask it to end."""
        self.project.cancel()

    def close(self) -> None:
        """Wait for its end and remove what it left."""
        self.project.close()
        leftovers.end(MARK, self._mark)
