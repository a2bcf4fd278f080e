#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does all of it on the controller."""

DOCUMENTATION = r"""
module: secret_keys
short_description: Rotate the keys that services encrypt with, in the cloud's secrets
description:
  - Runs on the controller only. The secrets of kind C(fernet) that the plan last applied names are lists of keys, newest first.
  - Nodes get what has changed from the next run of C(site.yml).
options:
  state:
    description:
      - C(listed) changes nothing.
      - C(rotated) means that a newer key stands before the one that was in use; one that has several keys stays as it is.
      - C(retired) means that only the newest key is left. Whoever asks for it has seen that nothing needs the others,
        as C(playbooks/rotate_keys.yml) does.
    type: str
    choices: [listed, rotated, retired]
    default: listed
  names:
    description: Only these, such as C(service/eve/credentials); without it all.
    type: list
    elements: str
attributes:
  check_mode:
    support: full
    description: Tells what would change and changes nothing.
  diff_mode:
    support: none
    description: Keys are never shown.
author: [Cloud OS]
"""

EXAMPLES = r"""
- name: Put a new key in front
  cloudos.cloud.secret_keys: {state: rotated}
"""

RETURN = r"""
rings:
  description: Of each secret C(name), C(service), the C(nodes) that have it, how many C(keys) it has, and the fingerprint of the C(newest).
  type: list
  elements: dict
  returned: always
rotated: {description: Names of those that were changed., type: list, elements: str, returned: always}
"""
