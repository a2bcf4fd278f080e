"""What the kernel's files tell about the machine a module runs on."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

# Services that keep the clock, in the order of preference in which they are named; chrony is ours to configure.
NTP_SERVICES = ("systemd-timesyncd", "ntpsec", "ntp", "openntpd", "ptp4l")


def memory_mb():
    """Physical memory in MiB, or the limit of the cgroup where that is lower."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        return min(total, int(text) // 2**20)
    return total


def distribution():
    """{id, version} of os-release: {"id": "debian", "version": "12"}."""
    lines = Path("/etc/os-release").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return {"id": values.get("ID", "").strip('"'), "version": values.get("VERSION_ID", "").strip('"')}


def interfaces():
    """Name -> {mac, mtu, addresses: ["192.0.2.1/24", ...]}; without loopback and without link-local addresses."""
    shown = subprocess.run(["ip", "-json", "address"], capture_output=True, text=True, check=True)
    links = [link for link in json.loads(shown.stdout) if link.get("link_type") != "loopback" and "ifname" in link]
    return {link["ifname"]: _described(link) for link in links}


def _described(link):
    return {"mac": link.get("address"), "mtu": link["mtu"], "addresses": _addresses(link)}


def _addresses(link):
    texts = [f"{entry['local']}/{entry['prefixlen']}" for entry in link.get("addr_info", []) if "local" in entry]
    return [text for text in texts if not ipaddress.ip_interface(text).is_link_local]


def kernel_modules(names, modules=Path("/lib/modules"), loaded=Path("/sys/module")):
    """Name -> whether the kernel module is loaded, built in, or can be loaded.

    A machine that shares its kernel with a host (a container) sees loaded ones only.
    """
    directory = modules / Path("/proc/sys/kernel/osrelease").read_text().strip()
    available = _listed(directory / "modules.builtin") | _listed(directory / "modules.dep")
    return {name: name in available or (loaded / name).is_dir() for name in names}


def _listed(index):
    """Names of the modules in an index of depmod."""
    if not index.exists():
        return set()
    paths = (line.split(":", 1)[0] for line in index.read_text().splitlines())
    return {path.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_") for path in paths}


def container():
    """Kind of container ("systemd-nspawn", "docker", "lxc", ...) that this machine is, or None."""
    marks = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
    for path, kind in marks.items():
        if Path(path).exists():
            return kind
    named = Path("/run/systemd/container")
    if named.exists():
        return named.read_text().strip()
    variables = Path("/proc/1/environ").read_bytes().split(b"\0")
    values = [value.partition(b"=")[2] for value in variables if value.startswith(b"container=")]
    return values[0].decode() if values and values[0] else None


def clock_service(run=subprocess.run):
    """Name of a service other than chrony that keeps the clock, or "none".

    Only a service that systemd runs counts; where systemd is not process 1 there is none.
    """
    if not Path("/run/systemd/system").is_dir():
        return "none"
    shown = run(["systemctl", "is-active", *NTP_SERVICES], capture_output=True, text=True, check=False)
    active = [name for name, state in zip(NTP_SERVICES, shown.stdout.split(), strict=False) if state == "active"]
    return active[0] if active else "none"
