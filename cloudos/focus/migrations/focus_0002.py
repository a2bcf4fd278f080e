"""Full text search by an index on words instead of looking through all texts."""

import sqlalchemy as sa
from alembic import op

from cloudos.eden.db import Id, LongText

revision = "focus_0002"
down_revision = "focus_0001"
# Which words there are, and not where they stand: what is searched are beginnings of single words.
FTS5 = """CREATE VIRTUAL TABLE revision_words_index USING fts5(
    content, about, content='revision_words', content_rowid='number', tokenize="unicode61 remove_diacritics 0 tokenchars '_'",
    detail='none', prefix='1 2 3')"""
ADD = "INSERT INTO revision_words_index(rowid, content, about) VALUES (new.number, new.content, new.about)"
DROP = """INSERT INTO revision_words_index(revision_words_index, rowid, content, about)
    VALUES ('delete', old.number, old.content, old.about)"""


def upgrade() -> None:
    """Make the table of words and its index, fill it, and let go of the texts."""
    op.create_table("revision_words",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("revision_id", Id, nullable=False),
        sa.Column("content", LongText, nullable=False),
        sa.Column("about", LongText, nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("revision_id"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _index_of_sqlite()
    else:
        op.create_index("revision_words_index", "revision_words", ["content", "about"], mysql_prefix="FULLTEXT")
    _fill(op.get_bind())
    op.drop_column("content", "text")


def _index_of_sqlite() -> None:
    op.execute(FTS5)
    op.execute(f"CREATE TRIGGER revision_words_added AFTER INSERT ON revision_words BEGIN {ADD}; END")
    op.execute(f"CREATE TRIGGER revision_words_gone AFTER DELETE ON revision_words BEGIN {DROP}; END")
    op.execute(f"CREATE TRIGGER revision_words_changed AFTER UPDATE ON revision_words BEGIN {DROP}; {ADD}; END")


def _fill(connection: sa.Connection) -> None:
    # Imported here: what words are belongs to the code of the day, and only an old database has revisions.
    from cloudos.focus.words import words_of

    for id_ in connection.execute(sa.text("SELECT id FROM revision")).scalars().all():
        text, name, description = connection.execute(sa.text(
            "SELECT content.text, document.name, document.description FROM revision JOIN content ON content.sha256 = revision.sha256 "
            "JOIN document ON document.id = revision.document_id WHERE revision.id = :id"), {"id": id_}).one()  # fmt: skip
        row = {"id": id_, "content": words_of(text or ""), "about": words_of(f"{name}\n{description}")}
        connection.execute(sa.text("INSERT INTO revision_words (revision_id, content, about) VALUES (:id, :content, :about)"), row)
