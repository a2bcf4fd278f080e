"""The states of topologies in the database instead of in a directory; files of a run lie in the job's own directory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudos.eve.engine.state import Directory, State
from cloudos.eve.models import FAILED, PROCESSING, StateDocument, Topology

Transaction = Callable[[Callable[[Session], Any]], Any]
STRANGER = "a topology of another project"


class States(Directory):
    """States by mark. `read` and `write` run a function in a transaction; without `write` nothing is ever saved.

    `root`: the job's directory, None where nothing is run. `project`: whose names are told to the caller.
    """

    def __init__(self, read: Transaction, write: Transaction | None = None, root: Path | None = None, project: str = ""):
        super().__init__(root or Path("/nonexistent"))
        self._read, self._write, self._project = read, write, project

    def folder(self, topology: str) -> Path:
        """The one directory of the job."""
        return self.root

    def load(self, topology: str) -> State:
        """The state; an empty one when there is none."""
        statement = sa.select(StateDocument.document).join(Topology).where(Topology.mark == topology)
        document = self._read(lambda session: session.scalar(statement))
        return State.from_json(document) if document else State(topology)

    def save(self, state: State) -> None:
        """Write the state down; one without resources goes."""
        if self._write is None:
            raise RuntimeError("these states are only looked at")
        state.serial += 1
        document = state.to_json()
        self._write(lambda session: _save(session, state, document))

    def locked(self, topology: str) -> contextlib.AbstractContextManager:
        """Nothing: the topology's job is the lock, and its lease."""
        return contextlib.nullcontext()

    def topologies(self) -> Iterator[str]:
        """Names of those of the project that have a state."""
        statement = sa.select(Topology.name).join(StateDocument).where(Topology.project_id == self._project).order_by(Topology.name)
        return iter(self._read(lambda session: list(session.scalars(statement))))

    def others(self, topology: str) -> list[State]:
        """The states of all other topologies; those of other projects keep their names for themselves."""
        return self._others(topology)

    def leaving(self, topology: str) -> list[State]:
        """Those of the others of which something is being removed: of jobs that go on, or whose end could not be noted."""
        return [one for one in self._others(topology, Topology.status.in_((PROCESSING, FAILED))) if one.going]

    def _others(self, topology: str, *criteria: Any) -> list[State]:
        columns = (Topology.name, Topology.project_id, StateDocument.document)
        statement = sa.select(*columns).join(StateDocument).where(Topology.mark != topology, *criteria)
        found = []
        for name, project, document in self._read(lambda session: session.execute(statement).all()):
            state = State.from_json(document)
            state.topology = name if project == self._project else STRANGER
            found.append(state)
        return found


def _save(session: Session, state: State, document: dict[str, Any]) -> None:
    topology = session.scalar(sa.select(Topology.id).where(Topology.mark == state.topology))
    if state.deployed:
        session.merge(StateDocument(topology_id=topology, serial=state.serial, document=document))
    else:
        session.execute(sa.delete(StateDocument).where(StateDocument.topology_id == topology))
