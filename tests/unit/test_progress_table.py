"""The closing table of a run."""

from ansible_collections.cloudos.cloud.plugins.callback.progress import durations


def test_steps_of_a_second_and_longer_are_told_in_order():
    starts = [("Plan: check", 10.0), ("Node: packages", 10.4), ("Node: files", 35.4), ("", 36.9)]
    assert durations(starts) == ["seconds  step", "   25.0  Node: packages", "    1.5  Node: files"]


def test_a_run_without_steps_has_no_table():
    assert durations([("", 1.0)]) == []
