"""Discovers an OpenStack cloud with openstacksdk: what each kind is there becomes Found in the words of `data/openstack.yml`."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from keystoneauth1 import exceptions as keystone
from keystoneauth1 import session as sessions
from keystoneauth1.identity import v3
from openstack import connection, exceptions
from openstack.config import cloud_region
from requests.adapters import HTTPAdapter

from cloudos.graffiti.drivers import Access, DriverError, Found, LoginFailed, NotAllowed, guard

TRAITS = "1.6"  # microversion of Placement that knows traits of providers


class _Guarded(HTTPAdapter):
    """Every request, also those that a catalog or a redirect leads to, goes to an address that pools may have.

    `ca`: certificates (PEM) of authorities that the pool is trusted by besides those of `file`, or of the system's. Raises LoginFailed
    where they are none.
    """

    def __init__(self, denied: tuple[str, ...], file: str | None, ca: str | None):
        self._denied = denied
        self._trust = ssl.create_default_context(cafile=file or requests.certs.where()) if ca else None
        try:
            if self._trust:
                self._trust.load_verify_locations(cadata=ca)
        except ssl.SSLError as error:
            raise LoginFailed(f"login.ca holds no certificate: {error}; give the authority's certificate in PEM") from error
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """The same with what the pool is trusted by."""
        super().init_poolmanager(*args, **kwargs, **({"ssl_context": self._trust} if self._trust else {}))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        guard(request.url or "", self._denied)
        return super().send(request, *args, **kwargs)


def connect(access: Access) -> connection.Connection:
    """A connection with the pool's account; nothing is asked yet."""
    login = access.login
    auth = v3.Password(
        access.provider_url, username=login["user_name"], password=access.secret["password"],
        user_domain_name=login.get("user_domain", "Default"), project_id=login.get("project_id"),
        project_name=None if login.get("project_id") else login.get("project_name"),
        project_domain_name=None if login.get("project_id") else login.get("project_domain", "Default"),
    )  # fmt: skip
    plain = requests.Session()
    plain.trust_env = False
    for scheme in ("http://", "https://"):
        plain.mount(scheme, _Guarded(tuple(access.denied), access.ca_file, login.get("ca")))
    session = sessions.Session(auth=auth, session=plain, timeout=access.timeout, verify=access.ca_file or True)
    region = cloud_region.from_session(session, region_name=access.region_id, app_name="cloudos-graffiti",
                                       interface=login.get("interface", "public"))  # fmt: skip
    return connection.Connection(config=region)


class OpenStack:
    """A project in one region of an OpenStack cloud."""

    kinds = ("flavors", "images", "networks", "volume_types", "zones", "aggregates", "hosts", "key_pairs")

    def __init__(self, access: Access, connector: Callable[[Access], Any] = connect):
        self._access = access
        self._connector = connector
        self._connection: Any = None

    @property
    def cloud(self) -> Any:
        """The connection, made when it is first needed."""
        if self._connection is None:
            self._connection = self._connector(self._access)
        return self._connection

    def check(self) -> dict[str, Any]:
        """Log in, and see that the region is there."""
        with self._failures("log in"):
            access = self.cloud.session.auth.get_access(self.cloud.session)
            catalog = access.service_catalog.catalog
        regions = sorted({end["region_id"] for service in catalog for end in service["endpoints"] if end.get("region_id")})
        if self._access.region_id and self._access.region_id not in regions:
            raise LoginFailed(f"{self._access.provider_url} has no region {self._access.region_id}; it has {', '.join(regions) or 'none'}")
        if not access.project_id:
            raise LoginFailed(f"{self._access.provider_url} gives a token without a project; name project_id or project_name in login")
        return {"project_id": access.project_id, "project_name": access.project_name, "regions": regions,
                "services": sorted({service["type"] for service in catalog})}  # fmt: skip

    def token(self) -> dict[str, Any]:
        """A token, which the provider lets expire by itself."""
        with self._failures("log in"):
            access = self.cloud.session.auth.get_access(self.cloud.session)
        return {"token": access.auth_token, "expires_at": access.expires.isoformat(), "provider_url": self._access.provider_url,
                "project_id": access.project_id, "region_id": self._access.region_id, "ca": self._access.login.get("ca")}  # fmt: skip

    def discover(self, kind: str) -> Iterator[Found]:
        """Everything of one kind; a service that the cloud has not gives nothing."""
        with self._failures(f"list {kind}"):
            yield from getattr(self, f"_{kind}")()

    def quota(self) -> dict[str, dict[str, float]]:
        """What the project may have and has."""
        found: dict[str, dict[str, float]] = {}
        with self._failures("read quotas"):
            nova = self.cloud.compute.get_limits().absolute
            for name, limit, used in (
                ("instances", nova.instances, nova.instances_used),
                ("cores", nova.total_cores, nova.total_cores_used),
                ("ram", nova.total_ram, nova.total_ram_used),
            ):
                found[name] = {"limit": limit, "used": used or 0}
            if self._has("block-storage"):
                cinder = self.cloud.block_storage.get_limits().absolute
                found["volumes"] = {"limit": cinder.max_total_volumes, "used": cinder.total_volumes_used or 0}
                found["gigabytes"] = {"limit": cinder.max_total_volume_gigabytes, "used": cinder.total_gigabytes_used or 0}
            neutron = self.cloud.network.get_quota(self.cloud.current_project_id, details=True)
            for name in ("floating_ips", "networks", "ports", "routers", "subnets", "security_groups"):
                body = getattr(neutron, name)
                found[name] = {"limit": body["limit"], "used": body["used"] + int(body.get("reserved") or 0)}
        return found

    @contextlib.contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        url = self._access.provider_url
        try:
            yield
        except DriverError:
            raise
        except (exceptions.ForbiddenException, keystone.Forbidden):
            raise NotAllowed(f"The account of {url} may not {what}; give it a role that may, or leave it out of the discovery") from None
        except keystone.Unauthorized:
            raise LoginFailed(
                f"{url} refuses user {self._access.login.get('user_name')} in this project; check password, domains, project"
            ) from None
        except keystone.SSLError as error:
            mend = "give its authority's certificate as login.ca (the commands take cacert of clouds.yaml)"
            raise LoginFailed(f"The certificate of {url} is not trusted; {mend}") from error
        except (keystone.ClientException, exceptions.SDKException, requests.RequestException, OSError) as error:
            # The text of the other side's answer is not ours to show: it may be anything.
            raise DriverError(f"{url} does not {what}: {type(error).__name__}; look whether it answers at all, and at its log") from error

    def _has(self, service: str) -> bool:
        return self.cloud.has_service(service)

    def _flavors(self) -> Iterator[Found]:
        for one in self.cloud.compute.flavors(details=True, get_extra_specs=True):
            host = {
                "num_cpus": one.vcpus,
                "mem_size": f"{one.ram} MiB",
                "disk_size": f"{one.disk} GiB",
                "ephemeral_size": f"{one.ephemeral or 0} GiB",
                "swap_size": f"{one.swap or 0} MiB",
                "public": bool(one.is_public),
            }
            yield Found("OS::Nova::Flavor", one.id, one.name, one.description, capabilities=[_capability("host", "Flavor", host)],
                        properties={"vcpus": one.vcpus, "ram": f"{one.ram} MiB", "disk": f"{one.disk} GiB",
                                    "extra_specs": dict(one.extra_specs or {})},
                        keys=dict(one.extra_specs or {}), health="disabled" if one.is_disabled else "ok")  # fmt: skip

    def _images(self) -> Iterator[Found]:
        for one in self.cloud.image.images():
            raw = one.to_dict(computed=False, original_names=True, ignore_none=True)
            extra = {**raw, **(raw.pop("properties", None) or {})}
            keys = {key: value for key, value in extra.items() if isinstance(value, str | int | float | bool) and key not in _IMAGE_OWN}
            system = _some({"architecture": extra.get("hw_architecture") or extra.get("architecture"), "type": _os_type(extra),
                            "distribution": extra.get("os_distro"), "version": extra.get("os_version")})  # fmt: skip
            needs = {"min_disk": f"{one.min_disk or 0} GiB", "min_ram": f"{one.min_ram or 0} MiB"}
            about = _some({"size": f"{one.size} B" if one.size is not None else None, "disk_format": one.disk_format,
                           "container_format": one.container_format, "visibility": one.visibility})  # fmt: skip
            yield Found("OS::Glance::Image", one.id, one.name or one.id, properties={**keys, **needs}, keys=keys, tags=list(one.tags or []),
                        capabilities=[_capability("os", "Image", {**system, **needs, **about})],
                        health="ok" if one.status == "active" else str(one.status))  # fmt: skip

    def _networks(self) -> Iterator[Found]:
        subnets: dict[str, list[Any]] = {}
        for one in self.cloud.network.subnets():
            subnets.setdefault(one.network_id, []).append(one)
        free = self._free_addresses()
        for one in self.cloud.network.networks():
            mine = subnets.get(one.id, [])
            link = _some({
                "network_name": one.name, "external": bool(one.is_router_external), "shared": bool(one.is_shared), "mtu": one.mtu,
                "network_type": one.provider_network_type, "physical_network": one.provider_physical_network,
                "ip_versions": sorted({subnet.ip_version for subnet in mine}), "cidrs": sorted(subnet.cidr for subnet in mine),
            })  # fmt: skip
            capabilities = [_capability("link", "Network", link)]
            if one.is_router_external:
                capabilities.append(_capability("floating_ips", "FloatingIPPool", {**link, **free.get(one.id, {})}))
            zones = list(one.availability_zones or [])
            yield Found(
                "OS::Neutron::Net",
                one.id,
                one.name,
                one.description or None,
                zone=zones[0] if len(zones) == 1 else "",
                properties={**link, "zones": zones},
                capabilities=capabilities,
                tags=list(one.tags or []),
                health="ok" if one.status == "ACTIVE" and one.is_admin_state_up is not False else str(one.status).lower(),
            )

    def _free_addresses(self) -> dict[str, dict[str, int]]:
        """By network; empty where only administrators may ask."""
        try:
            found = list(self.cloud.network.network_ip_availabilities())
        except (exceptions.ForbiddenException, exceptions.NotFoundException):
            return {}
        return {
            one.network_id: {"addresses_total": one.total_ips, "addresses_available": max(0, one.total_ips - one.used_ips)} for one in found
        }

    def _volume_types(self) -> Iterator[Found]:
        if not self._has("block-storage"):
            return
        for one in self.cloud.block_storage.types():
            specs = dict(one.extra_specs or {})
            about = _some({"backend": specs.get("volume_backend_name"), "public": one.is_public,
                           "multiattach": specs.get("multiattach", "").removeprefix("<is> ").lower() == "true"})  # fmt: skip
            yield Found("OS::Cinder::VolumeType", one.id, one.name, one.description, properties={"extra_specs": specs}, keys=specs,
                        capabilities=[_capability("attachment", "VolumeType", about)])  # fmt: skip

    def _zones(self) -> Iterator[Found]:
        serves: dict[str, dict[str, bool]] = {}
        for one in self.cloud.compute.availability_zones():
            serves.setdefault(one.name, {})["compute"] = bool((one.state or {}).get("available"))
        if self._has("block-storage"):
            for one in self.cloud.block_storage.availability_zones():
                serves.setdefault(one.name, {})["volume"] = bool((one.state or {}).get("available"))
        for one in self.cloud.network.availability_zones():
            serves.setdefault(one.name, {})["network"] = one.state == "available"
        for name, kinds in sorted(serves.items()):
            place = {"serves": sorted(kinds), "available": all(kinds.values())}
            yield Found(
                "OS::Nova::AvailabilityZone",
                name,
                name,
                zone=name,
                properties=place,
                capabilities=[_capability("place", "AvailabilityZone", place)],
                health="ok" if place["available"] else "unavailable",
            )

    def _aggregates(self) -> Iterator[Found]:
        for one in self.cloud.compute.aggregates():
            metadata = dict(one.metadata or {})
            place = _some(
                {"zone": one.availability_zone, "hosts": len(one.hosts or []), "metadata": metadata, "available": bool(one.hosts)}
            )
            yield Found("OS::Nova::Aggregate", str(one.uuid or one.id), one.name, zone=one.availability_zone or "", properties=place,
                        keys=metadata, capabilities=[_capability("place", "Aggregate", place)])  # fmt: skip

    def _hosts(self) -> Iterator[Found]:
        placement = self.cloud.placement
        for one in placement.resource_providers():
            base = f"/resource_providers/{one.id}"
            traits = _body(placement.get(f"{base}/traits", microversion=TRAITS))["traits"]
            usages = _body(placement.get(f"{base}/usages"))["usages"]
            stock = {each.resource_class: each for each in placement.resource_provider_inventories(one)}
            capabilities = [_capability("place", "Host", {"available": True, "generation": one.generation or 0})]
            capabilities += [{"name": trait, "type": f"os-traits/{trait}", "properties": {}} for trait in sorted(traits)
                             if not trait.startswith("CUSTOM_")]  # fmt: skip
            for name, each in sorted(stock.items()):
                if not name.startswith("CUSTOM_"):
                    capabilities.append(
                        {"name": name, "type": f"os-resource-classes/{name}", "properties": _inventory(each, usages.get(name, 0))}
                    )
            yield Found(
                "OS::Placement::ResourceProvider",
                one.id,
                one.name,
                capabilities=capabilities,
                properties={
                    "traits": sorted(traits),
                    "inventory": {name: _inventory(each, usages.get(name, 0)) for name, each in sorted(stock.items())},
                },
            )

    def _key_pairs(self) -> Iterator[Found]:
        for one in self.cloud.compute.keypairs():
            about = _some({"fingerprint": one.fingerprint, "key_type": one.type})
            yield Found("OS::Nova::KeyPair", one.name, one.name, properties=about, capabilities=[_capability("key", "KeyPair", about)])


# What an image says of itself that is no metadata.
_IMAGE_OWN = frozenset(
    (
        "id",
        "name",
        "status",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "file",
        "schema",
        "self",
        "direct_url",
        "owner",
        "size",
        "virtual_size",
        "created_at",
        "updated_at",
        "min_disk",
        "min_ram",
        "protected",
        "os_hidden",
        "visibility",
        "url",
        "disk_format",
        "container_format",
        "store",
        "stores",
    )
)


def _capability(name: str, type_: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": f"cloudos.openstack/{type_}", "properties": dict(properties)}


def _some(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value not in (None, "", [])}


def _os_type(image: Mapping[str, Any]) -> str | None:
    """Glance calls Windows by its name, and leaves it out for Linux more often than not; what is not said is not guessed."""
    named = image.get("os_type")
    return str(named).lower() if named else None


def _inventory(each: Any, used: float) -> dict[str, Any]:
    reserved, ratio = each.reserved or 0, each.allocation_ratio or 1.0
    available = max(0, int((each.total - reserved) * ratio) - used)
    return {"total": each.total, "used": used, "allocation_ratio": ratio, "available": available}


def _body(response: Any) -> dict[str, Any]:
    exceptions.raise_from_response(response)
    return response.json()
