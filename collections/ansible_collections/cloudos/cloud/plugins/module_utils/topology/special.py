"""The kinds of resources that are more than one collection's members: servers, links between two others, images."""

from __future__ import annotations

import base64
import ipaddress

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure
from ansible_collections.cloudos.cloud.plugins.module_utils.topology import kinds
from ansible_collections.cloudos.cloud.plugins.module_utils.topology.kinds import MARK, Kind

INTERFACES = ("network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface")
RESIZING = ("RESIZE", "VERIFY_RESIZE")
EVERYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


class Server(Kind):
    """A server. Another flavor is a resize, which is confirmed; one that was interrupted goes on."""

    service, path, single, mark = "compute", "/servers", "server", "metadata"
    listing, ready, gone_later = "/detail", ("ACTIVE",), True
    changeable = ("name", "metadata", "flavor")
    unread = ("networks", "user_data", "block_device_mapping_v2", "security_groups", "config_drive", "os:scheduler_hints",
              "availability_zone")  # fmt: skip
    shows = ("name", "status", "addresses", "private_address", "public_address", "key_name")
    advice = "look at `openstack server show` and at nova-compute's journal, mend it and resume"

    def body(self, resource, arguments):
        body = {"networks": "none", **super().body(resource, arguments)}
        body.pop("os:scheduler_hints", None)
        if "user_data" in body:
            body["user_data"] = base64.b64encode(body["user_data"].encode()).decode()
        body["flavorRef"] = body.pop("flavor")
        body["imageRef"] = body.pop("image", None) or ""
        return body

    def create(self, resource, arguments):
        request = {"server": self.body(resource, arguments)}
        if hints := arguments.get("os:scheduler_hints"):
            request["os:scheduler_hints"] = hints
        made = self.ask("POST", self.path, request, microversion="2.37")["server"]  # networks: none
        return self.get(made)

    def value(self, one, key, wanted):
        if key == "flavor" and one["status"] in RESIZING:
            return f"{one[key]['id']}, not confirmed"
        if key in ("flavor", "image"):
            return (one[key] or {}).get("id", "")
        return super().value(one, key, wanted)

    def change(self, resource, one, arguments, keys):
        body = self.body(resource, arguments)
        if "flavor" in keys:
            self.resize(one, body["flavorRef"])
        if "metadata" in keys:
            self.ask("POST", f"{self.path}/{one['id']}/metadata", {"metadata": body["metadata"]})
        if "name" in keys:
            self.ask("PUT", f"{self.path}/{one['id']}", {"server": {"name": body["name"]}})
        return self.get(one)

    def resize(self, one, flavor):
        """Bring it to another flavor; what an interrupted call began is ended first. Raises Failure where the cloud does not do it."""
        if one["status"] in RESIZING:
            one = self.confirmed(one)
        if one["flavor"]["id"] != flavor:
            self.act(one, {"resize": {"flavorRef": flavor}})
            one = self.confirmed(one)
        if one["flavor"]["id"] != flavor:
            raise Failure(f"it was not resized: it is {one['status']} with its old flavor{self.why(one)}", service="nova",
                          next_step="name a flavor that its host or another one has room for, and resume")  # fmt: skip

    def confirmed(self, one):
        """The server once it is no longer being resized, whether that went well or not."""
        now = self.wait(one, lambda: self.get(one), lambda now: now and now["status"] not in ("RESIZE", *self.broken), "resized")
        if now["status"] != "VERIFY_RESIZE":
            return now  # it went back, or the cloud confirms by itself
        self.act(one, {"confirmResize": None})
        return self.wait(one, lambda: self.get(one), lambda now: now and now["status"] not in (*RESIZING, *self.broken), "confirmed")

    def act(self, one, action):
        self.ask("POST", f"{self.path}/{one['id']}/action", action)

    def why(self, one):
        """What Nova noted about the last resize that failed; nothing where it tells nothing."""
        answer = self.ask("GET", f"{self.path}/{one['id']}/os-instance-actions", missing_ok=True) or {}
        told = [item.get("message") for item in answer.get("instanceActions", ()) if item.get("action") == "resize"]
        return f" ({told[0]})" if told and told[0] else ""

    def attributes(self, one):
        addresses = [item for items in (one.get("addresses") or {}).values() for item in items]
        kinds_of = {"fixed": None, "floating": None}
        for item in addresses:
            kind = item.get("OS-EXT-IPS:type", "fixed")
            kinds_of[kind] = kinds_of[kind] or item["addr"]
        return super().attributes({**one, "private_address": kinds_of["fixed"], "public_address": kinds_of["floating"]})


class VolumeAttachment(Kind):
    """A volume on a server, known by the two."""

    service, also, path, single = "block_storage", ("compute",), "/volumes", "volume"
    listing = "/detail"
    unread = ("device",)
    shows = ("device", "server_id", "volume_id")

    def find(self, objects, resource, arguments):
        for volume in objects:
            for one in volume.get("attachments") or ():
                if (one["server_id"], one["volume_id"]) == (arguments.get("server_id"), arguments.get("volume_id")):
                    return {**one, "id": f"{one['server_id']}/{one['volume_id']}"}
        return None

    def create(self, resource, arguments):
        server, volume = arguments["server_id"], arguments["volume_id"]
        body = {"volumeId": volume, **({"device": arguments["device"]} if arguments.get("device") else {})}
        self.cloud.ask("compute", "POST", f"/servers/{server}/os-volume_attachments", {"volumeAttachment": body})
        return {"id": f"{server}/{volume}", "server_id": server, "volume_id": volume}

    def settled(self, one):
        now = self.wait(one, lambda: self.volume(one), lambda now: now and now["status"] == "in-use", "in use")
        return self.find([now], {}, one)

    def delete(self, one):
        path = f"/servers/{one['server_id']}/os-volume_attachments/{one['volume_id']}"
        self.cloud.ask("compute", "DELETE", path, missing_ok=True)
        self.wait(one, lambda: self.volume(one), lambda now: not now or not self.find([now], {}, one), "gone")

    def volume(self, one):
        answer = self.ask("GET", f"/volumes/{one['volume_id']}", missing_ok=True)
        return answer and answer["volume"]


class RouterInterface(Kind):
    """A subnet on a router, known by the two."""

    path, single = "/ports", "port"
    shows = ("router_id", "subnet_id", "port_id")

    def find(self, objects, resource, arguments):
        for port in objects:
            subnets = [address["subnet_id"] for address in port["fixed_ips"]]
            ours = port["device_owner"] in INTERFACES and port["device_id"] == arguments.get("router_id")
            if ours and arguments.get("subnet_id") in subnets:
                return self.object(arguments, port["id"])
        return None

    def create(self, resource, arguments):
        body = {"subnet_id": arguments["subnet_id"]}
        made = self.ask("PUT", f"/routers/{arguments['router_id']}/add_router_interface", body)
        return self.object(arguments, made["port_id"])

    @staticmethod
    def object(arguments, port):
        return {**arguments, "id": f"{arguments['router_id']}/{arguments['subnet_id']}", "port_id": port}

    def delete(self, one):
        body = {"subnet_id": one["subnet_id"]}
        self.ask("PUT", f"/routers/{one['router_id']}/remove_router_interface", body, missing_ok=True)


class SecurityGroup(Kind):
    """A group with its rules; the rules that Neutron gives every new group (everything may go out) stay."""

    path, single = "/security-groups", "security_group"
    changeable = ("name", "description", "rules")
    shows = ("name",)

    def wanted(self, arguments):
        told = super().wanted(arguments)
        return {**told, "rules": ordered(map(rule, told["rules"]))} if "rules" in told else told

    def value(self, one, key, wanted):
        if key == "rules":
            return ordered(rule(item) for item in one["security_group_rules"] if not given(item))
        return super().value(one, key, wanted)

    def create(self, resource, arguments):
        body = {key: value for key, value in self.body(resource, arguments).items() if key != "rules"}
        made = self.ask("POST", self.path, {self.single: body})[self.single]
        return self.with_rules(made, arguments)

    def change(self, resource, one, arguments, keys):
        plain = [key for key in keys if key != "rules"]
        now = super().change(resource, one, arguments, plain) if plain else one
        return self.with_rules(now, arguments) if "rules" in keys else now

    def with_rules(self, one, arguments):
        wanted = [rule(item) for item in arguments.get("rules") or ()]
        there = [item for item in one["security_group_rules"] if not given(item)]
        for item in there:
            if rule(item) not in wanted:
                self.ask("DELETE", f"/security-group-rules/{item['id']}", missing_ok=True)
        for item in wanted:
            if item not in map(rule, there):
                body = {key: value for key, value in item.items() if value is not None}
                self.ask("POST", "/security-group-rules", {"security_group_rule": {**body, "security_group_id": one["id"]}})
        return self.get(one)


def rule(item):
    """What distinguishes rules. A rule for everywhere may be told with or without its prefix."""
    prefix, kind = item.get("remote_ip_prefix"), item.get("ethertype") or "IPv4"
    keys = ("protocol", "port_range_min", "port_range_max", "remote_group_id")
    return {
        "direction": item.get("direction") or "ingress", "ethertype": kind, **{key: item.get(key) for key in keys},
        "remote_ip_prefix": None if prefix in (None, EVERYWHERE.get(kind)) else str(ipaddress.ip_network(prefix)),
    }  # fmt: skip


def given(item):
    """Whether Neutron makes this rule by itself."""
    told = rule(item)
    return told["direction"] == "egress" and not any(value for key, value in told.items() if key not in ("direction", "ethertype"))


def ordered(rules):
    return sorted(rules, key=str)


class Flavor(Kind):
    """One that is there, by name or as the smallest that is large enough; or one of the topology's own."""

    service, path, single, mark = "compute", "/flavors", "flavor", "name"
    listing = "/detail"
    unread = ("extra_specs",)
    shows = ("name", "vcpus", "ram", "disk")

    def existing(self, objects, arguments):
        if "name" in arguments:
            return super().existing(objects, arguments)
        large = [one for one in objects if all(one[key] >= value for key, value in arguments.items())]
        if not large:
            asked = ", ".join(f"{key} {value}" for key, value in arguments.items())
            sizes = "; ".join(f"{one['name']} {one['vcpus']}/{one['ram']}/{one['disk']}" for one in objects[:12])
            raise Failure(f"no flavor has at least {asked}; there are (vcpus/ram/disk): {sizes or 'none'}",
                          next_step="ask for less, or have a larger flavor made")  # fmt: skip
        return min(large, key=lambda one: (one["vcpus"], one["ram"], one["disk"], one["name"]))

    def create(self, resource, arguments):
        plain = {key: value for key, value in arguments.items() if key != "extra_specs"}
        made = self.ask("POST", self.path, {"flavor": self.body(resource, plain)})["flavor"]
        if specs := arguments.get("extra_specs"):
            self.ask("POST", f"{self.path}/{made['id']}/os-extra_specs", {"extra_specs": specs})
        return made


class Image(Kind):
    """One that is there, by name or by what it says of its system; or one of the topology's own, from a file."""

    service, path, single, mark = "image", "/images", "image", MARK
    ready, method = ("active",), "PATCH"
    unread = ("source",)
    shows = ("name", "status", "size", "checksum", "min_disk", "min_ram")

    def is_marked(self, one, resource):
        return one.get(MARK) == self.label(resource)

    def existing(self, objects, arguments):
        """Of several of the same name, or that fit what is said of the system, the newest."""
        fitting = [one for one in objects if all(self.fits(one, key, value) for key, value in arguments.items())]
        return max(fitting, key=lambda one: one["created_at"]) if fitting else super().existing(objects, arguments)

    def fits(self, one, key, value):
        if key == "name":
            return super().fits(one, key, value)
        return str(one.get(key, "")).lower() == str(value).lower()

    def create(self, resource, arguments):
        body = {key: value for key, value in self.body(resource, arguments).items() if key != "source"}
        defaults = {"disk_format": "qcow2", "container_format": "bare", MARK: self.label(resource)}
        made = self.ask("POST", self.path, {**defaults, **body})
        try:
            with open(arguments["source"], "rb") as file:
                headers = {"Content-Type": "application/octet-stream"}
                self.cloud.send("image", "PUT", f"{self.path}/{made['id']}/file", data=file, headers=headers)
        except OSError as error:
            self.delete(made)
            raise Failure(f"{arguments['source']} cannot be read: {error.strerror}",
                          next_step="name a file on the machine that runs Eve") from error  # fmt: skip
        return self.get(made)

    def get(self, one):
        return self.ask("GET", f"{self.path}/{one['id']}", missing_ok=True)


class Container(Kind):
    """A container of objects, known by its name; whoever deletes it deletes an empty one."""

    service, path, single, mark = "object_store", "", "container", "name"
    shows = ("name",)

    def all(self):
        return [{"id": one["name"], "name": one["name"]} for one in self.ask("GET", "/?format=json")]

    def create(self, resource, arguments):
        self.cloud.send("object_store", "PUT", f"/{self.name(resource)}")
        return {"id": self.name(resource), "name": self.name(resource)}

    def delete(self, one):
        self.ask("DELETE", f"/{one['name']}", missing_ok=True)


class QosBandwidthRule(Kind):
    """A limit of a QoS policy, known by the policy."""

    path, single = "/qos/policies", "policy"
    plural = "policies"
    shows = ("max_kbps",)

    def find(self, objects, resource, arguments):
        policy = next((one for one in objects if one["id"] == arguments.get("policy_id")), {"rules": []})
        found = next((one for one in policy["rules"] if one.get("type") == "bandwidth_limit"), None)
        return found and {**found, "policy_id": policy["id"]}

    def create(self, resource, arguments):
        body = {key: value for key, value in arguments.items() if key != "policy_id"}
        path = f"/qos/policies/{arguments['policy_id']}/bandwidth_limit_rules"
        made = self.ask("POST", path, {"bandwidth_limit_rule": body})["bandwidth_limit_rule"]
        return {**made, "policy_id": arguments["policy_id"]}

    def delete(self, one):
        self.ask("DELETE", f"/qos/policies/{one['policy_id']}/bandwidth_limit_rules/{one['id']}", missing_ok=True)


KINDS = {
    "network": kinds.Network, "subnet": kinds.Subnet, "router": kinds.Router, "port": kinds.Port,
    "floating_ip": kinds.FloatingIp, "qos_policy": kinds.QosPolicy, "volume": kinds.Volume,
    "server_group": kinds.ServerGroup, "keypair": kinds.KeyPair,
    "server": Server, "volume_attachment": VolumeAttachment, "router_interface": RouterInterface,
    "security_group": SecurityGroup, "flavor": Flavor, "image": Image, "container": Container,
    "qos_bandwidth_rule": QosBandwidthRule,
}  # fmt: skip
