"""What a hostile file may try: bombs, slips, links, addresses, circles, and many at once."""

import copy
import gc
import io
import os
import random
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from cloudos import tosca
from cloudos.tosca import archive, resolver
from cloudos.tosca.archive import ArchiveLimits, open_archive, packed_directory
from cloudos.tosca.resolver import Refused
from tests.unit.tosca.marked import MODERN, OLDER, expected, judge, load, problems, write
from tests.unit.tosca.test_modern import HOSTS, SUBSTITUTION, WORLD
from tests.unit.tosca.test_wrong import ALL as CASES
from tests.unit.tosca.test_wrong import composed

MODERN_SCALARS = (
    MODERN
    + """
functions: {f: {signatures: [{arguments: [string], result: integer}]}}
data_types:
  Mass: {derived_from: scalar, units: {g: 1}, prefixes: {"": 1, k: 1000}, canonical_unit: g, validation: {$less_than: [$value, 9 kg]}}
  Names: {derived_from: map, key_schema: string, entry_schema: {type: list, entry_schema: Mass}}
node_types: {Box: {properties: {all: {type: Names, default: {a: [1 g]}}, size: {type: integer}}}}
service_template: {node_templates: {box: {type: Box, properties: {size: {$f: [a]}, all: {b: [2 kg, 1 g]}}}}}
"""
)
TEMPLATE = OLDER + "topology_template: {node_templates: {s: {type: tosca.nodes.Compute}}}\n"


def rules(report):
    return [one.rule for one in report.problems]


# Documents


def test_a_billion_laughs_are_refused_quickly(tmp_path):
    lines = ["dsl_definitions:", '  a0: &a0 ["lol"]']
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert rules(load(tmp_path, OLDER + "\n".join(lines))) == ["yaml.limit"]


def test_an_alias_inside_its_anchor_is_refused(tmp_path):
    assert problems(tmp_path, OLDER + "dsl_definitions: &a {b: *a}\n") == {(2, "yaml.alias")}


def test_a_billion_merges_are_refused_quickly(tmp_path):
    lines = ["dsl_definitions:", "  a0: &a0 {k: v}"]
    lines += [f"  a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: v}}" for n in range(1, 12)]
    assert rules(load(tmp_path, OLDER + "\n".join(lines))) == ["yaml.limit"]


@pytest.mark.parametrize("depth", [200, 100_000])
def test_depth_is_limited(depth, tmp_path):
    report = load(tmp_path, OLDER + "description: " + "[" * depth + "]" * depth)
    assert rules(report)[0] in ("yaml.limit", "yaml.syntax")
    assert report.exit_code == 1


def test_size_is_limited(tmp_path):
    path = write(tmp_path, TEMPLATE)
    report = tosca.load(path, limits=tosca.Limits(size=50))
    assert (rules(report), report.exit_code) == (["file.too_large"], 3)


def test_what_is_no_text_is_unreadable(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert (rules(tosca.load(path)), tosca.load(path).exit_code) == (["file.unreadable"], 3)
    assert tosca.load(tmp_path).exit_code == tosca.load(tmp_path / "nothing.yaml").exit_code == 3


def test_second_documents_and_foreign_tags_are_told(tmp_path):
    assert problems(tmp_path, OLDER + "---\n" + OLDER) == {(2, "yaml.syntax")}
    assert problems(tmp_path, OLDER + "description: !!python/object:os.system x\n") == {(2, "yaml.tag")}


def test_endless_derivation_and_endless_values_end(tmp_path):
    types = "\n".join(f"  T{n}: {{derived_from: T{n + 1}}}" for n in range(3000))
    found = rules(load(tmp_path, OLDER + "node_types:\n" + types + "\n  T3000: {derived_from: tosca.nodes.Root}\n"))
    assert set(found) == {"type.depth"}
    nodes = "\n".join(
        f"    n{n}: {{type: SoftwareComponent, properties: {{component_version: {{get_property: [n{n + 1}, component_version]}}}}}}"
        for n in range(3000)
    )
    report = load(tmp_path, OLDER + "topology_template:\n  node_templates:\n" + nodes + "\n    n3000: {type: SoftwareComponent}\n")
    assert set(rules(report)) <= {"function.depth"}


HUGE = "9" * 999
RECURSIVE = "data_types: {A: {properties: {a: {type: A, default: {}}}}}\n"


def computed(expression):
    return f"{MODERN}service_template: {{node_templates: {{}}, outputs: {{o: {{value: {expression}}}}}}}\n"


def defaulted(kind, value, constraint):
    return f"{OLDER}node_types: {{T: {{properties: {{p: {{type: {kind}, default: {value}, constraints: [{constraint}]}}}}}}}}\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (computed("{$floor: .inf}"), "function.arguments"),
        (computed("{$round: .nan}"), "function.arguments"),
        (computed(f"{{$sum: [{HUGE}, 1.5]}}"), "function.arguments"),
        (computed(f"{{$product: [{HUGE[:300]}, {HUGE[:300]}]}}"), "function.arguments"),
        (computed("{$matches: [a, 'a{99999999999999999999}']}"), "function.arguments"),
        (computed("{$matches: [a, '" + "(" * 5000 + ")" * 5000 + "']}"), "function.arguments"),
        (defaulted("string", "a", "pattern: 'a{99999999999999999999}'"), "constraint.invalid"),
        (defaulted("string", "a", f"min_length: {HUGE}"), "constraint.invalid"),
        (defaulted("scalar-unit.time", f"{HUGE} ns", "less_than: 1 ms"), "value.constraint"),
        (defaulted("scalar-unit.size", "1e999 GB", "less_than: 1 GB"), "value.constraint"),
        (defaulted("version", f"'{HUGE}.1'", "equal: 1.0"), "value.type"),
        (defaulted("timestamp", "'\u0662\u0660\u0662\u0664-01-01'", "equal: 2024-01-01"), "value.type"),
        (MODERN + RECURSIVE + "node_types: {T: {properties: {p: {type: A, default: {}}}}}\n", "function.cycle"),
        (MODERN + RECURSIVE + "service_template: {inputs: {i: {type: A, default: {}}}, node_templates: {}}\n", "function.cycle"),
        (OLDER + RECURSIVE + "topology_template: {inputs: {i: {type: A, default: {}}}}\n", "function.cycle"),
        (MODERN + f"imports: [{{url: t.yaml, namespace: a}}]\nnode_types: {{T: {{derived_from: '{'a:' * 5000}T'}}}}\n", "type.unknown"),
    ],
)
def test_what_has_no_end_is_told(text, rule, tmp_path):
    assert rule in rules(tosca.load(write(tmp_path, text, "t.yaml")))


# Imports


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("file:///etc/passwd", "import.outside"),
        ("file:/etc/passwd", "import.outside"),
        ("../secret.yaml", "import.outside"),
        ("a/../../secret.yaml", "import.outside"),
        ("%2e%2e/secret.yaml", "import.missing"),
        ("file:%2e%2e/secret.yaml", "import.outside"),
        ("/etc/passwd", "import.missing"),
        ("link.yaml", "import.missing"),
        ("http://169.254.169.254/latest/meta-data/", "import.network"),
        ("https://example.com/types.yaml", "import.network"),
        ("ftp://example.com/types.yaml", "import.network"),
        ("gopher:1", "import.network"),
    ],
)
@pytest.mark.parametrize("version", [OLDER, MODERN])
def test_imports_stay_inside(url, rule, version, tmp_path):
    (tmp_path / "secret.yaml").write_text(OLDER + "node_types: {Secret: {}}")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    judge(inner, version + f"imports: [«{rule}»'{url}']\n")


def test_nothing_is_opened_but_the_files_themselves(tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a connection was tried"))
    load(tmp_path, OLDER + "imports: ['http://169.254.169.254/x', 'https://example.com/y']\nrepositories: {r: 'http://example.com'}\n")


# Archives


def packed(path, entries, kind="zip"):
    """An archive of (name, content) pairs."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for name, content in entries:
                target.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as target:
            for name, content in entries:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                target.addfile(info, io.BytesIO(content.encode()))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
@pytest.mark.parametrize("meta", ["TOSCA-Metadata/TOSCA.meta", "TOSCA.meta", None])
def test_archives_are_read_in_place(kind, meta, tmp_path):
    main = OLDER + "imports: [types/t.yaml]\n"
    main += "topology_template: {node_templates: {s: {type: Mine, artifacts: {a: {type: File, file: x.sh}}}}}"
    entries = [("main.yaml", main), ("types/t.yaml", OLDER + "node_types: {Mine: {derived_from: tosca.nodes.Root}}"), ("x.sh", "true")]
    if meta:
        entries.append((meta, "TOSCA-Meta-File-Version: 1.1\nCSAR-Version: 1.1\nEntry-Definitions: main.yaml\n"))
    before = set(os.listdir("/tmp"))
    report = tosca.load(packed(tmp_path / "a.csar", entries, kind))
    assert report.problems == []
    assert list(report.template.nodes) == ["s"]
    assert {name for name in set(os.listdir("/tmp")) - before if "tosca" in name.lower()} == set()


@pytest.mark.parametrize(
    ("entries", "rule", "code"),
    [
        ([("a.yaml", TEMPLATE), ("b.yaml", TEMPLATE)], "archive.meta", 1),
        ([("TOSCA.meta", "Entry-Definitions: missing.yaml\n"), ("a.yaml", TEMPLATE)], "archive.meta", 1),
        ([("TOSCA.meta", "CSAR-Version: 1.1\n"), ("a.yaml", TEMPLATE)], "archive.meta", 1),
        ([("TOSCA.meta", "no pair\n"), ("a.yaml", TEMPLATE)], "archive.meta", 1),
        ([("../a.yaml", TEMPLATE)], "archive.unsafe", 3),
        ([("/a.yaml", TEMPLATE)], "archive.unsafe", 3),
        ([("dir\\a.yaml", TEMPLATE)], "archive.unsafe", 3),
        ([("C:/a.yaml", TEMPLATE)], "archive.unsafe", 3),
        ([("a.yaml", TEMPLATE), ("./a.yaml", TEMPLATE)], "archive.unsafe", 3),
        ([("a.yaml", TEMPLATE), ("zeros", "0" * 30_000_000)], "archive.limit", 3),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_unsafe_archives_are_refused(entries, rule, code, kind, tmp_path):
    report = tosca.load(packed(tmp_path / "a.csar", entries, kind))
    assert (rules(report), report.exit_code) == ([rule], code)


@pytest.mark.parametrize("kind", ["w:bz2", "w:xz"])
def test_bombs_of_other_compressions_are_refused(kind, tmp_path):
    path = tmp_path / "a.csar"
    with tarfile.open(path, kind) as target:
        info = tarfile.TarInfo("zeros")
        info.size = 30_000_000
        target.addfile(info, io.BytesIO(bytes(info.size)))
    assert (rules(tosca.load(path)), tosca.load(path).exit_code) == (["archive.limit"], 3)


def test_entries_that_share_their_bytes_are_counted_each(tmp_path):
    """A zip of little size that unpacks to much, no entry of which is conspicuous: all point to the same bytes."""
    path = packed(tmp_path / "a.zip", [("a.yaml", TEMPLATE * 10_000)])
    content = path.read_bytes()
    directory, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    entry = content[directory:end]
    entries = b"".join(entry.replace(b"a.yaml", b"%06d" % n) for n in range(2000))
    tail = content[end : end + 8] + (2000).to_bytes(2, "little") * 2 + len(entries).to_bytes(4, "little") + content[end + 16 :]
    path.write_bytes(content[:directory] + entries + tail)
    assert rules(tosca.load(path)) == ["archive.limit"]


def test_links_and_devices_are_refused(tmp_path):
    for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "a.yaml"), (tarfile.FIFOTYPE, ""), (tarfile.CHRTYPE, "")):
        path = tmp_path / "a.tar"
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo("a.yaml")
            info.type, info.linkname = kind, target
            tar.addfile(info)
        assert rules(tosca.load(path)) == ["archive.unsafe"]
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as target:
        info = zipfile.ZipInfo("a.yaml")
        info.external_attr = 0o120777 << 16
        target.writestr(info, "/etc/passwd")
    assert rules(tosca.load(path)) == ["archive.unsafe"]


def test_limits_of_archives(tmp_path):
    path = packed(tmp_path / "a.zip", [(f"{n}.txt", "x") for n in range(20)])
    with pytest.raises(Refused, match="more than 10 entries"):
        open_archive(path, ArchiveLimits(entries=10))
    with pytest.raises(Refused, match="unpacks to more than 5 bytes"):
        open_archive(path, ArchiveLimits(size=5))
    with pytest.raises(Refused, match="larger than 0 bytes"):
        open_archive(path).read("1.txt", 0)


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path):
    path = packed(tmp_path / "a.zip", [("a.yaml", TEMPLATE)])
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    assert rules(tosca.load(path)) == ["archive.broken"]


def test_broken_archives_are_unreadable(tmp_path):
    path = packed(tmp_path / "a.csar", [("a.yaml", TEMPLATE)])
    path.write_bytes(path.read_bytes()[:40] + path.read_bytes()[-60:])
    assert tosca.load(path).exit_code == 3
    path = packed(tmp_path / "b.csar", [("a.yaml", TEMPLATE * 500)], "tgz")
    path.write_bytes(path.read_bytes()[:-20])
    assert tosca.load(path).exit_code == 3


def test_a_missing_artifact_of_an_archive_is_told(tmp_path):
    main = OLDER + "topology_template: {node_templates: {s: {type: Compute, artifacts: {a: {type: File, file: x.sh}}}}}"
    assert rules(tosca.load(packed(tmp_path / "a.zip", [("main.yaml", main)]))) == ["artifact.invalid"]


@pytest.mark.parametrize(("file", "entry", "found"), [
    ("team.web", "roles/team.web/tasks/main.yml", True), ("ansible/web", "ansible/web/tasks/main.yml", True),
    ("team.web", "roles/team.web2/tasks/main.yml", False), ("team.web", "team.web/tasks/main.yml", False)])  # fmt: skip
def test_a_role_of_an_archive_is_a_directory(file, entry, found, tmp_path):
    node = f"{{type: Compute, artifacts: {{a: {{type: tosca.artifacts.AnsibleGalaxy.role, file: {file}}}}}}}"
    main = OLDER + f"topology_template: {{node_templates: {{s: {node}}}}}"
    path = packed(tmp_path / "a.zip", [("main.yaml", main), (entry, "[]")])
    assert rules(tosca.load(path)) == ([] if found else ["artifact.invalid"])


# Whatever comes


def test_six_at_once_all_answer_right(tmp_path):
    good, bad = write(tmp_path, TEMPLATE, "good.yaml"), write(tmp_path, TEMPLATE.replace("Compute", "Computer"), "bad.yaml")
    jobs = [good, bad] * 30
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda path: tosca.load(path).exit_code, jobs))
    assert codes == [0, 1] * 30


def test_six_at_once_tell_each_of_hundreds_its_own(tmp_path):
    """Right and wrong templates, mixed: what six threads are told is what one is told."""
    paths = [write(tmp_path, expected(composed(case))[1], f"{n}/t.yaml") for n, case in enumerate(CASES[::5]) if "files" not in case]
    paths += [write(tmp_path, TEMPLATE, "right.yaml")] * len(paths)
    alone = [(one.exit_code, one.problems) for one in map(tosca.load, paths)]
    with ThreadPoolExecutor(6) as pool:
        together = [(one.exit_code, one.problems) for one in pool.map(tosca.load, paths)]
    assert together == alone


def test_the_collector_is_as_it_was(tmp_path):
    path = write(tmp_path, TEMPLATE)
    for switch in (gc.disable, gc.enable):
        switch()
        before = gc.isenabled()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: tosca.load(path), range(8)))
        assert gc.isenabled() == before


def places(data, path=()):
    """Paths to everything inside a document."""
    yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(value, (*path, key))


def mutilated(data, chance):
    """The document with some of its parts replaced by what does not belong there."""
    wrong = [None, "x", "", 7, -1, 1.5, True, [], {}, ["a", "b"], {"a": "b"}, [[]], {"$get_input": "x"}, "$value", {"$and": [True]},
             {"get_property": ["SELF", "x"]}, {"$get_property": ["SELF", "RELATIONSHIP", "host", -1, "TARGET", "x"]},
             {"type": "string"}, {"type": "x", "properties": None}, ["x", 0], {"count": 10**9}]  # fmt: skip
    data = copy.deepcopy(data)
    for _ in range(chance.randint(1, 4)):
        path = chance.choice([path for path in places(data) if path])
        holder = data
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = copy.deepcopy(chance.choice(wrong))
    return data


@pytest.mark.parametrize("number", range(4))
def test_no_mutilated_template_raises(number, tmp_path):
    peers = "    app: {type: App, requirements: [{host: small}, {peer: {node: other, count: 2}}]}\n    other: {type: App}\n"
    text = [WORLD + HOSTS + peers, expected(SUBSTITUTION)[1], TEMPLATE, MODERN_SCALARS][number]
    data, chance = yaml.safe_load(text), random.Random(number)
    for _ in range(120):
        report = load(tmp_path, yaml.safe_dump(mutilated(data, chance), sort_keys=False))
        assert report.exit_code in (0, 1, 2)
        assert all(problem.line >= 1 and problem.column >= 1 for problem in report.problems)


def test_the_scan_for_profiles_survives_what_it_finds(tmp_path):
    (tmp_path / "broken.yaml").write_bytes(b"profile: \xff\n\x00")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    judge(tmp_path, MODERN + "imports: [{profile: «import.profile»nothing}]\n")
    assert resolver.SCANNED
    assert archive.META


def test_a_directory_becomes_the_same_archive_each_time(tmp_path):
    shop = tmp_path / "shop"
    for name in ("shop.yaml", "site/tasks/main.yml", ".git/config", "site/.cache"):
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(name)
    (tmp_path / "shop.csar").write_bytes(packed_directory(shop))
    tree = open_archive(tmp_path / "shop.csar")
    files = {name: tree.read(name, 99).decode() for name in tree.names()}
    assert files == {name: name for name in ("shop.yaml", "site/tasks/main.yml")}
    assert tree.entry() == "shop.yaml"
    os.utime(shop / "shop.yaml", (0, 0))
    assert packed_directory(shop) == (tmp_path / "shop.csar").read_bytes()
