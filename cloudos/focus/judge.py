"""The process that examines contents, one after the other; strangers wrote them, so it has limits and nothing but them.

It gets contents, and asks back for what they import, over a socket: frames of JSON with bytes behind. `judges.py` starts it.
"""

from __future__ import annotations

import json
import resource
import socket
import struct
import sys
import time
from typing import Any

from cloudos.focus import judging
from cloudos.tosca.resolver import FileResolver, Location, Refused, Tree

SIZES = struct.Struct("!II")
MEGABYTE = 2**20


class Talk:
    """Both ends of the socket."""

    def __init__(self, end: socket.socket):
        self.end, self.deadline = end, None

    def send(self, told: dict[str, Any], data: bytes = b"") -> None:
        """Send a frame. Raises TimeoutError or OSError."""
        text = json.dumps(told).encode()
        self._limit()
        self.end.sendall(SIZES.pack(len(text), len(data)) + text + data)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame. Raises TimeoutError, EOFError when the other end is gone."""
        size, behind = SIZES.unpack(self._read(SIZES.size))
        return json.loads(self._read(size)), self._read(behind)

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            self._limit()
            part = self.end.recv(min(size, MEGABYTE))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _limit(self) -> None:
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.end.settimeout(left)


class Elsewhere(Tree):
    """Documents that the other end has, by their ids; problems show name@version."""

    def __init__(self, talk: Talk):
        super().__init__("")
        self._talk = talk
        self._labels: dict[str, str] = {}

    def ask(self, what: str, importer: Location, **facts: Any) -> Location:
        """Where an import or a profile is. Raises Refused."""
        told, _ = self._exchange({"ask": what, "importer": importer.name if importer.tree is self else None, **facts})
        self._labels[told["id"]] = told["label"]
        return Location(self, told["id"])

    def label(self, name: str) -> str:
        """Name and version."""
        return self._labels.get(name, name)

    def exists(self, name: str) -> bool:
        """Whether it was found before."""
        return name in self._labels

    def names(self) -> Any:
        """None: nobody looks through all of Focus for a profile."""
        return iter(())

    def read(self, name: str, limit: int) -> bytes:
        """Content of a document. Raises Refused."""
        return self._exchange({"ask": "read", "id": name, "limit": limit})[1]

    def _exchange(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self._talk.send(question)
        told, data = self._talk.receive()
        if "refused" in told:
            raise Refused(**told["refused"])
        return told, data


class Asking(FileResolver):
    """Imports inside an archive as files; everything else is asked for."""

    def __init__(self, talk: Talk):
        super().__init__()
        self._there = Elsewhere(talk)

    def importing(self, url: str, importer: Location, repository: str | None) -> Location:
        """The file or document that an import means."""
        if importer.tree is not self._there and importer.tree.complete and not url.startswith("focus:"):
            try:
                return super().importing(url, importer, repository)
            except Refused as refused:
                if refused.rule not in ("import.missing", "import.network"):
                    raise
        written = f"{repository.rstrip('/')}/{url.lstrip('/')}" if repository else url
        return self._there.ask("import", importer, name=written)

    def profile(self, name: str, importer: Location) -> Location:
        """The document that is the profile: one named so, or one whose content says so."""
        if importer.tree is not self._there and importer.tree.complete:
            try:
                return super().profile(name, importer)
            except Refused:
                pass  # not in the archive: it may be in Focus
        return self._there.ask("profile", importer, name=name)


def main(descriptor: int, megabytes: int) -> None:
    """Examine until the other end is gone."""
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * MEGABYTE, megabytes * MEGABYTE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    talk = Talk(socket.socket(fileno=descriptor))
    while True:
        try:
            asked, content = talk.receive()
        except EOFError:
            return
        _limit_time(asked["seconds"])
        try:
            found = judging.examine(content, asked["name"], Asking(talk))
            talk.send({"done": found.plain()})
        except Refused as refused:
            talk.send({"refused": refused.facts()})
        except MemoryError:
            talk.send({"memory": megabytes})
            return


def _limit_time(seconds: float) -> None:
    """End with the time even when nobody is there any more to end this process; ten seconds later than who started it would."""
    used = time.process_time()
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds + 10), most))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
