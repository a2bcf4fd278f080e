"""What tests of Focus share: templates, and Focus served."""

from __future__ import annotations

import io
import zipfile

TYPES = b"""\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  my.nodes.Web:
    derived_from: tosca.nodes.Root
    properties:
      port: {type: integer, default: 80}
"""
TOPOLOGY = b"""\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [types.yaml]
topology_template:
  node_templates:
    web:
      type: my.nodes.Web
      properties: {port: 8080}
"""
PLAIN = b"""\
tosca_definitions_version: tosca_simple_yaml_1_3
description: a plain one   # kept, with its two spaces and \xc3\xa4
topology_template:
  node_templates:
    server: {type: tosca.nodes.Compute}
"""
WRONG = PLAIN.replace(b"tosca.nodes.Compute", b"tosca.nodes.Computer")


def csar(**files: bytes) -> bytes:
    """A zip of these files; __ in a name is a slash, _ before the ending a dot."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_yaml", ".yaml"), content)
    return target.getvalue()


class Repository:
    """A caller of Focus with shorthands."""

    def __init__(self, caller):
        self.caller = caller

    def store(self, content=PLAIN, media="application/yaml", **query):
        return self.caller.post("/v1/documents", data=content, params=query, headers={"Content-Type": media})

    def made(self, content=PLAIN, **query):
        """The id of a new document."""
        answer = self.store(content, **query)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def get(self, path, **query):
        return self.caller.get(f"/v1/{path}", params=query)

    def tag(self, document):
        return {"If-Match": self.get(f"documents/{document}", deleted=True).headers["ETag"]}

    def send(self, verb, document, path="", tag=True, **options):
        headers = {**(self.tag(document) if tag else {}), **options.pop("headers", {})}
        return self.caller.request(verb, f"/v1/documents/{document}{path}", headers=headers, **options)

    def add(self, document, content, **query):
        return self.send("POST", document, "/versions", data=content, params=query, headers={"Content-Type": "application/yaml"})

    def names(self, **query):
        return [one["name"] for one in self.get("documents", **query).json()["documents"]]
