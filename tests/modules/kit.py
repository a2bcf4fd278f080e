"""Runs a module of the collection in process, as Ansible would, and proves the twelve cases from one table.

The twelve cases are create, change and remove, each in check mode and for real, each for the first time and again.
"""

import importlib
import io
import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from ansible.module_utils import _internal
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "collections") not in sys.path:
    sys.path.insert(0, str(ROOT / "collections"))


def run_module(name, /, check=False, diff=True, **args):
    """The result of one module call, a dict; a failed module's result has failed=True."""
    module = importlib.import_module(f"ansible_collections.cloudos.cloud.plugins.modules.{name}")
    output = io.StringIO()
    call = {**args, "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
    try:
        with patch_module_args(call), redirect_stdout(output), as_on_a_node():
            module.main()
    except SystemExit:
        pass
    return json.loads(output.getvalue().strip().splitlines()[-1])


def as_on_a_node():
    """Other tests import Ansible's controller into this process; a module must not think that it runs there, or its
    warnings go to the screen instead of into its result."""
    return mock.patch.object(_internal, "is_controller", False)


@dataclass
class Story:
    """A module's life: arguments that create, change and remove one thing, and a look at the real state.

    A verb of None is left out, where a module cannot do it.
    """

    module: str
    create: dict | None
    change: dict
    remove: dict | None
    state: object = field(default=None)   # callable giving the real state, compared around check mode


def twelve_cases(story):
    """Run the twelve cases; each must tell `changed` truly, and check mode must leave the real state alone."""
    for verb in ("create", "change", "remove"):
        args = getattr(story, verb)
        if args is None:
            continue
        before = story.state()
        predicted = run_module(story.module, check=True, **args)
        assert not predicted.get("failed"), predicted
        assert predicted["changed"], (verb, "check mode foresees no change")
        assert predicted.get("diff"), (verb, "no diff")
        again = run_module(story.module, check=True, **args)
        assert again["changed"] and story.state() == before, (verb, "check mode changed something")
        real = run_module(story.module, **args)
        assert not real.get("failed") and real["changed"], (verb, real)
        assert real.get("diff") == predicted.get("diff"), (verb, "announced and real difference differ")
        assert story.state() != before, (verb, "nothing really changed")
        settled = story.state()
        for check in (True, False):
            repeat = run_module(story.module, check=check, **args)
            assert not repeat.get("failed") and not repeat["changed"], (verb, "not idempotent", repeat)
        assert story.state() == settled
