"""Plans on disk: the one last applied, the new one, and its parts per node.

`clouds/<cloud>/plan.json` is the plan that the cloud was last brought to; `plan.new.json` the one being applied. Each
node's part lies beside it in `plan.new/<node>.json` with what is the cloud's in `plan.new/_cloud.json`, so that a host
of a large cloud reads kilobytes. A check uses `plan.check*` and never reaches a real run. Plans hold no secrets.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from cloudos import home

CLOUD = "_cloud"  # no node can have this name: it starts with an underscore


class PlanMissing(Exception):
    """There is no such plan, or it is not the one that was compiled; the text names the next step."""


class Plans:
    """The plans of one cloud; `check` keeps everything apart from real runs."""

    def __init__(self, cloud: str, check: bool = False):
        self.directory = home.cloud(cloud)
        self.applied = self.directory / "plan.json"
        self.new = self.directory / ("plan.check.json" if check else "plan.new.json")
        self.once = self.directory / ("once.check.json" if check else "once.json")
        self.parts = self.new.with_suffix("")

    def save(self, plan: Mapping) -> str:
        """Store a compiled plan as the new one; returns its digest."""
        fingerprint = digest(plan)
        fresh = self.parts.with_name(f".{self.parts.name}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        wide = {key: value for key, value in plan.items() if key not in ("nodes", "provenance")}
        cloud = {"digest": fingerprint, **wide}
        for name, part in {CLOUD: cloud, **plan["nodes"]}.items():
            (fresh / f"{name}.json").write_text(json.dumps(part))
        shutil.rmtree(self.parts, ignore_errors=True)
        fresh.rename(self.parts)
        home.write(self.new, json.dumps(plan, indent=1).encode())
        return fingerprint

    def part(self, node: str, fingerprint: str) -> dict:
        """What a host needs: its node's part with the keys that are the cloud's (identity, release, ...) beside it.

        Raises PlanMissing when another run has compiled another plan since.
        """
        cloud = self.cloud()
        if cloud["digest"] != fingerprint:
            text = f"{self.parts} has plan {cloud['digest']}, not {fingerprint}: another run compiled. Run again."
            raise PlanMissing(text)
        return {**cloud, **self._read(self.parts / f"{node}.json")}

    def cloud(self) -> dict:
        """What is the cloud's in the new plan: digest, secrets (specs), identity, ..."""
        return self._read(self.parts / f"{CLOUD}.json")

    def digest(self) -> str:
        """Digest of the new plan."""
        return self.cloud()["digest"]

    def last(self) -> dict | None:
        """The plan last applied, if any."""
        with contextlib.suppress(PlanMissing):
            return self._read(self.applied)
        return None

    def apply(self) -> str:
        """Make the new plan the applied one; returns its digest."""
        fingerprint = self.digest()
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.new, self.applied)
        return fingerprint

    def _read(self, path: Path) -> dict:
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            raise PlanMissing(f"{path} is not there. Compile the plan first: cloudos.cloud.plan.") from None


def digest(plan: Mapping) -> str:
    """Twelve hexadecimal digits that are the same for the same value."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:12]
