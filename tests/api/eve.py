"""What tests of Eve share: Focus and Eve served side by side, designs of files, and the provider that makes them."""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from cryptography.fernet import Fernet

from cloudos.eve.service import SERVICE
from cloudos.focus.service import SERVICE as FOCUS
from tests.api import kit

PROVIDER = Path(__file__).parent / "toyprovider"
TYPES = """\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  toy.nodes.File:
    derived_from: tosca.nodes.Root
    properties:
      content: {type: string, default: empty}
      seconds: {type: float, default: 0}
      least: {type: integer, default: 1}
      most: {type: integer, default: 1}
    attributes:
      path: {type: string}
  toy.nodes.Program:
    derived_from: tosca.nodes.Compute
topology_template:
"""


def design(*names, seconds=0.0, content="one", chain=True, most=1, secret=None):
    """A design of files, each after the one before it."""
    nodes = {}
    for number, name in enumerate(names):
        nodes[name] = {"type": "toy.nodes.File", "properties": {"content": {"get_input": "content"}, "seconds": seconds, "most": most}}
        if secret:
            nodes[name]["properties"]["content"] = secret
        if number and chain:
            nodes[name]["requirements"] = [{"dependency": names[number - 1]}]
    topology = {"inputs": {"content": {"type": "string", "default": content}}, "node_templates": nodes,
                "outputs": {"first": {"value": {"get_attribute": [names[0], "path"]}}}}  # fmt: skip
    return TYPES.encode() + b"".join(f"  {line}\n".encode() for line in yaml.safe_dump(topology).splitlines())


class House:
    """Eve and Focus served, with pool `disk` of the operator in a directory."""

    def __init__(self, eve, focus, disk, monkeypatch):
        self.eve, self.focus, self.disk = eve, focus, disk
        self.ann = eve.as_("ann", "p1", "member")

    def store(self, name, content, user="ann", project="p1", media="application/yaml"):
        caller = self.focus.as_(user, project, "member")
        answer = caller.post("/v1/documents", data=content, params={"name": name}, headers={"Content-Type": media})
        if answer.status_code == 409:
            document = caller.get("/v1/documents", params={"name": name}).json()["documents"][0]["id"]
            tag = {"If-Match": caller.get(f"/v1/documents/{document}").headers["ETag"], "Content-Type": media}
            answer = caller.post(f"/v1/documents/{document}/versions", data=content, headers=tag)
        assert answer.status_code in (200, 201), answer.text
        return name

    def post(self, path, **body):
        return self.ann.post(f"/v1/{path}", json=body)

    def deploy(self, name, content=None, **body):
        """(topology's path, job's id) of a deployment to pool disk."""
        reference = self.store(f"{name}-design", content) if content else body.pop("design")
        answer = self.post("topologies", name=name, design=reference, **{"pool": "disk", **body})
        assert answer.status_code == 202, answer.text
        return answer.json()["resource"], answer.json()["id"]

    def worker(self):
        return self.eve.worker(PYTHONPATH=os.pathsep.join([str(kit.ROOT), str(PROVIDER)]))

    def ended(self, job, state="succeeded", seconds=60):
        """The job once it is over, in the state that is wanted."""
        found = self.eve.ended(self.ann, job, seconds)
        assert found["state"] == state, found
        return found

    def done(self, path, state="succeeded", **body):
        """Another order of a topology, done."""
        answer = self.ann.post(path, json=body)
        assert answer.status_code == 202, answer.text
        return self.ended(answer.json()["id"], state)

    def get(self, path, **query):
        return self.ann.get(path, params=query).json()

    def files(self):
        """(name of resource, content) of what is there; a second copy would be there twice."""
        return sorted((path.name.split("=")[1], path.read_text()) for path in self.disk.glob("*=*=*"))

    def journal(self):
        path = self.disk / "journal"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def house(tmp_path, monkeypatch, **groups):
    """A generator, as fixtures are."""
    monkeypatch.syspath_prepend(str(PROVIDER))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(PROVIDER / "library"))
    places = [tmp_path / name for name in ("focus", "eve", "disk", "run", "data")]
    for place in places:
        place.mkdir()
    focus_at, eve_at, disk, run, data = places
    pools = tmp_path / "pools.yml"
    pools.write_text(yaml.safe_dump({"disk": {"provider": "files", "login": {"root": str(disk)}}}))
    for focus in kit.serve(FOCUS, "cloudos.focus.service", focus_at, monkeypatch):
        options = {"focus_endpoint": focus.url, "pools_file": pools, "run_directory": run, "data_directory": data,
                   "keep_runs": 2}  # fmt: skip
        (tmp_path / "keys").write_bytes(Fernet.generate_key())
        groups = {"eve": {**options, **groups.pop("eve", {})}, "vault": {"key_file": tmp_path / "keys"}, **groups}
        for eve in kit.serve(SERVICE, "cloudos.eve.service", eve_at, monkeypatch, **groups):
            yield House(eve, focus, disk, monkeypatch)
