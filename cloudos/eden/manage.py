"""The command of a service's operators, like other services' *-manage: db-sync, serve, worker, purge."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
from cryptography.fernet import Fernet
from oslo_config import cfg

from cloudos import home
from cloudos.eden import audit, config, vault
from cloudos.eden.jobs import worker as workers
from cloudos.eden.runtime import Runtime, log_setup
from cloudos.eden.service import Service


def manage(service: Service, wsgi: str) -> click.Group:
    """The command <service>-manage. `wsgi`: module:name of the application, for serve."""

    @click.group()
    @click.option("--config-file", "files", multiple=True, type=click.Path(exists=True, dir_okay=False),
                  help=f"Instead of /etc/{service.name}/{service.name}.conf; may be given several times.")
    @click.option("--embedded", is_flag=True, help="For yourself, without a cloud: SQLite and a unix socket in CLOUDOS_HOME, no Keystone.")
    @click.pass_context
    def main(context: click.Context, files: tuple[str, ...], embedded: bool) -> None:
        if embedded:
            files = (str(embedded_conf(service)),)
        if files:
            os.environ[f"OS_{service.name.upper()}_CONFIG_FILES"] = ";".join(files)
        context.obj = config.load(service)
        log_setup(context.obj, service)

    main.help = f"Runs {service.title}."

    @main.command("db-sync")
    @click.pass_obj
    def db_sync(conf: cfg.ConfigOpts) -> None:
        """Bring the database to this release's schema; doing it again changes nothing."""
        for folder, revision in Runtime(service, conf).db_sync().items():
            click.echo(f"{folder}: {revision}")

    @main.command()
    @click.pass_obj
    def worker(conf: cfg.ConfigOpts) -> None:
        """Do jobs until SIGTERM."""
        workers.run(service, conf)

    @main.command()
    @click.pass_obj
    def purge(conf: cfg.ConfigOpts) -> None:
        """Forget ended jobs and audit records that are older than the configuration keeps them."""
        runtime = Runtime(service, conf)
        jobs = runtime.db.transact(runtime.jobs.purge)
        records = runtime.db.transact(lambda session: audit.purge(session, conf.api.audit_days))
        click.echo(f"{jobs} jobs and {records} records of the audit are forgotten.")

    @main.command()
    @click.option("--bind", help=f"HOST:PORT or unix:PATH; without it the embedded socket, or 127.0.0.1:{service.port}.")
    @click.option("--threads", default=8, help="Requests that are answered at once.")
    @click.pass_obj
    def serve(conf: cfg.ConfigOpts, bind: str | None, threads: int) -> None:
        """Serve the API and one worker, for a single machine; in a cloud systemd starts them."""
        embedded = conf.api.auth_strategy == "noauth"
        bind = bind or (f"unix:{socket_path(service)}" if embedded else f"127.0.0.1:{service.port}")
        if embedded and not bind.startswith(("unix:", "127.0.0.1:", "localhost:", "[::1]:")):
            raise click.UsageError(f"With auth_strategy = noauth only loopback and unix sockets are served, not {bind}.")
        Runtime(service, conf).db_sync()
        sys.exit(supervise([_gunicorn(wsgi, bind, threads), [sys.executable, "-m", *_worker(service)]], bind))

    _keys(main, service)
    return main


def _keys(main: click.Group, service: Service) -> None:
    """The commands of a service that keeps something encrypted."""
    if service.sealed is None:
        return

    @main.command("new-key")
    def new_key() -> None:
        """Print a new key for the key file; on its first line it is used for what is new."""
        click.echo(Fernet.generate_key().decode())

    @main.command("renew-keys")
    @click.pass_obj
    def renew_keys(conf: cfg.ConfigOpts) -> None:
        """Encrypt with the first key what is encrypted with an older one; doing it again changes nothing."""
        runtime = Runtime(service, conf)
        try:
            done = runtime.db.transact(lambda session: vault.renew(session, runtime.vault, service.sealed))
        except vault.VaultError as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"{done} values are encrypted anew; all are under the first key of {runtime.vault.path}.")

    @main.command("check-keys")
    @click.option("--newest", help="Fingerprint that the first key must have.")
    @click.pass_obj
    def check_keys(conf: cfg.ConfigOpts, newest: str | None) -> None:
        """Exit with 1 unless everything is encrypted with the first key, so that the older ones can go."""
        runtime = Runtime(service, conf)
        try:
            found = runtime.vault.newest()
            old = runtime.db.transact(lambda session: vault.stale(session, runtime.vault, service.sealed), reading=True)
        except vault.VaultError as error:
            raise click.ClickException(str(error)) from error
        if newest and newest != found:
            text = f"The first key of {runtime.vault.path} is {found}, not {newest}: the newest key is not here yet."
            raise click.ClickException(f"{text} Run playbooks/site.yml, which brings it.")
        if old:
            text = f"{old} values are encrypted with a key behind the first one of {runtime.vault.path}."
            raise click.ClickException(f"{text} `{service.name}-manage renew-keys` encrypts them anew.")
        click.echo(f"Everything is encrypted with key {found}.")


def directory(service: Service) -> Path:
    """Where the embedded service keeps its files."""
    return home.root() / service.name


def socket_path(service: Service) -> Path:
    """The unix socket of the embedded service; only its owner may connect."""
    return directory(service) / "api.sock"


def embedded_conf(service: Service) -> Path:
    """The configuration of the embedded service, made when there is none; people may change it."""
    path = directory(service) / f"{service.name}.conf"
    text = f"[api]\nauth_strategy = noauth\n\n[database]\nconnection = sqlite:///{directory(service)}/{service.name}.db\n"
    home.write_once(path, text.encode())
    return path


def _gunicorn(wsgi: str, bind: str, threads: int) -> list[str]:
    # Its control socket lies at one place for all of a person: embedded services would take it from each other.
    return [sys.executable, "-m", "gunicorn", "--bind", bind, "--umask", "0077", "--worker-class", "gthread", "--threads", str(threads),
            "--workers", "1", "--timeout", "120", "--no-control-socket", wsgi]  # fmt: skip


def _worker(service: Service) -> list[str]:
    return [f"cloudos.{service.name}.manage", "worker"]


def _started(command: list[str]) -> subprocess.Popen:
    # However the one that supervises ends, the kernel tells the process to end: its socket and its lock on jobs would be in the way.
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command])


def supervise(commands: list[list[str]], bind: str) -> int:
    """Run the commands until SIGTERM or SIGINT, starting again what dies. Returns the exit code: 1 if one cannot stay alive."""
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: stopping.append(number))
    running = {number: (_started(command), time.monotonic()) for number, command in enumerate(commands)}
    click.echo(f"Listening at {bind}; Ctrl-C ends it.", err=True)
    broken = False
    while not stopping and not broken:
        time.sleep(0.2)
        for number, (process, since) in list(running.items()):
            if process.poll() is None:
                continue
            if time.monotonic() - since < 3:
                click.echo(f"{' '.join(commands[number][1:])} ended at once with {process.returncode}.", err=True)
                broken = True
                break
            running[number] = (_started(commands[number]), time.monotonic())
    for process, _ in running.values():
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    for process, _ in running.values():
        process.wait()
    return 1 if broken else 0
