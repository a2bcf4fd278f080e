"""Which secrets a cloud has: names and how each is made. Values exist only in the cloud's vault."""

from __future__ import annotations

from cloudos.model import paths
from cloudos.model.assemble import Cloud


def secret_specs(cloud: Cloud) -> dict[str, dict]:
    """name -> {name, kind, ...} of all that the plan may refer to; a key is made with its certificate."""
    names: dict[str, str] = {}
    if any(body.get("user") or body.get("catalog") for body in cloud.bodies.values()):
        names["identity/admin"] = "password"
    if paths.MESSAGING in cloud.bodies:
        names["messaging/cloudos"] = "password"
    for service, body in cloud.bodies.items():
        if body.get("user"):
            names[f"identity/{service}"] = "password"
        if body.get("databases"):
            names[f"database/{service}"] = "password"
        names.update({f"service/{service}/{name}": kind for name, kind in (body.get("secrets") or {}).items()})
    specs = {name: {"name": name, "kind": kind} for name, kind in names.items()}
    specs["pki/ca.crt"] = {"name": "pki/ca.crt", "kind": "ca"}
    for node in cloud.inventory.nodes:
        specs[f"pki/{node}.crt"] = {
            "name": f"pki/{node}.crt",
            "kind": "certificate",
            "node": node,
            "sans": _names(cloud, node),
        }
    return dict(sorted(specs.items()))


def _names(cloud: Cloud, node: str) -> list[str]:
    """What a node's certificate is good for: its name and address, itself, and the endpoint where the front end is."""
    entry = cloud.inventory.nodes[node]
    endpoint = [cloud.inventory.endpoint] if "control" in entry["groups"] else []
    return sorted({node, entry["address"], "127.0.0.1", "localhost", *endpoint})
