"""Start a playbook as an operator at the command line would, through ansible-runner; the only use of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import ansible_runner

from cloudos.model import inventory as description
from cloudos.runs import history
from cloudos.runs.lock import Lock, Locked
from cloudos.runs.record import new_id

MEMORY, PREFIX, YOUNG = Path("/dev/shm"), "cloudos-project-", 60  # noqa: S108 - below it are directories of our own; seconds
ROOT = Path(__file__).resolve().parents[2]
# What a project needs besides its own ansible.cfg: where the house's collection and roles are. Its own roles come first.
OWN_ROLES = "own_roles"
PROJECT_SETTINGS = {
    "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'collections'}:~/.ansible/collections:/usr/share/ansible/collections",
    "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
}


class Started:
    """A run that was started here. Its record is the one that every run has; `id` and `cloud` name it."""

    def __init__(self, run: str, cloud: str, thread, runner, directory: Path):
        self.id, self.cloud = run, cloud
        self._thread, self._runner, self._directory = thread, runner, directory

    def wait(self, seconds: float | None = None) -> int | None:
        """Exit code of ansible-playbook; None while it runs after `seconds`. 75: refused, see `output`."""
        self._thread.join(seconds)
        return None if self._thread.is_alive() else self._runner.rc

    def cancel(self) -> None:
        """Ask the run to stop; its record becomes interrupted."""
        self._runner.cancel_callback = lambda: True

    def events(self, after: int = 0) -> Iterator[dict]:
        """The events recorded so far with ids above `after`."""
        return history.events(self.cloud, self.id, after)

    def output(self) -> str:
        """What ansible-playbook has printed; kept until close()."""
        return self._runner.stdout.read()

    def close(self) -> None:
        """Wait for the end and remove what ansible-runner left; the record stays."""
        self._thread.join()
        shutil.rmtree(self._directory)


def start(playbook: str, inventory: Path | str, check: bool = False, extra_vars: Mapping | None = None) -> Started:
    """Start `playbook` (a name below playbooks/ without suffix, or a path) on the cloud of an inventory directory.

    Raises Problems (cloudos.model) for a broken inventory and Locked when another run owns the cloud.
    """
    cloud = description.load(inventory).cloud
    path = Path(playbook) if playbook.endswith(".yml") else ROOT / "playbooks" / f"{playbook}.yml"
    if not check and (owner := Lock(cloud).owner()):
        raise Locked(cloud, owner)
    run = f"{new_id(path.stem)}-{os.urandom(3).hex()}"
    directory = Path(tempfile.mkdtemp(prefix="cloudos-run-"))
    thread, runner = ansible_runner.run_async(
        private_data_dir=str(directory),
        project_dir=str(ROOT),
        playbook=str(path.resolve()),
        inventory=str(Path(inventory).resolve()),
        extravars=dict(extra_vars or {}),
        cmdline="--diff --check" if check else "--diff",
        envvars={"CLOUDOS_RUN_ID": run, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": _path()},
        event_handler=lambda event: False,  # our own record is kept, ansible-runner's copy is not
        quiet=True,
    )
    return Started(run, cloud, thread, runner, directory)


class Project:
    """A run of a project directory that stands for itself, such as one that Eve has made; it belongs to no cloud."""

    def __init__(self, thread, runner, place: Workplace):
        self._thread, self._runner, self._place = thread, runner, place

    def wait(self, seconds: float | None = None) -> int | None:
        """Exit code of ansible-playbook; None while it runs after `seconds`."""
        self._thread.join(seconds)
        return None if self._thread.is_alive() else self._runner.rc

    def cancel(self) -> None:
        """Ask the run to stop."""
        self._runner.cancel_callback = lambda: True

    def output(self) -> str:
        """What ansible-playbook has printed; kept until close()."""
        return self._runner.stdout.read()

    def close(self) -> None:
        """Wait for the end and remove what ansible-runner left; the project stays."""
        self._thread.join()
        self._place.close()


class Workplace:
    """A directory for what ansible-runner writes: the environment and all output, which may have secrets. So it is in memory where
    there is some, and what killed processes have left is removed by the next one; a lock, which ends with its process, tells whose."""

    def __init__(self, memory: Path = MEMORY):
        root = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
        _sweep(root)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def forget_environment(self) -> None:
        """Remove the file in which ansible-runner keeps the environment, once that has reached the process."""
        for file in self.path.glob("artifacts/*/command"):
            file.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path)
        os.close(self._lock)


def _sweep(root: Path) -> None:
    """Remove directories of processes that are no more; one so young may not have its lock yet."""
    for path in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another process removes it, or it is another user's
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if os.fstat(descriptor).st_mtime < time.time() - YOUNG:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def start_project(
    project: Path,
    playbook: str,
    inventory: str,
    on_event: Callable[[dict], None],
    environment: Mapping[str, str] | None = None,
    arguments: Iterable[str] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> Project:
    """Start `playbook` of the directory `project` on its own `inventory` (names in the directory).

    Every event of ansible-runner goes to `on_event`, in its thread, and to no file. `environment` may hold secrets: it is
    given to the process and kept nowhere. `arguments`: further ones of ansible-playbook, such as --check. `cancelled` is asked
    now and then; the run is stopped when it says so.
    """
    place = Workplace()

    def handle(event: dict) -> bool:
        if event.get("event") == "playbook_on_start":
            place.forget_environment()
        on_event(event)
        return False

    thread, runner = ansible_runner.run_async(
        private_data_dir=str(place.path),
        project_dir=str(project.resolve()),
        playbook=str((project / playbook).resolve()),
        inventory=str((project / inventory).resolve()),
        cmdline=shlex.join(arguments),
        envvars={**PROJECT_SETTINGS, **_own(project), **(environment or {})},
        event_handler=handle,
        cancel_callback=cancelled,
        suppress_env_files=True,
        settings={"pexpect_timeout": 1},  # seconds until a cancel is noticed while nothing is printed
        quiet=True,
    )
    return Project(thread, runner, place)


def settings(collections: Iterable[str]) -> dict[str, str]:
    """The environment in which a project finds further collections besides the house's."""
    return {"ANSIBLE_COLLECTIONS_PATH": os.pathsep.join([*collections, PROJECT_SETTINGS["ANSIBLE_COLLECTIONS_PATH"]])}


def check_syntax(project: Path, playbook: str, inventory: str, collections: Iterable[str] = ()) -> str | None:
    """What ansible-playbook --syntax-check says against a project; None when it is content."""
    command = ["ansible-playbook", "--syntax-check", "-i", inventory, playbook]
    environment = {**os.environ, **PROJECT_SETTINGS, **settings(collections), **_own(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()


def _own(project: Path) -> dict[str, str]:
    roles = os.pathsep.join([str(project.resolve() / OWN_ROLES), PROJECT_SETTINGS["ANSIBLE_ROLES_PATH"]])
    return {"ANSIBLE_CONFIG": str(project.resolve() / "ansible.cfg"), "ANSIBLE_ROLES_PATH": roles, "PATH": _path()}


def _path() -> str:
    """ansible-playbook of this Python's environment comes first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
