"""What goes into a bundle: the databases of the services, the bill of materials, and a build that is not repeated."""

import ctypes
import gettext
import subprocess
import sys
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloudos.bundle import assets, build, sbom, schemas
from cloudos.bundle.build import Build
from cloudos.bundle.errors import BundleError
from cloudos.bundle.release import load_release
from cloudos.bundle.tree import Tree

ROOT = Path(__file__).parents[2]
INSIDE = Path(build.__file__).parent / "inside"
LAYERS = "database: {database: {connection: '{{ database_url(service) }}', max_pool_size: 5}}\n"
NOVA = """\
service: nova
databases: [nova_api, nova, nova_cell0]
config_data: [nova]
migrate:
  - nova-manage api_db sync
  - nova-manage --config-file /etc/nova/nova.conf --config-file /etc/nova/cell0.conf db sync
files:
  nova.conf:
    layers: [database]
    options: {api_database: {connection: "{{ database_url('nova_api') }}"}, DEFAULT: {debug: false}}
  cell0.conf: {options: {database: {connection: "{{ database_url('nova_cell0') }}"}}}
releases: {"2031.1": {migrate: [nova-manage all sync]}}
"""


@pytest.fixture
def services(tmp_path):
    directory = tmp_path / "services"
    directory.mkdir()
    (directory / "layers.yml").write_text(LAYERS)
    (directory / "nova.yml").write_text(NOVA)
    (directory / "chrony.yml").write_text("service: chrony\nbase: true\n")
    return directory


def test_the_configuration_of_a_migration_holds_the_databases_only(services, tmp_path):
    (schema,) = schemas.load_schemas(services, "2026.1")
    (tmp_path / "bundled/nova").mkdir(parents=True)
    (tmp_path / "bundled/nova/api-paste.ini").write_text("[pipeline]")
    schema.write_files(tmp_path / "etc", Path("/run/sql"), tmp_path / "bundled")
    assert (tmp_path / "etc/nova/api-paste.ini").read_text() == "[pipeline]"
    url = "mysql+pymysql://root@localhost/{}?unix_socket=/run/sql&charset=utf8mb4"
    nova = f"[database]\nconnection = {url.format('nova')}\n[api_database]\nconnection = {url.format('nova_api')}\n"
    assert (tmp_path / "etc/nova/nova.conf").read_text() == nova
    assert url.format("nova_cell0") in (tmp_path / "etc/nova/cell0.conf").read_text()


def test_migrations_use_that_configuration(services):
    (schema,) = schemas.load_schemas(services, "2026.1")
    first, second = schema.commands(Path("/w"))
    assert first == ["nova-manage", "--config-file", "/w/nova/nova.conf", "api_db", "sync"]
    assert second[:5] == ["nova-manage", "--config-file", "/w/nova/nova.conf", "--config-file", "/w/nova/cell0.conf"]


def test_a_series_may_lay_its_own_over_a_service(services):
    (schema,) = schemas.load_schemas(services, "2031.1")
    assert schema.migrate == ("nova-manage all sync",)


def test_our_own_services_have_their_databases_configured():
    for schema in schemas.load_schemas(ROOT / "services", "2026.1"):
        configured = {name for file in schema.files.values() for section in file.values() for name in section.values()}
        assert set(schema.databases) == configured, schema.service


def distribution(**fields):
    metadata = Message()
    for key, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            metadata[key.replace("_", "-")] = value
    return SimpleNamespace(name=fields["Name"], version="1.0", metadata=metadata)


def test_the_bill_of_materials_tells_hashes_and_licences():
    hashes = [f"    --hash=sha256:{digit * 64}" for digit in "012"]
    lock = "\n".join(["a.b==1.0 \\", f"{hashes[0]} \\", hashes[1], "c==1.0 \\", hashes[2], ""])
    found = [
        distribution(Name="A.b", License_Expression="MIT"),
        distribution(Name="c", Classifier=["License :: OSI Approved :: BSD License", "Topic :: Games"]),
        distribution(Name="d", License="Apache-2.0"),
        distribution(Name="e", License="All of\nthe text"),
    ]
    bill = sbom.bill_of_materials("n", "2026.1-1", lock, found, {"novnc": "1:1.3.0-1"})
    a, c, d, e, novnc = bill["components"]
    assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.6"
    assert a["purl"] == "pkg:pypi/a-b@1.0" and [item["content"] for item in a["hashes"]] == ["0" * 64, "1" * 64]
    assert a["licenses"] == [{"expression": "MIT"}]
    assert c["licenses"] == [{"license": {"name": "BSD License"}}] and len(c["hashes"]) == 1
    assert d["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert "licenses" not in e
    assert novnc["purl"] == "pkg:deb/debian/novnc@1:1.3.0-1"


def planted(tree, names):
    """Lay files named like that into the site-packages of a tree; their text is their name."""
    for name in names:
        path = tree.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def left(tree):
    """The files in the site-packages of a tree."""
    return {str(path.relative_to(tree.site)) for path in tree.site.rglob("*") if path.is_file()}


PRUNED = {
    # tests, but for those that are loaded, and for what only has such a name
    "nova/tests/unit/test_a.py": False,
    "glance_store/tests/fakes.py": True,
    "openstack_dashboard/test/helpers.py": False,
    "openstack_dashboard/dashboards/project/networks/tests.py": False,
    "horizon/test/jasmine/jasmine.py": True,
    "ansible/plugins/test/core.py": True,
    "jinja2/tests.py": True,
    # services that the code speaks to
    "googleapiclient/discovery_cache/documents/storage.v1.json": True,
    "googleapiclient/discovery_cache/documents/drive.v3.json": False,
    "botocore/data/s3/2006-03-01/service-2.json.gz": True,
    "botocore/data/endpoints.json": True,
    "botocore/data/ec2/2016-11-15/service-2.json.gz": False,
    # sources of what is compiled
    "nova/nova.pot": False,
    "numpy/_core/include/numpy/arrayobject.h": False,
    "numpy/__init__.pyi": False,
    "numpy/_core/multiarray.so": True,
    # languages of the dashboard
    "openstack_dashboard/locale/pt_BR/LC_MESSAGES/django.po": False,
    "openstack_dashboard/locale/pt_BR/LC_MESSAGES/django.mo": True,
    "django/conf/locale/pt/LC_MESSAGES/django.mo": True,
    "django/conf/locale/nl/LC_MESSAGES/django.mo": False,
    "django/conf/locale/nl/formats.py": True,
    "babel/locale-data/root.dat": True,
    "babel/locale-data/en_001.dat": True,
    "babel/locale-data/pt_PT.dat": True,
    "babel/locale-data/nl.dat": False,
}


def test_pruning_leaves_what_a_node_reads(tmp_path):
    tree = Tree(tmp_path, "2026.1-1", "3.11")
    planted(tree, PRUNED)
    (tmp_path / "CACHEDIR.TAG").touch()
    tree.prune()
    assert left(tree) == {name for name, stays in PRUNED.items() if stays}
    assert not (tmp_path / "CACHEDIR.TAG").exists()


def test_what_assets_are_made_of_goes_when_they_are_made(tmp_path):
    tree = Tree(tmp_path, "2026.1-1", "3.11")
    code, library = "xstatic/pkg/icons/__init__.py", "xstatic/pkg/icons/data/icons.svg"
    planted(tree, [code, library])
    tree.prune()
    assert left(tree) == {code, library}
    fonts = tmp_path / "share/panel/static/lib/fonts"
    fonts.mkdir(parents=True)
    for name in ("a.woff2", "a.woff", "a.ttf", "a.eot", "a.svg", "b.woff", "picture.svg"):
        (fonts / name).touch()
    tree.prune_assets()
    assert left(tree) == {code}
    assert {path.name for path in fonts.iterdir()} == {"a.woff2", "b.woff", "picture.svg"}


def test_records_name_the_files_that_are_left(tmp_path):
    """Swift looks for its library of checksums in one."""
    tree = Tree(tmp_path, "2026.1-1", "3.11")
    lines = ["ec.libs/libisal.so.2,sha256=abc,12", '"ec/a,b.py",sha256=de,3', "ec/tests/test_a.py,sha256=f,4"]
    planted(tree, ["ec.libs/libisal.so.2", "ec/a,b.py", "ec-1.0.dist-info/METADATA"])
    (tree.site / "ec-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: ec\nVersion: 1.0\n")
    (tree.site / "ec-1.0.dist-info/RECORD").write_text("\n".join(lines) + "\n")
    tree.prune_assets()
    (ec,) = tree.distributions()
    assert [str(path) for path in ec.files] == ["ec.libs/libisal.so.2", "ec/a,b.py"]
    assert all(path.locate().is_file() and path.hash is None for path in ec.files)


CATALOGUE = """\
msgid ""
msgstr ""
"Language: de\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"Content-Type: text/plain; charset=UTF-8\\n"

msgid "Instances"
msgstr "Instanzen"

msgid "%d node"
msgid_plural "%d nodes"
msgstr[0] "%d Knoten"
msgstr[1] "%d Knotens"

#, fuzzy
msgid "Images"
msgstr "Bildnis"
"""


def test_catalogues_of_the_dashboard_are_compiled(tmp_path, monkeypatch):
    pytest.importorskip("babel")
    tree, other = Tree(tmp_path, "2026.1-1", "3.11"), "nova/locale/de/LC_MESSAGES/nova.po"
    monkeypatch.setattr(tree, "script", lambda name, *words, what: subprocess.run([sys.executable, INSIDE / name, *words], check=True))
    sources = ["openstack_dashboard/locale/de/LC_MESSAGES/django.po", "horizon/locale/de/LC_MESSAGES/djangojs.po"]
    planted(tree, [*sources, other])
    for source in sources:
        (tree.site / source).write_text(CATALOGUE)
    tree.translate()
    assert left(tree) == {*sources, *(source.replace(".po", ".mo") for source in sources), other}
    spoken = gettext.translation("djangojs", tree.site / "horizon/locale", ["de"])
    assert spoken.gettext("Instances") == "Instanzen" and spoken.gettext("Images") == "Images"
    assert spoken.ngettext("%d node", "%d nodes", 1) == "%d Knoten" and spoken.ngettext("%d node", "%d nodes", 5) == "%d Knotens"


def test_stripping_leaves_what_would_not_load_afterwards(tmp_path):
    (tmp_path / "a.libs").mkdir()
    source = tmp_path / "f.c"
    source.write_text("int hidden(void) { return 1; } int f(void) { return hidden(); }")
    for name in ("f.so", "a.libs/f.so"):
        subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-o", tmp_path / name, source], check=True)
    (tmp_path / "text.so").write_text("INPUT(f.so)")
    size = (tmp_path / "f.so").stat().st_size
    subprocess.run([sys.executable, INSIDE / "strip.py", tmp_path], check=True)
    assert (tmp_path / "f.so").stat().st_size < size == (tmp_path / "a.libs/f.so").stat().st_size
    assert (tmp_path / "text.so").read_text() == "INPUT(f.so)" and not list(tmp_path.rglob("*.stripped"))
    assert ctypes.CDLL(tmp_path / "f.so").f() == 1


ASSETS = """\
service: panel
assets:
  files: {in/settings.py: "x = 1"}
  environment: {KIND: small}
  commands: [panel-admin collect "two words"]
releases: {"2031.1": {assets: {environment: {KIND: big}}}}
"""


@pytest.fixture
def panel(services):
    (services / "panel.yml").write_text(ASSETS)
    return services


def test_assets_are_made_where_the_bundle_will_be(panel, tmp_path, monkeypatch):
    tree, done = Tree(tmp_path / "tree", "2031.1-1", "3.11"), []
    monkeypatch.setattr(tree, "inside", lambda command, what: done.append((what, [str(word) for word in command])))
    (made,) = assets.load_assets(panel, "2031.1")
    assert not made.shipped_in(tree)
    (tree.root / "bin").mkdir(parents=True)
    (tree.root / "bin" / "panel-admin").touch()
    assert made.shipped_in(tree)
    made.make(tree)
    assert (tree.root / "share/panel/in/settings.py").read_text() == "x = 1"
    place = "/opt/cloudos/2031.1-1"
    command = ["env", f"--chdir={place}/share/panel", "KIND=big", f"{place}/bin/panel-admin", "collect", "two words"]
    assert done == [('panel: panel-admin collect "two words"', command)]


def test_other_assets_are_another_bundle(work, panel):
    before = work.inputs()
    work.assets = assets.load_assets(panel, "2026.1")
    assert work.inputs() != before


def test_a_mistake_in_a_service_file_ends_the_build(panel):
    (panel / "panel.yml").write_text(ASSETS.replace("commands", "comands"))
    with pytest.raises(BundleError, match=r"panel.yml:\d+: .*comands is not a key here; did you mean commands"):
        assets.load_assets(panel, "2026.1")


@pytest.fixture
def work(services, tmp_path, monkeypatch):
    """A build whose tree is not really made."""
    directory = tmp_path / "releases" / "2026.1"
    directory.mkdir(parents=True)
    (directory / "release.yml").write_text("{series: '2026.1', python: '3.11', maintained_until: x, roots: [nova]}")
    (directory / "2026.1-1.lock").write_text("nova==33.0.2\n")

    def fill(tree, *arguments):
        (tree.root / "share").mkdir()
        return {}

    for name in ("install", "translate", "prune", "strip", "compile", "prune_assets"):
        monkeypatch.setattr(Tree, name, lambda *arguments: None)
    monkeypatch.setattr(Tree, "add_debian_data", fill)
    monkeypatch.setattr(Tree, "pack", lambda tree, path: path.write_bytes(b"packed"))
    monkeypatch.setattr(build.Build, "_snapshot", lambda self, tree, work, options: options.write_text("{}") and {})
    monkeypatch.setattr("cloudos.bundle.tree.TARGETS", tmp_path / "opt")
    release, patch_level = load_release(tmp_path / "releases", "2026.1")
    return Build(release, patch_level, services, tmp_path / "plugins", tmp_path / "home", say=lambda line: None)


def names(work):
    return sorted(path.name.removeprefix(work.artifact.name) for path in work.artifact.directory.iterdir())


WHOLE = [".cdx.json", ".lock", ".manifest.json", ".manifest.json.sig", ".options.json", ".sqfs"]


def test_the_same_inputs_are_built_once(work, tmp_path):
    assert work.make() is True
    assert names(work) == WHOLE and not (tmp_path / "opt").exists()
    assert work.make() is False
    work.lock.write_text("nova==33.0.3\n")
    assert work.make() is True


def test_a_damaged_bundle_is_built_again(work):
    work.make()
    work.artifact.path("sqfs").write_bytes(b"pack")
    assert work.found() is None
    assert work.make() is True and work.found() == work.inputs()


def test_a_failed_build_leaves_nothing(work, monkeypatch, tmp_path):
    def broken(tree, path):
        raise BundleError("no space")

    monkeypatch.setattr(Tree, "pack", broken)
    with pytest.raises(BundleError, match="no space"):
        work.make()
    assert names(work) == [".lock"] and not (tmp_path / "opt").exists()


def test_what_a_killed_build_left_goes_away(work):
    (work.artifact.directory / ".build-killed" / "tree").mkdir(parents=True)
    work.make()
    assert names(work) == WHOLE
