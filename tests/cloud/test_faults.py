"""What happens to a cloud: processes die, nodes reboot, API services restart under load."""

import concurrent.futures
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import openstack
import pytest
import yaml

from cloudos.secrets import Store
from tests.cloud.running import HOME, Cloud

pytestmark = pytest.mark.cloud


def wait_for(lacking, seconds):
    """Until lacking() is empty; what it still gives after so many seconds is the failure."""
    deadline = time.monotonic() + seconds
    while missing := lacking():
        assert time.monotonic() < deadline, missing
        time.sleep(0.5)


def test_every_unit_survives_kill(cloud):
    before = cloud.processes()
    assert 0 not in before.values(), before
    # All at once: one that dies takes others along that depend on it.
    cloud.node("kill -KILL " + " ".join(map(str, before.values())))
    wait_for(lambda: [unit for unit, pid in cloud.processes().items() if pid in (0, before[unit])], 60)
    cloud.play("site")
    assert cloud.play("site").changed == 0


def test_what_runs_on_a_schedule_ends_well(cloud):
    timers = [unit["name"] for unit in cloud.plan()["units"] if unit["name"].endswith(".timer")]
    assert "keystone-rotate-keys.timer" in timers
    for timer in timers:
        cloud.node(f"systemctl start {timer.removesuffix('.timer')}.service")
    assert cloud.play("site").changed == 0


def test_reboot(cloud):
    boot = cloud.node("cat /proc/1/stat | cut -d' ' -f22")
    cloud.node("systemctl reboot", check=False)
    wait_for(lambda: cloud.node("cat /proc/1/stat | cut -d' ' -f22", check=False) in ("", boot), 60)
    wait_for(lambda: [unit for unit, pid in cloud.processes().items() if not pid], 90)
    assert cloud.play("site").changed == 0
    cloud.play("verify")


def test_restart_loses_no_request(cloud):
    """2,000 requests from eight clients while an API restarts three times; each must be answered below 500."""
    # What serves consoles is left out: those are connections, not requests.
    urls = {probe["unit"]: probe["url"] for probe in cloud.plan()["probes"] if probe["kind"] == "http"}
    urls.pop("nova-novncproxy.service")
    assert len(urls) >= 5
    context = ssl.create_default_context(cafile=cloud.state / "ca.pem")
    lost = {unit: found for unit, url in urls.items() if (found := lost_requests(cloud, unit, url, context))}
    assert not lost, lost


def lost_requests(cloud, unit, url, context):
    """How many requests were not answered while a unit restarted, and what the first of them got."""

    def request(_):
        try:
            with urllib.request.urlopen(url, timeout=60, context=context) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError as error:
            return f"{type(error).__name__}: {error}"

    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        answers = clients.map(request, range(2000))
        for _ in range(3):
            time.sleep(1)
            cloud.node(f"systemctl restart {unit}")
        answers = list(answers)
    lost = [answer for answer in answers if not isinstance(answer, int) or answer >= 500]
    return [len(lost), *lost[:5]] if lost else None


def test_secrets_stay_secret(cloud):
    """No generated secret in the journal, process arguments, world-readable files of the node, or the run records."""
    names = {name: value for value, name in Store(cloud.name).masks().items() if len(value) >= 20}
    assert names
    patterns = "\n".join(names.values())
    script = """
        cat > /dev/shm/patterns && chmod 600 /dev/shm/patterns
        journalctl -o cat --no-pager | grep -cFf /dev/shm/patterns
        for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done 2>/dev/null | grep -v 'grep -' | grep -cFf /dev/shm/patterns
        find / -xdev -type f -perm -o+r -size -1M -not -path '/proc/*' -not -path '/sys/*' -not -path '/usr/*' -print0 |
            xargs -0 grep -lFf /dev/shm/patterns
        rm /dev/shm/patterns
    """
    ssh = ["ssh", "-i", str(HOME / "keys" / "lab"), f"-oUserKnownHostsFile={cloud.state}/known_hosts", f"root@{cloud.address}", script]
    found = subprocess.run(ssh, input=patterns, capture_output=True, text=True, check=False).stdout.split()
    assert found == ["0", "0"], found
    records = subprocess.run(["grep", "-rlFf", "-", str(cloud.state / "runs"), str(cloud.state / "plan.json")], input=patterns,
                             capture_output=True, text=True, check=False).stdout
    assert not records, records


def test_toy_service_comes_and_goes_without_a_task(cloud, tmp_path, monkeypatch):
    """One more data file is served over TLS and found in Keystone's catalog; it leaves when that was confirmed by name."""
    inventory = tmp_path / "toy"
    shutil.copytree(cloud.inventory, inventory)
    (inventory / "services").mkdir()
    (inventory / "services" / "toy.yml").write_text(yaml.safe_dump({
        "service": "toy", "title": "Toy", "needs": ["keystone", "mariadb", "haproxy"],
        "account": {}, "user": {"roles": ["service"]},
        "catalog": {"type": "toy", "unit": "toy-api", "path": ""}, "databases": ["toy"],
        "files": {"/var/lib/toy/toy.py": {"on": ["control"], "format": "text", "content": (
            "def application(environ, start_response):\n"
            "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
            "    return [b'hello']\n")}},
        "units": {"toy-api": {"on": ["control"], "wsgi": "toy:application", "port": 9999, "health": "/",
                              "environment": {"PYTHONPATH": "/var/lib/toy"}}},
    }))
    source = yaml.safe_load((inventory / "cloud.yml").read_text())
    source["services"].append("toy")
    source["service_path"] = ["services"]
    (inventory / "cloud.yml").write_text(yaml.safe_dump(source))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.state / "clouds.yaml"))
    toy = Cloud(inventory)
    before = toy.processes()
    try:
        toy.play("site")
        context = ssl.create_default_context(cafile=cloud.state / "ca.pem")
        with urllib.request.urlopen(f"https://{cloud.address}:9999/", context=context, timeout=30) as answer:
            assert answer.read() == b"hello"
        api = openstack.connect(cloud=cloud.name)
        assert api.endpoint_for("toy").startswith(f"https://{cloud.address}:9999")
        after = toy.processes()
        assert {unit: after[unit] for unit in before} == before
        refused = cloud.play("site", check=False)
        assert refused.code and "toy leaves the cloud" in refused.output and "site_remove=toy" in refused.output
        assert toy.processes() == after
    finally:
        cloud.play("site", "-e", "site_remove=toy")
    assert cloud.processes() == before
    api = openstack.connect(cloud=cloud.name)
    assert not [*api.identity.services(name="toy")] and not api.identity.find_user("toy")
    assert cloud.node("ls /etc/systemd/system/ /var/lib/mysql | grep toy; ls /run/cloudos | grep toy", check=False) == ""
    assert "CREATE TABLE" not in cloud.node("ls /var/backups/cloudos; zcat /var/backups/cloudos/toy-*.sql.gz")
    assert cloud.play("site").changed == 0
