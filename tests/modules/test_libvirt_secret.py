"""Module libvirt_secret against a virsh that keeps secrets in a directory and answers as libvirt 9.0 does."""

import json

import pytest
from kit import Story, run_module, twelve_cases

UUID = "457eb676-33da-42ec-9a8c-9293d545c337"
KEY = "AQAAAAAAAAAAABAAo2dYeUp7l6xLXqLnT0vVXA=="
VIRSH = """#!/bin/sh
shift 3  # --quiet --connect URI
echo "$*" >> {work}/asked
[ -e {work}/down ] && echo "error: failed to connect to the hypervisor" >&2 && exit 1
secret={work}/secret
case $1 in
secret-define) cp "$2" $secret;;
secret-undefine) rm -f $secret $secret.value;;
secret-set-value) cat "$4" > $secret.value;;
secret-dumpxml) [ -e $secret ] && cat $secret || {{
  echo "error: failed to get secret '$2'" >&2; echo "error: Secret not found: no secret with matching uuid" >&2; exit 1; }};;
secret-get-value) [ -e $secret.value ] && cat $secret.value || {{
  echo "error: Requested operation is not valid: secret '$2' does not have a value" >&2; exit 1; }};;
esac
"""


@pytest.fixture
def libvirt(tmp_path, monkeypatch):
    (tmp_path / "virsh").write_text(VIRSH.format(work=tmp_path))
    (tmp_path / "virsh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def arguments(value=KEY, **changes):
    given = {"uuid": UUID, "name": "client.cinder", "value": "${secret:service/cinder/ceph}"}
    return {**given, "secrets": {"service/cinder/ceph": value}, **changes}


def state(libvirt):
    return {file.name: file.read_text() for file in libvirt.glob("secret*")}


def test_twelve_cases(libvirt):
    remove = {"uuid": UUID, "state": "absent"}
    change = arguments(name="client.nova")
    twelve_cases(Story("libvirt_secret", arguments(), change, remove, state=lambda: state(libvirt)))


def test_a_new_value_replaces_the_old_one_and_neither_is_shown(libvirt):
    run_module("libvirt_secret", **arguments())
    told = run_module("libvirt_secret", **arguments(value=KEY.replace("A", "B")))
    assert told["diff"][0]["before"] == "(another)"
    assert (libvirt / "secret.value").read_text() == KEY.replace("A", "B")
    assert KEY not in json.dumps(told)
    assert KEY not in (libvirt / "asked").read_text(), "a value goes through the pipe, not into arguments"


def test_a_secret_without_a_value_gets_it(libvirt):
    run_module("libvirt_secret", **arguments())
    (libvirt / "secret.value").unlink()
    assert run_module("libvirt_secret", **arguments())["changed"]
    assert (libvirt / "secret.value").read_text() == KEY


def test_a_libvirt_that_does_not_answer_is_told_and_only_foreseen_in_check_mode(libvirt):
    (libvirt / "down").touch()
    told = run_module("libvirt_secret", **arguments())
    assert "failed to connect to the hypervisor" in told["msg"]
    assert told["failure"]["unit"] == "libvirtd.service"
    assert run_module("libvirt_secret", check=True, **arguments())["changed"]


def test_a_node_without_libvirt_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install libvirt-clients" in run_module("libvirt_secret", **arguments())["msg"]
    assert run_module("libvirt_secret", check=True, **arguments())["changed"]


def test_a_present_secret_needs_a_value():
    assert "value" in run_module("libvirt_secret", uuid=UUID, name="client.cinder")["msg"]
