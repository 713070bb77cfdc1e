"""The recipe "binaural-video": clips of homes with sounding objects in view, and what two ears at the camera hear.

What 2.5D Visual Sound (Gao and Grauman, CVPR 2019) recorded with a dummy head in one music room, 10 s at 10 images a
second, made in any number of furnished homes, with the ground truth that a recording lacks: each object's sound
alone, where it is in the image and in the world, which pixels show it, depth, and the room's responses. With
``scenes.view="panorama"`` it is what Morgado et al. (NeurIPS 2018) collected: 360° video of 224 × 448 at 10 images a
second with first-order ambisonics.

The camera stands still. Camera and ears are at the same place and face the same way. `harken.render.scenes` describes
how scenes are drawn.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from harken.acoustics.hearing.ambisonics import channel_orders
from harken.checks import check_settings
from harken.errors import DataSetError
from harken.render.encoding import Audio, Depth, Frames, Video
from harken.render.recipe import check_split_and_seed
from harken.render.recipes.footage import describe, film, numbered_stems, record, spherical_angles
from harken.render.scenes import SceneSettings, sample_scene

__all__ = ["BinauralVideoRecipe", "BinauralVideoSettings", "mirrored", "scene_licence", "stereo_of"]


@dataclass(frozen=True, kw_only=True)
class BinauralVideoSettings:
    """Settings of the recipe "binaural-video"."""

    scenes: SceneSettings = field(default_factory=SceneSettings)
    """What is seen and heard."""
    exact_frames: bool = False
    """Whether images are stored without loss too, one below the other in a PNG."""
    every_depth: bool = False
    """Whether depth is stored for every image and not for the first alone; the others differ from it by the moving
    balls only."""
    dry: bool = False
    """Whether the sound of each object without the room is stored too."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class BinauralVideoRecipe:
    """Videos of sounding objects in homes with the sound at the camera."""

    name: ClassVar[str] = "binaural-video"
    version: ClassVar[int] = 2

    settings: BinauralVideoSettings = field(default_factory=BinauralVideoSettings)
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
            With the settings' names; *objects* and *frames* are their numbers, k counts objects from 0 to the most
            that `SceneSettings.sources` allows, so that all samples have the same parts; where there are fewer, the
            others are silent:

            - ``mp4``: the video with its sound, to be looked at,
            - ``binaural.flac``: `Audio` ``(2, n)``, left first; ``ambisonics.flac`` ``(4, n)``, ACN and SN3D, for a
              panorama,
            - ``mono.flac`` ``(1, n)``: left plus right, from which a network is to find the two (2.5D Visual Sound);
              the omnidirectional channel W for a panorama,
            - ``stem_k.flac``: what each object contributes to ``binaural.flac`` or ``ambisonics.flac``, their sum,
            - ``dry_k.flac``, on request: the object's sound at 1 m in the free field,
            - ``response_k.wav`` ``(channels, m)``: impulse response from where it is in the first image,
            - ``masks.png``: `Frames` ``(frames, h, w, 1)`` uint8: k + 1 where a pixel shows object k, else 0,
            - ``depth.npy.gz``: `Depth` ``(h, w, 1)`` of the first image, or ``(frames, h, w, 1)`` of all [m],
            - ``frames.png``, on request: `Frames` ``(frames, h, w, 3)``,
            - ``positions.npy`` ``(objects, frames, 3)`` float32 [m]; ``directions.npy`` ``(objects, frames, 3)``:
              azimuth (positive to the left) and elevation [rad], distance [m]; ``pixels.npy`` ``(objects, frames, 2)``
              column and row; ``in_view.npy``, ``occluded.npy`` ``(objects, frames)`` bool; ``visible.npy`` float32,
              the share of the object that is seen: see `harken.render.recipes.footage.Film`,
            - ``json``: home, camera and objects.

        Raises:
            DataSetError: Nothing that can sound fits into the view; see `harken.render.scenes.sample_scene`.
            SoundError: A recording cannot be used.
        """
        s = self.settings
        scene = sample_scene(s.scenes, self.split, self.seed, number)
        seen, heard = film(scene, every_depth=s.every_depth), record(scene)
        rate, panorama = s.scenes.acoustics.rate, s.scenes.view == "panorama"
        mixture = heard.mixture
        mono = mixture[:1] if panorama else mixture.sum(0, keepdims=True)
        pair = stereo_of(mixture)
        parts: dict[str, Any] = {
            "mp4": Video(
                frames=seen.rgb, frame_rate=s.scenes.frame_rate, audio=pair, audio_rate=rate, preset="veryfast"
            ),
            "ambisonics.flac" if panorama else "binaural.flac": Audio(samples=mixture, rate=rate),
            "mono.flac": Audio(samples=mono, rate=rate),
            "masks.png": Frames(images=seen.masks),
            "depth.npy.gz": Depth(metres=seen.depth if s.every_depth else seen.depth[0]),
            "positions.npy": seen.positions,
            "directions.npy": spherical_angles(scene, seen.positions),
            "pixels.npy": seen.pixels,
            "in_view.npy": seen.in_view,
            "occluded.npy": seen.occluded,
            "visible.npy": seen.visible,
        }
        parts |= numbered_stems(s.scenes, heard)
        for k in range(len(s.scenes.sources)):
            there = k < len(scene.objects)
            response = heard.responses[k] if there else np.zeros((len(mixture), 1), np.float32)
            parts[f"response_{k}.wav"] = Audio(samples=response, rate=rate)
            if s.dry:
                dry = scene.objects[k].samples if there else np.zeros(mixture.shape[1], np.float32)
                parts[f"dry_{k}.flac"] = Audio(samples=dry[None], rate=rate)
        if s.exact_frames:
            parts["frames.png"] = Frames(images=seen.rgb)
        return {**parts, "json": describe(scene)}


def scene_licence(settings: SceneSettings) -> str:
    """Return what samples of scenes may be used for."""
    own = (
        "Homes and built-in clips are made by Harken; its licence, MIT, sets no condition on what it renders. "
        "Responses of the head: MIT KEMAR (Gardner and Martin 1994), free of restrictions."
    )
    return (
        own if settings.clips is None else f"{own} The licence of the recordings of {settings.clips!r} holds besides."
    )


def stereo_of(sound: np.ndarray) -> np.ndarray:
    """Return two channels ``(2, n)`` to listen to: ears as they are; of ambisonics two cardioids to left and right."""
    if len(sound) == 2:
        return sound
    return np.stack([sound[0] + sound[1], sound[0] - sound[1]]) * np.float32(0.5)


def mirrored(parts: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as in a mirror: images are flipped, and left and right change sides in the sound.

    What Lin and Wang, "Exploiting Audio-Visual Consistency with Partial Supervision for Spatial Audio Generation", AAAI
    2021, call left-right consistency. For the built-in head, which is symmetric, and for ambisonics it is the sound of
    the mirrored home. Places in the world are left out, since the home that they would lie in does not exist.

    Args:
        parts: What `BinauralVideoRecipe.sample` returned.

    Returns:
        A new sample without ``positions.npy``, pose and home.

    Raises:
        DataSetError: The parts are not of this recipe.
    """
    if "mp4" not in parts or "pixels.npy" not in parts:
        raise DataSetError("These parts are not a sample of binaural-video: mp4 or pixels.npy is missing.")
    video = parts["mp4"]
    width = np.shape(video.frames)[2]
    pixels, directions = parts["pixels.npy"].copy(), parts["directions.npy"].copy()
    reached = ~(pixels == -1).all(-1)
    pixels[reached, 0] = width - pixels[reached, 0]
    directions[..., 0] *= -1
    turned: dict[str, Any] = {}
    for name, part in parts.items():
        if name == "positions.npy":
            continue
        if isinstance(part, Audio):
            turned[name] = Audio(samples=_swapped(part.samples), rate=part.rate, bits=part.bits)
        elif isinstance(part, Frames):
            turned[name] = Frames(images=part.images[:, :, ::-1].copy())
        elif isinstance(part, Depth):
            turned[name] = Depth(metres=part.metres[..., ::-1, :].copy())
        elif isinstance(part, Video):
            sound = None if part.audio is None else part.audio[::-1].copy()
            turned[name] = Video(
                frames=np.asarray(part.frames)[:, :, ::-1].copy(),
                frame_rate=part.frame_rate,
                audio=sound,
                audio_rate=part.audio_rate,
                preset=part.preset,
            )
        else:
            turned[name] = part
    metadata = {key: value for key, value in parts["json"].items() if key not in ("home", "camera")}
    return {**turned, "pixels.npy": pixels, "directions.npy": directions, "json": {**metadata, "mirrored": True}}


def _swapped(samples: np.ndarray) -> np.ndarray:
    """Exchange left and right: ears change places; of ambisonics the harmonics odd in y change sign."""
    if len(samples) == 2:
        return samples[::-1].copy()
    if len(samples) == 1:
        return samples.copy()
    orders = channel_orders(round(len(samples) ** 0.5) - 1)
    degrees = np.arange(len(samples)) - orders * (orders + 1)
    return samples * np.where(degrees < 0, -1, 1).astype(np.float32)[:, None]
