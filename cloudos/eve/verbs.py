"""The verbs of topologies on the command line, without a service: against clouds of clouds.yaml, with state in a directory."""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cloudos import tosca
from cloudos.eve import given
from cloudos.eve.engine import export
from cloudos.eve.engine.calls import PLAYS
from cloudos.eve.engine.emit import emit
from cloudos.eve.engine.plan import KEEP, USE, Plan
from cloudos.eve.engine.state import Directory
from cloudos.eve.lifecycle import NO_KEY, Eve, Outcome, Request
from cloudos.eve.problems import Refused, Undeployable
from cloudos.runs import start
from cloudos.tosca.archive import open_archive
from cloudos.tosca.resolver import DirectoryTree, Tree

SIGNS = {"create": "+", "change": "~", "replace": "!", "delete": "-", "run": ">", "undo": "<"}
TEMPLATE_OPTIONS = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("-i", "--inputs", "inputs", multiple=True, help="NAME=VALUE (a YAML value), or a YAML file of them; several times."),
    click.option("--cloud", help="Name of a cloud in clouds.yaml: where everything is made unless the profile says otherwise."),
    click.option("--profile", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Pools, placement, choices, inputs ..."),
    click.option("--mirror", "mirrors", multiple=True, help="ADDRESS=DIRECTORY: where the files of an imported address lie."),
    given.SUBSTITUTE,
    click.option("--name", help="Name of the topology; the file's name without suffix."),
)
STATES = click.option("--states", type=click.Path(file_okay=False, path_type=Path), help="Directory of states.")


def register(group: click.Group) -> None:
    """Add the verbs to `cloudos eve`."""
    for command in (plan, deploy, update, scale, heal, undeploy, topologies, outputs, export_command):
        group.add_command(command)


def template_options(command: Callable) -> Callable:
    """What all commands about a template take."""
    for option in reversed((*TEMPLATE_OPTIONS, STATES)):
        command = option(command)
    return command


def told(command: Callable) -> Callable:
    """Problems end the command with 2, each on its line."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (Undeployable, Refused) as problem:
            click.echo(str(problem), err=True)
            sys.exit(2)

    return run


def request_of(file: Path, inputs: tuple[str, ...], cloud: str | None, profile: Path | None, mirrors: tuple[str, ...],
               name: str | None, substitutions: dict[str, str] | None = None) -> Request:  # fmt: skip
    """The request that the options describe. Raises Refused with every problem of the template."""
    tree = tree_of(file)
    about = given.profile(profile, tree)
    values = {**(about.get("inputs") or {}), **given.inputs(inputs)}
    resolver = given.resolver(mirrors)
    substitutions = {**(about.get("substitutions") or {}), **(substitutions or {})}
    report = tosca.load(file, resolver, values, substitutions=substitutions)
    if report.exit_code or report.template is None:
        words = f"{file} cannot be deployed. Correct it; `cloudos eve validate` tells more."
        raise Refused("\n".join([*map(str, report.problems), words]))
    pools, placement, choices = given.pools(cloud, about), about.get("placement") or {}, about.get("choices") or {}
    kept = {"pools": export.pools(pools), "placement": placement, "choices": choices, "inputs": values,
            "substitutions": substitutions}
    return Request(name or file.stem, report.template, pools, tree, placement, about.get("instances") or {},
                   lambda: export.design(report, tree, resolver.mirrors, kept), choices)  # fmt: skip


def collections_of(request: Request) -> list[str]:
    """Directories of Ansible collections that the pools' providers bring."""
    return sorted({path for pool in request.pools.values() for path in pool.mapping.collections})


def tree_of(file: Path) -> Tree:
    """The files beside a template, or in its archive."""
    if file.suffix not in (".yaml", ".yml", ".tosca") and (archive := open_archive(file)):
        return archive
    return DirectoryTree(file.parent)


class Planner(Eve):
    """Eve that only looks: it makes no keys."""

    def key(self, topology: str) -> str:
        """The key that there is, or a word in its place."""
        path = self.states.folder(topology) / "key.pub"
        return path.read_text().strip() if path.exists() else NO_KEY


def eve_of(states: Path | None) -> Eve:
    """Eve with secrets from the environment, telling progress."""
    return Eve(Directory(states), given.environment_secret, lambda one: click.echo(
        f"{one['done']:>4}/{one['total']:<4} {one['action']:<8} {one['name']}"))  # fmt: skip


@click.command()
@template_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--project", type=click.Path(file_okay=False, path_type=Path), help="Also write the Ansible project there.")
@told
def plan(as_json: bool, project: Path | None, states: Path | None, **options: Any) -> None:
    """Show what would be created, changed, replaced and deleted, with quotas and time; touches nothing."""
    demand_room(project)
    request, eve = request_of(**options), Planner(Directory(states))
    made = eve.plan(request)
    click.echo(json.dumps(made.to_json(), indent=1) if as_json else text(made))
    with tempfile.TemporaryDirectory() as folder:
        target = project or Path(folder) / "project"
        emit(made, eve.states.load(request.topology), request.pools, target, request.tree)
        if problem := start.check_syntax(target, "playbook.json", "inventory.json", collections_of(request)):
            raise Refused(f"ansible-playbook does not take the project: {problem}")
    if made.lacking:
        raise Undeployable(made.lacking)


def demand_room(project: Path | None) -> None:
    """Raise Refused for a directory that has anything but the project of an earlier plan, as all of it is replaced."""
    if project and project.is_dir() and any(project.iterdir()) and not (project / PLAYS).is_file():
        raise Refused(f"{project} has files that are no project of Eve's, and would be replaced. Name a new directory, or an empty one.")


@click.command()
@template_options
@told
def deploy(states: Path | None, **options: Any) -> None:
    """Make a topology, or bring it to what the template says now; run again to resume."""
    ended(eve_of(states).deploy(request_of(**options)))


update = click.Command("update", params=deploy.params, callback=deploy.callback, help="The same as deploy, for a topology that is there.")


@click.command()
@template_options
@click.argument("numbers", nargs=-1, required=True, metavar="NODE=NUMBER...")
@told
def scale(numbers: tuple[str, ...], states: Path | None, **options: Any) -> None:
    """Bring scalable nodes to a number of instances between their min and max."""
    request = request_of(**options)
    ended(eve_of(states).scale(Request(**{**vars(request), "instances": {**request.instances, **given.counts(numbers)}})))


@click.command()
@template_options
@told
def heal(states: Path | None, **options: Any) -> None:
    """Make again what is missing in the cloud, and run again what was done on it."""
    ended(eve_of(states).heal(request_of(**options)))


@click.command()
@click.argument("topology")
@STATES
@click.option("--force", is_flag=True, help="Also what other topologies use.")
@told
def undeploy(topology: str, states: Path | None, force: bool) -> None:
    """Remove a topology, from its state alone; what other topologies use stays."""
    ended(eve_of(states).undeploy(topology, force))


@click.command()
@STATES
def topologies(states: Path | None) -> None:
    """List the topologies that are deployed."""
    directory = Directory(states)
    for name in directory.topologies():
        state = directory.load(name)
        unfinished = sum(one.status != "present" for one in state.entries.values())
        note = f", {unfinished} unfinished" if unfinished else ""
        click.echo(f"{name:<24} {len(state.made()):>5} resources{note}  {state.template.get('file', '')}")


@click.command()
@click.argument("topology")
@STATES
@told
def outputs(topology: str, states: Path | None) -> None:
    """Print the outputs of a topology as JSON."""
    click.echo(json.dumps(Directory(states).deployed(topology).outputs, indent=1))


@click.command("export")
@click.argument("topology")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; TOPOLOGY.csar without it.")
@STATES
@told
def export_command(topology: str, output: Path | None, states: Path | None) -> None:
    """Write a topology as an archive from which it can be deployed elsewhere or again: template, files, and the profile as it is now."""
    directory = Directory(states)
    data = Eve(directory).export(topology)
    target = output or Path(f"{topology}.csar")
    try:
        target.write_bytes(data)
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror}. Name another file with -o.") from error
    click.echo(f"{target}: {len(data)} bytes. `cloudos eve deploy {target}` makes the same again, "
               f"`cloudos focus store {target} --name {target.stem}` keeps it.")  # fmt: skip
    for path in export.left_out({name: one["login"] for name, one in directory.load(topology).pools.items()}):
        click.echo(f"Left out, as it may be secret: {path} of the pools; say it in a profile of your own where it is needed.")


def text(made: Plan) -> str:
    """A plan as people read it."""
    lines = [f"{SIGNS[step.action]} {step.action:<8}{step.resource.kind:<20} {step.name}{_about(step)}"
             for step in made.steps.values() if step.action not in (KEEP, USE)]  # fmt: skip
    lines += [f"= uses    {step.reason}" for step in made.steps.values() if step.action == USE and step.reason]
    lines += [f"Note: {note}" for note in made.notes]
    lines += [f"= keep    {name}, which {', '.join(users)} uses" for name, users in made.kept.items()]
    if made.nothing:
        return "\n".join([*lines, f"Topology {made.topology} is as the template says; nothing is to be done."])
    told_counts = ", ".join(f"{number} to {action}" for action, number in made.counted().items() if action != KEEP)
    for pool, quota in made.quota.items():
        lines.append(f"Quota in pool {pool}: " + ", ".join(f"{number:+} {name}" for name, number in quota.items()))
    return "\n".join([*lines, f"{told_counts}; in {len(made.stages)} stages, about {made.seconds:.0f} s."])


def _about(step: Any) -> str:
    changes = "; ".join(f"{key}: {json.dumps(before)} -> {json.dumps(after)}" for key, (before, after) in step.changes.items())
    return f"  ({'; '.join(filter(None, [step.reason, changes]))})" if step.reason or changes else ""


def ended(outcome: Outcome) -> None:
    """Tell what came of a run; exits with 1 when it failed."""
    for failure in outcome.failures:
        where = [f"{key} {failure[key]}" for key in ("node", "operation") if failure[key]]
        click.echo(f"FAILED {' '.join(where)}: {failure['cause']}", err=True)
        for line in failure["log"]:
            click.echo(f"  | {line}", err=True)
        click.echo(f"  Next step: {failure['next_step']}", err=True)
    if outcome.failures and outcome.plan.graph.resources and not outcome.record:
        click.echo("What was made stays as it is, to be looked into; `cloudos eve undeploy "
                   f"{outcome.state.topology}` takes all of it down.", err=True)  # fmt: skip
    for note in outcome.plan.notes:
        click.echo(f"Note: {note}")
    for name, users in outcome.plan.kept.items():
        click.echo(f"kept: {name}, which {', '.join(users)} uses")
    if outcome.ok:
        click.echo(f"Done in {outcome.seconds} s." if outcome.started else "Nothing was to be done.")
        for name, value in outcome.state.outputs.items():
            click.echo(f"{name}: {json.dumps(value)}")
    sys.exit(0 if outcome.ok else 1)
