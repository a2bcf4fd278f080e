"""Documentation of the modules that give orders to a Ceph cluster."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  conf:
    description: The cluster's F(ceph.conf); the keyring of C(client.admin) lies beside it.
    type: path
    default: /etc/ceph/ceph.conf
  timeout: {description: Seconds until the cluster must have answered., type: int, default: 60}
"""
