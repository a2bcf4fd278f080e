"""What a bundle gets of the package cloudos."""

import zipfile

from packaging.requirements import Requirement

from cloudos.bundle import own


def test_the_wheel_holds_every_file_but_the_controllers(tmp_path):
    """Pages, migrations and type definitions are no modules, and are forgotten easily."""
    held = set(zipfile.ZipFile(own.wheel(tmp_path)).namelist())
    wanted = own.digest_input().keys() - {"setup.cfg"}
    assert len(wanted) > 50 and not wanted - held
    assert not [name for name in held if name.startswith(("cloudos/bundle/", "cloudos/model/", "cloudos/cli"))]


def test_requirements_are_those_of_the_package():
    names = {Requirement(text).name for text in own.requirements()}
    assert {"flask", "celery", "ansible-core"} <= names
    assert not names & {"ansible", "uv"}, "these are the controller's"
