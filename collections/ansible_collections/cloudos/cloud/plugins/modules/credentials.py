"""Module credentials: documentation only; the action plugin of the same name does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: credentials
short_description: Write the credentials of a cloud's administrator
description:
  - Writes C(clouds.yaml) and the certificate of the cloud's own authority into C(CLOUDOS_HOME/clouds/<cloud>), readable by the
    caller alone. OpenStack's clients read the first through C(OS_CLIENT_CONFIG_FILE).
  - Runs on the controller. The password is never part of the result.
options:
  services:
    description: Endpoints to tell about, name of the service to address; the plan's C(identity.services).
    type: dict
    required: true
  region:
    description: Name of the region.
    type: str
    required: true
  dashboard:
    description: Whether there is a dashboard to tell about.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Tells what would change and changes nothing.
  diff_mode:
    support: none
    description: The files hold a password.
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Credentials of the administrator
  cloudos.cloud.credentials:
    services: "{{ plan_identity.services }}"
    region: "{{ plan_identity.region }}"
"""

RETURN = r"""
summary:
  description: Lines for a person, with the endpoints, where the credentials are and how to log in.
  type: list
  elements: str
  returned: always
"""
