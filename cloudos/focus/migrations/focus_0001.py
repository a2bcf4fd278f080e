"""Documents, revisions, contents, links and uses."""

import sqlalchemy as sa
from alembic import op

from cloudos.eden.db import Blob, Exact, LongText, Moment

revision = "focus_0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table("content",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("data", Blob, nullable=False),
        sa.Column("text", LongText, nullable=True),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table("document",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", Exact, nullable=False),
        sa.Column("space", sa.String(length=160), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=True),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("description", LongText, nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("default_version", sa.Integer(), nullable=True),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("deleted_at", Moment(), nullable=True),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("space", "name", "live", name="document_name"),
    )
    op.create_index("ix_document_project_id", "document", ["project_id"], unique=False)
    op.create_index("ix_document_type", "document", ["type"], unique=False)
    op.create_table("revision",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("document_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("content_type", sa.String(length=128), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("comment", LongText, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("report", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("judged_at", Moment(), nullable=True),
        sa.Column("deleted_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sha256"], ["content.sha256"], ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("document_id", "version", name="revision_version"),
    )
    op.create_index("ix_revision_sha256", "revision", ["sha256"], unique=False)
    op.create_table("tag",
        sa.Column("document_id", sa.String(length=36), nullable=False),
        sa.Column("name", Exact, nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("document_id", "name"),
    )
    op.create_table("link",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("revision_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("url", LongText, nullable=False),
        sa.Column("target_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["target_id"], ["revision.id"], ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_link_revision_id", "link", ["revision_id"], unique=False)
    op.create_index("ix_link_target_id", "link", ["target_id"], unique=False)
    op.create_table("type_name",
        sa.Column("revision_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("name", Exact, nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("revision_id", "role", "name"),
    )
    op.create_index("ix_type_name_name", "type_name", ["name"], unique=False)
    op.create_table("used",
        sa.Column("id", Exact, nullable=False),
        sa.Column("revision_id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("uri", LongText, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], ),
        sa.PrimaryKeyConstraint("id", "revision_id"),
    )
