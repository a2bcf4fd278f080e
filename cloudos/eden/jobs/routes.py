"""The routes of jobs: list, one, events (by GET, or as a stream), cancel, retry, resume; and the original's paths."""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from cloudos.eden import paging
from cloudos.eden.call import Call
from cloudos.eden.db import shown
from cloudos.eden.jobs import states
from cloudos.eden.models import Event, Job, Task
from cloudos.eden.problems import NotFound, Unavailable
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import JSON, Answer, Route, page_of, ref

STREAM = "text/event-stream"
SORT = {"created_at": Job.created_at, "number": Job.number, "state": Job.state, "name": Job.name}
QUERY = {
    **paging.query(SORT), "state": {"type": "string", "enum": list(states.ALL)}, "kind": {"type": "string", "maxLength": 64},
    "resource": {"type": "string", "maxLength": 255}, "all_projects": {"type": "boolean"},
}  # fmt: skip
AFTER = {"after": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "description": "Only events behind this number."},
         "limit": {"type": "integer", "minimum": 1, "maximum": 1000}}  # fmt: skip
TIME, TEXT = {"type": ["string", "null"]}, {"type": ["string", "null"]}
SCHEMAS = {
    "Task": {"type": "object", "required": ["name", "state", "progress"], "properties": {
        "name": {"type": "string"}, "state": {"enum": list(states.ALL)}, "progress": {"type": "number"}, "status": TEXT,
        "started_at": TIME, "ended_at": TIME}},
    "Job": {"type": "object", "required": ["id", "kind", "name", "state", "progress"], "properties": {
        "id": {"type": "string"}, "kind": {"type": "string"}, "name": {"type": "string"}, "state": {"enum": list(states.ALL)},
        "progress": {"type": "integer", "minimum": 0, "maximum": 100}, "position": {"type": ["integer", "null"]},
        "resource": TEXT, "error": TEXT, "created_at": TIME, "started_at": TIME, "ended_at": TIME,
        "tasks": {"type": "array", "items": ref("Task")}}},
    "Event": {"type": "object", "required": ["number", "time", "kind"], "properties": {
        "number": {"type": "integer"}, "time": TIME, "kind": {"type": "string"}, "facts": {"type": "object"}}},
}  # fmt: skip


def show(call: Call, job: Job, queued: list[int] | None = None) -> dict:
    """A job with its tasks, as JSON. queued: the numbers of all queued jobs in order, where many are shown."""
    position = call.runtime.jobs.position(call.session, job) if queued is None else places(queued, job)
    return {
        "id": job.id, "kind": job.kind, "name": job.name, "state": job.state, "progress": percent(job),
        "position": position, "resource": job.resource, "result": job.result,
        "error": job.error, "attempt": job.attempt, "user_id": job.user_id, "project_id": job.project_id,
        "worker": job.worker, "created_at": shown(job.created_at), "started_at": shown(job.started_at),
        "ended_at": shown(job.ended_at), "tasks": [_task(task) for task in job.tasks],
        "links": [{"rel": "self", "href": f"/v1/jobs/{job.id}"}, {"rel": "events", "href": f"/v1/jobs/{job.id}/events"}],
    }  # fmt: skip


def percent(job: Job) -> int:
    """The job's progress, from its tasks."""
    return states.progress(job.state, [(task.weight, task.progress) for task in job.tasks])


def places(queued: list[int], job: Job) -> int | None:
    """The job's place among the queued ones, counted from 1."""
    place = bisect.bisect_left(queued, job.number)
    return place + 1 if place < len(queued) and queued[place] == job.number else None


def accepted(call: Call, job: Job) -> Answer:
    """The answer of a handler that has submitted a job."""
    return Answer(show(call, job), 202, {"Location": f"/v1/jobs/{job.id}"})


def _task(task: Task) -> dict:
    return {"name": task.name, "state": task.state, "progress": task.progress, "status": task.status, "result": task.result,
            "started_at": shown(task.started_at), "ended_at": shown(task.ended_at)}  # fmt: skip


def find(call: Call) -> Job:
    """The job of the path, if it is of the caller's project; administrators see all."""
    job = call.session.scalar(sa.select(Job).where(Job.id == call.path["job_id"]))
    if job is None or not _of_project(call, job.project_id):
        raise NotFound(what="job", id=call.path["job_id"], list="/v1/jobs")
    call.audit["target"] = f"job/{job.id}"
    return job


def _of_project(call: Call, project: str) -> bool:
    return project == call.context.project_id or call.guard.may("admin")


def own(call: Call) -> Job:
    """The job of the path, if the caller may end or repeat it: its owner, an architect of the project, an administrator."""
    job = find(call)
    call.guard.demand("eden:change", {"scope": "public-project" if call.guard.may("architect") else "private-project",
                                      "user_id": job.user_id, "project_id": job.project_id})  # fmt: skip
    return job


def list_jobs(call: Call) -> dict:
    """Jobs of the caller's project, newest first."""
    queued = call.runtime.jobs.queued(call.session)
    return call.page("jobs", _listed(call), SORT, Job, lambda job: show(call, job, queued), default="number:desc")


def _listed(call: Call) -> sa.Select:
    statement = sa.select(Job).options(selectinload(Job.tasks))
    if not (call.query.get("all_projects") and call.guard.may("admin")):
        statement = statement.where(Job.project_id == call.path.get("project_id", call.context.project_id))
    for name in ("state", "kind", "resource"):
        if name in call.query:
            statement = statement.where(getattr(Job, name) == call.query[name])
    return statement


def get_job(call: Call) -> dict:
    """One job."""
    return show(call, find(call))


def cancel(call: Call) -> Answer:
    """Ask for its end."""
    job = own(call)
    call.runtime.jobs.cancel(call.session, job, call.context.user_id)
    return accepted(call, job)


def retry(call: Call) -> Answer:
    """Once more from the beginning."""
    return _again(call, keep=False)


def resume(call: Call) -> Answer:
    """Once more, behind the tasks that have succeeded."""
    return _again(call, keep=True)


def _again(call: Call, keep: bool) -> Answer:
    job = own(call)
    call.runtime.jobs.again(call.session, job, call.context.user_id, keep)
    call.after.append(lambda: call.runtime.queue.hint(1))
    return accepted(call, job)


def events(call: Call) -> Answer:
    """What happened in a job; as a stream to those who accept one."""
    job = find(call)
    after = call.query.get("after", 0)
    if call.accepts != STREAM:
        limit = call.query.get("limit", 1000)
        return Answer({"events": [_event(event) for event in _after(call.session, job.id, after, limit)], "state": job.state})
    last = call.last_event or ""
    start = int(last) if last.isascii() and last.isdecimal() and len(last) < 10 else after
    return Answer(stream(call.runtime, job.id, start), media=STREAM, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-cache"})


def _after(session: sa.orm.Session, job: str, after: int, limit: int) -> list[Event]:
    return list(session.scalars(sa.select(Event).where(Event.job_id == job, Event.number > after).order_by(Event.number).limit(limit)))


def _event(event: Event) -> dict:
    return {"number": event.number, "time": shown(event.time), "kind": event.kind, "facts": event.facts}


def stream(runtime: Runtime, job: str, after: int) -> Iterator[bytes]:
    """Server-sent events until the job has ended or the stream's time is over; ids are the events' numbers. Raises Unavailable."""
    if not runtime.streams.acquire(blocking=False):
        raise Unavailable(headers={"Retry-After": "2"}, reason=f"{runtime.conf.api.streams} streams are open.", seconds=2)
    return Stream(_sent(runtime, job, after), runtime.streams)


class Stream:
    """An iterator that gives its place back when it is closed, whether it was begun or not."""

    def __init__(self, sent: Iterator[bytes], places: threading.BoundedSemaphore):
        self._sent, self._places, self._closed = sent, places, False

    def __iter__(self) -> Iterator[bytes]:
        return self._sent

    def close(self) -> None:
        """The reader is gone, or has all."""
        if not self._closed:
            self._closed = True
            self._places.release()


def _sent(runtime: Runtime, job: str, after: int) -> Iterator[bytes]:
    until, quiet = time.monotonic() + runtime.conf.api.stream_seconds, 0.0
    yield b"retry: 1000\n\n"
    while time.monotonic() < until:
        with runtime.db.session(reading=True) as session:
            state = session.scalar(sa.select(Job.state).where(Job.id == job))
            found = _after(session, job, after, 500)
        for event in found:
            after = event.number
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(_event(event))}\n\n".encode()
        if not found and (state is None or state in states.FINAL):
            return
        quiet = 0 if found else quiet + 0.5
        if quiet >= 10:
            quiet = 0
            yield b": still here\n\n"
        time.sleep(0 if found else 0.5)


def original_list(call: Call) -> dict:
    """As the original named it; another project's list is there for administrators."""
    if not _of_project(call, call.path["project_id"]):
        raise NotFound(what="job list of project", id=call.path["project_id"], list=f"/eden/1/{call.context.project_id}/job_list")
    return call.page("job_list", _listed(call), SORT, Job, lambda job: _original(job), default="number:desc")


def original_one(call: Call) -> dict:
    """As the original named it."""
    job = find(call)
    if job.project_id != call.path["project_id"]:
        raise NotFound(what="job", id=job.id, list=f"/eden/1/{call.context.project_id}/job_list")
    return _original(job)


def _original(job: Job) -> dict:
    """The original's fields of a job and its tasks."""
    return {
        "id": job.id, "name": job.name, "description": job.description, "owner": job.user_id, "tenantId": job.project_id,
        "servicetype": job.kind.partition(".")[0], "state": job.state, "progress": percent(job), "starttime": shown(job.started_at),
        "endtime": shown(job.ended_at), "resourceuri": job.resource, "result": job.error or job.result,
        "uri": f"/eden/1/{job.project_id}/job_list/{job.id}", "task": [
            {"id": f"{job.id}-{task.position}", "name": task.name, "state": task.state, "progress": task.progress,
             "isActive": task.state == states.STARTED, "starttime": shown(task.started_at), "endtime": shown(task.ended_at),
             "taskStatus": task.status} for task in job.tasks],
    }  # fmt: skip


ROUTES = (
    Route("GET", "/v1/jobs", list_jobs, "job:list", "Jobs of the project, newest first", query=QUERY, answer=page_of("jobs", ref("Job")),
          tag="jobs"),
    Route("GET", "/v1/jobs/<job_id>", get_job, "job:get", "One job with its tasks", answer=ref("Job"), tag="jobs"),
    Route("GET", "/v1/jobs/<job_id>/events", events, "job:events", "What happened in a job; as a stream with Accept: text/event-stream",
          query=AFTER, gives=(JSON, STREAM), answer={"type": "object", "properties": {"events": {"type": "array", "items": ref("Event")}}},
          tag="jobs"),
    Route("POST", "/v1/jobs/<job_id>/cancel", cancel, "job:cancel", "End a job", "member", status=202, answer=ref("Job"), tag="jobs"),
    Route("POST", "/v1/jobs/<job_id>/retry", retry, "job:retry", "Do an ended job again, from the beginning", "member", status=202,
          answer=ref("Job"), tag="jobs"),
    Route("POST", "/v1/jobs/<job_id>/resume", resume, "job:resume", "Do an ended job again, from where it failed", "member", status=202,
          answer=ref("Job"), tag="jobs"),
    Route("GET", "/eden/1/<project_id>/job_list", original_list, "job:list", "Jobs, as the original named them", query=QUERY,
          answer=page_of("job_list", {"type": "object"}), tag="original"),
    Route("GET", "/eden/1/<project_id>/job_list/<job_id>", original_one, "job:get", "A job, as the original named it",
          answer={"type": "object"}, tag="original"),
)  # fmt: skip
