"""The plan action under real ansible-playbook: compiled once, a part for each host, nothing kept by a check."""

import json

from cloudos.runs.plans import Plans

PLAYBOOK = """
- name: Plan
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Check
      cloudos.cloud.plan: {state: checked}
    - name: Look
      ansible.builtin.set_fact:
        cloudos_facts: {cores: 3, memory_mb: 9000}
        cacheable: true
    - name: Compile
      cloudos.cloud.plan: {state: compiled}
      register: compiled
    - name: Show
      ansible.builtin.copy:
        content: "{{ {'plan': plan, 'result': compiled, 'identity': plan_identity} | to_json }}"
        dest: "{{ inventory_dir }}/../{{ inventory_hostname }}.json"
        mode: "0600"
      check_mode: false
    - name: Apply
      cloudos.cloud.plan: {state: applied}
"""
SECOND = """  cmp1:
    address: 192.0.2.12
    groups: [compute]
    ansible: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
networks:
"""


def shown(ansible, host="ctl1"):
    return json.loads((ansible.directory / f"{host}.json").read_text())


def two_nodes(ansible):
    file = ansible.inventory / "cloud.yml"
    file.write_text(file.read_text().replace("networks:\n", SECOND))


def test_each_host_gets_its_part(ansible):
    two_nodes(ansible)
    done = ansible.run(PLAYBOOK)
    assert done.returncode == 0, done.stdout
    assert [shown(ansible, host)["plan"]["address"] for host in ("ctl1", "cmp1")] == ["192.0.2.11", "192.0.2.12"]
    assert shown(ansible)["plan"]["facts"]["cores"] == 3
    assert shown(ansible)["identity"]["services"]["keystone"]["type"] == "identity"
    assert sorted(shown(ansible, host)["result"]["changed"] for host in ("ctl1", "cmp1")) == [False, True]
    assert Plans("toy").last()["cloud"] == "toy"
    assert sorted(json.loads((ansible.cloud / "facts.json").read_text())) == ["cmp1", "ctl1"]


def test_second_time_nothing_changes(ansible):
    ansible.run(PLAYBOOK)
    ansible.run(PLAYBOOK)
    result = shown(ansible)["result"]
    assert (result["changed"], result["secrets_made"]) == (False, [])


def test_difference_from_the_last_applied(ansible):
    ansible.run(PLAYBOOK)
    file = ansible.inventory / "cloud.yml"
    file.write_text(file.read_text() + "overrides: {all: {keystone: {keystone.conf: {token: {expiration: 7200}}}}}\n")
    output = ansible.run(PLAYBOOK, "--diff").stdout
    assert "+++ ctl1: /etc/keystone/keystone.conf" in output
    assert "+expiration = 7200" in output


def test_check_keeps_nothing(ansible):
    done = ansible.run(PLAYBOOK, "--check")
    assert done.returncode == 0, done.stdout
    assert "database/keystone" in shown(ansible)["result"]["secrets_made"]
    left = {path.name for path in ansible.cloud.iterdir()}
    assert not left & {"secrets.yml", "plan.json", "plan.new.json", "facts.json", "lock"}
    assert not (ansible.home / "vault-password").exists()


def test_mistakes_are_told_once_for_all_hosts(ansible):
    two_nodes(ansible)
    file = ansible.inventory / "cloud.yml"
    file.write_text(file.read_text().replace("[keystone]", "[keystone, keystona]"))
    done = ansible.run(PLAYBOOK)
    assert done.returncode == 2
    assert "keystona" in done.stdout
    assert "The same as on" in done.stdout
    assert not (ansible.directory / "ctl1.json").exists()


def test_a_node_outside_of_the_run_is_known_from_earlier_ones(ansible):
    two_nodes(ansible)
    ansible.run(PLAYBOOK)
    done = ansible.run(PLAYBOOK, "--limit", "ctl1")
    assert done.returncode == 0, done.stdout
    facts = Plans("toy").last()["nodes"]["cmp1"]["facts"]
    assert facts == json.loads((ansible.cloud / "facts.json").read_text())["cmp1"]
