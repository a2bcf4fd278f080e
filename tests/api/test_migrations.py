"""The migrations make what the models say."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cloudos.eden import config
from cloudos.eden.db import Base
from cloudos.eden.runtime import Runtime
from cloudos.focus import searching
from cloudos.focus.models import Revision
from cloudos.focus.service import SERVICE as FOCUS
from tests.api import kit


@pytest.fixture
def runtime(served):
    return served.app.runtime


def test_migrations_and_models_agree(runtime):
    known = set(sa.inspect(runtime.db.engine).get_table_names())

    def ours(thing, name, kind, reflected, other):
        return kind != "table" or (name in known and not name.startswith("alembic_version"))

    with runtime.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


@pytest.fixture
def focus(tmp_path, monkeypatch):
    for served in kit.serve(FOCUS, "cloudos.focus.service", tmp_path, monkeypatch):
        yield served.app.runtime


def test_those_of_focus_and_its_models_agree(focus):
    def ours(thing, name, kind, reflected, other):
        # The index of words and what SQLite keeps for it are not in the models; MariaDB calls a large binary by another name.
        return not (name or "").startswith("revision_words_index") and name != "data" and (kind != "table" or name in known)

    known = {"content", "document", "revision", "revision_words", "tag", "link", "type_name", "used"}
    with focus.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_what_was_stored_before_is_found_by_words(tmp_path, monkeypatch):
    real = ScriptDirectory._upgrade_revs
    with monkeypatch.context() as older:
        older.setattr(ScriptDirectory, "_upgrade_revs", lambda self, to, now: real(self, "focus_0001" if "focus" in self.dir else to, now))
        data = {"connection": kit._database() if kit.SERVER else f"sqlite:///{tmp_path}/old.db"}
        runtime = Runtime(FOCUS, config.load(FOCUS, [str(kit.write_conf(tmp_path, database=data))]))
        runtime.db_sync()
    ids = {"sha": "0" * 64, "id": "d", "time": "2026-01-01 00:00:00", "data": b"x", "json": "{}"}
    owner, times = "scope, user_id, project_id", "created_at, updated_at"
    with runtime.db.session() as session:
        for table, columns, values in (
            ("content", "sha256, data, text", ":sha, :data, 'type: my.nodes.Web'"),
            ("document", f"id, name, space, live, type, description, properties, latest, edition, {times}, {owner}",
             ":id, 'shop', 's', 1, 't', 'Sells', :json, 1, 1, :time, :time, 'public-cloud', 'u', 'p'"),
            ("revision", "id, document_id, version, sha256, size, format, content_type, comment, user_id, created_at, state, reason, "
             "valid, report",
             ":id, :id, 1, :sha, 1, 'tosca', 'x/y', '', 'u', :time, 'draft', '', 1, :json"),
        ):  # fmt: skip
            session.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), ids)
    assert not runtime.db_current()
    runtime.db_sync()
    assert runtime.db_current() and "text" not in {one["name"] for one in sa.inspect(runtime.db.engine).get_columns("content")}
    with runtime.db.session(reading=True) as session:
        for query, found in {"nodes.web sel": ["d"], "sho": ["d"], "buys": []}.items():
            assert list(session.scalars(sa.select(Revision.id).where(searching.having(session, query)))) == found, query
    runtime.close()


def test_syncing_again_changes_nothing(runtime):
    assert runtime.db_current()
    assert set(runtime.db_sync().values()) == {"eden_0002", "toy_0001"}
    with runtime.db.session() as session:
        session.execute(sa.text("UPDATE alembic_version_api SET version_num = 'older'"))
    assert not runtime.db_current()
