"""Tables of Eve: topologies with their state documents and what runs need again, plans, and the designs that they came from."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudos.eden.db import Base, Blob, Exact, Id, LongText, Moment, now
from cloudos.eden.models import Owned, new_id

PROCESSING, COMPLETED, FAILED, INACTIVE = "processing", "completed", "failed", "inactive"
STATUSES = (PROCESSING, COMPLETED, FAILED, INACTIVE)


class Topology(Base, Owned):
    """What a design has become. `mark` is its name in clouds; `wanted`: the last order; `pools`: all in which it may have something.

    `job_id`: the job that has it, while that is open. `fault`: what went wrong last, {cause, node, operation, next_step, log}.
    `uses`: [document, version] each, as Focus was told; what it could not be told is not in it.
    """

    __tablename__ = "topology"
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    mark: Mapped[str] = mapped_column(sa.String(128), unique=True)
    name: Mapped[str] = mapped_column(Exact)
    description: Mapped[str] = mapped_column(LongText, default="")
    status: Mapped[str] = mapped_column(sa.String(16), default=PROCESSING)
    design_sha256: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    wanted: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    pools: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    nodes: Mapped[int] = mapped_column(default=0)
    job_id: Mapped[str | None] = mapped_column(Id)
    fault: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    uses: Mapped[list[list] | None] = mapped_column(sa.JSON(none_as_null=True))
    edition: Mapped[int] = mapped_column()
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    __mapper_args__ = {"version_id_col": edition}


class StateDocument(Base):
    """What a topology consists of, as cloudos.eve.engine.state writes it; apart from the topology, as workers write it often."""

    __tablename__ = "state"
    topology_id: Mapped[str] = mapped_column(sa.ForeignKey("topology.id", ondelete="CASCADE"), primary_key=True)
    serial: Mapped[int] = mapped_column()
    document: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class Kept(Base):
    """What later runs of a topology need: `files` of its operations, `known_hosts`, `key.pub`; encrypted: what SEALED of vault.py names."""

    __tablename__ = "kept"
    topology_id: Mapped[str] = mapped_column(sa.ForeignKey("topology.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    data: Mapped[bytes] = mapped_column(Blob)


class Design(Base):
    """The archive of a design as Focus gave it, by its digest; so that a job needs Focus no more."""

    __tablename__ = "design"
    sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(Blob)
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)


class StoredPlan(Base, Owned):
    """What a deployment or update would do, as it was found out. `serial`: of the state that it was made for."""

    __tablename__ = "plan"
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    topology_id: Mapped[str | None] = mapped_column(sa.ForeignKey("topology.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Exact)
    design_sha256: Mapped[str] = mapped_column(sa.String(64), index=True)
    serial: Mapped[int] = mapped_column(default=0)
    wanted: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    pools: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    document: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    problems: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
