#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts a verified bundle in place on a node and makes it the current one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Put a bundle in place on a node
description:
  - Verifies the signature of the manifest, then size and SHA-256 of the bundle; one that is not right is refused before
    anything changes.
  - Keeps the files in C(/opt/cloudos/bundles), mounts the bundle read-only on C(/opt/cloudos/<patch level>), now and at
    every boot, and points C(/opt/cloudos/current) at it. Where no loop device works it unpacks the bundle there
    instead, which needs C(squashfs-tools) on the node.
  - Removes older patch levels, but never one that C(current) points at or that a process still runs from.
  - Its action plugin reads the bundle from C(CLOUDOS_HOME/bundles) on the admin host, fills in O(manifest),
    O(signature), O(signers) and O(squashfs), and copies the file only when the node has not got it.
options:
  name:
    description: The patch level, such as C(2026.1-1).
    type: str
    required: true
    aliases: [patch_level]
  current:
    description: Point C(/opt/cloudos/current) at it. With V(false) the bundle is only staged.
    type: bool
    default: true
  keep:
    description: How many of the newest patch levels stay on the node, this one included.
    type: int
    default: 2
  method:
    description: How the content is provided. V(auto) mounts, and unpacks where mounting does not work.
    type: str
    choices: [auto, mount, unpack]
    default: auto
  manifest:
    description: Text of the manifest; filled in by the action plugin.
    type: str
  signature:
    description: Text of the manifest's signature; filled in by the action plugin.
    type: str
  signers:
    description: The trusted keys, lines of an C(allowed_signers) file of C(ssh-keygen); filled in by the action plugin.
    type: str
  squashfs:
    description: Path of the bundle on the node to copy from; filled in by the action plugin when the node needs it.
    type: path
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS
"""

EXAMPLES = r"""
- name: Install the bundle
  cloudos.cloud.bundle:
    name: 2026.1-2

- name: Stage the next one without using it
  cloudos.cloud.bundle:
    name: 2026.1-3
    current: false
"""

RETURN = r"""
content:
  description: How the content is there, V(mounted) or V(unpacked); in check mode what is expected.
  type: str
  returned: success
transfer:
  description: Whether the node needed, or would need, the file itself.
  type: bool
  returned: success
"""

import hashlib
from functools import cached_property

from ansible_collections.cloudos.cloud.plugins.module_utils import bundle_place
from ansible_collections.cloudos.cloud.plugins.module_utils.bundle_place import Place
from ansible_collections.cloudos.cloud.plugins.module_utils.bundle_trust import copy_verified, trusted
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation


class Bundle(Operation):
    lock = "bundle"
    spec = {
        "name": {"type": "str", "required": True, "aliases": ["patch_level"]},
        "current": {"type": "bool", "default": True},
        "keep": {"type": "int", "default": 2},
        "method": {"type": "str", "choices": ["auto", "mount", "unpack"], "default": "auto"},
        "manifest": {"type": "str"},
        "signature": {"type": "str"},
        "signers": {"type": "str"},
        "squashfs": {"type": "path"},
    }

    @cached_property
    def manifest(self):
        """The manifest, proven; Failure for one of another patch level."""
        papers = [self.params[name] for name in ("manifest", "signature", "signers")]
        if not all(papers):
            raise Failure(
                "the bundle came without manifest, signature or trusted keys",
                next_step="use the module through its action plugin, with the bundle in CLOUDOS_HOME/bundles",
            )
        manifest = trusted(*papers)
        if manifest["patch_level"] != self.params["name"]:
            raise Failure(
                f"the manifest is of {manifest['patch_level']}, not of {self.params['name']}",
                next_step="build the bundle again with playbooks/bundle.yml",
            )
        return manifest

    @cached_property
    def place(self):
        return Place(self.manifest["name"])

    @cached_property
    def before(self):
        """What is there, read once: found() shows it and wanted() depends on it."""
        place = self.place
        digest = place.digest()
        return {
            "manifest": _digest(place.manifest.read_text()) if place.manifest.exists() else None,
            "squashfs": digest,
            "content": place.content(digest),
            "unit": place.unit.read_text() if place.unit.exists() and place.enabled.is_symlink() else None,
            "current": bundle_place.current(),
            "installed": list(bundle_place.installed()),
        }

    def found(self):
        return self.before

    def wanted(self):
        content = self._content()
        return {
            "manifest": _digest(self.params["manifest"]),
            "squashfs": self.manifest["files"]["squashfs"]["sha256"],
            "content": content,
            "unit": self.place.unit_text() if content == "mounted" else None,
            "current": self.params["name"] if self.params["current"] else self.before["current"],
            "installed": self._kept(),
        }

    def converge(self, step):
        place = self.place
        place.squashfs.parent.mkdir(parents=True, exist_ok=True)
        if "squashfs" in step.changes:
            self._replace()
        if "manifest" in step.changes or "squashfs" in step.changes:
            place.signature.write_text(self.params["signature"])
            place.manifest.write_text(self.params["manifest"])
        if {"squashfs", "content", "unit"} & set(step.changes):
            self._provide()
        if "current" in step.changes:
            bundle_place.point_current(step.after["current"])
        for patch_level, other in bundle_place.installed().items():
            if patch_level not in step.after["installed"]:
                other.remove()

    def result(self, step):
        return {
            "content": self.place.content(step.after["squashfs"]) or step.after["content"],
            "transfer": "squashfs" in step.changes,
        }

    def rendered(self, state):
        return {
            key: "".join(f"{line}\n" for line in ([value] if isinstance(value, str) else value or []))
            for key, value in state.items()
        }

    def _content(self):
        """mounted or unpacked; with method auto, what was unpacked because mounting failed stays so."""
        if self.params["method"] == "auto":
            return "unpacked" if self.before["content"] == "unpacked" else "mounted"
        return {"mount": "mounted", "unpack": "unpacked"}[self.params["method"]]

    def _kept(self):
        there = bundle_place.installed()
        everything = sorted({*there, self.params["name"]}, key=bundle_place.age)
        needed = {*everything[-max(self.params["keep"], 1) :], self.params["name"]}
        if not self.params["current"]:
            needed.add(self.before["current"])
        return [level for level in everything if level in needed or there[level].in_use()]

    def _replace(self):
        """Put the verified file in place. What is mounted from an older file of that name goes first: after a kill in
        between, the next run finds nothing mounted rather than the wrong thing.
        """
        if not self.params["squashfs"]:
            raise Failure(
                f"the node has not got {self.place.squashfs.name}, and was not given it",
                next_step="use the module through its action plugin, with the bundle in CLOUDOS_HOME/bundles",
            )
        partial = self.place.squashfs.with_suffix(".partial")
        copy_verified(self.params["squashfs"], partial, self.manifest["files"]["squashfs"])
        self.place.clear()
        partial.replace(self.place.squashfs)
        self.place.digest()

    def _provide(self):
        """Mount or unpack."""
        if self._content() == "mounted":
            try:
                self.place.mount()
                return
            except Failure as failure:
                if self.params["method"] == "mount":
                    raise
                self.module.warn(
                    f"{self.place.patch_level} is unpacked, because mounting it does not work here: {failure}"
                )
        self.place.unpack(self.manifest["files"]["squashfs"]["sha256"])


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def main():
    Bundle.main()


if __name__ == "__main__":
    main()
