"""What words are, for full text search.

What is indexed are not the texts but their words, so that MariaDB and SQLite agree on what a word is: letters and digits, without
case and accents. A name of several words (`my.nodes.Web`, `db_password`) is indexed from each of its words on (`my_nodes_web`,
`nodes_web`, `web`); so a search finds whatever begins where a word begins, across dots as well, by an index on beginnings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

NAME = re.compile(r"[^\W_]+(?:[\w.:/@+-]*[^\W_])?")
WORD = re.compile(r"[^\W_]+")
# InnoDB indexes words of 3 to 84 characters, and not those of a list of English ones (the, for, com), which are somebody's names of
# inputs: so all end in _, short ones in several, and long ones are cut.
SHORTEST, LONGEST = 3, 64
MOST_IN_NAME = 8  # so far a name is indexed from each of its words on: a path of a thousand parts is no million words
MOST = 200_000


def words_of(text: str) -> str:
    """The words of a text as the index has them, each once."""
    found: dict[str, None] = {}
    for name in dict.fromkeys(NAME.findall(_folded(text))):
        words = WORD.findall(name)
        for start in range(len(words)):
            found[("_".join(words[start : start + MOST_IN_NAME])[:LONGEST] + "_").ljust(SHORTEST, "_")] = None
        if len(found) > MOST:
            break
    return " ".join(found)


def beginnings(query: str) -> Iterator[str]:
    """What the index is asked for to find the words of a query."""
    for name in NAME.findall(_folded(query)):
        yield "_".join(WORD.findall(name)[:MOST_IN_NAME])[:LONGEST]


def _folded(text: str) -> str:
    """Without case and accents."""
    if text.isascii():
        return text.lower()
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)).casefold()
