"""How values and operations are written for Ansible."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from typing import Any

MARKS = ("{{", "{%", "{#")
KNOWN = "hostvars['localhost'].eve_known"
SHELLS = (".sh", ".bash")
DONE_TASK = ": done"  # ends the name of the last task of an operation
SECRET = re.compile(r"\$\{secret:([^}]+)\}")
OUTPUT = "eve:"  # begins the lines in which a script's outputs are told


def variable(secret: str) -> str:
    """The environment variable in which a run finds a secret."""
    plain = re.sub(r"\W", "_", secret).upper()
    return f"EVE_SECRET_{plain}_{hashlib.sha256(secret.encode()).hexdigest()[:8].upper()}"


def with_secrets(value: Any) -> Any:
    """References to secrets as the look-ups that Ansible evaluates on the machine that runs Eve."""
    if isinstance(value, str) and SECRET.search(value):
        parts = SECRET.split(value)
        return {"$concat": [part if number % 2 == 0 else {"$secret": variable(part)} for number, part in enumerate(parts) if part]}
    if isinstance(value, dict):
        return {key: with_secrets(item) for key, item in value.items()}
    return [with_secrets(item) for item in value] if isinstance(value, list) else value


def jinja(value: Any) -> Any:
    """A value for a playbook: what is known at run time as an expression, everything else protected from being one."""
    if isinstance(value, str):
        return "{{ " + _literal(value) + " }}" if any(mark in value for mark in MARKS) else value
    if isinstance(value, dict) and not _is_function(value):
        return {key: jinja(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jinja(item) for item in value]
    return "{{ " + expression(value) + " }}" if isinstance(value, dict) else value


def expression(value: Any) -> str:
    """The Jinja expression of a value."""
    if isinstance(value, str):
        return _literal(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(expression, value)) + "]"
    if not isinstance(value, dict):
        return "none" if value is None else json.dumps(value)
    if _is_function(value):
        return _function(value)
    return "{" + ", ".join(f"{_literal(key)}: {expression(item)}" for key, item in value.items()) + "}"


def _is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in ("$attribute", "$output", "$concat", "$join", "$token", "$secret")


def _function(value: Mapping[str, Any]) -> str:
    (name, arguments), = value.items()
    if name == "$secret":
        return f"lookup('ansible.builtin.env', {_literal(arguments)})"
    if name == "$attribute":
        return KNOWN + "".join(f"[{expression(one)}]" for one in arguments)
    if name == "$output":
        operation, *path = arguments
        told = f"hostvars['localhost'].get('{fact_of(operation)}', {KNOWN}.get({_literal(operation)}, {{}}))"
        return told + "".join(f"[{expression(one)}]" for one in path)
    if name == "$concat":
        return "(" + " ~ ".join(map(expression, arguments)) + ")"
    if name == "$join":
        return f"({expression(arguments[0])} | join({expression(arguments[1] if len(arguments) > 1 else '')}))"
    return f"({expression(arguments[0])}).split({expression(arguments[1])})[{expression(arguments[2])}]"


def fact_of(operation: str) -> str:
    """The fact in which a run keeps the outputs of an operation."""
    return f"eve_outputs_{hashlib.sha256(operation.encode()).hexdigest()[:12]}"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def call_tasks(
    name: str, call: Mapping[str, Any], how: Mapping[str, Any], inputs: Mapping[str, Any], remote: str, several: bool
) -> list[dict]:
    """An operation as tasks: what it does, and the task that remembers its outputs. `several`: it is one for several servers."""
    tell = remember(name, call.get("outputs", ()), how["kind"])
    if several:
        tell["run_once"] = True
    if how["kind"] == "script":
        return [_script(name, call, how, inputs, remote), tell]
    facts = {"name": f"{name}: facts", "ansible.builtin.gather_facts": {}}
    apply = {"apply": {"tags": [f"op:{call['operation']}"]}}
    if how["kind"] == "role":
        role = how["name"] if "name" in how else "{{ playbook_dir }}/" + how["content"]
        return [facts, {"name": f"{name}: role", "ansible.builtin.include_role": {"name": role, **apply}}, tell]
    if how["kind"] == "tasks":
        file = "{{ playbook_dir }}/artifacts/" + how["content"]
        return [facts, {"name": f"{name}: tasks", "ansible.builtin.include_tasks": {"file": file, **apply}}, tell]
    return [tell]


def _script(name: str, call: Mapping[str, Any], how: Mapping[str, Any], inputs: Mapping[str, Any], remote: str) -> dict:
    """A script gets its inputs as environment variables, runs beside its own files, and leaves its outputs as variables."""
    folder, file = posixpath.split(how["file"])
    outputs = list(call.get("outputs", ()))
    path = shlex.quote(f"./{file}")
    run = path if not file.endswith(SHELLS) else _sourced(path, outputs)
    task = {
        "name": f"{name}: {how['file']}",
        "ansible.builtin.shell": {"cmd": run, "chdir": posixpath.join(remote, folder), "executable": "/bin/bash"},
        "environment": {**_roles_beside(how, remote), **{key: _text(value) for key, value in inputs.items()}},
        "register": "eve_result",
    }  # fmt: skip
    return {**task, "timeout": call["timeout"]} if call.get("timeout") else task


def _roles_beside(how: Mapping[str, Any], remote: str) -> dict[str, str]:
    """Where a script that runs Ansible itself finds the roles of its node."""
    folders = dict.fromkeys(posixpath.join(remote, posixpath.dirname(one)) for one in how.get("roles", ()))
    return {"ANSIBLE_ROLES_PATH": ":".join(folders)} if folders else {}


def _sourced(path: str, outputs: list[str]) -> str:
    """A shell script whose variables are told when it ends, however it ends; its exit code stays its own."""
    if not outputs:
        return f"bash {path}"
    told = " ".join(outputs)
    tell = f'for eve_name in {told}; do printf "\\n{OUTPUT}%s=%s\\n" "$eve_name" "$(printf %s "${{!eve_name}}" | base64 -w0)"; done'
    return f"eve_tell() {{ eve_code=$?; {tell}; exit $eve_code; }}; trap eve_tell EXIT; . {path}"


def _text(value: Any) -> Any:
    """Inputs that are no text are given as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if not isinstance(value, dict | list) else "{{ " + expression_of_template(value) + " | to_json }}"


def expression_of_template(value: Any) -> str:
    """The expression of a value whose texts may be templates already."""
    if isinstance(value, str) and value.startswith("{{ ") and value.endswith(" }}"):
        return value[3:-3]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {expression_of_template(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(expression_of_template, value)) + "]" if isinstance(value, list) else expression(value)


def remember(name: str, outputs: Any, kind: str) -> dict:
    """The task that tells an operation's outputs; its result is what the state keeps."""
    found: dict[str, str] = {}
    for output in outputs:
        if kind == "script":
            pattern = f"'(?m)^{OUTPUT}{output}=(.*)$'"
            found[output] = "{{ (eve_result.stdout | default('') | regex_findall(" + pattern + ") | last | default('')) | b64decode }}"
        else:
            found[output] = "{{ lookup('ansible.builtin.vars', " + _literal(output) + ", default=none) }}"
    return {"name": f"{name}{DONE_TASK}", "ansible.builtin.set_fact": {fact_of(name): found},
            "delegate_to": "localhost", "delegate_facts": True}  # fmt: skip
