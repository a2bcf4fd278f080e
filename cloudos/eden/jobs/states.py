"""The states of jobs and tasks, as the original's, and which may follow which."""

from __future__ import annotations

from collections.abc import Iterable

INITIATED, STARTED, SUCCEEDED, FAILED = "initiated", "started", "succeeded", "failed"
CANCEL_INITIATED, CANCEL_STARTED = "cancel-initiated", "cancel-started"
CANCEL_SUCCEEDED, CANCEL_FAILED = "cancel-succeeded", "cancel-failed"
ALL = (INITIATED, STARTED, SUCCEEDED, FAILED, CANCEL_INITIATED, CANCEL_STARTED, CANCEL_SUCCEEDED, CANCEL_FAILED)
FINAL = (SUCCEEDED, FAILED, CANCEL_SUCCEEDED, CANCEL_FAILED)
OPEN = tuple(state for state in ALL if state not in FINAL)
CANCELLING = (CANCEL_INITIATED, CANCEL_STARTED)
FOLLOWS = {
    INITIATED: {STARTED, FAILED, CANCEL_SUCCEEDED, CANCEL_INITIATED},
    STARTED: {SUCCEEDED, FAILED, CANCEL_INITIATED},
    CANCEL_INITIATED: {CANCEL_STARTED, SUCCEEDED, FAILED, CANCEL_SUCCEEDED, CANCEL_FAILED},
    CANCEL_STARTED: {CANCEL_SUCCEEDED, CANCEL_FAILED},
    # Only by retry or resume, which begin a new attempt.
    FAILED: {INITIATED},
    CANCEL_SUCCEEDED: {INITIATED},
    CANCEL_FAILED: {INITIATED},
    SUCCEEDED: set(),
}


def progress(state: str, tasks: Iterable[tuple[float, float]]) -> int:
    """Percent of a job from (weight, percent) of its tasks: 100 only once it has succeeded."""
    if state == SUCCEEDED:
        return 100
    tasks = list(tasks)
    whole = sum(weight for weight, _ in tasks)
    return min(99, int(sum(weight * percent for weight, percent in tasks) / whole)) if whole else 0
