"""What the commands of `cloudos graffiti` share: how one is made, and options that several have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import yaml

from cloudos.eden.commands import told
from cloudos.eden.policy import SCOPES
from cloudos.graffiti.sources import Unloadable

scope_option = click.option("--scope", type=click.Choice(SCOPES), default="private-project", show_default=True, help="Who sees it.")


def command(parent: click.Group, *options: Any) -> Callable[[Callable], click.Command]:
    """A command whose first argument is the client, with the errors that all have."""

    def made(function: Callable) -> click.Command:
        @wraps(function)
        def wrapped(*arguments: Any, **given: Any) -> Any:
            try:
                return told(function)(*arguments, **given)
            except (Unloadable, LookupError) as error:
                raise click.ClickException(str(error)) from error

        wrapped = click.pass_obj(wrapped)
        for option in reversed(options):
            wrapped = option(wrapped)
        return parent.command(function.__name__.rstrip("_").replace("_", "-"))(wrapped)

    return made


def read_yaml(text: str) -> Any:
    """What is written in YAML on the command line or in a file of it. Raises UsageError."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.UsageError(f"This is no YAML: {error}") from error
