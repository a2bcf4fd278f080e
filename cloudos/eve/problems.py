"""Why a topology cannot be compiled, planned or run, told with place and next step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """`place`: "file:line:column", or what else says where; `mend`: the next step."""

    place: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}. {self.mend}" if self.place else f"{self.message}. {self.mend}"


class Undeployable(Exception):
    """A template is valid, but cannot be deployed as it is. `problems`: all of them."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Refused(Exception):
    """Something that was asked for is not done; the text says why, and what to do instead."""
