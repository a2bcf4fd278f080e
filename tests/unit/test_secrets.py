"""Secrets are made once, renewed in time, encrypted, and survive being killed."""

import base64
import datetime
import os
import signal
import subprocess
import sys
import time

import pytest
from cryptography import x509
from cryptography.fernet import Fernet

from cloudos.secrets import SecretsError, Store

NOW = datetime.datetime(2026, 7, 1, tzinfo=datetime.UTC)
CA = {"name": "pki/ca.crt", "kind": "ca"}
NODE = {"name": "pki/ctl1.crt", "kind": "certificate", "node": "ctl1", "sans": ["ctl1", "192.0.2.11"]}
RANDOM = [
    {"name": "database/nova", "kind": "password"},
    {"name": "service/nova/metadata", "kind": "hex32"},
    {"name": "service/keystone/fernet", "kind": "fernet"},
    {"name": "service/cinder/ceph", "kind": "cephx"},
]
EVERYTHING = [NODE, *RANDOM, CA]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUDOS_HOME", str(tmp_path))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    return Store("toy")


def days(number):
    return NOW + datetime.timedelta(days=number)


def test_makes_what_is_missing_once(store):
    assert store.ensure(EVERYTHING, NOW) == sorted([spec["name"] for spec in EVERYTHING] + ["pki/ctl1.key"])
    before = store.values([spec["name"] for spec in EVERYTHING])
    assert store.ensure(EVERYTHING, NOW) == []
    assert store.values(before) == before


def test_shapes(store):
    store.ensure(RANDOM, NOW)
    password, hexadecimal, fernet, cephx = (store.values([spec["name"]])[spec["name"]] for spec in RANDOM)
    assert len(password) == 32
    assert len(bytes.fromhex(hexadecimal)) == 16
    Fernet(fernet.encode())
    assert (len(base64.b64decode(cephx)), base64.b64decode(cephx)[10:12]) == (28, b"\x10\0")


def test_certificate_is_signed_for_its_names(store):
    store.ensure(EVERYTHING, NOW)
    authority, certificate = (
        x509.load_pem_x509_certificate(store.values([name])[name].encode()) for name in ("pki/ca.crt", "pki/ctl1.crt")
    )
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ctl1"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.11"]


@pytest.mark.parametrize(
    ("specs", "now", "renewed"),
    [
        ([CA, NODE], days(334), []),
        ([CA, NODE], days(336), ["pki/ctl1.crt", "pki/ctl1.key"]),
        ([CA, {**NODE, "sans": ["ctl1", "192.0.2.12"]}], NOW, ["pki/ctl1.crt", "pki/ctl1.key"]),
        ([CA, NODE], days(3650), ["pki/ca.crt", "pki/ctl1.crt", "pki/ctl1.key"]),
    ],
    ids=["31 days left", "29 days left", "other names", "CA expires"],
)
def test_renews(store, specs, now, renewed):
    store.ensure([CA, NODE], NOW)
    assert store.ensure(specs, now) == renewed
    assert store.ensure(specs, now) == []


def test_key_of_the_ca_never_leaves(store):
    store.ensure([CA], NOW)
    with pytest.raises(SecretsError, match=r"no secret pki/ca\.key"):
        store.values(["pki/ca.key"])
    assert "pki/ca.key" not in store.preview([CA], NOW)[1]


def test_file_is_encrypted_and_private(store, tmp_path):
    store.ensure(RANDOM, NOW)
    text = store.path.read_text()
    assert text.startswith("$ANSIBLE_VAULT;1.1;AES256")
    assert [path.stat().st_mode & 0o777 for path in (store.path, tmp_path / "vault-password")] == [0o600, 0o600]
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    values = store.values(spec["name"] for spec in RANDOM).values()
    assert not [value for value in values for file in files if value in file]


def test_preview_writes_nothing(store, tmp_path):
    changed, values = store.preview(EVERYTHING, NOW)
    assert "pki/ctl1.key" in changed
    assert len(values["database/nova"]) == 32
    assert list(tmp_path.iterdir()) == []


def test_password_file_of_ansible(store, tmp_path, monkeypatch):
    named = tmp_path / "mine"
    named.write_text("correct horse\n")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(named))
    store.ensure(RANDOM, NOW)
    assert not (tmp_path / "vault-password").exists()
    named.write_text("another\n")
    with pytest.raises(SecretsError, match=r"cannot be decrypted with .*mine"):
        store.values(["database/nova"])


def test_lost_password_is_told_and_not_replaced(store, tmp_path):
    store.ensure(RANDOM, NOW)
    (tmp_path / "vault-password").unlink()
    with pytest.raises(SecretsError, match="cannot be decrypted"):
        store.ensure(EVERYTHING, NOW)
    assert not (tmp_path / "vault-password").exists()


@pytest.mark.parametrize("spec", [{"name": "x", "kind": "poem"}, NODE], ids=["unknown kind", "no CA"])
def test_specs_that_cannot_be(store, spec):
    with pytest.raises(SecretsError, match=spec["name"]):
        store.ensure([spec], NOW)


def test_killed_at_any_moment(store):
    """Ten kills at random moments of endless renewal: always readable, and the password of the first moment stays."""
    store.ensure(EVERYTHING, NOW)
    known = store.values(["database/nova"])
    program = (
        "import datetime; from cloudos.secrets import Store; from tests_specs import EVERYTHING, NOW\n"
        "for year in range(3000): Store('toy').ensure(EVERYTHING, NOW + datetime.timedelta(days=360 * year))"
    )
    specs = f"import datetime\nNOW = {NOW!r}\nEVERYTHING = {EVERYTHING!r}\n"
    (store.path.parent / "tests_specs.py").write_text(specs)
    for attempt in range(10):
        environment = {**os.environ, "PYTHONPATH": f"{os.getcwd()}:{store.path.parent}"}
        process = subprocess.Popen([sys.executable, "-c", program], env=environment)
        time.sleep(0.4 + attempt * 0.037)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert store.values(["database/nova"]) == known
        assert len(store.values(["pki/ctl1.crt", "pki/ctl1.key"])) == 2


def test_keys_rotate_and_retire(store):
    names = ["service/keystone/fernet"]
    store.ensure(RANDOM, NOW)
    before = store.values(spec["name"] for spec in RANDOM)
    assert store.rotate(names, check=True) == names and store.values(names)[names[0]] == before[names[0]]
    assert store.rotate(names) == names
    new, old = store.values(names)[names[0]].split("\n")
    assert old == before[names[0]] and Fernet(new.encode())
    assert store.rotate(names) == [], "a rotation that was not finished is not begun anew"
    assert store.ensure(RANDOM, NOW) == [], "the next run keeps both"
    assert store.masks()[new] == store.masks()[old] == names[0]
    assert store.retire(names, check=True) == store.retire(names) == names
    assert store.retire(names) == []
    assert store.values(before) == {**before, names[0]: new}
    with pytest.raises(SecretsError, match="no secret service/none"):
        store.rotate(["service/none"])
