"""Agents: scripted ones, and later those that learn."""

from harken.agents.direction_follower import DirectionFollower
from harken.agents.protocol import Agent
from harken.agents.scripted import ForwardAgent, OracleAgent, RandomAgent
from harken.errors import UnknownNameError
from harken.tasks import NavigationSettings

__all__ = ["AGENTS", "Agent", "DirectionFollower", "ForwardAgent", "OracleAgent", "RandomAgent", "make_agent"]

AGENTS: tuple[str, ...] = ("random", "forward", "oracle", "follower")
"""Names of the agents that `make_agent` makes."""


def make_agent(name: str, settings: NavigationSettings) -> Agent:
    """Make an agent by its name, one of `AGENTS`.

    Raises:
        UnknownNameError: There is no such agent.
    """
    if name == "random":
        return RandomAgent()
    if name == "forward":
        return ForwardAgent()
    if name == "oracle":
        return OracleAgent()
    if name == "follower":
        return DirectionFollower(settings)
    raise UnknownNameError("agent", name, AGENTS)
