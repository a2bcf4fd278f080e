"""A throw-away MariaDB for the time of a build: only a socket, data in a temporary directory, no system service."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cloudos.bundle.commands import run
from cloudos.bundle.errors import BundleError

ACCOUNT = "nobody"
START_SECONDS = 30
# Nothing outlives the build, so nothing needs to reach the disk.
OPTIONS = [
    "--skip-networking",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=off",
    "--max-connections=100",
]
# The data is in memory that goes away with the server, and the server goes away with the process that started it.
# The kernel forgets that wish when a process changes its user, so setpriv does both, and in this order.
START = f"""\
mount -t tmpfs -o mode=0755 cloudos-mariadb "$1"
chown {ACCOUNT} "$1"
mariadb-install-db --no-defaults --user={ACCOUNT} --datadir="$1" --basedir=/usr --skip-test-db \\
  --auth-root-authentication-method=normal
exec setpriv --reuid {ACCOUNT} --regid nogroup --clear-groups --pdeathsig KILL mariadbd --no-defaults --datadir="$@"
"""


@contextlib.contextmanager
def private_mariadb() -> Iterator[Path]:
    """Run a server while the context lasts; gives the path of its socket, where root needs no password.

    The server dies with this process, however it ends. Raises BundleError with the end of its log if it does not start.
    """
    work = Path(tempfile.mkdtemp(prefix="cloudos-mariadb-"))
    data, log, socket = work / "data", work / "log", work / "sql"
    try:
        data.mkdir()
        shutil.chown(work, ACCOUNT)
        command = ["unshare", "--mount", "sh", "-ec", START, "sh", data, f"--socket={socket}", *OPTIONS]
        with log.open("w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _wait(server, socket, log)
            yield socket
        finally:
            server.kill()
            server.wait()
    finally:
        shutil.rmtree(work)


def execute(socket: Path, *statements: str) -> None:
    """Run SQL statements as root."""
    run(
        ["mariadb", "--no-defaults", "-u", "root", "-S", socket],
        what="preparing databases",
        input=";\n".join(statements) + ";\n",
    )


def _wait(server: subprocess.Popen, socket: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        ping = subprocess.run(
            ["mariadb", "--no-defaults", "-u", "root", "-S", str(socket), "-e", "SELECT 1"],
            capture_output=True,
            check=False,
        )
        if ping.returncode == 0:
            return
        time.sleep(0.1)
    lines = log.read_text(errors="replace").splitlines()[-10:] if log.exists() else []
    raise BundleError("\n".join(["the private MariaDB did not start:", *lines]))
