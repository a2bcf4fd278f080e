#!/usr/bin/python
"""Module compute_host: whether Nova places servers on a host, and whether the host is empty."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compute_host
short_description: Enable, disable or drain a compute host
description:
  - C(active), Nova places servers on the host. C(disabled), it places no new ones. C(drained), besides, no server is
    on it.
  - Draining migrates running and paused servers live and the others cold, or stops, or waits for their owners, as
    O(servers) says.
    It is refused before anything changes where no other enabled host is up to take them.
options:
  name: {description: The host as Nova names it., type: str, required: true}
  state: {description: The wanted state., type: str, choices: [active, disabled, drained], default: active}
  reason: {description: "Why the host is not active, for those who look.", type: str, default: maintenance}
  servers:
    description:
      - What draining does with servers. C(migrate) moves them.
      - C(stop) stops those that run; they stay on the host, which then counts as drained when none runs.
      - C(wait) waits until they are gone.
    type: str
    choices: [migrate, stop, wait]
    default: migrate
  block_migration:
    description: Whether a live migration copies local disks; C(auto) lets Nova find out.
    type: str
    choices: [auto, 'yes', 'no']
    default: auto
  timeout: {description: Seconds for the host to become empty., type: int, default: 1800}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.cloud]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Empty a host for a repair
  cloudos.cloud.compute_host: {cloud: mycloud, name: cmp3, state: drained, reason: new memory}
- name: Use it again
  cloudos.cloud.compute_host: {cloud: mycloud, name: cmp3}
"""

RETURN = r"""
servers: {description: How many servers are on the host; running ones where O(servers=stop)., type: int, returned:
  always}
"""

from ansible_collections.cloudos.cloud.plugins.module_utils.cloud import CLOUD, CloudOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.drain import DRAIN, Drain
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

LIVE = ("ACTIVE", "PAUSED")
AT_A_TIME = 3  # migrations; more at once only make each slower


class ComputeHost(Drain, CloudOperation):
    service = "nova"
    holds = "servers"
    spec = {
        **CLOUD,
        **DRAIN,
        "servers": {"type": "str", "choices": ["migrate", "stop", "wait"], "default": "migrate"},
        "block_migration": {"type": "str", "choices": ["auto", "yes", "no"], "default": "auto"},
        "timeout": {"type": "int", "default": 1800},
    }

    def __init__(self, module):
        super().__init__(module)
        self.begun = {}  # id -> status it had before
        self.confirmed = set()

    def status(self):
        self.compute = self.connection.compute
        self.hosts = list(self.compute.services(binary="nova-compute"))
        mine = [host for host in self.hosts if host.host == self.params["name"]]
        if not mine:
            known = ", ".join(sorted(host.host for host in self.hosts)) or "none"
            raise Failure(f"{self.params['name']} is no compute host; Nova knows {known}", service="nova")
        self.host = mine[0]
        return self.host.status, self.host.disabled_reason

    def held(self):
        """Servers of all projects that are on the host and count: where they are stopped, only those that run; and those
        that are elsewhere, and come back unless that is confirmed."""
        servers = {server.id: server for server in self.compute.servers(all_projects=True, host=self.params["name"])}
        if self.params["servers"] == "stop":
            return [server for server in servers.values() if server.status in LIVE]
        return list({**servers, **self.unconfirmed()}.values())

    def unconfirmed(self):
        """{id: server} of cold migrations that have not ended."""
        cold = [identifier for identifier, status in self.begun.items() if status not in LIVE]
        servers = [server for identifier in cold for server in self.compute.servers(all_projects=True, uuid=identifier)]
        return {server.id: server for server in servers if server.status in ("RESIZE", "VERIFY_RESIZE")}

    def shown(self, one):
        return f"{one.name} ({one.status})"

    def enable(self):
        self.compute.enable_service(self.host)

    def disable(self, reason):
        self.compute.disable_service(self.host, disabled_reason=reason)

    def converge(self, step):
        if self.draining and self.left and self.params["servers"] == "migrate":
            self.refuse_without_room()
        super().converge(step)

    def refuse_without_room(self):
        if not any(
            host.status == "enabled" and host.state == "up" for host in self.hosts if host.host != self.params["name"]
        ):
            raise Failure(
                f"no other enabled compute host is up to take the {self.left} servers of {self.params['name']}",
                service="nova",
                next_step="enable another host, or drain with servers: stop or servers: wait",
            )

    def move(self, held):
        """A few at a time; a server whose migration went wrong is told by name."""
        self.refuse_broken(held)
        busy = sum(bool(server.task_state) or server.status == "MIGRATING" for server in held)
        for server in held:
            if server.id not in self.begun and self.params["servers"] != "wait" and busy < AT_A_TIME:
                self.begun[server.id] = server.status
                self.send(server)
                busy += 1
        self.confirm()

    def send(self, server):
        if self.params["servers"] == "stop":
            self.compute.stop_server(server)
        elif server.status in LIVE:
            block = {"yes": True, "no": False}.get(self.params["block_migration"], "auto")
            self.compute.live_migrate_server(server, block_migration=block)
        else:
            self.compute.migrate_server(server)

    def confirm(self):
        """A cold migration ends when it is confirmed, once."""
        for identifier, server in self.unconfirmed().items():
            if server.status == "VERIFY_RESIZE" and identifier not in self.confirmed:
                self.compute.confirm_server_resize(server)
                self.confirmed.add(identifier)

    def refuse_broken(self, servers):
        """A server that was asked to go, is at rest again and still here did not find a host."""
        for server in servers:
            before = self.begun.get(server.id)
            stuck = before and not server.task_state and server.status in ("ERROR", before)
            if stuck and self.failed_migration(server):
                raise Failure(
                    f"server {server.name} ({server.id}) could not be moved away from {self.params['name']}",
                    service="nova",
                    next_step=f"openstack server migration list --server {server.id}; journal of nova-conductor",
                )

    def failed_migration(self, server):
        """Whether the newest migration of the server away from this host ended in an error."""
        moves = self.compute.get(f"/os-migrations?instance_uuid={server.id}", microversion="2.59").json()["migrations"]
        moves = sorted(
            (move for move in moves if move["source_compute"] == self.params["name"]),
            key=lambda move: move["created_at"],
        )
        return server.status == "ERROR" or (bool(moves) and moves[-1]["status"] in ("error", "failed", "cancelled"))


def main():
    ComputeHost.main()


if __name__ == "__main__":
    main()
