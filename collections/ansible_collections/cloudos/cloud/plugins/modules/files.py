#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All files of a node in one call: written, owned, followed by their commands, and removed once nobody wants them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Converge all files of a node
description:
  - Writes files, directories, links and copied trees in the order given, each atomically.
  - Remembers what it wrote; what an earlier call with the same O(set) wrote and this one does not list is removed.
    A removed systemd unit is stopped and disabled first. A directory goes only if this module made it and it is empty.
  - A command that must follow a changed file is noted before the file is replaced, so that a call which was killed in
    between is made good by the next one.
  - After a change below C(/etc/systemd/system) systemd reloads its configuration once.
options:
  files:
    description:
      - What the node must have, a mapping of services to a mapping of paths to entries; applied in this order.
      - C(type) is C(file) (default), C(directory), C(link) or C(copy). All but links take C(owner), C(group)
        (default root) and C(mode), a string (default C(0640), directories C(0755), copies C(0644)).
      - C(content) is the text of a file; C(${secret:name}) stands for a secret. C(target) is where a link leads.
      - C(source) is the directory whose files are copied; C(replace), a list of C([regular expression, text]), changes
        them on the way. What another entry lists is left to it. Whoever may read its files may enter its directories.
      - C(apply) is a command, a list, that runs right after the file changed; once for neighbours that share it.
    type: dict
    default: {}
  absent:
    description: Paths that must not exist, whoever made them; files, links and empty directories.
    type: list
    elements: str
    default: []
  set:
    description: Name of this set of files; sets do not remove each other's files.
    type: str
    default: plan
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS
"""

EXAMPLES = r"""
- name: Write the files of Placement
  cloudos.cloud.files:
    files:
      node:
        /etc/sysusers.d/cloudos.conf: {content: "u placement - -", mode: "0644", apply: [systemd-sysusers]}
      placement:
        /etc/placement: {type: directory, group: placement, mode: "0750"}
        /etc/placement/placement.conf:
          content: |
            [placement_database]
            connection = mysql+pymysql://placement:${secret:database/placement}@192.0.2.1/placement
          group: placement
    secrets: {database/placement: "{{ password }}"}
"""

RETURN = r"""
changed_paths:
  description: Paths that were written or removed, or would be, in the order of O(files), then the removed ones.
  type: list
  elements: str
  returned: success
services:
  description: Services with a change; each has C(changed), its part of C(changed_paths).
  type: dict
  returned: success
"""

import hashlib
import json
import os
import re
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils import filesystem
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import REFERENCE, Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import run

STATE = "/var/lib/cloudos"
UNITS = "/etc/systemd/system"
RELOAD = ["systemctl", "daemon-reload"]
SETTING = re.compile(r"(\s*[A-Za-z_][\w.-]{0,63}\s*=(?!=)\s*)\S.*")
MODES = {"file": "0640", "directory": "0755", "copy": "0644"}


class Files(Operation):
    lock = "files"
    spec = {
        "files": {"type": "dict", "default": {}},
        "absent": {"type": "list", "elements": "str", "default": []},
        "set": {"type": "str", "default": "plan"},
    }

    @cached_property
    def entries(self):
        """{path: entry} in order; an entry is what wanted() tells plus service, apply and, of a file, its real text."""
        entries, explicit = {}, {path for paths in self.params["files"].values() for path in paths}
        for service, paths in self.params["files"].items():
            for path, given in paths.items():
                entry = _complete(service, path, given)
                for name, part in _expanded(path, entry, explicit).items():
                    if name in entries and entries[name]["state"] != part["state"]:
                        raise Failure(f"{name} is listed differently by {entries[name]['service']} and {service}",
                                      service=service, next_step="let one service own the file")
                    entries[name] = {**part, "text": self.reveal(part["state"].get("content", ""))}
        return entries

    @cached_property
    def managed(self):
        """{path: {service, digest, content}} of what earlier calls wrote; content with references."""
        path = Path(STATE, "files", f"{self.params['set']}.json")
        return json.loads(path.read_text()) if path.exists() else {}

    def wanted(self):
        return {path: entry["state"] for path, entry in self.entries.items()}

    def found(self):
        state = {path: self._look(path, entry) for path, entry in self.entries.items()}
        state.update((path, self._look(path, None)) for path in self._obsolete())
        state.update((f"command {' '.join(argv)}", {"type": "pending"}) for argv in _pending())
        return {path: entry for path, entry in state.items() if entry is not None}

    def _look(self, path, entry):
        here = filesystem.look(path)
        state = entry["state"] if entry else {}
        if here and state.get("type") == "link" and "target" in here:
            return {"type": "link", "target": here["target"]}
        if here and here["type"] == "directory":
            here.pop("target", None)
        if here and "data" in here:
            here["content"] = self._shown(path, here.pop("data"), entry)
        return here

    def _shown(self, path, data, entry):
        """The content with references for secrets; in a file with secrets, values of unknown origin are hidden."""
        wanted = entry and entry["state"].get("content")
        if entry and data == _bytes(entry["text"]):
            return wanted
        record = self.managed.get(path, {})
        if record.get("digest") == _digest(data):
            shown = record["content"]
        else:
            texts = [text for text in (wanted, record.get("content")) if text and REFERENCE.search(text)]
            known = {line for known in texts for line in known.splitlines(keepends=True)}
            lines = self.mask(_text(data)).splitlines(keepends=True)
            shown = "".join(line if not texts or line in known else _hidden(line) for line in lines)
        return shown if shown != wanted else REFERENCE.sub(r"\g<0> (another value)", shown)

    def _obsolete(self):
        """Paths to remove: the absent ones, and those written earlier that nobody lists now."""
        unknown = tuple(f"{path}/" for path, entry in self.entries.items() if entry["state"]["type"] == "copy")
        gone = {path for path in self.managed if path not in self.entries and not path.startswith(unknown or ("\0",))}
        removable = {path for path in gone if not os.path.isdir(path) or os.path.islink(path)}
        for path in sorted(gone - removable, reverse=True):   # deepest first
            if all(os.path.join(path, name) in removable for name in os.listdir(path)):
                removable.add(path)
        return [*sorted(removable), *(path for path in self.params["absent"] if path not in removable)]

    def converge(self, step):
        records = self._records(step)
        self._remember({**self.managed, **records})
        self._remove([path for path in step.changes if path not in step.after and path.startswith("/")])
        entries = list(self.entries.items())
        for (path, entry), (_path, following) in zip_longest(entries, entries[1:], fillvalue=(None, {})):
            try:
                if path in step.changes:
                    self._write(path, entry)
                if entry["apply"] and entry["apply"] in _pending() and following.get("apply") != entry["apply"]:
                    self._apply(entry["apply"])
            except Failure as failure:
                failure.facts["service"] = failure.facts["service"] or entry["service"]
                raise
        for argv in _pending():
            self._apply(argv)
        self._remember(records)

    def _write(self, path, entry):
        state = entry["state"]
        for argv in filter(None, (entry["apply"], path.startswith(f"{UNITS}/") and RELOAD)):
            _note(argv)
        if state["type"] == "copy":
            raise Failure(f"{state['source']}, to be copied to {path}, does not exist",
                          next_step="put the bundle in place first")
        if state["type"] == "link":
            filesystem.write_link(path, state["target"])
        elif state["type"] == "directory":
            filesystem.write_directory(path, state["owner"], state["group"], state["mode"])
        else:
            filesystem.write_file(path, _bytes(entry["text"]), state["owner"], state["group"], state["mode"])

    def _remove(self, paths):
        units = [path for path in paths if os.path.dirname(path) == UNITS and os.path.isfile(path) and not os.path.islink(path)]
        if units:
            units.sort(key=lambda path: not path.endswith(".socket"))   # a socket would start its service again
            self._run(["systemctl", "disable", "--now", *map(os.path.basename, units)])
        if any(path.startswith(f"{UNITS}/") for path in paths):
            _note(RELOAD)
        for path in sorted(paths, reverse=True):
            filesystem.remove(path)

    def _apply(self, argv):
        self._run(argv)
        filesystem.remove(_note_path(argv))

    def _run(self, argv):
        run(argv, timeout=120, secrets=self.secrets.values())

    def _records(self, step):
        records = {}
        for path, entry in self.entries.items():
            record = {"service": entry["service"]}
            if entry["state"]["type"] == "file":
                record.update(digest=_digest(_bytes(entry["text"])), content=entry["state"]["content"])
            if entry["state"]["type"] != "directory" or path not in step.before or path in self.managed:
                records[path] = record   # a directory that was there before us is not ours to remove
        return records

    def _remember(self, records):
        filesystem.write_directory(STATE)
        filesystem.write_directory(f"{STATE}/files", mode="0700")
        filesystem.write_file(f"{STATE}/files/{self.params['set']}.json", _bytes(json.dumps(records)), mode="0600")

    def rendered(self, state):
        return {path: _rendered(entry) for path, entry in state.items()}

    def result(self, step):
        paths, services = [path for path in step.changes if path.startswith("/")], {}
        for path in paths:
            owner = self.entries.get(path) or self.managed.get(path) or {"service": "node"}
            services.setdefault(owner["service"], {"changed": []})["changed"].append(path)
        return {"changed_paths": paths, "services": services}


def _complete(service, path, given):
    """The entry with its defaults: {service, apply, replace, state}."""
    kind, state = given.get("type") or "file", {}
    if kind not in ("file", "directory", "link", "copy"):
        raise Failure(f"{path} has the unknown type {kind}", service=service,
                      next_step="use file, directory, link or copy")
    needed = {"file": "content", "link": "target", "copy": "source"}.get(kind)
    if needed and not isinstance(given.get(needed), str):
        raise Failure(f"{path} ({kind}) needs a text as {needed}", service=service,
                      next_step=f"give {path} its {needed}")
    if kind != "link":
        state = {"owner": given.get("owner") or "root", "group": given.get("group") or "root",
                 "mode": given.get("mode") or MODES[kind]}
    state = {"type": kind, **state, **({needed: given[needed]} if needed else {})}
    return {"service": service, "apply": given.get("apply"), "replace": given.get("replace") or [], "state": state}


def _expanded(path, entry, explicit):
    """{path: entry}; of a copy whose source is there, an entry for each of its directories and files."""
    state = entry["state"]
    if state["type"] != "copy" or not os.path.isdir(state["source"]):
        return {path: entry}
    owned, parts, mode = {key: state[key] for key in ("owner", "group")}, {}, int(state["mode"], 8)
    enter = f"{mode | (mode & 0o444) >> 2:04o}"
    for folder, folders, names in os.walk(state["source"]):
        folders.sort()
        here = os.path.normpath(os.path.join(path, os.path.relpath(folder, state["source"])))
        if here == path or here not in explicit:
            parts[here] = {**entry, "state": {"type": "directory", **owned, "mode": enter}}
        for name in sorted(names):
            if os.path.join(here, name) in explicit:
                continue
            text = _text(Path(folder, name).read_bytes())
            for pattern, replacement in entry["replace"]:
                text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
            file = {"type": "file", **owned, "mode": state["mode"], "content": text}
            parts[os.path.join(here, name)] = {**entry, "state": file}
    return parts


def _pending():
    """Commands noted and not yet run, as lists."""
    return [json.loads(path.read_text()) for path in sorted(Path(STATE, "pending").glob("[!.]*"))]


def _note(argv):
    if not os.path.exists(_note_path(argv)):
        filesystem.write_file(_note_path(argv), _bytes(json.dumps(argv)), mode="0600")


def _note_path(argv):
    return f"{STATE}/pending/{_digest(_bytes(json.dumps(argv)))[:16]}"


def _hidden(line):
    """A line of unknown origin from a file with secrets: its name only."""
    setting = SETTING.match(line)
    if setting:
        return f"{setting.group(1)}(not shown)\n"
    return line if re.match(r"\s*(\[[\w.:-]+\])?\s*$", line) else "(not shown)\n"


def _rendered(entry):
    kind = entry["type"]
    if kind == "pending":
        return "due since its file changed\n"
    if kind in ("link", "copy"):
        return f"{kind} of {entry['source']}\n" if kind == "copy" else f"link to {entry['target']}\n"
    content = _text(entry.get("content", "").encode("utf-8", "replace"))
    return f"{kind} {entry['owner']}:{entry['group']} {entry['mode']}\n{content}"


def _bytes(text):
    return text.encode("utf-8", "surrogateescape")


def _text(data):
    return data.decode("utf-8", "surrogateescape")


def _digest(data):
    return hashlib.sha256(data).hexdigest()


main = Files.main

if __name__ == "__main__":
    main()
