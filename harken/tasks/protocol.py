"""The interface between a task and what runs it: episodes, actions, sensors, rewards, measures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from harken.acoustics import Source
from harken.errors import StateError
from harken.sim import BodySettings, Mount, SimulatorProtocol, WorldSettings, make_simulator

__all__ = ["Actions", "Choice", "Numbers", "Outcome", "Sensor", "Task", "enter_scene", "entered", "sense"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several things: a `Discrete` space."""

    names: tuple[str, ...]
    """What each number stands for, from 0."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """An array of bounded numbers: a `Box` space."""

    shape: tuple[int, ...]
    """Shape of the array."""
    low: float
    """Least value."""
    high: float
    """Greatest value."""
    dtype: type = np.float32
    """NumPy's type of a number."""


Actions = Choice | Mapping[str, Choice | Numbers]
"""What can be done in a step: a choice, or several things at once by name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensor:
    """Something that can be sensed in a task."""

    name: str
    """Its key in observations."""
    space: Choice | Numbers
    """What it can show."""
    read: Callable[[Mapping[str, np.ndarray]], Any]
    """Returns a fresh observation; takes the images of `views` by name. All sensors of a moment share one look."""
    views: tuple[str, ...] = ()
    """Images of the body's camera that it needs: "rgb", "depth", "semantic"."""
    privileged: bool = False
    """Whether it gives what a body cannot know."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step led to."""

    reward: float
    """Reward of the step."""
    terminated: bool
    """Whether the episode has ended."""
    truncated: bool
    """Whether time ran out."""


E = TypeVar("E")


@runtime_checkable
class Task(Protocol[E]):
    """Rules that turn a world into episodes: the goal, the sensors and the rewards.

    A task is made once for an environment and enters one world after the other. It owns its goals and the clips that
    sound, and lets time pass in `step`. It sees the world through `SimulatorProtocol` alone, and knows neither
    Gymnasium nor networks.
    """

    rules: type
    """The kind of its settings, a frozen dataclass."""
    settings: Any
    """The rules."""
    shown: tuple[str, ...]
    """Names of the sensors that are shown; an environment with other sensors sets them."""
    stream: tuple[int, ...]
    """Numbers that keep this task's random draws apart from those of other tasks."""
    episode: E | None
    """The episode that runs, None before the first."""
    steps: int
    """Steps that it has taken."""
    waveform: np.ndarray | None
    """``(2, n)`` float32 what the ears heard in the last step, None where nothing listens."""

    @property
    def body(self) -> BodySettings:
        """What the body is like."""
        ...

    @property
    def world(self) -> WorldSettings:
        """The worlds that it is played in."""
        ...

    @property
    def step_time(self) -> float:
        """Time that passes in a step [s]."""
        ...

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed, by name."""
        ...

    @property
    def actions(self) -> Actions:
        """What can be done in a step."""
        ...

    @property
    def simulator(self) -> SimulatorProtocol:
        """The world that was entered last."""
        ...

    @property
    def goal(self) -> np.ndarray | None:
        """``(3,)`` the place that the episode is about, now [m]; None where there is none."""
        ...

    @property
    def distance(self) -> float:
        """Geodesic distance to the goal [m]; NaN where there is none."""
        ...

    @property
    def success(self) -> bool | None:
        """Whether the goal has been reached; None in tasks without success."""
        ...

    def enter(self, simulator: SimulatorProtocol) -> None:
        """Continue in another world."""
        ...

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> E:
        """Draw an episode in the world; every draw comes from `rng`."""
        ...

    def sources(self, episode: E) -> Sequence[Source]:
        """Return what sounds at the beginning of an episode, so that it can be prepared ahead."""
        ...

    def begin(self, episode: E) -> None:
        """Start an episode, up to its first observation."""
        ...

    def step(self, action: Any) -> Outcome:
        """Take an action, let the time of a step pass, and reward it."""
        ...

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far; they may cost more than a step."""
        ...

    def info(self) -> dict[str, Any]:
        """Return the information that accompanies the observations of a step."""
        ...

    def read_episodes(self, path: str | Path) -> Sequence[E]:
        """Read episodes of this task from a file."""
        ...

    def picture(self) -> np.ndarray | None:
        """Return a picture for people, ``(height, width, 3)`` uint8; None for the view beside a plan."""
        ...


def entered(simulator: SimulatorProtocol | None) -> SimulatorProtocol:
    """Return a task's simulator once there is one.

    Raises:
        StateError: No world was entered yet.
    """
    if simulator is None:
        raise StateError("The task is in no world yet: call enter(simulator), or reset() of the environment, first.")
    return simulator


def enter_scene(
    task: Task[Any], scene: str, *, make: Callable[..., SimulatorProtocol] = make_simulator, **file: Any
) -> None:
    """Let a task continue in a scene.

    Args:
        task: The task.
        scene: "home:<split>:<number>", or the path of a scene file.
        make: Makes the simulator, as `harken.sim.make_simulator` does.
        file: ``up`` and ``scale`` of a file.
    """
    body = task.body
    task.enter(make(scene, task.world, camera=body.camera, mount=Mount(height=body.eye_height), **file))


def sense(simulator: SimulatorProtocol, sensors: Sequence[Sensor]) -> dict[str, Any]:
    """Return fresh observations of sensors by name; images are cast in one look.

    Args:
        simulator: The world in which the sensors' task is.
        sensors: The sensors.
    """
    names = tuple(dict.fromkeys(view for sensor in sensors for view in sensor.views))
    views = simulator.see(names) if names else {}
    return {sensor.name: sensor.read(views) for sensor in sensors}
