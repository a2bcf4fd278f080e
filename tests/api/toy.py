"""A small service made with Eden: notes in the four scopes, and works that can be slow, fail, wait and be killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudos.eden import paging, routes
from cloudos.eden.app import complete
from cloudos.eden.call import Call
from cloudos.eden.db import Base, Id, Moment, now
from cloudos.eden.jobs.routes import accepted
from cloudos.eden.jobs.run import Run, WorkFailed
from cloudos.eden.models import Owned, new_id
from cloudos.eden.policy import SCOPES
from cloudos.eden.service import Answer, Quota, Route, Service, Work, page_of, ref


class Note(Base, Owned):
    __tablename__ = "note"
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    text: Mapped[str] = mapped_column(sa.Text)
    edition: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[sa.DateTime] = mapped_column(Moment, default=now)
    __mapper_args__ = {"version_id_col": edition}


SORT = {"created_at": Note.created_at, "text": Note.text}
NOTE = {"type": "object", "required": ["text"], "additionalProperties": False, "properties": {
    "text": {"type": "string", "maxLength": 2000}, "scope": {"enum": list(SCOPES)}}}  # fmt: skip
JOB = {"type": "object", "required": ["steps"], "additionalProperties": False, "properties": {
    "steps": {"type": "integer", "minimum": 0, "maximum": 1000}, "seconds": {"type": "number", "maximum": 60},
    "fail_at": {"type": "integer"}, "file": {"type": "string"}}}  # fmt: skip


def show(note):
    return {"id": note.id, "text": note.text, "scope": note.scope, "user_id": note.user_id, "project_id": note.project_id}


def tag(note):
    return f"{note.id}-{note.edition}"


def list_notes(call: Call):
    return call.page("notes", call.visible(Note), SORT, Note, show)


def create(call: Call):
    note = Note(text=call.body["text"], scope=call.body.get("scope", "private-project"), **call.owner())
    call.change(note)
    call.runtime.quotas.demand(call.session, note.project_id, "notes")
    call.session.add(note)
    call.session.flush()
    call.audit["target"] = f"note/{note.id}"
    return Answer(show(note), 201, {"Location": f"/v1/notes/{note.id}"}, etag=tag(note))


def get(call: Call):
    note = call.find(Note, call.path["id"], "note", "/v1/notes")
    return Answer(show(note), etag=tag(note))


def update(call: Call):
    note = call.find(Note, call.path["id"], "note", "/v1/notes")
    call.change(note, tag(note))
    note.text = call.body["text"]
    call.session.flush()
    return Answer(show(note), etag=tag(note))


def delete(call: Call):
    note = call.find(Note, call.path["id"], "note", "/v1/notes")
    call.change(note, tag(note))
    call.session.delete(note)


def start(call: Call):
    return accepted(call, call.submit("toy.steps", f"{call.body['steps']} steps", call.body, resource="/v1/toy"))


def boom(call: Call):
    raise RuntimeError("secret of the inside")


def steps(run: Run):
    """Writes a line to the file for each step it really does, with the process that did it."""
    run.plan([(f"step {number}", 1 + number % 3) for number in range(run.input["steps"])])
    for number in range(run.input["steps"]):
        run.do(f"step {number}", lambda step, number=number: one(run, step, number))
    return {"steps": run.input["steps"]}


def one(run: Run, step, number):
    until = time.monotonic() + run.input.get("seconds", 0)
    while time.monotonic() < until:
        run.check()
        time.sleep(0.01)
    if number == run.input.get("fail_at") and run.attempt == 1:
        raise WorkFailed(f"step {number} cannot be done; resume the job")
    step.tell(f"did {number}", 50)
    if run.input.get("file"):
        with Path(run.input["file"]).open("a") as file:
            file.write(f"{number} {os.getpid()}\n")
    return number


def tidied(run: Run):
    if run.input.get("file"):
        with Path(run.input["file"]).open("a") as file:
            file.write("tidied\n")


def stubborn(run: Run):
    """Does not look whether it should end."""
    time.sleep(run.input["seconds"])


ROUTES = complete((
    Route("GET", "/v1/notes", list_notes, "note:list", "Notes", query=paging.query(SORT), answer=page_of("notes", ref("Note")),
          also=["/1/note_list"]),
    Route("POST", "/v1/notes", create, "note:create", "A new note", "member", body=NOTE, status=201, answer=ref("Note")),
    Route("GET", "/v1/notes/<id>", get, "note:get", "One note", answer=ref("Note")),
    Route("PUT", "/v1/notes/<id>", update, "note:update", "Change it", "member", body=NOTE, answer=ref("Note"), matches=True),
    Route("DELETE", "/v1/notes/<id>", delete, "note:delete", "Delete it", "member", status=204, matches=True),
    Route("POST", "/v1/steps", start, "steps", "A job of so many steps", "member", body=JOB, status=202, answer=ref("Job")),
    Route("POST", "/v1/boom", boom, "boom", "Fails", "member"),
), "toy")  # fmt: skip
SERVICE = Service(
    name="toy", title="Toy", version="1", port=0, routes=ROUTES, migrations="tests.api:toy_migrations",
    schemas={**routes.SCHEMAS, "Note": {"type": "object"}},
    works={"toy.steps": Work(steps, cancelled=tidied), "toy.stubborn": Work(stubborn, timeout=1)},
    quotas={"notes": Quota(1000, lambda session, project: session.scalar(
        sa.select(sa.func.count()).where(Note.project_id == project)), "Notes.")},
)  # fmt: skip
