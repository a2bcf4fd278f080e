"""Orders to a Ceph cluster through Debian's librados, as JSON: no program is started, no key is in an argument."""

from __future__ import annotations

import json
from functools import cached_property

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation

CONF = "/etc/ceph/ceph.conf"
CLUSTER = {
    "conf": {"type": "path", "default": CONF},
    "timeout": {"type": "int", "default": 60},
}
ABSENT = 2  # ENOENT


class Refused(Failure):
    """The answer to an order that it did not carry out; `code` is the error number."""

    def __init__(self, prefix, code, text):
        self.code = code
        super().__init__(
            f"ceph {prefix}: {text or f'error {code}'}",
            service="ceph",
            unit="ceph-mon@a.service",
            next_step="ceph health detail, on the control node",
        )


class Cluster:
    """A connection as client.admin. Raises Failure where nothing answers within `timeout` seconds."""

    def __init__(self, conf, timeout):
        try:
            import rados
        except ImportError as error:
            raise Failure(
                "Ceph's library for Python is not installed", service="ceph", next_step="apt-get install python3-rados"
            ) from error
        limits = {"client_mount_timeout": str(timeout), "rados_mon_op_timeout": str(timeout)}
        try:
            self._rados = rados.Rados(name="client.admin", conffile=conf, conf=limits)
            self._rados.connect(timeout=timeout)
        except rados.Error as error:
            raise Failure(
                f"the Ceph cluster of {conf} does not answer: {error}",
                service="ceph",
                unit="ceph-mon@a.service",
                next_step="systemctl status ceph-mon@a, on the control node",
            ) from error

    def order(self, prefix, data=b"", manager=False, **words):
        """The parsed answer, None for an empty one. `data`: bytes sent along, where secrets belong. `manager`: it is an
        order to the manager. Raises Refused."""
        command = json.dumps({"prefix": prefix, "format": "json", **words})
        code, output, text = (self._rados.mgr_command if manager else self._rados.mon_command)(command, data)
        if code:
            raise Refused(prefix, -code, text)
        return json.loads(output) if output.strip() else None

    def pool(self, name):
        """The I/O context of a pool, to be closed by the caller."""
        return self._rados.open_ioctx(name)


class CephOperation(Operation):
    """An operation on the cluster. In check mode a cluster that is not there yet counts as empty."""

    @cached_property
    def cluster(self):
        """None in check mode where there is no cluster."""
        try:
            return Cluster(self.params["conf"], 5 if self.rehearsal else self.params["timeout"])
        except Failure:
            if self.rehearsal:
                return None
            raise
