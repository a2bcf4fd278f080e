"""Credentials at rest: encrypted with keys out of a file, one a line, the first of which is used for what is new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from cloudos import home


class VaultError(Exception):
    """Credentials cannot be encrypted or read; the text names the file and the next step."""


class Vault:
    """Encrypts and decrypts with the keys of a file."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def seal(self, secret: dict[str, Any]) -> bytes:
        """Encrypt with the first key. Raises VaultError."""
        return self._keys().encrypt(json.dumps(secret, sort_keys=True).encode())

    def open(self, sealed: bytes) -> dict[str, Any]:
        """Decrypt with whichever key fits. Raises VaultError."""
        try:
            return json.loads(self._keys().decrypt(sealed))
        except InvalidToken:
            raise VaultError(
                f"No key of {self.path} opens these credentials; put the old key back on a line below the first one."
            ) from None

    def renew(self, sealed: bytes) -> bytes:
        """The same secret under the first key. Raises VaultError."""
        try:
            return self._keys().rotate(sealed)
        except InvalidToken:
            raise VaultError(
                f"No key of {self.path} opens these credentials; put the old key back on a line below the first one."
            ) from None

    def add_key(self) -> None:
        """Put a new key in front; the old ones stay, until `renew` was asked for everything. Makes the file where there is none."""
        with home.locked(self.path.with_name(f".{self.path.name}.lock")):
            old = self.path.read_bytes() if self.path.exists() else b""
            home.write(self.path, Fernet.generate_key() + b"\n" + old, 0o600)

    def drop_old_keys(self) -> int:
        """Keep the first key only; returns how many went."""
        with home.locked(self.path.with_name(f".{self.path.name}.lock")):
            first, *rest = self.path.read_bytes().split()
            home.write(self.path, first + b"\n", 0o600)
        return len(rest)

    def _keys(self) -> MultiFernet:
        try:
            return MultiFernet([Fernet(line) for line in self.path.read_bytes().split()])
        except FileNotFoundError:
            raise VaultError(f"There is no key file {self.path}; `cloudos graffiti rotate-keys` makes it.") from None
        except ValueError as error:
            raise VaultError(f"{self.path} holds no Fernet keys, one a line ({error}); restore it from the backup.") from error
