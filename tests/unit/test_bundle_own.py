"""What a bundle gets of the package cloudos."""

import zipfile

from packaging.requirements import Requirement

from cloudos.bundle import own


def test_the_wheel_holds_every_file_but_the_controllers(tmp_path):
    """Pages, migrations and type definitions are no modules, and are forgotten easily."""
    held = set(zipfile.ZipFile(own.wheel(tmp_path)).namelist())
    wanted = {name for name in own.digest_input() if name.startswith("cloudos/")}
    assert len(wanted) > 50 and not wanted - held
    assert not [name for name in held if name.startswith(("cloudos/bundle/", "cloudos/cli"))]


def test_the_ansible_content_lies_where_the_package_looks_for_it(tmp_path):
    own.add_content(tmp_path)
    assert (tmp_path / "collections/ansible_collections/cloudos/cloud/plugins/modules/topology_resources.py").is_file()
    assert (tmp_path / "roles/load_balancer/tasks/main.yml").is_file()
    held = {str(path.relative_to(tmp_path)) for path in own.files(tmp_path)}
    assert held == {name for name in own.digest_input() if not name.startswith(("cloudos/", "setup.cfg"))}


def test_requirements_are_those_of_the_package():
    names = {Requirement(text).name for text in own.requirements()}
    assert {"flask", "celery", "ansible-core"} <= names
    assert not names & {"ansible", "uv"}, "these are the controller's"
