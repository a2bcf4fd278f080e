"""What every route does alike: shapes, conditions, pages, limits, problems, audit, health."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from oslo_db.exception import DBDuplicateEntry
from sqlalchemy.orm.exc import StaleDataError

from cloudos.eden.limits import Rate
from cloudos.eden.problems import BadRequest, TooManyRequests, known
from cloudos.eden.schemas import Schemas
from tests.api import kit


@pytest.fixture
def ann(served):
    return served.as_()


def make(caller, text="x"):
    made = caller.post("/v1/notes", json={"text": text})
    assert made.status_code == 201, made.text
    return made


def test_change_wants_the_etag_that_was_read(ann):
    made = make(ann)
    path, tag = f"/v1/notes/{made.json()['id']}", made.headers["ETag"]
    assert ann.put(path, json={"text": "y"}).json()["code"] == "precondition.required"
    changed = ann.put(path, json={"text": "y"}, headers={"If-Match": tag})
    assert changed.status_code == 200 and changed.headers["ETag"] != tag
    stale = ann.put(path, json={"text": "z"}, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"], stale.headers["ETag"]) == (412, "precondition.failed", changed.headers["ETag"])
    assert ann.delete(path, headers={"If-Match": f'"nonsense", {changed.headers["ETag"]}'}).status_code == 204
    assert ann.get(path).status_code == 404


def test_of_many_changes_at_once_one_wins(served, ann):
    made = make(ann)
    path, tag = f"/v1/notes/{made.json()['id']}", made.headers["ETag"]
    together = threading.Barrier(8)

    def change(number):
        together.wait()
        return served.as_().put(path, json={"text": str(number)}, headers={"If-Match": tag}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [412] * 7


def test_unchanged_is_not_sent_again(ann):
    made = make(ann)
    again = ann.get(f"/v1/notes/{made.json()['id']}", headers={"If-None-Match": made.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("sort", ["text", "text:desc", "created_at", "created_at:desc,text"])
def test_pages_hold_everything_once(ann, sort):
    for number in range(7):
        make(ann, f"{number % 3}")
    whole = [note["id"] for note in ann.get("/v1/notes", params={"sort": sort}).json()["notes"]]
    assert len(whole) == 7
    found, path = [], f"/v1/notes?limit=3&sort={sort}"
    while path:
        page = ann.get(path).json()
        found += [note["id"] for note in page["notes"]]
        make(ann, "9") if sort == "text" and len(found) == 3 else None
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert found[:7] == whole and len(found) == len(set(found))


@pytest.mark.parametrize("query", [
    "limit=0", "limit=x", "limit=-1", "limit=1&limit=2", "limit=99999999999999999", "marker=nobody", "sort=user_id", "sort=text:up",
    "colour=red",
])  # fmt: skip
def test_wrong_query_is_told(ann, query):
    answer = ann.get(f"/v1/notes?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), answer.text
    assert answer.json()["errors"][0]["pointer"] == query.partition("=")[0]


@pytest.mark.parametrize(("body", "code", "pointer"), [
    (b"{", "request.malformed", None), (b"[]", "request.invalid", "/"), (b'{"text": 1}', "request.invalid", "/text"),
    (b'{"text": "a\\u0000"}', "request.malformed", None), (b'{"text": NaN}', "request.malformed", None),
    (b"\xff", "request.malformed", None),
    (b'{"text": "\\ud800"}', "request.malformed", None), (b"[" * 100_000, "request.malformed", None), (b"{}", "request.invalid", "/"),
    (b'{"text": "x", "more": 1}', "request.invalid", "/"), (b'{"text": "x", "scope": "mine"}', "request.invalid", "/scope"),
    (b"", "request.malformed", None),
])  # fmt: skip
def test_wrong_body_is_told(ann, body, code, pointer):
    answer = ann.post("/v1/notes", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    if pointer:
        assert answer.json()["errors"][0]["pointer"] == pointer


def test_other_refusals(ann):
    assert ann.post("/v1/notes", data="x", headers={"Content-Type": "text/plain"}).json()["code"] == "request.media_type"
    assert ann.get("/v1/notes", headers={"Accept": "image/png"}).json()["code"] == "request.not_acceptable"
    assert ann.patch("/v1/notes").json()["code"] == "route.method" and "GET" in ann.patch("/v1/notes").headers["Allow"]
    assert ann.get("/v2/notes").json()["code"] == "route.unknown"
    assert ann.get("/v1/notes/" + "x" * 300).status_code == 400


@pytest.mark.parametrize("served", [{"api": {"max_request_size": 2048}}], indirect=True)
def test_large_body_is_refused(ann):
    answer = ann.post("/v1/notes", data=b"x" * 3000, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


@pytest.mark.parametrize("served", [{"api": {"rate": 1, "burst": 3}}], indirect=True)
def test_rate_counts_each_user(served, ann):
    statuses = [ann.get("/v1/notes").status_code for _ in range(6)]
    assert statuses[:3] == [200] * 3 and 429 in statuses
    assert ann.get("/v1/notes").headers["Retry-After"] == "1"
    assert served.as_("bob").get("/v1/notes").status_code == 200


def test_rate_fills_again():
    clock = [0.0]
    rate = Rate(2, 4, lambda: clock[0])
    for _ in range(4):
        rate.take("ann")
    with pytest.raises(TooManyRequests):
        rate.take("ann")
    clock[0] = 0.5
    rate.take("ann")
    with pytest.raises(TooManyRequests):
        rate.take("ann")


@pytest.mark.parametrize("served", [{"quota": {"notes": 2}}], indirect=True)
def test_quota_ends_at_its_limit_until_raised(served, ann):
    make(ann), make(ann)
    refused = ann.post("/v1/notes", json={"text": "x"})
    assert (refused.status_code, refused.json()["code"], refused.json()["used"]) == (403, "quota.exceeded", 2)
    admin = served.as_("root", "p0", "admin")
    assert admin.put("/v1/quotas/p1", json={"notes": 3}).json()["quotas"]["notes"] == {"limit": 3, "used": 2}
    assert admin.put("/v1/quotas/p1", json={"nodes": 3}).json()["code"] == "request.invalid"
    make(ann)
    assert ann.get("/v1/quotas").json()["quotas"]["notes"] == {"limit": 3, "used": 3}
    assert served.as_("cid", "p2").get("/v1/quotas").json()["quotas"]["notes"] == {"limit": 2, "used": 0}


def test_inside_is_not_told(ann):
    answer = ann.post("/v1/boom")
    assert answer.status_code == 500 and "inside" not in answer.text
    assert answer.headers["X-Openstack-Request-Id"] == answer.json()["request_id"]
    assert answer.json()["request_id"] in answer.json()["detail"]


def test_changes_and_refusals_are_audited(served, ann):
    note = make(ann).json()["id"]
    ann.delete(f"/v1/notes/{note}", headers={"If-Match": '"no"'})
    served.as_("eve", "p1", "reader").post("/v1/notes", json={"text": "x"})
    served.as_("cid", "p2").delete(f"/v1/notes/{note}", headers={"If-Match": "*"})
    everything = served.as_("root", "p0", "admin").get("/v1/audit").json()["records"]
    assert [(one["action"], one["outcome"], one["status"], one["user_id"], one["target"]) for one in everything] == [
        ("note:delete", "failure", 404, "cid", None),
        ("note:create", "failure", 403, "eve", None),
        ("note:delete", "failure", 412, "ann", f"note/{note}"),
        ("note:create", "success", 201, "ann", f"note/{note}"),
    ]
    own = served.as_("eve", "p1", "architect").get("/v1/audit").json()["records"]
    assert [one["user_id"] for one in own] == ["eve"], "what others did tells of what one may not see"


def test_health_metrics_and_pages(served, ann):
    assert ann.get("/healthcheck").json() == {"status": "ok"}
    deep = ann.get("/healthcheck?deep=true")
    assert deep.status_code == 503 and deep.json()["checks"]["database"] == "ok" and "toy-manage worker" in deep.json()["checks"]["workers"]
    text = served.as_("root", "p0", "admin").get("/metrics").text
    assert 'cloudos_requests_total{route="/healthcheck",service="toy",status="200",verb="GET"} 1.0' in text
    assert 'cloudos_jobs{service="toy",state="started"} 0.0' in text
    page = ann.get("/try")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"] and "unsafe" not in page.headers["Content-Security-Policy"]
    for file in ("/try/try.js", "/try/try.css"):
        assert ann.get(file).status_code == 200 and file in page.text
    assert {one["code"] for one in ann.get("/v1/problems").json()["problems"]} == {one.code for one in known()}


def test_other_paths_answer_the_same(ann):
    make(ann)
    assert ann.get("/1/note_list").json()["notes"] == ann.get("/v1/notes").json()["notes"]


def test_verbs_at_will_make_no_labels(served, ann):
    ann.request("FROBNICATE", "/v1/notes")
    text = served.as_("root", "p0", "admin").get("/metrics").text
    assert "FROBNICATE" not in text and 'route="unknown",service="toy",status="405",verb="other"' in text


def test_marker_of_a_stranger_is_no_marker(served, ann):
    made = make(ann).json()["id"]
    answer = served.as_("eve", "p2").get("/v1/notes", params={"marker": made})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "marker")


def test_writers_wait_for_each_other_and_readers_do_not(served, ann):
    if kit.SERVER:
        pytest.skip("MariaDB locks rows")
    db, tries = served.app.runtime.db, []

    def work(session):
        tries.append(session)
        return session.scalar(sa.text("SELECT 1"))

    with db.session() as writer, ThreadPoolExecutor(1) as pool:
        work(writer)
        waiting = pool.submit(db.transact, work)
        assert ann.get("/v1/notes", timeout=10).status_code == 200
        assert ann.get("/healthcheck?deep=1", timeout=10).json()["checks"]["schema"] == "ok"
        assert not waiting.done()
        writer.commit()
        assert waiting.result(10) == 1 and len(tries) == 2  # it waited, and was not begun anew


@pytest.mark.parametrize("error", [DBDuplicateEntry(), StaleDataError()])
def test_who_lost_a_race_looks_again(served, error):
    seen = []

    def work(session):
        seen.append(session)
        if len(seen) == 1:
            raise error
        return "what the winner left"

    assert served.app.runtime.db.transact(work) == "what the winner left" and len(seen) == 2


def test_messages_do_not_repeat_secrets():
    secret = {"type": "object", "properties": {"password": {"type": "string"}}, "additionalProperties": False, "writeOnly": True}
    with pytest.raises(BadRequest) as caught:
        Schemas({}).judge("The body", {"secret": {"password": 271828, "pin": 314159}}, {"properties": {"secret": secret}})
    told = str(caught.value.facts["errors"])
    assert "271828" not in told and "314159" not in told and "/secret/password" in told and "'pin' was unexpected" in told
