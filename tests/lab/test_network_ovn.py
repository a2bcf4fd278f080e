"""A cloud whose network is OVN: made anew, proven, run again, killed, rebooted, and removed."""

import pytest

from tests.cloud import test_faults as faults
from tests.cloud.running import ROOT, Cloud

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cloud():
    """The cloud of the scenario, from blank on; its node is removed afterwards."""
    made = Cloud(ROOT / "inventory" / "ovn")
    made.play("destroy")
    try:
        made.play("lab")
        made.play("bundle")
        made.play("site")
        yield made
    finally:
        made.play("destroy")


def test_it_works_and_stays_as_it_is(cloud):
    cloud.play("verify")
    assert cloud.play("site").changed == 0
    assert cloud.play("site", "--check", "--diff").changed == 0


def test_only_who_has_a_certificate_reaches_the_databases(cloud):
    for port in (6641, 6642):
        asked = f"timeout 5 ovsdb-client list-dbs {{}}:{cloud.address}:{port} {{}}"
        assert "OVN_" not in cloud.node(asked.format("tcp", ""), check=False)
        pki = "/etc/cloudos/pki"
        keys = f"--private-key={pki}/node.key --certificate={pki}/node.crt --ca-cert={pki}/ca.pem"
        assert "OVN_" in cloud.node(asked.format("ssl", keys))


def test_the_hash_ring_has_one_member_after_restarts(cloud):
    """Neutron learns its server's start and its worker's number, so that no member of an earlier start stays."""
    for _ in range(2):
        cloud.node("systemctl restart neutron-api && sleep 15")
    assert cloud.node("mysql -BN neutron -e 'select count(*) from ovn_hash_ring'").split() == ["1"]


def test_every_unit_survives_kill(cloud):
    faults.test_every_unit_survives_kill(cloud)


def test_reboot(cloud):
    faults.test_reboot(cloud)


def test_restart_loses_no_request(cloud):
    faults.test_restart_loses_no_request(cloud)


def test_secrets_stay_secret(cloud):
    faults.test_secrets_stay_secret(cloud)
