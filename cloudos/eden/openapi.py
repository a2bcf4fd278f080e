"""OpenAPI 3.1 from the table of routes: what is described is what is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cloudos.eden.problems import MEDIA
from cloudos.eden.service import JSON, Route, Service

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
KINDS = {"int": {"type": "integer", "minimum": 0}, None: {"type": "string", "minLength": 1, "maxLength": 255}}
PROBLEM = {
    "type": "object", "required": ["type", "code", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"}, "code": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}, "instance": {"type": "string"}, "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {
            "type": "object", "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}}}},
    },
}  # fmt: skip


def document(service: Service) -> dict[str, Any]:
    """The description of a service. Other paths of a route are described as the same operation."""
    paths: dict[str, dict] = {}
    for route in service.routes:
        for number, path in enumerate((route.path, *route.also)):
            paths.setdefault(PARAMETER.sub(r"{\2}", path), {})[route.verb.lower()] = _operation(route, path, number)
    token = {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "A token of Keystone."}
    return {
        "openapi": "3.1.0",
        "info": {"title": service.title, "version": service.version, "description": service.description},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": {**service.schemas, "Problem": PROBLEM}, "securitySchemes": {"token": token}},
    }


def _operation(route: Route, path: str, number: int) -> dict[str, Any]:
    words = re.sub(r"\W+", "_", f"{route.verb.lower()}{path}").strip("_")
    operation: dict[str, Any] = {
        "operationId": words, "summary": route.summary, "tags": [route.tag], "deprecated": number > 0,
        "parameters": _parameters(route, path), "responses": _responses(route),
        "security": [] if route.role is None else [{"token": []}],
    }  # fmt: skip
    if route.role:
        operation["description"] = f"Policy {route.policy}, role {route.role}."
    if route.body is not None or route.takes != (JSON,):
        operation["requestBody"] = {"required": not route.optional_body, "content": _content(route.takes, route.body)}
    return operation


def _parameters(route: Route, path: str) -> list[dict[str, Any]]:
    found = [{"name": name, "in": "path", "required": True, "schema": KINDS.get(kind, KINDS[None])}
             for kind, name in ((kind or None, name) for kind, name in PARAMETER.findall(path))]  # fmt: skip
    found += [{**one, "required": one["name"] in route.needs} for one in _of("query", route.query)]
    headers: dict[str, dict] = dict(route.headers)
    if route.matches:
        headers["If-Match"] = {"type": "string", "maxLength": 200}
    return found + _of("header", headers)


def _of(place: str, schemas: Mapping[str, dict]) -> list[dict[str, Any]]:
    return [{"name": name, "in": place, "schema": {key: value for key, value in schema.items() if key != "description"},
             "description": schema.get("description", "")} for name, schema in schemas.items()]  # fmt: skip


def _responses(route: Route) -> dict[str, Any]:
    good: dict[str, Any] = {"description": route.summary}
    if route.answer is not None or route.gives != (JSON,):
        good["content"] = _content(route.gives, route.answer)
    problem = {"description": "A problem; its code tells which.", "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {str(route.status): good, "4XX": problem, "5XX": problem}


def _content(media: Any, schema: dict | None) -> dict[str, Any]:
    return {kind: ({"schema": schema} if kind == JSON and schema is not None else {}) for kind in media}
