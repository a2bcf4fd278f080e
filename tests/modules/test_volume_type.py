"""Module volume_type against a cloud in this process."""

from kit import Story, run_module, twelve_cases

SPECS = {"volume_backend_name": "ceph"}


def test_twelve_cases(cloud, login):
    create = {**login, "name": "ceph", "extra_specs": SPECS}
    change = {**create, "description": "Volumes in Ceph", "extra_specs": {**SPECS, "multiattach": "<is> True"}}
    remove = {**login, "name": "ceph", "state": "absent"}
    twelve_cases(Story("volume_type", create, change, remove, state=cloud.snapshot))


def test_what_others_have_set_stays(cloud, login):
    made = run_module("volume_type", **login, name="ceph", extra_specs=SPECS)
    cloud.store["types"][made["id"]]["extra_specs"]["replication_enabled"] = "<is> True"
    assert not run_module("volume_type", **login, name="ceph", extra_specs=SPECS)["changed"]
    run_module("volume_type", **login, name="ceph", extra_specs={"volume_backend_name": "nfs"})
    assert cloud.store["types"][made["id"]]["extra_specs"] == {
        "volume_backend_name": "nfs",
        "replication_enabled": "<is> True",
    }


def test_a_type_without_its_extra_specs_was_interrupted_and_is_completed(cloud, login):
    cloud.add("types", name="ceph", description="", is_public=True, extra_specs={})
    assert run_module("volume_type", **login, name="ceph", extra_specs=SPECS)["diff"][0]["after_header"] == "extra_specs"
    assert not run_module("volume_type", **login, name="ceph", extra_specs=SPECS)["changed"]


def test_a_type_in_use_is_not_removed(cloud, login):
    run_module("volume_type", **login, name="ceph")
    cloud.add("volumes", volume_type="ceph")
    told = run_module("volume_type", **login, name="ceph", state="absent")
    assert "Target volume type is still in use." in told["msg"]


def test_a_wrong_password_is_told_without_it(cloud, login):
    told = run_module("volume_type", **{**login, "secrets": {"identity/admin": "geheim"}}, name="ceph")
    assert "admin cannot log in at" in told["msg"]
    assert "geheim" not in str(told)


def test_check_mode_without_a_cloud_foresees_the_type(login):
    blank = {**login, "cloud": {**login["cloud"], "auth_url": "http://127.0.0.1:1/v3"}}
    assert run_module("volume_type", check=True, **blank, name="ceph")["changed"]
