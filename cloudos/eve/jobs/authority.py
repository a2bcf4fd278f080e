"""With whose authority things are made: an application credential of the caller in the own cloud, tokens of Graffiti's pools in others.

Both reach Ansible by a clouds.yaml of mode 0600 in the job's own directory, and nothing else ever sees them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from keystoneauth1 import exceptions as keystone
from oslo_config import cfg
from oslo_log import log
from requests import certs

from cloudos.eden.call import Call
from cloudos.eden.client import Failure
from cloudos.eden.jobs.run import WorkFailed
from cloudos.eve.jobs import neighbours
from cloudos.eve.jobs.faults import NeighbourAway, NoAuthority
from cloudos.eve.jobs.neighbours import Graffiti
from cloudos.eve.jobs.vault import private

LOG = log.getLogger(__name__)
OWN, GRAFFITI, LOCAL, OPERATOR = "own", "graffiti", "local", "operator"
MENDS = {
    401: "Ask for a new token.", 403: "Log in with a password: an application credential or a trust may make no further ones.",
    404: "Keystone does not know you any more.",
}  # fmt: skip


def grant(call: Call, topology: str) -> dict[str, str]:
    """A new application credential of the caller: {id, secret, user_id}. One that a repeated request left is replaced.

    Raises NoAuthority, NeighbourAway.
    """
    conf, user, name = call.runtime.conf, call.context.user_id, f"eve-{topology}"
    wanted = {"name": name, "description": f"Eve acts with it for topology {topology}, and deletes it with that.", "unrestricted": False}
    made = _keystone(conf, neighbours.token_of(call), "POST", user, body={"application_credential": wanted})
    if made.status_code == 409:
        found = _keystone(conf, neighbours.token_of(call), "GET", user, query={"name": name}).json()["application_credentials"]
        for one in found:
            _keystone(conf, neighbours.token_of(call), "DELETE", user, one["id"])
        return grant(call, topology) if found else _refused(made)
    if made.status_code != 201:
        return _refused(made)
    credential = made.json()["application_credential"]
    return {"id": credential["id"], "secret": credential["secret"], "user_id": user}


def revoke(conf: cfg.ConfigOpts, credential: dict[str, str], token: str | None) -> str | None:
    """Delete an application credential, as the caller or, where its token has ended, as the service; why not, where neither may."""
    told = "there is no token"
    for one in (token, None):
        try:
            sent = one or neighbours.session(conf, neighbours.own_auth(conf)).get_token()
            answer = _keystone(conf, sent, "DELETE", credential["user_id"], credential["id"])
        except (NeighbourAway, keystone.ClientException) as error:
            told = str(error)
            continue
        if answer.status_code in (204, 404):
            return None
        told = f"Keystone answers {answer.status_code}"
    LOG.warning("Application credential %s of user %s stays: %s.", credential["id"], credential["user_id"], told)
    return told


def clouds(conf: cfg.ConfigOpts, pools: dict[str, dict], credential: dict | None, token: str | None, folder: Path) -> bytes:
    """The clouds.yaml of a job: an entry for each pool that is a cloud; whom pools are trusted by goes into `folder` beside it.

    Raises WorkFailed that says which cannot be reached.
    """
    found: dict[str, Any] = {}
    for name, pool in pools.items():
        if pool["source"] == OWN:
            found[name] = _own(conf, name, credential)
        elif pool["source"] == GRAFFITI:
            found[name] = _pool(conf, name, pool, token, folder)
    return yaml.safe_dump({"clouds": found}).encode()


def _own(conf: cfg.ConfigOpts, name: str, credential: dict | None) -> dict[str, Any]:
    if credential is None:
        raise WorkFailed(f"Pool {name} is the own cloud, and there is no application credential for it; submit the order again.")
    auth = {"auth_url": neighbours.auth_url(conf), "application_credential_id": credential["id"],
            "application_credential_secret": credential["secret"]}  # fmt: skip
    return {"auth_type": "v3applicationcredential", "auth": auth, **_reached(conf)}


def _pool(conf: cfg.ConfigOpts, name: str, pool: dict, token: str | None, folder: Path) -> dict[str, Any]:
    try:
        given = neighbours.as_service(conf, Graffiti, token or "").token(pool["ref"])
    except (Failure, keystone.ClientException) as error:
        mend = "Submit the order again with a new token."
        raise WorkFailed(f"Graffiti gives no access to pool {name} ({pool['ref']}): {error} {mend}") from error
    auth = {"auth_url": given["provider_url"], "token": given["token"], "project_id": given["project_id"]}
    trust = _authorities(conf, folder / f"{pool['ref']}.pem", given.get("ca"))
    return {"auth_type": "v3token", "auth": auth, "region_name": given["region_id"], **trust}


def _authorities(conf: cfg.ConfigOpts, file: Path, ca: str | None) -> dict[str, Any]:
    """By whom a pool's cloud is trusted, as Graffiti trusts it: the system's authorities and, besides, those that the pool says (`ca`).

    OpenStack's SDK takes one file, which has both.
    """
    known = conf.eve.ca_file
    if not ca:
        return {"cacert": known} if known else {}
    try:
        others = Path(known or certs.where()).read_bytes()
    except OSError as error:
        raise WorkFailed(f"The authorities in {error.filename} cannot be read: {error.strerror}. Correct [eve] ca_file.") from error
    private(file, others.rstrip() + b"\n" + ca.encode())
    return {"cacert": str(file)}


def _reached(conf: cfg.ConfigOpts) -> dict[str, Any]:
    where = {"region_name": neighbours.region(conf), "interface": neighbours.interface(conf)}
    return {**{key: value for key, value in where.items() if value}, **_trust(conf)}


def _trust(conf: cfg.ConfigOpts) -> dict[str, Any]:
    known = conf[neighbours.SECTION]
    return {"verify": False} if known.insecure else {"cacert": known.cafile} if known.cafile else {}


def _keystone(conf: cfg.ConfigOpts, token: str, verb: str, user: str, credential: str = "", body: Any = None, query: Any = None) -> Any:
    url = f"{neighbours.auth_url(conf)}/users/{user}/application_credentials" + (f"/{credential}" if credential else "")
    options = {"json": body} if body is not None else {}
    try:
        return neighbours.session(conf, None).request(url, verb, headers={"X-Auth-Token": token, "Accept": "application/json"},
                                                      authenticated=False, raise_exc=False, params=query or {}, **options)  # fmt: skip
    except keystone.ConnectFailure as error:
        raise NeighbourAway(headers={"Retry-After": "5"}, reason=f"Keystone does not answer: {error}", seconds=5) from error


def _refused(answer: Any) -> Any:
    mend = MENDS.get(answer.status_code, "See Keystone's log.")
    try:
        told = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        told = answer.reason
    raise NoAuthority(reason=f"it answers {answer.status_code}: {told}", mend=mend)
