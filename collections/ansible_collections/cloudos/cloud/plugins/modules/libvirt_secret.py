#!/usr/bin/python
"""Module libvirt_secret: a key that libvirt gives to QEMU, such as that of a Ceph client."""

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_secret
short_description: Keep a secret of libvirt, such as the key of a Ceph client
description:
  - Instances' disks name the secret by its UUID; libvirt hands the value to QEMU.
  - The value goes to libvirt through a pipe, and is compared without being shown.
options:
  uuid: {description: The secret's UUID., type: str, required: true}
  usage: {description: What the secret is for., type: str, choices: [ceph, iscsi, volume], default: ceph}
  name: {description: What libvirt calls its usage; unique among those of one kind., type: str}
  value: {description: "The value, base64 as Ceph's keys are.", type: str}
  state: {description: Whether the secret is there., type: str, choices: [present, absent], default: present}
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: What QEMU logs in to Ceph with
  cloudos.cloud.libvirt_secret:
    uuid: 457eb676-33da-42ec-9a8c-9293d545c337
    name: client.cinder
    value: "${secret:service/cinder/ceph}"
"""

RETURN = r"""
{}
"""

import os
import subprocess
import tempfile
from xml.etree import ElementTree

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation

URI = "qemu:///system"
GONE = ("no secret with matching", "Secret not found")
WITHOUT_VALUE = "does not have a value"


class LibvirtSecret(Operation):
    spec = {
        "uuid": {"type": "str", "required": True},
        "usage": {"type": "str", "choices": ["ceph", "iscsi", "volume"], "default": "ceph"},
        "name": {"type": "str"},
        "value": {"type": "str", "no_log": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    options = {"required_if": [("state", "present", ["name", "value"])]}

    def found(self):
        """Empty where there is no such secret, or, in check mode, no libvirt yet."""
        described = self.virsh("secret-dumpxml", accept=GONE)
        if described is None:
            return {}
        usage = ElementTree.fromstring(described).find("usage")  # noqa: S314 - libvirt's own words
        name = usage.findtext("name") or usage.findtext("target") or usage.findtext("volume")
        value = self.virsh("secret-get-value", accept=(WITHOUT_VALUE,))
        same = value is not None and value.strip() == self.reveal(self.params["value"] or "")
        return {
            "usage": f"{usage.get('type')} {name}",
            "value": self.params["value"] if same else value and "(another)",
        }

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        return {"usage": f"{self.params['usage']} {self.params['name']}", "value": self.params["value"]}

    def converge(self, step):
        if step.before and (not step.after or "usage" in step.changes):  # the usage of a secret cannot be changed
            self.virsh("secret-undefine")
        if not step.after:
            return
        if "usage" in step.changes:
            self.define()
        self.virsh("secret-set-value", "--file", "/dev/stdin", given=self.reveal(self.params["value"]))

    def define(self):
        secret = ElementTree.Element("secret", ephemeral="no", private="no")
        ElementTree.SubElement(secret, "uuid").text = self.params["uuid"]
        usage = ElementTree.SubElement(secret, "usage", type=self.params["usage"])
        tag = {"ceph": "name", "iscsi": "target", "volume": "volume"}[self.params["usage"]]
        ElementTree.SubElement(usage, tag).text = self.params["name"]
        with tempfile.NamedTemporaryFile(suffix=".xml") as file:
            file.write(ElementTree.tostring(secret))
            file.flush()
            self.virsh("secret-define", path=file.name)

    def virsh(self, command, *words, given=None, path=None, accept=()):
        """The output; None where virsh complains in words of `accept`, or is not there in check mode."""
        try:
            done = subprocess.run(
                ["virsh", "--quiet", "--connect", URI, command, path or self.params["uuid"], *words],
                input=given,
                stdin=None if given else subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        except FileNotFoundError as error:
            if self.rehearsal:
                return None
            raise Failure(
                "there is no program virsh", service="libvirt", next_step="apt-get install libvirt-clients"
            ) from error
        if done.returncode == 0:
            return done.stdout
        told = self.mask(done.stderr.strip())
        if any(words in told for words in accept) or (self.rehearsal and "failed to connect" in told):
            return None
        raise Failure(
            f"virsh {command}: {told}", service="libvirt", unit="libvirtd.service", next_step="systemctl status libvirtd"
        )


def main():
    LibvirtSecret.main()


if __name__ == "__main__":
    main()
