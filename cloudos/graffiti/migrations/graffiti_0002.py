"""Names of namespaces are unique among those who would meet them: a private one is its user's, and not its project's."""

import sqlalchemy as sa
from alembic import op

revision = "graffiti_0002"
down_revision = "graffiti_0001"
SPACES = {
    "private-project": "user {user_id} in {project_id}", "private-cloud": "user {user_id}", "public-project": "project {project_id}",
    "public-cloud": "cloud",
}  # fmt: skip


def upgrade() -> None:
    """Widen and rename the column, and write it anew."""
    if op.get_bind().dialect.name == "sqlite":
        # It heeds no length, and to make the table anew would delete the types, which refer to it.
        op.execute("ALTER TABLE namespace RENAME COLUMN owner TO space")
    else:
        op.alter_column("namespace", "owner", new_column_name="space", existing_type=sa.String(64), type_=sa.String(160), nullable=False)
    table = sa.table("namespace", *map(sa.column, ("id", "space", "scope", "user_id", "project_id")))
    for row in op.get_bind().execute(sa.select(table)).mappings().all():
        op.execute(sa.update(table).where(table.c.id == row["id"]).values(space=SPACES[row["scope"]].format(**row)))
