"""An OpenStack cloud at openstacksdk's edge: a connection whose lists hold the SDK's own objects."""

from __future__ import annotations

import datetime
from types import SimpleNamespace as Bag

from keystoneauth1 import exceptions as keystone
from openstack import exceptions
from openstack.block_storage.v3 import type as volume_type
from openstack.compute.v2 import aggregate, availability_zone, flavor, keypair
from openstack.image.v2 import image
from openstack.network.v2 import network, subnet
from openstack.placement.v1 import resource_provider, resource_provider_inventory

QUOTA = {"instances": 10, "cores": 20, "ram": 51200}


class Response:
    """What the placement adapter returns."""

    status_code, headers = 200, {"content-type": "application/json"}

    def __init__(self, body):
        self._body = body

    def json(self):
        return self._body


class Cloud:
    """What is in the cloud; tests change it. `forbidden`: kinds that the account may not list. `password`: what lets in."""

    def __init__(self):
        self.password, self.forbidden, self.regions, self.quota = "right", set(), ["east"], dict(QUOTA)
        self.flavors = [
            flavor.Flavor(id="f1", name="m1.tiny", vcpus=1, ram=512, disk=1, is_public=True, extra_specs={}),
            flavor.Flavor(id="f2", name="m1.small", vcpus=2, ram=2048, disk=20, is_public=True, extra_specs={"hw:cpu_policy": "shared"}),
            flavor.Flavor(id="f3", name="m1.large", vcpus=8, ram=16384, disk=80, is_public=True, extra_specs={
                "hw:cpu_policy": "dedicated", "trait:HW_CPU_X86_AVX2": "required", "resources:VGPU": "1"}),
        ]  # fmt: skip
        self.images = [
            image.Image.existing(
                id="i1",
                name="debian-12",
                status="active",
                min_disk=2,
                min_ram=256,
                size=400 * 2**20,
                os_distro="debian",
                os_version="12",
                os_type="linux",
                architecture="x86_64",
                visibility="public",
                disk_format="qcow2",
                tags=["lts"],
                hw_disk_bus="virtio",
                properties={"cinder_img_volume_type": "fast"},
            ),
            image.Image.existing(id="i2", name="broken", status="queued", min_disk=0, min_ram=0, os_distro="debian", os_version="13"),
        ]
        self.networks = [
            network.Network(
                id="n1",
                name="private",
                is_router_external=False,
                status="ACTIVE",
                is_admin_state_up=True,
                mtu=1450,
                is_shared=False,
                subnet_ids=["s1"],
                availability_zones=["nova"],
            ),
            network.Network(
                id="n2", name="public", is_router_external=True, status="ACTIVE", is_admin_state_up=True, mtu=1500, is_shared=True
            ),
        ]
        self.volume_types = [volume_type.Type(id="v1", name="fast", is_public=True, extra_specs={"volume_backend_name": "ssd",
                                                                                                "multiattach": "<is> True"})]  # fmt: skip

    def connect(self, access):
        """The connection of an account."""
        return Connection(self, access)


class Connection:
    """The parts of openstack.connection.Connection that the driver uses."""

    def __init__(self, cloud, access):
        self.cloud, self.access, self.current_project_id = cloud, access, "cloudproject"
        self.session = Bag(auth=self)
        self.compute = Bag(flavors=lambda **_: self._list("flavors"), keypairs=self._keys, aggregates=self._aggregates,
                           availability_zones=lambda: [availability_zone.AvailabilityZone(name="nova", state={"available": True})],
                           get_limits=self._limits)  # fmt: skip
        self.image = Bag(images=lambda: self._list("images"))
        self.network = Bag(
            networks=lambda: self._list("networks"),
            subnets=lambda: [subnet.Subnet(network_id="n1", ip_version=4, cidr="10.0.0.0/24")],
            network_ip_availabilities=self._forbid,
            availability_zones=lambda: [Bag(name="nova", state="available")],
            get_quota=lambda *_, **__: self._neutron(),
        )
        self.block_storage = Bag(types=lambda: self._list("volume_types"), get_limits=self._volumes,
                                 availability_zones=lambda: [Bag(name="nova", state={"available": True})])  # fmt: skip
        self.placement = Bag(resource_providers=self._hosts, get=self._placement, resource_provider_inventories=self._inventory)

    def has_service(self, name):
        return name == "block-storage"

    def get_access(self, session):
        if self.access.secret["password"] != self.cloud.password:
            raise keystone.Unauthorized("the provider's own words")
        ends = [{"region_id": region, "interface": "public", "url": "https://x"} for region in self.cloud.regions]
        return Bag(project_id="cloudproject", project_name="demo", auth_token="the-token",
                   expires=datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC),
                   service_catalog=Bag(catalog=[{"type": "compute", "endpoints": ends}]))  # fmt: skip

    def _list(self, kind):
        if kind in self.cloud.forbidden:
            self._forbid()
        return list(getattr(self.cloud, kind))

    def _forbid(self):
        raise exceptions.ForbiddenException("not for you")

    def _keys(self):
        return [keypair.Keypair(name="mine", fingerprint="aa:bb", type="ssh")]

    def _aggregates(self):
        if "aggregates" in self.cloud.forbidden:
            self._forbid()
        return [aggregate.Aggregate(id=1, uuid="a1", name="ssd", availability_zone="nova", hosts=["h1"], metadata={"ssd": "true"})]

    def _hosts(self):
        return [resource_provider.ResourceProvider(id="h1", name="host-1", generation=3)]

    def _placement(self, path, **_):
        return Response({"traits": ["HW_CPU_X86_AVX2", "CUSTOM_GOLD"]} if path.endswith("traits") else {"usages": {"VCPU": 4}})

    def _inventory(self, provider):
        return [resource_provider_inventory.ResourceProviderInventory(resource_class="VCPU", total=16, reserved=0, allocation_ratio=2.0)]

    def _limits(self):
        quota = self.cloud.quota
        return Bag(absolute=Bag(instances=quota["instances"], instances_used=1, total_cores=quota["cores"], total_cores_used=2,
                                total_ram=quota["ram"], total_ram_used=2048))  # fmt: skip

    def _volumes(self):
        return Bag(absolute=Bag(max_total_volumes=10, total_volumes_used=0, max_total_volume_gigabytes=1000, total_gigabytes_used=0))

    def _neutron(self):
        names = ("floating_ips", "networks", "ports", "routers", "subnets", "security_groups")
        return Bag(**{name: {"limit": 50, "used": 0, "reserved": 0} for name in names})
