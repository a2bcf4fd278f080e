"""How Eve reaches Focus, Graffiti and Keystone: as the caller in a request; in a job as the caller, with its own token beside."""

from __future__ import annotations

from typing import Any, TypeVar

import flask
from keystoneauth1 import loading, noauth, service_token, token_endpoint
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session
from oslo_config import cfg

from cloudos.eden.call import Call
from cloudos.eden.client import Client, local
from cloudos.eve import quota

T = TypeVar("T", bound=Client)
SECTION = "keystone_authtoken"


class Graffiti(Client):
    """The little of Graffiti that Eve asks: pools, and tokens of them."""

    service_type = "graffiti"

    def pool(self, name: str) -> dict[str, Any] | None:
        """The pool of that id or name that the caller sees; None where there is none."""
        return next((one for one in self.every("/v1/resource_pools", "resource_pools") if name in (one["id"], one["name"])), None)

    def token(self, pool: str) -> dict[str, Any]:
        """{token, expires_at, provider_url, project_id, region_id} of a pool's account; also of a deleted pool."""
        return self.request("POST", f"/v1/resource_pools/{pool}/token").json()


def session(conf: cfg.ConfigOpts, auth: Any) -> Session:
    """A session that trusts what the service trusts."""
    known = conf[SECTION]
    return Session(auth=auth, verify=False if known.insecure else known.cafile or True, timeout=conf.eve.timeout)


def as_caller(call: Call, kind: type[T]) -> T:
    """A client that acts with the token of the request."""
    conf = call.runtime.conf
    endpoint = conf.eve[f"{kind.service_type}_endpoint"]
    if conf.api.auth_strategy == "noauth":
        return kind(Session(auth=noauth.NoAuth(), timeout=conf.eve.timeout), endpoint=endpoint) if endpoint else local(kind)
    if endpoint:
        return kind(session(conf, token_endpoint.Token(endpoint, token_of(call))), endpoint=endpoint, tries=2)
    return kind(session(conf, flask.request.environ["keystone.token_auth"]), region=region(conf), interface=interface(conf), tries=2)


def survey(call: Call) -> quota.Survey:
    """What the caller's own project of this cloud may have and has."""
    conf, auth = call.runtime.conf, flask.request.environ.get("keystone.token_auth")
    if auth is None:
        return quota.Survey(notes=("quotas are not known: the token does not tell where the cloud's services are",))
    return quota.of_session(session(conf, auth), region_name=region(conf), interface=interface(conf))


def as_service(conf: cfg.ConfigOpts, kind: type[T], token: str) -> T:
    """A client that acts for the owner of a token, which may have expired meanwhile, with the service's own token beside it."""
    endpoint = conf.eve[f"{kind.service_type}_endpoint"]
    if conf.api.auth_strategy == "noauth":
        return kind(Session(auth=noauth.NoAuth(), timeout=conf.eve.timeout), endpoint=endpoint) if endpoint else local(kind)
    own = own_auth(conf)
    if not endpoint:
        known = {"service_type": kind.service_type, "region_name": region(conf), "interface": interface(conf)}
        endpoint = session(conf, own).get_endpoint(**known)
    user = token_endpoint.Token(endpoint, token)
    return kind(session(conf, service_token.ServiceTokenAuthWrapper(user, own) if own else user), endpoint=endpoint)


def own_auth(conf: cfg.ConfigOpts) -> BaseIdentityPlugin | None:
    """The service's own account, of [keystone_authtoken]; None where that names none."""
    loading.register_auth_conf_options(conf, SECTION)
    return loading.load_auth_from_conf_options(conf, SECTION)


def token_of(call: Call) -> str:
    """The token of the request."""
    return call.context.auth_token or ""


def auth_url(conf: cfg.ConfigOpts) -> str:
    """Keystone's v3, as the service reaches it."""
    loading.register_auth_conf_options(conf, SECTION)
    for option in loading.get_auth_plugin_conf_options("password"):
        conf.register_opt(option, group=SECTION)
    url = (conf[SECTION].auth_url or conf[SECTION].www_authenticate_uri or "").rstrip("/")
    return url if url.endswith("/v3") else f"{url}/v3"


def region(conf: cfg.ConfigOpts) -> str | None:
    """The region of the own cloud."""
    return conf[SECTION].region_name


def interface(conf: cfg.ConfigOpts) -> str:
    """By which endpoints the own cloud is reached."""
    return conf[SECTION].interface or "internal"
