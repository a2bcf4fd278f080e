"""How long a server with a network and an attached volume takes, up and down: by Eve, embedded and as a service, and by openstacksdk alone.

Usage: deployment.py CLOUD FLAVOR IMAGE [ROUNDS]. CLOUD is a login in clouds.yaml with a password, which makes everything in its own
project. The three take turns, each in processes of their own, so that whatever else the machine does meets all alike. A server is
up when it is ACTIVE; what its guest does then is not waited for. Prints seconds: the median, and least and most of all rounds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAME, CIDR = "bench", "10.66.200.0/24"
TARGETS = {"up": 20, "down": 10}
DESIGN = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [{{file: "cloudos:openstack.yaml"}}]
topology_template:
  node_templates:
    lan: {{type: cloudos.nodes.NetworkSegment, properties: {{cidr: {cidr}}}}}
    disk: {{type: cloudos.nodes.VolumeGroup, properties: {{size: 1 GB}}}}
    web:
      type: cloudos.nodes.Server
      properties: {{flavor: {flavor}, image: {image}}}
      requirements:
        - network:
            node: lan
            relationship: {{type: cloudos.relationships.ConnectsToNetwork, properties: {{open_ports: [22]}}}}
        - volume: disk
"""


def sdk(step, cloud, flavor, image):
    """The same calls with openstacksdk, one after the other, as a script does them."""
    import openstack

    api = openstack.connect(cloud=cloud)
    (_up if step == "up" else _down)(api, flavor, image)


def _up(api, flavor, image):
    flavor, image = api.compute.find_flavor(flavor, ignore_missing=False), api.image.find_image(image, ignore_missing=False)
    volume = api.block_storage.create_volume(name=NAME, size=1)
    network = api.network.create_network(name=NAME)
    subnet = api.network.create_subnet(name=NAME, network_id=network.id, ip_version=4, cidr=CIDR)
    group = api.network.create_security_group(name=NAME)
    api.network.create_security_group_rule(security_group_id=group.id, direction="ingress", protocol="tcp",
                                           port_range_min=22, port_range_max=22)  # fmt: skip
    port = api.network.create_port(name=NAME, network_id=network.id, fixed_ips=[{"subnet_id": subnet.id}], security_groups=[group.id])
    server = api.compute.create_server(name=NAME, flavor_id=flavor.id, image_id=image.id, networks=[{"port": port.id}])
    api.block_storage.wait_for_status(volume, "available", interval=0.5, wait=300)
    server = api.compute.wait_for_server(server, interval=0.5, wait=300)
    api.compute.create_volume_attachment(server, volume_id=volume.id)
    api.block_storage.wait_for_status(volume, "in-use", interval=0.5, wait=300)


def _down(api, _flavor, _image):
    server = api.compute.find_server(NAME, ignore_missing=False)
    api.compute.delete_server(server)
    api.compute.wait_for_delete(server, interval=0.5, wait=300)
    volume = api.block_storage.find_volume(NAME, ignore_missing=False)
    api.block_storage.wait_for_status(volume, "available", interval=0.5, wait=300)
    api.block_storage.delete_volume(volume)
    api.network.delete_port(api.network.find_port(NAME, ignore_missing=False))
    api.network.delete_security_group(api.network.find_security_group(NAME, ignore_missing=False))
    api.network.delete_network(api.network.find_network(NAME, ignore_missing=False))
    api.block_storage.wait_for_delete(volume, interval=0.5, wait=300)


def commands(cloud, flavor, image, design):
    """Way -> step -> command."""
    cloudos = [str(Path(sys.executable).with_name("cloudos")), "eve"]
    topology = [*cloudos, "topology", "--cloud", cloud]
    itself = [sys.executable, __file__, "sdk"]
    return {
        "openstacksdk alone": {step: [*itself, step, cloud, flavor, image] for step in TARGETS},
        "Eve, embedded": {"up": [*cloudos, "deploy", str(design), "--cloud", cloud, "--name", NAME], "down": [*cloudos, "undeploy", NAME]},
        "Eve, as a service": {"up": [*topology, "deploy", NAME, "--design", NAME], "down": [*topology, "delete", NAME]},
    }  # fmt: skip


def timed(command):
    """Wall seconds of a command; ends everything when it fails."""
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return time.monotonic() - began


def main(cloud, flavor, image, rounds="3"):
    """Store the design, measure, print."""
    cloudos = str(Path(sys.executable).with_name("cloudos"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLOUDOS_HOME"] = folder
        design = Path(folder) / "design.yaml"
        design.write_text(DESIGN.format(cidr=CIDR, flavor=flavor, image=image))
        timed([cloudos, "focus", "--cloud", cloud, "store", str(design), "--name", NAME])
        ways = commands(cloud, flavor, image, design)
        found = {(way, step): [] for way in ways for step in TARGETS}
        for _ in range(int(rounds)):
            for way, steps in ways.items():
                for step, command in steps.items():
                    found[way, step].append(timed(command))
    for (way, step), seconds in found.items():
        against = statistics.median(mine / base for mine, base in zip(seconds, found["openstacksdk alone", step], strict=True))
        print(f"{way:<20}{step:<6}{statistics.median(seconds):6.1f} s ({min(seconds):.1f} to {max(seconds):.1f}), "
              f"{against:.2f} of openstacksdk, target {TARGETS[step]} s")  # fmt: skip


if __name__ == "__main__":
    sdk(*sys.argv[2:]) if sys.argv[1] == "sdk" else main(*sys.argv[1:])
