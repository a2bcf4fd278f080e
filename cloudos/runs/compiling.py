"""From an inventory file and what is known of the nodes to a plan: the controller's side of `cloudos.model`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cloudos import home


def all_facts(cloud: str, gathered: Mapping[str, Mapping], keep: bool) -> dict[str, dict]:
    """Node -> facts: those gathered now, and of other nodes those of earlier runs (`clouds/<cloud>/facts.json`).

    With `keep`, what was gathered now is remembered for later.
    """
    path = home.cloud(cloud) / "facts.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    facts = {**known, **gathered}
    if keep and facts != known:
        home.write(path, json.dumps(facts, indent=1, sort_keys=True).encode())
    return facts
