"""What is put in the place of a node is planned, deployed, scaled, changed, exported and removed with all the rest, by Ansible itself on
programs that are this machine; and what stands in the way is told."""

import json

import pytest
from click.testing import CliRunner

from cloudos.eve import cli, given, remote
from cloudos.eve.compiler.compile import compile_topology
from cloudos.eve.engine.state import Directory
from cloudos.eve.provider import Pool
from cloudos.tosca.archive import unpacked
from tests.api.eve import PROVIDER

TYPES = """\
tosca_definitions_version: tosca_simple_yaml_1_3
capability_types: {Data: {derived_from: tosca.capabilities.Root}}
interface_types: {Care: {derived_from: tosca.interfaces.Root, operations: {save: {inputs: {to: {type: string, default: x}}}}}}
node_types:
  toy.nodes.Program:
    derived_from: tosca.nodes.Compute
    properties: {word: {type: string, default: none}}
    attributes: {told: {type: string}}
    capabilities: {data: Data}
    requirements: [{use: {capability: Data, occurrences: [0, 1]}}]
    interfaces:
      Standard:
        type: tosca.interfaces.node.lifecycle.Standard
        operations:
          create:
            implementation: create.sh
            inputs: {word: {type: string, default: {get_property: [SELF, word]}}}
            outputs: {told: [SELF, told]}
          delete: {implementation: delete.sh, inputs: {word: {type: string, default: {get_property: [SELF, word]}}}}
      Care:
        type: Care
        operations: {save: save.sh}
  toy.nodes.File:
    derived_from: tosca.nodes.Root
    properties:
      content: {type: string}
      seconds: {type: float, default: 0}
      least: {type: integer, default: 1}
      most: {type: integer, default: 1}
    requirements: [{use: {capability: Data}}]
  Db:
    derived_from: tosca.nodes.Root
    properties: {word: {type: string, default: plain}}
    attributes: {told: {type: string}}
    capabilities: {data: Data}
    requirements: [{use: {capability: Data, occurrences: [0, 1]}}]
    interfaces: {Care: {type: Care}}
"""
SMALL = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [../types.yaml]
topology_template:
  inputs: {word: {type: string}}
  substitution_mappings:
    node_type: Db
    capabilities: {data: [store, data]}
    requirements: {use: [store, use]}
    interfaces: {Care: {save: keep}}
  node_templates:
    store: {type: toy.nodes.Program, properties: {word: {concat: [small, "-", {get_input: word}]}}}
  outputs: {told: {value: {get_attribute: [store, told]}}}
  workflows:
    keep:
      inputs: {to: {type: string}}
      steps: {save: {target: store, activities: [{call_operation: {operation: Care.save, inputs: {to: {get_input: to}}}}]}}
"""
LARGE = SMALL.replace("small,", "large,").replace("  outputs:", """\
    copy: {type: toy.nodes.File, properties: {content: {get_input: word}, most: 3}, requirements: [{use: store}]}
  outputs:""")
MAIN = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [types.yaml]
topology_template:
  node_templates:
    base: {type: toy.nodes.Program, properties: {word: base}}
    db: {type: Db, directives: [substitute], properties: {word: {get_attribute: [base, told]}}, requirements: [{use: base}]}
    web: {type: toy.nodes.Program, properties: {word: {get_attribute: [db, told]}}, requirements: [{use: db}]}
  outputs: {told: {value: {get_attribute: [web, told]}}}
  workflows:
    nightly: {steps: {save: {target: db, activities: [{call_operation: {operation: Care.save, inputs: {to: tape}}}]}}}
"""


GOVERNED = """
node_types:
  my.App: {derived_from: tosca.nodes.Root, requirements: [{net: {capability: tosca.capabilities.Node, occurrences: [0, 1]}}]}
"""
GOVERNED_INNER = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [template.yaml, "cloudos:openstack.yaml"]
topology_template:
  substitution_mappings: {node_type: my.App, requirements: {net: [server, network]}}
  node_templates:
    server: {type: cloudos.nodes.ServerGroup, properties: {image: debian, flavor: small}}
  policies:
    - more: {type: tosca.policies.Scaling, targets: [server], properties: {min_instances: 1, max_instances: 3, default_instances: 1}}
"""


POLICIES = """\
    - apart: {type: tosca.policies.Placement, targets: [app]}
    - grow: {type: tosca.policies.Scaling, targets: [other], properties: {min_instances: 2, max_instances: 4}}"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PROVIDER))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(PROVIDER / "library"))
    return World(tmp_path)


class World:
    def __init__(self, folder):
        self.folder, self.design = folder, folder / "design"
        for name in ("design/inside", "disk"):
            (folder / name).mkdir(parents=True)
        for name, text in (("types.yaml", TYPES), ("main.yaml", MAIN), ("inside/small.yaml", SMALL)):
            self.write(name, text)
        for name in ("create", "delete", "save"):
            self.write(f"{name}.sh", f'echo {name} ${{word:-}} ${{to:-}} >> {self.design}/log\ntold="<$word>"\n')
        self.profile()

    def write(self, name, text):
        (self.design / name).write_text(text)

    def profile(self, **more):
        pools = {"default": {"provider": "files", "root": str(self.folder / "disk")}}
        self.write("profile.yml", json.dumps({"pools": pools, **more}))

    def eve(self, verb, *words, code=0):
        states = ["--states", str(self.folder / "states")]
        done = CliRunner().invoke(cli.eve, [*verb.split(), *map(str, words), *states], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done.output

    def order(self, verb, *words, code=0):
        return self.eve(verb, self.design / "main.yaml", "--profile", self.design / "profile.yml", *words, code=code)

    def log(self):
        path = self.design / "log"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.strip() for line in found]

    @property
    def state(self):
        return Directory(self.folder / "states").load("main")


def test_the_whole_life_of_what_came_for_a_node(world):
    assert "+ create file db.store > run operation db.store:create" in " ".join(world.order("plan").split())
    world.order("deploy")
    assert world.log() == ["create base", "create small-<base>", "create <small-<base>>"]
    assert json.loads(world.eve("outputs", "main"))["told"] == "<<small-<base>>>"
    assert not world.log() and "db.store" in world.state.entries and (world.folder / "disk").exists()
    world.order("deploy")
    assert world.log() == [], "nothing to do"
    world.eve("workflow run", "main", "nightly")
    world.eve("workflow run", "main", "db.keep", "-i", "to=disk")
    assert world.log() == ["save tape", "save disk"]

    world.write("inside/large.yaml", LARGE)
    told = world.order("deploy", code=2)
    assert "several fit: inside/large.yaml, inside/small.yaml" in told and "`substitutions: {db: inside/large.yaml}`" in told
    world.profile(substitutions={"db": "inside/large.yaml"})
    world.order("update")
    assert world.log()[-2:] == ["create large-<base>", "create <large-<base>>"] and "db.copy" in world.state.entries
    world.order("scale", "db.copy=3")
    assert world.log() == [] and {"db.copy", "db.copy-2", "db.copy-3"} <= world.state.entries.keys()

    world.eve("export", "main", "-o", world.folder / "out.csar")
    files = unpacked((world.folder / "out.csar").read_bytes())
    assert {"main.yaml", "types.yaml", "inside/large.yaml"} <= files.keys()
    assert b"db: inside/large.yaml" in files["TOSCA-Metadata/profile.yaml"]
    assert "+ create file db.copy-3" in " ".join(world.eve("plan", world.folder / "out.csar", "--name", "again").split())
    world.eve("undeploy", "main")
    assert world.log()[-1] == "delete base" and [one.name for one in (world.folder / "disk").iterdir()] == ["journal"]


def test_an_option_names_what_the_profile_does_not(world):
    world.write("inside/large.yaml", LARGE)
    assert "`--substitute db=inside/large.yaml`" in world.order("plan", code=2)
    assert "+ create file db.copy " in " ".join(world.order("plan", "--substitute", "db=inside/large.yaml").split())
    world.profile(substitutions={"db": "inside/small.yaml"})
    assert "db.copy" in world.order("plan", "--substitute", "db=inside/large.yaml"), "the option goes before the profile"
    assert "write NODE=FILE" in world.order("plan", "--substitute", "db", code=2)
    checked = CliRunner().invoke(cli.eve, ["validate", str(world.design / "main.yaml"), "--substitute", "db=inside/large.yaml"]).output
    assert "db (Db) is made of inside/large.yaml" in checked
    assert remote.order_of({"substitutions": {"db": "inside/large.yaml"}}) == {"substitutions": {"db": "inside/large.yaml"}}
    assert "substitutions" not in remote.order_of({"substitutions": {}})


def test_what_becomes_of_a_node_is_told_before(world):
    told = CliRunner().invoke(cli.eve, ["validate", str(world.design / "main.yaml")]).output.splitlines()
    assert "db (Db) is made of inside/small.yaml: db.store." in told
    assert "Care.save of db is workflow db.keep: it runs when a step of a workflow calls the operation" in told[-1]


def test_why_nothing_could_come_for_a_node_is_told_with_the_next_step(world):
    world.write("inside/small.yaml", SMALL.replace("data: [store, data]", ""))
    told = world.order("deploy", code=2)
    assert "main.yaml:6:5: node db is to be substituted by another template (directive substitute), and none fits: inside/sm" in told
    assert "capability data, which requirement use of web" in told and "Add a file to the archive, or beside the template," in told
    world.write("inside/small.yaml", TYPES)
    assert "and the design has none with substitution_mappings" in world.order("deploy", code=2)
    assert not world.state.entries


def test_a_profile_names_files_by_node():
    assert given.mistakes({"substitutions": {"db": ["a.yaml"]}})[0]["pointer"].startswith("/substitutions/db")


def test_what_governs_a_node_governs_what_came_for_it(template, pools, tmp_path):
    (tmp_path / "inner.yaml").write_text(GOVERNED_INNER)
    made = template("""
        net: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.0.0.0/24}, metadata: {pool: far}}
        other:
          type: cloudos.nodes.ServerGroup
          properties: {image: debian, flavor: small}
          requirements: [{network: net}, {dependency: app}]
        app: {type: my.App, directives: [substitutable], metadata: {pool: far}, requirements: [{net: net}]}
    """, types=GOVERNED, policies=POLICIES)  # fmt: skip
    places = {**pools, "far": Pool("far", "openstack", {"cloud": "far"})}
    graph = compile_topology(made, places, "shop", instances={"app.server": 2})
    assert graph.counts["app.server"] == {"count": 2, "min": 1, "max": 3} and graph.counts["other"]["count"] == 2
    servers = {name: one.pool for name, one in graph.resources.items() if one.kind == "server"}
    assert servers == {"app.server": "far", "app.server-2": "far", "other": "far", "other-2": "far"}
    assert {"app.server", "app.server-2"} <= graph.resources["other"].before(), "after all that came for what it needs"
    assert [one.split(": ", 1)[1] for one in graph.notes] == []
