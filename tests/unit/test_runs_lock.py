"""The lock belongs to a living process, whatever its number was used for before or since."""

import json
import os
import subprocess
import sys
import time

import pytest

from cloudos import home
from cloudos.runs.lock import Lock, Locked, me, started

TAKE = """
import time; from cloudos.runs.lock import Lock
Lock('toy').take('site', 'r1'); print('mine', flush=True); time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUDOS_HOME", str(tmp_path))
    return Lock("toy")


@pytest.fixture
def other(lock):
    """Another process that owns the cloud."""
    process = subprocess.Popen([sys.executable, "-c", TAKE], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "mine\n"
    yield process
    process.kill()
    process.communicate()


def test_refusal_names_the_owner(lock, other):
    with pytest.raises(Locked, match=rf"running site on cloud toy since .* \(process {other.pid}, run r1\)"):
        lock.take("patch", "r2")
    lock.release()
    assert lock.owner()["pid"] == other.pid


def test_lock_of_a_killed_owner_is_taken_over(lock, other):
    other.kill()
    other.wait()
    lock.take("patch", "r2")
    assert lock.owner()["run"] == "r2"


def test_lock_of_a_process_number_used_again_is_taken_over(lock):
    stale = {**me(), "started": "another boot:1", "playbook": "site", "run": "r1", "since": "then"}
    home.write(lock.path, json.dumps(stale).encode())
    assert lock.owner() is None
    lock.take("patch", "r2")
    assert lock.owner()["pid"] == os.getpid()


def test_owner_on_another_host_counts_as_running(lock):
    away = {**me(), "host": "elsewhere", "pid": 1, "started": "x", "playbook": "site", "run": "r1", "since": "then"}
    home.write(lock.path, json.dumps(away).encode())
    with pytest.raises(Locked, match="on elsewhere"):
        lock.take("patch", "r2")


def test_again_by_the_owner_and_release(lock):
    lock.take("site", "r1")
    lock.take("verify", "r2")
    lock.release()
    assert not lock.path.exists()


def test_only_one_of_many_gets_it(lock):
    program = TAKE.replace("time.sleep(60)", "time.sleep(3)")
    command = [sys.executable, "-c", program]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(6)]
    outputs = [process.communicate()[0] for process in crowd]
    assert outputs.count(b"mine\n") == 1


def test_start_of_a_process():
    process = subprocess.Popen(["sleep", "60"])
    first = started(process.pid)
    time.sleep(0.05)
    assert started(process.pid) == first is not None
    process.kill()
    time.sleep(0.1)
    assert started(process.pid) is None  # a zombie
    process.wait()
    assert started(process.pid) is None
