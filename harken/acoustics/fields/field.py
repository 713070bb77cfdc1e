"""Energy fields: a source is traced once, and its reflected energy is read anywhere on the floor.

Every ray deposits energy × path length / volume in the cells that it crosses, the track-length estimator of particle
transport (Spanier & Gelbard 1969, §2.6): unbiased, without receiver spheres or shadow rays. A cell keeps, per time
bin and octave band, the energy and the net vector that points to where the energy comes from.

Energies are time-integrated squared pressures relative to 1 at 1 m in the free field, so a source radiates 4π in total.
Only sound that was reflected at least once is kept: the direct sound and what goes straight through walls are exact
paths, and so are mirror reflections where image sources render them.

It shares only `harken.acoustics.tracing` with the reference tier: the interaction of a ray with a surface is
implemented here independently, because tests compare the two tiers.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harken.acoustics.fields.cells import SUBDIVISION, CellGrid
from harken.acoustics.paths.facets import Facets
from harken.acoustics.tracing import (
    BANDS,
    FAST,
    MIRRORED,
    OFFSET,
    OMNIDIRECTIONAL,
    POWER,
    SCATTERED,
    TURN,
    Pattern,
    TimeBins,
    emit,
    radiate,
    uniform,
)
from harken.raytracing import aligned_buffer, borrowed, closest_hit, is_occluded, kernel, ray_buffer
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["EnergyField", "TracedSurfaces", "TracedWorld", "read_field", "trace_field", "traced_world"]

ALL_VISIBLE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Bits of a cell that no surface cuts."""

FAINTEST = 1e-6
"""Energy at which a ray ends, times the number of rays: 71 dB below what it started with."""

THINNING = 4e-3
"""Share of its energy at which a ray is ended with the chance 1/2 or goes on doubled, and so at every further 6 dB.

Late energy is smooth, and the number of rays that carry it falls with the square root of the energy only."""

LATE = (0.03, 0.1)
"""Times between which the energy of a cell is gradually replaced by that of its neighbourhood [s]: late energy is
similar throughout a room, and the more cells are averaged, the fewer rays are needed."""

HALVING = 0.1
"""Time at which half of the rays end and the others go on doubled, and so at every doubling of it [s]: late bins are
wider, and as many rays cross each."""

SCATTERING_BAND = 3
"""A ray has one direction for all bands, so it scatters with the coefficient at 1 kHz; where image sources take their
share of each band, the bands are weighed instead."""

NEVER = -1
"""Number of mirror reflections of a ray that image sources do not follow, or no longer follow."""


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
def scatters(seed, k, draw, scattering, mean, followed, energy):
    """Decide whether a ray scatters at a material, and weigh the bands where image sources still follow the ray.

    Image sources keep the share 1 − s of every band, so on average the ray has to keep it too (`Facets.covered`).
    """
    chance = mean if followed else np.float64(scattering[SCATTERING_BAND])
    result = uniform(seed, k, draw) < chance
    if followed:
        for b in range(BANDS):
            s = scattering[b]
            energy[b] *= s / chance if result else (1.0 - s) / (1.0 - chance)
    return result


@kernel(fastmath=FAST)
def reflect(seed, k, draw, scattered, n, d):
    """Turn `d` at a surface of normal `n`: after Lambert's law, or like a mirror."""
    if scattered:
        c, f = 1.0 - 2.0 * uniform(seed, k, draw), TURN * uniform(seed, k, draw + 1)
        s = np.sqrt(max(0.0, 1.0 - c * c))
        d[0], d[1], d[2] = n[0] + s * np.cos(f), n[1] + s * np.sin(f), n[2] + c
    else:
        back = 2.0 * (d[0] * n[0] + d[1] * n[1] + d[2] * n[2])
        for axis in range(3):
            d[axis] -= back * n[axis]
    inverse = 1.0 / np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + 1e-30)
    for axis in range(3):
        d[axis] *= inverse


@kernel(fastmath=FAST)
def _lose(energy, air, length, factors):
    """Reduce `energy` by the losses in air and at a surface; returns the energy of the loudest band."""
    loudest = 0.0
    for b in range(BANDS):
        loss = air[b] * length  # at most some tenths, so three terms of the exponential are enough
        energy[b] *= (1.0 - loss * (1.0 - loss * (0.5 - loss * 0.16667))) * factors[b]
        loudest = max(loudest, energy[b])
    return loudest


@kernel(fastmath=FAST)
def goes_on(seed, k, draw, energy):
    """End a ray with the chance 1/2, or double its energy; returns whether it goes on."""
    if uniform(seed, k, draw) < 0.5:
        return False
    for b in range(BANDS):
        energy[b] *= 2.0
    return True


@kernel(fastmath=FAST)
def meet(world, seed, k, draw, triangle, length, walk, energy, thinning, faintest, o, d, n):
    """Let a ray meet a surface at the end of a leg: it passes, is reflected, or ends.

    `walk` is (inside, followed, last): how many solids the ray is in; the number of successive mirror reflections that
    image sources follow, `NEVER` where they do not; and the kind of the last reflection, `SCATTERED`, `MIRRORED` or
    none (0). Returns the threshold below which the ray may end by chance, or -1 where it ended.
    """
    surfaces, normals = world.surfaces, world.surfaces.normals
    m = surfaces.material[triangle]
    leaves = d[0] * normals[triangle, 0] + d[1] * normals[triangle, 1] + d[2] * normals[triangle, 2] > 0
    for axis in range(3):
        n[axis] = -normals[triangle, axis] if leaves else normals[triangle, axis]
        o[axis] += d[axis] * length
    # The far face of a solid that was entered through its near face is free: the loss was taken on entering.
    free = leaves and walk[0] > 0
    chance = surfaces.chances[m, 0]
    passes = free or (chance > 0 and uniform(seed, k, draw) < chance)
    loudest = _lose(energy, world.air, length, surfaces.factors[2 if free else (1 if passes else 0), m])
    if not free and loudest < thinning:
        if loudest < faintest or uniform(seed, k, draw + 1) < 0.5:
            return -1.0
        for b in range(BANDS):
            energy[b] *= 2.0
        thinning *= 0.5
    if passes:
        walk[0] += -1 if free else (0 if leaves else 1)
        walk[1] = NEVER
        for axis in range(3):
            o[axis] -= OFFSET * n[axis]
        return thinning
    followed = walk[1] >= 0 and world.covered[triangle]
    scattered = scatters(seed, k, draw + 2, surfaces.coefficients[1, m], surfaces.chances[m, 1], followed, energy)
    walk[1] = walk[1] + 1 if followed and not scattered and walk[1] < world.order else NEVER
    walk[2] = SCATTERED if scattered else MIRRORED
    for axis in range(3):
        o[axis] += OFFSET * n[axis]
    reflect(seed, k, draw + 3, scattered, n, d)
    return thinning


@kernel(fastmath=FAST)
def _follow(rays, buffer, world, seed, k, faintest, speed, duration, grid, bins, field, energy, o, d, scratch):
    """Follow one ray until it is late, faint or gone; returns whether it left the scene."""
    n, steps, walk = scratch[0], scratch[1:5], scratch[5]
    walk[0], walk[1], walk[2] = 0, 0 if world.order > 0 else NEVER, 0
    travelled, draw, halving = 0.0, 3, HALVING * speed
    thinning = THINNING * faintest / FAINTEST * POWER
    while travelled < duration * speed:
        length, triangle, _, _ = closest_hit(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(1e30))
        if triangle < 0:
            return True
        if walk[2] > 0 and walk[1] < 0:  # reflected, and not along a path that image sources follow
            _deposit(grid, bins, energy, world.air, travelled, o, d, length, speed, field, steps)
        travelled += length
        thinning = meet(world, seed, k, draw, triangle, length, walk, energy, thinning, faintest, o, d, n)
        if thinning < 0 or (travelled > halving and not goes_on(seed, k, draw + 5, energy)):
            return False
        halving *= 2.0 if travelled > halving else 1.0
        draw += 6
    return False


@kernel(fastmath=FAST)
def _trace(rays, world, source, pattern, count, seed, speed, duration, grid, bins, field, scratch):
    """Trace `count` rays from `source`; returns the energy per band that left the scene.

    `scratch` is a buffer from `ray_buffer`, ``(bands,)`` and ``(8, 3)`` float64.
    """
    world, pattern, grid, bins, field = (
        borrowed(world),
        borrowed(pattern),
        borrowed(grid),
        borrowed(bins),
        borrowed(field),
    )
    buffer, energy, vectors = borrowed(scratch)
    o, d, work = vectors[0], vectors[1], vectors[2:]
    escaped = np.zeros(BANDS)
    for k in range(count):
        emit(seed, k, count, d)
        o[:] = source
        radiate(pattern, d, POWER / count, energy)
        leaves = _follow(
            rays, buffer, world, seed, k, FAINTEST / count, speed, duration, grid, bins, field, energy, o, d, work
        )
        if leaves:
            escaped += energy
    return escaped


@kernel(fastmath=FAST)
def _smooth(energy, share, borders, numbers, out):
    """Mix the energies of each cell with the mean over its neighbourhood, of which `share` ``(bins,)`` counts."""
    for c in range(len(energy)):
        first, last = borders[c], borders[c + 1]
        for t in range(energy.shape[1]):
            own, neighbour = np.float32(1.0) - share[t], share[t] / np.float32(last - first)
            target = out[c, t]
            for b in range(BANDS):
                for i in range(4):
                    target[b, i] = own * energy[c, t, b, i]
            if neighbour > 0.0:
                for k in range(first, last):
                    part = energy[numbers[k], t]
                    for b in range(BANDS):
                        for i in range(4):
                            target[b, i] += neighbour * part[b, i]


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
        (aligned_buffer(), np.empty(BANDS), np.empty((8, 3))),
    )
    smooth = np.empty_like(energy)
    _smooth(energy, late_share(bins, LATE).astype(np.float32), *grid.neighbours, smooth)
    return EnergyField(grid=grid, bins=bins, energy=smooth, escaped=float(escaped[SCATTERING_BAND] / POWER))


def late_share(bins: TimeBins, between: tuple[float, float]) -> np.ndarray:
    """Return the share ``(bins,)`` of late sound in each time bin, that rises from 0 to 1 between two times [s]."""
    return np.clip((bins.centres - between[0]) / (between[1] - between[0]), 0.0, 1.0)


class TracedSurfaces(NamedTuple):
    """Surfaces, as kernels that trace rays take them."""

    normals: np.ndarray
    """``(triangles, 3)``."""
    material: np.ndarray
    """``(triangles,)``."""
    coefficients: np.ndarray
    """``(3, materials, bands)`` absorption, scattering and transmission."""
    chances: np.ndarray
    """``(materials, 2)`` chances to go through and to scatter."""
    factors: np.ndarray
    """``(3, materials, bands)`` what a ray keeps when it is reflected, goes through, or leaves a solid."""


class TracedWorld(NamedTuple):
    """What ray-tracing kernels need of a scene besides its geometry."""

    surfaces: TracedSurfaces
    """Its surfaces."""
    covered: np.ndarray
    """``(triangles,)`` bool: whether image sources cover it."""
    order: int
    """Mirror reflections in a row that image sources render."""
    air: np.ndarray
    """``(bands,)`` energy attenuation of air [1/m]."""


def traced_world(
    scene: Scene, air: np.ndarray, *, transmission: bool, facets: Facets | None, image_order: int
) -> TracedWorld:
    """Return what kernels that trace rays take; arguments as `trace_field`."""
    coefficients = scene.coefficients.copy()
    coefficients[2] *= transmission
    back, through = 1.0 - coefficients[0].astype(np.float64), coefficients[2].astype(np.float64)
    # A ray passes with the probability of the band that passes most; energies are divided by that probability.
    passing = (through / (back + through + 1e-9)).max(1)
    factors = np.stack(
        [back / (1.0 - passing)[:, None], through / np.maximum(passing, 1e-30)[:, None], np.ones_like(back)]
    )
    chances = np.stack([passing, coefficients[1].mean(1, dtype=np.float64)], 1)
    covered = np.zeros(len(scene.faces), bool) if facets is None else facets.covered
    order = 0 if facets is None else int(image_order)
    surfaces = TracedSurfaces(scene.normals, scene.material, coefficients, chances, factors)
    return TracedWorld(surfaces, covered, order, np.asarray(air, np.float64))


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
                # Half a cell away, a cell has an eighth of its weight, so that the transition between cells is smooth.
                weight = np.exp(-8.0 * (dx * dx + dy * dy + dz * dz) / (size * size))
                if weight < 1e-3 or (
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
