"""What the module tests share."""

import pytest
from fake_openstack import fake_openstack

from cloudos.bundle.mariadb import private_mariadb


@pytest.fixture(scope="session")
def mariadb():
    """Path of the socket of a private MariaDB, where root needs no password."""
    with private_mariadb() as socket:
        yield socket


@pytest.fixture
def cloud():
    """A bootstrapped cloud in this process, see fake_openstack."""
    with fake_openstack() as running:
        yield running.bootstrap()


@pytest.fixture
def login(cloud):
    """The argument `cloud` of modules that talk to it."""
    return {
        "cloud": {
            "auth_url": f"{cloud.root}/identity/v3",
            "password": "${secret:identity/admin}",
            "region": "RegionOne",
        },
        "secrets": {"identity/admin": "admin-password"},
    }
