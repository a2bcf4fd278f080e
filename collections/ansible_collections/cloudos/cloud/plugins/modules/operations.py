#!/usr/bin/python
"""Documentation of the action plugin of the same name, which runs the modules it is given."""

DOCUMENTATION = r"""
module: operations
short_description: Runs a list of modules on a host as one task
description:
  - Runs the operations that the plan names for one moment of a playbook, one after another, and tells
    the results per service.
  - Each module is run through its own action plugin where it has one; otherwise it is given the secrets its
    arguments refer to.
  - The first failure ends the list.
options:
  operations:
    description: What to run; each with C(module), and optionally C(args) (mapping) and C(service) (who it is for).
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    support: full
    description: As the modules that are run.
  diff_mode:
    support: full
    description: The differences of all modules.
author: [Cloud OS]
"""

EXAMPLES = r"""
- name: Run operations
  cloudos.cloud.operations:
    operations: "{{ plan.operations | selectattr('after', 'equalto', 'schemas') }}"
"""

RETURN = r"""
results: {description: Service to list of module results., type: dict, returned: always}
failure:
  description: "Of the operation that failed: service, unit, cause, log and next_step."
  type: dict
  returned: on failure
"""
