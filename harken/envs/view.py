"""The picture for people: the body's view beside a plan of the home."""

from typing import Any

import numpy as np

from harken.sim import SimulatorProtocol
from harken.tasks.protocol import Task
from harken.vision import Camera

__all__ = ["View"]

HEIGHT = 320
"""Height of the picture [pixels]."""


# Marks are drawn twice as large as they are shown, so that their edges come out smooth.
_FINE = 2
# An arrow that points up, as in reports [pixels].
_ARROW = np.array([(0.0, -11.0), (7.5, 8.5), (0.0, 4.5), (-7.5, 8.5)])
_BLUE, _RED, _ORANGE, _WHITE = (37, 99, 235), (220, 38, 38), (234, 120, 12), (255, 255, 255)

SAME_PLACE = 0.3
"""Horizontal distance from the goal below which a source is the goal's own [m]."""


class View:
    """Draws the state of an episode.

    Args:
        simulator: The world of the episode.
    """

    def __init__(self, simulator: SimulatorProtocol):
        from PIL import Image

        self._plan = simulator.plan(width=480)
        rows, columns = self._plan.image.shape[:2]
        # Pixels of the picture for each of the plan.
        self._scale = HEIGHT / rows
        size = (2 * round(columns * self._scale / 2), HEIGHT)
        self._ground = Image.fromarray(self._plan.image).resize(size, Image.Resampling.LANCZOS).convert("RGBA")
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
        from PIL import Image

        simulator = task.simulator
        if task.steps == 0:
            self._trail = []
        self._trail.append(simulator.position.copy())
        image = simulator.see(("rgb",), camera=self._camera)["rgb"]
        marks = self._marks(np.array(self._trail), simulator.heading, task.goal, _other_sources(simulator, task.goal))
        plan = Image.alpha_composite(self._ground, marks).convert("RGB")
        meter = _level_meter(loudness, HEIGHT)
        return np.ascontiguousarray(np.concatenate([image, meter, np.asarray(plan)], axis=1))

    def _marks(self, trail: np.ndarray, heading: float, goal: np.ndarray | None, others: np.ndarray) -> Any:
        """Draw what lies over the plan: the path so far, goal and other sources as rings, the body as an arrow."""
        from PIL import Image, ImageDraw

        layer = Image.new("RGBA", (self._ground.width * _FINE, self._ground.height * _FINE))
        pen = ImageDraw.Draw(layer)
        way = self._pixels(trail)
        if len(way) > 1:
            pen.line([tuple(point) for point in way], fill=_BLUE, width=2 * _FINE, joint="curve")
        for places, color in ((others, _ORANGE), (np.empty((0, 3)) if goal is None else goal[None], _RED)):
            for x, y in self._pixels(places):
                for radius in (_FINE * 6, _FINE * 3.5, _FINE):
                    ring = (x - radius, y - radius, x + radius, y + radius)
                    pen.ellipse(ring, outline=color, width=round(1.2 * _FINE))
        cosine, sine = np.cos(heading), np.sin(heading)
        # Headings are counter-clockwise as seen from above, and rows of the image run downwards.
        arrow = way[-1] + _FINE * _ARROW @ np.array([[cosine, -sine], [sine, cosine]])
        pen.polygon([tuple(point) for point in arrow], fill=_BLUE, outline=_WHITE, width=_FINE)
        return layer.reduce(_FINE)

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        """Places of points ``(n, 3)`` on the layer of marks."""
        return self._plan.to_pixels(points) * (self._scale * _FINE)


def _other_sources(simulator: SimulatorProtocol, goal: np.ndarray | None) -> np.ndarray:
    """Return places ``(n, 3)`` of sources other than the goal: an attacker, a distractor, further goals [m]."""
    places = np.array([source.at(simulator.time).position for source in simulator.sources]).reshape(-1, 3)
    if goal is None:
        return places
    return places[np.hypot(*(places - goal)[:, (0, 2)].T) > SAME_PLACE]


def _level_meter(loudness: np.ndarray, height: int) -> np.ndarray:
    """Draw two bars for the levels at the left and right ear, −80 to 0 dB."""
    meter = np.full((height, 24, 3), 245, np.uint8)
    for ear in range(2):
        filled = int(np.clip((loudness[ear] + 80) / 80, 0, 1) * (height - 8))
        left = 3 + 10 * ear
        meter[4 : height - 4, left : left + 8] = (222, 222, 222)
        meter[height - 4 - filled : height - 4, left : left + 8] = (16, 150, 110)
    return meter
