"""The Python SDK's base: a service through a keystoneauth1 session, its problems as exceptions, safe requests repeated.

    client = Client(openstack.connect(cloud="mine").session)      # by the catalog
    client = local()                                              # the embedded service on this machine
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests
from keystoneauth1 import adapter, noauth
from keystoneauth1 import exceptions as keystone
from keystoneauth1.session import Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from cloudos import home

FINAL = ("succeeded", "failed", "cancel-succeeded", "cancel-failed")
SAFE = ("GET", "HEAD")
# Statuses that a later try may not meet.
PASSING = (429, 502, 503, 504)


class Failure(Exception):
    """What the service answered instead of what was wanted: `problem` is its problem (RFC 9457), `code` and `status` are of it."""

    def __init__(self, status: int, problem: dict[str, Any]):
        self.status, self.problem = status, problem
        self.code = problem.get("code", f"http.{status}")
        errors = "".join(f"\n  {one.get('pointer')}: {one.get('message')}" for one in problem.get("errors", []))
        super().__init__(f"{problem.get('detail') or problem.get('title') or status}{errors}")


class NotFound(Failure):
    """404."""


class Conflict(Failure):
    """409, 412 or 428: the thing's state, or a change of others, is in the way."""


class Denied(Failure):
    """401 or 403."""


KINDS = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 412: Conflict, 428: Conflict}


class JobFailed(Exception):
    """A job did not succeed; `job` tells all about it."""

    def __init__(self, job: dict[str, Any]):
        self.job = job
        super().__init__(f"Job {job['id']} ({job['name']}) is {job['state']}: {job['error'] or 'it was cancelled'}")


class Client:
    """A service. `session`: of keystoneauth1. `service_type` finds it in the catalog, unless `endpoint` names it."""

    service_type = ""

    def __init__(self, session: Session, endpoint: str | None = None, region: str | None = None, interface: str = "public",
                 tries: int = 4):  # fmt: skip
        self._adapter = adapter.Adapter(session, service_type=self.service_type, endpoint_override=endpoint, region_name=region,
                                        interface=interface, user_agent=f"cloudos-{self.service_type}")  # fmt: skip
        self._tries = tries

    def request(self, verb: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None, data: bytes | None = None,
                headers: dict[str, str] | None = None) -> requests.Response:  # fmt: skip
        """One request; safe verbs are tried again while the service is not available. Raises Failure."""
        headers = {"Accept": "application/json", **(headers or {})}
        sent: dict[str, Any] = {"data": data} if data is not None else {"json": body} if body is not None else {}
        kept = {key: str(value).lower() if isinstance(value, bool) else value for key, value in (query or {}).items() if value is not None}
        for attempt in range(1, self._tries + 1):
            last = verb not in SAFE or attempt == self._tries
            try:
                answer = self._adapter.request(path, verb, params=kept, headers=headers, raise_exc=False, **sent)
            except keystone.ConnectFailure:
                if last:
                    raise
                time.sleep(0.2 * 2**attempt)
                continue
            if answer.status_code < 400:
                return answer
            if last or answer.status_code not in PASSING:
                raise _failure(answer)
            time.sleep(min(float(answer.headers.get("Retry-After", 0.2 * 2**attempt)), 10))
        raise AssertionError("unreachable")

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The JSON of a path."""
        return self.request("GET", path, query=query).json()

    def every(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All items of a list, page after page."""
        page = self.get(path, **query)
        while True:
            yield from page[key]
            following = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
            if following is None:
                return
            page = self.get(following)

    def jobs(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Jobs of the project, newest first."""
        return self.every("/v1/jobs", "jobs", **query)

    def job(self, job: str) -> dict[str, Any]:
        """One job with its tasks."""
        return self.get(f"/v1/jobs/{quote(job, safe='')}")

    def act(self, job: str, verb: str) -> dict[str, Any]:
        """cancel, retry or resume a job; returns it."""
        return self.request("POST", f"/v1/jobs/{quote(job, safe='')}/{verb}").json()

    def events(self, job: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """The events of a job as they happen, until it has ended."""
        while True:
            found = self.get(f"/v1/jobs/{quote(job, safe='')}/events", after=after)
            for event in found["events"]:
                after = event["number"]
                yield event
            if not found["events"]:
                if found["state"] in FINAL:
                    return
                time.sleep(0.5)

    def wait(self, job: str, timeout: float = 3600, every: float = 0.5) -> dict[str, Any]:
        """The job once it has succeeded. Raises JobFailed, or TimeoutError after so many seconds."""
        until = time.monotonic() + timeout
        while (found := self.job(job))["state"] not in FINAL:
            if time.monotonic() > until:
                raise TimeoutError(f"Job {job} is {found['state']} after {timeout:.0f} s ({found['progress']} %)")
            time.sleep(every)
        if found["state"] != "succeeded":
            raise JobFailed(found)
        return found


def local(kind: type[Client], path: Path | None = None, **options: Any) -> Client:
    """The embedded service on this machine, through its unix socket."""
    path = path or home.root() / kind.service_type / "api.sock"
    web = requests.Session()
    web.mount("http+unix://", _UnixAdapter())
    # keystoneauth1 fills endpoints in by %, so that one of our own is written twice.
    endpoint = f"http+unix://{quote(str(path), safe='')}".replace("%", "%%")
    return kind(Session(auth=noauth.NoAuth(), session=web), endpoint=endpoint, **options)


def _failure(answer: requests.Response) -> Failure:
    try:
        problem = answer.json()
    except json.JSONDecodeError:
        problem = {"title": answer.reason, "detail": f"{answer.status_code} {answer.reason} from {answer.url}"}
    return KINDS.get(answer.status_code, Failure)(answer.status_code, problem if isinstance(problem, dict) else {"detail": str(problem)})


class _UnixConnection(HTTPConnection):
    """HTTP through a unix socket; the service sees the name localhost."""

    def __init__(self, path: str):
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if isinstance(self.timeout, int | float):
            self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError as error:
            raise http.client.HTTPException(f"{self._path}: {error.strerror}") from error


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str):
        super().__init__("localhost")
        self._path = path

    def _new_conn(self) -> _UnixConnection:
        return _UnixConnection(self._path)


class _UnixAdapter(HTTPAdapter):
    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> _UnixPool:
        return _UnixPool(unquote(urlsplit(request.url).netloc))

    def request_url(self, request: Any, proxies: Any) -> str:
        return request.path_url

    def add_headers(self, request: Any, **kwargs: Any) -> None:
        request.headers.setdefault("Host", "localhost")
