"""Whether the code in a bundle declares what our own service and plugin files set."""

import json
from pathlib import Path

from cloudos.bundle.errors import BundleError
from cloudos.model import plugin, service
from cloudos.model.merge import extend
from cloudos.model.options import Options, undeclared
from cloudos.model.problems import Problems


def check(services: Path, plugins: Path, series: str, catalogue: Path) -> None:
    """Compare every file of every service, extended by all its plugins, with a bundle's options.json.

    BundleError with the list of what is not declared, so that a wrong name is told before a node reads it.
    """
    try:
        known, more = service.load([services]), plugin.load([plugins])
    except Problems as problems:
        raise BundleError(str(problems)) from problems
    bodies = {name: one.of(series) for name, one in known.known.items()}
    for one in more.values():
        for name, part in one.parts(series).items():
            if name in bodies:
                bodies[name] = extend(bodies[name], part)
    if found := undeclared(bodies, known.layers, Options(json.loads(catalogue.read_text()))):
        bundle = catalogue.name.removesuffix(".options.json")
        lines = [f"services and plugins set what the code in {bundle} does not declare:", *found]
        raise BundleError("\n  ".join(lines) + f"\ncorrect the options, or the namespaces of the file, in {services} or {plugins}")
