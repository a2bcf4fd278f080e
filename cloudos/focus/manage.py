"""The command focus-manage."""

from __future__ import annotations

from pathlib import Path

import click
from oslo_config import cfg

from cloudos.eden.manage import manage
from cloudos.eden.runtime import Runtime
from cloudos.focus import upkeep
from cloudos.focus.service import SERVICE

main = manage(SERVICE, "cloudos.focus.wsgi:application")


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.pass_obj
def load(conf: cfg.ConfigOpts, paths: tuple[Path, ...]) -> None:
    """Keep files and directories of YAML as public-cloud documents; without any, the normative types. Again changes nothing."""
    contents = upkeep.first_documents(paths) if paths else upkeep.normative()
    for name, outcome in upkeep.load(Runtime(SERVICE, conf), contents).items():
        click.echo(f"{outcome:<8} {name}")


@main.command("purge-deleted")
@click.pass_obj
def purge_deleted(conf: cfg.ConfigOpts) -> None:
    """Forget for good what has had a tombstone longer than [focus] keep_deleted_days."""
    found = upkeep.purge(Runtime(SERVICE, conf), conf.focus.keep_deleted_days)
    click.echo(", ".join(f"{count} {what}" for what, count in found.items()) + " are forgotten.")


if __name__ == "__main__":
    main()
