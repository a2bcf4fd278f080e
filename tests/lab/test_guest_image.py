"""The guest image boots under emulation, takes key, name and user data from either source, and powers off on ACPI."""

import json
import socket
import subprocess
import sys
import time

import pytest
from kit import run_module

pytestmark = pytest.mark.lab

USER_DATA = "#!/bin/sh\nid -u >/tmp/user-data-ran\n"
# QEMU starts it for every connection to the metadata service; request and answer are its input and output.
SERVICE = """import json, sys
path = sys.stdin.readline().split()[1]
body = json.load(open(sys.argv[1])).get(path)
print(f"HTTP/1.0 {'404 Not Found' if body is None else '200 OK'}\\r\\n\\r", flush=True)
sys.stdout.write(body or "")
"""


@pytest.fixture(scope="module")
def image():
    result = run_module("guest_image")
    assert not result.get("failed"), result
    return result


@pytest.fixture
def key(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    return tmp_path / "key"


def metadata(public_key):
    return json.dumps({"uuid": "i-1", "hostname": "proof.example", "public_keys": {"mine": public_key}})


def config_drive(directory, public_key):
    """QEMU's arguments for a config drive."""
    drive = directory / "drive.img"
    (directory / "meta_data.json").write_text(metadata(public_key))
    (directory / "user_data").write_text(USER_DATA)
    subprocess.run(["mkfs.fat", "-C", "-n", "config-2", drive, "1440"], check=True, capture_output=True)
    subprocess.run(["mmd", "-i", drive, "::/openstack", "::/openstack/latest"], check=True)
    files = [directory / "meta_data.json", directory / "user_data"]
    subprocess.run(["mcopy", "-i", drive, *files, "::/openstack/latest/"], check=True)
    return ["-drive", f"file={drive},if=virtio,format=raw,readonly=on"], ""


def metadata_service(directory, public_key):
    """QEMU's option of the network for a metadata service, with answers as Nova's."""
    root = "/openstack/latest"
    (directory / "answers.json").write_text(
        json.dumps({f"{root}/meta_data.json": metadata(public_key), f"{root}/user_data": USER_DATA}))
    (directory / "service.py").write_text(SERVICE)
    command = f"{sys.executable} {directory}/service.py {directory}/answers.json"
    return [], f",net=169.254.169.0/24,guestfwd=tcp:169.254.169.254:80-cmd:{command}"


class Guest:
    """A running guest with its console log."""

    def __init__(self, image, directory, key, source):
        self.directory, self.key = directory, key
        self.console, self.monitor = directory / "console", directory / "monitor"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        drives, network = source(directory, key.with_suffix(".pub").read_text())
        self.process = subprocess.Popen([
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "192", "-nodefaults", "-display", "none",
            "-drive", f"file={image},if=virtio,snapshot=on", *drives,
            "-nic", f"user,model=virtio,hostfwd=tcp:127.0.0.1:{self.port}-:22{network}",
            "-serial", f"file:{self.console}", "-monitor", f"unix:{self.monitor},server,nowait",
        ])

    def ssh(self, user, command):
        options = ["-oBatchMode=yes", "-oConnectTimeout=2", "-oStrictHostKeyChecking=no",
                   f"-oUserKnownHostsFile={self.directory}/known_hosts"]
        return subprocess.run(["ssh", "-i", self.key, "-p", str(self.port), *options, f"{user}@127.0.0.1", command],
                              capture_output=True, text=True, check=False)

    def power_button(self):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.monitor))
            control.sendall(b"system_powerdown\n")
            return self.process.wait(timeout=30)


def test_small_enough(image):
    assert image["size"] < 30_000_000


def test_a_second_build_changes_nothing(image):
    again = run_module("guest_image")
    assert not again["changed"] and again["sha256"] == image["sha256"]


@pytest.mark.parametrize("source", [config_drive, metadata_service])
def test_boots_and_is_reached_by_ssh(image, tmp_path, key, source):
    guest = Guest(image["path"], tmp_path, key, source)
    try:
        start = time.monotonic()
        look = "hostname; id -u; cat /tmp/user-data-ran"   # the user data runs after the key is there
        while (answer := guest.ssh("cloud", look)).returncode and time.monotonic() - start < 90:
            time.sleep(0.3)
        print(f"reached by SSH after {time.monotonic() - start:.1f} s")
        assert answer.stdout.split() == ["proof", "1000", "0"], guest.console.read_text()
        assert guest.ssh("root", "id -u").stdout.strip() == "0"
        assert guest.ssh("nobody", "true").returncode == 255
        text = guest.console.read_text()
        assert "login:" in text and "1 keys from the metadata" in text, text
        assert guest.power_button() == 0
    finally:
        guest.process.kill()
        guest.process.wait()
