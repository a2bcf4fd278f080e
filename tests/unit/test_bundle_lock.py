"""Locks: which published constraints count, what is refused, and what makes the next patch level."""

from pathlib import Path

import pytest

from cloudos.bundle import lock
from cloudos.bundle.errors import BundleError
from cloudos.bundle.release import load_locked, load_release, pins

ROOT = Path(__file__).parents[2]
RELEASE = """\
series: "2026.1"
python: "3.11"
maintained_until: 2027-10-27
roots: [nova~=33.0, PyMySQL, "setuptools<81"]
overrides: [Some.Library>=2]
floors: {nova: 33.0.2}
"""
PUBLISHED = """\
nova===33.0.0
PyMySQL===1.1.2
setuptools===82.0.0
some-library===1.9
six===1.16.0;python_version=='3.11'
# a comment
"""


@pytest.fixture
def release(tmp_path):
    directory = tmp_path / "releases" / "2026.1"
    directory.mkdir(parents=True)
    (directory / "release.yml").write_text(RELEASE)
    return load_release(tmp_path / "releases", "2026.1")[0]


@pytest.fixture
def resolve(monkeypatch, tmp_path):
    """Let the next resolutions give the text that the test sets."""

    def answer(text):
        monkeypatch.setattr(lock, "_resolve", lambda release, published, preferred: text)
        constraints = tmp_path / "constraints.txt"
        constraints.write_text(PUBLISHED)
        return constraints

    return answer


def test_lines_that_the_release_decides_itself_are_stripped(release):
    lines = lock.own_constraints(release, PUBLISHED).splitlines()
    assert lines == ["PyMySQL===1.1.2", "six===1.16.0;python_version=='3.11'", "Some.Library>=2"]


def test_a_pin_below_its_floor_is_refused(release, resolve):
    with pytest.raises(BundleError, match=r"nova 33\.0\.1 \(floor 33\.0\.2\).*release\.yml"):
        lock.make_lock(release, resolve("nova==33.0.1 \\\n    --hash=sha256:00\n"))
    assert release.patch_levels() == []


def test_a_floor_without_its_package_is_refused(release):
    with pytest.raises(BundleError, match="nova is absent"):
        lock.check_floors(release, "six==1.16.0\n")


def test_a_different_resolution_is_the_next_patch_level(release, resolve):
    first = resolve("nova==33.0.2\n")
    assert lock.make_lock(release, first) == ("2026.1-1", True)
    assert lock.make_lock(release, first) == ("2026.1-1", False)
    assert lock.make_lock(release, resolve("nova==33.0.3\n")) == ("2026.1-2", True)
    assert lock.make_lock(release, resolve("nova==33.0.4\n"), replace=True) == ("2026.1-2", True)
    assert pins(release.lock("2026.1-1").read_text()) == {"nova": "33.0.2"}
    assert pins(release.lock("2026.1-2").read_text()) == {"nova": "33.0.4"}
    assert not list(release.directory.glob("*.partial"))


def test_patch_levels_are_ordered_by_number(release):
    for number in (2, 10, 9):
        release.lock(f"2026.1-{number}").write_text("nova==33.0.2\n")
    assert release.patch_levels() == ["2026.1-2", "2026.1-9", "2026.1-10"]
    assert load_locked(release.directory.parent, "2026.1")[1] == "2026.1-10"
    assert load_locked(release.directory.parent, "2026.1-2")[1] == "2026.1-2"


@pytest.mark.parametrize(
    ("name", "text"), [("2026.1", "no lock yet"), ("2026.1-7", "no lock 2026.1-7"), ("2031.1", "no release")]
)
def test_what_is_not_there_is_named(release, name, text):
    with pytest.raises(BundleError, match=text):
        load_locked(release.directory.parent, name)


def test_a_data_file_with_a_missing_key_is_named(release):
    path = release.directory / "release.yml"
    path.write_text(RELEASE.replace("roots", "rots"))
    with pytest.raises(BundleError, match=r"release\.yml: KeyError 'roots'"):
        load_release(release.directory.parent, "2026.1")


def test_the_locks_that_we_ship_hold_their_floors():
    for path in (ROOT / "releases").glob("*/*.lock"):
        release, patch_level = load_release(ROOT / "releases", path.stem)
        text = release.lock(patch_level).read_text()
        lock.check_floors(release, text)
        assert text.count("--hash=sha256:") >= len(pins(text)) > 100
