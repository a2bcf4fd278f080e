"""From requirements to web servers behind a load balancer: found, made, grown, changed, exported, gone; and over two clouds."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from kit import run_module

from tests.cloud.running import HOME, running, until
from tests.cloud.tenant import Tenant
from tests.lab.debian import CMDLINE, debian

pytestmark = pytest.mark.lab

CLOUDOS = str(Path(sys.executable).with_name("cloudos"))
SHOP = Path(__file__).parent / "shop"


@pytest.fixture(scope="module")
def cloud():
    yield from running("aio")


@pytest.fixture(scope="module")
def far():
    yield from running("core")


class Person(Tenant):
    """A tenant who works with commands, and may have Ansible's content run."""

    def __init__(self, cloud, name, directory, **other):
        super().__init__(cloud, name)
        self.admin.identity.assign_project_role_to_user(self.project, self.user, self.admin.identity.find_role("architect"))
        self.clouds = directory / "clouds.yaml"
        self.clouds.write_text(yaml.safe_dump({"clouds": {"mine": self.login, **other}}))

    def cloudos(self, *words, code=0):
        """What a command prints, and it ends with this exit code."""
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.clouds), "OS_CLOUD": "mine"}
        done = subprocess.run([CLOUDOS, *map(str, words)], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def servers(self):
        """Name without the topology's mark -> id."""
        return {re.sub(r"^shop-[0-9a-f]+-", "", one.name): one.id for one in self.api.compute.servers()}


class Given:
    """What the administrator of a cloud gives: images and flavors of these tests, and a network that leads outside."""

    def __init__(self, cloud):
        self.cloud, self.made = cloud, []
        if cloud.openstack("network", "list", "--external"):
            return
        external = cloud.source["networks"]["external"]
        start, end = external["pool"]
        network = self.make("network", "shop-external", "--external", "--provider-network-type", "flat",
                            "--provider-physical-network", "physnet1")  # fmt: skip
        cloud.openstack("subnet", "create", "shop-external", "--network", network, "--subnet-range", external["cidr"], "--no-dhcp",
                        "--gateway", external["gateway"], "--allocation-pool", f"start={start},end={end}")  # fmt: skip

    def make(self, kind, name, *arguments):
        made = self.cloud.openstack(kind, "create", *map(str, arguments), name)["id"]
        self.made.append((kind, made))
        return made

    def flavor(self, name, ram, disk):
        self.make("flavor", name, "--ram", ram, "--disk", disk)

    def debian(self):
        """Debian with its kernel beside it, and what the directory knows it by."""
        files = debian(HOME)
        kernel, initial = (self.make("image", f"shop-{kind}", "--public", "--disk-format", kind, "--container-format", kind, "--file", path)
                           for kind, path in (("aki", files.kernel), ("ari", files.initial)))  # fmt: skip
        properties = {"os_distro": "debian", "os_version": "12", "hw_rng_model": "virtio", "kernel_id": kernel, "ramdisk_id": initial,
                      "os_command_line": CMDLINE}  # fmt: skip
        more = [word for key, value in properties.items() for word in ("--property", f"{key}={value}")]
        self.make("image", "shop-debian", "--public", "--disk-format", "qcow2", "--min-disk", "2", "--file", files.disk, *more)

    def remove(self):
        for kind, made in reversed(self.made):
            self.cloud.openstack(kind, "delete", made)


@pytest.fixture(scope="module")
def given(cloud):
    given = Given(cloud)
    yield given
    given.remove()


@pytest.fixture(scope="module")
def ann(cloud, given, tmp_path_factory):
    given.debian()
    given.flavor("shop-small", 320, 2)
    given.flavor("shop-tiny", 96, 1)
    ann = Person(cloud, "shop", tmp_path_factory.mktemp("ann"))
    yield ann
    ann.remove()


def page(address):
    """(greeting, server) that a page tells, or None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=30) as answer:
            greeting, _, server = answer.read().decode().strip().partition(" from ")
    except OSError:
        return None
    return greeting, re.sub(r"^shop-[0-9a-f]+-", "", server)


def pages(address, number=12):
    """All (greeting, server) of so many requests."""
    return {page(address) for _ in range(number)}


class Visitor:
    """Somebody who goes on asking for the page; `lost` counts requests without an answer."""

    def __init__(self, address):
        self.address, self.asked, self.lost, self.over = address, 0, 0, threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def _ask(self):
        while not self.over.is_set():
            self.asked += 1
            self.lost += page(self.address) is None
            time.sleep(0.2)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


@pytest.fixture(scope="module")
def binding(ann, tmp_path_factory):
    """The binding of the shop's requirements, made as its user."""
    ann.cloudos("focus", "store", SHOP, "--name", "shop", "--type", "application_topology")
    ann.cloudos("graffiti", "pool", "add", "mine", "--from-cloud", "mine")
    ann.cloudos("graffiti", "discover", "mine")
    csar = tmp_path_factory.mktemp("design") / "shop.csar"
    ann.cloudos("focus", "get", "shop", "-o", csar)
    file = csar.with_name("binding.yaml")
    told = ann.cloudos("graffiti", "match", csar, "--explain")
    bound = ann.cloudos("graffiti", "bind", csar, "--name", "shop", "-o", file)
    ann.cloudos("focus", "store", file, "--name", "shop-mine", "--type", "resource_binding", "--reference", "shop")
    return {"id": bound.split(",")[0], "document": yaml.safe_load(file.read_text()), "told": told}


def test_requirements_are_bound_and_rejections_explained(binding):
    chosen = {f"{node}.{name}": choice["name"] for node, one in binding["document"]["choices"].items() for name, choice in one.items()}
    assert chosen["web.flavor"] == chosen["door.flavor"] == "shop-small"
    assert chosen["web.image"] == chosen["door.image"] == "shop-debian"
    assert "flavor shop-tiny: cloudos.openstack/Flavor.mem_size 96 MiB < 300 MB wanted" in binding["told"]
    assert "image shop-aki: has no cloudos.openstack/Image.distribution" in binding["told"]


@pytest.fixture(scope="module")
def shop(ann, binding):
    """The deployed shop: address of its door."""
    told = ann.cloudos("eve", "topology", "deploy", "shop", "--design", "shop", "--profile", "shop-mine")
    return json.loads(re.search(r"^address: (.*)$", told, re.MULTILINE)[1])


def test_web_servers_answer_behind_the_load_balancer(ann, shop):
    assert set(ann.servers()) == {"web", "web-2", "door"}
    until(lambda: pages(shop) == {("Welcome", "web"), ("Welcome", "web-2")}, seconds=60)
    assert all(len(one.attached_volumes) == 1 for one in ann.api.compute.servers() if "web" in one.name)


def test_what_is_there_is_what_was_bound(ann, shop, binding):
    ann.cloudos("graffiti", "discover", "mine")
    ann.cloudos("graffiti", "verify", binding["id"])
    flavors = {one.flavor["original_name"] for one in ann.api.compute.servers()}
    assert flavors == {"shop-small"}


def test_nothing_is_to_do_for_the_same_design(ann, shop):
    plan = json.loads(ann.cloudos("eve", "topology", "plan", "--update", "--name", "shop", "--json"))
    assert plan["actions"].keys() <= {"keep", "use"}, plan["actions"]


def test_a_third_server_comes_without_a_lost_request(ann, shop):
    before = ann.servers()
    with Visitor(shop) as visitor:
        ann.cloudos("eve", "topology", "scale", "shop", "web=3")
    assert (visitor.lost, ann.servers() | before) == (0, ann.servers()) and visitor.asked > 10
    until(lambda: pages(shop) == {("Welcome", "web"), ("Welcome", "web-2"), ("Welcome", "web-3")}, seconds=60)


def test_another_greeting_replaces_no_server(ann, shop):
    before = ann.servers()
    with Visitor(shop) as visitor:
        ann.cloudos("eve", "topology", "update", "shop", "-i", "greeting=Hello")
    assert (visitor.lost, ann.servers()) == (0, before)
    assert pages(shop) == {("Hello", name) for name in ("web", "web-2", "web-3")}


def test_a_workflow_runs_on_all_servers(ann, shop):
    with Visitor(shop) as visitor:
        ann.cloudos("eve", "topology", "workflow", "run", "shop", "announce", "-i", "words=Sale")
    assert visitor.lost == 0
    assert pages(shop) == {("Sale", name) for name in ("web", "web-2", "web-3")}


def test_what_is_exported_makes_the_same(ann, shop, tmp_path):
    ann.cloudos("eve", "topology", "export", "shop", "-o", tmp_path / "again.csar")
    ann.cloudos("focus", "store", tmp_path / "again.csar", "--name", "again")
    made = json.loads(ann.cloudos("eve", "topology", "plan", "--design", "again", "--name", "again", "--json"))
    kinds = sorted(step["kind"] for step in made["plan"]["steps"] if step["action"] == "create")
    assert kinds.count("server") == 4 and kinds.count("volume") == 3


def test_nothing_is_left(ann, shop):
    ann.cloudos("eve", "topology", "delete", "shop")
    assert ann.there() == [] and ann.credentials() == []


SIDE = """\
    outside-{0}: {{type: cloudos.nodes.ExternalNetwork}}
    lan-{0}: {{type: cloudos.nodes.NetworkSegment, properties: {{cidr: 10.79.0.0/24}}}}
    router-{0}:
      type: cloudos.nodes.Router
      requirements: [{{gateway: outside-{0}}}, {{segment: lan-{0}}}]
    server-{0}:
      type: cloudos.nodes.Server
      capabilities: {{host: {{properties: {{num_cpus: 1, mem_size: 128 MB}}}}, os: {{properties: {{distribution: {0}}}}}}}
      requirements:
        - network:
            node: lan-{0}
            relationship: {{type: cloudos.relationships.ConnectsToNetwork, properties: {{floating_ip: true, open_ports: [22]}}}}
"""
HYBRID = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [{file: "cloudos:openstack.yaml"}]
topology_template:
  node_templates:
""" + SIDE.format("near") + SIDE.format("far") + """\
  outputs:
    near: {value: {get_attribute: [server-near, public_address]}}
    far: {value: {get_attribute: [server-far, public_address]}}
"""


@pytest.fixture(scope="module")
def two(cloud, given, far, tmp_path_factory):
    """Somebody with an account in each of two clouds, each of which has an image that the other one lacks."""
    directory, there = tmp_path_factory.mktemp("bob"), Given(far)
    bob = Person(far, "shop-bob", directory)
    bob = Person(cloud, "shop-bob", directory, far=bob.login), bob
    image = run_module("guest_image")["path"]
    for side, place in (("near", given), ("far", there)):
        place.flavor(f"shop-{side}", 192, 1)
        place.make("image", f"shop-{side}", "--public", "--disk-format", "qcow2", "--property", f"os_distro={side}", "--file", image)
    yield bob
    for one in bob:
        one.remove()
    there.remove()


def answers(address):
    """Whether an SSH server is there."""
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=5) as connection:
        return connection.recv(4) == b"SSH-"


def test_one_topology_over_two_clouds(two, tmp_path):
    """Each server is bound to the cloud that has its image, its network follows it; both answer, and nothing is left in either."""
    near, far = two
    file = tmp_path / "hybrid.yaml"
    file.write_text(HYBRID)
    near.cloudos("focus", "store", file, "--name", "hybrid")
    for pool, entry in (("near", "mine"), ("far", "far")):
        near.cloudos("graffiti", "pool", "add", pool, "--from-cloud", entry)
        near.cloudos("graffiti", "discover", pool)
    near.cloudos("graffiti", "bind", file, "--name", "hybrid", "--span", "any", "-o", tmp_path / "binding.yaml")
    near.cloudos("focus", "store", tmp_path / "binding.yaml", "--name", "hybrid-bound", "--type", "resource_binding")
    told = near.cloudos("eve", "topology", "deploy", "hybrid", "--design", "hybrid", "--profile", "hybrid-bound")
    outputs = dict(re.findall(r'^(near|far): "(.*)"$', told, re.MULTILINE))
    for person, side in ((near, "near"), (far, "far")):
        assert {word: len(names) for word, names in person.names().items()} == {
            "server": 1, "router": 1, "network": 1, "subnet": 1, "security group": 1, "port": 2, "ip": 1}  # fmt: skip
        until(lambda side=side: answers(outputs[side]), seconds=300)
    near.cloudos("eve", "topology", "delete", "hybrid")
    assert near.there() == far.there() == []
