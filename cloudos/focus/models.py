"""Tables of Focus: documents with their immutable revisions, contents by digest, what they import, who uses them."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from cloudos.eden.db import Base, Blob, Exact, Id, LongText, Moment, now
from cloudos.eden.models import Owned, new_id

STATES = ("draft", "published", "deprecated", "revoked")


class Document(Base, Owned):
    """What a name stands for. `space` and `live` make a name unique among those who would meet it; deleted ones have live NULL."""

    __tablename__ = "document"
    __table_args__ = (sa.UniqueConstraint("space", "name", "live", name="document_name"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Exact)
    space: Mapped[str] = mapped_column(sa.String(160))
    live: Mapped[bool | None] = mapped_column(default=True)
    type: Mapped[str] = mapped_column(sa.String(32), index=True)
    description: Mapped[str] = mapped_column(LongText, default="")
    properties: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    default_version: Mapped[int | None] = mapped_column()
    latest: Mapped[int] = mapped_column(default=0)
    edition: Mapped[int] = mapped_column()
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    deleted_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    tags: Mapped[list[Tag]] = relationship(order_by="Tag.name", cascade="all, delete-orphan", passive_deletes=True)
    __mapper_args__ = {"version_id_col": edition}


class Tag(Base):
    """A word that somebody put on a document."""

    __tablename__ = "tag"
    document_id: Mapped[str] = mapped_column(sa.ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Exact, primary_key=True)


class Content(Base):
    """Bytes, once for each digest."""

    __tablename__ = "content"
    sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(Blob)


class Words(Base):
    """The words of a revision's content, and of its document's name and description, which full text search looks into.

    searching.py says what words are; the index itself is in the migrations.
    """

    __tablename__ = "revision_words"
    number: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True)
    revision_id: Mapped[str] = mapped_column(sa.ForeignKey("revision.id", ondelete="CASCADE"), unique=True)
    content: Mapped[str] = mapped_column(LongText)
    about: Mapped[str] = mapped_column(LongText)


class Revision(Base):
    """One version of a document; its content never changes, its state and its judgement may."""

    __tablename__ = "revision"
    __table_args__ = (sa.UniqueConstraint("document_id", "version", name="revision_version"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    document_id: Mapped[str] = mapped_column(sa.ForeignKey("document.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column()
    label: Mapped[str | None] = mapped_column(sa.String(64))
    sha256: Mapped[str] = mapped_column(sa.ForeignKey("content.sha256"), index=True)
    size: Mapped[int] = mapped_column(sa.BigInteger)
    format: Mapped[str] = mapped_column(sa.String(16))
    content_type: Mapped[str] = mapped_column(sa.String(128))
    parent: Mapped[int | None] = mapped_column()
    comment: Mapped[str] = mapped_column(LongText, default="")
    user_id: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    state: Mapped[str] = mapped_column(sa.String(16), default="draft")
    reason: Mapped[str] = mapped_column(LongText, default="")
    valid: Mapped[bool] = mapped_column(default=False)
    report: Mapped[dict[str, Any]] = mapped_column(sa.JSON(none_as_null=True))
    judged_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    deleted_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    document: Mapped[Document] = relationship()
    links: Mapped[list[Link]] = relationship(foreign_keys="Link.revision_id", cascade="all, delete-orphan", passive_deletes=True)
    names: Mapped[list[TypeName]] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class Link(Base):
    """A revision imports, or refers to, a version of a document: `url` is how it is written, the rest what it was found to be."""

    __tablename__ = "link"
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    revision_id: Mapped[str] = mapped_column(sa.ForeignKey("revision.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    url: Mapped[str] = mapped_column(LongText)
    target_id: Mapped[str] = mapped_column(sa.ForeignKey("revision.id"), index=True)
    target: Mapped[Revision] = relationship(foreign_keys=target_id)


class TypeName(Base):
    """A TOSCA type that a revision defines or uses, or the profile that it is."""

    __tablename__ = "type_name"
    revision_id: Mapped[str] = mapped_column(sa.ForeignKey("revision.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    name: Mapped[str] = mapped_column(Exact, primary_key=True, index=True)


class Use(Base):
    """Something outside Focus that needs a version, as a running topology; while it is there the version cannot be deleted."""

    __tablename__ = "used"
    id: Mapped[str] = mapped_column(Exact, primary_key=True)
    revision_id: Mapped[str] = mapped_column(sa.ForeignKey("revision.id"), primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(255))
    uri: Mapped[str] = mapped_column(LongText)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    project_id: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)


# `latest` numbers versions and never goes back; this is the newest that has no tombstone.
Document.newest = column_property(
    sa.select(sa.func.max(Revision.version)).where(Revision.document_id == Document.id, Revision.deleted_at.is_(None))
    .correlate_except(Revision).scalar_subquery()
)  # fmt: skip
