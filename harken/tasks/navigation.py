"""Finding a goal: by its sound (AudioGoal), by its place (PointGoal), or by both (AudioPointGoal).

Rules, reward and measures are those of SoundSpaces (Chen et al. 2020) and Habitat (Anderson et al. 2018).
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from harken.acoustics import Source
from harken.errors import EpisodeError
from harken.scene import DoorState
from harken.sim import BodySettings, SimulatorProtocol, SoundSource, WorldSettings
from harken.tasks.difficulty import DIFFICULTIES, detour, has_difficulty
from harken.tasks.efficiency import efficiency, progress
from harken.tasks.episode_lists import is_episode_list, read_episode_list
from harken.tasks.episodes import Episode, read_episodes
from harken.tasks.habitat_episodes import is_habitat_file, read_habitat_episodes, to_episodes
from harken.tasks.mapping import Maps, map_sensors
from harken.tasks.navigation_rules import NavigationSettings
from harken.tasks.oracle import make_oracle
from harken.tasks.protocol import Choice, Numbers, Outcome, Sensor, entered
from harken.tasks.sensing import (
    FARTHEST,
    image_sensors,
    interaural_sensors,
    oracle_sensor,
    sound_sensors,
    walk_sensors,
)
from harken.tasks.sounds import Sounds
from harken.tasks.walk import WALKING, Action, Walk, checked_action, draw_doors, set_doors

__all__ = ["NavigationTask"]

STARTS = 10
"""Starts that are drawn for a goal before another goal is."""

STARTS_OF_A_DIFFICULTY = 100
"""The same where the way has to have a difficulty: asking for one more start is cheap, for one more goal is not."""


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
    | interaural | (135,) float32 | in five bands: correlation of the ears at 25 lags, level difference, level [dB] |
    | pose | (4,) float32 | metres ahead and to the left of the start, angle turned [rad], time [s] |
    | collision | (1,) float32 | 1 if the last action ran into something |
    | last_action | Discrete(6) | 0 at the start, then 1 + the action before |
    | pointgoal | (2,) float32 | metres ahead and to the left to the goal (not in AudioGoal) |
    | geometric_map | (200, 200, 2) uint8 | around the body, 0.1 m a cell: occupied, explored (255 or 0); ahead is up |
    | acoustic_map | (20, 20, 1) float32 | around it, 0.5 m a cell: intensity where it has been (not in PointGoal) |
    | oracle | Discrete(4) | privileged: the action of the shortest path |
    | goal_location | (2,) float32 | privileged: metres ahead and to the left to the goal, to train predictors with |
    | way_location | (2,) float32 | privileged: the same to where the shortest path first turns, or to the goal |

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
        return Choice(names=tuple(action.name.lower().replace("_", " ") for action in self.choices))

    @property
    def choices(self) -> tuple[IntEnum, ...]:
        """What the body can do."""
        return tuple(Action) if self.settings.opens_doors else WALKING

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        settings = self.settings
        sensors = [
            *image_sensors(settings.body.camera, settings.max_depth),
            *walk_sensors(lambda: self.walk, settings.step_time),
            oracle_sensor(self.oracle_action, self.choices),
        ]
        heard = None if self.sounds is None else self._heard
        sensors += map_sensors(lambda: self.maps, lambda: self.walk, settings.map, heard)
        if self.sounds is not None:
            rate = settings.acoustics.rate
            sensors += sound_sensors(self._heard, round(settings.observation_time * rate))
            sensors += interaural_sensors(self._heard, rate, round(settings.step_time * rate))
        place = Numbers(shape=(2,), low=-FARTHEST, high=FARTHEST)
        if self._shows_goal:
            sensors.append(
                Sensor(name="pointgoal", space=place, read=lambda views: self.walk.ahead_and_left(self.walk.goal))
            )
        places = {"goal_location": lambda: self.goal_location, "way_location": lambda: self.walk.first_corner()}
        sensors += [
            Sensor(name=name, space=place, privileged=True, read=lambda views, at=at: self.walk.ahead_and_left(at()))
            for name, at in places.items()
        ]
        return {sensor.name: sensor for sensor in sensors}

    @property
    def goal_location(self) -> np.ndarray:
        """``(3,)`` where the goal is that is gone to, or where it sounds [m]."""
        return self.walk.goal

    def enter(self, simulator: SimulatorProtocol) -> None:
        """Continue in another world."""
        self._simulator, ground = simulator, None
        if self.settings.opens_doors:
            set_doors(simulator, ())
            ground = simulator.ground
        self.walk = Walk(simulator, self.settings.body, ground)
        self.oracle = make_oracle(self.walk.ground, self.settings.body, self.settings.stop_distance)

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
        doors = self._sample_doors(rng)
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

    def _sample_doors(self, rng: np.random.Generator) -> tuple[tuple[str, DoorState], ...]:
        """Draw how the doors stand, and let them stand so; returns those that are not open."""
        doors = draw_doors(self.simulator, rng) if self.settings.doors == "random" else ()
        set_doors(self.simulator, doors)
        return doors

    def _sample_places(self, rng: np.random.Generator, scene: str) -> tuple[np.ndarray, np.ndarray, float]:
        """Return a start, a goal and the length of the path between them."""
        best = -1.0
        for _ in range(20):
            goal = self.walk.ground.random_point(self._goal_generator(rng, scene))
            if self.simulator.is_inside_solid(goal + self.lift) or self._in_a_leaf(goal):
                continue
            start, distance = self._sample_start(rng, goal)
            if start is not None:
                return start, goal, distance
            best = max(best, distance)
        raise self._too_near(best)

    def _goal_generator(self, rng: np.random.Generator, scene: str) -> np.random.Generator:
        """Return the generator that draws a goal: that of one of the home's few where `goals_per_home` says so."""
        goals = self.settings.goals_per_home
        return rng if goals == 0 else _generator(scene, int(rng.integers(goals)))

    def _in_a_leaf(self, place: np.ndarray) -> bool:
        """Whether a place of the walk's ground is where a leaf stands now."""
        ground = self.simulator.ground
        return self.walk.ground is not ground and not ground.is_free(place)

    def _sample_start(self, rng: np.random.Generator, goal: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Return a start for a goal ``(3,)`` or several ``(n, 3)``, and the distance between them [m].

        The start is None, and the distance the greatest found, where none is as far away as it should be, or has the
        difficulty that is asked for.
        """
        ground, best = self.walk.ground, -1.0
        least, greatest = self.settings.least_distance, self.settings.most_distance
        for _ in range(STARTS if self.settings.difficulty == "any" else STARTS_OF_A_DIFFICULTY):
            start = ground.random_point(rng)
            distance = float(ground.distance(start, goal))
            best = max(best, distance if np.isfinite(distance) else -1.0)
            far_enough = np.isfinite(distance) and least <= distance <= (np.inf if greatest is None else greatest)
            if far_enough and self._is_asked_for(distance, start, goal) and not self._in_a_leaf(start):
                return start, distance
        return None, best

    def _is_asked_for(self, distance: float, start: np.ndarray, goals: np.ndarray) -> bool:
        """Whether a way of a length [m] has the difficulty that is asked for."""
        difficulty = self.settings.difficulty
        return difficulty == "any" or has_difficulty(detour(distance, start, goals), difficulty)

    def _too_near(self, best: float) -> EpisodeError:
        """Return the error of a world in which the farthest start and goal were a distance apart [m]."""
        least, greatest = self.settings.least_distance, self.settings.most_distance
        bound = "" if greatest is None else f" to {greatest:g}"
        difficulty = self.settings.difficulty
        if best >= least and difficulty != "any":
            low, high = DIFFICULTIES[difficulty]
            ratio = f"at least {low:g}" if np.isinf(high) else f"{max(low, 1.0):g} to {high:g}"
            return EpisodeError(
                f"{self.simulator.name}: of the pairs of a start and a goal that were tried none is {least:g}{bound} m "
                f"apart and {difficulty}, with a way {ratio} times as long as the straight line. Use a scene with more "
                "walls, or leave difficulty out."
            )
        return EpisodeError(
            f"{self.simulator.name}: no start and goal are {least:g}{bound} m apart; the farthest pair that was tried "
            f"is {best:.2f} m. Use a larger scene, lower least_distance, or raise most_distance."
        )

    def read_episodes(self, path: str | Path) -> Sequence[Episode]:
        """Read episodes from a file: of `harken episodes`, of JSON lines, or of Habitat's PointNav or AudioNav.

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
        if is_episode_list(source):
            return read_episode_list(source, Episode, where=repr(str(path)))
        return to_episodes(source, scenes=self._scenes, file=path)

    def sources(self, episode: Episode) -> Sequence[Source]:
        """Return what sounds at the beginning of an episode."""
        if self.sounds is None:
            return ()
        return (Source(position=self.sounding_place(episode), moving=bool(episode.trajectory)),)

    def goal_places(self, episode: Episode) -> np.ndarray:
        """Return where on the floor a stop counts: ``(3,)``, or ``(n, 3)`` for the nearest of several [m]."""
        return np.array(episode.goal_position)

    def sounding_place(self, episode: Episode) -> np.ndarray:
        """Return ``(3,)`` where the goal sounds, or starts to move [m]."""
        return np.array(episode.goal_position) + self.lift

    @property
    def lift(self) -> np.ndarray:
        """``(3,)`` from the floor to the height of ears, at which goals sound [m]."""
        return np.array([0.0, self.simulator.ear_height, 0.0])

    def begin(self, episode: Episode) -> None:
        """Start an episode: put the body at its start and let the goal sound.

        Raises:
            EpisodeError: There is no path from start to goal, or its sound does not belong to the environment.
        """
        simulator = self.simulator
        set_doors(simulator, episode.doors)
        if not self.settings.opens_doors and simulator.doors:
            self.oracle = make_oracle(simulator.ground, self.settings.body, self.settings.stop_distance)
        self.walk.begin(
            episode.start_position, episode.start_heading, self.goal_places(episode), episode=episode.episode_id
        )
        simulator.set_sources([] if self.sounds is None else self.sounding(episode, self.sounds))
        self.oracle.set_goal(self.walk.goal)
        self.episode, self.stopped, self.maps = episode, False, self._new_maps()
        self._way = episode.goal_way()
        self.beginning = simulator.position.copy(), simulator.heading, self.walk.goal
        self._oracle_actions = None
        if self.settings.opens_doors:  # counted with the doors as they are now
            self._oracle_actions = self.oracle_actions
        self.hear()

    def sounding(self, episode: Episode, sounds: Sounds) -> list[SoundSource]:
        """Return all that sounds in an episode."""
        return [self.source(episode, sounds.clip(episode.sound).samples)]

    def source(self, episode: Episode, samples: np.ndarray) -> SoundSource:
        """Return the goal as a source of a sound ``(n,)``."""
        return SoundSource(
            position=self.sounding_place(episode),
            samples=samples,
            offset=round(episode.sound_offset * self.simulator.rate) % len(samples),
            onset=episode.onset,
            duration=float("inf") if episode.duration is None else episode.duration,
            trajectory=episode.goal_way(self.simulator.ear_height),
        )

    def hear(self) -> None:
        """Let the time of a step pass; the sound is kept for observations, loudness and recordings."""
        if self.sounds is not None:
            self.waveform = self.simulator.hear(round(self.settings.step_time * self.simulator.rate))

    def _heard(self) -> np.ndarray:
        assert self.waveform is not None
        return self.waveform

    def oracle_action(self) -> int:
        """Return the next action of the shortest path; it opens doors where the body can."""
        simulator = self.simulator
        action = self.oracle.action(simulator.position, simulator.heading)
        if not self.settings.opens_doors or action == Action.STOP:
            return action
        return self._door_action() or action

    def ways_left(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the shortest ways from places ``(n, 3)`` to where the oracle goes [m].

        They are inf where there is no way, NaN where the body cannot stand.
        """
        return self.walk.ground.distances(places, self.walk.goal)

    def _door_action(self) -> int | None:
        """Return the action that gets a door out of the way ahead: opening it, or turning to it; None for no such door.

        A body that hardly gets on turns to a door within reach that it does not face: a leaf that stands ajar may be
        beside it.
        """
        simulator, body = self.simulator, self.settings.body
        onward = self.oracle.onward(simulator.position, simulator.heading)
        end, blocked = simulator.ground.move(simulator.position, onward, body.forward_step)
        if not blocked:
            return None
        is_stuck = float(np.linalg.norm(end - simulator.position)) < 0.5 * body.forward_step
        half = round(np.pi / body.turn_angle) if is_stuck else 0
        for turns in sorted(range(-half, half + 1), key=abs):
            door = simulator.door_ahead(simulator.heading + turns * body.turn_angle)
            if door is not None and simulator.doors[door] != "open":
                if turns == 0:
                    return int(Action.USE_DOOR)
                return int(Action.TURN_LEFT if turns > 0 else Action.TURN_RIGHT)
        return None

    def step(self, action: Any) -> Outcome:
        """Take one action, let the time of a step pass, and reward it.

        A moving goal counts with its position at the end of the step; for a stop, with its position when the body
        stopped.

        Raises:
            ActionError: The action is not one of `Action`.
            EpisodeError: No path leads from the body to the goal.
        """
        move = Action(checked_action(action, self.choices))
        before = self.walk.distance
        self.walk.act(move)
        return self.finish_step(before, stopped=move == Action.STOP)

    def finish_step(self, before: float, *, stopped: bool) -> Outcome:
        """Let the time of a step pass after its action, and reward it.

        Args:
            before: Distance to the goal before the action [m].
            stopped: Whether the action was a stop.
        """
        settings = self.settings
        self.stopped = stopped
        self.hear()
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
            position, heading, goal = self.beginning
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
