"""Finding a goal: by its sound (AudioGoal), by its place (PointGoal), or by both (AudioPointGoal).

Rules, reward and measures are those of SoundSpaces (Chen et al. 2020) and Habitat (Anderson et al. 2018).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.acoustics import AcousticSettings, Source
from harken.checks import check_settings
from harken.errors import ConfigurationError, EpisodeError
from harken.sim import BodySettings, SimulatorProtocol, SoundSource, WorldSettings
from harken.sim.settings import Engine
from harken.tasks.episodes import Episode, read_episodes
from harken.tasks.habitat_episodes import is_habitat_file, read_habitat_episodes, to_episodes
from harken.tasks.oracle import make_oracle
from harken.tasks.protocol import Choice, Numbers, Outcome, Sensor, entered
from harken.tasks.sensing import FARTHEST, image_sensors, oracle_sensor, sound_sensors, walk_sensors
from harken.tasks.sounds import Sounds
from harken.tasks.walk import WALKING, Action, Walk, checked_action, draw_doors, set_doors

__all__ = ["NavigationSettings", "NavigationTask", "efficiency", "progress"]


@dataclass(frozen=True, kw_only=True)
class NavigationSettings:
    """The rules of a navigation task. The defaults are those of SoundSpaces 2.0's continuous AudioGoal."""

    body: BodySettings = BodySettings()
    """What the body is like."""
    propagation: Engine = "harken"
    """Engine that propagates sound."""
    acoustics: AcousticSettings = field(default_factory=AcousticSettings)
    """How sound is propagated."""
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
    most_distance: float | None = None
    """Greatest geodesic distance from start to goal of a sampled episode [m]; None for any."""
    goals_per_home: int = 0
    """Places of a home among which goals are drawn, so that training hears each of them often; 0 for anywhere."""
    doors: Literal["open", "random"] = "open"
    """How doors stand when an episode begins: all open, or each drawn, half of them open, the others ajar or closed."""
    opens_doors: bool = False
    """Whether the body opens and closes the door ahead with an action of its own. Where it does not, an episode's
    start and goal are on the same side of closed doors."""
    observation_time: float = 1.0
    """Length of the waveform that is observed [s], up to 60: the step's sound, padded with zeros at the end."""
    max_depth: float = 10.0
    """Largest depth that is observed [m]; what is farther is clipped to it."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            step_time=(1e-3, 60.0),
            success_distance=(1e-3, 1000.0),
            max_steps=(1, 10**9),
            success_reward=(-1e9, 1e9),
            step_reward=(-1e9, 1e9),
            distance_reward=(-1e9, 1e9),
            least_distance=(0.0, 1e6),
            most_distance=(0.0, 1e6),
            goals_per_home=(0, 1_000_000),
            observation_time=(1e-3, 60.0),
            max_depth=(1e-3, 10_000.0),
        )
        if self.most_distance is not None and self.most_distance < self.least_distance:
            raise ConfigurationError(
                f"Settings least_distance {self.least_distance!r} and most_distance {self.most_distance!r} m; expected "
                "the least not above the most."
            )
        if self.observation_time < self.step_time:
            raise ConfigurationError(
                f"Setting observation_time is {self.observation_time} s, less than step_time, {self.step_time} s: "
                "sound would be lost. Raise it."
            )

    @property
    def world(self) -> WorldSettings:
        """The worlds that the task is played in."""
        return self.body.world(self.acoustics, self.propagation)


class NavigationTask:
    """Find a goal in a home you have never been in.

    ## Description
    In AudioGoal the goal sounds and is found by ear and eye; in PointGoal its place relative to the body is given and
    nothing sounds; AudioPointGoal gives both. Rules, reward and measures are those of SoundSpaces. Homes are
    generated: a different, never repeated set for each split.

    ## Action Space
    ``Discrete(4)``: 0 stop, 1 move forward, 2 turn left, 3 turn right. With the setting `opens_doors` there is a fifth,
    4 use door: it opens the door within a metre ahead, or closes it if it is open.

    ## Observation Space
    A ``Dict`` of the sensors asked for:

    | sensor | shape, type | what |
    |---|---|---|
    | rgb | (128, 128, 3) uint8 | colour image |
    | depth | (128, 128, 1) float32 | distance along the optical axis [m], at most `max_depth`, 0 where nothing is hit |
    | semantic | (128, 128, 1) int32 | category, an index into ``env.unwrapped.categories``, the same in all homes |
    | waveform | (2, 16000) float32 | sound of the step at the left and right ear, then zeros |
    | spectrogram | (65, 26, 2) float32 | log-magnitude spectrogram of the waveform, as SoundSpaces' sensor |
    | pose | (4,) float32 | metres ahead and to the left of the start, angle turned [rad], time [s] |
    | collision | (1,) float32 | 1 if the last action ran into something |
    | pointgoal | (2,) float32 | metres ahead and to the left to the goal (not in AudioGoal) |
    | oracle | Discrete(4) | privileged: the action of the shortest path |

    AudioGoal shows depth and spectrogram unless others are asked for, AudioPointGoal pointgoal besides, PointGoal
    depth and pointgoal.

    ## Rewards
    −0.01 a step, plus the metres by which the geodesic distance to the goal fell, plus 10 for a stop at the goal.

    ## Starting State
    A random place and heading, at least 2 m from the goal by the shortest path. ``reset(options={"episode": i})``
    starts episode ``i`` of the split (or of the given episodes), the same for everybody.

    ## Episode End
    Terminated by stop; truncated after 500 steps. ``info`` holds the measures of `measures`, ``is_success`` and
    ``loudness`` at every step.

    ## Arguments
    preset ("soundspaces2", continuous, or "soundspaces1", grid), sound, scenes, and those of every environment.
    ``episodes`` may be a file of Habitat's PointNav or SoundSpaces' AudioNav (``val.json.gz``).

    ## Version History
    v2: reverberation that belongs to places. v1: the categories of "semantic" are the same in all homes; ``is_success``
    at every step. v0: first version.

    Args:
        settings: The rules.
        split: "train", "val" or "test": which sounds.
        sound: "telephone", another clip or category, "heard", "unheard", or the path of a recording or folder; None
            where nothing sounds.
        shows_goal: Whether the goal's place is given to the agent.
        scenes: Folder of the scenes that episode files of Habitat and SoundSpaces name, such as
            ``data/scene_datasets``; looked for in the folders above the file by default.

    Raises:
        UnknownNameError: There is no such sound.
        SoundError: A recording cannot be used.
    """

    rules = NavigationSettings
    stream: tuple[int, ...] = ()

    def __init__(
        self,
        settings: NavigationSettings,
        split: str,
        *,
        sound: str | None = "telephone",
        shows_goal: bool = False,
        scenes: str | Path | None = None,
    ):
        self.settings = settings
        self.sounds = None if sound is None else Sounds(sound, split, settings.acoustics.rate)
        sensors = () if sound is None else ("spectrogram",)
        self.shown: tuple[str, ...] = ("depth", *sensors, *(("pointgoal",) if shows_goal else ()))
        self.episode: Episode | None = None
        self.waveform: np.ndarray | None = None
        self.stopped = False
        self._shows_goal, self._scenes = shows_goal, scenes
        self._simulator: SimulatorProtocol | None = None
        self._oracle_actions: int | None = None

    @property
    def body(self) -> BodySettings:
        """What the body is like."""
        return self.settings.body

    @property
    def world(self) -> WorldSettings:
        """The worlds that it is played in."""
        return self.settings.world

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
        return Choice(names=tuple(action.name.lower().replace("_", " ") for action in self._choices))

    @property
    def _choices(self) -> tuple[Action, ...]:
        return tuple(Action) if self.settings.opens_doors else WALKING

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        settings = self.settings
        sensors = [
            *image_sensors(settings.body.camera, settings.max_depth),
            *walk_sensors(lambda: self.walk, settings.step_time),
            oracle_sensor(self._oracle_action, self._choices),
        ]
        if self.sounds is not None:
            samples = round(settings.observation_time * settings.acoustics.rate)
            sensors += sound_sensors(self._heard, samples)
        if self._shows_goal:
            sensors.append(
                Sensor(
                    name="pointgoal",
                    space=Numbers(shape=(2,), low=-FARTHEST, high=FARTHEST),
                    read=lambda views: self.walk.ahead_and_left(self.walk.goal),
                )
            )
        return {sensor.name: sensor for sensor in sensors}

    def enter(self, simulator: SimulatorProtocol) -> None:
        """Continue in another world."""
        self._simulator, ground = simulator, None
        if self.settings.opens_doors:
            set_doors(simulator, ())
            ground = simulator.ground
        self.walk = Walk(simulator, self.settings.body, ground)
        self.oracle = make_oracle(self.walk.ground, self.settings.body, self.settings.success_distance)

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> Episode:
        """Draw an episode in the world.

        Args:
            rng: Generator of every random draw.
            episode_id: Name of the episode.
            scene: Name of the scene.

        Raises:
            EpisodeError: The world has no two places far enough apart.
        """
        sound, seconds = "", 0.0
        if self.sounds is not None:
            sound = self.sounds.names[int(rng.integers(len(self.sounds.names)))]
            seconds = self.sounds.clip(sound).duration
        doors = draw_doors(self.simulator, rng) if self.settings.doors == "random" else ()
        set_doors(self.simulator, doors)
        start, goal, distance = self._sample_places(rng, scene)
        body = self.settings.body
        return Episode(
            episode_id=episode_id,
            scene=scene,
            start_position=tuple(start.tolist()),
            start_heading=float(rng.integers(body.turns) * body.turn_angle),
            goal_position=tuple(goal.tolist()),
            sound=sound,
            sound_offset=float(rng.uniform(0.0, seconds)) if seconds > 0 else 0.0,
            doors=doors,
            geodesic_distance=distance,
        )

    def _sample_places(self, rng: np.random.Generator, scene: str) -> tuple[np.ndarray, np.ndarray, float]:
        """Return a start, a goal and the length of the path between them."""
        simulator, least, best = self.simulator, self.settings.least_distance, -1.0
        greatest = self.settings.most_distance
        greatest = np.inf if greatest is None else greatest
        ground, lift = self.walk.ground, np.array([0.0, simulator.ear_height, 0.0])

        def in_a_leaf(place: np.ndarray) -> bool:
            return ground is not simulator.ground and not simulator.ground.is_free(place)

        goals = self.settings.goals_per_home
        for _ in range(20):
            goal = ground.random_point(rng if goals == 0 else _generator(scene, int(rng.integers(goals))))
            if simulator.is_inside_solid(goal + lift) or in_a_leaf(goal):
                continue
            for _ in range(10):
                start = ground.random_point(rng)
                distance = ground.distance(start, goal)
                best = max(best, distance if np.isfinite(distance) else -1.0)
                if np.isfinite(distance) and least <= distance <= greatest and not in_a_leaf(start):
                    return start, goal, float(distance)
        bound = "" if greatest == np.inf else f" to {greatest:g}"
        raise EpisodeError(
            f"{simulator.name}: no start and goal are {least:g}{bound} m apart; the farthest pair of 200 was "
            f"{best:.2f} m. Use a larger scene, lower least_distance, or raise most_distance."
        )

    def read_episodes(self, path: str | Path) -> Sequence[Episode]:
        """Read episodes from a file of JSON lines, or of Habitat's PointNav or SoundSpaces' AudioNav (``.json.gz``).

        Raises:
            EpisodeError: The file cannot be used, one of its scenes is not found, or it has no sounds to search for.
        """
        if not is_habitat_file(path):
            return read_episodes(path)
        source = read_habitat_episodes(path)
        if self.sounds is not None and source.task == "pointnav":
            raise EpisodeError(
                f"{str(path)!r} holds episodes of PointNav, where nothing sounds. Play them in PointGoal, or give "
                "episodes of AudioNav."
            )
        return to_episodes(source, scenes=self._scenes, file=path)

    def sources(self, episode: Episode) -> Sequence[Source]:
        """Return what sounds at the beginning of an episode."""
        if self.sounds is None:
            return ()
        return (Source(position=np.array(episode.goal_position) + self._lift, moving=bool(episode.trajectory)),)

    @property
    def _lift(self) -> np.ndarray:
        return np.array([0.0, self.simulator.ear_height, 0.0])

    def begin(self, episode: Episode) -> None:
        """Start an episode: put the body at its start and let the goal sound.

        Raises:
            EpisodeError: There is no path from start to goal, or its sound does not belong to the environment.
        """
        simulator = self.simulator
        set_doors(simulator, episode.doors)
        if not self.settings.opens_doors and simulator.doors:
            self.oracle = make_oracle(simulator.ground, self.settings.body, self.settings.success_distance)
        self.walk.begin(
            episode.start_position, episode.start_heading, np.array(episode.goal_position), episode=episode.episode_id
        )
        simulator.set_sources([] if self.sounds is None else [self._source(episode, self.sounds)])
        self.oracle.set_goal(self.walk.goal)
        self.episode, self.stopped = episode, False
        self._way = episode.goal_way()
        self._beginning = simulator.position.copy(), simulator.heading, self.walk.goal
        self._oracle_actions = None
        if self.settings.opens_doors:  # counted with the doors as they are now
            self._oracle_actions = self.oracle_actions
        self._hear()

    def _source(self, episode: Episode, sounds: Sounds) -> SoundSource:
        clip = sounds.clip(episode.sound).samples
        return SoundSource(
            position=np.array(episode.goal_position) + self._lift,
            samples=clip,
            offset=round(episode.sound_offset * self.simulator.rate) % len(clip),
            onset=episode.onset,
            duration=float("inf") if episode.duration is None else episode.duration,
            trajectory=episode.goal_way(self.simulator.ear_height),
        )

    def _hear(self) -> None:
        """Let the time of a step pass; the sound is kept for observations, loudness and recordings."""
        if self.sounds is not None:
            self.waveform = self.simulator.hear(round(self.settings.step_time * self.simulator.rate))

    def _heard(self) -> np.ndarray:
        assert self.waveform is not None
        return self.waveform

    def _oracle_action(self) -> int:
        simulator = self.simulator
        action = self.oracle.action(simulator.position, simulator.heading)
        if not self.settings.opens_doors or action != Action.MOVE_FORWARD:
            return action
        ahead = simulator.door_ahead()
        if ahead is None or simulator.doors[ahead] == "open":
            return action
        _, blocked = simulator.ground.move(simulator.position, simulator.heading, self.settings.body.forward_step)
        return int(Action.USE_DOOR) if blocked else action

    def step(self, action: Any) -> Outcome:
        """Take one action, let the time of a step pass, and reward it.

        A moving goal counts with its position at the end of the step; for a stop, with its position when the body
        stopped.

        Raises:
            ActionError: The action is not one of `Action`.
            EpisodeError: No path leads from the body to the goal.
        """
        move = Action(checked_action(action, self._choices))
        settings, before = self.settings, self.walk.distance
        self.walk.act(move)
        self.stopped = move == Action.STOP
        self._hear()
        if self._way is not None and not self.stopped:
            self.walk.move_goal(self.simulator.ground.snap(self._way.position(self.steps * settings.step_time)))
            self.oracle.set_goal(self.walk.goal)
        reward = settings.step_reward + settings.distance_reward * (before - self.walk.distance)
        if self.success:
            reward += settings.success_reward
        return Outcome(
            reward=float(reward),
            terminated=self.stopped,
            truncated=not self.stopped and self.steps >= settings.max_steps,
        )

    @property
    def steps(self) -> int:
        """Steps that the episode has taken."""
        return self.walk.steps

    @property
    def oracle_actions(self) -> int:
        """Actions that the oracle takes from start to goal, stop included, where the goal stays."""
        if self._oracle_actions is None:  # counted on demand: most episodes of an untrained agent never ask
            position, heading, goal = self._beginning
            self.oracle.set_goal(goal)
            self._oracle_actions = self.oracle.count_actions(position, heading)
            self.oracle.set_goal(self.walk.goal)
        return self._oracle_actions

    @property
    def goal(self) -> np.ndarray:
        """``(3,)`` where the goal is now, on the floor [m]."""
        return self.walk.goal

    @property
    def distance(self) -> float:
        """Geodesic distance to the goal [m]."""
        return self.walk.distance

    @property
    def success(self) -> bool:
        """Whether the body stopped at the goal."""
        return bool(self.stopped and self.walk.distance < self.settings.success_distance)

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            ``success``; ``spl`` = S·l/max(p, l) (Anderson et al. 2018, eq. 1); ``soft_spl`` with progress in place of
            success (Datta et al. 2020); ``sna`` = S·n*/max(n*, n) with n* the oracle's actions (Chen et al. 2021);
            ``distance_to_goal`` [m] and ``normalized_distance_to_goal`` = that over the distance at the start;
            ``steps``, ``path_length`` [m], ``collisions``. A body that starts on the goal and stays has used the
            shortest way, of no length: l/max(p, l) and the progress are 1 then, and the normalised distance 0.
        """
        walk, success = self.walk, float(self.success)
        used = efficiency(walk.start_distance, walk.path_length)
        return {
            "success": success,
            "spl": success * used,
            "soft_spl": progress(walk.start_distance, walk.distance) * used,
            "sna": self.oracle_actions / max(self.oracle_actions, walk.steps, 1) if success else 0.0,
            "distance_to_goal": float(walk.distance),
            "normalized_distance_to_goal": walk.distance / max(walk.start_distance, 1e-9),
            "steps": float(walk.steps),
            "path_length": float(walk.path_length),
            "collisions": float(walk.collisions),
        }

    def info(self) -> dict[str, Any]:
        """Return the measures."""
        return dict(self.measures())

    def picture(self) -> None:
        """Return nothing: people look at the view beside a plan."""


def _generator(scene: str, number: int) -> np.random.Generator:
    """Return the generator of one of the places that belong to a scene."""
    return np.random.default_rng([*scene.encode(), number])


def efficiency(shortest: float, walked: float) -> float:
    """Return l/max(p, l), 1 where both are 0: with no distance to go, staying is the shortest path.

    Args:
        shortest: Length of the shortest path l [m].
        walked: Length of the path that was walked p [m].
    """
    return 1.0 if walked <= shortest else shortest / walked


def progress(start: float, now: float) -> float:
    """Return the relative fall of a distance, 0 where it rose, 1 where it was 0 and still is.

    Args:
        start: Distance at the start [m].
        now: Distance now [m].
    """
    if start <= 0.0:
        return 1.0 if now <= 0.0 else 0.0
    return max(0.0, 1.0 - now / start)
