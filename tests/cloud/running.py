"""A running cloud under test: its playbooks, its node, its API. The cloud is made by `make cloud` before these tests."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("CLOUDOS_HOME", Path.home() / ".cloudos"))
PLAYBOOK = [str(Path(sys.executable).with_name("ansible-playbook"))]


@dataclass
class Run:
    """What one ansible-playbook run did: exit code, output, and per node the counts of its recap."""

    code: int
    output: str

    @property
    def changed(self):
        return sum(int(count) for count in re.findall(r"changed=(\d+)", self.output))


class Cloud:
    """The cloud of one inventory directory."""

    def __init__(self, inventory):
        self.inventory = Path(inventory)
        self.source = yaml.safe_load((self.inventory / "cloud.yml").read_text())
        self.name = self.source["cloud"]
        self.state = HOME / "clouds" / self.name
        self.address = next(iter(self.source["nodes"].values()))["address"]

    def command(self, playbook, *arguments):
        return [*PLAYBOOK, "-i", str(self.inventory), f"playbooks/{playbook}.yml", *arguments]

    def play(self, playbook, *arguments, check=True):
        """Run a playbook; with check, a failed run fails the test with its output."""
        done = subprocess.run(self.command(playbook, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
        run = Run(done.returncode, done.stdout + done.stderr)
        assert not check or run.code == 0, run.output[-6000:]
        return run

    def kill(self, playbook, after):
        """Start a playbook and kill ansible-playbook, which cannot clean up, after so many seconds."""
        process = subprocess.Popen(self.command(playbook), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def node(self, command, check=True, on=None):
        """Standard output of a shell command on the control node, or on the node of that name."""
        address = self.source["nodes"][on]["address"] if on else self.address
        ssh = ["ssh", "-i", str(HOME / "keys" / "lab"), "-oBatchMode=yes", f"-oUserKnownHostsFile={self.state}/known_hosts",
               "-oConnectTimeout=5", f"root@{address}", command]
        done = subprocess.run(ssh, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def openstack(self, *arguments, check=True):
        """What the client says as the administrator: JSON where it prints any; None where it failed and may."""
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.state / "clouds.yaml"), "OS_CLOUD": self.name}
        shows = {"create", "show", "list"} & set(arguments)
        command = [PLAYBOOK[0].replace("ansible-playbook", "openstack"), *arguments, *(["-f", "json"] if shows else [])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else None

    def plan(self):
        """The last applied plan of the control node."""
        return next(iter(self.kept("plan.json")["nodes"].values()))

    def kept(self, name):
        """What the runs keep about the cloud in a file of that name."""
        return json.loads((self.state / name).read_text())

    def services(self):
        """Names of the cloud's running service units, without oneshots and sockets."""
        return [unit["name"] for unit in self.plan()["units"] if not unit.get("oneshot") and unit["name"].endswith(".service")]

    def processes(self):
        """Unit -> main process id of every service unit; 0 for one that does not run."""
        blocks = self.node("systemctl show -p Id,MainPID " + shlex.join(self.services())).strip().split("\n\n")
        values = [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]
        return {value["Id"]: int(value["MainPID"]) for value in values}


def running(name):
    """The cloud of an inventory: the one that runs, or else one made for these tests and removed afterwards."""
    cloud = Cloud(ROOT / "inventory" / name)
    runs = (HOME / "lab" / cloud.name).exists()
    for playbook in ("lab", "bundle", "site"):
        cloud.play(playbook)
    yield cloud
    if not runs:
        cloud.play("destroy")


def until(condition, seconds=600):
    """Wait for a condition; returns how many seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds
        time.sleep(1)
    return time.monotonic() - start
