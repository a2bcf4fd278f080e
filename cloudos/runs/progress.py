"""How far a run is, judged by earlier successful runs of the same playbook."""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

EARLIER = 5


class Progress:
    """Follows one run task by task.

    `earlier` are records of runs (newest first); those that succeeded count. A task is known by play, name and how many
    of that name came before; its expected duration is the median of the earlier ones.
    """

    def __init__(self, earlier: Iterable[Mapping], clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._began = self._task_began = clock()
        self._expected = expected(earlier)
        self._seen: Counter = Counter()
        self.tasks: list[dict] = []

    def start(self, play: str, task: str) -> dict:
        """A task begins; returns {play, task, percent, elapsed, remaining}, unknown numbers as None."""
        now = self._clock()
        self.finish()
        self._seen[play, task] += 1
        self._task_began = now
        self.tasks.append({"play": play, "task": task, "nth": self._seen[play, task], "seconds": None})
        return self.now()

    def now(self) -> dict:
        """Where the run is. Percent stays below 100 until the run has ended."""
        current = self.tasks[-1]
        where = {"play": current["play"], "task": current["task"], "elapsed": round(self._clock() - self._began, 1)}
        if not self._expected:
            return {**where, "percent": None, "remaining": None}
        begun = {_key(task) for task in self.tasks[:-1]}
        left = sum(seconds for key, seconds in self._expected.items() if key not in begun)
        spent = min(self._clock() - self._task_began, self._expected.get(_key(current), 0))
        total = sum(self._expected.values())
        percent = min(99, int(100 * (total - left + spent) / total)) if total else 99
        return {**where, "percent": percent, "remaining": round(left - spent, 1)}

    def finish(self) -> None:
        """The current task has ended."""
        if self.tasks and self.tasks[-1]["seconds"] is None:
            self.tasks[-1]["seconds"] = round(self._clock() - self._task_began, 3)


def expected(earlier: Iterable[Mapping]) -> dict[tuple, float]:
    """Task -> expected seconds, for the tasks of the newest successful run."""
    good = [run for run in earlier if run["outcome"] == "ok" and run.get("tasks")][:EARLIER]
    if not good:
        return {}
    seconds = defaultdict(list)
    for run in good:
        for task in run["tasks"]:
            seconds[_key(task)].append(task["seconds"] or 0)
    return {_key(task): statistics.median(seconds[_key(task)]) for task in good[0]["tasks"]}


def comparable(earlier: Iterable[Mapping], playbook: str, check: bool, tags: Iterable[str]) -> list[Mapping]:
    """The runs of the same playbook in the same mode, for the same tags."""
    wanted = (playbook, check, sorted(tags))
    return [run for run in earlier if (run["playbook"], run["check"], run.get("tags", ["all"])) == wanted]


def _key(task: Mapping) -> tuple:
    return task["play"], task["task"], task["nth"]
