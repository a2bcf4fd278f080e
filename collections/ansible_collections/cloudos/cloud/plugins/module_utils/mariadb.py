"""MariaDB as root over its socket, through the client that comes with the server.

Statements and dumps go to the client's standard input, so that neither passwords nor their hashes are process
arguments.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

NO_SERVER = "ERROR 2002"


class Unreachable(Failure):
    """Nothing listens on the socket: no server, or none yet."""


class Server:
    """The server behind a socket."""

    def __init__(self, socket):
        self.socket = socket

    def rows(self, sql):
        """Rows (lists of str) of all the statements, in order; no statement gives no row."""
        return [line.split("\t") for line in self._client(sql.encode()).decode().splitlines()]

    def load(self, database, dump):
        """Run a dump (bytes) in the database."""
        self._client(dump, database)

    def dump(self, database, path):
        """Write all of a database, compressed, to a new file that root alone may read; half a dump does not stay."""
        argv = ["mariadb-dump", "--no-defaults", "--protocol=socket", f"--socket={self.socket}", "--user=root",
                "--single-transaction", "--routines", "--triggers", "--default-character-set=utf8mb4", database]
        half = path.with_suffix(".half")
        try:
            with (
                open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
                gzip.open(file, "wb") as packed,
                subprocess.Popen(argv, stdout=subprocess.PIPE) as dumping,
            ):
                shutil.copyfileobj(dumping.stdout, packed)
            if dumping.returncode:
                raise Failure(f"mariadb-dump of {database} ended with {dumping.returncode}; nothing was dropped",
                              service="mariadb", next_step=f"try it: {' '.join(argv)}")
            half.rename(path)
        finally:
            half.unlink(missing_ok=True)

    def _client(self, data, *database):
        argv = ["mariadb", "--no-defaults", "--protocol=socket", f"--socket={self.socket}", "--user=root", "--batch",
                "--skip-column-names", "--default-character-set=utf8mb4", *database]
        try:
            done = subprocess.run(argv, input=data, capture_output=True, check=False, timeout=300)
        except FileNotFoundError:
            raise Unreachable("MariaDB is not installed on this node", service="mariadb") from None
        except subprocess.TimeoutExpired:
            raise Failure("MariaDB took longer than 300 s to answer", service="mariadb",
                          next_step="look at SHOW PROCESSLIST on the node") from None
        if done.returncode:
            cause = done.stderr.decode("utf-8", "replace").strip()
            kind = Unreachable if NO_SERVER in cause else Failure
            raise kind(re.sub(r"'\*[0-9A-F]{40}'", "'***'", cause), service="mariadb",
                       next_step=f"systemctl status mariadb; mariadb --socket {self.socket}")
        return done.stdout


def password_hash(password):
    """What the server keeps of a password (mysql_native_password)."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def quoted(text):
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def identifier(text):
    """An identifier."""
    return "`" + text.replace("`", "``") + "`"


def pattern(database):
    """A database's name in a GRANT, where _ and % would stand for any character."""
    return identifier(database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))
