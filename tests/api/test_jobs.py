"""Jobs with real worker processes: queued, killed, taken over, cancelled, resumed, watched, told."""

import datetime
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from oslo_context.context import RequestContext

from cloudos.eden.db import now
from cloudos.eden.jobs.run import Run
from cloudos.eden.jobs.store import LostLease
from cloudos.eden.jobs.worker import work_once
from cloudos.eden.models import Job
from tests.api import kit

ANN = RequestContext(user_id="ann", project_id="p1", roles=["member"])


@pytest.fixture
def ann(served):
    return served.as_()


@pytest.fixture
def runtime(served):
    return served.app.runtime


def start(caller, **input):
    made = caller.post("/v1/steps", json=input)
    assert made.status_code == 202, made.text
    return made.json()["id"]


def done(served, caller, job):
    served.work()
    return caller.get(f"/v1/jobs/{job}").json()


def events(caller, job):
    return caller.get(f"/v1/jobs/{job}/events").json()["events"]


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def change(runtime, job, **values):
    with runtime.db.session() as session:
        session.execute(sa.update(Job).where(Job.id == job).values(**values))


def test_a_killed_workers_job_is_taken_over_and_goes_on(served, ann, tmp_path):
    file = tmp_path / "done"
    workers = {str(worker.pid): worker for worker in (served.worker(), served.worker())}
    job = start(ann, steps=8, seconds=0.25, file=str(file))
    kit.until(lambda: len(lines(file)) >= 3)
    workers[ann.get(f"/v1/jobs/{job}").json()["worker"].rpartition("-")[2]].send_signal(signal.SIGKILL)
    ended = served.ended(ann, job)
    assert (ended["state"], ended["progress"], ended["attempt"]) == ("succeeded", 100, 1)
    numbers = [int(line.split()[0]) for line in lines(file)]
    assert sorted(set(numbers)) == list(range(8)) and len(numbers) <= 9, "only the step that was cut off may be done twice"
    assert len({line.split()[1] for line in lines(file)}) == 2
    told = events(ann, job)
    assert [event["number"] for event in told] == list(range(1, len(told) + 1))
    assert [event["kind"] for event in told if event["kind"] != "task"] == ["submitted", "started", "taken-over", "ended"]


def test_a_hundred_at_once_are_queued_with_their_positions(served, ann):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: served.as_().post("/v1/steps", json={"steps": 1}), range(100)))
    assert [answer.status_code for answer in answers] == [202] * 100
    listed = ann.get("/v1/jobs?limit=200").json()["jobs"]
    assert sorted(job["position"] for job in listed) == list(range(1, 101))
    served.worker()
    kit.until(lambda: not ann.get("/v1/jobs?state=initiated").json()["jobs"] and not ann.get("/v1/jobs?state=started").json()["jobs"], 60)
    assert {job["state"] for job in ann.get("/v1/jobs?limit=200").json()["jobs"]} == {"succeeded"}


def test_failure_tells_why_and_resume_does_the_rest(served, ann, tmp_path):
    file = tmp_path / "done"
    job = start(ann, steps=5, fail_at=3, file=str(file))
    ended = done(served, ann, job)
    assert (ended["state"], ended["error"]) == ("failed", "step 3 cannot be done; resume the job")
    assert [task["state"] for task in ended["tasks"]] == ["succeeded"] * 3 + ["failed", "initiated"]
    assert 0 < ended["progress"] < 100
    assert ann.post(f"/v1/jobs/{job}/resume").json()["state"] == "initiated"
    ended = done(served, ann, job)
    assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 2, None)
    assert [line.split()[0] for line in lines(file)] == ["0", "1", "2", "3", "4"]
    refused = ann.post(f"/v1/jobs/{job}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "job.state")


def test_retry_begins_anew(served, ann, tmp_path):
    file = tmp_path / "done"
    job = start(ann, steps=3, fail_at=2, file=str(file))
    done(served, ann, job)
    ann.post(f"/v1/jobs/{job}/retry")
    assert done(served, ann, job)["state"] == "succeeded"
    assert [line.split()[0] for line in lines(file)] == ["0", "1", "0", "1", "2"]


def test_cancel_of_a_running_job_tidies_up(served, ann, tmp_path):
    file = tmp_path / "done"
    job = start(ann, steps=100, seconds=0.1, file=str(file))
    threading.Thread(target=served.work).start()
    kit.until(lambda: len(lines(file)) >= 2)
    assert ann.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancel-initiated"
    assert served.ended(ann, job)["state"] == "cancel-succeeded"
    assert lines(file)[-1] == "tidied"
    assert ann.post(f"/v1/jobs/{job}/cancel").json()["code"] == "job.state"


def test_cancel_of_a_queued_job_ends_it_at_once(ann):
    job = start(ann, steps=1)
    assert ann.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancel-succeeded"


def test_cancel_of_a_dead_workers_job_is_done_by_another(runtime, ann, tmp_path):
    job = start(ann, steps=2, file=str(tmp_path / "done"))
    runtime.jobs.claim("one that dies")
    ann.post(f"/v1/jobs/{job}/cancel")
    change(runtime, job, leased_until=now() - datetime.timedelta(seconds=1))
    assert work_once(runtime, "another")
    assert ann.get(f"/v1/jobs/{job}").json()["state"] == "cancel-succeeded"
    assert lines(tmp_path / "done") == ["tidied"]


def test_a_worker_that_lost_its_lease_writes_nothing(runtime, ann):
    job = start(ann, steps=1)
    slow = Run(runtime, runtime.jobs.claim("slow"))
    change(runtime, job, leased_until=now() - datetime.timedelta(seconds=1))
    assert work_once(runtime, "quick")
    told = events(ann, job)
    with pytest.raises(LostLease):
        slow.event("late")
    slow.perform()
    assert slow.lost and events(ann, job) == told and ann.get(f"/v1/jobs/{job}").json()["state"] == "succeeded"


def test_only_one_of_many_workers_gets_a_job(runtime, ann):
    for _ in range(5):
        start(ann, steps=1)
    together = threading.Barrier(10)

    def claim(number):
        together.wait()
        return runtime.jobs.claim(f"worker {number}")

    with ThreadPoolExecutor(10) as pool:
        leases = [lease.number for lease in pool.map(claim, range(10)) if lease]
    assert len(leases) == len(set(leases)) == 5


@pytest.mark.parametrize("served", [{"jobs": {"attempts": 3}}], indirect=True)
def test_a_job_that_kills_its_workers_fails(runtime, ann):
    job = start(ann, steps=1)
    for _ in range(3):
        assert runtime.jobs.claim("victim")
        change(runtime, job, leased_until=now() - datetime.timedelta(seconds=1))
    assert runtime.jobs.claim("next") is None
    ended = ann.get(f"/v1/jobs/{job}").json()
    assert (ended["state"], ended["error"]) == ("failed", "3 workers died of it; see their logs, then resume it.")


def test_watchdog_ends_what_waits_or_takes_too_long(runtime, ann):
    waits, runs = start(ann, steps=1), start(ann, steps=1)
    change(runtime, waits, queued_at=now() - datetime.timedelta(days=2))
    runtime.jobs.watch()
    assert "start workers" in ann.get(f"/v1/jobs/{waits}").json()["error"]
    late = now() - datetime.timedelta(seconds=1)
    lease = runtime.jobs.claim("hangs")
    change(runtime, runs, deadline=late)
    runtime.jobs.watch()
    assert ann.get(f"/v1/jobs/{runs}").json()["state"] == "cancel-initiated"
    change(runtime, runs, deadline=late)
    runtime.jobs.watch()
    assert ann.get(f"/v1/jobs/{runs}").json()["state"] == "cancel-failed"
    with pytest.raises(LostLease):
        runtime.jobs.beat(lease)


def test_watchdog_repeats_hints_that_nobody_heard(runtime, ann):
    jobs = [start(ann, steps=1) for _ in range(25)]
    assert runtime.jobs.watch() == 0
    for job in jobs:
        change(runtime, job, hinted_at=now() - datetime.timedelta(minutes=1))
    assert (runtime.jobs.watch(), runtime.jobs.watch(), runtime.jobs.watch()) == (20, 5, 0)


def test_stream_gives_events_as_they_come_and_goes_on_after_a_break(served, ann):
    job = start(ann, steps=3, seconds=0.2)
    with ann.get(f"/v1/jobs/{job}/events", headers={"Accept": "text/event-stream"}, stream=True) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        threading.Thread(target=served.work).start()
        blocks = stream.raw.read().decode().split("\n\n")
    data = [json.loads(line[6:]) for block in blocks for line in block.splitlines() if line.startswith("data: ")]
    assert data == events(ann, job) and data[-1]["facts"]["state"] == "succeeded"
    rest = ann.get(f"/v1/jobs/{job}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": str(len(data) - 2)})
    assert [line for line in rest.text.splitlines() if line.startswith("id: ")] == [f"id: {len(data) - 1}", f"id: {len(data)}"]


@pytest.mark.parametrize("served", [{"api": {"streams": 1}}], indirect=True)
def test_streams_are_counted_and_given_back(ann, served):
    job = start(ann, steps=1)
    path, accept = f"/v1/jobs/{job}/events", {"Accept": "text/event-stream"}
    with ann.get(path, headers=accept, stream=True) as stream:
        assert stream.raw.readline()
        refused = served.as_().get(path, headers=accept)
        assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "unavailable", "2")
        ann.post(f"/v1/jobs/{job}/cancel")
        stream.raw.read()
    kit.until(lambda: served.as_().get(path, headers=accept).status_code == 200)


def test_originals_paths_tell_the_originals_fields(served, ann):
    job = start(ann, steps=2)
    done(served, ann, job)
    found = ann.get(f"/eden/1/p1/job_list/{job}").json()
    assert set(found) == {"id", "name", "description", "owner", "tenantId", "servicetype", "state", "progress", "starttime", "endtime",
                          "resourceuri", "result", "uri", "task"}  # fmt: skip
    assert set(found["task"][0]) == {"id", "name", "state", "progress", "isActive", "starttime", "endtime", "taskStatus"}
    assert (found["state"], found["progress"], found["task"][1]["taskStatus"]) == ("succeeded", 100, "did 1")
    assert ann.get("/eden/1/p1/job_list").json()["job_list"] == [found]
    # The project in the path counts: another one's list is not there, and a job is in its own only.
    assert ann.get("/eden/1/p2/job_list").status_code == ann.get(f"/eden/1/p2/job_list/{job}").status_code == 404
    root = served.as_("root", "p0", "admin")
    assert root.get("/eden/1/p1/job_list").json()["job_list"] == [found]
    assert root.get("/eden/1/p0/job_list").json()["job_list"] == []


def test_a_worker_asked_to_stop_ends_its_job_first(served, ann):
    worker = served.worker()
    job = start(ann, steps=4, seconds=0.2)
    kit.until(lambda: ann.get(f"/v1/jobs/{job}").json()["state"] == "started")
    worker.terminate()
    assert worker.wait(20) == 0
    assert ann.get(f"/v1/jobs/{job}").json()["state"] == "succeeded"


def test_purge_forgets_what_ended_long_ago(runtime, ann):
    old, fresh = start(ann, steps=1), start(ann, steps=1)
    for job in (old, fresh):
        ann.post(f"/v1/jobs/{job}/cancel")
    change(runtime, old, ended_at=now() - datetime.timedelta(days=91))
    assert runtime.db.transact(runtime.jobs.purge) == 1
    assert [job["id"] for job in ann.get("/v1/jobs").json()["jobs"]] == [fresh]
