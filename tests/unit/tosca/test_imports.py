"""Where imports are looked for: mirrors of addresses and of paths, and the root."""

from cloudos import tosca
from cloudos.tosca.resolver import DirectoryTree, FileResolver
from tests.unit.tosca.marked import OLDER, load, write


def rules(report):
    return [one.rule for one in report.problems]


def test_a_mirror_stands_for_an_address(tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "types.yaml").write_text(OLDER + "node_types: {Far: {derived_from: tosca.nodes.Root}}")
    text = OLDER + "repositories: {r: 'https://example.com/v1/'}\nimports: [{file: types.yaml, repository: r}]\n"
    finder = FileResolver({"https://example.com/v1/": DirectoryTree(tmp_path / "mirror")})
    report = load(tmp_path, text + "topology_template: {node_templates: {far: {type: Far}}}", resolver=finder)
    assert report.exit_code == 0
    escape = load(tmp_path, OLDER + "imports: ['https://example.com/v1/../../template.yaml']\n", resolver=finder)
    assert rules(escape) == ["import.outside"]


def test_a_mirror_stands_for_whole_parts_of_an_address_only(tmp_path):
    (tmp_path / "2").mkdir()
    write(tmp_path, OLDER, "2/t.yaml")
    finder = FileResolver({"https://example.com/types": DirectoryTree(tmp_path)})
    assert rules(load(tmp_path, OLDER + "imports: ['https://example.com/types2/t.yaml']\n", resolver=finder)) == ["import.network"]
    assert load(tmp_path, OLDER + "imports: ['https://example.com/types/2/t.yaml']\n", resolver=finder).exit_code == 0


def test_a_mirror_stands_for_a_path_that_is_written_for_another_place(tmp_path):
    """As templates have it that a tool reads which looks for imports where it is run."""
    write(tmp_path, OLDER + "imports: [more.yaml]\n", "shared/types.yaml")
    write(tmp_path, OLDER + "node_types: {Far: {derived_from: tosca.nodes.Root}}", "shared/more.yaml")
    text = OLDER + "imports: [samples/data/types.yaml]\ntopology_template: {node_templates: {far: {type: Far}}}"
    assert rules(load(tmp_path, text)) == ["import.missing", "type.unknown"]
    finder = FileResolver({"samples/data": DirectoryTree(tmp_path / "shared")})
    assert load(tmp_path, text, resolver=finder).exit_code == 0
    assert rules(load(tmp_path, OLDER + "imports: [samples/data/../../template.yaml]\n", resolver=finder)) == ["import.outside"]
    assert rules(load(tmp_path, OLDER + "imports: [samples/data2/types.yaml]\n", resolver=finder)) == ["import.missing"]


def test_the_root_may_be_higher_than_the_file(tmp_path):
    write(tmp_path, OLDER + "node_types: {Shared: {derived_from: tosca.nodes.Root}}", "shared/types.yaml")
    text = OLDER + "imports: [../shared/types.yaml]\ntopology_template: {node_templates: {s: {type: Shared}}}"
    path = write(tmp_path, text, "app/t.yaml")
    assert rules(tosca.load(path)) == ["import.outside", "type.unknown"]
    assert tosca.load(path, root=tmp_path).exit_code == 0
