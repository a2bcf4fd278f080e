"""Write every oslo.config option that the installed code declares as JSON; overrides are checked against it.

Usage: options.py FILE [ABSENT ...]. Shape: docs/reference/bundle.md. ABSENT: packages that code imports and no lock holds.
"""

import importlib.metadata
import json
import multiprocessing
import sys
import types
from unittest import mock

from oslo_concurrency import lockutils  # noqa: F401 - registers the option that os-brick takes a default from
from oslo_config import cfg, generator

SCALARS = ("choices", "min", "max", "max_length", "regex", "quotes", "ignore_case", "schemes", "version")


def catalogue():
    """{namespace: {group: {option: description}}} of all entry points `oslo.config.opts`, but those of tests."""
    owners = {}
    for point in importlib.metadata.entry_points(group="oslo.config.opts"):
        if "tests." not in point.value:
            owners.setdefault(point.dist.name, []).append(point.name)
    # Services register clashing options when imported, so each distribution is listed by a process of its own.
    with multiprocessing.Pool(maxtasksperchild=1) as pool:
        parts = pool.map(list_namespaces, owners.values(), chunksize=1)
    return {namespace: groups for part in parts for namespace, groups in part.items()}


def list_namespaces(names):
    """{namespace: {group: {option: description}}} of some namespaces."""
    found = {}
    for namespace, entries in generator._list_opts(names):
        groups = found.setdefault(namespace, {})
        for group, options in entries:
            name = group.name if isinstance(group, cfg.OptGroup) else group or "DEFAULT"
            groups.setdefault(name, {}).update({option.dest: describe(option) for option in options})
    return found


def stand_in(name):
    """Let anything be imported from a package that is not there: what declares an option uses nothing of it."""
    module = sys.modules[name] = types.ModuleType(name)
    module.__getattr__ = lambda attribute: mock.MagicMock(name=f"{name}.{attribute}")


def describe(option):
    """What checking a value needs to know of an option, without the keys that say nothing."""
    facts = type_of(option.type)
    if option.default is not None and not option.secret:
        facts["default"] = str(option.default)
    if option.name != option.dest:
        facts["name"] = option.name
    aliases = [[old.group, (old.name or option.name).replace("-", "_")] for old in option.deprecated_opts]
    flags = {
        "multi": option.multi,
        "advanced": option.advanced,
        "required": option.required,
        "secret": option.secret,
        "deprecated": option.deprecated_for_removal,
        "aliases": aliases,
    }
    return {**facts, **{key: value for key, value in flags.items() if value}}


def type_of(kind):
    """A type as JSON: {type, and its bounds}; `item` and `value` describe what lists and mappings hold."""
    if isinstance(kind, type):  # any callable may be a type; a class has no bounds of its own
        return {"type": kind.__name__}
    facts = {"type": type(kind).__name__.lower()}
    for key in SCALARS:
        value = getattr(kind, key, None)
        if value is not None and value is not False and value not in ([], ()):  # a bound of 0 says something
            facts[key] = getattr(value, "pattern", None) or (
                list(value) if isinstance(value, (list, tuple, dict)) else value
            )
    for key, attribute in (("item", "item_type"), ("value", "value_type")):
        if getattr(kind, attribute, None) is not None:
            facts[key] = type_of(getattr(kind, attribute))
    return facts


if __name__ == "__main__":
    for package in sys.argv[2:]:
        stand_in(package)
    packages = {found.name: found.version for found in importlib.metadata.distributions()}
    with open(sys.argv[1], "w") as target:
        json.dump({"format": 1, "packages": packages, "namespaces": catalogue()}, target, sort_keys=True, default=str)
