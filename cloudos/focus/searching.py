"""Full text search: the index of the database behind the words of a revision."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Session

from cloudos.focus.models import Document, Revision, Words
from cloudos.focus.words import beginnings, words_of

# FTS5 of SQLite: a table beside the one with the words, which triggers keep like it.
INDEX = sa.table("revision_words_index", sa.column("rowid"), sa.column("revision_words_index"))


def about(document: Document) -> str:
    """The words of its name and description."""
    return words_of(f"{document.name}\n{document.description}")


def renamed(session: Session, document: Document) -> None:
    """Its name or description is another one."""
    versions = sa.select(Revision.id).where(Revision.document_id == document.id)
    session.execute(sa.update(Words).where(Words.revision_id.in_(versions)).values(about=about(document)))


def having(session: Session, query: str) -> sa.ColumnElement[bool]:
    """Revisions that have all words of a search; none where there is no word in it."""
    wanted = list(dict.fromkeys(beginnings(query)))
    if not wanted:
        return sa.false()
    if session.get_bind().dialect.name == "sqlite":
        rows = sa.select(INDEX.c.rowid).where(INDEX.c.revision_words_index.op("MATCH")(" AND ".join(f'"{one}"*' for one in wanted)))
        found = Words.number.in_(rows)
    else:
        found = mysql.match(Words.content, Words.about, against=" ".join(f"+{one}*" for one in wanted)).in_boolean_mode()
    return Revision.id.in_(sa.select(Words.revision_id).where(found))
