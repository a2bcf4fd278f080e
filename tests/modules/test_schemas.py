"""Module schemas against a real, private MariaDB."""

import gzip
import json
import subprocess

import kit
import pytest

SECRETS = {"database/toy": "correct'horse\\battery"}
SNAPSHOT = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b2');
CREATE TABLE things (id INT PRIMARY KEY);
"""


@pytest.fixture
def place(tmp_path, mariadb):
    """Arguments of a call; snapshots, a bundle, a migration command that counts its runs, and a clean server."""
    (tmp_path / "1.0-1").mkdir()
    (tmp_path / "current").symlink_to("1.0-1")
    (tmp_path / "heads.json").write_text(json.dumps({"toy_api": {"alembic_version": ["b2"]}}))
    (tmp_path / "toy_api.sql").write_text(SNAPSHOT)
    command = tmp_path / "toy-manage"
    command.write_text(f"#!/bin/sh\necho \"$(id -un) $*\" >> {tmp_path}/runs\n")
    command.chmod(0o755)
    (tmp_path / "runs").write_text("")
    (tmp_path / "runs").chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents[:3]):  # pytest's own, one more where it runs in several processes
        if folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(0o755)
    yield {"snapshots": str(tmp_path), "bundle": f"{tmp_path}/current", "socket": str(mariadb), "secrets": SECRETS,
           "dumps": f"{tmp_path}/dumps"}
    sql(mariadb, "DROP DATABASE IF EXISTS toy_api; DROP DATABASE IF EXISTS toy; DROP DATABASE IF EXISTS cloudos; "
                 "DROP USER IF EXISTS toy@'%'")


def sql(socket, statement):
    argv = ["mariadb", "--no-defaults", "-u", "root", "-S", str(socket), "-BN"]
    return subprocess.run(argv, input=statement, text=True, capture_output=True, check=True).stdout.splitlines()


def toy(place, *databases, **more):
    return {"service": "toy", "databases": list(databases), "user": "toy", "password": "${secret:database/toy}",
            "migrate": [f"{place['snapshots']}/toy-manage db sync"], "run_as": "nobody", "host": "192.0.2.1", **more}


def runs(place):
    with open(f"{place['snapshots']}/runs") as lines:
        return lines.read().splitlines()


def test_twelve_cases(place):
    def state():
        tables = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE 'toy%'"
        return sql(place["socket"], f"{tables}; SHOW DATABASES; SELECT User, Priv FROM mysql.global_priv"), runs(place)

    kit.twelve_cases(kit.Story("schemas", state=state, create={**place, "schemas": [toy(place, "toy_api")]},
                               change={**place, "schemas": [toy(place, "toy_api", "toy")]},
                               remove={**place, "absent": [toy(place, "toy_api", "toy")]}))


def test_a_dropped_database_stays_as_a_dump(place, tmp_path):
    kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    sql(place["socket"], "INSERT INTO toy_api.things VALUES (42)")
    result = kit.run_module("schemas", **place, absent=[toy(place, "toy_api")])
    assert result["services"]["toy"]["databases"] == {"toy_api": "dropped"}
    (dump,) = (tmp_path / "dumps").iterdir()
    assert dump.name.startswith("toy_api-") and dump.stat().st_mode & 0o777 == 0o600
    assert "(42)" in gzip.decompress(dump.read_bytes()).decode()
    assert not kit.run_module("schemas", **place, absent=[toy(place, "toy_api")])["changed"]
    assert len([*(tmp_path / "dumps").iterdir()]) == 1


def test_snapshot_is_loaded_and_proved(place):
    result = kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    assert result["services"] == {"toy": {"databases": {"toy_api": "loaded"}, "account": True}}
    assert sql(place["socket"], "SHOW TABLES IN toy_api") == ["alembic_version", "things"]
    assert runs(place) == ["nobody db sync"]
    grants = sql(place["socket"], "SHOW GRANTS FOR toy@'%'")
    assert "REQUIRE SSL" in grants[0] and len(grants) == 2 and "ALL PRIVILEGES ON `toy\\\\_api`.*" in grants[1]


def test_password_is_the_accounts(place):
    kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    sql(place["socket"], "ALTER USER toy@'%' REQUIRE NONE")
    password = SECRETS["database/toy"]
    argv = ["mariadb", "--no-defaults", "-u", "toy", f"-p{password}", "-S", place["socket"], "-BNe", "SHOW DATABASES"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert shown == ["information_schema", "toy_api"]
    again = kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    assert again["services"] == {"toy": {"databases": {}, "account": True}}   # TLS is asked for again


def test_rotated_password_shows_no_value(place):
    kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    rotated = {**place, "secrets": {"database/toy": "fresh-one"}}
    result = kit.run_module("schemas", **rotated, schemas=[toy(place, "toy_api")])
    assert result["services"] == {"toy": {"databases": {}, "account": True}}
    assert "fresh-one" not in json.dumps(result) and "(another value)" in result["diff"][0]["before"]
    assert runs(place) == ["nobody db sync"]


def test_half_loaded_snapshot_is_loaded_again(place):
    kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    sql(place["socket"], "DROP TABLE toy_api.things; UPDATE cloudos.schemas SET step = 'loading'")
    result = kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    assert result["services"]["toy"]["databases"] == {"toy_api": "loaded"}
    assert "things" in sql(place["socket"], "SHOW TABLES IN toy_api")


def test_unfinished_migration_is_run_again(place):
    kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    sql(place["socket"], "INSERT INTO toy_api.things VALUES (7); UPDATE cloudos.schemas SET step = 'migrating'")
    assert kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])["changed"]
    assert len(runs(place)) == 2 and sql(place["socket"], "SELECT * FROM toy_api.things") == ["7"]


def test_older_schema_is_migrated_not_loaded(place):
    sql(place["socket"], "CREATE DATABASE toy_api CHARACTER SET latin1; USE toy_api; "
                         "CREATE TABLE alembic_version (version_num VARCHAR(32)); "
                         "INSERT INTO alembic_version VALUES ('a1')")
    refused = kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    assert refused["failed"] and "a1" in refused["msg"] and refused["failure"]["service"] == "toy"
    update = "UPDATE toy_api.alembic_version SET version_num = 'b2'"
    migrate = f'mariadb --no-defaults -u root -S {place["socket"]} -e "{update}"'
    result = kit.run_module("schemas", **place, schemas=[toy(place, "toy_api", migrate=[migrate], run_as="root")])
    assert result["services"]["toy"]["databases"] == {"toy_api": "migrated"}
    assert sql(place["socket"], "SHOW TABLES IN toy_api") == ["alembic_version"]


def test_without_snapshot_migrations_run_once_per_bundle(place, tmp_path):
    for databases in (["toy"], []):
        (tmp_path / "runs").write_text("")
        call = {**place, "schemas": [toy(place, *databases)]}
        assert [kit.run_module("schemas", **call)["changed"] for _turn in range(2)] == [True, False]
        (tmp_path / "1.0-2").mkdir(exist_ok=True)
        other = {**call, "bundle": f"{tmp_path}/1.0-2"}
        assert [kit.run_module("schemas", **other)["changed"] for _turn in range(2)] == [True, False]
        assert len(runs(place)) == 2


def test_failed_migration_tells_its_last_lines(place, tmp_path):
    (tmp_path / "words").write_text(f"no such column {SECRETS['database/toy']}\n")
    (tmp_path / "toy-manage").write_text(f"#!/bin/sh\ncat {tmp_path}/words; exit 3\n")
    result = kit.run_module("schemas", **place, schemas=[toy(place, "toy_api")])
    assert result["failed"] and result["failure"]["service"] == "toy" and "no such column" in result["msg"]
    assert "horse" not in json.dumps(result)
    assert result["failure"]["next_step"]


def test_no_server(place):
    call = {**place, "socket": "/nonexistent/socket", "schemas": [toy(place, "toy_api")]}
    assert kit.run_module("schemas", check=True, **call)["services"]["toy"]["databases"] == {"toy_api": "loaded"}
    failed = kit.run_module("schemas", **call)
    assert failed["failed"] and failed["failure"]["service"] == "mariadb" and failed["failure"]["next_step"]
