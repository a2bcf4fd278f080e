"""Focus: what goes in comes out, nothing is overwritten, nothing that is used is lost, names resolve, versions compare."""

import base64
import hashlib
import io
import tarfile
import zipfile

import pytest

from cloudos.focus.service import SERVICE
from tests.api import kit
from tests.api.focus import PLAIN, TOPOLOGY, TYPES, WRONG, Repository, csar


@pytest.fixture
def served(tmp_path, monkeypatch, request):
    yield from kit.serve(SERVICE, "cloudos.focus.service", tmp_path, monkeypatch, **getattr(request, "param", {}))


@pytest.fixture
def ann(served):
    return Repository(served.as_("ann", "p1", "architect"))


@pytest.fixture
def bob(served):
    return Repository(served.as_("bob", "p1", "member"))


@pytest.mark.parametrize("content", [PLAIN, b"\x00\xff\xfe not text", b"a: 1\r\nb: 2", b"", b"\xef\xbb\xbfa: 1\n"])
def test_content_comes_back_byte_for_byte(ann, content):
    document = ann.made(content, name="one")
    answer = ann.get(f"documents/{document}/versions/1/content")
    digest = hashlib.sha256(content)
    assert answer.content == content
    assert answer.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert ann.get(f"documents/{document}/versions/sha256:{digest.hexdigest()}").json()["version"] == 1


def test_content_makes_versions_and_metadata_none(ann):
    document = ann.made(name="one", label="1.0.0")
    changed = PLAIN.replace(b"plain", b"better")
    assert ann.add(document, changed, comment="better", label="1.1.0").status_code == 201
    same = ann.add(document, changed)
    assert (same.status_code, same.json()["version"]) == (200, 2)
    assert ann.send("PUT", document, json={"description": "new", "tags": ["a", "b"], "properties": {"tier": "gold"}}).status_code == 200
    found = ann.get(f"documents/{document}").json()
    assert [(one["version"], one["label"], one["parent"], one["comment"]) for one in found["versions"]] == [
        (1, "1.0.0", None, ""), (2, "1.1.0", 1, "better")]  # fmt: skip
    assert (found["description"], found["tags"], found["properties"]) == ("new", ["a", "b"], {"tier": "gold"})
    assert ann.get(f"documents/{document}/versions/1/content").content == PLAIN
    assert ann.get(f"documents/{document}/versions/1.1.0/content").content == changed
    assert ann.add(document, PLAIN, label="1.0.0").json()["code"] == "request.invalid"


def test_revert_is_a_new_version(ann):
    document = ann.made(name="one")
    ann.add(document, WRONG)
    reverted = ann.send("POST", document, "/versions/1/revert").json()
    assert (reverted["version"], reverted["parent"], reverted["comment"]) == (3, 2, "As version 1")
    assert reverted["sha256"] == hashlib.sha256(PLAIN).hexdigest()


def test_a_version_wants_the_document_as_it_was_read(ann):
    document = ann.made(name="one")
    old = ann.tag(document)
    ann.add(document, WRONG)
    late = ann.send("POST", document, "/versions", tag=False, data=PLAIN, headers={"Content-Type": "application/yaml", **old})
    assert (late.status_code, late.json()["code"]) == (412, "precondition.failed")
    assert ann.send("POST", document, "/versions", tag=False, data=PLAIN).status_code == 428


def test_each_version_keeps_its_judgement(ann):
    document = ann.made(name="one")
    wrong = ann.add(document, WRONG).json()
    assert (wrong["valid"], wrong["judge"]) == (False, "cloudos.tosca")
    report = ann.get(f"documents/{document}/versions/2/validation").json()
    problem = next(one for one in report["problems"] if one["rule"] == "type.unknown")
    assert (problem["file"], problem["line"], problem["column"]) == ("one@2", 5, 20)
    assert "Did you mean tosca.nodes.Compute?" in problem["mend"]
    assert ann.get(f"documents/{document}/versions/1/validation").json()["problems"] == []


@pytest.mark.parametrize(("content", "format", "valid"), [
    (b"heat_template_version: 2018-08-31\nresources: {}\n", "hot", True), (b"a: [1\n", "yaml", False), (b'{"a": 1}', "json", True),
    (b'{"a": }', "json", False), (b"<a><b/></a>", "xml", True), (b"<a>", "xml", False),
    (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "xml", False), (b"\xff\xd8\xff", "other", True),
    (b"a: &a [x]\nb: &b [*a,*a]\n" + b"".join(b"c%d: &c%d [*%s,*%s]\n" % (n, n, p, p) for n, p in
     ((n, b"b" if n == 0 else b"c%d" % (n - 1)) for n in range(40))), "yaml", False),
], ids=range(9))  # fmt: skip
def test_formats_are_told_by_content(ann, content, format, valid):
    report = ann.caller.post("/v1/validate", data=content, headers={"Content-Type": "text/plain"}).json()
    assert (report["format"], report["valid"]) == (format, valid), report
    assert all(one["line"] and one["mend"] for one in report["problems"])


def test_imports_come_from_focus(ann):
    ann.made(TYPES, name="types.yaml")
    document = ann.made(TOPOLOGY, name="shop")
    assert ann.get(f"documents/{document}/versions/1").json()["valid"]
    found = ann.get(f"documents/{document}/versions/1/closure").json()["closure"]
    assert [(one["name"], one["version"], one["sha256"]) for one in found] == [
        ("shop", 1, hashlib.sha256(TOPOLOGY).hexdigest()), ("types.yaml", 1, hashlib.sha256(TYPES).hexdigest())]  # fmt: skip
    assert found[0]["imports"][0]["url"] == "types.yaml"


@pytest.mark.parametrize("url", [b"file:///etc/passwd", b"/etc/passwd", b"http://169.254.169.254/latest/meta-data", b"../../etc/passwd",
                                 b"focus:nobody@3"])  # fmt: skip
def test_imports_come_from_nowhere_else(ann, url):
    document = ann.made(TOPOLOGY.replace(b"types.yaml", url), name="shop")
    report = ann.get(f"documents/{document}/versions/1/validation").json()
    assert {"import.missing", "import.network", "import.outside"} & {one["rule"] for one in report["problems"]}, report
    assert "root:" not in str(report)


def test_an_import_stays_what_it_was(ann):
    types = ann.made(TYPES, name="types.yaml")
    shop = ann.made(b"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [middle]\n", name="shop0")
    ann.made(TOPOLOGY, name="middle")
    ann.add(types, TYPES.replace(b"Web", b"Site"))
    top = ann.made(b"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [middle]\n", name="top")
    assert not ann.get(f"documents/{shop}/versions/1").json()["valid"]
    assert ann.get(f"documents/{top}/versions/1").json()["valid"], "middle keeps the types.yaml that it was stored with"
    assert [(one["name"], one["version"]) for one in ann.get(f"documents/{top}/versions/1/closure").json()["closure"]] == [
        ("top", 1), ("middle", 1), ("types.yaml", 1)]  # fmt: skip
    pinned = ann.made(TOPOLOGY.replace(b"types.yaml", b'"focus:types.yaml@2"'), name="pinned")
    assert not ann.get(f"documents/{pinned}/versions/1").json()["valid"], "version 2 has no my.nodes.Web"


def test_cycles_of_imports_end(ann):
    one = b"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [%s]\n"
    first = ann.made(one % b"two", name="one")
    ann.made(one % b"one", name="two")
    ann.add(first, one % b"two" + b"\n")
    closure = ann.get(f"documents/{first}/versions/2/closure").json()["closure"]
    assert [(found["name"], found["version"]) for found in closure] == [("one", 2), ("two", 1), ("one", 1)]


def test_what_is_used_is_not_deleted(ann, served):
    types = ann.made(TYPES, name="types.yaml")
    shop = ann.made(TOPOLOGY, name="shop")
    refused = ann.send("DELETE", types)
    assert (refused.status_code, refused.json()["code"]) == (409, "document.in_use")
    assert "shop@1" in refused.json()["detail"]
    assert ann.send("DELETE", types, "/versions/1").json()["code"] == "document.in_use"
    use = f"/documents/{shop}/versions/1/uses/topology-7"
    assert ann.caller.put(f"/v1{use}", json={"title": "shop of today", "uri": "/v1/topologies/7"}).status_code == 200
    assert "shop of today" in ann.send("DELETE", shop).json()["detail"]
    assert Repository(served.as_("cid", "p2", "admin")).send("DELETE", shop).json()["code"] == "document.in_use"
    assert ann.caller.delete(f"/v1{use}").status_code == 204
    assert [ann.send("DELETE", one).status_code for one in (shop, types)] == [204, 204]


def test_users_that_one_may_not_see_are_only_counted(ann, bob):
    types = ann.made(TYPES, name="types.yaml", scope="public-project")
    bob.made(TOPOLOGY, name="secret plan")
    detail = ann.send("DELETE", types).json()["detail"]
    assert "1 that you may not see" in detail and "secret" not in detail


def test_deleted_is_away_and_comes_back(ann):
    document = ann.made(name="one")
    ann.add(document, WRONG)
    assert ann.send("DELETE", document, "/versions/2").status_code == 204
    assert ann.get(f"documents/{document}/versions/2").status_code == 404
    assert ann.send("POST", document, "/versions/2/undelete").json()["version"] == 2
    assert ann.send("DELETE", document).status_code == 204
    assert ann.get(f"documents/{document}").status_code == 404 and ann.names() == [] and ann.names(deleted=True) == ["one"]
    other = ann.made(name="one")
    assert ann.send("POST", document, "/undelete").json()["code"] == "document.name_taken"
    ann.send("DELETE", other)
    assert ann.send("POST", document, "/undelete").status_code == 200
    assert len(ann.get(f"documents/{document}").json()["versions"]) == 2


@pytest.mark.parametrize("served", [{"quota": {"documents": 1}}], indirect=True)
def test_what_comes_back_counts_again(ann):
    first = ann.made(name="one")
    ann.send("DELETE", first)
    second = ann.made(name="two")
    refused = ann.send("POST", first, "/undelete")
    assert (refused.json()["code"], refused.json()["used"]) == ("quota.exceeded", 1)
    ann.send("DELETE", second)
    assert ann.send("POST", first, "/undelete").status_code == 200


def test_states_lead_one_way(ann):
    document = ann.made(name="one")
    ann.add(document, WRONG)

    def to(version, state, reason=""):
        answer = ann.send("PUT", document, f"/versions/{version}/state", json={"state": state, "reason": reason})
        return answer.json().get("code") or answer.json()["state"]

    assert to(2, "published") == "version.invalid"
    assert to(1, "revoked") == "version.state"
    assert to(1, "published") == "published"
    assert ann.get("resolve", name="one").json()["version"]["version"] == 1, "the published one, not the newest"
    assert to(1, "deprecated", "old") == "deprecated"
    importer = ann.made(b"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [one]\n", name="late")
    report = ann.get(f"documents/{importer}/versions/1/validation").json()
    assert report["valid"] and "deprecated: old" in report["problems"][-1]["message"]
    assert to(1, "revoked", "it leaks.") == "revoked"
    content = f"documents/{document}/versions/1/content"
    gone = ann.get(content)
    assert (gone.status_code, gone.json()["code"]) == (410, "version.revoked") and "it leaks." in gone.json()["detail"]
    assert ann.get(content, revoked=True).content == PLAIN
    importer = b"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [one@1]\n"
    assert "was revoked" in ann.caller.post("/v1/validate", data=importer).text


def test_names_are_unique_where_they_meet(ann, bob, served):
    ann.made(name="one")
    assert ann.store(name="one").json()["code"] == "document.name_taken"
    bob.made(name="one")
    shared = ann.made(name="one", scope="public-project")
    assert ann.store(name="one", scope="public-project").status_code == 409
    assert bob.get("resolve", name="one").json()["user_id"] == "bob", "one's own comes first"
    assert Repository(served.as_("cid", "p1", "reader")).get("resolve", name="one").json()["id"] == shared
    assert Repository(served.as_("dan", "p2")).get("resolve", name="one").status_code == 404


def test_scopes_hold_for_versions_too(ann, bob, served):
    private, shared = ann.made(name="mine"), ann.made(name="ours", scope="public-project")
    for path in ("", "/versions", "/versions/1", "/versions/1/content", "/versions/1/closure", "/versions/1/csar", "/uses"):
        assert bob.get(f"documents/{private}{path}").status_code == 404
        assert bob.get(f"documents/{shared}{path}").status_code == 200
    assert bob.add(shared, WRONG).json()["code"] == "auth.forbidden"
    assert bob.get("diff", **{"from": private, "to": shared}).status_code == 404
    assert bob.store(name="x", scope="public-cloud").status_code == 403


def test_search_by_everything(ann):
    ann.made(TYPES, name="types.yaml", tag=["base"])
    ann.made(TOPOLOGY, name="shop", description="sells things", tag=["base", "web"])
    broken = ann.made(WRONG, name="broken", type="resource_binding")
    ann.send("PUT", broken, json={"properties": {"tier": "gold"}})
    found = {
        "q=Web port": ["shop", "types.yaml"], "q=SELLS": ["shop"], "q=8080": ["shop"], "q=no such word": [],
        "tag=base": ["shop", "types.yaml"],
        "tag=base&tag=web": ["shop"], "name_like=yam": ["types.yaml"], "uses_type=my.nodes.Web": ["shop"],
        "defines_type=my.nodes.Web": ["types.yaml"], "type=resource_binding": ["broken"], "valid=false": ["broken"],
        "type=infrastructure_type": ["types.yaml"], "property=tier=gold": ["broken"], "property=tier=tin": [], "state=published": [],
        "format=tosca&valid=true": ["shop", "types.yaml"], "name=shop": ["shop"], "q=%25": [],
    }  # fmt: skip
    for query, names in found.items():
        answer = ann.caller.get(f"/v1/documents?{query}")
        assert [one["name"] for one in answer.json()["documents"]] == names, query
    ann.add(broken, PLAIN)
    assert ann.names(q="Computer") == [] and ann.names(q="Computer", every=True) == ["broken"]


def test_words_are_found_from_where_they_begin(ann):
    note = "# Größe: db_password, the k8s of tosca.nodes.Web.Application and a-b-c; url http://192.0.2.7:8080/x?y=1\n"
    document = ann.made(PLAIN + note.encode(), name="web-shop.yaml", description="Sells the things")
    for query in ("grosse", "Große", "GRÖßE", "db_pass", "password", "the", "k8", "k", "nodes.Web.App", "Application",
                  "web.application", "a-b-c", "b.c", "192.0.2.7", "2.7:8080", "8080/x", "y=1", "shop", "web-shop", "Sells thi",
                  "shop application the"):  # fmt: skip
        assert ann.names(q=query) == ["web-shop.yaml"], query
    for query in ("assword", "odes.Web", "hop", "Application.Web", "***", "192.0.2.8", "db_password_", '"', "+-@()~<>*", "shop none"):
        assert ann.names(q=query) == (["web-shop.yaml"] if query == "db_password_" else []), query
    ann.send("PUT", document, json={"name": "stall.yaml", "description": "Buys"})
    assert ann.names(q="shop") == ann.names(q="sells") == [] and ann.names(q="stall buys db") == ["stall.yaml"]
    ann.caller.put(f"/1/document_list/{document}", headers={"X-Template-Meta-Name": "kiosk"})
    assert ann.names(q="stall") == [] and ann.names(q="kiosk") == ["kiosk"]
    ann.add(document, PLAIN)
    assert ann.names(q="password") == [] and ann.names(q="kiosk server") == ["kiosk"] == ann.names(q="password", every=True)


def test_archives_in_and_out(ann):
    meta = b"TOSCA-Meta-File-Version: 1.1\nCSAR-Version: 1.1\nCreated-By: ann\nEntry-Definitions: main.yaml\n"
    archive = csar(main_yaml=TOPOLOGY, types_yaml=TYPES, **{"TOSCA-Metadata__TOSCA.meta": meta})
    document = ann.made(archive, name="packed.csar")
    version = ann.get(f"documents/{document}/versions/1").json()
    assert (version["format"], version["valid"], version["content_type"]) == ("csar", True, "application/yaml")
    assert ann.get(f"documents/{document}/versions/1/content").content == archive
    assert ann.names(q="my.nodes.Web") == ["packed.csar"]
    tar = ann.get(f"documents/{document}/versions/1/csar", **{"as": "tar"}).content
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        assert sorted(found.getnames()) == ["TOSCA-Metadata/TOSCA.meta", "main.yaml", "types.yaml"]
        assert found.extractfile("main.yaml").read() == TOPOLOGY
    assert ann.made(tar, name="as tar")


def test_a_document_and_its_imports_as_an_archive(ann):
    ann.made(TYPES, name="types.yaml")
    shop = ann.made(TOPOLOGY, name="shop")
    content = ann.get(f"documents/{shop}/versions/1/csar").content
    assert content == ann.get(f"documents/{shop}/versions/1/csar").content
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert sorted(found.namelist()) == ["TOSCA-Metadata/TOSCA.meta", "shop.yaml", "types.yaml"]
        assert hashlib.sha256(TYPES).hexdigest() in found.read("TOSCA-Metadata/TOSCA.meta").decode()
    again = ann.caller.post("/v1/validate", data=content, headers={"Content-Type": "application/zip"}).json()
    assert (again["format"], again["valid"]) == ("csar", True)


@pytest.mark.parametrize("name", ["../evil_yaml", "/etc/evil_yaml", "c:/evil_yaml"])
def test_archives_that_slip_are_refused(ann, name):
    answer = ann.store(csar(**{name: PLAIN}), "application/zip", name="evil")
    assert (answer.status_code, answer.json()["code"]) == (400, "content.unsafe")
    assert ann.names() == []


def test_bombs_are_refused(ann):
    answer = ann.store(csar(main_yaml=b"0" * 60_000_000), "application/zip", name="bomb")
    assert (answer.status_code, answer.json()["code"]) == (400, "content.unsafe")


def test_differences(ann):
    ann.made(TYPES, name="types.yaml")
    shop = ann.made(TOPOLOGY, name="shop")
    ann.add(shop, TOPOLOGY.replace(b"8080", b"9090") + b"    db: {type: tosca.nodes.Compute}\n")
    found = ann.get("diff", **{"from": "shop@1", "to": "shop@2"}).json()
    assert found["structure"]["nodes"]["changed"] == {"web": [{"path": "/properties/port", "before": 8080, "after": 9090}]}
    assert list(found["structure"]["nodes"]["added"]) == ["db"] and set(found["structure"]) == {"nodes"}
    text = ann.get("diff", **{"from": f"{shop}@1", "to": f"{shop}@2", "form": "text"}).json()["text"]
    assert text.startswith("--- shop@1\n+++ shop@2\n") and "-      properties: {port: 8080}\n" in text
    assert ann.get("diff", **{"from": "shop", "to": "shop"}).json() == {"from": "shop@2", "to": "shop@2", "equal": True, "structure": {}}
    ann.made(b"\xff\xfe\x00", name="blob")
    assert ann.get("diff", **{"from": "blob", "to": "shop", "form": "text"}).json()["code"] == "diff.not_text"
    assert ann.get("diff", **{"from": "blob", "to": "shop"}).json()["code"] == "diff.not_comparable"


def test_a_binding_refers_to_its_topology(ann):
    shop = ann.made(name="shop")
    ann.made(b"a: 1\n", name="binding", type="resource_binding", reference=["shop@1"])
    assert ann.get(f"documents/{shop}/uses").json()["used_by"][0]["name"] == "binding@1"
    assert ann.send("DELETE", shop).status_code == 409
    assert ann.store(b"a: 2\n", name="other", reference=["nobody"]).status_code == 404


def test_originals_paths(ann):
    meta = {"X-Template-Meta-Name": "old", "X-Template-Meta-Type": "infrastructure_topology", "X-Template-Meta-Scope": "user_project",
            "Content-Type": "application/xml"}  # fmt: skip
    made = ann.caller.post("/1/document_list", data=b"<t/>", headers=meta)
    assert made.status_code == 201, made.text
    record = made.json()
    assert set(record) == {"id", "name", "type", "scope", "properties", "versions", "default_version", "created_at", "updated_at",
                           "user_id", "project_id", "domain_id", "uri"}  # fmt: skip
    assert (record["scope"], record["versions"]) == ("user_project", [{"version": 1, "size": 4, "content_type": "application/xml"}])
    path = f"/1/document_list/{record['id']}"
    assert ann.caller.get(path).content == b"<t/>"
    assert ann.caller.put(path, data=b"<t>2</t>", headers={"Content-Type": "application/xml"}).json()["default_version"] == 2
    assert ann.caller.put(path, headers={"X-Template-Meta-Name": "newer"}).json()["name"] == "newer"
    assert ann.caller.get(path + "?version=1").content == b"<t/>" and ann.caller.get(path).content == b"<t>2</t>"
    assert ann.caller.get(path, headers={"Accept": "application/json"}).json()["versions"][1]["version"] == 2
    assert [one["name"] for one in ann.caller.get("/1/document_list").json()["document_list"]] == ["newer"]
    assert ann.caller.delete(path + "?version=2").status_code == 204 and ann.caller.get(path).content == b"<t/>"
    assert ann.caller.delete(path).status_code == 204 and ann.caller.get(path).status_code == 404


def test_audit_tells_the_story_of_a_document(ann, bob):
    document = ann.made(name="one")
    ann.add(document, WRONG)
    ann.send("DELETE", document, "/versions/2")
    ann.send("DELETE", document)
    records = ann.get(f"documents/{document}/audit").json()["records"]
    assert [one["action"] for one in reversed(records)] == ["document:create", "version:create", "version:delete", "document:delete"]
    assert records[-1]["facts"]["sha256"] == hashlib.sha256(PLAIN).hexdigest()
    assert bob.get(f"documents/{document}/audit").status_code == 404 and bob.get("audit").json()["records"] == []


@pytest.mark.parametrize("served", [{"quota": {"documents": 1}}], indirect=True)
def test_quota_counts_documents(ann):
    ann.made(name="one")
    assert ann.store(name="two").json()["code"] == "quota.exceeded"


@pytest.mark.parametrize("served", [{"quota": {"bytes": 2 * len(PLAIN)}}], indirect=True)
def test_quota_counts_bytes_of_all_versions(ann):
    document = ann.made(name="one")
    assert ann.add(document, PLAIN[:-1]).status_code == 201
    assert ann.add(document, PLAIN).json()["code"] == "quota.exceeded"
    assert ann.caller.put(f"/1/document_list/{document}", data=PLAIN, headers={"Content-Type": "text/plain"}).status_code == 403
