"""The lifecycle that every module shares: found, wanted, converge.

A module answers three questions and this class owns the rest: check mode, the diff, masking of secrets and how a
failure is told. A module that mentions check_mode is wrong.
"""

from __future__ import annotations

import fcntl
import json
import re
import sys
import time
from contextlib import contextmanager, nullcontext

from ansible.module_utils.basic import AnsibleModule

BUNDLE = "/opt/cloudos/current"
REFERENCE = re.compile(r"\$\{secret:([^}]+)\}")


class Failure(Exception):
    """Something on the node is not as it must be; carries what an operator needs to mend it.

    cause: one sentence. Optional: service, unit, log (list of lines, newest last), next_step (one sentence).
    """

    def __init__(self, cause, service=None, unit=None, log=(), next_step=None):
        super().__init__(cause)
        self.facts = {"cause": cause, "service": service, "unit": unit, "log": list(log), "next_step": next_step}

    def __str__(self):
        thing = " ".join(part for part in (self.facts["service"], self.facts["unit"]) if part)
        lines = [f"{thing}: {self.facts['cause']}" if thing else self.facts["cause"]]
        lines += [f"  | {line}" for line in self.facts["log"]]
        if self.facts["next_step"]:
            lines.append(f"Next step: {self.facts['next_step']}")
        return "\n".join(lines)


class Step:
    """One transition: the state before, the state after, and the keys in which they differ (both are mappings)."""

    def __init__(self, before, after):
        self.before = before
        self.after = after
        self.changes = [key for key in (*after, *(k for k in before if k not in after))
                        if before.get(key) != after.get(key)]


class Operation:
    """Base of a module. Subclasses set `spec` (an argument_spec) and say found(), wanted() and converge().

    found() and wanted() return mappings of JSON values with secrets as references (see mask); equal mappings mean that
    nothing is to be done. converge(step) makes it so and may raise Failure. result() adds to what the module returns.
    """

    spec: dict = {}
    options: dict = {}
    lock: str | None = None   # a name: converging calls with this name follow each other, whoever started them

    def __init__(self, module):
        self.module = module
        self.params = module.params
        self.secrets = module.params.get("secrets") or {}

    def found(self):
        """The state of the node, in the shape of wanted()."""
        raise NotImplementedError

    def wanted(self):
        """The state that the parameters ask for."""
        raise NotImplementedError

    def converge(self, step):
        """Bring the node from step.before to step.after."""
        raise NotImplementedError

    def result(self, step):
        """Further keys of the module's result; in check mode it is asked as well."""
        return {}

    @property
    def rehearsal(self):
        """True in check mode: what other tasks would have started does not come, so it is told instead of waited for."""
        return self.module.check_mode

    def rendered(self, state):
        """How a state is shown in a diff; a mapping of header to text makes one diff per header."""
        return state

    def foreseen(self, value):
        """The value in check mode, where earlier modules only announced what they would do; otherwise empty.

        For what a module learns from earlier ones and can see on the node itself once they have really done it.
        """
        return value if self.module.check_mode else type(value)()

    def reveal(self, value):
        """The value with each ${secret:name} replaced, at any depth. Raises Failure for a secret that was not given."""
        if isinstance(value, str):
            return REFERENCE.sub(lambda match: self._secret(match.group(1)), value)
        if isinstance(value, dict):
            return {key: self.reveal(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.reveal(item) for item in value]
        return value

    def mask(self, text):
        """The text with each known secret's value replaced by its reference, longest values first."""
        for name, value in sorted(self.secrets.items(), key=lambda item: -len(item[1])):
            if value:
                text = text.replace(value, "${secret:%s}" % name)
        return text

    def _secret(self, name):
        if name not in self.secrets:
            raise Failure(f"secret {name} was not given to the module",
                          next_step="run the playbook through its phases; they pass the secrets along")
        return self.secrets[name]

    def run(self):
        """Compare, converge unless checking, and leave through exit_json or fail_json."""
        module = self.module
        try:
            with nullcontext() if module.check_mode or not self.lock else exclusive(self.lock):
                step = Step(self.found(), self.wanted())
                changed = step.before != step.after
                if changed and not module.check_mode:
                    self.converge(step)
                outcome = {"changed": changed, **self.result(step)}
        except Failure as failure:
            module.fail_json(msg=str(failure), failure=failure.facts)
        if changed and module._diff:
            outcome["diff"] = self._diff(step)
        module.exit_json(**outcome)

    def _diff(self, step):
        before, after = self.rendered(step.before), self.rendered(step.after)
        return [{"before_header": str(key), "after_header": str(key),
                 "before": _shown(before.get(key)), "after": _shown(after.get(key))} for key in step.changes]

    @classmethod
    def main(cls):
        """Entry point of a module: `if __name__ == "__main__": Thing.main()`."""
        spec = {"secrets": {"type": "dict", "no_log": True, "default": {}}, **cls.spec}
        cls(AnsibleModule(argument_spec=spec, supports_check_mode=True, **cls.options)).run()


def _shown(value):
    """What Ansible can show as one side of a difference: text or a mapping."""
    return value or "" if value is None or isinstance(value, (str, dict)) else json.dumps(value)


class Look(Operation):
    """A module that changes nothing: result(step) looks, waits or proves, and raises Failure."""

    def found(self):
        return {}

    def wanted(self):
        return {}


@contextmanager
def exclusive(name, timeout=600, directory="/run"):
    """Hold the node's lock of that name, waiting for its holder for up to `timeout` seconds.

    A killed ansible-playbook leaves its module running on the node; the next run must not work against it.
    """
    with open(f"{directory}/cloudos-{name}.lock", "w") as holder:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Failure(f"another run is still busy with {name} on this node after {timeout} s",
                                  next_step=f"wait for it, or find it with: fuser -v {holder.name}") from None
                time.sleep(0.2)
        yield holder


def use_bundle(bundle=BUNDLE):
    """Make the bundle's libraries importable; False where no bundle for this Python is in place (a blank node).

    The bundle's environment is made from the node's own interpreter, so its packages fit the module's process.
    """
    from pathlib import Path

    path = Path(bundle, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    if path.is_dir() and str(path) not in sys.path:
        sys.path.insert(0, str(path))
    return path.is_dir()
