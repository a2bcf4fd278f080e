"""Mistakes in what people wrote: collected while reading and checking, told in one report."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: `where` is "file:line", `message` names the thing, what is wrong and the next step."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class Problems(Exception):
    """All mistakes found; `str()` is the report, `problems` the sorted list of Problem."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = sorted(set(problems), key=_position)
        super().__init__("\n".join(map(str, self.problems)))


class Report:
    """Collects problems until somebody asks for the sum."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, where: str, message: str) -> None:
        """Note one mistake."""
        self.problems.append(Problem(where, message))

    def done(self) -> None:
        """Raise Problems when there is any."""
        if self.problems:
            raise Problems(self.problems)


def nearest(word: object, known: Iterable[object], otherwise: str = "there are") -> str:
    """The end of a message: the known name most like `word`, else the known names (at most twelve)."""
    names = sorted(map(str, known))
    if found := difflib.get_close_matches(str(word), names, 1, 0.6):
        return f"; did you mean {found[0]}?"
    if not names:
        return "; there is none"
    return f"; {otherwise} {', '.join(names[:12])}" + (" ..." if len(names) > 12 else "")


def _position(problem: Problem) -> tuple[str, int, str]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line), problem.message) if line.isdigit() else (problem.where, 0, problem.message)
