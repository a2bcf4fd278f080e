"""What the tests of Eve share: templates as text, compiled with pools that nobody has to reach."""

import textwrap

import pytest

from cloudos import tosca
from cloudos.eve import given
from cloudos.eve.compiler.compile import compile_topology
from cloudos.eve.lifecycle import Request
from cloudos.eve.provider import Pool
from cloudos.tosca.resolver import DirectoryTree


@pytest.fixture
def pools():
    return {"default": Pool("default", "openstack", {"cloud": "any"})}


@pytest.fixture
def template(tmp_path):
    """A function: the template of node templates as text; further arguments are inputs."""

    def load(nodes, types="", outputs="", policies="", version="tosca_simple_yaml_1_3", declared="", **inputs):
        text = f'tosca_definitions_version: {version}\nimports: ["cloudos:openstack.yaml"]\n{textwrap.dedent(types)}\ntopology_template:\n'
        text += f"  inputs:\n{declared}\n" if declared else ""
        text += f"  node_templates:\n{textwrap.indent(textwrap.dedent(nodes), '    ')}\n"
        text += f"  policies:\n{policies}\n" if policies else ""
        text += f"  outputs:\n{outputs}\n" if outputs else ""
        path = tmp_path / "template.yaml"
        path.write_text(text)
        report = tosca.load(path, given.resolver(()), inputs)
        assert not report.exit_code, [str(one) for one in report.problems]
        return report.template

    return load


@pytest.fixture
def compiled(template, pools):
    """A function: the graph of node templates as text. `instances`, `placement` and `choices` as of compile_topology."""

    def run(nodes, instances=None, placement=None, login_key=None, places=None, choices=None, **more):
        return compile_topology(template(nodes, **more), places or pools, "shop", placement, instances, login_key, choices)

    return run


@pytest.fixture
def request_for(template, pools, tmp_path):
    """A function: a request for node templates as text, with the test's directory as the template's files."""

    def make(nodes, instances=None, name="shop", **more):
        return Request(name, template(nodes, **more), pools, DirectoryTree(tmp_path), {}, instances or {})

    return make
