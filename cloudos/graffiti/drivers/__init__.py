"""Drivers look into a pool: each is an entry point of group `cloudos.graffiti.drivers`, named like the type of pools it serves.

A driver is a class made with an Access. It has `kinds`, the names of what it discovers; `check()`, which logs in; `token()`, for those
who provision; `discover(kind)`, which yields Found; and `quota()`.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol
from urllib.parse import urlsplit

GROUP = "cloudos.graffiti.drivers"


class DriverError(Exception):
    """A pool does not do what was asked; the text names it and the next step, and holds no secret."""


class LoginFailed(DriverError):
    """The provider does not let us in, or is not there."""


class NotAllowed(DriverError):
    """The pool's account may not see this kind of resource; what was seen before stays as it is."""


@dataclass(frozen=True)
class Access:
    """How to reach a pool. login: project_id or project_name, user_name, user_domain, project_domain, interface, ca (PEM)."""

    provider_url: str
    region_id: str | None
    login: Mapping[str, Any]
    secret: Mapping[str, Any] = field(repr=False)
    denied: Sequence[str] = ()
    timeout: float = 30
    ca_file: str | None = None


@dataclass
class Found:
    """One resource of a provider. `keys`: metadata as the provider has it (extra specs ...), which the dictionary explains."""

    type: str
    native_id: str
    name: str
    description: str | None = None
    zone: str = ""
    health: str = "ok"
    properties: dict[str, Any] = field(default_factory=dict)
    capabilities: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, Any] = field(default_factory=dict)
    capacity: dict[str, float] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


class Driver(Protocol):
    """What a driver does. Each method raises DriverError and nothing else."""

    kinds: tuple[str, ...]

    def __init__(self, access: Access): ...

    def check(self) -> dict[str, Any]:
        """Log in; facts to keep with the pool: project_id, project_name, regions, services."""

    def token(self) -> dict[str, Any]:
        """A token of the pool's account: {token, expires_at, provider_url, project_id, region_id}."""

    def discover(self, kind: str) -> Iterator[Found]:
        """Everything of one kind."""

    def quota(self) -> dict[str, dict[str, float]]:
        """Class -> {limit, used}; limit -1 is none."""


def drivers() -> dict[str, type[Driver]]:
    """Type of pool -> driver, of everything that is installed."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def guard(url: str, denied: Sequence[str]) -> None:
    """Raise LoginFailed for an address that pools must not have: this machine's own, or a metadata service's."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LoginFailed(f"{url} is not an http or https address; give the address of the provider's identity service")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or parts.scheme, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise LoginFailed(f"{parts.hostname} has no address; check the provider_url and this machine's DNS") from None
    networks = [ipaddress.ip_network(one) for one in denied]
    for *_, (address, *_rest) in found:
        here = ipaddress.ip_address(address.partition("%")[0])
        here = getattr(here, "ipv4_mapped", None) or here
        if any(here in network for network in networks if network.version == here.version):
            raise LoginFailed(f"{parts.hostname} is in a network that [pools] denied_networks excludes; use a public or internal address")
