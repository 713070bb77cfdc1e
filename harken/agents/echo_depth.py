"""Agents that estimate depth without learning: the baselines of depth from echoes.

Each answers with a depth map of the view and, in the active variant, stays where it is.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.signal import fftconvolve, hilbert

from harken.acoustics.engines.echo import sweep
from harken.sim.worlds import scene_name
from harken.tasks.echo_depth import EchoDepthSettings, EchoDepthTask, EchoMove
from harken.tasks.protocol import enter_scene

__all__ = [
    "DepthOracle",
    "FirstEcho",
    "MeanDepth",
    "first_echo",
    "mean_depth",
]

ONSET = 0.3
"""Share of the greatest answer that the first one reaches at least."""

SPEED = 343.2
"""Speed of sound that the agent assumes, that of air at 20 °C [m/s]."""


class _Standing:
    """Puts a depth map into an action that does not move the body."""

    def __init__(self, settings: EchoDepthSettings):
        self.settings = settings

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def _answer(self, depth: np.ndarray) -> dict[str, Any]:
        if self.settings.variant == "passive":
            return {"depth": depth}
        return {"depth": depth, "move": np.int64(EchoMove.STAY)}


class MeanDepth(_Standing):
    """Answers always with the mean depth map of training views, the baseline "average" of VisualEchoes' table.

    Args:
        settings: The rules.
        depth: ``(height, width, 1)`` the map; `mean_depth(settings)` if None, which takes seconds.
    """

    sensors: tuple[str, ...] = ("waveform",)

    def __init__(self, settings: EchoDepthSettings, depth: np.ndarray | None = None):
        super().__init__(settings)
        self.depth = mean_depth(settings) if depth is None else np.asarray(depth, np.float32)

    def act(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Return the mean."""
        return self._answer(self.depth.copy())


class FirstEcho(_Standing):
    """Takes the whole view to be as far as the nearest surface that answers, c·t/2.

    The nearest surface is often the floor or the ceiling, and then not in view, so this is the
    weakest baseline that uses the echo.
    """

    sensors: tuple[str, ...] = ("waveform",)

    def act(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Return a flat map."""
        camera, largest = self.settings.body.camera, self.settings.max_depth
        time = first_echo(observation["waveform"], self.settings.echo.rate)
        depth = np.float32(min(0.5 * SPEED * time, largest))
        return self._answer(np.full((camera.height, camera.width, 1), depth, np.float32))


class DepthOracle(_Standing):
    """Answers with the true depth, read from a privileged sensor."""

    sensors: tuple[str, ...] = ("depth",)

    def act(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Return the truth."""
        return self._answer(np.array(observation["depth"], np.float32))


def first_echo(waveform: np.ndarray, rate: int) -> float:
    """Return when the first surface answers a sweep [s], in an echo of either ear.

    The echo is matched with the sweep, and the first peak of the envelope that reaches 30 % of the greatest is taken.

    Args:
        waveform: ``(2, n)`` the echo of `harken.acoustics.engines.echo.sweep(rate)`.
        rate: Sampling rate [Hz].

    Returns:
        The time; the length of the window where all is silent.
    """
    emitted = sweep(rate)
    matched = fftconvolve(waveform, emitted[None, ::-1], axes=1)[:, len(emitted) - 1 :]
    envelope = np.abs(hilbert(matched, axis=1)).sum(0)
    if not envelope.any():
        return waveform.shape[1] / rate
    begins = int(np.argmax(envelope >= ONSET * envelope.max()))
    while begins + 1 < len(envelope) and envelope[begins + 1] > envelope[begins]:
        begins += 1
    return begins / rate


@functools.lru_cache(maxsize=4)
def mean_depth(settings: EchoDepthSettings, homes: int = 10, views: int = 20) -> np.ndarray:
    """Return the mean depth map of views in training homes, pixels that do not count left out.

    Args:
        settings: The rules.
        homes: Number of homes, from the first of the training split.
        views: Number of views of each.

    Returns:
        ``(height, width, 1)`` float32 [m], read-only.
    """
    total = np.zeros((settings.body.camera.height, settings.body.camera.width, 1))
    count = np.zeros_like(total)
    for home in range(homes):
        name = scene_name("train", home)
        task, rng = EchoDepthTask(settings, "train"), np.random.default_rng([7, home])
        enter_scene(task, name)
        for _ in range(views):
            task.begin(task.sample(rng, episode_id="", scene=name))
            total += task.truth
            count += task.truth > 0
    mean = np.where(count > 0, total / np.maximum(count, 1), settings.prior_depth).astype(np.float32)
    mean.flags.writeable = False
    return mean
