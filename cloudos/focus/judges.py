"""Processes that examine contents, with limits of time and memory, so that no content holds up or fells the service."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from oslo_log import log

from cloudos.eden.problems import Unavailable
from cloudos.focus import judging
from cloudos.focus.judge import Talk
from cloudos.tosca.resolver import Refused

LOG = log.getLogger(__name__)
COMMAND = (sys.executable, "-m", "cloudos.focus.judge")


class Imports(Protocol):
    """What contents import. All raise Refused; `importer` is the id of the stored document that imports, None the content itself."""

    def find(self, kind: str, name: str, importer: str | None) -> tuple[str, str]:
        """(id, label) of what an "import" or a "profile" means."""

    def read(self, id: str, limit: int) -> bytes:
        """Its content."""


class Judge:
    """One process. Use it by one thread at a time."""

    def __init__(self, command: Sequence[str], megabytes: int):
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [*command, str(theirs.fileno()), str(megabytes)]
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._talk = Talk(ours)

    def examine(self, content: bytes, name: str, imports: Imports, seconds: float) -> judging.Examined:
        """What is known of a content. Raises Refused, TimeoutError, MemoryError; EOFError or OSError where the process died."""
        self._talk.deadline = time.monotonic() + seconds
        self._talk.send({"name": name, "seconds": seconds}, content)
        while True:
            told, _ = self._talk.receive()
            if "done" in told:
                return judging.Examined.of(told["done"])
            if "refused" in told:
                raise Refused(**told["refused"])
            if "memory" in told:
                raise MemoryError
            self._answer(told, imports)

    def _answer(self, question: dict, imports: Imports) -> None:
        try:
            if question["ask"] == "read":
                self._talk.send({}, imports.read(question["id"], question["limit"]))
            else:
                id_, label = imports.find(question["ask"], question["name"], question["importer"])
                self._talk.send({"id": id_, "label": label})
        except Refused as refused:
            self._talk.send({"refused": refused.facts()})

    @property
    def alive(self) -> bool:
        """Whether it was not ended."""
        return self._process.returncode is None

    def end(self) -> None:
        """End the process, whatever it does."""
        self._talk.end.close()
        self._process.kill()
        self._process.wait()


class Judges:
    """As many processes as may work at once; each is started when it is needed, kept, and replaced when it had to be ended."""

    def __init__(self, seconds: float, megabytes: int, processes: int, command: Sequence[str] = COMMAND):
        self._seconds, self._megabytes, self._command = seconds, megabytes, command
        self._room = threading.BoundedSemaphore(processes)
        self._idle: list[Judge] = []

    def examine(self, content: bytes, name: str, imports: Imports) -> judging.Examined:
        """What is known of a content, or why it is not. Raises Refused for an archive that is not safe, Unavailable where all are busy."""
        with self._judge() as judge:
            try:
                return judge.examine(content, name, imports, self._seconds)
            except TimeoutError:
                why = f"took more than {self._seconds:g} s"
            except MemoryError:
                why = f"needed more than {self._megabytes} MB"
            except (EOFError, OSError) as error:
                LOG.error("The process that examined %s died: %s", name, error or type(error).__name__)
                why = "the process that examined it died; the service's log may tell more"
            judge.end()
        return judging.not_examined(content, name, why)

    @contextlib.contextmanager
    def _judge(self) -> Iterator[Judge]:
        if not self._room.acquire(timeout=self._seconds):
            raise Unavailable(headers={"Retry-After": "5"}, reason="All processes that validate are busy.", seconds=5)
        judge = None
        try:
            judge = self._idle.pop() if self._idle else Judge(self._command, self._megabytes)
            yield judge
        except BaseException:
            # Nobody knows where in a conversation it is.
            if judge is not None:
                judge.end()
            raise
        else:
            if judge.alive:
                self._idle.append(judge)
        finally:
            self._room.release()

    def close(self) -> None:
        """End those that wait."""
        while self._idle:
            self._idle.pop().end()
