#!/usr/bin/python
"""Module volume_type: a kind of volume that users choose, tied to what serves it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_type
short_description: Keep a volume type and what ties it to a back end
description:
  - Keeps the type, its description and the extra specs that are named; other extra specs are left alone.
  - Asks with little more than an HTTP request, as every run of the site playbook does.
options:
  name: {description: The type., type: str, required: true}
  description: {description: What users read about it., type: str, default: ''}
  public: {description: Whether every project may use it., type: bool, default: true}
  extra_specs: {description: "What the scheduler looks at, such as C(volume_backend_name).", type: dict, default: {}}
  state: {description: Whether the type is there., type: str, choices: [present, absent], default: present}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.login]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Volumes in Ceph
  cloudos.cloud.volume_type:
    name: ceph
    extra_specs: {volume_backend_name: ceph}
    cloud: {auth_url: "https://192.0.2.10:5000/v3", password: "${secret:identity/admin}", cafile: /etc/cloudos/pki/ca.pem}
"""

RETURN = r"""
id: {description: Identifier of the type., type: str, returned: when it is there}
"""

from ansible_collections.cloudos.cloud.plugins.module_utils.block_storage import LOGIN, BlockStorage


class VolumeType(BlockStorage):
    spec = {
        **LOGIN,
        "name": {"type": "str", "required": True},
        "description": {"type": "str", "default": ""},
        "public": {"type": "bool", "default": True},
        "extra_specs": {"type": "dict", "default": {}},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }

    def found(self):
        """Empty where there is no such type, or, in check mode, nobody to ask yet."""
        types = (self.ask("GET", "/types?is_public=None") or {"volume_types": []})["volume_types"]
        self.type = next((one for one in types if one["name"] == self.params["name"]), None)
        if self.type is None:
            return {}
        specs = self.type.get("extra_specs") or {}
        return {
            "description": self.type["description"] or "",
            "public": self.type["is_public"],
            "extra_specs": {key: specs[key] for key in self.params["extra_specs"] if key in specs},
        }

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        specs = {key: str(value) for key, value in self.params["extra_specs"].items()}
        return {"description": self.params["description"], "public": self.params["public"], "extra_specs": specs}

    def converge(self, step):
        if not step.after:
            self.ask("DELETE", f"/types/{self.type['id']}")
            self.type = None
            return
        if not step.before:
            fields = {
                "name": self.params["name"],
                "description": step.after["description"],
                "os-volume-type-access:is_public": step.after["public"],
            }
            self.type = self.ask("POST", "/types", {"volume_type": fields})["volume_type"]
        elif {"description", "public"} & {*step.changes}:
            fields = {"description": step.after["description"], "is_public": step.after["public"]}
            self.ask("PUT", f"/types/{self.type['id']}", {"volume_type": fields})
        if "extra_specs" in step.changes and step.after["extra_specs"]:
            self.ask("POST", f"/types/{self.type['id']}/extra_specs", {"extra_specs": step.after["extra_specs"]})

    def result(self, step):
        return {"id": self.type["id"]} if step.after and self.type else {}


def main():
    VolumeType.main()


if __name__ == "__main__":
    main()
