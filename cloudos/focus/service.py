"""Focus as a service: all its routes on one screen, their schemas, options and quotas."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from oslo_config import cfg

from cloudos.eden import config, paging, policy, routes
from cloudos.eden.app import complete
from cloudos.eden.policy import SCOPES
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import JSON, Quota, Route, Service, Work, page_of, ref
from cloudos.focus import documents, original, upkeep, versions
from cloudos.focus.csar import MEDIA
from cloudos.focus.judges import Judges
from cloudos.focus.models import STATES, Document, Revision
from cloudos.focus.storing import TYPES

ANY = ("*/*",)
TEXT, TIME, NUMBER = {"type": ["string", "null"]}, {"type": ["string", "null"]}, {"type": ["integer", "null"]}
NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^@\u0000-\u001f]+(?<! )$"}
LABEL = {"type": "string", "pattern": r"^(?!\d+$)[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$",
         "description": "A name for the version besides its number, as 1.4.2."}  # fmt: skip
TAGS = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}, "maxItems": 50}
WORDS = {"type": "string", "maxLength": 2000}
SENT = {
    "label": LABEL, "comment": WORDS, "content_type": {"type": "string", "pattern": r"^[\w.+-]+/[\w.+-]+$", "maxLength": 128},
    "reference": {"type": "array", "items": {"type": "string", "maxLength": 320}, "maxItems": 50,
                  "description": "A document that it refers to, as a binding to its topology: id, name or name@version."},
}  # fmt: skip
NEW = {"name": NAME, "type": {"type": "string", "enum": list(TYPES)}, "scope": {"type": "string", "enum": list(SCOPES)},
       "description": WORDS, "tag": TAGS, **SENT}  # fmt: skip
METADATA = {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": {
    "name": NAME, "type": {"enum": list(TYPES)}, "scope": {"enum": list(SCOPES)}, "description": WORDS, "tags": TAGS,
    "default_version": {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1},
    "properties": {"type": "object", "maxProperties": 100, "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,64}$"},
                   "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": 1000}}}}  # fmt: skip
STATE = {"type": "object", "additionalProperties": False, "required": ["state"], "properties": {
    "state": {"enum": list(STATES[1:])}, "reason": WORDS}}  # fmt: skip
USE = {"type": "object", "additionalProperties": False, "required": ["title", "uri"], "properties": {
    "title": {"type": "string", "minLength": 1, "maxLength": 255}, "uri": {"type": "string", "maxLength": 2000}}}  # fmt: skip
REFERENCE = {"type": "string", "minLength": 1, "maxLength": 320, "description": "A version: document id or name, and @version."}
DELETED = {"deleted": {"type": "boolean"}}
REVOKED = {"revoked": {"type": "boolean", "description": "Also what was revoked."}}
SCHEMAS = {
    **routes.SCHEMAS,
    "Version": {"type": "object", "required": ["version", "sha256", "size", "format", "state", "valid"], "properties": {
        "version": {"type": "integer"}, "label": TEXT, "sha256": {"type": "string"}, "size": {"type": "integer"},
        "format": {"type": "string"}, "content_type": {"type": "string"}, "parent": NUMBER, "comment": TEXT,
        "user_id": {"type": "string"}, "created_at": TIME, "state": {"enum": list(STATES)}, "valid": {"type": "boolean"}}},
    "Document": {"type": "object", "required": ["id", "name", "type", "scope", "latest_version"], "properties": {
        "id": {"type": "string"}, "name": {"type": "string"}, "type": {"enum": list(TYPES)}, "scope": {"enum": list(SCOPES)},
        "description": TEXT, "tags": TAGS, "properties": {"type": "object"}, "default_version": NUMBER, "latest_version": NUMBER,
        "user_id": {"type": "string"}, "project_id": {"type": "string"}, "created_at": TIME, "updated_at": TIME, "deleted_at": TIME}},
    "Report": {"type": "object", "required": ["judge", "valid", "exit_code", "problems"], "properties": {
        "judge": {"type": "string"}, "valid": {"type": "boolean"}, "exit_code": {"type": "integer"},
        "problems": {"type": "array", "items": {"type": "object", "required": ["file", "line", "column", "rule", "message"]}}}},
    "UsedBy": {"type": "object", "required": ["used_by"], "properties": {"used_by": {"type": "array", "items": {"type": "object"}}}},
}  # fmt: skip

ONE = "/v1/documents/<document_id>"
VERSION = f"{ONE}/versions/<version>"
DOCUMENT, FOUND, REPORT, OBJECT = ref("Document"), ref("Version"), ref("Report"), {"type": "object"}
T = {"tag": "documents"}
V = {"tag": "versions"}
O = {"tag": "original"}  # noqa: E741 - a column of the table
ROUTES = (
    Route("GET", "/v1/documents", documents.search, "document:search", "Documents by criteria", query=documents.QUERY,
          answer=page_of("documents", DOCUMENT), **T),
    Route("POST", "/v1/documents", documents.create, "document:create", "Store a new document; the body is its content", "member",
          query=NEW, takes=ANY, status=201, answer=DOCUMENT, **T),
    Route("GET", "/v1/resolve", documents.resolve, "document:get", "What name@version means",
          query={"name": REFERENCE}, needs=("name",), answer=DOCUMENT, **T),
    Route("POST", "/v1/validate", versions.validate, "validate", "Judge a content without storing it", "reader", query={"name": NAME},
          takes=ANY, answer=REPORT, audited=False, **T),
    Route("GET", "/v1/diff", versions.diff, "diff", "What differs between two versions", answer=OBJECT, **V,
          query={"from": REFERENCE, "to": REFERENCE, "form": {"type": "string", "enum": ["structure", "text"]}},
          needs=("from", "to")),
    Route("POST", "/v1/revalidations", upkeep.revalidate, "revalidate", "Judge all versions anew, as a job", "admin", status=202,
          answer=ref("Job"), tag="upkeep"),
    Route("GET", ONE, documents.get, "document:get", "One document with its versions", query=DELETED, answer=DOCUMENT, **T),
    Route("PUT", ONE, documents.update, "document:update", "Change metadata; makes no version", "member", body=METADATA, answer=DOCUMENT,
          matches=True, **T),
    Route("DELETE", ONE, documents.delete, "document:delete", "Put a tombstone on it, unless it is used", "member",
          status=204, matches=True, **T),
    Route("POST", f"{ONE}/undelete", documents.undelete, "document:undelete", "Take the tombstone away", "member", answer=DOCUMENT, **T),
    Route("GET", f"{ONE}/uses", documents.uses, "document:uses", "Who imports, refers to or uses it", answer=ref("UsedBy"), **T),
    Route("GET", f"{ONE}/audit", documents.story, "document:audit", "Who did what to it", query=routes.AUDIT_QUERY,
          answer=page_of("records", ref("AuditRecord")), **T),
    Route("GET", f"{ONE}/versions", versions.list_versions, "version:list", "Its versions", answer=page_of("versions", FOUND), **V,
          query={**paging.query({"version": None, "created_at": None}), **DELETED}),
    Route("POST", f"{ONE}/versions", versions.add, "version:create", "A new version; the body is its content",
          "member", query=SENT, takes=ANY,
          status=201, answer=FOUND, matches=True, **V),
    Route("GET", VERSION, versions.get, "version:get", "One version, by number, label or sha256:digest", answer=FOUND, **V),
    Route("DELETE", VERSION, versions.delete, "version:delete", "Put a tombstone on a version, unless it is used", "member", status=204,
          matches=True, **V),
    Route("GET", f"{VERSION}/content", versions.content, "version:content", "The content, byte for byte", query=REVOKED, gives=ANY, **V),
    Route("GET", f"{VERSION}/validation", versions.validation, "version:get", "Its judgement, with each problem's place",
          answer=REPORT, **V),
    Route("GET", f"{VERSION}/closure", versions.closure, "version:closure", "All that it needs, with digests", answer=OBJECT, **V),
    Route("GET", f"{VERSION}/csar", versions.archive, "version:csar", "It and its imports as one archive",
          query={"as": {"type": "string", "enum": list(MEDIA)}, **REVOKED}, gives=ANY, **V),
    Route("POST", f"{VERSION}/revert", versions.revert, "version:create", "Its content as a new version", "member",
          status=201, answer=FOUND,
          matches=True, **V),
    Route("POST", f"{VERSION}/undelete", versions.undelete, "version:undelete", "Take the tombstone away", "member", answer=FOUND, **V),
    Route("PUT", f"{VERSION}/state", versions.set_state, "version:state", "Publish, deprecate or revoke it", "member",
          body=STATE, answer=FOUND,
          matches=True, **V),
    Route("PUT", f"{VERSION}/uses/<use_id>", versions.use, "version:use", "Say that something outside needs it", "member", body=USE,
          answer=OBJECT, **V),
    Route("DELETE", f"{VERSION}/uses/<use_id>", versions.unuse, "version:unuse", "Say that it does no more", "member", status=204, **V),
    Route("GET", "/1/document_list", original.search, "document:search", "Search, as the original",
          query=documents.QUERY, answer=OBJECT, **O),
    Route("POST", "/1/document_list", original.create, "document:create", "Store, as the original", "member", headers=original.HEADERS,
          takes=ANY, status=201, answer=OBJECT, **O),
    Route("GET", "/1/document_list/<document_id>", original.get, "document:get", "Content, or with Accept: application/json the record",
          query={"version": REFERENCE, **REVOKED}, gives=("*/*", JSON), **O),
    Route("PUT", "/1/document_list/<document_id>", original.update, "document:update", "Content or metadata, as the original", "member",
          headers=original.HEADERS, takes=ANY, optional_body=True, answer=OBJECT, **O),
    Route("DELETE", "/1/document_list/<document_id>", original.delete, "document:delete", "A document or ?version=", "member",
          query={"version": REFERENCE}, status=204, **O),
)  # fmt: skip


def _documents(session: sa.orm.Session, project: str) -> int:
    return session.scalar(sa.select(sa.func.count()).where(Document.project_id == project, Document.live.is_(True)))


def _bytes(session: sa.orm.Session, project: str) -> int:
    statement = sa.select(sa.func.coalesce(sa.func.sum(Revision.size), 0)).join(Document, Document.id == Revision.document_id)
    return int(session.scalar(statement.where(Document.project_id == project)))


OPTIONS = [
    cfg.IntOpt("keep_deleted_days", default=30, min=0, help="How long the purge keeps what has a tombstone, in days."),
    cfg.FloatOpt("validation_seconds", default=30, min=1, help="How long a content may be examined; then it is kept as not validated."),
    cfg.IntOpt("validation_memory", default=1024, min=256, help="Megabytes of address space that examining a content may take."),
    cfg.IntOpt("validation_processes", default=2, min=1, help="Contents that one process of the service has examined at once."),
]


@dataclass(frozen=True)
class Tools:
    """What handlers and works share."""

    judges: Judges


def start(runtime: Runtime) -> Tools:
    """Once for each process; those that examine are started when there is something to examine."""
    conf = runtime.conf.focus
    return Tools(Judges(conf.validation_seconds, conf.validation_memory, conf.validation_processes))


SERVICE = Service(
    name="focus", title="Focus, the repository of topology documents", version="1.0", port=21061,
    routes=complete(ROUTES, "focus"), schemas=SCHEMAS, migrations="cloudos.focus:migrations",
    works={"focus.revalidate": Work(upkeep.revalidated)},
    quotas={"documents": Quota(10_000, _documents, "Documents."), "bytes": Quota(10 * 1024**3, _bytes, "Bytes of all versions.")},
    options={"focus": OPTIONS}, start=start,
    description="Stores, versions, judges and compares TOSCA documents. Content is kept byte for byte under its SHA-256.",
)  # fmt: skip


def list_opts() -> list:
    """For oslo-config-generator."""
    return config.options(SERVICE)


def list_rules() -> list:
    """For oslopolicy-sample-generator."""
    return policy.rules(SERVICE)
