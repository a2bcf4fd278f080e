"""What a compiled plan holds: layers and where they come from, files, units, the front end, identity, secrets."""

import json
import os
import re
from types import SimpleNamespace

import gunicorn.config
import pytest

from cloudos.model.difference import diff
from cloudos.model.plan import Plan

CLOUD = "inventory/lab/cloud.yml"
FACTS = {"ctl1": {"cores": 3, "clock": "host"}, "cmp1": {"kvm": "works"}, "cmp2": {"clock": "host"}}
KINDS = {"password", "hex32", "fernet", "ca", "certificate"}


@pytest.fixture
def plan(tree):
    return tree.compile(FACTS, tree.options)


def content(plan, node, service, path):
    return plan.host(node).files[service][path]["content"]


def option(plan, node, name, path="agent/agent.conf"):
    found = re.search(rf"^{name} = (.*)$", content(plan, node, "compute", path), re.MULTILINE)
    return found and found[1]


def test_a_unit_on_a_schedule_is_started_by_its_timer_alone(tree):
    purge = "identity-purge: {on: [control], schedule: daily, exec: identity-manage purge, files: []}"
    tree.edit("services/identity.yml", "units:", f"units:\n  {purge}")
    plan = tree.compile(FACTS, tree.options)
    assert plan.host("ctl1").unit("identity-purge.timer")["inputs"] == ["/etc/systemd/system/identity-purge.timer"]
    assert "identity-purge.service" not in {unit["name"] for unit in plan.host("ctl1").units}
    unit = content(plan, "ctl1", "identity", "/etc/systemd/system/identity-purge.service")
    assert "Type=oneshot\n" in unit and "[Install]" not in unit and "Restart" not in unit
    assert "OnCalendar=daily\n" in content(plan, "ctl1", "identity", "/etc/systemd/system/identity-purge.timer")
    assert "identity-purge.timer" in {probe.get("unit") for probe in plan.host("ctl1").data["probes"]}


def test_the_last_layer_wins(plan):
    assert option(plan, "cmp1", "cpu_ratio") == "3"  # layer, file 4, plugin 8, all 2, group 3
    assert option(plan, "cmp2", "cpu_ratio") == "5"  # ... node 5
    assert option(plan, "cmp1", "debug") == "true"  # layer false, all true


SETTINGS = """files:
  settings.py:
    on: [control]
    format: python
    options: {settings: {HOSTS: ["{{ endpoint.address }}"], CACHE: {ttl: 5}, ON: true, NODE: "{{ node.name }}", KEY: a'b}}
"""


def test_python_settings_keep_their_types_and_take_overrides(tree):
    tree.edit("services/identity.yml", "files:\n", SETTINGS)
    tree.edit(CLOUD, "  all:\n", "  all:\n    identity: {settings.py: {settings: {ON: null, CACHE: {ttl: 7}, LEVEL: 3}}}\n")
    settings = {}
    exec(content(tree.compile(FACTS), "ctl1", "identity", "settings.py"), settings)
    expected = {"HOSTS": ["172.29.0.11"], "CACHE": {"ttl": 7}, "NODE": "ctl1", "KEY": "a'b", "LEVEL": 3}
    assert {name: value for name, value in settings.items() if name.isupper()} == expected


def test_a_strange_section_of_python_settings_is_told(tree):
    tree.edit("services/identity.yml", "files:\n", SETTINGS)
    tree.edit(CLOUD, "  all:\n", "  all:\n    identity: {settings.py: {setings: {ON: false}}}\n")
    (told,) = tree.mistakes()
    assert told == f"{tree.line(CLOUD, 'setings')}: setings is not a section of settings.py; did you mean settings?"


def test_an_override_of_null_and_an_expression_of_none_leave_the_option_out(plan):
    assert option(plan, "cmp2", "debug") is None
    assert option(plan, "cmp1", "cache") is None


def test_provenance_names_the_layer_that_won(tree, plan):
    found = plan.data["provenance"]
    where = {name: found[name]["compute"]["agent/agent.conf"]["DEFAULT"] for name in ("cmp1", "cmp2")}
    assert where["cmp1"] == {"cpu_ratio": tree.line(CLOUD, "cpu_ratio: 3"), "debug": tree.line(CLOUD, "debug: true")}
    assert where["cmp2"] == {"cpu_ratio": tree.line(CLOUD, "cpu_ratio: 5"), "debug": tree.line(CLOUD, "debug: null")}
    assert found["ctl1"] == {}


def test_file_text_is_ordered_and_native(plan):
    assert content(plan, "ctl1", "identity", "identity.conf").partition("\n\n")[2] == (
        "[DEFAULT]\ndebug = false\nuse_stderr = false\nmax_token_size = 255\n\n"
        "[database]\nconnection = mysql+pymysql://identity:${secret:database/identity}@172.29.0.11:3306/identity"
        "?charset=utf8mb4&ssl_ca=/etc/cloudos/pki/ca.pem\nmax_pool_size = 5\n\n[token]\nprovider = fernet\n"
    )
    text = content(plan, "ctl1", "compute", "compute.conf")
    assert "transport_url = rabbit://cloudos:${secret:messaging/cloudos}@172.29.0.11:5671/\nhosts = cmp1,cmp2\n" in text
    assert "auth_url = https://172.29.0.11:5000/v3\npassword = ${secret:identity/compute}\n" in text
    assert content(plan, "cmp1", "compute", "agent/agent.conf").endswith("[virt]\ntype = kvm\nmulti = a\nmulti = b\n")
    assert option(plan, "cmp2", "type") == "qemu"


def test_services_stand_after_what_they_need_and_only_where_they_are_wanted(plan):
    assert plan.data["services"] == ["mariadb", "haproxy", "clock", "identity", "rabbitmq", "compute"]
    assert list(plan.host("ctl1").files) == ["node", "mariadb", "haproxy", "identity", "rabbitmq", "compute"]
    assert list(plan.host("cmp1").files) == ["node", "clock", "compute"]
    assert plan.host("cmp2").data["packages"] == ["ca-certificates", "libvirt-daemon", "qemu-utils"]


def test_release_overlay(tree):
    tree.edit(CLOUD, '"2026.1"', '"2025.1"')
    plan = tree.compile()
    assert plan.data["release"] == {"series": "2025.1", "patch_level": "2025.1-1"}
    assert "provider = uuid" in content(plan, "ctl1", "identity", "identity.conf")
    assert plan.host("ctl1").data["schemas"][0]["migrate"] == ["identity-manage old_sync"]


def test_the_newest_patch_level_by_number_is_taken(plan):
    assert plan.data["release"]["patch_level"] == plan.host("ctl1").data["bundle"] == "2026.1-10"


def test_units_in_order_with_their_inputs(plan):
    units = {name: [unit["name"] for unit in plan.host(name).units] for name in ("ctl1", "cmp1")}
    assert units["ctl1"] == [
        "mariadb.service",
        "haproxy.service",
        "rabbitmq-server.service",
        "identity-api.socket",
        "identity-api.service",
        "compute-api.socket",
        "compute-api.service",
        "compute-proxy.service",
    ]
    assert units["cmp1"] == ["chrony.service", "libvirtd.service", "compute-agent.service"]
    api = plan.host("ctl1").unit("compute-api.service")
    assert api["inputs"] == [
        "/etc/systemd/system/compute-api.socket",
        "/etc/systemd/system/compute-api.service",
        "/etc/compute/compute.conf",
        "/etc/compute/api-paste.ini",
        "/etc/cloudos/gunicorn.py",
        "/opt/cloudos/current",
    ]
    assert api["after"] == ["mariadb.service", "rabbitmq-server.service", "haproxy.service", "compute-api.socket"]
    assert plan.host("ctl1").unit("compute-api.socket")["inputs"] == ["/etc/systemd/system/compute-api.socket"]
    assert "/etc/cloudos/pki/haproxy.pem" in plan.host("ctl1").unit("haproxy.service")["inputs"]
    assert "/etc/cloudos/pki/node.key" in plan.host("ctl1").unit("mariadb.service")["inputs"]


def test_text_of_a_wsgi_unit(plan):
    files = plan.host("ctl1").files["identity"]
    service, socket = (files[f"/etc/systemd/system/identity-api.{kind}"]["content"] for kind in ("service", "socket"))
    command = "gunicorn --config /etc/cloudos/gunicorn.py --name identity-api --workers 3 --threads 4"
    for line in (
        "Type=notify",
        f"ExecStart=/opt/cloudos/current/bin/{command} identity.wsgi:application",
        "User=identity",
        "Requires=identity-api.socket",
        "RequiresMountsFor=/opt/cloudos/2026.1-10",
        "Restart=always",
        "NoNewPrivileges=yes",
    ):
        assert f"\n{line}\n" in service
    for line in ("ListenStream=/run/cloudos/identity-api.sock", "SocketGroup=haproxy", "SocketMode=0660"):
        assert f"\n{line}\n" in socket
    compile(plan.host("ctl1").files["node"]["/etc/cloudos/gunicorn.py"]["content"], "gunicorn.py", "exec")


def test_text_of_other_units(plan):
    agent = plan.host("cmp1").files["compute"]["/etc/systemd/system/compute-agent.service"]["content"]
    assert "ExecStart=/opt/cloudos/current/bin/compute-agent --config-file /etc/compute/agent/agent.conf\n" in agent
    assert "SupplementaryGroups=libvirt\n" in agent
    assert "NoNewPrivileges" not in agent
    assert "ProtectSystem" not in agent
    files = plan.host("cmp1").files["compute"]
    dropped = files["/etc/systemd/system/libvirtd.service.d/cloudos.conf"]["content"]
    assert dropped == '[Service]\nRestart=always\nRestartSec=2\nEnvironment="ARGS=a \\"b\\""\n'
    limit = plan.host("ctl1").files["rabbitmq"]["/etc/systemd/system/rabbitmq-server.service.d/cloudos.conf"]["content"]
    assert limit == "[Service]\nRestart=always\nRestartSec=2\nLimitNOFILE=65536\n"


def test_front_end_serves_every_port(plan):
    text = content(plan, "ctl1", "haproxy", "/etc/haproxy/haproxy.cfg")
    assert re.findall(r"bind (\S+) ssl crt", text) == ["172.29.0.11:5000", "172.29.0.11:6080", "172.29.0.11:8774"]
    assert re.findall(r"  server (\S+ \S+)", text) == [
        "identity-api unix@/run/cloudos/identity-api.sock",
        "compute-proxy 127.0.0.1:6080",
        "compute-api unix@/run/cloudos/compute-api.sock",
    ]
    assert "ssl-min-ver TLSv1.2" in text


def test_front_end_waits_for_bodies_where_a_worker_has_no_threads(plan):
    text = content(plan, "ctl1", "haproxy", "/etc/haproxy/haproxy.cfg")
    back_ends = {part.partition("\n")[0]: part for part in text.split("\nbackend ")[1:]}
    assert [name for name, part in back_ends.items() if "\n  option http-buffer-request\n" in part] == ["compute-api"]


def test_an_api_on_several_nodes(tree):
    """Beside the front end by a socket, elsewhere by TLS with certificates on both sides; who does not answer is passed over."""
    tree.edit("services/identity.yml", "    on: [control]\n    wsgi", "    on: [control, base]\n    wsgi")
    tree.edit("inventory/lab/cloud.yml", "address: 172.29.0.21, groups: [compute]", "address: 172.29.0.21, groups: [base, compute]")
    plan = tree.compile(FACTS, tree.options)
    text = content(plan, "ctl1", "haproxy", "/etc/haproxy/haproxy.cfg")
    back_end = text.partition("backend identity-api\n")[2].partition("\n\n")[0]
    pki = "/etc/cloudos/pki"
    assert re.findall(r"  server (.*)", back_end) == [
        "identity-api unix@/run/cloudos/identity-api.sock",
        f"cmp1 172.29.0.21:5000 ssl crt {pki}/haproxy.pem ca-file {pki}/ca.pem verify required verifyhost cmp1"
        " check inter 2s fall 2 rise 1",
    ]
    assert "\n  option redispatch 1\n  option httpchk GET /v3\n" in back_end
    assert text.count("httpchk") == 1
    near, away = (plan.host(node).files["identity"] for node in ("ctl1", "cmp1"))
    socket, service = (away[f"/etc/systemd/system/identity-api.{kind}"]["content"] for kind in ("socket", "service"))
    assert "\nListenStream=172.29.0.21:5000\n" in socket and "SocketMode" not in socket
    assert f" --certfile {pki}/node.crt --keyfile {pki}/node.key --ca-certs {pki}/ca.pem --cert-reqs 2 " in service
    assert "\nSupplementaryGroups=cloudos-tls\n" in service
    assert "certfile" not in near["/etc/systemd/system/identity-api.service"]["content"]
    assert "/etc/cloudos/pki/node.key" in plan.host("cmp1").unit("identity-api.service")["inputs"]
    probe = next(probe for probe in plan.host("cmp1").data["probes"] if probe["name"] == "identity-api")
    assert (probe["url"], probe["certfile"]) == ("https://172.29.0.21:5000/v3", "/etc/cloudos/pki/node.crt")
    assert [schema["service"] for schema in plan.host("cmp1").data["schemas"]] == [] != plan.host("ctl1").data["schemas"]


def test_gunicorn_takes_threads_only_where_a_unit_has_them(plan):
    settings = {}
    exec(plan.host("ctl1").files["node"]["/etc/cloudos/gunicorn.py"]["content"], settings)
    config = gunicorn.config.Config()
    config.set("worker_class", settings["worker_class"])
    for threads, kind in ((1, "sync"), (4, "gthread")):
        config.set("threads", threads)
        assert config.worker_class_str == kind


def test_node_files(plan):
    files = plan.host("ctl1").files["node"]
    assert files["/etc/sysusers.d/cloudos.conf"]["content"] == (
        'g cloudos-tls -\nu compute - "Compute" /var/lib/compute /usr/sbin/nologin\n'
        'u identity - "Identity" /var/lib/identity /usr/sbin/nologin\n'
    )
    assert files["/etc/sysusers.d/cloudos-members.conf"]["content"] == "m compute libvirt\nm mysql cloudos-tls\n"
    assert files["/etc/cloudos/pki/node.key"]["mode"] == files["/etc/cloudos/pki/haproxy.pem"]["mode"] == "0640"
    assert "/etc/cloudos/pki/haproxy.pem" not in plan.host("cmp1").files["node"]
    compute = plan.host("cmp1").files["compute"]
    assert compute["/etc/compute"]["type"] == "copy"
    assert compute["/etc/compute/agent"] == {"type": "directory", "owner": "root", "group": "compute", "mode": "0750"}


def test_identity_schemas_operations_and_probes(plan):
    found = plan.data["identity"]
    assert found["services"]["compute"]["endpoints"] == dict.fromkeys(
        ("public", "internal", "admin"), "https://172.29.0.11:8774/v2.1"
    )
    assert found["roles"] == ["reseller"]
    assert found["users"] == {
        "compute": {"password": "${secret:identity/compute}", "project": "service", "roles": ["service"]}
    }
    control = plan.host("ctl1").data
    assert [schema["service"] for schema in control["schemas"]] == ["identity", "compute"]
    assert control["schemas"][1]["databases"] == ["compute", "compute_cell0"]
    assert control["operations"] == [
        {"service": "compute", "after": "schemas", "module": "cloudos.cloud.cells", "args": {"hosts": ["cmp1", "cmp2"]}}
    ]
    assert {probe["name"]: probe.get("url") for probe in control["probes"]} == {
        "mariadb": None,
        "haproxy": None,
        "rabbitmq-server": None,
        "identity-api": "https://172.29.0.11:5000/v3",
        "compute-api": "https://172.29.0.11:8774/",
        "compute-proxy": "https://172.29.0.11:6080/",
    }
    assert plan.host("cmp1").data["schemas"] == plan.host("cmp1").data["operations"] == []


def test_secrets_are_references_to_what_the_plan_lists(plan):
    specs = {spec["name"]: spec for spec in plan.data["secrets"]}
    keys = {name.removesuffix(".crt") + ".key" for name in specs if specs[name]["kind"] == "certificate"}
    referred = set(re.findall(r"\$\{secret:([^}]+)\}", plan.to_json()))
    assert referred <= set(specs) | keys
    assert {
        "database/identity",
        "identity/compute",
        "service/compute/metadata",
        "messaging/cloudos",
        "pki/ctl1.key",
    } <= referred
    assert {spec["kind"] for spec in specs.values()} <= KINDS
    assert specs["pki/ctl1.crt"]["sans"] == ["127.0.0.1", "172.29.0.11", "ctl1", "localhost"]
    assert not re.search(r"(?i)password = (?!\$\{secret:)", plan.to_json())


def test_the_same_input_gives_the_same_bytes(tree, plan):
    again = tree.compile(FACTS, tree.options).to_json()
    assert again == plan.to_json() == Plan.from_json(again).to_json()


def test_nodes_without_facts_are_marked(tree):
    plan = tree.compile({"ctl1": FACTS["ctl1"]})
    assert [host.data["facts_known"] for host in plan.hosts()] == [True, False, False]


def test_a_plan_of_another_format_is_refused():
    with pytest.raises(ValueError, match="not a plan of format 1"):
        Plan.from_json(json.dumps({"format": 2}))


def test_no_difference(plan):
    assert diff(plan, plan) == ""


def test_difference_of_one_option_is_one_line_of_one_node(tree, plan):
    tree.edit(CLOUD, "cpu_ratio: 5", "cpu_ratio: 6")
    text = diff(plan, tree.compile(FACTS, tree.options))
    assert re.findall(r"^(?:---|\+\+\+) (.*)$", text, re.MULTILINE) == ["cmp2: /etc/compute/agent/agent.conf"] * 2
    assert [line for line in text.splitlines() if line[0] in "+-"][2:] == ["-cpu_ratio = 5", "+cpu_ratio = 6"]


def test_difference_tells_nodes_that_come_and_go(tree, plan):
    tree.edit(CLOUD, "  cmp1: {address: 172.29.0.21, groups: [compute]}\n", "")
    smaller = tree.compile(FACTS, tree.options)
    assert "--- cmp1: packages\n+++ /dev/null\n" in diff(plan, smaller)
    assert "--- /dev/null\n+++ cmp1: packages\n" in diff(smaller, plan)
    assert diff(None, plan).count("--- /dev/null") > 50


def test_settings_of_the_inventory_are_laid_over_the_service_s(tree):
    """They keep their kind where one expression asks for them, and `services` names what is in the cloud."""
    said = "hosts: \"{{ nodes('compute') }}\"}}"
    asked = said[:-2] + ", every: \"{{ settings.interval }}\", keep: \"{{ settings.keep }}\", in: \"{{ 'compute' in services }}\"}}"
    tree.edit("services/compute.yml", said, asked)
    tree.edit(CLOUD, "cloud: lab", "cloud: lab\nsettings: {compute: {keep: {low: 90, none: null}}}")
    args = tree.compile(FACTS, tree.options).host("ctl1").data["operations"][0]["args"]
    assert args == {"hosts": ["cmp1", "cmp2"], "every": 300, "keep": {"low": 90, "high": 5, "none": None}, "in": True}


def test_an_application_in_gunicorn_is_called_like_its_unit(plan, monkeypatch):
    """Messaging names a file in /dev/shm after the program, which units of different users must not share."""
    arguments = ["gunicorn", "--config", "x"]
    monkeypatch.setattr("sys.argv", arguments)
    names: dict = {}
    exec(plan.host("ctl1").files["node"]["/etc/cloudos/gunicorn.py"]["content"], names)
    monkeypatch.setenv("WSGI_WORKER", "")
    names["post_fork"](type("Server", (), {"proc_name": "identity-api"}), SimpleNamespace(number=1))
    assert arguments == ["identity-api"]


def test_workers_in_gunicorn_have_numbers_that_their_successors_take_over(plan, monkeypatch):
    """Neutron's hash ring knows its members by them, and those of earlier starts by when the server started."""
    names: dict = {}
    exec(plan.host("ctl1").files["node"]["/etc/cloudos/gunicorn.py"]["content"], names)
    assert re.fullmatch(r"WSGI_SERVER_STARTED=[0-9]+", names["raw_env"][0])
    server = SimpleNamespace(WORKERS={}, proc_name="identity-api")
    monkeypatch.setattr("sys.argv", [])
    for pid, number in ((11, 1), (12, 2), (13, 3)):
        names["pre_fork"](server, worker := SimpleNamespace())
        server.WORKERS[pid] = worker
        assert worker.number == number
    del server.WORKERS[12]
    names["pre_fork"](server, successor := SimpleNamespace())
    monkeypatch.setenv("WSGI_WORKER", "")
    names["post_fork"](server, successor)
    assert os.environ["WSGI_WORKER"] == "2"


def test_an_application_in_gunicorn_does_not_keep_the_signals(plan):
    names: dict = {}
    exec(plan.host("ctl1").files["node"]["/etc/cloudos/gunicorn.py"]["content"], names)
    called = []
    names["post_worker_init"](SimpleNamespace(init_signals=lambda: called.append(True)))
    assert called == [True]
