"""Writes clouds.yaml and the CA certificate of a cloud on the controller."""

from __future__ import annotations

from urllib.parse import urlsplit

import yaml
from ansible.plugins.action import ActionBase

from cloudos import home
from cloudos.secrets import SecretsError, Store


class ActionModule(ActionBase):
    """See the module's documentation; needs no connection."""

    _requires_connection = False
    _VALID_ARGS = frozenset(("services", "region", "dashboard"))

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        # Ansible tags its strings with where they came from; YAML takes plain ones only.
        name, services, region = str(task_vars["cloudos_cloud"]), self._task.args["services"], str(self._task.args["region"])
        directory = home.cloud(name)
        path, authority = directory / "clouds.yaml", directory / "ca.pem"
        keystone = str(services["keystone"]["endpoints"]["public"])
        dashboard = f"https://{urlsplit(keystone).hostname}/" if self._task.args.get("dashboard") else None
        told = summary(name, services, path, dashboard)
        try:
            secrets = Store(name).values(["identity/admin", "pki/ca.crt"])
        except SecretsError:
            if not self._task.check_mode:
                raise
            return {"changed": True, "summary": told}  # the real run makes them first
        entry = clouds(name, keystone, region, secrets["identity/admin"], str(authority))
        wanted = {authority: (secrets["pki/ca.crt"].encode(), 0o644), path: (entry.encode(), 0o600)}
        different = {file: what for file, what in wanted.items() if not file.exists() or file.read_bytes() != what[0]}
        if not self._task.check_mode:
            for file, (content, mode) in different.items():
                home.write(file, content, mode)
        return {"changed": bool(different), "summary": told}


def clouds(name, keystone, region, password, authority):
    """Text of a clouds.yaml with one cloud and its administrator."""
    auth = {"auth_url": keystone, "username": "admin", "password": password, "project_name": "admin",
            "user_domain_name": "Default", "project_domain_name": "Default"}
    return yaml.safe_dump({"clouds": {name: {"auth": auth, "region_name": region, "cacert": authority}}}, sort_keys=False)


def summary(name, services, path, dashboard):
    """What a person needs to go on, in lines."""
    endpoints = [f"  {service['type']:<12} {service['endpoints']['public']}" for service in services.values()]
    page = [f"Dashboard: {dashboard}"] if dashboard else []
    return [f"Cloud {name} is up. Its endpoints:", *endpoints, *page, f"Credentials of user admin: {path}",
            f"Log in: OS_CLIENT_CONFIG_FILE={path} .venv/bin/openstack --os-cloud {name} service list"]
