"""What many requests at once may not do together, on a real MariaDB: it runs transactions side by side, where SQLite runs one at a time."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from cloudos.bundle.mariadb import private_mariadb
from cloudos.focus.service import SERVICE as FOCUS
from tests.api import graffiti, kit, toy
from tests.api.focus import PLAIN, Repository

MANY = 24


@pytest.fixture(scope="module")
def mariadb():
    with private_mariadb() as socket:
        yield socket


@pytest.fixture
def connection(mariadb):
    """The URL of a new database."""
    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(f"mysql+pymysql://root@localhost/?unix_socket={mariadb}")
    with engine.connect() as server:
        server.execute(sa.text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
    engine.dispose()
    return f"mysql+pymysql://root@localhost/{name}?charset=utf8mb4&unix_socket={mariadb}"


def at_once(ask, many=MANY):
    """The answers to `ask(number)` of as many threads."""
    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(ask, range(many)))


@pytest.fixture
def served(tmp_path, monkeypatch, connection):
    limits = {"quota": {"notes": 5}, "api": {"rate": 0}}
    for served in kit.serve(toy.SERVICE, "tests.api.toy", tmp_path, monkeypatch, database={"connection": connection}, **limits):
        served.app.runtime.db_sync()
        yield served


def test_a_quota_holds_against_many_requests_at_once(served):
    callers = [(served.as_(f"u{number}", project), project) for number in range(MANY // 2) for project in ("p1", "p2")]
    answers = at_once(lambda number: callers[number][0].post("/v1/notes", json={"text": "x"}))
    for project in ("p1", "p2"):
        mine = [answer.status_code for answer, (_, whose) in zip(answers, callers, strict=True) if whose == project]
        assert sorted(mine) == [201] * 5 + [403] * 7, project
        assert served.as_("ann", project).get("/v1/quotas").json()["quotas"]["notes"] == {"limit": 5, "used": 5}


@pytest.fixture
def focus(tmp_path, monkeypatch, connection):
    limits = {"quota": {"documents": 6, "bytes": 9 * len(PLAIN)}, "api": {"rate": 0}}
    for served in kit.serve(FOCUS, "cloudos.focus.service", tmp_path, monkeypatch, database={"connection": connection}, **limits):
        served.app.runtime.db_sync()
        yield served


def test_documents_and_bytes_have_a_quota_each(focus):
    ann = [Repository(focus.as_("ann", "p1", "architect")) for _ in range(MANY)]
    answers = at_once(lambda number: ann[number].store(PLAIN.replace(b"one", b"%03d" % number), name=f"n{number}"))
    assert sorted(answer.status_code for answer in answers) == [201] * 6 + [403] * (MANY - 6)
    made = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    answers = at_once(lambda number: ann[number].add(made[number], PLAIN.replace(b"one", b"two")), 6)
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 3
    used = {name: one["used"] for name, one in ann[0].get("quotas").json()["quotas"].items()}
    assert used == {"documents": 6, "bytes": 9 * len(PLAIN)}


@pytest.fixture
def directory(tmp_path, monkeypatch, connection):
    for served in graffiti.serve(tmp_path, monkeypatch, database={"connection": connection}, api={"rate": 0}):
        served.app.runtime.db_sync()
        yield served


def test_what_belongs_to_no_pool_is_given_out_as_often_as_it_has_uses(directory):
    root = directory.as_("root", "p0", "admin")
    types = {"namespaces": [{"name": "n"}], "types": [{"kind": "capability", "namespace": "n", "name": "Address"}]}
    assert root.post("/v1/dictionary", json={**types, "scope": "public-cloud"}).status_code == 200
    body = {"name": "ip", "type": "Address", "scope": "public-cloud", "capabilities": [{"name": "a", "type": "n/Address"}]}
    assert root.post("/v1/resources", json={**body, "capacity": {"uses": 3}}).status_code == 201
    callers = [directory.as_(f"u{number}", f"p{number}") for number in range(MANY // 2)]
    wanted = {"requirements": [{"id": "a", "capability": "n/Address"}]}
    answers = at_once(lambda number: callers[number].post("/v1/bindings", json=wanted), len(callers))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 9
