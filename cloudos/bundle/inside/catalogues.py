"""Compile the catalogues of messages that wheels bring as sources only: the dashboard's.

Usage: catalogues.py CATALOGUE.po ..."""

import sys
from pathlib import Path

from babel.messages import mofile, pofile


def compile_catalogue(source):
    """Write the compiled catalogue beside its source."""
    with source.open("rb") as file:
        messages = pofile.read_po(file, abort_invalid=True)
    with source.with_suffix(".mo").open("wb") as file:
        mofile.write_mo(file, messages)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        compile_catalogue(Path(name))
