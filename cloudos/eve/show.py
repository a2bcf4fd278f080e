"""What a validation found, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

from cloudos.eve.compiler.unserved import left_to_others
from cloudos.tosca import Report, Template
from cloudos.tosca.model import NodeTemplate, Requirement, plain

VERDICTS = {0: "accepted", 1: "not valid", 2: "valid, but not deployable", 3: "unreadable"}


def text(report: Report) -> list[str]:
    """The verdict, and what the template holds, in lines."""
    counts = Counter(problem.severity for problem in report.problems)
    told = ", ".join(f"{count} {severity}{'' if count == 1 or severity == 'undeployable' else 's'}" for severity, count in counts.items())
    lines = [f"{VERDICTS[report.exit_code].capitalize()}{f': {told}' if told else ''}."]
    if report.template and report.exit_code in (0, 2):
        template = report.template
        lines.append(f"{len(template.nodes)} nodes, {len(template.relationships())} relationships between them.")
        lines += [f"{one.name} ({one.type.name}) is made of {one.file}: {', '.join(template.groups[one.name].members)}."
                  for one in template.substituted.values()]  # fmt: skip
        lines += [f"Left open: {node.name} needs {_need(one)}" for node, one in template.unmatched()]
        lines += [f"Note: {note}." for note in left_to_others(template)]
    return lines


def _need(one: Requirement) -> str:
    kind = one.node_type or one.capability_type
    reasons = "; ".join(f"{name}: {reason}" if name != "*" else reason for name, reason in one.rejected.items())
    return f"{one.name}{f' ({kind.name})' if kind else ''}{f' - {reasons}' if reasons else ''}"


def data(report: Report) -> dict[str, Any]:
    """The report as plain data: verdict, problems, and the resolved template."""
    fields = ("file", "line", "column", "rule", "severity", "message", "mend")
    return {
        "exit_code": report.exit_code,
        "verdict": VERDICTS[report.exit_code],
        "problems": [{name: getattr(problem, name) for name in fields} for problem in report.problems],
        "notes": list(left_to_others(report.template)) if report.template else [],
        "template": _template(report.template) if report.template else None,
    }


def _template(template: Template) -> dict[str, Any]:
    return {
        "version": template.version,
        "description": template.description,
        "metadata": plain(template.metadata),
        "inputs": {
            name: {
                "type": one.schema.type.name if one.schema else None,
                "required": one.required,
                "value": plain(template.inputs.get(name)),
            }
            for name, one in template.definitions.items()
        },
        "nodes": {name: _node(node) for name, node in template.nodes.items()},
        "groups": {
            name: {"type": one.type.name, "members": one.members, "properties": _values(one.properties)}
            for name, one in template.groups.items()
        },
        "policies": {
            name: {"type": one.type.name, "targets": one.targets, "properties": _values(one.properties), "triggers": list(one.triggers)}
            for name, one in template.policies.items()
        },
        "workflows": {name: list(one.steps) for name, one in template.workflows.items()},
        "outputs": _values(template.outputs),
        "substituted": {name: {"type": one.type.name, "file": one.file, "operations": one.operations}
                        for name, one in template.substituted.items()},
        "substitutes": template.substitution.node_type.name if template.substitution else None,
    }


def _values(values: dict) -> dict[str, Any]:
    return {name: plain(one.value) for name, one in values.items()}


def _node(node: NodeTemplate) -> dict[str, Any]:
    return {
        "type": node.type.name,
        "types": [kind.name for kind in node.type.lineage],
        "directives": node.directives,
        "count": plain(node.count),
        "place": {"file": node.place.file, "line": node.place.line, "column": node.place.column},
        "properties": _values(node.properties),
        "attributes": _values(node.attributes),
        "capabilities": {
            name: {"type": one.definition.type.name if one.definition.type else None, "properties": _values(one.properties)}
            for name, one in node.capabilities.items()
        },
        "requirements": [_requirement(one) for one in node.requirements],
        "interfaces": {name: _interface(one) for name, one in node.interfaces.items()},
        "artifacts": {
            name: {"type": one.type.name if one.type else None, "file": one.file, "repository": one.repository}
            for name, one in node.artifacts.items()
        },
    }


def _requirement(one: Requirement) -> dict[str, Any]:
    kind = one.relationship.type if one.relationship else None
    return {
        "name": one.name,
        "target": one.target.name if one.target else None,
        "capability": one.target_capability,
        "relationship": kind.name if kind else None,
        "properties": _values(one.relationship.properties) if one.relationship else {},
        "wanted": {
            "node_type": one.node_type.name if one.node_type else None,
            "capability_type": one.capability_type.name if one.capability_type else None,
            "filters": [node.data() for node in one.filters],
        },
        "count": plain(one.count),
        "optional": one.optional,
        "candidates": one.candidates,
        "rejected": one.rejected,
    }


def _interface(interface: Any) -> dict[str, Any]:
    return {
        "type": interface.type.name if interface.type else None,
        "operations": {
            name: {
                "implementation": one.implementation.primary.file if one.implementation and one.implementation.primary else None,
                "inputs": {**_values(interface.values), **_values(one.values)},
            }
            for name, one in interface.operations.items()
        },
    }
