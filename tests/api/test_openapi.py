"""The description is whole, and no request that it allows or forbids makes the service fail."""

import re

import jsonschema

from tests.api.fuzz import fuzz
from tests.api.toy import SERVICE


def test_every_route_is_described(served):
    document = served.app.openapi
    assert document["openapi"] == "3.1.0"
    described = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    routes = {(route.verb, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)) for route in SERVICE.routes for path in (route.path, *route.also)}
    assert described == routes
    names = [operation["operationId"] for verbs in document["paths"].values() for operation in verbs.values()]
    assert len(names) == len(set(names))
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_no_request_makes_it_fail(served):
    ann = served.as_("ann", "p1", "architect")
    ann.post("/v1/notes", json={"text": "x"})
    fuzz(served, ann, examples=6)
