"""An operation on Cinder, through a session that costs no imports."""

from __future__ import annotations

from ansible_collections.cloudos.cloud.plugins.module_utils.keystone import Denied, Keystone, Refused, Unreachable
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation

LOGIN = {"cloud": {"type": "dict", "required": True}}
WAIT = 60  # seconds for Keystone to answer


class BlockStorage(Operation):
    """Asks Cinder as the administrator. In check mode a cloud that is not there yet answers with None."""

    _session = None

    def ask(self, method, path, body=None):
        """Parsed body of the answer. Raises Failure with the API's own words."""
        try:
            if self._session is None:
                self._session = self._login()
                if self.rehearsal and "block-storage" not in {entry["type"] for entry in self._session.catalog}:
                    return None
            return self._session.call(method, path, body, service="block-storage")
        except Unreachable as problem:
            if self.rehearsal and problem.absent:
                return None
            raise Failure(str(problem), service="cinder", unit="cinder-api.service") from problem
        except Denied as denied:
            if self.rehearsal:
                return None
            raise Failure(f"{denied} cannot log in at {self.params['cloud']['auth_url']}", service="keystone") from denied
        except Refused as refused:
            if self.rehearsal and refused.code in (502, 503, 504):
                return None
            raise

    def _login(self):
        cloud = {"username": "admin", "project": "admin", "domain": "Default", **self.params["cloud"]}
        password = self.reveal(cloud["password"])
        self.module.no_log_values.add(password)
        session = Keystone(cloud["auth_url"], cloud.get("cafile"), cloud.get("region"))
        return session.login_when_up(
            WAIT, cloud["username"], password, cloud["project"], cloud["domain"], patient=not self.rehearsal
        )
