"""The layout of the guest's disk, the choice of kernel modules, and the shell in it."""

import struct
import subprocess

import pytest
from ansible_collections.cloudos.cloud.plugins.module_utils import guest_files, guest_image
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure


def test_the_master_boot_record_has_one_active_partition():
    record = guest_image.master_boot_record(b"\xfa" * 440, 40960)
    assert len(record) == 512 and record[-2:] == b"\x55\xaa" and record[:440] == b"\xfa" * 440
    active, _, kind, _, start, length = struct.unpack("<B3sB3sII", record[446:462])
    assert (active, kind, start, start + length) == (0x80, 0x0E, 2048, 40960)
    assert record[462:510] == bytes(48)


def test_boot_code_never_runs_into_the_partition_table():
    assert guest_image.master_boot_record(b"\xff" * 512, 40960)[462:510] == bytes(48)


@pytest.mark.parametrize(("payload", "mebibytes"), [(0, 10), (17 * 2**20, 20), (30 * 2**20, 33)])
def test_the_disk_holds_its_files(payload, mebibytes):
    assert guest_image.disk_sectors(payload) == mebibytes * 2048


def test_modules_come_with_what_they_need():
    listed = {"kernel/a.ko": " kernel/b-c.ko kernel/d.ko.xz"} | dict.fromkeys(["kernel/b-c.ko", "kernel/d.ko.xz"], "")
    assert guest_image.required(listed, ("a", "inside"), "kernel/inside.ko\n") == [
        "kernel/a.ko", "kernel/b-c.ko", "kernel/d.ko.xz"]


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(Failure, match="no module nowhere"):
        guest_image.required({}, ("nowhere",), "")


def test_the_digest_follows_versions_and_files(monkeypatch):
    class Packages:
        versions = {"busybox": "1"}

    first = guest_image.digest(Packages)
    monkeypatch.setattr(Packages, "versions", {"busybox": "2"})
    second = guest_image.digest(Packages)
    monkeypatch.setitem(guest_files.FILES, "etc/issue", "another")
    third = guest_image.digest(Packages)
    monkeypatch.setattr(guest_image, "BINARIES", (*guest_image.BINARIES, "bin/other"))
    assert len({first, second, third, guest_image.digest(Packages)}) == 4


@pytest.mark.parametrize("name", [name for name, content in guest_files.FILES.items() if content.startswith("#!")])
def test_scripts_are_shell_and_executable(name):
    subprocess.run(["sh", "-n"], input=guest_files.FILES[name], text=True, check=True)
    assert guest_files.MODES[name] == 0o755


def test_no_account_has_a_password():
    assert all(line.split(":")[1] == "*" for line in guest_files.FILES["etc/shadow"].splitlines())
