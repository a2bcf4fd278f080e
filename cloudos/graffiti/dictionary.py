"""The dictionary in the database: what a caller sees of it, kept in memory until somebody changes it; and loading into it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudos.eden.db import now
from cloudos.eden.policy import space_of, visible
from cloudos.graffiti.models import Edition, StoredNamespace, StoredType
from cloudos.graffiti.types import Batch, Dictionary, Mistakes, Namespace, Type, judged

# Where there is a namespace of one name in several scopes, the last of these is meant.
MEANT = ("public-cloud", "private-cloud", "public-project", "private-project")
KEPT = 8  # dictionaries in memory: one for each set of namespaces that some caller sees


@dataclass
class Changes:
    """What a load did, or would do: the names of namespaces and types by outcome."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)

    def note(self, name: str, old: str | None, new: str) -> bool:
        """Record one outcome from two digests; True when there is something to write."""
        (self.created if old is None else self.same if old == new else self.changed).append(name)
        return old != new

    def shown(self) -> dict[str, Any]:
        """As JSON has it; what was there already is counted only."""
        return {"created": self.created, "changed": self.changed, "same": len(self.same)}


class Dictionaries:
    """Dictionaries of this process, by the namespaces that a caller sees and the dictionary's edition."""

    def __init__(self) -> None:
        self._kept: dict[tuple, Dictionary] = {}
        self._lock = threading.Lock()

    def of(self, session: Session, context: Any, scope: str = MEANT[-1]) -> Dictionary:
        """The dictionary as the caller sees it: what is closer to the caller hides others of the same name, but nothing hides what is
        of `scope`."""
        # First the edition: what was changed since then is read anew by the next caller, and not kept under a newer number.
        number = edition(session)
        rows = seen(session, context, scope)
        key = (number, *(row.id for row in rows))
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = _read(session, rows)
            with self._lock:
                while len(self._kept) >= KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = found
        return found


def seen(session: Session, context: Any, scope: str = MEANT[-1]) -> list[StoredNamespace]:
    """The namespaces that names mean for a caller, one for each name; in a namespace of `scope`, which nothing hides."""
    order = {own_space(one, context): number for number, one in enumerate((*MEANT, scope))}
    rows = session.scalars(sa.select(StoredNamespace).where(visible(StoredNamespace, context), StoredNamespace.space.in_(list(order))))
    found: dict[str, StoredNamespace] = {}
    for row in sorted(rows, key=lambda row: (row.name, order[row.space])):
        found[row.name] = row
    return list(found.values())


def _read(session: Session, rows: list[StoredNamespace]) -> Dictionary:
    ids = [row.id for row in rows]
    types = session.scalars(sa.select(StoredType).where(StoredType.namespace_id.in_(ids)))
    return Dictionary([one.value() for one in types], [row.value() for row in rows])


def edition(session: Session) -> int:
    """The number of changes so far."""
    return session.scalar(sa.select(Edition.number).where(Edition.id == 1)) or 0


def touch(session: Session) -> None:
    """The dictionary has changed: what other processes hold is old from the commit on."""
    if not session.execute(sa.update(Edition).where(Edition.id == 1).values(number=Edition.number + 1)).rowcount:
        session.add(Edition(id=1, number=1))
        session.flush()


def own_space(scope: str, context: Any) -> str:
    """Among whom the name of a namespace is unique that the caller makes."""
    return space_of(scope, context.user_id, context.project_id)


def load(session: Session, known: Dictionary, batch: Batch, owner: dict[str, Any], scope: str, context: Any, dry: bool = False) -> Changes:
    """Bring namespaces and types to what the batch says, parents first; all or nothing, and doing it again changes nothing.

    known: the dictionary as the caller sees it in that scope. Raises Mistakes. Who calls demands the right to change each namespace.
    """
    order, _ = judged(batch, known)
    changes = Changes()
    mine = own_space(scope, context)
    rows = {row.name: row for row in session.scalars(sa.select(StoredNamespace).where(StoredNamespace.space == mine))}
    for namespace in batch.namespaces:
        row = rows.get(namespace.name)
        if changes.note(namespace.name, row.digest if row else None, namespace.digest) and not dry:
            rows[namespace.name] = _put_namespace(session, row, namespace, owner, scope, mine)
    session.flush()
    _load_types(session, order, rows, changes, dry)
    if (changes.created or changes.changed) and not dry:
        touch(session)
    return changes


def _put_namespace(session: Session, row: StoredNamespace | None, namespace: Namespace, owner: dict[str, Any], scope: str,
                   mine: str) -> StoredNamespace:  # fmt: skip
    if row is None:
        row = StoredNamespace(name=namespace.name, space=mine, scope=scope, digest="", **owner)
        session.add(row)
    row.title, row.description, row.source = namespace.title, namespace.description, namespace.source
    row.associations, row.extra = [dict(one) for one in namespace.associations], dict(namespace.extra)
    row.digest, row.updated_at = namespace.digest, now()
    return row


def _load_types(session: Session, order: Iterable[Type], rows: dict[str, StoredNamespace], changes: Changes, dry: bool) -> None:
    ids = {row.id: row.name for row in rows.values()}
    stored = {(one.kind, f"{ids[one.namespace_id]}/{one.name}"): one
              for one in session.scalars(sa.select(StoredType).where(StoredType.namespace_id.in_(list(ids))))}  # fmt: skip
    for one in order:
        row = stored.get((one.kind, one.full))
        if not changes.note(one.full, row.digest if row else None, one.digest) or dry:
            continue
        if one.namespace not in rows:
            text = f"namespace {one.namespace} is not one of this scope; name its scope, or load the type into one of yours"
            raise Mistakes([(one.full, text)])
        if row is None:
            row = StoredType(namespace_id=rows[one.namespace].id, kind=one.kind, name=one.name)
            session.add(row)
        row.body, row.digest, row.updated_at = one.body(), one.digest, now()


def users_of(known: Dictionary, gone: Iterable[Type]) -> list[Type]:
    """The types that need one of `gone` and would stay, by name."""
    leaving = {(one.kind, one.full) for one in gone}
    staying = Dictionary([one for key, one in known.types.items() if key not in leaving], known.namespaces.values())
    users = (one for one in staying.types.values() if one.derived_from and _lost(one, known, staying))
    return sorted(users, key=lambda one: (one.full, one.kind))


def _lost(one: Type, known: Dictionary, staying: Dictionary) -> bool:
    return len(known.ancestry(one)) != len(staying.ancestry(one))
