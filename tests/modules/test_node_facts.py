"""What node_facts tells of this machine, and of machines that are only directories."""

import platform
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.cloudos.cloud.plugins.module_utils import node


@pytest.fixture
def kernel(tmp_path):
    """A machine whose kernel has openvswitch as a file, dm_mod built in and tun loaded."""
    directory = tmp_path / "modules" / platform.release()
    directory.mkdir(parents=True)
    (directory / "modules.dep").write_text("kernel/net/openvswitch/openvswitch.ko.xz: kernel/net/nsh/nsh.ko.xz\n")
    (directory / "modules.builtin").write_text("kernel/drivers/md/dm-mod.ko\n")
    (tmp_path / "loaded" / "tun").mkdir(parents=True)
    return {"modules": tmp_path / "modules", "loaded": tmp_path / "loaded"}


def test_kernel_modules(kernel):
    found = node.kernel_modules(["openvswitch", "dm_mod", "tun", "vxlan"], **kernel)
    assert found == {"openvswitch": True, "dm_mod": True, "tun": True, "vxlan": False}


def test_kernel_of_a_container_has_what_is_loaded(kernel, tmp_path):
    found = node.kernel_modules(["openvswitch", "tun"], modules=tmp_path / "none", loaded=kernel["loaded"])
    assert found == {"openvswitch": False, "tun": True}


def test_interfaces_and_memory_of_this_machine():
    for entry in node.interfaces().values():
        assert set(entry) == {"mac", "mtu", "addresses"}
    assert 0 < node.memory_mb() <= int(Path("/proc/meminfo").read_text().split()[1]) // 1024


@pytest.mark.parametrize(
    ("states", "expected"),
    [("active\ninactive\n", "systemd-timesyncd"), ("inactive\nactive\n", "ntpsec"), ("", "none")],
)
def test_clock_is_kept_by_the_service_that_is_active(monkeypatch, states, expected):
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    assert node.clock_service(run=lambda *args, **options: SimpleNamespace(stdout=states)) == expected


PLAYBOOK = """
- hosts: nodes
  gather_facts: false
  tasks:
    - cloudos.cloud.node_facts:
      environment: {PATH: /usr/sbin:/sbin:/bin}
    - ansible.builtin.assert:
        that:
          - cloudos_facts.cores > 0
          - cloudos_facts.os.id is string
          - cloudos_facts.kernel.openvswitch is boolean
          - cloudos_facts.kvm in ['absent', 'untested', 'works', 'broken']
          - cloudos_facts.init is string
"""


def test_module_under_ansible(ansible):
    done = ansible.run(PLAYBOOK, "--check")
    assert done.returncode == 0, done.stdout
