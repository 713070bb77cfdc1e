"""Catching a sound that walks about, among other sounds: dynamic audio-visual navigation (Younes et al. 2023)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harken.acoustics import Source
from harken.checks import check_settings, checked_count, checked_point
from harken.errors import EpisodeError
from harken.scene.ground import Ground
from harken.sim import SoundSource
from harken.tasks.efficiency import efficiency
from harken.tasks.episodes import Episode, read_episodes
from harken.tasks.navigation import NavigationTask
from harken.tasks.navigation_rules import NavigationSettings
from harken.tasks.protocol import Sensor
from harken.tasks.sounds import Sounds
from harken.tasks.walk import Action

__all__ = ["DynamicEpisode", "DynamicSettings", "DynamicTask", "Interception", "draw_way", "masked"]

SECOND = 1.0
"""Time after which a walker decides anew whether it walks on [s]."""

GATES = 64
"""Steps after which the pattern of a distractor that comes and goes repeats."""

FADE = 0.005
"""Time in which a distractor comes and goes [s]."""


@dataclass(frozen=True, kw_only=True)
class DynamicSettings(NavigationSettings):
    """The rules of navigation to a sound that walks. The defaults are those of the paper, in continuous space."""

    standing_share: float = 0.5
    """Share of the episodes of the train split in which the source stays where it is; elsewhere it always walks."""
    move_probability: float = 0.3
    """Probability that the source walks on in the next second. (The released code has 0.43.)"""
    walking_speed: float = 1.0
    """How fast it walks then [m/s]."""
    second_share: float = 0.0
    """Share of episodes in which the source plays a second sound at once; 0.5 in the paper's complex scenarios."""
    distractor_share: float = 0.0
    """Share of episodes in which another sound comes and goes at another place; 0.5 in the complex scenarios."""
    distractor_activity: float = 0.5
    """Share of the steps in which it sounds there."""
    masking: bool = False
    """Whether bands and frames of the spectrogram are masked at random (SpecAugment, Park et al. 2019), as in the
    complex scenarios."""
    masked_bands: int = 12
    """Greatest number of neighbouring frequencies that are masked."""
    masked_frames: int = 32
    """Greatest number of successive frames that are masked."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_settings(
            self,
            standing_share=(0.0, 1.0),
            move_probability=(0.0, 1.0),
            walking_speed=(0.0, 100.0),
            second_share=(0.0, 1.0),
            distractor_share=(0.0, 1.0),
            distractor_activity=(0.0, 1.0),
            masked_bands=(0, 10_000),
            masked_frames=(0, 10_000),
        )


@dataclass(frozen=True, kw_only=True)
class DynamicEpisode(Episode):
    """An episode whose goal may walk, with what else sounds.

    Raises:
        EpisodeError: A field is not valid.
    """

    second_sound: str = ""
    """Clip that the goal plays besides; empty for none."""
    distractor: str = ""
    """Clip that another source plays now and then; empty for none."""
    distractor_position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where that is, on the floor [m]."""
    seed: int = 0
    """Seed of when it sounds, and of what is masked."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        where = f"Episode {self.episode_id!r}:"
        for name in ("second_sound", "distractor"):
            if not isinstance(getattr(self, name), str):
                raise EpisodeError(f"{where} {name} is {getattr(self, name)!r:.80}; expected the name of a clip.")
        point = checked_point(f"{where} distractor_position", self.distractor_position, error=EpisodeError)
        object.__setattr__(self, "distractor_position", tuple(point.tolist()))
        object.__setattr__(self, "seed", checked_count(f"{where} seed", self.seed, 0, 2**62, error=EpisodeError))


@dataclass(frozen=True)
class Interception:
    """Where and when the best possible agent meets a goal that walks."""

    steps: int
    """Actions until then, stop included."""
    place: np.ndarray
    """``(3,)`` where the goal is then [m]."""
    distance: float
    """Length of the shortest path from the start to that place [m]."""


class DynamicTask(NavigationTask):
    """Catch a sound that walks about in a home you have never been in.

    ## Description
    The goal walks along shortest paths from one place to another: each second it walks on with a probability of 0.3.
    A stop counts where it is at that moment. Optionally it plays a second sound, another sound comes and goes, and
    the spectrogram is masked. Younes, Honerkamp, Welschehold, Valada: "Catch Me If You Hear Me" (RA-L 2023).

    ## Action Space
    As in AudioGoal.

    ## Observation Space
    As in AudioGoal. The sensor "oracle" leads to where the goal can be met first.

    ## Rewards
    As in AudioGoal: distances are those to where the goal is now.

    ## Starting State
    As in AudioGoal. In half of the episodes of the train split the goal stays where it is.

    ## Episode End
    Terminated by stop; truncated after 500 steps. ``info`` has the measures of AudioGoal besides ``dspl`` and
    ``dsna``, see `measures`.

    ## Arguments
    preset "dynamic-audio-nav", sound, and those of every environment.

    ## Version History
    v0: first version.

    Args:
        settings: The rules.
        split: "train", "val" or "test": which sounds.
        sound: As in AudioGoal.

    Raises:
        UnknownNameError: There is no such sound.
        SoundError: A recording cannot be used.
    """

    rules = DynamicSettings
    stream: tuple[int, ...] = (4,)
    settings: DynamicSettings  # type: ignore[bad-override]

    def __init__(self, settings: DynamicSettings, split: str, *, sound: str = "telephone"):
        super().__init__(settings, split, sound=sound)
        self._walks_always = split != "train"
        self._interception: Interception | None = None

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        sensors = dict(super().sensors)
        if self.settings.masking:
            read = sensors["spectrogram"].read
            sensors["spectrogram"] = dataclasses.replace(
                sensors["spectrogram"], read=lambda views: masked(read(views), self._draws(), self.settings)
            )
        return sensors

    def _draws(self) -> np.random.Generator:
        episode = self.episode
        assert isinstance(episode, DynamicEpisode)
        return np.random.default_rng([episode.seed, self.steps])

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> DynamicEpisode:
        """Draw an episode in the world; see `NavigationTask.sample`."""
        usual = super().sample(rng, episode_id=episode_id, scene=scene)
        settings, ground = self.settings, self.walk.ground
        assert self.sounds is not None
        more: dict[str, Any] = {"seed": int(rng.integers(2**32))}
        if self._walks_always or rng.random() >= settings.standing_share:
            more["trajectory"] = draw_way(rng, ground, np.array(usual.goal_position), settings)
        others = [name for name in self.sounds.names if name != usual.sound] or list(self.sounds.names)
        if rng.random() < settings.second_share:
            more["second_sound"] = others[int(rng.integers(len(others)))]
        if rng.random() < settings.distractor_share:
            more["distractor"] = others[int(rng.integers(len(others)))]
            more["distractor_position"] = tuple(ground.random_point(rng).tolist())
        return DynamicEpisode(**{f.name: getattr(usual, f.name) for f in dataclasses.fields(usual)} | more)

    def read_episodes(self, path: str | Path) -> Sequence[DynamicEpisode]:
        """Read episodes from a file that `harken episodes` wrote, or from JSON lines."""
        return read_episodes(path, DynamicEpisode)

    def sources(self, episode: Episode) -> Sequence[Source]:
        """Return what sounds at the beginning of an episode."""
        found = list(super().sources(episode))
        if isinstance(episode, DynamicEpisode) and episode.distractor:
            found.append(Source(position=np.array(episode.distractor_position) + self.lift))
        return found

    def sounding(self, episode: Episode, sounds: Sounds) -> list[SoundSource]:
        """Return all that sounds in an episode."""
        found = super().sounding(episode, sounds)
        if not isinstance(episode, DynamicEpisode):
            return found
        if episode.second_sound:
            found.append(self.source(episode, sounds.clip(episode.second_sound).samples))
        if episode.distractor:
            samples = self._coming_and_going(sounds.clip(episode.distractor).samples, episode.seed)
            place = np.array(episode.distractor_position) + self.lift
            found.append(SoundSource(position=place, samples=samples))
        return found

    def _coming_and_going(self, samples: np.ndarray, seed: int) -> np.ndarray:
        """Return a sound ``(n,)`` that sounds in some steps only."""
        rate = self.simulator.rate
        length, fade = round(self.settings.step_time * rate), max(1, round(FADE * rate))
        gates = np.random.default_rng([seed, 1]).random(GATES) < self.settings.distractor_activity
        envelope = np.convolve(np.repeat(gates, length), np.full(fade, 1.0 / fade), "same")
        return (np.resize(samples, len(envelope)) * envelope).astype(np.float32)

    def begin(self, episode: Episode) -> None:
        """Start an episode; see `NavigationTask.begin`."""
        self._interception = None
        super().begin(episode)

    @property
    def interception(self) -> Interception:
        """Where the best possible agent meets the goal: the first step at which the oracle can be there."""
        if self._interception is None:
            self._interception = self._meet()
        return self._interception

    def _meet(self) -> Interception:
        settings, ground = self.settings, self.walk.ground
        position, heading, goal = self.beginning
        assert self.episode is not None
        way = self.episode.goal_way()
        places = [goal] if way is None else self._places(way)
        distances = ground.distances(np.array(places), position)
        least = (distances - settings.stop_distance) / settings.body.forward_step
        for before, place in enumerate(places):  # the last action, a stop, counts where the goal was before it
            if way is not None and least[before] > before:
                continue  # the oracle would have to be faster than straight ahead
            self.oracle.set_goal(place)
            needed = self.oracle.count_actions(position, heading)
            if way is None or needed <= before + 1:
                self.oracle.set_goal(self.walk.goal)
                return Interception(needed if way is None else before + 1, place, float(distances[before]))
        self.oracle.set_goal(self.walk.goal)
        return Interception(settings.max_steps, places[-1], float(distances[-1]))

    def _places(self, way: Any) -> list[np.ndarray]:
        """Return where the goal is after each step."""
        ground, settings = self.simulator.ground, self.settings
        return [ground.snap(way.position(step * settings.step_time)) for step in range(settings.max_steps)]

    @property
    def _waits(self) -> bool:
        """Whether the oracle goes to where the goal can be met, and not to where it is."""
        return self.episode is not None and bool(self.episode.trajectory) and self.steps < self.interception.steps

    def ways_left(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the shortest ways from places to where the oracle goes [m]."""
        return self.walk.ground.distances(places, self.interception.place) if self._waits else super().ways_left(places)

    def oracle_action(self) -> int:
        """Return the next action of the way to where the goal can be met first."""
        if not self._waits:
            return super().oracle_action()
        if self.walk.distance < self.settings.stop_distance:
            return super().oracle_action()
        self.oracle.set_goal(self.interception.place)
        action = super().oracle_action()
        self.oracle.set_goal(self.walk.goal)
        return int(Action.TURN_LEFT) if action == Action.STOP else action  # it is early, and waits for the goal

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            Those of `NavigationTask.measures`, and ``dspl`` = S·g*/max(p, g*), ``dsna`` = S·n*/max(n, n*), where g* is
            the geodesic distance from the start to where the goal can be met first, and n* the oracle's actions until
            then (Younes et al. 2023, section IV-B).
        """
        found = super().measures()
        success = found["success"]
        met = self.interception if success else None
        found["dspl"] = 0.0 if met is None else success * efficiency(met.distance, self.walk.path_length)
        found["dsna"] = 0.0 if met is None else success * met.steps / max(met.steps, self.walk.steps)
        return found


def draw_way(
    rng: np.random.Generator, ground: Ground, place: np.ndarray, settings: DynamicSettings
) -> tuple[tuple[float, float, float, float], ...]:
    """Draw how a goal walks: along shortest paths from one random place to the next.

    Args:
        rng: Generator of every random draw.
        ground: Where it walks.
        place: ``(3,)`` where it starts [m].
        settings: How often and how fast it walks, and how long an episode lasts.

    Returns:
        Rows of time [s] and x, y, z [m]; the goal moves in straight lines between them.
    """
    rows = [(0.0, *place.tolist())]
    path = [place]
    for second in range(math.ceil(settings.max_steps * settings.step_time / SECOND)):
        time, left = second * SECOND, settings.walking_speed * SECOND
        if rng.random() >= settings.move_probability or left <= 0.0:
            if len(rows) > 1 and rows[-1][1:] == rows[-2][1:]:
                rows.pop()  # it stands on
            rows.append((time + SECOND, *path[0].tolist()))
            continue
        while left > 1e-9:
            if len(path) == 1:
                path = list(ground.shortest_path(path[0], ground.random_point(rng)))
                path = path if len(path) > 1 else [path[0], path[0]]
            part = float(np.linalg.norm(path[1] - path[0]))
            gone = min(part, left)
            here = path[1] if part <= left else path[0] + (path[1] - path[0]) * (gone / part)
            path = path[1:] if part <= left else [here, *path[1:]]
            left -= max(gone, 1e-6)  # a path of no length must not hold it up for ever
            rows.append((time + SECOND * (1.0 - max(left, 0.0) / settings.walking_speed), *here.tolist()))
    return tuple(row for i, row in enumerate(rows) if i == 0 or row[0] > rows[i - 1][0])


def masked(spectrogram: np.ndarray, rng: np.random.Generator, settings: DynamicSettings) -> np.ndarray:
    """Return a spectrogram ``(frequencies, frames, channels)`` in which a band, some frames, both or nothing is masked.

    The mask holds the mean of the spectrogram (SpecAugment, Park et al. 2019, without warping).

    Args:
        spectrogram: What is heard.
        rng: Generator of every random draw.
        settings: The greatest widths.
    """
    kind, mean, result = int(rng.integers(4)), spectrogram.mean(), spectrogram.copy()
    for axis, greatest in ((0, settings.masked_bands), (1, settings.masked_frames)):
        length = spectrogram.shape[axis]
        width = int(rng.integers(min(greatest, length) + 1))
        begin = int(rng.integers(length - width + 1))
        if kind & (1 << axis):
            result[(slice(None),) * axis + (slice(begin, begin + width),)] = mean
    return result
