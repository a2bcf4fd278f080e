"""Rows that transactions wait for, so that quotas hold."""

import sqlalchemy as sa
from alembic import op

from cloudos.eden.db import Exact

revision = "eden_0002"
down_revision = "eden_0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table("turn",
        sa.Column("name", Exact, nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )  # fmt: skip
