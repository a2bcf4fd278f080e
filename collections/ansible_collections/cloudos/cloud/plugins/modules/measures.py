#!/usr/bin/python
"""Module measures: proof that what happens to a resource is measured and can be read."""

from __future__ import annotations

DOCUMENTATION = r"""
module: measures
short_description: Prove that a resource is measured
description:
  - Waits until each of the metrics of a resource has a measure in Gnocchi, read as the user of O(cloud), and fails where
    one has none in time. Nothing is changed.
options:
  resource: {description: Identifier of the resource, such as that of a server., type: str, required: true}
  metrics: {description: Names of metrics, such as C(cpu)., type: list, elements: str, required: true}
  aggregation: {description: Aggregation method., type: str, default: mean}
  timeout: {description: Seconds to wait., type: int, default: 660}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.cloud]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: The instance's CPU time is measured
  cloudos.cloud.measures: {cloud: mycloud, resource: "{{ server.id }}", metrics: [cpu]}
"""

RETURN = r"""
measures:
  description: Metric to its newest aggregate, a list of time, granularity in seconds, and value.
  type: dict
  returned: always
"""

import time
from urllib.parse import quote

from ansible_collections.cloudos.cloud.plugins.module_utils.cloud import CLOUD, CloudOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Look


class Measures(Look, CloudOperation):
    service = "gnocchi"
    spec = {
        **CLOUD,
        "resource": {"type": "str", "required": True},
        "metrics": {"type": "list", "elements": "str", "required": True},
        "aggregation": {"type": "str", "default": "mean"},
        "timeout": {"type": "int", "default": 660},
    }

    def result(self, step):
        with self.told():
            return {"measures": self.wait()}

    def wait(self):
        """{metric: its newest aggregate} once all are there."""
        deadline = time.monotonic() + self.params["timeout"]
        while True:
            found, known = self.look()
            missing = [name for name in self.params["metrics"] if name not in found]
            if not missing:
                return found
            if time.monotonic() > deadline:
                raise Failure(self.lacking(missing, known), service=self.service, next_step=NEXT)
            time.sleep(1)

    def look(self):
        """({metric: newest aggregate} of the wanted ones that have any, names of all metrics or None without resource)."""
        from openstack import exceptions

        try:
            resource = self.api("metric", f"/v1/resource/generic/{quote(self.params['resource'], safe='')}")
        except exceptions.NotFoundException:
            return {}, None
        found = {}
        for name in self.params["metrics"]:
            if metric := resource["metrics"].get(name):
                path = f"/v1/metric/{metric}/measures?aggregation={quote(self.params['aggregation'])}"
                if measures := self.api("metric", path):
                    found[name] = measures[-1]
        return found, sorted(resource["metrics"])

    def lacking(self, missing, known):
        what = f"{', '.join(missing)} of {self.params['resource']} has no measure after {self.params['timeout']} s"
        if known is None:
            return f"{what}: Gnocchi knows no such resource"
        return f"{what}; Gnocchi knows its metrics {', '.join(known) or 'none at all'}"


NEXT = (
    "on the compute host, read journalctl -u ceilometer-polling, and on the control node that of "
    "ceilometer-agent-notification and gnocchi-metricd"
)


def main():
    Measures.main()


if __name__ == "__main__":
    main()
