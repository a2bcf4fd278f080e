"""Module key_repository in a real directory; keys are those of the root user, who runs the tests."""

import base64
import json
import os
import time

import pytest
from kit import run_module


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "keys"


def arguments(path, **changes):
    return {"path": str(path), "owner": "root", "group": "root", **changes}


def look(path):
    return {file.name: (file.read_bytes(), file.stat().st_mode) for file in path.iterdir()} if path.is_dir() else {}


def age(path, seconds):
    """Make all keys older."""
    for file in path.iterdir():
        os.utime(file, (time.time() - seconds,) * 2)


def prove(path, **changes):
    """Check, check again, run, and again both; gives the result of the run."""
    before = look(path)
    predicted, again = (run_module("key_repository", check=True, **arguments(path, **changes)) for _ in range(2))
    assert predicted["changed"]
    assert again["changed"]
    assert look(path) == before
    real = run_module("key_repository", **arguments(path, **changes))
    assert real["changed"]
    assert real["diff"] == predicted["diff"]
    settled = look(path)
    for check in (True, False):
        assert not run_module("key_repository", check=check, **arguments(path, **changes))["changed"]
    assert look(path) == settled
    return real


def test_twelve_cases(repository):
    assert prove(repository)["keys"] == [0, 1]
    first = look(repository)
    age(repository, 7200)
    assert prove(repository, state="rotated", rotate_after="1h")["keys"] == [0, 1, 2]
    assert look(repository)["2"][0] == first["0"][0], "the staged key is the new primary one"
    age(repository, 7200)
    assert prove(repository, state="rotated", rotate_after="1h", max_active_keys=3)["keys"] == [0, 2, 3]
    assert "1" not in look(repository), "the oldest key is removed"


def test_keys_are_keys_and_private(repository):
    told = run_module("key_repository", **arguments(repository))
    assert repository.stat().st_mode & 0o777 == 0o700
    for content, mode in look(repository).values():
        assert len(base64.urlsafe_b64decode(content)) == 32
        assert mode & 0o777 == 0o600
        assert content.decode() not in json.dumps(told)


def test_access_is_mended(repository):
    run_module("key_repository", **arguments(repository))
    (repository / "1").chmod(0o644)
    keys = {name: content for name, (content, _mode) in look(repository).items()}
    assert [entry["after_header"] for entry in prove(repository)["diff"]] == ["access"]
    assert {name: content for name, (content, _mode) in look(repository).items()} == keys


def test_a_promotion_that_was_interrupted_is_completed(repository):
    run_module("key_repository", **arguments(repository))
    staged = (repository / "0").read_bytes()
    os.link(repository / "0", repository / "2")  # killed here
    assert prove(repository)["keys"] == [0, 1, 2]
    assert (repository / "2").read_bytes() == staged
    assert (repository / "0").read_bytes() != staged


def test_a_lone_staged_key_becomes_the_primary_one(repository):
    run_module("key_repository", **arguments(repository))
    (repository / "1").unlink()
    assert prove(repository)["keys"] == [0, 1]


def test_commands_run_before_a_rotation_and_stop_it_when_they_fail(repository):
    run_module("key_repository", **arguments(repository))
    age(repository, 100)
    before = look(repository)
    told = run_module(
        "key_repository",
        **arguments(repository, state="rotated", rotate_after="60", before=[["sh", "-c", "echo no; exit 4"]]),
    )
    assert "ended with status 4" in told["msg"]
    assert look(repository) == before
    told = run_module("key_repository", **arguments(repository, state="rotated", rotate_after="60", before=[["true"]]))
    assert told["primary"] == 2


def test_an_age_that_is_none_is_refused(repository):
    run_module("key_repository", **arguments(repository))
    assert (
        "rotate_after is 'soon'"
        in run_module("key_repository", **arguments(repository, state="rotated", rotate_after="soon"))["msg"]
    )
