"""How long it takes to read and compile a large cloud: 200 nodes with twelve services on one core.

Usage: compile.py [NODES]. The services are the tree's own, completed to twelve by ones of the same shape (an API with a
database on the control node, an agent with a configuration of its own on every compute node), with overrides for all, a
group and every tenth node. Prints the shortest of three runs.
"""

import sys
import tempfile
import time
from pathlib import Path

import yaml

from cloudos.model.compile import compile_file

SERVICES = 12
OWN = ["keystone", "placement", "glance", "neutron", "nova"]
PLUGINS = {"compute": "kvm", "network": "openvswitch", "image": "file"}
TARGET = 2.0


def service(number: int) -> dict:
    """A service with an API on the control node and an agent on compute nodes."""
    name = f"extra{number}"
    credentials = {"layers": ["common", "policy", "messaging", "cache", "placement", "neutron", "glance", "tokens"]}
    local = {
        "my_ip": "{{ node.address }}",
        "host": "{{ node.name }}",
        "workers": "{{ [node.facts.cores // 2, 1] | max }}",
    }
    return {
        "service": name,
        "title": f"Extra {number}",
        "account": {},
        "needs": ["keystone", "mariadb", "rabbitmq", "memcached", "haproxy"],
        "user": {"roles": ["service"]},
        "databases": [name],
        "migrate": [f"{name}-manage db sync"],
        "catalog": {"type": name, "unit": f"{name}-api", "path": "/v1"},
        "files": {
            f"{name}.conf": {
                **credentials,
                "on": ["control"],
                "options": {"DEFAULT": local, "database": {"connection": "{{ database_url(service) }}"}},
            },
            "agent.conf": {
                **credentials,
                "on": ["compute"],
                "options": {"DEFAULT": local, "agent": {"bridge": "{{ networks.external.bridge }}"}},
            },
        },
        "units": {
            f"{name}-api": {
                "on": ["control"],
                "wsgi": f"{name}.wsgi:application",
                "port": 10000 + number,
                "health": "/",
                "files": [f"{name}.conf"],
            },
            f"{name}-agent": {
                "on": ["compute"],
                "exec": f"{name}-agent --config-file /etc/{name}/agent.conf",
                "files": ["agent.conf"],
            },
        },
    }


def inventory(count: int, services: list[str]) -> dict:
    """A cloud of one control, three network and else compute nodes."""
    groups = [["control"], *[["network"]] * 3, *[["compute"]] * (count - 4)]
    nodes = {
        f"node{index}": {"address": f"172.29.{index // 200}.{index % 200 + 10}", "groups": group}
        for index, group in enumerate(groups)
    }
    tuned = {"nova": {"nova-compute.conf": {"DEFAULT": {"cpu_allocation_ratio": 4, "reserved_host_memory_mb": 2048}}}}
    return {
        "plugin": "cloudos.cloud.cloud",
        "cloud": "large",
        "release": "2026.1",
        "nodes": nodes,
        "plugins": PLUGINS,
        "services": services,
        "networks": {
            "management": {"cidr": "172.29.0.0/16"},
            "external": {"cidr": "10.99.0.0/16", "gateway": "10.99.0.1", "pool": ["10.99.1.1", "10.99.200.200"]},
        },
        "overrides": {
            "all": {"nova": {"nova.conf": {"DEFAULT": {"cpu_allocation_ratio": 8}}}},
            "groups": {"compute": {"neutron": {"neutron-agent.conf": {"DEFAULT": {"debug": True}}}}},
            "nodes": dict.fromkeys(list(nodes)[10::10], tuned),
        },
    }


def main() -> None:
    """Write the inventory, compile it three times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as directory:
        extra = [service(number) for number in range(SERVICES - len(OWN))]
        (Path(directory) / "services").mkdir()
        for body in extra:
            (Path(directory) / "services" / f"{body['service']}.yml").write_text(yaml.safe_dump(body))
        cloud = {**inventory(count, [*OWN, *(body["service"] for body in extra)]), "service_path": ["services"]}
        path = Path(directory) / "cloud.yml"
        path.write_text(yaml.dump(cloud, Dumper=_Plain, sort_keys=False))
        timings = [timed(path) for _ in range(3)]
    seconds, (files, size) = min(timings)
    print(
        f"compile {count} nodes x {SERVICES} services: {seconds:.2f} s (target {TARGET} s for 200), "
        f"{files} files, plan of {size / 1e6:.1f} MB"
    )


def timed(path: Path) -> tuple[float, tuple[int, int]]:
    """Seconds for reading, compiling and writing JSON; (files, bytes) of the plan."""
    begin = time.perf_counter()
    plan = compile_file(path)
    text = plan.to_json()
    seconds = time.perf_counter() - begin
    return seconds, (sum(len(files) for host in plan.hosts() for files in host.files.values()), len(text))


class _Plain(yaml.SafeDumper):
    """Writes shared values out instead of as anchors."""

    def ignore_aliases(self, data):
        return True


if __name__ == "__main__":
    main()
