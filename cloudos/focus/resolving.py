"""Names: which document and version a name means for a caller, and imports of templates through Focus, never the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden.policy import SCOPES, visible
from cloudos.focus.models import Content, Document, Revision, TypeName
from cloudos.tosca.resolver import FileResolver, Location, Refused, Tree


def space_of(scope: str, user: str, project: str) -> str:
    """Those among whom a name of that scope is unique."""
    return {"private-project": f"user {user} in {project}", "private-cloud": f"user {user}", "public-project": f"project {project}",
            "public-cloud": "cloud"}[scope]  # fmt: skip


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


class Stored(Tree):
    """All documents of Focus as files named by their revision's id; problems show name@version."""

    def __init__(self, session: Session):
        super().__init__("")
        self._session = session
        self.revisions: dict[str, Revision] = {}

    def file(self, found: Revision) -> Location:
        """The revision as a file."""
        self.revisions[found.id] = found
        return Location(self, found.id)

    def label(self, name: str) -> str:
        """Name and version."""
        return shown(self.revisions[name]) if name in self.revisions else name

    def exists(self, name: str) -> bool:
        """Whether it was found by a name before."""
        return name in self.revisions

    def names(self) -> Iterator[str]:
        """None: nobody looks through all of Focus for a profile."""
        return iter(())

    def read(self, name: str, limit: int) -> bytes:
        """Content of a revision."""
        if name not in self.revisions:
            raise Refused("import.missing", f"{name} is not in Focus", "Store it first.")
        data = self._session.scalar(sa.select(Content.data).where(Content.sha256 == self.revisions[name].sha256))
        if data is None or len(data) > limit:
            raise Refused("file.too_large", f"{self.label(name)} cannot be read", "Store it again, smaller.")
        return data


class FocusResolver(FileResolver):
    """Imports inside an archive as files; everything else by name, or by address as name, among what the caller sees.

    `found`: what the judged document itself imports, as (url, revision). What a stored document imports is what it was found to
    import when it was stored, so that a closure stays what it was.
    """

    def __init__(self, session: Session, context: RequestContext, pinned: dict[str, Revision] | None = None):
        super().__init__()
        self._session, self._context, self._pinned = session, context, pinned or {}
        self.stored = Stored(session)
        self.found: dict[str, Revision] = {}

    def importing(self, url: str, importer: Location, repository: str | None) -> Location:
        """The file or document that an import means."""
        if importer.tree is not self.stored and importer.tree.complete and not url.startswith("focus:"):
            try:
                return super().importing(url, importer, repository)
            except Refused as refused:
                if refused.rule not in ("import.missing", "import.network"):
                    raise
        written = f"{repository.rstrip('/')}/{url.lstrip('/')}" if repository else url
        return self._location(written, importer, lambda: self._by_name(written))

    def profile(self, name: str, importer: Location) -> Location:
        """The document that is the profile: one named so, or one whose content says so."""
        if importer.tree is not self.stored and importer.tree.complete:
            try:
                return super().profile(name, importer)
            except Refused:
                pass  # not in the archive: it may be in Focus
        return self._location(name, importer, lambda: self._by_profile(name))

    def _location(self, url: str, importer: Location, find: Any) -> Location:
        if importer.tree is self.stored:
            pins = {link.url: link.target for link in self.stored.revisions[importer.name].links if link.kind == "import"}
            found = pins.get(url) or find()
        else:
            found = self._pinned.get(url) or find()
            self.found[url] = found
        if found.state == "revoked":
            raise Refused("import.missing", f"{shown(found)} was revoked: {found.reason}", "Import another version.")
        return self.stored.file(found)

    def _by_name(self, url: str) -> Revision:
        name, version = parsed(url)
        for document in documents_named(self._session, self._context, name):
            if found := revision(self._session, document, version):
                return found
            raise Refused("import.missing", f"document {name} has no version {version}", "GET its versions, and name one of these.")
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
