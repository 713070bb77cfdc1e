"""The rules of active separation, and what an episode of it is.

Rules and rewards are those of Majumder, Al-Halah and Grauman (ICCV 2021), "Move2Hear: active audio-visual source
separation", and of Majumder and Grauman (ECCV 2022), "Active audio-visual separation of dynamic sound sources".
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np

from harken.acoustics import AcousticSettings
from harken.checks import check_settings, checked_number, checked_point
from harken.errors import ConfigurationError, EpisodeError
from harken.sim import BodySettings, WorldSettings
from harken.sim.settings import Engine
from harken.sound import spectrogram_shape
from harken.tasks.heard import MAGNITUDES

__all__ = ["Move", "PlacedSound", "SeparationEpisode", "SeparationSettings"]


class Move(IntEnum):
    """What a body can do in a step of active separation."""

    FORWARD = 0
    LEFT = 1
    RIGHT = 2
    STAND = 3


@dataclass(frozen=True, kw_only=True)
class SeparationSettings:
    """The rules of active separation; the defaults are those of the preset "near-target"."""

    body: BodySettings = BodySettings(motion="grid", forward_step=1.0, turn_angle=np.pi / 2)
    """What the body is like."""
    propagation: Engine = "harken"
    """Engine that propagates sound."""
    acoustics: AcousticSettings = field(default_factory=AcousticSettings)
    """How sound is propagated."""
    step_time: float = 1.0
    """Time that passes in a step, and length of the sound that is observed and separated [s]."""
    max_steps: int = 20
    """Steps of an episode, those of the search included."""
    max_depth: float = 10.0
    """Largest depth that is observed [m]; what is farther is clipped to it."""
    least_distance: float = 0.0
    """Least geodesic distance from start to target of a sampled episode [m]."""
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
        check_settings(
            self,
            step_time=(1e-3, 60.0),
            max_steps=(1, 10**6),
            max_depth=(1e-3, 10_000.0),
            least_distance=(0.0, 1e6),
            most_distance=(0.0, 1e6),
            sources=(2, 16),
            source_distance=(0.0, 1e6),
            source_height=(0.1, 3.0),
            clip_seconds=(1.0, 120.0),
            search_steps=(0, 10**6),
            final_weight=(-1e9, 1e9),
        )
        if not self.search_steps < self.max_steps:
            raise ConfigurationError(
                f"Setting search_steps is {self.search_steps!r} of max_steps {self.max_steps!r}; expected fewer, from "
                "0, so that steps to separate remain."
            )
        if not self.least_distance <= self.most_distance:
            raise ConfigurationError(
                f"Settings least_distance {self.least_distance!r} and most_distance {self.most_distance!r} m; expected "
                "the least not above the most."
            )
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
    def world(self) -> WorldSettings:
        """The worlds that the task is played in."""
        return self.body.world(self.acoustics, self.propagation)

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

    def __post_init__(self) -> None:
        """Check place and offset.

        Raises:
            EpisodeError: One is not finite.
        """
        point = checked_point("The place of a sound", self.position, error=EpisodeError)
        object.__setattr__(self, "position", tuple(point.tolist()))
        object.__setattr__(
            self, "offset", checked_number("The offset of a sound", self.offset, 0.0, 1e6, unit="s", error=EpisodeError)
        )


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
        where = f"Episode {str(self.episode_id)[:80]!r}:"
        point = checked_point(f"{where} start_position", self.start_position, error=EpisodeError)
        object.__setattr__(self, "start_position", tuple(point.tolist()))
        heading = checked_number(f"{where} start_heading", self.start_heading, -1e6, 1e6, error=EpisodeError)
        object.__setattr__(self, "start_heading", heading)
        if len(self.sources) < 2 or not all(isinstance(source, PlacedSound) for source in self.sources):
            raise EpisodeError(f"{where} {len(self.sources)} sources; expected two or more, each a PlacedSound.")
        categories = [source.category for source in self.sources]
        if categories.count(self.target) != 1:
            what = "absent from the mixture" if self.target not in categories else "the class of several sources"
            raise EpisodeError(
                f"Episode {self.episode_id!r}: the target {self.target!r} is {what}; the sources are "
                f"{', '.join(categories)}. Expected exactly one source of the target's class."
            )

    @property
    def target_index(self) -> int:
        """Which of the sources is the target."""
        return next(i for i, source in enumerate(self.sources) if source.category == self.target)
