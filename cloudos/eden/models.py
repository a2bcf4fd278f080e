"""Tables that every service has: jobs with their tasks and events, workers, the audit, quotas of projects; and who owns a thing."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloudos.eden.db import Base, Exact, Id, LongText, Moment, now


def new_id() -> str:
    """An id that nobody guesses."""
    return str(uuid.uuid4())


class Owned:
    """Columns of a thing that belongs to a user of a project, and is seen in one of the four scopes."""

    scope: Mapped[str] = mapped_column(sa.String(16), default="private-project")
    user_id: Mapped[str] = mapped_column(sa.String(64))
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    domain_id: Mapped[str | None] = mapped_column(sa.String(64))

    def target(self) -> dict[str, Any]:
        """What a policy rule is asked about."""
        return {"scope": self.scope, "user_id": self.user_id, "project_id": self.project_id}


class Job(Base):
    """One piece of long work. `number` orders them; `fence` counts the workers that had it: only the last may write."""

    __tablename__ = "job"
    number: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(Id, unique=True, default=new_id)
    kind: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    state: Mapped[str] = mapped_column(sa.String(20), default="initiated", index=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    context: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    input: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    result: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(LongText)
    resource: Mapped[str | None] = mapped_column(Exact, index=True)
    attempt: Mapped[int] = mapped_column(default=1)
    deaths: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    queued_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    started_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    deadline: Mapped[datetime.datetime | None] = mapped_column(Moment)
    hinted_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    fence: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(sa.String(255))
    leased_until: Mapped[datetime.datetime | None] = mapped_column(Moment)
    events: Mapped[int] = mapped_column(default=0)
    tasks: Mapped[list[Task]] = relationship(order_by="Task.position", cascade="all, delete-orphan", passive_deletes=True)


class Task(Base):
    """One step of a job. `weight` is its share of the job's progress, `progress` goes from 0 to 100."""

    __tablename__ = "task"
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(sa.String(255))
    weight: Mapped[float] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(sa.String(20), default="initiated")
    progress: Mapped[float] = mapped_column(default=0)
    status: Mapped[str | None] = mapped_column(LongText)
    result: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    started_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime.datetime | None] = mapped_column(Moment)


class Event(Base):
    """What happened in a job; `number` counts from 1 in each job, without holes."""

    __tablename__ = "event"
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    kind: Mapped[str] = mapped_column(sa.String(32))
    facts: Mapped[dict] = mapped_column(sa.JSON, default=dict)


class Worker(Base):
    """A worker's last sign of life."""

    __tablename__ = "worker"
    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    seen_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    slots: Mapped[int] = mapped_column(default=1)


class Audit(Base):
    """Who did what to which thing, and whether it was let; written with the change itself."""

    __tablename__ = "audit"
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    time: Mapped[datetime.datetime] = mapped_column(Moment, default=now, index=True)
    action: Mapped[str] = mapped_column(sa.String(64))
    outcome: Mapped[str] = mapped_column(sa.String(16))
    status: Mapped[int] = mapped_column()
    user_id: Mapped[str | None] = mapped_column(sa.String(64))
    project_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    target: Mapped[str | None] = mapped_column(Exact, index=True)
    request_id: Mapped[str] = mapped_column(sa.String(64))
    facts: Mapped[dict] = mapped_column(sa.JSON, default=dict)


class QuotaLimit(Base):
    """A limit of one project that differs from the configuration's."""

    __tablename__ = "quota"
    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    resource: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    limit: Mapped[int] = mapped_column("hard_limit")
