"""Real ansible-playbook: what a run leaves behind, what a person sees, and what neither contains."""

import signal
import time
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from cloudos.runs import history
from cloudos.runs.cli import runs
from cloudos.runs.start import start
from cloudos.secrets import Store

PLAYBOOK = """
- name: Toy
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy:
        content: "{{ content | default('one') }}\\n"
        dest: "{{ inventory_dir }}/../file"
        mode: "0600"
    - name: Skip
      ansible.builtin.debug: {msg: never}
      when: false
    - name: Wait
      ansible.builtin.command: {argv: [sleep, "{{ wait | default(0) }}"]}
      changed_when: false
    - name: Fail
      ansible.builtin.fail: {msg: no way}
      when: fail is defined
"""


def last(ansible):
    (ansible.home / "clouds").mkdir(parents=True, exist_ok=True)
    return history.runs("toy")[0]


def test_record_of_a_good_run(ansible):
    done = ansible.run(PLAYBOOK, "--diff")
    assert done.returncode == 0, done.stdout
    record = last(ansible)
    events = list(history.events("toy", record["id"]))
    assert (record["outcome"], record["exit_code"], record["playbook"]) == ("ok", 0, "site")
    assert record["hosts"] == {"ctl1": {"executed": 2, "changed": 1, "failed": 0}}
    assert [task["task"] for task in record["tasks"]] == ["Write a file", "Skip", "Wait", "Fail"]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    result = next(event for event in events if event["kind"] == "result")
    assert (result["host"], result["outcome"], result["changed"]) == ("ctl1", "ok", True)
    assert result["diff"][0]["after"] == "one\n"
    assert "+one" in done.stdout
    assert "tasks=2 changed=1 failed=0 skipped=2" in done.stdout


def test_record_of_a_failed_run(ansible):
    done = ansible.run(PLAYBOOK, "-e", "fail=1")
    assert done.returncode == 2
    assert (last(ansible)["outcome"], last(ansible)["exit_code"]) == ("failed", 2)
    shown = CliRunner().invoke(runs, ["--cloud", "toy", "last"]).output
    assert "failed on ctl1 in Toy: Fail" in shown
    assert "no way" in shown


def test_progress_is_judged_by_earlier_runs(ansible):
    assert "%" not in ansible.run(PLAYBOOK, "-e", "wait=0.5").stdout
    second = ansible.run(PLAYBOOK, "-e", "wait=0.5").stdout
    assert "  0%   0:00" in second
    where = history.progress("toy", last(ansible)["id"])
    assert where["task"] == "Fail"
    assert 80 <= where["percent"] <= 99


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_run_is_told_and_does_not_keep_the_lock(ansible, how):
    process = ansible.start(PLAYBOOK, "-e", "wait=30")
    until(lambda: '"task": "Wait"' in events_text(ansible))
    process.send_signal(how)
    process.communicate(timeout=30)
    assert last(ansible)["outcome"] == "interrupted"
    assert ansible.run(PLAYBOOK).returncode == 0
    assert [record["outcome"] for record in history.runs("toy")] == ["ok", "interrupted"]
    assert not (ansible.cloud / "lock").exists()


def test_second_lifecycle_run_is_refused(ansible):
    first = ansible.start(PLAYBOOK, "-e", "wait=4", name="site")
    until(lambda: (ansible.cloud / "lock").exists())
    refused = ansible.run(PLAYBOOK, name="patch")
    checked = ansible.run(PLAYBOOK, "--check", name="patch")
    other = ansible.run(PLAYBOOK, name="verify")
    first.communicate(timeout=30)
    assert refused.returncode == 75
    assert "has been running site on cloud toy since" in refused.stdout
    assert str(first.pid) in refused.stdout
    assert [checked.returncode, other.returncode, first.returncode] == [0, 0, 0]
    assert {record["playbook"] for record in history.runs("toy")} == {"site", "patch", "verify"}
    assert ansible.run(PLAYBOOK, name="patch").returncode == 0


def test_lifecycle_playbook_needs_a_cloud(ansible):
    ansible.inventory = "ctl1,"
    done = ansible.run(PLAYBOOK)
    assert done.returncode == 75
    assert "site needs a cloud" in done.stdout


def test_newest_fifty_are_kept(ansible):
    for number in range(60):
        old = ansible.cloud / "runs" / f"20200101-0000{number:02d}-site-1"
        old.mkdir(parents=True)
    ansible.run(PLAYBOOK)
    kept = sorted(path.name for path in (ansible.cloud / "runs").iterdir())
    assert len(kept) == 50
    assert kept[0] == "20200101-000011-site-1"


def test_no_secret_reaches_a_record(ansible):
    """Even of a module that returns one in a difference: the record masks what the store knows."""
    names = [{"name": "database/nova", "kind": "password"}]
    Store("toy").ensure(names, datetime.now(UTC))
    value = Store("toy").values(["database/nova"])["database/nova"]
    ansible.run(PLAYBOOK, "--diff", "-e", f"content={value}")
    recorded = "".join(path.read_text() for path in (ansible.cloud / "runs").rglob("*") if path.is_file())
    assert value not in recorded
    assert "${secret:database/nova}" in recorded


def test_started_from_python(ansible, monkeypatch):
    for key in ("HOME", "PYTHONPATH"):
        monkeypatch.setenv(key, ansible.environment[key])
    path = ansible.command(PLAYBOOK)[3]
    run = start(path, ansible.inventory, extra_vars={"content": "two"})
    try:
        assert run.wait(60) == 0, run.output()
        assert history.load("toy", run.id)["outcome"] == "ok"
        assert next(event["kind"] for event in run.events(after=1)) == "task"
        assert (ansible.directory / "file").read_text() == "two\n"
    finally:
        run.close()


def test_cancelled_from_python(ansible, monkeypatch):
    for key in ("HOME", "PYTHONPATH"):
        monkeypatch.setenv(key, ansible.environment[key])
    run = start(ansible.command(PLAYBOOK)[3], ansible.inventory, extra_vars={"wait": 30})
    until(lambda: '"task": "Wait"' in events_text(ansible))
    run.cancel()
    assert run.wait(30) != 0
    run.close()
    assert history.load("toy", run.id)["outcome"] == "interrupted"


def events_text(ansible):
    return "".join(path.read_text() for path in ansible.cloud.glob("runs/*/events.jsonl"))


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
