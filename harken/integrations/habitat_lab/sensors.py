"""habitat-lab's cameras, rendered by Harken."""

import math
from typing import Any

import numpy as np
from gym import spaces
from habitat.core.simulator import DepthSensor, RGBSensor, SemanticSensor, Sensor

from harken.errors import ConfigurationError, UnknownNameError
from harken.sim import Mount
from harken.vision import Camera

__all__ = ["ColorCamera", "DepthCamera", "SemanticCamera", "View", "make_sensor"]


class View(Sensor):
    """What all cameras of a body have in common.

    Args:
        config: habitat-lab's settings of the sensor.

    Raises:
        ConfigurationError: The camera is of a kind that Harken does not have, or tilted sideways.
    """

    channel: str
    """The image of Harken's that it shows."""

    def __init__(self, config: Any):
        kind = config.get("sensor_subtype", "PINHOLE")
        if kind != "PINHOLE":
            raise ConfigurationError(f"Sensor subtype is {kind!r}; Harken's cameras are 'PINHOLE' or equirectangular.")
        if config.get("noise_model", "None") != "None":
            raise ConfigurationError(f"Noise model is {config.noise_model!r}; Harken's cameras have none ('None').")
        around_x, around_y, around_z = (float(angle) for angle in config.orientation)
        if around_z != 0.0:
            raise ConfigurationError(
                f"Orientation of a camera is {list(config.orientation)}; expected 0 for the third angle: Harken's "
                "cameras turn and look up, and do not tilt sideways."
            )
        panorama = "Equirectangular" in config.type
        self.camera = Camera(
            width=int(config.width),
            height=int(config.height),
            field_of_view=math.radians(90.0 if panorama else config.hfov),
            projection="equirectangular" if panorama else "pinhole",
        )
        right, up, back = (float(part) for part in config.position)
        self.mount = Mount(height=up, ahead=-back, left=-right, yaw=around_y, pitch=around_x)
        super().__init__(config=config)

    def _space(self, low: float, high: float, channels: int, kind: type) -> spaces.Box:
        return spaces.Box(low=low, high=high, shape=(self.camera.height, self.camera.width, channels), dtype=kind)


class ColorCamera(View, RGBSensor):
    """Colour images ``(height, width, 3)`` uint8."""

    channel = "rgb"

    def _get_observation_space(self, *args: Any, **kwargs: Any) -> spaces.Box:
        return self._space(0, 255, 3, np.uint8)

    def get_observation(self, views: dict[str, np.ndarray], *args: Any, **kwargs: Any) -> np.ndarray:
        """Return the image."""
        return views[self.uuid]


class DepthCamera(View, DepthSensor):
    """Depth ``(height, width, 1)`` float32 between the settings' bounds [m], or from 0 to 1 where they normalize it."""

    channel = "depth"

    def _get_observation_space(self, *args: Any, **kwargs: Any) -> spaces.Box:
        low, high = (0.0, 1.0) if self.config.normalize_depth else (self.config.min_depth, self.config.max_depth)
        return self._space(low, high, 1, np.float32)

    def get_observation(self, views: dict[str, np.ndarray], *args: Any, **kwargs: Any) -> np.ndarray:
        """Return the image; where nothing is hit it has the least depth, as habitat-sim's has."""
        low, high = self.config.min_depth, self.config.max_depth
        depth = np.clip(views[self.uuid], low, high)
        return (depth - np.float32(low)) / np.float32(high - low) if self.config.normalize_depth else depth


class SemanticCamera(View, SemanticSensor):
    """Numbers of objects ``(height, width, 1)`` int32, 0 where there is none; see ``semantic_annotations``."""

    channel = "instance"

    def _get_observation_space(self, *args: Any, **kwargs: Any) -> spaces.Box:
        return self._space(0, np.iinfo(np.int32).max, 1, np.int32)

    def get_observation(self, views: dict[str, np.ndarray], *args: Any, **kwargs: Any) -> np.ndarray:
        """Return the image."""
        return views[self.uuid]


_CAMERAS: dict[str, type] = {
    f"HabitatSim{projection}{name}Sensor": camera
    for projection in ("", "Equirectangular")
    for name, camera in (("RGB", ColorCamera), ("Depth", DepthCamera), ("Semantic", SemanticCamera))
}


def make_sensor(config: Any) -> Sensor:
    """Return the camera that stands for one of habitat-sim's.

    The names of its sensors keep their meaning in habitat-lab's registry, so that both simulators can be used in one
    process.

    Args:
        config: habitat-lab's settings of the sensor.

    Raises:
        UnknownNameError: Harken has no such sensor.
        ConfigurationError: The camera is of a kind that Harken does not have.
    """
    if config.type not in _CAMERAS:
        raise UnknownNameError("sensor for Harken", config.type, _CAMERAS)
    return _CAMERAS[config.type](config)
