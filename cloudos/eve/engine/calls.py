"""Operations of a stage as plays of a project: those on different servers run side by side, each from a file of tasks of its own.

A server has one operation at a time. Each goes at its own pace (strategy free), and nothing that follows begins before all have
ended well. What Ansible cannot do at every server's own pace, such as run_once or pause, keeps an operation alone.
    calls/<nnn>-<digest>.json  operations.json: play -> server -> operation
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloudos.eve.compiler.operations import ANSIBLE
from cloudos.eve.engine.plan import Plan, Stage
from cloudos.eve.engine.tasks import call_tasks, expression_of_template, fact_of, jinja, with_secrets
from cloudos.eve.problems import Problem, Undeployable

PLAYS = "operations.json"
GATE = "See whether all went well before what follows"
FREE = "ansible.builtin.free"
LOCAL = "localhost"
HERE = "{{ playbook_dir }}/artifacts"  # where the template's files are for operations without a server
Keys = dict[str, tuple[yaml.Node, yaml.Node]]
# In whatever Ansible file of an operation one of these words is, it has its play for itself.
ALONE = re.compile(r"\b(run_once|pause|add_host|group_by|end_play|end_batch|serial|strategy|any_errors_fatal|max_fail_percentage)\b")


def call_of(plan: Plan, stage: Stage, name: str) -> dict:
    """The arguments of an operation, or of what undoes it."""
    arguments = plan.subject(stage, name).arguments
    if stage.down:
        return {"hosts": arguments["hosts"], "how": {"kind": "none"}, **arguments["undo"]}
    if "how" not in arguments:  # it only stands for what undoes it, and nobody need be reached for it
        return {**arguments, "how": {"kind": "none"}, "hosts": {}}
    return dict(arguments)


def host_name(name: str) -> str:
    """A name of a server as Ansible takes it for one host."""
    return re.sub(r"[^\w.-]", "_", name)


def plays_of(project: Path) -> dict[str, dict[str, str]]:
    """Play -> server -> operation, of a project that was written."""
    return json.loads((project / PLAYS).read_text())


@dataclass
class Job:
    """One operation as it is run. `together`: what is the same for those that may share a play; None: it is alone in its own.

    `goes`: its servers are deleted by the same plan, so that what cannot be undone on them keeps nothing.
    """

    name: str
    node: str
    call: Mapping[str, Any]
    how: dict[str, Any]
    inputs: dict[str, Any]
    hosts: list[str]
    goes: bool = False
    together: Any = None

    @property
    def tags(self) -> list[str]:
        """By which it is chosen."""
        return [f"node:{self.node}", f"op:{self.call['operation']}"]


class Operations:
    """Writes operations into a project. `remote`: where the template's files are on servers; `write`: (name, JSON) -> a file."""

    def __init__(self, plan: Plan, directory: Path, remote: str, write: Callable[[str, Any], None]):
        self.plan, self.directory, self.remote, self.write = plan, directory, remote, write
        self.plays: dict[str, dict[str, str]] = {}
        self._down = {name for stage in plan.stages if stage.down for name in stage.names}
        (directory / "calls").mkdir(mode=0o700)

    def stage(self, number: int, stage: Stage) -> Iterator[dict]:
        """The plays of a stage."""
        for group in side_by_side([self._job(stage, name) for name in sorted(stage.names)]):
            title = group[0].name if len(group) == 1 else f"Stage {number}: {listed([one.name for one in group])}"
            play = {"name": title, "hosts": sorted(host for one in group for host in one.hosts), "gather_facts": False,
                    **({"ignore_unreachable": True} if stage.down else {}), **({"strategy": FREE} if len(group) > 1 else {})}  # fmt: skip
            if group[0].how["kind"] == "playbook":
                yield self._imported(group, title)
            yield self._play(number, play, group)
            yield from self._gates(group)

    def _job(self, stage: Stage, name: str) -> Job:
        call = call_of(self.plan, stage, name)
        inputs = {key: jinja(with_secrets(value)) for key, value in call.get("inputs", {}).items()}
        hosts = sorted(map(host_name, call["hosts"])) or [LOCAL]
        goes = stage.down and bool(call["hosts"]) and self._down >= {*call["hosts"]}
        job = Job(name, self.plan.subject(stage, name).node, call, dict(call["how"]), inputs, hosts, goes)
        if job.how["kind"] == "ansible":
            job.how["kind"], job.how["content"] = self._kind(job)
        if len(hosts) == 1 and not self._bound_to_be_alone(job):
            job.together = "tasks" if job.how["kind"] != "playbook" else (job.how["file"], call["operation"], *sorted(inputs))
        return job

    def _play(self, number: int, play: dict, group: list[Job]) -> dict:
        files = {host: f"{number:03}-{digest(one.name)}.json" for one in group for host in one.hosts}
        for one in group:
            self.write(f"calls/{files[one.hosts[0]]}", [self._block(one)])
        self.plays[play["name"]] = {host: one.name for one in group for host in one.hosts}
        tags = sorted({tag for one in group for tag in one.tags})
        file = "{{ playbook_dir }}/calls/{{ eve_calls[inventory_hostname] }}"
        include = {"name": "What is to be done here", "ansible.builtin.include_tasks": {"file": file}, "tags": tags}
        return {**play, "vars": {"eve_calls": files}, "tasks": [include]}

    def _block(self, job: Job) -> dict:
        place = self.remote if job.call["hosts"] else HERE
        tasks = call_tasks(job.name, job.call, job.how, job.inputs, place, len(job.hosts) > 1)
        variables = {"eve_operation": job.name, **(job.inputs if job.how["kind"] in ("role", "tasks") else {})}
        block = {"name": job.name, "block": tasks, "vars": variables, "tags": job.tags}
        return {**block, "ignore_errors": True} if job.goes else block

    def _gates(self, group: list[Job]) -> Iterator[dict]:
        """What failed at one server's own pace ends the run when all others have come to their end; not where tags choose some."""
        if len(group) == 1:
            return
        facts = {fact_of(one.name): one.name for one in group}
        task = {"name": GATE, "vars": {"eve_facts": facts, "eve_left": "{{ eve_facts | reject('in', hostvars['localhost']) | list }}"},
                "ansible.builtin.fail": {"msg": "{{ eve_left | map('extract', eve_facts) | join(', ') }} did not come to an end"},
                "when": ["'all' in ansible_run_tags", "eve_left | length > 0"]}  # fmt: skip
        yield {"name": GATE, "hosts": LOCAL, "gather_facts": False, "tasks": [task]}

    # Files of Ansible

    def _kind(self, job: Job) -> tuple[str, str]:
        """What an Ansible file is: "playbook", "role" or "tasks", and where that is in the project."""
        path = self.directory / "artifacts" / job.how["file"]
        if path.is_dir() or path.parts[-2:] == ("tasks", "main.yml"):
            return "role", str((path if path.is_dir() else path.parents[1]).relative_to(self.directory))
        plays = self._read(job, path.read_text())
        return ("playbook" if any("hosts" in play for _, play in plays) else "tasks"), job.how["file"]

    def _read(self, job: Job, text: str) -> list[tuple[yaml.MappingNode, Keys]]:
        """(play, key -> its two nodes) of each play, or task, of a file."""
        try:
            tree = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise Undeployable([Problem(job.how["file"], f"operation {job.name}: {error}", "Correct the file.")]) from error
        plays = tree.value if isinstance(tree, yaml.SequenceNode) else []
        return [(one, {key.value: (key, value) for key, value in one.value}) for one in plays if isinstance(one, yaml.MappingNode)]

    def _imported(self, group: list[Job], title: str) -> dict:
        """A playbook for the servers of a group, in a copy that names them, and the operation in each play's name."""
        path = self.directory / "artifacts" / group[0].how["file"]
        text, hosts = path.read_text(), sorted(host for one in group for host in one.hosts)
        edits: list[tuple[int, int, str]] = []
        for play, keys in self._read(group[0], text):
            if "hosts" in keys:
                named = f"{title}: {_word(keys.get('name'))}"
                self.plays[named] = {host: one.name for one in group for host in one.hosts}
                edits += _edits(play, keys, {"hosts": hosts, "name": named, **({"strategy": FREE} if len(group) > 1 else {})})
        for start, end, new in sorted(edits, reverse=True):  # everything else of the play stays, byte for byte
            text = text[:start] + new + text[end:]
        own = path.with_name(f".eve-{digest(group[0].name)}.yml")
        own.write_text(text)
        tags = sorted({tag for one in group for tag in one.tags})
        variables = {key: _each(group, [one.inputs[key] for one in group]) for key in group[0].inputs}
        variables["eve_operation"] = _each(group, [one.name for one in group])
        file = own.relative_to(self.directory).as_posix()
        return {"name": f"{title}: playbook", "import_playbook": file, "vars": variables, "tags": tags}

    def _bound_to_be_alone(self, job: Job) -> bool:
        """Whether anything of its Ansible files, or of what lies beside them, wants a play for itself."""
        if "content" not in job.how:
            return False
        path = self.directory / (job.how["content"] if job.how["kind"] == "role" else f"artifacts/{job.how['file']}")
        roots = [path if path.is_dir() else path.parent, *(self.directory / "artifacts" / role for role in job.how.get("roles", ()))]
        files = (one for root in roots for one in sorted(root.rglob("*")) if one.suffix in ANSIBLE and one.is_file())
        texts = (one.read_text(errors="replace") for one in files)
        return any(ALONE.search(text) for text in texts if "tosca_definitions_version" not in text)


def side_by_side(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs in groups that run at once: in each a server has one job."""
    groups: list[list[Job]] = []
    for job in jobs:
        for group in groups:
            busy = {host for one in group for host in one.hosts}
            if job.together is not None and group[0].together == job.together and not busy & {*job.hosts}:
                group.append(job)
                break
        else:
            groups.append([job])
    return groups


def digest(text: str) -> str:
    """A name's short form for files."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def listed(names: list[str], most: int = 6) -> str:
    """Names as people read them."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _each(group: list[Job], values: list[Any]) -> Any:
    """One value for all servers, or an expression that chooses each one's own."""
    if all(value == values[0] for value in values):
        return values[0]
    chosen = {one.hosts[0]: value for one, value in zip(group, values, strict=True)}
    return "{{ " + expression_of_template(chosen) + "[inventory_hostname] }}"


def _word(pair: tuple[yaml.Node, yaml.Node] | None) -> str:
    return str(pair[1].value) if pair and isinstance(pair[1], yaml.ScalarNode) else "playbook"


def _edits(play: yaml.MappingNode, keys: Keys, wanted: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """(start, end, text) of what makes keys of a play what is wanted; a value of several lines stays."""
    first = keys["hosts"][0].start_mark
    between = ", " if play.flow_style else "\n" + " " * first.column
    for key, value in wanted.items():
        written = json.dumps(value)
        if key not in keys:
            yield first.index, first.index, f"{key}: {written}{between}"
        elif key == "hosts" or keys[key][1].start_mark.line == keys[key][1].end_mark.line:
            yield keys[key][1].start_mark.index, keys[key][1].end_mark.index, written
