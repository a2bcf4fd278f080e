"""Callback: what a person sees of a run. One line per task; changes, differences and failures below it."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from ansible import constants, context
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.cloudos.cloud.plugins.callback.run_record import cloud_of

from cloudos.runs import history
from cloudos.runs.progress import Progress, comparable

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: One line per task with percent, elapsed and remaining time
description:
  - Percent and remaining time come from earlier successful runs of the same playbook on the same cloud.
  - Failures of Cloud OS modules show node, service, unit, cause, last log lines and the next step.
  - At the end a table tells how long each step took that took a second or longer.
  - With C(-v) results are shown as by the default callback.
extends_documentation_fragment: [default_callback, result_format_callback]
"""


class CallbackModule(Default):
    """Ansible's default output with another banner, quiet successes and readable failures."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "cloudos.cloud.progress"

    def __init__(self):
        super().__init__()
        self._progress = None
        self._executed = {}
        self._starts = []
        self._began = time.monotonic()

    def v2_playbook_on_start(self, playbook):
        self._playbook = Path(playbook._file_name).stem
        self._began = time.monotonic()
        self._progress = None

    def v2_playbook_on_play_start(self, play):
        self._play = play
        if self._progress is None:
            earlier, arguments = history.runs(cloud_of(play)), context.CLIARGS
            self._progress = Progress(comparable(earlier, self._playbook, bool(arguments["check"]), arguments["tags"]))

    def _task_start(self, task, prefix=None):
        self._task_type_cache[task._uuid] = prefix
        self._last_task_name = task.get_name().strip()
        self._where = self._progress.start(self._play.get_name().strip(), self._last_task_name)
        self._starts.append((f"{self._where['play']}: {self._where['task']}", time.monotonic()))
        self._print_task_banner(task)

    def _print_task_banner(self, task):
        if self._last_task_banner == task._uuid:
            return
        self._last_task_banner = task._uuid
        check = " (check)" if task.check_mode else ""
        self._display.display(f"{times(self._where)}  {self._where['play']}: {self._where['task']}{check}")
        if self._display.verbosity >= 2:
            self._print_task_path(task)

    def v2_runner_on_ok(self, result):
        self._count(result)
        if self._display.verbosity or result.task.action in constants._ACTION_DEBUG:
            super().v2_runner_on_ok(result)
        elif result.is_changed():
            self._handle_warnings_and_exception(result)
            self._display.display(f"{INDENT}changed  {self.host_label(result)}", color=constants.COLOR_CHANGED)
        else:
            self._handle_warnings_and_exception(result)

    def v2_runner_on_skipped(self, result):
        if self._display.verbosity:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_ok(self, result):
        if self._display.verbosity:
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_skipped(self, result):
        if self._display.verbosity:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._count(result)
        failure = result.result.get("failure")
        if not failure:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        for line in told(result.host.get_name(), failure):
            self._display.display(f"{INDENT}{line}", color=constants.COLOR_ERROR)
        if ignore_errors:
            self._display.display(f"{INDENT}ignored", color=constants.COLOR_SKIP)

    def v2_runner_on_unreachable(self, result):
        self._count(result)
        text = f"unreachable  {self.host_label(result)}: {result.result.get('msg', '')}"
        self._display.display(f"{INDENT}{text}", color=constants.COLOR_UNREACHABLE)

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            bad = counts["failures"] + counts["unreachable"]
            good = constants.COLOR_CHANGED if counts["changed"] else constants.COLOR_OK
            color = constants.COLOR_ERROR if bad else good
            executed = self._executed.get(host, 0)
            line = f"{host:<24} tasks={executed} changed={counts['changed']} failed={bad} skipped={counts['skipped']}"
            self._display.display(line, color=color)
        seconds = time.monotonic() - self._began
        for line in durations([*self._starts, ("", time.monotonic())]):
            self._display.display(line)
        self._display.display(f"{self._playbook} took {clock(seconds)} ({seconds:.1f} s)")

    def _count(self, result):
        host = result.host.get_name()
        self._executed[host] = self._executed.get(host, 0) + 1


INDENT = " " * 21
LONG = 1.0   # seconds from which on a step is worth a line in the closing table


def durations(starts):
    """The lines of a table of the steps that took long; `starts` are (step, time) in order, closed by the end."""
    steps = [(following - began, step) for (step, began), (_, following) in pairwise(starts)]
    return ["seconds  step", *(f"{took:7.1f}  {step}" for took, step in steps if took >= LONG)] if len(steps) > 1 else []


def told(host, failure):
    """The lines that tell a failure of a Cloud OS module: {service, node, unit, cause, log, next_step}."""
    thing = " ".join(part for part in (failure.get("service"), failure.get("unit")) if part)
    yield f"FAILED  {failure.get('node') or host}{': ' + thing if thing else ''}"
    yield from (f"  {line}" for line in str(failure.get("cause") or "no cause was given").splitlines())
    yield from (f"  | {line}" for line in failure.get("log") or [])
    if failure.get("next_step"):
        yield f"  Next step: {failure['next_step']}"


def times(where):
    """Percent, elapsed and remaining time in 19 columns."""
    percent = "  - " if where["percent"] is None else f"{where['percent']:3d}%"
    remaining = "" if where["remaining"] is None else f"-{clock(where['remaining'])}"
    return f"{percent} {clock(where['elapsed']):>6} {remaining:>7}"


def clock(seconds):
    """Minutes and seconds: 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
