"""Brings database schemas up to date with the passwords they refer to."""

from __future__ import annotations

from ansible_collections.cloudos.cloud.plugins.plugin_utils.phase import Phase


class ActionModule(Phase):
    """Runs module `cloudos.cloud.schemas`."""
