"""The tasks and simulators that come with Harken by name, one line for each; each is loaded when it is first made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gymnasium.envs.registration import register, registry

__all__ = ["SIMULATORS", "TASKS", "TaskEntry", "register_environments", "tasks_of"]


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """A task that is registered."""

    id: str
    """Its environment in Gymnasium's registry."""
    task: str
    """Where its class is, ``module:Class``; see `harken.tasks.protocol.Task`."""
    preset: str
    """Settings unless others are asked for."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the class that make it this task."""
    family: Literal["navigation", "depth", "separation"] = "navigation"
    """What it is about; ``harken eval --suite navigation`` plays all tasks of that family."""


def _navigation(name: str, **options: Any) -> TaskEntry:
    return TaskEntry(
        id=f"harken/{name}-v2", task="harken.tasks.navigation:NavigationTask", preset="soundspaces2", options=options
    )


def _separation(name: str, preset: str) -> TaskEntry:
    return TaskEntry(
        id=f"harken/{name}-v2", task="harken.tasks.separation:SeparationTask", preset=preset, family="separation"
    )


TASKS: dict[str, TaskEntry] = {
    "audiogoal": _navigation("AudioGoal"),
    "audiopointgoal": _navigation("AudioPointGoal", shows_goal=True),
    "pointgoal": _navigation("PointGoal", shows_goal=True, sound=None),
    "dynamic-audiogoal": TaskEntry(
        id="harken/DynamicAudioGoal-v0", task="harken.tasks.dynamic:DynamicTask", preset="dav-nav"
    ),
    "semantic-audiogoal": TaskEntry(
        id="harken/SemanticAudioGoal-v0", task="harken.tasks.semantic:SemanticTask", preset="savi"
    ),
    "multi-goal": TaskEntry(
        id="harken/MultiGoalAudioNav-v0", task="harken.tasks.multi_goal:MultiGoalTask", preset="multi-goal"
    ),
    "adversarial-audiogoal": TaskEntry(
        id="harken/AdversarialAudioGoal-v0", task="harken.tasks.adversarial:AdversarialTask", preset="saavn"
    ),
    "echo-depth": TaskEntry(
        id="harken/EchoDepth-v2", task="harken.tasks.echo_depth:EchoDepthTask", preset="echo-depth", family="depth"
    ),
    "echo-explore": TaskEntry(
        id="harken/EchoExplore-v0", task="harken.tasks.echo_explore:EchoExploreTask", preset="echo-explore"
    ),
    "quietnav": TaskEntry(id="harken/QuietNav-v0", task="harken.tasks.quiet:QuietNavTask", preset="quietnav"),
    "active-separation": _separation("ActiveSeparation", "near-target"),
    "active-dynamic-separation": _separation("ActiveDynamicSeparation", "dynamic"),
}
"""The tasks by their names on the command line."""

SIMULATORS: dict[str, str] = {
    "harken": "harken.sim:make_simulator",
    "habitat": "harken.integrations.habitat:make_habitat_simulator",
}
"""Functions that make the simulator of a scene, ``module:function``, by name."""


def tasks_of(family: str) -> tuple[str, ...]:
    """Return the names of the tasks of a family, in the order of `TASKS`."""
    return tuple(name for name, entry in TASKS.items() if entry.family == family)


def register_environments() -> None:
    """Register the environment of every task once."""
    for name, entry in TASKS.items():
        if entry.id not in registry:
            register(
                id=entry.id,
                entry_point="harken.envs:TaskEnv",
                vector_entry_point="harken.envs:vector_env",
                kwargs={"task": name},
            )
