"""The light in a scene, computed once: a soft lamp under each room's ceiling, one bounce, and the sky's ambient light.

The lighting is for appearance only, in arbitrary units: lit surfaces are near 1. It does not depend on earlier
renderings.
"""

import math

import numpy as np

from harken.raytracing import closest_hit, is_occluded, kernel, ray_buffer
from harken.scene.scene import Room, Scene
from harken.vision.lightmap import LightGrid, interpolate_light

__all__ = ["bake_light", "light_again"]

_LAMP_RAYS = 4
_LAMPS_PER_SAMPLE = 2
_GATHER_BUDGET = 2_500_000
_FEWEST, _MOST = 8, 48
_OFFSET = 2e-3
_OCCLUSION_RADIUS = 2.0
_BURIED = 0.25
_SMOOTHINGS = 2


def bake_light(scene: Scene, grid: LightGrid, albedo: np.ndarray) -> np.ndarray:
    """Compute the light on both sides of every sample.

    Args:
        scene: The scene; where its rooms are known they get a lamp each, and the rest of the light is a soft sky.
        grid: The samples.
        albedo: ``(F, 3)`` float32: mean linear colour of each triangle, which tints the bounced light.

    Returns:
        ``(S, 2, 3)`` float32: red, green and blue light on the side that a sample's normal points to and on the other.
    """
    rays = scene.triangles.kernel_data
    lamps = np.array([_lamp(room) for room in scene.rooms], np.float32).reshape(-1, 5)
    direct = np.zeros((len(grid.positions), 2), np.float32)
    _light_directly(rays, grid.positions, grid.normals, lamps, direct)
    count = int(np.clip(_GATHER_BUDGET // (2 * len(grid.positions)), _FEWEST, _MOST))
    light = np.empty((len(grid.positions), 2, 3), np.float32)
    openness = np.empty((len(grid.positions), 2), np.float32)
    map_arrays = grid.intervals, grid.start, grid.sample
    direct_rgb = np.repeat(direct[:, :, None], 3, axis=2)
    ambient = np.float32(0.35 if len(lamps) else 0.95)
    _gather(
        *(rays, grid.positions, grid.normals, _hemisphere(count), ambient),
        *(map_arrays, direct_rgb, albedo, scene.normals, light, openness),
    )
    for _ in range(_SMOOTHINGS):
        _smooth(*map_arrays, direct_rgb, openness.copy(), np.float32(1.0))
        _smooth(*map_arrays, light, openness, np.float32(0.5))
    light += direct_rgb
    # A soft shoulder keeps walls beside lamps from being overexposed.
    return (1.2 * (1.0 - np.exp(-light / 0.75))).astype(np.float32)


def light_again(scene: Scene, grid: LightGrid, again: np.ndarray, light: np.ndarray, albedo: np.ndarray) -> np.ndarray:
    """Compute the light on some samples of a scene whose other samples keep theirs.

    Args:
        scene: The scene.
        grid: Its samples.
        again: ``(S,)`` bool: those that are lit again.
        light: ``(S, 2, 3)`` float32 light on the others.
        albedo: ``(F, 3)`` float32, as for `bake_light`.

    Returns:
        ``(S, 2, 3)`` float32 light on all samples.
    """
    rays = scene.triangles.kernel_data
    lamps = np.array([_lamp(room) for room in scene.rooms], np.float32).reshape(-1, 5)
    positions, normals = grid.positions[again], grid.normals[again]
    direct = np.zeros((len(positions), 2), np.float32)
    _light_directly(rays, positions, normals, lamps, direct)
    own, openness = np.empty((len(positions), 2, 3), np.float32), np.empty((len(positions), 2), np.float32)
    every = light.copy()
    every[again] = direct[:, :, None]
    _gather(
        *(rays, positions, normals, _hemisphere(_MOST), np.float32(0.35 if len(lamps) else 0.95)),
        *((grid.intervals, grid.start, grid.sample), every, albedo, scene.normals, own, openness),
    )
    own = 1.2 * (1.0 - np.exp(-(own + direct[:, :, None]) / 0.75))
    for side in range(2):  # samples in walls and frames
        buried = openness[:, side] < _BURIED
        if buried.any() and not buried.all():
            own[buried, side] = own[~buried, side].mean(0)
    every[again] = own
    return every


def _lamp(room: Room) -> tuple[float, float, float, float, float]:
    """Place a room's lamp: x, y, z, intensity and the squared distance below which its light no longer increases."""
    centre = _middle(np.asarray(room.polygon, np.float64))
    a, b = room.polygon, np.roll(room.polygon, -1, 0)
    area = abs(float((a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]).sum())) / 2
    height = max(float(room.ceiling - room.floor), 0.5)
    soft = area / 6.0
    return centre[0], float(room.ceiling) - 0.1, centre[1], 0.95 * (height**2 + soft), soft


def _middle(polygon: np.ndarray) -> np.ndarray:
    """Return the point inside an outline ``(n, 2)`` that is farthest from its edges, on a grid of 24 × 24."""
    lower, upper = polygon.min(0), polygon.max(0)
    steps = (np.arange(24) + 0.5) / 24
    points = lower + (upper - lower) * np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    a, b = polygon, np.roll(polygon, -1, 0)
    ab = b - a
    ap = points[:, None] - a
    along = np.clip((ap * ab).sum(2) / np.maximum((ab**2).sum(1), 1e-12), 0.0, 1.0)
    distance = np.linalg.norm(ap - along[:, :, None] * ab, axis=2).min(1)
    spans = (a[:, 1] > points[:, None, 1]) != (b[:, 1] > points[:, None, 1])
    rise = np.where(ab[:, 1] == 0, 1.0, ab[:, 1])
    crosses = spans & (points[:, None, 0] < a[:, 0] + ab[:, 0] * (points[:, None, 1] - a[:, 1]) / rise)
    inside = crosses.sum(1) % 2 == 1
    return points[np.argmax(np.where(inside, distance, -distance))]


def _hemisphere(count: int) -> np.ndarray:
    """``(count, 3)`` float32 directions about +z, as dense as the cosine to it (a Fibonacci lattice on the disc).

    All samples use the same directions: the remaining error is smooth over a surface, where random directions would
    give grain.
    """
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), k * (math.pi * (3.0 - math.sqrt(5.0)))
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1.0 - k / count)], 1)
    return directions.astype(np.float32)


@kernel
def _lamp_light(lamp, p, nx, ny, nz):
    """Light of an unobstructed lamp: it shines downward mostly, to the sides a little."""
    x, y, z = lamp[0] - p[0], lamp[1] - p[1], lamp[2] - p[2]
    squared = x * x + y * y + z * z + np.float32(1e-6)
    distance = np.sqrt(squared)
    facing = (x * nx + y * ny + z * nz) / distance
    if facing <= 0.0:
        return np.float32(0.0)
    return (
        lamp[3]
        * facing
        * (np.float32(0.35) + np.float32(0.65) * max(y / distance, np.float32(0.0)))
        / (squared + lamp[4])
    )


@kernel
def _strongest(lamps, p, nx, ny, nz, slots):
    """Fill `slots` with the lamps that could light a place most, -1 for none; those of distant rooms are hidden."""
    strength = np.zeros(len(slots), np.float32)
    slots[:] = -1
    for i in range(len(lamps)):
        value, k = _lamp_light(lamps[i], p, nx, ny, nz), i
        for slot in range(len(slots)):
            if value > strength[slot]:
                value, strength[slot] = strength[slot], value
                k, slots[slot] = slots[slot], k


@kernel
def _light_directly(rays, positions, normals, lamps, direct):
    buffer, strongest = ray_buffer(), np.empty(_LAMPS_PER_SAMPLE, np.int64)
    for s in range(len(positions)):
        for side in range(2):
            sign = np.float32(1.0 - 2.0 * side)
            nx, ny, nz = sign * normals[s, 0], sign * normals[s, 1], sign * normals[s, 2]
            _strongest(lamps, positions[s], nx, ny, nz, strongest)
            for k in strongest:
                if k >= 0:
                    share = _visible_share(rays, buffer, positions[s], nx, ny, nz, lamps[k])
                    direct[s, side] += share * _lamp_light(lamps[k], positions[s], nx, ny, nz)


@kernel
def _visible_share(rays, buffer, p, nx, ny, nz, lamp):
    """Share of a square lamp of 0.7 m that a place sees; its own shade and fittings, within 0.4 m, do not count."""
    count = 0
    for i in range(_LAMP_RAYS):
        x = lamp[0] - p[0] + (np.float32(0.35) if i % 2 else np.float32(-0.35))
        z = lamp[2] - p[2] + (np.float32(0.35) if i // 2 else np.float32(-0.35))
        y = lamp[1] - p[1]
        far = np.float32(1.0) - np.float32(0.4) / max(np.sqrt(x * x + y * y + z * z), np.float32(0.5))
        ox, oy, oz = p[0] + nx * _OFFSET, p[1] + ny * _OFFSET, p[2] + nz * _OFFSET
        count += not is_occluded(rays, buffer, ox, oy, oz, x, y, z, np.float32(0.0), far)
    return np.float32(count / _LAMP_RAYS)


@kernel(inline="always")
def _tangents(nx, ny, nz):
    """Two unit vectors square to a normal (Duff et al., Journal of Computer Graphics Techniques 6(1), 2017)."""
    sign = np.float32(1.0) if nz >= 0.0 else np.float32(-1.0)
    a = np.float32(-1.0) / (sign + nz)
    b = nx * ny * a
    return np.float32(1.0) + sign * nx * nx * a, sign * b, -sign * nx, b, sign + ny * ny * a, -ny


@kernel
def _gather(rays, positions, normals, directions, ambient, map_arrays, direct, albedo, facets, light, openness):
    """Collect ambient light, less where surfaces are near, and the light that one bounce brings."""
    buffer, infinity = ray_buffer(), np.float32(np.inf)
    intervals, start, sample = map_arrays
    for s in range(len(positions)):
        p = positions[s]
        for side in range(2):
            sign = np.float32(1.0 - 2.0 * side)
            nx, ny, nz = sign * normals[s, 0], sign * normals[s, 1], sign * normals[s, 2]
            ax, ay, az, bx, by, bz = _tangents(nx, ny, nz)
            ox, oy, oz = p[0] + nx * _OFFSET, p[1] + ny * _OFFSET, p[2] + nz * _OFFSET
            red, green, blue, free = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for d in directions:
                x = d[0] * ax + d[1] * bx + d[2] * nx
                y = d[0] * ay + d[1] * by + d[2] * ny
                z = d[0] * az + d[1] * bz + d[2] * nz
                t, hit, u, v = closest_hit(rays, buffer, ox, oy, oz, x, y, z, np.float32(0.0), infinity)
                near = max(np.float32(1.0) - t / np.float32(_OCCLUSION_RADIUS), np.float32(0.0)) if hit >= 0 else 0.0
                free += np.float32(1.0 - near * near)
                if hit >= 0:
                    away = x * facets[hit, 0] + y * facets[hit, 1] + z * facets[hit, 2] > 0.0
                    r, g, b = interpolate_light(intervals, start, sample, direct, hit, int(away), u, v)
                    red += r * albedo[hit, 0]
                    green += g * albedo[hit, 1]
                    blue += b * albedo[hit, 2]
            share = np.float32(1.0 / len(directions))
            # From above more than from below, and a little by side, so that the walls of a corner differ.
            sky = ambient * (free * share) ** 2 * (np.float32(0.8) + np.float32(0.2) * ny + np.float32(0.07) * nx)
            # Bounced light is dimmed in corners more than physically correct, which keeps the edges of a room visible.
            bounced = share * free * share
            light[s, side, 0] = sky + red * bounced
            light[s, side, 1] = sky + green * bounced
            light[s, side, 2] = sky + blue * bounced
            openness[s, side] = free * share


@kernel
def _smooth(intervals, start, sample, light, openness, keep):
    """Smooth the noise of few rays, and light samples buried in walls (on a floor that continues below them).

    A sample exchanges light with its neighbours on the same triangles; buried samples do not contribute.
    """
    total = np.zeros((len(light), 2, 4), np.float32)
    for f in range(len(intervals)):
        n, row = intervals[f], start[f]
        for i in range(n + 1):
            below = row + n + 1 - i
            for j in range(n - i):
                _exchange(sample[row + j], sample[row + j + 1], light, openness, total)
                _exchange(sample[row + j], sample[below + j], light, openness, total)
                _exchange(sample[row + j + 1], sample[below + j], light, openness, total)
            row = below
    for s in range(len(light)):
        for side in range(2):
            count = total[s, side, 3]
            if count > 0.0:
                own = np.float32(0.0) if openness[s, side] < _BURIED else keep
                for k in range(3):
                    mean = total[s, side, k] / count
                    light[s, side, k] = own * light[s, side, k] + (np.float32(1.0) - own) * mean
                openness[s, side] = max(openness[s, side], np.float32(_BURIED))


@kernel(inline="always")
def _exchange(a, b, light, openness, total):
    for side in range(2):
        for to, source in ((a, b), (b, a)):
            if openness[source, side] >= _BURIED:
                for k in range(3):
                    total[to, side, k] += light[source, side, k]
                total[to, side, 3] += np.float32(1.0)
