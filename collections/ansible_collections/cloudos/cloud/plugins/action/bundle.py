"""Hands a node the bundle of the admin host, and the file itself only when the node has not got it."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from cloudos import home
from cloudos.bundle import signing
from cloudos.bundle.artifact import Artifact
from cloudos.bundle.errors import BundleError


class ActionModule(ActionBase):
    """Asks the module in check mode what the node needs, brings it there, and then runs the module for real."""

    _VALID_ARGS = frozenset(("name", "current", "keep", "method"))
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        self._vars = task_vars
        artifact = Artifact(home.root() / "bundles", self._task.args["name"])
        try:
            arguments = {**self._task.args, **_papers(artifact)}
            foreseen = self._foresee(arguments)
            if foreseen.get("failed") or not foreseen["changed"]:
                return foreseen
            if foreseen["transfer"]:
                artifact.verify(_public_key())
        except BundleError as error:
            raise AnsibleActionFail(str(error)) from error
        if self._task.check_mode:
            return foreseen
        if foreseen["transfer"]:
            arguments["squashfs"] = self._bring(str(artifact.path("sqfs")))
        return self._module(arguments)

    def _foresee(self, arguments):
        """The module's result in check mode, whatever the mode of the task."""
        asked, self._task.check_mode = self._task.check_mode, True
        try:
            return self._module(arguments)
        finally:
            self._task.check_mode = asked

    def _module(self, arguments):
        return self._execute_module(module_name="cloudos.cloud.bundle", module_args=arguments, task_vars=self._vars)

    def _bring(self, path):
        """The path on the node of a copy of `path`; it goes away with the task's temporary directory."""
        if self._connection.transport == "local":
            return path
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "bundle.sqfs")
        self._transfer_file(path, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return remote


def _papers(artifact):
    """The manifest, its signature and who is trusted, as the module takes them."""
    artifact.manifest()
    try:
        return {
            "manifest": artifact.path("manifest.json").read_text(),
            "signature": artifact.path("manifest.json.sig").read_text(),
            "signers": signing.allowed_signers(_public_key()),
        }
    except FileNotFoundError as error:
        raise BundleError(f"{error.filename} is missing; build the bundle with playbooks/bundle.yml") from error


def _public_key():
    return home.root() / "keys" / "bundle.pub"
