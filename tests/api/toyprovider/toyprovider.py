"""A provider that makes files, to be found by its entry point as any other; its Ansible module lies in library/."""

from pathlib import Path

from cloudos.eve.provider import read


def files():
    """The mapping."""
    return read((Path(__file__).parent / "files.yml").read_text())
