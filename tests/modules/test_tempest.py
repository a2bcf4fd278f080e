"""Module tempest with the real stestr, and toy tests in the place of Tempest's."""

import os
import re
import sys
from pathlib import Path

import pytest
from kit import run_module

TESTS = '''
import os
import time
import testtools


class Toys(testtools.TestCase):
    def test_good(self):
        pass

    def test_other(self):
        self.assertEqual(os.environ["TEMPEST_CONFIG_DIR"][-3:], "etc")
        self.assertNotIn("OS_CLOUD", os.environ)

    def test_skipped(self):
        self.skipTest("no such service")

    def test_wrong(self):
        self.assertEqual("blue", "red", "the colour")

    def test_slow(self):
        time.sleep(60)


class Broken(testtools.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("no network for this class")

    def test_never(self):
        pass

    def test_nor_this(self):
        pass


class Deadly(testtools.TestCase):
    def test_kills(self):
        os._exit(0)
'''
TOYS = "tempest.test_discover.test_toys.Toys"


@pytest.fixture
def place(tmp_path):
    """Arguments of the module: an environment whose Tempest has toy tests, and an empty workspace."""
    packages = tmp_path / "environment/lib/python3.11/site-packages"
    tests = packages / "tempest/test_discover"
    tests.mkdir(parents=True)
    (packages / "tempest/__init__.py").touch()
    (tests / "__init__.py").touch()
    (tests / "test_toys.py").write_text(TESTS)
    (tmp_path / "environment/bin").mkdir()
    (tmp_path / "environment/bin/stestr").symlink_to(Path(sys.executable).parent / "stestr")
    (tmp_path / "workspace/etc").mkdir(parents=True)
    (tmp_path / "workspace/etc/tempest.conf").touch()
    return {name: str(tmp_path / name) for name in ("environment", "workspace", "report")}


def run(place, tests, **arguments):
    return run_module("tempest", tests=tests, **place, **arguments)


def test_passed_and_skipped_tests_are_told(place, monkeypatch):
    monkeypatch.setenv("OS_CLOUD", "somebody-elses")
    result = run(place, ["test_good", "test_other", "test_skipped"])
    assert not result.get("failed"), result
    assert {name: result[name] for name in ("chosen", "run", "passed", "failed", "skipped")} == {
        "chosen": 3, "run": 2, "passed": 2, "failed": 0, "skipped": 1}
    assert not result["changed"]
    assert result["summary"][0].split() == ["run", "passed", "failed", "skipped", "seconds"]
    text = Path(result["report"]).read_text()
    assert f"SKIPPED {TOYS}.test_skipped: no such service" in text and f"{TOYS}.test_good" in text
    assert Path(place["report"], "tempest.subunit").stat().st_size > 0


def test_a_failed_test_is_told_with_its_error(place):
    result = run(place, ["Toys.test_(good|wrong)"])
    assert result["failed"] and result["msg"].startswith("1 of 2 tests of Tempest failed")
    assert "'blue' != 'red': the colour" in result["msg"] and f"{TOYS}.test_wrong" in result["msg"]
    assert "test_good" not in result["msg"]
    report = Path(place["report"], "tempest.txt")
    assert f"Next step: read {report}" in result["msg"]
    assert f"FAILED {TOYS}.test_wrong" in report.read_text() and "Traceback" in report.read_text()


def test_a_class_that_cannot_begin_has_failed(place):
    result = run(place, ["test_good", "Broken"])
    assert result["msg"].startswith("2 of 3 tests of Tempest failed")
    assert result["msg"].count("RuntimeError: no network for this class") == 1
    assert "Broken.test_never" in result["msg"] and "Broken.test_nor_this" in result["msg"]


def test_a_test_whose_worker_died_has_failed(place):
    result = run(place, ["test_good", "Deadly"], concurrency=1)
    assert result["failed"] and "Deadly.test_kills" in result["msg"], result


def test_only_skipped_tests_prove_nothing(place):
    result = run(place, ["test_skipped"])
    assert result["failed"] and result["msg"].startswith("no test of Tempest passed")


def test_excluded_tests_are_left_out_with_their_reason(place):
    result = run(place, ["Toys.test_(good|wrong)"], excluded=[{"test": "test_wrong", "why": "needs two hosts"}])
    assert not result.get("failed"), result
    assert result["passed"] == 1 and result["left_out"] == {f"{TOYS}.test_wrong": "needs two hosts"}
    assert f"LEFT OUT {TOYS}.test_wrong: needs two hosts" in Path(result["report"]).read_text()


def test_everything_excluded_is_a_failure(place):
    result = run(place, ["test_good"], excluded=[{"test": "Toys", "why": "all of them"}])
    assert result["failed"] and "every chosen test is excluded" in result["msg"]


@pytest.mark.parametrize("place_of", ["tests", "excluded"])
def test_an_expression_without_tests_is_a_mistake(place, place_of):
    lists = {"tests": ["test_good"], "excluded": [{"test": "test_good", "why": "x"}]}
    lists[place_of] = ["test_gone"] if place_of == "tests" else [{"test": "test_gone", "why": "x"}]
    result = run(place, **lists)
    assert result["failed"] and "no test of this Tempest matches test_gone" in result["msg"]


def test_an_expression_that_is_none_is_told(place):
    result = run(place, ["test_[good"])
    assert result["failed"] and "test_[good is not a regular expression" in result["msg"]


def test_check_mode_chooses_and_runs_nothing(place):
    result = run(place, ["Toys"], check=True)
    assert not result.get("failed") and result["chosen"] == 5 and "summary" not in result
    assert not Path(place["report"]).exists()


def test_a_run_that_takes_too_long_is_ended_with_its_workers(place):
    result = run(place, ["test_good", "test_slow"], timeout=4, concurrency=1)
    assert result["failed"] and re.search("did not end within 4 s|left no results", result["msg"]), result
    left = [path for path in Path("/proc").glob("[0-9]*/cwd") if os.path.exists(path) and os.readlink(path) == place["workspace"]]
    assert not left


def test_results_of_an_earlier_run_are_not_counted(place):
    run(place, ["test_wrong"])
    assert not run(place, ["test_good"]).get("failed")


@pytest.mark.parametrize(("missing", "told"), [("environment/bin/stestr", "there is no stestr"),
                                               ("workspace/etc/tempest.conf", "there is no etc/tempest.conf")])
def test_what_is_missing_is_told(place, tmp_path, missing, told):
    (tmp_path / missing).unlink()
    result = run(place, ["Toys"])
    assert result["failed"] and told in result["msg"] and "Next step" in result["msg"]


def test_a_configuration_that_breaks_tempest_is_told(place, tmp_path):
    (tmp_path / "environment/lib/python3.11/site-packages/tempest/test_discover/test_toys.py").write_text("import nowhere\n")
    result = run(place, ["Toys"])
    assert result["failed"] and "nowhere" in result["msg"]
