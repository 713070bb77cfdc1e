"""Finding the object that made a sound: semantic audio-visual navigation (SAVi).

Rules and measures are those of "Semantic Audio-Visual Navigation" (Chen, Al-Halah, Grauman; CVPR 2021) and its released
code; the presets of continuous space are those of SAVN-CE (CVPR 2026).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harken.acoustics import Source
from harken.checks import check_settings, checked_count, checked_point
from harken.errors import ConfigurationError, EpisodeError, NavigationError, UnknownNameError
from harken.scene import Ground, SceneObject
from harken.scene.vocabulary import SOUNDING_CATEGORIES
from harken.sim import SimulatorProtocol, SoundSource
from harken.tasks.episodes import Episode, read_episodes
from harken.tasks.navigation import NavigationTask
from harken.tasks.navigation_rules import NavigationSettings
from harken.tasks.protocol import Choice, Sensor
from harken.tasks.sounds import Sounds

__all__ = ["SemanticEpisode", "SemanticSettings", "SemanticTask", "find_viewpoints", "sounding_place"]

REACH = 1.0
"""Greatest horizontal distance from an object's box to a viewpoint [m]."""

SPACING = 0.5
"""Distance between the neighbouring points about an object from which the floor is looked for [m]."""

ACROSS = 40
"""About how many such points there are at most along an object, however large it is."""

STANDOFF = 0.1
"""Distance from an object's box to where it sounds [m]."""

MOST_VIEWPOINTS = 10_000
"""Greatest number of viewpoints of an episode."""

LOOP = 1.0
"""Length of what a distractor repeats [s]."""

FADE = 0.005
"""Time in which it comes and goes at the seam [s]."""

PLACES_TRIED = 50
"""Places that are drawn for a distractor before there is said to be none."""

# Places nearer to each other than this are one viewpoint [m].
_SAME = 0.1


@dataclass(frozen=True, kw_only=True)
class SemanticSettings(NavigationSettings):
    """The rules of navigation to an object that sounds for a while. The defaults are those of the paper's sounds."""

    latest_onset: float = 0.0
    """Latest moment at which the object begins to sound [s]; it is drawn between 0 and this."""
    mean_duration: float = 15.0
    """Mean of the normal distribution from which it is drawn how long the object sounds [s]."""
    duration_deviation: float = 9.0
    """Its standard deviation [s]."""
    least_duration: float = 5.0
    """What is drawn shorter lasts so long [s]."""
    most_duration: float = 500.0
    """What is drawn longer lasts so long [s]."""
    distractor: bool = False
    """Whether another sound repeats at another place as long as the object sounds. The object's category is then
    shown to the agent."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_settings(
            self,
            latest_onset=(0.0, 1e6),
            mean_duration=(0.0, 1e6),
            duration_deviation=(0.0, 1e6),
            least_duration=(0.0, 1e6),
            most_duration=(0.0, 1e6),
        )
        if self.most_duration < self.least_duration:
            raise ConfigurationError(
                f"Settings least_duration {self.least_duration:g} and most_duration {self.most_duration:g} s; expected "
                "the least not above the most."
            )


@dataclass(frozen=True, kw_only=True)
class SemanticEpisode(Episode):
    """An episode whose goal is an object.

    `goal_position` is the viewpoint nearest to the object, `onset` and `duration` say when it sounds.

    Raises:
        EpisodeError: A field is not valid.
    """

    object_id: int
    """Number of the object in its scene, `harken.scene.SceneObject.instance`."""
    category: str
    """What it is, one of `harken.scene.SOUNDING_CATEGORIES`."""
    viewpoints: tuple[tuple[float, float, float], ...]
    """Places on the floor, near any of which a stop counts [m]."""
    source_position: tuple[float, float, float]
    """Where the sound comes from [m]."""
    distractor: str = ""
    """Clip of the other sound, empty for none."""
    distractor_position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where that is, on the floor [m]; it sounds at the height of ears."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        where = f"Episode {self.episode_id!r}:"
        if self.category not in SOUNDING_CATEGORIES:
            raise EpisodeError(f"{where} {UnknownNameError('sounding category', self.category, SOUNDING_CATEGORIES)}")
        number = checked_count(f"{where} object_id", self.object_id, 1, 2**31 - 1, error=EpisodeError)
        object.__setattr__(self, "object_id", number)
        object.__setattr__(self, "viewpoints", _checked_places(where, self.viewpoints))
        for name in ("source_position", "distractor_position"):
            point = checked_point(f"{where} {name}", getattr(self, name), error=EpisodeError)
            object.__setattr__(self, name, tuple(point.tolist()))
        if not isinstance(self.distractor, str):
            raise EpisodeError(f"{where} distractor is {self.distractor!r:.80}; expected the name of a clip.")
        if self.trajectory:
            raise EpisodeError(f"{where} the goal has a trajectory, but objects stay where they are; expected none.")


def _checked_places(where: str, places: Any) -> tuple[tuple[float, float, float], ...]:
    if not isinstance(places, list | tuple | np.ndarray) or not 0 < len(places) <= MOST_VIEWPOINTS:
        raise EpisodeError(
            f"{where} viewpoints are {str(places)[:80]}; expected 1 to {MOST_VIEWPOINTS} places [x, y, z]."
        )
    points = [checked_point(f"{where} viewpoint {i}", place, error=EpisodeError) for i, place in enumerate(places)]
    return tuple((point[0], point[1], point[2]) for point in np.array(points).tolist())


class SemanticTask(NavigationTask):
    """Find the object that made a sound in a home you have never been in.

    ## Description
    An object of one of 21 categories, such as a chair or a sink, sounds as its kind does: late, and only for a while.
    A stop counts near any place from which the object is within reach and in sight. With a distractor another sound
    repeats at another place for as long, and the category of the goal is given. Chen, Al-Halah, Grauman: "Semantic
    Audio-Visual Navigation" (CVPR 2021).

    Categories are drawn with the same probability among those that the home has, then an object of the category; the
    clip is one of the built-in clips of that category (``chair_1`` for a chair). The clips of the train split are heard
    while training, those of val and test are others.

    ## Action Space
    As in AudioGoal.

    ## Observation Space
    The sensors of AudioGoal, and

    | sensor | shape, type | what |
    |---|---|---|
    | category | Discrete(21) | category of the goal, an index into `harken.scene.SOUNDING_CATEGORIES` |
    | goal_category | Discrete(21) | privileged: the same, to train predictors with |
    | goal_location | (2,) float32 | privileged: metres ahead and to the left to where it sounds |
    | way_location | (2,) float32 | privileged: the same to where the shortest path to a viewpoint first turns |
    | oracle | Discrete(4) | privileged: the action of the shortest path to the nearest viewpoint |

    It shows rgb, depth, spectrogram and pose, and with a distractor category.

    ## Rewards
    As in AudioGoal; the distance is that to the nearest viewpoint along the floor.

    ## Starting State
    A random place and heading, at least 2 m from every viewpoint by the shortest path.

    ## Episode End
    Terminated by stop; truncated after 500 steps. ``info`` has the measures of AudioGoal, ``sws`` and with a distractor
    ``dsr``, see `measures`.

    ## Arguments
    preset ("savi", "savi-distractor", "savn-ce" or "savn-ce-distractor"), sound, and those of every environment.

    ## Version History
    v0: first version.

    Args:
        settings: The rules.
        split: "train", "val" or "test": which sounds.
        sound: "unheard" for the clips of this split, "heard" for those of the train split, or the path of a folder of
            recordings, by category as in SoundSpaces' ``sounds/semantic_splits``.

    Raises:
        UnknownNameError: There is no such sound.
        SoundError: A recording cannot be used.
        ConfigurationError: No clip belongs to one of the 21 categories, or none to another, which a distractor needs.
    """

    rules = SemanticSettings
    stream: tuple[int, ...] = (7,)
    settings: SemanticSettings  # type: ignore[bad-override]

    def __init__(self, settings: SemanticSettings, split: str, *, sound: str = "unheard"):
        super().__init__(settings, split, sound=sound)
        sounds = self._sounds
        self._clips = {category: clips for category in SOUNDING_CATEGORIES if (clips := sounds.of(category))}
        if not self._clips:
            raise ConfigurationError(
                f"No clip of sound {sound!r} belongs to an object that sounds; expected clips of one of the categories "
                f"{', '.join(SOUNDING_CATEGORIES)}: 'unheard', 'heard', or a folder of recordings named by category."
            )
        if settings.distractor and len({sounds.category(name) for name in sounds.names}) < 2:
            raise ConfigurationError(
                f"All clips of sound {sound!r} are of one category; expected several, because distractor is set and "
                "another sound than the goal's is needed."
            )
        self.shown = ("rgb", "depth", "spectrogram", "pose", *(("category",) if settings.distractor else ()))

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        kinds = Choice(names=SOUNDING_CATEGORIES)
        more = [
            Sensor(name=name, space=kinds, privileged=name != "category", read=lambda views: self._category())
            for name in ("category", "goal_category")
        ]
        return {**super().sensors, **{sensor.name: sensor for sensor in more}}

    @property
    def goal_location(self) -> np.ndarray:
        """``(3,)`` where the goal sounds [m]."""
        return np.array(self._begun.source_position)

    @property
    def _sounds(self) -> Sounds:
        assert self.sounds is not None
        return self.sounds

    def _category(self) -> np.int64:
        return np.int64(SOUNDING_CATEGORIES.index(self._begun.category))

    @property
    def _begun(self) -> SemanticEpisode:
        assert isinstance(self.episode, SemanticEpisode)
        return self.episode

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> SemanticEpisode:
        """Draw an episode in the world: an object, what it plays and when, a start, and what distracts.

        Args:
            rng: Generator of every random draw.
            episode_id: Name of the episode.
            scene: Name of the scene.

        Raises:
            EpisodeError: The world has no object that sounds and can be gone to, or no place far enough from it.
        """
        settings, body = self.settings, self.settings.body
        doors = self._sample_doors(rng)
        thing, viewpoints, place, start, distance = self._sample_object(rng, scene)
        clips = self._clips[thing.category]
        sound = clips[int(rng.integers(len(clips)))]
        duration = rng.normal(settings.mean_duration, settings.duration_deviation)
        duration = self._in_steps(np.clip(duration, settings.least_duration, settings.most_duration))
        onset = self._in_steps(rng.uniform(0.0, settings.latest_onset))
        heading = float(rng.integers(body.turns) * body.turn_angle)
        offset = float(rng.uniform(0.0, self._sounds.clip(sound).duration))
        distractor: dict[str, Any] = self._sample_distractor(rng, thing, viewpoints) if settings.distractor else {}
        return SemanticEpisode(
            episode_id=episode_id,
            scene=scene,
            start_position=tuple(start.tolist()),
            start_heading=heading,
            goal_position=tuple(viewpoints[0].tolist()),
            sound=sound,
            sound_offset=offset,
            onset=onset,
            duration=max(duration, settings.step_time),
            doors=doors,
            geodesic_distance=distance,
            object_id=thing.instance,
            category=thing.category,
            viewpoints=tuple(tuple(viewpoint) for viewpoint in viewpoints.tolist()),
            source_position=tuple(place.tolist()),
            **distractor,
        )

    def _in_steps(self, time: float) -> float:
        """Return a time as a whole number of steps [s], as the published episodes give it."""
        return round(time / self.settings.step_time) * self.settings.step_time

    def _sample_object(
        self, rng: np.random.Generator, scene: str
    ) -> tuple[SceneObject, np.ndarray, np.ndarray, np.ndarray, float]:
        """Return an object, its viewpoints, where it sounds, a start, and the length of the path between them."""
        simulator, best = self.simulator, -1.0
        things: dict[str, list[SceneObject]] = {}
        for thing in simulator.objects:
            if thing.category in self._clips:
                things.setdefault(thing.category, []).append(thing)
        while things:
            own = self._goal_generator(rng, scene)
            category = sorted(things)[int(own.integers(len(things)))]
            thing = things[category][int(own.integers(len(things[category])))]
            viewpoints = self._viewpoints(thing)
            place = sounding_place(simulator, thing, viewpoints, self.settings.body.eye_height)
            if place is not None:
                start, distance = self._sample_start(rng, viewpoints)
                if start is not None:
                    return thing, viewpoints, place, start, distance
                best = max(best, distance)
            things[category].remove(thing)
            if not things[category]:
                del things[category]
        if best >= 0.0:
            raise self._too_near(best)
        raise EpisodeError(
            f"{simulator.name}: none of its {len(simulator.objects)} objects sounds and can be gone to; expected one "
            f"of the categories {', '.join(self._clips)} with a place on the floor within {REACH:g} m from which it is "
            "in sight. Use a scene with labelled furniture."
        )

    def _viewpoints(self, thing: SceneObject) -> np.ndarray:
        """Return the viewpoints of an object now that the doors stand as they do."""
        found = find_viewpoints(self.simulator, self.walk.ground, thing, self.settings.body.eye_height)
        return np.array([place for place in found if not self._in_a_leaf(place)]).reshape(-1, 3)

    def _sample_distractor(
        self, rng: np.random.Generator, thing: SceneObject, viewpoints: np.ndarray
    ) -> dict[str, Any]:
        """Return the fields of an episode that say what distracts, and where.

        It is twice the success distance away from every viewpoint, so that no stop is at both.
        """
        others = [name for name in self._sounds.names if self._sounds.category(name) != thing.category]
        sound = others[int(rng.integers(len(others)))]
        ground = self.walk.ground
        for _ in range(PLACES_TRIED):
            place = ground.random_point(rng)
            if self._in_a_leaf(place) or self.simulator.is_inside_solid(place + self.lift):
                continue
            if 2.0 * self.settings.success_distance <= ground.distance(place, viewpoints) < np.inf:
                return {"distractor": sound, "distractor_position": tuple(place.tolist())}
        raise EpisodeError(
            f"{self.simulator.name}: none of {PLACES_TRIED} places for a distractor is "
            f"{2.0 * self.settings.success_distance:g} m away from {thing.name!r}. Use a larger scene, or set "
            "distractor to false."
        )

    def read_episodes(self, path: str | Path) -> Sequence[SemanticEpisode]:
        """Read episodes from a file that `harken episodes` wrote, or from JSON lines."""
        return read_episodes(path, SemanticEpisode)

    def goal_places(self, episode: Episode) -> np.ndarray:
        """Return the viewpoints ``(n, 3)`` [m].

        Raises:
            EpisodeError: The body cannot stand at one of them.
        """
        places = np.array(_semantic(episode).viewpoints)
        for place in places:
            if not self.walk.ground.is_free(place):
                raise EpisodeError(
                    f"Episode {episode.episode_id!r}: the body cannot stand at viewpoint {place.round(3).tolist()}; "
                    "expected places on the floor, or nodes of the grid. Was the episode made with other settings?"
                )
        return places

    def sounding_place(self, episode: Episode) -> np.ndarray:
        """Return ``(3,)`` where the object sounds [m]."""
        return np.array(_semantic(episode).source_position)

    def sources(self, episode: Episode) -> Sequence[Source]:
        """Return what sounds at the beginning of an episode."""
        found, episode = list(super().sources(episode)), _semantic(episode)
        if episode.distractor:
            found.append(Source(position=np.array(episode.distractor_position) + self.lift))
        return found

    def sounding(self, episode: Episode, sounds: Sounds) -> list[SoundSource]:
        """Return all that sounds in an episode."""
        found, episode = super().sounding(episode, sounds), _semantic(episode)
        if episode.distractor:
            place = np.array(episode.distractor_position) + self.lift
            samples = self._loop(sounds.clip(episode.distractor).samples)
            found.append(
                dataclasses.replace(found[0], position=place, samples=samples, offset=0)  # as long as the goal
            )
        return found

    def _loop(self, samples: np.ndarray) -> np.ndarray:
        """Return the first second of a clip ``(n,)``, without clicks where it begins again."""
        length, fade = round(LOOP * self.simulator.rate), max(1, round(FADE * self.simulator.rate))
        envelope = np.minimum(1.0, np.minimum(np.arange(length), np.arange(length)[::-1]) / fade)
        return (np.resize(samples, length) * envelope).astype(np.float32)

    def begin(self, episode: Episode) -> None:
        """Start an episode; see `NavigationTask.begin`.

        Raises:
            EpisodeError: It is no `SemanticEpisode`, its object is not in the world or is of another category, a
                viewpoint is not on the floor, or no way leads to any.
        """
        episode = _semantic(episode)
        where = f"Episode {episode.episode_id!r}:"
        thing = next((thing for thing in self.simulator.objects if thing.instance == episode.object_id), None)
        if thing is None or thing.category != episode.category:
            found = "is not there" if thing is None else f"is a {thing.category}"
            raise EpisodeError(
                f"{where} object {episode.object_id} of {self.simulator.name} {found}; expected a {episode.category}. "
                "Was the episode made for another scene?"
            )
        super().begin(episode)

    @property
    def goal(self) -> np.ndarray:
        """``(3,)`` the viewpoint nearest to the object, on the floor [m]."""
        return np.array(self._begun.goal_position)

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            Those of `NavigationTask.measures`, and ``sws``, success when silent: success in more steps than the sound
            lasted, its onset included (`soundspaces/tasks/semantic_audionav_task.py`); with a distractor ``dsr``:
            whether the body stopped nearer to it than the success distance along the floor.
        """
        found = super().measures()
        episode = self._begun
        end = np.inf if episode.duration is None else episode.onset + episode.duration
        found["sws"] = found["success"] * float(self.steps * self.settings.step_time > end + 1e-9)
        if self.settings.distractor:
            found["dsr"] = float(self.stopped and bool(episode.distractor) and self._is_at_distractor())
        return found

    def _is_at_distractor(self) -> bool:
        place = np.array(self._begun.distractor_position)
        return self.walk.ground.distance(self.simulator.position, place) < self.settings.success_distance


def _semantic(episode: Episode) -> SemanticEpisode:
    if not isinstance(episode, SemanticEpisode):
        raise EpisodeError(
            f"Episode {episode.episode_id!r} is a {type(episode).__name__}, which names no object; expected a "
            "SemanticEpisode."
        )
    return episode


def find_viewpoints(simulator: SimulatorProtocol, ground: Ground, thing: SceneObject, eye_height: float) -> np.ndarray:
    """Return from where an object is within reach and in sight.

    Points `SPACING` apart, or farther where there would be more than `ACROSS` along a large object, are laid over its
    box, `REACH` beyond it to all sides. The places of the ground next to them are viewpoints if they lie within `REACH`
    of the box, the body can come there, and its eyes see some of the object.

    Args:
        simulator: The world.
        ground: Where the body walks.
        thing: The object.
        eye_height: Height of its eyes above the floor [m].

    Returns:
        ``(n, 3)`` float64 places, the nearest to the middle of the object first [m]; none where n is 0.
    """
    low, high = thing.lower.astype(np.float64), thing.upper.astype(np.float64)
    middle, half = 0.5 * (low + high), 0.5 * (high - low) + REACH
    spacing = max(SPACING, 2.0 * float(half.max()) / ACROSS)
    counts = np.floor(half / spacing).astype(int)
    offsets = [spacing * np.arange(-counts[axis], counts[axis] + 1) for axis in (0, 2)]
    places = {}
    for x in middle[0] + offsets[0]:
        for z in middle[2] + offsets[1]:
            place = _floor_below(ground, np.array([x, low[1], z]))
            # The millionth is for nodes of a grid, which often lie just at the limit.
            if place is not None and np.hypot(*(place - place.clip(low, high))[[0, 2]]) <= REACH + 1e-6:
                places.setdefault(tuple(np.round(place / _SAME).astype(int).tolist()), place)
    if not places:
        return np.empty((0, 3))
    found = np.array(list(places.values()))
    anywhere = ground.random_point(np.random.default_rng(0))
    found = found[np.isfinite(ground.distances(found, anywhere))]
    found = found[simulator.shows(thing, found + [0.0, eye_height, 0.0])]
    away = np.hypot(*(found - middle)[:, [0, 2]].T)
    return found[np.argsort(away.round(6), kind="stable")]


def _floor_below(ground: Ground, point: np.ndarray) -> np.ndarray | None:
    """Return the place of the ground next to a point, or next to one up to two metres below it."""
    for drop in (0.0, 1.0, 2.0):
        try:
            return ground.snap(point - [0.0, drop, 0.0])
        except NavigationError:
            continue
    return None


def sounding_place(
    simulator: SimulatorProtocol, thing: SceneObject, viewpoints: np.ndarray, eye_height: float
) -> np.ndarray | None:
    """Return where an object sounds: in front of it, because nothing is heard from inside solid furniture.

    It is `STANDOFF` before the point where the look from the first viewpoint to the middle of its box meets the box;
    from the next viewpoint if that is inside something solid, such as what stands on the object.

    Args:
        simulator: The world.
        thing: The object.
        viewpoints: ``(n, 3)`` its viewpoints, as `find_viewpoints` returns them [m].
        eye_height: Height of the eyes above the floor [m].

    Returns:
        ``(3,)`` float64 [m], None where there is no such place.
    """
    low, high = thing.lower.astype(np.float64), thing.upper.astype(np.float64)
    for eye in viewpoints + [0.0, eye_height, 0.0]:
        look = 0.5 * (low + high) - eye
        length = float(np.linalg.norm(look))
        with np.errstate(divide="ignore", invalid="ignore"):
            enters = np.fmin((low - eye) / look, (high - eye) / look)  # NaN where it looks along a face
        share = float(np.nanmax(enters, initial=0.0))
        if length * share <= STANDOFF:
            continue  # the eye is inside the box, or right before it
        place = eye + look * (share - STANDOFF / length)
        if not simulator.is_inside_solid(place):
            return place
    return None
