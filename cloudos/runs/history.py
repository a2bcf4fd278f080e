"""Records of runs on disk: where they are, what they tell, which are kept.

A run is a directory `clouds/<cloud>/runs/<id>/` (`runs/<id>/` for a playbook without a cloud) with `run.json`,
`events.jsonl` and `progress.json`; see docs/reference/runs.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from cloudos import home
from cloudos.runs.lock import alive

KEPT = 50


class RunNotFound(Exception):
    """No record of that id; the text tells how to see the known ones."""


def directory(cloud: str | None) -> Path:
    """Where the runs of a cloud (None: of no cloud) are recorded."""
    return (home.cloud(cloud) if cloud else home.root()) / "runs"


def runs(cloud: str | None) -> list[dict]:
    """The records of a cloud's runs, newest first, each as `load` gives it."""
    found = sorted(directory(cloud).glob("*/run.json"), key=lambda path: path.parent.name, reverse=True)
    return [_record(path) for path in found]


def load(cloud: str | None, run: str) -> dict:
    """The content of run.json; a run whose process is gone without an outcome is `interrupted`. Raises RunNotFound."""
    path = directory(cloud) / Path(run).name / "run.json"
    if not path.exists():
        raise RunNotFound(f"No run {run} of cloud {cloud}. `cloudos runs list` shows the known ones.")
    return _record(path)


def events(cloud: str | None, run: str, after: int = 0) -> Iterator[dict]:
    """The events of a run with ids above `after`, in order. Raises RunNotFound."""
    load(cloud, run)
    with open(directory(cloud) / run / "events.jsonl", encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # the last line of a killed run, or one that is being written
            event = json.loads(line)
            if event["id"] > after:
                yield event


def progress(cloud: str | None, run: str) -> dict | None:
    """Where a run is: {play, task, percent, elapsed, remaining}; None before its first task."""
    path = directory(cloud) / run / "progress.json"
    return json.loads(path.read_text()) if path.exists() else None


def prune(cloud: str | None, keep: int = KEPT) -> None:
    """Remove all but the newest `keep` runs."""
    for old in sorted(directory(cloud).glob("*/"), reverse=True)[keep:]:
        shutil.rmtree(old)


def _record(path: Path) -> dict:
    record = json.loads(path.read_text())
    if record["outcome"] == "running" and not alive(record["who"]):
        record["outcome"] = "interrupted"
    return record
