"""The command eve-manage: Eden's, and the purge of designs."""

from __future__ import annotations

import click
from oslo_config import cfg

from cloudos.eden.manage import manage
from cloudos.eden.runtime import Runtime
from cloudos.eve.jobs import upkeep
from cloudos.eve.service import SERVICE

main = manage(SERVICE, "cloudos.eve.wsgi:application")


@main.command("purge-designs")
@click.pass_obj
def purge_designs(conf: cfg.ConfigOpts) -> None:
    """Forget plans older than [eve] keep_plans_days, and designs that no plan and no topology needs."""
    runtime = Runtime(SERVICE, conf)
    plans, designs = runtime.db.transact(lambda session: upkeep.purge(session, conf.eve.keep_plans_days))
    click.echo(f"{plans} plans and {designs} designs are forgotten.")


if __name__ == "__main__":
    main()
