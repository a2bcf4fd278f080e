"""What can be done with a topology: plan, deploy (also: update), scale, heal, undeploy, run a workflow of its template.

The same functions serve the command line and the service. A `Request` says what is wanted; `Eve` keeps states in a directory,
compiles, writes the project, runs it, and notes what came of it after every stage, so that a kill at any time loses nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudos import home
from cloudos.eve import quota
from cloudos.eve.compiler.compile import Compiler
from cloudos.eve.engine import export, sharing
from cloudos.eve.engine.calls import plays_of
from cloudos.eve.engine.emit import emit, secrets_of
from cloudos.eve.engine.plan import CREATE, DELETE, KEEP, REPLACE, USE, Plan, Stage, make_plan
from cloudos.eve.engine.progress import Follower
from cloudos.eve.engine.state import DESIGN, Directory, State
from cloudos.eve.engine.tasks import variable
from cloudos.eve.graph import OPERATION, Graph, computed
from cloudos.eve.problems import Refused, Undeployable
from cloudos.eve.provider import Pool
from cloudos.eve.workflow import run as flow_run
from cloudos.eve.workflow.compile import compile_workflow
from cloudos.eve.workflow.flow import Flow
from cloudos.eve.workflow.project import emit_flow
from cloudos.eve.workflow.run import FlowFollower
from cloudos.runs import start
from cloudos.tosca.model import Template, plain
from cloudos.tosca.resolver import DirectoryTree, Tree

Secrets = Callable[[str], str]
NO_KEY = "ssh-ed25519 made-when-it-is-deployed"  # in plans, which make none


@dataclass(frozen=True)
class Request:
    """A topology as it is wanted. `tree`: where files of operations are; `instances`: node -> number, else as it is now;
    `design`: packs it as export.py says, for states that keep it; `choices`: as of compile_topology."""

    topology: str
    template: Template
    pools: Mapping[str, Pool]
    tree: Tree | None = None
    placement: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)
    design: Callable[[], bytes] | None = None
    choices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of a run. `failures`: {"node", "operation", "cause", "next_step"} each; `started` False: nothing was to be done;
    `record`: of a workflow's run, as flow_run.py says."""

    ok: bool
    plan: Plan
    state: State
    failures: list[dict] = field(default_factory=list)
    seconds: float = 0
    started: bool = False
    output: str = ""
    record: dict = field(default_factory=dict)


class Eve:
    """Lifecycles of topologies. `secrets`: name -> value, asked for when a run needs it; `on_progress`: gets
    {"kind", "name", "node", "action", "done", "total"} as things happen; `cancelled` is asked now and then, and ends a run;
    `start_project`: starts Ansible, as cloudos.runs does."""

    def __init__(
        self,
        states: Directory | None = None,
        secrets: Secrets | None = None,
        on_progress: Callable[[dict], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        start_project: Callable[..., Any] = start.start_project,
    ):
        self.states, self.cancelled, self.start_project = states or Directory(), cancelled, start_project
        self.secrets, self.on_progress = secrets, on_progress or (lambda event: None)

    # Plans

    def plan(self, request: Request) -> Plan:
        """What deploying or updating would do, and whether the pools have room for it. Raises Undeployable and Refused."""
        return self._plan(self.states.load(request.topology), request)

    def _plan(self, state: State, request: Request, missing: set[str] | None = None) -> Plan:
        graph = self._graph(state, request)
        kept = sharing.shared(state, self.states.others(request.topology)) if state.entries.keys() - graph.resources.keys() else {}
        pools = self._pools(state, request.pools)
        plan = make_plan(state, graph, pools, missing or (), kept)
        wanting = [name for name, numbers in plan.peak.items() if any(number > 0 for number in numbers.values())]
        if not (surveys := {name: found for name in wanting if (found := self.survey(pools[name]))}):
            return plan
        plan = make_plan(state, graph, pools, missing or (), kept, quota.sizes(graph, surveys))
        plan.lacking = quota.lacking(plan.peak, surveys)
        plan.notes += [f"pool {name}: {note}" for name, survey in surveys.items() for note in survey.notes]
        return plan

    def survey(self, pool: Pool) -> quota.Survey | None:
        """What a pool may have and has now; None where its provider does not tell."""
        return pool.mapping.survey(pool.login) if pool.mapping.survey else None

    def _graph(self, state: State, request: Request) -> Graph:
        return self._compiler(state, request).graph()

    def _compiler(self, state: State, request: Request) -> Compiler:
        first = Eve._compiling(request, {}, None)
        limits = first.graph().counts
        now = {name: within(one["count"], limits[name]) for name, one in state.counts.items() if name in limits}
        key = self.key(request.topology) if self._logs_in(request, first) else None
        return Eve._compiling(request, {**now, **request.instances}, key)

    @staticmethod
    def _compiling(request: Request, instances: Mapping[str, int], key: str | None) -> Compiler:
        return Compiler(request.template, request.pools, request.topology, request.placement, instances, key, request.choices)

    @staticmethod
    def _logs_in(request: Request, first: Compiler) -> bool:
        """Whether anything is or may be run on servers; the first compilation tells, without a key."""
        if any(one.steps for one in request.template.workflows.values()):
            return any("login" in first.entry_of(node) for node in request.template.nodes.values())
        return any(one.kind == OPERATION and one.arguments["hosts"] for one in first.resources.values())

    @staticmethod
    def _pools(state: State, given: Mapping[str, Pool]) -> dict[str, Pool]:
        """The given pools, and those in which the topology still has something."""
        return {**{name: Pool(name, one["provider"], one["login"], one["defaults"]) for name, one in state.pools.items()}, **given}

    # Verbs

    def deploy(self, request: Request) -> Outcome:
        """Make or update a topology."""
        with self.states.locked(request.topology):
            state = self.states.load(request.topology)
            return self._bring(state, request)

    def scale(self, request: Request) -> Outcome:
        """Bring scalable nodes to `request.instances`. Raises Refused for one that does not scale."""
        known = self.states.deployed(request.topology).counts
        if wrong := [name for name in request.instances if name not in known]:
            raise Refused(f"{', '.join(wrong)}: not scalable. Scalable nodes: {', '.join(known) or 'none'}; a node scales when it may have "
                          "more instances than one.")  # fmt: skip
        return self.deploy(request)

    def heal(self, request: Request) -> Outcome:
        """Make again what is missing, and run again what was done on it. Raises Refused for what is not deployed."""
        self.states.deployed(request.topology)
        with self.states.locked(request.topology):
            state = self.states.deployed(request.topology)
            missing = self.missing(state, request)
            return self._bring(state, request, missing)

    def undeploy(self, topology: str, force: bool = False) -> Outcome:
        """Remove all of a topology, from its state alone. What others use stays, and their names are told."""
        self.states.deployed(topology)  # so that a wrong name leaves no directory with a lock
        with self.states.locked(topology):
            state = self.states.deployed(topology)
            with sharing.leaving(self.states, state, state.made().keys()):
                kept = {} if force else sharing.shared(state, self.states.others(topology))
                outcome = self._apply(state, make_plan(state, Graph(), self._pools(state, {}), (), kept), None)
            if outcome.ok and not state.made():
                state.end()
                self.states.save(state)
                shutil.rmtree(self.states.folder(topology) / "files", ignore_errors=True)
                for name in ("key", "key.pub", "known_hosts", DESIGN):
                    (self.states.folder(topology) / name).unlink(missing_ok=True)
            return outcome

    def export(self, topology: str) -> bytes:
        """The topology as an archive that is deployed elsewhere or again, with as many instances as it has now. Raises Refused."""
        self.states.deployed(topology)
        with self.states.locked(topology):
            state, design = self.states.deployed(topology), self.states.design(topology)
        if design is None:
            raise Refused(f"topology {topology} was deployed by a version that did not keep its design. Deploy it once more: where nothing "
                          "differs nothing is done.")  # fmt: skip
        return export.scaled(design, state.counts)

    # Workflows

    def flow(self, request: Request, name: str, identity: str | None = None) -> tuple[Flow, dict, Plan, State]:
        """(flow, record, plan, state) of a workflow of the template whose inputs have values: what would run now. `identity`: of a run
        that may go on. Raises Undeployable, and Refused where the topology is not deployed or a precondition does not hold."""
        state = self.states.deployed(request.topology)
        flow = compile_workflow(self._compiler(state, request), name, state)
        workflow = request.template.workflows[name]
        resumed = any(one["id"] == identity for one in state.runs)
        record = flow_run.begin(state, flow, identity or "", plain(workflow.given))
        if not resumed:
            flow.demand(state)
        plan = flow.plan(request.topology, record["units"], record["done"])
        return flow, record, plan, state

    def check_workflow(self, request: Request, name: str, identity: str | None = None) -> dict:
        """What would run, step by step, with the project written aside to see that it can be; no Ansible is started."""
        flow, record, plan, state = self.flow(request, name, identity)
        with tempfile.TemporaryDirectory() as aside:
            emit_flow(flow, record, plan, state, self._pools(state, request.pools), Path(aside) / "project", request.tree)
        return flow.to_json(state, plan)

    def workflow(self, request: Request, name: str, identity: str) -> Outcome:
        """Run a workflow, or go on with the run of that identity."""
        with self.states.locked(request.topology):
            flow, record, plan, state = self.flow(request, name, identity)
            began = time.monotonic()
            tree = _Trees([one for one in (request.tree, self._old_files(state.topology)) if one])
            pools = self._pools(state, request.pools)
            follower = self._run(plan, state, pools, tree, (), lambda: self.states.save(state), (flow, record))
            state.outputs = {key: computed(value, state.known()) for key, value in flow.graph.outputs.items()}
            self.states.save(state)
        seconds = round(time.monotonic() - began, 1)
        return Outcome(not follower.failures, plan, state, follower.failures, seconds, True, follower.output, record)

    def missing(self, state: State, request: Request) -> set[str]:
        """Names of the resources that the state knows and the clouds do not have."""
        graph = self._graph(state, request)
        made = {name: one for name, one in state.made().items() if one.resource.kind != OPERATION and name in graph.resources}
        looked = {name: entry.resource for name, entry in made.items()}
        plan = make_plan(State(state.topology), Graph(looked), self._pools(state, request.pools))
        down = {name: replace(step, old=step.resource) for name, step in plan.steps.items()}
        pools = sorted({one.pool for one in looked.values()})
        stages = [Stage(True, pool, sorted(name for name in looked if looked[name].pool == pool)) for pool in pools]
        follower = self._run(replace(plan, steps=down, stages=stages), state, self._pools(state, request.pools), None, ("--check",))
        if follower.failures:
            raise Refused(f"what is missing could not be found out: {follower.failures[0]['cause']}. {follower.failures[0]['next_step']}")
        return looked.keys() - follower.seen

    # Runs

    def _bring(self, state: State, request: Request, missing: set[str] | None = None) -> Outcome:
        """Plan and apply. What goes is told to all before it is looked who uses it."""
        plan = self._plan(state, request, missing)
        going = [name for name, step in plan.steps.items() if step.action in (DELETE, REPLACE) and step.resource.kind != OPERATION]
        with sharing.leaving(self.states, state, going):
            return self._apply(state, self._plan(state, request, missing) if going else plan, request)

    def _apply(self, state: State, plan: Plan, request: Request | None) -> Outcome:
        if plan.lacking:
            raise Undeployable(plan.lacking)
        if plan.nothing:
            before = state.to_json()
            self._note(state, request)
            self._finish(state, plan, request)
            if state.to_json() != before:
                self.states.save(state)
            return Outcome(True, plan, state)
        began = time.monotonic()
        tree = _Trees([one for one in (request and request.tree, self._old_files(state.topology)) if one])
        pools = self._pools(state, request.pools if request else {})
        follower = self._run(plan, state, pools, tree, (), lambda: self._begin(state, plan, request))
        sharing.release(state)
        if not follower.failures:
            self._finish(state, plan, request)
        self.states.save(state)
        seconds = round(time.monotonic() - began, 1)
        return Outcome(not follower.failures, plan, state, follower.failures, seconds, True, follower.output)

    def _begin(self, state: State, plan: Plan, request: Request | None) -> None:
        """Note what is about to be used and made. Raises Refused."""
        sharing.claim(self.states, state, plan)
        self._note(state, request)
        if request:
            state.counts = plan.graph.counts  # what fails is gone on with by the next deploy, numbers and all
        for name in [name for stage in plan.stages if not stage.down for name in stage.names]:
            if plan.steps[name].action == CREATE and name not in state.entries:
                state.begin(plan.steps[name].resource)
        self.states.save(state)

    def _run(self, plan: Plan, state: State, pools: Mapping[str, Pool], tree: Tree | None, arguments: tuple[str, ...],
             begin: Callable[[], None] = lambda: None, flow: tuple[Flow, dict] | None = None) -> Follower:  # fmt: skip
        """Write the project and run it. `begin` is called when nothing stands in the way any more: until then nothing is noted."""
        folder = self.states.folder(state.topology)
        project = folder / "project"
        if flow:
            emit_flow(*flow, plan, state, pools, project, tree, folder)
        else:
            emit(plan, state, pools, project, tree, folder)
        values = {name: self._secret(name) for name in sorted(secrets_of(plan, pools))}
        begin()
        if (project / "artifacts").is_dir() and not arguments:
            shutil.copytree(project / "artifacts", folder / "files", dirs_exist_ok=True)
        save = None if arguments else lambda: self.states.save(state)
        about = (plan, state, values, self.on_progress, save, plays_of(project))
        follower = FlowFollower(*flow, *about) if flow else Follower(*about)
        environment = {variable(name): value for name, value in values.items()}
        collections = sorted({path for pool in pools.values() for path in pool.mapping.collections})
        environment.update(start.settings(collections))
        run = self.start_project(project, "playbook.json", "inventory.json", follower.event, environment, arguments, self.cancelled)
        try:
            code = run.wait()
            follower.end(code, run.output())
        finally:
            run.cancel()
            run.close()
        return follower

    def _secret(self, name: str) -> str:
        if self.secrets is None:
            raise Refused(f"secret {name} is needed. Give it: in the environment as {variable(name)}, or through the service's store.")
        return self.secrets(name)

    def _note(self, state: State, request: Request | None) -> None:
        """What is known before anything is done."""
        if request:
            state.pools = {**state.pools, **{name: {"provider": one.provider, "login": dict(one.login), "defaults": dict(one.defaults)}
                                             for name, one in request.pools.items()}}  # fmt: skip
            place = request.template.place
            state.template = {"file": str(place.file)}
            if request.design:
                self.states.keep_design(state.topology, request.design())

    def _finish(self, state: State, plan: Plan, request: Request | None) -> None:
        """The state after all went well: what the template says of what stays, counts, outputs."""
        for name, step in plan.steps.items():
            if step.action == KEEP:
                state.entries[name].resource = step.resource
        gone = [name for name, one in state.entries.items() if name not in plan.graph.resources and name not in plan.kept]
        for name in gone:
            if plan.steps.get(name) is None or plan.steps[name].action == USE:
                state.forget(name)
        state.counts = plan.graph.counts
        state.outputs = {name: computed(value, state.known()) for name, value in plan.graph.outputs.items()}

    def _old_files(self, topology: str) -> Tree | None:
        folder = self.states.folder(topology) / "files"
        return DirectoryTree(folder) if folder.is_dir() else None

    def key(self, topology: str) -> str:
        """The public key with which Eve logs in to the servers of a topology; made when it is first needed."""
        path = self.states.folder(topology) / "key"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with home.locked(path.with_name("key.lock")):
            if not path.exists():
                command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"eve-{topology}", "-f", str(path)]
                subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path.with_name("key.pub").read_text().strip()


def within(number: int, limits: Mapping[str, Any]) -> int:
    """A number of instances, or the nearest that the template allows now."""
    least, most = limits["min"], limits["max"]
    return max(least, number if most is None else min(number, most))


class _Trees(Tree):
    """Several trees as one; the first that has a file counts."""

    def __init__(self, trees: list[Tree]):
        super().__init__(trees[0].shown if trees else "")
        self.trees = trees

    def exists(self, name: str) -> bool:
        """Whether any has the file."""
        return any(one.exists(name) for one in self.trees)

    def names(self) -> Iterator[str]:
        """Names in all of them."""
        return iter(sorted({name for one in self.trees for name in one.names()}))

    def read(self, name: str, limit: int) -> bytes:
        """The file of the first tree that has it."""
        return next(one for one in self.trees if one.exists(name)).read(name, limit)


