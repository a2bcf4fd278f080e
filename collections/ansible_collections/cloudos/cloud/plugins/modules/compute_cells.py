#!/usr/bin/python
"""Module compute_cells: Nova's cell 0 and its first cell, and the compute hosts that belong to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compute_cells
short_description: Map Nova's cells and compute hosts
description:
  - Keeps cell 0 and one more cell in Nova's API database, and, with O(discover), the mapping of all compute hosts
    that have registered.
  - Cells are mapped by templates that Nova fills from its configuration, so that neither a password nor an address is
    stored.
  - Looks with one query for each through the database's local socket; changes only through C(nova-manage).
options:
  run_as: {description: User that runs C(nova-manage)., type: str, default: nova}
  cell: {description: Name of the cell., type: str, default: cell1}
  api_database: {description: Database of Nova's API., type: str, default: nova_api}
  database: {description: Database of the cell., type: str, default: nova}
  cell0_database: {description: Database of cell 0., type: str, default: nova_cell0}
  discover: {description: Whether compute hosts are mapped., type: bool, default: false}
  hosts:
    description: Compute hosts to wait for before mapping, as Nova names them.
    type: list
    elements: str
    default: []
  timeout: {description: Seconds to wait for O(hosts)., type: int, default: 120}
  socket: {description: Local socket of the database., type: path, default: /run/mysqld/mysqld.sock}
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Map the cells
  cloudos.cloud.compute_cells:
- name: Map the hosts
  cloudos.cloud.compute_cells: {discover: true, hosts: [cmp1, cmp2]}
"""

RETURN = r"""
hosts: {description: Mapped compute hosts., type: list, elements: str, returned: when O(discover)}
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cloudos.cloud.plugins.module_utils.mariadb import Server, Unreachable
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import journal, run

CELL0 = "00000000-0000-0000-0000-000000000000"
LOGIN = "{scheme}://{username}:{password}@{hostname}:{port}/"
ABSENT = ("ERROR 1049", "ERROR 1146")  # no such database, no such table


class ComputeCells(Operation):
    spec = {
        "run_as": {"type": "str", "default": "nova"},
        "cell": {"type": "str", "default": "cell1"},
        "api_database": {"type": "str", "default": "nova_api"},
        "database": {"type": "str", "default": "nova"},
        "cell0_database": {"type": "str", "default": "nova_cell0"},
        "discover": {"type": "bool", "default": False},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 120},
        "socket": {"type": "path", "default": "/run/mysqld/mysqld.sock"},
    }

    def found(self):
        """{"cell <name>": its URLs, "host <name>": "mapped" or "registered"}; empty where there is no database yet."""
        self.uuids = {}
        rows = self.query(
            f"SELECT uuid, name, transport_url, database_connection FROM {self.name('api_database')}.cell_mappings"
        )
        if rows is None:
            return {}
        state = {}
        for uuid, name, transport, database in rows:
            if uuid == CELL0 or name == self.params["cell"]:
                key = "cell cell0" if uuid == CELL0 else f"cell {name}"
                self.uuids[key] = uuid
                state[key] = {"transport_url": _shown(transport), "database_connection": _shown(database)}
        if self.params["discover"]:
            state |= {f"host {host}": what for host, what in sorted(self.registered().items())}
        return state

    def wanted(self):
        state = {
            "cell cell0": {"transport_url": "none:///", "database_connection": self.template("cell0_database")},
            f"cell {self.params['cell']}": {
                "transport_url": LOGIN + "{path}?{query}",
                "database_connection": self.template("database"),
            },
        }
        if self.params["discover"]:
            hosts = sorted({*self.hosts, *self.params["hosts"]})
            state |= {f"host {host}": "mapped" for host in hosts}
        return state

    def template(self, database):
        """URL of the same server as [database]/connection names, with that database."""
        return f"{LOGIN}{self.name(database)}?{{query}}"

    hosts = ()

    def registered(self):
        """{host: "mapped" or "registered"} once all expected hosts are there; Failure after the timeout."""
        deadline = time.monotonic() + self.params["timeout"]
        sql = (
            f"SELECT DISTINCT n.host, m.host IS NOT NULL FROM {self.name('database')}.compute_nodes n LEFT JOIN "
            f"{self.name('api_database')}.host_mappings m ON m.host = n.host WHERE n.deleted = 0"
        )
        while True:
            rows = self.query(sql) or ()
            self.hosts = [host for host, _mapped in rows]
            missing = sorted(set(self.params["hosts"]) - set(self.hosts))
            if not missing or self.rehearsal:
                return {host: "mapped" if mapped == "1" else "registered" for host, mapped in rows}
            if time.monotonic() > deadline:
                raise Failure(
                    f"compute host {', '.join(missing)} has not registered within {self.params['timeout']} s",
                    service="nova",
                    unit="nova-compute.service",
                    log=[self.mask(line) for line in journal("nova-compute.service")],
                    next_step=f"on {missing[0]}, read journalctl -u nova-compute; then run the playbook again",
                )
            time.sleep(0.5)

    def converge(self, step):
        cells = [key for key in step.changes if key.startswith("cell ")]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda key: self.map_cell(key, step.after[key]), cells))
        if any(key.startswith("host ") for key in step.changes):
            self.manage("discover_hosts")
            unmapped = sorted(host for host, what in self.registered().items() if what != "mapped")
            if unmapped:
                raise Failure(
                    f"nova-manage cell_v2 discover_hosts left out {', '.join(unmapped)}",
                    service="nova",
                    next_step="run it with --verbose as the nova user to see why",
                )

    def map_cell(self, key, after):
        urls = ["--database_connection", after["database_connection"]]
        if key in self.uuids:
            self.manage("update_cell", "--cell_uuid", self.uuids[key], "--transport-url", after["transport_url"], *urls)
        elif key == "cell cell0":
            self.manage("map_cell0", *urls)
        else:
            self.manage("create_cell", "--name", self.params["cell"], "--transport-url", after["transport_url"], *urls)

    def manage(self, *words):
        run(
            ["nova-manage", "cell_v2", *words],
            user=self.params["run_as"],
            service="nova",
            secrets=self.secrets.values(),
        )

    def name(self, parameter):
        """A database's name, which goes into SQL as it is."""
        if not re.fullmatch(r"\w+", self.params[parameter]):
            raise Failure(f"{parameter} is {self.params[parameter]!r}, which is no name of a database")
        return self.params[parameter]

    def query(self, sql):
        """Rows (lists of str), or None where server, database or table are not there yet."""
        try:
            return Server(self.params["socket"]).rows(sql)
        except Unreachable:
            return None
        except Failure as failure:
            if any(error in failure.facts["cause"] for error in ABSENT):
                return None
            raise

    def result(self, step):
        return (
            {"hosts": sorted(key.split(" ", 1)[1] for key in step.after if key.startswith("host "))}
            if self.params["discover"]
            else {}
        )


def _shown(url):
    """The URL without a password: one that was mapped by hand may hold it, a template does not."""
    return re.sub(r":([^:@/{}]+)@", ":(a password)@", url)


def main():
    ComputeCells.main()


if __name__ == "__main__":
    main()
