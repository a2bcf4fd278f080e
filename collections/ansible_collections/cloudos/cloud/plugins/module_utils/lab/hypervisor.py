"""The libvirt daemon that runs virtual lab nodes: one for each CLOUDOS_HOME, with settings and state of its own.

It sees private directories in the places where libvirt keeps its things, so it neither disturbs nor needs a daemon that
the host runs for other purposes, and nothing of it is left once its directory is removed.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.lab.node import alive, kill, marked, service
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import read, write
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

PLACES = ("/etc/libvirt", "/run/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt")
FILES = {
    # Root alone gets through to the socket.
    "libvirtd.conf": """auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
unix_sock_dir = "{directory}"
""",
    # Lab nodes are root's, as containers are; their files may lie where no other user gets through.
    "qemu.conf": """user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
""",
}
# Mounts that the host makes or takes away later are seen here too: none of them is kept busy.
DAEMON = """
directory=$1; shift
for place; do
    mkdir -p "$place" && mount --bind "$directory$place" "$place" || exit
done
exec libvirtd "--config=$directory/etc/libvirt/libvirtd.conf" --pid-file "$directory/libvirtd.pid"
"""
SECONDS = 60  # the daemon tries what each QEMU can do before it answers for the first time
LOCK = threading.Lock()


class Hypervisor:
    """The daemon below `home` (CLOUDOS_HOME)."""

    def __init__(self, home):
        self.directory = Path(home) / "libvirt"
        self.log = self.directory / "daemon.log"

    def processes(self):
        return marked("cmdline", f"--config={self.directory}/etc/libvirt/libvirtd.conf")

    def connect(self):
        """A connection of libvirt-python; the daemon is started unless it runs."""
        try:
            import libvirt
        except ImportError:
            raise Failure(
                "libvirt's binding for Python is not installed",
                next_step="run playbooks/lab.yml, which installs python3-libvirt and uses the system's Python",
            ) from None
        libvirt.registerErrorHandler(lambda *_: None, None)  # it would write to the module's standard error
        with LOCK:
            if not self.processes():
                self._start()
            deadline = time.monotonic() + SECONDS
            while True:
                try:
                    return libvirt.open(f"qemu:///system?socket={self.directory}/libvirt-sock")
                except libvirt.libvirtError as error:
                    if time.monotonic() > deadline or not self.processes():
                        raise Failure(
                            f"the libvirt daemon of the lab does not answer: {error}",
                            log=(read(self.log) or "").splitlines()[-15:],
                            next_step=f"read {self.log}",
                        ) from None
                time.sleep(0.1)

    def _start(self):
        for place in PLACES:
            (self.directory / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for name, content in FILES.items():
            write(self.directory / "etc/libvirt" / name, content.format(directory=self.directory))
        with open(self.log, "ab") as log:
            daemon = subprocess.Popen(
                [
                    *service("libvirtd", self.log, stop="process"),
                    *("unshare", "--mount", "--propagation", "slave", "sh", "-c", DAEMON, "libvirtd"),
                    *(str(self.directory), *PLACES),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
        deadline = time.monotonic() + 10
        while not self.processes() and daemon.poll() in (None, 0) and time.monotonic() < deadline:
            time.sleep(0.02)

    def domain(self, name):
        """The running domain of that name, or None; nothing is started to find out."""
        if not self.processes():
            return None
        return next((domain for domain in self.connect().listAllDomains() if domain.name() == name), None)

    def end(self):
        """Stop the daemon and remove its directory; its machines must have ended."""
        processes = self.processes()
        for pid in processes:
            kill(pid)
        while any(map(alive, processes)):
            time.sleep(0.02)
        if self.directory.exists():
            shutil.rmtree(self.directory)
