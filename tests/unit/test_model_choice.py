"""Several plugins of one kind: side by side, or the first that the nodes can serve; and what a plugin adds elsewhere."""

import pytest

CLOUD = "inventory/lab/cloud.yml"
XEN = """---
plugin: compute/xen
extends: compute
title: Instances in Xen
requires: [{that: "{{ node.facts.kernel.xen }}", message: there is no Xen, on: [compute]}]
needs: [extra]
packages: {compute: [xen]}
files: {agent/agent.conf: {options: {DEFAULT: {tags: [xen]}, virt: {cache: "{{ plugins.compute }}"}}}}
also:
  identity: {packages: {control: [xen-keys]}, files: {identity.conf: {options: {DEFAULT: {debug: true}}}}}
  absent: {packages: {all: [nothing]}}
"""
EXTRA = """---
service: extra
base: true
packages: {compute: [extra]}
units: {extra: {on: [compute], distribution: true}}
"""


@pytest.fixture
def tree(tree):
    (tree.root / "plugins/compute/xen.yml").write_text(XEN)
    (tree.root / "services/extra.yml").write_text(EXTRA)
    tree.edit("plugins/compute/kvm.yml", "DEFAULT: {cpu_ratio: 8}", "DEFAULT: {cpu_ratio: 8, tags: [kvm]}")
    return tree


def named(tree, said):
    tree.edit(CLOUD, "plugins: {compute: kvm}", f"plugins: {{compute: {said}}}")
    return tree


def facts(**kernel):
    return {name: {"kernel": kernel} for name in ("ctl1", "cmp1", "cmp2")}


def test_one_plugin_is_the_choice(tree):
    assert tree.compile().data["plugins"] == {"compute": {"chosen": ["kvm"], "passed_over": {}}}


def test_several_side_by_side_are_all_merged(tree):
    plan = named(tree, "[kvm, xen]").compile(facts(xen=True))
    assert plan.data["plugins"]["compute"] == {"chosen": ["kvm", "xen"], "passed_over": {}}
    text = plan.host("cmp1").files["compute"]["agent/agent.conf"]["content"]
    assert "tags = kvm,xen\n" in text
    assert "cache = kvm,xen\n" in text
    assert {"xen", "libvirt-daemon"} <= set(plan.host("cmp1").data["packages"])


def test_the_first_that_fits_every_node_is_chosen_and_the_others_told(tree):
    some = {**facts(xen=True), "cmp2": {"kernel": {}}}
    plan = named(tree, "{first: [xen, kvm]}").compile(some)
    assert plan.data["plugins"]["compute"] == {"chosen": ["kvm"], "passed_over": {"xen": ["cmp2 there is no Xen"]}}
    assert "extra" not in plan.data["services"]


def test_the_better_one_is_chosen_where_it_fits(tree):
    plan = named(tree, "{first: [xen, kvm]}").compile(facts(xen=True))
    assert plan.data["plugins"]["compute"] == {"chosen": ["xen"], "passed_over": {"kvm": ["xen comes before it"]}}
    assert "cache = xen\n" in plan.host("cmp1").files["compute"]["agent/agent.conf"]["content"]


def test_a_plugin_like_another_says_only_what_differs(tree):
    (tree.root / "plugins/compute/slow.yml").write_text("""---
plugin: compute/slow
extends: compute
like: xen
title: Instances in a slow Xen
files: {agent/agent.conf: {options: {virt: {cache: none}}}}
""")
    refused = "\n".join(named(tree, "slow").mistakes(facts(xen=False)))
    assert "plugin compute/slow does not fit node cmp1: there is no Xen" in refused
    plan = tree.compile(facts(xen=True))
    text = plan.host("cmp1").files["compute"]["agent/agent.conf"]["content"]
    assert "cache = none\n" in text and "tags = xen\n" in text
    assert "xen-keys" in plan.host("ctl1").data["packages"]
    tree.edit("plugins/compute/slow.yml", "like: xen", "like: xenn")
    assert "xenn is no compute plugin that stands by itself; did you mean xen?" in "\n".join(tree.mistakes(facts(xen=True)))


def test_what_is_required_of_the_inventory_is_told_before_anybody_looks(tree):
    tree.edit("plugins/compute/xen.yml", "{{ node.facts.kernel.xen }}", "{{ nodes('compute') | length == 1 }}")
    assert "plugin compute/xen does not fit node cmp1: there is no Xen" in "\n".join(named(tree, "xen").mistakes())


def test_a_choice_from_assumptions_says_so(tree):
    plan = named(tree, "{first: [xen, kvm]}").compile()
    (reason, _other) = plan.data["plugins"]["compute"]["passed_over"]["xen"]
    assert reason == "cmp1 there is no Xen (as assumed: nobody has looked)"


def test_what_a_plugin_needs_and_adds_elsewhere_comes_along(tree):
    plan = named(tree, "xen").compile(facts(xen=True))
    assert plan.data["services"].index("extra") < plan.data["services"].index("compute")
    assert "xen-keys" in plan.host("ctl1").data["packages"]
    assert "debug = true" in plan.host("ctl1").files["identity"]["identity.conf"]["content"]


@pytest.mark.parametrize(("said", "message"), [
    ("{first: [xen]}", "no plugin of kind compute in this list fits the nodes: xen: cmp1 there is no Xen, cmp2 there is no Xen"),
    ("[kvm, kvn]", "kvn is not a plugin of kind compute; did you mean kvm?"),
    ("[kvm, kvm]", "kvm stands twice in plugins.compute"),
    ("{fist: [kvm]}", "plugins.compute.fist is not a key here; did you mean first?"),
    ("[]", "plugins.compute has 0 items; the minimum is 1"),
    ("1", "plugins.compute is an integer, must be text or a list or a mapping"),
    ("[kvm, xen]", "plugin compute/xen does not fit node cmp1: there is no Xen"),
])  # fmt: skip
def test_mistakes(tree, said, message):
    found = [line for line in named(tree, said).mistakes(facts()) if message in line]
    assert len(found) == 1
    assert found[0].startswith(tree.line(CLOUD, "plugins:"))


def test_a_need_of_a_plugin_that_is_no_service_is_told_in_its_file(tree):
    tree.edit("plugins/compute/xen.yml", "needs: [extra]", "needs: [extar]")
    message = "compute needs extar, which is not a service; did you mean extra?"
    assert f"{tree.line('plugins/compute/xen.yml', 'needs:')}: {message}" in named(tree, "xen").mistakes(facts(xen=True))


def test_a_uuid_is_the_clouds_own_and_stays(tree):
    tree.edit("plugins/compute/xen.yml", '"{{ plugins.compute }}"', "\"{{ uuid('x') }}\"")
    texts = []
    for name in ("lab", "lab", "other"):
        tree.edit(CLOUD, "cloud: lab", f"cloud: {name}")
        plan = tree.compile(facts(xen=True)) if texts else named(tree, "xen").compile(facts(xen=True))
        texts.append(plan.host("cmp1").files["compute"]["agent/agent.conf"]["content"].partition("cache = ")[2][:36])
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].count("-") == 4
