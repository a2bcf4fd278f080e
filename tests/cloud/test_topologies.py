"""Topologies under faults: what kills, a cancel and a crowd do to them. Whatever happens, everything is made once, and goes."""

import collections
import concurrent.futures
import io
import time
import zipfile

import pytest

from cloudos.secrets import Store
from tests.cloud.running import until
from tests.cloud.tenant import Tenant

pytestmark = pytest.mark.cloud

SERVER = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [{file: "cloudos:openstack.yaml"}]
topology_template:
  node_templates:
    lan: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.66.0.0/24}}
    disk: {type: cloudos.nodes.VolumeGroup, properties: {size: 1 GB}}
    web:
      type: cloudos.nodes.Server
      capabilities: {host: {properties: {num_cpus: 1, mem_size: 64 MB}}}
      requirements:
        - network:
            node: lan
            relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {open_ports: [22]}}
        - volume: disk
"""
SMALL = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [{file: "cloudos:openstack.yaml"}]
topology_template:
  node_templates:
    lan: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.66.1.0/24}}
    guard: {type: cloudos.nodes.SecurityGroup}
"""
WORKING = """\
tosca_definitions_version: tosca_simple_yaml_1_3
interface_types:
  my.Work:
    derived_from: tosca.interfaces.Root
    operations: {work: {inputs: {what: {type: string}}}}
node_types:
  my.Desk:
    derived_from: tosca.nodes.Root
    interfaces: {Work: {type: my.Work, operations: {work: work.sh}}}
topology_template:
  node_templates:
    desk: {type: my.Desk}
  workflows:
    day:
      steps:
        morning: {target: desk, activities: [{call_operation: {operation: Work.work, inputs: {what: morning}}}], on_success: [noon]}
        noon: {target: desk, activities: [{call_operation: {operation: Work.work, inputs: {what: noon}}}], on_success: [evening]}
        evening: {target: desk, activities: [{call_operation: {operation: Work.work, inputs: {what: evening}}}]}
"""
LOG = "/dev/shm/faults-work"
WORK = f"echo $what >> {LOG}; sleep 2; echo $what done >> {LOG}\n"
ONCE = {"server": 1, "volume": 1, "port": 1, "subnet": 1, "network": 1, "security group": 1}
CROWD = 50
KEYS = ["service/eve/credentials", "service/graffiti/pool-keys"]


@pytest.fixture(scope="module")
def tenant(cloud):
    tenant = Tenant(cloud, "faults")
    tenant.focus.store(SERVER.encode(), name="faults-server")
    tenant.focus.store(SMALL.encode(), name="faults-small")
    # Who has programs of a template run is an architect.
    tenant.admin.identity.assign_project_role_to_user(tenant.project, tenant.user, tenant.admin.identity.find_role("architect"))
    tenant.api.session.invalidate()  # a token has the roles that there were
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("working.yaml", WORKING)
        files.writestr("work.sh", WORK)
    tenant.focus.store(archive.getvalue(), name="faults-working")
    yield tenant
    tenant.remove()


@pytest.fixture(autouse=True)
def nothing_left(cloud, tenant):
    """After each test there is nothing: no resource, no credential, no job's directory, no process of Ansible."""
    before = jobs_of(cloud)
    yield
    assert tenant.there() == [] and tenant.credentials() == [] and list(tenant.eve.topologies()) == []
    assert jobs_of(cloud) <= before


def jobs_of(cloud):
    """Directories of jobs on the node, and who works in them: others may use the cloud as well."""
    marks = cloud.node("ls /run/eve; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep ^EVE_TOPOLOGY= | sort -u", check=False)
    return {line for line in marks.split() if "faults" in line}


def deploy(tenant, name):
    """A deployment in whose middle something can happen: its server is there, and not ready."""
    job = tenant.eve.deploy(name, design="faults-server", defaults={"flavor": tenant.name, "image": tenant.name})
    end = time.monotonic() + 60
    while not [one for one in tenant.api.compute.servers() if one.name.startswith(name)]:
        assert time.monotonic() < end and tenant.eve.job(job["id"])["state"] in ("initiated", "started"), tenant.eve.job(job["id"])
        time.sleep(0.2)
    assert tenant.eve.job(job["id"])["state"] == "started"
    return job


def down(tenant, job):
    """Everything of the topology of a job goes."""
    tenant.eve.wait(tenant.eve.delete(job["resource"].rpartition("/")[2])["id"], timeout=120)


@pytest.mark.parametrize("unit", ["eve-worker", "eve-api", "rabbitmq-server"])
def test_kill_in_the_middle(cloud, tenant, unit):
    """The job succeeds, with everything once; who waits for it goes on waiting."""
    job = deploy(tenant, f"faults-{unit}")
    cloud.node(f"systemctl kill --kill-whom=main -s KILL {unit}")
    assert tenant.eve.wait(job["id"], timeout=180)["state"] == "succeeded"
    assert {word: len(names) for word, names in tenant.names().items()} == ONCE
    taken = [event for event in tenant.eve.events(job["id"]) if event["kind"] == "taken-over"]
    assert len(taken) == (unit == "eve-worker")
    down(tenant, job)


def test_kill_in_the_middle_of_a_workflow(cloud, tenant):
    """Another worker does again what was not ended, and nothing that was."""
    job = tenant.eve.wait(tenant.eve.deploy("faults-working", design="faults-working")["id"], timeout=120)
    cloud.node(f"rm -f {LOG}")
    run = tenant.eve.run_workflow(job["resource"].rpartition("/")[2], "day")
    until(lambda: "noon\n" in cloud.node(f"cat {LOG}", check=False), seconds=60)
    cloud.node("systemctl kill --kill-whom=main -s KILL eve-worker")
    assert tenant.eve.wait(run["id"], timeout=120)["state"] == "succeeded"
    assert cloud.node(f"cat {LOG}").splitlines() == ["morning", "morning done", "noon", "noon", "noon done", "evening", "evening done"]
    cloud.node(f"rm {LOG}")
    down(tenant, job)


def test_cancel_in_the_middle(tenant):
    """What the cancel left is known, and undeploy removes it."""
    job = deploy(tenant, "faults-cancel")
    tenant.eve.act(job["id"], "cancel")
    while tenant.eve.job(job["id"])["state"] not in ("cancel-succeeded", "cancel-failed", "succeeded", "failed"):
        time.sleep(0.5)
    assert tenant.eve.job(job["id"])["state"] == "cancel-succeeded"
    assert tenant.eve.topology(job["resource"].rpartition("/")[2])["status"] == "failed"
    assert tenant.there()
    down(tenant, job)


def test_resized_exported_and_made_again(tenant):
    """Another flavor resizes the server that is there; what is then exported makes the same, where nothing is left of the first."""
    defaults = {"flavor": tenant.name, "image": tenant.name}
    job = tenant.eve.wait(tenant.eve.deploy("faults-first", design="faults-server", defaults=defaults)["id"], timeout=120)
    topology = job["resource"].rpartition("/")[2]
    (small,) = tenant.api.compute.servers()
    larger = {"web": {"flavor": {"name": tenant.larger}}}
    tenant.eve.wait(tenant.eve.update(topology, choices=larger)["id"], timeout=180)
    (large,) = tenant.api.compute.servers()
    assert (large.id, large.flavor.name, large.status) == (small.id, tenant.larger, "ACTIVE")
    tenant.focus.store(tenant.eve.export(topology), name="faults-again")
    down(tenant, job)
    assert tenant.there() == []
    job = tenant.eve.wait(tenant.eve.deploy("faults-second", design="faults-again")["id"], timeout=120)
    assert {word: len(names) for word, names in tenant.names().items()} == ONCE
    assert [one.flavor.name for one in tenant.api.compute.servers()] == [tenant.larger]
    down(tenant, job)


def test_keys_are_rotated_under_a_topology(cloud, tenant):
    """Its credential is encrypted with the new key before the old one is forgotten, and its next jobs have it."""
    job = tenant.eve.wait(tenant.eve.deploy("faults-keys", design="faults-small")["id"], timeout=120)
    before = Store(cloud.name).values(KEYS)
    cloud.play("rotate_keys")
    both = Store(cloud.name).values(KEYS)
    assert all(both[name].split()[1:] == before[name].split()[:1] for name in KEYS)
    cloud.play("rotate_keys", "-e", "rotate_finish=true")
    assert Store(cloud.name).values(KEYS) == {name: both[name].split()[0] for name in KEYS}
    assert cloud.play("site").changed == 0
    names = tenant.names()
    tenant.api.network.delete_security_group(tenant.api.network.find_security_group(*names["security group"]))
    tenant.eve.wait(tenant.eve.heal(job["resource"].rpartition("/")[2])["id"], timeout=120)
    assert tenant.names() == names
    down(tenant, job)


def test_crowd(tenant):
    """Fifty orders at once: each is taken, most of them wait with their place, all succeed; and so they go."""
    with concurrent.futures.ThreadPoolExecutor(CROWD) as clients:
        ordered = list(clients.map(lambda number: tenant.eve.deploy(f"faults-{number}", design="faults-small"), range(CROWD)))
        waiting = sorted(job["position"] for job in tenant.eve.jobs(state="initiated") if job["position"])
        assert waiting == list(range(1, len(waiting) + 1)) and len(waiting) > CROWD // 4
        assert ended(tenant, ordered) == {"succeeded": CROWD}
        assert {word: len(names) for word, names in tenant.names().items()} == dict.fromkeys(("subnet", "network", "security group"), CROWD)
        gone = list(clients.map(lambda job: tenant.eve.delete(job["resource"].rpartition("/")[2]), ordered))
        assert ended(tenant, gone) == {"succeeded": CROWD}


def ended(tenant, jobs, seconds=600):
    """State -> number of jobs, once all have ended."""
    ids, end = {job["id"] for job in jobs}, time.monotonic() + seconds
    while True:
        found = [job for job in tenant.eve.jobs() if job["id"] in ids]
        if all(job["ended_at"] for job in found):
            return dict(collections.Counter(job["state"] for job in found))
        assert time.monotonic() < end, collections.Counter(job["state"] for job in found)
        time.sleep(1)
