"""The kinds of resources that OpenStack's APIs keep in one collection each, told as data; see special.py for the others.

Arguments have the names of the API's own documents. A resource is known by the mark of its topology, `<topology>/<name>`,
which is written with the very request that makes it, so that a kill between two requests leaves nothing unknown.
"""

from __future__ import annotations

import time

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

MARK = "cloudos_topology"


class Kind:
    """One kind of resource. Objects are the API's own documents."""

    service = "network"  # attribute of the connection that speaks to the API
    also = ()  # further ones that it needs
    path = ""
    single = ""
    mark = "description"  # where the mark is: description, metadata, or the name where the API has no room for it
    changeable = ()  # arguments that can be changed in place
    unread = ()  # arguments that the API does not show again in the same form
    shows = ()  # attributes besides the id that others may refer to; () means the whole object
    ready = ()  # statuses to wait for; none: it is ready at once
    broken = ("ERROR", "error", "error_deleting", "killed")
    listing = ""  # what follows the path when all are listed
    method = "PUT"  # of a change
    gone_later = False  # deleting is only asked for and must be awaited

    def __init__(self, cloud):
        self.cloud = cloud

    # Finding

    def all(self):
        """Every object that the project can see."""
        return self.cloud.pages(self.service, f"{self.path}{self.listing}", self.plural)

    @property
    def plural(self):
        return f"{self.single}s"

    def find(self, objects, resource, arguments):
        """The object of a resource: by its mark; an existing one by name or identifier. None when there is none."""
        if resource.get("existing"):
            return self.existing(objects, arguments)
        marked = [one for one in objects if self.is_marked(one, resource)]
        return marked[0] if marked else None

    def existing(self, objects, arguments):
        """The one object with the given values (an id also counts as name). Raises Failure that lists what there is."""
        fitting = [one for one in objects if all(self.fits(one, key, value) for key, value in arguments.items())]
        if len(fitting) == 1:
            return fitting[0]
        asked = ", ".join(f"{key} {value}" for key, value in arguments.items())
        names = ", ".join(sorted({str(one.get("name") or one["id"]) for one in fitting or objects})[:12])
        raise Failure(
            f"{len(fitting) or 'no'} {self.single} with {asked}; there {'fit' if fitting else 'are'}: {names or 'none'}",
            next_step=f"name one {self.single} that is there, or by its id",
        )

    def fits(self, one, key, value):
        """Whether an object has a value of an argument that asks for an existing one."""
        return value in (one["id"], one["name"]) if key == "name" else one.get(key) == value

    def is_marked(self, one, resource):
        """Whether the object was made for this resource of this topology."""
        if self.mark == "name":
            return one["name"] == self.name(resource)
        where = one.get(self.mark) or ""
        return self.label(resource) == (where.split(" ")[0] if isinstance(where, str) else where.get(MARK))

    def label(self, resource):
        return f"{self.cloud.topology}/{resource['name']}"

    def name(self, resource):
        """The name an object is given; where it is all that tells to whom it belongs, it tells that."""
        given = (resource.get("arguments") or {}).get("name")
        return given or f"{self.cloud.topology}-{resource['name']}"

    # Comparing

    def wanted(self, arguments):
        """The arguments in the form in which shown() tells them."""
        return {key: value for key, value in arguments.items() if key not in self.unread}

    def shown(self, one, arguments):
        """What is there of the arguments."""
        return {key: self.value(one, key, value) for key, value in self.wanted(arguments).items()}

    def value(self, one, key, wanted):
        """The object's value of an argument; for a mapping only the keys that are asked for."""
        if key == "description" and self.mark == "description":
            return " ".join((one.get(key) or "").split(" ")[1:])
        there = one.get(key)
        if isinstance(wanted, dict) and isinstance(there, dict):
            return {name: there.get(name) for name in wanted}
        return there

    # Doing

    def body(self, resource, arguments):
        """The request that makes it."""
        body = {"name": self.name(resource), **arguments}
        if self.mark == "description":
            body["description"] = f"{self.label(resource)} {arguments.get('description', '')}".strip()
        elif self.mark == "metadata":
            body["metadata"] = {**arguments.get("metadata", {}), MARK: self.label(resource)}
        return body

    def create(self, resource, arguments):
        """Make it; returns the object as the API tells it, which need not be ready."""
        return self.ask("POST", self.path, {self.single: self.body(resource, arguments)})[self.single]

    def change(self, resource, one, arguments, keys):
        """Change the arguments named by `keys`; returns the object."""
        body = self.body(resource, arguments)
        self.ask(self.method, f"{self.path}/{one['id']}", {self.single: {key: body[key] for key in keys}})
        return self.get(one)

    def delete(self, one):
        """Remove it and wait until it is gone."""
        self.ask("DELETE", f"{self.path}/{one['id']}", missing_ok=True)
        if self.gone_later:
            self.wait(one, lambda: self.get(one), lambda now: now is None, "gone")

    def get(self, one):
        """The object as it is now; None when it is gone."""
        answer = self.ask("GET", f"{self.path}/{one['id']}", missing_ok=True)
        return answer and answer[self.single]

    def settled(self, one):
        """The object once it is ready. Raises Failure when it breaks or takes too long."""
        if not self.ready or one.get("status") in self.ready:
            return one
        return self.wait(one, lambda: self.get(one), lambda now: now and now["status"] in self.ready, " or ".join(self.ready))

    def wait(self, one, look, good, wanted):
        """Ask `look` until `good` says so; returns what it saw last."""
        deadline, pause = time.monotonic() + self.cloud.timeout, 0.2
        while True:
            now = look()
            if good(now):
                return now
            status = now["status"] if now else "gone"
            if (status in self.broken and wanted != "gone") or now is None:
                raise Failure(f"it is {status} instead of {wanted}{self.reason(now)}", next_step=self.advice)
            if time.monotonic() > deadline:
                raise Failure(f"it is still {status} instead of {wanted} after {self.cloud.timeout} s", next_step=self.advice)
            time.sleep(pause)
            pause = min(pause * 1.5, 2)

    advice = "look at the journal of the service on the control node, mend it and resume"

    def reason(self, now):
        """What the API tells of a failure, if it does."""
        fault = ((now or {}).get("fault") or {}).get("message")
        return f": {fault}" if fault else ""

    def attributes(self, one):
        """What others may refer to; always with the id."""
        if not self.shows:
            return one
        return {key: one.get(key) for key in ("id", *self.shows)}

    def ask(self, method, path, body=None, **more):
        """The parsed answer of the API."""
        return self.cloud.ask(self.service, method, path, body, **more)


class Network(Kind):
    path, single = "/networks", "network"
    changeable = ("name", "description", "admin_state_up", "shared", "mtu", "qos_policy_id", "port_security_enabled")
    shows = ("name", "status", "mtu", "subnets", "router:external", "provider:network_type", "provider:segmentation_id")


class Subnet(Kind):
    path, single = "/subnets", "subnet"
    changeable = ("name", "description", "gateway_ip", "dns_nameservers", "enable_dhcp", "allocation_pools", "host_routes")
    shows = ("name", "cidr", "gateway_ip", "network_id", "ip_version", "allocation_pools")


class Router(Kind):
    path, single = "/routers", "router"
    changeable = ("name", "description", "admin_state_up", "external_gateway_info")
    shows = ("name", "status", "external_gateway_info")


class Port(Kind):
    path, single = "/ports", "port"
    changeable = ("name", "description", "admin_state_up", "security_groups", "allowed_address_pairs", "port_security_enabled",
                  "fixed_ips")  # fmt: skip
    shows = ("name", "fixed_ips", "mac_address", "network_id", "ip_address")

    def value(self, one, key, wanted):
        if key == "fixed_ips":  # an address that was not asked for is the API's choice
            return [{name: there[name] for name in asked} for there, asked in zip(one[key], wanted, strict=False)]
        return sorted(one[key]) if key == "security_groups" else super().value(one, key, wanted)

    def wanted(self, arguments):
        told = super().wanted(arguments)
        return {**told, "security_groups": sorted(told["security_groups"], key=str)} if "security_groups" in told else told

    def attributes(self, one):
        first = next(iter(one.get("fixed_ips") or ()), {})
        return {**super().attributes(one), "ip_address": first.get("ip_address")}


class QosPolicy(Kind):
    path, single = "/qos/policies", "policy"
    changeable = ("name", "description", "shared")
    shows = ("name",)

    plural = "policies"


class FloatingIp(Kind):
    path, single = "/floatingips", "floatingip"
    changeable = ("port_id", "fixed_ip_address", "description")
    shows = ("floating_ip_address", "fixed_ip_address", "port_id", "status")

    def body(self, resource, arguments):
        return {key: value for key, value in super().body(resource, arguments).items() if key != "name"}


class Volume(Kind):
    service, path, single, mark = "block_storage", "/volumes", "volume", "metadata"
    listing, ready, gone_later = "/detail", ("available", "in-use"), True
    changeable = ("name", "description", "metadata", "size")
    unread = ("imageRef", "snapshot_id", "source_volid")
    shows = ("name", "size", "status", "volume_type", "availability_zone", "attachments")

    def delete(self, one):
        """Once nothing holds it; a server that went a moment ago may still."""
        idle = ("gone", "available", "error", "error_extending", "error_restoring", "error_backing-up")
        now = self.wait(one, lambda: self.get(one) or {"status": "gone"}, lambda now: now["status"] in idle, "gone")
        if now["status"] != "gone":
            super().delete(one)

    def change(self, resource, one, arguments, keys):
        if "size" in keys:
            if one["size"] > arguments["size"]:
                raise Failure(f"its size is {one['size']} GiB, and volumes do not shrink to {arguments['size']}",
                              next_step="give another name to the smaller volume, and move the data")  # fmt: skip
            self.ask("POST", f"{self.path}/{one['id']}/action", {"os-extend": {"new_size": arguments["size"]}})
            self.wait(one, lambda: self.get(one), lambda now: now["size"] >= arguments["size"] and now["status"] in self.ready,
                      "extended")  # fmt: skip
        rest = [key for key in keys if key != "size"]
        return super().change(resource, one, arguments, rest) if rest else self.get(one)


class ServerGroup(Kind):
    service, path, single, mark = "compute", "/os-server-groups", "server_group", "name"
    unread = ("policy",)
    shows = ("name", "policy", "members")

    def ask(self, method, path, body=None, **more):
        return super().ask(method, path, body, microversion="2.64", **more)


class KeyPair(Kind):
    service, path, single, mark = "compute", "/os-keypairs", "keypair", "name"
    shows = ("name", "fingerprint")
    unread = ("type",)

    def all(self):
        return [{"id": one["keypair"]["name"], **one["keypair"]} for one in self.ask("GET", self.path)["keypairs"]]

    def value(self, one, key, wanted):
        there = super().value(one, key, wanted)
        return wanted if key == "public_key" and there and there.split()[:2] == wanted.split()[:2] else there

    def create(self, resource, arguments):
        made = super().create(resource, arguments)
        return {"id": made["name"], **made}
