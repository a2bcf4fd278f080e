"""Writes the record of one run while it happens. Knows nothing of Ansible: the callback `run_record` calls it.

Every line goes through `Mask` before it reaches a file, besides the references that modules put into their results.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cloudos import home
from cloudos.runs import history
from cloudos.runs.lock import me
from cloudos.runs.progress import Progress, comparable

FORMAT = 1


class Record:
    """The run of one playbook. `cloud` None: the playbook concerns no cloud.

    Methods are called in the order begin (constructor), task and result as often as needed, end.
    """

    def __init__(
        self, cloud: str | None, playbook: str, inventory: list[str], check: bool, run: str, tags: Iterable[str]
    ):
        self.cloud = cloud
        self.run = run
        self.path = history.directory(cloud) / run
        self.path.mkdir(parents=True, mode=0o700)
        self.progress = Progress(comparable(history.runs(cloud), playbook, check, tags))
        self._mask = Mask(cloud)
        self._events = open(self.path / "events.jsonl", "a", encoding="utf-8")  # noqa: SIM115 - open as long as the run
        self._count = 0
        self._executed: dict[str, Counter] = defaultdict(Counter)
        self._about = {
            "format": FORMAT, "id": run, "cloud": cloud, "playbook": playbook, "inventory": inventory, "check": check,
            "tags": sorted(tags), "who": me(), "start": time.time(), "end": None, "outcome": "running", "exit_code": None,
            "plan_digest": None,
        }  # fmt: skip
        self._save()
        self.event("start", playbook=playbook, check=check)
        history.prune(cloud)

    def task(self, play: str, task: str) -> None:
        """A task begins on all its hosts."""
        where = self.progress.start(play, task)
        self._save()
        self.event("task", **where)
        (self.path / "progress.json.new").write_text(self._mask.text(json.dumps(where)))
        os.replace(self.path / "progress.json.new", self.path / "progress.json")

    def result(self, host: str, outcome: str, changed: bool, seconds: float, details: Mapping) -> None:
        """A task ended on a host: ok, failed, unreachable, skipped or ignored; details: message, failure, diff."""
        self._executed[host][outcome] += 1
        self._executed[host]["changed"] += changed
        current = self.progress.tasks[-1] if self.progress.tasks else {"play": None, "task": None}
        facts = {"play": current["play"], "task": current["task"], "host": host, "outcome": outcome, "changed": changed}
        self.event("result", **facts, seconds=round(seconds, 3), **details)

    def plan(self, digest: str) -> None:
        """The run applies this plan."""
        self._about["plan_digest"] = digest

    def event(self, kind: str, **facts) -> None:
        """Append one event: {id, time, kind, ...}; it is on its way to the disk when this returns."""
        self._count += 1
        line = json.dumps({"id": self._count, "time": round(time.time(), 3), "kind": kind, **facts}, default=str)
        self._events.write(self._mask.text(line) + "\n")
        self._events.flush()

    def end(self, outcome: str, exit_code: int | None) -> None:
        """The run is over: outcome ok, failed or interrupted."""
        self.progress.finish()
        self._about.update(end=time.time(), outcome=outcome, exit_code=exit_code)
        self.event("end", outcome=outcome, exit_code=exit_code, hosts=self.hosts())
        self._save()
        self._events.close()

    def hosts(self) -> dict[str, dict[str, int]]:
        """Host -> {executed, changed, failed}: executed are tasks that were run there, whatever came of it."""
        return {
            host: {
                "executed": sum(count for outcome, count in counts.items() if outcome not in ("skipped", "changed")),
                "changed": counts["changed"],
                "failed": counts["failed"] + counts["unreachable"],
            }
            for host, counts in sorted(self._executed.items())
        }

    def _save(self) -> None:
        facts = {**self._about, "hosts": self.hosts(), "tasks": self.progress.tasks}
        home.write(self.path / "run.json", self._mask.text(json.dumps(facts, indent=1)).encode())


class Mask:
    """Replaces every value in the cloud's store by its reference."""

    def __init__(self, cloud: str | None):
        self._store = _store(cloud) if cloud else None
        self._seen = None
        self._names: dict[str, str] = {}
        self._pattern: re.Pattern | None = None

    def text(self, text: str) -> str:
        """The text without secrets; JSON stays JSON, as no secret has a character that JSON escapes."""
        if self._store:
            self._refresh(self._store.path)
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: "${secret:%s}" % self._names[match[0]], text)

    def within(self, value: Any) -> Any:
        """The value with each text in it, at any depth, without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.within(item) for key, item in value.items()}
        return [self.within(item) for item in value] if isinstance(value, list) else value

    def _refresh(self, path: Path) -> None:
        """A run makes secrets in other processes: look whether the file is another one."""
        seen = path.stat().st_mtime_ns if path.exists() else None
        if seen == self._seen:
            return
        self._seen, self._names = seen, self._store.masks()
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def new_id(playbook: str) -> str:
    """An id that sorts by time: 20260704-093012-site-4242."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{playbook}-{os.getpid()}"


def _store(cloud: str) -> Any:
    """The cloud's secrets. Their vault imports much of Ansible, and whoever only starts a run does without it."""
    from cloudos.secrets import Store

    return Store(cloud)
