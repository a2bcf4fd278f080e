#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds a bundle on the admin host; the work is done by `cloudos.bundle.build`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_build
short_description: Build the bundle of a patch level
description:
  - Builds the bundle of a release on the admin host, as root, into C(CLOUDOS_HOME/bundles), unless a whole and rightly
    signed one of the same inputs is there.
  - Fails where service or plugin files set options that the code in the bundle does not declare; the bundle stays.
  - Needs to run under the Python that C(cloudos) is installed for, and the Debian packages that C(playbooks/bundle.yml)
    installs.
options:
  release:
    description: A series, which means its newest patch level, or one patch level.
    type: str
    required: true
  releases:
    description: Directory of the releases.
    type: path
    required: true
  services:
    description: Directory of the service files; their migrations make the schema snapshots.
    type: path
    required: true
  plugins:
    description: Directory of the plugin files, which extend services.
    type: path
    required: true
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS
"""

EXAMPLES = r"""
- name: Build the bundle
  cloudos.cloud.bundle_build:
    release: "2026.1"
    releases: "{{ playbook_dir }}/../releases"
    services: "{{ playbook_dir }}/../services"
    plugins: "{{ playbook_dir }}/../plugins"
"""

RETURN = r"""
name:
  description: The bundle's name.
  type: str
  returned: success
patch_level:
  description: The patch level it is of.
  type: str
  returned: success
path:
  description: Where the bundle is.
  type: str
  returned: success
steps:
  description: What was done and how long it took; empty when nothing was.
  type: list
  elements: str
  returned: success
"""

from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation


class BundleBuild(Operation):
    spec = {
        "release": {"type": "str", "required": True},
        "releases": {"type": "path", "required": True},
        "services": {"type": "path", "required": True},
        "plugins": {"type": "path", "required": True},
    }

    def __init__(self, module):
        super().__init__(module)
        self.steps = []

    def found(self):
        self.build = self._prepared()
        inputs = self.build.found()
        if inputs == self.build.inputs():
            self._told(self.build.check_options)
        return {"inputs": inputs}

    def wanted(self):
        return {"inputs": self.build.inputs()}

    def converge(self, step):
        self._told(self.build.make)
        self._told(self.build.check_options)

    def result(self, step):
        artifact = self.build.artifact
        return {
            "name": artifact.name,
            "patch_level": artifact.patch_level,
            "path": str(artifact.path("sqfs")),
            "steps": self.steps,
        }

    def _prepared(self):
        """The build that the parameters describe."""
        try:
            from cloudos import home
            from cloudos.bundle.build import Build
            from cloudos.bundle.errors import BundleError
            from cloudos.bundle.release import load_locked
        except ImportError as error:
            raise Failure(
                f"this Python has not got cloudos: {error}", next_step="run it with ansible_playbook_python"
            ) from error
        try:
            release, patch_level = load_locked(Path(self.params["releases"]), self.params["release"])
            directories = Path(self.params["services"]), Path(self.params["plugins"])
            return Build(release, patch_level, *directories, home.root(), say=self.steps.append)
        except BundleError as error:
            raise Failure(str(error)) from error

    @staticmethod
    def _told(step):
        """Do a step of the build whose error is the module's."""
        from cloudos.bundle.errors import BundleError

        try:
            step()
        except BundleError as error:
            raise Failure(str(error)) from error


def main():
    BundleBuild.main()


if __name__ == "__main__":
    main()
