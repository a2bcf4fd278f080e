#!/usr/bin/python
"""Gathers what compiling a plan must know about a node, in one cheap task."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from hashlib import sha256
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cloudos.cloud.plugins.module_utils import node
from ansible_collections.cloudos.cloud.plugins.module_utils.kvm_probe import SECTOR, kvm_works

DOCUMENTATION = r"""
module: node_facts
short_description: Tells what a node has and can
description:
  - Returns fact C(cloudos_facts) with what M(cloudos.cloud.plan) compiles from. Reads files; starts
    no package manager and no daemon.
  - Whether KVM works is found out by starting a guest once per boot, version of QEMU and of the trial, as C(/dev/kvm)
    may be there and not work.
options: {}
attributes:
  check_mode:
    support: full
    description: Gathers the same facts; the verdict about KVM is not remembered on the node.
  diff_mode:
    support: none
    description: Changes nothing.
author: [Cloud OS]
"""

EXAMPLES = r"""
- name: Look at the nodes
  cloudos.cloud.node_facts:
"""

RETURN = r"""
ansible_facts:
  description: One fact, C(cloudos_facts).
  returned: always
  type: dict
  contains:
    cloudos_facts:
      type: dict
      returned: always
      description:
        - C(cores), C(memory_mb), C(os) (id, version), C(python), C(interfaces) (name to mac, mtu,
          addresses with prefix length).
        - C(kernel), module name to whether it is loaded, built in or can be loaded.
        - C(loop), C(tun), whether the devices are there.
        - C(kvm), one of absent, untested, works, broken, with C(kvm_reason).
        - C(init), name of process 1; C(container), its kind or null.
        - C(clock), C(host) in a container, the name of another NTP service that keeps it, or C(none).
"""

KERNEL_MODULES = ("openvswitch", "vxlan", "geneve", "gre", "br_netfilter", "bridge", "nf_conntrack", "nf_tables",
                  "ip6_tables", "dm_mod", "dm_thin_pool", "loop", "squashfs", "overlay", "tun", "kvm",
                  "vhost_net", "nbd", "iscsi_tcp", "target_core_mod", "iscsi_target_mod", "nfs", "nfsd")  # fmt: skip
KVM_CACHE = Path("/var/lib/cloudos/kvm.json")


def facts(module):
    """The value of cloudos_facts."""
    container = node.container()
    kvm, reason = _kvm(module.check_mode)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": node.memory_mb(),
        "os": node.distribution(),
        "python": platform.python_version(),
        "interfaces": node.interfaces(),
        "kernel": node.kernel_modules(KERNEL_MODULES),
        "loop": Path("/dev/loop-control").exists(),
        "tun": Path("/dev/net/tun").exists(),
        "kvm": kvm,
        "kvm_reason": reason,
        "init": Path("/proc/1/comm").read_text().strip(),
        "container": container,
        "clock": "host" if container else node.clock_service(),
    }


def _kvm(check):
    """(verdict, reason); the verdict of a trial is kept on the node."""
    if not Path("/dev/kvm").exists():
        return "absent", "there is no /dev/kvm"
    version = _qemu_version()
    if version is None:
        return "untested", "qemu-system-x86_64 is not installed"
    key = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), version, sha256(SECTOR).hexdigest()]
    if KVM_CACHE.exists() and (known := json.loads(KVM_CACHE.read_text()))["key"] == key:
        return known["verdict"], known["reason"]
    works, reason = kvm_works()
    verdict = "works" if works else "broken"
    if not check:
        _remember({"key": key, "verdict": verdict, "reason": reason})
    return verdict, reason


def _remember(verdict):
    KVM_CACHE.parent.mkdir(parents=True, exist_ok=True)
    temporary = KVM_CACHE.with_suffix(".new")
    temporary.write_text(json.dumps(verdict))
    temporary.replace(KVM_CACHE)


def _qemu_version():
    try:
        shown = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        return None
    return shown.stdout.splitlines()[0]


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    found = facts(module)
    if module.check_mode and found["kvm"] == "untested":
        module.warn("Whether KVM works here is tried once QEMU is installed. What is announced counts on emulation.")
    module.exit_json(changed=False, ansible_facts={"cloudos_facts": found})


if __name__ == "__main__":
    main()
