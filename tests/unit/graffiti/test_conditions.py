"""node_filter: what is read, what is refused, and that Python and SQL judge alike."""

import random

import pytest
import sqlalchemy as sa

from cloudos.graffiti import conditions, index
from cloudos.graffiti.conditions import Unreadable, read
from cloudos.graffiti.filters import Filter
from cloudos.graffiti.models import Resource
from cloudos.graffiti.values import NotComparable, value
from tests.unit.graffiti.conftest import make_flavor, make_resource


@pytest.mark.parametrize("one, other", [("2 GB", "2000 MB"), ("1 GiB", "1024 MiB"), ("1 GiB", "1073741824 B"), ("90 m", "1.5 h"),
                                        ("1 GHz", "1000 MHz"), ("1 KBps", "8 Kbps"), (4, "4"), (True, "true")])  # fmt: skip
def test_values_are_the_same_in_other_units(one, other):
    assert value(one).same(value(other))


@pytest.mark.parametrize("one, other", [("1 Mbps", "1 MBps"), ("1 GB", "1 GiB"), (4, "4 GB"), ("abc", "ABC"), ("1 MB", "1 mb"), (1, True)])
def test_values_are_not_the_same(one, other):
    assert not value(one).same(value(other))


def test_versions_compare_by_their_parts():
    assert value("3.10", "version").number > value("3.9.7", "version").number
    assert value("12", "version").same(value("12.0.0", "version"))


@pytest.mark.parametrize(
    "raw, kind", [("fast", "number"), ("4", "size"), ("4 lightyears", "size"), ("x.y", "version"), ("maybe", "boolean")]
)
def test_values_of_another_kind_are_refused(raw, kind):
    with pytest.raises(NotComparable):
        value(raw, kind)


FORMS = [
    {"capabilities": [{"host": {"properties": [{"mem_size": {"greater_or_equal": "2 GB"}}, {"num_cpus": {"in_range": [2, 4]}}]}}]},
    {"capabilities": {"host": {"properties": {"mem_size": {"greater_or_equal": "2 GB"}, "num_cpus": {"in_range": [2, 4]}}}}},
    {
        "capabilities": {
            "host": {"properties": {"mem_size": [{"greater_or_equal": "2 GB"}], "num_cpus": [{"$in_range": ["$value", [2, 4]]}]}}
        }
    },
    {
        "$and": [
            {"$greater_or_equal": [{"$get_property": ["SELF", "CAPABILITY", "host", "mem_size"]}, "2 GB"]},
            {"$in_range": [{"$get_property": ["SELF", "CAPABILITY", "host", "num_cpus"]}, [2, 4]]},
        ]
    },
    {
        "$and": [
            {"capabilities": {"host": {"properties": {"mem_size": {"greater_or_equal": "2 GB"}}}}},
            {"capabilities": [{"host": {"properties": [{"num_cpus": {"in_range": [2, 4]}}]}}]},
        ]
    },
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_standard_finds_the_same(form, session, dictionary):
    for name, cpus, mem in (("tiny", 1, "512 MB"), ("small", 2, "2 GiB"), ("large", 8, "16 GiB")):
        make_flavor(session, dictionary, name, cpus, mem)
    found = session.scalars(sa.select(Resource.name).where(Filter(read(form), dictionary).sql())).all()
    assert found == ["small"]


@pytest.mark.parametrize("form, pointer, words", [
    ({"properties": [{"ram": {"atleast": 2}}]}, "/properties/0/ram/atleast", "is not an operator"),
    ({"properties": {"ram": {"in_range": [1]}}}, "/properties/ram/in_range", "lowest, highest"),
    ({"properties": {"ram": {"equal": 1, "less_than": 2}}}, "/properties/ram", "one operator"),
    ({"properties": {"ram": {"pattern": "("}}}, "/properties/ram/pattern", "no regular expression"),
    ({"properties": {"ram": {"pattern": "a" * 300}}}, "/properties/ram/pattern", "at most 256"),
    ({"properties": {"ram": {"valid_values": 4}}}, "/properties/ram/valid_values", "takes a list"),
    ({"properties": {"ram": {"equal": {"get_input": "x"}}}}, "/properties/ram/equal", "functions are evaluated before"),
    ({"$greater_than": [{"$get_property": ["HOST", "x"]}, 3]}, "/$greater_than", "SELF"),
    ({"capabilities": {"host": {"props": []}}}, "/capabilities/host", "key properties"),
    ("ram > 2", "/", "operator"),
])  # fmt: skip
def test_what_is_no_filter_is_told_with_its_place(form, pointer, words):
    with pytest.raises(Unreadable, match=words) as caught:
        read(form)
    assert caught.value.pointer == pointer


def test_an_argument_of_another_kind_than_the_type_declares_is_told(dictionary):
    filter_ = {"capabilities": {"tosca.capabilities.Compute": {"properties": {"mem_size": {"greater_or_equal": 4}}}}}
    with pytest.raises(Unreadable, match="4 is not a size; write a number and one of B, kB"):
        Filter(read(filter_), dictionary)


def deep(levels):
    """A filter that nests."""
    body = {"equal": 1}
    for _ in range(levels):
        body = {"not": body}
    return {"properties": {"x": body}}


def test_filters_have_limits():
    read(deep(15))
    with pytest.raises(Unreadable, match="nest at most"):
        read(deep(50))
    with pytest.raises(Unreadable, match="at most 200 conditions"):
        read({"properties": [{"x": {"equal": number}} for number in range(300)]})


def test_reasons_say_what_is_there_and_what_was_wanted(session, dictionary):
    tiny = make_flavor(session, dictionary, "m1.tiny", 1, "512 MB")
    filter_ = Filter(read(FORMS[0]), dictionary)
    reasons = [reason.text for reason in filter_.reasons(index.values(tiny, dictionary))]
    assert reasons == ["host.mem_size 512 MB < 2 GB wanted", "host.num_cpus 1 is not in [2, 4] as wanted"]


VALUES = [
    1,
    2,
    4,
    8,
    "1 GB",
    "512 MB",
    "2 GiB",
    "debian",
    "Debian",
    "de_bian%",
    "12.4",
    "3.10",
    True,
    "false",
    ["a", "b"],
    ["a"],
    [],
    {"k": 1},
    {"k": "x", "l": 2},
    "",
    "a b",
    "10 s",
]
NAMES = ["size", "version", "name_", "zones", "map"]


def clause(rng, depth=0):
    """Some condition."""
    if depth < 2 and rng.random() < 0.35:
        kind = rng.choice(["and", "or", "not", "xor"])
        return {kind: [clause(rng, depth + 1) for _ in range(1 if kind == "not" else rng.randint(1, 3))]}
    operator = rng.choice(conditions.OPERATORS)
    scalar = [one for one in VALUES if not isinstance(one, list | dict)]
    argument = rng.choice(scalar)
    if operator in conditions.LENGTH:
        argument = rng.randint(0, 5)
    elif operator == "in_range":
        argument = [rng.choice([1, 2, "UNBOUNDED"]), rng.choice([4, 8, "UNBOUNDED"])]
    elif operator in conditions.LISTS:
        argument = [rng.choice([*scalar, "k"]) for _ in range(rng.randint(1, 3))]
    elif operator == "pattern":
        argument = rng.choice(["de.*", "[a-z]+", r"\d+(\.\d+)?", "", "a|b"])
    elif operator == "has_key":
        argument = rng.choice(["k", "l", "m"])
    return {operator: argument}


@pytest.mark.parametrize("seed", range(8))
def test_sql_and_python_give_the_same_answers(seed, session, dictionary):
    """Random resources, random filters: the index in the database and the judgement in Python never differ."""
    rng = random.Random(seed)
    made = []
    for number in range(40):
        own = {name: rng.choice(VALUES) for name in NAMES if rng.random() < 0.7}
        system = {name: body for name, body in (("version", rng.choice(["3.9", "3.10", "12"])), ("type", "linux")) if rng.random() < 0.7}
        made.append(make_resource(session, dictionary, f"r{number}", "thing", properties=own,
                                  capabilities=[("os", "tosca.capabilities.OperatingSystem", system)]))  # fmt: skip
    agreed = 0
    for _ in range(150):
        subject = rng.choice([None, "os", "tosca.capabilities.OperatingSystem"])
        name = rng.choice(NAMES if subject is None else ["version", "type"])
        body = {"properties": {name: clause(rng)}}
        try:
            filter_ = Filter(read(body if subject is None else {"capabilities": {subject: body}}), dictionary)
        except Unreadable:
            continue
        by_sql = set(session.scalars(sa.select(Resource.name).where(filter_.sql())))
        by_python = {one.name for one in made if not filter_.reasons(index.values(one, dictionary))}
        assert by_sql == by_python, body
        agreed += 1
    assert agreed > 50
