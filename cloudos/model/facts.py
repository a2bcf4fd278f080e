"""What is assumed of a node that nobody has looked at yet: the shape of what module `cloudos.cloud.node_facts` gathers.

A plan compiled from these says so (`facts_known: false` on the node); the site playbook always gathers first.
"""

from __future__ import annotations

from collections import defaultdict

from cloudos.model.merge import overlay

ASSUMED = {
    "cores": 2,
    "memory_mb": 4096,
    "os": {"id": "debian", "version": "12"},
    "python": "3.11",
    "interfaces": {},
    "kernel": {},
    "loop": True,
    "tun": True,
    "kvm": "untested",
    "kvm_reason": "nobody has looked at the node yet",
    "init": "systemd",
    "container": None,
    "clock": "none",
}


def known(gathered: dict | None) -> dict:
    """Facts for expressions: gathered ones over assumed ones; a kernel module that nobody looked for is absent."""
    facts = overlay(ASSUMED, gathered or {})
    facts["kernel"] = defaultdict(bool, facts["kernel"])
    return facts
