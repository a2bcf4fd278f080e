"""Secrets travel from the store to modules, and nowhere else."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudos.runs.plans import Plans
from cloudos.secrets import Store

SPECS = [
    {"name": "database/nova", "kind": "password"},
    {"name": "service/nova/metadata", "kind": "hex32"},
    {"name": "pki/ca.crt", "kind": "ca"},
    {"name": "pki/ctl1.crt", "kind": "certificate", "node": "ctl1", "sans": ["ctl1"]},
]

# A module that does with secrets what a careless one would: it returns them, and shows them in a difference.
MODULE = '''
import json, os, sys
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(supports_check_mode=True, argument_spec={
    "path": {"type": "str"}, "text": {"type": "str"}, "fail": {"type": "bool"},
    "secrets": {"type": "dict", "no_log": True}})
given = module.params["secrets"] or {}
with open(module.params["path"], "w") as file:
    json.dump({"given": given, "argv": open("/proc/self/cmdline").read(), "file": os.path.abspath(sys.argv[0])}, file)
leak = {"text": " ".join(given.values()), "diff": {"before": "", "after": "".join(given.values())}}
if module.params["fail"]:
    module.fail_json(msg="cannot " + " ".join(given.values()), failure={
        "cause": "it is broken", "unit": "toy-api.service", "log": open(module.params["path"] + ".journal").read().split("\\n"),
        "next_step": "Mend it."})
module.exit_json(changed=True, **leak)
'''

PLAYBOOK = """
- name: Toy
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Operate
      cloudos.cloud.operations:
        operations:
          - module: tests.toys.careless
            service: nova
            args: {path: "{{ inventory_dir }}/../one", text: "a${secret:database/nova}b"}
          - module: tests.toys.careless
            service: nova
            args: {path: "{{ inventory_dir }}/../two", text: none, fail: "{{ fail | default(false) }}"}
          - module: tests.toys.careless
            service: glance
            args: {path: "{{ inventory_dir }}/../three", text: "${secret:pki/ctl1.key}"}
      register: outcome
    - name: Keep the result
      ansible.builtin.copy: {content: "{{ outcome | to_json }}", dest: "{{ inventory_dir }}/../outcome", mode: "0600"}
"""


@pytest.fixture
def toys(ansible):
    directory = ansible.directory / "collections" / "ansible_collections" / "tests" / "toys" / "plugins" / "modules"
    directory.mkdir(parents=True)
    (directory / "careless.py").write_text(MODULE)
    ours = Path(ansible.environment["ANSIBLE_CONFIG"]).with_name("collections")
    ansible.environment["ANSIBLE_COLLECTIONS_PATH"] = f"{ansible.directory / 'collections'}:{ours}"
    return ansible


@pytest.fixture
def values(toys):
    store = Store("toy")
    store.ensure(SPECS, datetime.now(UTC))
    return store.values(["database/nova", "service/nova/metadata", "pki/ctl1.key"])


def written(toys, name):
    return json.loads((toys.directory / name).read_text())


def test_module_gets_just_what_it_refers_to(toys, values):
    done = toys.run(PLAYBOOK)
    assert done.returncode == 0, done.stdout
    assert written(toys, "one")["given"] == {"database/nova": values["database/nova"]}
    assert written(toys, "two")["given"] == {}
    assert written(toys, "three")["given"] == {"pki/ctl1.key": values["pki/ctl1.key"]}
    outcome = written(toys, "outcome")
    assert outcome["changed"] is True
    assert {service: len(results) for service, results in outcome["results"].items()} == {"nova": 2, "glance": 1}


@pytest.mark.parametrize("verbosity", ["-vvv", "-vvvvv"])
def test_nothing_shows_or_keeps_a_secret(toys, values, verbosity):
    shown = toys.run(PLAYBOOK, "--diff", verbosity, ANSIBLE_DEBUG="1" if verbosity == "-vvvvv" else "0").stdout
    modules = written(toys, "one")
    assert values["database/nova"] not in modules["argv"]
    files = [path for path in toys.directory.rglob("*") if path.is_file() and path.name not in ("one", "three")]
    kept = {path: path.read_text() for path in files}
    secret = [line for value in values.values() for line in value.splitlines() if not line.startswith("-----")]
    assert not [line for line in secret if line in shown]
    assert not [path for path, text in kept.items() for line in secret if line in text]


def test_failure_names_service_unit_log_and_next_step(toys, values):
    (toys.directory / "two.journal").write_text(f"login {values['service/nova/metadata']} failed\nlast words")
    done = toys.run(PLAYBOOK, "-e", "{fail: true}")
    assert done.returncode == 2
    assert not (toys.directory / "three").exists()
    lines = [line.strip() for line in done.stdout.splitlines()]
    start = lines.index("FAILED  ctl1: nova toy-api.service")
    assert lines[start + 1 : start + 5] == [
        "it is broken",
        "| login ${secret:service/nova/metadata} failed",
        "| last words",
        "Next step: Mend it.",
    ]


def test_missing_secret_is_told(toys):
    done = toys.run(PLAYBOOK)
    assert done.returncode == 2
    assert "has no secret database/nova" in done.stdout


def test_check_mode_has_throw_away_values(toys):
    Plans("toy", check=True).save({"nodes": {"ctl1": {}}, "secrets": SPECS})
    done = toys.run(PLAYBOOK, "--check")
    assert done.returncode == 0, done.stdout
    assert len(written(toys, "one")["given"]["database/nova"]) == 32
    assert "PRIVATE KEY" in written(toys, "three")["given"]["pki/ctl1.key"]
    assert not (toys.cloud / "secrets.yml").exists()


def test_secrets_are_not_given_where_files_would_hold_them(toys, values):
    done = toys.run(PLAYBOOK, ANSIBLE_KEEP_REMOTE_FILES="1")
    assert done.returncode == 2
    assert "without pipelining" in done.stdout
    assert not (toys.directory / "one").exists()
