"""Module ceph_osd against a cluster in this process, with a ceph-osd and a systemctl that note what they were asked."""

import pwd
import shutil

import pytest
from fake_ceph import fake_ceph
from kit import Story, run_module, twelve_cases

UUID = "6b1b7a0e-9a1c-5d0e-8a57-3f4a4ba6ad51"
CEPH_OSD = """#!/bin/sh
echo "ceph-osd $*" >> {work}/asked
[ -e {work}/broken ] && echo "no space" >&2 && exit 1
touch {work}/osd/ceph-0/ready
"""
CEPH_CONF = """#!/bin/sh
[ -e {work}/disk ] && echo {work}/disk
"""
BLKID = """#!/bin/sh
cat {work}/held 2>/dev/null || exit 2
"""
LABEL = """#!/bin/sh
cat {work}/label 2>/dev/null
"""
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >> {work}/asked
case $1 in
enable) echo enabled > {work}/unit;;
disable) rm -f {work}/unit;;
show) [ -e {work}/unit ] && state=active file=enabled || state=inactive file=
  echo "LoadState=loaded
UnitFileState=$file
ActiveState=$state
SubState=running
NRestarts=0";;
esac
"""


@pytest.fixture
def ceph(tmp_path, monkeypatch):
    """The cluster; what runs on the node makes its OSD come up and go down."""
    (tmp_path / "osd").mkdir()
    scripts = {"ceph-osd": CEPH_OSD, "systemctl": SYSTEMCTL, "journalctl": "#!/bin/sh\necho oops\n", "ceph-conf": CEPH_CONF,
               "blkid": BLKID, "ceph-bluestore-tool": LABEL}  # fmt: skip
    for name, script in scripts.items():
        (tmp_path / name).write_text(script.format(work=tmp_path))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("time.sleep", lambda _: None)
    module = "ansible_collections.cloudos.cloud.plugins.modules.ceph_osd"
    monkeypatch.setattr(f"{module}.write_directory", lambda path, *_: (tmp_path / "osd" / path).mkdir(exist_ok=True))
    me = pwd.getpwuid(0).pw_name
    from ansible_collections.cloudos.cloud.plugins.module_utils import filesystem

    monkeypatch.setattr(f"{module}.write_file", lambda path, data, *_: filesystem.write_file(path, data, me, me, "0600"))
    with fake_ceph() as cluster:
        original = cluster.osd

        def osd(prefix, words):
            if prefix == "osd dump":
                for one in cluster.osds.values():
                    one["up"] = int((tmp_path / "unit").exists())
            return original(prefix, words)

        cluster.osd = osd
        cluster.work = tmp_path
        yield cluster


def arguments(ceph, **changes):
    return {"uuid": UUID, "directory": str(ceph.work / "osd"), "timeout": 1, **changes}


def state(ceph):
    return ceph.snapshot() + str(sorted(path.name for path in (ceph.work / "osd").rglob("*")))


def test_twelve_cases(ceph):
    create, change = arguments(ceph), arguments(ceph, state="out")
    twelve_cases(Story("ceph_osd", create, change, arguments(ceph, state="absent"), state=lambda: state(ceph)))


def test_what_a_killed_run_left_is_completed(ceph):
    ceph.osds["0"] = {"osd": 0, "uuid": UUID, "up": 0, "in": 0}
    (ceph.work / "osd" / "ceph-0").mkdir()
    (ceph.work / "osd" / "ceph-0" / "block").write_text("half")
    assert run_module("ceph_osd", **arguments(ceph))["osd"] == 0
    assert not (ceph.work / "osd" / "ceph-0" / "block").exists()
    assert (ceph.work / "osd" / "ceph-0" / "keyring").stat().st_mode & 0o777 == 0o600
    assert not run_module("ceph_osd", **arguments(ceph))["changed"]


def test_a_disk_is_given_to_the_daemon_that_is_not_root(ceph, monkeypatch):
    given = []
    monkeypatch.setattr("shutil.chown", lambda *words: given.append(words))
    (ceph.work / "disk").touch()
    run_module("ceph_osd", **arguments(ceph))
    assert given == [(str(ceph.work / "disk"), "ceph", "ceph")]


def test_a_disk_that_holds_something_is_left_alone_unless_it_is_this_osds(ceph, monkeypatch):
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    (ceph.work / "disk").touch()
    (ceph.work / "held").write_text("DEVNAME=/dev/sdb\nUUID=1-2\nTYPE=ext4\n")
    told = run_module("ceph_osd", **arguments(ceph))
    assert f"{ceph.work}/disk holds something (UUID=1-2 TYPE=ext4), and is left alone" in told["msg"]
    assert not (ceph.work / "asked").exists(), "a program was started on it"
    (ceph.work / "label").write_text(f'{{"/dev/sdb": {{"osd_uuid": "{UUID}"}}}}')
    assert run_module("ceph_osd", **arguments(ceph))["changed"]


def test_a_stopped_osd_is_started_and_keeps_its_data(ceph):
    run_module("ceph_osd", **arguments(ceph))
    (ceph.work / "asked").unlink()
    (ceph.work / "unit").unlink()
    assert run_module("ceph_osd", **arguments(ceph))["changed"]
    assert "mkfs" not in (ceph.work / "asked").read_text()


def test_a_store_that_cannot_be_made_is_told_with_the_reason(ceph):
    (ceph.work / "broken").touch()
    told = run_module("ceph_osd", **arguments(ceph))
    assert told["failure"]["service"] == "ceph"
    assert "no space" in told["msg"]
    (ceph.work / "broken").unlink()
    assert run_module("ceph_osd", **arguments(ceph))["changed"]


def test_an_osd_that_does_not_come_up_is_told_with_its_journal(ceph):
    run_module("ceph_osd", **arguments(ceph))
    (ceph.work / "unit").unlink()
    (ceph.work / "systemctl").write_text(SYSTEMCTL.replace("echo enabled > {work}/unit", ":").format(work=ceph.work))
    told = run_module("ceph_osd", **arguments(ceph))
    assert "osd.0 has not come up within 1 s" in told["msg"]
    assert "oops" in told["msg"]


def test_data_that_is_nowhere_else_is_waited_for_and_else_kept(ceph):
    run_module("ceph_osd", **arguments(ceph))
    ceph.unsafe = 3
    assert run_module("ceph_osd", **arguments(ceph, state="out"))["changed"]
    ceph.unsafe = 10**9
    told = run_module("ceph_osd", **arguments(ceph, state="absent", drain_timeout=0))
    assert "osd.0 still holds data that is nowhere else" in told["msg"]
    assert "0" in ceph.osds
    assert (ceph.work / "unit").exists()


def test_check_mode_on_a_blank_node_foresees_it(ceph):
    ceph.up = False
    shutil.rmtree(ceph.work / "osd")
    assert run_module("ceph_osd", check=True, **arguments(ceph))["changed"]
