"""The types that Eve brings say the same in TOSCA 1.3 and 2.0, and the mapping knows each of them."""

import pytest

from cloudos import tosca
from cloudos.eve import given
from cloudos.eve.compiler.compile import compile_topology
from cloudos.eve.provider import openstack

BODY = """
    outside: {type: cloudos.nodes.ExternalNetwork}
    segment: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.7.0.0/24}}
    router: {type: cloudos.nodes.Router, requirements: [{gateway: outside}, {segment: segment}]}
    disk: {type: cloudos.nodes.VolumeGroup, properties: {size: 2 GB}}
    web:
      type: cloudos.nodes.ServerGroup
      properties: {image: debian, flavor: small, max_instances: 3}
      requirements:
        - network:
            node: segment
            relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {floating_ip: true, open_ports: [22]}}
        - volume: disk
"""
OLD = "tosca_definitions_version: tosca_simple_yaml_1_3\nimports: ['cloudos:openstack.yaml']\ntopology_template:\n  node_templates:"
NEW = "tosca_definitions_version: tosca_2_0\nimports: [{profile: cloudos.openstack}]\nservice_template:\n  node_templates:"
REFUSED = {
    "a volume group on a router": "    disk: {type: cloudos.nodes.VolumeGroup}\n"
                                  "    router: {type: cloudos.nodes.Router, requirements: [{segment: disk}]}",
    "a segment behind a segment's gateway": "    one: {type: cloudos.nodes.NetworkSegment}\n"
                                            "    router: {type: cloudos.nodes.Router, requirements: [{gateway: one}]}",
    "a server on a router": "    router: {type: cloudos.nodes.Router}\n"
                            "    web: {type: cloudos.nodes.ServerGroup, requirements: [{network: router}]}",
    "a load balancer before a volume": "    disk: {type: cloudos.nodes.VolumeGroup}\n"
                                       "    lb: {type: cloudos.nodes.LoadBalancer, requirements: [{member: disk}]}",
}  # fmt: skip


def load(tmp_path, head, body=BODY):
    path = tmp_path / "template.yaml"
    path.write_text(f"{head}\n{body.strip(chr(10))}\n")
    return tosca.load(path, given.resolver(()), {})


def test_both_versions_give_the_same_graph(tmp_path, pools):
    graphs = []
    for head in (OLD, NEW):
        report = load(tmp_path, head)
        assert not report.exit_code, [str(one) for one in report.problems]
        graphs.append([one.to_json() for one in compile_topology(report.template, pools).resources.values()])
    assert graphs[0] == graphs[1] and len(graphs[0]) > 10


@pytest.mark.parametrize("head", [OLD, NEW], ids=["1.3", "2.0"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_may_not_be_connected_is_refused(tmp_path, head, what):
    assert load(tmp_path, head, REFUSED[what]).exit_code == 1, what


def test_the_mapping_knows_every_type_of_the_profile(tmp_path):
    report = load(tmp_path, OLD)
    documents = [one.document for one in report.template.document.imports]
    types = {name for one in documents for name in one.definitions["node"] if name.startswith("cloudos.")}
    assert types == {name for name in openstack().types if name.startswith("cloudos.")}
