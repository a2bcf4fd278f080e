"""The command graffiti-manage: Eden's, the first types, and the keys of the pools' credentials."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from oslo_config import cfg
from oslo_context.context import RequestContext

from cloudos.eden.manage import manage
from cloudos.eden.runtime import Runtime
from cloudos.graffiti import dictionary, pools, sources
from cloudos.graffiti.client import STANDARD
from cloudos.graffiti.service import SERVICE
from cloudos.graffiti.vault import VaultError

# Whose the types are that come with the cloud.
SYSTEM = RequestContext(user_id="graffiti", project_id="graffiti", roles=["admin"])
# Where the wheel of Glance puts its metadata definitions in an environment.
METADEFS = Path(sys.prefix, "etc/glance/metadefs")

main = manage(SERVICE, "cloudos.graffiti.wsgi:application")


@main.command()
@click.pass_obj
def load(conf: cfg.ConfigOpts) -> None:
    """Keep the standard types, and Glance's metadata definitions where they are installed, for everybody. Again changes nothing."""
    runtime = Runtime(SERVICE, conf)
    owner = {"user_id": SYSTEM.user_id, "project_id": SYSTEM.project_id, "domain_id": None}
    for name in (*STANDARD, *(["metadefs"] if METADEFS.is_dir() else [])):
        batch = sources.load(name, METADEFS if name == "metadefs" else None)

        def write(session, batch=batch):
            known = runtime.extra.dictionaries.of(session, SYSTEM)
            return dictionary.load(session, known, batch, owner, "public-cloud", SYSTEM)

        done = runtime.db.transact(write).shown()
        click.echo(f"{name}: {len(done['created'])} new, {len(done['changed'])} changed, {done['same']} the same")


@main.command("rotate-keys")
@click.option("--finish", is_flag=True, help="Forget the old keys: once the new key file is on every controller.")
@click.pass_obj
def rotate_keys(conf: cfg.ConfigOpts, finish: bool) -> None:
    """Put a new key in front and encrypt all credentials anew; without a key file, make one."""
    runtime = Runtime(SERVICE, conf)
    vault = runtime.extra.vault
    try:
        if finish:
            done = runtime.db.transact(lambda session: pools.rotate(session, vault))
            click.echo(f"{done} pools are under the first key; {vault.drop_old_keys()} old keys are gone.")
            return
        vault.add_key()
        done = runtime.db.transact(lambda session: pools.rotate(session, vault))
        click.echo(f"{vault.path} has a new key; {done} pools are under it. Copy it to every controller, then run this with --finish.")
    except (VaultError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
