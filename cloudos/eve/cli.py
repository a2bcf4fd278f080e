"""The command `cloudos eve`: what needs no cloud is here, the verbs of topologies are in verbs.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cloudos import tosca
from cloudos.eve import catalogue, crosscheck, remote, show, verbs, workflow_verbs
from cloudos.eve.given import SUBSTITUTE, inputs, resolver


@click.group()
def eve() -> None:
    """From TOSCA templates to running infrastructure."""


@eve.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-i", "--inputs", "given", multiple=True, help="NAME=VALUE (a YAML value), or a YAML file of them; may be given several times."
)
@click.option("--json", "as_json", is_flag=True, help="Print problems and the resolved template as JSON.")
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Directory that imports may not leave; the file's own."
)
@click.option("--mirror", "mirrors", multiple=True, help="ADDRESS=DIRECTORY: where the files of an address lie; nothing is fetched.")
@SUBSTITUTE
@click.option("--cross-check", is_flag=True, help="Also ask tosca-parser (1.x only), in a process of its own.")
def validate(file: Path, given: tuple[str, ...], as_json: bool, root: Path | None, mirrors: tuple[str, ...], substitutions: dict[str, str],
             cross_check: bool) -> None:  # fmt: skip
    """Read a TOSCA file or archive, resolve it, and tell every mistake with file, line and column.

    Exits with 0 when it is accepted, 1 when it is not valid, 2 when it is valid but not deployable, 3 when it cannot be
    read. Needs no cloud and no network.
    """
    report = tosca.load(file, resolver(mirrors), inputs(given) if given else None, root, substitutions=substitutions)
    checked = crosscheck.ask(file) if cross_check and report.exit_code != 3 else None
    if as_json:
        click.echo(json.dumps({**show.data(report), **({"tosca_parser": checked} if checked else {})}, indent=2, default=str))
    else:
        for problem in report.problems:
            click.echo(str(problem))
        for line in show.text(report):
            click.echo(line)
        if checked:
            click.echo(f"tosca-parser: {checked['verdict']}{': ' + checked['message'] if checked['message'] else ''}")
    sys.exit(report.exit_code)


@eve.command()
@click.argument("name", required=False)
def types(name: str | None) -> None:
    """Describe the types of our profile, or the one of that name, in Markdown."""
    try:
        click.echo(catalogue.page(catalogue.profile(), name), nl=False)
    except KeyError as error:
        raise click.UsageError(f"{name}: no such type; `cloudos eve types` shows all.") from error


verbs.register(eve)
eve.add_command(workflow_verbs.workflow)
eve.add_command(remote.topology)
eve.add_command(remote.job)
