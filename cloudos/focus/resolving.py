"""Names: which document and version a name means for a caller, and imports of templates through Focus, never the network."""

from __future__ import annotations

import sqlalchemy as sa
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden.policy import SCOPES, visible
from cloudos.focus.models import Content, Document, Revision, TypeName
from cloudos.tosca.resolver import Refused


def parsed(text: str) -> tuple[str, str | None]:
    """(name, version) of name@version; an e-mail's @ or a URL's has no place in a version."""
    name, at, version = text.removeprefix("focus:").rpartition("@")
    if not at or "/" in version:
        return text.removeprefix("focus:"), None
    return name, version


def documents_named(session: Session, context: RequestContext, name: str) -> list[Document]:
    """Those of that name that the caller sees: its own first, then the project's, then the cloud's."""
    statement = sa.select(Document).where(Document.name == name, Document.live.is_(True), visible(Document, context))
    found = [one for one in session.scalars(statement) if one.name == name]

    def near(one: Document) -> tuple[bool, int]:
        return (one.user_id != context.user_id if one.scope.startswith("private") else one.project_id != context.project_id,
                SCOPES.index(one.scope))  # fmt: skip

    return sorted(found, key=near)


def revision(session: Session, document: Document, version: str | int | None) -> Revision | None:
    """A version: by number, by label, by sha256:digest; None is the default, or the newest."""
    statement = sa.select(Revision).where(Revision.document_id == document.id, Revision.deleted_at.is_(None))
    if version is None:
        version = document.default_version
        if version is None:
            return session.scalar(statement.order_by(Revision.version.desc()).limit(1))
    text = str(version)
    if text.isascii() and text.isdecimal() and len(text) < 10:
        statement = statement.where(Revision.version == int(text))
    elif text.startswith("sha256:"):
        statement = statement.where(Revision.sha256 == text[7:])
    else:
        statement = statement.where(Revision.label == text)
    return session.scalar(statement.order_by(Revision.version.desc()).limit(1))


class FocusImports:
    """What a content imports: by name, or by address as name, among what the caller sees.

    `found`: what the judged document itself imports, as url -> revision. What a stored document imports is what it was found to
    import when it was stored, so that a closure stays what it was.
    """

    def __init__(self, session: Session, context: RequestContext, pinned: dict[str, Revision] | None = None):
        self._session, self._context, self._pinned = session, context, pinned or {}
        self._revisions: dict[str, Revision] = {}
        self.found: dict[str, Revision] = {}

    def find(self, kind: str, name: str, importer: str | None) -> tuple[str, str]:
        """(id, name@version) of the revision that an "import" or a "profile" means; importer: the revision's id, None the content."""
        by = self._by_profile if kind == "profile" else self._by_name
        if importer is not None:
            pins = {link.url: link.target for link in self._revisions[importer].links if link.kind == "import"}
            found = pins.get(name) or by(name)
        else:
            found = self.found[name] = self._pinned.get(name) or by(name)
        if found.state == "revoked":
            raise Refused("import.missing", f"{shown(found)} was revoked: {found.reason}", "Import another version.")
        self._revisions[found.id] = found
        return found.id, shown(found)

    def read(self, id: str, limit: int) -> bytes:
        """Content of a revision that was found."""
        found = self._revisions[id]
        data = self._session.scalar(sa.select(Content.data).where(Content.sha256 == found.sha256))
        if data is None or len(data) > limit:
            raise Refused("file.too_large", f"{shown(found)} cannot be read", "Store it again, smaller.")
        return data

    def _by_name(self, url: str) -> Revision:
        name, version = parsed(url)
        for document in documents_named(self._session, self._context, name):
            if found := revision(self._session, document, version):
                return found
            missing = f"has no version {version}" if version else "has no version any more"
            raise Refused("import.missing", f"document {name} {missing}", "GET its versions, and name one of these.")
        if "://" in url:
            mend = f"Store what is there as a document named {name}; nothing is fetched."
            raise Refused("import.network", f"{url} is an address and no document of Focus", mend)
        raise Refused("import.missing", f"{url} is no document of Focus", f"Store it as {name}, or correct the name.")

    def _by_profile(self, name: str) -> Revision:
        named = documents_named(self._session, self._context, parsed(name)[0])
        if named and (found := revision(self._session, named[0], parsed(name)[1])):
            return found
        statement = (
            sa.select(Revision).join(TypeName, TypeName.revision_id == Revision.id).join(Document, Document.id == Revision.document_id)
            .where(TypeName.role == "profile", TypeName.name == name, Revision.deleted_at.is_(None), Document.live.is_(True),
                   visible(Document, self._context)).order_by(Revision.created_at.desc()).limit(1)
        )  # fmt: skip
        if (found := self._session.scalar(statement)) is None:
            raise Refused("import.profile", f"profile {name} is not in Focus", "Store a document with this profile.")
        return found


def shown(found: Revision) -> str:
    """A revision for people: name@version."""
    return f"{found.document.name}@{found.version}"
