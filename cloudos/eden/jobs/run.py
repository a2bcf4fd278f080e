"""One job in a worker: what a work uses to tell its plan, its steps and events, and how it learns that it must stop."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from oslo_log import log
from sqlalchemy.orm import Session

from cloudos.eden.db import now
from cloudos.eden.jobs import states
from cloudos.eden.jobs.store import Lease, LostLease, add_event, end, move
from cloudos.eden.models import Job, Task
from cloudos.eden.problems import Problem
from cloudos.eden.runtime import Runtime

LOG = log.getLogger(__name__)


class Cancelled(Exception):
    """The job was cancelled; the work ends here and its `cancelled` tidies up."""


class WorkFailed(Exception):
    """The work cannot be done; the text tells the user why, and the next step."""


class Step:
    """A task that goes on: tell its progress (0 to 100) and what it does at the moment."""

    def __init__(self, run: Run, name: str):
        self._run, self._name = run, name

    def tell(self, status: str | None = None, progress: float | None = None) -> None:
        """Write status and progress down. Raises Cancelled or LostLease."""
        self._run.check()

        def write(session: Session, job: Job) -> None:
            task = _task(job, self._name)
            task.status = status if status is not None else task.status
            task.progress = min(100, max(0, progress)) if progress is not None else task.progress
            add_event(session, job, "task", task=task.name, state=task.state, progress=task.progress, status=task.status)

        self._run.write(write)


class Run:
    """A job at work. Facts: id, kind, name, input, context (who asked: user_id, project_id, roles ...), resource, attempt."""

    def __init__(self, runtime: Runtime, lease: Lease):
        self.runtime, self._lease = runtime, lease
        self._lost, self._cancel, self._over = threading.Event(), threading.Event(), threading.Event()

        def facts(session: Session, job: Job) -> None:
            self.id, self.kind, self.name, self.input = job.id, job.kind, job.name, job.input
            self.context, self.resource, self.attempt = job.context, job.resource, job.attempt
            if job.state in states.CANCELLING:
                self._cancel.set()

        self.write(facts)

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants the job to end: for works that wait and look."""
        return self._cancel.is_set()

    @property
    def lost(self) -> bool:
        """Whether another worker has the job."""
        return self._lost.is_set()

    def check(self) -> None:
        """Raise Cancelled or LostLease when the work must not go on."""
        if self._lost.is_set():
            raise LostLease(f"job {self.id}")
        if self._cancel.is_set():
            raise Cancelled

    def plan(self, tasks: Iterable[str | tuple[str, float]]) -> None:
        """The tasks to come, with their weights; those that an earlier attempt knew keep their states."""
        wanted = [(task, 1.0) if isinstance(task, str) else task for task in tasks]

        def write(_session: Session, job: Job) -> None:
            known = {task.name: task for task in job.tasks}
            for name, weight in wanted:
                if name not in known:
                    known[name] = Task(position=max([task.position for task in job.tasks], default=-1) + 1, name=name,
                                       state=states.INITIATED, progress=0)  # fmt: skip
                    job.tasks.append(known[name])
                known[name].weight = weight

        self.write(write)

    def do(self, name: str, work: Callable[[Step], Any]) -> Any:
        """Do one task and keep its JSON result; a task that succeeded before is not done again, its result is returned."""
        done, result = self._begin(name)
        if done:
            return result
        with self._task(name):
            result = work(Step(self, name))
            self._end(name, states.SUCCEEDED, result=result)
        return result

    def note(self, name: str, state: str, progress: float, status: str | None = None) -> None:
        """Set a task that goes on beside others, where something else than `do` drives it. Raises LostLease."""

        def write(session: Session, job: Job) -> None:
            task = _task(job, name)
            task.started_at = task.started_at or now()
            task.ended_at = now() if state in states.FINAL else None
            task.state, task.progress, task.status = state, min(100, max(0, progress)), status
            add_event(session, job, "task", task=name, state=state, progress=task.progress, status=status)

        self.write(write)

    def event(self, kind: str, **facts: Any) -> None:
        """Tell something to those who watch the job."""
        self.write(lambda session, job: add_event(session, job, kind, **facts))

    def write(self, change: Callable[[Session, Job], Any]) -> Any:
        """Change the job in one transaction, if it is still ours. Raises LostLease."""

        def owned(session: Session) -> Any:
            job = self.runtime.jobs.owned(session, self._lease)
            return change(session, job)

        try:
            return self.runtime.db.transact(owned)
        except LostLease:
            self._lost.set()
            raise

    def _begin(self, name: str) -> tuple[bool, Any]:
        self.check()

        def write(session: Session, job: Job) -> tuple[bool, Any]:
            if name not in {task.name for task in job.tasks}:
                job.tasks.append(Task(position=max([task.position for task in job.tasks], default=-1) + 1, name=name, weight=1,
                                      progress=0))  # fmt: skip
            task = _task(job, name)
            if task.state == states.SUCCEEDED:
                return True, task.result
            task.state, task.started_at, task.ended_at, task.status = states.STARTED, now(), None, None
            add_event(session, job, "task", task=name, state=task.state)
            return False, None

        return self.write(write)

    @contextlib.contextmanager
    def _task(self, name: str) -> Iterator[None]:
        try:
            yield
        except LostLease:
            raise
        except Cancelled:
            self._end(name, states.CANCEL_SUCCEEDED)
            raise
        except Exception as error:
            self._end(name, states.FAILED, status=reason(error))
            raise

    def _end(self, name: str, state: str, result: Any = None, status: str | None = None) -> None:
        def write(session: Session, job: Job) -> None:
            task = _task(job, name)
            task.state, task.ended_at, task.result = state, now(), result
            task.status = status if status is not None else task.status
            task.progress = 100 if state == states.SUCCEEDED else task.progress
            add_event(session, job, "task", task=name, state=state, progress=task.progress, status=task.status)

        self.write(write)

    def perform(self) -> None:
        """Do the work to a final state, with a heart that beats meanwhile. Returns quietly when the lease is lost."""
        heart = threading.Thread(target=self._beat, daemon=True, name=f"heart-{self.id}")
        heart.start()
        try:
            self._perform()
        except LostLease:
            LOG.warning("Job %s went to another worker; this one has stopped.", self.id)
        finally:
            self._over.set()
            heart.join()

    def _perform(self) -> None:
        work = self.runtime.service.works[self.kind]
        try:
            self.check()
            result = work.run(self)
        except Cancelled:
            self._tidy(work.cancelled)
        except LostLease:
            raise
        except Exception as error:
            LOG.warning("Job %s (%s) failed:\n%s", self.id, self.kind, traceback.format_exc())
            told = reason(error)
            self.write(lambda session, job: end(session, job, states.FAILED, told))
        else:
            self.write(lambda session, job: end(session, job, states.SUCCEEDED, result=result))

    def _tidy(self, cancelled: Callable[[Run], None] | None) -> None:
        def started(session: Session, job: Job) -> None:
            if job.state == states.CANCEL_INITIATED:
                move(job, states.CANCEL_STARTED)
                add_event(session, job, "cancel-started")

        self.write(started)
        # What tidies up may use tasks as well, which must not end at once.
        self._cancel.clear()
        try:
            if cancelled:
                cancelled(self)
        except LostLease:
            raise
        except Exception as error:
            LOG.warning("Job %s (%s) could not be cancelled:\n%s", self.id, self.kind, traceback.format_exc())
            told = reason(error)
            self.write(lambda session, job: end(session, job, states.CANCEL_FAILED, told))
        else:
            self.write(lambda session, job: end(session, job, states.CANCEL_SUCCEEDED))

    def _beat(self) -> None:
        tidying = False
        while not self._over.wait(self.runtime.conf.jobs.lease / 3):
            try:
                state = self.runtime.jobs.beat(self._lease)
            except LostLease:
                # An ended job has no lease either; whoever ended it was then this run itself.
                self._lost.set()
                return
            except Exception:
                LOG.exception("The heart of job %s could not beat; it tries again.", self.id)
                continue
            tidying = tidying or state == states.CANCEL_STARTED
            if state == states.CANCEL_INITIATED and not tidying:
                self._cancel.set()


def reason(error: Exception) -> str:
    """What a user is told of a failure: our own words where there are any, else the kind of error and its text."""
    if isinstance(error, Problem | WorkFailed):
        return str(error)
    return f"{type(error).__name__}: {error}"[:4000]


def _task(job: Job, name: str) -> Task:
    return next(task for task in job.tasks if task.name == name)
