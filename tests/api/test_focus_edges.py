"""Focus where people are sloppy, versions go, archives import, and others have the same names."""

import io
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from cloudos.focus import cli, judging
from cloudos.focus.client import Focus
from cloudos.focus.service import SERVICE
from tests.api import kit
from tests.api.focus import PLAIN, TOPOLOGY, TYPES, Repository, csar


@pytest.fixture
def served(tmp_path, monkeypatch, request):
    yield from kit.serve(SERVICE, "cloudos.focus.service", tmp_path, monkeypatch, **getattr(request, "param", {}))


@pytest.fixture
def ann(served):
    return Repository(served.as_("ann", "p1", "architect"))


def files(answer):
    assert answer.status_code == 200, answer.text
    if answer.content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}


def test_judging_waits_for_nobody_who_writes(served, ann):
    ann.made(TYPES, name="types.yaml")
    with served.app.runtime.db.session() as writer:
        writer.execute(sa.text("SELECT 1"))
        answer = ann.caller.post("/v1/validate", data=TOPOLOGY, timeout=10)
    assert answer.json()["valid"], answer.text


def test_newest_version_is_one_that_is_there(ann):
    document = ann.made(PLAIN, name="plain")
    ann.add(document, PLAIN + b"# two\n")
    assert ann.send("DELETE", document, "/versions/2").status_code == 204
    assert ann.get(f"documents/{document}").json()["latest_version"] == 1
    original = ann.caller.get(f"/1/document_list/{document}", headers={"Accept": "application/json"}).json()
    assert original["default_version"] == 1
    assert ann.add(document, PLAIN + b"# three\n").json()["version"] == 3  # numbers do not come back


@pytest.mark.parametrize("asked", ["{id}", "{id}@1", "plain", "plain@1"])
def test_ids_and_names_resolve_alike(ann, asked):
    document = ann.made(PLAIN, name="plain")
    found = ann.get("resolve", name=asked.format(id=document)).json()
    assert (found["id"], found["version"]["version"]) == (document, 1)


def test_an_archive_of_what_was_revoked_is_not_given(ann):
    document = ann.made(PLAIN, name="old")
    for state in ("published", "revoked"):
        ann.send("PUT", document, "/versions/1/state", json={"state": state, "reason": "It leaks."})
    path = f"documents/{document}/versions/1/csar"
    assert (ann.get(path).status_code, ann.get(path, revoked=True).status_code) == (410, 200)


@pytest.mark.parametrize("wanted", ["flag=true", "count=3", "share=1.5", "word=true-ish", "text=3"])
def test_properties_are_found_by_their_text_whatever_they_are(ann, wanted):
    document = ann.made(PLAIN, name="plain")
    ann.made(PLAIN + b"# other\n", name="other")
    values = {"flag": True, "count": 3, "share": 1.5, "word": "true-ish", "text": "3"}
    assert ann.send("PUT", document, json={"properties": values}).status_code == 200
    key = wanted.partition("=")[0]
    assert ann.names(property=wanted) == ["plain"] and ann.names(property=f"{key}=false") == ann.names(property=f"{key}=4") == []


@pytest.mark.parametrize("packing", ["zip", "tar"])
def test_an_archive_brings_what_it_imports_of_focus(ann, packing):
    ann.made(TYPES, name="types.yaml")
    document = ann.store(csar(main_yaml=TOPOLOGY), "application/zip", name="whole").json()["id"]
    found = files(ann.get(f"documents/{document}/versions/1/csar", **{"as": packing}))
    assert found["types.yaml"] == TYPES and found["main.yaml"] == TOPOLOGY
    assert b"Entry-Definitions: main.yaml" in found["TOSCA-Metadata/TOSCA.meta"]
    # It stands by itself now.
    again = ann.caller.post("/v1/validate", data=ann.get(f"documents/{document}/versions/1/csar").content).json()
    assert again["valid"], again


def test_what_does_not_become_an_archive_says_why(ann, monkeypatch):
    hot = ann.made(b"heat_template_version: 2021-04-16\n", name="stack")
    answer = ann.get(f"documents/{hot}/versions/1/csar")
    assert (answer.status_code, answer.json()["code"]) == (409, "csar.impossible") and "/content" in answer.json()["detail"]
    large = ann.store(csar(main_yaml=PLAIN, big=bytes(3000)), "application/zip", name="large").json()["id"]
    monkeypatch.setattr(judging, "UNPACKED", judging.ArchiveLimits(size=1000))
    assert "1000 bytes" in ann.get(f"documents/{large}/versions/1/csar").json()["detail"]
    assert ann.get("diff", **{"from": "large", "to": "large", "form": "text"}).json()["code"] == "diff.not_text"


def test_one_archive_holds_one_file_of_a_name(ann):
    shared = TYPES.replace(b"my.nodes.Web", b"my.nodes.Shared")
    ann.made(shared, name="shared.yaml")
    middle = b"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [shared.yaml]\n"
    ann.made(middle, name="middle.yaml")
    ann.add(ann.get("resolve", name="shared.yaml").json()["id"], shared + b"# newer\n")
    top = ann.made(middle.replace(b"[shared.yaml]", b"[middle.yaml, shared.yaml]"), name="top.yaml")
    answer = ann.get(f"documents/{top}/versions/1/csar")
    assert (answer.status_code, answer.json()["code"]) == (409, "csar.impossible") and "shared.yaml" in answer.json()["detail"]


@pytest.mark.parametrize("served", [{"api": {"max_page_limit": 2}}], indirect=True)
def test_a_document_shows_no_more_versions_than_a_page_holds(ann):
    document = ann.made(b"a: 1\n", name="many")
    for number in range(3):
        ann.add(document, b"b: %d\n" % number)
    assert [one["version"] for one in ann.get(f"documents/{document}").json()["versions"]] == [3, 4]
    assert len(ann.get(f"documents/{document}/versions", limit=2).json()["links"]) == 2


def test_what_is_stored_again_is_judged_again(ann):
    document = ann.made(TOPOLOGY, name="web.yaml")
    assert not ann.get(f"documents/{document}/versions/1").json()["valid"]
    ann.made(TYPES, name="types.yaml")
    again = ann.add(document, TOPOLOGY)
    assert (again.status_code, again.json()["version"], again.json()["valid"]) == (200, 1, True)
    types = ann.get("resolve", name="types.yaml").json()["id"]
    assert ann.send("DELETE", types).json()["used_by"][0]["name"] == "web.yaml@1"


def test_command_get_tells_of_a_place_it_cannot_write_to(served, ann, tmp_path):
    ann.made(PLAIN, name="plain")
    sdk = Focus(Session(auth=Token(served.url, ann.caller.headers["X-Auth-Token"])), endpoint=served.url)
    done = CliRunner().invoke(cli.get, ["plain", "-o", str(tmp_path / "no" / "where")], obj=sdk)
    assert done.exit_code == 1 and "No such file or directory" in done.output


def test_command_store_adds_to_its_own_document_only(served, ann, tmp_path):
    strangers = ann.made(PLAIN, name="web.yaml")
    root = Repository(served.as_("root", "p0", "admin"))
    sdk = Focus(Session(auth=Token(served.url, root.caller.headers["X-Auth-Token"])), endpoint=served.url)
    file = tmp_path / "web.yaml"
    for content, version in ((PLAIN + b"# mine\n", 1), (PLAIN + b"# mine, newer\n", 2)):
        file.write_bytes(content)
        done = CliRunner().invoke(cli.store, [str(file), "--tag", f"v{version}"], obj=sdk)
        assert done.exit_code == 0, done.output
    mine = [one for one in root.get("documents", name="web.yaml").json()["documents"] if one["user_id"] == "root"]
    assert [(one["latest_version"], one["tags"]) for one in mine] == [(2, ["v2"])]
    assert root.get(f"documents/{strangers}").json()["latest_version"] == 1


@pytest.mark.parametrize("names, codes", [(["same"] * 4, [201, 409, 409, 409]), (["a", "b", "c", "d"], [201] * 4)])
def test_of_many_who_store_one_name_at_once_one_has_it(served, names, codes):
    together = threading.Barrier(4)

    def store(name):
        together.wait()
        return Repository(served.as_("ann", "p1", "architect")).store(PLAIN, name=name).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(store, names)) == codes
