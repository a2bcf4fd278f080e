"""The base layer on two nodes: both work, one dies as by a loss of power, its jobs go on at the other, and it comes back."""

import collections
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.node import Node

from tests.cloud.running import HOME, running, until
from tests.cloud.tenant import Tenant
from tests.cloud.test_topologies import ONCE, SERVER, ended

pytestmark = pytest.mark.lab

NODE = "base1"
APIS = {"eve": "/v1/topologies", "focus": "/v1/documents", "graffiti": "/v1/types"}
NOTICED = 20  # seconds in which requests may wait for a node that has gone without a word


@pytest.fixture(scope="module")
def cloud():
    yield from running("base")


@pytest.fixture(scope="module")
def tenant(cloud):
    tenant = Tenant(cloud, "spread")
    server = [line for line in SERVER.splitlines() if "disk" not in line]
    tenant.focus.store("\n".join(server).encode(), name="spread")
    yield tenant
    tenant.remove()


class Visitors:
    """One for each API, who goes on asking; `lost` tells when (seconds since the begin) and why one was not answered."""

    def __init__(self, tenant):
        self.session, self.asked, self.lost, self.over = tenant.api.session, collections.Counter(), [], threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=api) for api in APIS.items()]

    def _ask(self, service, path):
        while not self.over.is_set():
            begun = time.monotonic()
            self.asked[service] += 1
            try:
                answer = self.session.get(path, endpoint_filter={"service_type": service}, raise_exc=False, timeout=60, connect_retries=0)
                why = None if answer.status_code == 200 else f"{answer.status_code}"
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            if why:
                self.lost.append((begun, service, why))
            time.sleep(0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def workers(tenant, jobs, kind):
    """Nodes whose workers had an event of that kind in any of the jobs, once all have ended."""
    found = [event for job in jobs for event in tenant.eve.events(job["id"]) if event["kind"] == kind]
    return {event["facts"]["worker"].rpartition("-")[0] for event in found}


def processes(cloud, unit):
    return [cloud.node(f"systemctl show -p MainPID --value {unit}", on=node).strip() for node in ("ctl1", NODE)]


def test_both_nodes_work(cloud, tenant):
    """Both APIs of a service answer, and both workers take jobs."""
    ordered = [tenant.eve.deploy(f"spread-{number}", design="spread", defaults=defaults(tenant)) for number in range(4)]
    assert ended(tenant, ordered) == {"succeeded": 4}
    assert workers(tenant, ordered, "started") == {"ctl1", NODE}
    gone = [tenant.eve.delete(job["resource"].rpartition("/")[2]) for job in ordered]
    assert ended(tenant, gone) == {"succeeded": 4} and tenant.there() == []
    for node in ("ctl1", NODE):
        assert "topology:deploy" in cloud.node("journalctl -u eve-api --no-pager | grep cloudos.audit", on=node)


def test_no_stranger_is_answered(cloud):
    """Without a certificate of the cloud nobody speaks with the API behind the front end."""
    url = f"https://{cloud.source['nodes'][NODE]['address']}:21051/healthcheck"
    pki = "/etc/cloudos/pki"
    show = f"tls.load_cert_chain('{pki}/node.crt', '{pki}/node.key'); "
    ask = ('python3 -c "import ssl, urllib.request as web; tls = ssl.create_default_context(cafile=\'' + pki + "/ca.pem'); {}"
           f"print(web.urlopen('{url}', context=tls).status)\" 2>&1 | tail -1")  # fmt: skip
    assert "required" in cloud.node(ask.format("")).lower()
    assert cloud.node(ask.format(show)) == "200\n"


@pytest.mark.parametrize("node", ["ctl1", NODE])
def test_apis_restart_without_a_lost_request(cloud, tenant, node):
    with Visitors(tenant) as visitors:
        for unit in ("eve-api", "focus-api", "graffiti-api"):
            time.sleep(2)
            cloud.node(f"systemctl restart {unit}", on=node)
        time.sleep(3)
    assert visitors.lost == [] and min(visitors.asked.values()) > 20


def test_a_node_loses_its_power(cloud, tenant):
    """Its jobs are taken over with everything once, requests are answered by the other node, and it comes back as it was."""
    with Visitors(tenant) as visitors:
        ordered = [tenant.eve.deploy(f"spread-{number}", design="spread", defaults=defaults(tenant)) for number in range(4)]
        until(lambda: [job for job in tenant.eve.jobs(state="started") if (job["worker"] or "").startswith(NODE)], seconds=60)
        off = power_off(cloud)
        assert ended(tenant, ordered) == {"succeeded": 4}
        time.sleep(max(0, NOTICED + 10 - (time.monotonic() - off)))
    assert [one for one in visitors.lost if not off - 1 < one[0] < off + NOTICED] == []
    print(f"{len(visitors.lost)} of {sum(visitors.asked.values())} requests were lost while nobody knew: {visitors.lost}")
    assert workers(tenant, ordered, "taken-over") == {"ctl1"}
    once = {word: number for word, number in ONCE.items() if word != "volume"}
    assert {word: len(names) for word, names in tenant.names().items()} == {word: 4 * number for word, number in once.items()}
    cloud.play("lab")
    until(lambda: all(int(pid) for unit in ("eve-api", "eve-worker", "graffiti-worker") for pid in processes(cloud, unit)), seconds=90)
    assert cloud.play("site").changed == 0
    gone = [tenant.eve.delete(job["resource"].rpartition("/")[2]) for job in ordered]
    assert ended(tenant, gone) == {"succeeded": 4} and tenant.there() == []


def defaults(tenant):
    return {"flavor": tenant.name, "image": tenant.name}


def power_off(cloud):
    """First its network falls silent, so that nobody hears of its end; the moment when."""
    subprocess.run(["ip", "link", "set", f"vb-{cloud.name}-{NODE}"[:15], "down"], check=True)
    moment = time.monotonic()
    Node(HOME, SimpleNamespace(cloud=cloud.name, nodes={}), NODE).stop()
    return moment
