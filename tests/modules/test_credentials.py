"""The credentials task under real ansible-playbook: written once, for the owner alone, and nothing of it shown."""

import datetime

import yaml

from cloudos.secrets import Store

PLAYBOOK = """
- name: Credentials
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Write
      cloudos.cloud.credentials:
        region: RegionOne
        dashboard: "{{ told | default(false) }}"
        services:
          keystone: {type: identity, endpoints: {public: "https://192.0.2.11:5000/v3"}}
          nova: {type: compute, endpoints: {public: "https://192.0.2.11:8774/v2.1"}}
      register: written
    - name: Show
      ansible.builtin.debug:
        msg: "changed={{ written.changed }} {{ written.summary | join('|') }}"
"""


def cloud_with_secrets():
    specs = [{"name": "identity/admin", "kind": "password"}, {"name": "pki/ca.crt", "kind": "ca"}]
    Store("toy").ensure(specs, datetime.datetime.now(datetime.UTC))
    return Store("toy").values(["identity/admin", "pki/ca.crt"])


def test_they_are_written_once(ansible):
    secrets = cloud_with_secrets()
    for changed in (True, False):
        done = ansible.run(PLAYBOOK, "--diff", "-vv")
        assert done.returncode == 0, done.stdout
        assert f"changed={changed}" in done.stdout
        assert secrets["identity/admin"] not in done.stdout
    entry = yaml.safe_load((ansible.cloud / "clouds.yaml").read_text())["clouds"]["toy"]
    assert entry["auth"]["auth_url"] == "https://192.0.2.11:5000/v3"
    assert (entry["auth"]["username"], entry["auth"]["password"]) == ("admin", secrets["identity/admin"])
    assert entry["cacert"] == str(ansible.cloud / "ca.pem")
    assert (ansible.cloud / "ca.pem").read_text() == secrets["pki/ca.crt"]
    assert (ansible.cloud / "clouds.yaml").stat().st_mode & 0o777 == 0o600


def test_the_summary_tells_endpoints_and_how_to_log_in(ansible):
    cloud_with_secrets()
    shown = ansible.run(PLAYBOOK).stdout
    assert "compute      https://192.0.2.11:8774/v2.1" in shown
    assert f"OS_CLIENT_CONFIG_FILE={ansible.cloud / 'clouds.yaml'}" in shown
    assert "Dashboard" not in shown
    assert "Dashboard: https://192.0.2.11/" in ansible.run(PLAYBOOK, "-e", "{told: true}").stdout


def test_what_was_changed_by_hand_is_put_right(ansible):
    cloud_with_secrets()
    ansible.run(PLAYBOOK)
    right = (ansible.cloud / "clouds.yaml").read_text()
    (ansible.cloud / "clouds.yaml").write_text("clouds: {}\n")
    assert "changed=True" in ansible.run(PLAYBOOK).stdout
    assert (ansible.cloud / "clouds.yaml").read_text() == right


def test_check_foretells_and_writes_nothing(ansible):
    for secrets in (lambda: None, cloud_with_secrets):   # of a cloud that is not there yet, and of one that is
        secrets()
        assert "changed=True" in ansible.run(PLAYBOOK, "--check").stdout
        assert not (ansible.cloud / "clouds.yaml").exists() and not (ansible.cloud / "ca.pem").exists()
    ansible.run(PLAYBOOK)
    assert "changed=False" in ansible.run(PLAYBOOK, "--check").stdout


def test_without_secrets_it_fails(ansible):
    done = ansible.run(PLAYBOOK)
    assert done.returncode == 2 and "has no secret identity/admin" in done.stdout
