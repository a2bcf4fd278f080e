"""Tables: namespaces and types of the dictionary; pools, resources and their indexes in the directory; bindings and their claims."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloudos.eden.db import Base, Exact, Id, LongText, Moment, now
from cloudos.eden.models import Owned, new_id
from cloudos.graffiti.types import Namespace, Type

Number = sa.Float(53).with_variant(mysql.DOUBLE(asdecimal=False), "mysql")
# SQLite heeds no length; there the column has that of an earlier release, as it cannot be changed without losing the types.
Space = sa.String(160).with_variant(sa.String(64), "sqlite")
SerialId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class StoredNamespace(Owned, Base):
    """A namespace; `space` makes its name unique among those who would meet it."""

    __tablename__ = "namespace"
    __table_args__ = (sa.UniqueConstraint("name", "space", name="uq_namespace_name"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Exact)
    space: Mapped[str] = mapped_column(Space)
    title: Mapped[str | None] = mapped_column(Exact)
    description: Mapped[str | None] = mapped_column(LongText)
    source: Mapped[str] = mapped_column(sa.String(64), default="")
    associations: Mapped[list] = mapped_column(sa.JSON, default=list)
    extra: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    digest: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)

    def value(self) -> Namespace:
        """As the dictionary has it."""
        return Namespace(self.name, self.title, self.description, self.source, tuple(self.associations), self.extra)


class StoredType(Base):
    """A type of a namespace; `body` is Type.body()."""

    __tablename__ = "type"
    __table_args__ = (sa.UniqueConstraint("namespace_id", "kind", "name", name="uq_type_name"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    namespace_id: Mapped[str] = mapped_column(sa.ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    name: Mapped[str] = mapped_column(Exact)
    body: Mapped[dict] = mapped_column(sa.JSON)
    digest: Mapped[str] = mapped_column(sa.String(64))
    updated_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    namespace: Mapped[StoredNamespace] = relationship()

    def value(self) -> Type:
        """As the dictionary has it."""
        return Type(**{**self.body, "aliases": tuple(self.body["aliases"])})


class Edition(Base):
    """One row: the number of changes of the dictionary, so that processes know when what they hold is old."""

    __tablename__ = "edition"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    number: Mapped[int] = mapped_column(default=0)


class Pool(Owned, Base):
    """One region of one provider and how to log in to it. `secret` is encrypted; it stays in a deleted pool, for de-provisioning."""

    __tablename__ = "resource_pool"
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Exact)
    state: Mapped[str] = mapped_column(sa.String(16), default="active")
    type: Mapped[str] = mapped_column(sa.String(32), default="openstack")
    version: Mapped[str | None] = mapped_column(sa.String(64))
    provider_url: Mapped[str] = mapped_column(sa.String(1024))
    region_id: Mapped[str | None] = mapped_column(Exact)
    country: Mapped[str | None] = mapped_column(sa.String(64))
    login: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    secret: Mapped[bytes] = mapped_column(sa.LargeBinary)
    services: Mapped[list] = mapped_column(sa.JSON, default=list)
    prices: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    quota: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    checked_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    discovered_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    version_id: Mapped[int] = mapped_column(default=1)
    __mapper_args__ = {"version_id_col": version_id}


class Resource(Owned, Base):
    """Something that a pool has, or that was published by hand. `native_id` is its id at its provider.

    capabilities: [{name, type, properties}]. capacity: class -> how many uses it has; none means as many as wanted. price: per hour.
    """

    __tablename__ = "resource"
    __table_args__ = (
        sa.UniqueConstraint("pool_id", "type", "native_id", name="uq_resource_native"), sa.Index("ix_resource_type", "type", "name"),
    )  # fmt: skip
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    pool_id: Mapped[str | None] = mapped_column(sa.ForeignKey("resource_pool.id"), index=True)
    type: Mapped[str] = mapped_column(Exact)
    name: Mapped[str] = mapped_column(Exact)
    native_id: Mapped[str] = mapped_column(Exact)
    description: Mapped[str | None] = mapped_column(LongText)
    provider: Mapped[str] = mapped_column(Exact, default="")
    region: Mapped[str] = mapped_column(Exact, default="")
    zone: Mapped[str] = mapped_column(Exact, default="")
    properties: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    capabilities: Mapped[list] = mapped_column(sa.JSON, default=list)
    requirements: Mapped[list] = mapped_column(sa.JSON, default=list)
    tags: Mapped[list] = mapped_column(sa.JSON, default=list)
    health: Mapped[str] = mapped_column(sa.String(16), default="ok")
    capacity: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    price: Mapped[float | None] = mapped_column(Number)
    source: Mapped[str] = mapped_column(sa.String(64), default="published")
    digest: Mapped[str] = mapped_column(sa.String(64), default="")
    seen_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    vanished_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)


class Capability(Base):
    """Index: the resources of a capability type."""

    __tablename__ = "resource_capability"
    __table_args__ = (sa.Index("ix_resource_capability_type", "type", "resource_id"), {"sqlite_with_rowid": False})
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Exact, primary_key=True)
    type: Mapped[str] = mapped_column(Exact)


class Property(Base):
    """Index: one comparable value of a resource (capability and type are empty) or of one of its capabilities; those of a resource lie
    together, in the order of their names."""

    __tablename__ = "resource_property"
    __table_args__ = (
        sa.Index("ix_resource_property_number", "name", "kind", "number", "resource_id"),
        sa.Index("ix_resource_property_text", "name", "text", "resource_id"),
        {"sqlite_with_rowid": False},
    )
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Exact, primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    capability: Mapped[str] = mapped_column(Exact, default="")
    type: Mapped[str] = mapped_column(Exact, default="")
    kind: Mapped[str] = mapped_column(sa.String(16))
    number: Mapped[float] = mapped_column(Number)
    text: Mapped[str] = mapped_column(Exact)


class Word(Base):
    """Index: a word of a resource's name, description, tags or text values; the same full text on every database."""

    __tablename__ = "resource_word"
    __table_args__ = ({"sqlite_with_rowid": False},)
    word: Mapped[str] = mapped_column(sa.String(64).with_variant(mysql.VARCHAR(64, collation="utf8mb4_bin"), "mysql"), primary_key=True)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, index=True)


class ResourceTag(Base):
    """Index: a tag of a resource."""

    __tablename__ = "resource_tag"
    __table_args__ = ({"sqlite_with_rowid": False},)
    tag: Mapped[str] = mapped_column(Exact, primary_key=True)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, index=True)


class Binding(Owned, Base):
    """What was bound: the request, and per requirement the chosen resource. state: reserved, committed, released or expired."""

    __tablename__ = "binding"
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Exact)
    state: Mapped[str] = mapped_column(sa.String(16), default="reserved")
    request: Mapped[dict] = mapped_column(sa.JSON)
    chosen: Mapped[dict] = mapped_column(sa.JSON)
    profile: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    created_at: Mapped[datetime.datetime] = mapped_column(Moment, default=now)
    expires_at: Mapped[datetime.datetime | None] = mapped_column(Moment)
    version_id: Mapped[int] = mapped_column(default=1)
    claims: Mapped[list[Claim]] = relationship(cascade="all, delete-orphan", passive_deletes=True)
    __mapper_args__ = {"version_id_col": version_id}


class Claim(Base):
    """So much of a quota of a pool (resource_id empty), or of a resource's capacity, is spoken for until the binding ends."""

    __tablename__ = "claim"
    TURN = "claims"  # what changes how much of pools and resources is left takes it
    id: Mapped[int] = mapped_column(SerialId, primary_key=True, autoincrement=True)
    binding_id: Mapped[str] = mapped_column(sa.ForeignKey("binding.id", ondelete="CASCADE"), index=True)
    pool_id: Mapped[str | None] = mapped_column(sa.ForeignKey("resource_pool.id"), index=True)
    resource_id: Mapped[str | None] = mapped_column(sa.ForeignKey("resource.id", ondelete="CASCADE"), index=True)
    of: Mapped[str] = mapped_column(sa.String(64))
    amount: Mapped[float] = mapped_column(Number)
    expires_at: Mapped[datetime.datetime | None] = mapped_column(Moment)


TABLES: tuple[Any, ...] = (StoredNamespace, StoredType, Edition, Pool, Resource, Capability, Property, Word, ResourceTag, Binding, Claim)
