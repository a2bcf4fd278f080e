"""Focus as a service: roles, description, migrations, jobs, first documents, purge, SDK and command, the embedded mode for real."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from cloudos.cli import main
from cloudos.eden import client
from cloudos.eden.db import now
from cloudos.focus import upkeep
from cloudos.focus.client import Focus
from cloudos.focus.models import Content, Document, Revision
from cloudos.focus.service import SERVICE
from tests.api import kit, roles
from tests.api.focus import PLAIN, TOPOLOGY, TYPES, WRONG, Repository
from tests.api.fuzz import fuzz

MANAGE = [sys.executable, "-m", "cloudos.focus.manage", "--embedded"]


@pytest.fixture
def served(tmp_path, monkeypatch, request):
    yield from kit.serve(SERVICE, "cloudos.focus.service", tmp_path, monkeypatch, **getattr(request, "param", {}))


@pytest.fixture
def ann(served):
    return Repository(served.as_("ann", "p1", "architect"))


@pytest.mark.parametrize("served", [{"api": {"rate": 0}}], indirect=True)
def test_roles_of_every_route(served):
    assert not roles.wrong(served, SERVICE)
    assert not roles.open_to_strangers(served, SERVICE)


@pytest.mark.parametrize("served", [{"api": {"rate": 0}}], indirect=True)
def test_no_request_makes_it_fail(served, ann):
    ann.made(TYPES, name="types.yaml")
    ann.made(TOPOLOGY, name="shop")
    fuzz(served, ann.caller, examples=4)


def test_all_is_judged_anew_as_a_job(served, ann):
    for number in range(3):
        ann.made(WRONG + b"# %d\n" % number, name=f"wrong {number}")
    shop = ann.made(TOPOLOGY, name="shop")
    assert not ann.get(f"documents/{shop}/versions/1").json()["valid"]
    ann.made(TYPES, name="types.yaml")
    assert ann.caller.post("/v1/revalidations").status_code == 403
    admin = served.as_("root", "p0", "admin")
    job = admin.post("/v1/revalidations").json()["id"]
    served.work()
    done = admin.get(f"/v1/jobs/{job}").json()
    assert (done["state"], done["result"]) == ("succeeded", {"judged": 5, "changed": 1})
    assert ann.get(f"documents/{shop}/versions/1").json()["valid"]


def test_first_documents_are_loaded_once(served, ann, tmp_path):
    runtime = served.app.runtime
    (tmp_path / "profiles").mkdir()
    profile = b"tosca_definitions_version: tosca_2_0\nprofile: org.example.base:1.0\nnode_types:\n  Box: {}\n"
    (tmp_path / "profiles" / "base.yaml").write_bytes(profile)
    contents = upkeep.first_documents([tmp_path / "profiles"])
    assert upkeep.load(runtime, contents) == {"org.example.base:1.0": "made"}
    assert upkeep.load(runtime, contents) == {"org.example.base:1.0": "same"}
    found = ann.get("documents", profile="org.example.base:1.0").json()["documents"]
    assert [(one["name"], one["scope"], one["default_version"]) for one in found] == [("org.example.base:1.0", "public-cloud", 1)]
    user = b"tosca_definitions_version: tosca_2_0\nimports: [{profile: 'org.example.base:1.0'}]\n" \
           b"service_template:\n  node_templates:\n    box: {type: Box}\n"  # fmt: skip
    document = ann.made(user, name="boxed")
    assert ann.get(f"documents/{document}/versions/1").json()["valid"]
    assert set(upkeep.load(runtime, upkeep.normative()).values()) == {"made"}
    assert ann.get("documents", defines_type="tosca.nodes.Compute").json()["documents"][0]["scope"] == "public-cloud"


def test_purge_takes_what_nobody_needs(served, ann):
    types, shop = ann.made(TYPES, name="types.yaml"), ann.made(TOPOLOGY, name="shop")
    kept = ann.made(name="kept")
    for document in (shop, types):
        assert ann.send("DELETE", document).status_code == 204
    runtime = served.app.runtime
    assert upkeep.purge(runtime, 30) == {"documents": 0, "versions": 0, "contents": 0}
    with runtime.db.session() as session:
        session.execute(sa.update(Document).where(Document.live.is_(None)).values(deleted_at=now() - datetime.timedelta(days=31)))
    upkeep.purge(runtime, 30)
    upkeep.purge(runtime, 30)
    with runtime.db.session(reading=True) as session:
        counts = [session.scalar(sa.select(sa.func.count()).select_from(model)) for model in (Document, Revision, Content)]
    assert counts == [1, 1, 1] and ann.get(f"documents/{kept}/versions/1/content").content == PLAIN


@contextlib.contextmanager
def serving(home):
    """(process, client) of Focus as a person starts it for himself: gunicorn and a worker behind a unix socket."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    environment.update(PYTHONPATH=str(kit.ROOT), CLOUDOS_HOME=str(home), HOME=str(home / "person"))
    environment.pop("XDG_RUNTIME_DIR", None)  # what lies there otherwise lies in the home, where the tests look
    process = subprocess.Popen([*MANAGE, "serve"], cwd=kit.ROOT, env=environment, start_new_session=True)
    socket = home / "focus" / "api.sock"
    focus = client.local(Focus, socket)

    def answers():
        assert process.poll() is None
        try:
            return socket.exists() and focus.get("/healthcheck", deep=True)["status"] == "ok"
        except client.Failure:
            return False

    try:
        kit.until(answers, 60)
        yield process, focus
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code in (0, -signal.SIGKILL)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with serving(home) as (_, focus):
        yield home, focus


def living(session):
    """The processes of a session that are no zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, whose, *_ = stat.read_text().rpartition(")")[2].split()
            found += [stat.parent.name] if int(whose) == session and state != "Z" else []
    return found


def test_nothing_outlives_the_command_that_was_killed(tmp_path):
    with serving(tmp_path) as (process, focus):
        focus.store(PLAIN)
        assert len(living(process.pid)) >= 4, "the command, gunicorn with its worker, ours"
        process.kill()
        process.wait()
        try:
            kit.until(lambda: not living(process.pid), 20)
        finally:
            for number in living(process.pid):
                os.kill(int(number), signal.SIGKILL)
        assert not (tmp_path / "focus" / "api.sock").exists()


@pytest.fixture
def embedded(started, monkeypatch):
    """Its client; commands find it by CLOUDOS_HOME."""
    monkeypatch.setenv("CLOUDOS_HOME", str(started[0]))
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    return started[1]


def test_embedded_with_sdk_and_command(started, embedded, tmp_path):
    assert oct((started[0] / "focus" / "api.sock").stat().st_mode)[-3:] == "700"
    assert not (started[0] / "person" / ".gunicorn").exists(), "embedded services share no control socket"
    files = {"types.yaml": TYPES, "shop.yaml": TOPOLOGY, "wrong.yaml": WRONG}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, ["focus", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result.output

    run("store", tmp_path / "types.yaml")
    run("store", tmp_path / "shop.yaml", "--tag", "web", "--label", "1.0")
    assert "wrong.yaml@1:5:20: error: " in run("store", tmp_path / "wrong.yaml", code=1)
    (tmp_path / "shop.yaml").write_bytes(TOPOLOGY.replace(b"8080", b"9090"))
    run("store", tmp_path / "shop.yaml")
    assert "shop.yaml" in run("search", "9090") and "wrong" not in run("search", "9090")
    assert run("get", "shop.yaml@1.0") == TOPOLOGY.decode()
    assert json.loads(run("diff", "shop.yaml@1", "shop.yaml@2"))["nodes"]["changed"]["web"][0]["after"] == 9090
    assert "is used by shop.yaml@1" in run("delete", "types.yaml", code=1)
    assert "types.yaml" in run("closure", "shop.yaml")
    run("state", "shop.yaml@2", "published")
    run("revert", "shop.yaml@1")
    assert [one["version"] for one in json.loads(run("show", "shop.yaml", "--json"))["versions"]] == [1, 2, 3]
    assert "Right, judged by cloudos.tosca" in run("validate", tmp_path / "types.yaml")
    run("validate", tmp_path / "wrong.yaml", code=1)
    run("update", "shop.yaml", "--tags", "web,new")
    run("delete", "shop.yaml")
    job = embedded.revalidate()
    assert embedded.wait(job["id"])["result"]["judged"] >= 5
    assert "succeeded" in run("job", "list") and "ended" in run("job", "watch", job["id"])
    assert "No document nobody" in run("show", "nobody", code=1)


def test_sdk_raises_what_the_service_tells(embedded):
    made = embedded.store(PLAIN, name="one", tag=["only"])
    with pytest.raises(client.Conflict) as caught:
        embedded.store(PLAIN, name="one")
    assert (caught.value.code, caught.value.status) == ("document.name_taken", 409)
    with pytest.raises(client.NotFound):
        embedded.version(made["id"], 7)
    assert [one["name"] for one in embedded.search(limit=1, tag=["only"])] == ["one"]
    archive = embedded.csar(made["id"], 1)
    assert embedded.validate(archive)["format"] == "csar"
