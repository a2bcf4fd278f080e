"""What leaves with a service that the inventory no longer names."""

from cloudos.model.removal import removal


def plan(plugins=None, **services):
    """A plan of one node; service -> its databases, and kind -> names of plugins."""
    return {
        "plugins": {kind: {"chosen": names, "passed_over": {}} for kind, names in (plugins or {}).items()},
        "services": list(services),
        "identity": {"services": {name: {} for name in services}, "users": {name: {} for name in services}},
        "nodes": {
            "ctl1": {
                "units": [{"name": f"{name}-api.service", "service": name} for name in services],
                "schemas": [
                    {"service": name, "databases": bases, "user": name, "password": "${secret:x}"}
                    for name, bases in services.items()
                ],
            }
        },
    }


def test_nothing_leaves_a_cloud_that_is_new_or_grows():
    for old in (None, plan(image=["image"])):
        gone = removal(old, plan(image=["image"], toy=[]))
        assert gone["names"] == gone["says"] == []
        assert gone["nodes"].get("ctl1", {"units": [], "schemas": []}) == {"units": [], "schemas": []}


def test_all_of_a_service_leaves_and_is_told():
    gone = removal(plan(image=["image"], toy=["toy", "toy_api"]), plan(image=["image"]))
    assert gone["services"] == ["toy"]
    assert gone["identity"] == {"services": ["toy"], "users": ["toy"]}
    assert gone["nodes"]["ctl1"]["units"] == ["toy-api.service"]
    assert gone["nodes"]["ctl1"]["schemas"] == [{"service": "toy", "databases": ["toy", "toy_api"], "user": "toy"}]
    assert gone["says"][0] == (
        "toy leaves the cloud, and with it toy-api.service on ctl1; "
        "database toy, toy_api on ctl1, of which a dump stays there."
    )


def test_a_plugin_of_a_service_that_stays_is_asked_about():
    gone = removal(plan({"volume": ["ceph", "nfs"]}, image=[]), plan({"volume": ["nfs"]}, image=[]))
    assert (gone["services"], gone["names"]) == ([], ["volume/ceph"])
    assert gone["says"] == [
        "Plugin volume/ceph leaves the cloud: what users keep with it stays where it lies, and may be out of their reach."
    ]


def test_a_plugin_that_comes_or_leaves_with_its_service_is_not_asked_about():
    one, two = plan({"image": ["file"]}, image=[]), plan({"image": ["file"], "volume": ["nfs"]}, image=[], toy=[])
    assert removal(one, two)["names"] == []
    assert removal(two, one)["names"] == ["toy"]


def test_a_unit_that_moves_to_another_node_leaves_the_old_one_without_a_question():
    old, new = plan(image=[]), plan(image=[])
    for both in (old, new):
        both["nodes"]["cmp1"] = {"units": [], "schemas": []}
    new["nodes"]["cmp1"]["units"], new["nodes"]["ctl1"]["units"] = new["nodes"]["ctl1"]["units"], []
    gone = removal(old, new)
    assert gone["services"] == gone["says"] == []
    assert gone["nodes"]["ctl1"]["units"] == ["image-api.service"] and not gone["nodes"]["cmp1"]["units"]


def test_a_node_that_left_is_not_looked_at():
    old = plan(image=[])
    old["nodes"]["cmp1"] = old["nodes"]["ctl1"]
    assert list(removal(old, plan(image=[]))["nodes"]) == ["ctl1"]


def test_a_plugin_of_a_kind_that_may_be_left_out_is_asked_about():
    gone = removal(plan({"disk": ["ceph"]}, nova=[]), plan(nova=[]))
    assert gone["names"] == ["disk/ceph"]
