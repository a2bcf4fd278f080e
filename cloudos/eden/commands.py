"""What the commands of all services share: which service is meant, how a list is printed, how errors end."""

from __future__ import annotations

import functools
import json
import os
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from keystoneauth1.exceptions import ClientException, MissingRequiredOptions

from cloudos import home
from cloudos.eden import client


def connect(kind: type[client.Client], cloud: str | None, socket: Path | None) -> client.Client:
    """The service: the embedded one where a socket is named or, without any cloud, is there; else that of the cloud's catalog."""
    own = home.root() / kind.service_type / "api.sock"
    if socket or not (cloud or os.environ.get("OS_CLOUD") or os.environ.get("OS_AUTH_URL")):
        if not socket and not own.exists():
            raise click.UsageError(f"Name a cloud with --cloud or OS_CLOUD, or start your own: {kind.service_type}-manage --embedded serve")
        return client.local(kind, socket or own)
    # Half a second, and what runs without a service needs none of it.
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    try:
        region = OpenStackConfig().get_one(cloud=cloud)
        return kind(region.get_session(), region=region.region_name, interface=region.get_interface() or "public")
    except (ConfigException, MissingRequiredOptions) as error:  # not in clouds.yaml; or none is found at all, and OS_ variables are missing
        mend = "Name an entry of clouds.yaml with --cloud or OS_CLOUD, and its file in OS_CLIENT_CONFIG_FILE where it is elsewhere"
        raise click.ClickException(f"{str(error).rstrip('.')}. {mend}.") from error


class Later:
    """A client that is connected when it is first used: who asks what a command does, or mistypes it, needs no cloud."""

    def __init__(self, make: Callable[[], client.Client]):
        self._make = make

    @functools.cached_property
    def _client(self) -> client.Client:
        return self._make()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def group(kind: type[client.Client], name: str, help: str) -> click.Group:
    """A group of commands whose context object is the client; it has the commands of jobs already."""
    made = connected(kind, name, help)

    @made.group("job", help="Long work: its state, what happened, its end.")
    def job() -> None:
        pass

    job_commands(job)
    return made


def connected(kind: type[client.Client], name: str, help: str) -> click.Group:
    """An empty group of commands whose context object is the client."""

    @click.group(name, help=help)
    @click.option("--cloud", help="Entry of clouds.yaml; else OS_CLOUD, or the OS_ variables.")
    @click.option("--socket", type=click.Path(path_type=Path), help="Socket of an embedded service.")
    @click.pass_context
    def made(context: click.Context, cloud: str | None, socket: Path | None) -> None:
        context.obj = Later(lambda: connect(kind, cloud, socket))

    return made


def told(function: Callable) -> Callable:
    """Errors of the service, of the way to it, and of files end the command with their text and exit code 1."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except (client.Failure, client.JobFailed, OSError, ClientException) as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def table(rows: Iterable[dict[str, Any]], columns: Sequence[str], as_json: bool = False) -> None:
    """Print rows under the names of their columns, or as JSON."""
    rows = list(rows)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    cells = [list(columns), *[["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def details(thing: dict[str, Any], as_json: bool = False) -> None:
    """Print one thing, a key a line, or as JSON."""
    if as_json:
        click.echo(json.dumps(thing, indent=1))
        return
    for key, value in thing.items():
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if key == "links":  # for programs
            continue
        if any(isinstance(one, (dict, list)) and one for one in inner):
            text = yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=140, allow_unicode=True)
            click.echo(f"{key}\n{textwrap.indent(text, '  ').rstrip()}")
        else:
            click.echo(f"{key:<16} {value if isinstance(value, str) else json.dumps(value)}")


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def job_commands(job: click.Group) -> None:
    """Add what can be done with jobs to a group whose context object is the client."""

    @job.command("list")
    @click.option("--state", help="Only those in this state, as started or failed.")
    @as_json
    @click.pass_obj
    @told
    def list_(service: client.Client, state: str | None, as_json: bool) -> None:
        """Show jobs of the project, newest first."""
        table(service.jobs(state=state), ["id", "kind", "name", "state", "progress", "position", "created_at"], as_json)

    @job.command()
    @click.argument("job_id")
    @as_json
    @click.pass_obj
    @told
    def show(service: client.Client, job_id: str, as_json: bool) -> None:
        """Show one job and its tasks."""
        found = service.job(job_id)
        tasks = found.get("tasks", []) if as_json else found.pop("tasks")
        details(found, as_json)
        if not as_json:
            table(tasks, ["name", "state", "progress", "status"])

    @job.command()
    @click.argument("job_id")
    @click.pass_obj
    @told
    def watch(service: client.Client, job_id: str) -> None:
        """Show what happens in a job until it has ended; exits with 1 if it did not succeed."""
        for event in service.events(job_id):
            click.echo(f"{event['time']}  {event['kind']:<12} {json.dumps(event['facts'])}")
        service.wait(job_id, timeout=0)

    for verb, words in (("cancel", "End a job."), ("retry", "Do an ended job again."), ("resume", "Do a failed job's rest.")):
        job.add_command(_verb(verb, words))


def _verb(verb: str, words: str) -> click.Command:
    @click.command(verb, help=words)
    @click.argument("job_id")
    @click.pass_obj
    @told
    def command(service: client.Client, job_id: str) -> None:
        found = service.act(job_id, verb)
        click.echo(f"{found['id']}  {found['state']}")

    return command
