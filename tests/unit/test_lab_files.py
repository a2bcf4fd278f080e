"""What makes a node of a cloud: the texts written into it, the rules around it, and the command that boots it."""

import json
import os
from dataclasses import replace
from xml.etree import ElementTree

from ansible_collections.cloudos.cloud.plugins.module_utils.lab import loops, network
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.files import Site, known_hosts, node_files
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.hypervisor import Hypervisor
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.node import Node, recorded
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.virtual import VirtualNode

SITE = Site(cloud="aio", bridge="lab0", gateway="192.0.2.1", cidr="192.0.2.0/24", mtu=1400, search=("example",),
            resolvers=("198.51.100.53",), nodes={"ctl1": "192.0.2.11", "cmp1": "192.0.2.12"}, external="203.0.113.0/24",
            external_node="ctl1")


def test_a_node_has_its_address_route_and_mtu():
    text = node_files(SITE, "cmp1", "key")["etc/systemd/network/10-lab.network"]
    assert {"Address=192.0.2.12/24", "Gateway=192.0.2.1", "MTUBytes=1400"} <= set(text.splitlines())


def test_names_resolve_to_management_addresses():
    files = node_files(SITE, "ctl1", "key")
    assert "192.0.2.11 ctl1\n192.0.2.12 cmp1\n" in files["etc/hosts"]
    assert files["etc/hostname"] == "ctl1\n"
    assert files["etc/resolv.conf"] == "search example\nnameserver 198.51.100.53\n"


def test_a_node_downloads_into_a_place_of_its_own():
    assert "/nodes/aio-ctl1/" in node_files(SITE, "ctl1", "key")["etc/apt/apt.conf.d/95lab-cache"]


def test_known_hosts_replaces_removes_and_keeps():
    lines = ["192.0.2.11 ssh-ed25519 OLD", "192.0.2.12 ssh-ed25519 GONE", "198.51.100.1 ssh-rsa OTHER"]
    keys = {"192.0.2.11": "ssh-ed25519 NEW comment", "192.0.2.12": None}
    assert known_hosts(lines, keys) == ["198.51.100.1 ssh-rsa OTHER", "192.0.2.11 ssh-ed25519 NEW"]


def test_everything_behind_the_bridge_is_masqueraded():
    rules = network.ruleset(SITE)
    assert 'ip saddr { 192.0.2.0/24, 203.0.113.0/24 } oifname != "lab0" masquerade' in rules
    assert "dnat" not in rules


def test_a_resolver_on_loopback_is_reached_through_the_gateway():
    rules = network.ruleset(SITE, loopback="127.0.0.53")
    assert "ip daddr 192.0.2.1 meta l4proto { tcp, udp } th dport 53 dnat to 127.0.0.53" in rules
    assert "ip daddr 127.0.0.53 snat to 127.0.0.1" in rules


def test_resolvers_that_nodes_cannot_ask_are_left_out():
    text = "# comment\nnameserver 127.0.0.53\nnameserver 2001:db8::53\nnameserver 198.51.100.53\nsearch example .\n"
    assert network.resolvers(text) == (("198.51.100.53",), ("example",))
    assert network.resolvers("nameserver 127.0.0.1\n") == ((), ())


def test_the_wanted_network():
    assert network.wanted(SITE)["bridge"] == {"name": "lab0", "address": "192.0.2.1/24", "mtu": 1400, "up": True}
    assert network.wanted(SITE)["route"] == {"to": "203.0.113.0/24", "via": "192.0.2.11"}


def test_the_command_marks_the_machine(tmp_path):
    node = Node(tmp_path, SITE, "ctl1")
    command = node.command()
    assert f"--directory={tmp_path}/lab/aio/ctl1/root" in command
    assert "--machine=aio-ctl1" in command and "--network-bridge=lab0" in command
    assert all(os.path.exists(word.removeprefix("--bind=")) for word in command if word.startswith("--bind=/dev/"))


def test_packages_are_shared_by_links(tmp_path):
    pool = tmp_path / "cache/apt/archives"
    pool.mkdir(parents=True)
    (pool / "hello_1_all.deb").write_text("package")
    (pool / "lock").write_text("")
    node = Node(tmp_path, SITE, "ctl1")
    node.share_packages()
    node.share_packages()
    assert [path.name for path in node.cache.iterdir()] == ["hello_1_all.deb"]
    assert (node.cache / "hello_1_all.deb").samefile(pool / "hello_1_all.deb")


def test_half_made_nodes_are_recorded_without_facts(tmp_path):
    (tmp_path / "lab/aio/ctl1").mkdir(parents=True)
    (tmp_path / "lab/aio/cmp1").mkdir()
    (tmp_path / "lab/aio/cmp1/node.json").write_text(json.dumps({"bridge": "lab0"}))
    assert recorded(tmp_path, "aio") == [("aio", "cmp1", {"bridge": "lab0"}), ("aio", "ctl1", {})]
    assert recorded(tmp_path, "other") == []


def test_loop_devices_stay_while_a_node_of_any_lab_has_them(tmp_path):
    process = tmp_path / "42"
    process.mkdir()
    (process / "mountinfo").write_text("500 480 0:6 /sda /dev/sda rw - devtmpfs dev rw\n")
    assert not loops.bound(tmp_path)
    (process / "mountinfo").write_text("501 480 0:6 /loop7 /dev/loop7 rw,nosuid - devtmpfs dev rw\n")
    assert loops.bound(tmp_path)


def virtual(home):
    """A node that is a virtual machine, made, with a disk."""
    machine = {"cores": 2, "memory": 3, "disks": {"d1": 8}}
    node = VirtualNode(home, replace(SITE, virtual={"cmp1": machine}), "cmp1")
    node.directory.mkdir(parents=True)
    node.note(hardware=machine)
    return node


def test_a_virtual_machine_has_its_kernel_disks_and_bridge(tmp_path, monkeypatch):
    monkeypatch.setattr("ansible_collections.cloudos.cloud.plugins.module_utils.kvm_probe.kvm_works", lambda: (False, ""))
    domain = ElementTree.fromstring(virtual(tmp_path).domain())
    assert (domain.get("type"), domain.find("cpu").get("mode")) == ("qemu", "maximum")
    assert domain.findtext("os/kernel") == f"{tmp_path}/lab/aio/cmp1/vmlinuz"
    assert (domain.findtext("vcpu"), domain.findtext("memory"), domain.find("memory").get("unit")) == ("2", "3", "GiB")
    disks = [(disk.find("source").get("file"), disk.findtext("serial")) for disk in domain.iter("disk")]
    assert disks == [(f"{tmp_path}/lab/aio/cmp1/system.img", None), (f"{tmp_path}/lab/aio/cmp1/d1.img", "d1")]
    assert domain.find("devices/interface/source").get("bridge") == "lab0"


def test_where_kvm_works_it_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr("ansible_collections.cloudos.cloud.plugins.module_utils.kvm_probe.kvm_works", lambda: (True, ""))
    domain = virtual(tmp_path).domain()
    assert 'type="kvm"' in domain and "host-passthrough" in domain


def test_disks_of_a_virtual_machine_grow_and_never_shrink(tmp_path):
    node = virtual(tmp_path)
    disk = node.directory / "d1.img"
    node._disks()
    assert (disk.stat().st_size, disk.stat().st_blocks) == (8 << 30, 0)
    node.site.virtual["cmp1"]["disks"]["d1"] = 4
    node._disks()
    assert disk.stat().st_size == 8 << 30


def test_the_interface_of_a_virtual_machine(tmp_path):
    assert "Name=eth0" in node_files(virtual(tmp_path).site, "cmp1", "key")["etc/systemd/network/10-lab.network"]
    assert "Name=host0" in node_files(SITE, "cmp1", "key")["etc/systemd/network/10-lab.network"]


def test_the_daemon_of_virtual_machines_keeps_to_itself(tmp_path):
    hypervisor = Hypervisor(tmp_path)
    assert hypervisor.processes() == [] and hypervisor.domain("aio-cmp1") is None
    assert not hypervisor.directory.exists(), "a look starts nothing"
    hypervisor.end()
