"""The database: engine and sessions after oslo.db's options, types, and migrations without an env.py for each folder."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from oslo_config import cfg
from oslo_db import api as db_api
from oslo_db.exception import DBDuplicateEntry
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

# Eden's own tables (jobs, audit, quotas) are in every service's database, with a version of their own.
OWN_MIGRATIONS = "cloudos.eden:migrations"
T = TypeVar("T")


class Base(DeclarativeBase):
    """Parent of all models."""


class Moment(sa.types.TypeDecorator):
    """A point in time, with microseconds and in UTC, on every database."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine:
        """MySQL cuts fractions off unless told otherwise."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else sa.DateTime())

    def process_bind_param(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """Databases know no zones."""
        return value.astimezone(datetime.UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """What comes out is UTC."""
        return value.replace(tzinfo=datetime.UTC) if value else None


# Up to 4 GB on MySQL, where a plain BLOB ends at 64 KB.
Blob = sa.LargeBinary(2**32 - 1)
LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")
# Names that differ in case only are two names, on MySQL as well.
Exact = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")
Id = sa.String(36)


def now() -> datetime.datetime:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def shown(moment: datetime.datetime | None) -> str | None:
    """A point in time as JSON has it: 2026-07-04T09:30:12.123456Z."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


class Database:
    """The database that [database] connection names. Make it after a fork, not before."""

    def __init__(self, conf: cfg.ConfigOpts):
        facade = enginefacade.transaction_context()
        known = {name: conf.database[name] for name in FACADE_OPTIONS if name in conf.database}
        facade.configure(**known, sqlite_fk=True)
        self.engine = facade.writer.get_engine()
        writing = self.engine
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)
        else:
            # Who waited for another transaction must see what that one has written, and not what was there when it began to read itself.
            writing = self.engine.execution_options(isolation_level="READ COMMITTED")
        self._sessions = sessionmaker(writing, expire_on_commit=False)
        self._readings = sessionmaker(self.engine.execution_options(reading=True), expire_on_commit=False)

    @contextlib.contextmanager
    def session(self, reading: bool = False) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back on an exception. reading: it writes nothing."""
        with (self._readings if reading else self._sessions).begin() as session:
            yield session

    def transact(self, work: Callable[[Session], T], reading: bool = False) -> T:
        """Do `work` in one transaction, again where another one was quicker: now it sees what that one has written."""

        @db_api.wrap_db_retry(max_retries=10, retry_interval=0.05, inc_retry_interval=True, max_retry_interval=2,
                              retry_on_deadlock=True, retry_on_disconnect=True, exception_checker=_lost)  # fmt: skip
        def once() -> T:
            with self.session(reading) as session:
                return work(session)

        return once()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


FACADE_OPTIONS = ("connection", "connection_recycle_time", "max_pool_size", "max_overflow", "pool_timeout", "max_retries",
                  "retry_interval", "mysql_sql_mode", "mysql_wsrep_sync_wait", "connection_parameters")  # fmt: skip


def _lost(error: Exception) -> bool:
    """A race with another transaction: it took the name, or changed the row, after this one had looked; or SQLite's lock was waited
    for in vain, which is the same as a deadlock elsewhere."""
    return isinstance(error, DBDuplicateEntry | StaleDataError) or "database is locked" in str(error)


WRITES = "writes"


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Readers beside a writer; writers one after the other instead of failing when they meet."""

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=30000")

    # oslo.db's own listener comes first, whatever is asked for, and begins a transaction that cannot wait for its lock later. It leaves
    # those alone that are marked.
    @event.listens_for(engine, "engine_connect")
    def taken(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("reading"):
            connection.info.pop("in_transaction", None)
        else:
            connection.info["in_transaction"] = WRITES

    @event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        if connection.info.get("in_transaction") is WRITES:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.info["in_transaction"] = True


def _script(folder: str) -> tuple[ScriptDirectory, Config]:
    package, _, directory = folder.partition(":")
    config = Config()
    config.set_main_option("script_location", str(resources.files(package) / directory))
    # One folder of revisions, without the extra level `versions`.
    config.set_main_option("version_locations", str(resources.files(package) / directory))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config), config


def version_table(folder: str) -> str:
    """The table with the version of a folder of migrations: alembic_version_eden, alembic_version_focus."""
    return f"alembic_version_{folder.partition(':')[0].rpartition('.')[2]}"


def sync(engine: sa.Engine, folders: list[str]) -> dict[str, str | None]:
    """Bring the database to the newest revision of each folder; returns folder -> revision. Doing it again changes nothing."""
    for folder in folders:
        script, config = _script(folder)

        def upgrade(revision: Any, _context: Any, script: ScriptDirectory = script) -> Any:
            return script._upgrade_revs("head", revision)

        with engine.connect() as connection, EnvironmentContext(config, script, fn=upgrade) as environment:
            environment.configure(connection=connection, version_table=version_table(folder), target_metadata=Base.metadata,
                                  render_as_batch=True)  # fmt: skip
            with environment.begin_transaction():
                environment.run_migrations()
            connection.commit()
    return {folder: _script(folder)[0].get_current_head() for folder in folders}


def current(engine: sa.Engine, folders: list[str]) -> bool:
    """Whether the database is at the newest revision of each folder."""
    engine = engine.execution_options(reading=True)
    names = sa.inspect(engine).get_table_names()
    for folder in folders:
        table = version_table(folder)
        if table not in names:
            return False
        with engine.connect() as connection:
            found = connection.execute(sa.text(f"SELECT version_num FROM {table}")).scalar()
        if found != _script(folder)[0].get_current_head():
            return False
    return True
