"""The command eve-manage: Eden's, and the keys and plans of Eve."""

from __future__ import annotations

import click
from cryptography.fernet import Fernet
from oslo_config import cfg

from cloudos.eden.manage import manage
from cloudos.eden.runtime import Runtime
from cloudos.eve import upkeep
from cloudos.eve.service import SERVICE
from cloudos.eve.vault import VaultError

main = manage(SERVICE, "cloudos.eve.wsgi:application")


@main.command("make-key")
def make_key() -> None:
    """Print a new key for [eve] credential_keys; the first key of the option is used for what is new."""
    click.echo(Fernet.generate_key().decode())


@main.command("renew-credentials")
@click.pass_obj
def renew_credentials(conf: cfg.ConfigOpts) -> None:
    """Encrypt everything anew under the first key of [eve] credential_keys; then the old ones can go."""
    runtime = Runtime(SERVICE, conf)
    try:
        click.echo(f"{runtime.db.transact(runtime.extra.vault.renew)} values are under the first key.")
    except VaultError as error:
        raise click.ClickException(str(error)) from error


@main.command("purge-designs")
@click.pass_obj
def purge_designs(conf: cfg.ConfigOpts) -> None:
    """Forget plans older than [eve] keep_plans_days, and designs that no plan and no topology needs."""
    runtime = Runtime(SERVICE, conf)
    plans, designs = runtime.db.transact(lambda session: upkeep.purge(session, conf.eve.keep_plans_days))
    click.echo(f"{plans} plans and {designs} designs are forgotten.")


if __name__ == "__main__":
    main()
