"""Finding a goal: by its sound (AudioGoal), by its place (PointGoal), or by both (AudioPointGoal).

Rules, reward and measures are those of SoundSpaces (Chen et al. 2020) and Habitat (Anderson et al. 2018).
"""

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np

from harken.acoustics import AcousticSettings
from harken.errors import ActionError, ConfigurationError, EpisodeError, UnknownNameError
from harken.scene import Body
from harken.sim import Simulator, SoundSource
from harken.tasks.episodes import Episode
from harken.tasks.oracle import GridOracle, Oracle, PathOracle
from harken.vision import Camera

__all__ = ["Action", "NavigationSettings", "NavigationTask", "Outcome"]


class Action(IntEnum):
    """What a body can do in a step."""

    STOP = 0
    MOVE_FORWARD = 1
    TURN_LEFT = 2
    TURN_RIGHT = 3


@dataclass(frozen=True, kw_only=True)
class NavigationSettings:
    """The rules of a navigation task. The defaults are those of SoundSpaces 2.0's continuous AudioGoal."""

    motion: Literal["continuous", "grid"] = "continuous"
    """Whether the body moves freely or from node to node of a grid."""
    forward_step: float = 0.25
    """Length of a step ahead, and the spacing of the grid's nodes [m]."""
    turn_angle: float = np.pi / 18
    """Angle of a turn [rad]; `turn_angle_degrees` in presets."""
    step_time: float = 0.25
    """Time that passes in a step [s]."""
    success_distance: float = 1.0
    """A stop nearer to the goal than this is a success [m]."""
    max_steps: int = 500
    """Steps after which the episode is cut off."""
    success_reward: float = 10.0
    """Reward of a successful stop."""
    step_reward: float = -0.01
    """Reward of every step."""
    distance_reward: float = 1.0
    """Reward per metre that the geodesic distance to the goal falls."""
    least_distance: float = 2.0
    """Least geodesic distance from start to goal of a sampled episode [m]."""
    observation_time: float = 1.0
    """Length of the waveform that is observed [s]: the step's sound, padded with zeros at the end."""
    max_depth: float = 10.0
    """Largest depth that is observed [m]; what is farther is clipped to it."""
    eye_height: float = 1.5
    """Height of the camera above the floor [m]."""
    ear_height: float = 1.5
    """Height of ears and goal above the floor [m]."""
    body: Body = Body()
    """Size of the body."""
    camera: Camera = Camera()
    """What the body sees with."""
    propagation: Literal["harken", "soundspaces2"] = "harken"
    """Engine that propagates sound: Harken's, or that of SoundSpaces 2.0 in its setting for navigation
    (``pip install harken[soundspaces]``, Linux on x86-64, CC-BY-NC-4.0)."""
    acoustics: AcousticSettings = field(default_factory=AcousticSettings)
    """How sound is propagated."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.motion not in ("continuous", "grid"):
            raise ConfigurationError(f"Setting motion is {self.motion!r}; expected 'continuous' or 'grid'.")
        if self.propagation not in ("harken", "soundspaces2"):
            raise UnknownNameError("propagation", self.propagation, ("harken", "soundspaces2"))
        for name in ("forward_step", "turn_angle", "step_time", "success_distance", "max_steps", "max_depth"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ConfigurationError(f"Setting {name} is {value!r}; expected a positive number.")
        if self.observation_time < self.step_time:
            raise ConfigurationError(
                f"Setting observation_time is {self.observation_time} s, less than step_time, {self.step_time} s: "
                "sound would be lost. Raise it."
            )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step led to."""

    reward: float
    """Reward of the step."""
    terminated: bool
    """Whether the body stopped."""
    truncated: bool
    """Whether time ran out."""
    collided: bool
    """Whether something was in the way."""


class NavigationTask:
    """The rules of one episode after another, applied to a simulator.

    Args:
        simulator: The world and the body.
        settings: The rules.
    """

    def __init__(self, simulator: Simulator, settings: NavigationSettings):
        self.simulator, self.settings = simulator, settings
        self.episode: Episode | None = None
        self.oracle: Oracle = (GridOracle if settings.motion == "grid" else PathOracle)(
            simulator.world, settings.forward_step, settings.turn_angle, settings.success_distance
        )

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str, sound: str, seconds: float) -> Episode:
        """Draw an episode in the simulator's world.

        Args:
            rng: Source of every draw.
            episode_id: Name of the episode.
            scene: Name of the scene.
            sound: Name of the goal's clip, empty for none.
            seconds: Length of the clip [s]; it starts at a random place.

        Raises:
            EpisodeError: The world has no two places far enough apart.
        """
        simulator, least = self.simulator, self.settings.least_distance
        best, start, goal = -1.0, np.zeros(3), np.zeros(3)
        for _ in range(20):
            goal = simulator.random_point(rng)
            if simulator.world.scene.is_inside_solid(goal + [0.0, simulator.world.ear_height, 0.0]):
                continue
            for _ in range(10):
                start = simulator.random_point(rng)
                distance = simulator.geodesic_distance(start, goal)
                best = max(best, distance if np.isfinite(distance) else -1.0)
                if np.isfinite(distance) and distance >= least:
                    break
            else:
                continue
            break
        else:
            raise EpisodeError(
                f"{simulator.world.scene.name}: no start and goal are {least:g} m apart; the farthest pair of 200 was "
                f"{best:.2f} m. Use a larger scene or lower least_distance."
            )
        turns = round(2 * np.pi / self.settings.turn_angle)
        return Episode(
            episode_id=episode_id,
            scene=scene,
            start_position=_triple(start),
            start_heading=float(rng.integers(turns) * self.settings.turn_angle),
            goal_position=_triple(goal),
            sound=sound,
            sound_offset=float(rng.uniform(0.0, seconds)) if seconds > 0 else 0.0,
            geodesic_distance=float(distance),
        )

    def begin(self, episode: Episode, clip: np.ndarray | None) -> None:
        """Start an episode: put the body at its start and let the goal sound.

        Args:
            episode: The episode.
            clip: ``(n,)`` float32 what the goal plays, None for silence.

        Raises:
            EpisodeError: There is no way from start to goal.
        """
        simulator = self.simulator
        simulator.place(np.array(episode.start_position), episode.start_heading)
        goal = np.array(episode.goal_position)
        distance = simulator.geodesic_distance(simulator.position, goal)
        if not np.isfinite(distance):
            raise EpisodeError(
                f"Episode {episode.episode_id!r}: there is no way from start {episode.start_position} to goal "
                f"{episode.goal_position}: they are on different islands of the floor. Move one of them."
            )
        sources = []
        if clip is not None:
            offset = round(episode.sound_offset * simulator.rate) % len(clip)
            place = goal + [0.0, simulator.world.ear_height, 0.0]
            sources.append(SoundSource(position=place, samples=clip, offset=offset))
        simulator.set_sources(sources)
        self.oracle.set_goal(goal)
        self.episode, self.goal = episode, goal
        self.start_distance = self.distance = distance
        self.path_length, self.steps, self.collisions, self.stopped = 0.0, 0, 0, False
        self.oracle_actions = self.oracle.count_actions(simulator.position, simulator.heading)

    def act(self, action: int) -> Outcome:
        """Do one action and reward it.

        Raises:
            ActionError: The action is none of `Action`.
            EpisodeError: The body stands where no way leads to the goal.
        """
        if not isinstance(action, (int, np.integer)) or not 0 <= int(action) < len(Action):
            raise ActionError(
                f"Action {action!r} does not exist; expected an integer: "
                + ", ".join(f"{a.value} {a.name.lower()}" for a in Action)
                + "."
            )
        simulator, settings = self.simulator, self.settings
        before, collided = simulator.position.copy(), False
        if action == Action.MOVE_FORWARD:
            collided = simulator.move_forward(settings.forward_step)
        elif action == Action.TURN_LEFT:
            simulator.turn(settings.turn_angle)
        elif action == Action.TURN_RIGHT:
            simulator.turn(-settings.turn_angle)
        self.steps += 1
        self.collisions += collided
        self.stopped = action == Action.STOP
        way = math.dist(simulator.position.tolist(), before.tolist())
        self.path_length += way
        distance = simulator.geodesic_distance(simulator.position, self.goal) if way > 0.0 else self.distance
        if not math.isfinite(distance):  # the reward would be infinite now and NaN at the next step
            raise EpisodeError(
                f"From {simulator.position.round(3).tolist()} in {simulator.world.scene.name} no way leads to the goal "
                f"{self.goal.round(3).tolist()}: the body left its island of the floor. Please report the scene."
            )
        reward = settings.step_reward + settings.distance_reward * (self.distance - distance)
        self.distance = distance
        if self.success:
            reward += settings.success_reward
        return Outcome(
            reward=float(reward),
            terminated=bool(self.stopped),
            truncated=bool(not self.stopped and self.steps >= settings.max_steps),
            collided=bool(collided),
        )

    @property
    def success(self) -> bool:
        """Whether the body stopped at the goal."""
        return bool(self.stopped and self.distance < self.settings.success_distance)

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            ``success``; ``spl`` = S·l/max(p, l) (Anderson et al. 2018, eq. 1); ``soft_spl`` with progress in place of
            success (Datta et al. 2020); ``sna`` = S·n*/max(n*, n) with n* the oracle's actions (Chen et al. 2021);
            ``distance_to_goal`` [m] and ``normalized_distance_to_goal`` = that over the distance at the start;
            ``steps``, ``path_length`` [m], ``collisions``.
        """
        success = float(self.success)
        efficiency = self.start_distance / max(self.path_length, self.start_distance, 1e-9)
        share = self.distance / max(self.start_distance, 1e-9)
        return {
            "success": success,
            "spl": success * efficiency,
            "soft_spl": max(0.0, 1.0 - share) * efficiency,
            "sna": success * self.oracle_actions / max(self.oracle_actions, self.steps, 1),
            "distance_to_goal": float(self.distance),
            "normalized_distance_to_goal": float(share),
            "steps": float(self.steps),
            "path_length": float(self.path_length),
            "collisions": float(self.collisions),
        }


def _triple(point: np.ndarray) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])
