"""What is encrypted at rest: with Fernet keys out of a file, one a line, the first of which is used for what is new.

Keys come and go while processes run, on several nodes at once. So a process writes with the first key as it was when it
began, and reads with whatever the file has by now: what one that was restarted has written, one that was not can read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.orm import Session

from cloudos import home, pki


class VaultError(Exception):
    """Nothing can be encrypted or read; the text names the file and the next step."""


@dataclass(frozen=True)
class Sealed:
    """What a service keeps encrypted: the name of its key file in /etc/<service>, and its columns, each with a condition or None."""

    file: str
    columns: Sequence[tuple[Any, Any]]


class Vault:
    """Encrypts and decrypts JSON values with the keys of a file."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._first: list[str] = []
        # What cannot be read is told when it is needed; a process that needs no keys does without.
        with contextlib.suppress(VaultError, OSError):
            self._first = self._read()

    def seal(self, value: Any) -> bytes:
        """Encrypt. Raises VaultError."""
        return self._own().encrypt(json.dumps(value, sort_keys=True).encode())

    def open(self, sealed: bytes) -> Any:
        """Decrypt with whichever key fits. Raises VaultError."""
        for keys in (self._own, self._now):
            try:
                return json.loads(keys().decrypt(sealed))
            except InvalidToken:
                continue
        raise VaultError(f"No key of {self.path} opens this; put the old key back on a line below the first one.")

    def fresh(self, sealed: bytes) -> bool:
        """Whether it is encrypted with the first key."""
        try:
            self._fernet(self._keys()[:1]).decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def newest(self) -> str:
        """The fingerprint of the first key. Raises VaultError."""
        self._own()
        return pki.fingerprint(self._first[0])

    def _keys(self) -> list[str]:
        self._first = self._first or self._read()
        return self._first

    def _own(self) -> MultiFernet:
        return self._fernet(self._keys())

    def _now(self) -> MultiFernet:
        return self._fernet(self._read())

    def _fernet(self, keys: list[str]) -> MultiFernet:
        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise VaultError(f"{self.path} holds no Fernet keys, one a line ({error}); restore it from the backup.") from error

    def _read(self) -> list[str]:
        try:
            keys = self.path.read_text().split()
        except FileNotFoundError:
            keys = []
        if not keys:
            raise VaultError(f"There is no key in {self.path}; put there what the command new-key prints, the same on every node.")
        return keys


def embedded(path: Path) -> Vault:
    """The vault of a service that somebody runs for himself; it makes its own key."""
    if not path.exists():
        home.write_once(path, Fernet.generate_key() + b"\n")
    return Vault(path)


def renew(session: Session, vault: Vault, sealed: Sealed) -> int:
    """Encrypt anew what is not under the first key; returns how many. Raises VaultError.

    A value that somebody changes meanwhile is left to him, and no edition of a thing counts this as a change.
    """
    done = 0
    for column, key, value in _values(session, sealed):
        if not vault.fresh(value):
            anew = vault.seal(vault.open(value))
            done += session.execute(sa.update(column.table).where(*key, column == value).values({column: anew})).rowcount
    return done


def stale(session: Session, vault: Vault, sealed: Sealed) -> int:
    """How many values are not under the first key."""
    return sum(not vault.fresh(value) for _, _, value in _values(session, sealed))


def _values(session: Session, sealed: Sealed) -> Iterator[tuple[Any, list[Any], bytes]]:
    """(column of the table, conditions that name the row, value) of everything that is encrypted."""
    for attribute, condition in sealed.columns:
        table = attribute.class_.__table__
        column, keys = table.c[attribute.key], list(table.primary_key)
        statement = sa.select(column, *keys).where(column.is_not(None), *([] if condition is None else [condition]))
        for value, *found in session.execute(statement).all():
            yield column, [key == one for key, one in zip(keys, found, strict=True)], value
