"""Lab nodes: machines made on the admin host to try things.

base: the root filesystem they start from. apt: the host's package sources, carried over. files: what makes a node that
node. network: the bridge they stand on. node: one node's life as a systemd-nspawn machine. virtual: as a virtual machine.
hypervisor: the libvirt daemon that runs those.
"""
