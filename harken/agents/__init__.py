"""Agents: scripted ones and trained policies."""

from harken.agents.direction_follower import DirectionFollower
from harken.agents.frontier import FrontierAgent
from harken.agents.goal_follower import GoalFollower
from harken.agents.policies import PolicyAgent
from harken.agents.protocol import Agent
from harken.agents.scripted import ForwardAgent, OracleAgent, RandomAgent
from harken.agents.table import AGENTS, agents_for, make_agent, make_attacker
from harken.agents.zoo import Model, ModelCard, find_model, list_models

__all__ = [
    "AGENTS",
    "Agent",
    "DirectionFollower",
    "ForwardAgent",
    "FrontierAgent",
    "GoalFollower",
    "Model",
    "ModelCard",
    "OracleAgent",
    "PolicyAgent",
    "RandomAgent",
    "agents_for",
    "find_model",
    "list_models",
    "make_agent",
    "make_attacker",
]
