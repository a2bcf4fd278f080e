"""A Ceph cluster in this process: modules `rados` and `rbd` whose monitor and manager answer as real ones do.

The answers are those that Ceph 16.2 gave on a node; what it keeps is in `pools`, `entities`, `osds` and `config`.
"""

import errno
import json
import sys
import types
from contextlib import contextmanager

KEY = "AQAAAAAAAAAAABAAo2dYeUp7l6xLXqLnT0vVXA=="


class Cluster:
    """What the cluster keeps. `up` false: nobody answers. `unsafe`: how often an OSD still holds data when asked."""

    def __init__(self):
        self.up = True
        self.unsafe = 0
        self.pools, self.entities, self.osds, self.config = {}, {}, {}, {}
        self.orders = []

    def snapshot(self):
        return json.dumps([self.pools, self.entities, self.osds, self.config], sort_keys=True)

    def answer(self, text, data):
        words = json.loads(text)
        prefix = words["prefix"]
        self.orders.append(words)
        if prefix.startswith("auth"):
            return self.auth(prefix, words, data)
        if prefix.startswith("config"):
            self.config[words["name"]] = words.get("value")
            return b""
        return self.pool(prefix, words) if " pool " in prefix else self.osd(prefix, words)

    def auth(self, prefix, words, data):
        if prefix == "auth import":
            lines = [line.strip() for line in data.decode().splitlines()]
            caps = {line.split()[1]: line.split('"')[1] for line in lines if line.startswith("caps ")}
            key = next(line.split(" = ")[1] for line in lines if line.startswith("key"))
            self.entities[lines[0].strip("[]")] = {"key": key, "caps": caps}
            return b""
        entity = words["entity"]
        if prefix == "auth get-or-create":
            caps = dict(zip(words["caps"][::2], words["caps"][1::2], strict=True))
            self.entities.setdefault(entity, {"key": KEY, "caps": caps})
        if entity not in self.entities:
            raise OSError(errno.ENOENT, f"failed to find {entity} in keyring")
        if prefix == "auth del":
            del self.entities[entity]
            return b""
        return [{"entity": entity, **self.entities[entity]}]

    def pool(self, prefix, words):
        if prefix == "osd pool ls":
            return list(self.pools.values())
        name = words["pool"]
        if prefix == "osd pool create":
            self.pools[name] = {"pool_name": name, "size": 1, "application_metadata": {}}
        elif prefix == "osd pool set":
            self.pools[name][words["var"]] = int(words["val"])
        elif prefix == "osd pool application enable":
            self.pools[name]["application_metadata"][words["app"]] = {}
        elif prefix == "osd pool application disable":
            del self.pools[name]["application_metadata"][words["app"]]
        elif self.config.get("mon_allow_pool_delete") == "true":
            del self.pools[name]
        else:
            raise OSError(errno.EPERM, "pool deletion is disabled; you must first set the mon_allow_pool_delete")
        return b""

    def osd(self, prefix, words):
        if prefix == "osd dump":
            return {"osds": list(self.osds.values())}
        if prefix == "osd new":
            known = [osd["osd"] for osd in self.osds.values() if osd["uuid"] == words["uuid"]]
            number = known[0] if known else len(self.osds)
            self.osds.setdefault(str(number), {"osd": number, "uuid": words["uuid"], "up": 0, "in": 0})
            return {"osdid": number}
        if prefix in ("osd in", "osd out"):
            self.osds[words["ids"][0]]["in"] = int(prefix == "osd in")
        elif prefix == "osd safe-to-destroy":
            if self.unsafe:
                self.unsafe -= 1
                raise OSError(errno.EBUSY, "OSD(s) 0 have 9 pgs currently mapped to them.")
            return {"safe_to_destroy": [int(one) for one in words["ids"]]}
        elif prefix == "osd purge-actual":
            del self.osds[str(words["id"])]
        return b""


@contextmanager
def fake_ceph():
    """A Cluster that modules reach through `rados` and `rbd` while the context lasts."""
    cluster = Cluster()

    class Rados:
        def __init__(self, name, conffile, conf):
            assert name == "client.admin"
            assert {"client_mount_timeout", "rados_mon_op_timeout"} == set(conf)

        def connect(self, timeout):
            if not cluster.up:
                raise rados.Error("[errno 110] RADOS timed out")

        def mon_command(self, text, data):
            try:
                answer = cluster.answer(text, data)
            except OSError as error:
                return -error.errno, b"", error.strerror
            return 0, answer if isinstance(answer, bytes) else json.dumps(answer).encode(), ""

        mgr_command = mon_command

        @contextmanager
        def open_ioctx(self, name):
            yield name

    class Rbd:
        def pool_init(self, name, force):
            assert force
            cluster.pools[name]["application_metadata"]["rbd"] = {}

    rados, rbd = types.ModuleType("rados"), types.ModuleType("rbd")
    rados.Error, rados.Rados, rbd.RBD = type("Error", (Exception,), {}), Rados, Rbd
    before = {name: sys.modules.get(name) for name in ("rados", "rbd")}
    sys.modules.update(rados=rados, rbd=rbd)
    try:
        yield cluster
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
