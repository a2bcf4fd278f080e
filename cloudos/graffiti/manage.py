"""The command graffiti-manage: Eden's, the first types, and the purge of bindings."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from oslo_config import cfg
from oslo_context.context import RequestContext

from cloudos.eden.manage import manage
from cloudos.eden.runtime import Runtime
from cloudos.graffiti import binding, dictionary, sources
from cloudos.graffiti.client import STANDARD
from cloudos.graffiti.service import SERVICE

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
            known = runtime.extra.dictionaries.of(session, SYSTEM, "public-cloud")
            return dictionary.load(session, known, batch, owner, "public-cloud", SYSTEM)

        done = runtime.db.transact(write).shown()
        click.echo(f"{name}: {len(done['created'])} new, {len(done['changed'])} changed, {done['same']} the same")


@main.command("purge-bindings")
@click.pass_obj
def purge_bindings(conf: cfg.ConfigOpts) -> None:
    """Forget bindings that expired or were released longer than [pools] keep_bindings_days ago."""
    count = Runtime(SERVICE, conf).db.transact(lambda session: binding.purge(session, conf.pools.keep_bindings_days))
    click.echo(f"{count} bindings are forgotten.")


if __name__ == "__main__":
    main()
