"""Agents by name: those that come with Harken, and those of users."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.agents.direction_follower import DirectionFollower
from harken.agents.echo_depth import DepthOracle, FirstEcho, MeanDepth
from harken.agents.frontier import FrontierAgent
from harken.agents.goal_follower import GoalFollower
from harken.agents.policies import PolicyAgent
from harken.agents.protocol import Agent
from harken.agents.scripted import ForwardAgent, OracleAgent, RandomAgent
from harken.agents.separation import MOVERS, SEPARATORS, make_separation_agent
from harken.agents.zoo import find_model, list_models
from harken.errors import ConfigurationError, UnknownNameError
from harken.tasks import NavigationSettings, Task
from harken.tasks.adversarial import AdversarialTask
from harken.tasks.attackers import SCRIPTED, Attacker
from harken.tasks.echo_depth import EchoDepthSettings
from harken.tasks.echo_explore import EchoExploreSettings
from harken.tasks.quiet import QuietSettings
from harken.tasks.separation_rules import SeparationSettings

__all__ = ["AGENTS", "AgentEntry", "agents_for", "make_agent", "make_attacker"]


@dataclass(frozen=True, kw_only=True)
class AgentEntry:
    """An agent that comes with Harken."""

    name: str
    """Its name, unique among those for the same settings."""
    settings: type
    """Kind of the settings of the tasks that it acts in."""
    make: Callable[[Any], Agent]
    """Makes the agent for a task."""
    needs: tuple[str, ...] = ()
    """Sensors without which it cannot act, that some of these tasks do not have."""
    why: str = ""
    """What it needs, such as "needs a goal to stop at", for those who want it in another task."""

    def acts_in(self, task: Task[Any]) -> bool:
        """Whether it can act in a task."""
        return isinstance(task.settings, self.settings) and set(self.needs) <= set(task.sensors)

    def refusal(self, task: Task[Any]) -> str:
        """Return why it cannot act in a task, as the end of a sentence."""
        missing = [sensor for sensor in self.needs if sensor not in task.sensors]
        if missing:
            return f"it {self.why}, and the task has no sensor {', '.join(missing)}"
        return f"it {self.why or f'acts with {self.settings.__name__} alone'}, and the task has none"


def _separating(mover: str, separator: str) -> AgentEntry:
    return AgentEntry(
        name=f"{mover}+{separator}",
        settings=SeparationSettings,
        make=lambda task: make_separation_agent(mover, separator, task.settings),
    )


AGENTS: tuple[AgentEntry, ...] = (
    AgentEntry(name="random", settings=object, make=RandomAgent),
    AgentEntry(
        name="forward",
        settings=NavigationSettings,
        make=lambda task: ForwardAgent(),
        why="needs a goal to stop at",
    ),
    AgentEntry(name="oracle", settings=NavigationSettings, make=lambda task: OracleAgent()),
    AgentEntry(
        name="follower",
        settings=NavigationSettings,
        make=lambda task: DirectionFollower(task.settings),
        needs=("waveform",),
        why="needs the sound of a goal to follow",
    ),
    AgentEntry(
        name="goal-follower",
        settings=NavigationSettings,
        make=lambda task: GoalFollower(task.settings),
        needs=("pointgoal",),
        why="needs to be told where a goal is",
    ),
    AgentEntry(name="quiet-oracle", settings=QuietSettings, make=lambda task: OracleAgent("quiet_oracle")),
    AgentEntry(
        name="frontier",
        settings=NavigationSettings,
        make=lambda task: FrontierAgent(task.settings),
        needs=("waveform",),
        why="needs the sound of a goal to explore towards",
    ),
    AgentEntry(name="oracle", settings=EchoExploreSettings, make=lambda task: OracleAgent()),
    AgentEntry(name="mean", settings=EchoDepthSettings, make=lambda task: MeanDepth(task.settings)),
    AgentEntry(name="first-echo", settings=EchoDepthSettings, make=lambda task: FirstEcho(task.settings)),
    AgentEntry(name="oracle", settings=EchoDepthSettings, make=lambda task: DepthOracle(task.settings)),
    *(_separating(mover, separator) for mover in MOVERS for separator in SEPARATORS),
)
"""The agents that come with Harken."""


def agents_for(task: Task[Any]) -> tuple[str, ...]:
    """Return the names of the agents that can act in a task."""
    return tuple(entry.name for entry in AGENTS if entry.acts_in(task))


def make_agent(
    agent: str | Path | Agent, task: Task[Any], *, models: str | Path | None = None, trust: bool = False
) -> Agent:
    """Return an agent.

    Args:
        agent: A name, one of `agents_for(task)` or of a trained model (`harken.agents.list_models`); ``module:Class``
            of an agent of your own, which is called with the task if it takes an argument; the folder of a training or
            a ``.safetensors`` of it; the path of a Stable-Baselines3 zip; or an agent, which is returned.
        task: The task that it will act in.
        models: Where trained models are looked for besides: a folder, or ``hf:owner/name``.
        trust: Whether a zip is read, which holds pickles; see `PolicyAgent.load`.

    Raises:
        UnknownNameError: There is no such agent.
        ConfigurationError: The agent cannot act in this task, with the reason; the class cannot be found, what it makes
            is not an agent, a policy cannot be read, or it was trained with sensors that the task has not.
        MissingDependencyError: A policy was given, and Stable-Baselines3 is not installed.
    """
    if not isinstance(agent, str | Path):
        return _checked(agent, repr(agent))
    name = str(agent)
    for entry in AGENTS:
        if entry.name == name and entry.acts_in(task):
            return entry.make(task)
    if name.endswith((".zip", ".safetensors")):
        return _policy(name, task, trust)
    if ":" in name:
        return _checked(_users(name, task), name)
    sources = (None,) if models is None else (models, None)
    known = {model.name: source for source in reversed(sources) for model in list_models(source)}
    if name in known:
        return _policy(find_model(name, known[name]).weights, task, trust)
    if Path(name).expanduser().is_dir():
        return _policy(name, task, trust)
    refused = [entry for entry in AGENTS if entry.name == name]
    if refused:
        raise ConfigurationError(
            f"Agent {name!r} cannot act in {type(task).__name__}: {refused[0].refusal(task)}. Those that can: "
            f"{', '.join(agents_for(task))}."
        )
    choices = (*agents_for(task), *known, "module:Class", "the folder of a training", "a Stable-Baselines3 .zip")
    raise UnknownNameError(f"agent for {type(task.settings).__name__}", name, choices)


def make_attacker(attacker: str | Path | Attacker, task: Task[Any], *, trust: bool = False) -> str | Attacker:
    """Return what a task takes as its attacker: the name of a scripted one, or an agent.

    Args:
        attacker: One of `harken.tasks.attackers.SCRIPTED`; ``module:Class`` of an attacker of your own, which is called
            with the task if it takes an argument; the path of a Stable-Baselines3 zip that was trained in
            `harken.envs.AttackerEnv`; or an attacker, which is returned.
        task: The task that is attacked.
        trust: Whether a zip is read, which holds pickles; see `PolicyAgent.load`.

    Raises:
        UnknownNameError: There is no such attacker.
        ConfigurationError: Nothing attacks in the task; the class cannot be found; or what it makes is not an attacker,
            or a policy cannot be read.
        MissingDependencyError: A policy was given, and Stable-Baselines3 is not installed.
    """
    if not isinstance(task, AdversarialTask):
        raise ConfigurationError(
            f"An attacker was given, but nothing attacks in the task of {type(task.settings).__name__}; expected the "
            "task adversarial-audiogoal."
        )
    if not isinstance(attacker, str | Path):
        return attacker
    name = str(attacker)
    if name in SCRIPTED:
        return name
    if name.endswith(".zip"):
        return PolicyAgent.load(name, trust=trust)
    if ":" in name:
        return _checked(_users(name, task), name)
    raise UnknownNameError("attacker", name, (*SCRIPTED, "module:Class", "a Stable-Baselines3 .zip"))


def _policy(path: str | Path, task: Task[Any], trust: bool) -> PolicyAgent:
    agent = PolicyAgent.load(path, trust=trust)
    agent.check_fits(task)
    return agent


def _users(name: str, task: Task[Any]) -> Any:
    """Return an agent that a user wrote."""
    module, _, kind = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"There is no agent {name!r} ({error}); expected module:Class, with the module on Python's path: set "
            "PYTHONPATH to its folder."
        ) from error
    if not callable(factory):
        raise ConfigurationError(f"{name} is {factory!r}; expected a class or a function that makes an agent.")
    needed = [
        p for p in inspect.signature(factory).parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL
    ]
    return factory(task) if needed else factory()


def _checked(agent: Any, name: str) -> Agent:
    if isinstance(agent, type) or not isinstance(agent, Agent):
        raise ConfigurationError(
            f"{name[:120]} is not an agent; expected an object with `sensors`, `reset(seed)` and `act(observation)`."
        )
    return agent
