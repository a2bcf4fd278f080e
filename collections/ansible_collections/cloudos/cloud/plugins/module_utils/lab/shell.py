"""Commands on the admin host, with failures that tell what was run and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure


def run(*command, stdin=None, env=None, log=None):
    """Standard output of the command; with log (an open file) its output goes there and "" is returned.

    Raises Failure with the last lines of what it said.
    """
    try:
        done = subprocess.run(
            [str(word) for word in command],
            input=stdin,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            text=True,
            stdout=log or subprocess.PIPE,
            stderr=subprocess.STDOUT if log else subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        raise Failure(
            f"{command[0]} is not installed on this machine",
            next_step="run playbooks/lab.yml, which installs what lab nodes need",
        ) from None
    if done.returncode:
        said = Path(log.name).read_text() if log else done.stdout + done.stderr
        raise Failure(
            f"{' '.join(map(str, command))} failed with exit code {done.returncode}", log=said.splitlines()[-15:]
        )
    return done.stdout or ""


def ask(*command):
    """The JSON that a command prints, or None where it fails: the thing asked for is not there."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout or "null") if done.returncode == 0 else None


def write(path, content, mode=0o644):
    """Replace a file in one step. Content is text or bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content.encode() if isinstance(content, str) else content)
        os.fchmod(file.fileno(), mode)
    os.replace(file.name, path)


def read(path):
    """Text of a file, or None where there is none."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None
