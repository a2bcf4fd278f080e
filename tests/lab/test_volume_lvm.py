"""Volumes on a virtual machine with a kernel of its own: LVM's proof, what a kill and a reboot do to one, then NFS beside it."""

import shutil

import pytest
import yaml

from tests.cloud.running import HOME, ROOT, Cloud, until

pytestmark = pytest.mark.lab

NODE = "st1"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """The cloud of inventory/lvm, made from nothing in a copy that the tests may edit, and removed afterwards."""
    directory = tmp_path_factory.mktemp("inventory") / "lvm"
    shutil.copytree(ROOT / "inventory" / "lvm", directory)
    cloud = Cloud(directory)
    cloud.play("destroy")
    for playbook in ("lab", "bundle", "site"):
        cloud.play(playbook)
    yield cloud
    cloud.play("destroy")
    assert not (HOME / "lab" / cloud.name / NODE).exists()


def test_a_volume_is_made_attached_written_grown_and_copied(cloud):
    cloud.play("verify")
    left = cloud.node("lvs --noheadings -o lv_name cinder-volumes", on=NODE).split()
    assert left == ["cinder-volumes-pool"], "the proof has removed its volumes"


def test_second_run_changes_nothing(cloud):
    assert cloud.play("site", "--check", "--diff").changed == 0
    assert cloud.play("site").changed == 0


@pytest.fixture
def volume(cloud):
    """A volume of 1 GiB with a file system, as the host of instances sees it when it is attached."""
    cloud.openstack("volume", "create", "--size", "1", "kept")
    until(lambda: cloud.openstack("volume", "show", "kept")["status"] == "available")
    yield "kept"
    cloud.openstack("volume", "delete", "kept")
    until(lambda: cloud.openstack("volume", "show", "kept", check=False) is None)


def test_a_killed_volume_service_is_back(cloud, volume):
    before = cloud.node("systemctl show -P MainPID cinder-volume", on=NODE).strip()
    cloud.node(f"kill -9 {before}", on=NODE)

    def again():
        pid = cloud.node("systemctl show -P MainPID cinder-volume", on=NODE).strip()
        return pid not in ("0", before)

    assert until(again) < 60
    cloud.openstack("volume", "set", "--size", "2", volume)
    until(lambda: cloud.openstack("volume", "show", volume)["size"] == 2)


def test_after_a_reboot_everything_is_back(cloud, volume):
    boot = cloud.node("cat /proc/sys/kernel/random/boot_id", on=NODE)
    cloud.node("systemctl reboot", check=False, on=NODE)
    until(lambda: cloud.node("cat /proc/sys/kernel/random/boot_id", check=False, on=NODE) not in ("", boot))
    assert cloud.play("site").changed == 0
    assert "cinder-volumes-pool" in cloud.node("lvs cinder-volumes", on=NODE)
    assert cloud.openstack("volume", "show", volume)["status"] == "available"


def test_a_second_back_end_comes_beside_the_first(cloud, volume):
    """The first one named is the default, which the proof takes; what lies with the other one stays."""
    plugins = {**cloud.source["plugins"], "volume": ["nfs", "lvm"]}
    (cloud.inventory / "cloud.yml").write_text(yaml.safe_dump({**cloud.source, "plugins": plugins}))
    cloud.play("site")
    cloud.play("verify")
    assert cloud.play("site").changed == 0
    assert cloud.node("findmnt -n -o SOURCE --types nfs4", on=NODE).strip() == f"{cloud.source['nodes'][NODE]['address']}:/srv/cinder"
    assert cloud.openstack("volume", "show", volume)["status"] == "available"
