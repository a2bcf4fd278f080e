"""Handlers of documents: store, search, metadata, delete and undelete, names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from cloudos.eden import paging, routes
from cloudos.eden.call import Call
from cloudos.eden.db import now, shown
from cloudos.eden.models import Audit
from cloudos.eden.policy import CHANGE
from cloudos.eden.problems import NotFound
from cloudos.eden.service import Answer
from cloudos.focus import searching, storing
from cloudos.focus.models import Document, Revision, Tag, TypeName
from cloudos.focus.resolving import revision

SORT = {"name": Document.name, "created_at": Document.created_at, "updated_at": Document.updated_at, "type": Document.type}
LIST = "/v1/documents"
PLAIN = re.compile(r"true|false|-?\d+(\.\d+)?", re.ASCII)


def etag(document: Document) -> str:
    """It changes with every change of the document, its metadata or its versions."""
    return f"{document.id}-{document.edition}"


def show(document: Document) -> dict[str, Any]:
    """A document as JSON, without its versions."""
    return {
        "id": document.id, "name": document.name, "type": document.type, "description": document.description, "scope": document.scope,
        "tags": [tag.name for tag in document.tags], "properties": document.properties, "default_version": document.default_version,
        "latest_version": document.newest, "user_id": document.user_id, "project_id": document.project_id,
        "domain_id": document.domain_id, "created_at": shown(document.created_at), "updated_at": shown(document.updated_at),
        "deleted_at": shown(document.deleted_at), "links": [
            {"rel": "self", "href": f"{LIST}/{document.id}"}, {"rel": "versions", "href": f"{LIST}/{document.id}/versions"}],
    }  # fmt: skip


def show_version(found: Revision) -> dict[str, Any]:
    """A revision as JSON; its report without the list of problems."""
    base = f"{LIST}/{found.document_id}/versions/{found.version}"
    return {
        "version": found.version, "label": found.label, "sha256": found.sha256, "size": found.size, "format": found.format,
        "content_type": found.content_type, "parent": found.parent, "comment": found.comment, "user_id": found.user_id,
        "created_at": shown(found.created_at), "state": found.state, "reason": found.reason, "valid": found.valid,
        "judge": (found.report or {}).get("judge"), "errors": (found.report or {}).get("errors"), "judged_at": shown(found.judged_at),
        "deleted_at": shown(found.deleted_at), "links": [
            {"rel": "self", "href": base}, {"rel": "content", "href": f"{base}/content"},
            {"rel": "validation", "href": f"{base}/validation"}],
    }  # fmt: skip


def find(call: Call, deleted: bool = False) -> Document:
    """The document of the path, if the caller sees it and it is not deleted."""
    found = call.find(Document, call.path["document_id"], "document", LIST)
    if not found.live and not deleted:
        raise NotFound(what="document", id=found.id, list=LIST)
    return found


def upload_of(call: Call) -> storing.Upload:
    """The content that is sent, with what the query says of it."""
    query = call.query
    return storing.Upload(call.body or b"", query.get("content_type") or call.media, query.get("label"), query.get("comment", ""),
                          query.get("reference", []))  # fmt: skip


def create(call: Call) -> Answer:
    """Store a new document with its first version."""
    query = call.query
    return stored(call, query.get("name"), query.get("type"), query.get("scope", "private-project"), upload_of(call),
                  query.get("description", ""), query.get("tag", []))  # fmt: skip


def stored(call: Call, name: str | None, kind: str | None, scope: str, upload: storing.Upload, description: str = "",
           tags: list[str] | None = None) -> Answer:  # fmt: skip
    """A new document; without a name it has its digest's."""
    document = Document(**call.owner(), type=kind or "infrastructure_topology", description=description, properties={}, latest=0)
    document.scope = scope
    call.guard.demand(CHANGE, document.target())
    storing.named(call.session, document, name or f"sha256-{upload.sha256[:16]}", scope)
    storing.tagged(document, tags or [])
    call.session.add(document)
    call.session.flush()
    made, _ = keep(call, document, upload)
    if kind is None:
        document.type = guessed(made)
    call.session.flush()
    call.runtime.quotas.demand(call.session, document.project_id, "documents", made=True)
    call.audit.update(target=f"document/{document.id}", name=document.name, sha256=made.sha256)
    body = {**show(document), "version": show_version(made)}
    return Answer(body, 201, {"Location": f"{LIST}/{document.id}"}, etag=etag(document))


def keep(call: Call, document: Document, upload: storing.Upload) -> tuple[Revision, bool]:
    """A new revision within the project's quota; (the newest, False) where it has the content already."""
    made, new = storing.add_revision(call.session, call.context, call.runtime.extra.judges, document, upload)
    if new:
        # Not before it was examined, for which others of the project would have to wait.
        call.runtime.quotas.demand(call.session, document.project_id, "bytes", made.size, made=True)
    return made, new


def story(call: Call) -> dict:
    """Who did what to a document."""
    return routes.audit_page(call, Audit.target == f"document/{find(call, deleted=True).id}")


def guessed(made: Revision) -> str:
    """The document type where nobody said it: what only defines types is one of types."""
    roles = {name.role for name in made.names}
    only_types = made.format == "tosca" and roles & {"defines", "profile"} and "uses" not in roles
    return "infrastructure_type" if only_types else "infrastructure_topology"


def get(call: Call) -> Answer:
    """One document with its versions: the newest ones, where there are more than a page may hold."""
    document = find(call, deleted=bool(call.query.get("deleted")))
    newest = _versions(document, bool(call.query.get("deleted"))).order_by(None).order_by(Revision.version.desc())
    versions = list(call.session.scalars(newest.limit(call.runtime.conf.api.max_page_limit)))
    return Answer({**show(document), "versions": [show_version(one) for one in reversed(versions)]}, etag=etag(document))


def _versions(document: Document, deleted: bool) -> sa.Select:
    statement = sa.select(Revision).where(Revision.document_id == document.id).order_by(Revision.version)
    return statement if deleted else statement.where(Revision.deleted_at.is_(None))


def update(call: Call) -> Answer:
    """Change the metadata; this makes no version."""
    document = find(call)
    call.change(document, etag(document))
    body = call.body
    if "name" in body or "scope" in body:
        scope = body.get("scope", document.scope)
        call.guard.demand(CHANGE, {**document.target(), "scope": scope})
        storing.named(call.session, document, body.get("name", document.name), scope)
    for key in ("type", "description", "properties"):
        if key in body:
            setattr(document, key, body[key])
    if "tags" in body:
        storing.tagged(document, body["tags"])
    if "default_version" in body:
        document.default_version = _default(call, document, body["default_version"])
    if "name" in body or "description" in body:
        searching.renamed(call.session, document)
    document.updated_at = now()
    call.session.flush()
    call.audit["changed"] = sorted(body)
    return Answer(show(document), etag=etag(document))


def _default(call: Call, document: Document, version: int | None) -> int | None:
    if version is not None and revision(call.session, document, version) is None:
        raise NotFound(what="version", id=str(version), list=f"{LIST}/{document.id}/versions")
    return version


def delete(call: Call) -> None:
    """Put a tombstone on a document; undelete takes it away until the purge has come."""
    document = find(call)
    call.change(document, etag(document))
    versions = list(call.session.scalars(_versions(document, deleted=False)))
    storing.demand_unused(call.session, call.context, f"Document {document.name}", versions, f"{LIST}/{document.id}/uses")
    document.live, document.deleted_at = None, now()


def undelete(call: Call) -> Answer:
    """Take the tombstone away, if the name is still free."""
    document = find(call, deleted=True)
    call.change(document, etag(document))
    if not document.live:
        storing.named(call.session, document, document.name, document.scope)
        document.live, document.deleted_at = True, None
        call.session.flush()
        call.runtime.quotas.demand(call.session, document.project_id, "documents", made=True)
    return Answer(show(document), etag=etag(document))


def uses(call: Call) -> dict:
    """Who needs any version of the document."""
    document = find(call)
    versions = list(call.session.scalars(_versions(document, deleted=False)))
    return {"used_by": storing.users_of(call.session, call.context, versions)}


def resolve(call: Call) -> dict:
    """What a name or an id, with or without version, means for the caller."""
    found = storing.referred(call.session, call.context, call.query["name"])
    return {**show(found.document), "version": show_version(found)}


def search(call: Call) -> dict:
    """Documents by criteria; all must hold."""
    statement = call.visible(Document).options(sa.orm.selectinload(Document.tags)).where(*_criteria(call))
    return call.page("documents", statement, SORT, Document, show)


def _criteria(call: Call) -> Iterator[Any]:
    query = call.query
    yield Document.live.is_(None) if query.get("deleted") else Document.live.is_(True)
    for name in ("name", "type", "scope", "user_id", "project_id"):
        if name in query:
            yield getattr(Document, name) == query[name]
    if "name_like" in query:
        yield Document.name.icontains(query["name_like"], autoescape=True)
    for tag in query.get("tag", []):
        yield Document.id.in_(sa.select(Tag.document_id).where(Tag.name == tag))
    for pair in query.get("property", []):
        yield _has_property(call.session, *pair.split("=", 1))
    for one in _of_versions(call.session, query):
        yield Document.id.in_(_versions_of(query).where(one))


def _has_property(session: sa.orm.Session, key: str, text: str) -> sa.ColumnElement[bool]:
    """The text may mean a string, or a number or boolean as JSON writes it."""
    named = Document.properties[key].as_string() == text
    if not PLAIN.fullmatch(text):
        return named
    path = f'$."{key}"'
    sqlite = session.get_bind().dialect.name == "sqlite"
    written = Document.properties.op("->", return_type=sa.Text)(path) if sqlite else sa.func.json_extract(Document.properties, path)
    return sa.or_(named, written == sa.literal(text, sa.Text))


def _versions_of(query: Any) -> sa.Select:
    """Documents by their revisions: the newest ones, or with every=true any."""
    statement = sa.select(Revision.document_id).where(Revision.deleted_at.is_(None))
    if query.get("every"):
        return statement
    newer = sa.orm.aliased(Revision)
    behind = sa.select(newer.id).where(newer.document_id == Revision.document_id, newer.version > Revision.version,
                                       newer.deleted_at.is_(None))  # fmt: skip
    return statement.where(~behind.exists())


def _of_versions(session: Any, query: Any) -> Iterator[Any]:
    if "q" in query:
        yield searching.having(session, query["q"])
    for key, role in (("uses_type", "uses"), ("defines_type", "defines"), ("profile", "profile")):
        if key in query:
            yield Revision.id.in_(sa.select(TypeName.revision_id).where(TypeName.role == role, TypeName.name == query[key]))
    for key in ("state", "format", "valid", "sha256"):
        if key in query:
            yield getattr(Revision, key) == query[key]


QUERY = {
    **paging.query(SORT),
    "q": {"type": "string", "maxLength": 500,
          "description": "Beginnings of words, all of which are in the content, the name or the description."},
    "name": {"type": "string", "maxLength": 255}, "name_like": {"type": "string", "maxLength": 255},
    "type": {"type": "string", "enum": list(storing.TYPES)}, "scope": {"type": "string", "maxLength": 16},
    "user_id": {"type": "string", "maxLength": 64}, "project_id": {"type": "string", "maxLength": 64},
    "tag": {"type": "array", "items": {"type": "string", "maxLength": 255}, "maxItems": 20},
    "property": {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}=.{0,200}$"}, "maxItems": 10},
    "uses_type": {"type": "string", "maxLength": 255, "description": "A node or policy type that the topology uses."},
    "defines_type": {"type": "string", "maxLength": 255}, "profile": {"type": "string", "maxLength": 255},
    "state": {"type": "string", "enum": ["draft", "published", "deprecated", "revoked"]},
    "format": {"type": "string", "enum": ["tosca", "csar", "hot", "yaml", "json", "xml", "other"]},
    "valid": {"type": "boolean"}, "sha256": {"type": "string", "maxLength": 64},
    "every": {"type": "boolean", "description": "Look at every version, not only at the newest."},
    "deleted": {"type": "boolean", "description": "Those with a tombstone."},
}  # fmt: skip
