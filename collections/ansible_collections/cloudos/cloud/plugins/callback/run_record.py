"""Callback: records runs and holds the lock of the cloud. What is written, and how, is in `cloudos.runs`."""

from __future__ import annotations

import atexit
import os
import signal
import time
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

from cloudos.runs.lock import Lock, Locked
from cloudos.runs.record import Record, new_id

DOCUMENTATION = r"""
name: run_record
type: notification
short_description: Records every run of a playbook and lets one lifecycle run at a time touch a cloud
description:
  - Writes C(run.json), C(events.jsonl) and C(progress.json) below C(CLOUDOS_HOME/clouds/<cloud>/runs/<id>/).
  - The id is taken from environment variable C(CLOUDOS_RUN_ID), or made from time, playbook and process.
  - Tasks that keep something with the record find its directory in environment variable C(CLOUDOS_RUN_DIRECTORY).
  - Playbooks named in O(lifecycle) own the cloud while they run, except in check mode;
    another one is refused with exit code 75, as is one without the inventory of a cloud.
options:
  lifecycle:
    description: Names of the playbooks, without suffix, that change a cloud.
    type: list
    elements: str
    default: [site, patch, upgrade, rollback, remove_node, rotate_keys, backup, restore, lab, destroy]
    ini: [{section: run_record, key: lifecycle}]
    env: [{name: CLOUDOS_LIFECYCLE}]
requirements:
  - the Python package cloudos, and callbacks_enabled = cloudos.cloud.run_record
"""

REFUSED = 75  # EX_TEMPFAIL of sysexits.h: nothing was done, try again later


class CallbackModule(CallbackBase):
    """One record per playbook file; the lock is held until the process ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "cloudos.cloud.run_record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self._record = None
        self._playbook = None
        self._lock = None
        self._began = {}
        self._pid = os.getpid()
        atexit.register(self._at_exit)

    def v2_playbook_on_start(self, playbook):
        self._playbook = Path(playbook._file_name).stem

    def v2_playbook_on_play_start(self, play):
        self._play = play.get_name().strip()
        if self._record:
            return
        cloud = cloud_of(play)
        check = bool(context.CLIARGS.get("check"))
        run = os.environ.get("CLOUDOS_RUN_ID") or new_id(self._playbook)
        if self._playbook in self.get_option("lifecycle"):
            self._own(cloud, run, check)
        inventory = list(context.CLIARGS.get("inventory") or [])
        self._record = Record(cloud, self._playbook, inventory, check, run, context.CLIARGS["tags"])
        os.environ["CLOUDOS_RUN_DIRECTORY"] = str(self._record.path)

    def _own(self, cloud, run, check):
        if cloud is None:
            command = f"ansible-playbook -i inventory/<cloud> playbooks/{self._playbook}.yml"
            self._refuse(f"{self._playbook} needs a cloud: {command}")
        if check:
            return
        self._lock = Lock(cloud)
        try:
            self._lock.take(self._playbook, run)
        except Locked as owned:
            self._refuse(str(owned))

    def _refuse(self, reason):
        """End the process: what a callback raises otherwise is only a warning to Ansible."""
        self._display.error(reason)
        raise SystemExit(REFUSED)

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._began = {}
        self._record.task(self._play, task.get_name().strip())

    v2_playbook_on_cleanup_task_start = v2_playbook_on_task_start

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_start(self, host, task):
        self._began[host.get_name()] = time.monotonic()

    def v2_runner_on_ok(self, result):
        if digest := result.result.get("plan_digest"):
            self._record.plan(digest)
        self._result(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self._result(result, "unreachable")

    def v2_runner_on_skipped(self, result):
        self._result(result, "skipped")

    def v2_playbook_on_stats(self, stats):
        """The exit code is the one that Ansible derives from the same numbers."""
        if not self._record:
            return
        failed = any(stats.summarize(host)["failures"] for host in stats.processed)
        away = any(stats.summarize(host)["unreachable"] for host in stats.processed)
        code = 2 if failed else 4 if away else 0
        self._record.end("ok" if code == 0 else "failed", code)
        self._record = None

    def _result(self, result, outcome):
        host = result.host.get_name()
        began = self._began.get(host, time.monotonic())
        changed = outcome == "ok" and result.is_changed()
        self._record.result(host, outcome, changed, time.monotonic() - began, details(result.result, outcome))

    def _at_exit(self):
        """A run that ends without statistics was ended by a signal or by an error in the playbook itself."""
        if os.getpid() != self._pid:
            return
        if self._record:
            interrupted = signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # Ansible resets it when it is interrupted
            self._record.end("interrupted" if interrupted else "failed", 99 if interrupted else 1)
        if self._lock:
            self._lock.release()


def cloud_of(play):
    """Name of the cloud whose inventory the play uses, or None."""
    inventory = play.get_variable_manager()._inventory
    value = inventory.groups["all"].vars.get("cloudos_cloud")
    return str(value) if value else None


def details(result, outcome):
    """What of a module's result is recorded; everything else stays out, whatever a module returns."""
    kept = {}
    if outcome in ("failed", "unreachable", "ignored"):
        kept["message"] = result.get("msg") or result.get("censored")
        kept["failure"] = result.get("failure")
    if result.get("changed") and result.get("diff"):
        kept["diff"] = result["diff"]
    return {key: value for key, value in kept.items() if value}
