"""Run external commands with errors that name the step and show the last lines it printed."""

import shutil
import subprocess
import sys
from pathlib import Path

from cloudos.bundle.errors import BundleError


def run(command: list[str], what: str, tail: int = 15, **options) -> str:
    """Run `command`, return its standard output; BundleError with `what` and the last `tail` lines where it fails."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    except FileNotFoundError as error:
        raise BundleError(
            f"{what}: {command[0]} is not installed; playbooks/bundle.yml installs what building needs"
        ) from error
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()[-tail:]
        raise BundleError("\n".join([f"{what} failed ({Path(command[0]).name} ended with {done.returncode}):", *lines]))
    return done.stdout


def uv() -> str:
    """The uv program: beside this Python if it is there, else on the PATH."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if not found:
        raise BundleError("uv is not installed; install it (package uv) beside cloudos")
    return found
