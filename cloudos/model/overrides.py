"""The inventory's overrides: which apply to a node, and where each was written."""

from __future__ import annotations

from collections.abc import Iterator

from cloudos.model import merge
from cloudos.model.inventory import Inventory
from cloudos.model.schemas import GROUPS

Place = tuple[str, ...]  # where in `overrides`: ("all",), ("groups", "compute") or ("nodes", "ctl1")


class Overrides:
    """Overrides of one cloud, looked up by service, file and node; of all, groups, nodes the last one wins."""

    def __init__(self, inventory: Inventory):
        self.inventory = inventory
        self._by_service: dict[str, list[tuple[Place, dict]]] = {}
        for place, services in layers(inventory):
            for service, files in services.items():
                self._by_service.setdefault(service, []).append((place, files))

    def places(self, service: str, file: str, node: str) -> tuple[Place, ...]:
        """The layers that say anything about a file of a node; nodes with the same ones share the text."""
        if service not in self._by_service:
            return ()
        groups = self.inventory.nodes[node]["groups"]
        return tuple(
            place for place, files in self._by_service[service] if file in files and _applies(place, node, groups)
        )

    def sections(self, service: str, file: str, places: tuple[Place, ...]) -> list[dict]:
        """What those layers say, in order: section -> option -> value."""
        return [dict(self._by_service[service])[place][file] for place in places]

    def provenance(self, service: str, file: str, places: tuple[Place, ...]) -> dict[str, dict[str, str]]:
        """section -> option -> "file:line" of the layer that won."""
        found = [
            {
                section: {
                    option: self.inventory.where("overrides", *place, service, file, section, option)
                    for option in options or {}
                }
                for section, options in said.items()
            }
            for place, said in zip(places, self.sections(service, file, places), strict=True)
        ]
        return merge.sections(*found)


def layers(inventory: Inventory) -> Iterator[tuple[Place, dict]]:
    """(place, service -> file -> section -> option -> value) of every layer, in the order in which they apply."""
    overrides = inventory.overrides
    yield ("all",), overrides["all"]
    for group in sorted(overrides["groups"], key=lambda name: (GROUPS.index(name) if name in GROUPS else 99, name)):
        yield ("groups", group), overrides["groups"][group]
    for node, services in overrides["nodes"].items():
        yield ("nodes", node), services


def _applies(place: Place, node: str, groups: list[str]) -> bool:
    layer, *name = place
    return layer == "all" or (name[0] in groups if layer == "groups" else name[0] == node)
