"""A session with the cloud's APIs as JSON, for modules that look often and should not spend a second on imports.

Only the standard library is used, so that a node without a bundle can look as well. Modules for whole resources use
openstacksdk.
"""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

ABSENT = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)
STARTING = (502, 503, 504)  # the front end's answers while nobody behind it is ready


class Unreachable(Exception):
    """No answer; `absent` tells that nothing listens there, rather than something that is slow or starting."""

    def __init__(self, url, reason):
        super().__init__(f"{url}: {reason}")
        self.absent = (
            isinstance(reason, (socket.gaierror, FileNotFoundError)) or getattr(reason, "errno", None) in ABSENT
        )


class Denied(Exception):
    """The password is wrong, or the user may not log in."""


class Refused(Failure):
    """An API's answer of 400 or above; `code` is the HTTP status."""

    def __init__(self, error):
        self.code = error.code
        super().__init__(f"{error.code} {error.reason} from {error.url}: {_message(error)}")


class Keystone:
    """Logs in and talks JSON to the services of the catalog; may be used from several threads."""

    def __init__(self, auth_url, cafile=None, region=None, timeout=30):
        self.auth_url = auth_url.rstrip("/")
        self.region = region
        self.timeout = timeout
        self.token = None
        self.catalog = []
        self._cafile = cafile
        self._tls = None

    def login(self, username, password, project=None, domain="Default"):
        """Become the user; without a project only the password is checked. Raises Denied, Unreachable or Refused."""
        user = {"name": username, "password": password, "domain": {"name": domain}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
        auth["scope"] = {"project": {"name": project, "domain": {"name": domain}}} if project else "unscoped"
        try:
            headers, body = self._send("POST", f"{self.auth_url}/auth/tokens", {"auth": auth})
        except Refused as refused:
            if refused.code == 401:
                raise Denied(username) from refused
            raise
        self.token = headers["X-Subject-Token"]
        self.catalog = body["token"].get("catalog", [])
        return self

    def login_when_up(self, seconds, *credentials, patient=True):
        """login() that waits up to `seconds` for Keystone to answer; not `patient`: not where nothing listens yet."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.login(*credentials)
            except Unreachable as problem:
                if (problem.absent and not patient) or time.monotonic() > deadline:
                    raise
            except Refused as problem:
                if problem.code not in STARTING or time.monotonic() > deadline:
                    raise
            time.sleep(0.3)

    def endpoint(self, service_type):
        """Internal (else public) URL of a service in the session's region."""
        found = {
            endpoint["interface"]: endpoint["url"].rstrip("/")
            for entry in self.catalog
            if entry["type"] == service_type
            for endpoint in entry["endpoints"]
            if self.region in (None, endpoint["region"])
        }
        if not found:
            raise Failure(
                f"no {service_type} service in the catalog of {self.auth_url}",
                service="keystone",
                next_step="run playbooks/site.yml, which fills the catalog",
            )
        return found.get("internal") or found["public"]

    def call(self, method, path, body=None, service="identity"):
        """Body (parsed JSON, or None) of the answer. `path` is below the service's endpoint (auth_url).

        A process that has just started may refuse what it allows a moment later: oslo.policy answers 403 to a request
        that comes
        while another thread is loading its rules. Such answers are asked for again, and server errors where nothing
        is written.
        """
        base = self.auth_url if service == "identity" else self.endpoint(service)
        for pause in (0.2, 0.5, 1.0):
            try:
                return self._send(method, base + path, body)[1]
            except Refused as refused:
                if refused.code != 403 and (refused.code < 500 or method != "GET"):
                    raise
            time.sleep(pause)
        return self._send(method, base + path, body)[1]

    def get(self, path, service="identity"):
        """Body of a GET."""
        return self.call("GET", path, service=service)

    def _send(self, method, url, body=None):
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the plan's own URL
        try:
            with urllib.request.urlopen(request, timeout=self.timeout, context=self._context(url)) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(url, getattr(error, "reason", error)) from error
        return answer.headers, json.loads(text) if text else None

    def _context(self, url):
        if self._tls is None and url.startswith("https:"):
            self._tls = ssl.create_default_context(cafile=self._cafile)
        return self._tls


def _unreachable(url, reason):
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Failure(
            f"the certificate of {url} is not trusted: {reason.verify_message}",
            next_step="give the cloud's CA as cafile",
        )
    return Unreachable(url, reason)


def _message(error):
    """The API's own words, whichever of the services' envelopes they are in."""
    text = error.read().decode(errors="replace").strip()
    try:
        answer = json.loads(text)
        inner = answer.get("description") or next(iter(answer.values()))
    except (ValueError, AttributeError, StopIteration):
        return text[:300]
    return str(inner.get("message", text)) if isinstance(inner, dict) else str(inner)
