"""The command graffiti-manage: Eden's, and the keys of the pools' credentials."""

from __future__ import annotations

import click
from oslo_config import cfg

from cloudos.eden.manage import manage
from cloudos.eden.runtime import Runtime
from cloudos.graffiti import pools
from cloudos.graffiti.service import SERVICE
from cloudos.graffiti.vault import VaultError

main = manage(SERVICE, "cloudos.graffiti.wsgi:application")


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
