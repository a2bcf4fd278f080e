"""The tables of the dictionary, the directory and of bindings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cloudos.eden.db import Exact, Id, LongText, Moment

revision = "graffiti_0001"
down_revision = None
Number = sa.Float(53).with_variant(mysql.DOUBLE(asdecimal=False), "mysql")
SerialId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "namespace",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", Exact, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("title", Exact, nullable=True),
        sa.Column("description", LongText, nullable=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("associations", sa.JSON(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("domain_id", sa.String(64), nullable=True),
        sa.UniqueConstraint("name", "owner", name="uq_namespace_name"),
    )
    op.create_index("ix_namespace_project_id", "namespace", ["project_id"])
    op.create_table(
        "type",
        sa.Column("id", Id, primary_key=True),
        sa.Column("namespace_id", Id, sa.ForeignKey("namespace.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", Exact, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.UniqueConstraint("namespace_id", "kind", "name", name="uq_type_name"),
    )
    op.create_index("ix_type_namespace_id", "type", ["namespace_id"])
    op.create_table(
        "edition",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), nullable=False),
    )
    op.create_table(
        "resource_pool",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", Exact, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("provider_url", sa.String(1024), nullable=False),
        sa.Column("region_id", Exact, nullable=True),
        sa.Column("country", sa.String(64), nullable=True),
        sa.Column("login", sa.JSON(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.Column("prices", sa.JSON(), nullable=False),
        sa.Column("quota", sa.JSON(), nullable=False),
        sa.Column("checked_at", Moment(), nullable=False),
        sa.Column("discovered_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("domain_id", sa.String(64), nullable=True),
    )
    op.create_index("ix_resource_pool_project_id", "resource_pool", ["project_id"])
    op.create_table(
        "resource",
        sa.Column("id", Id, primary_key=True),
        sa.Column("pool_id", Id, sa.ForeignKey("resource_pool.id"), nullable=True),
        sa.Column("type", Exact, nullable=False),
        sa.Column("name", Exact, nullable=False),
        sa.Column("native_id", Exact, nullable=False),
        sa.Column("description", LongText, nullable=True),
        sa.Column("provider", Exact, nullable=False),
        sa.Column("region", Exact, nullable=False),
        sa.Column("zone", Exact, nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("requirements", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("health", sa.String(16), nullable=False),
        sa.Column("capacity", sa.JSON(), nullable=False),
        sa.Column("price", Number, nullable=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.Column("vanished_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("domain_id", sa.String(64), nullable=True),
        sa.UniqueConstraint("pool_id", "type", "native_id", name="uq_resource_native"),
    )
    op.create_index("ix_resource_pool_id", "resource", ["pool_id"])
    op.create_index("ix_resource_project_id", "resource", ["project_id"])
    op.create_index("ix_resource_type", "resource", ["type", "name"])
    op.create_table(
        "resource_capability",
        sa.Column("resource_id", Id, sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", Exact, primary_key=True),
        sa.Column("type", Exact, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_resource_capability_type", "resource_capability", ["type", "resource_id"])
    op.create_table(
        "resource_property",
        sa.Column("resource_id", Id, sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", Exact, primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("capability", Exact, nullable=False),
        sa.Column("type", Exact, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", Number, nullable=False),
        sa.Column("text", Exact, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_resource_property_number", "resource_property", ["name", "kind", "number", "resource_id"])
    op.create_index("ix_resource_property_text", "resource_property", ["name", "text", "resource_id"])
    op.create_table(
        "resource_word",
        sa.Column("word", sa.String(64).with_variant(mysql.VARCHAR(64, collation="utf8mb4_bin"), "mysql"), primary_key=True),
        sa.Column("resource_id", Id, sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_resource_word_resource_id", "resource_word", ["resource_id"])
    op.create_table(
        "resource_tag",
        sa.Column("tag", Exact, primary_key=True),
        sa.Column("resource_id", Id, sa.ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_resource_tag_resource_id", "resource_tag", ["resource_id"])
    op.create_table(
        "binding",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", Exact, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("chosen", sa.JSON(), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("domain_id", sa.String(64), nullable=True),
    )
    op.create_index("ix_binding_project_id", "binding", ["project_id"])
    op.create_table(
        "claim",
        sa.Column("id", SerialId, primary_key=True, autoincrement=True),
        sa.Column("binding_id", Id, sa.ForeignKey("binding.id", ondelete="CASCADE"), nullable=False),
        sa.Column("pool_id", Id, sa.ForeignKey("resource_pool.id"), nullable=True),
        sa.Column("resource_id", Id, sa.ForeignKey("resource.id", ondelete="CASCADE"), nullable=True),
        sa.Column("of", sa.String(64), nullable=False),
        sa.Column("amount", Number, nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
    )
    op.create_index("ix_claim_binding_id", "claim", ["binding_id"])
    op.create_index("ix_claim_pool_id", "claim", ["pool_id"])
    op.create_index("ix_claim_resource_id", "claim", ["resource_id"])
