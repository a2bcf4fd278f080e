"""Turns: what transactions must do one after the other, although the database runs them side by side."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from cloudos.eden.db import Base, Exact


class Turn(Base):
    """A row to wait for. `taken` counts, so that the row is written: a mere lock is not known to the other nodes of a cluster."""

    __tablename__ = "turn"
    name: Mapped[str] = mapped_column(Exact, primary_key=True)
    taken: Mapped[int] = mapped_column(sa.BigInteger, default=0)


def take(session: Session, name: str) -> None:
    """Wait until no other transaction has the turn of this name, and have it until this one ends: what the others wrote is read now.

    Who takes several takes a project's quota first. Raises DBDuplicateEntry, for Database.transact, where another one made the row.
    """
    mine = sa.update(Turn).where(Turn.name == name).values(taken=Turn.taken + 1)
    if not session.execute(mine.execution_options(synchronize_session=False)).rowcount:
        session.execute(sa.insert(Turn).values(name=name, taken=1))
