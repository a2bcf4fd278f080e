"""Handlers of versions: add, content byte for byte, revert, state, judgement, closure, uses, delete; and diffs."""

from __future__ import annotations

import base64
from typing import Any

import sqlalchemy as sa

from cloudos.eden.call import Call
from cloudos.eden.db import now
from cloudos.eden.problems import NotFound
from cloudos.eden.service import Answer
from cloudos.focus import csar, difference, judging, storing
from cloudos.focus.documents import LIST, etag, find, keep, show_version, upload_of
from cloudos.focus.models import Content, Document, Revision, Use
from cloudos.focus.problems import NotComparable, NotPublishable, NotText, Revoked, StateRefused
from cloudos.focus.resolving import FocusImports, revision, shown
from cloudos.tosca.resolver import Refused

NEXT = {"draft": ("published",), "published": ("deprecated", "revoked"), "deprecated": ("published", "revoked"), "revoked": ()}


def version_of(call: Call, document: Document, deleted: bool = False) -> Revision:
    """The version of the path: a number, a label or sha256:digest."""
    wanted = call.path["version"]
    found = revision(call.session, document, wanted)
    if found is None and deleted and wanted.isdecimal() and len(wanted) < 10:
        found = call.session.scalar(sa.select(Revision).where(Revision.document_id == document.id, Revision.version == int(wanted)))
    if found is None:
        raise NotFound(what=f"version of {document.name}", id=wanted, list=f"{LIST}/{document.id}/versions")
    call.audit["target"] = f"document/{document.id}"
    call.audit["version"] = found.version
    return found


def pair(call: Call) -> tuple[Document, Revision]:
    """The document and the version of the path."""
    document = find(call)
    return document, version_of(call, document)


def data_of(call: Call, found: Revision) -> bytes:
    """The content of a version."""
    return call.session.scalar(sa.select(Content.data).where(Content.sha256 == found.sha256))


def add(call: Call) -> Answer:
    """A new version from the content sent; 200 with the newest where it has that content already."""
    document = find(call)
    call.change(document, etag(document))
    return added(call, document, upload_of(call))


def added(call: Call, document: Document, upload: storing.Upload) -> Answer:
    """The answer to a version that was added, or was there."""
    found, new = keep(call, document, upload)
    call.session.flush()
    call.audit.update(version=found.version, sha256=found.sha256)
    where = f"{LIST}/{document.id}/versions/{found.version}"
    return Answer(show_version(found), 201 if new else 200, {"Location": where}, etag=etag(document))


def list_versions(call: Call) -> dict:
    """All versions of a document."""
    document = find(call)
    statement = sa.select(Revision).where(Revision.document_id == document.id)
    if not call.query.get("deleted"):
        statement = statement.where(Revision.deleted_at.is_(None))
    return call.page("versions", statement, {"version": Revision.version, "created_at": Revision.created_at}, Revision, show_version)


def get(call: Call) -> Answer:
    """One version."""
    document, found = pair(call)
    return Answer(show_version(found), etag=etag(document))


def content(call: Call) -> Answer:
    """The content, byte for byte, with its digest."""
    _, found = pair(call)
    return sent(call, found)


def demand_given(call: Call, found: Revision) -> None:
    """Raise Revoked for what is revoked, unless the caller asks for that."""
    if found.state == "revoked" and not call.query.get("revoked"):
        raise Revoked(what=shown(found), reason=found.reason, list=f"{LIST}/{found.document_id}/versions")


def sent(call: Call, found: Revision) -> Answer:
    """The bytes of a version; revoked ones only to those who ask for them."""
    demand_given(call, found)
    digest = base64.b64encode(bytes.fromhex(found.sha256)).decode()
    # Somebody's content is not shown as a page of this service.
    headers = {"Repr-Digest": f"sha-256=:{digest}:", "X-Focus-Version": str(found.version), "X-Focus-State": found.state,
               "Content-Disposition": "attachment"}  # fmt: skip
    return Answer(data_of(call, found), headers=headers, media=found.content_type, etag=found.sha256)


def revert(call: Call) -> Answer:
    """A new version with the content of an older one."""
    document, found = pair(call)
    call.change(document, etag(document))
    references = [f"{link.target.document_id}@{link.target.version}" for link in found.links if link.kind == "reference"]
    upload = storing.Upload(data_of(call, found), found.content_type, None, f"As version {found.version}", references)
    return added(call, document, upload)


def set_state(call: Call) -> Answer:
    """Publish, deprecate or revoke a version. What is published first becomes the default."""
    document, found = pair(call)
    call.change(document, etag(document))
    wanted = call.body["state"]
    if wanted not in NEXT[found.state]:
        raise StateRefused(what=shown(found), state=found.state, next=" or ".join(NEXT[found.state]) or "nothing")
    if wanted == "published" and not found.valid:
        where = f"{LIST}/{document.id}/versions/{found.version}/validation"
        raise NotPublishable(what=shown(found), count=found.report.get("errors"), list=where)
    found.state, found.reason = wanted, call.body.get("reason", "")
    if wanted == "published":
        document.default_version = max(found.version, document.default_version or 0)
    elif wanted == "revoked" and document.default_version == found.version:
        document.default_version = _published(call, document)
    document.updated_at = now()
    call.session.flush()
    call.audit["state"] = wanted
    return Answer(show_version(found), etag=etag(document))


def _published(call: Call, document: Document) -> int | None:
    """The newest published version."""
    return call.session.scalar(sa.select(sa.func.max(Revision.version)).where(
        Revision.document_id == document.id, Revision.state == "published", Revision.deleted_at.is_(None)))  # fmt: skip


def validation(call: Call) -> dict:
    """The judgement of a version, as it was kept."""
    _, found = pair(call)
    return found.report


def validate(call: Call) -> dict:
    """Judge a content without storing it."""
    imports = FocusImports(call.session, call.context)
    found = storing.examined(call.runtime.extra.judges, call.body or b"", call.query.get("name", "content"), imports)
    return {"format": found.format, **found.judgement.report}


def closure(call: Call) -> dict:
    """All that a version needs, with digests."""
    _, found = pair(call)
    return {"closure": storing.closure(found)}


def archive(call: Call) -> Answer:
    """A version with all that it imports as one CSAR, zip or tar."""
    _, found = pair(call)
    demand_given(call, found)
    kind = call.query.get("as", "zip")
    data = csar.packed(found, lambda one: data_of(call, one), kind)
    name = f"{found.document.id}-{found.version}.{'csar' if kind == 'zip' else 'tar.gz'}"
    return Answer(data, headers={"Content-Disposition": f'attachment; filename="{name}"'}, media=csar.MEDIA[kind])


def delete(call: Call) -> None:
    """Put a tombstone on a version, unless it is used."""
    document, found = pair(call)
    call.change(document, etag(document))
    storing.demand_unused(call.session, call.context, shown(found), [found], f"{LIST}/{document.id}/uses")
    found.deleted_at = document.updated_at = now()
    if document.default_version == found.version:
        document.default_version = _published(call, document)


def undelete(call: Call) -> Answer:
    """Take the tombstone away."""
    document = find(call)
    found = version_of(call, document, deleted=True)
    call.change(document, etag(document))
    found.deleted_at, document.updated_at = None, now()
    call.session.flush()
    return Answer(show_version(found), etag=etag(document))


def use(call: Call) -> dict:
    """Somebody outside needs this version from now on; the caller names it."""
    _, found = pair(call)
    known = call.session.get(Use, (call.path["use_id"], found.id))
    if known is None:
        known = Use(id=call.path["use_id"], revision_id=found.id, user_id=call.context.user_id, project_id=call.context.project_id)
        call.session.add(known)
    elif known.project_id != call.context.project_id and not call.guard.may("admin"):
        raise NotFound(what="use", id=known.id, list=f"{LIST}/{found.document_id}/uses")
    known.title, known.uri = call.body["title"], call.body["uri"]
    return {"kind": "use", "id": known.id, "name": known.title, "uri": known.uri}


def unuse(call: Call) -> None:
    """It is needed no more."""
    document = find(call)
    found = version_of(call, document, deleted=True)
    known = call.session.get(Use, (call.path["use_id"], found.id))
    if known is None or (known.project_id != call.context.project_id and not call.guard.may("admin")):
        raise NotFound(what="use", id=call.path["use_id"], list=f"{LIST}/{document.id}/uses")
    call.session.delete(known)


def diff(call: Call) -> dict:
    """What differs between two versions, of one document or of two; by structure or by lines."""
    one = storing.referred(call.session, call.context, call.query["from"])
    two = storing.referred(call.session, call.context, call.query["to"])
    about = {"from": shown(one), "to": shown(two), "equal": one.sha256 == two.sha256}
    if call.query.get("form") == "text":
        return {**about, "text": _lines(call, one, two)}
    return {**about, "structure": difference.structure(_outline(call, one), _outline(call, two))}


def _lines(call: Call, one: Revision, two: Revision) -> str:
    if one.format == two.format == "csar":
        try:
            files = [judging.files_of(data_of(call, found)) for found in (one, two)]
        except Refused as refused:
            raise NotText(what=f"{shown(one)} or {shown(two)} ({refused.message})") from refused
        return difference.files(*files, shown(one), shown(two))
    texts = []
    for found in (one, two):
        try:
            texts.append(data_of(call, found).decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise NotText(what=shown(found)) from None
    return difference.lines(*texts, shown(one), shown(two))


def _outline(call: Call, found: Revision) -> dict[str, Any]:
    pinned = {link.url: link.target for link in found.links if link.kind == "import"}
    imports = FocusImports(call.session, call.context, pinned)
    judged = storing.examined(call.runtime.extra.judges, data_of(call, found), shown(found), imports).judgement
    if judged.outline is None:
        reason = "its format has no structure" if judged.valid else "it has errors, or is no topology"
        raise NotComparable(what=shown(found), reason=reason)
    return judged.outline


