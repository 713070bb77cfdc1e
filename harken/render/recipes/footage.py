"""What camera and ears record of a scene: images, masks and positions over time, and the sound of each object."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harken.acoustics import Ambisonics
from harken.acoustics.protocol import ListenerFormat
from harken.render.encoding import Audio
from harken.render.scenes import SampledScene, SceneSettings, SoundingObject
from harken.sim import Simulator, SoundSource
from harken.vision import Camera
from harken.vision.spheres import SphereView, project, view_sphere

__all__ = ["Film", "Recording", "describe", "film", "numbered_stems", "record", "spherical_angles"]

_BLOCK = 0.1
_HIDDEN = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """What the camera sees of a scene; image k is taken at k / frame rate."""

    rgb: np.ndarray
    """``(frames, h, w, 3)`` uint8."""
    depth: np.ndarray
    """``(frames, h, w, 1)`` float32 [m], balls included; of the first image only where more was not asked for."""
    masks: np.ndarray
    """``(frames, h, w, 1)`` uint8: 1 + the number of the sounding object that a pixel shows, 0 for none."""
    positions: np.ndarray
    """``(objects, frames, 3)`` float32 where each object sounds, in the world [m]."""
    pixels: np.ndarray
    """``(objects, frames, 2)`` float32 column and row at which that place appears; (−1, −1) behind the camera."""
    in_view: np.ndarray
    """``(objects, frames)`` bool: whether that place lies within the image."""
    visible: np.ndarray
    """``(objects, frames)`` float32, 0–1: of the pixels that the object would cover in the image if nothing stood
    before it, the share that shows it. For furniture: of those that show it while no ball does."""

    @property
    def occluded(self) -> np.ndarray:
        """``(objects, frames)`` bool: in view, but less than half of it is seen."""
        return self.in_view & (self.visible < _HIDDEN)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """What is heard of a scene."""

    stems: np.ndarray
    """``(objects, channels, n)`` float32: each object alone; the mixture is their sum."""
    responses: tuple[np.ndarray, ...]
    """``(channels, m)`` float32 per object: impulse response from where it is at the beginning."""

    @cached_property
    def mixture(self) -> np.ndarray:
        """``(channels, n)`` float32."""
        return self.stems.sum(0, dtype=np.float32)


def film(scene: SampledScene, *, every_depth: bool = False) -> Film:
    """Take the images of a scene.

    The camera stands still, so the home is drawn once and the balls into it at each image, by depth.

    Args:
        scene: The scene.
        every_depth: Whether to return depth for every image and not for the first alone.
    """
    settings, camera = scene.settings, scene.settings.camera
    still = scene.world.renderer.observe(camera, scene.eye, scene.heading, channels=("rgb", "depth", "instance"))
    labels = np.zeros(still["depth"].shape, np.uint8)
    for k, source in enumerate(scene.objects):
        if source.kind == "furniture":
            labels[still["instance"] == source.instance] = k + 1
    count, sources = settings.frames, len(scene.objects)
    rgb, masks = np.repeat(still["rgb"][None], count, 0), np.repeat(labels[None], count, 0)
    depth = np.repeat(still["depth"][None], count if every_depth else 1, 0)
    times = np.arange(count) / settings.frame_rate
    positions = np.array([[source.trajectory.position(time) for time in times] for source in scene.objects])
    pixels, in_view = project(camera, scene.eye, scene.heading, positions.reshape(-1, 3))
    alone, shown = np.zeros((2, sources, count), np.int64)
    views = _BallViews(scene, camera)
    for frame in range(count):
        distance = depth[frame] if frame < len(depth) else still["depth"].copy()
        balls = {k: views.view(k, positions[k, frame]) for k in range(sources) if scene.objects[k].kind == "ball"}
        for k, ball in balls.items():
            _draw(ball, scene.objects[k], k + 1, rgb[frame], distance[..., 0], masks[frame, ..., 0])
        for k in range(sources):
            if k in balls:
                alone[k, frame] = len(balls[k].rows)
                shown[k, frame] = np.count_nonzero(masks[frame, balls[k].rows, balls[k].columns] == k + 1)
            else:
                alone[k, frame], shown[k, frame] = (np.count_nonzero(m == k + 1) for m in (labels, masks[frame]))
    return Film(
        rgb=rgb,
        depth=depth,
        masks=masks,
        positions=positions.astype(np.float32),
        pixels=pixels.reshape(sources, count, 2).astype(np.float32),
        in_view=in_view.reshape(sources, count),
        visible=(shown / np.maximum(alone, 1)).astype(np.float32),
    )


class _BallViews:
    """Views of balls; one that rests is computed once."""

    def __init__(self, scene: SampledScene, camera: Camera):
        self._scene, self._camera = scene, camera
        self._last: dict[int, tuple[bytes, SphereView]] = {}

    def view(self, number: int, place: np.ndarray) -> SphereView:
        last = self._last.get(number)
        if last is None or last[0] != place.tobytes():
            radius = self._scene.settings.radius
            ball = view_sphere(self._camera, self._scene.eye, self._scene.heading, place, radius)
            last = self._last[number] = place.tobytes(), ball
        return last[1]


def _draw(
    ball: SphereView, source: SoundingObject, label: int, rgb: np.ndarray, depth: np.ndarray, mask: np.ndarray
) -> None:
    """Draw a ball where nothing nearer is; the arrays are those of one image."""
    behind = depth[ball.rows, ball.columns]
    front = (ball.depth < behind) | (behind == 0)
    rows, columns = ball.rows[front], ball.columns[front]
    depth[rows, columns], mask[rows, columns] = ball.depth[front], label
    rgb[rows, columns] = np.round(ball.shade[front, None] * np.array(source.color, np.float32)).astype(np.uint8)


def record(scene: SampledScene) -> Recording:
    """Hear a scene from where the camera stands: with two ears, or for a panorama in first-order ambisonics.

    Sound begins with the clip: there are no echoes of anything before it.

    Args:
        scene: The scene.
    """
    settings = scene.settings
    hearing: ListenerFormat = "binaural" if settings.view == "camera" else Ambisonics(order=1)
    simulator = Simulator(scene.world, hearing=hearing)
    simulator.place(scene.position, scene.heading)
    sources = [
        SoundSource(
            position=item.trajectory.position(0.0),
            samples=item.samples,
            trajectory=item.trajectory if item.moves else None,
        )
        for item in scene.objects
    ]
    simulator.set_sources(sources)
    responses = tuple(simulator.impulse_response(source.at(0.0)).samples for source in sources)
    block = round(_BLOCK * settings.acoustics.rate)
    blocks = [simulator.hear_each(block) for _ in range(-(-settings.samples // block))]
    return Recording(stems=np.concatenate(blocks, 2)[:, :, : settings.samples], responses=responses)


def numbered_stems(settings: SceneSettings, heard: Recording) -> dict[str, Audio]:
    """Return ``stem_0.flac`` and so on, as many as there can be objects; what is not there is silent.

    Args:
        settings: What scenes are like.
        heard: What is heard of one.
    """
    silence = np.zeros_like(heard.stems[0])
    stems = [*heard.stems, *[silence] * (len(settings.sources) - len(heard.stems))]
    return {f"stem_{k}.flac": Audio(samples=stem, rate=settings.acoustics.rate) for k, stem in enumerate(stems)}


def spherical_angles(scene: SampledScene, positions: np.ndarray) -> np.ndarray:
    """Return where places are for the ears.

    Args:
        scene: The scene.
        positions: ``(..., 3)`` in the world [m].

    Returns:
        ``(..., 3)`` float32 azimuth [rad], 0 ahead and positive to the left, −π to π; elevation [rad], positive above;
        distance [m].
    """
    rel = np.asarray(positions, np.float64) - scene.eye
    sine, cosine = np.sin(scene.heading), np.cos(scene.heading)
    left, ahead = -rel[..., 0] * cosine + rel[..., 2] * sine, -rel[..., 0] * sine - rel[..., 2] * cosine
    azimuth, elevation = np.arctan2(left, ahead), np.arctan2(rel[..., 1], np.hypot(left, ahead))
    return np.stack([azimuth, elevation, np.linalg.norm(rel, axis=-1)], -1).astype(np.float32)


def describe(scene: SampledScene) -> dict[str, Any]:
    """Return what a recipe's JSON says of a scene: home, pose and the objects."""
    settings = scene.settings
    return {
        "home": scene.world.scene.source,
        "camera": {
            "projection": settings.camera.projection,
            "field_of_view": settings.field_of_view if settings.view == "camera" else 2 * np.pi,
            "position": scene.eye.tolist(),
            "heading": scene.heading,
        },
        "frame_rate": settings.frame_rate,
        "objects": [
            {
                "kind": source.kind,
                "instance": source.instance,
                "clip": source.clip,
                "category": source.category,
                "gain_db": source.gain_db,
                "moves": source.moves,
                # Also for furniture, which has no use for it, because readers infer types from the first samples.
                "color": list(source.color),
                "events": [list(event) for event in source.events],
            }
            for source in scene.objects
        ],
    }
