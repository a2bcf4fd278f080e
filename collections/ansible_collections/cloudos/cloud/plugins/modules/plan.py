#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does all of it on the controller."""

DOCUMENTATION = r"""
module: plan
short_description: Compiles what a cloud must be and gives each host its part
description:
  - Runs on the controller only and needs no connection to the host.
  - The plan is compiled from the inventory, the service files, the plugins, the release and the facts of the nodes.
  - Facts come from M(cloudos.cloud.node_facts) of the same run; nodes outside of it (C(--limit))
    are known from earlier runs.
  - In check mode everything is kept apart from real runs, and no secret is stored.
options:
  state:
    description:
      - C(checked) compiles without facts, so that every mistake in the inventory is told before a node is touched.
      - C(compiled) compiles with facts, makes missing secrets and renews certificates, stores the new plan, and gives
        the host its part as fact C(plan). The keys that are the cloud's, as C(plan.identity), are beside it.
      - C(applied) makes the new plan the one last applied, at the end of C(site.yml).
      - Whatever the number of hosts, the first one does the work, and reports changes or mistakes; the others use
        its result.
    type: str
    choices: [checked, compiled, applied]
    default: compiled
attributes:
  check_mode:
    support: full
    description: Compiles and predicts; secrets and the last applied plan stay as they are.
  diff_mode:
    support: full
    description: C(compiled) shows in what the new plan differs from the last applied; nothing where none was applied.
author: [Cloud OS]
"""

EXAMPLES = r"""
- name: Compile the plan
  cloudos.cloud.plan: {state: compiled}
- name: Write files
  cloudos.cloud.files: {files: "{{ plan.files }}"}
"""

RETURN = r"""
plan_digest: {description: Twelve hexadecimal digits that identify the plan., type: str, returned: compiled and applied}
secrets_made:
  description: Names of the secrets that were made or renewed.
  type: list
  elements: str
  returned: compiled
"""
