"""Who a caller is: keystonemiddleware tells, or, embedded, everybody who reaches the socket is the one local user."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import webob.exc
from keystoneauth1.exceptions import ClientException
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token._exceptions import InvalidToken, ServiceError
from oslo_config import cfg
from oslo_context.context import RequestContext

from cloudos.eden.problems import MEDIA, Problem, Unauthenticated, Unavailable
from cloudos.eden.service import ROLES

LOCAL = "local"
Environment = dict[str, Any]


class NotLocal(Problem):
    """Without authentication only this machine's own callers are answered."""

    code, status, title = "auth.not_local", 403, "Not local"
    text = ("This service runs with auth_strategy = noauth and answers this machine only; {what} is not of it. "
            "Use its unix socket or loopback, or configure keystone.")  # fmt: skip


class Keystone(auth_token.AuthProtocol):
    """The middleware, which lets callers without a valid token through as such. A Keystone that does not answer makes no token invalid."""

    def fetch_token(self, token: str, **options: Any) -> dict[str, Any]:
        """What Keystone says of a token."""
        try:
            return super().fetch_token(token, **options)
        except webob.exc.HTTPServiceUnavailable:
            raise _away() from None
        except InvalidToken as error:
            if isinstance(error.__context__, ClientException | ServiceError):
                raise _away() from error
            raise


def _away() -> webob.exc.HTTPServiceUnavailable:
    problem = Unavailable(reason="Keystone does not answer.", seconds=5)
    body = json.dumps(problem.body("", "")).encode()
    return webob.exc.HTTPServiceUnavailable(body=body, content_type=MEDIA, headers={"Retry-After": "5"})


def protect(application: Callable, conf: cfg.ConfigOpts) -> Callable:
    """The application behind keystonemiddleware; it lets callers without a token through, routes decide on them."""
    if conf.api.auth_strategy == "noauth":
        return application
    return Keystone(application, {"oslo_config_config": conf, "delay_auth_decision": True})


def context(environ: Environment, conf: cfg.ConfigOpts) -> RequestContext:
    """The caller's context. Raises Unauthenticated without a valid token, NotLocal for strangers."""
    if conf.api.auth_strategy == "noauth":
        _local_only(environ)
        return RequestContext(user_id=LOCAL, project_id=LOCAL, roles=list(ROLES), request_id=environ.get("openstack.request_id"))
    if environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
        where = conf.keystone_authtoken.www_authenticate_uri or ""
        raise Unauthenticated(headers={"WWW-Authenticate": f'Keystone uri="{where}"'}, reason="There is no valid token.")
    found = RequestContext.from_environ(environ)
    if not found.project_id:
        raise Unauthenticated(reason="The token is not one of a project.")
    return found


def anybody(environ: Environment) -> RequestContext:
    """The context of a caller on a route that needs no token."""
    return RequestContext(roles=[], request_id=environ.get("openstack.request_id"))


def _local_only(environ: Environment) -> None:
    """No other machine, and no page of a browser that was led here by a name of its own or from another site."""
    address = environ.get("REMOTE_ADDR") or ""
    if address and not _is_loopback(address):
        raise NotLocal(what=address)
    host = environ.get("HTTP_HOST", "")
    if not _is_loopback(urlsplit(f"//{host}").hostname or ""):
        raise NotLocal(what=f"the name {host}")
    origin = environ.get("HTTP_ORIGIN")
    if origin and urlsplit(origin).netloc != host:
        raise NotLocal(what=f"the page {origin}")
    if environ.get("HTTP_X_FORWARDED_FOR") or environ.get("HTTP_FORWARDED"):
        raise NotLocal(what="a caller behind a proxy")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
