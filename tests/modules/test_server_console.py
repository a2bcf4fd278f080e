"""Module server_console against a fake Nova, and a console proxy that speaks WebSocket over TLS and greets as VNC does."""

import base64
import datetime
import hashlib
import socketserver
import ssl
import threading

import pytest
import yaml
from kit import run_module

from cloudos import pki

KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
TOKEN = "one-time"


class Proxy(socketserver.StreamRequestHandler):
    """Answers a WebSocket handshake that brings the token, then sends one binary message."""

    def handle(self):
        request, *lines = iter(lambda: self.rfile.readline().decode().strip(), "")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if f"token={TOKEN} " not in request or headers["origin"] != f"https://127.0.0.1:{self.server.server_address[1]}":
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + KEY).encode()).digest()).decode()
        answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                  f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: binary", "", ""]  # fmt: skip
        self.wfile.write("\r\n".join(answer).encode() + bytes([0x82, len(self.server.greeting)]) + self.server.greeting)
        self.rfile.read(1)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    greeting = b"RFB 003.008\n"

    def handle_error(self, request, client_address):
        """A client that does not trust the certificate leaves; its side tells."""


@pytest.fixture
def proxy(tmp_path):
    """The console proxy, with a certificate of the authority in tmp_path/ca.pem."""
    now = datetime.datetime.now(datetime.UTC)
    authority, signing_key = pki.make_ca(now)
    (tmp_path / "ca.pem").write_text(authority)
    (tmp_path / "node.pem").write_text("".join(pki.make_certificate("ctl1", ["127.0.0.1"], authority, signing_key, now)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "node.pem")
    with Server(("127.0.0.1", 0), Proxy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(cloud, proxy, tmp_path, monkeypatch):
    """An instance web1 of a cloud that clouds.yaml calls toy."""
    auth = {"auth_url": f"{cloud.root}/identity/v3", "username": "admin", "password": "admin-password",
            "project_name": "admin", "user_domain_name": "Default", "project_domain_name": "Default"}  # fmt: skip
    entry = {"auth": auth, "region_name": "RegionOne", "cacert": str(tmp_path / "ca.pem")}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"toy": entry}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    url = f"https://127.0.0.1:{proxy.server_address[1]}/vnc_lite.html?path=%3Ftoken%3D{TOKEN}"
    return cloud.add("servers", name="web1", host="cmp1", status="ACTIVE", console_log="boot\nweb1 login: ", console_url=url)


def ask(**arguments):
    return run_module("server_console", cloud="toy", server="web1", **arguments)


@pytest.mark.parametrize("check", [True, False])
def test_both_consoles_work(server, check):
    result = ask(log_contains="login", vnc=True, check=check)
    assert not result.get("failed"), result
    assert result["changed"] is False
    assert result["log"] == ["boot", "web1 login: "]
    assert result["vnc"] == "RFB 003.008"


def test_only_what_is_asked_for_is_looked_at(server):
    assert {"log", "vnc"}.isdisjoint(ask())


def test_a_log_without_the_text_is_told_with_its_end(server):
    server["console_log"] = "boot\nKernel panic"
    result = ask(log_contains="login", timeout=0)
    assert result["failed"] and "no 'login' in the console log of web1" in result["msg"]
    assert result["failure"]["log"] == ["boot", "Kernel panic"]


def test_a_log_is_waited_for_while_the_server_has_no_host(server):
    server["console_log"] = None
    result = ask(log_contains="login", timeout=0)
    assert result["failed"] and "no 'login' in the console log of web1" in result["msg"]


def test_a_server_that_failed_tells_its_fault(server):
    server.update(status="ERROR", fault={"message": "No valid host was found.", "details": "Traceback\nNoValidHost"})
    result = ask(log_contains="login", vnc=True)
    assert result["failed"] and "web1 is in state ERROR: No valid host was found." in result["msg"]
    assert result["failure"]["log"] == ["Traceback", "NoValidHost"]


def test_a_token_that_is_no_longer_good_is_told(server):
    server["console_url"] = server["console_url"].replace(TOKEN, "used")
    result = ask(vnc=True)
    assert result["failed"] and "403" in result["msg"] and "journalctl -u nova-novncproxy" in result["msg"]


def test_a_certificate_of_somebody_else_is_refused(server, tmp_path):
    stranger, _ = pki.make_ca(datetime.datetime.now(datetime.UTC))
    (tmp_path / "ca.pem").write_text(stranger)
    result = ask(vnc=True)
    assert result["failed"] and "CERTIFICATE_VERIFY_FAILED" in result["msg"]


def test_something_else_than_vnc_is_told(server, proxy):
    proxy.greeting = b"SSH-2.0-x\r\n"
    result = ask(vnc=True)
    assert result["failed"] and "instead of RFB" in result["msg"]


def test_an_unknown_server_is_told(server):
    result = run_module("server_console", cloud="toy", server="web2", vnc=True)
    assert result["failed"] and "cloud toy has no server web2" in result["msg"]
