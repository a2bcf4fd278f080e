"""Measure Eve's own time: compile 1,000 nodes, plan them, and find that nothing is to be done.

Usage: python benchmarks/topologies.py [NODES]. No cloud, no network; prints seconds and the largest memory.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from cloudos import tosca
from cloudos.eve.engine.emit import emit
from cloudos.eve.engine.plan import make_plan
from cloudos.eve.engine.state import Directory, State
from cloudos.eve.lifecycle import Eve, Request
from cloudos.eve.provider import Pool

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\ntopology_template:\n  node_templates:\n"
TIER = """\
    server{n}:
      type: tosca.nodes.Compute
      capabilities:
        host: {{properties: {{num_cpus: 1, mem_size: 512 MB, disk_size: 1 GB}}}}
        os: {{properties: {{distribution: debian}}}}
      requirements:
        - local_storage: {{node: disk{n}, relationship: {{type: tosca.relationships.AttachesTo, properties: {{location: /data}}}}}}
    disk{n}: {{type: tosca.nodes.BlockStorage, properties: {{size: 1 GB}}}}
    net{n}: {{type: tosca.nodes.network.Network, properties: {{cidr: 10.0.0.0/24}}}}
    port{n}: {{type: tosca.nodes.network.Port, requirements: [{{binding: server{n}}}, {{link: net{n}}}]}}
"""


def main(nodes):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(HEAD + "".join(TIER.format(n=number) for number in range(nodes // 4)))
        pools = {"default": Pool("default", "openstack", {"cloud": "any"})}
        report = timed("read and validate", lambda: tosca.load(file, inputs={}))
        if report.exit_code:
            sys.exit(str(report.problems[0]))
        request = Request("large", report.template, pools)
        eve = Eve(Directory(Path(folder) / "states"))
        graph = timed("compile", lambda: eve._graph(State("large"), request))
        plan = timed("plan the first deployment", lambda: make_plan(State("large"), graph, pools))
        timed("write the project", lambda: emit(plan, State("large"), pools, Path(folder) / "project"))
        state = State("large")
        for name, one in graph.resources.items():
            state.have(one, {"id": f"id-of-{name}"})
        eve.states.save(state)
        outcome = timed("deploy again, from file to nothing done",
                        lambda: eve.deploy(Request("large", tosca.load(file, inputs={}).template, pools)))  # fmt: skip
        if not outcome.ok or outcome.started:
            sys.exit("something was done although nothing differs")
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{len(graph.resources)} resources of {nodes} nodes; {largest} MB")


def timed(what, work):
    began = time.monotonic()
    value = work()
    print(f"{time.monotonic() - began:7.2f} s  {what}")
    return value


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
