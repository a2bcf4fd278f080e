"""Module network_agent against a cloud in this process."""

import pytest
from kit import Story, run_module, twelve_cases


@pytest.fixture
def agents(cloud):
    return [
        cloud.add("agents", binary=binary, host="net1", alive=True, admin_state_up=True)
        for binary in ("neutron-l3-agent", "neutron-dhcp-agent")
    ]


def test_twelve_cases(cloud, agents, login):
    """Agents make themselves: one down, all down, all up are the three verbs."""
    base = {**login, "host": "net1"}
    one, both = {**base, "binary": "neutron-l3-agent", "state": "down"}, {**base, "state": "down"}
    twelve_cases(Story("network_agent", one, both, base, state=cloud.snapshot))


def test_only_an_agent_that_lives_is_up(cloud, agents, login):
    agents[0]["alive"] = False
    told = run_module("network_agent", **login, host="net1", timeout=0)
    assert told["failure"]["unit"] == "neutron-l3-agent"
    told = run_module("network_agent", **login, host="net1", wait=False)
    assert told["agents"] == {"neutron-l3-agent": False, "neutron-dhcp-agent": True}


def test_a_host_without_agents_is_told(cloud, agents, login):
    assert "Neutron knows no agent on net9" in run_module("network_agent", **login, host="net9")["msg"]


def test_a_wrong_password_is_told(cloud, agents, login):
    told = run_module("network_agent", **{**login, "secrets": {"identity/admin": "wrong"}}, host="net1")
    assert told["failed"]
    assert "requires authentication" in told["msg"]
