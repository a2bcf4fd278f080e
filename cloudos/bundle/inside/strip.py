"""Strip compiled modules (*.so) of the symbols that only a debugger reads.

Usage: strip.py DIRECTORY. A module stays as it is where the stripped one does not load: what wheels' own tools have
rewritten is not always laid out as strip expects. The libraries that they bundle (*.libs) are left alone for that reason.
"""

import os
import subprocess
import sys
from multiprocessing.pool import ThreadPool
from pathlib import Path


def strip(module):
    """Replace a module by its stripped self, if that loads."""
    stripped = module.with_name(module.name + ".stripped")  # beside it, where it finds the same libraries
    done = subprocess.run(["strip", "--strip-unneeded", "-o", stripped, module], capture_output=True, check=False)
    if done.returncode == 0 and loads(stripped):
        stripped.replace(module)
    else:
        stripped.unlink(missing_ok=True)


def loads(module):
    """Whether the linker accepts it, tried in a process of its own: modules of one name do not get on with each other."""
    command = [sys.executable, "-I", "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", module]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    found = [
        path
        for path in Path(sys.argv[1]).rglob("*.so")
        if path.is_file() and not path.is_symlink() and not path.parent.name.endswith(".libs")
    ]
    with ThreadPool(os.cpu_count()) as pool:
        pool.map(strip, found)
