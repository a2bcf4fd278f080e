"""What a new plan no longer has: it is removed from the nodes, and a person is told and asked before."""

from __future__ import annotations


def removal(old: dict | None, new: dict) -> dict:
    """What goes with the step from the plan `old` (JSON form; None: nothing was applied yet) to the plan `new`.

    `services`: names of services that leave the cloud. `names`: these and the plugins (kind/name) that leave a service
    which stays; `says`: a sentence for each, what is lost with it.
    `nodes`: node -> {units, schemas} to be absent there; `identity`: {services, users} to be absent in Keystone.
    A node that left the cloud is not looked at: it is removed by a verb of its own.
    """
    if old is None:
        return {"services": [], "names": [], "says": [], "nodes": {}, "identity": {"services": [], "users": []}}
    services = [name for name in old["services"] if name not in new["services"]]
    nodes = {
        name: {
            "units": _gone(old["nodes"][name]["units"], node["units"], "name"),
            "schemas": [
                {key: schema[key] for key in ("service", "databases", "user")}  # the account's secret may be gone
                for schema in old["nodes"][name]["schemas"]
                if schema["service"] in _gone(old["nodes"][name]["schemas"], node["schemas"], "service")
            ],
        }
        for name, node in new["nodes"].items()
        if name in old["nodes"]
    }
    identity = {
        kind: sorted(old["identity"][kind].keys() - new["identity"][kind].keys()) for kind in ("services", "users")
    }
    plugins = _plugins(old["plugins"], new["plugins"], services)
    says = [_says(service, old, nodes) for service in services]
    says += [
        f"Plugin {plugin} leaves the cloud: what users keep with it stays where it lies, and may be out of their reach."
        for plugin in plugins
    ]
    says += [f"Keystone forgets the {kind} {', '.join(names)}." for kind, names in identity.items() if services and names]
    return {"services": services, "names": services + plugins, "says": says, "nodes": nodes, "identity": identity}


def _plugins(old: dict, new: dict, services: list[str]) -> list[str]:
    """Plugins that leave; where services leave, a kind that is no longer asked for leaves with its own."""
    return [
        f"{kind}/{name}"
        for kind in sorted(old.keys() & new.keys() if services else old)
        for name in old[kind]["chosen"]
        if name not in new.get(kind, {"chosen": []})["chosen"]
    ]


def _gone(old: list[dict], new: list[dict], key: str) -> list[str]:
    kept = {entry[key] for entry in new}
    return [entry[key] for entry in old if entry[key] not in kept]


def _says(service: str, old: dict, nodes: dict) -> str:
    """One sentence with what of a service goes from the nodes."""
    parts = []
    for name, node in nodes.items():
        own = {unit["name"] for unit in old["nodes"][name]["units"] if unit["service"] == service}
        if units := [unit for unit in node["units"] if unit in own]:
            parts.append(f"{', '.join(units)} on {name}")
        databases = [base for entry in node["schemas"] if entry["service"] == service for base in entry["databases"]]
        if databases:
            parts.append(f"database {', '.join(databases)} on {name}, of which a dump stays there")
    return f"{service} leaves the cloud, and with it {'; '.join(parts) or 'its files'}."
