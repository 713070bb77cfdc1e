"""Energy fields: a source is traced once, and its reflected energy is read anywhere on the floor.

Every ray deposits energy × path length / volume in the cells that it crosses, the track-length estimator of particle
transport (Spanier & Gelbard 1969, §2.6): unbiased, without receiver spheres or shadow rays. A cell keeps, per time
bin and octave band, the energy and the net vector that points to where the energy comes from.

Energies are time-integrated squared pressures relative to 1 at 1 m in the free field, so a source radiates 4π in
all. Only sound that was reflected at least once is kept: the direct sound and what goes straight through walls are
exact paths.
"""

from dataclasses import dataclass

import numpy as np

from harken.acoustics.cells import SUBDIVISION, CellGrid
from harken.raytracing import closest_hit, is_occluded, kernel, ray_buffer
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["EnergyField", "TimeBins", "read_field", "trace_field"]


FAST = {"contract", "reassoc", "arcp", "nsz"}
"""Floating-point liberties of the compiler; NaN and infinity stay what they are."""

ALL_VISIBLE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Bits of a cell that no surface cuts."""

POWER, TURN, GOLDEN_ANGLE = 4 * np.pi, 2 * np.pi, np.pi * (3 - np.sqrt(5))
"""Power of a source, a full turn and the golden angle [rad]."""

BANDS = len(OCTAVE_BANDS)
"""Number of octave bands; a constant lets the compiler unroll the loops over them."""

FAINTEST = 1e-6
"""Energy at which a ray ends, times the number of rays: 71 dB below what it started with."""

THINNING = 4e-3
"""Share of its energy at which a ray is ended with the chance 1/2 or goes on doubled, and so at every further 6 dB.

Late energy is smooth, and the number of rays that carry it falls with the square root of the energy only."""

SCATTERING_BAND = 3
"""A ray has one direction for all bands, so it scatters with the coefficient at 1 kHz."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeBins:
    """Time bins that widen with time: the ear is sharp early, and late energy is smooth but sparse in rays."""

    edges: np.ndarray
    """``(n + 1,)`` float64 edges [s], from 0."""
    lookup: np.ndarray
    """``(milliseconds,)`` int32: bin of each millisecond."""

    @staticmethod
    def build(duration: float, *, first: float = 0.004, growth: float = 0.06, widest: float = 0.016) -> "TimeBins":
        """Make bins of whole milliseconds.

        Args:
            duration: Length covered [s].
            first: Width of the first bins [s].
            growth: Width of a bin as a share of its time.
            widest: Greatest width [s].
        """
        edges = [0]
        while edges[-1] < duration * 1000:
            edges.append(edges[-1] + round(1000 * min(widest, max(first, growth * edges[-1] / 1000))))
        lookup = np.repeat(np.arange(len(edges) - 1, dtype=np.int32), np.diff(edges))
        return TimeBins(edges=np.array(edges) / 1000.0, lookup=lookup)

    @property
    def centres(self) -> np.ndarray:
        """``(n,)`` centres [s]."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def widths(self) -> np.ndarray:
        """``(n,)`` widths [s]."""
        return np.diff(self.edges)


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyField:
    """The reflected energy of one source, at every cell."""

    grid: CellGrid
    """Where it is kept."""
    bins: TimeBins
    """When."""
    energy: np.ndarray
    """``(cells, bins, bands, 4)`` float32: energy, and the vector (x, y, z) to where it comes from."""
    escaped: float
    """Share of the source's energy that left the scene through openings (1 kHz)."""


@kernel
def _uniform(seed, ray, draw):
    """Return a number in [0, 1) that depends on its arguments only (splitmix64, Steele et al. 2014)."""
    x = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * (
        (np.uint64(ray) << np.uint64(20)) + np.uint64(draw) + np.uint64(1)
    )
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.float64(x >> np.uint64(11)) * 1.1102230246251565e-16


@kernel(fastmath=FAST)
def _seen_share(visible, p, cell, d, t, until):
    """Share of the way from `t` to `until` through a cell that its anchor sees, at four places along it."""
    seen = 0
    for s in range(4):
        at = t + (s + 0.5) * 0.25 * (until - t)
        bit = 0
        for axis in range(3):
            part = int((p[axis] + d[axis] * at - cell[axis]) * SUBDIVISION)
            bit = bit * SUBDIVISION + min(max(part, 0), SUBDIVISION - 1)
        seen += (visible >> np.uint64(bit)) & np.uint64(1)
    return np.float64(seen) * 0.25


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
def _deposit(grid, lookup, energy, air, travelled, o, d, length, speed, field, walk):
    """Walk one straight piece of a ray through the grid and leave its energy in the cells that are kept.

    `walk` is scratch ``(4, 3)``: the position in cells, the cell, and per axis the next border and the way between two.
    """
    origin, size, index, visible, volume = grid
    p, cell, border, pace = walk[0], walk[1], walk[2], walk[3]
    for axis in range(3):
        p[axis] = (o[axis] - origin[axis]) / size
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
        kept = index[int(cell[0]), int(cell[1]), int(cell[2])]
        millisecond = int((travelled + 0.5 * (t + until) * size) / speed * 1000.0)
        if kept >= 0 and until > t and millisecond < len(lookup):
            share = 1.0 if visible[kept] == ALL_VISIBLE else _seen_share(visible[kept], p, cell, d, t, until)
            if share > 0:
                gone = 0.5 * (t + until) * size
                _leave(
                    field[kept, lookup[millisecond]], energy, air, share * (until - t) * size / volume[kept], gone, d
                )
        t = until
        cell[axis] += 1.0 if d[axis] > 0 else -1.0
        border[axis] += pace[axis]
        if cell[axis] < 0 or cell[axis] >= index.shape[axis]:
            return


@kernel(fastmath=FAST)
def _leave(target, energy, air, weight, gone, d):
    """Add a ray's energy and the vector to where it comes from to one time bin ``(bands, 4)`` of a cell."""
    x, y, z = np.float32(-d[0]), np.float32(-d[1]), np.float32(-d[2])
    for b in range(BANDS):
        loss = air[b] * gone  # at most some tenths, so two terms of the exponential are enough
        w = np.float32(energy[b] * weight * (1.0 - loss * (1.0 - 0.5 * loss)))
        target[b, 0] += w
        target[b, 1] += w * x
        target[b, 2] += w * y
        target[b, 3] += w * z


@kernel(fastmath=FAST)
def _emit(seed, k, count, d):
    """Set the direction of ray `k` of `count`: a spiral over the sphere, jittered."""
    z = 1.0 - 2.0 * (k + _uniform(seed, k, 0)) / count
    phi = k * GOLDEN_ANGLE + TURN * (_uniform(seed, count, 1) + 0.25 * _uniform(seed, k, 2) / count)
    q = np.sqrt(max(0.0, 1.0 - z * z))
    d[0], d[1], d[2] = q * np.cos(phi), z, q * np.sin(phi)


@kernel(fastmath=FAST)
def _reflect(seed, k, draw, scattering, n, d):
    """Turn `d` at a surface of normal `n`: like a mirror, or after Lambert's law with the chance `scattering`."""
    if _uniform(seed, k, draw) < scattering:
        c, f = 1.0 - 2.0 * _uniform(seed, k, draw + 1), TURN * _uniform(seed, k, draw + 2)
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
def _pass_chance(coefficients, m):
    """Return the chance with which a ray goes through material `m`: the share of the band that does so most."""
    chance = 0.0
    for b in range(BANDS):
        back, through = 1.0 - coefficients[0, m, b], coefficients[2, m, b]
        chance = max(chance, through / (back + through + 1e-9))
    return chance


@kernel(fastmath=FAST)
def _lose(energy, air, length, coefficients, m, chance, passes):
    """Take from `energy` what air and a surface take, over the chance of what happened; returns the loudest band."""
    loudest = 0.0
    for b in range(BANDS):
        kept = coefficients[2, m, b] / chance if passes else (1.0 - coefficients[0, m, b]) / (1.0 - chance)
        energy[b] *= np.exp(-air[b] * length) * kept
        loudest = max(loudest, energy[b])
    return loudest


@kernel(fastmath=FAST)
def _follow(
    rays, buffer, surfaces, seed, k, faintest, air, speed, duration, grid, lookup, field, energy, o, d, scratch
):
    """Follow one ray until it is late, faint or gone; returns whether it left the scene."""
    normals, material, coefficients = surfaces
    n, walk = scratch[0], scratch[1:]
    travelled, reflected, inside, draw = 0.0, False, 0, 3
    thinning = THINNING * faintest / FAINTEST * POWER
    while travelled < duration * speed:
        length, triangle, _, _ = closest_hit(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(1e30))
        if triangle < 0:
            return True
        if reflected:
            _deposit(grid, lookup, energy, air, travelled, o, d, length, speed, field, walk)
        travelled += length
        m = material[triangle]
        leaves = d[0] * normals[triangle, 0] + d[1] * normals[triangle, 1] + d[2] * normals[triangle, 2] > 0
        for axis in range(3):
            n[axis] = -normals[triangle, axis] if leaves else normals[triangle, axis]
        # The far face of a solid that was entered through its near face is free: the loss was taken on entering.
        free = leaves and inside > 0
        chance = _pass_chance(coefficients, m)
        passes = free or (chance > 0 and _uniform(seed, k, draw) < chance)
        if free:
            for b in range(BANDS):
                energy[b] *= np.exp(-air[b] * length)
        else:
            loudest = _lose(energy, air, length, coefficients, m, chance, passes)
            if loudest < thinning:
                if loudest < faintest or _uniform(seed, k, draw + 4) < 0.5:
                    return False
                for b in range(BANDS):
                    energy[b] *= 2.0
                thinning *= 0.5
        if passes:
            inside += -1 if free else (0 if leaves else 1)
        for axis in range(3):
            o[axis] += d[axis] * length + (-1e-4 if passes else 1e-4) * n[axis]
        if not passes:
            reflected = True
            _reflect(seed, k, draw + 1, coefficients[1, m, SCATTERING_BAND], n, d)
        draw += 5
    return False


@kernel(fastmath=FAST)
def _trace(rays, surfaces, source, count, seed, air, speed, duration, grid, lookup, field):
    """Trace `count` rays from `source`; returns the energy per band that left the scene."""
    buffer = ray_buffer()
    bands = surfaces[2].shape[2]
    energy, o, d, scratch = np.empty(bands), np.empty(3), np.empty(3), np.empty((5, 3))
    escaped = np.zeros(bands)
    for k in range(count):
        _emit(seed, k, count, d)
        o[:] = source
        energy[:] = POWER / count
        gone = _follow(
            rays,
            buffer,
            surfaces,
            seed,
            k,
            FAINTEST / count,
            air,
            speed,
            duration,
            grid,
            lookup,
            field,
            energy,
            o,
            d,
            scratch,
        )
        if gone:
            escaped += energy
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

    Returns:
        The field.
    """
    energy = np.zeros((len(grid.anchors), len(bins.widths), len(OCTAVE_BANDS), 4), np.float32)
    coefficients = scene.coefficients.copy()
    coefficients[2] *= transmission
    surfaces = (scene.normals, scene.material, coefficients)
    cells = (grid.origin, grid.size, grid.index, grid.visible, grid.volume)
    escaped = _trace(
        scene.triangles.kernel_data,
        surfaces,
        np.asarray(source, np.float64),
        rays,
        seed,
        np.asarray(air, np.float64),
        float(speed),
        float(bins.edges[-1]),
        cells,
        bins.lookup,
        energy,
    )
    return EnergyField(grid=grid, bins=bins, energy=energy, escaped=float(escaped[3] / (4 * np.pi)))


@kernel(fastmath=FAST)
def _read(rays, buffer, origin, size, index, anchors, energy, point, out):
    """Blend the cells around `point` that it sees; returns the sum of weights, 0 where it sees none."""
    cx, cy, cz = (
        int(np.floor((point[0] - origin[0]) / size)),
        int(np.floor((point[1] - origin[1]) / size)),
        int(np.floor((point[2] - origin[2]) / size)),
    )
    total = 0.0
    out[:] = 0.0
    for ix in range(max(cx - 1, 0), min(cx + 2, index.shape[0])):
        for iz in range(max(cz - 1, 0), min(cz + 2, index.shape[2])):
            for iy in range(max(cy - 1, 0), min(cy + 2, index.shape[1])):
                cell = index[ix, iy, iz]
                if cell < 0:
                    continue
                a = anchors[cell]
                dx, dy, dz = a[0] - point[0], a[1] - point[1], a[2] - point[2]
                # Half a cell away a cell has an eighth of its weight, so that the change from one to the next is
                # smooth.
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
