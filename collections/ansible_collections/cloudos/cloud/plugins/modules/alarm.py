#!/usr/bin/python
"""Module alarm: an alarm on a metric of a resource, and what state it is in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alarm
short_description: Keep an alarm on a metric of a resource
description:
  - Keeps an alarm of Aodh that compares aggregates of one metric of one resource in Gnocchi with a threshold.
  - With O(wait_for), a run ends when the alarm is in one of the given states, and fails where it is not in time.
options:
  name: {description: Name of the alarm; unique in its project., type: str, required: true}
  description: {description: Description of the alarm., type: str, default: ""}
  metric: {description: Name of the metric; required with O(state=present)., type: str}
  resource: {description: Identifier of the resource; required with O(state=present)., type: str}
  resource_type: {description: Its type in Gnocchi., type: str, default: instance}
  aggregation_method: {description: What is compared., type: str, default: mean}
  granularity: {description: Seconds that one aggregate stands for., type: int, default: 300}
  evaluation_periods: {description: How many aggregates in a row decide., type: int, default: 1}
  comparison: {description: How they compare with O(threshold)., type: str, choices: [lt, le, eq, ne, ge, gt], default: gt}
  threshold: {description: The threshold; required with O(state=present)., type: float}
  severity: {description: Severity., type: str, choices: [low, moderate, critical], default: low}
  enabled: {description: Whether it is evaluated., type: bool, default: true}
  actions:
    description: C(alarm), C(ok) and C(insufficient_data), lists of URLs that are told of that state.
    type: dict
    default: {}
  wait_for:
    description: States to wait for one of, such as C([ok, alarm]).
    type: list
    elements: str
    choices: [ok, alarm, insufficient data]
    default: []
  timeout: {description: Seconds to wait., type: int, default: 660}
  state: {description: Whether the alarm is there., type: str, choices: [present, absent], default: present}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.cloud]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Tell when an instance uses more than 1 GiB
  cloudos.cloud.alarm:
    cloud: mycloud
    name: memory
    metric: memory.usage
    resource: "{{ server.id }}"
    threshold: 1024
    actions: {alarm: ["https://example.org/alarm"]}
"""

RETURN = r"""
id: {description: Identifier of the alarm., type: str, returned: when there is one}
alarm_state: {description: State that Aodh found., type: str, returned: when there is one}
reason: {description: Why it is in that state., type: str, returned: when there is one}
"""

import time
from urllib.parse import quote

from ansible_collections.cloudos.cloud.plugins.module_utils.cloud import CLOUD, CloudOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

TYPE = "gnocchi_resources_threshold"
RULE = {
    "metric": "metric",
    "resource_id": "resource",
    "resource_type": "resource_type",
    "aggregation_method": "aggregation_method",
    "granularity": "granularity",
    "evaluation_periods": "evaluation_periods",
    "comparison_operator": "comparison",
    "threshold": "threshold",
}
ACTIONS = ("alarm", "ok", "insufficient_data")
STATES = ["ok", "alarm", "insufficient data"]


class Alarm(CloudOperation):
    service = "aodh"
    spec = {
        **CLOUD,
        "name": {"type": "str", "required": True},
        "description": {"type": "str", "default": ""},
        "metric": {"type": "str"},
        "resource": {"type": "str"},
        "resource_type": {"type": "str", "default": "instance"},
        "aggregation_method": {"type": "str", "default": "mean"},
        "granularity": {"type": "int", "default": 300},
        "evaluation_periods": {"type": "int", "default": 1},
        "comparison": {"type": "str", "choices": ["lt", "le", "eq", "ne", "ge", "gt"], "default": "gt"},
        "threshold": {"type": "float"},
        "severity": {"type": "str", "choices": ["low", "moderate", "critical"], "default": "low"},
        "enabled": {"type": "bool", "default": True},
        "actions": {"type": "dict", "default": {}},
        "wait_for": {"type": "list", "elements": "str", "choices": STATES, "default": []},
        "timeout": {"type": "int", "default": 660},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    options = {"required_if": [("state", "present", ["metric", "resource", "threshold"])]}

    def found(self):
        """{"alarm": its attributes}; empty where there is none of that name."""
        self.alarm = self.look()
        return {"alarm": self.shown(self.alarm)} if self.alarm else {}

    def look(self):
        path = f"/v2/alarms?q.field=name&q.op=eq&q.value={quote(self.params['name'])}"
        alarms = self.api("alarming", path)
        return alarms[0] if alarms else None

    def shown(self, alarm):
        rule = alarm.get(f"{TYPE}_rule") or {}
        return {
            "type": alarm["type"],
            "description": alarm["description"] if self.params["description"] else "",
            "severity": alarm["severity"],
            "enabled": alarm["enabled"],
            **{word: rule.get(key) for key, word in RULE.items()},
            "actions": {name: list(alarm[f"{name}_actions"]) for name in ACTIONS},
        }

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        unknown = sorted(set(self.params["actions"]) - set(ACTIONS))
        if unknown:
            raise Failure(f"actions has {', '.join(unknown)}; there are {', '.join(ACTIONS)}")
        return {
            "alarm": {
                "type": TYPE,
                **{name: self.params[name] for name in ("description", "severity", "enabled")},
                **{word: self.params[word] for word in RULE.values()},
                "actions": {name: self.params["actions"].get(name) or [] for name in ACTIONS},
            }
        }

    def converge(self, step):
        after = step.after.get("alarm")
        if not after:
            self.api("alarming", f"/v2/alarms/{self.alarm['alarm_id']}", "DELETE")
            self.alarm = None
            return
        body = {
            "name": self.params["name"],
            "type": TYPE,
            **{name: after[name] for name in ("severity", "enabled")},
            **({"description": after["description"]} if after["description"] else {}),
            **{f"{name}_actions": after["actions"][name] for name in ACTIONS},
            f"{TYPE}_rule": {key: after[word] for key, word in RULE.items()},
        }
        if self.alarm:
            # A change is the whole alarm; what the arguments do not speak of stays.
            keep = {key: self.alarm[key] for key in ("repeat_actions", "time_constraints") if key in self.alarm}
            self.alarm = self.api("alarming", f"/v2/alarms/{self.alarm['alarm_id']}", "PUT", {**keep, **body})
        else:
            self.alarm = self.api("alarming", "/v2/alarms", "POST", body)

    def result(self, step):
        with self.told():
            alarm = self.settled()
        if not alarm:
            return {}
        return {"id": alarm["alarm_id"], "alarm_state": alarm["state"], "reason": alarm.get("state_reason", "")}

    def settled(self):
        """The alarm once it is in a state that is waited for; in check mode as it is."""
        deadline = time.monotonic() + self.params["timeout"]
        while self.alarm and self.params["wait_for"] and not self.rehearsal:
            if self.alarm["state"] in self.params["wait_for"]:
                break
            if time.monotonic() > deadline:
                raise Failure(
                    f"alarm {self.params['name']} is in state {self.alarm['state']} after {self.params['timeout']} s: "
                    f"{self.alarm.get('state_reason')}",
                    service=self.service,
                    unit="aodh-evaluator.service",
                    next_step="see with module measures whether its metric is measured, and read journalctl -u aodh-evaluator",
                )
            time.sleep(1)
            self.alarm = self.api("alarming", f"/v2/alarms/{self.alarm['alarm_id']}")
        return self.alarm


def main():
    Alarm.main()


if __name__ == "__main__":
    main()
