#!/usr/bin/python
"""Module orchestration_domain: the Keystone domain that Heat makes users in, and who administers it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: orchestration_domain
short_description: Keep the domain of Heat's stack users, with its administrator
description:
  - Resources of a stack that sign in by themselves, such as an instance that tells that it is ready, get users in a
    domain of their own. Heat makes and removes them as the administrator of that domain, who may nothing elsewhere.
  - Whether the administrator has its wanted password is found out by logging in, as Keystone tells nothing about
    passwords.
  - What else is in the domain belongs to Heat and is left alone.
options:
  domain: {description: Name of the domain., type: str, default: heat}
  description: {description: Description of the domain., type: str, default: Users that stacks make}
  user: {description: Name of the domain's administrator; required with O(state=present)., type: str}
  password: {description: Its password; required with O(state=present)., type: str}
  role: {description: The one role that the administrator has in the domain., type: str, default: admin}
  roles:
    description: Roles that must exist, as Heat gives them to the users that it makes.
    type: list
    elements: str
    default: [heat_stack_user]
  state:
    description: Whether the domain is there. C(absent) removes it with all users and projects in it; roles stay, as
      others may use them.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.administrator]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Domain of stack users
  cloudos.cloud.orchestration_domain:
    auth_url: https://192.0.2.10:5000/v3
    admin: {password: "${secret:identity/admin}"}
    user: heat_domain_admin
    password: "${secret:service/heat/domain}"
"""

RETURN = r"""
domain_id: {description: Identifier of the domain., type: str, returned: when there is one}
"""

from urllib.parse import quote

from ansible_collections.cloudos.cloud.plugins.module_utils.administrator import ADMINISTRATOR, AdministratorOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.keystone import Denied, Keystone

OTHER = "(another)"


class OrchestrationDomain(AdministratorOperation):
    service, unit = "keystone", "keystone-api.service"
    spec = {
        **ADMINISTRATOR,
        "domain": {"type": "str", "default": "heat"},
        "description": {"type": "str", "default": "Users that stacks make"},
        "user": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "role": {"type": "str", "default": "admin"},
        "roles": {"type": "list", "elements": "str", "default": ["heat_stack_user"]},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    options = {"required_if": [("state", "present", ["user", "password"])]}

    def __init__(self, module):
        super().__init__(module)
        self.domain = self.user = None
        self.role_ids = {}

    @property
    def present(self):
        return self.params["state"] == "present"

    def look(self):
        """{"domain <name>", "role <name>", "user <name>": their attributes}."""
        self.role_ids = {role["name"]: role["id"] for role in self.keystone.get("/roles")["roles"]}
        state = {f"role {name}": {"exists": True} for name in self.params["roles"] if name in self.role_ids}
        domains = self.keystone.get(f"/domains?name={quote(self.params['domain'])}")["domains"]
        if not domains:
            return state if self.present else {}
        self.domain = domains[0]
        shown = {"description": self.domain.get("description") or "", "enabled": self.domain["enabled"]}
        if not self.present:
            return {f"domain {self.params['domain']}": shown}
        return {f"domain {self.params['domain']}": shown, **state, **self.look_at_user()}

    def look_at_user(self):
        path = f"/users?domain_id={self.domain['id']}&name={quote(self.params['user'])}"
        users = self.keystone.get(path)["users"]
        if not users:
            return {}
        self.user = users[0]
        granted = self.keystone.get(self.grants())["roles"]
        return {
            f"user {self.params['user']}": {
                "password": self.params["password"] if self.knows() else OTHER,
                "enabled": self.user["enabled"],
                "roles": sorted(role["name"] for role in granted),
            }
        }

    def grants(self, role=None):
        """Path of the administrator's roles in the domain, or of one of them."""
        path = f"/domains/{self.domain['id']}/users/{self.user['id']}/roles"
        return f"{path}/{self.role_id(role)}" if role else path

    def knows(self):
        """Whether the domain's administrator can log in with its wanted password."""
        try:
            Keystone(self.keystone.auth_url, self.params["cafile"]).login(
                self.params["user"], self.reveal(self.params["password"]), domain=self.params["domain"]
            )
        except Denied:
            return False
        return True

    def wanted(self):
        if not self.present:
            return {}
        return {
            f"domain {self.params['domain']}": {"description": self.params["description"], "enabled": True},
            **{f"role {name}": {"exists": True} for name in self.params["roles"]},
            f"user {self.params['user']}": {
                "password": self.params["password"],
                "enabled": True,
                "roles": [self.params["role"]],
            },
        }

    def converge(self, step):
        """The domain comes before who is in it. Each write is whole in itself, so that a killed run is completed."""
        if not self.present:
            self.remove()
            return
        for key in step.changes:
            kind, name = key.split(" ", 1)
            getattr(self, f"write_{kind}")(name, step.before.get(key), step.after.get(key))

    def remove(self):
        """Keystone removes a domain only once nobody can use it any more."""
        self.write("PATCH", f"/domains/{self.domain['id']}", {"domain": {"enabled": False}})
        self.write("DELETE", f"/domains/{self.domain['id']}")
        self.domain = None

    def write_domain(self, name, before, after):
        path, verb = (f"/domains/{self.domain['id']}", "PATCH") if before else ("/domains", "POST")
        self.domain = self.write(verb, path, {"domain": {"name": name, **after}})["domain"]

    def write_role(self, name, _before, _after):
        self.role_ids[name] = self.write("POST", "/roles", {"role": {"name": name}})["role"]["id"]

    def write_user(self, name, before, after):
        fields = {"password": self.reveal(after["password"]), "enabled": True}
        if not before:
            fields |= {"name": name, "domain_id": self.domain["id"], "description": "Administrator of the domain"}
            self.user = self.write("POST", "/users", {"user": fields})["user"]
        elif (before["password"], before["enabled"]) != (after["password"], True):
            self.write("PATCH", f"/users/{self.user['id']}", {"user": fields})
        granted = before["roles"] if before else []
        for role in after["roles"]:
            if role not in granted:
                self.write("PUT", self.grants(role))
        for role in granted:
            if role not in after["roles"]:
                self.write("DELETE", self.grants(role))

    def role_id(self, name):
        if name not in self.role_ids:
            raise self.told(f"Keystone has no role {name}")
        return self.role_ids[name]

    def result(self, step):
        return {"domain_id": self.domain["id"]} if self.domain else {}


def main():
    OrchestrationDomain.main()


if __name__ == "__main__":
    main()
