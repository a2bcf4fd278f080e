"""Compare what Eve makes of TOSCA templates with the Heat templates that stand for them in a folder `hot_output` beside.

Usage: conformance_hot.py FOLDER [--reach N] [--mirror PREFIX=DIRECTORY ...]. A template is found by the name of its counterpart: the same
path, `tosca_`, `test_tosca_` or `tosca-` instead of `hot_`. Kinds, names and links of resources are compared; what Heat does with devices
of its own is compared as what it stands for:
- a deployment of software: the operation on its servers; one that installs roles of Galaxy: the roles that operations there may use;
- a scaling group: a node with that many instances, of which one is compared although there may be none at first;
- a network of a server (a profile of Senlin cannot name ports): a port on it, whatever its name;
- a network in the template of a scaling group that says nothing and that nothing leads to: one that is there already. heat-translator
  keeps what exists out of templates (`hide_resource`), but not out of these; ours must know a network of that name as existing.
Of scaling nothing is compared where Heat itself would refuse it: a group without sizes, a policy for a group that is not there.
"""

import argparse
import posixpath
import re
import sys
from pathlib import Path

import yaml

from cloudos import tosca
from cloudos.eve.compiler.compile import compile_topology
from cloudos.eve.graph import OPERATION
from cloudos.eve.problems import Undeployable
from cloudos.eve.provider import Pool
from cloudos.tosca.resolver import DirectoryTree, FileResolver

KINDS = {
    "OS::Nova::Server": "server", "OS::Nova::Flavor": "flavor", "OS::Nova::ServerGroup": "server_group", "OS::Nova::KeyPair": "keypair",
    "OS::Cinder::Volume": "volume", "OS::Cinder::VolumeAttachment": "volume_attachment", "OS::Neutron::Net": "network",
    "OS::Neutron::Subnet": "subnet", "OS::Neutron::Port": "port", "OS::Neutron::QoSPolicy": "qos_policy",
    "OS::Neutron::QoSBandwidthLimitRule": "qos_bandwidth_rule", "OS::Swift::Container": "container", "OS::Senlin::Profile": "server",
}  # fmt: skip
# Of these the name is Heat's own invention; they are told apart by what they link.
NAMELESS = {"volume_attachment"}
GALAXY = re.compile(r"^ansible-galaxy install (\S+)$", re.MULTILINE)
DEPLOYMENTS = ("OS::Heat::SoftwareDeployment", "OS::Heat::SoftwareDeploymentGroup")
# Scaling, monitoring and reservation of Heat and Senlin: devices around the servers, which are compared themselves.
DEVICES = re.compile(
    r"OS::(Heat::(AutoScalingGroup|ScalingPolicy|SoftwareConfig|SoftwareDeployment\w*)|Aodh::\w+|Senlin::(Policy|Cluster|Receiver))$"
)
# A counterpart that tells of another variant of the same template (its inputs, or its archive), where the name differs.
ALIASES = {
    "artifact": "test_tosca_artifact", "custom_type": "test_tosca_custom_type", "hello_world": "tosca_helloworld",
    "custom_type_with_override": "test_tosca_custom_type_with_override",
    "custom_type_with_param_override": "test_tosca_custom_type_with_override",
    "hello_world_userkey": "tosca_helloworld", "flavor_and_image": "test_tosca_flavor_and_image",
    "flavor_and_image_params": "test_tosca_flavor_and_image", "get_functions_semantic": "test_tosca_get_functions_semantic",
    "host_assignment": "test_host_assignment", "script_types": "interfaces/test_tosca_script_types",
    "single_object_store": "storage/tosca_single_object_store",
    "single_server_with_defaults_with_input": "tosca_single_server_with_defaults",
    "single_server_with_defaults_without_input": "tosca_single_server_with_defaults",
    "single_server_without_tosca_os_version": "test_single_server_without_optional_version_prop",
    "interfaces/interface_on_compute": "interfaces/test_tosca_interface_on_compute",
    "network/custom_network_nodes": "network/test_tosca_custom_network_nodes_imports",
    "nfv/nfv_sample": "nfv/test_tosca_nfv_sample", "nfv/policy_anti_affinity": "nfv/tosca_placement_policy_anti_affinity",
    "nfv/policy_soft_affinity": "nfv/tosca_placement_policy_soft_affinity", "nfv/tosca_nfv_autoscaling": "nfv/test_tosca_nfv_autoscaling",
    "nfv/tosca_nfv_autoscaling_with_param": "nfv/test_tosca_nfv_autoscaling_with_params",
    "reservation/reservation_scaling": "reservation/tosca-vnfd-reservation-id",
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reach", type=int)
    parser.add_argument("--mirror", type=mirror, action="append", default=[])
    options = parser.parse_args()
    resolver = FileResolver(dict(options.mirror))
    told = {path: compared(options.folder, path, resolver) for path in counterparts(options.folder / "hot_output")}
    for path, differences in told.items():
        for line in differences:
            print(f"{path.relative_to(options.folder)}: {line}")
    right = sum(not differences for differences in told.values())
    print(f"{right} of {len(told)} templates become the resources of their Heat counterparts")
    sys.exit(right < (len(told) if options.reach is None else options.reach))


def mirror(text):
    prefix, _, directory = text.partition("=")
    return prefix, DirectoryTree(Path(directory))


def counterparts(folder):
    """Heat templates that stand for a whole TOSCA file: not those that others refer to as a type, nor those of archives."""
    paths = sorted(folder.rglob("*.yaml"))
    nested = {path.parent / str(one["properties"]["resource"]["type"]) for path in paths for one in resources(path).values()
              if one["type"] == "OS::Heat::AutoScalingGroup"}  # fmt: skip
    return [path for path in paths if path not in nested and re.match(r"hot_(?!.*_from_csar)", path.name)]


def resources(path):
    return yaml.safe_load(path.read_text()).get("resources") or {}


def compared(folder, path, resolver):
    """What differs, as lines."""
    source = template_of(folder, path)
    if source is None:
        return ["no TOSCA template of this name"]
    inputs = {name: one["default"] for name, one in (yaml.safe_load(path.read_text()).get("parameters") or {}).items() if "default" in one}
    names = tosca.load(source, resolver, root=folder)
    if names.template:
        inputs = {name: value for name, value in inputs.items() if name in names.template.definitions}
    report = tosca.load(source, resolver, root=folder, inputs=inputs or None)
    if report.exit_code and not names.exit_code:
        report = names  # the values that Heat was given are not always of the template's own types
    if report.exit_code or report.template is None:
        return [f"{source.name} is not accepted: {next(str(one) for one in report.problems if 'warning' not in str(one))}"]
    try:
        graph = compiled(report.template)
    except Undeployable as problem:
        return [f"{source.name} is not deployable: {problem}"]
    wanted, found = of_heat(path), of_graph(graph, source.parent.relative_to(folder).as_posix())
    lines = [f"lacks the existing network {one}" for one in sorted(wanted["there"] - found["there"])]
    for server, network in wanted["networks"]:
        ports = [port for port, name in found["ports"].items() if name == network and (server, port) in found["links"]]
        lines += [] if ports else [f"links: {server} lacks a port on {network}"]
        found["resources"] -= {("port", port) for port in ports[:1]}
        found["links"] -= {(server, port) for port in ports[:1]}
    if wanted["scaling"] is None:  # a group without sizes, which Heat itself would refuse
        wanted["scaling"] = found["scaling"]
    for what in ("resources", "links", "operations", "scaling"):
        lines += [f"{what}: lacks {one}" for one in sorted(wanted[what] - found[what], key=str)]
        lines += [f"{what}: has {one}" for one in sorted(found[what] - wanted[what], key=str)]
    return lines


def compiled(template):
    pools = {"default": Pool("default", "openstack", {"cloud": "any"})}
    graph = compile_topology(template, pools)
    none = {name: 1 for name, count in graph.counts.items() if not count["count"]}
    return compile_topology(template, pools, instances=none) if none else graph


def template_of(folder, path):
    name = path.relative_to(folder / "hot_output").with_suffix("")
    name = name.with_name(re.sub(r"_alt\d$", "", name.name))  # several orders of the same things
    key = (name.parent / name.name.removeprefix("hot_")).as_posix()
    parent = name.parent.parent if name.parent.parent.name else name.parent
    plain = name.name.removeprefix("hot_")
    choices = [ALIASES.get(key, ""), *(f"{parent}/{prefix}{plain}" for prefix in ("tosca_", "test_tosca_", "test_")), f"tosca_{plain}"]
    return next((folder / f"{one}.yaml" for one in choices if one and (folder / f"{one}.yaml").is_file()), None)


# Heat


def of_heat(path):
    """Resources (kind, name), links, operations (script, server), scaling (server, min, max), networks (server, name) of ports without
    a name, and names of networks that are there, of a Heat template."""
    every, parameters, sizes, there = flattened(path)
    kinds = {name: KINDS[one["type"]] for name, one in every.items() if one["type"] in KINDS}
    unknown = {one["type"] for one in every.values() if one["type"] not in KINDS and not DEVICES.match(one["type"])}
    assert not unknown, unknown
    links = {(name, target) for name, one in every.items() if name in kinds
             for target in referred(one.get("properties"), parameters.get(name, {})) if target in kinds}  # fmt: skip
    return {
        "resources": {(kind, "" if kind in NAMELESS else name) for name, kind in kinds.items()},
        "links": {named(pair, kinds, links) for pair in links},
        "operations": {one for name in every if every[name]["type"] in DEPLOYMENTS for one in deployment(every, name)},
        "scaling": sizes,
        "networks": [(name, one) for name, kind in kinds.items() if kind == "server" for one in named_networks(every[name])],
        "there": there,
    }


def named_networks(server):
    properties = server.get("properties") or {}
    networks = {**properties, **(properties.get("properties") or {})}.get("networks") or ()
    return [one["network"] for one in networks if isinstance(one.get("network"), str)]


def flattened(path):
    """All resources, those of a scaling group's template among them once; what their parameters stand for; sizes of groups; networks
    that such a template has but that are there."""
    every, parameters, sizes, there = {}, {}, set(), set()
    outer = resources(path)
    for name, one in outer.items():
        every[name] = one
        if one["type"] == "OS::Heat::AutoScalingGroup":
            about = one["properties"]
            inner = resources(path.parent / about["resource"]["type"])
            used = {target for other in inner.values() for target in referred(other.get("properties"), {})}
            there |= {key for key, value in inner.items() if value == {"type": "OS::Neutron::Net"} and key not in used}
            inner = {key: value for key, value in inner.items() if key not in there}
            given = {key: value["get_resource"] for key, value in (about["resource"].get("properties") or {}).items()}
            every.update(inner)
            parameters.update(dict.fromkeys(inner, given))
            if "min_size" not in about:
                sizes = None
                continue
            sizes |= {(key, about["min_size"], about["max_size"]) for key, value in inner.items() if value["type"] == "OS::Nova::Server"}
        if one["type"] == "OS::Senlin::Cluster":
            sizes.add((one["properties"]["profile"]["get_resource"], one["properties"]["min_size"], one["properties"]["max_size"]))
    policies = [one["properties"] for one in outer.values() if one["type"] == "OS::Heat::ScalingPolicy"]
    whole = all(one["auto_scaling_group_id"]["get_resource"] in outer for one in policies)
    return every, parameters, sizes if whole else None, there


def referred(value, parameters):
    if isinstance(value, dict):
        if "get_resource" in value:
            return [value["get_resource"]]
        if "get_param" in value:
            return [parameters[value["get_param"]]] if value["get_param"] in parameters else []
        value = list(value.values())
    return [one for item in value for one in referred(item, parameters)] if isinstance(value, list) else []


def deployment(every, name):
    """(script, server) of a deployment of software, or (role, server)."""
    about = every[name]["properties"]
    config = every[about["config"]["get_resource"]]["properties"]["config"]
    scripts = [config["get_file"]] if isinstance(config, dict) else [f"role {one}" for one in GALAXY.findall(config)] or ["(inline)"]
    servers = [about["server"]] if "server" in about else about["servers"].values()
    return {(script, one["get_resource"]) for script in scripts for one in servers}


# Eve


def of_graph(graph, home):
    """The same of a graph: of scaled nodes the first instance, as Heat's template of a group tells one."""
    made = {name: one for name, one in graph.resources.items() if not one.existing and one.instance == 0}
    kinds = {name: one.kind for name, one in made.items() if one.kind != OPERATION}
    links = {(name, target) for name in kinds for _, target in made[name].links() if target in kinds}
    calls = [one.arguments for one in made.values() if one.kind == OPERATION and "how" in one.arguments]
    operations = {(posixpath.relpath(one["how"]["file"], home), host) for one in calls for host in one["hosts"]}
    roles = {(f"role {posixpath.basename(role)}", host) for one in calls for role in one["how"].get("roles", ()) for host in one["hosts"]}
    networks = {name: one.arguments.get("name") for name, one in graph.resources.items() if one.existing and one.kind == "network"}
    return {
        "resources": {(kind, "" if kind in NAMELESS else name) for name, kind in kinds.items()},
        "links": {named(pair, kinds, links) for pair in links},
        "operations": operations | roles,
        "there": {*networks},
        "ports": {name: networks.get(target) for name, kind in kinds.items() if kind == "port"
                  for argument, target in made[name].links() if argument == "network_id"},
        "scaling": {(name, count["min"], count["max"]) for name, count in graph.counts.items()},
    }


def named(pair, kinds, links):
    """A link with something that has no name is told by all that it links."""
    name, target = pair
    if kinds[name] in NAMELESS:
        return (kinds[name], tuple(sorted(other for one, other in links if one == name)))
    return name, target


if __name__ == "__main__":
    main()
