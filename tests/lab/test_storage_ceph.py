"""A cloud that keeps images, instances' disks and volumes in Ceph: made anew, proven, killed, and its plugins changed."""

import filecmp
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cloud import test_faults as faults
from tests.cloud.running import HOME, ROOT, Cloud, until

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """The cloud of inventory/ceph, from blank on, in a copy that the tests may edit; its node is removed afterwards."""
    directory = tmp_path_factory.mktemp("inventory") / "ceph"
    shutil.copytree(ROOT / "inventory" / "ceph", directory)
    made = Cloud(directory)
    made.play("destroy")
    try:
        for playbook in ("lab", "bundle", "site"):
            made.play(playbook)
        yield made
    finally:
        made.play("destroy")


def edit(cloud, **plugins):
    """Write the inventory with other plugins; None takes one out."""
    chosen = {kind: name for kind, name in {**cloud.source["plugins"], **plugins}.items() if name}
    (cloud.inventory / "cloud.yml").write_text(yaml.safe_dump({**cloud.source, "plugins": chosen}))


def parent(cloud, image):
    """Of what an RBD image is the clone, as pool/image@snapshot; empty where it is none's."""
    lines = cloud.node(f"rbd info {image}").splitlines()
    return next((line.split()[1] for line in lines if line.strip().startswith("parent:")), "")


def test_it_works_and_stays_as_it_is(cloud):
    cloud.play("verify")
    assert cloud.play("site").changed == 0
    assert cloud.play("site", "--check", "--diff").changed == 0


@pytest.fixture(scope="module")
def image(cloud):
    """An image that can be cloned: a raw one."""
    newest = max((HOME / "cache" / "guest").glob("*.qcow2"), key=lambda path: path.stat().st_mtime)
    raw = cloud.inventory.with_name("kept.img")
    subprocess.run(["qemu-img", "convert", "-O", "raw", newest, raw], check=True)
    yield cloud.openstack("image", "create", "kept", "--disk-format", "raw", "--file", str(raw))["id"]
    cloud.openstack("image", "delete", "kept")


def test_disks_and_volumes_are_clones_of_their_image(cloud, image):
    cloud.openstack("flavor", "create", "kept", "--ram", "128", "--disk", "1")
    cloud.openstack("--os-compute-api-version", "2.37", "server", "create", "kept", "--image", "kept", "--flavor", "kept", "--nic", "none")
    cloud.openstack("volume", "create", "kept", "--image", "kept", "--size", "1")
    try:
        until(lambda: cloud.openstack("server", "show", "kept")["status"] == "ACTIVE")
        server = cloud.openstack("server", "show", "kept")["id"]
        assert parent(cloud, f"disks/{server}_disk") == f"images/{image}@snap"
        until(lambda: cloud.openstack("volume", "show", "kept")["status"] == "available")
        volume = cloud.openstack("volume", "show", "kept")["id"]
        assert parent(cloud, f"volumes/volume-{volume}") == f"images/{image}@snap"
    finally:
        cloud.openstack("server", "delete", "kept", "--wait")
        cloud.openstack("flavor", "delete", "kept")
        cloud.openstack("volume", "delete", "kept")
        until(lambda: cloud.openstack("volume", "show", "kept", check=False) is None)


def test_every_unit_survives_kill(cloud):
    faults.test_every_unit_survives_kill(cloud)


def test_reboot(cloud):
    faults.test_reboot(cloud)


def test_a_plugin_leaves_only_when_that_is_confirmed(cloud, image):
    """Disks go back to files and images to Swift; the image in Ceph is out of reach until its plugin is back."""
    edit(cloud, disk=None, image="swift")
    before = cloud.processes()
    refused = cloud.play("site", check=False)
    assert refused.code != 0 and "-e site_remove=disk/ceph,image/ceph" in refused.output
    assert cloud.processes() == before, "nothing was touched"
    cloud.play("site", "-e", "site_remove=disk/ceph,image/ceph")
    cloud.play("verify")
    assert cloud.play("site").changed == 0
    edit(cloud)
    cloud.play("site", "-e", "site_remove=image/swift")
    cloud.openstack("image", "save", "kept", "--file", str(cloud.inventory.with_name("back.img")))
    assert filecmp.cmp(cloud.inventory.with_name("kept.img"), cloud.inventory.with_name("back.img"), shallow=False)
    cloud.play("verify")


@pytest.fixture
def other(cloud):
    """A second cloud, which has no cluster of its own: it is told where the first one's is, and the keys of its clients."""
    core = yaml.safe_load((ROOT / "inventory" / "core" / "cloud.yml").read_text())
    directory = cloud.inventory.with_name("second")
    directory.mkdir()
    source = {**core, "cloud": "second", "services": [*core["services"], "cinder"], "settings": {"ceph": {"monitors": cloud.address}},
              "plugins": {**core["plugins"], "image": "ceph", "disk": "ceph", "volume": "ceph"}}  # fmt: skip
    (directory / "cloud.yml").write_text(yaml.safe_dump(source))
    made = Cloud(directory)
    made.play("destroy")
    keys = {f"service/{name}/ceph": cloud.node(f"ceph auth get-key client.{name}") for name in ("cinder", "glance", "nova")}
    secrets = made.state / "secrets.yml"
    secrets.parent.mkdir(parents=True, exist_ok=True)
    secrets.write_text(json.dumps(keys))
    vault = str(Path(sys.executable).with_name("ansible-vault"))
    subprocess.run([vault, "encrypt", "--vault-password-file", HOME / "vault-password", secrets], check=True)
    try:
        for playbook in ("lab", "site"):
            made.play(playbook)
        yield made
    finally:
        made.play("destroy")


def test_a_cluster_that_is_there_already_serves_another_cloud(cloud, other):
    """Nothing of the cluster is made, changed or run there; disks, images and volumes lie in it all the same."""
    assert "ceph-mon" not in other.node("systemctl list-units --all --plain --no-legend 'ceph*'")
    before = cloud.node("ceph osd pool ls; ceph auth ls")
    other.openstack("volume", "create", "theirs", "--size", "1")
    until(lambda: other.openstack("volume", "show", "theirs")["status"] == "available")
    volume = other.openstack("volume", "show", "theirs")["id"]
    assert f"volume-{volume}" in cloud.node("rbd ls volumes").split()
    other.openstack("volume", "delete", "theirs")
    other.play("verify")
    assert other.play("site").changed == 0
    assert cloud.node("ceph osd pool ls; ceph auth ls") == before
