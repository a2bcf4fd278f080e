"""Do something once for all hosts of a task, which Ansible runs in processes of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from cloudos import home


class FailedBefore(Exception):
    """Another host of the same task has done the work and failed; it has told why."""


def once(path: Path, token: str, host: str, work: Callable[[], dict]) -> tuple[bool, dict]:
    """(whether this call did the work, its JSON result). Kept in `path`; `token` is that of one task of one run.

    An exception of `work` reaches the host that did it; the others get FailedBefore naming that host.
    """
    with home.locked(path.with_suffix(".lock")):
        known = json.loads(path.read_text()) if path.exists() else {}
        if known.get("token") == token:
            if "result" not in known:
                raise FailedBefore(f"The same as on {known['host']}.")
            return False, known["result"]
        home.write(path, json.dumps({"token": token, "host": host}).encode())
        result = work()
        home.write(path, json.dumps({"token": token, "host": host, "result": result}).encode())
        return True, result
