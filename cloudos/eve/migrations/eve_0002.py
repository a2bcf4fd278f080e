"""What Focus was told that a topology uses."""

import sqlalchemy as sa
from alembic import op

revision = "eve_0002"
down_revision = "eve_0001"


def upgrade() -> None:
    """Add the column; nothing was told before."""
    op.add_column("topology", sa.Column("uses", sa.JSON(none_as_null=True), nullable=True))
