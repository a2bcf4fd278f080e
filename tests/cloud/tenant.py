"""A project of its own with one user, in which topologies are deployed: what is in it, and its end without a rest."""

import secrets
import time

import openstack
import yaml
from openstack import exceptions

from cloudos.eve.client import Eve
from cloudos.focus.client import Focus

NETWORK = {"networks": 200, "subnets": 200, "ports": 500, "security_groups": 200, "security_group_rules": 800}
STORAGE = {"volumes": 100, "gigabytes": 200}
# What topologies make: word -> the connection's service, and the list in it.
MADE = {
    "server": ("compute", "servers"), "volume": ("block_storage", "volumes"), "ip": ("network", "ips"), "router": ("network", "routers"),
    "port": ("network", "ports"), "subnet": ("network", "subnets"), "network": ("network", "networks"),
    "security group": ("network", "security_groups"),
}  # fmt: skip


class Tenant:
    """Project, user, image, flavor and a larger one of one name, made by the administrator of a cloud (tests.cloud.running.Cloud)."""

    def __init__(self, cloud, name):
        self.name, self.larger = name, f"{name}-larger"
        about = yaml.safe_load((cloud.state / "clouds.yaml").read_text())["clouds"][cloud.name]
        known = {"region_name": about["region_name"], "cacert": about["cacert"]}
        self.admin = openstack.connect(auth=about["auth"], **known)
        self.remove()
        password = secrets.token_urlsafe(24)
        self._admit(password)
        login = {"auth_url": about["auth"]["auth_url"], "username": name, "password": password, "project_name": name,
                 "user_domain_name": "Default", "project_domain_name": "Default"}  # fmt: skip
        self.login = {"auth": login, **known}  # an entry of clouds.yaml
        self.api = openstack.connect(**self.login)
        self.eve, self.focus = Eve(self.api.session), Focus(self.api.session)
        # Nothing needs to boot: a server of an empty disk is as active as any, and takes no time of a core.
        self.api.image.create_image(name=name, data=bytes(1 << 20), disk_format="raw", container_format="bare")

    def _admit(self, password):
        identity, network, compute = self.admin.identity, self.admin.network, self.admin.compute
        self.project = identity.create_project(name=self.name, domain_id="default")
        self.user = identity.create_user(name=self.name, domain_id="default", password=password, default_project_id=self.project.id)
        identity.assign_project_role_to_user(self.project, self.user, identity.find_role("member"))
        network.update_quota(self.project.id, **NETWORK)
        if self.admin.has_service("block-storage"):
            self.admin.block_storage.update_quota_set(self.project.id, **STORAGE)
        for name, ram in ((self.name, 64), (self.larger, 96)):
            flavor = compute.create_flavor(name=name, ram=ram, vcpus=1, disk=1, is_public=False)
            compute.flavor_add_tenant_access(flavor, self.project.id)

    def remove(self):
        """Away with it and all that is in it, also with what an earlier one of the name has left."""
        identity = self.admin.identity
        for project in identity.projects(name=self.name):
            self._empty(project.id)
            identity.delete_project(project)
        for user in identity.users(name=self.name):
            identity.delete_user(user)
        for flavor in self.admin.compute.flavors(is_public=None):
            if flavor.name in (self.name, self.larger):
                self.admin.compute.delete_flavor(flavor)

    def _empty(self, project):
        for image in self.admin.image.images(owner=project):
            self.admin.image.delete_image(image)
        until = time.monotonic() + 60
        while left := self.there(project):
            assert time.monotonic() < until, left
            for word, one in left:
                service, _ = MADE[word]
                delete = getattr(getattr(self.admin, service), f"delete_{word.replace(' ', '_')}")
                try:
                    self._detach(word, one)
                    delete(one)
                except (exceptions.ConflictException, exceptions.BadRequestException):
                    pass  # what is in its way goes first, and then it
            time.sleep(1)

    def _detach(self, word, one):
        if word == "router":
            for port in self.admin.network.ports(device_id=one.id, device_owner="network:router_interface"):
                self.admin.network.remove_interface_from_router(one, port_id=port.id)

    def there(self, project=None):
        """(word, object) of all that there is in the project and that a topology makes."""
        project = project or self.project.id
        found = []
        for word, (service, listed) in MADE.items():
            if not self.admin.has_service(service.replace("_", "-")):
                continue
            query = {"project_id": project} if service == "network" else {"all_projects": True, "project_id": project}
            found += [(word, one) for one in getattr(getattr(self.admin, service), listed)(**query)]
        # Neutron makes a port for DHCP in each network and a group for each project, and removes both by itself.
        own = {("port", "network:dhcp"), ("security group", "default")}
        return [(word, one) for word, one in found if (word, one.device_owner if word == "port" else one.name) not in own]

    def names(self):
        """Word -> sorted names of what there is of it."""
        found = {}
        for word, one in self.there():
            found.setdefault(word, []).append(one.name)
        return {word: sorted(names) for word, names in found.items()}

    def credentials(self):
        """Names of the user's application credentials."""
        return [one.name for one in self.admin.identity.application_credentials(user=self.user.id)]
