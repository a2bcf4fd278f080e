"""Runs a folder of TOSCA files whose verdicts are known, and tells each difference.

Usage: conformance.py FOLDER [--reach N] [--mirror ADDRESS=DIRECTORY ...]. FOLDER/expected.json holds {"expected": {name:
exit code}} or that map itself: 0 accepted, 1 not valid, 2 valid but not deployable, 3 unreadable. Each file is judged
alone, imports may go anywhere in the folder. Prints the score; exits with 1 below N, which is all without --reach.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from cloudos import tosca
from cloudos.tosca.resolver import DirectoryTree, FileResolver


def mirror(text: str) -> tuple[str, DirectoryTree]:
    """(address, files) of ADDRESS=DIRECTORY."""
    address, _, directory = text.partition("=")
    return address, DirectoryTree(Path(directory))


def main() -> int:
    """Judge every file of the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reach", type=int)
    parser.add_argument("--mirror", type=mirror, action="append", default=[])
    arguments = parser.parse_args()
    table = json.loads((arguments.folder / "expected.json").read_text(encoding="utf-8"))
    expected = table.get("expected", table)
    begin, right = time.perf_counter(), 0
    for name, wanted in sorted(expected.items()):
        report = tosca.load(arguments.folder / name, FileResolver(dict(arguments.mirror)), root=arguments.folder)
        if report.exit_code == wanted:
            right += 1
            continue
        print(f"{name}: expected {wanted}, got {report.exit_code}")
        for problem in [one for one in report.problems if one.severity != "warning"][:3]:
            print(f"    {problem}")
    reach = len(expected) if arguments.reach is None else arguments.reach
    print(f"{right} of {len(expected)} as expected in {time.perf_counter() - begin:.1f} s; to reach: {reach}")
    return 0 if right >= reach else 1


if __name__ == "__main__":
    sys.exit(main())
