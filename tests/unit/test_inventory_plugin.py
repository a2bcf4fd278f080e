"""What Ansible sees of a cloud.yml, and what a person sees of a wrong one."""

import json

SHOW = """
- hosts: nodes
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{ {'vars': hostvars['ctl1'], 'groups': groups} | to_json }}"
        dest: "{{ target }}"
        mode: "0600"
"""


def seen(ansible):
    target = ansible.directory / "seen.json"
    ansible.run(SHOW, "-e", f"target={target}")
    return json.loads(target.read_text())


def test_node_groups_and_variables(ansible):
    shown = seen(ansible)
    variables = shown["vars"]
    assert {name: hosts for name, hosts in shown["groups"].items() if hosts} == {
        name: ["ctl1"] for name in ("all", "nodes", "control", "network", "compute")
    }
    assert variables["ansible_host"] == "192.0.2.11"
    assert variables["ansible_connection"] == "local"
    assert variables["cloudos_cloud"] == "toy"
    assert variables["cloudos_release"] == "2026.1"
    assert variables["cloudos_inventory"] == str(ansible.inventory / "cloud.yml")
    assert variables["cloudos_networks"]["external"]["bridge"] == "br-ex"


def test_lab_nodes_are_reached_with_the_key_of_the_lab(ansible):
    file = ansible.inventory / "cloud.yml"
    file.write_text(file.read_text() + "lab: {bridge: cloudos0, gateway: 192.0.2.1}\n")
    variables = seen(ansible)["vars"]
    assert variables["ansible_user"] == "root"
    assert variables["ansible_ssh_private_key_file"] == str(ansible.home / "keys" / "lab")
    assert f"UserKnownHostsFile={ansible.cloud / 'known_hosts'}" in variables["ansible_ssh_common_args"]
    machine = {"machine": "container", "cores": 2, "memory": 4, "disks": {}}
    assert variables["cloudos_lab"]["nodes"]["ctl1"] == {"address": "192.0.2.11", **machine}


def test_every_mistake_is_told_and_nothing_runs(ansible):
    file = ansible.inventory / "cloud.yml"
    file.write_text(file.read_text().replace("cloud: toy", "cloud: TOY").replace("services:", "servces:"))
    done = ansible.run(SHOW, "-e", f"target={ansible.directory / 'seen.json'}")
    assert done.returncode != 0
    assert "cloud.yml:2" in done.stdout
    assert "servces" in done.stdout
    assert not (ansible.directory / "seen.json").exists()
    assert not ansible.home.exists()
