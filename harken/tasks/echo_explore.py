"""Exploring a dark and silent home by one's own clicks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from harken.acoustics import Source
from harken.acoustics.engines.echo import EchoSettings
from harken.checks import check_settings
from harken.errors import ConfigurationError, EpisodeError
from harken.sim import BodySettings, SimulatorProtocol, WorldSettings
from harken.tasks.echo_depth import EchoEpisode
from harken.tasks.episodes import read_episodes
from harken.tasks.mapping import Maps, MapSettings, map_sensors
from harken.tasks.oracle import PathOracle
from harken.tasks.protocol import Choice, Outcome, Sensor, entered
from harken.tasks.sensing import echo_sensors, image_sensors, walk_sensors
from harken.tasks.walk import Action, Walk, checked_action

__all__ = ["EchoExploreSettings", "EchoExploreTask", "ExploreMove"]


class ExploreMove(IntEnum):
    """What the body can do in a step."""

    MOVE_FORWARD = 0
    TURN_LEFT = 1
    TURN_RIGHT = 2


_WALKS = {move: Action[move.name] for move in ExploreMove}


@dataclass(frozen=True, kw_only=True)
class EchoExploreSettings:
    """The rules of exploring by echoes."""

    body: BodySettings = BodySettings()
    """What the body is like; its mouth is where its ears are."""
    echo: EchoSettings = field(default_factory=EchoSettings)
    """How echoes are simulated."""
    step_time: float = 0.25
    """Time between two clicks [s]."""
    max_steps: int = 1000
    """Steps after which the episode is cut off."""
    places: int = 500
    """Places of the floor that are to be covered, drawn uniformly over its area; a home always has the same."""
    reach: float = 1.0
    """A place is covered once the body could walk to it in a straight line of this length [m]."""
    enough: float = 0.95
    """Share of the places with which the episode succeeds and ends."""
    coverage_reward: float = 10.0
    """Reward of the whole floor; each step earns the share that it adds."""
    step_reward: float = -0.01
    """Reward of every step."""
    max_depth: float = 10.0
    """Largest depth of the sensor "depth" [m]."""
    map: MapSettings = field(default_factory=MapSettings)
    """The map that a body draws of where it has been."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            step_time=(1e-3, 60.0),
            max_steps=(1, 10**9),
            places=(1, 1_000_000),
            reach=(1e-3, 1000.0),
            enough=(0.0, 1.0),
            coverage_reward=(-1e9, 1e9),
            step_reward=(-1e9, 1e9),
            max_depth=(1e-3, 10_000.0),
        )
        if self.body.motion != "continuous":
            raise ConfigurationError("Setting body.motion is 'grid'; exploring by echoes has continuous motion only.")


class EchoExploreTask:
    """Cover the floor of a home you have never been in, with nothing but your own clicks to hear.

    ## Description
    At each step a linear sweep of 3 ms sounds where the body stands, and its ears hear what comes back. Nothing else
    sounds, and by default nothing is seen. A place of the floor is covered once the body has been within a metre of
    it, with nothing in between.

    ## Action Space
    ``Discrete(3)``: 0 move forward, 1 turn left, 2 turn right.

    ## Observation Space
    A ``Dict`` of the sensors asked for, spectrogram, pose and collision by default:

    | sensor | shape, type | what |
    |---|---|---|
    | waveform | (2, 2646) float32 | echo at the left and right ear, 60 ms at 44.1 kHz |
    | spectrogram | (257, 166, 2) float32 | its magnitude spectrogram, as in EchoDepth |
    | pose, collision, last_action | | as in AudioGoal |
    | rgb, depth, semantic, geometric_map | | as in AudioGoal |
    | oracle | Discrete(3) | privileged: the next action of the shortest path to the nearest place that is not covered |

    ## Rewards
    −0.01 a step, and ten times the share of the floor that it covers anew.

    ## Starting State
    A random place and heading.

    ## Episode End
    Terminated when 95 % of the floor are covered; truncated after 1000 steps. ``info`` holds ``success``, ``coverage``,
    ``area`` and more, see `measures`.

    ## Arguments
    preset "echo-explore", and those of every environment.

    ## Version History
    v0: first version.

    Args:
        settings: The rules.
        split: "train", "val" or "test".
    """

    rules = EchoExploreSettings
    stream: tuple[int, ...] = (6,)

    def __init__(self, settings: EchoExploreSettings, split: str):
        self.settings = settings
        self.shown: tuple[str, ...] = ("spectrogram", "pose", "collision")
        self.episode: EchoEpisode | None = None
        self.waveform: np.ndarray | None = None
        self.covered = np.zeros(0, bool)
        self._places = np.zeros((0, 3))
        self._target: int | None = None
        self._simulator: SimulatorProtocol | None = None
        self.maps = self._new_maps()

    def _new_maps(self) -> Maps:
        settings = self.settings
        return Maps(settings.map, settings.body, settings.max_depth, settings.step_time)

    @property
    def body(self) -> BodySettings:
        """What the body is like."""
        return self.settings.body

    @property
    def world(self) -> WorldSettings:
        """The worlds that it is played in."""
        return self.settings.body.world()

    @property
    def step_time(self) -> float:
        """Time that passes in a step [s]."""
        return self.settings.step_time

    @property
    def simulator(self) -> SimulatorProtocol:
        """The world that was entered last."""
        return entered(self._simulator)

    @property
    def actions(self) -> Choice:
        """What can be done in a step."""
        return Choice(names=tuple(move.name.lower().replace("_", " ") for move in ExploreMove))

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        sensors = [
            *echo_sensors(self._echo, self.settings.echo),
            *walk_sensors(lambda: self.walk, self.settings.step_time),
            *image_sensors(self.settings.body.camera, self.settings.max_depth),
            *map_sensors(lambda: self.maps, lambda: self.walk, self.settings.map, None),
            Sensor(
                name="oracle",
                space=self.actions,
                privileged=True,
                read=lambda views: np.int64(self.oracle_action()),
            ),
        ]
        return {sensor.name: sensor for sensor in sensors}

    def enter(self, simulator: SimulatorProtocol) -> None:
        """Continue in another world."""
        self._simulator = simulator
        self.walk = Walk(simulator, self.settings.body)
        body = self.settings.body
        # It stops at nothing but the place itself, since what is near may be behind a corner.
        self.oracle = PathOracle(simulator.ground, body.forward_step, body.turn_angle, 0.5 * body.forward_step)

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> EchoEpisode:
        """Draw an episode: a place on the floor and a heading.

        Args:
            rng: Generator of every random draw.
            episode_id: Name of the episode.
            scene: Name of the scene.

        Raises:
            EpisodeError: Of a hundred places none is free.
        """
        body, lift = self.settings.body, np.array([0.0, self.simulator.ear_height, 0.0])
        for _ in range(100):
            place = self.simulator.ground.random_point(rng)
            if not self.simulator.is_inside_solid(place + lift):
                x, y, z = (float(v) for v in place)
                heading = float(rng.integers(body.turns) * body.turn_angle)
                return EchoEpisode(episode_id=episode_id, scene=scene, position=(x, y, z), heading=heading)
        raise EpisodeError(
            f"{self.simulator.name}: at each of a hundred places the ears were inside something. Lower ear_height."
        )

    def read_episodes(self, path: str | Path) -> Sequence[EchoEpisode]:
        """Read episodes from a file that `harken episodes` wrote, or from JSON lines."""
        return read_episodes(path, EchoEpisode)

    def sources(self, episode: EchoEpisode) -> Sequence[Source]:
        """Return nothing: only the body sounds."""
        return ()

    def begin(self, episode: EchoEpisode) -> None:
        """Start an episode.

        Raises:
            NavigationError: There is no floor at its place.
        """
        start = np.array(episode.position)
        self.walk.begin(start, episode.heading, self.simulator.ground.snap(start), episode=episode.episode_id)
        self.episode, self.waveform, self._target, self.maps = episode, None, None, self._new_maps()
        rng = np.random.default_rng([*episode.scene.encode(), 1])
        self._places = np.array([self.simulator.ground.random_point(rng) for _ in range(self.settings.places)])
        self.covered = np.zeros(len(self._places), bool)
        self._cover()
        self._start_coverage = self.coverage

    def _cover(self) -> None:
        """Mark the places within reach that nothing stands before."""
        ground, here = self.simulator.ground, self.simulator.position
        way = self._places - here
        length = np.linalg.norm(way[:, [0, 2]], axis=1)
        for number in np.flatnonzero(~self.covered & (length <= self.settings.reach)):
            heading = float(np.arctan2(-way[number, 0], -way[number, 2]))
            end, blocked = ground.move(here, heading, float(length[number]))
            level = abs(float(end[1] - self._places[number, 1])) < 0.5  # a floor above or below is another
            self.covered[number] = not blocked and level

    def _echo(self) -> np.ndarray:
        if self.waveform is None:
            self.waveform = self.simulator.echo(self.settings.echo)
        return self.waveform

    def step(self, action: Any) -> Outcome:
        """Move, click and listen.

        Raises:
            ActionError: There is no such action.
        """
        before = self.coverage
        self.walk.act(_WALKS[ExploreMove(checked_action(action, ExploreMove))])
        self.waveform = None
        self._cover()
        settings = self.settings
        reward = settings.step_reward + settings.coverage_reward * (self.coverage - before)
        ended = self.success
        return Outcome(reward=float(reward), terminated=ended, truncated=not ended and self.steps >= settings.max_steps)

    def oracle_action(self) -> ExploreMove:
        """Return the next action of the shortest path to the nearest place that is not covered."""
        left = np.flatnonzero(~self.covered)
        here = self.simulator.position
        if len(left) == 0:
            return ExploreMove.TURN_LEFT
        if self._target is None or self.covered[self._target]:
            self._target = int(left[np.argmin(self.simulator.ground.distances(self._places[left], here))])
            self.oracle.set_goal(self._places[self._target])
        action = Action(self.oracle.action(here, self.simulator.heading))
        return ExploreMove.TURN_LEFT if action == Action.STOP else ExploreMove[action.name]

    def ways_left(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the shortest ways from places ``(n, 3)`` to where the oracle goes [m]."""
        self.oracle_action()  # which chooses a place
        target = self.simulator.position if self._target is None else self._places[self._target]
        return self.simulator.ground.distances(places, target)

    @property
    def steps(self) -> int:
        """Steps that the episode has taken."""
        return self.walk.steps

    @property
    def coverage(self) -> float:
        """Share of the places that are covered."""
        return float(self.covered.mean()) if len(self.covered) else 0.0

    @property
    def goal(self) -> None:
        """None: there is no place to find."""
        return None

    @property
    def distance(self) -> float:
        """NaN: there is no place to find."""
        return float("nan")

    @property
    def success(self) -> bool:
        """Whether enough of the floor is covered."""
        return bool(len(self.covered)) and self.coverage >= self.settings.enough

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            ``success``; ``coverage``, the share of the floor that is covered; ``area`` that is, with the share of
            `Ground.area` [m²]; ``gain``, the share that was covered since the start; ``steps``, ``path_length`` [m],
            ``collisions``.
        """
        return {
            "success": float(self.success),
            "coverage": self.coverage,
            "area": self.coverage * float(self.simulator.ground.area),
            "gain": self.coverage - self._start_coverage,
            "steps": float(self.walk.steps),
            "path_length": float(self.walk.path_length),
            "collisions": float(self.walk.collisions),
        }

    def info(self) -> dict[str, Any]:
        """Return the measures."""
        return dict(self.measures())

    def picture(self) -> None:
        """Return nothing: people look at the view beside a plan."""
