"""Plans: a scene seen from above, cut open at a height."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from harken.checks import checked_count, checked_number
from harken.errors import ConfigurationError
from harken.raytracing import kernel
from harken.scene.scene import Scene
from harken.vision.casting import cast_down
from harken.vision.surfaces import mean_colors, shade, surface_arrays

__all__ = ["Plan", "draw_plan"]

_MARGIN = 0.3
_SAMPLES = 2
_TALLEST = 16
# Drawing takes about 150 bytes for each.
_MOST_PIXELS = 2**24
_PAPER, _WALL = np.array([247, 246, 243], np.uint8), np.array([50, 54, 62], np.uint8)
# A thicker solid is not a wall but the open ground between two wings of a scanned building.
_THICKEST_WALL = 0.6
_STRUCTURE = ("wall", "floor", "ceiling", "unknown")
_OBJECT, _THIN, _THICK = 1, 2, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A top view to draw on: −z is up in the image and +x is right."""

    image: np.ndarray
    """``(height, width, 3)`` uint8 (sRGB)."""
    origin: tuple[float, float]
    """x and z at the top left corner of the image [m]."""
    metres_per_pixel: float
    """Side of a pixel [m]."""

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Return where points lie in the image.

        Args:
            points: ``(N, 3)`` positions [m]; their height does not matter.

        Returns:
            ``(N, 2)`` float64 column and row; (0, 0) is the top left corner of the top left pixel.

        Raises:
            ConfigurationError: `points` has the wrong shape.
        """
        places = np.asarray(points, np.float64)
        if places.ndim != 2 or places.shape[1] != 3:
            raise ConfigurationError(f"points have shape {places.shape}; expected (N, 3): x, y and z of each.")
        return (places[:, [0, 2]] - self.origin) / self.metres_per_pixel


def draw_plan(scene: Scene, *, width: int = 480, height_above_floor: float = 1.2, floor: float = 0.0) -> Plan:
    """Draw a scene from above, without the parts above a cut.

    Walls that are cut are dark, and so is furniture that is cut, in its own colour. Solid and closed meshes are filled;
    walls without thickness are drawn as lines.

    Args:
        scene: The scene.
        width: Columns of the image, 16–8192; the rows follow from the scene's shape and are at most sixteen times as
            many, so that a scene longer than that fills a part of the columns.
        height_above_floor: Height of the cut above the floor [m].
        floor: Height of the floor [m].

    Returns:
        The plan. The same arguments give the same bytes.

    Raises:
        ConfigurationError: The width is not a number of pixels from 16 to 8192, a height is not finite, or the image
            would have more than 16.8 million pixels.
    """
    width = checked_count("width", width, 16, 8192, unit="pixels")
    level = checked_number("floor", floor, unit="m")
    level += checked_number("height_above_floor", height_above_floor, unit="m")
    if scene.is_far:
        here = floor - float(scene.origin[1])
        plan = draw_plan(scene.local, width=width, height_above_floor=height_above_floor, floor=here)
        return replace(plan, origin=(plan.origin[0] + scene.origin[0], plan.origin[1] + scene.origin[2]))
    lower, upper = scene.bounds
    x, z = float(lower[0]) - _MARGIN, float(lower[2]) - _MARGIN
    along = float(upper[2]) + _MARGIN - z
    scale = max((float(upper[0]) + _MARGIN - x) / width, along / (_TALLEST * width))
    height = int(np.clip(np.ceil(along / scale), 1, _TALLEST * width))
    if width * height > _MOST_PIXELS:
        raise ConfigurationError(
            f"width is {width}, and the plan of {scene.name} would have {height} rows: {width * height:,} pixels; "
            f"expected at most {_MOST_PIXELS:,}. Choose a smaller width."
        )
    shape, step = (height * _SAMPLES, width * _SAMPLES), scale / _SAMPLES
    image = _look_down(scene, level, x, z, step, shape)
    _draw_cut(scene, level, x, z, step, image)
    blocks = image.reshape(height, _SAMPLES, width, _SAMPLES, 3).astype(np.float32)
    return Plan(image=np.round(blocks.mean((1, 3))).astype(np.uint8), origin=(x, z), metres_per_pixel=scale)


def _look_down(scene: Scene, level: float, x: float, z: float, step: float, shape: tuple[int, int]) -> np.ndarray:
    """Colours of what lies below the cut, ``(*shape, 3)`` uint8."""
    across = (x + step * (np.arange(shape[1]) + 0.5)).astype(np.float32)
    along = (z + step * (np.arange(shape[0]) + 0.5)).astype(np.float32)
    hits = np.empty(shape, np.float32), np.empty(shape, np.int32), np.empty((*shape, 2), np.float32)
    cast_down(scene.triangles.packet_data, np.float32(level), across, along, *hits)
    # As for a camera whose rays all run opposite to its up direction.
    columns, rows = np.zeros((shape[1], 2), np.float32), np.tile(np.array([0.0, -1.0], np.float32), (shape[0], 1))
    image = np.empty((*shape, 3), np.uint8)
    shade(
        *(surface_arrays(scene), np.eye(3, dtype=np.float32), columns, rows, np.array([step, 0.0], np.float32)),
        *(*hits, _PAPER, image),
    )
    return image


def _draw_cut(scene: Scene, level: float, x: float, z: float, step: float, image: np.ndarray) -> None:
    """Paint the objects and walls that are cut."""
    segments, facing, triangle = _slice(scene, level)
    segments = (segments - (x, z)) / step
    structure = np.isin(scene.category, [i for i, name in enumerate(scene.categories) if name in _STRUCTURE])
    owner = np.where(structure | (scene.instance == 0), 0, scene.instance)[triangle]
    across, across_triangle = _solid(segments, facing, owner, triangle, image.shape[:2], _THICKEST_WALL / step)
    down, down_triangle = _solid(
        segments[:, :, ::-1], facing[:, ::-1], owner, triangle, image.shape[1::-1], _THICKEST_WALL / step
    )
    down, down_triangle = down.T, down_triangle.T
    # Where walls cross, the solid is long both ways.
    wall = (across == _THIN) | (down == _THIN) | ((across == _THICK) & (down == _THICK))
    thing = ~wall & ((across == _OBJECT) | (down == _OBJECT))
    surface = np.where(across == _OBJECT, across_triangle, down_triangle)
    image[thing] = (0.72 * mean_colors(scene)[surface[thing]]).astype(np.uint8)
    row, column, which = _outline(segments[owner != 0], triangle[owner != 0], image.shape[:2])
    image[row, column] = (0.45 * mean_colors(scene)[which]).astype(np.uint8)
    row, column, _ = _outline(segments[owner == 0], triangle[owner == 0], image.shape[:2])
    sheet = np.zeros_like(wall)
    sheet[row, column] = True
    wall |= ndimage.binary_dilation(sheet)
    image[wall] = _WALL


def _slice(scene: Scene, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the triangles at a height: ends ``(S, 2, 2)`` of the segments in x and z, normals ``(S, 2)``, triangles."""
    corners = scene.vertices[scene.faces].astype(np.float64)
    above = corners[:, :, 1] > level
    triangle = np.flatnonzero(above.any(1) & ~above.all(1))
    corners, above = corners[triangle], above[triangle]
    # The corner that is alone on its side comes first; both cut edges start there.
    alone = np.argmax(above == (above.sum(1, keepdims=True) == 1), axis=1)
    order = (alone[:, None] + np.arange(3)) % 3
    a, b, c = np.moveaxis(np.take_along_axis(corners, order[:, :, None], 1), 1, 0)
    ends = [a + (level - a[:, 1:2]) / (end[:, 1:2] - a[:, 1:2]) * (end - a) for end in (b, c)]
    return np.stack(ends, 1)[:, :, [0, 2]], scene.normals[triangle][:, [0, 2]], triangle


def _solid(
    segments: np.ndarray,
    facing: np.ndarray,
    owner: np.ndarray,
    triangle: np.ndarray,
    shape: tuple[int, int],
    thickest: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill the solid pixels of each row of the slice, with their kind and the triangle at which the solid begins."""
    low, high = segments[:, :, 1].min(1), segments[:, :, 1].max(1)
    first = np.clip(np.ceil(low - 0.5), 0, shape[0]).astype(np.int64)
    count = np.maximum(np.clip(np.ceil(high - 0.5), 0, shape[0]).astype(np.int64) - first, 0)
    which = np.repeat(np.arange(len(segments)), count)
    row = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + first[which]
    (x0, y0), (x1, y1) = segments[which, 0].T, segments[which, 1].T
    crossing = x0 + (row + 0.5 - y0) / (y1 - y0) * (x1 - x0)
    leaves = facing[which, 0] > 0
    # Solids of one owner that touch are one: what begins at a place comes before what ends there.
    order = np.lexsort(np.stack([leaves, np.round(crossing, 3), row, owner[which]]))
    kind, begins = np.zeros(shape, np.int8), np.full(shape, -1, np.int32)
    which = which[order]
    _fill(row[order], crossing[order], leaves[order], owner[which], triangle[which], thickest, kind, begins)
    return kind, begins


@kernel
def _fill(row, crossing, leaves, owner, triangle, thickest, kind, begins):
    depth, start = 0, 0
    for i in range(len(row)):
        if i == 0 or row[i] != row[i - 1] or owner[i] != owner[i - 1]:
            depth = 0
        if not leaves[i]:
            if depth == 0:
                start = i
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0:
                thin = crossing[i] - crossing[start] <= thickest
                mark = _OBJECT if owner[i] != 0 else (_THIN if thin else _THICK)
                left = max(int(np.ceil(crossing[start] - 0.5)), 0)
                right = min(int(np.ceil(crossing[i] - 0.5)), kind.shape[1])
                kind[row[i], left:right] = mark
                begins[row[i], left:right] = triangle[start]


def _outline(
    segments: np.ndarray, triangle: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels under segments: rows, columns and the triangle of each."""
    length = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    count = np.ceil(length).astype(np.int64) + 1
    which = np.repeat(np.arange(len(segments)), count)
    share = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)) / np.maximum(count[which] - 1, 1)
    points = segments[which, 0] + share[:, None] * (segments[which, 1] - segments[which, 0])
    column, row = np.floor(points).astype(np.int64).T
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    return row[inside], column[inside], triangle[which[inside]]
