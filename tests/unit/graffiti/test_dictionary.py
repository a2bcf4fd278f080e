"""Loaders and types: Glance's definitions whole, traits with a tree, units and constraints in schemas."""

import json

import os_resource_classes
import os_traits
import pytest

from cloudos.graffiti import matching, schema, sources
from cloudos.graffiti.sources import Unloadable, metadefs
from cloudos.graffiti.types import Batch, Dictionary, Mistakes, Namespace, Type, UnknownType, judged


def test_every_namespace_of_glance_comes_out_as_it_went_in(glance):
    documents = {path.name: json.loads(path.read_text()) for path in sorted(glance.glob("*.json"))}
    batch = sources.load("metadefs", glance)
    assert len(documents) >= 30 and len(batch.namespaces) == len(documents)
    for document, namespace in zip(documents.values(), batch.namespaces, strict=True):
        assert metadefs.write(namespace, [one for one in batch.types if one.namespace == namespace.name]) == document
    judged(batch, Dictionary([]))


def test_a_flavors_keys_have_their_prefixes(glance):
    known = judged(sources.load("metadefs", glance), Dictionary([]))[1]
    keys = {one["key"]: one for one in known.keys("OS::Nova::Flavor")}
    assert {"hw:cpu_policy", "quota:cpu_shares", "hw:mem_page_size"} <= set(keys)
    assert keys["hw:cpu_policy"]["schema"]["enum"] == ["shared", "dedicated"]
    images = {one["key"] for one in known.keys("OS::Glance::Image")}
    assert "hw_cpu_policy" in images and "hw:cpu_policy" not in images and "os_distro" in images


def test_traits_and_classes_are_all_there_and_have_a_tree(dictionary):
    known = {full.partition("/")[2] for kind, full in dictionary.types if full.startswith("os-traits/")}
    assert set(os_traits.get_traits()) <= known
    avx = dictionary.get("HW_CPU_X86_AVX2")
    assert [one.name for one in dictionary.ancestry(avx)] == ["HW_CPU_X86_AVX2", "HW_CPU_X86", "HW_CPU", "HW", "TRAIT"]
    assert {f"os-resource-classes/{name}" for name in os_resource_classes.STANDARDS} <= set(
        dictionary.derived(dictionary.get("RESOURCE_CLASS"))
    )


def test_names_are_found_by_alias_and_mistaken_ones_get_a_hint(dictionary):
    assert dictionary.get("tosca:Compute").full == "tosca/tosca.capabilities.Compute"
    with pytest.raises(UnknownType, match=r"did you mean tosca.capabilities.Compute\?"):
        dictionary.get("tosca.capabilities.Compte")


def test_a_name_of_two_namespaces_must_be_said_in_full():
    types = [Type("capability", name, "till") for name in ("one", "two")]
    known = judged(Batch((Namespace("one"), Namespace("two")), tuple(types)), Dictionary([]))[1]
    with pytest.raises(UnknownType, match="say which: one/till, two/till"):
        known.get("till")
    assert known.get("two/till").namespace == "two"


def test_a_change_of_a_parent_that_breaks_children_is_told(dictionary):
    base = Type("capability", "n", "base", schema={"properties": {"size": {"type": "integer"}}})
    child = Type("capability", "n", "child", "base", schema={"properties": {"size": {"minimum": 1}}})
    known = judged(Batch((Namespace("n"),), (base, child)), Dictionary([]))[1]
    changed = Type("capability", "n", "base", schema={"properties": {"size": {"type": "integer", "minimum": 5}}})
    with pytest.raises(Mistakes, match="n/child: property size: minimum 1 is wider"):
        judged(Batch((), (changed, child)), known)
    with pytest.raises(Mistakes, match="n/child"):
        judged(Batch((), (changed,)), known)


@pytest.mark.parametrize("instance, wrong", [
    ({"num_cpus": 2, "mem_size": "2 GiB"}, []), ({"num_cpus": 0}, ["0 is not >= 1"]), ({"mem_size": "2"}, ["'2' is not a size"]),
    ({"mem_size": 4}, ["4 is not of type 'string'", "4 is not a size"]), ({"num_cpus": "two"}, ["'two' is not of type 'integer'"]),
])  # fmt: skip
def test_instances_are_judged_with_units_and_constraints(dictionary, instance, wrong):
    found = [text for _, text in schema.check(dictionary.schema(dictionary.get("tosca:Compute")), instance)]
    assert len(found) >= len(wrong) and all(any(one in text for text in found) for one in wrong)
    assert bool(found) == bool(wrong)


def test_requirement_types_add_their_conditions(session, dictionary, context):
    def filter_(name, least):
        return {"capabilities": {"host": {"properties": {name: {"greater_or_equal": least}}}}}

    compute = {"capability": "tosca.capabilities.Compute", "node_filter": filter_("num_cpus", 2)}
    base = Type("requirement", "n", "host", definition=compute)
    web = Type("requirement", "n", "web-host", "host", definition={"node_filter": filter_("mem_size", "1 GB")})
    known = judged(Batch((Namespace("n"),), (base, web)), dictionary)[1]
    wanted = matching.wanted({"id": "x", "requirement": "web-host"}, known)
    assert wanted.capability.name == "tosca.capabilities.Compute"
    assert {test.name for test in wanted.filter.joint.tests()} == {"num_cpus", "mem_size"}


@pytest.mark.parametrize("source, text, words", [
    ("metadefs", "{", "JSONDecodeError"), ("tosca-file", "a: [", "yaml.syntax"),
    ("document", "types: 3", "TypeError"), ("document", "[]", "mapping"),
])  # fmt: skip
def test_sources_that_cannot_be_read_are_told(tmp_path, source, text, words):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(Unloadable, match=words) as caught:
        sources.load(source, path)
    assert str(path) in str(caught.value)
