"""Placement's words: the standard traits and resource classes, out of the libraries that name them."""

from __future__ import annotations

import pkgutil

import os_resource_classes
import os_traits

from cloudos.graffiti.types import Batch, Namespace, Type

_USED = {"type": "integer", "minimum": 0}


def traits() -> Batch:
    """A capability type for each trait, derived from one for each part of the tree that os-traits sorts them in."""
    groups = {name.replace(".", "_").upper() for name in _modules()}
    names = set(os_traits.get_traits())
    types = [_trait("TRAIT", None, "Anything that Placement says of a resource provider without a quantity.")]
    types += [_trait(name, _above(name, groups), "Traits of this part of the tree.") for name in sorted(groups - names)]
    types += [_trait(name, _above(name, groups), f"Trait {name}; a flavor asks for it by trait:{name}=required.") for name in sorted(names)]
    namespace = Namespace("os-traits", "Standard traits", "Qualities of hosts that Placement knows.", "os-traits", (
        {"name": "OS::Nova::Flavor", "prefix": "trait:"}, {"name": "OS::Glance::Image", "prefix": "trait:"}))  # fmt: skip
    return Batch((namespace,), tuple(types))


def resource_classes() -> Batch:
    """A capability type for each class, with what of it there is, is used and may be had."""
    properties = {"total": _USED, "used": _USED, "available": _USED, "allocation_ratio": {"type": "number", "minimum": 0}}
    root = Type("capability", "os-resource-classes", "RESOURCE_CLASS", description="Something that Placement counts.",
                schema={"type": "object", "properties": properties})  # fmt: skip
    types = [Type("capability", "os-resource-classes", name, "RESOURCE_CLASS", description=f"Resource class {name}.")
             for name in sorted(os_resource_classes.STANDARDS)]  # fmt: skip
    namespace = Namespace("os-resource-classes", "Standard resource classes", "Quantities that Placement counts.", "os-resource-classes")
    return Batch((namespace,), (root, *types))


def _modules() -> list[str]:
    """The parts of the tree: hw, hw.cpu, hw.cpu.x86 ..."""
    prefix = f"{os_traits.__name__}."
    names = [one.name.removeprefix(prefix) for one in pkgutil.walk_packages(os_traits.__path__, prefix)]
    return [name for name in names if name.split(".")[0] not in ("tests", "version")]


def _above(name: str, groups: set[str]) -> str:
    parts = name.split("_")
    shorter = ("_".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
    return next((one for one in shorter if one in groups), "TRAIT")


def _trait(name: str, above: str | None, description: str) -> Type:
    return Type("capability", "os-traits", name, above, description=description)
