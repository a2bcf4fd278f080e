"""How long it takes to validate a large template: three-tier stacks in TOSCA 1.3 and 2.0.

Usage: tosca.py [NODES ...]; without, 1000 and 10000. A stack is a server, a web server on it, an application on that with
a connection to a database of the next stack, and a volume attached to the server. Prints seconds, the memory used at
most, and how many requirements were matched; the shorter of two runs counts.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from cloudos import tosca

TARGETS = {1000: 2.0, 10_000: 15.0}
STACK = """
    server{0}:
      type: tosca.nodes.Compute
      capabilities:
        host: {{properties: {{num_cpus: {{get_input: cpus}}, mem_size: 4 GB, disk_size: 20 GB}}}}
        os: {{properties: {{type: linux, distribution: debian, version: 12.0}}}}
      requirements:
        - local_storage: {{node: volume{0}, relationship: {{type: tosca.relationships.AttachesTo, properties: {{location: /data}}}}}}
    web{0}:
      type: tosca.nodes.WebServer
      requirements: [{{host: server{0}}}]
      interfaces:
        Standard:
          create: install.yml
          configure: {{implementation: configure.yml, inputs: {{port: {{get_property: [SELF, data_endpoint, port]}}}}}}
      capabilities: {{data_endpoint: {{properties: {{port: 80}}}}}}
    app{0}:
      type: App
      properties: {{context_root: {{concat: [/app, "{0}"]}}}}
      requirements: [{{host: web{0}}}, {{database: db{1}}}]
    db{0}:
      type: tosca.nodes.Database
      properties: {{name: db{0}, port: 3306}}
    volume{0}:
      type: tosca.nodes.BlockStorage
      properties: {{size: 10 GB}}
"""
HEAD = """tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  App:
    derived_from: tosca.nodes.WebApplication
    requirements:
      - database: {capability: tosca.capabilities.Endpoint.Database, relationship: tosca.relationships.ConnectsTo}
topology_template:
  inputs:
    cpus: {type: integer, default: 2, constraints: [{in_range: [1, 64]}]}
  node_templates:
    dbms: {type: tosca.nodes.DBMS, requirements: [{host: server0}]}
"""
MODERN_STACK = """
    host{0}:
      type: Host
      capabilities: {{compute: {{properties: {{cpus: {{$get_input: cpus}}, memory: 4 GiB}}}}}}
    service{0}:
      type: Service
      properties: {{port: {{$sum: [8000, {0}]}}, address: {{$concat: ["http://service{0}:", {{$get_property: [SELF, port]}}]}}}}
      requirements:
        - host: host{0}
        - peer: {{node: service{1}, optional: true}}
"""
MODERN_HEAD = """tosca_definitions_version: tosca_2_0
data_types:
  Size: {derived_from: scalar, units: {B: 1}, prefixes: {"": 1, Ki: 1024, Mi: 1048576, Gi: 1073741824}}
capability_types:
  Compute:
    properties:
      cpus: {type: integer, validation: {$and: [{$greater_or_equal: [$value, 1]}, {$less_or_equal: [$value, 64]}]}}
      memory: {type: Size, validation: {$greater_or_equal: [$value, 1 GiB]}}
  Reachable: {}
relationship_types: {HostedOn: {valid_capability_types: [Compute]}, ConnectsTo: {}}
node_types:
  Host: {capabilities: {compute: Compute}}
  Service:
    properties: {port: {type: integer}, address: {type: string}}
    capabilities: {reachable: Reachable}
    requirements:
      - host: {capability: Compute, relationship: HostedOn, node: Host, count_range: [1, 1]}
      - peer: {capability: Reachable, relationship: ConnectsTo, count_range: [0, 1]}
service_template:
  inputs:
    cpus: {type: integer, default: 2}
  node_templates:
"""


def write(path: Path, head: str, stack: str, size: int, nodes: int) -> None:
    """A template of about that many nodes."""
    count = max(nodes // size, 1)
    path.write_text(head + "".join(stack.format(number, (number + 1) % count) for number in range(count)))


def measure(path: Path) -> tuple[float, tosca.Report]:
    """Seconds and result of one validation."""
    begin = time.perf_counter()
    report = tosca.load(path)
    return time.perf_counter() - begin, report


def main() -> None:
    """Measure every size in both dialects."""
    sizes = [int(argument) for argument in sys.argv[1:]] or list(TARGETS)
    with tempfile.TemporaryDirectory() as directory:
        for nodes in sizes:
            for name, head, stack, size in (("1.3", HEAD, STACK, 5), ("2.0", MODERN_HEAD, MODERN_STACK, 2)):
                path = Path(directory) / f"{name}.yaml"
                write(path, head, stack, size, nodes)
                (seconds, report), _ = sorted((measure(path) for _ in range(2)), key=lambda pair: pair[0])
                matched = len(report.template.relationships()) if report.template else 0
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                target = f", target {TARGETS[nodes]} s" if nodes in TARGETS else ""
                print(f"TOSCA {name}: {nodes} nodes in {seconds:.2f} s{target}; exit {report.exit_code}, {matched} matched, {memory} MB")
                for problem in [one for one in report.problems if one.severity != "warning"][:3]:
                    print(f"  {problem}")


if __name__ == "__main__":
    main()
