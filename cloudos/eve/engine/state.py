"""What a topology consists of now: one JSON document per topology, written whole after every stage; no secrets in it.

{"format": 1, "topology", "serial", "template": {"file"}, "pools": {name: {"provider", "login", "defaults"}}, "counts", "outputs",
 "resources": {name: {...Resource, "status", "attributes", "seconds"}}, while something is removed "going": [name], and of workflows
 "states": {instance: state}, "called": {instance:operation: outputs}, "runs": [...]}
status: `begun` (a request may have left something; of what exists: it is about to be used) or `present`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudos import home
from cloudos.eve.graph import Resource
from cloudos.eve.problems import Refused

FORMAT = 1
RUNS = 20  # runs of workflows that are remembered
DESIGN = "design.csar"
BEGUN, PRESENT = "begun", "present"


@dataclass
class Entry:
    """One resource as it was made. `attributes`: what the provider told; of an operation, its outputs."""

    resource: Resource
    status: str
    attributes: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0


@dataclass
class State:
    """The state of one topology; empty for one that is not deployed. What `runs` holds is in flow_run.py."""

    topology: str
    serial: int = 0
    template: dict[str, Any] = field(default_factory=dict)
    pools: dict[str, dict] = field(default_factory=dict)
    counts: dict[str, dict] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    called: dict[str, dict] = field(default_factory=dict)
    runs: list[dict] = field(default_factory=list)
    going: list[str] = field(default_factory=list)

    def known(self) -> dict[str, dict]:
        """Attributes by name, for references; also the outputs of operations that workflows have called."""
        return {**self.called, **{name: one.attributes for name, one in self.entries.items() if one.status == PRESENT}}

    def state_of(self, instance: str, node: str, index: int) -> str:
        """What a workflow has set, else `started` for an instance of which everything is there."""
        mine = [one for one in self.entries.values() if (one.resource.node, one.resource.instance) == (node, index)]
        return self.states.get(instance) or ("started" if all(one.status == PRESENT for one in mine) else "creating")

    def tell(self, operation: str, outputs: Mapping[str, Any]) -> None:
        """Note the outputs of an operation that a workflow has called."""
        if operation in self.entries:
            self.entries[operation].attributes = dict(outputs)
        else:
            self.called[operation] = dict(outputs)

    @property
    def deployed(self) -> bool:
        """Whether it was deployed and not undeployed since: also of what has workflows alone, for which nothing is made."""
        return bool(self.template or self.entries)

    def end(self) -> None:
        """It was undeployed."""
        self.template = {}

    def made(self) -> dict[str, Entry]:
        """What is to be removed one day: all that is not merely used."""
        return {name: one for name, one in self.entries.items() if not one.resource.existing}

    def begin(self, resource: Resource) -> None:
        """Note that a resource is about to be made, so that what a kill leaves is known."""
        self.entries[resource.name] = Entry(resource, BEGUN)

    def have(self, resource: Resource, attributes: Mapping[str, Any], seconds: float = 0) -> None:
        """Note that a resource is there."""
        self.entries[resource.name] = Entry(resource, PRESENT, dict(attributes), seconds)

    def forget(self, name: str) -> None:
        """Note that a resource is gone for good, and with the last of an instance what workflows have left of it."""
        gone = self.entries.pop(name, None)
        if gone and not any((one.resource.node, one.resource.instance) == (gone.resource.node, gone.resource.instance)
                            for one in self.entries.values()):  # fmt: skip
            instance = gone.resource.node if gone.resource.instance == 0 else f"{gone.resource.node}-{gone.resource.instance + 1}"
            self.states.pop(instance, None)
            self.called = {key: value for key, value in self.called.items() if not key.startswith(f"{instance}:")}

    def to_json(self) -> dict:
        """The document."""
        resources = {
            name: {**one.resource.to_json(), "status": one.status, "attributes": one.attributes, "seconds": one.seconds}
            for name, one in sorted(self.entries.items())
        }
        more = {key: value for key in ("states", "called", "runs", "going") if (value := getattr(self, key))}
        return {"format": FORMAT, "topology": self.topology, "serial": self.serial, "template": self.template, "pools": self.pools,
                "counts": self.counts, "outputs": self.outputs, "resources": resources, **more}  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        """The inverse of to_json(). Raises Refused for another format."""
        if data.get("format") != FORMAT:
            raise Refused(f"state of topology {data.get('topology')} has format {data.get('format')}, not {FORMAT}. "
                          "Use the version of Cloud OS that wrote it.")  # fmt: skip
        entries = {
            name: Entry(Resource.from_json(one), one["status"], one["attributes"], one["seconds"])
            for name, one in data["resources"].items()
        }
        kept = {key: data[key] for key in ("topology", "serial", "template", "pools", "counts", "outputs")}
        more = {key: data[key] for key in ("states", "called", "runs", "going") if key in data}
        return cls(**kept, **more, entries=entries)


class Directory:
    """States as files `<root>/<topology>/state.json`; what else a topology needs lies beside its own."""

    def __init__(self, root: Path | None = None):
        self.root = root or home.root() / "topologies"

    def folder(self, topology: str) -> Path:
        """Where the files of a topology are. Raises Refused for a name that would be elsewhere."""
        if not topology or Path(topology).name != topology or topology.startswith("."):
            raise Refused(f"{topology!r} is no name of a topology. Use letters, digits, dots, underscores and hyphens.")
        return self.root / topology

    def load(self, topology: str) -> State:
        """The state; an empty one when there is none."""
        path = self.folder(topology) / "state.json"
        return State.from_json(json.loads(path.read_text())) if path.exists() else State(topology)

    def deployed(self, topology: str) -> State:
        """The state of a topology that is deployed. Raises Refused."""
        state = self.load(topology)
        if not state.deployed:
            known = ", ".join(self.topologies()) or "none"
            raise Refused(f"topology {topology} is not deployed. Deployed are: {known}. Deploy it first, or name one of these.")
        return state

    def save(self, state: State) -> None:
        """Write the state in one step; that of what is not deployed goes."""
        state.serial += 1
        path = self.folder(state.topology) / "state.json"
        if state.deployed:
            home.write(path, (json.dumps(state.to_json(), indent=1, sort_keys=True) + "\n").encode())
        else:
            path.unlink(missing_ok=True)

    def design(self, topology: str) -> bytes | None:
        """What the topology was last deployed from, as export.py packs it; None where that was not kept."""
        path = self.folder(topology) / DESIGN
        return path.read_bytes() if path.exists() else None

    def keep_design(self, topology: str, archive: bytes) -> None:
        """Keep what the topology is deployed from."""
        if archive != self.design(topology):
            home.write(self.folder(topology) / DESIGN, archive)

    @contextlib.contextmanager
    def locked(self, topology: str) -> Iterator[None]:
        """Hold the topology against other processes. Raises Refused when one has it."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(home.locked(self.folder(topology) / "lock", wait=False))
            except BlockingIOError:
                raise Refused(f"topology {topology} is held by another command. Wait for its end, and say the same again.") from None
            yield

    def topologies(self) -> Iterator[str]:
        """Names of those that are deployed."""
        for path in sorted(self.root.glob("*/state.json")):
            yield path.parent.name

    def others(self, topology: str) -> list[State]:
        """The states of all other topologies."""
        return [self.load(name) for name in self.topologies() if name != topology]

    def leaving(self, topology: str) -> list[State]:
        """Those of the others of which something is being removed."""
        return [one for one in self.others(topology) if one.going]
