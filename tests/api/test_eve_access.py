"""Eve's doors: routes and roles, scopes and callers, the description, the tables, and with whose authority things are made."""

import json
import threading
from types import SimpleNamespace

import pytest
import requests
import sqlalchemy as sa
import yaml
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from cloudos.eden import config
from cloudos.eden.db import Base
from cloudos.eden.jobs.run import WorkFailed
from cloudos.eden.policy import SCOPES
from cloudos.eve.jobs import authority
from cloudos.eve.jobs.faults import NoPool
from cloudos.eve.jobs.pools import Places
from cloudos.eve.models import Kept, StateDocument, StoredPlan, Topology
from cloudos.eve.service import SERVICE
from tests.api import eve, kit, roles
from tests.api.eve import design
from tests.api.fuzz import fuzz
from tests.api.test_roles import CALLERS, CHANGES, SEES

WANTED = {"design": {"reference": "none", "name": "none", "version": 1, "sha256": "0" * 64}, "inputs": {}, "instances": {}, "placement": {},
          "pools": ["default"], "profile": None}  # fmt: skip
POOLS = {"default": {"source": "operator", "provider": "files", "ref": "disk", "login": {"root": "/nowhere"}, "defaults": {}}}
# What changes a topology -> what answers to somebody who may.
VERBS = {("PUT", ""): ({"description": "x"}, 200), ("POST", "/undeploy"): ({}, 409), ("POST", "/heal"): ({}, 409),
         ("POST", "/scale"): ({"instances": {"a": 1}}, 409), ("POST", "/update"): ({}, 409)}  # fmt: skip


@pytest.fixture
def served(tmp_path, monkeypatch, request):
    (tmp_path / "keys").write_bytes(Fernet.generate_key())
    options = {"run_directory": tmp_path, "data_directory": tmp_path,
               "focus_endpoint": "http://127.0.0.1:1", "graffiti_endpoint": "http://127.0.0.1:1"}  # fmt: skip
    groups = {"eve": options, "vault": {"key_file": tmp_path / "keys"}, **getattr(request, "param", {})}
    yield from kit.serve(SERVICE, "cloudos.eve.service", tmp_path, monkeypatch, **groups)


def topology(scope):
    return Topology(name=scope, mark=f"mark-{scope}", scope=scope, user_id="ann", project_id="p1", status="inactive", wanted=WANTED,
                    pools=POOLS)  # fmt: skip


@pytest.fixture
def made(served):
    """A topology of ann's in each scope; inactive, so that a verb that is let through is refused by its state."""
    with served.app.runtime.db.session() as session:
        found = [topology(scope) for scope in SCOPES]
        session.add_all(found)
    return served, {one.scope: one.id for one in found}


def test_every_route_knows_every_role(served):
    assert not roles.wrong(served, SERVICE)


def test_without_token_only_open_routes_answer(served):
    assert not roles.open_to_strangers(served, SERVICE)


@pytest.mark.parametrize("scope", SCOPES)
def test_scope_decides_who_sees_and_who_changes(made, scope):
    served, ids = made
    for name, (user, project, names) in CALLERS.items():
        caller, path = served.as_(user, project, *names), f"/v1/topologies/{ids[scope]}"
        got = caller.get(path)
        wanted = 403 if name == "without role" else 200 if name in SEES[scope] else 404
        assert [caller.get(f"{path}{end}").status_code for end in ("", "/state", "/groups")] == [wanted] * 3, name
        may_try = name not in ("owner, only reading", "without role")
        for (verb, end), (body, allowed) in VERBS.items():
            tag = {"If-Match": got.headers.get("ETag", '"x"')} if verb == "PUT" else {}
            answer = caller.request(verb, path + end, json=body, headers=tag)
            refused = 403 if name in SEES[scope] or not may_try else 404
            assert answer.status_code == (allowed if name in CHANGES[scope] else refused), (name, verb, end, answer.text)
            got = caller.get(path)
    listed = {}
    for name, (user, project, names) in CALLERS.items():
        page = served.as_(user, project, *names).get("/v1/topologies").json()
        listed[name] = ids[scope] in [one["id"] for one in page.get("topologies", [])]
    assert {name for name, there in listed.items() if there} == SEES[scope]


def test_no_answer_tells_how_the_operator_logs_in(made):
    served, ids = made
    root = served.as_("root", "p0", "admin")
    assert "/nowhere" not in root.get("/v1/topologies").text + root.get(f"/v1/topologies/{ids['public-cloud']}").text


def test_others_names_stay_theirs_where_things_are_shared(made):
    from cloudos.eve.jobs.stored import STRANGER, States
    from cloudos.eve.lifecycle import Eve
    from cloudos.eve.problems import Refused

    served, ids = made
    transact = served.app.runtime.db.transact
    document = {"format": 1, "topology": "x", "serial": 1, "template": {}, "pools": {}, "counts": {}, "outputs": {}, "resources": {}}
    with served.app.runtime.db.session() as session:
        session.add_all([StateDocument(topology_id=id_, serial=1, document=document) for id_ in ids.values()])
    found = States(lambda work: transact(work, reading=True), project="p1").others("mark-public-cloud")
    assert sorted(one.topology for one in found) == ["private-cloud", "private-project", "public-project"]
    strangers = States(lambda work: transact(work, reading=True), project="p2")
    assert {one.topology for one in strangers.others("none")} == {STRANGER} and list(strangers.topologies()) == []
    with pytest.raises(Refused, match=r"topology nothing is not deployed\. Deployed are: none"):
        Eve(strangers).undeploy("nothing")


def test_no_request_makes_it_fail(made):
    served, _ = made
    with served.app.runtime.db.session() as session:
        session.add(StoredPlan(name="p", scope="public-cloud", user_id="ann", project_id="p1", design_sha256="0" * 64, wanted=WANTED,
                               pools=POOLS, document={}, problems=[]))  # fmt: skip
    fuzz(served, served.as_("ann", "p1", "architect"), examples=4)


def test_migrations_and_models_agree(served):
    known = set(sa.inspect(served.app.runtime.db.engine).get_table_names())

    def ours(thing, name, kind, reflected, other):
        return kind != "table" or (name in known and not name.startswith("alembic_version"))

    with served.app.runtime.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert served.app.runtime.db_current()


def test_every_option_has_help():
    for group, options in config.options(SERVICE):
        assert not [f"[{group}] {option.name}" for option in options if not (option.help or "").endswith(".")]


class Keystone:
    """The application credentials of Keystone: makes, finds and deletes; `refuses` is a status to answer with."""

    def __init__(self):
        self.made, self.refuses, self.asked = {}, None, []
        self.server = make_server("127.0.0.1", 0, self, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __call__(self, environ, start_response):
        request = Request(environ)
        self.asked.append((request.method, request.path, request.headers.get("X-Auth-Token")))
        return self.answer(request)(environ, start_response)

    def answer(self, request):
        if self.refuses:
            return Response("{}", self.refuses)
        _, version, users, _user, kind, *rest = request.path.split("/")
        assert (version, users, kind) == ("v3", "users", "application_credentials")
        if request.method == "DELETE":
            return Response(status=204 if self.made.pop(rest[0], None) else 404)
        if request.method == "GET":
            return Response(json.dumps({"application_credentials": list(self.made.values())}))
        body = request.get_json()["application_credential"]
        if any(one["name"] == body["name"] for one in self.made.values()):
            return Response("{}", 409)
        one = {"id": f"id{len(self.asked)}", "name": body["name"], "unrestricted": body["unrestricted"]}
        self.made[one["id"]] = one
        return Response(json.dumps({"application_credential": {**one, "secret": "Secret-Of-It"}}), 201)


@pytest.fixture
def keystone():
    found = Keystone()
    yield found
    found.server.shutdown()


@pytest.fixture
def house(tmp_path, monkeypatch, keystone):
    known = {"auth_url": keystone.url, "region_name": "One", "interface": "internal"}
    yield from eve.house(tmp_path, monkeypatch, keystone_authtoken=known)


OWN = eve.TYPES.encode().replace(b"topology_template", b"description: x\ntopology_template") + b"""\
  node_templates:
    box: {type: tosca.nodes.Storage.ObjectStorage, properties: {name: box}}
"""


def test_own_cloud_gets_an_application_credential_that_goes_with_the_topology(house, keystone):
    house.store("box", OWN)
    answer = house.post("topologies", name="shop", design="box")
    assert answer.status_code == 202, answer.text
    (credential,) = keystone.made.values()
    path, job = answer.json()["resource"], answer.json()["id"]
    assert (credential["name"], credential["unrestricted"]) == (f"eve-{path.rpartition('/')[2]}", False)
    assert keystone.asked[0][2] == house.ann.headers["X-Auth-Token"]
    with house.eve.app.runtime.db.session(reading=True) as session:
        kept = {one.name: one.data for one in session.scalars(sa.select(Kept))}
        assert set(kept) == {"credential", "token"} and b"Secret-Of-It" not in kept["credential"]
    house.ann.post(f"/v1/jobs/{job}/cancel")
    assert house.get(path)["status"] == "inactive" and "before a worker had it" in house.get(path)["fault"]["cause"]
    ended = house.ann.delete(path).json()["id"]
    house.worker()
    house.ended(ended)
    assert keystone.made == {} and house.ann.get(path).status_code == 404
    told = [house.ann.get(f"/v1/jobs/{one}").text + house.ann.get(f"/v1/jobs/{one}/events").text for one in (job, ended)]
    assert "Secret-Of-It" not in "".join(told)


def test_ansible_gets_it_by_a_file_of_its_own_that_goes(house, keystone, monkeypatch):
    house.store("box", OWN)
    answer = house.post("topologies", name="shop", design="box").json()
    seen = house.disk / "seen"
    (house.disk.parent / "spy").mkdir()
    # What stands in the place of the cloud's module looks where its credentials are.
    spy = house.disk.parent / "spy" / "topology_resources.py"
    spy.write_text("import os, shutil, stat\nfrom ansible.module_utils.basic import AnsibleModule\n"
                   "m = AnsibleModule({k: {'type': 'raw'} for k in ('cloud', 'topology', 'resources', 'known', 'state')})\n"
                   "f = os.environ['OS_CLIENT_CONFIG_FILE']\n"
                   f"open({str(seen)!r}, 'w').write(oct(stat.S_IMODE(os.stat(f).st_mode)) + chr(10) + f + chr(10) + open(f).read())\n"
                   "m.exit_json(changed=True, resources={r['name']: {'id': '1', 'action': 'created', 'kind': r['kind'], 'seconds': 0}"
                   " for r in m.params['resources']})\n")  # fmt: skip
    monkeypatch.setattr(eve, "PROVIDER", spy.parent)
    (spy.parent / "sitecustomize.py").write_text(
        "from cloudos.eve import provider\nold = provider.openstack\n"
        "import dataclasses\nprovider.openstack = lambda: dataclasses.replace(old(), module='topology_resources')\n")
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(spy.parent))
    house.worker()
    house.ended(answer["id"])
    mode, file, text = seen.read_text().split("\n", 2)
    entry = yaml.safe_load(text)["clouds"]["default"]
    assert (mode, entry["auth_type"], entry["region_name"]) == ("0o600", "v3applicationcredential", "One")
    assert entry["auth"] == {"auth_url": f"{keystone.url}/v3", "application_credential_id": next(iter(keystone.made)),
                             "application_credential_secret": "Secret-Of-It"}  # fmt: skip
    assert file.startswith(str(house.disk.parent / "run")) and not list((house.disk.parent / "run").iterdir())


def test_refusal_of_keystone_is_told_and_nothing_begins(house, keystone):
    house.store("box", OWN)
    keystone.refuses = 403
    refused = house.post("topologies", name="shop", design="box")
    assert (refused.status_code, refused.json()["code"]) == (403, "authority.refused") and "password" in refused.json()["detail"]
    assert house.get("/v1/topologies")["topologies"] == [] and house.get("/v1/jobs")["jobs"] == []


def test_pools_of_graffiti_are_reached_with_a_token_of_theirs(tmp_path):
    """The caller's token, which may have ended, and beside it Eve's own."""
    asked = []

    def graffiti(environ, start_response):
        asked.append((environ["PATH_INFO"], environ["HTTP_X_AUTH_TOKEN"], environ["HTTP_X_SERVICE_TOKEN"]))
        told = {"token": "of-pool", "provider_url": "https://far/v3", "project_id": "p", "region_id": "R", "ca": None}
        return Response(json.dumps(told))(environ, start_response)

    server = make_server("127.0.0.1", 0, graffiti)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    groups = {"eve": {"graffiti_endpoint": url}, "keystone_authtoken": {"auth_type": "admin_token", "endpoint": url, "token": "of-eve"}}
    conf = config.load(SERVICE, [str(kit.write_conf(tmp_path, **groups))])
    pools = {"far": {"source": "graffiti", "ref": "7"}, "d": {"source": "operator"}}
    clouds = yaml.safe_load(authority.clouds(conf, pools, None, "of-ann", tmp_path))
    server.shutdown()
    assert asked == [("/v1/resource_pools/7/token", "of-ann", "of-eve")]
    assert clouds == {"clouds": {"far": {"auth_type": "v3token", "region_name": "R",
                                         "auth": {"auth_url": "https://far/v3", "token": "of-pool", "project_id": "p"}}}}  # fmt: skip
    with pytest.raises(WorkFailed, match="Graffiti gives no access to pool far"):
        authority.clouds(conf, pools, None, "of-ann", tmp_path)


@pytest.mark.parametrize("configured", [True, False])
def test_clouds_are_trusted_each_by_its_own_authority_besides_the_systems(tmp_path, monkeypatch, configured):
    """As Graffiti does; what this cloud is trusted by, or not, is another matter."""
    with kit.secure() as (known, known_pem), kit.secure() as (near, near_pem), kit.secure() as (far, far_pem):
        system = tmp_path / "system.pem"
        system.write_text(known_pem.strip())
        monkeypatch.setattr(authority.certs, "where", lambda: str(system))
        given = {"7": near_pem, "8": far_pem, "9": None}
        token = {"token": "t", "provider_url": "https://far/v3", "project_id": "p", "region_id": "R"}
        monkeypatch.setattr(authority.Graffiti, "token", lambda self, pool: {**token, "ca": given[pool]})
        groups = {"eve": {"graffiti_endpoint": known, **({"ca_file": system} if configured else {})},
                  "keystone_authtoken": {"auth_type": "admin_token", "endpoint": known, "token": "of-eve", "insecure": True}}  # fmt: skip
        conf = config.load(SERVICE, [str(kit.write_conf(tmp_path, **groups))])
        pools = {name: {"source": "graffiti", "ref": ref} for name, ref in (("near", "7"), ("far", "8"), ("other", "9"))}
        clouds = yaml.safe_load(authority.clouds(conf, pools, None, "of-ann", tmp_path))["clouds"]
        assert clouds["other"].get("cacert") == (str(system) if configured else None)
        assert not [name for name, one in clouds.items() if "verify" in one]
        trusted = {(name, url): trusts(clouds[name]["cacert"], url) for name in ("near", "far") for url in (known, near, far)}
        assert trusted == {(name, url): url in (known, own) for name, own in (("near", near), ("far", far)) for url in (known, near, far)}
        assert (tmp_path / "7.pem").stat().st_mode & 0o777 == 0o600
        system.unlink()
        with pytest.raises(WorkFailed, match=r"system.pem cannot be read: No such file or directory. Correct \[eve\] ca_file"):
            authority.clouds(conf, {"near": pools["near"]}, None, "of-ann", tmp_path)


def trusts(file, url):
    """Whether requests, and with it OpenStack's SDK, trusts a server by a file of authorities."""
    try:
        return requests.get(url, verify=file, timeout=10).status_code == 401
    except requests.exceptions.SSLError:
        return False


def test_a_design_of_a_stranger_is_not_there(house):
    house.store("mine", design("one"), user="bob", project="p2")
    assert house.post("topologies", name="shop", design="mine", pool="disk").json()["code"] == "design.refused"


def test_an_embedded_service_asks_for_a_cloud(tmp_path):
    """There nobody has a project of their own to leave the pool out for."""
    conf = config.load(SERVICE, [str(kit.write_conf(tmp_path, api={"auth_strategy": "noauth"}))])
    call = SimpleNamespace(runtime=SimpleNamespace(conf=conf))
    with pytest.raises(NoPool) as error:
        Places(call, {}, {}, "")
    assert "name an entry of clouds.yaml as pool" in str(error.value) and "Leave pool out" not in str(error.value)
