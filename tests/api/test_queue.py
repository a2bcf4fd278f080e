"""How workers hear of work over RabbitMQ: what is configured, and that nobody waits for a RabbitMQ that is away."""

import threading
import time

import pytest

from cloudos.eden import config
from cloudos.eden.jobs import queue, worker
from tests.api import kit, toy

AWAY = {"backend": "celery", "broker_url": "amqp://guest:guest@127.0.0.1:1//"}


@pytest.mark.parametrize(("text", "urls"), [
    ("amqp://u:p@one:5672/v", "amqp://u:p@one:5672/v"),
    ("amqp://u:p@one/v;amqp://u:p@two/v", ["amqp://u:p@one/v", "amqp://u:p@two/v"]),
    ("rabbit://u:p@one:5671,u:p@two:5671/", ["amqp://u:p@one:5671/", "amqp://u:p@two:5671/"]),
    ("rabbit://u:p@one:5671/cloud?ssl=1", ["amqp://u:p@one:5671/cloud"]),
])  # fmt: skip
def test_addresses_of_oslo_messaging_are_understood(text, urls):
    assert queue.broker_url(text) == urls


def test_celery_loses_nothing(tmp_path):
    conf = config.load(toy.SERVICE, [str(kit.write_conf(tmp_path, jobs={**AWAY, "broker_ca": "/etc/ca.pem"}))])
    app = queue.celery("toy.jobs", conf)
    assert app.conf.task_acks_late and app.conf.task_reject_on_worker_lost
    assert app.conf.task_queues[0].queue_arguments == {"x-queue-type": "quorum"} and app.conf.task_queues[0].durable
    assert app.conf.broker_use_ssl["ca_certs"] == "/etc/ca.pem"


def test_celery_wants_an_address(tmp_path):
    conf = config.load(toy.SERVICE, [str(kit.write_conf(tmp_path, jobs={"backend": "celery"}))])
    with pytest.raises(ValueError, match="broker_url: amqp://"):
        queue.make(toy.SERVICE, conf)


@pytest.mark.parametrize("served", [{"jobs": AWAY}], indirect=True)
def test_submissions_go_on_without_rabbitmq(served):
    ann = served.as_()
    began = time.monotonic()
    jobs = [ann.post("/v1/steps", json={"steps": 1}) for _ in range(3)]
    assert [job.status_code for job in jobs] == [202] * 3 and time.monotonic() - began < 10
    served.work()
    assert served.ended(ann, jobs[2].json()["id"])["state"] == "succeeded"


def test_one_hint_makes_a_slot_work_until_nothing_waits(served):
    ann = served.as_()
    jobs = [ann.post("/v1/steps", json={"steps": 1}).json()["id"] for _ in range(3)]
    worker.work_on(served.app.runtime, "here", threading.Event())
    assert [served.ended(ann, job)["state"] for job in jobs] == ["succeeded"] * 3


def test_a_worker_that_stops_begins_no_further_job(served):
    ann, stopping = served.as_(), threading.Event()
    job = ann.post("/v1/steps", json={"steps": 1}).json()["id"]
    stopping.set()
    worker.work_on(served.app.runtime, "here", stopping)
    assert ann.get(f"/v1/jobs/{job}").json()["state"] == "initiated"


def test_a_hint_is_not_held_for_ever(served, monkeypatch):
    hints = []
    monkeypatch.setattr(served.app.runtime.queue, "hint", hints.append)
    monkeypatch.setattr(worker, "HOLD", -1)
    ann = served.as_()
    jobs = [ann.post("/v1/steps", json={"steps": 1}).json()["id"] for _ in range(2)]
    hints.clear()
    worker.work_on(served.app.runtime, "here", threading.Event())
    assert hints == [1] and ann.get(f"/v1/jobs/{jobs[1]}").json()["state"] == "initiated"


def test_hints_end_and_acknowledgements_do_not_wait(tmp_path, monkeypatch):
    conf = config.load(toy.SERVICE, [str(kit.write_conf(tmp_path, jobs=AWAY))])
    broker, sent = queue.make(toy.SERVICE, conf), []
    monkeypatch.setattr(broker.celery, "send_task", lambda *_, **options: sent.append(options))
    broker.hint(2)
    assert [one["expiration"] for one in sent] == [conf.jobs.lease] * 2
    assert queue.Prompt in broker.celery.steps["consumer"] and broker.celery.conf.broker_channel_error_retry
