"""Joint feasibility, without a database: quotas, capacities, places, pairs, policies, and the same choice each time."""

import time

import pytest

from cloudos.graffiti import joint
from cloudos.graffiti.joint import Impossible, Item, Option, Pair, Rule, choose


def option(name, pool="a", score=1.0, **more):
    return Option(name, pool, more.pop("region", ""), more.pop("zone", ""), score, **more)


def item(id_, *options, count=1, node=None):
    return Item(id_, node or id_, count, options)


def names(choice):
    return {id_: one.resource for id_, one in choice.chosen.items()}


def same_pool(*ids):
    return Rule("same", "pool", ids)


def test_each_gets_its_best_option():
    choice = choose([item("x", option("r1"), option("r2", score=0.5)), item("y", option("r3"))], [same_pool("x", "y")], {})
    assert names(choice) == {"x": "r1", "y": "r3"}


def test_a_smaller_option_is_taken_where_the_best_does_not_fit_the_quota():
    big, small = option("big", uses={"cores": 8}), option("small", score=0.5, uses={"cores": 2})
    choice = choose([item("x", big, small), item("y", big, small)], [same_pool("x", "y")], {"a": {"cores": 10}})
    assert sorted(names(choice).values()) == ["big", "small"] and choice.uses == {"a": {"cores": 10}}


def test_what_is_missing_of_a_quota_is_told_with_figures():
    with pytest.raises(Impossible, match="pool a: cores 12 > 10 left") as caught:
        choose([item("x", option("r", uses={"cores": 4}), count=3)], [], {"a": {"cores": 10}})
    assert caught.value.proven


def test_a_capacity_is_shared():
    one = option("address", capacity=1)
    with pytest.raises(Impossible, match="address has 1 uses left"):
        choose([item("x", one), item("y", one)], [same_pool("x", "y")], {})
    assert names(choose([item("x", one), item("y", one, option("other", score=0.1))], [same_pool("x", "y")], {}))["y"] in (
        "address",
        "other",
    )


def test_pools_without_everything_are_named():
    with pytest.raises(Impossible, match="pool a has nothing for y; pool b has nothing for x"):
        choose([item("x", option("r1", "a")), item("y", option("r2", "b"))], [same_pool("x", "y")], {})
    choice = choose([item("x", option("r1", "a")), item("y", option("r2", "b"))], [], {})
    assert names(choice) == {"x": "r1", "y": "r2"}


def test_what_has_no_pool_goes_with_every_pool():
    choice = choose([item("x", option("r1", "a")), item("y", option("r2", None))], [same_pool("x", "y")], {})
    assert names(choice) == {"x": "r1", "y": "r2"}


@pytest.mark.parametrize("kind, wanted", [("same", 1), ("different", 2)])
def test_zones_are_the_same_or_different(kind, wanted):
    zones = [option("z1", zone="1"), option("z2", zone="2", score=0.5)]
    choice = choose([item("x", *zones), item("y", *zones)], [same_pool("x", "y"), Rule(kind, "zone", ("x", "y"))], {})
    assert len({one.zone for one in choice.chosen.values()}) == wanted


def test_what_is_of_one_member_is_not_apart_from_itself():
    items = [item(f"{node}.{what}", option("r1", "a"), option("r2", "b"), node=node) for node in ("x", "y") for what in ("one", "two")]
    apart = Rule("different", "pool", tuple(one.id for one in items), {one.id: one.node for one in items})
    choice = choose(items, [same_pool("x.one", "x.two"), same_pool("y.one", "y.two"), apart], {})
    assert {id_: one.pool for id_, one in choice.chosen.items()} == {"x.one": "a", "x.two": "a", "y.one": "b", "y.two": "b"}


def test_a_full_pool_does_not_keep_from_what_has_no_pool():
    items = [item("x", option("r1", "a", uses={"cores": 4}), option("own", None, 0.5, uses={"cores": 4}))]
    assert names(choose(items, [], {"a": {"cores": 8}})) == {"x": "r1"}
    assert names(choose(items, [], {"a": {"cores": 2}})) == {"x": "own"}


def test_more_members_than_zones_cannot_be_apart():
    zones = [option("z1", zone="1"), option("z2", zone="2")]
    ids = ("x", "y", "z")
    with pytest.raises(Impossible, match="x, y, z want different zone"):
        choose([item(id_, *zones) for id_ in ids], [same_pool(*ids), Rule("different", "zone", ids)], {})


def test_pairs_of_a_node_agree():
    pair = Pair(("Image", "min_ram"), ("Flavor", "mem_size"))
    image = option("windows", facts={("Image", "min_ram"): 4})
    flavors = [option("tiny", facts={("Flavor", "mem_size"): 2}), option("big", score=0.5, facts={("Flavor", "mem_size"): 8})]
    items = [item("n.image", image, node="n"), item("n.flavor", *flavors, node="n")]
    assert names(choose(items, [], {}, pairs=[pair]))["n.flavor"] == "big"
    with pytest.raises(Impossible, match="min_ram of one choice is more than mem_size of the other"):
        choose([items[0], item("n.flavor", flavors[0], node="n")], [], {}, pairs=[pair])
    other = [items[0], item("m.flavor", flavors[0], node="m")]
    assert names(choose(other, [], {}, pairs=[pair])), "other nodes are not concerned"


@pytest.mark.parametrize("policy, pools", [("spread", {"a", "b"}), ("pack", {"a"})])
def test_policies_spread_and_pack(policy, pools):
    items = [item(f"n{number}", option("ra", "a", price=1), option("rb", "b", price=1)) for number in range(4)]
    assert {one.pool for one in choose(items, [], {}, policy).chosen.values()} == pools


def test_the_cheapest_pool_counts_for_the_group_as_a_whole():
    items = [
        item("x", option("xa", "a", price=1), option("xb", "b", price=3)),
        item("y", option("ya", "a", price=9), option("yb", "b", price=3)),
    ]
    assert {one.pool for one in choose(items, [same_pool("x", "y")], {}, "cheapest").chosen.values()} == {"b"}


def test_the_choice_does_not_depend_on_the_order_of_items():
    items = [item(f"n{number}", option("ra", "a", 0.5), option("rb", "b", 0.5)) for number in range(6)]
    assert names(choose(items, [], {}, "spread")) == names(choose(items, [], {}, "spread"))
    rules = [same_pool(*(one.id for one in items))]
    assert names(choose(items, rules, {})) == names(choose(items[::-1], rules, {}))


def test_a_search_that_is_given_up_says_so(monkeypatch):
    monkeypatch.setattr(joint, "STEPS", 500)
    ids = tuple(f"n{number}" for number in range(12))
    zones = [option(f"z{number}", zone=str(number)) for number in range(11)]
    with pytest.raises(Impossible, match="given up after 500") as caught:
        choose([item(id_, *zones) for id_ in ids], [same_pool(*ids), Rule("different", "zone", ids)], {})
    assert not caught.value.proven


def test_hundreds_of_items_under_a_tight_quota_are_quick():
    options = [option(f"r{number}", score=1 - number / 10, uses={"cores": 8 - number}) for number in range(4)]
    items = [item(f"n{number}", *options) for number in range(300)]
    begin = time.perf_counter()
    choice = choose(items, [same_pool(*(one.id for one in items))], {"a": {"cores": 300 * 5 + 2}})
    assert choice.uses["a"]["cores"] <= 1502 and time.perf_counter() - begin < 10
