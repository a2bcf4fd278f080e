"""One Ansible project per plan: a JSON playbook, an inventory, the resources of each stage, and the template's own files.

The same plan gives the same bytes. Secrets stay references: at run time they come from the environment.
    ansible.cfg  playbook.json  inventory.json  stages/<nnn>.json  known.json  artifacts/  artifacts.tar  own_roles/, and what
    calls.py writes
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudos.eve.compiler.operations import ANSIBLE
from cloudos.eve.engine.calls import PLAYS, Operations, call_of, host_name, listed
from cloudos.eve.engine.plan import Plan, Stage
from cloudos.eve.engine.state import State
from cloudos.eve.engine.tasks import SECRET, expression, jinja, variable, with_secrets
from cloudos.eve.graph import Resource
from cloudos.eve.problems import Problem, Undeployable
from cloudos.eve.provider import Pool
from cloudos.runs.start import OWN_ROLES
from cloudos.tosca.resolver import Tree

SETTINGS = """\
[defaults]
forks = 50
gathering = explicit
interpreter_python = auto_silent
localhost_warning = False
inventory_unparsed_warning = False
retry_files_enabled = False

[connection]
pipelining = True

[ssh_connection]
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o PreferredAuthentications=publickey -o ServerAliveInterval=15
retries = 2
"""
LIMIT = 512 * 1024 * 1024  # bytes of one artifact


def secrets_in(value: Any) -> set[str]:
    """Names of the secrets that a value refers to, at any depth."""
    return set(SECRET.findall(json.dumps(value)))


def secrets_of(plan: Plan, pools: Mapping[str, Pool]) -> set[str]:
    """Names of all secrets that a run of the plan needs, those with which its pools are logged in to among them."""
    logins = [pools[stage.pool].login for stage in plan.stages if stage.pool]
    subjects = [plan.subject(stage, one).arguments for stage in plan.stages for one in stage.names]
    return {name for value in (*logins, *subjects) for name in secrets_in(value)}


def emit(
    plan: Plan, state: State, pools: Mapping[str, Pool], directory: Path, tree: Tree | None = None, base: Path | None = None
) -> list[str]:
    """Write the project and return the names of its files.

    `tree`: where the files of operations are; `base`: directory with the topology's key (`key`) and `known_hosts`.
    Raises Undeployable when a file is missing.
    """
    Project(plan, state, pools, directory, tree, base or directory).write()
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


class Project:
    """A project while it is written."""

    def __init__(self, plan: Plan, state: State, pools: Mapping[str, Pool], directory: Path, tree: Tree | None, base: Path):
        self.plan, self.state, self.pools, self.directory, self.tree, self.base = plan, state, pools, directory, tree, base
        self.digest = ""
        self.reached: set[tuple[str, bool]] = set()  # servers that earlier stages have waited for and given the files

    def write(self) -> None:
        """Write all of it. Raises Undeployable when a file is missing."""
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / "stages").mkdir(parents=True, mode=0o700)
        calls = [call_of(self.plan, stage, name) for stage in self.plan.stages for name in stage.names if not stage.pool]
        self._artifacts([call["how"] for call in calls if "file" in call["how"]])
        self._roles(sorted({role for call in calls for role in call["how"].get("roles", ())}))
        self.operations = self._calls()
        self._json("playbook.json", [{**self._start(), "tasks": self._remembered()}, *self._plays()])
        self._json(PLAYS, self.operations.plays)
        (self.directory / "ansible.cfg").write_text(SETTINGS)
        here = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        others = {one.login["host"]: jinja(with_secrets(dict(one.login.get("host_variables", {}))))
                  for one in self.pools.values() if "host" in one.login}  # fmt: skip
        self._json("inventory.json", {"all": {"hosts": {**dict(sorted(others.items())), "localhost": here}}})
        made = {name: one.attributes for name, one in self.state.entries.items() if one.attributes}
        self._json("known.json", dict(sorted({**self.state.called, **made, **self._also_known()}.items())))

    def _also_known(self) -> dict[str, dict]:
        """What else references may lead to."""
        return {}

    def _plays(self) -> Iterator[dict]:
        """All that follows the first play."""
        for number, stage in enumerate(self.plan.stages, 1):
            yield from self._resources(number, stage) if stage.pool else self._operations(number, stage)

    def _json(self, name: str, data: Any) -> None:
        path = self.directory / name
        path.write_text(json.dumps(data, indent=1, sort_keys=False, ensure_ascii=True) + "\n")
        path.chmod(0o600)

    def _calls(self) -> Operations:
        return Operations(self.plan, self.directory, self._remote(), self._json)

    @staticmethod
    def _start() -> dict:
        return {"name": "What is known of the topology", "hosts": "localhost", "gather_facts": False}

    @staticmethod
    def _remembered() -> list[dict]:
        known = "{{ lookup('ansible.builtin.file', playbook_dir ~ '/known.json') | from_json }}"
        return [{"name": "Read what earlier runs have made", "ansible.builtin.set_fact": {"eve_known": known}, "tags": ["always"]}]

    # Resources

    def _resources(self, number: int, stage: Stage) -> list[dict]:
        resources = [self.plan.subject(stage, name) for name in stage.names]
        file = f"stages/{number:03}.json"
        self._json(file, [_for_module(one) for one in resources])
        pool = self.pools[stage.pool]
        doing = "Remove" if stage.down else "Make"
        action = "delete" if stage.down else "create"
        arguments: dict[str, Any] = {
            **{argument: jinja(with_secrets(pool.login[key])) for argument, key in pool.mapping.login.items() if key in pool.login},
            "topology": self.plan.topology,
            "state": "absent" if stage.down else "present",
            "resources": "{{ lookup('ansible.builtin.file', playbook_dir ~ '/" + file + "') | from_json }}",
            "known": "{{ hostvars['localhost'].eve_known }}",
        }
        if names := sorted(secrets_in([one.arguments for one in resources])):
            arguments["secrets"] = {name: "{{ lookup('ansible.builtin.env', '" + variable(name) + "') }}" for name in names}
        nodes = sorted({one.node for one in resources if one.node})
        tags = [f"op:{action}", *(f"node:{node}" for node in nodes)]
        title = f"{doing} in pool {stage.pool}: {listed([one.name for one in resources if not one.existing])}"
        tasks = [
            {"name": title, pool.mapping.module: arguments, "register": "eve_stage", "tags": tags, "vars": {"eve_number": number}},
            {"name": "Remember what was made", "ansible.builtin.set_fact": {
                "eve_known": "{{ hostvars['localhost'].eve_known | combine(eve_stage.resources) }}"},
             "delegate_to": "localhost", "delegate_facts": True, "tags": tags},
        ]  # fmt: skip
        host = jinja(pool.login.get("host", pool.mapping.host))
        play = {"name": f"Stage {number}", "hosts": host, "gather_facts": False, "tasks": tasks}
        return [{**play, "vars": {"ansible_python_interpreter": pool.mapping.python}} if pool.mapping.python else play]

    # Operations

    def _operations(self, number: int, stage: Stage) -> Iterator[dict]:
        calls = {name: call_of(self.plan, stage, name) for name in stage.names}
        hosts = {host: login for call in calls.values() for host, login in call["hosts"].items()
                 if (host, stage.down) not in self.reached}  # fmt: skip
        self.reached.update((host, stage.down) for host in hosts)
        if hosts:
            yield {"name": f"Stage {number}: servers", "hosts": "localhost", "gather_facts": False,
                   "tasks": [self._add_host(host, login) for host, login in sorted(hosts.items())]}  # fmt: skip
            yield {"name": f"Stage {number}: wait for servers", "hosts": sorted(map(host_name, hosts)), "gather_facts": False,
                   "any_errors_fatal": not stage.down, "ignore_unreachable": stage.down, "tasks": self._reached(stage)}  # fmt: skip
        yield from self.operations.stage(number, stage)

    def _add_host(self, host: str, login: Mapping[str, Any]) -> dict:
        addresses = login["address"] if isinstance(login["address"], list) else [login["address"]]
        wanted = "{{ " + expression(addresses) + " | select | first }}"
        arguments = "-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=" + str(self.base / "known_hosts")
        variables = {"name": host_name(host), "ansible_host": wanted, "ansible_user": jinja(login.get("user", "root")),
                     "ansible_ssh_common_args": arguments, "ansible_python_interpreter": login.get("python", "auto_silent")}  # fmt: skip
        if port := login.get("port"):
            variables["ansible_port"] = port
        if connection := login.get("connection"):
            variables["ansible_connection"] = connection
            if connection == "local":
                variables["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"
        if (self.base / "key").exists():
            variables["ansible_ssh_private_key_file"] = str(self.base / "key")
        return {"name": f"How to reach {host}", "ansible.builtin.add_host": variables, "changed_when": False, "tags": ["always"]}

    def _reached(self, stage: Stage) -> list[dict]:
        wait = {"name": "Wait until it can be logged in to", "tags": ["always"],
                "ansible.builtin.wait_for_connection": {"timeout": 20 if stage.down else 300, "sleep": 1}}  # fmt: skip
        if not self.digest:
            return [wait]
        remote = self._remote()
        folder = {"name": "Make room for the files of the template", "tags": ["always"],
                  "ansible.builtin.file": {"path": remote, "state": "directory", "mode": "0700"}}  # fmt: skip
        unpack = {"name": "Put the files of the template there", "tags": ["always"], "ansible.builtin.unarchive": {
            "src": "{{ playbook_dir }}/artifacts.tar", "dest": remote, "creates": f"{remote}/.eve-complete"}}  # fmt: skip
        return [wait, folder, unpack]

    def _remote(self) -> str:
        """Where the template's files are on servers."""
        return f"/var/tmp/eve-{self.digest}"  # noqa: S108 - made with mode 0700 by whoever logs in

    # Files

    def _artifacts(self, hows: list[dict]) -> None:
        """Stage the whole tree, as files of operations may need each other."""
        if not hows:
            return
        wanted = {name for how in hows for name in (how["file"], *how.get("dependencies", ()), *how.get("roles", ()))}
        if self.tree is None:
            needed = f"no files were given, and {', '.join(sorted(wanted))} are needed"
            raise Undeployable([Problem("", needed, "Give the template's archive.")])
        missing = [name for name in sorted(wanted) if not self.tree.exists(name) and not self.tree.is_directory(name)]
        if missing:
            raise Undeployable([Problem(self.tree.label(name), "an operation needs this file, and it is not there",
                                        "Add it to the archive, or correct the path.") for name in missing])  # fmt: skip
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(self.tree.names()):
                self._stage(name, archive)
            complete = tarfile.TarInfo(".eve-complete")
            archive.addfile(complete, io.BytesIO())
        content = buffer.getvalue()
        self.digest = hashlib.sha256(content).hexdigest()[:16]
        (self.directory / "artifacts.tar").write_bytes(content)

    def _roles(self, roles: list[str]) -> None:
        """Where Ansible finds the template's roles by their names. Raises Undeployable for a name that means two."""
        entries = [entry for pool in self.pools.values() for entry in pool.mapping.types.values()]
        taken = {one["role"]: "Eve's own" for entry in entries for one in (entry.get("operations") or {}).values()}
        for role in roles:
            name = posixpath.basename(role)
            if name in taken:
                message = f"two roles are called {name}: {taken[name]} and {role}"
                raise Undeployable([Problem("", message, "Give one another name, as roles are found by their names.")])
            taken[name] = role
            place = self.directory / OWN_ROLES / name
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(Path("..") / "artifacts" / role)

    def _stage(self, name: str, archive: tarfile.TarFile) -> None:
        content = self.tree.read(name, LIMIT) if self.tree else b""
        path = self.directory / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644 if name.endswith(ANSIBLE) else 0o755
        path.chmod(entry.mode)
        archive.addfile(entry, io.BytesIO(content))


def _for_module(one: Resource) -> dict:
    data = {"name": one.name, "kind": one.kind, "node": one.node, "arguments": one.arguments, "needs": sorted(one.needs)}
    return {**data, "existing": True} if one.existing else data
