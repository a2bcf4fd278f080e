"""What topologies use of each other: nobody removes what another uses or is about to use, and nobody begins with what is being removed.

Whoever begins writes down what it is about to use and then looks who removes; whoever removes writes that down and then looks who uses
it. Of two at the same time at least one sees the other, whichever database or directory the states are in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from cloudos.eve.engine.plan import Plan
from cloudos.eve.engine.state import BEGUN, Directory, Entry, State
from cloudos.eve.graph import OPERATION, Resource
from cloudos.eve.problems import Refused


@contextlib.contextmanager
def leaving(states: Directory, state: State, names: Iterable[str]) -> Iterator[None]:
    """Let everybody see that these resources may go, as long as it lasts; then look who uses them."""
    before, state.going = state.going, sorted(names)
    if state.going != before:
        states.save(state)
    try:
        yield
    finally:
        if state.going:
            state.going = []
            states.save(state)


def claim(states: Directory, state: State, plan: Plan) -> None:
    """Let everybody see what is about to be used, before anything is made. Raises Refused for what its owner is removing."""
    wanted = {name: plan.steps[name].resource for stage in plan.stages if not stage.down for name in stage.names}
    existing = {name: one for name, one in wanted.items() if one.existing}
    new = [one for name, one in existing.items() if name not in state.entries]
    for one in new:
        state.begin(one)
    if new:
        states.save(state)
    for other in states.leaving(state.topology) if existing else ():
        taken = {name: one for name, one in used(other, state).items() if name in other.going and one in existing}
        if taken:
            for one in new:
                state.forget(one.name)
            states.save(state)
            names = ", ".join(f"{one} ({name} of {other.topology})" for name, one in taken.items())
            raise Refused(f"{names} is to be used, and topology {other.topology} is removing it. Nothing was begun. Wait for the end of "
                          f"that and say the same again; where it was interrupted, do it again for {other.topology}.")  # fmt: skip


def release(state: State) -> None:
    """Forget what a run that is over was to use and has not found."""
    for name in [name for name, one in state.entries.items() if one.resource.existing and one.status == BEGUN]:
        state.forget(name)


def used(owner: State, user: State) -> dict[str, str]:
    """Resource that one topology has made -> the name by which another uses it. Of what that one is about to use the identifier is
    not known yet: it may be whatever fits to what is asked for."""
    mine = {str(one.attributes["id"]): name for name, one in owner.made().items() if one.attributes.get("id")}
    found: dict[str, str] = {}
    for name, use in user.entries.items():
        if not use.resource.existing:
            continue
        if "id" in use.attributes:
            names = [mine[one]] if (one := str(use.attributes["id"])) in mine else []
        else:
            names = [one for one in mine.values() if _may_be(owner.entries[one], use.resource)]
        found.update(dict.fromkeys(names, name))
    return found


def _may_be(one: Entry, asked: Resource) -> bool:
    """Whether what was made has all that is asked for, as far as that is known; an identifier also counts as name."""
    names = (one.attributes.get("name"), one.attributes["id"])
    return one.resource.kind == asked.kind and all(
        value in names if key == "name" else one.attributes.get(key, value) == value for key, value in asked.arguments.items())  # fmt: skip


def shared(state: State, others: Iterable[State]) -> dict[str, list[str]]:
    """Resources of a topology that others use -> their names; with each, all of its node and all that these need."""
    users: dict[str, list[str]] = {}
    for other in others:
        for name in used(state, other):
            if other.topology not in users.setdefault(name, []):
                users[name].append(other.topology)
    open_names = list(users)
    while open_names:
        name = open_names.pop()
        one = state.entries[name].resource
        siblings = {n for n, e in state.made().items()
                    if (e.resource.node, e.resource.instance, e.resource.kind == OPERATION) == (one.node, one.instance, False)}  # fmt: skip
        for needed in (siblings | one.before()) & state.made().keys() - users.keys():
            users[needed] = users[name]
            open_names.append(needed)
    return users
