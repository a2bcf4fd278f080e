"""What a service is to Eden: names, a table of routes, schemas, works of jobs, quotas, migrations.

What Eden gives to a service's functions (call.Call, jobs.run.Run, runtime.Runtime) is made with this, and so is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oslo_config import cfg
from sqlalchemy.orm import Session

from cloudos.eden.vault import Sealed

JSON = "application/json"
ROLES = ("reader", "member", "architect", "admin")


@dataclass(frozen=True)
class Answer:
    """What a handler returns when a dict (200, JSON) does not say it all.

    body: a dict for JSON, bytes, an iterator of bytes (streamed), or None. `etag` makes the answer conditional.
    """

    body: dict | bytes | Iterable[bytes] | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class Route:
    """One line of the table: a verb and a path, who may, what comes in, what goes out, and who does it: a handler of a call.Call.

    role: the least role for it, or None for everybody, without a token. `policy` is the rule's name behind the colon.
    query: name -> schema; those in `needs` must be there. body: schema of a JSON body; `takes` names other media types, whose
    body reaches the handler as bytes. gives: media types of the answer. answer: schema of a JSON answer. matches: changes want
    If-Match. also: other paths of the same. audited: None means every verb but GET; False is a POST that only asks.
    opened_by: a switch in [api] that drops the role.
    """

    verb: str
    path: str
    handler: Callable[[Any], Answer | dict | None]
    policy: str
    summary: str
    role: str | None = "reader"
    query: Mapping[str, dict] = field(default_factory=dict)
    needs: Sequence[str] = ()
    headers: Mapping[str, dict] = field(default_factory=dict)
    body: dict | None = None
    takes: Sequence[str] = (JSON,)
    optional_body: bool = False
    gives: Sequence[str] = (JSON,)
    answer: dict | None = None
    status: int = 200
    matches: bool = False
    also: Sequence[str] = ()
    tag: str = "service"
    audited: bool | None = None
    opened_by: str | None = None

    @property
    def keeps(self) -> bool:
        """Whether it may change something: such requests are audited, others wait for no writer."""
        return self.verb not in ("GET", "HEAD", "OPTIONS") if self.audited is None else self.audited


@dataclass(frozen=True)
class Work:
    """What a job of one kind does. `run` gets a jobs.run.Run and returns a JSON result; an exception fails the job.

    cancelled: called after a cancel was noticed, to tidy up. timeout: seconds until the watchdog cancels it.
    again: called in the transaction of a retry or resume with the job; raises Conflict where something is in the way.
    """

    run: Callable[[Any], Any]
    cancelled: Callable[[Any], None] | None = None
    timeout: float = 86400
    again: Callable[[Session, Any], None] | None = None


@dataclass(frozen=True)
class Quota:
    """How many of something a project may have: the default (-1 is no limit), and how to count them; None: of one thing, not of all."""

    limit: int
    used: Callable[[Session, str], int] | None
    help: str


@dataclass(frozen=True)
class Service:
    """A service made with Eden. `migrations`: its folder of Alembic revisions, as package:directory.

    options: its own oslo.config options by group. sealed: what it keeps encrypted, with the keys of `runtime.vault`.
    start: called once for each process with the runtime.Runtime.
    """

    name: str
    title: str
    version: str
    port: int
    routes: Sequence[Route]
    schemas: Mapping[str, dict]
    migrations: str
    works: Mapping[str, Work] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    options: Mapping[str, Sequence[cfg.Opt]] = field(default_factory=dict)
    problems: Sequence[type] = ()
    sealed: Sealed | None = None
    description: str = ""
    start: Callable[[Any], Any] | None = None


def ref(name: str) -> dict[str, str]:
    """A schema of the service by name."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(key: str, item: dict) -> dict[str, Any]:
    """The schema of one page of a list."""
    link = {"type": "object", "properties": {"rel": {"type": "string"}, "href": {"type": "string"}}}
    properties = {key: {"type": "array", "items": item}, "links": {"type": "array", "items": link}}
    return {"type": "object", "required": [key, "links"], "properties": properties}
