"""Commands that show what the records of runs tell."""

from __future__ import annotations

import time

import click

from cloudos.runs import history
from cloudos.runs.lock import Lock


@click.group()
@click.option("--cloud", help="Name of the cloud; without it, runs that concern no cloud.")
@click.pass_context
def runs(context: click.Context, cloud: str | None) -> None:
    """What was run on a cloud, by whom, and how it went."""
    context.obj = cloud


@runs.command("list")
@click.pass_obj
def list_(cloud: str | None) -> None:
    """Show all recorded runs, newest first, and who owns the cloud now."""
    for record in history.runs(cloud):
        click.echo(_line(record))
    if cloud and (owner := Lock(cloud).owner()):
        click.echo(f"Owned by {owner['playbook']} of {owner['user']}@{owner['host']} since {owner['since']}.")


@runs.command()
@click.argument("run")
@click.pass_obj
def show(cloud: str | None, run: str) -> None:
    """Show one run: its tasks with their durations, its hosts, its failures."""
    try:
        _show(cloud, history.load(cloud, run))
    except history.RunNotFound as error:
        raise click.ClickException(str(error)) from error


@runs.command()
@click.pass_obj
def last(cloud: str | None) -> None:
    """Show the newest run."""
    known = history.runs(cloud)
    if not known:
        raise click.ClickException("Nothing was run yet. `cloudos runs --cloud NAME last` shows the runs of a cloud.")
    _show(cloud, known[0])


def _show(cloud: str | None, record: dict) -> None:
    click.echo(_line(record))
    if record["plan_digest"]:
        click.echo(f"Plan {record['plan_digest']}")
    for task in record["tasks"]:
        seconds = "    ?" if task["seconds"] is None else f"{task['seconds']:7.1f} s"
        click.echo(f"{seconds}  {task['play']}: {task['task']}")
    for host, counts in record["hosts"].items():
        click.echo(f"{host:<24} " + " ".join(f"{key}={value}" for key, value in counts.items()))
    for event in history.events(cloud, record["id"]):
        if event.get("outcome") in ("failed", "unreachable") and event["kind"] == "result":
            click.echo("\n".join(_failure(event)))


def _failure(event: dict) -> list[str]:
    facts = event.get("failure") or {"cause": event.get("message", "no reason was given")}
    thing = " ".join(part for part in (facts.get("service"), facts.get("unit")) if part)
    lines = [f"{event['outcome']} on {event['host']} in {event['play']}: {event['task']}"]
    lines += [f"  {thing or event['host']}: {facts['cause']}"]
    lines += [f"  | {line}" for line in facts.get("log") or []]
    return lines + ([f"  Next step: {facts['next_step']}"] if facts.get("next_step") else [])


def _line(record: dict) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["start"]))
    took = f"{record['end'] - record['start']:.1f} s" if record["end"] else "-"
    mode = " (check)" if record["check"] else ""
    what = f"{record['id']}  {record['outcome']:<11} {record['playbook']}{mode}"
    return f"{what}  {began}  {took}  {record['who']['user']}"
