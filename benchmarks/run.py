"""Measures the speed table of the design on a real cloud, from the records that its runs leave.

Run by `make bench`. The lab node of the inventory is destroyed and made anew; a cloud without a lab is only run again.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from cloudos import home
from cloudos.runs import history
from cloudos.runs.record import new_id

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# More services than these may take longer.
CORE = {"keystone", "placement", "glance", "neutron", "nova"}
# Proportional set size: memory shared by processes counts once. In GB, over all processes of the node.
MEMORY = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum / 1048576 }'"


def main():
    """Measure, print a table, write JSON, and fail when a target was missed."""
    options = arguments()
    inventory = options.inventory.resolve()
    source = yaml.safe_load((inventory / "cloud.yml").read_text())
    report = {"machine": machine(), "cloud": source["cloud"], "release": source["release"], "rows": []}
    for name, value in report["machine"].items():
        print(f"{name:<10}{value}")
    for part in parts(options, source):
        for row in part(inventory, source):
            mark = "reached" if row["reached"] else "missed"
            print(f"{row['what']:<58}{row['measured']:>9} {row['unit']:<6} target {row['target']:>4}  {mark}", flush=True)
            report["rows"].append(row)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"Written to {options.output}")
    return 0 if all(row["reached"] for row in report["rows"]) else 1


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-i", "--inventory", type=Path, default=ROOT / "inventory" / "aio")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / ".cache" / "benchmark.json")
    parser.add_argument("--bundle", action="store_true", help="also build a bundle from nothing, which takes minutes")
    parser.add_argument("--keep", action="store_true", help="measure the cloud that runs instead of making it anew")
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    return options


def parts(options, source):
    """The measurements, in the order in which they are taken."""
    if source.get("lab") and not options.keep:
        yield blank
    yield from (again, changed, memory)
    if (ROOT / "benchmarks" / "compile.py").exists():
        yield compiling
    if options.bundle:
        yield bundle


def blank(inventory, source):
    """From a blank node to an instance that answers on SSH; what is cached once and for all is made first."""
    for playbook in ("bundle", "destroy", "lab"):
        play(playbook, inventory, source)
    site = play("site", inventory, source)
    proof = play("verify", inventory, source)
    whole = not CORE.issuperset(source["services"])
    yield row("blank node to instance reachable by SSH", seconds(site) + until_ssh(proof), 140 if whole else 100)
    yield row("blank node to everything answering", seconds(site), 140 if whole else 100)
    yield row("tasks executed on the busiest node", max(executed(site).values()), 60, "tasks")


def again(inventory, source):
    """A run that finds everything as it should be."""
    record = play("site", inventory, source)
    yield row("no-op site.yml", seconds(record), 15)
    yield row("no-op site.yml, changes", sum(host["changed"] for host in record["hosts"].values()), 0, "tasks")


def changed(inventory, source):
    """One option more, in a copy of the inventory; put back afterwards."""
    edited = json.loads(json.dumps(source))
    layers = edited.setdefault("overrides", {}).setdefault("all", {})
    layers.setdefault("glance", {}).setdefault("glance-api.conf", {}).setdefault("DEFAULT", {})["debug"] = True
    with tempfile.TemporaryDirectory() as directory:
        copy = shutil.copytree(inventory, Path(directory) / inventory.name)
        (copy / "cloud.yml").write_text(yaml.safe_dump(edited))
        record = play("site", copy, source)
    play("site", inventory, source)
    yield row("one option changed", seconds(record), 15)


def memory(inventory, source):
    """Memory of each node at rest, some seconds after the last run."""
    time.sleep(20)
    reached = subprocess.run(
        [BIN / "ansible", "nodes", "-i", inventory, "--become", "-m", "ansible.builtin.shell", "-a", MEMORY],
        cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "minimal"})
    yield row("memory at rest, fullest node", max(map(float, re.findall(r"^([\d.]+)$", reached.stdout, re.M))), 6, "GB")


def compiling(inventory, source):
    """The plan of many nodes; benchmarks/compile.py says how many, and prints seconds."""
    command = [sys.executable, "benchmarks/compile.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    yield row("compile 200 nodes", float(re.search(r"([\d.]+) s\b", done.stdout)[1]), 2)


def bundle(inventory, source):
    """A bundle in a state directory of its own, so that nothing is lost and nothing is reused but the package cache."""
    with tempfile.TemporaryDirectory(dir=home.root()) as directory:
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "cloudos.bundle", "build", str(source["release"])], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "CLOUDOS_HOME": directory})
        yield row("bundle from nothing", time.monotonic() - began, 150)
        size = max(path.stat().st_size for path in Path(directory, "bundles").iterdir())
        yield row("bundle, size", size / 1e6, 160, "MB")


def play(playbook, inventory, source):
    """Run a playbook and return its record. Its output is shown only when it fails, which ends everything."""
    print(f"... {playbook}", flush=True)
    run = f"{new_id(playbook)}-{os.urandom(3).hex()}"
    done = subprocess.run([BIN / "ansible-playbook", "-i", inventory, f"playbooks/{playbook}.yml"], cwd=ROOT, text=True,
                          capture_output=True, check=False, env={**os.environ, "CLOUDOS_RUN_ID": run})
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}{playbook}.yml failed with {done.returncode}")
    return history.load(source["cloud"], run)


def seconds(record):
    return record["end"] - record["start"]


def until_ssh(record):
    """Seconds of the proof's tasks up to the first answer on SSH, without making the guest image."""
    total = 0
    for task in record["tasks"]:
        if "guest image" not in task["task"]:
            total += task["seconds"]
        if task["task"].endswith("SSH") and "admits" not in task["task"]:
            return total
    raise SystemExit("verify.yml has no task that ends in SSH: benchmarks/run.py must learn its new name")


def executed(record):
    return {name: host["executed"] for name, host in record["hosts"].items()}


def row(what, measured, target, unit="s"):
    return {"what": what, "measured": round(measured, 1), "unit": unit, "target": target, "reached": measured <= target}


def machine():
    """What the figures were measured on."""
    def first(path, pattern):
        found = re.search(pattern, Path(path).read_text(), re.M)
        return found[1] if found else "unknown"

    memory = int(first("/proc/meminfo", r"MemTotal: +([0-9]+)")) / 1048576
    return {"cores": os.cpu_count(), "memory": f"{memory:.1f} GB",
            "processor": first("/proc/cpuinfo", r"model name\s*: (.*)"), "kernel": platform.release()}


if __name__ == "__main__":
    sys.exit(main())
