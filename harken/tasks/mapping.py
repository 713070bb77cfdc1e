"""Maps that a body draws of where it has been: what stands where, and how loud it was there.

They are those of AV-WaN (Chen et al. 2021, "Learning to set waypoints for audio-visual navigation"), without its noise:
depth is exact and the pose is the body's own. Both are kept in the frame of the start, ahead and left [m], as the
sensor "pose" gives it, and are shown as the body sees them: it stands in the middle, ahead is up, left is left.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from harken.checks import check_settings
from harken.errors import ConfigurationError
from harken.raytracing import kernel
from harken.sim import BodySettings
from harken.tasks.protocol import Numbers, Sensor, Task
from harken.tasks.sensing import LOUDEST, Views
from harken.tasks.walk import Action, Walk

__all__ = [
    "EXPLORED",
    "OCCUPIED",
    "AcousticMap",
    "GeometricMap",
    "MapSettings",
    "MappedTask",
    "Maps",
    "Numeric",
    "cells_clear",
    "loudest_window",
    "map_sensors",
]

Numeric = Sequence[float] | np.ndarray
"""Coordinates, such as a pose, metres ahead and to the left of the start and the angle turned [rad], or a place."""

OCCUPIED = 1
"""Bit of a cell in which something stands that a body cannot walk through."""

EXPLORED = 2
"""Bit of a cell that was seen."""

WINDOW = 150
"""Samples over which intensity is measured, as published."""

MEMORY = 1.0
"""Time over which the loudest moment counts [s]: the length of sound that SoundSpaces shows at each step."""

FIRST_HALF = 128
"""Cells from the start to the edge of a map, before it grows."""


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """Settings of the maps. Sizes are the published ones for steps of up to half a metre."""

    size: int = 200
    """Rows and columns of the geometric map that is shown, 8–2000; 64 makes training on CPUs cheaper."""
    cell: float = 0.1
    """Size of its cells [m]."""
    reach: float = 5.0
    """Distance up to which depth is entered [m]."""
    lowest: float | None = None
    """Height above the feet from which on things are in the way [m]; what a body can step over by default."""
    highest: float | None = None
    """Height up to which they are [m]; the body's own by default. AV-WaN has a band of 0.5–2.0 m."""
    acoustic_size: int = 20
    """Rows and columns of the acoustic map that is shown, 2–2000."""
    acoustic_cell: float = 0.5
    """Size of its cells [m]; AV-WaN has 1.0 m on Matterport3D."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            size=(8, 2000),
            cell=(0.02, 2.0),
            reach=(0.1, 100.0),
            lowest=(0.0, 10.0),
            highest=(0.0, 10.0),
            acoustic_size=(2, 2000),
            acoustic_cell=(0.02, 10.0),
        )
        if self.lowest is not None and self.highest is not None and self.highest <= self.lowest:
            raise ConfigurationError(
                f"Settings lowest {self.lowest:g} and highest {self.highest:g} m; expected the highest above it."
            )


class GeometricMap:
    """What stands where on one storey, from depth images and collisions.

    A cell is occupied once a point between `MapSettings.lowest` and `highest` was seen in it, or the body ran into
    something there. It is explored once it was seen: an occupied cell, a piece of floor, or what lies before the
    nearest obstacle of an image's column. What was seen once stays, also after it has moved.

    Args:
        settings: The settings.
        body: The body, with its camera.
        max_depth: Depth from which on images say nothing [m].

    Attributes:
        flags: ``(n, n)`` uint8, `OCCUPIED` and `EXPLORED` of every cell; rows go ahead, columns to the left, and the
            start is the corner before the cell ``(half, half)``.
        half: Cells from the start to an edge.
    """

    def __init__(self, settings: MapSettings, body: BodySettings, max_depth: float):
        self.settings, self._body = settings, body
        self.cell = settings.cell
        self._low = body.size.step if settings.lowest is None else settings.lowest
        self._high = body.size.height if settings.highest is None else settings.highest
        self._far = max_depth
        self.half = FIRST_HALF
        self.flags = np.zeros((2 * self.half, 2 * self.half), np.uint8)

    def see(self, depth: np.ndarray, pose: Numeric) -> None:
        """Enter a depth image.

        Args:
            depth: ``(height, width)`` float32 of the body's camera [m], 0 where nothing is hit.
            pose: Metres ahead and to the left of the start, and the angle turned [rad]; more is ignored.
        """
        x, y, heading = (float(value) for value in pose[:3])
        camera, settings = self._body.camera, self.settings
        self.flags, self.half = _grown(self.flags, self.half, max(abs(x), abs(y)) + settings.reach, self.cell)
        _enter_depth(
            self.flags, np.ascontiguousarray(depth), camera.columns, camera.rows, self._body.eye_height,
            self._low, self._high, self._far, settings.reach, x, y, np.cos(heading), np.sin(heading), self.cell,
        )  # fmt: skip
        _enter_disc(self.flags, x, y, self._body.size.radius, self.cell)

    def bump(self, before: Numeric, after: Numeric) -> None:
        """Mark what a step ran into: beyond the body, in the direction in which it could not go on.

        Args:
            before: Pose before the step.
            after: Pose after it.
        """
        body = self._body
        heading = float(before[2])
        missing = np.array([np.cos(heading), np.sin(heading)]) * body.forward_step - np.subtract(after[:2], before[:2])
        length = float(np.hypot(*missing))
        if length < 1e-6:
            return
        way = missing / length
        on_grid = body.motion == "grid"
        contact = 0.5 * body.forward_step if on_grid else body.size.radius + 0.5 * self.cell
        for aside in (-self.cell, 0.0, self.cell):
            x, y = np.array(after[:2], float) + contact * way + aside * np.array([-way[1], way[0]])
            i, j = (int(np.floor(value / self.cell)) + self.half for value in (x, y))
            if 0 <= i < len(self.flags) and 0 <= j < len(self.flags):
                self.flags[i, j] |= OCCUPIED | EXPLORED

    def egocentric(self, pose: Numeric) -> np.ndarray:
        """Return the map as the body sees it, ``(size, size, 2)`` uint8: occupied and explored, 255 or 0."""
        x, y, heading = (float(value) for value in pose[:3])
        shown = np.empty((self.settings.size, self.settings.size, 2), np.uint8)
        _turn(self.flags, x, y, np.cos(heading), np.sin(heading), self.cell, shown)
        return shown

    def is_clear(self, start: Numeric, end: Numeric, radius: float) -> bool:
        """Whether nothing known stands within a radius [m] of a line between two places ahead and left [m]."""
        return bool(
            cells_clear(
                self.flags, float(start[0]), float(start[1]), float(end[0]), float(end[1]), float(radius), self.cell
            )
        )


class AcousticMap:
    """How loud it was where the body has been.

    A cell holds a running average of the intensity that was heard in it: what it was at the first visit, then half of
    what it was and half of what is heard. AV-WaN takes the mean square of the 150 samples that follow the onset of a
    response's direct sound. Sound that goes on has no such onset within a step; its loudest 150 samples of the last
    second take the place, which follow a strong onset and hold mostly direct sound too. Pauses of less than a second
    leave no gaps.

    Args:
        settings: The settings.
        step_time: Time that passes in a step [s].
    """

    def __init__(self, settings: MapSettings, step_time: float):
        self.settings = settings
        self._powers: deque[float] = deque(maxlen=max(1, round(MEMORY / step_time)))
        self._half = 32
        self._values = np.zeros((2 * self._half, 2 * self._half), np.float32)
        self._visited = np.zeros(self._values.shape, bool)

    def hear(self, waveform: np.ndarray, pose: Numeric) -> None:
        """Enter the sound of a step, ``(2, n)`` float32, at a pose."""
        cell, half = self.settings.acoustic_cell, self._half
        farthest = max(abs(float(pose[0])), abs(float(pose[1])))
        self._values, self._half = _grown(self._values, half, farthest, cell)
        self._visited, _ = _grown(self._visited, half, farthest, cell)
        self._powers.append(loudest_window(waveform))
        at = tuple(int(np.floor(float(value) / cell)) + self._half for value in pose[:2])
        now = max(self._powers)
        self._values[at] = 0.5 * (self._values[at] + now) if self._visited[at] else now
        self._visited[at] = True

    def egocentric(self, pose: Numeric) -> np.ndarray:
        """Return the map as the body sees it, ``(size, size, 1)`` float32; 0 where it has not been."""
        size, cell = self.settings.acoustic_size, self.settings.acoustic_cell
        x, y, heading = (float(value) for value in pose[:3])
        shown = np.empty((size, size, 1), np.float32)
        _turn_values(self._values, x, y, np.cos(heading), np.sin(heading), cell, shown)
        return shown


def loudest_window(waveform: np.ndarray) -> float:
    """Return the greatest mean square over `WINDOW` samples and both ears of a sound ``(2, n)``."""
    return float(_loudest(np.ascontiguousarray(waveform), min(WINDOW, waveform.shape[1])))


class Maps:
    """Both maps of an episode, entered once for each step, when they are first asked for.

    Args:
        settings: The settings.
        body: The body, with its camera.
        max_depth: Depth from which on images say nothing [m].
        step_time: Time that passes in a step [s].
    """

    def __init__(self, settings: MapSettings, body: BodySettings, max_depth: float, step_time: float):
        self.geometric = GeometricMap(settings, body, max_depth)
        self.acoustic = AcousticMap(settings, step_time)
        self._seen = self._heard = -1
        self._before: np.ndarray | None = None

    def is_current(self, walk: Walk) -> bool:
        """Whether what is seen now has been entered."""
        return self._seen == walk.steps

    def look(self, walk: Walk, depth: np.ndarray) -> None:
        """Enter what is seen now, and what the last step ran into."""
        if self.is_current(walk):
            return
        pose = walk.pose(0.0)
        self.geometric.see(depth, pose)
        if walk.collided and walk.last_action == Action.MOVE_FORWARD and self._seen == walk.steps - 1:
            assert self._before is not None
            self.geometric.bump(self._before, pose)
        self._seen, self._before = walk.steps, pose

    def listen(self, walk: Walk, waveform: np.ndarray) -> None:
        """Enter what is heard now."""
        if self._heard != walk.steps:
            self.acoustic.hear(waveform, walk.pose(0.0))
            self._heard = walk.steps


class MappedTask(Task[Any], Protocol):
    """A task whose body draws maps, so that it can be given places to go to, see `harken.envs.WaypointActions`."""

    maps: Maps
    """The maps of the episode."""
    walk: Walk
    """The body's walk; its start is where the maps begin."""

    def oracle_action(self) -> int:
        """Return the next action of the shortest path."""
        ...

    def ways_left(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the shortest ways from places ``(n, 3)`` to where the oracle goes [m]."""
        ...


def map_sensors(
    maps: Callable[[], Maps], walk: Callable[[], Walk], settings: MapSettings, heard: Callable[[], np.ndarray] | None
) -> tuple[Sensor, ...]:
    """Return "geometric_map", and "acoustic_map" where something is heard.

    Args:
        maps: Returns the maps of the episode.
        walk: Returns the body's walk.
        settings: The settings of the maps.
        heard: Returns ``(2, n)`` float32, the sound of the step; None where nothing sounds.
    """

    def geometric(views: Views) -> np.ndarray:
        maps().look(walk(), views["depth"][..., 0])
        return maps().geometric.egocentric(walk().pose(0.0))

    def acoustic(views: Views) -> np.ndarray:
        assert heard is not None
        maps().listen(walk(), heard())
        return maps().acoustic.egocentric(walk().pose(0.0))

    size, coarse = settings.size, settings.acoustic_size
    sensors = [
        Sensor(
            name="geometric_map",
            space=Numbers(shape=(size, size, 2), low=0, high=255, dtype=np.uint8),
            views=("depth",),
            read=geometric,
        )
    ]
    if heard is not None:
        space = Numbers(shape=(coarse, coarse, 1), low=0.0, high=LOUDEST**2)
        sensors.append(Sensor(name="acoustic_map", space=space, read=acoustic))
    return tuple(sensors)


def _grown(values: np.ndarray, half: int, farthest: float, cell: float) -> tuple[np.ndarray, int]:
    """Return a map that reaches as far as it has to [m], and its half; it doubles where it does not."""
    while farthest / cell + 2 > half:
        values, half = np.pad(values, half), 2 * half
    return values, half


@kernel
def _enter_depth(flags, depth, columns, rows, eye, low, high, far, reach, x, y, c, s, cell):
    """Enter a depth image; see `GeometricMap`."""
    half, per_metre = flags.shape[0] // 2, 1.0 / cell
    u0, v0 = x * per_metre + half, y * per_metre + half
    lowest = rows.shape[0] - 1
    for column in range(columns.shape[0]):
        right, forward = float(columns[column, 0]), float(columns[column, 1])
        norm = np.sqrt(right * right + forward * forward)
        # Cells ahead and to the left of the start for each metre along the column's direction.
        du, dv = (forward * c + right * s) * per_metre, (forward * s - right * c) * per_metre
        nearest, farthest = reach, 0.0
        for row in range(rows.shape[0]):
            along = float(depth[row, column])
            if along <= 0.0:
                continue
            flat, up = along * float(rows[row, 0]), eye + along * float(rows[row, 1])
            distance = flat * norm
            farthest = max(farthest, distance)
            if distance > reach or along >= far or up >= high:
                continue
            i, j = int(u0 + flat * du), int(v0 + flat * dv)
            if up <= low:
                flags[i, j] |= EXPLORED
            else:
                flags[i, j] |= OCCUPIED | EXPLORED
                nearest = min(nearest, distance)
        # The floor is in view from where the lowest ray meets it.
        slope = -float(rows[lowest, 1])
        if slope <= 0.0:
            continue
        flat, end = eye / slope * float(rows[lowest, 0]), min(nearest, farthest) / norm
        while flat < end:
            flags[int(u0 + flat * du), int(v0 + flat * dv)] |= EXPLORED
            flat += 0.5 * cell / norm


@kernel
def _enter_disc(flags, x, y, radius, cell):
    """Mark the cells on which the body stands as explored."""
    half, wide = flags.shape[0] // 2, int(radius / cell) + 1
    ci, cj = int(np.floor(x / cell)), int(np.floor(y / cell))
    for i in range(ci - wide, ci + wide + 1):
        for j in range(cj - wide, cj + wide + 1):
            if ((i + 0.5) * cell - x) ** 2 + ((j + 0.5) * cell - y) ** 2 <= radius * radius:
                flags[i + half, j + half] |= EXPLORED


@kernel
def _turn(flags, x, y, c, s, cell, shown):
    """Fill `shown` ``(size, size, 2)`` with the cells around a place, ahead up and left left."""
    size, count = shown.shape[0], flags.shape[0]
    middle = 0.5 * size - 0.5
    for row in range(size):
        u, v = x / cell + count // 2 + (middle - row) * c, y / cell + count // 2 + (middle - row) * s
        for column in range(size):
            a, b = u - (middle - column) * s, v + (middle - column) * c
            flag = 0
            if 0.0 <= a < count and 0.0 <= b < count:
                flag = flags[int(a), int(b)]
            shown[row, column, 0] = 255 * (flag & 1)
            shown[row, column, 1] = 255 * (flag >> 1)


@kernel
def _turn_values(values, x, y, c, s, cell, shown):
    """Fill `shown` ``(size, size, 1)`` with the values around a place, ahead up and left left; 0 outside."""
    size, count = shown.shape[0], values.shape[0]
    middle = 0.5 * size - 0.5
    for row in range(size):
        for column in range(size):
            ahead, left = middle - row, middle - column
            a = x / cell + count // 2 + ahead * c - left * s
            b = y / cell + count // 2 + ahead * s + left * c
            inside = 0.0 <= a < count and 0.0 <= b < count
            shown[row, column, 0] = values[int(a), int(b)] if inside else 0.0


@kernel
def _loudest(waveform, window):
    """Greatest mean square over `window` samples and all channels of a sound ``(channels, n)``."""
    total, best = 0.0, 0.0
    for n in range(waveform.shape[1]):
        for channel in range(waveform.shape[0]):
            total += float(waveform[channel, n]) ** 2
            if n >= window:
                total -= float(waveform[channel, n - window]) ** 2
        best = max(best, total)
    return best / (window * waveform.shape[0])


@kernel
def cells_clear(flags, x0, y0, x1, y1, radius, cell):
    """Whether the centre of no occupied cell lies within a radius of the line from one place to another [m]."""
    half = flags.shape[0] // 2
    dx, dy = x1 - x0, y1 - y0
    length2 = dx * dx + dy * dy
    steps = int(np.sqrt(length2) / (0.5 * cell)) + 1
    wide = int(radius / cell) + 1
    for step in range(steps + 1):
        px, py = x0 + dx * step / steps, y0 + dy * step / steps
        ci, cj = int(np.floor(px / cell)), int(np.floor(py / cell))
        for i in range(ci - wide, ci + wide + 1):
            for j in range(cj - wide, cj + wide + 1):
                a, b = i + half, j + half
                if a < 0 or b < 0 or a >= flags.shape[0] or b >= flags.shape[1] or not flags[a, b] & OCCUPIED:
                    continue
                if ((i + 0.5) * cell - px) ** 2 + ((j + 0.5) * cell - py) ** 2 < radius * radius:
                    return False
    return True
