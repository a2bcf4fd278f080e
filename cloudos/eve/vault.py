"""What is encrypted at rest with the keys of [eve] credential_keys: SSH keys, application credentials, tokens, secrets of topologies."""

from __future__ import annotations

import json
import os
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from oslo_config import cfg
from sqlalchemy.orm import Session

from cloudos import home
from cloudos.eve.models import Kept

KEY, CREDENTIAL, TOKEN, SECRETS = "key", "credential", "token", "secrets"
SEALED = (KEY, CREDENTIAL, TOKEN, SECRETS)


class VaultError(Exception):
    """Nothing can be encrypted or read; the text names the option and the next step."""


class Vault:
    """Encrypts and decrypts with Fernet keys, of which the first is used for what is new."""

    def __init__(self, keys: list[str]):
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None
        except ValueError as error:
            raise VaultError(f"[eve] credential_keys has what is no Fernet key ({error}); `eve-manage make-key` prints one.") from error

    def put(self, session: Session, topology: str, name: str, value: Any) -> None:
        """Keep a JSON value of a topology, encrypted."""
        session.merge(Kept(topology_id=topology, name=name, data=self._keys().encrypt(json.dumps(value).encode())))

    def get(self, session: Session, topology: str, name: str) -> Any:
        """The value; None where there is none. Raises VaultError."""
        kept = session.get(Kept, (topology, name))
        return None if kept is None else json.loads(self._open(kept.data))

    def renew(self, session: Session) -> int:
        """Encrypt everything anew under the first key; returns how many."""
        found = list(session.query(Kept).where(Kept.name.in_(SEALED)))
        for kept in found:
            self._open(kept.data)
            kept.data = self._keys().rotate(kept.data)
        return len(found)

    def _open(self, data: bytes) -> bytes:
        try:
            return self._keys().decrypt(data)
        except InvalidToken:
            raise VaultError("No key of [eve] credential_keys opens it; put the old key back behind the first one.") from None

    def _keys(self) -> MultiFernet:
        if self._fernet is None:
            raise VaultError("[eve] credential_keys is empty; put in what `eve-manage make-key` prints, the same on all controllers.")
        return self._fernet


def vault_of(conf: cfg.ConfigOpts) -> Vault:
    """The service's vault; the embedded service makes a key of its own."""
    if conf.eve.credential_keys or conf.api.auth_strategy != "noauth":
        return Vault(conf.eve.credential_keys)
    path = home.root() / "eve" / "credential-key"
    if not path.exists():
        home.write_once(path, Fernet.generate_key())
    return Vault([path.read_text().strip()])


def private(path: Any, data: bytes) -> None:
    """Write a file that nobody else reads, and that was never readable by others."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
