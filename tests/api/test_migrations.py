"""The migrations make what the models say."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography.fernet import Fernet

from cloudos.eden import config
from cloudos.eden.db import Base
from cloudos.eden.policy import space_of
from cloudos.eden.runtime import Runtime
from cloudos.focus import searching
from cloudos.focus.models import Revision
from cloudos.focus.service import SERVICE as FOCUS
from cloudos.graffiti.models import StoredNamespace, StoredType
from cloudos.graffiti.service import SERVICE as GRAFFITI
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


def only_to(monkeypatch, revision):
    """Migrate the revision's folder no further."""
    real, service = ScriptDirectory._upgrade_revs, revision.partition("_")[0]
    monkeypatch.setattr(ScriptDirectory, "_upgrade_revs", lambda self, to, now: real(self, revision if service in self.dir else to, now))


def test_what_was_stored_before_is_found_by_words(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        only_to(older, "focus_0001")
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


SPACES = {"private-project": "user ann in p1", "private-cloud": "user ann", "public-project": "project p1", "public-cloud": "cloud"}


def test_names_of_namespaces_become_those_of_their_users(tmp_path, monkeypatch):
    data = {"connection": kit._database() if kit.SERVER else f"sqlite:///{tmp_path}/old.db"}
    keys = tmp_path / "keys"
    keys.write_bytes(Fernet.generate_key())
    conf = config.load(GRAFFITI, [str(kit.write_conf(tmp_path, database=data, vault={"key_file": keys}))])
    runtime = Runtime(GRAFFITI, conf)
    with monkeypatch.context() as older:
        only_to(older, "graffiti_0001")
        runtime.db_sync()
    before = {"private-project": "p1", "private-cloud": "ann", "public-project": "p1", "public-cloud": ""}
    with runtime.db.session() as session:
        for number, (scope, owner) in enumerate(before.items()):
            session.execute(sa.text(
                "INSERT INTO namespace (id, name, owner, source, associations, extra, digest, created_at, updated_at, scope, user_id, "
                "project_id) VALUES (:id, :id, :owner, '', '[]', '{}', '', '2026-01-01', '2026-01-01', :scope, 'ann', 'p1')"),
                {"id": f"n{number}", "owner": owner, "scope": scope})  # fmt: skip
            session.execute(sa.text(
                "INSERT INTO type (id, namespace_id, kind, name, body, digest, updated_at) "
                "VALUES (:id, :id, 'capability', 'Till', '{}', '', '2026-01-01')"), {"id": f"n{number}"})  # fmt: skip
    runtime.db_sync()
    with runtime.db.session(reading=True) as session:
        assert dict(session.execute(sa.select(StoredNamespace.scope, StoredNamespace.space)).all()) == SPACES
        assert session.scalar(sa.select(sa.func.count()).select_from(StoredType)) == 4
        assert all(space_of(scope, "ann", "p1") == space for scope, space in SPACES.items())
    runtime.close()


def test_syncing_again_changes_nothing(runtime):
    assert runtime.db_current()
    assert set(runtime.db_sync().values()) == {"eden_0002", "toy_0001"}
    with runtime.db.session() as session:
        session.execute(sa.text("UPDATE alembic_version_api SET version_num = 'older'"))
    assert not runtime.db_current()
