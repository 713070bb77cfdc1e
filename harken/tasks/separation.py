"""Active separation: hear several sources at once, move, and tell what the wanted one sounds like.

Rules and rewards are those of Majumder, Al-Halah and Grauman (ICCV 2021), "Move2Hear: active audio-visual source
separation", and of Majumder and Grauman (ECCV 2022), "Active audio-visual separation of dynamic sound sources". Who
separates is no part of the task: it judges an estimate of the target's magnitude spectrogram.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np

from harken.errors import ActionError, ConfigurationError, EpisodeError, SoundError, UnknownNameError
from harken.metrics.separation import separation_quality
from harken.sim import Simulator, SoundSource
from harken.sound import Clip, spectrogram, spectrogram_shape
from harken.tasks.episodes import Episode
from harken.tasks.heard import MAGNITUDES, Heard, Verdict, judge, scaled_to_target
from harken.tasks.navigation import Action, NavigationSettings, NavigationTask, Outcome

__all__ = [
    "Move",
    "PlacedSound",
    "SeparationEpisode",
    "SeparationSettings",
    "SeparationTask",
]

ATTEMPTS = 200
"""Draws after which a world counts as too small for an episode."""

KEPT_TARGETS = 64
"""Mono targets of different parts of a clip that are kept: one for a clip as long as a step."""


class Move(IntEnum):
    """What a body can do in a step of active separation."""

    FORWARD = 0
    LEFT = 1
    RIGHT = 2
    STAND = 3


_NAVIGATION = {
    Move.FORWARD: Action.MOVE_FORWARD,
    Move.LEFT: Action.TURN_LEFT,
    Move.RIGHT: Action.TURN_RIGHT,
}


@dataclass(frozen=True, kw_only=True)
class SeparationSettings(NavigationSettings):
    """The rules of active separation; the defaults are those of the preset "near-target".

    The inherited settings say how the body moves, sees and hears. `max_steps` counts all steps of an episode.
    """

    motion: Literal["continuous", "grid"] = "grid"
    forward_step: float = 1.0
    turn_angle: float = np.pi / 2
    step_time: float = 1.0
    max_steps: int = 20
    least_distance: float = 0.0
    step_reward: float = 0.0
    most_distance: float = 0.0
    """Greatest geodesic distance from start to target of a sampled episode [m]; 0 starts at the target."""
    sources: int = 2
    """How many sound at once."""
    source_distance: float = 2.0
    """Least distance between two sources of a sampled episode [m]."""
    source_height: float = 1.0
    """Height of the sources above the floor [m]. Below the ears, so that a body at a source's place is not inside it:
    the published simulator has both at one height, and its nearest responses from 0.5 m or more."""
    clip_seconds: float = 1.0
    """Length of the built-in clips [s]: one step, repeated, or long ones that change from step to step."""
    search_steps: int = 0
    """Steps at the beginning in which coming nearer to the target is rewarded and no estimate counts."""
    estimate: Literal["mono", "binaural"] = "mono"
    """What is estimated: magnitudes of the target's dry mono sound, scaled to an RMS of
    `harken.metrics.separation.TARGET_RMS`, or of its sound at the two ears, in the mixture's scale."""
    reward: Literal["rise", "quality"] = "rise"
    """"rise": a step is rewarded with the rise of the quality −mean((M̂ − M)²)/mean(M²) since the last step, the first
    with that over the unprocessed mixture (Move2Hear, which starts from the first estimate instead: a difference that
    no action changes). "quality": with the quality itself, as the sequel does."""
    final_weight: float = 10.0
    """Times the quality that the last step is rewarded with besides (Move2Hear; its released code adds it twice)."""
    may_stand: bool = False
    """Whether a fourth action stands still; the published systems have none, their stand-in-place baseline needs it."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if not 2 <= self.sources <= 16:
            raise ConfigurationError(f"Setting sources is {self.sources!r}; expected 2 to 16, or there is no mixture.")
        if self.observation_time != self.step_time:
            raise ConfigurationError(
                f"Setting observation_time is {self.observation_time} s and step_time {self.step_time} s; expected "
                "the same, because an estimate is of the sound of one step."
            )
        if not 0 <= self.search_steps < self.max_steps:
            raise ConfigurationError(
                f"Setting search_steps is {self.search_steps!r} of max_steps {self.max_steps!r}; expected fewer, from "
                "0, so that steps to separate remain."
            )
        if not 0.0 <= self.least_distance <= self.most_distance:
            raise ConfigurationError(
                f"Settings least_distance {self.least_distance!r} and most_distance {self.most_distance!r} m; expected "
                "0 or more, the least not above the most."
            )
        for name, known in (("estimate", ("mono", "binaural")), ("reward", ("rise", "quality"))):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        if not (np.isfinite(self.source_distance) and self.source_distance >= 0 and 0.1 <= self.source_height <= 3.0):
            raise ConfigurationError(
                f"Settings source_distance {self.source_distance!r} m and source_height {self.source_height!r} m; "
                "expected 0 or more, and 0.1 to 3."
            )
        if not np.isfinite(self.final_weight):
            raise ConfigurationError(f"Setting final_weight is {self.final_weight!r}; expected a finite number.")
        if self.step_samples <= MAGNITUDES.n_fft // 2:
            raise ConfigurationError(
                f"A step of {self.step_time} s has {self.step_samples} samples; expected more than "
                f"{MAGNITUDES.n_fft // 2}, half a window of the spectrogram. Raise step_time."
            )
        if self.step_samples % MAGNITUDES.hop == 0:
            raise ConfigurationError(
                f"A step of {self.step_time} s has {self.step_samples} samples, a multiple of the spectrogram's hop of "
                f"{MAGNITUDES.hop}: definitions differ in whether its last frame counts. Change step_time a little."
            )

    @property
    def step_samples(self) -> int:
        """Samples of a step."""
        return round(self.step_time * self.acoustics.rate)

    def magnitude_shape(self, channels: int) -> tuple[int, int, int]:
        """Return the shape ``(frequencies, frames, channels)`` of magnitudes of a step."""
        return spectrogram_shape(self.step_samples, channels=channels, settings=MAGNITUDES)

    @property
    def estimate_shape(self) -> tuple[int, int, int]:
        """Shape of an estimate: ``(512, 32, 1)`` mono or ``(512, 32, 2)`` binaural at 16 kHz."""
        return self.magnitude_shape(1 if self.estimate == "mono" else 2)


@dataclass(frozen=True, kw_only=True)
class PlacedSound:
    """A source of an episode."""

    position: tuple[float, float, float]
    """Where it is, on the floor [m]; it sounds `SeparationSettings.source_height` above."""
    sound: str
    """Name of its clip."""
    category: str
    """Class of the clip."""
    offset: float = 0.0
    """Where in the clip it starts [s]."""


@dataclass(frozen=True, kw_only=True)
class SeparationEpisode:
    """Where a body starts, what sounds around it, and which of that is wanted.

    Raises:
        EpisodeError: A pose is not finite, there are fewer than two sources, or the target is not one of them.
    """

    episode_id: str
    """Unique name within its split."""
    scene: str
    """"home:<split>:<seed>" for a generated home, or the path of a scene file."""
    start_position: tuple[float, float, float]
    """Where the body starts, on the floor [m]."""
    start_heading: float
    """Where it faces [rad]."""
    target: str
    """Class of the wanted source, that of exactly one of the sources."""
    sources: tuple[PlacedSound, ...]
    """What sounds."""

    def __post_init__(self) -> None:
        """Check poses and target."""
        places = [self.start_position, *(source.position for source in self.sources)]
        numbers = [self.start_heading, *(source.offset for source in self.sources)]
        if any(len(place) != 3 or not np.isfinite(place).all() for place in places) or not np.isfinite(numbers).all():
            raise EpisodeError(f"Episode {self.episode_id!r} has a pose or an offset that is not finite: {self}.")
        if len(self.sources) < 2:
            raise EpisodeError(f"Episode {self.episode_id!r} has {len(self.sources)} sources; expected two or more.")
        categories = [source.category for source in self.sources]
        if categories.count(self.target) != 1:
            what = "absent from the mixture" if self.target not in categories else "the class of several sources"
            raise EpisodeError(
                f"Episode {self.episode_id!r}: the target {self.target!r} is {what}; the sources are "
                f"{', '.join(categories)}. Expected exactly one source of the target's class."
            )

    @property
    def target_index(self) -> int:
        """Which of the sources is wanted."""
        return next(i for i, source in enumerate(self.sources) if source.category == self.target)


class SeparationTask:
    """The rules of one episode after another, applied to a simulator.

    Args:
        simulator: The world and the body.
        settings: The rules.
    """

    def __init__(self, simulator: Simulator, settings: SeparationSettings):
        self.simulator, self.settings = simulator, settings
        self.navigation = NavigationTask(simulator, settings)
        self.episode: SeparationEpisode | None = None

    def sample(
        self,
        rng: np.random.Generator,
        *,
        episode_id: str,
        scene: str,
        names: Mapping[str, Sequence[str]],
        targets: Sequence[str],
    ) -> SeparationEpisode:
        """Draw an episode in the simulator's world. Clips start at their beginning.

        Args:
            rng: Source of every draw.
            episode_id: Name of the episode.
            scene: Name of the scene.
            names: Names of clips by class.
            targets: Classes that may be wanted; the other sources are of any other class.

        Raises:
            EpisodeError: The world is too small.
        """
        count = self.settings.sources
        target = targets[int(rng.integers(len(targets)))]
        others = [category for category in names if category != target]
        chosen = [target, *(others[i] for i in rng.choice(len(others), count - 1, replace=len(others) < count - 1))]
        sounds = [names[category][int(rng.integers(len(names[category])))] for category in chosen]
        start, places = self._sample_places(rng, count)
        turns = round(2 * np.pi / self.settings.turn_angle)
        placed = tuple(
            PlacedSound(position=_triple(place), sound=sound, category=category)
            for place, sound, category in zip(places, sounds, chosen, strict=True)
        )
        return SeparationEpisode(
            episode_id=episode_id,
            scene=scene,
            start_position=_triple(start),
            start_heading=float(rng.integers(turns) * self.settings.turn_angle),
            target=target,
            sources=placed,
        )

    def _sample_places(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return where the body starts, and where the target and the other sources are."""
        simulator, settings = self.simulator, self.settings
        for _ in range(ATTEMPTS):
            target = simulator.random_point(rng)
            start = target if settings.most_distance == 0.0 else simulator.random_point(rng)
            if not settings.least_distance <= simulator.geodesic_distance(start, target) <= settings.most_distance:
                continue
            places = [target]
            for _ in range(10 * count):
                place = simulator.random_point(rng)
                apart = min(float(np.linalg.norm(place - other)) for other in places)
                # Sources may not coincide, whatever the least distance is.
                if apart >= max(settings.source_distance, 1e-3):
                    places.append(place)
                if len(places) == count:
                    break
            if len(places) == count and not any(
                simulator.world.scene.is_inside_solid(self._lifted(place)) for place in places
            ):
                return start, places
        raise EpisodeError(
            f"{simulator.world.scene.name}: {ATTEMPTS} draws found no place for {count} sources "
            f"{settings.source_distance:g} m apart with a start {settings.least_distance:g} to "
            f"{settings.most_distance:g} m from the target. Use a larger scene or lower source_distance."
        )

    def _lifted(self, place: Sequence[float] | np.ndarray) -> np.ndarray:
        return np.asarray(place, np.float64) + [0.0, self.settings.source_height, 0.0]

    def begin(self, episode: SeparationEpisode, clips: Sequence[Clip]) -> None:
        """Start an episode: put the body at its start and let the sources sound.

        One step of sound passes unheard, so that rooms ring as they will and a static target stays the same.

        Args:
            episode: The episode.
            clips: What its sources play, in their order.

        Raises:
            SoundError: A clip has another rate than the simulator.
            EpisodeError: There is no way from start to target.
        """
        rate, count = self.simulator.rate, self.settings.step_samples
        for clip in clips:
            if clip.rate != rate:
                raise SoundError(
                    f"Clip {clip.name!r} has {clip.rate} Hz and the simulator {rate} Hz; expected the same. Make the "
                    f"library with rate={rate}, or set acoustics.rate."
                )
        wanted = episode.sources[episode.target_index]
        self.navigation.begin(
            Episode(
                episode_id=episode.episode_id,
                scene=episode.scene,
                start_position=episode.start_position,
                start_heading=episode.start_heading,
                goal_position=wanted.position,
            ),
            None,
        )
        offsets = [
            round(source.offset * rate) % len(clip.samples) for source, clip in zip(episode.sources, clips, strict=True)
        ]
        self.simulator.set_sources(
            [
                SoundSource(
                    position=self._lifted(source.position),
                    samples=clip.samples,
                    offset=(offset - count) % len(clip.samples),
                )
                for source, clip, offset in zip(episode.sources, clips, offsets, strict=True)
            ]
        )
        self.simulator.hear_each(count)
        self.episode, self._clip = episode, clips[episode.target_index]
        self._next, self._mono = offsets[episode.target_index], {}
        self._last_quality: float | None = None
        self.heard = self._hear()

    def _hear(self) -> Heard:
        assert self.episode is not None
        count = self.settings.step_samples
        start = self._next % len(self._clip.samples)
        if start not in self._mono:
            if len(self._mono) >= KEPT_TARGETS:
                self._mono.pop(next(iter(self._mono)))
            dry = self._clip.looped(start, count)
            self._mono[start] = dry, scaled_to_target(spectrogram(dry[None], MAGNITUDES))
        self._next += count
        dry, mono = self._mono[start]
        stems = self.simulator.hear_each(count)
        return Heard(stems=stems, dry=dry, mono=mono, target=self.episode.target_index)

    @property
    def steps(self) -> int:
        """Steps that the episode has taken."""
        return self.navigation.steps

    @property
    def searching(self) -> bool:
        """Whether the next step is one in which coming nearer is rewarded."""
        return self.steps < self.settings.search_steps

    @property
    def moves(self) -> tuple[Move, ...]:
        """The actions that exist."""
        return tuple(move for move in Move if move != Move.STAND or self.settings.may_stand)

    def move(self, action: int) -> Outcome:
        """Move, let the time of a step pass, and listen; the reward is the metres by which the target came nearer.

        Raises:
            ActionError: There is no such action.
        """
        if not isinstance(action, (int, np.integer)) or not 0 <= int(action) < len(self.moves):
            raise ActionError(
                f"Action {action!r} does not exist; expected an integer: "
                + ", ".join(f"{move.value} {move.name.lower()}" for move in self.moves)
                + "."
            )
        if action == Move.STAND:
            self.navigation.steps += 1
            truncated = self.steps >= self.settings.max_steps
            outcome = Outcome(reward=0.0, terminated=False, truncated=truncated, collided=False)
        else:
            outcome = self.navigation.act(int(_NAVIGATION[Move(int(action))]))
        self.heard = self._hear()
        return outcome

    def check_estimate(self, estimate: object) -> np.ndarray:
        """Return an estimate as float32, once it is one.

        Raises:
            ActionError: It has another shape, is not real, or holds negative, NaN or infinite values.
        """
        shape, kind = self.settings.estimate_shape, self.settings.estimate
        try:
            found = np.asarray(estimate)
            numeric = found.dtype.kind in "fiu"
        except ValueError:
            raise ActionError(f"The estimate is no array; expected float32 of shape {shape}.") from None
        if found.shape != shape or not numeric:
            raise ActionError(
                f"The estimate has shape {found.shape} and type {found.dtype}; expected real magnitudes of shape "
                f"{shape}, (frequencies, frames, channels), of the {kind} target."
            )
        with np.errstate(over="ignore"):
            values = found.astype(np.float32)
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise ActionError(f"The estimate holds {bad} NaN or infinite values; expected finite magnitudes.")
        if (values < 0).any():
            raise ActionError(
                f"The estimate's least value is {values.min():g}; expected magnitudes of 0 or more, linear: neither a "
                "waveform nor decibels."
            )
        return values

    def judge(self, estimate: np.ndarray, heard: Heard) -> Verdict | None:
        """Compare an estimate with the truth; None where the target is silent, so that there is none.

        Args:
            estimate: Magnitudes, as `check_estimate` returns them.
            heard: The sound that it is an estimate of.
        """
        return judge(estimate, heard, self.settings.estimate)

    def reward(self, verdict: Verdict | None, baseline: Heard, *, last: bool) -> float:
        """Return the reward of an estimate.

        Args:
            verdict: How good it is; None for a silent target, which earns nothing.
            baseline: The sound whose unprocessed mixture the first estimate has to beat.
            last: Whether it is the last of the episode.
        """
        settings = self.settings
        if self._last_quality is None and not baseline.is_silent:
            kind = settings.estimate
            self._last_quality = separation_quality(baseline.unprocessed(kind), baseline.truth(kind))
        if verdict is None:
            return 0.0
        before = verdict.mixture_quality if self._last_quality is None else self._last_quality
        self._last_quality = verdict.quality
        earned = verdict.quality - before if settings.reward == "rise" else verdict.quality
        return float(earned + (settings.final_weight * verdict.quality if last else 0.0))


def _triple(point: np.ndarray) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])
