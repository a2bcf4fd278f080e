"""What the catalogue of options says about a type."""

import importlib
import sys
from types import ModuleType

import pytest
from oslo_config import types


@pytest.fixture
def options(monkeypatch):
    """The script as it is inside a bundle, which alone has all that it imports."""
    package = ModuleType("oslo_concurrency")
    package.lockutils = None
    monkeypatch.setitem(sys.modules, "oslo_concurrency", package)
    return importlib.import_module("cloudos.bundle.inside.options")


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (types.Integer(min=0, max=5), {"type": "integer", "min": 0, "max": 5}),
        (types.Float(min=0), {"type": "float", "min": 0}),
        (types.Integer(), {"type": "integer"}),
        (types.String(choices=["a", "b"], max_length=0), {"type": "string", "choices": ["a", "b"], "max_length": 0}),
        (types.List(types.Integer(min=0)), {"type": "list", "item": {"type": "integer", "min": 0}}),
    ],
)
def test_a_bound_of_zero_is_a_bound(options, kind, facts):
    assert options.type_of(kind) == facts


def test_options_are_listed_without_a_package_that_is_known_to_be_absent(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "nobodyhasthis", None)
    options.stand_in("nobodyhasthis")
    namespace = {}
    exec("from nobodyhasthis import discovery, errors", namespace)  # as cinder's backup driver does
    assert {"discovery", "errors"} <= set(namespace)
