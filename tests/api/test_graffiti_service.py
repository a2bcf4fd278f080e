"""Graffiti as a whole: its description, roles, migrations, options, and no request that makes it fail."""

import itertools
import re

import jsonschema
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cloudos.eden import config
from cloudos.eden.db import Base
from cloudos.eden.service import ROLES
from cloudos.graffiti import models
from cloudos.graffiti.service import SERVICE, list_opts, list_rules
from tests.api import graffiti
from tests.api.fuzz import fuzz

MINE = [route for route in SERVICE.routes if route.tag in ("dictionary", "directory", "binding")]


@pytest.fixture
def served(tmp_path, monkeypatch):
    yield from graffiti.serve(tmp_path, monkeypatch)


def test_every_route_knows_every_role(served):
    wrong = []
    for route, role in itertools.product(MINE, [*ROLES, "other"]):
        path = re.sub(r"<(?:\w+:)?\w+>", "3f0c6a52-0000-4000-8000-000000000000", route.path)
        status = served.as_("zoe", "p9", role).request(route.verb, path).status_code
        enough = role in ROLES and ROLES.index(role) >= ROLES.index(route.role)
        if (status == 403) == enough or status in (401, 500):
            wrong.append(f"{route.verb} {path} as {role}: {status}")
    assert not wrong


def test_migrations_and_models_agree(served):
    names = {model.__tablename__ for model in models.TABLES}

    def ours(thing, name, kind, reflected, other):
        return (name if kind == "table" else thing.table.name if hasattr(thing, "table") else name) in names

    with served.app.runtime.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert names <= set(sa.inspect(connection).get_table_names())
        assert compare_metadata(context, Base.metadata) == []


def test_the_description_is_whole(served):
    document = served.app.openapi
    for route in MINE:
        assert route.verb.lower() in document["paths"][re.sub(r"<(\w+)>", r"{\1}", route.path)]
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_options_and_rules_explain_themselves():
    assert [option.name for group, options in list_opts() if group == "pools" for option in options if option.help.endswith(".")]
    assert not [option.name for _, options in config.options(SERVICE) for option in options if not (option.help or "").endswith(".")]
    assert "graffiti:pool:token" in {rule.name for rule in list_rules()}


def test_no_request_makes_it_fail(served):
    graffiti.load_standard(served)
    ann = served.as_("ann", "p1", "architect")
    graffiti.discovered(served, ann)
    fuzz(served, ann, examples=3)
