"""Walks a service's table of routes: every route with every role, and without a token."""

from __future__ import annotations

import itertools
import re

from cloudos.eden.service import ROLES

# The toy's route that fails on purpose.
FAILS = "/v1/boom"


def calls(service):
    """(route, a path of it) for every path of the table."""
    return [(route, path) for route in service.routes for path in (route.path, *route.also)]


def concrete(path):
    """The path with ids of nothing."""
    return re.sub(r"<(?:\w+:)?\w+>", "3f0c6a52-0000-4000-8000-000000000000", path)


def wrong(served, service):
    """Routes that answer a role otherwise than their line in the table says: 403 exactly where the role is not enough."""
    found = []
    for (route, path), role in itertools.product(calls(service), [*ROLES, "other"]):
        if path == FAILS:
            continue
        status = served.as_("zoe", "p9", role).request(route.verb, concrete(path)).status_code
        enough = route.role is None or (role in ROLES and ROLES.index(role) >= ROLES.index(route.role))
        if (status == 403) == enough or status in (401, 500):
            found.append(f"{route.verb} {path} as {role}: {status}")
    return found


def open_to_strangers(served, service):
    """Routes that answer without a valid token although they have a role, or the other way round."""
    found = []
    for (route, path), token in itertools.product(calls(service), [None, "stolen"]):
        status = served.as_().request(route.verb, concrete(path), headers={"X-Auth-Token": token}).status_code
        if (status == 401) != (route.role is not None):
            found.append(f"{route.verb} {path} with token {token}: {status}")
    return found
