"""What services have made once while the bundle is built, so that no node makes it: `assets` of the service files."""

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cloudos.bundle.errors import BundleError
from cloudos.bundle.tree import Tree
from cloudos.model import service
from cloudos.model.problems import Problems


@dataclass(frozen=True)
class Assets:
    """Of one service, all below `share/<service>`: `files` (path: content) are written, then `commands` run there."""

    service: str
    files: dict[str, str]
    environment: dict[str, str]
    commands: tuple[str, ...]

    def shipped_in(self, tree: Tree) -> bool:
        """Whether the bundle has the programs; without them the service is not in it."""
        return all((tree.root / "bin" / shlex.split(command)[0]).exists() for command in self.commands)

    def make(self, tree: Tree) -> None:
        """Make them; raises BundleError with the last lines of a command that fails."""
        for name, content in self.files.items():
            path = tree.root / "share" / self.service / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for command in self.commands:
            tree.inside(self._process(tree, command), what=f"{self.service}: {command}")

    def _process(self, tree: Tree, command: str) -> Iterable:
        program, *arguments = shlex.split(command)
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        place = tree.target / "share" / self.service
        return ["env", f"--chdir={place}", *variables, tree.target / "bin" / program, *arguments]


def load_assets(services: Path, series: str) -> list[Assets]:
    """The assets of all services in directory `services` as they are in `series`."""
    try:
        bodies = {name: one.of(series) for name, one in service.load([services]).known.items()}
    except Problems as problems:
        raise BundleError(str(problems)) from problems
    return [
        Assets(name, said.get("files", {}), said.get("environment", {}), tuple(said.get("commands", [])))
        for name, body in bodies.items()
        if (said := body.get("assets"))
    ]


def digest_input(assets: list[Assets]) -> list[dict]:
    """What of the assets decides the content of a bundle, as JSON."""
    return [asdict(one) for one in assets]
