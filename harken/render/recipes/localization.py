"""The recipe "localization": which pixels sound, when each source is on, and where it is.

The scenes of "binaural-video" with the labels of two other tasks of the field. Segmentation of sounding objects, as
AVSBench has it (Zhou et al., ECCV 2022): which pixels show what can sound, and which of them sound at the moment.
Localisation and detection of sound events, as in DCASE's task 3 (Adavanne et al. 2019; Politis et al. 2022): class,
onset and offset, azimuth, elevation and distance every 100 ms. Objects sound from time to time by default
(``scenes.activity``).
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from harken.checks import check_settings
from harken.render.encoding import Audio, Frames, Video
from harken.render.recipe import check_split_and_seed
from harken.render.recipes.binaural_video import scene_licence, stereo_of
from harken.render.recipes.footage import describe, film, numbered_stems, record, spherical_angles
from harken.render.scenes import SampledScene, SceneSettings, SoundingObject, sample_scene, scene_categories
from harken.sound.level import active_part

__all__ = ["LocalizationRecipe", "LocalizationSettings", "dcase_rows", "sounding"]

_STEP = 0.1


@dataclass(frozen=True, kw_only=True)
class LocalizationSettings:
    """Settings of the recipe "localization"."""

    scenes: SceneSettings = field(default_factory=lambda: SceneSettings(activity="events"))
    """What is seen and heard."""
    stems: bool = False
    """Whether the sound of each object alone is stored too."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class LocalizationRecipe:
    """Videos of sounding objects in homes with labels of pixels, of events and of places."""

    name: ClassVar[str] = "localization"
    version: ClassVar[int] = 2

    settings: LocalizationSettings = field(default_factory=LocalizationSettings)
    """What is rendered."""
    split: str = "train"
    """Split of homes and clips."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        """Check split and seed."""
        check_split_and_seed(self.split, self.seed)

    @property
    def licence(self) -> str:
        """What the samples may be used for."""
        return scene_licence(self.settings.scenes)

    def sample(self, number: int) -> dict[str, Any]:
        """Make a sample.

        Args:
            number: Number of the sample.

        Returns:
            Parts, where steps last 100 ms and k counts objects from 0:

            - ``mp4``: the video with its sound,
            - ``binaural.flac`` ``(2, n)``, or ``ambisonics.flac`` ``(4, n)`` for a panorama; with `stems` also
              ``stem_k.flac``, silent where there are fewer objects than `SceneSettings.sources` allows,
            - ``visible.png``: `Frames` ``(frames, h, w, 1)`` uint8: k + 1 where a pixel shows object k, else 0,
            - ``audible.png``: the same, of the objects that sound while the image lasts: see `sounding`,
            - ``active.npy`` ``(objects, steps)`` bool: whether each sounds,
            - ``directions.npy`` ``(objects, steps, 3)`` float32: azimuth (0 ahead, positive to the left) and elevation
              [rad] and distance [m] in the middle of each step,
            - ``dcase.csv``: the same as DCASE's metadata, see `dcase_rows`,
            - ``json``: home, camera, objects, ``classes`` (names by index) and ``events``: object, class, onset and
              duration [s], sorted by onset.

        Raises:
            DataSetError: Nothing that can sound fits into the view; see `harken.render.scenes.sample_scene`.
            SoundError: A recording cannot be used.
        """
        s, rate = self.settings, self.settings.scenes.acoustics.rate
        scene = sample_scene(s.scenes, self.split, self.seed, number)
        seen, heard = film(scene), record(scene)
        steps = round(s.scenes.duration / _STEP)
        active = np.stack([sounding(source, rate, _STEP, steps) for source in scene.objects])
        middle = (np.arange(steps) + 0.5) * _STEP
        places = np.array([[source.trajectory.position(time) for time in middle] for source in scene.objects])
        directions = spherical_angles(scene, places)
        classes = scene_categories(s.scenes)
        numbers = [classes.index(source.category) for source in scene.objects]
        panorama = s.scenes.view == "panorama"
        parts: dict[str, Any] = {
            "mp4": Video(
                frames=seen.rgb,
                frame_rate=s.scenes.frame_rate,
                audio=stereo_of(heard.mixture),
                audio_rate=rate,
                preset="veryfast",
            ),
            "ambisonics.flac" if panorama else "binaural.flac": Audio(samples=heard.mixture, rate=rate),
            "visible.png": Frames(images=seen.masks),
            "audible.png": Frames(images=_audible(scene, seen.masks, rate)),
            "active.npy": active,
            "directions.npy": directions,
            "dcase.csv": dcase_rows(active, directions, numbers).encode(),
        }
        if s.stems:
            parts |= numbered_stems(s.scenes, heard)
        events = [
            {"object": k, "class": source.category, "onset": onset, "duration": length}
            for k, source in enumerate(scene.objects)
            for onset, length in source.events
        ]
        events.sort(key=lambda event: (event["onset"], event["object"]))
        return {**parts, "json": {**describe(scene), "classes": list(classes), "events": events}}


def sounding(source: SoundingObject, rate: int, width: float, count: int) -> np.ndarray:
    """Tell when an object sounds: in which of equal spans of time its dry sound is not in a pause.

    A span counts where at least a tenth of it is active, that is less than 40 dB below the loudest 20 ms of the clip
    (`harken.sound.level.active_part`). The way to the ears, some 10 ms, is not taken into account.

    Args:
        source: The object.
        rate: Sample rate of its sound [Hz].
        width: Length of a span [s].
        count: Number of spans.

    Returns:
        ``(count,)`` bool.
    """
    heard = np.concatenate([[0], np.cumsum(active_part(source.samples, rate))])
    edges = np.minimum(np.round(np.arange(count + 1) * width * rate).astype(int), len(source.samples))
    return np.diff(heard[edges]) >= np.maximum(0.1 * np.diff(edges), 1)


def dcase_rows(active: np.ndarray, directions: np.ndarray, classes: list[int]) -> str:
    """Return labels as DCASE's task 3 has them since 2024, without a header.

    Args:
        active: ``(objects, steps)`` bool.
        directions: ``(objects, steps, 3)`` azimuth and elevation [rad], distance [m].
        classes: Index of each object's class.

    Returns:
        A line for each active object and step of 100 ms: step, class, number of the object, azimuth [°] (0 ahead,
        positive to the left, −180 to 180), elevation [°], distance [cm], all whole numbers.
    """
    lines = []
    for step, k in zip(*np.nonzero(active.T), strict=True):
        azimuth, elevation = np.degrees(directions[k, step, :2].astype(np.float64))
        whole = [round(value) for value in (azimuth, elevation, 100.0 * float(directions[k, step, 2]))]
        lines.append(f"{step},{classes[k]},{k},{','.join(map(str, whole))}\n")
    return "".join(lines)


def _audible(scene: SampledScene, masks: np.ndarray, rate: int) -> np.ndarray:
    """Return the masks of the objects that sound while an image lasts, until the next."""
    audible = np.zeros_like(masks)
    for k, source in enumerate(scene.objects):
        on = sounding(source, rate, 1.0 / scene.settings.frame_rate, len(masks))
        audible[on] = np.where(masks[on] == k + 1, masks[on], audible[on])
    return audible
