"""What Eve keeps encrypted of a topology: SSH keys, application credentials, tokens, secrets."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy.orm import Session

from cloudos.eden import vault
from cloudos.eve.models import Kept

KEY, CREDENTIAL, TOKEN, SECRETS = "key", "credential", "token", "secrets"
SEALED = vault.Sealed("credential-keys", ((Kept.data, Kept.name.in_((KEY, CREDENTIAL, TOKEN, SECRETS))),))


class Vault:
    """JSON values of topologies, encrypted."""

    def __init__(self, keys: vault.Vault):
        self._vault = keys

    def put(self, session: Session, topology: str, name: str, value: Any) -> None:
        """Keep a JSON value of a topology. Raises VaultError."""
        session.merge(Kept(topology_id=topology, name=name, data=self._vault.seal(value)))

    def get(self, session: Session, topology: str, name: str) -> Any:
        """The value; None where there is none. Raises VaultError."""
        kept = session.get(Kept, (topology, name))
        return None if kept is None else self._vault.open(kept.data)


def private(path: Any, data: bytes) -> None:
    """Write a file that nobody else reads, and that was never readable by others."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
