"""What must be done so that a topology becomes what its template says: the difference of state and graph, in stages.

Nothing here talks to a cloud. A plan is data: it is shown, compared with quotas, and made into an Ansible project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudos.eve.engine.state import BEGUN, PRESENT, State
from cloudos.eve.graph import OPERATION, Graph, Resource, levels, references, reverse
from cloudos.eve.problems import Problem, Refused, Undeployable
from cloudos.eve.provider import Kind, Pool

CREATE, CHANGE, REPLACE, DELETE, KEEP, USE, RUN, UNDO = "create", "change", "replace", "delete", "keep", "use", "run", "undo"
START, STAGE, OPERATION_SECONDS = 2.0, 1.5, 5.0  # seconds: of Ansible itself, of one module call, of an operation never run


@dataclass
class Step:
    """What becomes of one resource. `changes`: argument -> [before, after]; `old`: the resource as it is."""

    name: str
    action: str
    resource: Resource
    old: Resource | None = None
    changes: dict[str, list] = field(default_factory=dict)
    reason: str = ""

    def to_json(self) -> dict:
        """Without what is empty."""
        data = {"name": self.name, "kind": self.resource.kind, "node": self.resource.node, "pool": self.resource.pool,
                "action": self.action, "changes": self.changes, "reason": self.reason}  # fmt: skip
        return {key: value for key, value in data.items() if value}


@dataclass
class Stage:
    """Steps that are done in one go: one module call for the resources of a pool, or operations that do not need each other."""

    down: bool
    pool: str
    names: list[str]


@dataclass
class Plan:
    """All steps by name, and the stages in their order; without stages there is nothing to do.

    `quota`: pool -> quota -> how much more of it is used in the end; `peak`: before what goes last is gone, which is what must be free.
    `lacking`: what the pools' quotas have no room for; `notes`: what could not be found out, and those of the graph.
    """

    topology: str
    steps: dict[str, Step]
    stages: list[Stage]
    graph: Graph
    kept: dict[str, list[str]] = field(default_factory=dict)
    quota: dict[str, dict[str, int]] = field(default_factory=dict)
    peak: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0
    lacking: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        """Whether all is as it must be."""
        return not self.stages

    def subject(self, stage: Stage, name: str) -> Resource:
        """What a stage is about: going down, the resource as it is."""
        step = self.steps[name]
        return step.old if stage.down and step.old else step.resource

    def counted(self) -> dict[str, int]:
        """Action -> how many steps; things merely used are left out."""
        found: dict[str, int] = {}
        for step in self.steps.values():
            if step.action != USE:
                found[step.action] = found.get(step.action, 0) + 1
        return found

    def to_json(self) -> dict:
        """What is shown of it."""
        stages = [{"down": one.down, "pool": one.pool, "names": one.names} for one in self.stages]
        return {"topology": self.topology, "steps": [step.to_json() for step in self.steps.values()], "stages": stages,
                "kept_for_others": self.kept, "quota": self.quota, "lacking": [str(one) for one in self.lacking], "notes": self.notes,
                "seconds": self.seconds, "counts": self.graph.counts}  # fmt: skip


def make_plan(
    state: State,
    graph: Graph,
    pools: Mapping[str, Pool],
    missing: Iterable[str] = (),
    kept: Mapping[str, list[str]] | None = None,
    sizes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """The plan from a state to a graph.

    `missing`: names that are not there although the state says so (heal); `kept`: resources that may not go -> the topologies
    that use them; `sizes`: flavor that is used -> its attributes, where they are known. Raises Undeployable where a cloud would
    refuse what is asked for.
    """
    return _Planner(state, graph, pools, set(missing), dict(kept or {}), sizes or {}).plan()


class _Planner:
    def __init__(self, state: State, graph: Graph, pools: Mapping[str, Pool], missing: set[str], kept: dict[str, list[str]],
                 sizes: Mapping[str, Mapping[str, Any]]):  # fmt: skip
        self.state, self.graph, self.pools, self.missing, self.kept, self.sizes = state, graph, pools, missing, kept, sizes
        self.steps: dict[str, Step] = {}

    def plan(self) -> Plan:
        order = [name for level in self.graph.levels() for name in level]
        for name in order:
            self.steps[name] = self._step(self.graph.resources[name])
        self._complete(order)
        going = {name: one for name, one in self.state.made().items() if name not in self.graph.resources and name not in self.kept}
        for name, entry in going.items():
            undo = entry.resource.kind == OPERATION
            if not undo or entry.resource.arguments.get("undo"):
                self.steps[name] = Step(name, UNDO if undo else DELETE, entry.resource, entry.resource, reason="no longer in the template")
        plan = Plan(self.state.topology, self.steps, self._stages(), self.graph, self.kept,
                    self._quota(CREATE, CHANGE, REPLACE, DELETE), self._quota(CREATE, CHANGE, REPLACE))  # fmt: skip
        plan.notes = [*self.graph.notes]
        plan.seconds = self._seconds(plan)
        return plan

    # Steps

    def _kind(self, one: Resource) -> Kind:
        if one.pool not in self.pools:
            raise Refused(f"{one.name} is in pool {one.pool}, which is not among those given ({', '.join(self.pools)}). "
                          "Name that pool, too.")  # fmt: skip
        return self.pools[one.pool].mapping.kinds.get(one.kind, Kind())

    def _step(self, one: Resource) -> Step:
        if one.existing:
            return Step(one.name, USE, one, reason=self.graph.bound.get(one.name, ""))
        entry = self.state.entries.get(one.name)
        replaced = self._anew(one.arguments, REPLACE, CREATE)
        if one.kind == OPERATION:
            return self._operation(one, entry.resource if entry and entry.status == PRESENT and one.name not in self.missing else None)
        if entry is None or entry.resource.existing:
            return Step(one.name, CREATE, one)
        if entry.status != PRESENT or one.name in self.missing:
            return Step(one.name, CREATE, one, reason="was begun" if entry.status == BEGUN else "is missing")
        old = entry.resource
        if (old.kind, old.pool) != (one.kind, one.pool):
            return Step(one.name, REPLACE, one, old, {"kind": [old.kind, one.kind], "pool": [old.pool, one.pool]})
        changes = _changes(old.arguments, one.arguments)
        fresh = {key for key, value in one.arguments.items() if any(name in replaced for name, _ in references(value))}
        if not changes and not fresh:
            return Step(one.name, KEEP, one, old)
        # What is replaced goes first, and it would not while this one has it.
        holding = {key for key in self._kind(one).holds if self._anew(old.arguments.get(key), REPLACE)}
        stuck = (changes.keys() | fresh) - self._kind(one).change | holding
        words = [f"what {', '.join(sorted(fresh))} refers to is made anew"] if fresh else []
        if not stuck:
            words += [effect for key, effect in self._kind(one).effects.items() if key in changes.keys() | fresh]
        return Step(one.name, REPLACE if stuck else CHANGE, one, old, changes, "; ".join(words))

    def _anew(self, value: Any, *actions: str) -> set[str]:
        """What a value refers to, of that of which one of these actions is the step."""
        return {name for name, _ in references(value) if name in self.steps and self.steps[name].action in actions}

    def _operation(self, one: Resource, old: Resource | None) -> Step:
        if old is None:
            return Step(one.name, RUN, one)
        changes = _changes({**old.arguments, "undo": None}, {**one.arguments, "undo": None})
        anew = [name for name in one.arguments.get("hosts", {}) if name in self.steps and self.steps[name].action in (REPLACE, CREATE)]
        inputs = {name for name, _ in references(one.arguments.get("inputs", {}))}
        moved = [name for name in inputs if name in self.steps and self.steps[name].action in (REPLACE, CREATE, RUN)]
        if anew or moved or changes:
            why = f"{', '.join(anew or moved)} is new" if anew or moved else "what it does or is given has changed"
            return Step(one.name, RUN, one, old, changes, why)
        return Step(one.name, KEEP, one, old)

    def _complete(self, order: list[str]) -> None:
        """Whether the cloud will take what is to be made."""
        problems = []
        for name in order:
            step = self.steps[name]
            if step.action not in (CREATE, REPLACE) or step.resource.kind == OPERATION:
                continue
            kind = self._kind(step.resource)
            lacking = [key for key in kind.required if key not in step.resource.arguments]
            if lacking and not ("image" in lacking and "block_device_mapping_v2" in step.resource.arguments and len(lacking) == 1):
                problems.append(Problem("", f"{step.resource.kind} {name} (node {step.resource.node}) has no {' and no '.join(lacking)}",
                                        "Say it in the template, in the pool's defaults, or let Graffiti bind it."))  # fmt: skip
        if problems:
            raise Undeployable(problems)

    # Stages

    def _stages(self) -> list[Stage]:
        """What is replaced goes first, then all is made, and what is no longer wanted goes last."""
        olds = {name: step.old for name, step in self.steps.items() if step.action == REPLACE and step.old}
        ups = {name: step.resource for name, step in self.steps.items() if step.action in (CREATE, CHANGE, REPLACE, RUN)}
        downs = {name: step.old for name, step in self.steps.items() if step.action in (DELETE, UNDO) and step.old}
        used = {name: step.resource for name, step in self.steps.items() if step.action == USE}
        found = _batches(self._down_edges(olds), olds, True)
        if ups:
            wanted = self._used_by(ups, used)
            everything = {**wanted, **ups}
            edges = {name: one.before() & everything.keys() - {name} for name, one in everything.items()}
            found += _batches(edges, everything, False)
        return found + _batches(self._down_edges(downs), downs, True)

    @staticmethod
    def _used_by(ups: Mapping[str, Resource], used: Mapping[str, Resource]) -> dict[str, Resource]:
        """The existing things that what is made refers to."""
        names = {name for one in ups.values() for name in one.before()}
        return {name: one for name, one in used.items() if name in names}

    @staticmethod
    def _down_edges(resources: Mapping[str, Resource | None]) -> dict[str, set[str]]:
        return reverse({name: one.before() & resources.keys() - {name} for name, one in resources.items() if one})

    # Figures

    def _quota(self, *actions: str) -> dict[str, dict[str, int]]:
        """Pool -> what steps of these actions need more of each quota; less of it counts negative."""
        found: dict[str, dict[str, int]] = {}
        for step in self.steps.values():
            if step.resource.kind == OPERATION or step.action not in actions or self._counts_already(step):
                continue
            new, old = None if step.action == DELETE else step.resource, None if step.action == CREATE else step.old
            for one, sign in ((new, 1), (old, -1)):
                if one is None:
                    continue
                total = found.setdefault(one.pool, {})
                for name, what in self._kind(one).quota.items():
                    total[name] = total.get(name, 0) + sign * self._counted(one, what)
        told = {pool: {name: number for name, number in sorted(one.items()) if number} for pool, one in found.items()}
        return {pool: one for pool, one in told.items() if one}

    def _counts_already(self, step: Step) -> bool:
        """What was begun may be there, and then it is no more that is needed."""
        entry = self.state.entries.get(step.name)
        return step.action == CREATE and entry is not None and entry.status == BEGUN

    def _counted(self, one: Resource, what: Any) -> int:
        """A number, an argument, or, of servers, what is known of the flavor."""
        if isinstance(what, int):
            return what
        if isinstance(value := one.arguments.get(what), int):
            return value
        for name, _ in references(one.arguments.get("flavor")):
            entry, flavor = self.state.entries.get(name), self.graph.resources.get(name)
            value = self.sizes.get(name, entry.attributes if entry else {}).get(what) or (flavor.arguments if flavor else {}).get(what)
            return value if isinstance(value, int) else 0
        return 0

    def _seconds(self, plan: Plan) -> float:
        """Estimated duration: the longest chain of each stage, and what Ansible needs."""
        if plan.nothing:
            return 0.0
        return round(START + sum(STAGE + self._stage_seconds(stage) for stage in plan.stages), 1)

    def _stage_seconds(self, stage: Stage) -> float:
        resources = {name: self.steps[name].old if stage.down else self.steps[name].resource for name in stage.names}
        edges = {name: one.before() & resources.keys() - {name} for name, one in resources.items() if one}
        finish: dict[str, float] = {}
        for level in levels(edges):
            for name in level:
                finish[name] = max((finish[one] for one in edges[name]), default=0) + self._one_second(resources[name], stage.down)
        return max(finish.values(), default=0)

    def _one_second(self, one: Resource | None, down: bool) -> float:
        if one is None or one.existing:
            return 0.0
        if one.kind == OPERATION:
            entry = self.state.entries.get(one.name)
            return entry.seconds if entry and entry.seconds else OPERATION_SECONDS
        kind = self._kind(one)
        return kind.delete_seconds if down else kind.seconds


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list]:
    """Argument -> [before, after] of what differs."""
    return {key: [old.get(key), new.get(key)] for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def _batches(edges: Mapping[str, set[str]], resources: Mapping[str, Resource | None], down: bool) -> list[Stage]:
    """As few stages as there can be: of each pool everything that needs no operation and no other pool first."""
    left = {name: set(edges[name]) for name in sorted(edges)}
    done: set[str] = set()
    found: list[Stage] = []
    while left:
        before = len(left)
        for pool in sorted({resources[name].pool for name in left}):
            names = _closure(left, done, {name for name in left if resources[name].pool == pool}, alone=pool == "")
            if names:
                found.append(Stage(down, pool, names))
                done.update(names)
                for name in names:
                    del left[name]
        if len(left) == before:
            raise Refused(f"these need each other: {', '.join(sorted(left))}. Remove one of the requirements between their nodes.")
    return found


def _closure(left: Mapping[str, set[str]], done: set[str], candidates: set[str], alone: bool) -> list[str]:
    """Candidates that need nothing but what is done and, unless each must be `alone`, each other; in an order that works."""
    names: list[str] = []
    ready = set(done)
    waiting = sorted(candidates)
    while True:
        now = [name for name in waiting if left[name] <= ready]
        if not now:
            return names
        names += now
        if alone:
            return names
        ready.update(now)
        waiting = [name for name in waiting if name not in ready]
