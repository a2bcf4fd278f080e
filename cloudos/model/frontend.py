"""The front end's configuration, from the ports of all units: HAProxy ends TLS, requests go to each unit's socket."""

from __future__ import annotations

from collections.abc import Iterator

from cloudos.model import paths
from cloudos.model.assemble import Cloud

# No chroot: the backends are sockets in /run. A retry of what may have been executed already is never made. What services are
# told of where a request came from is said here alone, whatever the client claims.
HEAD = """\
global
  user haproxy
  group haproxy
  log /dev/log local0 notice
  maxconn 8192
  hard-stop-after 10m
  stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20

defaults
  mode http
  log global
  option dontlognull
  option dontlog-normal
  option http-server-close
  option forwardfor
  http-reuse never
  retries 3
  retry-on conn-failure empty-response
  timeout connect 10s
  timeout client 10m
  timeout server 10m
  timeout http-request 30s
  timeout http-keep-alive 30s
  timeout queue 1m
  timeout tunnel 1h
"""

PORT = """
frontend {unit}
  bind {address}:{port} ssl crt {pem} alpn http/1.1
  http-request del-header Forwarded
  http-request del-header X-Forwarded- -m beg
  http-request set-header X-Forwarded-Proto https
  http-request disable-l7-retry unless {{ method GET HEAD OPTIONS }}
  default_backend {unit}

backend {unit}
{whole}  server {unit} {server}
"""
# A worker without threads must not wait for a client that sends its body slowly.
WHOLE = "  option http-buffer-request\n"


def frontend_config(cloud: Cloud) -> str:
    """Content of haproxy.cfg: one front and back end for each unit with a port, ordered by port."""
    parts = [HEAD]
    for port, name, unit in sorted(served(cloud), key=lambda item: item[:2]):
        server = unit.get("backend") or f"unix@{paths.RUN}/{name}.sock"
        known = {"address": cloud.inventory.endpoint, "port": port, "pem": paths.FRONTEND_PEM}
        whole = WHOLE if unit.get("threads") == 1 else ""
        parts.append(PORT.format(unit=name, server=server, whole=whole, **known))
    return "".join(parts)


def served(cloud: Cloud) -> Iterator[tuple[int, str, dict]]:
    """(port, name, unit) of what the front end serves."""
    for body in cloud.bodies.values():
        for name, unit in body.get("units", {}).items():
            if "port" in unit and unit.get("tls", True) and ("wsgi" in unit or unit.get("backend")):
                yield unit["port"], name, unit
