"""The cloud that the tests of this folder look at."""

import os

import pytest

from tests.cloud.running import ROOT, Cloud


@pytest.fixture(scope="session")
def cloud():
    return Cloud(ROOT / os.environ.get("INVENTORY", "inventory/aio"))
