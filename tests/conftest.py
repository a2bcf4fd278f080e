"""A cloud of this machine alone, and real ansible-playbook on it with its own CLOUDOS_HOME."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

INVENTORY = """\
plugin: cloudos.cloud.cloud
cloud: toy
release: "2026.1"
nodes:
  ctl1:
    address: 192.0.2.11
    groups: [control, network, compute]
    ansible: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
networks:
  management: {cidr: 192.0.2.0/24}
  external: {cidr: 198.51.100.0/24, gateway: 198.51.100.1, pool: [198.51.100.100, 198.51.100.200]}
services: [keystone]
"""


@dataclass
class Ansible:
    """Runs playbooks given as text; `home` is their CLOUDOS_HOME and `cloud` the directory of the cloud's state."""

    directory: Path
    inventory: Path | str
    environment: dict

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def cloud(self) -> Path:
        return self.home / "clouds" / "toy"

    def command(self, playbook: str, *arguments: str, name: str = "site") -> list[str]:
        path = self.directory / f"{name}.yml"
        path.write_text(playbook)
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        return [program, "-i", str(self.inventory), str(path), *arguments]

    def start(self, playbook: str, *arguments: str, name: str = "site", **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(playbook, *arguments, name=name), cwd=ROOT, env={**self.environment, **variables}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, playbook: str, *arguments: str, name: str = "site", **variables: str) -> subprocess.CompletedProcess:
        process = self.start(playbook, *arguments, name=name, **variables)
        output, _ = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, output)


@pytest.fixture
def ansible(tmp_path, monkeypatch) -> Ansible:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "cloud.yml").write_text(INVENTORY)
    monkeypatch.setenv("CLOUDOS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    own = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return Ansible(tmp_path, tmp_path / "inventory", {**kept, **own})
