#!/usr/bin/python
"""Module ceph_pool: a replicated pool of a Ceph cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_pool
short_description: Keep a replicated pool of a Ceph cluster
description:
  - Keeps the pool, how many copies it has of each object, and the application that uses it; a pool for C(rbd) is
    made ready for images.
  - Removal takes all data of the pool with it; the cluster's guard against that is lifted for just this moment.
options:
  name: {description: The pool., type: str, required: true}
  application: {description: Who uses the pool., type: str, choices: [rbd, cephfs, rgw], default: rbd}
  size: {description: How many copies there are of each object; the cluster's default unless given., type: int}
  pg_num: {description: Placement groups of a pool that is made now; the cluster's default unless given., type: int}
  state: {description: Whether the pool is there., type: str, choices: [present, absent], default: present}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.ceph]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: The pool of Cinder's volumes
  cloudos.cloud.ceph_pool: {name: volumes, size: 3}
"""

RETURN = r"""
size: {description: How many copies there are of each object., type: int, returned: when the pool is there}
"""

from ansible_collections.cloudos.cloud.plugins.module_utils.ceph import CLUSTER, CephOperation

GUARD = {"who": "mon", "name": "mon_allow_pool_delete"}


class CephPool(CephOperation):
    spec = {
        **CLUSTER,
        "name": {"type": "str", "required": True},
        "application": {"type": "str", "choices": ["rbd", "cephfs", "rgw"], "default": "rbd"},
        "size": {"type": "int"},
        "pg_num": {"type": "int"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }

    def found(self):
        """Empty where the pool is not there."""
        pools = self.cluster.order("osd pool ls", detail="detail") if self.cluster else []
        self.pool = next((pool for pool in pools if pool["pool_name"] == self.params["name"]), None)
        if self.pool is None:
            return {}
        applications = sorted(self.pool["application_metadata"])
        return {
            "pool": self.params["name"],
            "application": ", ".join(applications) or None,
            **({"size": self.pool["size"]} if self.params["size"] else {}),
        }

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        return {
            "pool": self.params["name"],
            "application": self.params["application"],
            **({"size": self.params["size"]} if self.params["size"] else {}),
        }

    def converge(self, step):
        name = self.params["name"]
        if not step.after:
            self.remove(name)
            return
        if not step.before:
            words = {"pg_num": self.params["pg_num"]} if self.params["pg_num"] else {}
            self.cluster.order("osd pool create", pool=name, pool_type="replicated", **words)
        if "size" in step.changes:
            sure = {"yes_i_really_mean_it": True} if self.params["size"] == 1 else {}
            self.cluster.order("osd pool set", pool=name, var="size", val=str(self.params["size"]), **sure)
        if "application" in step.changes:
            self.take(name, step.before.get("application"))

    def take(self, name, before):
        """Name the application last: a pool without one was not finished."""
        if before:
            self.cluster.order("osd pool application disable", pool=name, app=before, yes_i_really_mean_it=True)
        if self.params["application"] != "rbd":
            self.cluster.order("osd pool application enable", pool=name, app=self.params["application"])
            return
        import rbd

        with self.cluster.pool(name) as pool:
            rbd.RBD().pool_init(pool, True)

    def remove(self, name):
        self.cluster.order("config set", **GUARD, value="true")
        try:
            self.cluster.order("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)
        finally:
            self.cluster.order("config rm", **GUARD)

    def result(self, step):
        if not step.after:
            return {}
        pools = self.cluster.order("osd pool ls", detail="detail") if self.cluster else []
        return next(({"size": pool["size"]} for pool in pools if pool["pool_name"] == self.params["name"]), {})


def main():
    CephPool.main()


if __name__ == "__main__":
    main()
