"""Jobs in the database: submit, claim under a lease with a fencing token, cancel, retry, resume, and what the watchdog does.

Workers' writes name the fence that they claimed with; once another worker has claimed the job, none of them takes effect.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from cloudos.eden.db import Database, now
from cloudos.eden.jobs import states
from cloudos.eden.models import Event, Job, Task, Worker, new_id
from cloudos.eden.problems import Conflict
from cloudos.eden.service import Service

# Hints that the watchdog sends at once: each makes a worker look, and every worker that finds work looks again.
MOST_HINTS = 20


class LostLease(Exception):
    """Another worker has the job: this one must stop and write nothing more."""


class NotInState(Conflict):
    """The job's state does not allow it."""

    code = "job.state"
    text = "Job {id} is {state}; {verb} wants it to be {wanted}."


@dataclass(frozen=True)
class Lease:
    """The right to work on a job until it is claimed by another: its number and the fence."""

    number: int
    id: str
    fence: int


class Jobs:
    """The jobs of one service."""

    def __init__(self, service: Service, conf: cfg.ConfigOpts, db: Database):
        self.works, self.conf, self.db = service.works, conf.jobs, db

    def submit(self, session: Session, context: Any, kind: str, name: str, input: Any, resource: str | None,
               tasks: list[str]) -> Job:  # fmt: skip
        """A new job in the caller's transaction, first in no queue but the table's."""
        if kind not in self.works:
            raise KeyError(f"{kind} is no work of this service; there are {', '.join(self.works)}")
        kept = {"user_id": context.user_id, "project_id": context.project_id, "domain_id": context.project_domain_id,
                "roles": list(context.roles), "request_id": context.request_id}  # fmt: skip
        # The ids are given here and not at the flush, as the job's tasks and its first event need it.
        job = Job(id=new_id(), kind=kind, name=name, input=input, resource=resource, context=kept,
                  user_id=context.user_id, project_id=context.project_id, state=states.INITIATED, hinted_at=now(), events=0,
                  tasks=[Task(position=position, name=task, weight=1, state=states.INITIATED, progress=0)
                         for position, task in enumerate(tasks)])  # fmt: skip
        session.add(job)
        session.flush()
        add_event(session, job, "submitted", by=context.user_id)
        return job

    def position(self, session: Session, job: Job) -> int | None:
        """How many queued jobs are before this one, counted from 1; None when it is not queued."""
        if job.state != states.INITIATED or job.leased_until is not None:
            return None
        before = sa.select(sa.func.count()).where(
            Job.state == states.INITIATED, Job.leased_until.is_(None), Job.number < job.number
        )
        return 1 + session.scalar(before)

    def queued(self, session: Session) -> list[int]:
        """The numbers of all queued jobs, in order."""
        waiting = sa.select(Job.number).where(Job.state == states.INITIATED, Job.leased_until.is_(None))
        return list(session.scalars(waiting.order_by(Job.number)))

    def claim(self, worker: str) -> Lease | None:
        """The right to the oldest job that waits or whose worker has died; None when there is nothing to do."""
        # A look first, which holds up nobody: most often there is nothing.
        while self.db.transact(self._waiting, reading=True):
            found = self.db.transact(lambda session: self._claim(session, worker))
            if found is not False:
                return found
        return None

    def beat(self, lease: Lease) -> str:
        """A sign of life: the lease goes on. Returns the job's state. Raises LostLease."""
        return self.db.transact(lambda session: self.owned(session, lease).state)

    def owned(self, session: Session, lease: Lease) -> Job:
        """The job, locked for this transaction and with the lease prolonged. Raises LostLease."""
        until = now() + datetime.timedelta(seconds=self.conf.lease)
        mine = sa.update(Job).where(Job.number == lease.number, Job.fence == lease.fence, Job.state.in_(states.OPEN))
        if not session.execute(mine.values(leased_until=until)).rowcount:
            raise LostLease(f"job {lease.id} is another worker's, or has been ended")
        return session.get_one(Job, lease.number, populate_existing=True)

    def cancel(self, session: Session, job: Job, by: str) -> None:
        """Ask for the end of a job; one that nobody has begun ends at once. Raises NotInState."""
        self._locked(session, job)
        if job.state not in (states.INITIATED, states.STARTED):
            raise NotInState(id=job.id, state=job.state, verb="cancel", wanted="initiated or started")
        if job.leased_until is None and job.attempt == 1 and job.deaths == 0:
            end(session, job, states.CANCEL_SUCCEEDED)
        else:
            move(job, states.CANCEL_INITIATED)
            job.deadline = now() + datetime.timedelta(seconds=self.conf.cancel_timeout)
        add_event(session, job, "cancel", by=by)

    def again(self, session: Session, job: Job, by: str, keep: bool) -> None:
        """Queue an ended job once more: keep True resumes behind the tasks that have succeeded, False begins anew."""
        self._locked(session, job)
        verb = "resume" if keep else "retry"
        if states.INITIATED not in states.FOLLOWS[job.state]:
            raise NotInState(id=job.id, state=job.state, verb=verb, wanted="failed or cancelled")
        if job.kind in self.works and (allowed := self.works[job.kind].again):
            allowed(session, job)
        move(job, states.INITIATED)
        job.attempt, job.deaths, job.error, job.result = job.attempt + 1, 0, None, None
        job.started_at = job.ended_at = job.deadline = job.worker = job.leased_until = None
        job.queued_at = job.hinted_at = now()
        job.fence += 1
        for task in job.tasks:
            if not (keep and task.state == states.SUCCEEDED):
                task.state, task.progress, task.status, task.result = states.INITIATED, 0, None, None
                task.started_at = task.ended_at = None
        add_event(session, job, verb, by=by, attempt=job.attempt)

    def watch(self) -> int:
        """The watchdog's round: ends jobs over their time; returns how many workers should be told of work."""
        return self.db.transact(self._watch)

    def alive(self, worker: str, slots: int) -> None:
        """A worker's sign of life."""
        self.db.transact(lambda session: session.merge(Worker(name=worker, seen_at=now(), slots=slots)))

    def workers(self, session: Session) -> list[Worker]:
        """Workers that lived a moment ago."""
        fresh = now() - datetime.timedelta(seconds=max(self.conf.lease, 3 * self.conf.poll))
        return list(session.scalars(sa.select(Worker).where(Worker.seen_at > fresh)))

    def purge(self, session: Session) -> int:
        """Forget jobs that ended long ago and workers that are gone; returns how many jobs."""
        old = now() - datetime.timedelta(days=self.conf.keep_days)
        session.execute(sa.delete(Worker).where(Worker.seen_at < now() - datetime.timedelta(days=1)))
        return session.execute(sa.delete(Job).where(Job.state.in_(states.FINAL), Job.ended_at < old)).rowcount

    def _waiting(self, session: Session) -> bool:
        return session.scalar(sa.select(Job.number).where(*self._claimable()).limit(1)) is not None

    def _claim(self, session: Session, worker: str) -> Lease | bool | None:
        """None: nothing to do. False: another worker was quicker, look again."""
        seen = session.execute(
            sa.select(Job.number, Job.id, Job.fence).where(*self._claimable()).order_by(Job.number).limit(1)
        ).first()
        if seen is None:
            return None
        until = now() + datetime.timedelta(seconds=self.conf.lease)
        mine = sa.update(Job).where(Job.number == seen.number, Job.fence == seen.fence, *self._claimable())
        if not session.execute(mine.values(fence=seen.fence + 1, worker=worker, leased_until=until)).rowcount:
            return False
        job = session.get_one(Job, seen.number, populate_existing=True)
        return Lease(job.number, job.id, job.fence) if self._begin(session, job) else False

    def _begin(self, session: Session, job: Job) -> bool:
        """Start it, or take it over from a worker that died; False when too many have."""
        if job.started_at is None:
            job.started_at = now()
            job.deadline = job.deadline or now() + datetime.timedelta(seconds=self.works[job.kind].timeout)
            if job.state == states.INITIATED:
                move(job, states.STARTED)
            add_event(session, job, "started", worker=job.worker, attempt=job.attempt)
            return True
        job.deaths += 1
        if job.deaths >= self.conf.attempts:
            final = states.CANCEL_FAILED if job.state in states.CANCELLING else states.FAILED
            end(session, job, final, f"{job.deaths} workers died of it; see their logs, then resume it.")
            return False
        add_event(session, job, "taken-over", worker=job.worker, deaths=job.deaths)
        return True

    def _claimable(self) -> list[sa.ColumnElement[bool]]:
        """Of a kind that this release has, waiting or left by its worker."""
        return [Job.kind.in_(list(self.works)), Job.state.in_(states.OPEN), sa.or_(Job.leased_until.is_(None), Job.leased_until < now())]

    def _watch(self, session: Session) -> int:
        time = now()
        old = time - datetime.timedelta(seconds=self.conf.queue_timeout)
        waited = sa.select(Job).where(Job.state == states.INITIATED, Job.leased_until.is_(None), Job.queued_at < old)
        for job in session.scalars(waited.with_for_update()):
            end(session, job, states.FAILED, f"No worker took it in {self.conf.queue_timeout:.0f} s; start workers, then retry it.")
        for job in session.scalars(sa.select(Job).where(Job.state.in_(states.OPEN), Job.deadline < time).with_for_update()):
            self._overdue(session, job)
        return self._unheard(session, time)

    def _overdue(self, session: Session, job: Job) -> None:
        """Past its time: first it is cancelled; past that time too it is ended, and its worker shut out by the fence."""
        if job.state in states.CANCELLING:
            job.fence += 1
            end(session, job, states.CANCEL_FAILED, "It did not end in time after its cancellation; its worker may still hold resources.")
        else:
            move(job, states.CANCEL_INITIATED)
            job.deadline = now() + datetime.timedelta(seconds=self.conf.cancel_timeout)
            add_event(session, job, "cancel", by="watchdog", why="it took longer than its work may take")

    def _unheard(self, session: Session, time: datetime.datetime) -> int:
        """Claimable jobs whose last hint is old: the message was lost, or came to a worker that died."""
        stale = time - datetime.timedelta(seconds=self.conf.lease)
        numbers = list(session.scalars(
            sa.select(Job.number).where(*self._claimable(), sa.or_(Job.hinted_at.is_(None), Job.hinted_at < stale))
            .order_by(Job.number).limit(MOST_HINTS)
        ))  # fmt: skip
        if numbers:
            session.execute(sa.update(Job).where(Job.number.in_(numbers)).values(hinted_at=time))
        return len(numbers)

    def _locked(self, session: Session, job: Job) -> None:
        """Nobody else changes the job until the transaction ends; what was read before is read again."""
        session.refresh(job, with_for_update=True)


def move(job: Job, state: str) -> None:
    """To another state. Raises ValueError where it cannot follow."""
    if state not in states.FOLLOWS[job.state]:
        raise ValueError(f"job {job.id}: {state} cannot follow {job.state}")
    job.state = state


def end(session: Session, job: Job, state: str, error: str | None = None, result: Any = None) -> None:
    """To a final state; the lease and unfinished tasks end with it."""
    move(job, state)
    job.error, job.result, job.ended_at, job.leased_until = error, result, now(), None
    for task in job.tasks:
        if task.state == states.STARTED:
            task.state, task.ended_at = (states.FAILED if state == states.FAILED else states.CANCEL_SUCCEEDED), now()
    add_event(session, job, "ended", state=state, error=error)


def add_event(session: Session, job: Job, kind: str, **facts: Any) -> Event:
    """The next event of a job. The caller has the job's row to itself, so that numbers have no holes."""
    job.events += 1
    event = Event(job_id=job.id, number=job.events, time=now(), kind=kind, facts=facts)
    session.add(event)
    return event
