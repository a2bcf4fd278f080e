"""What a template says and nobody does anything about is told, with place and next step, and never made into something else."""

from types import SimpleNamespace

import pytest

from cloudos.eve.compiler.unserved import _served
from cloudos.eve.problems import Undeployable

NET = "    net: {type: cloudos.nodes.Network}"
TYPES = """
node_types: {my.Db: {derived_from: tosca.nodes.Root}}
policy_types: {my.Backup: {derived_from: tosca.policies.Root}}
"""
TRIGGER = "    - grow: {type: tosca.policies.Scaling, targets: [net], triggers: {hot: {event: e, action: [{call_operation: S.start}]}}}"


def test_triggers_and_policies_that_nobody_knows_are_notes_of_the_plan(compiled):
    graph = compiled(NET, types=TYPES, policies=TRIGGER + "\n    - save: {type: my.Backup, targets: [net]}")
    trigger, unknown = graph.notes
    assert ".yaml:11:" in trigger and "trigger hot of policy grow starts nothing; run a workflow instead" in trigger
    assert ".yaml:12:" in unknown and "policy save: my.Backup means nothing to provider openstack" in unknown


@pytest.mark.parametrize(("kind", "served"), [("nfv.AffinityRule", True), ("nfv.VduInitialDelta", True), ("nfv.ScalingAspects", True),
                                              ("nfv.SecurityGroupRule", False)])  # fmt: skip
def test_policies_whose_properties_others_ask_for_are_served(pools, kind, served):
    policy = SimpleNamespace(type=SimpleNamespace(lineage=[SimpleNamespace(name=f"tosca.policies.{kind}")]))
    assert _served(SimpleNamespace(pools=pools), policy) is served


@pytest.mark.parametrize(("node", "words"), [
    ("{type: my.Db, directives: [substitute]}", "is to be substituted by another template"),
    ("{type: cloudos.nodes.Network, directives: [select]}", "is to be selected from what exists .* network one would be made"),
])  # fmt: skip
def test_what_is_wanted_from_elsewhere_is_never_made(compiled, node, words):
    with pytest.raises(Undeployable, match=words):
        compiled(f"    one: {node}", types=TYPES)


def test_what_is_selected_by_its_name_is_used(compiled):
    graph = compiled("    one: {type: cloudos.nodes.Network, directives: [select], properties: {network: corporate}}")
    assert [one.existing for one in graph.resources.values()] == [True]
