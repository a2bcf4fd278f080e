"""What options of commands with and without a service share, so that neither waits for what the other imports."""

from __future__ import annotations

import click


def pairs(_context: click.Context, option: click.Option, given: tuple[str, ...]) -> dict[str, str]:
    """A callback: the dictionary of what was given as left=right each, as the option's metavar says; a later one of the same left wins."""
    found = {}
    for text in given:
        left, _, right = text.partition("=")
        if not (left and right):
            raise click.BadParameter(f"{text}: write {option.metavar}", param=option)
        found[left] = right
    return found
