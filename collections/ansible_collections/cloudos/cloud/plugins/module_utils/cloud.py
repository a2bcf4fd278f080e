"""A module's connection to a cloud through openstacksdk."""

from __future__ import annotations

import contextlib

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation, use_bundle

CLOUD = {"cloud": {"type": "raw", "required": True}}


class CloudOperation(Operation):
    """An operation that talks to a cloud's APIs: `self.connection` is openstacksdk's.

    Errors of the APIs end as failures that tell the API's own words.
    """

    service = None  # who is named in a failure

    def __init__(self, module):
        super().__init__(module)
        with self.told():
            self.connection = self._connect(self.params["cloud"])

    def run(self):
        """As every operation, with the APIs' errors told."""
        for name in ("found", "converge"):
            setattr(self, name, self._telling(getattr(self, name)))
        super().run()

    def _telling(self, method):
        def told(*args):
            with self.told():
                return method(*args)

        return told

    @contextlib.contextmanager
    def told(self):
        """Inside it, an error of openstacksdk or of the connection becomes a Failure."""
        try:
            yield
        except Failure:
            raise
        except Exception as error:
            if type(error).__module__.split(".")[0] not in ("openstack", "keystoneauth1", "requests"):
                raise
            raise Failure(
                self.mask(f"{type(error).__name__}: {error}"),
                service=self.service,
                next_step="look at the service's journal on the control node",
            ) from error

    def api(self, service_type, path, method="GET", body=None):
        """The parsed answer of an API that openstacksdk has no classes for."""
        from openstack import exceptions

        chosen = {"service_type": service_type, "region_name": self.connection.config.get_region_name()}
        answer = self.connection.session.request(path, method, json=body, endpoint_filter=chosen, raise_exc=False)
        exceptions.raise_from_response(answer)
        return answer.json() if answer.content else None

    def _connect(self, cloud):
        use_bundle()
        import openstack

        if isinstance(cloud, str):
            return openstack.connect(cloud=cloud)
        login = {"username": "admin", "project": "admin", "domain": "Default", **self.reveal(cloud)}
        self.module.no_log_values.add(login["password"])
        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            region_name=login.get("region"),
            cacert=login.get("cafile"),
            auth_type="v3password",
            auth={
                "auth_url": login["auth_url"],
                "username": login["username"],
                "password": login["password"],
                "project_name": login["project"],
                "user_domain_name": login["domain"],
                "project_domain_name": login["domain"],
            },
        )
