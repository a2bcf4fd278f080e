"""Module compute_cells against a real MariaDB with Nova's tables, and a nova-manage that writes as Nova's does."""

import os
import subprocess
import time

import pytest
from kit import Story, run_module, twelve_cases

TABLES = """
DROP DATABASE IF EXISTS nova_api; CREATE DATABASE nova_api; DROP DATABASE IF EXISTS nova; CREATE DATABASE nova;
CREATE TABLE nova_api.cell_mappings (uuid VARCHAR(36) UNIQUE, name VARCHAR(255), transport_url TEXT,
database_connection TEXT);
CREATE TABLE nova_api.host_mappings (host VARCHAR(255));
CREATE TABLE nova.compute_nodes (host VARCHAR(255), deleted INT DEFAULT 0);
"""
MANAGE = r"""#!/bin/sh
# The arguments, in pairs after the command, become SQL; $sql is the client.
shift; command=$1; shift
for word; do case $word in --*) key=$(echo "${word#--}" | tr - _);; *) eval "$key=\$word";; esac; done
case $command in
map_cell0) echo "INSERT INTO cell_mappings VALUES ('00000000-0000-0000-0000-000000000000','cell0','none:///',
'$database_connection')";;
create_cell) echo "INSERT INTO cell_mappings VALUES (UUID(),'$name','$transport_url','$database_connection')";;
update_cell) echo "UPDATE cell_mappings SET transport_url='$transport_url', database_connection='$database_connection'
WHERE uuid='$cell_uuid'";;
discover_hosts) echo "INSERT INTO host_mappings SELECT host FROM nova.compute_nodes WHERE host NOT IN (SELECT host
FROM host_mappings)";;
esac | mariadb --no-defaults -u root -S SOCKET nova_api
"""


@pytest.fixture
def nova(mariadb, tmp_path, monkeypatch):
    """A function that runs SQL in a database with Nova's empty tables."""
    (tmp_path / "nova-manage").write_text(MANAGE.replace("SOCKET", str(mariadb)))
    (tmp_path / "nova-manage").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def sql(statement):
        client = ["mariadb", "--no-defaults", "-u", "root", "-S", str(mariadb), "-BN"]
        return subprocess.run(client, input=statement, text=True, capture_output=True, check=True).stdout.splitlines()

    sql(TABLES)
    yield sql
    sql("DROP DATABASE nova_api; DROP DATABASE nova")


def arguments(mariadb, **changes):
    return {"socket": str(mariadb), "run_as": "root", "timeout": 1, **changes}


def rows(sql):
    return sorted(
        sql(
            "SELECT name, transport_url, database_connection FROM nova_api.cell_mappings;"
            "SELECT host FROM nova_api.host_mappings"
        )
    )


def test_twelve_cases_without_removal(nova, mariadb):
    """A cell and its hosts are never unmapped by a declaration: that would lose servers."""
    nova("INSERT INTO nova.compute_nodes (host) VALUES ('cmp1')")
    change = arguments(mariadb, discover=True)
    twelve_cases(
        Story("compute_cells", create=arguments(mariadb), change=change, remove=None, state=lambda: rows(nova))
    )


def test_no_password_is_stored(nova, mariadb):
    run_module("compute_cells", **arguments(mariadb))
    cells = [line.split("\t") for line in rows(nova)]
    assert [cell[0] for cell in cells] == ["cell0", "cell1"]
    assert all("{password}@{hostname}" in cell[2] for cell in cells)


def test_a_cell_that_was_mapped_with_its_password_gets_the_template_and_shows_nothing(nova, mariadb):
    run_module("compute_cells", **arguments(mariadb))
    nova(
        "UPDATE nova_api.cell_mappings SET database_connection='mysql+pymysql://nova:geheim@10.0.0.1:3306/nova' "
        "WHERE name='cell1'"
    )
    told = run_module("compute_cells", **arguments(mariadb))
    assert told["changed"]
    assert "geheim" not in str(told)
    assert not [line for line in rows(nova) if "geheim" in line]


def test_expected_hosts_are_waited_for(nova, mariadb):
    run_module("compute_cells", **arguments(mariadb))
    start = time.monotonic()
    told = run_module("compute_cells", **arguments(mariadb, discover=True, hosts=["cmp1", "cmp2"]))
    assert "compute host cmp1, cmp2 has not registered within 1 s" in told["msg"]
    assert time.monotonic() - start >= 1
    nova("INSERT INTO nova.compute_nodes (host) VALUES ('cmp1'), ('cmp2')")
    assert run_module("compute_cells", **arguments(mariadb, discover=True, hosts=["cmp1"]))["hosts"] == ["cmp1", "cmp2"]


def test_a_blank_node_is_told_what_would_come(tmp_path):
    told = run_module("compute_cells", check=True, **arguments(tmp_path / "none", discover=True, hosts=["cmp1"]))
    assert {entry["after_header"] for entry in told["diff"]} == {"cell cell0", "cell cell1", "host cmp1"}


def test_an_odd_database_name_is_refused(mariadb):
    assert "no name of a database" in run_module("compute_cells", **arguments(mariadb, database="nova; DROP"))["msg"]
