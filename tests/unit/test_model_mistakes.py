"""Every kind of mistake is told with its file, its line, and what to do about it."""

# ruff: noqa: E501 - a table: one mistake a line

import pytest

from cloudos.model.assemble import assemble
from cloudos.model.compile import load
from cloudos.model.options import Options, undeclared
from cloudos.model.problems import Report

CLOUD = "inventory/lab/cloud.yml"
CMP1 = "cmp1: {address: 172.29.0.21"
POOL = "pool: [10.99.0.100, 10.99.0.200]"
ALL = "cpu_ratio: 2, debug: true"
COMPUTE, IDENTITY, KVM = "services/compute.yml", "services/identity.yml", "plugins/compute/kvm.yml"

# (what, file, text replaced, by what, text in the line that is told, the message)
MISTAKES = [
    ("not YAML", CLOUD, "cloud: lab", "cloud: [lab", "release", "is not YAML"),
    ("a key twice", CLOUD, "cloud: lab", "cloud: lab\nregion: a\nregion: b", "region: b", "region stands twice"),
    ("unknown key", CLOUD, "cloud: lab", "cloud: lab\nregoin: a", "regoin", "regoin is not a key here; did you mean region?"),
    ("wrong type", CLOUD, "cloud: lab", "cloud: lab\nregion: [a]", "region", "region is a list, must be text"),
    ("bad name", CLOUD, "cloud: lab", "cloud: My_Lab", "My_Lab", "must be lower-case letters, digits and dashes"),
    ("bad node name", CLOUD, "cmp1: {", "cmp_1: {", "cmp_1", "a name here is lower-case letters"),
    ("a key is missing", CLOUD, "address: 172.29.0.21, ", "", "cmp1:", "nodes.cmp1 lacks address; add it"),
    ("release", CLOUD, '"2026.1"', '"2027.1"', "release", "release 2027.1 is unknown; did you mean 2026.1?"),
    ("patch level", CLOUD, '"2026.1"', '"2026.1-3"', "release", "2026.1-3 is not a patch level of 2026.1; did you mean 2026.1-"),
    ("address", CLOUD, CMP1, "cmp1: {address: 172.29.0.300", "cmp1", "172.29.0.300, which is not an IP address"),
    ("address outside", CLOUD, CMP1, "cmp1: {address: 172.30.0.2", "cmp1", "which is not in network management 172.29.0.0/24"),
    ("address twice", CLOUD, CMP1, "cmp1: {address: 172.29.0.11", "cmp1", "172.29.0.11, which is that of node ctl1"),
    ("broadcast", CLOUD, CMP1, "cmp1: {address: 172.29.0.255", "cmp1", "which no host of 172.29.0.0/24 can have"),
    ("cidr", CLOUD, "172.29.0.0/24", "172.29.0.1/24", "management", "has host bits set; write it like"),
    ("overlap", CLOUD, "cidr: 10.99.0.0/24", "cidr: 172.29.0.0/16", "external", "overlaps network management"),
    ("gateway outside", CLOUD, "gateway: 10.99.0.1", "gateway: 10.98.0.1", "external", "which is not in network external"),
    ("gateway in pool", CLOUD, "gateway: 10.99.0.1", "gateway: 10.99.0.150", "external", "contains the gateway 10.99.0.150"),
    ("pool backwards", CLOUD, POOL, "pool: [10.99.0.200, 10.99.0.100]", "external", "before its start 10.99.0.200; swap them"),
    ("pool too small", CLOUD, POOL, "pool: [10.99.0.100, 10.99.0.100]", "external", "need at least 2"),
    ("endpoint", CLOUD, "cloud: lab", "cloud: lab\nendpoint: {address: 172.29.0.21}", "endpoint", "it must be the control node's"),
    ("lab gateway", CLOUD, "cloud: lab", "cloud: lab\nlab: {bridge: b, gateway: 172.29.0.21}", "lab: {", "that of node cmp1"),
    ("machine without lab", CLOUD, CMP1, "cmp1: {lab: {machine: virtual}, address: 172.29.0.21", "cmp1", "cmp1 is no lab node, because the file lacks lab"),
    ("kind of machine", CLOUD, CMP1, "cmp1: {lab: {machine: virtul}, address: 172.29.0.21", "cmp1", "is virtul, which is unknown; did you mean virtual?"),
    ("memory of a container", CLOUD, CMP1, "cmp1: {lab: {memory: 4}, address: 172.29.0.21", "cmp1", "cmp1 is a container, which takes what the host has; leave memory out"),
    ("name of a disk", CLOUD, CMP1, f"cmp1: {{lab: {{machine: virtual, disks: {{{'d' * 21}: 1}}}}, address: 172.29.0.21", "cmp1", "a name here is at most 20 lower-case"),
    ("volume device", CLOUD, CMP1, "cmp1: {volume: {devices: {d1: {}}}, address: 172.29.0.21", "cmp1", "nodes.cmp1.volume.devices.d1 lacks device; add it"),
    ("group", CLOUD, "[control, network]", "[control, netwrk]", "ctl1", "netwrk is not a group; did you mean network?"),
    ("no network node", CLOUD, "[control, network]", "[control]", "nodes:", "no node is in group network"),
    ("two control nodes", CLOUD, "0.21, groups: [", "0.21, groups: [control, ", "nodes:", "2 nodes are in group control; there must be exactly 1"),
    ("service", CLOUD, "[identity, compute]", "[identity, compute, computr]", "services", "computr is not a service; did you mean compute?"),
    ("setting of a service", CLOUD, "cloud: lab", "cloud: lab\nsettings: {computr: {interval: 1}}", "settings", "computr is not in this cloud; did you mean compute?"),
    ("setting", CLOUD, "cloud: lab", "cloud: lab\nsettings: {compute: {intervall: 1}}", "settings", "intervall is not a setting of compute; did you mean interval?"),
    ("kind of a setting", CLOUD, "cloud: lab", "cloud: lab\nsettings: {compute: {interval: often}}", "settings", "interval of compute is text, must be an integer"),
    ("need", CLOUD, "[identity, compute]", "[compute]", "services", "compute needs identity, which is not in this cloud"),
    ("plugin", CLOUD, "compute: kvm", "compute: kvn", "plugins", "kvn is not a plugin of kind compute; did you mean kvm?"),
    ("kind", CLOUD, "compute: kvm", "compute: kvm, computes: kvm", "plugins", "computes is not a kind of plugin; did you mean compute?"),
    ("kind is missing", CLOUD, "plugins: {compute: kvm}", "plugins: {}", "plugins", "compute needs a plugin of kind compute"),
    ("override group", CLOUD, "  groups:\n    compute:", "  groups:\n    compte:", "compte", "compte is not a group; did you mean compute?"),
    ("override node", CLOUD, "cmp2: {compute", "cmp3: {compute", "cmp3: {compute", "cmp3 is not a node; did you mean cmp2?"),
    ("override service", CLOUD, "all:\n    compute", "all:\n    computer", "computer", "computer is not a service; did you mean compute?"),
    ("override absent service", CLOUD, "all:\n", "all:\n    toy: {}\n", "toy", "toy is not a service"),
    ("override file", CLOUD, "{agent/agent.conf: {DEFAULT: {cpu_ratio: 2,", "{agent/agent.cfg: {DEFAULT: {cpu_ratio: 2,", "agent.cfg",
     "agent/agent.cfg is not a file of compute; did you mean agent/agent.conf?"),
    ("override of text", CLOUD, "all:\n", "all:\n    haproxy: {/etc/haproxy/haproxy.cfg: {global: {}}}\n", "haproxy.cfg",
     "is plain text without options"),
    ("option", CLOUD, ALL, "cpu_ration: 2", "cpu_ration: 2", "agent/agent.conf [DEFAULT] cpu_ration is not an option of compute 33.0.2; did you mean cpu_ratio?"),
    ("option of another section", CLOUD, ALL, "max_pool_size: 2", "max_pool_size: 2", "it belongs to section [database]"),
    ("renamed option", CLOUD, ALL, "cpu_factor: 2", "cpu_factor: 2", "it is now called [DEFAULT] cpu_ratio"),
    ("section", CLOUD, "DEFAULT: {cpu_ratio: 2, debug: true}", "databse: {max_pool_size: 2}", "databse", "[databse] is not a section of compute 33.0.2; did you mean database?"),
    ("number", CLOUD, ALL, "cpu_ratio: many", "cpu_ratio: many", "is 'many', must be a number of at least 0"),
    ("bounds", CLOUD, ALL, "workers: 9", "workers: 9", "is 9, must be an integer from 1 to 8"),
    ("boolean", CLOUD, ALL, "debug: maybe", "debug: maybe", "must be true or false"),
    ("port", CLOUD, ALL, "listen_port: 65536", "listen_port", "must be a port from 0 to 65535"),
    ("choice", CLOUD, ALL + "}", "debug: true}, virt: {type: xen}", "xen", "must be one of kvm, qemu"),
    ("list", CLOUD, ALL, "tags: [1, a]", "tags", "has 'a', which must be an integer"),
    ("mapping", CLOUD, ALL, "limits: {a: b}", "limits", "must be an integer"),
    ("multi", CLOUD, ALL, "filter: {multi: [ram, dsk]}", "filter", "must be one of ram, disk"),
    ("uri", CLOUD, ALL, "base_url: http://host", "base_url", "must begin with https://"),
    ("host", CLOUD, ALL, 'my_ip: "a b"', "my_ip", "must be a host name or an IP address"),
    ("expression in an override", CLOUD, ALL, 'my_ip: "{{ nod.address }}"', "nod.address", "'nod' is undefined; did you mean nodes?"),
    ("service key", COMPUTE, "needs: [", "needz: [", "needz", "needz is not a key here; did you mean needs?"),
    ("unit key", COMPUTE, "port: 6080", "prt: 6080", "prt", "units.compute-proxy.prt is not a key here; did you mean port?"),
    ("unit without a program", COMPUTE, "exec: compute-proxy, ", "", "compute-proxy:", "must have exactly one of wsgi, exec, distribution"),
    ("port twice", COMPUTE, "port: 6080", "port: 5000", "compute-proxy:", "compute-proxy has port 5000, which is that of identity-api"),
    ("catalog unit", COMPUTE, "unit: compute-api", "unit: compute-apy", "catalog", "compute-apy, which is not a unit of compute; did you mean compute-api?"),
    ("need that is no service", COMPUTE, "needs: [identity", "needs: [identty, identity", "needs", "compute needs identty, which is not a service; did you mean identity?"),
    ("layer", COMPUTE, "layers: [common, database]", "layers: [commun, database]", "files:", "commun is not a layer of layers.yml; did you mean common?"),
    ("unknown secret", COMPUTE, "secret('metadata')", "secret('metedata')", "metedata", "there is no secret service/compute/metedata; did you mean service/compute/metadata?"),
    ("unknown URL", COMPUTE, "url('identity',", "url('identiti',", "identiti'", "identiti is not a service of this cloud; did you mean identity?"),
    ("unknown database", "services/layers.yml", "database_url(service)", "database_url('identty')", "identty",
     "no service of this cloud has a database identty; did you mean identity?"),
    ("syntax of an expression", COMPUTE, "{{ node.address }}\", transport", "{{ node.address }\", transport", "transport", "unexpected '}'"),
    ("unknown fact", KVM, "node.facts.kvm ==", "node.facts.kwm ==", "kwm", "has no attribute 'kwm'"),
    ("input file", IDENTITY, "health: /v3", "health: /v3\n    files: [identty.conf]", "identty.conf", "identty.conf is not a file of identity; did you mean identity.conf?"),
    ("condition without expression", KVM, '"{{ node.facts.tun }}"', "node.facts.tun", "node.facts.tun", "must be an expression in {{ }}"),
    ("circle of units", KVM, "distribution: true, stage: foundations", "distribution: true, after: [compute-agent]", "x", "units wait for one another"),
    ("name of a plugin", KVM, "plugin: compute/kvm", "plugin: compute/kwm", "compute/kwm", "name both alike"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_mistake_is_told_with_its_line(tree, file, old, new, line, message):
    tree.edit(file, old, new)
    told = [problem for problem in tree.mistakes() if message in problem]
    assert told, tree.mistakes()
    if message != "units wait for one another":  # told at the service that the plugin extends
        assert told[0].startswith(tree.line(file, line) + ": ")


def test_all_mistakes_are_told_at_once(tree):
    tree.edit(CLOUD, "[identity, compute]", "[identity, compute, toy]")
    tree.edit(CLOUD, CMP1, "cmp1: {address: 172.30.0.1")
    tree.edit(CLOUD, ALL, "cpu_ration: 2")
    tree.edit(COMPUTE, "port: 6080", "prt: 6080")
    tree.edit(KVM, "title: ", "titel: ")
    assert len({problem.split(":")[1] for problem in tree.mistakes()}) >= 4
    assert len(tree.mistakes()) >= 5


def test_requirement_of_a_plugin_is_checked_where_facts_are_known(tree):
    tree.compile(facts={"cmp1": {"tun": True}})
    told = tree.mistakes(facts={"cmp1": {"tun": True}, "cmp2": {"tun": False}, "ctl1": {"tun": False}})
    assert told == [
        f"{tree.line(CLOUD, 'plugins')}: plugin compute/kvm does not fit node cmp2: there is no /dev/net/tun; load the kernel module tun"
    ]


def test_values_that_suit_their_types(tree):
    tree.edit(CLOUD, ALL + "}", 'workers: "8", tags: "1,2", limits: {a: 1}, filter: {multi: [ram]}, base_url: "https://h/",\n'
              '      my_ip: "{{ node.address }}", listen_port: 80, debug: "yes"}, auth: {username: me}, store: {new: 1}')  # fmt: skip
    with pytest.raises(
        Exception, match="not a section"
    ) as caught:  # store is a section of compute.conf, not of this file
        tree.compile(options=tree.options)
    assert len(str(caught.value).splitlines()) == 1


def test_section_that_the_service_names_takes_any_option(tree):
    tree.edit(CLOUD, "all:\n", "all:\n    identity: {}\n")
    tree.edit(
        CLOUD,
        "compute: {agent/agent.conf: {DEFAULT: {cpu_ratio: 2, debug: true}}}",
        "compute: {compute.conf: {store: {other: 1}}}",
    )
    plan = tree.compile(options=tree.options)
    assert "[store]\nanything = 1\nother = 1\n" in plan.host("ctl1").files["compute"]["compute.conf"]["content"]


def test_without_a_catalogue_options_are_not_checked_and_the_plan_says_so(tree):
    assert tree.compile(options=tree.options).data["options_checked"] is True
    tree.edit(CLOUD, ALL, "cpu_ration: 2")
    assert tree.compile().data["options_checked"] is False


def test_what_services_themselves_set_is_compared_with_the_catalogue(tree):
    assert found(tree) == []
    tree.edit(COMPUTE, 'my_ip: "{{ node.address }}", transport_url', "my_iq: 1, cpu_factor: 2, transport_url")
    tree.edit(IDENTITY, "namespaces: [identity]", "namespaces: [identity, identiti]")
    assert found(tree) == [
        "identity: identity.conf namespace identiti; did you mean identity?",
        "compute: compute.conf [DEFAULT] my_iq",
    ]


def found(tree):
    loaded = load(tree.root / CLOUD, tree.root)
    cloud = assemble(loaded.inventory, loaded.services, loaded.plugins, loaded.release, Report())
    return undeclared(cloud.bodies, cloud.services.layers, Options(tree.options))
