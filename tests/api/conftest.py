"""The toy service, served; and one with other settings for those who ask for it."""

import pytest

from tests.api import kit, toy


@pytest.fixture
def served(tmp_path, monkeypatch, request):
    """The toy service; @pytest.mark.parametrize("served", [{"api": {...}}], indirect=True) gives it settings."""
    yield from kit.serve(toy.SERVICE, "tests.api.toy", tmp_path, monkeypatch, **getattr(request, "param", {}))
