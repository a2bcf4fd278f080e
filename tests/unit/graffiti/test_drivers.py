"""Where providers may be, how the SDK is led there."""

import ssl
import tempfile
import threading

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug.serving import generate_adhoc_ssl_pair, make_server
from werkzeug.wrappers import Response

from cloudos.graffiti.drivers import Access, DriverError, LoginFailed, drivers, guard
from cloudos.graffiti.drivers.openstack import OpenStack
from cloudos.graffiti.pools import OPTIONS

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


def test_a_pool_is_trusted_by_its_own_authority():
    certificate, key = generate_adhoc_ssl_pair("localhost")
    pem = certificate.public_bytes(Encoding.PEM).decode()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem.encode() + key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        file.flush()
        context.load_cert_chain(file.name)
    server = make_server("localhost", 0, Response("{}", 401), ssl_context=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    login = {"user_name": "ann", "project_name": "shop"}

    def why(**more):
        with pytest.raises(DriverError) as told:
            OpenStack(Access(f"https://localhost:{server.port}/v3", None, {**login, **more}, {"password": "word"})).check()
        return str(told.value)

    assert "is not trusted; give its authority's certificate as login.ca" in why()
    assert "certificate" not in why(ca=pem)
    assert "login.ca holds no certificate" in why(ca="nonsense")
    server.shutdown()
