"""Who may do what: every route of the table with every role, and every scope with every kind of caller."""

import pytest
import sqlalchemy as sa
from oslo_context.context import RequestContext

from cloudos.eden.policy import CHANGE, SCOPES, SEE, Guard, visible
from tests.api import roles
from tests.api.toy import SERVICE, Note

# Caller -> (user, project, roles): the owner is ann in p1.
CALLERS = {
    "owner": ("ann", "p1", ["member"]), "owner, only reading": ("ann", "p1", ["reader"]), "owner elsewhere": ("ann", "p2", ["member"]),
    "colleague": ("bob", "p1", ["member"]), "architect": ("eve", "p1", ["architect"]), "stranger": ("cid", "p2", ["member"]),
    "architect elsewhere": ("dan", "p2", ["architect"]), "admin": ("root", "p0", ["admin"]), "without role": ("ann", "p1", ["other"]),
}  # fmt: skip
SEES = {
    "private-project": {"owner", "owner, only reading", "admin"},
    "private-cloud": {"owner", "owner, only reading", "owner elsewhere", "admin"},
    "public-project": {"owner", "owner, only reading", "colleague", "architect", "admin"},
    "public-cloud": set(CALLERS) - {"without role"},
}
CHANGES = {
    "private-project": {"owner", "admin"},
    "private-cloud": {"owner", "owner elsewhere", "admin"},
    "public-project": {"architect", "admin"},
    "public-cloud": {"admin"},
}


@pytest.fixture
def noted(served):
    """A note of ann's in each scope."""
    with served.app.runtime.db.session() as session:
        notes = [Note(text=scope, scope=scope, user_id="ann", project_id="p1") for scope in SCOPES]
        session.add_all(notes)
    return served, {note.scope: note.id for note in notes}


def test_every_route_knows_every_role(served):
    assert not roles.wrong(served, SERVICE)


def test_without_token_only_open_routes_answer(served):
    assert not roles.open_to_strangers(served, SERVICE)


@pytest.mark.parametrize("scope", SCOPES)
def test_scope_decides_who_sees_and_who_changes(noted, scope):
    served, notes = noted
    found = {}
    for name, (user, project, names) in CALLERS.items():
        caller, path = served.as_(user, project, *names), f"/v1/notes/{notes[scope]}"
        got = caller.get(path)
        tag = {"If-Match": got.headers.get("ETag", '"x"')}
        found[name] = (got.status_code, caller.put(path, json={"text": scope}, headers=tag).status_code)
    for name, (see, change) in found.items():
        role_is_missing = name == "without role"
        assert see == (403 if role_is_missing else 200 if name in SEES[scope] else 404), (name, see)
        may_try = name not in ("owner, only reading", "without role")
        wanted = 200 if name in CHANGES[scope] else 403 if name in SEES[scope] or not may_try else 404
        assert change == wanted, (name, change)


@pytest.mark.parametrize("scope", SCOPES)
def test_who_may_make_a_thing_of_a_scope(served, scope):
    def made(user, project, *names):
        return served.as_(user, project, *names).post("/v1/notes", json={"text": "x", "scope": scope}).status_code

    assert made("ann", "p1", "member") == (201 if scope.startswith("private") else 403)
    assert made("ann", "p1", "architect") == (403 if scope == "public-cloud" else 201)
    assert made("ann", "p1", "admin") == 201


def test_lists_show_what_the_rule_lets_see(noted):
    """The SQL of lists and the rule of single things are two texts of one meaning."""
    served, _ = noted
    runtime = served.app.runtime
    with runtime.db.session() as session:
        for user, project, names in CALLERS.values():
            context = RequestContext(user_id=user, project_id=project, roles=names)
            guard = Guard(runtime.enforcer, context)
            listed = {note.id for note in session.scalars(sa.select(Note).where(visible(Note, context)))}
            assert listed == {note.id for note in session.scalars(sa.select(Note)) if guard.may(SEE, note.target())}, user
    for scope in SCOPES:
        assert {"admin"} <= CHANGES[scope] <= SEES[scope]


def test_refusal_tells_rule_and_roles(served):
    problem = served.as_("ann", "p1", "member").post("/v1/notes", json={"text": "x", "scope": "public-cloud"}).json()
    assert problem["code"] == "auth.forbidden"
    assert CHANGE in problem["detail"] and "member" in problem["detail"] and "Only role admin" in problem["detail"]


def test_what_others_have_is_not_there(noted):
    served, notes = noted
    here = served.as_("cid", "p2").get(f"/v1/notes/{notes['private-project']}")
    nowhere = served.as_("cid", "p2").get("/v1/notes/3f0c6a52-0000-4000-8000-000000000000")
    assert (here.status_code, here.json()["code"]) == (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    assert "No note" in here.json()["detail"]


def test_jobs_of_other_projects_are_not_there(served):
    job = served.as_("ann", "p1").post("/v1/steps", json={"steps": 1}).json()["id"]
    assert served.as_("cid", "p2").get(f"/v1/jobs/{job}").status_code == 404
    assert served.as_("cid", "p2", "admin").get(f"/v1/jobs/{job}").status_code == 200
    assert served.as_("cid", "p2").get("/v1/jobs").json()["jobs"] == []
    assert served.as_("bob", "p1").post(f"/v1/jobs/{job}/cancel").status_code == 403
    assert served.as_("eve", "p1", "architect").post(f"/v1/jobs/{job}/cancel").status_code == 202
