"""Keys that the plan keeps, rotated the whole way: the cloud's secrets, two controllers with one database, and the commands there."""

import datetime

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from cryptography.fernet import Fernet

from cloudos import pki
from cloudos.eden import vault as vaults
from cloudos.eden.vault import Vault, VaultError
from cloudos.eve import manage as eve_manage
from cloudos.eve.jobs import vault as eve_vault
from cloudos.eve.models import Kept, Topology
from cloudos.eve.service import SERVICE
from cloudos.secrets import Store
from tests.api import kit
from tests.api.test_eve_access import topology

SPEC = {"name": "service/eve/credentials", "kind": "fernet"}
NAMES = [SPEC["name"]]


class Controller:
    """One of the controllers: its key file, a process that began some time ago, and its commands."""

    def __init__(self, served, directory):
        self.served, self.file, self.conf = served, directory / "keys", directory
        directory.mkdir()

    def receives(self, keys):
        self.file.write_text(f"{keys}\n")

    def restarts(self):
        self.process = eve_vault.Vault(Vault(self.file))

    def writes(self, name, value):
        with self.served.app.runtime.db.session() as session:
            self.process.put(session, session.scalar(sa.select(Topology.id)), name, value)

    def reads(self, name):
        with self.served.app.runtime.db.session(reading=True) as session:
            return self.process.get(session, session.scalar(sa.select(Topology.id)), name)

    def does(self, *arguments):
        text = self.served.conf.read_text().replace("[vault]\n", "[vault]\n# ") + f"[vault]\nkey_file = {self.file}\n"
        (self.conf / "eve.conf").write_text(text)
        return CliRunner().invoke(eve_manage.main, ["--config-file", str(self.conf / "eve.conf"), *arguments])


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUDOS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    made = Store("toy")
    made.ensure([SPEC], datetime.datetime.now(datetime.UTC))
    return made


@pytest.fixture
def served(tmp_path, monkeypatch):
    options = {"run_directory": tmp_path, "data_directory": tmp_path}
    (tmp_path / "keys").write_bytes(Fernet.generate_key())
    yield from kit.serve(SERVICE, "cloudos.eve.service", tmp_path, monkeypatch, eve=options, vault={"key_file": tmp_path / "keys"})


@pytest.fixture
def controllers(served, store, tmp_path):
    """Two, with the keys of the plan; one has written a credential."""
    with served.app.runtime.db.session() as session:
        session.add(topology("private-project"))
    found = [Controller(served, tmp_path / name) for name in ("one", "two")]
    for one in found:
        one.receives(ring(store))
        one.restarts()
    found[0].writes("credential", {"id": "old"})
    return found


def ring(store):
    """The secret as the plan puts it into the files."""
    return store.values(NAMES)[SPEC["name"]]


def newest(store):
    return pki.fingerprint(ring(store).split()[0])


def test_a_rotation_from_the_secrets_to_the_last_value(controllers, store, served):
    one, two = controllers
    old = ring(store)
    assert store.rotate(NAMES) == NAMES and ring(store).split()[1:] == [old]
    for controller in controllers:  # the files are everywhere before anything restarts
        controller.receives(ring(store))
        assert controller.reads("credential") == {"id": "old"}
    one.restarts()
    one.writes("token", "new")
    assert two.reads("token") == "new", "a process that was not restarted reads what one that was has written"
    two.writes("key", "late")
    assert one.reads("key") == "late"
    assert one.does("check-keys").exit_code == 1
    assert "2 values are encrypted anew" in one.does("renew-keys").output
    two.writes("secrets", {"a": "b"})  # still with the old key, after the other one has renewed
    two.restarts()
    assert "1 values are encrypted anew" in two.does("renew-keys").output
    for controller in controllers:
        assert "0 values are encrypted anew" in controller.does("renew-keys").output
        assert controller.does("check-keys", "--newest", newest(store)).exit_code == 0
    assert store.retire(NAMES) == NAMES and len(ring(store).split()) == 1 and old not in ring(store)
    for controller in controllers:
        controller.receives(ring(store))
        controller.restarts()
        found = {name: controller.reads(name) for name in ("credential", "token", "key", "secrets")}
        assert found == {"credential": {"id": "old"}, "token": "new", "key": "late", "secrets": {"a": "b"}}
    assert store.retire(NAMES) == []
    with served.app.runtime.db.session(reading=True) as session, pytest.raises(VaultError, match="put the old key back"):
        (one.file.parent / "gone").write_text(old)
        Vault(one.file.parent / "gone").open(session.scalar(sa.select(Kept.data).where(Kept.name == "token")))


def test_old_keys_stay_while_they_are_needed(controllers, store):
    one, two = controllers
    store.rotate(NAMES)
    told = one.does("check-keys", "--newest", newest(store))
    assert told.exit_code == 1 and "the newest key is not here yet" in told.output and "site.yml" in told.output
    one.receives(ring(store))
    told = one.does("check-keys", "--newest", newest(store))
    assert told.exit_code == 1 and "1 values are encrypted with a key behind the first one" in told.output
    assert "eve-manage renew-keys" in told.output
    one.does("renew-keys")
    assert one.does("check-keys", "--newest", newest(store)).exit_code == 0
    assert two.does("check-keys", "--newest", newest(store)).exit_code == 1


def test_renewing_is_no_change_and_leaves_what_changes_meanwhile(controllers, store, served):
    one, two = controllers
    store.rotate(NAMES)
    one.receives(ring(store))
    sealed, vault = SERVICE.sealed, Vault(one.file)
    with served.app.runtime.db.session() as session:
        before = session.scalar(sa.select(Topology.edition))
        value = next(iter(vaults._values(session, sealed)))
    two.writes("credential", {"id": "meanwhile"})
    with served.app.runtime.db.session() as session, pytest.MonkeyPatch.context() as patched:
        patched.setattr(vaults, "_values", lambda *_: iter([value]))
        assert vaults.renew(session, vault, sealed) == 0
    assert two.reads("credential") == {"id": "meanwhile"}
    with served.app.runtime.db.session() as session:
        assert vaults.renew(session, vault, sealed) == 1 and session.scalar(sa.select(Topology.edition)) == before


def test_what_is_wrong_with_a_key_file_is_told(tmp_path):
    vault = Vault(tmp_path / "keys")
    with pytest.raises(VaultError, match=r"There is no key in .*new-key"):
        vault.seal({})
    (tmp_path / "keys").write_bytes(Fernet.generate_key()[:-4])
    with pytest.raises(VaultError, match="holds no Fernet keys"):
        Vault(tmp_path / "keys").newest()
    made = vaults.embedded(tmp_path / "own")
    assert made.open(made.seal({"a": 1})) == {"a": 1} and (tmp_path / "own").stat().st_mode & 0o777 == 0o600
    assert vaults.embedded(tmp_path / "own").newest() == made.newest()
