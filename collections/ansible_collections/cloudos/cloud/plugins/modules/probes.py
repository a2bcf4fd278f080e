#!/usr/bin/python
"""Module probes: waits, side by side, until what services promise is true."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probes
short_description: Wait until services work
description:
  - Asks all probes at once and each again until it passes, so that the whole takes as long as the slowest one.
    Changes nothing.
  - In check mode each probe is asked once, and those that do not pass are told as C(would_wait_for).
options:
  probes:
    description:
      - Each has a C(name), optionally C(service), C(unit) (whose journal explains a failure) and C(timeout), and a
        C(kind).
      - C(http), C(url) answers with a status below C(status_below) (500); C(cafile) is the CA to trust,
        C(certfile) and C(keyfile) show who asks.
      - C(tcp), something listens on C(host) and C(port).
      - C(unit), C(unit) is active and is not being restarted again and again.
      - C(command), C(argv) ends with status 0, run as C(run_as).
      - C(openstack) with C(check=compute), the scheduler, the conductor and nova-compute are up - nova-compute on
        each of C(hosts),
        which with C(mapped) must also be mapped to a cell. C(binaries) asks for some of the three only.
      - C(openstack) with C(check=agents), all agents of Neutron are alive; C(agents), mapping of binary to hosts,
        tells which must be there,
        C(hosts) tells hosts that must have one.
    type: list
    elements: dict
    required: true
  cloud:
    description: How probes of kind C(openstack) log in; C(auth_url), C(username), C(password), C(project), C(region),
      C(cafile).
    type: dict
    default: {}
  timeout:
    description: Seconds to wait for all of them.
    type: int
    default: 180
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Prove that the cloud works
  cloudos.cloud.probes:
    cloud:
      auth_url: https://192.0.2.10:5000/v3
      username: admin
      password: "${secret:identity/admin}"
      project: admin
      cafile: /etc/cloudos/ca.crt
    probes:
      - {name: glance-api answers, service: glance, kind: http, url: "https://192.0.2.10:9292/", unit:
        glance-api.service}
      - {name: nova-scheduler runs, service: nova, kind: unit, unit: nova-scheduler.service}
      - {name: hosts, service: nova, kind: openstack, check: compute, hosts: [ctl1]}
"""

RETURN = r"""
seconds: {description: Name of a probe to how long it took to pass., type: dict, returned: always}
would_wait_for: {description: Name of a probe to why it does not pass yet., type: dict, returned: in check mode}
failure: {description: "Of the first probe that failed: service, unit, cause, log and next_step.", type: dict,
  returned: on failure}
"""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cloudos.cloud.plugins.module_utils import looks
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Look
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import journal

PAUSE = 0.3


class Probes(Look):

    spec = {
        "probes": {"type": "list", "elements": "dict", "required": True},
        "cloud": {"type": "dict", "default": {}},
        "timeout": {"type": "int", "default": 180},
    }

    def result(self, step):
        probes = self.params["probes"]
        self.start = time.monotonic()
        self.looks = looks.Looks(
            self.reveal(self.params["cloud"]), [probe["unit"] for probe in probes if probe["kind"] == "unit"]
        )
        outcomes = self.ask(probes)
        # A process may die of its configuration after seconds in which it looked well: units are looked at again.
        outcomes |= {
            name: why
            for name, why in self.ask([probe for probe in probes if probe["kind"] == "unit"]).items()
            if isinstance(why, str)
        }
        seconds = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, float)}
        pending = {name: outcome for name, outcome in outcomes.items() if name not in seconds}
        if pending and not self.rehearsal:
            raise self.told(pending)
        return {"seconds": seconds, **({"would_wait_for": pending} if pending else {})}

    def ask(self, probes):
        """{name: what wait() gives} of all probes, side by side."""
        with ThreadPoolExecutor(32) as pool:
            return dict(zip((probe["name"] for probe in probes), pool.map(self.wait, probes), strict=True))

    def wait(self, probe):
        """Seconds until the probe passed (float), or why it did not (str); in check mode after one look."""
        limit = self.start + probe.get("timeout", self.params["timeout"])
        while True:
            why = self.looks.at(probe)
            if why is None:
                return round(time.monotonic() - self.start, 1)
            if self.rehearsal or time.monotonic() > limit:
                return self.mask(why)
            time.sleep(PAUSE)

    def told(self, pending):
        """The failure: one line for each probe that did not pass, and the journal of the first one's unit."""
        first = next(probe for probe in self.params["probes"] if probe["name"] in pending)
        unit = first.get("unit")
        node = socket.gethostname()
        causes = "; ".join(f"{name}: {why}" for name, why in pending.items())
        waited = round(time.monotonic() - self.start)
        return Failure(
            f"on {node}, after {waited} s, {causes}",
            service=first.get("service"),
            unit=unit,
            log=[self.mask(line) for line in journal(unit)] if unit else [],
            next_step=f"on {node}, read journalctl{f' -u {unit}' if unit else ''}; then run the playbook again",
        )


def main():
    Probes.main()


if __name__ == "__main__":
    main()
