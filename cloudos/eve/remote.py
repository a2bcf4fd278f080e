"""The commands `cloudos eve topology ...` and `cloudos eve job ...`, which speak with the service. Topologies are named by name or id."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cloudos.eden.client import JobFailed
from cloudos.eden.commands import as_json, connected, details, job_commands, table, told
from cloudos.eve import given, workflow_verbs
from cloudos.eve.client import Eve

topology = connected(Eve, "topology", "Topologies of the service: plan, deploy, look, change, take down.")
job = connected(Eve, "job", "Jobs of the service: their state, what happened, their end.")
job_commands(job)
job.add_command(job.commands["watch"], "events")
OPTIONS = (
    click.option("--design", help="A document of Focus: name or name@version."),
    click.option("--profile", help="A document of Focus with pools, placement, choices, inputs, instances; or a binding of Graffiti."),
    click.option("--pool", help="A pool of Graffiti or the operator; without it, your own project."),
    click.option("--default", "defaults", multiple=True, help="KEY=VALUE of the pool, such as flavor=small; several times."),
    click.option("--choice", "choices", multiple=True, metavar="NODE.WHAT=NAME", help="Of one node, as web.flavor=large; several times."),
    given.SUBSTITUTE,
    click.option("-i", "--inputs", "inputs", multiple=True, help="NAME=VALUE (a YAML value), or a YAML file of them; several times."),
    click.option("--instances", multiple=True, metavar="NODE=NUMBER", help="How many of a scalable node; several times."),
)
ORDER_OPTIONS = (
    click.option("--plan", "plan_id", help="Deploy this plan instead of naming a design."),
    click.option("--secret", "secrets", multiple=True, metavar="NAME", help="Send ${secret:NAME} from the variable NAME; several times."),
    click.option("--on-failure", type=click.Choice(["keep", "undeploy"]), help="What becomes of what a failed job has made."),
)
WAIT = click.option("--wait/--no-wait", default=True, help="Follow the job to its end; exits with 1 if it does not succeed.")


def options(*groups: tuple) -> Callable[[Callable], Callable]:
    """Several options as one decorator."""

    def decorated(command: Callable) -> Callable:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorated


def order_of(given_options: dict[str, Any]) -> dict[str, Any]:
    """The body of an order from options; what was not given is not in it. Raises UsageError."""
    plain = {name: given_options.get(name) for name in ("design", "profile", "pool", "on_failure", "substitutions")}
    body = {key: value for key, value in plain.items() if value not in (None, {})}
    if given_options.get("plan_id"):
        body["plan"] = given_options["plan_id"]
    for name, read in (("defaults", given.inputs), ("inputs", given.inputs), ("choices", given.choices),
                       ("instances", given.counts)):  # fmt: skip
        if given_options.get(name):
            body[name] = read(given_options[name])
    if names := given_options.get("secrets"):
        if missing := [name for name in names if name not in os.environ]:
            raise click.UsageError(f"{', '.join(missing)}: no such variable in the environment; set it to the secret's value.")
        body["secrets"] = {name: os.environ[name] for name in names}
    return body


def identity(service: Eve, name: str) -> str:
    """The id of a topology. Raises ClickException where a name means several."""
    try:
        return service.named(name)["id"]
    except LookupError as error:
        raise click.ClickException(str(error)) from error


def follow(service: Eve, made: dict[str, Any], wait: bool) -> None:
    """Tell the job; with wait, its tasks as they go, failures, and the outputs at its end."""
    click.echo(f"job {made['id']} {made['state']} for {made['resource']}")
    if not wait:
        return
    for event in service.events(made["id"]):
        facts = event["facts"]
        if event["kind"] == "task":
            click.echo(f"{facts['state']:<10} {facts['task']:<32} {facts.get('status') or ''}".rstrip())
        elif event["kind"] == "failure":
            for line in facts["log"]:
                click.echo(f"  | {line}", err=True)
    try:
        done = service.wait(made["id"], timeout=0)
    except JobFailed as failure:
        click.echo(f"{failure}", err=True)
        click.echo(f"`cloudos eve job retry {made['id']}` goes on; `cloudos eve topology undeploy` takes down what is there.", err=True)
        sys.exit(1)
    for name, value in ((done["result"] or {}).get("outputs") or {}).items():
        click.echo(f"{name}: {json.dumps(value)}")


@topology.command("list")
@click.option("--status", type=click.Choice(["processing", "completed", "failed", "inactive"]))
@as_json
@click.pass_obj
@told
def list_(service: Eve, status: str | None, as_json: bool) -> None:
    """Show topologies."""
    rows = [{**one, "design": f"{one['design']['name']}@{one['design']['version']}"} for one in service.topologies(status=status)]
    table(rows, ["id", "name", "status", "design", "nodes", "scope", "updated_at"], as_json)


@topology.command()
@click.argument("name")
@as_json
@click.pass_obj
@told
def show(service: Eve, name: str, as_json: bool) -> None:
    """Show one topology with outputs and realized groups."""
    found = service.topology(identity(service, name))
    groups = found["groups"] if as_json else found.pop("groups")
    details(found, as_json)
    if not as_json:
        rows = [{"node": group["node"], **one, "id": one["attributes"].get("id")} for group in groups for one in group["resources"]]
        table(rows, ["node", "name", "kind", "pool", "status", "id"])


@topology.command()
@click.option("--name", help="The name of the topology to be; or of one that there is, with --update.")
@click.option("--update", "is_update", is_flag=True, help="Plan a change of the topology NAME.")
@options(OPTIONS)
@as_json
@click.pass_obj
@told
def plan(service: Eve, name: str | None, is_update: bool, as_json: bool, **given_options: Any) -> None:
    """Show what would be done, and keep it as a plan; exits with 1 if it cannot be deployed."""
    body = order_of(given_options)
    if is_update and not name:
        raise click.UsageError("--update wants --name.")
    made = service.plan(**body, **({"topology": identity(service, name or "")} if is_update else {"name": name} if name else {}))
    if as_json:
        details(made, True)
    else:
        table((made["plan"] or {}).get("steps", []), ["action", "kind", "name", "reason"])
        for note in (made["plan"] or {}).get("notes", []):
            click.echo(f"Note: {note}")
        for problem in made["problems"]:
            click.echo(f"{problem['pointer']}: {problem['message']}. {problem.get('mend', '')}", err=True)
        click.echo(f"plan {made['id']}: {made['actions'] or 'nothing to do'}, about {made['seconds'] or 0:.0f} s, quota {made['quota']}")
    sys.exit(0 if made["deployable"] else 1)


@topology.command()
@click.argument("name")
@options(OPTIONS, ORDER_OPTIONS)
@WAIT
@click.pass_obj
@told
def deploy(service: Eve, name: str, wait: bool, **given_options: Any) -> None:
    """Deploy a design of Focus, or a plan, as the topology NAME."""
    follow(service, service.deploy(name, **order_of(given_options)), wait)


@topology.command()
@click.argument("name")
@options(OPTIONS, ORDER_OPTIONS)
@WAIT
@click.pass_obj
@told
def update(service: Eve, name: str, wait: bool, **given_options: Any) -> None:
    """Bring a topology to another design, profile or inputs; what is not named stays."""
    follow(service, service.update(identity(service, name), **order_of(given_options)), wait)


@topology.command()
@click.argument("name")
@click.argument("numbers", nargs=-1, required=True, metavar="NODE=NUMBER...")
@WAIT
@click.pass_obj
@told
def scale(service: Eve, name: str, numbers: tuple[str, ...], wait: bool) -> None:
    """Bring nodes to a number of instances between their min and max."""
    follow(service, service.scale(identity(service, name), given.counts(numbers)), wait)


@topology.command()
@click.argument("name")
@WAIT
@click.pass_obj
@told
def heal(service: Eve, name: str, wait: bool) -> None:
    """Make again what is missing."""
    follow(service, service.heal(identity(service, name)), wait)


@topology.group()
def workflow() -> None:
    """Workflows of a topology's template: show, run."""


@workflow.command("show")
@click.argument("name")
@as_json
@click.pass_obj
@told
def show_workflows(service: Eve, name: str, as_json: bool) -> None:
    """Show the workflows of a topology with their inputs, and its last runs."""
    found = service.workflows(identity(service, name))
    if as_json:
        details(found, True)
        return
    table([{**one, "inputs": ", ".join(one["inputs"]), "steps": ", ".join(one["steps"])} for one in found["workflows"]],
          ["name", "inputs", "steps"])  # fmt: skip
    table(found["runs"], ["began", "workflow", "status", "ended"])


@workflow.command("run")
@click.argument("name")
@click.argument("workflow")
@click.option("-i", "--input", "inputs", multiple=True, help="NAME=VALUE (a YAML value), or a YAML file of them; several times.")
@options(ORDER_OPTIONS[1:2])
@click.option("--check", is_flag=True, help="Only show what would run where.")
@WAIT
@click.pass_obj
@told
def run_workflow(service: Eve, name: str, workflow: str, inputs: tuple[str, ...], secrets: tuple[str, ...], check: bool,
                 wait: bool) -> None:  # fmt: skip
    """Run a workflow of a topology's template; a retry of the job goes on where it stopped."""
    topology_id, values = identity(service, name), given.inputs(inputs)
    if check:
        for line in workflow_verbs.lines(service.plan_workflow(topology_id, workflow, values)):
            click.echo(line)
        return
    follow(service, service.run_workflow(topology_id, workflow, values, **order_of({"secrets": secrets})), wait)


@topology.command("export")
@click.argument("name")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; NAME.csar without it.")
@click.pass_obj
@told
def export_(service: Eve, name: str, output: Path | None) -> None:
    """Write a topology as an archive from which it can be deployed elsewhere or again: its design, and the profile as it is now."""
    data = service.export(identity(service, name))
    target = output or Path(f"{name}.csar")
    try:
        target.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}. Name another file with -o.") from error
    click.echo(f"{target}: {len(data)} bytes. `cloudos focus store {target} --name {target.stem}` keeps it as a design.")


@topology.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also what other topologies use.")
@WAIT
@click.pass_obj
@told
def undeploy(service: Eve, name: str, force: bool, wait: bool) -> None:
    """Take a topology down; its record stays, inactive."""
    follow(service, service.undeploy(identity(service, name), force), wait)


@topology.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also what other topologies use.")
@WAIT
@click.pass_obj
@told
def delete(service: Eve, name: str, force: bool, wait: bool) -> None:
    """Take a topology down and forget it."""
    follow(service, service.delete(identity(service, name), force), wait)
