"""Energy fields: a source is traced once, and its reflected energy is read anywhere on the floor.

Every ray deposits energy × path length / volume in the cells that it crosses, the track-length estimator of particle
transport (Spanier & Gelbard 1969, §2.6): unbiased, without receiver spheres or shadow rays. A cell keeps, per time
bin and octave band, the energy and the net vector that points to where the energy comes from.

Energies are time-integrated squared pressures relative to 1 at 1 m in the free field, so a source radiates 4π in total.
Only sound that was reflected at least once is kept: the direct sound and what goes straight through walls are exact
paths, and so are mirror reflections where image sources render them.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harken.acoustics.fields.cells import CellGrid
from harken.acoustics.fields.deposits import leave_energy, new_deposits, settle
from harken.acoustics.fields.flight import LANES, cast_flight, new_flight, surface_met
from harken.acoustics.fields.passages import lives_on, new_passages, split
from harken.acoustics.fields.smoothing import MANY, SmoothingArrays, smooth_all, smooth_cell, smoothing
from harken.acoustics.fields.walks import (
    LAST,
    MIRRORS,
    PARTS,
    SCATTERING_BAND,
    WAY,
    meet,
    ray_of,
    traced_world,
)
from harken.acoustics.paths.facets import Facets
from harken.acoustics.tracing import BANDS, FAST, OMNIDIRECTIONAL, POWER, Pattern, TimeBins
from harken.once import made_once
from harken.raytracing import aligned_buffer, borrowed, is_occluded, kernel
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["LATE", "EnergyField", "cells_read", "read_field", "trace_field"]

LATE = (0.03, 0.1)
"""Times between which the energy of a cell is gradually replaced by that of its neighbourhood [s]: late energy is
similar throughout a room, and the more cells are averaged, the fewer rays are needed
(`harken.acoustics.fields.smoothing`)."""

THINNING = 0.2
"""Share of its energy from which on a ray may end by chance (`harken.acoustics.fields.walks.start`): late energy is
smoothed, and needs fewer rays."""

FARTHER = 1e-3
"""Weight of cells that are read because no others are in sight."""

MOST_CELLS = 27
"""Most cells around a point."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyField:
    """The reflected energy of one source, at every cell."""

    grid: CellGrid
    """The cells."""
    bins: TimeBins
    """The time bins."""
    traced: np.ndarray
    """``(cells, bins, bands, 4)`` float32 as traced: energy, and the vector (x, y, z) to where it comes from."""
    escaped: float
    """Share of the source's energy that left the scene through openings (1 kHz)."""
    rays: int = MANY
    """Number of rays that were traced."""
    parts: np.ndarray = field(default_factory=lambda: np.zeros((PARTS, 0, 0, 0), np.float32))
    """``(PARTS, cells, bins, bands)`` float32 energy of each part of the rays before smoothing, which add up to that
    of all; no cells where its standard error was not asked for (`harken.acoustics.fields.uncertainty`)."""
    late: tuple[float, float] = LATE
    """Times between which smoothed energy takes over from that of the cell itself [s]."""

    @made_once
    def smoothing(self) -> SmoothingArrays:
        """Energies that are smoothed cell by cell, as they are read."""
        return smoothing(self.traced, self.grid, self.bins, self.late, self.rays)

    @made_once
    def reading(self) -> threading.Lock:
        """Held while cells are smoothed: threads may share a field."""
        return threading.Lock()

    @property
    def energy(self) -> np.ndarray:
        """``(cells, bins, bands, 4)`` float32 as heard, late energy smoothed."""
        with self.reading:
            smooth_all(self.smoothing)
        return self.smoothing.smooth.reshape(self.traced.shape)

    @property
    def size(self) -> int:
        """Memory that the field takes once all cells are read [bytes]."""
        return 2 * self.traced.nbytes + self.parts.nbytes

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made from the rest."""
        return {name: getattr(self, name) for name in ("grid", "bins", "traced", "escaped", "rays", "parts", "late")}


@kernel(fastmath=FAST)
def _go_on(world, seed, speed, duration, grid, bins, field, parts, length, triangle, lane, ray, passages, deposits, n):
    """Let a ray go to the surface that it has met; returns False where it is late, faint or gone."""
    walk = ray.walk
    if not lives_on(seed, length, ray, passages):
        return False
    if walk[LAST] > 0 and walk[MIRRORS] < 0:  # reflected, and not along a path that image sources follow
        leave_energy(deposits, lane, grid, bins, world.air, speed, ray, length, field, parts)
    split(world, seed, triangle, length, ray, passages)
    return meet(world, seed, triangle, length, ray, n) and walk[WAY] < duration * speed


@kernel(fastmath=FAST)
def _trace(rays, world, source, pattern, count, seed, speed, duration, grid, bins, field, parts, scratch):
    """Trace `count` rays from `source`; returns the energy per band that left the scene.

    `rays` are `Triangles.image_data` and `Triangles.kernel_data`, `scratch` a flight, passages, deposits and ``(3,)``
    float64; `field` and `parts` as `leave_energy` takes.
    """
    world, pattern, grid, bins = borrowed(world), borrowed(pattern), borrowed(grid), borrowed(bins)
    field, parts = borrowed(field), borrowed(parts)
    flight, passages, deposits, n = borrowed(scratch)
    escaped = np.zeros(BANDS)
    while cast_flight(rays, flight, seed, count, world.order, source, pattern, THINNING, passages):
        for lane in range(LANES):
            if not flight.flying[lane]:
                continue
            ray = ray_of(flight.rows[lane])
            length, triangle = surface_met(rays, world, flight, lane)
            if triangle < 0:
                escaped += ray.energy
                flight.flying[lane] = False
            else:
                flight.flying[lane] = _go_on(
                    world, seed, speed, duration, grid, bins, field, parts, length, triangle, lane, ray, passages,
                    deposits, n,
                )  # fmt: skip
        settle(deposits, field, parts)
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
    in_parts: bool = False,
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
        in_parts: Whether the energy of each part of the rays is kept too (`EnergyField.parts`), for the standard error.

    Returns:
        The field.
    """
    energy = np.zeros((len(grid.anchors), len(bins.widths), len(OCTAVE_BANDS), 4), np.float32)
    parts = np.zeros((PARTS, *(energy.shape[:3] if in_parts else (0, 0, 0))), np.float32)
    escaped = _trace(
        (scene.triangles.image_data, scene.triangles.kernel_data),
        traced_world(scene, air, transmission=transmission, facets=facets, image_order=image_order),
        np.asarray(source, np.float64),
        pattern,
        rays,
        seed,
        float(speed),
        float(bins.edges[-1]),
        grid.kernel_data,
        bins.kernel_data,
        energy.reshape(-1, 4 * len(OCTAVE_BANDS)),
        parts.reshape(PARTS, parts.shape[1] * parts.shape[2], parts.shape[3]),
        (new_flight(), new_passages(scene, rays), new_deposits(LANES), np.empty(3)),
    )
    share = float(escaped[SCATTERING_BAND] / POWER)
    return EnergyField(grid=grid, bins=bins, traced=energy, escaped=share, rays=rays, parts=parts)


@kernel
def _is_near(origin, size, index, point):
    """Whether a point lies within the grid: indices are computed only then, as large floats would overflow."""
    return (
        -2.0 * size < point[0] - origin[0] < (index.shape[0] + 2.0) * size
        and -2.0 * size < point[1] - origin[1] < (index.shape[1] + 2.0) * size
        and -2.0 * size < point[2] - origin[2] < (index.shape[2] + 2.0) * size
    )


@kernel(fastmath=FAST)
def _weigh(rays, buffer, origin, size, index, anchors, point, cells, weights):
    """Write the cells around `point` that it sees and their weights, of which there are at most `MOST_CELLS`.

    Returns:
        Their number.
    """
    count = 0
    if not _is_near(origin, size, index, point):
        return count
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
                cells[count], weights[count] = cell, weight
                count += 1
    return count


@kernel(fastmath=FAST)
def _read(rays, buffer, grid, anchors, smoothing, point, found, out):
    """Blend the cells around `point` that it sees; returns the sum of weights, 0 where it sees none.

    `found` are room for numbers of cells and their weights, `out` is ``(bins, bands · 4)``.
    """
    grid, anchors, smoothing, point = borrowed(grid), borrowed(anchors), borrowed(smoothing), borrowed(point)
    cells, weights = borrowed(found)
    count = _weigh(rays, buffer, grid.origin, grid.size, grid.index, anchors, point, cells, weights)
    total = 0.0
    out[:] = 0.0
    for n in range(count):
        total += weights[n]
        smooth_cell(smoothing, cells[n])
        _blend(out, np.float32(weights[n]), smoothing.smooth[cells[n]])
    if total > 0:
        out *= np.float32(1.0 / total)
    return total


@kernel
def _weigh_once(rays, buffer, grid, anchors, point, found):
    grid, anchors, point = borrowed(grid), borrowed(anchors), borrowed(point)
    cells, weights = borrowed(found)
    return _weigh(rays, buffer, grid.origin, grid.size, grid.index, anchors, point, cells, weights)


@kernel(fastmath=FAST)
def _blend(out, weight, energy):
    for t in range(len(out)):
        for i in range(4 * BANDS):
            out[t, i] += weight * energy[t, i]


def read_field(scene: Scene, field: EnergyField, point: np.ndarray) -> np.ndarray | None:
    """Read a field at a point: the cells around it that see it, weighted by nearness.

    Args:
        scene: The scene, which decides what sees what.
        field: The field.
        point: ``(3,)`` position [m].

    Returns:
        ``(bins, bands, 4)`` float32 energy and vector to where it comes from, or None where the point sees no cell.
    """
    out, found = np.empty(field.traced.shape[1:], np.float32), (np.empty(MOST_CELLS, np.int64), np.empty(MOST_CELLS))
    arrays = field.grid.kernel_data, field.grid.anchors, field.smoothing, np.asarray(point, np.float64), found
    with field.reading:
        total = _read(scene.triangles.kernel_data, aligned_buffer(), *arrays, out.reshape(len(out), -1))
    return out if total > 0 else None


def cells_read(scene: Scene, grid: CellGrid, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers ``(n,)`` of the cells from which `read_field` reads at a point, and their weights, of sum 1.

    Args:
        scene: The scene, which decides what sees what.
        grid: The cells.
        point: ``(3,)`` position [m].
    """
    cells, weights = np.empty(MOST_CELLS, np.int64), np.empty(MOST_CELLS)
    arrays = grid.kernel_data, grid.anchors, np.asarray(point, np.float64), (cells, weights)
    count = _weigh_once(scene.triangles.kernel_data, aligned_buffer(), *arrays)
    return cells[:count], weights[:count] / weights[:count].sum()
