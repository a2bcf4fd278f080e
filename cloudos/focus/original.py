"""The original's paths: /1/document_list with metadata in X-Template-Meta headers, for clients that were written for it."""

from __future__ import annotations

import sqlalchemy as sa

from cloudos.eden.call import Call
from cloudos.eden.db import now, shown
from cloudos.eden.problems import BadRequest, NotFound
from cloudos.eden.service import JSON, Answer
from cloudos.focus import documents, searching, storing, versions
from cloudos.focus.models import Document, Revision
from cloudos.focus.resolving import revision

# The original's scopes had one level more than ours: the domain is the cloud here.
SCOPES = {"user_project": "private-project", "user_domain": "private-cloud", "user_cloud": "private-cloud", "project": "public-project",
          "domain": "public-cloud", "cloud": "public-cloud"}  # fmt: skip
BACK = {"private-project": "user_project", "private-cloud": "user_cloud", "public-project": "project", "public-cloud": "cloud"}
NAME, TYPE, SCOPE, REFERENCE = (f"X-Template-Meta-{word}" for word in ("Name", "Type", "Scope", "Referenced-Document-Id"))
HEADERS = {
    NAME: {"type": "string", "minLength": 1, "maxLength": 255}, TYPE: {"type": "string", "enum": list(storing.TYPES)},
    SCOPE: {"type": "string", "enum": [*SCOPES, *BACK]}, REFERENCE: {"type": "string", "maxLength": 255},
}  # fmt: skip


def create(call: Call) -> Answer:
    """Store a new document; the answer has the original's fields."""
    given = call.headers
    answer = documents.stored(call, given.get(NAME), given.get(TYPE), _scope(given.get(SCOPE)), _upload(call))
    identity = answer.body["id"]
    call.session.flush()
    return Answer(_record(call, call.session.get(Document, identity)), 201, {"Location": f"/1/document_list/{identity}"}, etag=answer.etag)


def get(call: Call) -> Answer:
    """The content of the default or the wanted version; the record for those who accept JSON only."""
    document = documents.find(call)
    if call.accepts == JSON:
        return Answer(_record(call, document), etag=documents.etag(document))
    return versions.sent(call, _wanted(call, document))


def update(call: Call) -> Answer:
    """New content if there is a body, new metadata if there are headers."""
    document = documents.find(call)
    call.change(document, documents.etag(document))
    given = call.headers
    if not call.body and not given:
        message = f"has neither a body nor a header {NAME}, {TYPE} or {SCOPE}"
        raise BadRequest(what="The request", errors=[{"pointer": "/", "message": message}])
    if call.body:
        documents.keep(call, document, _upload(call))
    if NAME in given or SCOPE in given:
        scope = _scope(given[SCOPE]) if SCOPE in given else document.scope
        call.guard.demand("eden:change", {**document.target(), "scope": scope})
        storing.named(call.session, document, given.get(NAME, document.name), scope)
        searching.renamed(call.session, document)
    document.type, document.updated_at = given.get(TYPE, document.type), now()
    call.session.flush()
    return Answer(_record(call, document), etag=documents.etag(document))


def delete(call: Call) -> None:
    """A document, or with ?version= one of its versions."""
    if "version" not in call.query:
        return documents.delete(call)
    call.path = {**call.path, "version": call.query["version"]}
    return versions.delete(call)


def search(call: Call) -> dict:
    """As the original named it."""
    found = documents.search(call)
    return {"document_list": [{**one, "scope": BACK[one["scope"]], "uri": f"/1/document_list/{one['id']}"} for one in found["documents"]],
            "links": found["links"]}  # fmt: skip


def _wanted(call: Call, document: Document) -> Revision:
    found = revision(call.session, document, call.query.get("version"))
    if found is None:
        raise NotFound(what=f"version of {document.name}", id=call.query.get("version", "1"), list=f"/v1/documents/{document.id}/versions")
    return found


def _upload(call: Call) -> storing.Upload:
    references = [call.headers[REFERENCE]] if REFERENCE in call.headers else []
    return storing.Upload(call.body or b"", call.media, references=references)


def _scope(text: str | None) -> str:
    return SCOPES.get(text or "user_project", text or "")


def _record(call: Call, document: Document) -> dict:
    kept = sa.select(Revision).where(Revision.document_id == document.id, Revision.deleted_at.is_(None)).order_by(Revision.version)
    versions = [{"version": one.version, "size": one.size, "content_type": one.content_type} for one in call.session.scalars(kept)]
    newest = versions[-1]["version"] if versions else None
    return {
        "id": document.id, "name": document.name, "type": document.type, "scope": BACK[document.scope], "properties": document.properties,
        "versions": versions, "default_version": document.default_version or newest, "created_at": shown(document.created_at),
        "updated_at": shown(document.updated_at), "user_id": document.user_id, "project_id": document.project_id,
        "domain_id": document.domain_id, "uri": f"/1/document_list/{document.id}",
    }  # fmt: skip
