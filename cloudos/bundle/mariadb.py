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
FAST = [
    "--skip-networking",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--sync-binlog=0",
]
SIZES = ["--innodb-buffer-pool-size=64M", "--performance-schema=off", "--max-connections=100"]


@contextlib.contextmanager
def private_mariadb() -> Iterator[Path]:
    """Run a server while the context lasts; gives the path of its socket, where root needs no password.

    The server dies with this process, however it ends. Raises BundleError with the end of its log if it does not start.
    """
    work = Path(tempfile.mkdtemp(prefix="cloudos-mariadb-"))
    try:
        data, log, socket = work / "data", work / "log", work / "sql"
        data.mkdir()
        for path in (work, data):
            shutil.chown(path, ACCOUNT)
        common = ["--no-defaults", f"--datadir={data}", f"--user={ACCOUNT}"]
        install = ["mariadb-install-db", *common, "--skip-test-db", "--auth-root-authentication-method=normal"]
        run([*install, "--basedir=/usr"], what="preparing a private MariaDB")
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "mariadbd",
            *common,
            f"--socket={socket}",
            f"--log-error={log}",
            *FAST,
            *SIZES,
        ]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(server, socket, log)
            yield socket
        finally:
            server.kill()  # the data is of no more use
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
