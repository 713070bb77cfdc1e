"""Sensors by name: what each shows, as a space of Gymnasium and as an array."""

from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from harken.errors import ConfigurationError, UnknownNameError
from harken.sound import spectrogram, spectrogram_shape
from harken.tasks import NavigationSettings, NavigationTask

__all__ = ["SENSORS", "check_sensors", "checked_names", "sense", "sensor_space"]

SENSORS: tuple[str, ...] = (
    "rgb",
    "depth",
    "semantic",
    "waveform",
    "spectrogram",
    "pose",
    "collision",
    "pointgoal",
    "oracle",
)
"""Names of all sensors."""

LOUDEST = 100.0
"""Bound of the waveform: a clip of peak 1 at 0.1 m, ten times, and room to spare."""

FARTHEST = 10_000.0
"""Bound of positions and displacements [m]."""


def check_sensors(sensors: Sequence[str], *, task: str) -> tuple[str, ...]:
    """Return the sensors' names if the task allows them.

    Raises:
        UnknownNameError: There is no such sensor.
        ConfigurationError: The task does not show it, a name comes twice, or there is none.
    """
    names = checked_names(sensors, SENSORS)
    hidden = {"audiogoal": {"pointgoal"}, "pointgoal": {"waveform", "spectrogram"}}.get(task, set()) & set(names)
    if hidden:
        raise ConfigurationError(
            f"Task {task} does not show {', '.join(sorted(hidden))}: that is what makes it this task. "
            "AudioPointGoal-v0 shows both the sound and the goal's place."
        )
    return names


def checked_names(sensors: Sequence[str] | str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of sensors, a single one as a tuple, if all are known.

    Raises:
        UnknownNameError: There is no such sensor.
        ConfigurationError: A name comes twice, or there is none.
    """
    names = (sensors,) if isinstance(sensors, str) else tuple(sensors)
    for name in names:
        if name not in known:
            raise UnknownNameError("sensor", name, known)
    if not names or len(set(names)) != len(names):
        raise ConfigurationError(f"Sensors are {names}; expected at least one, each once.")
    return names


def sensor_space(name: str, settings: NavigationSettings) -> gym.Space:
    """Return the space of a sensor's observations.

    Args:
        name: One of `SENSORS`.
        settings: The rules, which say how large images and how long waveforms are.
    """
    height, width = settings.camera.height, settings.camera.width
    samples = round(settings.observation_time * settings.acoustics.rate)
    box = gym.spaces.Box
    spaces = {
        "rgb": lambda: box(0, 255, (height, width, 3), np.uint8),
        "depth": lambda: box(0.0, settings.max_depth, (height, width, 1), np.float32),
        "semantic": lambda: box(0, 2**15 - 1, (height, width, 1), np.int32),
        "waveform": lambda: box(-LOUDEST, LOUDEST, (2, samples), np.float32),
        "spectrogram": lambda: box(0.0, np.float32(np.log1p(LOUDEST * 512)), spectrogram_shape(samples), np.float32),
        "pose": lambda: box(-FARTHEST, FARTHEST, (4,), np.float32),
        "collision": lambda: box(0.0, 1.0, (1,), np.float32),
        "pointgoal": lambda: box(-FARTHEST, FARTHEST, (2,), np.float32),
        "oracle": lambda: gym.spaces.Discrete(4),
    }
    return spaces[name]()


def sense(
    sensors: Sequence[str], task: NavigationTask, waveform: np.ndarray | None, collided: bool
) -> dict[str, np.ndarray | np.int64]:
    """Return fresh observations of all `sensors`.

    Args:
        sensors: Names.
        task: The task, begun.
        waveform: ``(2, n)`` what was heard in the step, None where nothing listens.
        collided: Whether the step ran into something.
    """
    simulator, settings = task.simulator, task.settings
    result: dict[str, np.ndarray | np.int64] = {}
    images = [name for name in ("rgb", "depth", "semantic") if name in sensors]
    if images:
        views = simulator.see(images)
        if "depth" in views:
            np.minimum(views["depth"], np.float32(settings.max_depth), out=views["depth"])
        result.update(views)
    if waveform is not None and ("waveform" in sensors or "spectrogram" in sensors):
        padded = np.zeros((2, round(settings.observation_time * simulator.rate)), np.float32)
        padded[:, : waveform.shape[1]] = waveform
        if "spectrogram" in sensors:
            result["spectrogram"] = spectrogram(padded)
        if "waveform" in sensors:
            result["waveform"] = padded
    if "pose" in sensors:
        result["pose"] = _relative_pose(task)
    if "collision" in sensors:
        result["collision"] = np.array([collided], np.float32)
    if "pointgoal" in sensors:
        result["pointgoal"] = _ahead_and_left(task.goal - simulator.position, simulator.heading)
    if "oracle" in sensors:
        result["oracle"] = np.int64(task.oracle.action(simulator.position, simulator.heading))
    return {name: result[name] for name in sensors}


def _ahead_and_left(displacement: np.ndarray, heading: float) -> np.ndarray:
    c, s = np.cos(heading), np.sin(heading)
    x, _, z = displacement
    return np.array([-s * x - c * z, -c * x + s * z], np.float32)


def _relative_pose(task: NavigationTask) -> np.ndarray:
    assert task.episode is not None
    start, heading = np.array(task.episode.start_position), task.episode.start_heading
    moved = _ahead_and_left(task.simulator.position - start, heading)
    turned = (task.simulator.heading - heading + np.pi) % (2 * np.pi) - np.pi
    return np.array([*moved, turned, task.steps * task.settings.step_time], np.float32)
