"""A cloud as the kinds of resources see it: requests through openstacksdk's connection, from several threads."""

from __future__ import annotations

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

ADVICE = {
    400: "correct the value in the template or its inputs and resume",
    403: "raise the quota or free what is not needed, or log in as somebody who may; then resume",
    409: "look at what is in the way, remove or rename it and resume",
    413: "raise the quota or free what is not needed; then resume",
}
SERVICES = {"network": "neutron", "compute": "nova", "block_storage": "cinder", "image": "glance", "object_store": "swift"}


class Cloud:
    """`topology`: identifier that marks resources; `timeout`: seconds that one resource may take."""

    def __init__(self, connection, topology, timeout):
        self.connection, self.topology, self.timeout = connection, topology, timeout

    def prepare(self, services):
        """Make the connection's parts, which are made on first use and not safely by several threads at once."""
        for service in sorted(services):
            getattr(self.connection, service)

    def send(self, service, method, path, **arguments):
        """The answer of one request. Raises Failure with the API's own words."""
        from openstack import exceptions

        answer = getattr(self.connection, service).request(path, method, raise_exc=False, **arguments)
        try:
            exceptions.raise_from_response(answer)
        except exceptions.HttpException as error:
            advice = ADVICE.get(answer.status_code, "look at the journal of the service on the control node and resume")
            told = error.details if isinstance(error.details, str) and error.details else str(error)
            raise Refused(told, SERVICES[service], advice, answer.status_code) from error
        return answer

    def ask(self, service, method, path, body=None, missing_ok=False, **more):
        """The parsed answer; None without content, and for what is not there with `missing_ok`."""
        try:
            answer = self.send(service, method, path, json=body, **more)
        except Refused as refused:
            if missing_ok and refused.status == 404:
                return None
            raise
        return answer.json() if answer.content else None

    def pages(self, service, path, plural):
        """All objects of a collection, page by page."""
        found = []
        while path:
            answer = self.ask(service, "GET", path)
            found += answer[plural]
            path = following(answer, plural)
        return found


def following(answer, plural):
    """The address of the next page, if there is one."""
    links = answer.get(f"{plural}_links") or answer.get("links") or ()
    marked = [link["href"] for link in links if isinstance(link, dict) and link.get("rel") == "next"]
    return marked[0] if marked else answer.get("next")


class Refused(Failure):
    """An API said no."""

    def __init__(self, cause, service, next_step, status):
        super().__init__(cause, service=service, next_step=next_step)
        self.status = status
