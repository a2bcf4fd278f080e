"""A cloud in this process that makes whole topologies: Neutron, Nova, Cinder and Swift as module topology_resources asks them.

Statuses take a few questions to become ready, as in a real cloud; `broken` names things that end in ERROR instead, `small` servers that
are not resized, and
`refused` (collection -> (status, message)) makes an API say no.
"""

import itertools

from fake_openstack import Answer, Cloud

DEFAULT_RULES = [{"direction": "egress", "ethertype": "IPv4"}, {"direction": "egress", "ethertype": "IPv6"}]
COLLECTIONS = ("networks", "subnets", "routers", "ports", "floatingips", "security_groups", "security_group_rules", "policies",
               "flavors", "keypairs", "server_groups", "containers")  # fmt: skip


class TopologyCloud(Cloud):
    """Everything of `Cloud`, and what follows."""

    def __init__(self, root):
        super().__init__(root)
        self.store.update({name: {} for name in COLLECTIONS})
        self.broken, self.refused = set(), {}
        self.quota = {}  # quota, as Nova, Cinder and Neutron call it -> limit; the others have none
        self.small = set()  # servers that no host has room to resize
        self.patience = 1  # how often something that is being made or deleted is seen before it is ready or gone
        self.addresses = (f"10.0.0.{number}" for number in itertools.count(10))

    def refuse(self, collection):
        if collection in self.refused:
            status, text = self.refused[collection]
            raise Answer(status, {"error": {"message": text, "code": status}})

    def image(self, method, parts, query, body):
        if method == "GET" and parts == ["images"] and "name" not in query:
            raise Answer(200, {"images": list(self.store["images"].values())})
        return super().image(method, parts, query, body)

    # Neutron

    def network(self, method, parts, query, body):
        collection = parts[-1] if parts[0] != "qos" else "policies"
        collection = parts[0].replace("-", "_") if parts[0] != "qos" else collection
        if parts[0] == "quotas":
            names = {"network": "networks", "subnet": "subnets", "port": "ports", "router": "routers", "floatingip": "floatingips",
                     "security_group": "security_groups"}  # fmt: skip
            raise Answer(200, {"quota": {one: {"limit": self.quota.get(one, -1), "used": len(self.store[many]), "reserved": 0}
                                         for one, many in names.items()}})  # fmt: skip
        if parts[0] == "qos":
            return self.qos(method, parts[1:], body)
        if parts[0] == "routers" and len(parts) == 3:
            return self.router(method, parts[1], parts[2], body)
        self.refuse(collection)
        single = collection[:-1]
        if method == "POST":
            made = self.add(collection, **{**self.fresh(collection), **body[single]})
            self.linked(collection, made)
            raise Answer(201, {single: made})
        if method == "DELETE" and len(parts) == 2:
            self.unlink(collection, parts[1])
        return self.rest(collection, single, method, parts[1:], {}, body)

    def fresh(self, collection):
        about = {"description": "", "status": "ACTIVE"}
        return {
            "security_groups": {"security_group_rules": [{"id": next(self.ids), **one} for one in DEFAULT_RULES]},
            "ports": {"fixed_ips": [], "device_owner": "", "device_id": "", "security_groups": [], "name": ""},
            "floatingips": {"floating_ip_address": "203.0.113.9", "port_id": None},
        }.get(collection, {}) | about

    def linked(self, collection, made):
        """What the API adds to others, or to what was asked for."""
        if collection == "security_group_rules":
            self.store["security_groups"][made["security_group_id"]]["security_group_rules"].append(made)
        if collection == "ports" and made["fixed_ips"]:
            made["fixed_ips"] = [{"ip_address": next(self.addresses), **one} for one in made["fixed_ips"]]
        elif collection == "ports":
            subnet = next((one for one in self.store["subnets"].values() if one["network_id"] == made["network_id"]), None)
            if subnet:
                made["fixed_ips"] = [{"subnet_id": subnet["id"], "ip_address": next(self.addresses)}]

    def unlink(self, collection, identifier):
        if collection == "networks" and any(one["network_id"] == identifier for one in self.store["ports"].values()):
            raise Answer(409, {"NeutronError": {"type": "NetworkInUse", "message": "There are one or more ports in use"}})
        if collection == "security_groups":
            rules = self.store["security_group_rules"]
            for rule in [one for one in rules.values() if one["security_group_id"] == identifier]:
                del rules[rule["id"]]
        if collection == "security_group_rules":
            rule = self.store[collection].get(identifier)
            if rule:
                self.store["security_groups"][rule["security_group_id"]]["security_group_rules"].remove(rule)

    def router(self, method, router, action, body):
        if action == "add_router_interface":
            network = self.store["subnets"][body["subnet_id"]]["network_id"]
            fixed = [{"subnet_id": body["subnet_id"], "ip_address": "10.0.0.1"}]
            port = self.add("ports", device_owner="network:router_interface", device_id=router, fixed_ips=fixed,
                            network_id=network, name="", description="")  # fmt: skip
            raise Answer(200, {"port_id": port["id"], "subnet_id": body["subnet_id"]})
        for port in list(self.store["ports"].values()):
            if port["device_id"] == router and port["fixed_ips"][0]["subnet_id"] == body["subnet_id"]:
                del self.store["ports"][port["id"]]
                raise Answer(200, {})
        raise Answer(404, {"NeutronError": {"message": "no such interface"}})

    def qos(self, method, parts, body):
        policies = self.store["policies"]
        if len(parts) == 1:
            if method == "POST":
                raise Answer(201, {"policy": self.add("policies", rules=[], **{"description": "", **body["policy"]})})
            raise Answer(200, {"policies": list(policies.values())})
        rules = policies[parts[1]]["rules"]
        if len(parts) == 2:
            return self.rest("policies", "policy", method, parts[1:], {}, body)
        if method == "POST":
            rules.append({"id": next(self.ids), "type": "bandwidth_limit", **body["bandwidth_limit_rule"]})
            raise Answer(201, {"bandwidth_limit_rule": rules[-1]})
        rules[:] = [one for one in rules if one["id"] != parts[3]]
        raise Answer(204)

    # Nova

    def compute(self, method, parts, query, body):
        if parts == ["limits"]:
            flavors = [self.store["flavors"][one["flavor"]["id"]] for one in self.store["servers"].values()]
            raise Answer(200, self.limits({"maxTotalInstances": ("totalInstancesUsed", len(flavors)),
                                           "maxTotalCores": ("totalCoresUsed", sum(one["vcpus"] for one in flavors)),
                                           "maxTotalRAMSize": ("totalRAMUsed", sum(one["ram"] for one in flavors))}))  # fmt: skip
        collection = parts[0].replace("os-", "").replace("-", "_")
        self.refuse(collection if method == "POST" else None)
        handler = getattr(self, f"nova_{collection}", None)
        if handler is None:
            return super().compute(method, parts, query, body)
        return handler(method, parts[1:], body)

    def nova_servers(self, method, rest, body):
        servers = self.store["servers"]
        if rest == ["detail"]:
            raise Answer(200, {"servers": list(servers.values())})
        if not rest:
            raise Answer(202, {"server": self.booted(body["server"])})
        server = servers.get(rest[0])
        if server is None:
            raise Answer(404, {"itemNotFound": {"message": "Instance could not be found.", "code": 404}})
        if len(rest) > 1:
            return getattr(self, f"server_{rest[1].removeprefix('os-').replace('-', '_')}")(method, server, rest[2:], body)
        if method == "DELETE":
            server.update(status="DELETING", seen=self.patience)
            raise Answer(204)
        if method == "PUT":
            server.update(body["server"])
        self.progress(servers, server, "ACTIVE")
        raise Answer(200, {"server": server})

    def booted(self, body):
        addresses = [self.store["ports"][one["port"]]["fixed_ips"][0]["ip_address"]
                     for one in body["networks"] if isinstance(one, dict)]  # fmt: skip
        for one in body["networks"] if isinstance(body["networks"], list) else ():
            self.store["ports"][one["port"]]["device_owner"] = "compute:nova"
        return self.add(
            "servers", name=body["name"], status="BUILD", metadata=body["metadata"], flavor={"id": body["flavorRef"]},
            image={"id": body["imageRef"]} if body["imageRef"] else "", seen=self.patience, asked=body,
            key_name=body.get("key_name"), restarts=0,
            addresses={"net": [{"addr": one, "OS-EXT-IPS:type": "fixed"} for one in addresses]},
        )  # fmt: skip

    def progress(self, collection, one, ready):
        """Seen once more: ready, gone or broken when it is time."""
        one["seen"] -= 1
        if one["seen"] >= 0:
            return
        if one["status"] in ("DELETING", "deleting"):
            del collection[one["id"]]
            for volume in self.store["volumes"].values():
                if any(item["server_id"] == one["id"] for item in volume["attachments"]):
                    volume.update(status="available", attachments=[])
            raise Answer(404, {"itemNotFound": {"message": "gone", "code": 404}})
        if one["status"] == "RESIZE":
            refused = one["name"] in self.small
            one.update({"status": "ACTIVE"} if refused else {"status": "VERIFY_RESIZE", "flavor": {"id": one["wanted_flavor"]}})
        elif one["name"] in self.broken:
            one.update(status="ERROR", fault={"message": "No valid host was found."})
        elif one["status"] in ("BUILD", "creating"):
            one["status"] = ready

    def server_action(self, method, server, rest, body):
        self.refuse("action")
        if "resize" in body:
            assert server["status"] == "ACTIVE", "Cannot resize while in another state"
            server.update(status="RESIZE", wanted_flavor=body["resize"]["flavorRef"], seen=self.patience, restarts=server["restarts"] + 1)
        else:
            assert body == {"confirmResize": None} and server["status"] == "VERIFY_RESIZE"
            server.update(status="ACTIVE", seen=self.patience)
        raise Answer(202)

    def server_instance_actions(self, method, server, rest, body):
        raise Answer(200, {"instanceActions": [{"action": "resize", "message": "No valid host was found."}, {"action": "create"}]})

    def server_metadata(self, method, server, rest, body):
        server["metadata"].update(body["metadata"])
        raise Answer(200, {"metadata": server["metadata"]})

    def server_volume_attachments(self, method, server, rest, body):
        if method == "DELETE":
            self.store["volumes"][rest[0]].update(status="available", attachments=[])
            raise Answer(202)
        volume = self.store["volumes"][body["volumeAttachment"]["volumeId"]]
        assert volume["status"] == "available", "Invalid volume: status must be available"
        assert server["status"] == "ACTIVE", "Cannot attach while building"
        one = {"server_id": server["id"], "volume_id": volume["id"], "device": "/dev/vdb", "attachment_id": "a"}
        volume.update(status="in-use", attachments=[one])
        raise Answer(200, {"volumeAttachment": {"volumeId": volume["id"], "serverId": server["id"]}})

    def nova_flavors(self, method, rest, body):
        if rest == ["detail"]:
            raise Answer(200, {"flavors": list(self.store["flavors"].values())})
        if rest[1:] == ["os-extra_specs"]:
            self.store["flavors"][rest[0]]["extra_specs"] = body["extra_specs"]
            raise Answer(200, body)
        return self.rest("flavors", "flavor", method, rest, {}, body)

    def nova_keypairs(self, method, rest, body):
        if method == "GET" and not rest:
            raise Answer(200, {"keypairs": [{"keypair": one} for one in self.store["keypairs"].values()]})
        if method == "POST":
            made = {"fingerprint": "00", **body["keypair"]}
            self.store["keypairs"][made["name"]] = made
            raise Answer(200, {"keypair": made})
        return self.rest("keypairs", "keypair", method, rest, {}, body)

    def nova_server_groups(self, method, rest, body):
        return self.rest("server_groups", "server_group", method, rest, {}, body)

    # Cinder and Swift

    def volume(self, method, parts, query, body):
        volumes = self.store["volumes"]
        if parts == ["limits"]:
            size = sum(one["size"] for one in volumes.values())
            raise Answer(200, self.limits({"maxTotalVolumes": ("totalVolumesUsed", len(volumes)),
                                           "maxTotalVolumeGigabytes": ("totalGigabytesUsed", size)}))  # fmt: skip
        if parts == ["volumes", "detail"]:
            raise Answer(200, {"volumes": list(volumes.values())})
        if parts == ["volumes"]:
            self.refuse("volumes")
            fields = {"description": "", **body["volume"]}
            raise Answer(202, {"volume": self.add("volumes", **fields, status="creating", attachments=[], seen=self.patience)})
        volume = volumes.get(parts[1])
        if volume is None:
            raise Answer(404, {"itemNotFound": {"message": "no such volume", "code": 404}})
        if parts[2:] == ["action"]:
            volume["size"] = body["os-extend"]["new_size"]
            raise Answer(202)
        if method == "DELETE":
            assert volume["status"] != "in-use", "Volume is attached"
            volume.update(status="deleting", seen=self.patience)
            raise Answer(202)
        if method == "PUT":
            volume.update(body["volume"])
        self.progress(volumes, volume, "available")
        raise Answer(200, {"volume": volume})

    def objects(self, method, parts, query, body):
        containers = self.store["containers"]
        if method == "GET":
            raise Answer(200, [{"name": name, "count": 0, "bytes": 0} for name in containers])
        if method == "PUT":
            containers[parts[0]] = {"id": parts[0]}
            raise Answer(201)
        del containers[parts[0]]
        raise Answer(204)

    def limits(self, told):
        absolute = {name: self.quota.get(name, -1) for name in told}
        return {"limits": {"rate": [], "absolute": {**absolute, **dict(told.values())}}}

    def counts(self):
        """Collection -> how many, for those of topologies."""
        kinds = (*COLLECTIONS, "servers", "volumes")
        return {name: len(self.store[name]) for name in kinds if self.store[name]}
