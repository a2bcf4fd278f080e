"""Percent and remaining time, with a clock that the test moves."""

from cloudos.runs.progress import Progress, comparable


def run(*seconds, outcome="ok"):
    tasks = [{"play": "p", "task": f"t{number}", "nth": 1, "seconds": value} for number, value in enumerate(seconds)]
    return {"outcome": outcome, "tasks": tasks, "playbook": "site", "check": False}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_unknown_without_earlier_runs():
    where = Progress([run(1, outcome="failed")], Clock()).start("p", "t0")
    assert (where["percent"], where["remaining"]) == (None, None)


def test_median_of_earlier_runs():
    clock = Clock()
    progress = Progress([run(10, 30), run(10, 30), run(500, 30)], clock)
    assert progress.start("p", "t0")["remaining"] == 40
    clock.now = 5.0
    assert progress.now()["percent"] == 12
    clock.now = 20.0
    assert progress.start("p", "t1")["percent"] == 25
    clock.now = 500.0
    assert (progress.now()["percent"], progress.now()["remaining"]) == (99, 0)
    assert progress.tasks[0]["seconds"] == 20.0


def test_tasks_that_earlier_runs_did_not_have():
    progress = Progress([run(10)], Clock())
    assert progress.start("p", "new")["percent"] == 0


def test_only_the_same_playbook_in_the_same_mode_for_the_same_tags_counts():
    other = {**run(1), "tags": ["proof", "tempest"]}
    earlier = [{**run(1), "playbook": "patch"}, {**run(1), "check": True}, other, run(1)]
    assert comparable(earlier, "site", False, ["all"]) == [run(1)]
    assert comparable(earlier, "site", False, ["tempest", "proof"]) == [other]
