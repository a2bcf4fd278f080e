"""What a template says that Eve does nothing about, told with its place and with what to do instead, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Iterator

from cloudos.eve.compiler.expressions import asked
from cloudos.eve.compiler.instances import Compilation
from cloudos.tosca.expansion import SUBSTITUTED
from cloudos.tosca.model import NodeTemplate, Policy, Template

SELECTED = {"select", "selectable"}
RUN = "run a workflow instead (`cloudos eve workflow run`)"


def left_to_others(template: Template) -> Iterator[str]:
    """What starts nothing wherever the template is deployed."""
    for policy in template.policies.values():
        for trigger in policy.triggers.values():
            yield f"{trigger.place}: trigger {trigger.name} of policy {policy.name} starts nothing; {RUN} from what watches for it"
    for node in template.nodes.values():
        if _only_substituted(node):
            yield f"{node.place}: {_not_substituted(node)}; deploy refuses it. {_mend(node)}"
    for one in template.substituted.values():
        for operation, workflow in one.operations.items():
            yield (f"{one.place}: {operation} of {one.name} is workflow {workflow}: it runs when a step of a workflow calls the operation, "
                   f"not when the topology is deployed; or {RUN}")  # fmt: skip


def notes(compiler: Compilation) -> Iterator[str]:
    """What starts nothing, and the policies of which no provider knows anything."""
    yield from left_to_others(compiler.template)
    for policy in compiler.template.policies.values():
        if not _served(compiler, policy):
            providers = ", ".join(sorted({pool.provider for pool in compiler.pools.values()}))
            yield (f"{policy.place}: nothing is done for policy {policy.name}: {policy.type.name} means nothing to provider {providers}. "
                   "See to it otherwise, or add the type to the provider's mapping")  # fmt: skip


def demand_templates(compiler: Compilation) -> None:
    """Tell the nodes in whose place no template could be put."""
    for node in filter(_only_substituted, compiler.template.nodes.values()):
        compiler.problem(node, _not_substituted(node), f"{_mend(node)}.")


def demand_made(compiler: Compilation, node: NodeTemplate) -> None:
    """Tell a node that its directives want from elsewhere, and that would be made, or be nothing, all the same."""
    if "create" in node.directives or not node.directives:
        return
    if made := [f"{entry['kind']} {name}" for one in compiler.instances(node) for name, entry, existing in one.resources if not existing]:
        message = f"node {node.name} is to be selected from what exists (directive {', '.join(node.directives)}); {made[0]} would be made"
        compiler.problem(node, message, "Name what exists in its properties or by a choice of the profile; leave the requirement open that "
                         "leads to it, and choose for that; or remove the directive.")  # fmt: skip


def _only_substituted(node: NodeTemplate) -> bool:
    return bool(SUBSTITUTED.intersection(node.directives)) and not {"create", *SELECTED}.intersection(node.directives)


def _not_substituted(node: NodeTemplate) -> str:
    """That no template could be put in the place of a node, and why."""
    if len(node.candidates) > 1:
        why = f"and several fit: {', '.join(node.candidates)}"
    elif node.rejected:
        why = f"and none fits: {'; '.join(f'{file}: {reason}' if file != '*' else reason for file, reason in node.rejected.items())}"
    else:
        why = "and the design has none with substitution_mappings"
    return f"node {node.name} is to be substituted by another template (directive {', '.join(node.directives)}), {why}"


def _mend(node: NodeTemplate) -> str:
    if len(node.candidates) > 1:
        return (f"Name one with `--substitute {node.name}={node.candidates[0]}`, or in the profile: "
                f"`substitutions: {{{node.name}: {node.candidates[0]}}}`")  # fmt: skip
    return f"Add a file to the archive, or beside the template, whose substitution_mappings have node_type {node.type.name} and fit"


def _served(compiler: Compilation, policy: Policy) -> bool:
    """Whether any provider has an entry for the policy's type, or asks for its properties from that of another one."""
    names = {one.name for one in policy.type.lineage}
    for mapping in (pool.mapping for pool in compiler.pools.values()):
        consulted = {kind for function in ("on", "all") for kind in asked(mapping.policies, function)}
        if mapping.of("policies", policy.type.lineage) is not None or names & consulted:
            return True
    return False
