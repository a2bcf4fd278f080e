"""Module tempest: runs tests of Tempest and tells what became of them. Choosing and reading: module_utils/tempest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tempest
short_description: Run tests of Tempest against a cloud
description:
  - Runs the chosen tests with stestr and fails unless all of them pass or are skipped by Tempest itself.
  - The failure tells each failed test with the lines of its error. The whole report, with every traceback, skipped test
    and duration, is kept in O(report) together with the subunit stream; C(stestr.log) there grows during the run.
  - Fails also where an expression matches no test and where not one test passed, as nothing was proven then.
  - The workspace is a directory with C(etc/tempest.conf). In check mode the tests are chosen and not run.
options:
  environment: {description: Virtual environment that Tempest is installed in., type: path, required: true}
  workspace: {description: Directory with etc/tempest.conf., type: path, required: true}
  tests: {description: Regular expressions that choose tests by any part of their id., type: list, elements: str, required: true}
  excluded:
    description: Tests that are left out, each with the reason.
    type: list
    elements: dict
    default: []
    suboptions:
      test: {description: Regular expression that a part of the id matches., type: str, required: true}
      why: {description: The reason., type: str, required: true}
  report: {description: Directory for the report., type: path, required: true}
  concurrency: {description: Classes of tests that run side by side., type: int, default: 2}
  timeout: {description: Seconds for the whole run; then it is ended and what did not end has failed., type: int, default: 7200}
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Identity
  cloudos.cloud.tempest:
    environment: /var/cache/tempest
    workspace: /var/lib/tempest
    tests: [tempest.api.identity.v3]
    report: /var/log/tempest
"""

RETURN = r"""
chosen: {description: How many tests were chosen., type: int, returned: always}
left_out: {description: Names of the chosen tests that are excluded and the reasons., type: dict, returned: always}
summary: {description: The numbers as a table., type: list, elements: str, returned: when tests were run}
report: {description: Path of the report., type: str, returned: when tests were run}
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils import tempest
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Look, use_bundle


class Tempest(Look):
    spec = {
        "environment": {"type": "path", "required": True},
        "workspace": {"type": "path", "required": True},
        "tests": {"type": "list", "elements": "str", "required": True},
        "excluded": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {"test": {"type": "str", "required": True}, "why": {"type": "str", "required": True}},
        },
        "report": {"type": "path", "required": True},
        "concurrency": {"type": "int", "default": 2},
        "timeout": {"type": "int", "default": 7200},
    }

    def __init__(self, module):
        super().__init__(module)
        for name in ("environment", "workspace", "report"):
            setattr(self, name, Path(self.params[name]))

    def result(self, step):
        self.prepare()
        names = [name for name in self.stestr("list").splitlines() if "." in name]
        chosen, left_out = tempest.select(names, self.params["tests"], self.params["excluded"])
        if not chosen:
            raise Failure("every chosen test is excluded", next_step="choose others, or look at the reasons of the exclusions")
        about = {"chosen": len(chosen), "left_out": left_out}
        return about if self.rehearsal else {**about, **self.outcome(chosen, left_out)}

    def prepare(self):
        """A fresh repository of stestr, so that it holds this run only."""
        if not (self.environment / "bin/stestr").exists():
            raise Failure(f"there is no stestr in {self.environment}",
                          next_step="run playbooks/verify.yml --tags tempest, which installs it")
        if not (self.workspace / "etc/tempest.conf").exists():
            raise Failure(f"there is no etc/tempest.conf in {self.workspace}",
                          next_step="make it, or let playbooks/verify.yml make it")
        shutil.rmtree(self.workspace / ".stestr", ignore_errors=True)
        self.stestr("init", plain=True)

    def outcome(self, chosen, left_out):
        """What came of the run; raises Failure unless something passed and nothing failed."""
        self.report.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.workspace / "chosen").write_text("\n".join(chosen) + "\n")
        began = time.monotonic()
        late = self.run_chosen()
        seconds = time.monotonic() - began
        tests = tempest.account(self.read(), chosen)
        numbers = tempest.counts(tests)
        path = self.report / "tempest.txt"
        path.write_text(tempest.report(tests, left_out, numbers, seconds))
        summary = tempest.table(numbers, seconds)
        told = tempest.failures(tests)
        if late:
            raise Failure(f"Tempest did not end within {self.params['timeout']} s", log=[*summary, *told],
                          next_step=f"raise the timeout or choose fewer tests; what came of those that ended is in {path}")
        if numbers["failed"]:
            raise Failure(f"{numbers['failed']} of {numbers['run']} tests of Tempest failed", log=[*summary, *told],
                          next_step=f"read {path}")
        if not numbers["passed"]:
            raise Failure("no test of Tempest passed, so nothing is proven", log=[*summary, *self.said()],
                          next_step=f"see why they are skipped in {path}")
        return {"summary": summary, "report": str(path), **numbers, "seconds": round(seconds, 1)}

    def run_chosen(self):
        """Run the chosen tests; True if they had to be ended. Their exit code says no more than the results do."""
        options = ["--load-list", "chosen", "--concurrency", str(self.params["concurrency"])]
        with open(self.report / "stestr.log", "w") as log:
            process = subprocess.Popen(self.command("run", *options), cwd=self.workspace, env=self.surroundings(),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                process.wait(self.params["timeout"])
            except subprocess.TimeoutExpired:
                return True
            finally:
                self.end(process)
        return False

    @staticmethod
    def end(process):
        """End a run and its workers, gently first: stestr keeps what it has when it is interrupted."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if process.poll() is not None:
                return
            os.killpg(process.pid, number)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                continue

    def read(self):
        """The results in the repository, kept beside the report as a stream of subunit, version 2."""
        stream = self.report / "tempest.subunit"
        with open(stream, "wb") as file:   # its exit code tells of failed tests, which the stream does as well
            done = subprocess.run(self.command("last", "--subunit", plain=True), cwd=self.workspace, env=self.surroundings(),
                                  stdout=file, stderr=subprocess.PIPE, check=False)
        if not stream.stat().st_size:
            raise Failure("Tempest left no results", log=[*self.said(), *done.stderr.decode(errors="replace").splitlines()[-5:]],
                          next_step=f"read {self.report / 'stestr.log'}")
        use_bundle(self.environment)
        with open(stream, "rb") as file:
            return tempest.read(file)

    def said(self):
        """The last lines of stestr."""
        return (self.report / "stestr.log").read_text(errors="replace").splitlines()[-20:]

    def stestr(self, verb, plain=False):
        """Standard output of a command of stestr; raises Failure with what it said."""
        done = subprocess.run(self.command(verb, plain=plain), cwd=self.workspace, env=self.surroundings(),
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure(f"stestr {verb} ended with {done.returncode}", log=(done.stdout + done.stderr).splitlines()[-20:],
                          next_step=f"look at {self.workspace / 'etc/tempest.conf'}")
        return done.stdout

    def command(self, verb, *options, plain=False):
        """A command of stestr. The tests of a class share what they make, so they stay in one worker."""
        packages = next((self.environment / "lib").glob("python3*/site-packages"))
        places = ["--test-path", packages / "tempest/test_discover", "--top-dir", packages, "--parallel-class"]
        return [str(word) for word in (self.environment / "bin/stestr", *([] if plain else places), verb, *options)]

    def surroundings(self):
        """The environment of Tempest's processes: its own configuration and nothing of the clouds that Ansible knows."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        return {**kept, "TEMPEST_CONFIG_DIR": str(self.workspace / "etc"), "LC_ALL": "C.UTF-8"}


def main():
    Tempest.main()


if __name__ == "__main__":
    main()
