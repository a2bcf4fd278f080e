"""Secrets of a cloud: made on first use, kept in one Ansible Vault file, handed out by name.

`CLOUDOS_HOME/clouds/<cloud>/secrets.yml` holds a flat mapping name -> text, encrypted with the password in
`CLOUDOS_HOME/vault-password` (made on first use) or in `ANSIBLE_VAULT_PASSWORD_FILE`. How certificates are made is
in `cloudos.pki`; where files are, in `cloudos.home`. Nothing here prints or logs a value.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import secrets as random
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, get_file_vault_secret

from cloudos import home, pki

CA, CA_KEY = "pki/ca.crt", "pki/ca.key"
RANDOM = {
    "password": lambda: random.token_urlsafe(24),  # 32 characters
    "hex32": lambda: random.token_hex(16),  # 32 hexadecimal digits
    # The first of a list, newest first, one a line: a rotation puts a key before it (Store.rotate).
    "fernet": lambda: base64.urlsafe_b64encode(random.token_bytes(32)).decode(),
    # Ceph's: type 1 (AES), when it was made (two numbers, here none), the length, and the key itself.
    "cephx": lambda: base64.b64encode(struct.pack("<hiih", 1, 0, 0, 16) + random.token_bytes(16)).decode(),
}


class SecretsError(Exception):
    """The secrets cannot be read, written or made; the text names the file or secret and the next step."""


class Store:
    """The secrets of one cloud.

    `specs` everywhere are those of `plan["secrets"]`: `{name, kind}` with kind password, hex32, fernet, cephx, ca or
    certificate; a certificate also has `node` (its common name) and `sans` (host names and addresses), and its key is
    stored beside it with the suffix `.key`.
    """

    def __init__(self, cloud: str):
        self.path = home.cloud(cloud) / "secrets.yml"

    def ensure(self, specs: Iterable[Mapping], now: datetime.datetime) -> list[str]:
        """Generate what is missing or must be renewed; return the sorted names of what changed.

        `now` is timezone-aware UTC. The file is replaced in one step, so that a kill at any moment leaves either the
        old or the new secrets. Raises SecretsError.
        """
        with home.locked(self.path.with_suffix(".lock")):
            values = self._read()
            changed = generate(values, specs, now)
            if changed:
                home.write(self.path, self._encrypt(values), 0o600)
        return changed

    def preview(self, specs: Iterable[Mapping], now: datetime.datetime) -> tuple[list[str], dict[str, str]]:
        """What `ensure` would change, and all values as they could be then; nothing is written."""
        values = self._read()
        changed = generate(values, specs, now)
        return changed, _public(values)

    def rotate(self, names: Iterable[str], check: bool = False) -> list[str]:
        """Put a new key before the only one of each of these secrets of kind fernet; return the names of those it did that to.

        One that has several keys is under way already: it stays as it is. check: nothing is written. Raises SecretsError.
        """
        return self._keys(names, lambda keys: [RANDOM["fernet"](), *keys] if len(keys) == 1 else keys, check)

    def retire(self, names: Iterable[str], check: bool = False) -> list[str]:
        """Forget all keys but the newest one of each of these secrets; the rest as rotate()."""
        return self._keys(names, lambda keys: keys[:1], check)

    def _keys(self, names: Iterable[str], change: Callable[[list[str]], list[str]], check: bool) -> list[str]:
        with home.locked(self.path.with_suffix(".lock")):
            values = self._read()
            before = pick(_public(values), names, self.path)
            after = {name: "\n".join(change(value.split())) for name, value in before.items()}
            changed = [name for name in before if after[name] != before[name]]
            if changed and not check:
                home.write(self.path, self._encrypt({**values, **after}), 0o600)
        return changed

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Name -> value of `names`. Raises SecretsError for one that does not exist or never leaves the file."""
        return pick(_public(self._read()), names, self.path)

    def masks(self) -> dict[str, str]:
        """Line -> name of everything that must not be shown, the CA's key included; to hide it in what is recorded."""
        secret = {name: value for name, value in self._read().items() if not name.endswith(".crt")}
        lines = {line: name for name, value in secret.items() for line in value.splitlines()}
        return {line: name for line, name in lines.items() if not line.startswith("-----")}

    def _read(self) -> dict[str, str]:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            return json.loads(_vault(create=False).decrypt(text))
        except (AnsibleError, ValueError) as error:
            raise SecretsError(
                f"{self.path} cannot be decrypted with {password_file()}: {error}. "
                "Put the password that it was made with there, or name its file in ANSIBLE_VAULT_PASSWORD_FILE."
            ) from error

    def _encrypt(self, values: Mapping[str, str]) -> bytes:
        return _vault(create=not self.path.exists()).encrypt(json.dumps(values, indent=1, sort_keys=True))


def generate(values: dict[str, str], specs: Iterable[Mapping], now: datetime.datetime) -> list[str]:
    """Complete `values` in place; return the sorted names of what was made. The CA comes before certificates."""
    changed: set[str] = set()
    for spec in sorted(specs, key=lambda spec: spec["kind"] == "certificate"):
        changed.update(_made(values, spec, now))
    return sorted(changed)


def pick(values: Mapping[str, str], names: Iterable[str], path: Path) -> dict[str, str]:
    """The `names` out of `values`; raises SecretsError naming all that are not there."""
    names = sorted(set(names))
    missing = [name for name in names if name not in values]
    if missing:
        raise SecretsError(f"{path} has no secret {', '.join(missing)}. The site playbook makes what the plan names.")
    return {name: values[name] for name in names}


def password_file() -> Path:
    """The file (or executable) with the vault password."""
    named = os.environ.get("ANSIBLE_VAULT_PASSWORD_FILE")
    return Path(named).expanduser() if named else home.root() / "vault-password"


def _made(values: dict[str, str], spec: Mapping, now: datetime.datetime) -> list[str]:
    name, kind = spec["name"], spec["kind"]
    if kind in RANDOM:
        if name in values:
            return []
        values[name] = RANDOM[kind]()
        return [name]
    if kind == "ca":
        if pki.ca_is_good(values.get(CA), now):
            return []
        values[CA], values[CA_KEY] = pki.make_ca(now)
        return [CA]
    if kind == "certificate":
        key = name.removesuffix(".crt") + ".key"
        if CA not in values:
            raise SecretsError(f"{name} cannot be signed: the plan names no secret {CA} of kind ca.")
        if key in values and pki.certificate_is_good(values.get(name), values[CA], spec["sans"], now):
            return []
        values[name], values[key] = pki.make_certificate(spec["node"], spec["sans"], values[CA], values[CA_KEY], now)
        return [name, key]
    raise SecretsError(f"{name}: {kind} is not a kind of secret; there are {', '.join(RANDOM)}, ca and certificate.")


def _public(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name != CA_KEY}


def _vault(create: bool) -> VaultLib:
    path = password_file()
    if create and not path.exists() and "ANSIBLE_VAULT_PASSWORD_FILE" not in os.environ:
        home.write_once(path, random.token_urlsafe(32).encode() + b"\n", 0o600)
    secret = get_file_vault_secret(filename=str(path), loader=DataLoader())
    secret.load()
    return VaultLib([("default", secret)])
