#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All databases of a node in one call: created, granted, filled from a snapshot, and brought up to date."""

from __future__ import annotations

DOCUMENTATION = r"""
module: schemas
short_description: Converge the databases of services
description:
  - Creates databases and accounts, loads the snapshot of an empty database, and runs the services' migration
    commands; services side by side, the databases of one service one after another.
  - A database is up to date when its version tables hold what the snapshots' C(heads.json) tells; then no command
    runs. One that C(heads.json) does not know is up to date when the bundle that migrated it is still the current one.
  - Notes in database C(cloudos) what it is about to do, so that a call after a killed one drops a database that was
    loaded by half, and finishes migrations.
options:
  schemas:
    description:
      - List of C(service), C(databases), C(user), C(password) (C(${secret:name})), C(migrate), commands that are found
        in the bundle first, and C(run_as), the system user they run as. The plan's C(host) is where the server is.
      - An account may connect from everywhere, must use TLS, and may do anything in its databases, nothing elsewhere.
      - The commands of a service without a database run once per bundle.
    type: list
    elements: dict
    default: []
  absent:
    description: The same shape; these databases and accounts are dropped once what they hold lies below O(dumps).
    type: list
    elements: dict
    default: []
  dumps:
    description: Directory for C(<database>-<UTC time>.sql.gz) of dropped databases; root's alone.
    type: path
    default: /var/backups/cloudos
  snapshots:
    description:
      - Directory with C(<database>.sql) files and C(heads.json), a mapping of databases to version tables to versions.
    type: path
    default: /opt/cloudos/current/share/schemas
  bundle:
    description: Link to the current bundle.
    type: path
    default: /opt/cloudos/current
  socket:
    description: Socket of MariaDB, which must know root by it.
    type: path
    default: /run/mysqld/mysqld.sock
  timeout:
    description: Seconds that one migration command may take.
    type: int
    default: 300
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS
"""

EXAMPLES = r"""
- name: The database of Placement
  cloudos.cloud.schemas:
    schemas:
      - service: placement
        databases: [placement]
        user: placement
        password: ${secret:database/placement}
        migrate: [placement-manage db sync]
        run_as: placement
    secrets: {database/placement: "{{ password }}"}
"""

RETURN = r"""
services:
  description:
    - Services with a change; each has C(databases), a mapping of names to created, loaded, migrated or dropped, and
      C(account), whether its account changed.
  type: dict
  returned: success
"""

import datetime
import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils import filesystem
from ansible_collections.cloudos.cloud.plugins.module_utils.mariadb import (
    Server,
    Unreachable,
    identifier,
    password_hash,
    pattern,
    quoted,
)
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import BUNDLE, Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import run

ACCOUNT_HOST = "%"
# What is being done (loading, migrating) or done, to which database or for which service, and by which bundle.
NOTES = "cloudos.schemas"
MAKE_NOTES = f"""CREATE DATABASE IF NOT EXISTS cloudos;
    CREATE TABLE IF NOT EXISTS {NOTES} (name VARCHAR(80) PRIMARY KEY, step VARCHAR(16), bundle VARCHAR(255))"""
INVENTORY = """SELECT 'charset', SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA;
    SELECT 'table', TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES;
    SELECT 'account', User, Host FROM mysql.global_priv"""


class Schemas(Operation):
    lock = "schemas"
    spec = {
        "schemas": {"type": "list", "elements": "dict", "default": []},
        "absent": {"type": "list", "elements": "dict", "default": []},
        "dumps": {"type": "path", "default": "/var/backups/cloudos"},
        "snapshots": {"type": "path", "default": f"{BUNDLE}/share/schemas"},
        "bundle": {"type": "path", "default": BUNDLE},
        "socket": {"type": "path", "default": "/run/mysqld/mysqld.sock"},
        "timeout": {"type": "int", "default": 300},
    }

    @cached_property
    def server(self):
        return Server(self.params["socket"])

    @cached_property
    def heads(self):
        path = Path(self.params["snapshots"], "heads.json")
        heads = json.loads(path.read_text()) if path.exists() else {}
        return {base: {table: sorted(versions) for table, versions in tables.items()} for base, tables in heads.items()}

    @cached_property
    def bundle(self):
        return os.path.basename(os.path.realpath(self.params["bundle"]))

    def wanted(self):
        state = {}
        for schema in self.params["schemas"]:
            if _databases(schema):
                state[_account(schema)] = {"password": schema["password"], "tls": True, "databases": _databases(schema)}
            for base in _databases(schema):
                current = {"versions": self.heads[base]} if base in self.heads else {"by": self.bundle}
                state[f"database {base}"] = {"charset": "utf8mb4", "unfinished": "", **current}
            if not _databases(schema):
                state[f"service {schema['service']}"] = {"unfinished": "", "by": self.bundle}
        return state

    def found(self):
        try:
            charsets, tables, accounts = self._inventory()
        except Unreachable:   # converge() tells it again where it matters
            return {}
        noted = f"SELECT name, step, bundle FROM {NOTES}" if "schemas" in tables.get("cloudos", ()) else ""
        notes = {key: {"unfinished": "" if step == "done" else step, "by": by}
                 for key, step, by in self.server.rows(noted)}
        schemas, state = [*self.params["schemas"], *self.params["absent"]], {}
        versions = self._versions({base: [table for table in self.heads.get(base, ()) if table in tables.get(base, ())]
                                   for schema in schemas for base in _databases(schema) if base in charsets})
        for schema in schemas:
            if _databases(schema) and schema["user"] in accounts:
                state[_account(schema)] = self._rights(schema)
            for base in filter(charsets.get, _databases(schema)):
                note = notes.get(f"database {base}", {"unfinished": "", "by": "unknown"})
                current = {"versions": versions[base]} if base in self.heads else {"by": note["by"]}
                state[f"database {base}"] = {"charset": charsets[base], "unfinished": note["unfinished"], **current}
            if not _databases(schema) and f"service {schema['service']}" in notes:
                state[f"service {schema['service']}"] = notes[f"service {schema['service']}"]
        return state

    def _inventory(self):
        """Charset per database, tables per database, and the accounts that may come from everywhere."""
        charsets, tables, accounts = {}, {}, set()
        for kind, first, second in self.server.rows(INVENTORY):
            if kind == "charset":
                charsets[first] = second
            elif kind == "table":
                tables.setdefault(first, set()).add(second)
            elif second == ACCOUNT_HOST:
                accounts.add(first)
        return charsets, tables, accounts

    def _versions(self, tables):
        """{database: {table: [version]}} of version tables that exist, given as {database: [table]}."""
        found = {base: {table: [] for table in names} for base, names in tables.items()}
        queries = [f"SELECT {quoted(base)}, {quoted(table)}, version_num "
                   f"FROM {identifier(base)}.{identifier(table)} ORDER BY 3"
                   for base, names in tables.items() for table in names]
        for base, table, version in self.server.rows(";".join(queries)):
            found[base][table].append(version)
        return found

    def _rights(self, schema):
        first, *lines = [row[0].replace("\\\\", "\\") for row in self.server.rows(f"SHOW GRANTS FOR {_login(schema)}")]
        password = schema.get("password")
        known = password and f"'{password_hash(self.reveal(password))}'" in first
        databases = {f"GRANT ALL PRIVILEGES ON {pattern(base)}.*": base for base in _databases(schema)}
        return {"password": password if known else "(another value)", "tls": "REQUIRE SSL" in first,
                "databases": sorted(databases.get(line.split(" TO ")[0], line) for line in lines)}

    def converge(self, step):
        self.server.rows(MAKE_NOTES)
        for schema in self.params["absent"]:
            self._drop(schema)
        for schema in self.params["schemas"]:
            if _account(schema) in step.changes:
                self._grant(schema)
        with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
            jobs = [pool.submit(self._bring_up, schema, due) for schema in self.params["schemas"]
                    if (due := [key for key in _keys(schema) if key in step.changes])]
        for job in jobs:
            job.result()

    def _grant(self, schema):
        login, digest = _login(schema), quoted(password_hash(self.reveal(schema["password"])))
        grants = "".join(f"GRANT ALL PRIVILEGES ON {pattern(base)}.* TO {login};" for base in _databases(schema))
        self.server.rows(f"CREATE USER IF NOT EXISTS {login};"
                         f"ALTER USER {login} IDENTIFIED BY PASSWORD {digest} REQUIRE SSL;"
                         f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {login}; {grants}")

    def _drop(self, schema):
        for base in filter(self._inventory()[0].get, _databases(schema)):
            moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
            filesystem.write_directory(self.params["dumps"], mode="0700")
            self.server.dump(base, Path(self.params["dumps"], f"{base}-{moment}.sql.gz"))
        self.server.rows("".join(f"DROP DATABASE IF EXISTS {identifier(base)};" for base in _databases(schema))
                         + f"DROP USER IF EXISTS {_login(schema)};"
                         + f"DELETE FROM {NOTES} WHERE name IN ({', '.join(map(quoted, _keys(schema)))})")

    def _bring_up(self, schema, due):
        """Fill and migrate the databases of one service; due are the keys of what is not up to date."""
        try:
            for key in due:
                if key.startswith("database "):
                    self._fill(key)
            self._note(due, "migrating")
            for command in schema.get("migrate") or []:
                run(shlex.split(command), user=schema.get("run_as"), timeout=self.params["timeout"],
                    secrets=self.secrets.values())
            self._check(_databases(schema))
            self._note(due, "done")
        except Failure as failure:
            failure.facts["service"] = schema["service"]
            failure.facts["next_step"] = failure.facts["next_step"] or "mend what its log tells, then run again"
            raise

    def _fill(self, key):
        """Leave a filled database alone but for its charset; make an empty or half-loaded one from its snapshot."""
        base = key.removeprefix("database ")
        filled, loading = self.server.rows(
            f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {quoted(base)};"
            f"SELECT COUNT(*) FROM {NOTES} WHERE name = {quoted(key)} AND step = 'loading'")
        if filled != ["0"] and loading == ["0"]:
            self.server.rows(f"ALTER DATABASE {identifier(base)} CHARACTER SET utf8mb4")
            return
        self._note([key], "loading")
        self.server.rows(f"DROP DATABASE IF EXISTS {identifier(base)};"
                         f"CREATE DATABASE {identifier(base)} CHARACTER SET utf8mb4")
        if self._snapshot(base).exists():
            self.server.load(base, self._snapshot(base).read_bytes())

    def _snapshot(self, base):
        return Path(self.params["snapshots"], f"{base}.sql")

    def _check(self, databases):
        known = {base: self.heads[base] for base in databases if base in self.heads}
        for base, versions in self._versions(known).items():
            if versions != known[base]:
                raise Failure(f"database {base} is at {versions} after its migrations, not at {known[base]}",
                              next_step="look whether the current bundle is the one that the inventory asks for")

    def _note(self, keys, step):
        rows = ", ".join(f"({quoted(key)}, {quoted(step)}, {quoted(self.bundle)})" for key in keys)
        self.server.rows(f"REPLACE INTO {NOTES} VALUES {rows}")

    def rendered(self, state):
        return {key: json.dumps(value, indent=1) + "\n" for key, value in state.items()}

    def result(self, step):
        services = {}
        for schema in [*self.params["schemas"], *self.params["absent"]]:
            changed = {key.split()[1]: self._action(step, key) for key in _keys(schema) if key in step.changes}
            if changed or _account(schema) in step.changes:
                services[schema["service"]] = {"databases": changed, "account": _account(schema) in step.changes}
        return {"services": services}

    def _action(self, step, key):
        if key not in step.after:
            return "dropped"
        if key.startswith("service ") or (key in step.before and step.before[key]["unfinished"] != "loading"):
            return "migrated"
        return "loaded" if self._snapshot(key.removeprefix("database ")).exists() else "created"


def _databases(schema):
    return sorted(schema.get("databases") or [])


def _keys(schema):
    """What is brought up to date: the databases, or the service itself where it has none."""
    return [f"database {base}" for base in _databases(schema)] or [f"service {schema['service']}"]


def _account(schema):
    return f"account {schema['user']}"


def _login(schema):
    return f"{quoted(schema['user'])}@{quoted(ACCOUNT_HOST)}"


main = Schemas.main

if __name__ == "__main__":
    main()
