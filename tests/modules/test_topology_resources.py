"""Module topology_resources against a cloud in this process, through openstacksdk."""

import copy
import json

import pytest
from ansible_collections.cloudos.cloud.plugins.module_utils.topology import schedule
from fake_openstack import fake_openstack
from fake_topology import TopologyCloud
from kit import Story, run_module, twelve_cases


def ref(name, *path):
    return {"$attribute": [name, *(path or ("id",))]}


EXISTING = [
    {"name": "small", "kind": "flavor", "existing": True, "arguments": {"vcpus": 1, "ram": 512}},
    {"name": "guest", "kind": "image", "existing": True, "arguments": {"os_distro": "debian"}},
    {"name": "outside", "kind": "network", "existing": True, "arguments": {"name": "ext"}},
]
RESOURCES = [
    *EXISTING,
    {"name": "net", "kind": "network", "arguments": {"mtu": 1400}},
    {"name": "subnet", "kind": "subnet", "arguments": {"network_id": ref("net"), "ip_version": 4, "cidr": "10.0.0.0/24"}},
    {"name": "router", "kind": "router", "arguments": {"external_gateway_info": {"network_id": ref("outside")}}},
    {"name": "leg", "kind": "router_interface", "arguments": {"router_id": ref("router"), "subnet_id": ref("subnet")}},
    {"name": "door", "kind": "security_group",
     "arguments": {"rules": [{"protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "0.0.0.0/0"}]}},
    {"name": "port", "kind": "port", "needs": ["subnet"],
     "arguments": {"network_id": ref("net"), "security_groups": [ref("door")]}},
    {"name": "key", "kind": "keypair", "arguments": {"public_key": "ssh-ed25519 AAAA somebody"}},
    {"name": "apart", "kind": "server_group", "arguments": {"policy": "anti-affinity"}},
    {"name": "disk", "kind": "volume", "arguments": {"size": 1}},
    {"name": "web", "kind": "server", "node": "web", "arguments": {
        "flavor": ref("small"), "image": ref("guest"), "networks": [{"port": ref("port")}], "key_name": ref("key", "name"),
        "os:scheduler_hints": {"group": ref("apart")}, "user_data": "#cloud-config"}},
    {"name": "disk-on-web", "kind": "volume_attachment", "arguments": {"server_id": ref("web"), "volume_id": ref("disk")}},
    {"name": "address", "kind": "floating_ip", "needs": ["leg"],
     "arguments": {"floating_network_id": ref("outside"), "port_id": ref("port")}},
    {"name": "qos", "kind": "qos_policy", "arguments": {}},
    {"name": "limit", "kind": "qos_bandwidth_rule", "arguments": {"policy_id": ref("qos"), "max_kbps": 1024}},
    {"name": "bucket", "kind": "container", "arguments": {}},
]  # fmt: skip


@pytest.fixture
def cloud():
    with fake_openstack(TopologyCloud) as running:
        running.bootstrap()
        for name, size in (("large", 8), ("tiny", 0), ("small", 1)):
            running.add("flavors", name=name, vcpus=size, ram=512 * size, disk=size)
        running.add("images", name="debian", os_distro="debian", status="active", os_hidden=False, created_at="1")
        running.add("networks", name="ext", description="", **{"router:external": True})
        yield running


def run(login, resources=RESOURCES, **more):
    return run_module("topology_resources", **{**login, "topology": "shop", "resources": resources, **more})


def changed(name, **arguments):
    """RESOURCES with arguments of one changed."""
    resources = copy.deepcopy(RESOURCES)
    next(one for one in resources if one["name"] == name)["arguments"].update(arguments)
    return resources


def test_twelve_cases_of_a_whole_topology(cloud, login):
    common = {**login, "topology": "shop"}
    twelve_cases(Story("topology_resources", {**common, "resources": RESOURCES}, {**common, "resources": changed("disk", size=3)},
                       {**common, "resources": RESOURCES, "state": "absent"}, state=lambda: settled(cloud)))  # fmt: skip


def settled(cloud):
    """The whole state but how often things were looked at."""
    return json.dumps({name: [{key: value for key, value in one.items() if key != "seen"} for one in things.values()]
                       for name, things in cloud.store.items()}, sort_keys=True)  # fmt: skip


def test_everything_is_linked_and_told(cloud, login):
    told = run(login)["resources"]
    server = cloud.store["servers"][told["web"]["id"]]
    assert server["asked"]["flavorRef"] == cloud.named("flavors", "small")["id"]
    assert server["asked"]["networks"] == [{"port": told["port"]["id"]}]
    assert server["asked"]["key_name"] == "shop-key" and server["metadata"]["cloudos_topology"] == "shop/web"
    assert told["web"]["private_address"] == told["port"]["ip_address"] and told["web"]["action"] == "created"
    assert cloud.store["networks"][told["net"]["id"]]["description"] == "shop/net"
    assert cloud.store["volumes"][told["disk"]["id"]]["attachments"][0]["server_id"] == told["web"]["id"]
    assert told["outside"]["action"] == "existing"


def test_what_was_there_before_is_what_is_left(cloud, login):
    before = cloud.counts()
    run(login)
    assert not run(login, state="absent").get("failed")
    assert cloud.counts() == before


def test_two_topologies_with_the_same_names_do_not_meet(cloud, login):
    first, second = run(login)["resources"], run(login, topology="other")["resources"]
    assert first["net"]["id"] != second["net"]["id"]
    run(login, state="absent")
    assert second["web"]["id"] in cloud.store["servers"]


@pytest.mark.parametrize("killed_after", [1, 4, 8])
def test_a_killed_call_is_continued(cloud, login, killed_after):
    """Of what a killed call made nothing is made twice, whatever it had got to."""
    run(login, RESOURCES[: 3 + killed_after])
    assert not run(login).get("failed")
    assert cloud.counts()["networks"] == 2 and cloud.counts()["servers"] == 1


def test_a_failure_names_the_resource_and_keeps_back_only_what_needs_it(cloud, login):
    cloud.broken.add("shop-web")
    told = run(login)
    assert told["failed"] and "server web: it is ERROR instead of ACTIVE: No valid host was found." in told["msg"]
    assert told["failure"]["waiting"] == ["disk-on-web"] and told["failure"]["node"] == "web"
    assert told["failure"]["resources"]["disk"]["action"] == "created" and "address" in told["failure"]["resources"]
    assert not run(login, state="absent").get("failed") and cloud.counts().get("servers") is None


def test_a_quota_is_told_in_the_words_of_the_api_with_a_next_step(cloud, login):
    cloud.refused["servers"] = (403, "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances")
    told = run(login)
    assert "already used 10 of 10" in told["msg"] and "raise the quota" in told["failure"]["next_step"]


@pytest.mark.parametrize(("name", "arguments", "words"), [
    ("outside", {"name": "nowhere"}, "no network with name nowhere; there are: ext"),
    ("small", {"vcpus": 64, "ram": 512}, "no flavor has at least vcpus 64, ram 512"),
    ("guest", {"os_distro": "plan9"}, "no image with os_distro plan9; there are: debian"),
])  # fmt: skip
def test_what_must_exist_is_looked_for_before_anything_is_made(cloud, login, name, arguments, words):
    resources = copy.deepcopy(RESOURCES)
    next(one for one in resources if one["name"] == name)["arguments"] = arguments
    before = cloud.counts()
    assert words in run(login, resources)["msg"]
    assert cloud.counts() == before


def test_what_cannot_be_changed_in_place_is_refused_with_the_way(cloud, login):
    run(login)
    told = run(login, changed("subnet", cidr="10.1.0.0/24"))
    assert "subnet subnet: cidr cannot be changed in place" in told["msg"] and "replace" in told["failure"]["next_step"]


LARGE = [{"name": "large", "kind": "flavor", "existing": True, "arguments": {"vcpus": 8, "ram": 512}}]


def test_another_flavor_is_a_resize_that_is_confirmed(cloud, login):
    run(login)
    resources = [*LARGE, *changed("web", flavor=ref("large"))]
    told = run(login, resources)
    server = next(iter(cloud.store["servers"].values()))
    assert told["resources"]["web"]["action"] == "changed" and (server["status"], server["restarts"]) == ("ACTIVE", 1), told
    assert server["flavor"]["id"] == cloud.named("flavors", "large")["id"] and len(cloud.store["servers"]) == 1
    assert not run(login, resources)["changed"]


@pytest.mark.parametrize("status", ["RESIZE", "VERIFY_RESIZE"])
def test_a_resize_that_was_interrupted_goes_on(cloud, login, status):
    run(login)
    server, large = next(iter(cloud.store["servers"].values())), cloud.named("flavors", "large")["id"]
    server.update(status=status, wanted_flavor=large, flavor={"id": large} if status == "VERIFY_RESIZE" else server["flavor"], seen=1)
    told = run(login, [*LARGE, *changed("web", flavor=ref("large"))])
    assert not told.get("failed"), told
    assert (server["status"], server["flavor"]["id"], server["restarts"]) == ("ACTIVE", large, 0)


def test_a_resize_that_the_cloud_does_not_do_is_told_and_the_server_stays(cloud, login):
    run(login)
    cloud.small.add("shop-web")
    told = run(login, [*LARGE, *changed("web", flavor=ref("large"))])
    assert "server web: it was not resized: it is ACTIVE with its old flavor (No valid host was found.)" in told["msg"]
    assert "room for" in told["failure"]["next_step"] and len(cloud.store["servers"]) == 1
    cloud.refused["action"] = (400, "disk of the flavor is too small")
    assert "too small" in run(login, [*LARGE, *changed("web", flavor=ref("large"))])["msg"]


def test_rules_of_a_group_follow_the_wanted_ones(cloud, login):
    run(login)
    wanted = [{"protocol": "tcp", "port_range_min": port, "port_range_max": port} for port in (22, 80)]
    told = run(login, changed("door", rules=wanted))
    assert not told.get("failed"), told["msg"]
    group = next(one for one in cloud.store["security_groups"].values())
    ports = [one.get("port_range_min") for one in group["security_group_rules"] if one["direction"] == "ingress"]
    assert sorted(ports) == [22, 80] and len(group["security_group_rules"]) == 4


def test_references_reach_what_other_calls_made(cloud, login):
    known = {"net": {"id": cloud.named("networks", "ext")["id"]}}
    port = {"name": "far", "kind": "port", "arguments": {"network_id": ref("net")}}
    assert not run(login, [port], known=known).get("failed")
    assert "refers to net, which is neither here nor known" in run(login, [{**port, "name": "lost"}])["msg"]


def test_secrets_stay_references(cloud, login):
    login["secrets"]["key"] = "geheim"
    told = run(login, changed("web", metadata={"token": "${secret:key}"}))
    assert next(iter(cloud.store["servers"].values()))["metadata"]["token"] == "geheim"
    assert "geheim" not in json.dumps(told)


def test_resources_that_do_not_need_each_other_are_worked_on_at_once():
    graph = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": {"x"}, "x": set()}

    def do(name):
        if name == "x":
            raise ValueError(name)
        return name.upper()

    done, failed, waiting = schedule.work(graph, do, 4)
    assert {name: one["value"] for name, one in done.items()} == {"a": "A", "b": "B", "c": "C", "d": "D"}
    assert list(failed) == ["x"] and waiting == ["e"]
