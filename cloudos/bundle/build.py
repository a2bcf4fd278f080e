"""Build the bundle of a patch level on the admin host."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cloudos.bundle import artifact as artifacts
from cloudos.bundle import assets, declared, mariadb, own, sbom, schemas, signing
from cloudos.bundle.artifact import Artifact
from cloudos.bundle.errors import BundleError
from cloudos.bundle.lock import check_floors
from cloudos.bundle.release import Release, pins
from cloudos.bundle.schemas import Schema
from cloudos.bundle.tree import Tree
from cloudos.home import locked

RECIPE = (
    *("build.py", "tree.py", "prune.py", "own.py", "schemas.py", "assets.py"),
    *("inside/catalogues.py", "inside/options.py", "inside/snapshot.py", "inside/strip.py"),
)
SUFFIXES = ("sqfs", "options.json", "cdx.json", "manifest.json", "manifest.json.sig")


class Build:
    """One patch level's bundle in `<home>/bundles`.

    release: its release; patch_level: one of its locks; services: directory of the service files (their migrations make
    the schema snapshots); plugins: directory of the plugin files; home: ~/.cloudos; say: called with one line per step.
    BundleError for a lock below a floor.
    """

    def __init__(
        self,
        release: Release,
        patch_level: str,
        services: Path,
        plugins: Path,
        home: Path,
        say: Callable[[str], None] = print,
    ):
        self.release = release
        self.services, self.plugins = services, plugins
        self.lock = release.lock(patch_level)
        self.home = home
        self.say = say
        self.artifact = Artifact(home / "bundles", patch_level, "cp" + release.python.replace(".", ""))
        self.schemas = schemas.load_schemas(services, release.series)
        self.assets = assets.load_assets(services, release.series)
        check_floors(release, self.lock.read_text())

    def inputs(self) -> str:
        """Digest of all that decides the bundle's content."""
        here = Path(__file__).parent
        recipe = {name: artifacts.sha256(here / name) for name in RECIPE}
        data = [
            artifacts.FORMAT,
            self.lock.read_text(),
            self.release.build_constraints,
            self.release.absent,
            schemas.digest_input(self.schemas),
            assets.digest_input(self.assets),
            recipe,
            own.digest_input(),
        ]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()

    def found(self) -> str | None:
        """The digest of the inputs of the bundle that is there; None unless it is whole and rightly signed."""
        try:
            return self.artifact.verify(self.home / "keys" / "bundle.pub")["inputs"]
        except BundleError as reason:
            self.say(f"no usable bundle yet: {reason}")
            return None

    def make(self) -> bool:
        """Build the bundle unless it is current; True if it was built. Raises BundleError and leaves nothing half."""
        with locked(self.artifact.directory / ".lock"):  # one build at a time; the next one waits
            inputs = self.inputs()  # before: what is edited meanwhile makes the next build
            if self.found() == inputs:
                return False
            for left in self.artifact.directory.glob(".build-*"):
                _discard(left)  # of a build that was killed: nobody else builds now
            work = Path(tempfile.mkdtemp(prefix=".build-", dir=self.artifact.directory))
            mask = os.umask(0o022)
            try:
                self._build(work, inputs)
            finally:
                os.umask(mask)
                shutil.rmtree(work)
        return True

    def check_options(self) -> None:
        """Raise BundleError where service or plugin files set options that the code in the bundle does not declare.

        The bundle itself stays: it holds none of those files, and is right when they are."""
        declared.check(self.services, self.plugins, self.release.series, self.artifact.path("options.json"))

    def _build(self, work: Path, inputs: str) -> None:
        made = Artifact(work, self.artifact.patch_level, self.artifact.python)
        with Tree(work / "tree", made.patch_level, self.release.python).mount_point() as tree:
            build_constraints = work / "build-constraints.txt"
            build_constraints.write_text("\n".join(self.release.build_constraints) + "\n")
            with self._step("install the lock"):
                tree.install(self.lock, build_constraints, own.wheel(work))
                own.add_content(tree.site)
                debian = tree.add_debian_data(work)
            with self._step("byte-compile"):
                tree.translate()
                tree.prune()
                tree.strip()
                tree.compile()
            with self._step("snapshot the schemas, list the options, make the assets"):
                heads = self._snapshot(tree, work, made.path("options.json"))
                tree.prune_assets()
            bill = sbom.bill_of_materials(
                made.name, made.patch_level, self.lock.read_text(), tree.distributions(), debian
            )
            made.path("cdx.json").write_text(json.dumps(bill, indent=1))
            shutil.copy(made.path("cdx.json"), tree.root / "share" / "sbom.cdx.json")
            shutil.copy(self.lock, tree.root / "share" / "lock")
            with self._step("pack"):
                tree.pack(made.path("sqfs"))
            manifest = self._manifest(made, tree, heads, inputs)
            made.path("manifest.json").write_text(json.dumps(manifest, indent=1))
        signing.sign(made.path("manifest.json"), signing.signing_key(self.home))
        for suffix in SUFFIXES:  # the signature comes last: without it the others are not a bundle
            made.path(suffix).replace(self.artifact.path(suffix))

    def _snapshot(self, tree: Tree, work: Path, options: Path) -> dict:
        """Write schema snapshots and assets into the tree and the options beside it, on all cores.

        Returns the schemas' heads."""
        target = tree.target / "share" / "schemas"
        (tree.root / "share" / "schemas").mkdir(parents=True)
        shipped = [
            schema for schema in self.schemas if all((tree.root / "bin" / name).exists() for name in schema.programs())
        ]
        databases = [database for schema in shipped for database in schema.databases]
        etc = work / "etc"
        with mariadb.private_mariadb() as socket, ThreadPoolExecutor(os.cpu_count()) as pool:
            mariadb.execute(socket, *(f"CREATE DATABASE {name} {schemas.COLLATION}" for name in databases))
            jobs = [pool.submit(self._migrate, tree, schema, etc, socket) for schema in shipped]
            jobs += [pool.submit(one.make, tree) for one in self.assets if one.shipped_in(tree)]
            jobs.append(pool.submit(tree.script, "options.py", options, *self.release.absent, what="listing the configuration options"))
            for job in jobs:
                job.result()
            tree.script("snapshot.py", socket, target, *databases, what="making the schema snapshots")
        return json.loads((tree.root / "share" / "schemas" / "heads.json").read_text())

    @staticmethod
    def _migrate(tree: Tree, schema: Schema, etc: Path, socket: Path) -> None:
        schema.write_files(etc, socket, tree.root / "etc")
        for program, *arguments in schema.commands(etc):
            command = [tree.target / "bin" / program, *arguments]
            tree.inside(command, what=f"{schema.service}: {program} {' '.join(arguments)}", cwd=etc)

    def _manifest(self, made: Artifact, tree: Tree, heads: dict, inputs: str) -> dict:
        return {
            "format": artifacts.FORMAT,
            "name": made.name,
            "patch_level": made.patch_level,
            "series": self.release.series,
            "python": made.python,
            "architecture": made.name.rpartition("-")[2],
            "inputs": inputs,
            "files": {
                "squashfs": artifacts.describe(made.path("sqfs")),
                "sbom": artifacts.describe(made.path("cdx.json")),
                "options": artifacts.describe(made.path("options.json")),
            },
            "unpacked_size": tree.size(),
            "lock": {"file": self.lock.name, "sha256": artifacts.sha256(self.lock)},
            "packages": pins(self.lock.read_text()),
            "config_data": tree.config_data(),
            "schemas": heads,
        }

    @contextmanager
    def _step(self, name: str):
        start = time.monotonic()
        yield
        self.say(f"{self.artifact.patch_level}: {name}: {time.monotonic() - start:.1f} s")


def _discard(directory: Path, attempts: int = 10) -> None:
    """Remove a tree that workers of a killed build may still write to until they notice, in a few seconds."""
    for _ in range(attempts):
        try:
            return shutil.rmtree(directory)
        except OSError as error:
            reason = error
            time.sleep(1)
    raise BundleError(f"{directory}: left by a killed build, cannot be removed: {reason}")
