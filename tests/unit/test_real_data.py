"""The clouds, services and plugins of this repository compile, for every release that it has."""

import re
from pathlib import Path

import pytest
import yaml

from cloudos.model.compile import compile_file

ROOT = Path(__file__).parents[2]
CLOUDS = sorted(path.parent.name for path in ROOT.glob("inventory/*/cloud.yml"))
RELEASES = sorted(path.parent.name for path in ROOT.glob("releases/*/release.yml"))


PLUGINS = sorted(str(path.relative_to(ROOT / "plugins").with_suffix("")) for path in ROOT.glob("plugins/*/*.yml"))
ABILITIES = ("dm_thin_pool", "target_core_mod", "iscsi_target_mod", "iscsi_tcp", "nfs", "nfsd", "openvswitch")
VCENTER = {"nova": {"vcenter": "192.0.2.9", "vcenter_user": "openstack", "vcenter_cluster": "one"}}


@pytest.fixture(params=CLOUDS)
def cloud(request, tmp_path):
    """Compiles one of the clouds as it would be in a series."""
    text = (ROOT / "inventory" / request.param / "cloud.yml").read_text()
    assert text.count('release: "') == 1

    def compiled(series, facts=None):
        before, _, rest = text.partition('release: "')
        (tmp_path / "cloud.yml").write_text(before + f'release: "{series}"' + rest[rest.index('"') + 1 :])
        return compile_file(tmp_path, facts)

    return compiled


@pytest.mark.parametrize("series", RELEASES)
def test_it_compiles(cloud, series):
    plan = cloud(series)
    assert plan.data["release"]["series"] == series
    assert {"keystone", "glance", "nova", "neutron", "placement"} <= set(plan.data["services"])
    assert not any("{{" in file.get("content", "") for node in plan.data["nodes"] for files in plan.host(node).files.values()
                   for file in files.values())  # fmt: skip


@pytest.mark.parametrize("series", RELEASES)
@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_plugin_fits_a_node_that_can_do_all(plugin, series, tmp_path):
    kind, _, name = plugin.partition("/")
    source = yaml.safe_load((ROOT / "inventory/aio/cloud.yml").read_text())
    source |= {"release": series, "plugins": source["plugins"] | {kind: name}}
    if name == "vmware":
        source["settings"] |= VCENTER
    (tmp_path / "cloud.yml").write_text(yaml.safe_dump(source))
    plan = compile_file(tmp_path, {"ctl1": {"kernel": dict.fromkeys(ABILITIES, True)}})
    assert plan.data["plugins"][kind]["chosen"] == [name]


def test_a_node_without_a_clock_gets_one_and_others_do_not(cloud):
    names = list(cloud(RELEASES[0]).data["nodes"])
    kept = {name: {"clock": "host"} for name in names[:-1]}
    plan = cloud(RELEASES[0], kept)
    clocks = [name for name in names if "chrony" in plan.host(name).data["packages"]]
    assert clocks == names[-1:]


def of_the_whole_cloud():
    """The files of the node of the inventory that has every service."""
    whole = next(name for name in CLOUDS if "ceilometer" in (ROOT / "inventory" / name / "cloud.yml").read_text())
    return compile_file(ROOT / "inventory" / whole).host("ctl1").files


def test_ceilometer_hears_all_that_tell_of_themselves():
    files = of_the_whole_cloud()
    telling = {
        service
        for service in files
        if any("driver = messagingv2" in file.get("content", "") for path, file in files[service].items())
    }
    assert {"cinder", "glance", "heat", "neutron", "nova"} <= telling
    # What each of them sends to is its own name, but for Cinder's, which oslo.messaging would call openstack.
    assert "control_exchange = cinder" in files["cinder"]["/etc/cinder/cinder-volume.conf"]["content"]


@pytest.mark.parametrize("series", RELEASES)
def test_no_two_requests_share_a_process_of_keystone(cloud, series):
    plan = cloud(series)
    units = [files["keystone"]["/etc/systemd/system/keystone-api.service"]["content"] for name in plan.data["nodes"]
             if "/etc/systemd/system/keystone-api.service" in (files := plan.host(name).files).get("keystone", {})]  # fmt: skip
    workers = [re.search(r" --workers (\d+) --threads 1 keystone\.wsgi\.api:application\n", text) for text in units]
    assert workers and all(found and int(found[1]) > 1 for found in workers)


def test_nova_and_cinder_lock_the_volumes_of_a_node_in_one_place():
    files = of_the_whole_cloud()
    for path in ("/etc/nova/nova-compute.conf", "/etc/cinder/cinder-volume.conf"):
        assert "[os_brick]\nlock_path = /var/lib/os-brick\n" in files[path.split("/")[2]][path]["content"]
    assert files["nova"]["/var/lib/os-brick"] == files["cinder"]["/var/lib/os-brick"]


@pytest.mark.parametrize(("service", "name"), [("eve", "credential-keys"), ("graffiti", "pool-keys")])
def test_changed_keys_renew_what_is_encrypted_after_all_that_writes(service, name):
    whole = next(name for name in CLOUDS if "ceilometer" in (ROOT / "inventory" / name / "cloud.yml").read_text())
    host = compile_file(ROOT / "inventory" / whole).host("ctl1")
    assert host.files[service][f"/etc/{service}/{name}"]["content"].startswith("${secret:service/" + service)
    units = {unit["name"]: unit for unit in host.data["units"]}
    order = list(units)
    renewing = units[f"{service}-renew-keys.service"]
    assert renewing["oneshot"] and f"/etc/{service}/{name}" in renewing["inputs"]
    assert not [path for path in renewing["inputs"] if path.endswith(".conf")], "only other keys make it run again"
    writers = [f"{service}-api.service", f"{service}-worker.service"]
    assert all(order.index(one) < order.index(renewing["name"]) and f"/etc/{service}/{name}" in units[one]["inputs"] for one in writers)
