"""`cloudos eve workflow ...`: the workflows of a deployed topology, shown and run without a service."""

from __future__ import annotations

import contextlib
import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from cloudos import tosca
from cloudos.eve import given
from cloudos.eve.engine.state import Directory
from cloudos.eve.lifecycle import Request
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool
from cloudos.eve.verbs import STATES, ended, eve_of, told
from cloudos.eve.workflow import run as flow_run
from cloudos.tosca.archive import open_archive
from cloudos.tosca.resolver import Location


@click.group()
def workflow() -> None:
    """Workflows of a deployed topology's template: show, run."""


@contextlib.contextmanager
def deployed(directory: Directory, topology: str, runs: Mapping[str, Mapping[str, Any]]) -> Iterator[Request]:
    """The request for a topology as it was last deployed, while the context lasts. Raises Refused."""
    state, design = directory.deployed(topology), directory.design(topology)
    if design is None:
        raise Refused(f"what topology {topology} was deployed from was not kept. Deploy it once more.")
    with tempfile.NamedTemporaryFile(prefix="eve-", suffix=".csar") as file:
        file.write(design)
        file.flush()
        tree = open_archive(Path(file.name))
        if tree is None:
            raise Refused(f"what topology {topology} was deployed from cannot be read any more. Deploy it once more.")
        tree.shown = topology
        about = given.profile(None, tree)
        report = tosca.load(Location(tree, tree.entry()), given.resolver(()), about.get("inputs") or {}, runs=runs,
                            substitutions=about.get("substitutions"))  # fmt: skip
        if report.exit_code or report.template is None:
            raise Refused("\n".join([*(str(one) for one in report.problems if one.severity != "warning"), "Nothing was begun."]))
        named = [*(about.get("pools") or {}), *(name for name in state.pools if name not in (about.get("pools") or {}))]
        pools = {name: Pool(name, one["provider"], one["login"], one["defaults"]) for name in named if (one := state.pools.get(name))}
        yield Request(topology, report.template, pools, tree, about.get("placement") or {}, about.get("instances") or {},
                      choices=about.get("choices") or {})  # fmt: skip


@workflow.command()
@click.argument("topology")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@STATES
@told
def show(topology: str, as_json: bool, states: Path | None) -> None:
    """Show the workflows of a topology, with their inputs, and its last runs."""
    directory = Directory(states)
    with deployed(directory, topology, {}) as request:
        found = flow_run.described(request.template, directory.load(topology))
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for one in found["workflows"]:
        inputs = ", ".join(f"{key}{'' if value['required'] else ' (optional)'}" for key, value in one["inputs"].items())
        click.echo(f"{one['name']:<24} {len(one['steps'])} steps{f'; inputs: {inputs}' if inputs else ''}")
    for one in found["runs"]:
        click.echo(f"{one['began']}  {one['workflow']:<24} {one['status']:<10} {', '.join(one['failed'])}".rstrip())


@workflow.command()
@click.argument("topology")
@click.argument("name")
@click.option("-i", "--input", "inputs", multiple=True, help="NAME=VALUE (a YAML value), or a YAML file of them; several times.")
@click.option("--check", is_flag=True, help="Only show what would run where; no Ansible is started.")
@click.option("--resume", is_flag=True, help="Go on with the last run of the workflow, which failed, with its inputs.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print it as JSON.")
@STATES
@told
def run(topology: str, name: str, inputs: tuple[str, ...], check: bool, resume: bool, as_json: bool, states: Path | None) -> None:
    """Run a workflow of a topology's template; exits with 1 when it fails, 2 when nothing was begun."""
    eve = eve_of(states)
    values, identity = given.inputs(inputs), uuid.uuid4().hex
    if resume:
        if values:
            raise click.UsageError("--resume goes on with the inputs that the run has.")
        last = flow_run.resumable(eve.states.load(topology), name)
        values, identity = last["inputs"], last["id"]
    with deployed(eve.states, topology, {name: values}) as request:
        if check:
            found = eve.check_workflow(request, name, identity)
            click.echo(json.dumps(found, indent=1) if as_json else "\n".join(lines(found)))
            return
        outcome = eve.workflow(request, name, identity)
    for failure in outcome.record["failures"]:
        if failure.get("handled"):
            click.echo(f"failed and handled: {failure['operation']}: {failure['cause']}")
    for key, value in outcome.record["outputs"].items():
        click.echo(f"{name}.{key}: {json.dumps(value)}")
    if not outcome.ok:
        click.echo(f"`cloudos eve workflow run {topology} {name} --resume` goes on with what failed.", err=True)
    ended(outcome)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What would run, as people read it."""
    yield f"Workflow {found['workflow']} of topology {found['topology']}:"
    for unit in found["units"]:
        yield f"{unit['step']}: {unit['activity']}"
        for one in unit["calls"]:
            note = "done already" if one["done"] else "" if one["passes"] else "its filter does not let it pass as things are now"
            where = ", ".join(one["hosts"]) or ("the state" if one["operation"] == "set_state" else "the machine that runs Eve")
            yield f"  {one['node'] or found['workflow']:<24} {one['operation']:<20} on {where}{f'  ({note})' if note else ''}"
