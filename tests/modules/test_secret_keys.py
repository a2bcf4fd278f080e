"""The task secret_keys under real ansible-playbook: two states that can be asserted again, and no key shown."""

import datetime
import json

from cloudos.secrets import Store

PLAYBOOK = """
- name: Keys
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Assert
      cloudos.cloud.secret_keys:
        state: "{{ wanted | default('listed') }}"
        names: "{{ only | default('') | split(',') | select }}"
      register: found
    - name: Show
      ansible.builtin.debug:
        msg: >-
          changed={{ found.changed }} keys={{ found.rings | map(attribute='keys') | join('+') }}
          of={{ found.rings[0].service }}@{{ found.rings[0].nodes | join }}
"""
SPECS = [{"name": "service/eve/credentials", "kind": "fernet"}, {"name": "service/graffiti/pool-keys", "kind": "fernet"},
         {"name": "database/nova", "kind": "password"}]  # fmt: skip


def applied(ansible):
    Store("toy").ensure(SPECS, datetime.datetime.now(datetime.UTC))
    (ansible.cloud / "plan.json").write_text(json.dumps({"secrets": SPECS, "nodes": {"ctl1": {"files": {"eve": {}}}}}))


def told(ansible, *arguments):
    done = ansible.run(PLAYBOOK, "--diff", "-vv", *arguments)
    assert done.returncode == 0, done.stdout
    keys = [key for spec in SPECS for key in Store("toy").values([spec["name"]])[spec["name"]].split()]
    assert not [key for key in keys if key in done.stdout]
    return next(line for line in done.stdout.splitlines() if "changed=" in line and "keys=" in line)


def test_rotation_is_two_states(ansible):
    applied(ansible)
    password = Store("toy").values(["database/nova"])
    assert "changed=False keys=1+1 of=eve@ctl1" in told(ansible)
    assert "changed=True keys=1+1" in told(ansible, "-e", "wanted=rotated", "--check")
    assert "changed=True keys=2+2" in told(ansible, "-e", "wanted=rotated")
    assert "changed=False keys=2+2" in told(ansible, "-e", "wanted=rotated")
    assert "changed=True keys=1 of=graffiti" in told(ansible, "-e", "wanted=retired only=service/graffiti/pool-keys")
    assert "changed=True keys=1+1" in told(ansible, "-e", "wanted=retired")
    assert "changed=False keys=1+1" in told(ansible, "-e", "wanted=retired")
    assert Store("toy").values(["database/nova"]) == password


def test_refusals_say_what_there_is(ansible):
    ansible.cloud.mkdir(parents=True)
    assert "Nothing was applied to cloud toy yet" in ansible.run(PLAYBOOK).stdout
    applied(ansible)
    refused = ansible.run(PLAYBOOK, "-e", "wanted=rotated only=database/nova")
    assert refused.returncode == 2 and "database/nova: no keys of cloud toy; there are service/eve/credentials" in refused.stdout
