"""Where providers may be, how the SDK is led there."""

import pytest

from cloudos.graffiti.drivers import Access, DriverError, LoginFailed, drivers, guard
from cloudos.graffiti.drivers.openstack import OpenStack
from cloudos.graffiti.pools import OPTIONS
from tests.api.kit import secure

DENIED = next(option.default for option in OPTIONS if option.name == "denied_networks")


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:5000/v3", "http://localhost/", "http://[::1]:5000", "http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]/",
    "http://0.0.0.0:80", "file:///etc/passwd", "gopher://192.0.2.1", "http://",
])  # fmt: skip
def test_this_machine_and_metadata_services_are_no_providers(url):
    with pytest.raises(LoginFailed):
        guard(url, DENIED)


def test_other_addresses_are():
    guard("https://192.0.2.7:5000/v3", DENIED)
    guard("http://10.0.0.5:5000/v3", DENIED)


def test_the_sdk_does_not_reach_a_denied_address_either():
    access = Access("http://127.0.0.1:9/v3", None, {"user_name": "u", "project_name": "p"}, {"password": "hidden"}, DENIED, 2)
    with pytest.raises(LoginFailed, match="denied_networks") as caught:
        OpenStack(access).check()
    assert "hidden" not in str(caught.value) and "hidden" not in repr(access)


def test_the_driver_is_installed():
    assert drivers()["openstack"] is OpenStack


def test_a_pool_is_trusted_by_the_known_authorities_and_by_its_own_besides(tmp_path):
    login = {"user_name": "ann", "project_name": "shop"}
    with secure() as (first, its_own), secure() as (second, known):
        (tmp_path / "known.pem").write_text(known)

        def why(url, **more):
            with pytest.raises(DriverError) as told:
                OpenStack(Access(f"{url}/v3", None, {**login, **more}, {"password": "word"}, ca_file=str(tmp_path / "known.pem"))).check()
            return str(told.value)

        assert "is not trusted; give its authority's certificate as login.ca" in why(first)
        assert all("certificate" not in why(url, ca=its_own) for url in (first, second)), "a catalog may lead to either"
        assert "login.ca holds no certificate" in why(first, ca="nonsense")
