"""Every release's files, as the plan has them, before the validator of the release's own oslo.config."""

import json
import os
import re
import shlex
import subprocess

import pytest
import yaml

from cloudos import home
from cloudos.bundle.artifact import Artifact
from cloudos.model.assemble import assemble
from cloudos.model.compile import compile_cloud, load
from cloudos.model.options import AUTHENTICATION, Options
from cloudos.model.problems import Report
from cloudos.model.source import ROOT

pytestmark = pytest.mark.lab

BEGIN, END = "-- begin", "-- end"
VCENTER = {"vcenter": "192.0.2.9", "vcenter_user": "openstack", "vcenter_cluster": "one"}
SERIES = sorted(path.parent.name for path in ROOT.glob("releases/*/release.yml"))


@pytest.mark.parametrize("series", SERIES)
def test_oslo_config_validator_accepts_every_file(series, tmp_path):
    built = subprocess.run(["cloudos", "bundle", "build", series], check=False, cwd=ROOT, capture_output=True, text=True)
    assert not built.returncode, built.stderr
    clouds = [load(directory, ROOT) for directory in variants(series, tmp_path)]
    (level,) = {loaded.release.patch_level for loaded in clouds}
    artifact = Artifact(home.root() / "bundles", level)
    catalogue = Options(json.loads(artifact.path("options.json").read_text()))
    place = f"/opt/cloudos/{level}"
    files = [file for number, loaded in enumerate(clouds) for file in ini_files(loaded, tmp_path / str(number))]
    commands = [f"echo {BEGIN}; {shlex.join(validation(place, catalogue, *file))} 2>&1; echo {END} $?" for file in files]
    mount = f"mount -t tmpfs none /opt && mkdir -p {place} && mount -o ro {artifact.path('sqfs')} {place} || exit"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", "\n".join([mount, *commands])],
                          capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": stand_ins(series, tmp_path)})
    told = re.findall(rf"^{BEGIN}\n(.*?)^{END} (\d+)$", done.stdout, re.DOTALL | re.MULTILINE)
    assert len(told) == len(files) > 10, done.stderr
    wrong = {str(file): found for (file, _), (text, code) in zip(files, told, strict=True) if (found := mistakes(text, code))}
    assert not wrong, wrong


def stand_ins(series, directory):
    """A place for Python with what code imports and no lock holds, as the bundle's own list of options has it."""
    place = directory / "absent"
    for name in yaml.safe_load((ROOT / "releases" / series / "release.yml").read_text()).get("absent", []):
        (place / name).mkdir(parents=True)
        (place / name / "__init__.py").write_text("from unittest.mock import MagicMock\n__getattr__ = lambda name: MagicMock()\n")
    return str(place)


def mistakes(text, code):
    """What the validator complains of: options of how to log in are declared at run time only, so it does not know them."""
    said = re.findall(r"^ERROR:[\w.]+:(.*)$", text, re.MULTILINE)
    if code != "0" and not said:
        return [text[-2000:]]
    known = re.compile(rf"[\w.]+/({'|'.join(AUTHENTICATION)}) is not part of the sample config")
    return [line for line in said if not known.fullmatch(line)]


def variants(series, directory):
    """Inventories of the whole kernel in which every plugin is chosen once."""
    source = yaml.safe_load((ROOT / "inventory" / "aio" / "cloud.yml").read_text())
    kinds = {kind.name: sorted(path.stem for path in kind.glob("*.yml")) for kind in ROOT.glob("plugins/*")}
    for number in range(max(map(len, kinds.values()))):
        chosen = {kind: names[number % len(names)] for kind, names in kinds.items()}
        settings = source["settings"] | ({"nova": VCENTER} if chosen["compute"] == "vmware" else {})
        place = directory / str(number)
        place.mkdir()
        (place / "cloud.yml").write_text(yaml.safe_dump({**source, "release": series, "plugins": chosen, "settings": settings}))
        yield place


def ini_files(loaded, directory):
    """(copy of a file that the plan has, its namespaces) for every file whose options code declares."""
    plan = compile_cloud(loaded.inventory, loaded.services, loaded.plugins, loaded.release)
    bodies = assemble(loaded.inventory, loaded.services, loaded.plugins, loaded.release, Report()).bodies
    for service, files in plan.hosts()[0].files.items():
        for name, entry in bodies.get(service, {}).get("files", {}).items():
            path = name if name.startswith("/") else f"/etc/{service}/{name}"
            if entry.get("namespaces") and path in files:
                copy = directory / path.strip("/").replace("/", "-")
                copy.write_text(re.sub(r"\$\{secret:[^}]*\}", "secret", files[path]["content"]))
                yield copy, entry["namespaces"]


def validation(place, catalogue, file, namespaces):
    """The validator's command; left out are sections that are declared at run time only: stores and back ends."""
    declared = catalogue.declared(namespaces)
    said = re.findall(r"^\[(.+)\]$", file.read_text(), re.MULTILINE)
    command = [f"{place}/bin/oslo-config-validator", "--input-file", str(file)]
    command += [word for name in namespaces for word in ("--namespace", name)]
    return command + [word for group in said if group not in declared for word in ("--exclude-group", group)]
