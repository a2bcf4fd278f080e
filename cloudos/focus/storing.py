"""Making documents and revisions: content by digest, judgement, links; and what keeps one from being deleted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden.db import now
from cloudos.eden.policy import space_of, visible
from cloudos.eden.problems import BadRequest, NotFound
from cloudos.focus import judging, searching
from cloudos.focus.judges import Judges
from cloudos.focus.models import Content, Document, Link, Revision, Tag, TypeName, Use, Words
from cloudos.focus.problems import InUse, NameTaken, UnsafeContent
from cloudos.focus.resolving import FocusImports, documents_named, parsed, revision, shown
from cloudos.tosca.resolver import Refused

# The original's document types.
TYPES = ("resource_binding", "ui_binding", "application_type", "infrastructure_type", "platform_type", "application_topology",
         "infrastructure_topology", "platform_topology")  # fmt: skip


@dataclass
class Upload:
    """A content that somebody sends, and what is said of it. references: documents that it refers to, as id, name or name@version."""

    content: bytes
    content_type: str | None = None
    label: str | None = None
    comment: str = ""
    references: list[str] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(self.content).hexdigest()


def named(session: Session, document: Document, name: str, scope: str) -> None:
    """Give a document a name and a scope. Raises NameTaken."""
    space = space_of(scope, document.user_id, document.project_id)
    taken = sa.select(Document.id).where(Document.space == space, Document.name == name, Document.live.is_(True))
    if other := session.scalar(taken.where(Document.id != (document.id or ""))):
        raise NameTaken(name=name, scope=scope, document=other)
    document.name, document.scope, document.space = name, scope, space


def tagged(document: Document, tags: list[str]) -> None:
    """Set the tags."""
    kept = {tag.name: tag for tag in document.tags}
    document.tags = [kept.get(name) or Tag(name=name) for name in dict.fromkeys(tags)]


def add_revision(session: Session, context: RequestContext, judges: Judges, document: Document, upload: Upload) -> tuple[Revision, bool]:
    """(the new revision, True), or the newest with False where it has the same content. Raises UnsafeContent, BadRequest.

    A draft that was wrong is judged anew then: what it imports may be there by now.
    """
    newest = session.scalar(sa.select(Revision).where(Revision.document_id == document.id, Revision.version == document.latest))
    if newest is not None and newest.sha256 == upload.sha256 and newest.deleted_at is None:
        if newest.state == "draft" and not newest.valid:
            judge_again(session, context, judges, newest, upload.content)
        return newest, False
    if upload.label and session.scalar(sa.select(Revision.id).where(Revision.document_id == document.id, Revision.label == upload.label)):
        raise BadRequest(what="The label", errors=[{"pointer": "label", "message": f"{upload.label} is a version already; choose another"}])
    version = document.latest + 1
    imports = FocusImports(session, context)
    found = examined(judges, upload.content, f"{document.name}@{version}", imports)
    kind = found.format
    if session.get(Content, upload.sha256) is None:
        session.add(Content(sha256=upload.sha256, data=upload.content))
        session.flush()
    document.latest = version
    made = Revision(document=document, version=document.latest, label=upload.label, sha256=upload.sha256, size=len(upload.content),
                    format=kind, content_type=upload.content_type or judging.CONTENT_TYPES[kind], comment=upload.comment,
                    parent=newest.version if newest else None, user_id=context.user_id, state="draft", report={}, valid=False)  # fmt: skip
    session.add(made)
    session.flush()
    session.add(Words(revision_id=made.id, content=found.words, about=searching.about(document)))
    for reference in upload.references:
        made.links.append(Link(kind="reference", url=reference, target=referred(session, context, reference)))
    _judged(made, found, imports)
    document.updated_at = now()
    session.flush()
    return made, True


def examined(judges: Judges, content: bytes, name: str, imports: FocusImports) -> judging.Examined:
    """What is known of a content. Raises UnsafeContent."""
    try:
        return judges.examine(content, name, imports)
    except Refused as refused:
        raise UnsafeContent(reason=refused.message, mend=refused.mend) from refused


def judge_again(session: Session, context: RequestContext, judges: Judges, made: Revision, content: bytes) -> None:
    """Judge a revision anew, and index its words. What is published keeps its imports."""
    pinned = {link.url: link.target for link in made.links if link.kind == "import"} if made.state != "draft" else {}
    imports = FocusImports(session, context, pinned)
    found = examined(judges, content, shown(made), imports)
    _judged(made, found, imports)
    session.execute(sa.update(Words).where(Words.revision_id == made.id).values(content=found.words))


def _judged(made: Revision, examined: judging.Examined, imports: FocusImports) -> None:
    """Keep what was found of a revision: report, type names, imports."""
    found = examined.judgement
    _warn(found, imports)
    made.report, made.valid, made.judged_at = found.report, found.valid, now()
    made.names = [TypeName(role=role, name=name) for role, name in sorted(found.names)]
    made.links = [link for link in made.links if link.kind != "import"] + [
        Link(kind="import", url=url, target=target) for url, target in sorted(imports.found.items()) if target.id != made.id
    ]


def _warn(found: judging.Judgement, imports: FocusImports) -> None:
    for url, target in imports.found.items():
        if target.state == "deprecated":
            message = f"{url} is {shown(target)}, which is deprecated: {target.reason}"
            found.report["problems"].append({"file": "", "line": 1, "column": 1, "rule": "import.deprecated", "severity": "warning",
                                             "message": message, "mend": "Import a newer version."})  # fmt: skip
            found.report["count"] += 1


def referred(session: Session, context: RequestContext, reference: str) -> Revision:
    """The revision that a reference means: a document's id or name, with @version or without. Raises NotFound."""
    name, version = parsed(reference)
    one = session.scalar(sa.select(Document).where(Document.id == name, Document.live.is_(True), visible(Document, context)))
    for document in [one] if one else documents_named(session, context, name):
        if found := revision(session, document, version):
            return found
    raise NotFound(what="document", id=reference, list="/v1/documents")


def users_of(session: Session, context: RequestContext, versions: list[Revision]) -> list[dict[str, Any]]:
    """Who needs these revisions: documents that import or refer to them, and uses from outside; those not seen are counted only."""
    ids = [one.id for one in versions]
    own = {one.document_id for one in versions}
    statement = (
        sa.select(Link, Revision, Document).join(Revision, Link.revision_id == Revision.id)
        .join(Document, Document.id == Revision.document_id).add_columns(visible(Document, context))
        .where(Link.target_id.in_(ids), Revision.deleted_at.is_(None), Document.live.is_(True))
    )  # fmt: skip
    found: list[dict[str, Any]] = []
    hidden = 0
    for link, user, document, seen in session.execute(statement):
        if document.id in own and len(own) == 1 and user.id in ids:
            continue
        if seen:
            found.append({"kind": link.kind, "name": shown(user), "document": document.id, "version": user.version})
        else:
            hidden += 1
    for use in session.scalars(sa.select(Use).where(Use.revision_id.in_(ids))):
        if use.project_id == context.project_id or "admin" in context.roles:
            found.append({"kind": "use", "name": use.title, "uri": use.uri, "id": use.id})
        else:
            hidden += 1
    return found + ([{"kind": "hidden", "name": f"{hidden} that you may not see"}] if hidden else [])


def demand_unused(session: Session, context: RequestContext, what: str, versions: list[Revision], list: str) -> None:
    """Raise InUse where somebody needs one of the revisions."""
    if users := users_of(session, context, versions):
        raise InUse(what=what, users=", ".join(user["name"] for user in users[:10]), used_by=users, list=list)


def closure(found: Revision) -> list[dict[str, Any]]:
    """Everything that a revision needs, itself first: what each imports or refers to, with digests. Cycles end."""
    seen: dict[str, dict[str, Any]] = {}
    waiting = [found]
    while waiting:
        one = waiting.pop(0)
        if one.id in seen:
            continue
        seen[one.id] = {
            "document": one.document_id, "name": one.document.name, "version": one.version, "sha256": one.sha256, "size": one.size,
            "state": one.state, "deleted": one.deleted_at is not None or not one.document.live,
            "imports": [{"url": link.url, "kind": link.kind, "name": shown(link.target), "sha256": link.target.sha256}
                        for link in sorted(one.links, key=lambda link: (link.kind, link.url))],
        }  # fmt: skip
        waiting += [link.target for link in one.links]
    return list(seen.values())
