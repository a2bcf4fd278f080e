"""A second opinion on 1.x templates: tosca-parser, in a process of its own with limits, because it hangs and leaks.

It reads whatever a template imports, addresses too; so it is asked only when somebody says so.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

SECONDS, MEMORY = 20, 1_000_000_000
PROGRAM = """
import sys
from toscaparser.common.exception import ValidationError
from toscaparser.tosca_template import ToscaTemplate
from toscaparser.utils.gettextutils import _
try:
    ToscaTemplate(sys.argv[1])
except ValidationError as error:
    print(str(error).strip().splitlines()[-1] if str(error).strip() else "not valid")
    sys.exit(1)
"""


def ask(file: Path, seconds: int = SECONDS, memory: int = MEMORY) -> dict[str, str]:
    """tosca-parser's verdict ("accepted", "not valid", "crashed", "no answer") and its last words."""
    command = [sys.executable, "-c", PROGRAM, str(file.absolute())]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, preexec_fn=lambda: _limit(seconds, memory)
        )
    except subprocess.TimeoutExpired:
        return {"verdict": "no answer", "message": f"none in {seconds} s"}
    if done.returncode == 0:
        return {"verdict": "accepted", "message": ""}
    if done.returncode == 1 and done.stdout.strip():
        return {"verdict": "not valid", "message": done.stdout.strip()}
    if done.returncode < 0:
        return {"verdict": "no answer", "message": f"ended by signal {-done.returncode}"}
    return {"verdict": "crashed", "message": (done.stderr.strip().splitlines() or ["without a word"])[-1]}


def _limit(seconds: int, memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
