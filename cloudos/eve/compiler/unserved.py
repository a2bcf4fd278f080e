"""What a template says that Eve does nothing about, told with its place and with what to do instead, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Iterator

from cloudos.eve.compiler.expressions import asked
from cloudos.eve.compiler.instances import Compilation
from cloudos.tosca.model import NodeTemplate, Policy, Template

SUBSTITUTED, SELECTED = {"substitute", "substitutable"}, {"select", "selectable"}
RUN = "run a workflow instead (`cloudos eve workflow run`)"


def left_to_others(template: Template) -> Iterator[str]:
    """What starts nothing wherever the template is deployed."""
    for policy in template.policies.values():
        for trigger in policy.triggers.values():
            yield f"{trigger.place}: trigger {trigger.name} of policy {policy.name} starts nothing; {RUN} from what watches for it"
    for node in template.nodes.values():
        if _only_substituted(node):
            yield f"{node.place}: {_substituted(node)}; deploy refuses it. Put that template's nodes in its place"
    substitution = template.substitution
    for name, workflows in (substitution.interfaces if substitution else {}).items():
        for operation, workflow in workflows.items():
            yield (f"{substitution.place}: {name}.{operation}, which is mapped to workflow {workflow}, is called by nobody, as no template "
                   f"is put into another; {RUN}")  # fmt: skip


def notes(compiler: Compilation) -> Iterator[str]:
    """What starts nothing, and the policies of which no provider knows anything."""
    yield from left_to_others(compiler.template)
    for policy in compiler.template.policies.values():
        if not _served(compiler, policy):
            providers = ", ".join(sorted({pool.provider for pool in compiler.pools.values()}))
            yield (f"{policy.place}: nothing is done for policy {policy.name}: {policy.type.name} means nothing to provider {providers}. "
                   "See to it otherwise, or add the type to the provider's mapping")  # fmt: skip


def demand_made(compiler: Compilation, node: NodeTemplate) -> None:
    """Tell a node that its directives want from elsewhere, and that would be made, or be nothing, all the same."""
    if "create" in node.directives or not node.directives:
        return
    if _only_substituted(node):
        compiler.problem(node, _substituted(node), "Put that template's nodes in its place.")
    elif made := [f"{entry['kind']} {name}" for one in compiler.instances(node) for name, entry, existing in one.resources if not existing]:
        message = f"node {node.name} is to be selected from what exists (directive {', '.join(node.directives)}); {made[0]} would be made"
        compiler.problem(node, message, "Name what exists in its properties or by a choice of the profile; leave the requirement open that "
                         "leads to it, and choose for that; or remove the directive.")  # fmt: skip


def _only_substituted(node: NodeTemplate) -> bool:
    return bool(SUBSTITUTED.intersection(node.directives)) and not {"create", *SELECTED}.intersection(node.directives)


def _substituted(node: NodeTemplate) -> str:
    return f"node {node.name} is to be substituted by another template (directive {', '.join(node.directives)}), which Eve does not do"


def _served(compiler: Compilation, policy: Policy) -> bool:
    """Whether any provider has an entry for the policy's type, or asks for its properties from that of another one."""
    names = {one.name for one in policy.type.lineage}
    for mapping in (pool.mapping for pool in compiler.pools.values()):
        consulted = {kind for function in ("on", "all") for kind in asked(mapping.policies, function)}
        if mapping.of("policies", policy.type.lineage) is not None or names & consulted:
            return True
    return False
