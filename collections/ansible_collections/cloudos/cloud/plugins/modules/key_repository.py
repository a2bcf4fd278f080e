#!/usr/bin/python
"""Module key_repository: a directory of Fernet keys as Keystone reads it, made and rotated."""

from __future__ import annotations

DOCUMENTATION = r"""
module: key_repository
short_description: Keep a repository of Fernet keys, for Keystone's tokens or credentials
description:
  - The key with the highest number is the primary one, which encrypts; key 0 is staged, the next primary one; all of
    them decrypt.
  - A rotation is C(keystone-manage fernet_rotate) without starting Python - key 0 becomes the primary one, a new key
    0 is staged, and
    the oldest keys beyond O(max_active_keys) are removed. At no moment is a key missing that a token may need, and
    a run that was killed in between is completed by the next one.
  - Keys are never shown; a difference names numbers and dates.
options:
  path:
    description: The directory; it gets mode 0700, its keys 0600.
    type: path
    required: true
  owner: {description: User that the directory and the keys belong to., type: str, default: keystone}
  group: {description: Their group., type: str, default: keystone}
  state:
    description:
      - C(present), there are a staged and a primary key.
      - C(rotated), besides, the primary key is no older than O(rotate_after).
    type: str
    choices: [present, rotated]
    default: present
  rotate_after:
    description: Age from which the primary key is replaced, in seconds or with a unit - C(90m), C(12h), C(30d), C(4w).
    type: str
  max_active_keys:
    description: How many keys a rotation leaves. A token lives at least C((max_active_keys - 2) * rotate_after).
    type: int
    default: 5
  before:
    description:
      - Commands, each a list, that are run as O(owner) before a rotation. Keys of credentials need
        C([keystone-manage, credential_migrate]),
        as a credential that the oldest key encrypts would be lost with it.
    type: list
    elements: list
    default: []
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Token keys
  cloudos.cloud.key_repository: {path: /etc/keystone/fernet-keys}
- name: Credential keys, none older than 30 days
  cloudos.cloud.key_repository:
    path: /etc/keystone/credential-keys
    state: rotated
    rotate_after: 30d
    max_active_keys: 3
    before: [[keystone-manage, credential_migrate]]
"""

RETURN = r"""
primary: {description: Number of the primary key., type: int, returned: always}
keys: {description: Numbers of all keys., type: list, elements: int, returned: always}
"""

import base64
import os
import re
import time
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.filesystem import (
    look,
    owner_ids,
    write_directory,
    write_file,
)
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import run

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
NEW = "new"


class KeyRepository(Operation):
    spec = {
        "path": {"type": "path", "required": True},
        "owner": {"type": "str", "default": "keystone"},
        "group": {"type": "str", "default": "keystone"},
        "state": {"type": "str", "choices": ["present", "rotated"], "default": "present"},
        "rotate_after": {"type": "str"},
        "max_active_keys": {"type": "int", "default": 5},
        "before": {"type": "list", "elements": "list", "default": []},
    }
    options = {"required_if": [("state", "rotated", ["rotate_after"])]}

    def __init__(self, module):
        super().__init__(module)
        self.path = Path(self.params["path"])

    def found(self):
        """{"access": who may read what, "keys": {number: what it is and since when}}."""
        self.made = {number: file.stat().st_mtime for number, file in self.files().items()}
        if not self.path.is_dir():
            return {}
        access = {name: _access(path) for name, path in {"directory": self.path, **self.files()}.items()}
        return {"access": _summary(access), "keys": self.roles(self.numbers())}

    def wanted(self):
        mine = f"{self.params['owner']}:{self.params['group']}"
        kept, promoted = self.after()
        keys = self.roles(kept)
        if promoted or 0 not in self.numbers():
            keys["0"] = f"staged, {NEW}"
        return {"access": {"directory": f"{mine} 0700", "keys": f"{mine} 0600"}, "keys": keys}

    def converge(self, step):
        """The order is what makes it safe to be killed anywhere: nothing is removed before its successor is there."""
        write_directory(str(self.path), self.params["owner"], self.params["group"], "0700")
        before = self.numbers()
        kept, promoted = self.after()
        if promoted:
            self.promote(max(kept), rotation=bool(self.primary(before)))
        if promoted or 0 not in before:
            self.write(0)
        for number, file in self.files().items():
            if number not in kept:
                file.unlink()
            else:
                os.chown(file, *owner_ids(file, self.params["owner"], self.params["group"]))
                file.chmod(0o600)

    def after(self):
        """(sorted numbers of the keys that there are to be, whether one of them is a new primary key)."""
        numbers = self.numbers()
        primary = self.primary(numbers)
        if primary and not self.due(primary):
            return sorted({0, *numbers}), False
        olds = sorted(number for number in numbers if number)
        keep = max(self.params["max_active_keys"] - 2, 0)
        return [0, *(olds[-keep:] if keep else []), (primary or 0) + 1], True

    def due(self, primary):
        return self.params["state"] == "rotated" and time.time() - self.made[primary] >= _seconds(
            self.params["rotate_after"]
        )

    def promote(self, number, rotation):
        """Give the staged key its number as the primary one; it keeps the name 0 until a new staged key takes that."""
        if rotation:
            for argv in self.params["before"]:
                run([str(word) for word in argv], user=self.params["owner"], service="keystone")
        if 0 not in self.numbers():
            self.write(0)
        os.link(self.path / "0", self.path / str(number))
        os.utime(self.path / str(number))

    def write(self, number):
        key = base64.urlsafe_b64encode(os.urandom(32))
        write_file(str(self.path / str(number)), key, self.params["owner"], self.params["group"], "0600")

    def files(self):
        """{number: path} of what Keystone would read as keys."""
        found = self.path.iterdir() if self.path.is_dir() else ()
        return {int(file.name): file for file in found if file.name.isdigit() and file.is_file()}

    def numbers(self):
        """Numbers of the keys; 0 only when it is a key of its own, not one whose promotion was interrupted."""
        files = self.files()
        primary = self.primary(files)
        if primary and 0 in files and files[0].samefile(files[primary]):
            del files[0]
        return sorted(files)

    @staticmethod
    def primary(numbers):
        """The highest number, or None where there is no key besides the staged one."""
        return max(numbers, default=0) or None

    def roles(self, numbers):
        """{number as str: "staged", or the role and since when it is in use}."""
        top = self.primary(numbers)
        named = {0: "staged"} | {number: "primary" if number == top else "secondary" for number in numbers if number}
        return {str(number): f"{named[number]}, {_since(self.made.get(number))}" for number in numbers}

    def result(self, step):
        numbers = [int(number) for number in step.after["keys"]]
        return {"primary": max(numbers), "keys": sorted(numbers)}


def _seconds(text):
    match = re.fullmatch(r"(\d+)([smhdw]?)", text)
    if not match:
        raise Failure(f"rotate_after is {text!r}", next_step="write seconds or a number with a unit: 90m, 12h, 30d, 4w")
    return int(match[1]) * UNITS[match[2]]


def _since(seconds):
    return time.strftime("since %Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if seconds else NEW


def _access(path):
    entry = look(str(path))
    return f"{entry['owner']}:{entry['group']} {entry['mode']}"


def _summary(access):
    """{"directory", "keys"}: for the keys what they have in common, or each by its number."""
    directory = access.pop("directory")
    shared = set(access.values())
    return {
        "directory": directory,
        "keys": shared.pop() if len(shared) == 1 else {str(key): value for key, value in access.items()},
    }


def main():
    KeyRepository.main()


if __name__ == "__main__":
    main()
