"""What a person looks at: the body's view beside a plan of the home."""

from typing import Any

import numpy as np

from harken.sim import SimulatorProtocol, forward_vector
from harken.tasks.protocol import Task
from harken.vision import Camera

__all__ = ["View"]

HEIGHT = 320
"""Height of the picture [pixels]."""


class View:
    """Draws the state of an episode.

    Args:
        simulator: The world of the episode.
    """

    def __init__(self, simulator: SimulatorProtocol):
        self._plan = simulator.plan(width=480)
        self._camera = Camera(width=HEIGHT, height=HEIGHT)
        self._trail: list[np.ndarray] = []

    def draw(self, task: Task[Any], loudness: np.ndarray) -> np.ndarray:
        """Return the picture of a moment.

        Args:
            task: The task, begun.
            loudness: ``(2,)`` level at the ears [dB].

        Returns:
            ``(height, width, 3)`` uint8, height and width even.
        """
        from PIL import Image, ImageDraw

        simulator = task.simulator
        if task.steps == 0:
            self._trail = []
        self._trail.append(simulator.position.copy())
        seen = simulator.see(("rgb",), camera=self._camera)["rgb"]
        plan = Image.fromarray(self._plan.image)
        pen = ImageDraw.Draw(plan)
        trail = [tuple(p) for p in self._plan.to_pixels(np.array(self._trail))]
        if len(trail) > 1:
            pen.line(trail, fill=(37, 99, 235), width=3)
        if task.goal is not None:
            x, y = self._plan.to_pixels(task.goal[None])[0]
            for radius in (10, 6, 2):
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(220, 38, 38), width=2)
        nose = simulator.position + 0.45 * forward_vector(simulator.heading)
        (x, y), (nx, ny) = self._plan.to_pixels(np.array([simulator.position, nose]))
        pen.line((x, y, nx, ny), fill=(30, 58, 138), width=4)
        pen.ellipse((x - 6, y - 6, x + 6, y + 6), fill=(37, 99, 235), outline=(255, 255, 255), width=2)
        scale = HEIGHT / plan.height
        plan = plan.resize((2 * round(plan.width * scale / 2), HEIGHT), Image.Resampling.LANCZOS)
        meter = _level_meter(loudness, HEIGHT)
        return np.ascontiguousarray(np.concatenate([seen, meter, np.asarray(plan)], axis=1))


def _level_meter(loudness: np.ndarray, height: int) -> np.ndarray:
    """Draw two bars for the levels at the left and right ear, −80 to 0 dB."""
    meter = np.full((height, 24, 3), 245, np.uint8)
    for ear in range(2):
        filled = int(np.clip((loudness[ear] + 80) / 80, 0, 1) * (height - 8))
        left = 3 + 10 * ear
        meter[4 : height - 4, left : left + 8] = (222, 222, 222)
        meter[height - 4 - filled : height - 4, left : left + 8] = (16, 150, 110)
    return meter
