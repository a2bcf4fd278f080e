#!/usr/bin/python
"""Keeps the files of a topology: the contract that modules of providers have, as small as it can be.

A file that is made again gets another name, as a second copy in a cloud would have another id. `<root>/broken` names what cannot
be made, `<root>/journal` tells what was done, with the process that did it.
"""

import os
import time
import uuid
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def copies(root, topology, name):
    return sorted(root.glob(f"{topology}={name}=*"))


def say(root, *words):
    with (root / "journal").open("a") as journal:
        journal.write(" ".join(map(str, words)) + "\n")


def make(root, topology, one):
    name, arguments = one["name"], one["arguments"]
    if one.get("existing"):
        there = copies(root, "*", arguments["name"])
        if not there:
            raise RuntimeError(f"no file {arguments['name']} is there")
        return "existing", there[0]
    there = copies(root, topology, name)
    content = str(arguments.get("content", ""))
    if there and there[0].read_text() == content:
        return "kept", there[0]
    say(root, "begin", name, os.getpid())
    until = time.monotonic() + float(arguments.get("seconds") or 0)
    while time.monotonic() < until:
        time.sleep(0.02)
    broken = root / "broken"
    if broken.exists() and one["node"] in broken.read_text().split():
        raise RuntimeError(f"file {name} cannot be made")
    path = there[0] if there else root / f"{topology}={name}={uuid.uuid4()}"
    path.write_text(content)
    say(root, "made", name, os.getpid())
    return "changed" if there else "created", path


def remove(root, topology, one):
    for path in copies(root, topology, one["name"]):
        say(root, "removed", one["name"], os.getpid())
        path.unlink()


def main():
    module = AnsibleModule(
        {
            "root": {"type": "path", "required": True}, "topology": {"type": "str"}, "known": {"type": "dict"},
            "resources": {"type": "list", "elements": "dict"}, "state": {"type": "str"}, "secrets": {"type": "dict", "no_log": True},
        },
        supports_check_mode=True,
    )  # fmt: skip
    root, topology = Path(module.params["root"]), module.params["topology"]
    told, one = {}, {}
    try:
        for one in module.params["resources"]:
            if module.check_mode or module.params["state"] == "absent":
                if copies(root, topology, one["name"]):
                    told[one["name"]] = {"action": "found" if module.check_mode else "deleted", "kind": one["kind"], "seconds": 0}
                if not module.check_mode:
                    remove(root, topology, one)
                continue
            action, path = make(root, topology, one)
            told[one["name"]] = {"id": path.name, "name": path.name.split("=")[1], "path": str(path), "action": action,
                                 "kind": one["kind"], "seconds": 0}  # fmt: skip
    except RuntimeError as error:
        module.fail_json(msg=str(error), failure={
            "cause": str(error), "node": one["node"], "next_step": "make room for it", "log": ["one line of log"], "resources": told,
            "failed": {one["name"]: str(error)}})  # fmt: skip
    module.exit_json(changed=True, resources=told)


if __name__ == "__main__":
    main()
