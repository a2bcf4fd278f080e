"""A compiled workflow: units in their order, each an activity that is done on every instance of its target side by side.

What is done is a resource of kind `operation`, as in any plan, with further arguments: `keeps` (where its outputs are kept), `entry`
(the declarative operation that a delegate has done), `forgets` (those that it has undone), `state` (instance -> state).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cloudos.eve.engine.plan import RUN, Plan, Stage, Step
from cloudos.eve.engine.state import State
from cloudos.eve.graph import Graph, Resource, levels
from cloudos.eve.problems import Refused
from cloudos.eve.workflow.conditions import holds

OK, FAILED, CAUGHT, OFF, STUCK = "ok", "failed", "caught", "off", "stuck"  # what comes of a unit
WHOLE = "whole"  # beside OK and FAILED: what leads to a unit; all of an inlined workflow
Edges = list[tuple[str, str]]


@dataclass
class Unit:
    """One activity. `calls`: name -> what is done; `after`: (unit, OK | FAILED | WHOLE) of what leads to it; `caught`: whether its
    failure leads somewhere; `guards`: call -> name of the filter that lets it pass."""

    name: str
    step: str
    words: str
    calls: dict[str, Resource] = field(default_factory=dict)
    after: Edges = field(default_factory=list)
    caught: bool = False
    guards: dict[str, str] = field(default_factory=dict)


@dataclass
class Flow:
    """A compiled workflow. `filters`: name -> (condition, unit before which it is evaluated); `states`: instance -> state now;
    `conditions`: (place, condition) of what must hold before it begins; `outputs`: name -> data."""

    name: str
    inputs: dict[str, Any]
    graph: Graph
    units: dict[str, Unit] = field(default_factory=dict)
    filters: dict[str, tuple[str, str]] = field(default_factory=dict)
    conditions: list[tuple[str, str]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @cached_property
    def unit_of(self) -> dict[str, Unit]:
        """Call -> the unit that it belongs to."""
        return {call: unit for unit in self.units.values() for call in unit.calls}

    def levels(self, done: Iterable[str] = ()) -> list[list[str]]:
        """Names of units in levels, without those that are done."""
        left = {name: {one for one, _ in unit.after} for name, unit in self.units.items() if name not in set(done)}
        return levels({name: before & left.keys() for name, before in left.items()})

    def plan(self, topology: str, done_units: Iterable[str] = (), done_calls: Iterable[str] = ()) -> Plan:
        """What is still to be run, as a plan of one stage a level."""
        skipped, stages, steps = set(done_calls), [], {}
        for level in self.levels(done_units):
            calls = {name: (unit, one) for unit in level for name, one in self.units[unit].calls.items() if name not in skipped}
            steps.update({name: Step(name, RUN, one, reason=unit) for name, (unit, one) in calls.items()})
            stages.append(Stage(False, "", list(calls)))
        return Plan(topology, steps, stages, self.graph)

    def known(self, state: State) -> dict[str, dict]:
        """All that references lead to, states of nodes among it."""
        return {**state.known(), **{state_key(instance): {"state": value} for instance, value in self.states.items()}}

    def demand(self, state: State) -> None:
        """Raise Refused where a precondition does not hold, or a server is not there."""
        wrong = [f"{place}: the precondition of workflow {self.name} does not hold: {words}"
                 for place, text, words in self._told(state) if not holds(text, self.known(state))]  # fmt: skip
        if wrong:
            raise Refused("\n".join([*wrong, "Nothing was begun. Bring the topology to where it does, and run the workflow again."]))
        wanted = {host: call for unit in self.units.values() for call, one in unit.calls.items() for host in one.arguments["hosts"]}
        present = state.known()
        for host, call in wanted.items():
            if host in self.graph.resources and host not in present:
                raise Refused(f"{call}: server {host} is not there. `cloudos eve deploy` or `heal` makes it; then run the workflow again.")

    def _told(self, state: State) -> Iterator[tuple[str, str, str]]:
        known = ", ".join(f"{instance} is {value}" for instance, value in self.states.items())
        for place, text in self.conditions:
            yield place, text, f"{text}; {known}"

    def to_json(self, state: State, plan: Plan) -> dict:
        """What would run: steps in their order with what each does where, and which filters let pass as things are now."""
        known = self.known(state)
        left = {name for level in plan.stages for name in level.names}
        units = []
        for level in self.levels():
            for unit in (self.units[name] for name in level if self.units[name].calls):
                calls = [{"name": name, "node": one.node, "operation": one.arguments["operation"], "hosts": sorted(one.arguments["hosts"]),
                          "done": name not in left,
                          "passes": holds(self.filters[key][0], known) if (key := unit.guards.get(name)) else True}
                         for name, one in unit.calls.items()]  # fmt: skip
                units.append({"step": unit.step, "activity": unit.words, "after": sorted({f"{kind}:{one}" for one, kind in unit.after}),
                              "on_failure": unit.caught, "calls": calls})  # fmt: skip
        return {"topology": plan.topology, "workflow": self.name, "inputs": self.inputs, "units": units}


def state_key(instance: str) -> str:
    """The name under which the state of an instance is known."""
    return f"{instance}:(state)"
