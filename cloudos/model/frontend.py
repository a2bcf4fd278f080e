"""The front end's configuration, from the ports of all units: HAProxy ends TLS, requests go to each unit's socket beside it.

A unit that is on other nodes as well is reached there by TLS, with certificates of the cloud's authority on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cloudos.model import paths
from cloudos.model.addresses import bracketed
from cloudos.model.assemble import Cloud, groups

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
{more}"""
# A worker without threads must not wait for a client that sends its body slowly.
WHOLE = "  option http-buffer-request\n"
# A node that does not answer is passed over. Whoever waits for one without power learns of it from its silence after eleven
# seconds, and not from the looks, which fail as well while a process ends what it has in hand before the next one begins.
SEVERAL = """\
  balance leastconn
  option redispatch 1
  option httpchk GET {health}
  option srvtcpka
  srvtcpka-idle 5s
  srvtcpka-intvl 2s
  srvtcpka-cnt 3
  timeout connect 2s
  timeout check 2s
"""
ELSEWHERE = """\
  server {node} {address}:{port} ssl crt {pem} ca-file {ca} verify required verifyhost {node} check inter 2s fall 2 rise 1
"""


def frontend_config(cloud: Cloud) -> str:
    """Content of haproxy.cfg: one front and back end for each unit with a port, ordered by port."""
    parts = [HEAD]
    for port, name, unit in sorted(served(cloud), key=lambda item: item[:2]):
        known = {"address": cloud.inventory.endpoint, "port": port, "pem": paths.FRONTEND_PEM}
        parts.append(PORT.format(unit=name, more=_backend(cloud, port, name, unit), **known))
    return "".join(parts)


def _backend(cloud: Cloud, port: int, name: str, unit: dict) -> str:
    """How a unit's requests are given to whoever runs it."""
    nodes = cloud.inventory.nodes
    away = [node for node in cloud.members(groups(unit)) if elsewhere(nodes[node]["groups"])] if "wsgi" in unit else []
    lines = [WHOLE] if unit.get("threads") == 1 else []
    if away:
        lines.append(SEVERAL.format(health=unit.get("health", "/")))
    lines.append(f"  server {name} {unit.get('backend') or f'unix@{paths.RUN}/{name}.sock'}\n")
    known = {"port": port, "pem": paths.FRONTEND_PEM, "ca": paths.CA}
    lines += [ELSEWHERE.format(node=node, address=bracketed(nodes[node]["address"]), **known) for node in away]
    return "".join(lines)


def elsewhere(node_groups: Iterable[str]) -> bool:
    """Whether a node with these groups is none where the front end is, so that its units are reached over the network."""
    return "control" not in node_groups


def served(cloud: Cloud) -> Iterator[tuple[int, str, dict]]:
    """(port, name, unit) of what the front end serves."""
    for body in cloud.bodies.values():
        for name, unit in body.get("units", {}).items():
            if "port" in unit and unit.get("tls", True) and ("wsgi" in unit or unit.get("backend")):
                yield unit["port"], name, unit
