"""Regular expressions of templates. Strangers write them, and some take longer than the sun shines: so each has a limit of time.

The package regex knows what Python's re knows, and stops when it is told to; re2 would need no limit, but has no look-ahead, which
patterns of passwords are made with.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache

import regex

SECONDS = 1.0  # that one comparison may take
TOGETHER = 5.0  # that all of one template may take
LONGEST = 10_000
_left: ContextVar[list[float] | None] = ContextVar("left", default=None)


class BadPattern(Exception):
    """The pattern is no regular expression, or takes too long; the text says which."""


@contextlib.contextmanager
def together(seconds: float = TOGETHER) -> Iterator[None]:
    """Within this, all comparisons together take no longer."""
    token = _left.set([seconds])
    try:
        yield
    finally:
        _left.reset(token)


@lru_cache(maxsize=1000)
def compiled(pattern: str) -> regex.Pattern:
    """The pattern, read. Raises BadPattern."""
    if len(pattern) > LONGEST:
        raise BadPattern(f"a pattern has at most {LONGEST} characters")
    try:
        return regex.compile(pattern, regex.VERSION0)
    except (regex.error, OverflowError, RecursionError) as error:
        shown = pattern if len(pattern) <= 80 else f"{pattern[:77]}..."
        raise BadPattern(f"{shown!r} is no regular expression: {error}") from error


def matches(text: str, pattern: str, whole: bool = False) -> bool:
    """Whether the pattern is found in the text, or is all of it. Raises BadPattern."""
    left = _left.get()
    limit = SECONDS if left is None else min(SECONDS, left[0])
    found, begin = compiled(pattern), time.monotonic()
    try:
        if limit <= 0:
            raise TimeoutError
        return (found.fullmatch if whole else found.search)(text, timeout=limit) is not None
    except TimeoutError:
        shown = f"{limit:.2g} s" if limit > 0 else f"the {TOGETHER:g} s that all patterns of a template have"
        mend = "write it without repetitions inside of repetitions"
        raise BadPattern(f"comparing with {pattern!r} takes longer than {shown}; {mend}") from None
    finally:
        if left is not None:
            left[0] -= time.monotonic() - begin
