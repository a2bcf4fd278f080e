"""Module server_console: an instance's console log holds a text, and its VNC console opens."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_console
short_description: Prove that a server's consoles can be reached
description:
  - Waits until the console log of a server holds a text, and opens its VNC console the way a browser does, through
    the WebSocket proxy and its one-time token, up to the greeting of the VNC server.
  - A server that ended in state ERROR has neither; then Nova's own account of the fault is the failure.
  - Changes nothing.
options:
  server:
    description: Name or id of the server.
    type: str
    required: true
  log_contains:
    description: Text that the console log must hold; absent, the log is not looked at.
    type: str
  vnc:
    description: Whether to open the VNC console.
    type: bool
    default: false
  cloud:
    description: Name of the cloud in clouds.yaml.
    type: str
    required: true
  timeout:
    description: Seconds to wait for the text in the log.
    type: int
    default: 60
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: The consoles of a server
  cloudos.cloud.server_console:
    server: web1
    log_contains: login
    vnc: true
    cloud: mycloud
"""

RETURN = r"""
log:
  description: The last lines of the console log.
  type: list
  elements: str
  returned: when log_contains is given
vnc:
  description: The greeting of the VNC server, such as C(RFB 003.008).
  type: str
  returned: when vnc is true
"""

import ssl
import time
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Look


class ServerConsole(Look):
    spec = {
        "server": {"type": "str", "required": True},
        "log_contains": {"type": "str"},
        "vnc": {"type": "bool", "default": False},
        "cloud": {"type": "str", "required": True},
        "timeout": {"type": "int", "default": 60},
    }

    def result(self, step):
        import openstack

        self.cloud = openstack.connect(cloud=self.params["cloud"])
        self.server = self.cloud.compute.find_server(self.params["server"])
        if self.server is None:
            raise Failure(f"cloud {self.params['cloud']} has no server {self.params['server']}",
                          next_step="list those that there are: openstack server list")
        self.refuse_faulty()
        seen = {}
        if self.params["log_contains"] is not None:
            seen["log"] = self.log()
        if self.params["vnc"]:
            seen["vnc"] = self.greeting()
        return seen

    def log(self):
        """The last lines of the log once it holds the text; raises Failure after the timeout."""
        deadline = time.monotonic() + self.params["timeout"]
        while True:
            lines = self.lines()
            if self.params["log_contains"] in "\n".join(lines):
                return lines[-10:]
            if time.monotonic() > deadline:
                raise Failure(f"no {self.params['log_contains']!r} in the console log of {self.server.name}", log=lines[-20:],
                              next_step="look whether the instance boots at all: openstack console log show")
            time.sleep(0.5)
            self.refuse_faulty()

    def refuse_faulty(self):
        """Raises Failure with what Nova says of a server that it could not make or keep."""
        server = self.cloud.compute.get_server(self.server)
        if server.status == "ERROR":
            fault = server.fault or {}
            raise Failure(f"{server.name} is in state ERROR: {fault.get('message', 'Nova gives no reason')}",
                          log=(fault.get("details") or "").splitlines()[-20:],
                          next_step=f"see openstack server event list {server.id}, and the journal of nova-compute on its host")

    def lines(self):
        """The console log as it is now; empty while the server has no host yet, which Nova answers with 404 or 409."""
        from openstack.exceptions import ConflictException, NotFoundException

        try:
            return (self.cloud.compute.get_server_console_output(self.server)["output"] or "").splitlines()
        except (ConflictException, NotFoundException):
            return []

    def greeting(self):
        """The first twelve bytes that the VNC server sends through the proxy."""
        import websocket

        url = urlsplit(self.cloud.compute.create_server_remote_console(self.server, protocol="vnc", type="novnc")["url"])
        path = unquote(parse_qs(url.query)["path"][0]).lstrip("?/")
        context = ssl.create_default_context(cafile=self.cloud.config.config.get("cacert"))
        page = f"https://{url.netloc}"
        try:
            socket = websocket.create_connection(f"wss://{url.netloc}/{path if path.startswith('websockify') else '?' + path}",
                                                 origin=page, subprotocols=["binary"], timeout=20, sslopt={"context": context})
            banner = socket.recv()
            socket.close()
        except (OSError, websocket.WebSocketException) as error:
            raise Failure(f"the VNC console of {self.server.name} does not open: {error}", unit="nova-novncproxy",
                          next_step="read its journal on the control node: journalctl -u nova-novncproxy") from error
        text = banner.decode("latin-1") if isinstance(banner, bytes) else banner
        if not text.startswith("RFB "):
            raise Failure(f"the VNC console of {self.server.name} greets with {text!r} instead of RFB", unit="nova-novncproxy")
        return text.strip()


def main():
    ServerConsole.main()


if __name__ == "__main__":
    main()
