"""Works through resources that need each other, side by side where they do not."""

from __future__ import annotations

import graphlib
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

REFERENCE = "$attribute"


def references(value):
    """(name, path) of every {"$attribute": [name, key ...]} in a value, at any depth."""
    if isinstance(value, dict):
        if REFERENCE in value:
            name, *path = value[REFERENCE]
            yield name, tuple(path)
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def resolved(value, known):
    """The value with each reference to something in `known` (name -> attributes) replaced; others stay as they are."""
    if isinstance(value, dict):
        if REFERENCE in value:
            name, *path = value[REFERENCE]
            return value if known.get(name) is None else attribute(known[name], name, path)
        return {key: resolved(item, known) for key, item in value.items()}
    return [resolved(item, known) for item in value] if isinstance(value, list) else value


def attribute(attributes, name, path):
    """What a path leads to in a resource's attributes. Raises LookupError that tells what there is."""
    value = attributes
    for key in path:
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            there = ", ".join(sorted(value)) if isinstance(value, dict) else repr(value)
            raise LookupError(f"{name} has no attribute {'.'.join(map(str, path))}; there is: {there}") from None
    return value


def needs(resources):
    """Name -> set of names that must come before it, from references and `needs`; others' names are left out."""
    names = {one["name"] for one in resources}
    return {
        one["name"]: ({name for name, _ in references(one.get("arguments") or {})} | {*one.get("needs", ())}) & names
        for one in resources
    }


def reverse(graph):
    """The same graph with every edge turned round."""
    turned = {name: set() for name in graph}
    for name, before in graph.items():
        for one in before:
            turned[one].add(name)
    return turned


def order(graph):
    """Names in an order that respects the graph. Raises graphlib.CycleError."""
    return list(graphlib.TopologicalSorter({name: sorted(graph[name]) for name in graph}).static_order())


def work(graph, do, width):
    """Call do(name) for every name, each after those it needs, up to `width` at once.

    What needs a failed one is not begun; everything else is, so that one failure costs no more than it must.
    Returns ({name: {"value", "seconds"}}, {name: exception}, [names not begun]).
    """
    sorter = graphlib.TopologicalSorter(graph)
    sorter.prepare()
    done, failed, running = {}, {}, {}
    with ThreadPoolExecutor(max_workers=width) as pool:
        while True:
            for name in sorted(sorter.get_ready()):
                running[pool.submit(_timed, do, name)] = name
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                if error := future.exception():
                    failed[name] = error
                else:
                    done[name] = future.result()
                    sorter.done(name)
    return done, failed, [name for name in graph if name not in done and name not in failed]


def _timed(do, name):
    began = time.monotonic()
    value = do(name)
    return {"value": value, "seconds": round(time.monotonic() - began, 2)}
