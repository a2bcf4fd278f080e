"""What a binding becomes as a profile: pools, placement, and for each node what was chosen for it."""

from cloudos.eve import given
from cloudos.graffiti.binding import profile
from cloudos.graffiti.models import Binding


def one(node, name, pool, **more):
    """What is remembered of a choice."""
    known = {"resource": f"r-{name}", "native_id": f"id-{name}", "type": "OS::Nova::Flavor", "region": "", "zone": "", "count": 1}
    return {**known, "node": node, "name": name, "pool": pool, **more}


def document(**chosen):
    binding = Binding(id="7", name="shop", state="committed", request={"policy": {"span": "any"}},
                      chosen={key.replace("_", "."): value for key, value in chosen.items()})  # fmt: skip
    made = profile(binding)
    assert given.mistakes(made) == []
    return made


def test_nodes_of_a_pool_share_it_and_keep_what_was_chosen_for_each():
    made = document(web_flavor=one("web", "small", "p1", count=2), web_image=one("web", "guest", "p1"), db_flavor=one("db", "large", "p1"))
    assert made["pools"] == {"default": {"pool": "p1"}} and made["placement"] == {"db": "default", "web": "default"}
    assert {node: {what: choice["id"] for what, choice in chosen.items()} for node, chosen in made["choices"].items()} == {
        "db": {"flavor": "id-large"}, "web": {"flavor": "id-small", "image": "id-guest"}}  # fmt: skip
    assert made["choices"]["web"]["flavor"] == {
        "resource": "r-small", "type": "OS::Nova::Flavor", "id": "id-small", "name": "small", "count": 2}  # fmt: skip


def test_each_cloud_is_a_pool():
    made = document(far_image=one("far", "a", "p2", region="east"), near_image=one("near", "b", "p1", zone="az1"),
                    more_image=one("more", "b", "p2"))  # fmt: skip
    assert made["pools"] == {"default": {"pool": "p2"}, "default-2": {"pool": "p1"}}
    assert made["placement"] == {"far": "default", "more": "default", "near": "default-2"}
    assert made["choices"]["far"]["image"]["region"] == "east" and made["choices"]["near"]["image"]["zone"] == "az1"


def test_what_was_published_by_hand_is_in_the_pool_of_the_nodes_other_choices():
    made = document(web_address=one("web", "ip", None), web_flavor=one("web", "small", "p1"), bare_address=one("bare", "ip", None))
    assert made["pools"] == {"default": {"pool": "p1"}} and made["placement"] == {"web": "default"}
    assert made["choices"]["bare"]["address"]["name"] == "ip"
