#!/usr/bin/python
"""Module network_agent: whether Neutron uses an agent, and whether the agent is alive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_agent
short_description: Let Neutron use the agents of a host, or not
description:
  - Sets the administrative state of the agents of a host. Neutron places nothing new on an agent that is down.
  - With O(wait), a run that brings agents up ends when they are alive.
options:
  host: {description: The host as Neutron names it., type: str, required: true}
  binary:
    description: The agent, such as C(neutron-l3-agent); by default all agents of the host.
    type: str
  state: {description: The administrative state., type: str, choices: [up, down], default: up}
  wait: {description: "Whether to wait until the agents are alive, where O(state=up).", type: bool, default: true}
  timeout: {description: Seconds to wait., type: int, default: 120}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.cloud]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Place no routers on a host that is going to be repaired
  cloudos.cloud.network_agent: {cloud: mycloud, host: net1, binary: neutron-l3-agent, state: down}
"""

RETURN = r"""
agents: {description: Binary to whether the agent is alive., type: dict, returned: always}
"""

import time

from ansible_collections.cloudos.cloud.plugins.module_utils.cloud import CLOUD, CloudOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure


class NetworkAgent(CloudOperation):
    service = "neutron"
    spec = {
        **CLOUD,
        "host": {"type": "str", "required": True},
        "binary": {"type": "str"},
        "state": {"type": "str", "choices": ["up", "down"], "default": "up"},
        "wait": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 120},
    }

    def found(self):
        self.agents = self.look()
        return {binary: "up" if agent.is_admin_state_up else "down" for binary, agent in self.agents.items()}

    def wanted(self):
        return dict.fromkeys(self.agents, self.params["state"])

    def look(self):
        """{binary: agent} of the host."""
        query = {key: self.params[key] for key in ("host", "binary") if self.params[key]}
        agents = {agent.binary: agent for agent in self.connection.network.agents(**query)}
        if not agents:
            raise Failure(
                f"Neutron knows no {self.params['binary'] or 'agent'} on {self.params['host']}",
                service="neutron",
                unit=self.params["binary"],
                next_step=f"see that it runs on {self.params['host']}, and that its name is right",
            )
        return agents

    def converge(self, step):
        for binary in step.changes:
            self.connection.network.update_agent(self.agents[binary], admin_state_up=self.params["state"] == "up")

    def result(self, step):
        with self.told():
            return {"agents": {binary: agent.is_alive for binary, agent in self.settled().items()}}

    def settled(self):
        """The agents once they are alive; in check mode, or where nobody waits, as they are."""
        deadline = time.monotonic() + self.params["timeout"]
        agents = self.agents
        while self.params["wait"] and self.params["state"] == "up" and not self.rehearsal:
            silent = [binary for binary, agent in agents.items() if not agent.is_alive]
            if not silent:
                break
            if time.monotonic() > deadline:
                raise Failure(
                    f"{', '.join(silent)} on {self.params['host']} is not alive after {self.params['timeout']} s",
                    service="neutron",
                    unit=silent[0],
                    next_step=f"on {self.params['host']}, read journalctl -u {silent[0]}",
                )
            time.sleep(0.5)
            agents = self.look()
        return agents


def main():
    NetworkAgent.main()


if __name__ == "__main__":
    main()
