"""Views of a scene: depth, colour and semantics from one cast of rays."""

from collections.abc import Sequence

import numpy as np

from harken.checks import checked_point
from harken.errors import ConfigurationError, UnknownNameError
from harken.scene.scene import Scene
from harken.vision.camera import Camera
from harken.vision.casting import cast_depth, cast_hits, pose_frame
from harken.vision.surfaces import SKY, shade, surface_arrays

__all__ = ["CHANNELS", "Renderer"]

CHANNELS: tuple[str, ...] = ("depth", "rgb", "semantic", "instance", "material")
"""Names of the images that `Renderer.observe` can return."""

# Beyond this, distances from the camera overflow single precision when they are squared.
_FARTHEST = 1e18


class Renderer:
    """Renders views of one scene.

    Images depend only on the arguments of `observe`. The scene's light is computed when colour is first asked
    for, in a few seconds at most, and shared by all renderers of the same scene in the process.

    Args:
        scene: What to look at.
    """

    def __init__(self, scene: Scene):
        self.scene, self._origin = scene.local, scene.origin if scene.is_far else None

    def observe(
        self,
        camera: Camera,
        position: Sequence[float] | np.ndarray,
        heading: float,
        pitch: float = 0.0,
        channels: Sequence[str] = ("depth",),
    ) -> dict[str, np.ndarray]:
        """Take a view; the first row is the top, the first column the left.

        Args:
            camera: Size and projection of the image.
            position: ``(3,)`` place of the camera [m].
            heading: Angle about +y [rad]; 0 looks along −z, positive is counter-clockwise seen from above.
            pitch: Angle above the horizon [rad].
            channels: Which of `CHANNELS` to return.

        Returns:
            A fresh array per channel:

            - ``"depth"`` ``(height, width, 1)`` float32 [m]: along the optical axis for a pinhole camera, along the ray
              for a panorama; 0 where nothing is hit,
            - ``"rgb"`` ``(height, width, 3)`` uint8 (sRGB),
            - ``"semantic"`` ``(height, width, 1)`` int32: index into `Scene.categories`, 0 where nothing is hit,
            - ``"instance"`` ``(height, width, 1)`` int32: number of the object, 0 for none,
            - ``"material"`` ``(height, width, 1)`` int32: 1 + index into `Scene.materials`, 0 where nothing is hit.

        Raises:
            UnknownNameError: A channel does not exist.
            ConfigurationError: `camera` is not a camera, or the pose is not finite or has the wrong shape.
        """
        if not isinstance(camera, Camera):
            raise ConfigurationError(f"camera is of type {type(camera).__name__}; expected a harken.vision.Camera.")
        _check_channels(channels)
        if self._origin is not None:
            position = checked_point("position", position) - self._origin
        place, frame = _single_precision(position), pose_frame(heading, pitch)
        triangles = self.scene.triangles
        depth = np.empty((camera.height, camera.width, 1), np.float32)
        flat = depth.reshape(camera.height, camera.width)
        if all(name == "depth" for name in channels):
            rays = triangles.image_data, triangles.kernel_data
            cast_depth(rays, place, frame, camera.columns, camera.rows, flat)
            return {"depth": depth}
        triangle = np.empty(flat.shape, np.int32)
        barycentric = np.empty((*flat.shape, 2), np.float32)
        hits = flat, triangle, barycentric
        cast_hits(triangles.packet_data, place, frame, camera.columns, camera.rows, *hits)
        views: dict[str, np.ndarray] = {"depth": depth}
        if "rgb" in channels:
            pixel = np.array([0.0, camera.pixel_angle], np.float32)
            views["rgb"] = np.empty((*flat.shape, 3), np.uint8)
            shade(
                *(surface_arrays(self.scene), frame, camera.columns, camera.rows, pixel),
                *(*hits, SKY, views["rgb"]),
            )
        for name, values in (("semantic", self.scene.category), ("instance", self.scene.instance)):
            if name in channels:
                views[name] = np.where(triangle >= 0, values[triangle], np.int32(0))[:, :, None]
        if "material" in channels:
            views["material"] = np.where(triangle >= 0, self.scene.material[triangle] + np.int32(1), np.int32(0))
            views["material"] = views["material"][:, :, None]
        return {name: views[name] for name in channels}


def _check_channels(channels: Sequence[str]) -> None:
    if not isinstance(channels, tuple | list) or not channels:
        raise ConfigurationError(
            f"channels is {channels!r}; expected a tuple of names, such as ('depth', 'rgb'), of {', '.join(CHANNELS)}."
        )
    for name in channels:
        if name not in CHANNELS:
            raise UnknownNameError("channel", name, CHANNELS)


def _single_precision(position: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the camera's place as kernels take it, finite in single precision too."""
    place = checked_point("position", position)
    if max(map(abs, place.tolist())) > _FARTHEST:
        raise ConfigurationError(f"position is {position!r}; expected coordinates within ±{_FARTHEST:g} m.")
    return place.astype(np.float32)
