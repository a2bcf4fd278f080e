"""The routes that every service has, on one screen, and what they do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Any

import flask
import sqlalchemy as sa

from cloudos.eden import paging
from cloudos.eden.call import Call
from cloudos.eden.db import shown
from cloudos.eden.jobs import routes as jobs
from cloudos.eden.metrics import MEDIA as METRICS
from cloudos.eden.models import Audit
from cloudos.eden.problems import BadRequest, known
from cloudos.eden.service import Answer, Route, page_of, ref

AUDIT_SORT = {"time": Audit.time}
LIMIT = {"type": "integer", "minimum": -1, "maximum": 2**31 - 1}
AUDIT_QUERY = {
    **paging.query(AUDIT_SORT), "target": {"type": "string", "maxLength": 255, "description": "As document/<id>."},
    "action": {"type": "string", "maxLength": 64}, "user_id": {"type": "string", "maxLength": 64},
}  # fmt: skip
SCHEMAS = {
    **jobs.SCHEMAS,
    "AuditRecord": {"type": "object", "properties": {name: {"type": ["string", "null"]} for name in (
        "id", "time", "action", "outcome", "user_id", "project_id", "target", "request_id")}},
    "Quotas": {"type": "object", "required": ["project_id", "quotas"]},
}  # fmt: skip
# What the try-it page may do in a browser: its own script and style, and calls to this service.
PAGE_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
               "frame-ancestors 'none'")  # fmt: skip


def common_routes(name: str, pages: Traversable) -> tuple[Route, ...]:
    """The routes; `name` is the service's, `pages` the directory of the try-it page."""
    quotas = {"type": "object", "additionalProperties": LIMIT, "minProperties": 1, "maxProperties": 50}
    return (
        *jobs.ROUTES,
        Route("GET", "/v1/quotas", own_quotas, "quota:own", "The project's quotas and what is used", answer=ref("Quotas"), tag="quotas"),
        Route("GET", "/v1/quotas/<project_id>", quotas_of, "quota:get", "The quotas of any project", "admin", answer=ref("Quotas"),
              tag="quotas"),
        Route("PUT", "/v1/quotas/<project_id>", set_quotas, "quota:set", "Give a project quotas of its own", "admin", body=quotas,
              answer=ref("Quotas"), tag="quotas"),
        Route("GET", "/v1/audit", audit, "audit:list", "What the caller did; administrators see what all did", query=AUDIT_QUERY,
              answer=page_of("records", ref("AuditRecord")), tag="audit"),
        Route("GET", "/", root, "root", "What this service is", None, answer={"type": "object"}),
        Route("GET", "/healthcheck", health, "health", "Whether the service answers; deep: whether what it needs does", None,
              query={"deep": {"type": "boolean"}}, answer={"type": "object"}),
        Route("GET", "/metrics", metrics, "metrics", "Counters for Prometheus", "admin", gives=(METRICS, "text/plain"),
              opened_by="metrics_open"),
        Route("GET", "/openapi.json", openapi, "openapi", "This description", None, answer={"type": "object"}),
        Route("GET", "/v1/problems", problem_list, "problems", "Every error code with its meaning", None, answer={"type": "object"}),
        Route("GET", "/try", page(pages, "index.html", "text/html"), "try", "A page to try the interface with", None, gives=("text/html",)),
        Route("GET", "/try/try.js", page(pages, "try.js", "text/javascript"), "try", "Its script", None, gives=("text/javascript",)),
        Route("GET", "/try/try.css", page(pages, "try.css", "text/css"), "try", "Its style", None, gives=("text/css",)),
    )  # fmt: skip


def root(call: Call) -> dict:
    """Name, version and where to go on."""
    service = call.runtime.service
    return {"name": service.name, "title": service.title, "version": service.version, "versions": [
        {"id": "v1", "status": "CURRENT", "links": [{"rel": "self", "href": "/v1/"}]}], "links": [
        {"rel": "describedby", "href": "/openapi.json"}, {"rel": "help", "href": "/try"}]}  # fmt: skip


def health(call: Call) -> Answer:
    """200 while requests are answered; deep also asks the database, its revision, and the workers: 503 where one is missing."""
    if not call.query.get("deep"):
        return Answer({"status": "ok"})
    checks: dict[str, str] = {"database": "ok"}
    call.session.execute(sa.text("SELECT 1"))
    checks["schema"] = "ok" if call.runtime.db_current() else f"old: run `{call.runtime.service.name}-manage db-sync`"
    if call.runtime.service.works:
        living = call.runtime.jobs.workers(call.session)
        checks["workers"] = "ok" if living else f"none: start `{call.runtime.service.name}-manage worker`"
    well = set(checks.values()) == {"ok"}
    return Answer({"status": "ok" if well else "unwell", "checks": checks}, 200 if well else 503)


def metrics(call: Call) -> Answer:
    """Prometheus' text form."""
    return Answer(flask.current_app.metrics.text(call.runtime, call.session), media=METRICS)


def openapi(call: Call) -> dict:
    """The OpenAPI document."""
    return flask.current_app.openapi


def problem_list(call: Call) -> dict:
    """Every problem: code, status, title, text."""
    return {"problems": [{"code": one.code, "status": one.status, "title": one.title, "text": one.text} for one in known()]}


def page(pages: Traversable, file: str, media: str) -> Any:
    """A handler for a file of the try-it page."""
    content = (pages / file).read_bytes()
    etag = hashlib.sha256(content).hexdigest()[:32]

    def handler(call: Call) -> Answer:
        return Answer(content, media=f"{media}; charset=utf-8", etag=etag, headers={"Content-Security-Policy": PAGE_POLICY})

    return handler


def own_quotas(call: Call) -> dict:
    """Of the caller's project."""
    return _quotas(call, call.context.project_id)


def quotas_of(call: Call) -> dict:
    """Of any project."""
    return _quotas(call, call.path["project_id"])


def set_quotas(call: Call) -> dict:
    """Limits of a project; those not named stay as they are."""
    known_ones = call.runtime.service.quotas
    if unknown := [name for name in call.body if name not in known_ones]:
        message = f"is no quota; there are {', '.join(known_ones)}"
        raise BadRequest(what="The body", errors=[{"pointer": f"/{name}", "message": message} for name in unknown])
    call.audit.update(target=f"project/{call.path['project_id']}", limits=call.body)
    call.runtime.quotas.set(call.session, call.path["project_id"], call.body)
    call.session.flush()
    return _quotas(call, call.path["project_id"])


def _quotas(call: Call, project: str) -> dict:
    return {"project_id": project, "quotas": call.runtime.quotas.of(call.session, project)}


def audit(call: Call) -> dict:
    """What the caller did, newest first; what others did tells of things that the caller may not see."""
    return audit_page(call, *([] if call.guard.may("admin") else [Audit.user_id == call.context.user_id]))


def audit_page(call: Call, *conditions: Any) -> dict:
    """A page of the audit; for a service's own routes, as the story of a thing that the caller sees."""
    statement = sa.select(Audit).where(*conditions, *_audited(call))
    return call.page("records", statement, AUDIT_SORT, Audit, _record, default="time:desc")


def _audited(call: Call) -> Iterator[Any]:
    for name in ("target", "action", "user_id"):
        if name in call.query:
            yield getattr(Audit, name) == call.query[name]


def _record(record: Audit) -> dict:
    names = ("id", "action", "outcome", "status", "user_id", "project_id", "target", "request_id", "facts")
    return {"time": shown(record.time), **{name: getattr(record, name) for name in names}}
