"""What Focus is told of topologies: what is new, what is no more, and that its silence stops nothing and is made up for."""

from types import SimpleNamespace

import pytest
from keystoneauth1.exceptions import ConnectFailure

from cloudos.eden.client import NotFound
from cloudos.eve.jobs import uses

DESIGN, PROFILE = ("d1", 3), ("p1", 1)


class Focus:
    """Notes what it is told; `away` after so many calls."""

    def __init__(self):
        self.told, self.away, self.lost = [], None, False

    def use(self, document, version, use, title, uri):
        self._say("use", document, version, use, title, uri)

    def unuse(self, document, version, use):
        if self.lost:
            raise NotFound(404, {"detail": "no such document"})
        self._say("unuse", document, version, use)

    def _say(self, *words):
        if self.away is not None and len(self.told) >= self.away:
            raise ConnectFailure("nobody there")
        self.told.append(words)


@pytest.fixture
def order(monkeypatch):
    focus, events, changes = Focus(), [], []
    monkeypatch.setattr(uses.neighbours, "as_service", lambda conf, kind, token: focus)
    run = SimpleNamespace(event=lambda kind, **facts: events.append((kind, facts)))
    return SimpleNamespace(conf=None, token="t", id="i", name="shop", uses=[], run=run, focus=focus, events=events, changes=changes,
                           change=lambda **values: changes.append(values))  # fmt: skip


def test_design_and_profile_are_named_once_where_they_lie_in_focus():
    about = {"document_id": "d1", "version": 3}
    assert uses.of({"design": about, "profile": {"document_id": "p1", "version": 1}}) == [DESIGN, PROFILE]
    assert uses.of({"design": about, "profile": about}) == [DESIGN] and uses.of({"design": {"reference": "x"}, "profile": None}) == []


def test_only_what_differs_is_told(order):
    uses.tell(order, [DESIGN, PROFILE])
    assert order.focus.told == [("use", *one, "i", "topology shop", "/v1/topologies/i") for one in (DESIGN, PROFILE)]
    uses.tell(order, [DESIGN, PROFILE])
    uses.tell(order, [PROFILE])
    assert order.focus.told[2:] == [("unuse", *DESIGN, "i")] and order.changes[-1] == {"uses": [[*PROFILE]]} and not order.events


def test_what_cannot_be_told_is_an_event_and_told_again(order):
    order.focus.away = 1
    uses.tell(order, [DESIGN, PROFILE])
    ((kind, facts),) = order.events
    assert kind == "focus-not-told" and "nobody there" in facts["why"] and "again" in facts["next_step"]
    assert order.uses == [DESIGN] and order.changes == [{"uses": [[*DESIGN]]}], "what was told is known"
    order.focus.away = None
    uses.tell(order, [DESIGN, PROFILE])
    assert order.uses == [DESIGN, PROFILE]


def test_what_is_gone_in_focus_is_free(order):
    order.uses, order.focus.lost = [DESIGN], True
    uses.tell(order, ())
    assert order.uses == [] and not order.events
