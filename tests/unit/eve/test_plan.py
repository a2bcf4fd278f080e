"""Plans are the difference of what is and what is wanted."""

import pytest
from topologies import APP, APP_NODE, SHOP

from cloudos.eve import quota
from cloudos.eve.engine.plan import make_plan
from cloudos.eve.engine.sharing import shared
from cloudos.eve.engine.state import Directory, State
from cloudos.eve.graph import Graph, levels, reverse
from cloudos.eve.problems import Undeployable
from cloudos.eve.quota import Survey

APPLICATION = {"types": APP, "declared": "    password: {type: string, default: x}"}


def deployed(graph, topology="shop"):
    """The state after everything of a graph was made."""
    state = State(topology, counts=graph.counts)
    for name, one in graph.resources.items():
        state.have(one, {"id": f"id-of-{name}"} if one.existing else {"id": f"{topology}/{name}"})
    return state


def actions(plan, without=("keep", "use")):
    return {name: step.action for name, step in plan.steps.items() if step.action not in without}


def test_everything_is_created_at_first(compiled, pools):
    graph = compiled(SHOP)
    plan = make_plan(State("shop"), graph, pools)
    assert set(actions(plan).values()) == {"create"}
    assert [stage.pool for stage in plan.stages] == ["default"], "one module call for all of a pool"
    assert plan.quota["default"]["instances"] == 1 and plan.quota["default"]["gigabytes"] == 2
    assert plan.seconds > 9


def test_nothing_is_started_when_nothing_differs(compiled, pools):
    graph = compiled(SHOP)
    plan = make_plan(deployed(graph), graph, pools)
    assert plan.nothing and plan.seconds == 0 and not actions(plan)


def test_a_change_in_place_and_a_replacement_with_all_that_hangs_on_it(compiled, pools):
    state = deployed(compiled(SHOP))
    larger = make_plan(state, compiled(SHOP.replace("size: 2 GB", "size: 5 GB")), pools)
    assert actions(larger) == {"disk": "change"} and larger.quota == {"default": {"gigabytes": 3}}
    assert larger.steps["disk"].changes == {"size": [2, 5]}
    flavor = make_plan(state, compiled(SHOP.replace("flavor: small", "flavor: large")), pools)
    assert actions(flavor) == {"web": "change"} and flavor.steps["web"].reason == "resize, the server restarts"
    image = make_plan(state, compiled(SHOP.replace("image: debian", "image: other")), pools)
    assert actions(image) == {"web": "replace", "web_disk_volume_attachment": "replace"}
    assert [stage.down for stage in image.stages] == [True, False], "the old one goes first"
    moved = make_plan(state, compiled(SHOP.replace("10.7.0.0/24", "10.8.0.0/24")), pools)
    assert actions(moved)["segment_subnet"] == actions(moved)["web_segment_port"] == actions(moved)["web"] == "replace"


def test_nothing_is_removed_that_something_else_still_holds(compiled, pools):
    """A cloud keeps a subnet as long as a port has an address of it: the port, and its server, go before."""
    moved = make_plan(deployed(compiled(SHOP)), compiled(SHOP.replace("10.7.0.0/24", "10.8.0.0/24")), pools)
    down = next(stage for stage in moved.stages if stage.down)
    order = [name for name in down.names if name in ("web", "web_segment_port", "segment_subnet")]
    assert order == ["web", "web_segment_port", "segment_subnet"]
    assert "what networks refers to is made anew" in moved.steps["web"].reason
    assert moved.steps["web_segment_port"].reason == "what fixed_ips refers to is made anew"
    renamed = make_plan(deployed(compiled(SHOP)), compiled(SHOP.replace("cidr: 10.7.0.0/24", "cidr: 10.7.0.0/24, dns: [10.7.0.9]")), pools)
    assert actions(renamed) == {"segment_subnet": "change"}, "what is changed in place holds nothing up"


def test_another_choice_for_one_of_two_servers_resizes_that_one(compiled, pools):
    nodes = "    a: {type: cloudos.nodes.Server}\n    b: {type: cloudos.nodes.Server}"
    image = {"id": "i", "name": "guest"}
    bound = {name: {"flavor": {"id": "f1", "name": "small"}, "image": image} for name in ("a", "b")}
    state = deployed(compiled(nodes, choices=bound))
    plan = make_plan(state, compiled(nodes, choices={**bound, "b": {"flavor": {"id": "f2", "name": "large"}, "image": image}}), pools)
    assert actions(plan) == {"b": "change"} and plan.steps["b"].reason == "resize, the server restarts"
    assert plan.steps["b"].changes == {"flavor": [{"$attribute": [f"flavor:name={id_}", "id"]} for id_ in ("f1", "f2")]}


def test_scaling_in_removes_the_last_instances_and_only_them(compiled, pools):
    plan = make_plan(deployed(compiled(SHOP, instances={"web": 3})), compiled(SHOP, instances={"web": 2}), pools)
    assert set(actions(plan)) == {"web-3", "disk-3", "web-3_segment_port", "web-3_segment_floating_ip", "web-3_disk-3_volume_attachment"}
    assert set(actions(plan).values()) == {"delete"} and plan.quota["default"]["instances"] == -1


def test_undeploying_goes_backwards(compiled, pools):
    graph = compiled(SHOP + APP_NODE, **APPLICATION)
    plan = make_plan(deployed(graph), Graph(), pools)
    assert actions(plan)["app:start"] == "undo" and "app:create" not in actions(plan), "what has no undoing is forgotten"
    assert [stage.pool for stage in plan.stages] == ["", "default"] and all(stage.down for stage in plan.stages)


def test_what_is_missing_is_made_again_with_what_was_done_on_it(compiled, pools):
    graph = compiled(SHOP + APP_NODE, **APPLICATION)
    plan = make_plan(deployed(graph), graph, pools, missing={"web"})
    assert actions(plan)["web"] == "create" and plan.steps["web"].reason == "is missing"
    assert actions(plan)["app:create"] == actions(plan)["app:configure"] == "run"
    assert "segment" not in actions(plan)


def test_what_a_kill_left_unfinished_is_resumed(compiled, pools):
    graph = compiled(SHOP)
    state = deployed(graph)
    state.begin(graph.resources["web"])
    plan = make_plan(state, graph, pools)
    assert actions(plan)["web"] == "create" and plan.steps["web"].reason == "was begun"
    assert "web" in actions(make_plan(state, Graph(), pools)), "and it is removed like everything else"


def test_an_operation_runs_again_when_its_inputs_change(compiled, pools):
    state = deployed(compiled(SHOP + APP_NODE, **APPLICATION))
    plan = make_plan(state, compiled(SHOP + APP_NODE, types=APP.replace("hello", "good day"), declared=APPLICATION["declared"]), pools)
    assert actions(plan) == {"app:create": "run"}


def test_what_another_topology_uses_stays_and_its_name_is_told(compiled, pools):
    graph = compiled(SHOP)
    state = deployed(graph)
    other = deployed(compiled("    net: {type: cloudos.nodes.Network, properties: {network: shop-segment}}"), "blog")
    other.entries["net"].attributes["id"] = "shop/segment"
    kept = shared(state, [other])
    assert kept == {"segment": ["blog"], "segment_subnet": ["blog"]}
    plan = make_plan(state, Graph(), pools, (), kept)
    assert "segment" not in actions(plan) and "web" in actions(plan) and plan.kept == kept


def test_a_server_of_which_nobody_says_the_image_is_refused(compiled, pools):
    with pytest.raises(Undeployable, match=r"server a \(node a\) has no image"):
        make_plan(State("shop"), compiled("    a: {type: tosca.nodes.Compute}"), pools)


def test_quotas_are_compared_and_flavors_measured(compiled, pools):
    graph = compiled(SHOP, instances={"web": 3})
    flavors = [{"id": "f1", "name": "small", "vcpus": 2, "ram": 512, "disk": 1}]
    limits = {"instances": (10, 8), "cores": (20, 15), "volumes": (-1, 9), "ram": (2048, 0)}
    surveys = {"default": Survey({name: {"limit": limit, "used": used} for name, (limit, used) in limits.items()}, flavors)}
    plan = make_plan(State("shop"), graph, pools, sizes=quota.sizes(graph, surveys))
    assert {name: plan.quota["default"][name] for name in ("instances", "cores", "ram")} == {"instances": 3, "cores": 6, "ram": 1536}
    assert [one.message for one in quota.lacking(plan.quota, surveys)] == [
        "quota cores: 15 of 20 are used, 6 more are wanted", "quota instances: 8 of 10 are used, 3 more are wanted"]  # fmt: skip


def test_what_is_made_before_what_goes_must_be_free(compiled, pools):
    """A node with another name is made before the old one goes; what is replaced goes first."""
    node = "    {}: {{type: cloudos.nodes.Volume, properties: {{size: {} GB{}}}}}"
    state = deployed(compiled(node.format("old", 4, "")))
    renamed = make_plan(state, compiled(node.format("new", 4, "")), pools)
    assert renamed.quota == {} and renamed.peak == {"default": {"gigabytes": 4, "volumes": 1}}
    replaced = make_plan(state, compiled(node.format("old", 6, ", volume_type: fast")), pools)
    assert actions(replaced) == {"old": "replace"} and replaced.quota == replaced.peak == {"default": {"gigabytes": 2}}


def test_what_was_begun_counts_no_second_time(compiled, pools):
    graph = compiled(SHOP)
    state = State("shop")
    state.begin(graph.resources["web"])
    assert "instances" not in make_plan(state, graph, pools).quota["default"]


def test_state_is_one_document_that_reads_back(compiled, tmp_path):
    state, directory = deployed(compiled(SHOP)), Directory(tmp_path)
    directory.save(state)
    assert directory.load("shop").to_json() == state.to_json() and list(directory.topologies()) == ["shop"]
    state.entries.clear()
    directory.save(state)
    assert not list(directory.topologies())


def test_levels_of_a_reversed_graph_go_backwards():
    edges = {"a": set(), "b": {"a"}, "c": {"b"}}
    assert levels(reverse(edges)) == [["c"], ["b"], ["a"]]


def test_a_load_balancer_learns_of_new_members(compiled, pools):
    balancer = "    lb: {type: cloudos.nodes.LoadBalancer, properties: {image: a, flavor: b}, requirements: [{member: web}]}\n"
    plan = make_plan(deployed(compiled(SHOP + balancer)), compiled(SHOP + balancer, instances={"web": 2}), pools)
    assert actions(plan)["lb:configure"] == "run"
    back = make_plan(deployed(compiled(SHOP + balancer, instances={"web": 2})), compiled(SHOP + balancer), pools)
    assert [stage.down for stage in back.stages] == [False, True], "it forgets a member before the member goes"
