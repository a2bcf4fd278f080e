"""Pages of a list: limit, marker and sort, with a link to the next page; stable while rows come and go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from cloudos.eden.problems import BadRequest

QUERY = {
    "limit": {"type": "integer", "minimum": 1, "description": "Items on the page."},
    "marker": {"type": "string", "maxLength": 64, "description": "The id of the last item of the page before."},
}


def query(columns: Mapping[str, Any]) -> dict[str, dict]:
    """The query parameters of a list that can be sorted by these columns."""
    names = "|".join(columns)
    sort = {"type": "string", "pattern": f"^({names})(:(asc|desc))?(,({names})(:(asc|desc))?)*$",
            "description": f"Columns of {', '.join(columns)}, each with :asc or :desc; default {next(iter(columns))}:asc."}  # fmt: skip
    return {**QUERY, "sort": sort}


class Page:
    """One page of `statement`, which selects `model`. `columns` can be sorted by and are never null; the id breaks ties."""

    def __init__(self, session: Session, conf: cfg.ConfigOpts, asked: Mapping[str, Any], columns: Mapping[str, Any], model: Any,
                 default: str | None = None):  # fmt: skip
        self.limit = min(asked.get("limit") or conf.api.page_limit, conf.api.max_page_limit)
        self._session, self._asked, self._model = session, asked, model
        self._order = self._parse(asked.get("sort") or default or next(iter(columns)), columns)

    def of(self, statement: sa.Select, among: sa.Select | None = None) -> tuple[list[Any], str | None]:
        """(the page's items, the marker of the next page or None). Raises BadRequest for a marker that is not there.

        among: what a marker may be: all that the caller sees, as an item may have left the list meanwhile, yet nothing of others.
        """
        if marker := self._asked.get("marker"):
            seen = sa.select(self._model) if among is None else among
            last = self._session.scalar(seen.where(self._model.id == marker))
            if last is None:
                raise BadRequest(what="The query", errors=[{"pointer": "marker", "message": f"{marker} is no item; begin without marker"}])
            statement = statement.where(self._after(last))
        statement = statement.order_by(*[column.desc() if down else column.asc() for column, down in self._order])
        found = list(self._session.scalars(statement.limit(self.limit + 1)).unique())
        return found[: self.limit], (found[self.limit - 1].id if len(found) > self.limit else None)

    def _parse(self, sort: str, columns: Mapping[str, Any]) -> list[tuple[Any, bool]]:
        order = []
        for part in sort.split(","):
            name, _, direction = part.partition(":")
            order.append((columns[name], direction == "desc"))
        return [*order, (self._model.id, order[0][1])]

    def _after(self, last: Any) -> sa.ColumnElement[bool]:
        """Rows behind the marker's: equal in the first columns, beyond it in the next."""
        choices, equal = [], []
        for column, down in self._order:
            value = getattr(last, column.key)
            choices.append(sa.and_(*equal, column < value if down else column > value))
            equal.append(column == value)
        return sa.or_(*choices)


def links(path: str, asked: Mapping[str, Any], following: str | None) -> list[dict[str, str]]:
    """The links of a page: itself, and the next one if there is one."""
    kept = [(key, value) for key, value in asked.items() if key != "marker"]
    found = [{"rel": "self", "href": _href(path, list(asked.items()))}]
    return found + ([{"rel": "next", "href": _href(path, [*kept, ("marker", following)])}] if following else [])


def _href(path: str, query: list[tuple[str, Any]]) -> str:
    plain = [(key, str(value).lower() if isinstance(value, bool) else value) for key, value in query]
    return f"{path}?{urlencode(plain, doseq=True)}" if plain else path
