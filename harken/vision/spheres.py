"""Projection of balls and points into a view, for things that are not part of the scene."""

import math
from dataclasses import dataclass

import numpy as np

from harken.checks import checked_count, checked_number, checked_point
from harken.errors import ConfigurationError
from harken.vision.camera import Camera
from harken.vision.casting import pose_frame

__all__ = ["SphereView", "project", "view_sphere", "viewing_ray"]

_AMBIENT, _ABOVE, _AHEAD = 0.5, 0.3, 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class SphereView:
    """The pixels that a ball covers in an image, ignoring occlusion."""

    rows: np.ndarray
    """``(n,)`` int64 row of each pixel."""
    columns: np.ndarray
    """``(n,)`` int64 column of each pixel."""
    depth: np.ndarray
    """``(n,)`` float32 [m], as `harken.vision.Renderer` gives it: along the axis, or along the ray for a panorama."""
    shade: np.ndarray
    """``(n,)`` float32 brightness, 0–1: lighter from above and in the middle, so that it looks round."""


def project(
    camera: Camera, position: np.ndarray, heading: float, points: np.ndarray, *, pitch: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return where points appear.

    Args:
        camera: Size and projection of the image.
        position: ``(3,)`` place of the camera [m].
        heading: [rad].
        points: ``(n, 3)`` in the world [m].
        pitch: Angle above the horizon [rad].

    Returns:
        - ``(n, 2)`` float64 column and row from the image's upper left corner [pixel]; the middle of the first pixel is
          (0.5, 0.5). Points that no ray of the camera reaches, those behind a pinhole camera, are at (−1, −1).
        - ``(n,)`` bool: whether the point lies within the image. Occlusion is ignored.

    Raises:
        ConfigurationError: The pose or a point is not finite, or has the wrong shape.
    """
    places = np.asarray(points)
    if places.ndim != 2 or places.shape[1] != 3 or places.dtype.kind not in "iuf" or not np.isfinite(places).all():
        raise ConfigurationError(f"points are {places.dtype} of shape {places.shape}; expected (n, 3) finite numbers.")
    away = places.astype(np.float64) - checked_point("position", position)
    local = away @ pose_frame(heading, pitch).astype(np.float64).T
    right, up, ahead = local.T
    reached = np.linalg.norm(local, axis=1) > 1e-9
    if camera.projection == "pinhole":
        reached &= ahead > 1e-9
        scale = camera.width / (2.0 * math.tan(camera.field_of_view / 2))
        safe = np.where(reached, ahead, 1.0)
        x, y = camera.width / 2 + scale * right / safe, camera.height / 2 - scale * up / safe
    else:
        x = (np.arctan2(right, ahead) / math.pi + 1.0) / 2 * camera.width
        y = (0.5 - np.arctan2(up, np.hypot(right, ahead)) / math.pi) * camera.height
    pixels = np.where(reached[:, None], np.stack([x, y], 1), -1.0)
    inside = reached & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    return pixels, inside


def viewing_ray(camera: Camera, heading: float, row: int, column: int, *, pitch: float = 0.0) -> np.ndarray:
    """Return the ray ``(3,)`` float64 of a pixel: a surface at depth d is seen at the camera's place plus d times it.

    Args:
        camera: Size and projection of the image.
        heading: [rad].
        row: Row of the pixel.
        column: Its column.
        pitch: Angle above the horizon [rad].

    Raises:
        ConfigurationError: The pixel lies outside the image, or an angle is not finite.
    """
    row = checked_count("row", row, 0, camera.height - 1)
    column = checked_count("column", column, 0, camera.width - 1)
    level, up = camera.rows[row].astype(np.float64)
    right, ahead = level * camera.columns[column].astype(np.float64)
    return np.array([right, up, ahead]) @ pose_frame(heading, pitch)


def view_sphere(
    camera: Camera, position: np.ndarray, heading: float, centre: np.ndarray, radius: float, *, pitch: float = 0.0
) -> SphereView:
    """Return which pixels see a ball.

    Args:
        camera: Size and projection of the image.
        position: ``(3,)`` place of the camera [m].
        heading: [rad].
        centre: ``(3,)`` middle of the ball [m].
        radius: [m].
        pitch: Angle above the horizon [rad].

    Returns:
        The pixels whose ray through their middle meets the ball; none where the camera is inside it.

    Raises:
        ConfigurationError: The pose or the middle is not finite, or the radius not above 0.
    """
    radius = checked_number("radius", radius, 0.0, above=True, unit="m")
    away = checked_point("centre", centre) - checked_point("position", position)
    local = pose_frame(heading, pitch).astype(np.float64) @ away
    squared = float(local @ local) - radius**2
    rows, columns = _window(camera, local, radius) if squared > 0 else (np.zeros(0, int), np.zeros(0, int))
    level, up = camera.rows[rows].astype(np.float64).T
    across, along = camera.columns[columns].astype(np.float64).T
    rays = np.stack(np.broadcast_arrays(level[:, None] * across, up[:, None], level[:, None] * along), -1)
    length, towards = np.einsum("...i,...i", rays, rays), rays @ local
    inside = towards**2 - length * squared
    at_row, at_column = np.nonzero((inside >= 0) & (towards > 0))
    rays, length = rays[at_row, at_column], length[at_row, at_column]
    depth = (towards[at_row, at_column] - np.sqrt(inside[at_row, at_column])) / length
    normal = (depth[:, None] * rays - local) / radius
    facing = -np.einsum("ij,ij->i", normal, rays) / np.sqrt(length)
    shade = _AMBIENT + _ABOVE * normal[:, 1] + _AHEAD * facing
    return SphereView(
        rows=rows[at_row],
        columns=columns[at_column],
        depth=depth.astype(np.float32),
        shade=np.clip(shade, 0.0, 1.0).astype(np.float32),
    )


def _window(camera: Camera, local: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounding rows and columns of a ball's pixels, from the tangents to its outline."""
    right, up, ahead = local.tolist()
    if camera.projection == "pinhole":
        scale = camera.width / (2.0 * math.tan(camera.field_of_view / 2))
        columns = _between(*_slopes(right, ahead, radius), camera.width, scale)
        rows = _between(*_slopes(-up, ahead, radius), camera.height, scale)
        return rows, columns
    size = math.asin(radius / math.sqrt(right**2 + up**2 + ahead**2))
    latitude = math.atan2(up, math.hypot(right, ahead))
    top, bottom = ((0.5 - angle / math.pi) * camera.height for angle in (latitude + size, latitude - size))
    rows = np.arange(max(0, math.floor(top)), min(camera.height, math.ceil(bottom)))
    if abs(latitude) + size >= math.pi / 2 - 1e-9:
        return rows, np.arange(camera.width)
    half = math.asin(math.sin(size) / math.cos(latitude)) / (2 * math.pi) * camera.width
    middle = (math.atan2(right, ahead) / math.pi + 1.0) / 2 * camera.width
    span = np.arange(math.floor(middle - half), math.ceil(middle + half))
    return rows, np.unique(span % camera.width)


def _slopes(across: float, ahead: float, radius: float) -> tuple[float, float]:
    """Return the least and greatest slope across/ahead of what is seen of a disc, infinite where it has none."""
    distance = math.hypot(across, ahead)
    if distance <= radius:
        return -math.inf, math.inf
    angle, half = math.atan2(across, ahead), math.asin(radius / distance)
    low, high = angle - half, angle + half
    if high <= -math.pi / 2 or low >= math.pi / 2:
        return math.inf, -math.inf
    return (
        math.tan(low) if low > -math.pi / 2 else -math.inf,
        math.tan(high) if high < math.pi / 2 else math.inf,
    )


def _between(low: float, high: float, count: int, scale: float) -> np.ndarray:
    """Return the pixels of a row or column between two slopes."""
    first, last = (min(max(count / 2 + scale * slope, 0.0), float(count)) for slope in (low, high))
    return np.arange(math.floor(first), math.ceil(last))
