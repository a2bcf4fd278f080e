#!/usr/bin/python
"""Module identity: Keystone's whole catalog, with the users, projects and roles of the services, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity
short_description: Converge Keystone's services, endpoints, service users and roles
description:
  - Takes the plan's C(identity) as it is and makes it so within one session. What differs is written side by side.
  - Where the administrator cannot log in, Keystone is bootstrapped first; its password goes through the environment.
  - Whether a user has its wanted password is found out by logging in, as Keystone tells nothing about passwords.
  - A user has exactly the given roles in its project, and a service exactly the given endpoints in the region.
    What is named nowhere in the arguments is left alone.
options:
  auth_url:
    description: URL of Keystone with its version; by default the endpoint of the C(identity) service in O(services).
    type: str
  cafile:
    description: File with the CA that certified Keystone's front end; by default the system's.
    type: path
  admin:
    description: The administrator; C(user), C(password), C(project), C(role) and C(domain) (by default admin, -,
      admin, admin, Default).
    type: dict
    required: true
  region:
    description: Region of the endpoints.
    type: str
    required: true
  services:
    description: Name to C(type), C(description) and C(endpoints) (mapping of C(public), C(internal), C(admin) to URL).
    type: dict
    default: {}
  users:
    description: Name to C(password), C(project) (default C(service)) and C(roles) (list). Projects and roles are made
      where absent.
    type: dict
    default: {}
  roles:
    description: Roles that are made where absent, besides those that O(users) have.
    type: list
    elements: str
    default: []
  absent:
    description: C(services) and C(users), lists of names that are removed.
    type: dict
    default: {}
  bootstrap:
    description: C(command), without options, and the user that it is C(run_as).
    type: dict
    default: {command: keystone-manage bootstrap, run_as: keystone}
  timeout:
    description: Seconds to wait for Keystone to answer.
    type: int
    default: 120
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Converge identity
  cloudos.cloud.identity:
    auth_url: https://192.0.2.10:5000/v3
    region: RegionOne
    admin: {user: admin, password: "${secret:identity/admin}", project: admin}
    services:
      glance:
        type: image
        description: Image
        endpoints: {public: "https://192.0.2.10:9292", internal: "https://192.0.2.10:9292", admin: "https://192.0.2.10:9292"}
    users:
      glance: {password: "${secret:identity/glance}", project: service, roles: [service]}
"""

RETURN = r"""
bootstrapped: {description: Whether Keystone was bootstrapped now., type: bool, returned: always}
seconds: {description: How long the looks and the changes took., type: dict, returned: always}
"""

import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from ansible_collections.cloudos.cloud.plugins.module_utils.keystone import Denied, Keystone, Refused, Unreachable
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import journal, run

OTHER = "(another)"
# What needs what: each kind is written after those before it, the things of one kind side by side. Removal is last.
ORDER = ("region", "role", "project", "service", "user")


class Identity(Operation):
    spec = {
        "auth_url": {"type": "str"},
        "cafile": {"type": "path"},
        "admin": {"type": "dict", "required": True},
        "region": {"type": "str", "required": True},
        "services": {"type": "dict", "default": {}},
        "users": {"type": "dict", "default": {}},
        "roles": {"type": "list", "elements": "str", "default": []},
        "absent": {"type": "dict", "default": {}},
        "bootstrap": {"type": "dict", "default": {"command": "keystone-manage bootstrap", "run_as": "keystone"}},
        "timeout": {"type": "int", "default": 120},
    }

    def __init__(self, module):
        super().__init__(module)
        self.admin = {"user": "admin", "project": "admin", "role": "admin", "domain": "Default", **self.params["admin"]}
        self.users = self.params["users"]
        self.services = self.params["services"]
        self.roles = {*self.params["roles"], *(role for user in self.users.values() for role in user["roles"])}
        self.absent = {"services": [], "users": [], **self.params["absent"]}
        self.keystone = Keystone(self.auth_url(), self.params["cafile"], self.params["region"])
        self.ids = {}  # "kind name" -> id in Keystone
        self.bootstrapped = False
        self.seconds = {}

    def auth_url(self):
        """As given, or the identity service's own endpoint."""
        own = [service["endpoints"] for service in self.services.values() if service["type"] == "identity"]
        if not self.params["auth_url"] and not own:
            raise Failure("neither auth_url nor a service of type identity is given")
        return self.params["auth_url"] or own[0].get("internal") or own[0]["public"]

    # What is there, what is wanted

    def found(self):
        """Nothing, where Keystone does not run yet or does not know the administrator."""
        start = time.monotonic()
        try:
            self.login(patient=False)
        except Denied:
            return {}
        except Unreachable as problem:
            if problem.absent:
                return {}
            raise self.no_answer(problem) from problem
        state = self.look()
        self.seconds["look"] = round(time.monotonic() - start, 2)
        return state

    def wanted(self):
        projects = {user.get("project", "service") for user in self.users.values()}
        state = {f"region {self.params['region']}": {"exists": True}}
        state |= {f"role {name}": {"exists": True} for name in sorted(self.roles)}
        state |= {f"project {name}": {"exists": True} for name in sorted(projects)}
        for name, service in sorted(self.services.items()):
            state[f"service {name}"] = {
                "type": service["type"],
                "description": service.get("description", ""),
                "enabled": True,
                "endpoints": dict(sorted(service["endpoints"].items())),
            }
        for name, user in sorted(self.users.items()):
            state[f"user {name}"] = {
                "password": user["password"],
                "enabled": True,
                "project": user.get("project", "service"),
                "roles": sorted(user["roles"]),
            }
        return state

    def login(self, patient):
        admin = self.admin
        self.keystone.login_when_up(
            self.params["timeout"],
            admin["user"],
            self.reveal(admin["password"]),
            admin["project"],
            admin["domain"],
            patient=patient,
        )

    def no_answer(self, problem):
        return Failure(
            f"Keystone does not answer within {self.params['timeout']} s: {problem}",
            service="keystone",
            unit="keystone-api.service",
            log=[self.mask(line) for line in journal("keystone-api.service")],
            next_step="mend what the log names, then run the playbook again",
        )

    def look(self):
        """The state of everything that is named in the arguments; fills `ids`."""
        names = {*self.users, *self.absent["users"]}
        projects = {user.get("project", "service") for user in self.users.values()}
        with ThreadPoolExecutor(8) as pool:
            logins = {name: pool.submit(self.knows, name) for name in self.users}
            users = {name: pool.submit(self.one, "user", name) for name in names}
            homes = {name: pool.submit(self.one, "project", name) for name in projects}
            lists = {
                kind: pool.submit(self.keystone.get, f"/{kind}")
                for kind in ("regions", "roles", "services", "endpoints")
            }
            lists = {kind: future.result()[kind] for kind, future in lists.items()}
            state = self.look_at_lists(lists)
            state |= {f"project {name}": {"exists": True} for name, home in homes.items() if home.result()}
            granted = list(pool.map(self.grants, [home.result() for home in homes.values() if home.result()]))
            role_names = {role["id"]: role["name"] for role in lists["roles"]}
            for name, user in users.items():
                if user.result():
                    state[f"user {name}"] = self.look_at_user(user.result(), logins.get(name), role_names, dict(granted))
        return state

    def look_at_lists(self, lists):
        self.ids |= {f"role {role['name']}": role["id"] for role in lists["roles"]}
        state = {
            f"region {region['id']}": {"exists": True}
            for region in lists["regions"]
            if region["id"] == self.params["region"]
        }
        state |= {f"role {role['name']}": {"exists": True} for role in lists["roles"] if role["name"] in self.roles}
        for service in lists["services"]:
            name = service.get("name")
            if name in self.services or name in self.absent["services"]:
                state[f"service {name}"] = self.look_at_service(service, lists["endpoints"])
        return state

    def look_at_service(self, service, endpoints):
        self.ids[f"service {service['name']}"] = service["id"]
        mine = {
            endpoint["interface"]: endpoint
            for endpoint in endpoints
            if endpoint["service_id"] == service["id"] and endpoint["region_id"] == self.params["region"]
        }
        self.ids |= {f"endpoint {service['name']} {interface}": endpoint["id"] for interface, endpoint in mine.items()}
        return {
            "type": service["type"],
            "description": service.get("description") or "",
            "enabled": service["enabled"],
            "endpoints": {interface: mine[interface]["url"] for interface in sorted(mine)},
        }

    def look_at_user(self, user, login, role_names, granted):
        self.ids[f"user {user['name']}"] = user["id"]
        wanted = self.users.get(user["name"])
        if wanted is None:
            return {"enabled": user["enabled"]}
        project = wanted.get("project", "service")
        roles = granted.get(self.ids.get(f"project {project}"), {}).get(user["id"], ())
        known = login.result()
        return {
            "password": wanted["password"] if known else OTHER,
            "enabled": user["enabled"],
            "project": project,
            "roles": sorted(role_names[role] for role in roles),
        }

    def one(self, kind, name):
        """The user or project of that name in the default domain, or None."""
        found = self.keystone.get(f"/{kind}s?domain_id=default&name={quote(name)}")[f"{kind}s"]
        if found:
            self.ids[f"{kind} {name}"] = found[0]["id"]
        return found[0] if found else None

    def grants(self, project):
        """(project id, {user id: set of role ids}), without what comes through groups and inheritance."""
        granted = {}
        for entry in self.keystone.get(f"/role_assignments?scope.project.id={project['id']}")["role_assignments"]:
            if "user" in entry and "OS-INHERIT:inherited_to" not in entry["scope"]:
                granted.setdefault(entry["user"]["id"], set()).add(entry["role"]["id"])
        return project["id"], granted

    def knows(self, name):
        """Whether the user can log in with its wanted password."""
        try:
            Keystone(self.keystone.auth_url, self.params["cafile"]).login(
                name, self.reveal(self.users[name]["password"])
            )
        except Denied:
            return False
        return True

    # How to make it so

    def converge(self, step):
        start = time.monotonic()
        before = step.before
        if self.keystone.token is None:
            self.bootstrap()
            before = self.look()
        try:
            self.write(before, step.after)
        except Refused as refused:
            raise Failure(
                str(refused),
                service="keystone",
                unit="keystone-api.service",
                next_step="run the playbook again; what was written stays",
            ) from refused
        self.seconds["change"] = round(time.monotonic() - start, 2)

    def bootstrap(self):
        """Make the administrator, then wait until it can log in; harmless where all of it is there."""
        own = [service["endpoints"] for service in self.services.values() if service["type"] == "identity"]
        values = {
            "username": self.admin["user"],
            "project-name": self.admin["project"],
            "role-name": self.admin["role"],
            "service-name": "keystone",
            "region-id": self.params["region"],
        }
        values |= {f"{interface}-url": url for interface, url in (own[0] if own else {}).items()}
        command = shlex.split(self.params["bootstrap"]["command"])
        password = self.reveal(self.admin["password"])
        run(
            command + [word for key, value in values.items() for word in (f"--bootstrap-{key}", value)],
            user=self.params["bootstrap"].get("run_as"),
            environment={"OS_BOOTSTRAP_PASSWORD": password},
            service="keystone",
            secrets=[password],
        )
        self.bootstrapped = True
        try:
            self.login(patient=True)
        except Unreachable as problem:
            raise self.no_answer(problem) from problem
        except Denied as denied:
            raise Failure(
                f"{self.admin['user']} cannot log in at {self.keystone.auth_url} although Keystone was bootstrapped",
                service="keystone",
                next_step="look whether keystone-manage and the API use the same database",
            ) from denied

    def write(self, before, after):
        """Everything that differs, kind after kind."""
        with ThreadPoolExecutor(8) as pool:
            for kind in ORDER:
                names = [
                    key.split(" ", 1)[1]
                    for key in after
                    if key.startswith(f"{kind} ") and after[key] != before.get(key)
                ]
                keys = [f"{kind} {name}" for name in names]
                writer = getattr(self, f"write_{kind}")
                list(pool.map(writer, names, [before.get(key) for key in keys], [after[key] for key in keys]))
            gone = [key for key in before if key not in after]
            list(pool.map(lambda key: self.keystone.call("DELETE", f"/{key.split()[0]}s/{self.ids[key]}"), gone))

    def write_region(self, name, _before, _after):
        self.keystone.call("POST", "/regions", {"region": {"id": name}})

    def write_role(self, name, _before, _after):
        self.create("role", name)

    def write_project(self, name, _before, _after):
        self.create("project", name, domain_id="default")

    def write_service(self, name, before, after):
        fields = {key: after[key] for key in ("type", "description", "enabled")}
        if before is None:
            self.create("service", name, **fields)
        elif any(before[key] != value for key, value in fields.items()):
            self.update("service", name, fields)
        old = before["endpoints"] if before else {}
        for interface, url in after["endpoints"].items():
            if interface not in old:
                endpoint = {
                    "service_id": self.ids[f"service {name}"],
                    "region_id": self.params["region"],
                    "interface": interface,
                }
                self.keystone.call("POST", "/endpoints", {"endpoint": {**endpoint, "url": url}})
            elif old[interface] != url:
                self.update("endpoint", f"{name} {interface}", {"url": url})
        for interface in old.keys() - after["endpoints"].keys():
            self.keystone.call("DELETE", f"/endpoints/{self.ids[f'endpoint {name} {interface}']}")

    def write_user(self, name, before, after):
        project = self.ids[f"project {after['project']}"]
        password = self.reveal(after["password"])
        if before is None:
            self.create("user", name, domain_id="default", password=password, default_project_id=project)
        elif before["password"] == OTHER or not before["enabled"]:
            self.update("user", name, {"password": password, "enabled": True})
        old = set(before["roles"] if before else ())
        for role in old.symmetric_difference(after["roles"]):
            path = f"/projects/{project}/users/{self.ids[f'user {name}']}/roles/{self.ids[f'role {role}']}"
            self.keystone.call("DELETE" if role in old else "PUT", path)

    def create(self, kind, name, **fields):
        made = self.keystone.call("POST", f"/{kind}s", {kind: {"name": name, **fields}})[kind]
        self.ids[f"{kind} {name}"] = made["id"]

    def update(self, kind, name, fields):
        self.keystone.call("PATCH", f"/{kind}s/{self.ids[f'{kind} {name}']}", {kind: fields})

    def result(self, step):
        return {"bootstrapped": self.bootstrapped, "seconds": self.seconds}


def main():
    Identity.main()


if __name__ == "__main__":
    main()
