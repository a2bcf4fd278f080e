"""One look at one thing that a service promises: kinds of probes, each a method that tells why it does not hold yet."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from ansible_collections.cloudos.cloud.plugins.module_utils.keystone import Denied, Keystone, Unreachable
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import run

SECONDS = 10  # for one look
SETTLED = 5.0  # how long a unit that systemd had to restart must have been active since
NOVA = ("nova-scheduler", "nova-conductor", "nova-compute")


class Looks:
    """Answers for many probes from several threads; what they share (units, the session) is asked once.

    cloud: credentials as mapping of auth_url, username, password, project, region, cafile. units: all that will be
    asked for.
    """

    def __init__(self, cloud, units=()):
        self._cloud = cloud
        self._units = sorted(set(units))
        self._shown = (0.0, {})
        self._session = None
        self._lock = threading.Lock()

    def at(self, probe):
        """None when the probe passes, else one line that says why not. Failure for a probe that can never pass."""
        kinds = {
            "http": self.http,
            "tcp": self.tcp,
            "unit": self.unit,
            "command": self.command,
            "openstack": self.openstack,
        }
        if probe["kind"] not in kinds:
            raise Failure(f"probe {probe['name']} is of kind {probe['kind']}; there are {', '.join(kinds)}")
        return kinds[probe["kind"]](probe)

    def http(self, probe):
        """The URL answers below `status_below` with a certificate that the CA signed, to whoever has the one of `certfile`."""
        limit = probe.get("status_below", 500)
        try:
            tls = None
            if probe["url"].startswith("https:"):
                tls = ssl.create_default_context(cafile=probe.get("cafile") or self._cloud.get("cafile"))
                if "certfile" in probe:
                    tls.load_cert_chain(probe["certfile"], probe["keyfile"])
            with urllib.request.urlopen(probe["url"], timeout=SECONDS, context=tls) as answer:  # noqa: S310 - the plan's own
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except (OSError, http.client.HTTPException) as error:
            return f"{probe['url']} does not answer: {getattr(error, 'reason', error)}"
        return None if status < limit else f"{probe['url']} answers {status}"

    def tcp(self, probe):
        """Something accepts connections on host and port."""
        try:
            socket.create_connection((probe["host"], probe["port"]), timeout=SECONDS).close()
        except OSError as error:
            return f"nothing listens on {probe['host']}:{probe['port']}: {error.strerror or error}"
        return None

    def unit(self, probe):
        """The unit is active, and has not just been restarted by systemd."""
        name = probe["unit"]
        shown = self._show().get(name)
        if not shown or shown.get("LoadState") == "not-found":
            return f"there is no unit {name}"
        state = shown["ActiveState"]
        if state != "active":
            told = f"{shown['SubState']}, result {shown.get('Result', 'none')}, restarted {shown['NRestarts']} times"
            return f"{name} is {state} ({told})"
        # systemd's clock is the monotonic one, in microseconds.
        active = time.monotonic() - int(shown["ActiveEnterTimestampMonotonic"]) / 1e6
        if shown["NRestarts"] != "0" and active < SETTLED:
            return f"{name} has been running for only {active:.1f} s since its restart {shown['NRestarts']}"
        return None

    def _show(self):
        """{unit: properties} of all units, from one systemctl for all threads, at most a quarter of a second old."""
        with self._lock:
            if time.monotonic() - self._shown[0] > 0.25:
                self._shown = (time.monotonic(), show(self._units))
            return self._shown[1]

    def command(self, probe):
        """The command ends with 0."""
        try:
            run(probe["argv"], user=probe.get("run_as"), timeout=SECONDS * 3)
        except Failure as failure:
            return " / ".join([failure.facts["cause"], *failure.facts["log"][-3:]])
        except KeyError:
            return f"there is no user {probe['run_as']}"
        return None

    def openstack(self, probe):
        """What the APIs tell about processes that have no API of their own."""
        checks = {"compute": self._compute, "agents": self._agents, "volumes": self._volumes}
        if probe.get("check") not in checks:
            raise Failure(f"probe {probe['name']} has check {probe.get('check')}; there are {', '.join(checks)}")
        if "auth_url" not in self._cloud:
            raise Failure(f"probe {probe['name']} asks the cloud, but `cloud` does not say how to log in")
        try:
            return checks[probe["check"]](self._login(), probe)
        except Denied as denied:
            return f"{denied} cannot log in at {self._cloud['auth_url']}"
        except Unreachable as problem:
            return f"no answer: {problem}"
        except Failure as failure:
            return failure.facts["cause"]

    def _login(self):
        with self._lock:
            if self._session is None:
                cloud = self._cloud
                session = Keystone(cloud["auth_url"], cloud.get("cafile"), cloud.get("region"), timeout=SECONDS)
                session.login(cloud.get("username", "admin"), cloud["password"], cloud.get("project", "admin"))
                self._session = session
            return self._session

    def _compute(self, session, probe):
        binaries = probe.get("binaries", NOVA)
        services = [
            service
            for service in session.get("/os-services", service="compute")["services"]
            if service["binary"] in binaries
        ]
        up = {(service["binary"], service["host"]) for service in services if service["state"] == "up"}
        down = [
            f"{service['binary']} on {service['host']}"
            for service in services
            if service["state"] != "up" and service["status"] == "enabled"
        ]
        missing = [f"{binary}" for binary in binaries if binary not in {name for name, _host in up}]
        missing += [f"nova-compute on {host}" for host in probe.get("hosts", ()) if ("nova-compute", host) not in up]
        if not missing and not down and probe.get("mapped"):
            known = {
                entry["hypervisor_hostname"].split(".")[0]
                for entry in session.get("/os-hypervisors", "compute")["hypervisors"]
            }
            missing += [f"a cell for {host}" for host in probe.get("hosts", ()) if host.split(".")[0] not in known]
        return _lacking(missing, down, "Nova")

    def _agents(self, session, probe):
        agents = session.get("/v2.0/agents", service="network")["agents"]
        alive = {(agent["binary"], agent["host"]) for agent in agents if agent["alive"]}
        down = [
            f"{agent['binary']} on {agent['host']}"
            for agent in agents
            if not agent["alive"] and agent["admin_state_up"]
        ]
        missing = [] if agents else ["any agent"]
        missing += [
            f"{binary} on {host}"
            for binary, hosts in probe.get("agents", {}).items()
            for host in hosts
            if (binary, host) not in alive
        ]
        missing += [
            f"an agent on {host}" for host in probe.get("hosts", ()) if host not in {agent["host"] for agent in agents}
        ]
        return _lacking(missing, down, "Neutron")

    def _volumes(self, session, probe):
        services = session.get("/os-services", service="block-storage")["services"]
        up = {(service["binary"], service["host"]) for service in services if service["state"] == "up"}

        def belongs(service):
            """Cinder remembers those of back ends and nodes that have left."""
            binary, host = service["binary"], service["host"]
            if binary == "cinder-volume" and probe.get("backends") is not None:
                return host.rpartition("@")[2] in probe["backends"]
            return host in probe.get("services", {}).get(binary, [host])

        down = [
            f"{service['binary']} on {service['host']}"
            for service in services
            if service["state"] != "up" and service["status"] == "enabled" and belongs(service)
        ]
        missing = [] if any(binary == "cinder-scheduler" for binary, _host in up) else ["cinder-scheduler"]
        # A back end's service says that it is up before its driver is ready; the scheduler knows its pools from then on.
        pools = session.get("/scheduler-stats/get_pools", service="block-storage")["pools"]
        ready = {pool["name"].partition("#")[0] for pool in pools}
        backends = {host.rpartition("@")[2] for binary, host in up if binary == "cinder-volume" and host in ready}
        missing += [f"back end {name}" for name in probe.get("backends") or () if name not in backends]
        missing += [
            f"{binary} on {host}" for binary, hosts in probe.get("services", {}).items() for host in hosts
            if (binary, host) not in up
        ]
        return _lacking(missing, down, "Cinder")


def show(units):
    """{unit: {property: value}} from systemctl; empty where systemd does not run."""
    if not units:
        return {}
    wanted = "Id,LoadState,ActiveState,SubState,Result,NRestarts,ActiveEnterTimestampMonotonic"
    try:
        shown = subprocess.run(
            ["systemctl", "show", "--property", wanted, "--", *units],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except FileNotFoundError:
        return {}
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.stdout.split("\n\n")
    ]
    return {name: {"NRestarts": "0", **block} for name, block in zip(units, filter(None, blocks), strict=False)}


def _lacking(missing, down, who):
    """One line for what is not there, else what is down; None where nothing lacks."""
    if missing:
        return f"{who} lacks {', '.join(dict.fromkeys(missing))}"
    return f"{who} reports down: {', '.join(down)}" if down else None
