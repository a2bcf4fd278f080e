"""What the module tests share."""

import pytest

from cloudos.bundle.mariadb import private_mariadb


@pytest.fixture(scope="session")
def mariadb():
    """Path of the socket of a private MariaDB, where root needs no password."""
    with private_mariadb() as socket:
        yield socket
