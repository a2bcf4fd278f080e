"""Module object_disk with real file systems and mounts; only systemctl is played, by what it would do with the unit."""

import os
import subprocess
from pathlib import Path

import pytest
from kit import Story, run_module, twelve_cases

# Mounts as systemd does; its state is the mount itself.
SYSTEMCTL = r"""#!/bin/sh
[ "$1" = daemon-reload ] && exit 0
unit=UNITS/$3
where=$(sed -n 's/^Where=//p' "$unit"); what=$(sed -n 's/^What=//p' "$unit"); options=$(sed -n 's/^Options=//p' "$unit")
case "$1 $2" in
"enable --now") mountpoint -q "$where" || mount -t xfs -o "$options" "$what" "$where";;
"disable --now") ! mountpoint -q "$where" || umount "$where";;
esac
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with units, images and mount points; what is mounted below is unmounted afterwards."""
    for name in ("bin", "units", "node"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / "systemctl").write_text(SYSTEMCTL.replace("UNITS", str(tmp_path / "units")))
    (tmp_path / "bin" / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    yield tmp_path
    for mount in (tmp_path / "node").iterdir():
        subprocess.run(["umount", "--quiet", str(mount)], check=False)


@pytest.fixture
def device(place):
    """Path of a block device of 512 MiB."""
    (place / "disk").touch()
    os.truncate(place / "disk", 512 << 20)
    made = subprocess.run(["losetup", "--find", "--show", str(place / "disk")], capture_output=True, text=True, check=True)
    yield made.stdout.strip()
    subprocess.run(["umount", "--quiet", "--lazy", made.stdout.strip()], check=False)
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def arguments(place, **disks):
    directories = {"root": place / "node", "images": place / "images", "units": place / "units"}
    return {"disks": disks, "owner": "root", **{key: str(path) for key, path in directories.items()}}


def look(place):
    """What is mounted, how large the images are, and the units."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines() if str(place) in line]
    images = {path.name: path.stat().st_size for path in place.glob("images/*")}
    return sorted(mounts), images, {path.name: path.read_text() for path in (place / "units").iterdir()}


def test_twelve_cases(place):
    create, change = (arguments(place, d1={"size": size}) for size in (1, 2))
    remove = arguments(place, d1={"size": 2, "state": "absent"})
    twelve_cases(Story("object_disk", create, change, remove, state=lambda: look(place)))
    assert (place / "images" / "d1.img").exists(), "what it holds is kept"


def test_a_grown_file_is_a_grown_file_system(place):
    run_module("object_disk", **arguments(place, d1={"size": 1}))
    (place / "node" / "d1" / "kept").write_text("kept")
    run_module("object_disk", **arguments(place, d1={"size": 3}))
    status = os.statvfs(place / "node" / "d1")
    assert status.f_blocks * status.f_frsize > 2 << 30
    assert (place / "node" / "d1" / "kept").read_text() == "kept"


def test_a_file_does_not_shrink(place):
    run_module("object_disk", **arguments(place, d1={"size": 2}))
    assert "has 2 GiB and cannot shrink to 1" in run_module("object_disk", **arguments(place, d1={"size": 1}))["msg"]


def test_an_empty_device_is_formatted_and_then_taken_as_it_is(place, device):
    assert run_module("object_disk", **arguments(place, d1={"device": device}))["changed"]
    (place / "node" / "d1" / "kept").write_text("kept")
    subprocess.run(["umount", str(place / "node" / "d1")], check=True)
    told = run_module("object_disk", **arguments(place, d1={"device": device}))
    assert told["changed"], "it is mounted again"
    assert (place / "node" / "d1" / "kept").read_text() == "kept"


@pytest.mark.parametrize("make", [["mkfs.ext4", "-q"], ["mkfs.xfs", "-q", "-L", "other"], ["mkswap"]])
def test_what_a_device_holds_is_not_lost_unless_it_is_named(place, device, make):
    subprocess.run([*make, device], check=True, capture_output=True)
    uuid = subprocess.run(["blkid", "-p", "-s", "UUID", "-o", "value", device], capture_output=True, text=True, check=True)
    for erase in ({}, {"erase": "another"}):
        for check in (True, False):
            told = run_module("object_disk", check=check, **arguments(place, d1={"device": device, **erase}))
            assert f"give the disk `erase: {uuid.stdout.strip()}`" in told["msg"]
    assert not run_module("object_disk", **arguments(place, d1={"device": device, "erase": uuid.stdout.strip()})).get("failed")
    assert os.path.ismount(place / "node" / "d1")


def test_data_without_a_signature_is_not_lost(place, device):
    with open(device, "r+b") as disk:
        disk.seek(1 << 20)
        disk.write(b"somebody's")
    told = run_module("object_disk", **arguments(place, d1={"device": device}))
    assert "holds data of an unknown kind (unknown), and is left alone" in told["msg"]


def test_a_device_in_use_is_not_formatted(place, device):
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    (place / "node" / "elsewhere").mkdir()
    subprocess.run(["mount", device, str(place / "node" / "elsewhere")], check=True)
    uuid = subprocess.run(["blkid", "-s", "UUID", "-o", "value", device], capture_output=True, text=True, check=True)
    told = run_module("object_disk", **arguments(place, d1={"device": device, "erase": uuid.stdout.strip()}))
    assert "cannot be formatted: Device or resource busy" in told["msg"]


def test_a_disk_with_partitions_stays(place):
    run_module("object_disk", **arguments(place, d1={"size": 1}))
    (place / "node" / "d1" / "objects" / "77").mkdir(parents=True)
    told = run_module("object_disk", **arguments(place, d1={"size": 1, "state": "absent"}))
    assert "object disk d1 still holds 1 partitions" in told["msg"]
    assert os.path.ismount(place / "node" / "d1")
    assert run_module("object_disk", **arguments(place, d1={"size": 1, "state": "lost"}))["changed"]
    assert not os.path.ismount(place / "node" / "d1")


def test_an_image_that_a_killed_run_left_unfinished_is_made_anew(place):
    (place / "images").mkdir()
    (place / "images" / "d1.new").write_text("half")
    run_module("object_disk", **arguments(place, d1={"size": 1}))
    assert os.path.ismount(place / "node" / "d1")
    assert not (place / "images" / "d1.new").exists()


@pytest.mark.parametrize(
    ("disk", "text"),
    [({}, "must have either a device or a size"), ({"device": "/dev/none"}, "there is no /dev/none"),
     ({"device": "/dev/sda", "size": 1}, "must have either a device or a size")],
)  # fmt: skip
def test_mistakes(place, disk, text):
    assert text in run_module("object_disk", **arguments(place, d1=disk))["msg"]


def test_a_name_that_is_no_label(place):
    assert "longer than 12 characters" in run_module("object_disk", **arguments(place, thirteenchars={"size": 1}))["msg"]
