"""The directory that becomes a bundle: a virtual environment that believes it lives at its final path."""

import contextlib
import os
import shutil
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cloudos.bundle import prune
from cloudos.bundle.commands import run, uv
from cloudos.bundle.errors import BundleError

TARGETS = Path("/opt/cloudos")
HERE = Path(__file__).parent / "inside"
# Web pages that exist as a Debian package only: package -> its directory -> where they go in the bundle.
DEBIAN_DATA = {"novnc": ("usr/share/novnc", "share/novnc")}
# A mount namespace of its own: the tree is bound to the final path for this command only, whatever is mounted there.
# It ends with the build, however that ends.
DYING = ["setpriv", "--pdeathsig", "KILL"]
BOUND = [*DYING, "unshare", "--mount", "sh", "-ec", 'mount --bind "$0" "$1"; shift; exec "$@"']


class Tree:
    """A bundle's content under construction at `root`; `target` is the path that it will have on nodes."""

    def __init__(self, root: Path, patch_level: str, python: str):
        self.root = root
        self.target = TARGETS / patch_level
        self.python = Path(f"/usr/bin/python{python}")
        self.site = root / "lib" / f"python{python}" / "site-packages"

    @contextlib.contextmanager
    def mount_point(self):
        """Hold an (empty) directory at the final path while the tree is worked on."""
        made = [path for path in (self.target, self.target.parent) if not path.exists()]
        try:
            self.target.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=0o755)
            yield self
        except PermissionError as error:
            raise BundleError(f"building a bundle needs root: {error}") from error
        finally:
            with contextlib.suppress(OSError):  # this host is a node as well, and put a bundle there meanwhile
                for path in made:
                    path.rmdir()

    def inside(self, command: list, what: str, **options) -> str:
        """Run `command` while the tree is at its final path; returns its standard output."""
        return run([*BOUND, self.root, self.target, *command], what=what, **options)

    def script(self, name: str, *arguments, what: str) -> str:
        """Run a script of `inside/` under the tree's own Python."""
        return self.inside([self.target / "bin/python", "-I", "-B", HERE / name, *arguments], what=what)

    def install(self, lock: Path, build_constraints: Path, own: Path) -> None:
        """Make the environment and install exactly the lock, and the wheel `own`."""
        environment = {**os.environ, "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never"}
        environment.pop("VIRTUAL_ENV", None)
        venv = [uv(), "venv", "--quiet", "--no-project", "--allow-existing", "--python", self.python, self.target]
        self.inside(venv, what=f"making an environment of {self.python}", env=environment)
        install = [
            uv(),
            "pip",
            "install",
            "--quiet",
            "--python",
            self.target / "bin/python",
            "--no-deps",
        ]
        locked = ["--require-hashes", "--build-constraints", build_constraints, "--requirements", lock]
        self.inside([*install, *locked], what=f"installing {lock.name}", env=environment)
        self.inside([*install, own], what=f"installing {own.name}", env=environment)

    def translate(self) -> None:
        """Compile the catalogues of messages that wheels bring as sources only."""
        sources = [path for path in self.site.glob(prune.CATALOGUES) if not path.with_suffix(".mo").exists()]
        if sources:
            self.script("catalogues.py", *sources, what="compiling the catalogues of messages")

    def prune(self) -> None:
        """Drop what nodes never use, before assets are made."""
        prune.prune(self.root, self.site)

    def prune_assets(self) -> None:
        """Drop what assets were made of, and what nobody asks for of them."""
        prune.prune_assets(self.root, self.site)

    def strip(self) -> None:
        """Drop the symbols of compiled modules, which only a debugger reads."""
        self.script("strip.py", self.target / "lib", what="stripping compiled modules")

    def compile(self) -> None:
        """Byte-compile all code. A bundle never changes on a node, so nothing is compared with its source there."""
        command = [
            self.target / "bin/python",
            "-m",
            "compileall",
            "-qq",
            "-j0",
            "--invalidation-mode",
            "unchecked-hash",
        ]
        self.inside([*command, self.target / "lib"], what="byte-compiling")

    def add_debian_data(self, work: Path) -> dict[str, str]:
        """Unpack the web pages that only Debian packages; returns {package: version}."""
        versions = {}
        for package, (source, destination) in DEBIAN_DATA.items():
            download, unpacked = work / package, work / f"{package}-unpacked"
            download.mkdir()
            run(
                ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package],
                what=f"downloading {package}",
                cwd=download,
            )
            file = next(download.glob("*.deb"))
            run(["dpkg-deb", "--extract", file, unpacked], what=f"unpacking {package}")
            versions[package] = run(["dpkg-deb", "--field", file, "Version"], what=f"reading {package}").strip()
            (self.root / destination).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(unpacked / source, self.root / destination)
        return versions

    def distributions(self) -> list[Distribution]:
        """The installed distributions, by name."""
        return sorted(distributions(path=[str(self.site)]), key=lambda found: found.name.lower())

    def config_data(self) -> list[str]:
        """Configuration files that wheels brought along, as paths below `etc`."""
        etc = self.root / "etc"
        return sorted(str(path.relative_to(etc)) for path in etc.rglob("*") if path.is_file())

    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.lstat().st_size for path in self.root.rglob("*") if not path.is_dir())

    def pack(self, squashfs: Path) -> None:
        """Write the tree as one zstd squashfs, owned by root."""
        options = [
            "-noappend",
            "-no-progress",
            "-quiet",
            "-all-root",
            "-no-xattrs",
            "-comp",
            "zstd",
            "-Xcompression-level",
            "9",  # higher levels cost much time for little; larger blocks make every start on a node slower
        ]
        run(["mksquashfs", self.root, squashfs, *options, "-b", "256K"], what=f"packing {squashfs.name}")
