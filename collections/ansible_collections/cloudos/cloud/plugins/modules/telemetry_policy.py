#!/usr/bin/python
"""Module telemetry_policy: how finely and how long Gnocchi keeps what is measured."""

from __future__ import annotations

DOCUMENTATION = r"""
module: telemetry_policy
short_description: Keep Gnocchi's archive policies and the rules that choose them
description:
  - An archive policy says what is kept of a metric's measures, namely which aggregates, in which granularities, and each
    of them for how long; a rule gives metrics a policy by their name. Those that are named nowhere are left alone.
  - Retention changes in place, also for metrics that exist. Granularities and aggregation methods of a policy are fixed
    once it is made; a policy that nothing uses is made anew, one in use is refused with the reason.
options:
  policies:
    description:
      - Name to C(keep), a mapping of granularity to retention, C(aggregation_methods) (by default C([mean])) and
        C(back_window) (by default 0), how many periods back measures may come late. Null, the policy is removed.
      - Times are seconds or a number with a unit - C(30s), C(5m), C(1h), C(30d), C(52w).
    type: dict
    default: {}
  rules:
    description: Name to C(metric_pattern) and C(archive_policy). Null, the rule is removed.
    type: dict
    default: {}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.administrator]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Five minutes' means of everything, for a quarter
  cloudos.cloud.telemetry_policy:
    auth_url: https://192.0.2.10:5000/v3
    admin: {password: "${secret:identity/admin}"}
    policies:
      ceilometer-low: {aggregation_methods: [mean], keep: {5m: 90d}}
    rules:
      default: {metric_pattern: "*", archive_policy: ceilometer-low}
"""

RETURN = r"""
policies: {description: Names of all policies that are wanted., type: list, elements: str, returned: always}
"""

import re
from urllib.parse import quote

from ansible_collections.cloudos.cloud.plugins.module_utils.administrator import ADMINISTRATOR, AdministratorOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.keystone import Refused
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}
POLICIES = "/v1/archive_policy"
RULES = "/v1/archive_policy_rule"


class TelemetryPolicy(AdministratorOperation):
    service, unit, service_type = "gnocchi", "gnocchi-api.service", "metric"
    spec = {
        **ADMINISTRATOR,
        "policies": {"type": "dict", "default": {}},
        "rules": {"type": "dict", "default": {}},
    }

    def look(self):
        """{"policy <name>", "rule <name>": their attributes} of those that the arguments name."""
        policies = {one["name"]: one for one in self.keystone.get(POLICIES, "metric")}
        rules = {one["name"]: one for one in self.keystone.get(RULES, "metric")}
        state = {f"policy {name}": shown(policies[name]) for name in self.params["policies"] if name in policies}
        for name in self.params["rules"]:
            if name in rules:
                found = rules[name]
                state[f"rule {name}"] = {
                    "metric_pattern": found["metric_pattern"],
                    "archive_policy": found["archive_policy_name"],
                }
        return state

    def wanted(self):
        policies, rules = self.params["policies"], self.params["rules"]
        state = {f"policy {name}": self.policy(name, said) for name, said in policies.items() if said is not None}
        for name, said in rules.items():
            if said is not None:
                keys = ("metric_pattern", "archive_policy")
                if set(said) != set(keys):
                    raise Failure(f"rule {name} must have {' and '.join(keys)}, and no more")
                state[f"rule {name}"] = {key: said[key] for key in keys}
        return state

    @staticmethod
    def policy(name, said):
        unknown = set(said) - {"keep", "aggregation_methods", "back_window"}
        if unknown or not said.get("keep"):
            problem = f"has {', '.join(sorted(unknown))}" if unknown else "lacks keep"
            raise Failure(
                f"archive policy {name} {problem}",
                next_step="give keep (granularity to retention), and if need be aggregation_methods and back_window",
            )
        kept = {seconds(granularity): seconds(span) for granularity, span in said["keep"].items() if span is not None}
        for granularity, span in kept.items():
            if span < granularity:
                raise Failure(f"archive policy {name} keeps {text(granularity)} for {text(span)}, less than one period")
        return {
            "aggregation_methods": sorted(said.get("aggregation_methods", ["mean"])),
            "back_window": said.get("back_window", 0),
            "keep": {text(granularity): text(kept[granularity]) for granularity in sorted(kept)},
        }

    def converge(self, step):
        """Rules that go come first and rules that come last, as a policy that a rule names cannot be removed."""
        rules = [key for key in step.changes if key.startswith("rule ")]
        for key in rules:
            if key in step.before:
                self.write("DELETE", path(RULES, key))
        for key in step.changes:
            if key.startswith("policy "):
                self.write_policy(key, step.before.get(key), step.after.get(key))
        for key in rules:
            if rule := step.after.get(key):
                named = {"metric_pattern": rule["metric_pattern"], "archive_policy_name": rule["archive_policy"]}
                self.write("POST", RULES, {"name": key.split(" ", 1)[1], **named})

    def write_policy(self, key, before, after):
        """A change of what is fixed is a new policy; Gnocchi refuses to remove one that is in use."""
        if before and after and fixed(before) == fixed(after):
            change = {"definition": definition(after["keep"]), "back_window": after["back_window"]}
            self.write("PATCH", path(POLICIES, key), change)
            return
        if before:
            self.remove(key)
        if after:
            body = {"name": key.split(" ", 1)[1], "definition": definition(after["keep"])}
            self.write("POST", POLICIES, {**body, **{name: after[name] for name in ("aggregation_methods", "back_window")}})

    def remove(self, key):
        try:
            self.keystone.call("DELETE", path(POLICIES, key), service=self.service_type)
        except Refused as refused:
            if refused.code != 400:
                raise self.told(str(refused)) from refused
            raise Failure(
                f"{key} is in use; its granularities and aggregation methods cannot change, nor can it be removed",
                service=self.service,
                next_step="give the new policy another name, or keep granularities and methods as they are",
            ) from refused

    def result(self, step):
        return {"policies": [key.split(" ", 1)[1] for key in step.after if key.startswith("policy ")]}


def path(collection, key):
    return f"{collection}/{quote(key.split(' ', 1)[1], safe='')}"


def fixed(policy):
    """What of a policy cannot change."""
    return policy["aggregation_methods"], list(policy["keep"])


def shown(policy):
    """Gnocchi's policy in the words of the arguments."""
    kept = {seconds(one["granularity"]): seconds(one["timespan"]) for one in policy["definition"]}
    return {
        "aggregation_methods": sorted(policy["aggregation_methods"]),
        "back_window": policy["back_window"],
        "keep": {text(granularity): text(kept[granularity]) for granularity in sorted(kept)},
    }


def definition(keep):
    """The arguments' words in Gnocchi's."""
    return [{"granularity": seconds(one), "timespan": seconds(span)} for one, span in keep.items()]


def seconds(said):
    """Seconds of 300, 5m, or as Gnocchi writes it: 0:05:00, or 30 days, 0:00:00."""
    said = str(said)
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([wdhms]?)", said):
        result = float(match[1]) * UNITS[match[2]]
    elif match := re.fullmatch(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)", said):
        result = int(match[1] or 0) * 86400 + int(match[2]) * 3600 + int(match[3]) * 60 + float(match[4])
    else:
        raise Failure(f"{said!r} is no length of time", next_step="write seconds, or 30s, 5m, 1h, 30d, 52w")
    return int(result) if result == int(result) else result


def text(length):
    """The shortest way to write a length of time: 300 is 5m."""
    if length != int(length):
        return f"{length}s"
    unit = next(unit for unit in ("d", "h", "m", "s") if length % UNITS[unit] == 0)
    return f"{length // UNITS[unit]}{unit}"


def main():
    TelemetryPolicy.main()


if __name__ == "__main__":
    main()
