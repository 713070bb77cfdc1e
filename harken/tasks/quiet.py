"""Reaching a point while staying quiet at the ears of the people at home."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from harken.acoustics import Listener, Source
from harken.acoustics.bands import band_gains
from harken.checks import check_settings, checked_number, checked_point
from harken.errors import ConfigurationError, EpisodeError
from harken.sim import BodySettings, SimulatorProtocol
from harken.tasks.episodes import Episode, read_episodes
from harken.tasks.navigation import NavigationTask
from harken.tasks.navigation_rules import NavigationSettings
from harken.tasks.oracle import Oracle
from harken.tasks.protocol import Numbers, Outcome, Sensor
from harken.tasks.quiet_oracle import QuietMove, QuietOracle
from harken.tasks.robot_noise import RobotNoise
from harken.tasks.sensing import FARTHEST, oracle_sensor
from harken.tasks.walk import Action, checked_action

__all__ = ["EAR_HEIGHTS", "LOUDEST_LEVEL", "QuietEpisode", "QuietNavTask", "QuietSettings"]

EAR_HEIGHTS: tuple[float, float] = (1.2, 1.6)
"""Height of the ears of people who sit (as ISO 3382-1 has them) and of people who stand [m]."""

LOUDEST_LEVEL: float = 160.0
"""Bound of the sensor "noise" [dB(A)]."""

ATTEMPTS = 200
"""Draws of a person's place after which the home counts as too small."""

PLACES_KEPT = 4096
"""Places at which it is remembered how much of a noise reaches the ears; the plan of an oracle asks often."""


@dataclass(frozen=True, kw_only=True)
class QuietSettings(NavigationSettings):
    """The rules of quiet navigation."""

    body: BodySettings = BodySettings(ear_height=0.3)
    """What the robot is like. Its `ear_height` is the height at which its noise arises."""
    noise: RobotNoise = field(default_factory=RobotNoise)
    """How loud it is."""
    creep_step: float = 0.1
    """Length of a creeping step [m], less than `body.forward_step`; it takes as long as any step."""
    people: int = 2
    """How many people are at home, 1 to 20; episodes that are given may have fewer."""
    people_apart: float = 2.0
    """Least distance between two people [m]."""
    people_clearance: float = 1.0
    """Least distance from a person to start and goal [m]."""
    threshold: float = 45.0
    """Level at an ear from which on noise disturbs [dB(A)]. 45 dB is the greatest level of a single event in a bedroom
    at night in the WHO's Guidelines for Community Noise (1999, table 4.1)."""
    noise_reward: float = -0.05
    """Reward per step and decibel by which the loudest ear lies above the threshold."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_settings(
            self,
            creep_step=(1e-3, 10.0),
            people=(1, 20),
            people_apart=(0.0, 1000.0),
            people_clearance=(0.0, 1000.0),
            threshold=(0.0, LOUDEST_LEVEL),
            noise_reward=(-1e9, 0.0),
        )
        if self.body.motion != "continuous" or self.opens_doors:
            raise ConfigurationError(
                f"Settings body.motion is {self.body.motion!r} and opens_doors {self.opens_doors}; expected "
                "'continuous' and false: on a grid nothing creeps, and opening doors is no action here."
            )
        if self.creep_step >= self.body.forward_step:
            raise ConfigurationError(
                f"Setting creep_step is {self.creep_step:g} m, a step ahead {self.body.forward_step:g} m; expected a "
                "creeping step that is shorter. Lower it."
            )

    def speed(self, move: IntEnum | None) -> float:
        """Return how fast the robot moves in a step [m/s]; its outside, where it turns."""
        if move in (QuietMove.TURN_LEFT, QuietMove.TURN_RIGHT):
            return self.body.turn_angle * self.body.size.radius / self.step_time
        lengths = {QuietMove.MOVE_FORWARD: self.body.forward_step, QuietMove.CREEP: self.creep_step}
        return lengths.get(move, 0.0) / self.step_time  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class QuietEpisode(Episode):
    """An episode with people who listen.

    Raises:
        EpisodeError: A field is not valid, or places and heights differ in number.
    """

    people: tuple[tuple[float, float, float], ...] = ()
    """Where they are, on the floor [m]."""
    ear_heights: tuple[float, ...] = ()
    """Height of each one's ears above that [m], 0.1–3."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        where = f"Episode {self.episode_id!r}:"
        people, heights = self.people, self.ear_heights
        if not all(isinstance(rows, list | tuple) for rows in (people, heights)) or len(people) != len(heights):
            raise EpisodeError(
                f"{where} people are {people!r:.80} and ear_heights {heights!r:.80}; expected as many places [x, y, z] "
                "as heights."
            )
        places = tuple(checked_point(f"{where} people", place, error=EpisodeError) for place in people)
        object.__setattr__(self, "people", tuple(tuple(place.tolist()) for place in places))
        checked = (checked_number(f"{where} ear_heights", h, 0.1, 3.0, unit="m", error=EpisodeError) for h in heights)
        object.__setattr__(self, "ear_heights", tuple(checked))

    @property
    def ears(self) -> np.ndarray:
        """``(people, 3)`` where the ears of the people are [m]."""
        lift = np.array(self.ear_heights)[:, None] * [0.0, 1.0, 0.0]
        return np.array(self.people).reshape(-1, 3) + lift.reshape(-1, 3)


class QuietNavTask(NavigationTask):
    """Reach a point in a home you have never been in, and stay quiet at the ears of the people there.

    ## Description
    The place of the goal is given as in PointGoal. The robot is loud: its motors, and its steps on the floor, the more
    so the faster it moves and the harder the floor (`harken.tasks.robot_noise`). How much of it arrives at the ears of
    the people is propagated through the home. They do not move, stand in nobody's way and are not seen. After Jain,
    Veerapaneni and Bisk: "ANAVI: Audio Noise Awareness using Visuals of Indoor environments for NAVIgation" (CoRL
    2024).

    ## Action Space
    ``Discrete(5)``: 0 stop, 1 move forward, 2 turn left, 3 turn right, 4 creep: forward by 0.1 m in the time of a step.

    ## Observation Space
    Sensors of PointGoal, of which depth and pointgoal are shown unless others are asked for, and these:

    | sensor | shape, type | what |
    |---|---|---|
    | people | (6,) float32 | shown; of each person 1, metres ahead and to the left; zeros where there is nobody |
    | noise | (1,) float32 | shown; level at the loudest ear in the last step [dB(A)] |
    | last_action | Discrete(6) | 0 at the start, then 1 + the action before |
    | oracle | Discrete(5) | privileged: the action of the shortest path |
    | quiet_oracle | Discrete(5) | privileged: the action of the way on which steps and noise cost least |

    ## Rewards
    As in PointGoal, and −0.05 per step and decibel by which the level at the loudest ear exceeds 45 dB(A).

    ## Starting State
    As in PointGoal. Two people sit or stand at random places, at least 2 m apart and 1 m from start and goal.

    ## Episode End
    Terminated by stop; truncated after 500 steps. ``info`` has the measures of PointGoal, ``quiet_success``,
    ``noise_mean``, ``noise_max`` and ``noise_above``, see `measures`.

    ## Arguments
    preset "quietnav", and those of every environment. ``sensors`` leaves out what the robot shall not know, such as
    where the people are.

    ## Version History
    v0: first version.

    Args:
        settings: The rules.
        split: "train", "val" or "test".
    """

    rules = QuietSettings
    stream: tuple[int, ...] = (8,)
    settings: QuietSettings  # type: ignore[bad-override]

    def __init__(self, settings: QuietSettings, split: str):
        super().__init__(settings, split, sound=None, shows_goal=True)
        self.shown = (*self.shown, "people", "noise")
        self.levels = np.zeros(0)
        self._ears: tuple[Source, ...] = ()
        self._last: QuietMove | None = None
        self._start_over()

    def _start_over(self) -> None:
        """Forget the noise of the last episode."""
        self._noise_energy, self._noise_max, self._above = 0.0, 0.0, 0
        self._gains: dict[bytes, np.ndarray] = {}
        self._quiet: QuietOracle | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the plan of the oracle: it makes the same again."""
        return {**vars(self), "_quiet": None}

    @property
    def choices(self) -> tuple[IntEnum, ...]:
        """What the robot can do."""
        return tuple(QuietMove)

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        people = self.settings.people
        sensors = [
            Sensor(
                name="people",
                space=Numbers(shape=(3 * people,), low=-FARTHEST, high=FARTHEST),
                read=lambda views: self._seen_people(),
            ),
            Sensor(
                name="noise",
                space=Numbers(shape=(1,), low=0.0, high=LOUDEST_LEVEL),
                read=lambda views: np.array([min(self.noise, LOUDEST_LEVEL)], np.float32),
            ),
            dataclasses.replace(
                oracle_sensor(lambda: 0 if self._last is None else self._last + 1, self.choices, name="last_action"),
                privileged=False,
            ),
            oracle_sensor(self.quiet_action, self.choices, name="quiet_oracle"),
        ]
        return {**super().sensors, **{sensor.name: sensor for sensor in sensors}}

    def _seen_people(self) -> np.ndarray:
        """Return ``(3 people,)`` float32: for each person 1, and where that is; zeros where there is none."""
        seen = np.zeros((self.settings.people, 3), np.float32)
        for row, ear in zip(seen, self._ears, strict=False):
            row[0], row[1:] = 1.0, self.walk.ahead_and_left(ear.position)
        return seen.ravel()

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> QuietEpisode:
        """Draw an episode in the world; see `NavigationTask.sample`.

        Raises:
            EpisodeError: The world has not so many places for people.
        """
        usual = super().sample(rng, episode_id=episode_id, scene=scene)
        people: list[np.ndarray] = []
        heights: list[float] = []
        for _ in range(self.settings.people):
            heights.append(EAR_HEIGHTS[int(rng.integers(2))])
            people.append(self._sample_person(rng, usual, people, heights[-1]))
        more: dict[str, Any] = {
            "people": tuple(tuple(place.tolist()) for place in people),
            "ear_heights": tuple(heights),
        }
        return QuietEpisode(**more | {f.name: getattr(usual, f.name) for f in dataclasses.fields(usual)})

    def _sample_person(
        self, rng: np.random.Generator, episode: Episode, others: Sequence[np.ndarray], height: float
    ) -> np.ndarray:
        """Return a place ``(3,)`` on the floor for a person with ears at some height [m]."""
        settings, ends = self.settings, (episode.start_position, episode.goal_position)
        for _ in range(ATTEMPTS):
            place = self.simulator.ground.random_point(rng)
            apart = min((math.dist(place, other) for other in others), default=math.inf)
            clear = min(math.dist(place, end) for end in ends)
            is_free = apart >= settings.people_apart and clear >= settings.people_clearance
            if is_free and not self.simulator.is_inside_solid(place + [0.0, height, 0.0]):
                return place
        raise EpisodeError(
            f"{self.simulator.name}: {settings.people} people do not fit in, {settings.people_apart:g} m apart and "
            f"{settings.people_clearance:g} m from start and goal; {ATTEMPTS} places were tried for number "
            f"{len(others) + 1}. Use fewer people, lower people_apart or people_clearance, or use a larger scene."
        )

    def read_episodes(self, path: str | Path) -> Sequence[QuietEpisode]:
        """Read episodes from a file that `harken episodes` wrote, or from JSON lines."""
        return read_episodes(path, QuietEpisode)

    def sources(self, episode: Episode) -> Sequence[Source]:
        """Return the ears of the people.

        Sound takes a way in both directions alike (reciprocity: Rayleigh, The Theory of Sound, §294). So an ear at
        rest stands for a source, whose field is traced once, and the robot for the listener.
        """
        return [Source(position=ear) for ear in episode.ears] if isinstance(episode, QuietEpisode) else []

    def begin(self, episode: Episode) -> None:
        """Start an episode; see `NavigationTask.begin`.

        Raises:
            EpisodeError: The episode has more people than the settings, or its goal cannot be reached.
        """
        ears = tuple(self.sources(episode))
        if len(ears) > self.settings.people:
            raise EpisodeError(
                f"Episode {episode.episode_id!r} has {len(ears)} people, the settings say {self.settings.people}; set "
                f"people to {len(ears)}."
            )
        self._start_over()
        self._ears, self._last = ears, None
        super().begin(episode)
        self.levels = self.levels_at(self.simulator.position, None)

    def enter(self, simulator: SimulatorProtocol) -> None:
        """Continue in another world."""
        super().enter(simulator)
        self._start_over()

    def levels_at(self, place: np.ndarray, move: QuietMove | None) -> np.ndarray:
        """Return the level at every ear in a step that ends at a place.

        Args:
            place: ``(3,)`` on the floor [m].
            move: What the robot does; None for standing still.

        Returns:
            ``(people,)`` float64 [dB(A) re 20 µPa], 0 or more.
        """
        floor = self.simulator.floor_material(place)
        power = self.settings.noise.weighted_power(self.settings.speed(move), floor)
        return 10.0 * np.log10(np.maximum(self._gains_at(place) @ power, 1.0))

    def _gains_at(self, place: np.ndarray) -> np.ndarray:
        """Return ``(people, bands)`` what of a noise at a place arrives at every ear, 1 for 1 m in the free field."""
        key = place.tobytes()
        if key not in self._gains:
            if len(self._gains) >= PLACES_KEPT:
                self._gains.clear()
            here = Listener(position=place + self.lift, format="mono")
            found = [self.simulator.impulse_response(ear, here).samples[0] for ear in self._ears]
            rate = self.simulator.rate
            self._gains[key] = band_gains(np.stack(found), rate) if found else np.zeros((0, 7))
        return self._gains[key]

    @property
    def noise(self) -> float:
        """Level at the loudest ear in the last step [dB(A)]; that of the robot at rest at the start."""
        return float(self.levels.max(initial=0.0))

    def excess(self, levels: np.ndarray) -> float:
        """Return by how much the loudest of some levels lies above the threshold [dB], 0 where it does not."""
        return max(0.0, float(levels.max(initial=0.0)) - self.settings.threshold)

    def step(self, action: Any) -> Outcome:
        """Take one action, let the time of a step pass, and reward it.

        Raises:
            ActionError: The action is not one of `QuietMove`.
        """
        move = QuietMove(checked_action(action, QuietMove))
        settings, before = self.settings, self.walk.distance
        creeps = move == QuietMove.CREEP
        walks = Action.MOVE_FORWARD if creeps else Action(move)
        self.walk.act(walks, step=settings.creep_step if creeps else None)
        self._last = move
        outcome = self.finish_step(before, stopped=move == QuietMove.STOP)
        self.levels = self.levels_at(self.simulator.position, move)
        excess = self.excess(self.levels)
        self._noise_energy += 10.0 ** (self.noise / 10.0)
        self._noise_max = max(self._noise_max, self.noise)
        self._above += excess > 0.0
        return dataclasses.replace(outcome, reward=outcome.reward + settings.noise_reward * excess)

    def quiet_action(self) -> int:
        """Return the next action of the way on which steps and noise cost least reward."""
        if self._quiet is None:
            self._quiet = self._plan()
        return int(self._quiet.action(self.simulator.position, self.simulator.heading))

    def _plan(self) -> QuietOracle:
        settings, body = self.settings, self.settings.body
        shortest: Oracle = self.oracle
        quiet = QuietOracle(
            self.simulator.ground,
            self._price,
            step=body.forward_step,
            creep=settings.creep_step,
            turn=body.turn_angle,
            stop_distance=settings.stop_distance,
            shortest=shortest,
        )
        quiet.set_goal(self.walk.goal)
        return quiet

    def _price(self, place: np.ndarray, move: QuietMove) -> float:
        """Return the reward that a step which ends at a place costs, at least a little."""
        settings = self.settings
        lost = -settings.step_reward - settings.noise_reward * self.excess(self.levels_at(place, move))
        return max(lost, 1e-6)

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            Those of `NavigationTask.measures`, and of the level at the loudest ear in each step ``noise_mean``, the
            equivalent continuous level (10 lg of the mean of 10^(L/10), ISO 1996-1) [dB(A)], ``noise_max`` [dB(A)],
            and ``noise_above``, the share of steps above the threshold; ``quiet_success``, 1 for a success with no
            step above the threshold. Before the first step the levels are those of the robot at rest.
        """
        found, steps = super().measures(), self.steps
        mean = 10.0 * math.log10(self._noise_energy / steps) if steps else self.noise
        found["quiet_success"] = found["success"] * (self._above == 0)
        found["noise_mean"] = mean
        found["noise_max"] = self._noise_max if steps else self.noise
        found["noise_above"] = self._above / max(steps, 1)
        return found
