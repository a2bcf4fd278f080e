"""Dump databases of a private MariaDB: structure and the rows that migrations insert, always in the same order.

Usage: snapshot.py SOCKET DIRECTORY DATABASE...; writes DIRECTORY/<database>.sql and DIRECTORY/heads.json.
"""

import json
import re
import sys
from pathlib import Path

import pymysql

HEADER = "SET NAMES utf8mb4;\nSET FOREIGN_KEY_CHECKS=0;\nSET UNIQUE_CHECKS=0;\nSET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';\n"


def dump(connection, database):
    """Return (SQL text, {version table: versions}) of a database. Exits where it holds what a dump would lose."""
    cursor = connection.cursor()
    for kind, column in (("TRIGGERS", "TRIGGER_SCHEMA"), ("ROUTINES", "ROUTINE_SCHEMA"), ("VIEWS", "TABLE_SCHEMA")):
        if rows(cursor, f"SELECT 1 FROM information_schema.{kind} WHERE {column}=%s", database):
            sys.exit(f"database {database} has {kind.lower()}, which a snapshot does not carry")
    tables = [
        row[0]
        for row in rows(cursor, "SELECT table_name FROM information_schema.tables WHERE table_schema=%s", database)
    ]
    if not tables:
        sys.exit(f"database {database} is empty after its migrations")
    statements, heads = [], {}
    connection.select_db(database)
    for table in sorted(tables):
        statements.append(steady(rows(cursor, f"SHOW CREATE TABLE `{table}`")[0][1]))
        content = sorted(rows(cursor, f"SELECT * FROM `{table}`"), key=repr)
        if [column[0] for column in cursor.description] == ["version_num"] and content:
            heads[table] = [row[0] for row in content]
        if content:
            values = ",\n".join("(%s)" % ",".join(literal(connection, value) for value in row) for row in content)
            statements.append(f"INSERT INTO `{table}` VALUES\n{values}")
    return HEADER + "".join(statement + ";\n" for statement in statements) + "SET FOREIGN_KEY_CHECKS=1;\n", heads


def steady(create):
    """A CREATE TABLE without its counter, and with its keys sorted: migrations make them in an order that varies."""
    first, *lines, last = create.splitlines()
    lines = [line.rstrip(",") for line in lines]
    columns = [line for line in lines if line.startswith("  `")]
    keys = sorted(line for line in lines if not line.startswith("  `"))
    return "\n".join([first, ",\n".join(columns + keys), re.sub(r" AUTO_INCREMENT=\d+", "", last)])


def rows(cursor, query, *arguments):
    """All rows of a query."""
    cursor.execute(query, arguments or None)
    return cursor.fetchall()


def literal(connection, value):
    """A value as SQL; bytes in hexadecimal, so that the file stays text."""
    return f"X'{value.hex()}'" if isinstance(value, bytes) else connection.literal(value)


if __name__ == "__main__":
    socket, directory, *databases = sys.argv[1:]
    connection = pymysql.connect(unix_socket=socket, user="root", charset="utf8mb4")
    heads = {}
    for database in databases:
        text, heads[database] = dump(connection, database)
        Path(directory, f"{database}.sql").write_text(text)
    Path(directory, "heads.json").write_text(json.dumps(heads, indent=1, sort_keys=True))
