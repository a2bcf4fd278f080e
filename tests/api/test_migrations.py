"""The migrations make what the models say."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cloudos.eden.db import Base


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


def test_syncing_again_changes_nothing(runtime):
    assert runtime.db_current()
    assert set(runtime.db_sync().values()) == {"eden_0001", "toy_0001"}
    with runtime.db.session() as session:
        session.execute(sa.text("UPDATE alembic_version_api SET version_num = 'older'"))
    assert not runtime.db_current()
