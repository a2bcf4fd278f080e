"""The toy's table."""

import sqlalchemy as sa
from alembic import op

from cloudos.eden.db import Moment

revision = "toy_0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "note",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("edition", sa.Integer, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False, index=True),
        sa.Column("domain_id", sa.String(64)),
    )
