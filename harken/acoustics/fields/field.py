"""Energy fields: a source is traced once, and its reflected energy is read anywhere on the floor.

Every ray deposits energy × path length / volume in the cells that it crosses, the track-length estimator of particle
transport (Spanier & Gelbard 1969, §2.6): unbiased, without receiver spheres or shadow rays. A cell keeps, per time
bin and octave band, the energy and the net vector that points to where the energy comes from.

Energies are time-integrated squared pressures relative to 1 at 1 m in the free field, so a source radiates 4π in total.
Only sound that was reflected at least once is kept: the direct sound and what goes straight through walls are exact
paths, and so are mirror reflections where image sources render them.
"""

from dataclasses import dataclass

import numpy as np

from harken.acoustics.fields.cells import SUBDIVISION, CellGrid
from harken.acoustics.fields.passages import count_ray, lives_on, new_passages, next_passage, split
from harken.acoustics.fields.smoothing import smoothed
from harken.acoustics.fields.walks import (
    LAST,
    MIRRORS,
    SCATTERING_BAND,
    WAY,
    meet,
    new_ray,
    start,
    traced_world,
)
from harken.acoustics.paths.facets import Facets
from harken.acoustics.tracing import BANDS, FAST, OMNIDIRECTIONAL, POWER, Pattern, TimeBins
from harken.raytracing import aligned_buffer, borrowed, closest_hit, is_occluded, kernel, ray_buffer
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["EnergyField", "read_field", "trace_field"]

ALL_VISIBLE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Bits of a cell that no surface cuts."""

LATE = (0.03, 0.1)
"""Times between which the energy of a cell is gradually replaced by that of its neighbourhood [s]: late energy is
similar throughout a room, and the more cells are averaged, the fewer rays are needed
(`harken.acoustics.fields.smoothing`)."""

THINNING = 0.2
"""Share of its energy from which on a ray may end by chance (`harken.acoustics.fields.walks.start`): late energy is
smoothed, and needs fewer rays."""

FARTHER = 1e-3
"""Weight of cells that are read because no others are in sight."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyField:
    """The reflected energy of one source, at every cell."""

    grid: CellGrid
    """The cells."""
    bins: TimeBins
    """The time bins."""
    energy: np.ndarray
    """``(cells, bins, bands, 4)`` float32: energy, and the vector (x, y, z) to where it comes from."""
    escaped: float
    """Share of the source's energy that left the scene through openings (1 kHz)."""


@kernel(fastmath=FAST)
def _visible_share(visible, p, cell, d, t, until):
    """Share of the way from `t` to `until` through a cell that its anchor sees, at four places along it."""
    count = 0
    for s in range(4):
        at = t + (s + 0.5) * 0.25 * (until - t)
        bit = 0
        for axis in range(3):
            part = int((p[axis] + d[axis] * at - cell[axis]) * SUBDIVISION)
            bit = bit * SUBDIVISION + min(max(part, 0), SUBDIVISION - 1)
        count += (visible >> np.uint64(bit)) & np.uint64(1)
    return np.float64(count) * 0.25


@kernel(fastmath=FAST)
def _clip(p, d, shape, reach):
    """Return the interval (near, far) of a ray from `p` along `d`, both in cells, that lies in a grid of `shape`."""
    near, far = 0.0, reach
    for axis in range(3):
        if abs(d[axis]) < 1e-9:
            if p[axis] < 0 or p[axis] >= shape[axis]:
                return 0.0, -1.0
        else:
            a, b = -p[axis] / d[axis], (shape[axis] - p[axis]) / d[axis]
            near, far = max(near, min(a, b)), min(far, max(a, b))
    return near, far


@kernel(fastmath=FAST)
def _deposit(grid, bins, energy, air, travelled, o, d, length, speed, field, walk):
    """Walk one straight piece of a ray through the grid and leave its energy in the cells that are kept.

    `walk` is scratch ``(4, 3)``: the position in cells, the cell, and per axis the next border and the way between two.
    """
    size, index, lookup = grid.size, grid.index, bins.lookup
    p, cell, border, pace = walk[0], walk[1], walk[2], walk[3]
    for axis in range(3):
        p[axis] = (o[axis] - grid.origin[axis]) / size
    t, far = _clip(p, d, index.shape, length / size)
    if far <= t:
        return
    for axis in range(3):
        cell[axis] = min(max(np.floor(p[axis] + d[axis] * (t + 1e-7)), 0), index.shape[axis] - 1)
        still = abs(d[axis]) < 1e-9
        border[axis] = 1e30 if still else (cell[axis] + (1 if d[axis] > 0 else 0) - p[axis]) / d[axis]
        pace[axis] = 1e30 if still else 1 / abs(d[axis])
    while t < far:
        axis = 0 if border[0] <= border[1] and border[0] <= border[2] else (1 if border[1] <= border[2] else 2)
        until = min(border[axis], far)
        number = index[int(cell[0]), int(cell[1]), int(cell[2])]
        at = int((travelled + 0.5 * (t + until) * size) / (speed * bins.step))
        if number >= 0 and until > t and at < len(lookup):
            visible = grid.visible[number]
            share = 1.0 if visible == ALL_VISIBLE else _visible_share(visible, p, cell, d, t, until)
            if share > 0:
                middle = 0.5 * (t + until) * size
                weight = share * (until - t) * size / grid.volume[number]
                _leave(field[number, lookup[at]], energy, air, weight, middle, d)
        t = until
        cell[axis] += 1.0 if d[axis] > 0 else -1.0
        border[axis] += pace[axis]
        if cell[axis] < 0 or cell[axis] >= index.shape[axis]:
            return


@kernel(fastmath=FAST)
def _leave(target, energy, air, weight, distance, d):
    """Add a ray's energy and the vector to where it comes from to one time bin ``(bands, 4)`` of a cell."""
    x, y, z = np.float32(-d[0]), np.float32(-d[1]), np.float32(-d[2])
    for b in range(BANDS):
        loss = air[b] * distance  # at most some tenths, so two terms of the exponential are enough
        w = np.float32(energy[b] * weight * (1.0 - loss * (1.0 - 0.5 * loss)))
        target[b, 0] += w
        target[b, 1] += w * x
        target[b, 2] += w * y
        target[b, 3] += w * z


@kernel(fastmath=FAST)
def _follow(rays, buffer, world, seed, speed, duration, grid, bins, field, ray, passages, scratch):
    """Follow one ray until it is late, faint or gone; returns whether it left the scene."""
    n, steps = scratch[0], scratch[1:5]
    o, d, walk = ray.o, ray.d, ray.walk
    while walk[WAY] < duration * speed:
        length, triangle, _, _ = closest_hit(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(1e30))
        if triangle < 0:
            return True
        if not lives_on(seed, length, ray, passages):
            return False
        if walk[LAST] > 0 and walk[MIRRORS] < 0:  # reflected, and not along a path that image sources follow
            _deposit(grid, bins, ray.energy, world.air, walk[WAY], o, d, length, speed, field, steps)
        split(world, seed, triangle, length, ray, passages)
        if not meet(world, seed, triangle, length, ray, n):
            return False
    return False


@kernel(fastmath=FAST)
def _trace(rays, world, source, pattern, count, seed, speed, duration, grid, bins, field, scratch):
    """Trace `count` rays from `source`; returns the energy per band that left the scene.

    `scratch` is a buffer from `ray_buffer`, a ray, passages and ``(5, 3)`` float64.
    """
    world, pattern, grid, bins, field = (
        borrowed(world),
        borrowed(pattern),
        borrowed(grid),
        borrowed(bins),
        borrowed(field),
    )
    buffer, ray, passages, work = borrowed(scratch)
    escaped = np.zeros(BANDS)
    for k in range(count):
        start(seed, k, count, world.order, source, pattern, THINNING, ray)
        count_ray(k, count, passages)
        follows = True
        while follows:
            if _follow(rays, buffer, world, seed, speed, duration, grid, bins, field, ray, passages, work):
                escaped += ray.energy
            follows = next_passage(ray, passages)
    return escaped


def trace_field(
    scene: Scene,
    source: np.ndarray,
    grid: CellGrid,
    bins: TimeBins,
    *,
    rays: int,
    seed: int,
    air: np.ndarray,
    speed: float,
    transmission: bool = True,
    pattern: Pattern = OMNIDIRECTIONAL,
    facets: Facets | None = None,
    image_order: int = 0,
) -> EnergyField:
    """Trace a source through a scene.

    Args:
        scene: The scene.
        source: ``(3,)`` position [m].
        grid: Cells at which energy is kept.
        bins: Time bins.
        rays: Number of rays.
        seed: Chooses the rays; the same seed gives the same bytes.
        air: ``(bands,)`` energy attenuation of air [1/m].
        speed: Speed of sound [m/s].
        transmission: Whether sound passes through walls and furniture.
        pattern: How the source radiates.
        facets: The facets whose reflections are heard as image sources, and so left out here.
        image_order: Mirror reflections in a row that are left out (`Facets.covered` has the rule).

    Returns:
        The field.
    """
    energy = np.zeros((len(grid.anchors), len(bins.widths), len(OCTAVE_BANDS), 4), np.float32)
    escaped = _trace(
        scene.triangles.kernel_data,
        traced_world(scene, air, transmission=transmission, facets=facets, image_order=image_order),
        np.asarray(source, np.float64),
        pattern,
        rays,
        seed,
        float(speed),
        float(bins.edges[-1]),
        grid.kernel_data,
        bins.kernel_data,
        energy,
        (aligned_buffer(), new_ray(), new_passages(scene, rays), np.empty((5, 3))),
    )
    smooth = smoothed(energy, grid, bins, LATE, rays)
    return EnergyField(grid=grid, bins=bins, energy=smooth, escaped=float(escaped[SCATTERING_BAND] / POWER))


@kernel
def _is_near(origin, size, index, point):
    """Whether a point lies within the grid: indices are computed only then, as large floats would overflow."""
    return (
        -2.0 * size < point[0] - origin[0] < (index.shape[0] + 2.0) * size
        and -2.0 * size < point[1] - origin[1] < (index.shape[1] + 2.0) * size
        and -2.0 * size < point[2] - origin[2] < (index.shape[2] + 2.0) * size
    )


@kernel(fastmath=FAST)
def _read(rays, buffer, origin, size, index, anchors, energy, point, out):
    """Blend the cells around `point` that it sees; returns the sum of weights, 0 where it sees none."""
    total = 0.0
    out[:] = 0.0
    if not _is_near(origin, size, index, point):
        return total
    cx, cy, cz = (
        int(np.floor((point[0] - origin[0]) / size)),
        int(np.floor((point[1] - origin[1]) / size)),
        int(np.floor((point[2] - origin[2]) / size)),
    )
    for ix in range(max(cx - 1, 0), min(cx + 2, index.shape[0])):
        for iz in range(max(cz - 1, 0), min(cz + 2, index.shape[2])):
            for iy in range(max(cy - 1, 0), min(cy + 2, index.shape[1])):
                cell = index[ix, iy, iz]
                if cell < 0:
                    continue
                a = anchors[cell]
                dx, dy, dz = a[0] - point[0], a[1] - point[1], a[2] - point[2]
                # In a doorway energy falls by decibels from cell to cell: the nearest alone would be off by one.
                weight = (
                    max(1.0 - abs(dx) / size, 0.0) * max(1.0 - abs(dy) / size, 0.0) * max(1.0 - abs(dz) / size, 0.0)
                )
                weight += FARTHER * np.exp(-8.0 * (dx * dx + dy * dy + dz * dz) / (size * size))
                if weight < 1e-3 * FARTHER or (
                    dx * dx + dy * dy + dz * dz > 1e-6
                    and is_occluded(rays, buffer, point[0], point[1], point[2], dx, dy, dz, 0.0, 1.0)
                ):
                    continue
                total += weight
                cells = energy[cell]
                w = np.float32(weight)
                for t in range(out.shape[0]):
                    for b in range(out.shape[1]):
                        for i in range(4):
                            out[t, b, i] += w * cells[t, b, i]
    if total > 0:
        w = np.float32(1.0 / total)
        for t in range(out.shape[0]):
            for b in range(out.shape[1]):
                for i in range(4):
                    out[t, b, i] *= w
    return total


@kernel
def _read_once(rays, origin, size, index, anchors, energy, point, out):
    return _read(rays, ray_buffer(), origin, size, index, anchors, energy, point, out)


def read_field(scene: Scene, field: EnergyField, point: np.ndarray) -> np.ndarray | None:
    """Read a field at a point: the cells around it that see it, weighted by nearness.

    Args:
        scene: The scene, which decides what sees what.
        field: The field.
        point: ``(3,)`` position [m].

    Returns:
        ``(bins, bands, 4)`` float32 energy and vector to where it comes from, or None where the point sees no cell.
    """
    out = np.empty(field.energy.shape[1:], np.float32)
    grid = field.grid
    arrays = (grid.origin, grid.size, grid.index, grid.anchors, field.energy, np.asarray(point, np.float64), out)
    return out if _read_once(scene.triangles.kernel_data, *arrays) > 0 else None
