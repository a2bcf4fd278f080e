"""Topologies, states, what is kept for them, designs and plans."""

import sqlalchemy as sa
from alembic import op

from cloudos.eden.db import Blob, Exact, LongText, Moment

revision = "eve_0001"
down_revision = None

OWNED = (
    ("scope", sa.String(length=16), False), ("user_id", sa.String(length=64), False), ("project_id", sa.String(length=64), False),
    ("domain_id", sa.String(length=64), True),
)  # fmt: skip


def owned() -> list[sa.Column]:
    """The columns of who has it."""
    return [sa.Column(name, kind, nullable=nullable) for name, kind, nullable in OWNED]


def upgrade() -> None:
    """Make the tables."""
    op.create_table("topology",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("mark", sa.String(length=128), nullable=False),
        sa.Column("name", Exact, nullable=False),
        sa.Column("description", LongText, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("design_sha256", sa.String(length=64), nullable=True),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("pools", sa.JSON(), nullable=False),
        sa.Column("nodes", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("fault", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mark"),
    )
    op.create_index("ix_topology_project_id", "topology", ["project_id"], unique=False)
    op.create_index("ix_topology_design_sha256", "topology", ["design_sha256"], unique=False)
    op.create_table("state",
        sa.Column("topology_id", sa.String(length=36), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["topology_id"], ["topology.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("topology_id"),
    )
    op.create_table("kept",
        sa.Column("topology_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("data", Blob, nullable=False),
        sa.ForeignKeyConstraint(["topology_id"], ["topology.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("topology_id", "name"),
    )
    op.create_table("design",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("data", Blob, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table("plan",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("topology_id", sa.String(length=36), nullable=True),
        sa.Column("name", Exact, nullable=False),
        sa.Column("design_sha256", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("pools", sa.JSON(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        *owned(),
        sa.ForeignKeyConstraint(["topology_id"], ["topology.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("project_id", "topology_id", "design_sha256"):
        op.create_index(f"ix_plan_{column}", "plan", [column], unique=False)
