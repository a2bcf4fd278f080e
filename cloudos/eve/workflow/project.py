"""The Ansible project of a workflow: as that of a plan, with what decides between its levels which units are next.

Facts of localhost: `eve_flow` (unit -> what came of it), `eve_go` (unit -> go, off or stuck), `eve_pass` (filter -> whether it lets pass).
A unit is begun when what leads to it came to an end so; a call that fails is rescued, and what leads from it decides what follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudos.eve.engine.calls import GATE, LOCAL, Job, Operations, host_name
from cloudos.eve.engine.emit import Project
from cloudos.eve.engine.plan import Plan, Stage
from cloudos.eve.engine.state import State
from cloudos.eve.engine.tasks import DONE_TASK, expression, fact_of
from cloudos.eve.problems import Problem, Undeployable
from cloudos.eve.provider import Pool
from cloudos.eve.workflow.flow import CAUGHT, FAILED, OFF, OK, STUCK, WHOLE, Flow, Unit, state_key
from cloudos.tosca.resolver import Tree

GO = "go"
WHAT_CAME, REACH = "What came of it", "Reach the servers"
AWAY = "eve_away"


def emit_flow(flow: Flow, record: Mapping[str, Any], plan: Plan, state: State, pools: Mapping[str, Pool], directory: Path,
              tree: Tree | None = None, base: Path | None = None) -> None:  # fmt: skip
    """Write the project. `record`: of the run, which may go on with what an earlier attempt has done. Raises Undeployable."""
    _FlowProject(flow, record, plan, state, pools, directory, tree, base or directory).write()


class _FlowProject(Project):
    def __init__(self, flow: Flow, record: Mapping[str, Any], *rest: Any):
        super().__init__(*rest)
        self.flow, self.record = flow, record
        done = [name for name, status in record["units"].items() if status in (OK, CAUGHT)]
        self.levels = flow.levels(done)

    def _also_known(self) -> dict[str, dict]:
        return {state_key(instance): {"state": value} for instance, value in self.flow.states.items()}

    def _calls(self) -> Operations:
        return _FlowOperations(self.flow, self.plan, self.directory, self._remote(), self._json)

    def _plays(self) -> Iterator[dict]:
        begun = {"eve_flow": dict(self.record["units"]), "eve_go": {}, "eve_pass": dict(self.record["passed"])}
        yield _local("What earlier attempts have done", [_fact("Remember it", begun)])
        yield from self._servers()
        before: list[str] = []
        for number, (level, stage) in enumerate(zip(self.levels, self.plan.stages, strict=True), 1):
            yield _local(f"What comes next ({number})", [*self._settled(before), *self._decided(level), *self._states(stage)])
            called = [name for name in stage.names if not self._is_state(name)]
            yield from self.operations.stage(number, Stage(False, "", called))
            before = level
        failed = f"eve_flow.values() | select('eq', '{FAILED}') | list | length > 0"
        told = "{{ eve_flow | dict2items | selectattr('value', 'eq', '" + FAILED + "') | map(attribute='key') | join(', ') }}"
        fail = {"name": GATE, "ansible.builtin.fail": {"msg": f"{told} did not come to an end"}, "when": failed}
        yield _local(GATE, [*self._settled(before), fail])

    def _servers(self) -> Iterator[dict]:
        hosts = {host: login for step in self.plan.steps.values() for host, login in step.resource.arguments["hosts"].items()}
        if hosts:
            yield _local("Servers", [self._add_host(host, login) for host, login in sorted(hosts.items())])
            away = {"name": "It cannot be logged in to", "ansible.builtin.set_fact": {AWAY: True}, "tags": ["always"]}
            tasks = [{"name": "Be ready", "block": self._reached(Stage(True, "", [])), "rescue": [away]}]
            yield {"name": REACH, "hosts": sorted(map(host_name, hosts)), "gather_facts": False, "tasks": tasks}

    def _is_state(self, name: str) -> bool:
        return self.plan.steps[name].resource.arguments["how"]["kind"] == "state"

    # Between the levels

    def _settled(self, level: list[str]) -> list[dict]:
        """What came of the units of a level."""
        found = {name: self._outcome(self.flow.units[name]) for name in level}
        return [_fact(WHAT_CAME, {"eve_flow": _combined("eve_flow", found)})] if found else []

    def _outcome(self, unit: Unit) -> str:
        ended = [self._ended(unit, name) for name in unit.calls if name in self.plan.steps]
        good = " and ".join(ended) or "true"
        return f"('{OK}' if ({good}) else '{CAUGHT if unit.caught else FAILED}') if {_go(unit.name)} == '{GO}' else {_go(unit.name)}"

    @staticmethod
    def _ended(unit: Unit, call: str) -> str:
        fact = fact_of(call)
        ended = f"({fact} is defined and {fact}_failed is not defined)"
        return f"({ended} or not eve_pass[{expression(unit.guards[call])}])" if call in unit.guards else ended

    def _decided(self, level: list[str]) -> list[dict]:
        """Which units of a level go, and which instances their filters let pass."""
        tasks = [_fact("Decide", {"eve_go": _combined("eve_go", {name: _decision(self.flow.units[name]) for name in level})})]
        asked = {key: f"true if {_go(first)} == '{GO}' and {text} else false" for key, (text, first) in self.flow.filters.items()
                 if first in level and key not in self.record["passed"]}  # fmt: skip
        return [*tasks, _fact("Filter", {"eve_pass": _combined("eve_pass", asked)})] if asked else tasks

    def _states(self, stage: Stage) -> list[dict]:
        """States of nodes, which are facts and nothing else."""
        tasks = []
        for name in filter(self._is_state, stage.names):
            found = self.plan.steps[name].resource.arguments["state"]
            facts = {fact_of(state_key(instance)): {"state": value} for instance, value in found.items()}
            unit = self.flow.unit_of[name]
            tasks.append({**_fact(f"{name}{DONE_TASK}", {fact_of(name): {}, **facts}), "when": _conditions(unit, name, "")})
        return tasks


class _FlowOperations(Operations):
    def __init__(self, flow: Flow, *rest: Any):
        super().__init__(*rest)
        self.flow = flow

    def _job(self, stage: Stage, name: str) -> Job:
        job = super()._job(stage, name)
        if job.how["kind"] == "playbook":
            job.together = None
            if self.flow.unit_of[name].caught:
                message = f"{name} is a playbook, and its failure leads to other steps: Ansible cannot go on after a failed playbook"
                raise Undeployable([Problem(job.how["file"], message, "Make it a list of tasks or a role.")])
        return job

    def _block(self, job: Job) -> dict:
        block, unit, fact = super()._block(job), self.flow.unit_of[job.name], fact_of(job.name)
        tell = block["block"][-1]["ansible.builtin.set_fact"]
        if keeps := job.call.get("keeps") or job.call.get("entry"):
            tell[fact_of(keeps)] = tell[fact]
        away = {"name": f"{job.name}: server", "ansible.builtin.fail": {"msg": "the server cannot be logged in to"},
                "when": f"{AWAY} | default(false)"}  # fmt: skip
        failed = {**_fact(f"{job.name}: failed", {f"{fact}_failed": True}), "delegate_to": LOCAL, "delegate_facts": True}
        return {**block, "block": [away, *block["block"]], "rescue": [failed], "when": _conditions(unit, job.name)}

    def _imported(self, group: list[Job], title: str) -> dict:
        return {**super()._imported(group, title), "when": _conditions(self.flow.unit_of[group[0].name], group[0].name)}

    def _gates(self, group: list[Job]) -> Iterator[dict]:
        """What failed is seen between the levels."""
        return iter(())


def _decision(unit: Unit) -> str:
    """What becomes of a unit by what came of those that lead to it: the handling of a failure goes before all, then what holds it up."""
    if not unit.after:
        return f"'{GO}'"
    led = {kind: _list(f"eve_flow[{expression(name)}]" for name, one in unit.after if one == kind) for kind in (OK, FAILED, WHOLE)}
    both = f"({led[OK]} + {led[WHOLE]})"
    return (f"'{GO}' if '{CAUGHT}' in {led[FAILED]} else '{STUCK}' if ('{FAILED}' in {both} or '{STUCK}' in ({both} + {led[FAILED]}))"
            f" else '{OFF}' if '{CAUGHT}' in {led[WHOLE]} or '{OK}' not in {both} else '{GO}'")  # fmt: skip


def _list(parts: Any) -> str:
    return "[" + ", ".join(parts) + "]"


def _go(unit: str, where: str = "") -> str:
    return f"{where}eve_go[{expression(unit)}]"


def _conditions(unit: Unit, call: str, where: str = "hostvars['localhost'].") -> list[str]:
    """When a call is made."""
    found = [f"{_go(unit.name, where)} == '{GO}'"]
    return [*found, f"{where}eve_pass[{expression(unit.guards[call])}]"] if call in unit.guards else found


def _combined(name: str, values: Mapping[str, str]) -> str:
    inner = ", ".join(f"{expression(key)}: ({text})" for key, text in values.items())
    return "{{ " + name + " | combine({" + inner + "}) }}"


def _fact(name: str, facts: Mapping[str, Any]) -> dict:
    return {"name": name, "ansible.builtin.set_fact": dict(facts), "tags": ["always"]}


def _local(name: str, tasks: list[dict]) -> dict:
    return {"name": name, "hosts": LOCAL, "gather_facts": False, "tasks": tasks}
