"""The guest image boots under emulation, takes key, name and user data from a config drive, and powers off when asked to."""

import json
import socket
import subprocess
import time

import pytest
from kit import run_module

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def image():
    result = run_module("guest_image")
    assert not result.get("failed"), result
    return result


@pytest.fixture
def config_drive(tmp_path):
    """A vfat config drive with a fresh key; returns its path and the key's."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    metadata = {"hostname": "proof.example", "public_keys": {"mine": key.with_suffix(".pub").read_text()}}
    (tmp_path / "meta_data.json").write_text(json.dumps(metadata))
    (tmp_path / "user_data").write_text("#!/bin/sh\nid -u >/tmp/user-data-ran\n")
    drive = tmp_path / "drive.img"
    subprocess.run(["mkfs.fat", "-C", "-n", "config-2", drive, "1440"], check=True, capture_output=True)
    subprocess.run(["mmd", "-i", drive, "::/openstack", "::/openstack/latest"], check=True)
    subprocess.run(
        ["mcopy", "-i", drive, tmp_path / "meta_data.json", tmp_path / "user_data", "::/openstack/latest/"], check=True
    )
    return drive, key


@pytest.fixture
def guest(image, config_drive, tmp_path):
    """A running guest: (function that runs a command in it as a user, its QEMU process, path of its console log)."""
    drive, key = config_drive
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    console, monitor = tmp_path / "console", tmp_path / "monitor"
    process = subprocess.Popen(
        [
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            "192",
            "-nodefaults",
            "-display",
            "none",
            "-drive",
            f"file={image['path']},if=virtio,snapshot=on",
            "-drive",
            f"file={drive},if=virtio,format=raw,readonly=on",
            "-nic",
            f"user,model=virtio,hostfwd=tcp:127.0.0.1:{port}-:22",
            "-serial",
            f"file:{console}",
            "-monitor",
            f"unix:{monitor},server,nowait",
        ]
    )

    def ssh(user, command):
        return subprocess.run(
            [
                "ssh",
                "-i",
                key,
                "-p",
                str(port),
                "-oBatchMode=yes",
                "-oConnectTimeout=2",
                "-oStrictHostKeyChecking=no",
                f"-oUserKnownHostsFile={tmp_path}/known_hosts",
                f"{user}@127.0.0.1",
                command,
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    yield ssh, process, console, monitor
    process.kill()
    process.wait()


def test_small_enough(image):
    assert image["size"] < 30_000_000


def test_a_second_build_changes_nothing(image):
    again = run_module("guest_image")
    assert not again["changed"] and again["sha256"] == image["sha256"]


def test_boots_and_is_reached_by_ssh(guest):
    ssh, process, console, monitor = guest
    start = time.monotonic()
    look = "hostname; id -u; cat /tmp/user-data-ran"  # the user data runs after the key is there
    while (answer := ssh("cloud", look)).returncode and time.monotonic() - start < 90:
        time.sleep(0.3)
    print(f"reached by SSH after {time.monotonic() - start:.1f} s")
    assert answer.stdout.split() == ["proof", "1000", "0"], console.read_text()
    assert ssh("root", "id -u").stdout.strip() == "0"
    assert ssh("nobody", "true").returncode == 255
    text = console.read_text()
    assert "login:" in text and "1 keys from the metadata drive" in text, text

    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(monitor))
        control.sendall(b"system_powerdown\n")
        assert process.wait(timeout=30) == 0
