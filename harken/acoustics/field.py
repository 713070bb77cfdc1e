"""Energy fields: a source is traced once, and its reflected energy is read anywhere on the floor.

Every ray deposits energy × path length / volume in the cells that it crosses, the track-length estimator of particle
transport (Spanier & Gelbard 1969, §2.6): unbiased, without receiver spheres or shadow rays. A cell keeps, per time bin and
octave band, the energy and the net vector that points to where the energy comes from.

Energies are time-integrated squared pressures relative to 1 at 1 m in the free field, so a source radiates 4π in all.
Only sound that was reflected at least once is kept: the direct sound and what goes straight through walls are exact paths.
"""

from dataclasses import dataclass

import numpy as np

from harken.acoustics.cells import SUBDIVISION, CellGrid
from harken.raytracing import closest_hit, is_occluded, kernel, ray_buffer
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["EnergyField", "TimeBins", "read_field", "trace_field"]


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


@kernel(fastmath={"contract", "reassoc", "arcp", "nsz"})
def _seen_share(visible, fx, fy, fz, gx, gy, gz):
    """Share of the way from f to g, both in cell units from its least corner, that the cell's anchor sees."""
    seen = 0
    for s in range(4):
        u = (s + 0.5) * 0.25
        i = min(max(int((fx + u * (gx - fx)) * SUBDIVISION), 0), SUBDIVISION - 1)
        j = min(max(int((fy + u * (gy - fy)) * SUBDIVISION), 0), SUBDIVISION - 1)
        k = min(max(int((fz + u * (gz - fz)) * SUBDIVISION), 0), SUBDIVISION - 1)
        seen += (visible >> np.uint64(i * 16 + j * 4 + k)) & np.uint64(1)
    return np.float64(seen) * 0.25


@kernel(fastmath={"contract", "reassoc", "arcp", "nsz"})
def _deposit(grid, lookup, energy, air, travelled, o, d, length, speed, field):
    """Walk one straight piece of a ray through the grid and leave its energy in the cells that are kept."""
    origin, size, index, visible, volume = grid
    bands = len(energy)
    px, py, pz = (o[0] - origin[0]) / size, (o[1] - origin[1]) / size, (o[2] - origin[2]) / size
    reach = length / size
    near, far = 0.0, reach
    for axis in range(3):
        p = px if axis == 0 else (py if axis == 1 else pz)
        if abs(d[axis]) < 1e-9:
            if p < 0 or p >= index.shape[axis]:
                return
        else:
            a, b = -p / d[axis], (index.shape[axis] - p) / d[axis]
            near, far = max(near, min(a, b)), min(far, max(a, b))
    if far <= near:
        return
    t = near
    mid = near + 1e-7
    ix = min(max(int(np.floor(px + d[0] * mid)), 0), index.shape[0] - 1)
    iy = min(max(int(np.floor(py + d[1] * mid)), 0), index.shape[1] - 1)
    iz = min(max(int(np.floor(pz + d[2] * mid)), 0), index.shape[2] - 1)
    sx, sy, sz = 1 if d[0] > 0 else -1, 1 if d[1] > 0 else -1, 1 if d[2] > 0 else -1
    big = 1e30
    tx = big if abs(d[0]) < 1e-9 else (ix + (1 if sx > 0 else 0) - px) / d[0]
    ty = big if abs(d[1]) < 1e-9 else (iy + (1 if sy > 0 else 0) - py) / d[1]
    tz = big if abs(d[2]) < 1e-9 else (iz + (1 if sz > 0 else 0) - pz) / d[2]
    ex, ey, ez = (
        big if abs(d[0]) < 1e-9 else 1 / abs(d[0]),
        big if abs(d[1]) < 1e-9 else 1 / abs(d[1]),
        big if abs(d[2]) < 1e-9 else 1 / abs(d[2]),
    )
    while t < far:
        until = min(tx, ty, tz, far)
        cell = index[ix, iy, iz]
        if cell >= 0 and until > t:
            share = 1.0
            if visible[cell] != np.uint64(0xFFFFFFFFFFFFFFFF):
                share = _seen_share(
                    visible[cell],
                    px + d[0] * t - ix,
                    py + d[1] * t - iy,
                    pz + d[2] * t - iz,
                    px + d[0] * until - ix,
                    py + d[1] * until - iy,
                    pz + d[2] * until - iz,
                )
            way = travelled + 0.5 * (t + until) * size
            millisecond = int(way / speed * 1000.0)
            if share > 0 and millisecond < len(lookup):
                weight = share * (until - t) * size / volume[cell]
                target = field[cell, lookup[millisecond]]
                gone = 0.5 * (t + until) * size
                x, y, z = np.float32(-d[0]), np.float32(-d[1]), np.float32(-d[2])
                for b in range(bands):
                    loss = air[b] * gone  # at most some tenths, so two terms of the exponential are enough
                    w = np.float32(energy[b] * weight * (1.0 - loss * (1.0 - 0.5 * loss)))
                    target[b, 0] += w
                    target[b, 1] += w * x
                    target[b, 2] += w * y
                    target[b, 3] += w * z
        t = until
        if tx <= ty and tx <= tz:
            ix, tx = ix + sx, tx + ex
            if ix < 0 or ix >= index.shape[0]:
                return
        elif ty <= tz:
            iy, ty = iy + sy, ty + ey
            if iy < 0 or iy >= index.shape[1]:
                return
        else:
            iz, tz = iz + sz, tz + ez
            if iz < 0 or iz >= index.shape[2]:
                return


@kernel(fastmath={"contract", "reassoc", "arcp", "nsz"})
def _trace(rays, surfaces, source, count, seed, air, speed, duration, grid, lookup, field):
    """Trace `count` rays from `source`; returns the energy per band that escaped from the scene."""
    normals, material, coefficients = surfaces
    bands = coefficients.shape[2]
    buffer = ray_buffer()
    energy, o, d, n = np.empty(bands), np.empty(3), np.empty(3), np.empty(3)
    escaped = np.zeros(bands)
    for k in range(count):
        draw = 0
        z = 1.0 - 2.0 * (k + _uniform(seed, k, 0)) / count
        phi = k * 2.399963229728653 + 6.283185307179586 * (_uniform(seed, count, 1) + 0.25 * _uniform(seed, k, 2) / count)
        q = np.sqrt(max(0.0, 1.0 - z * z))
        d[0], d[1], d[2] = q * np.cos(phi), z, q * np.sin(phi)
        o[0], o[1], o[2] = source[0], source[1], source[2]
        energy[:] = 12.566370614359172 / count
        travelled, reflected, inside, draw = 0.0, False, 0, 3
        while travelled < duration * speed:
            length, triangle, _, _ = closest_hit(
                rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(1e30)
            )
            if triangle < 0:
                for b in range(bands):
                    escaped[b] += energy[b]
                break
            if reflected:
                _deposit(grid, lookup, energy, air, travelled, o, d, length, speed, field)
            travelled += length
            m = material[triangle]
            dn = d[0] * normals[triangle, 0] + d[1] * normals[triangle, 1] + d[2] * normals[triangle, 2]
            side = -1.0 if dn > 0 else 1.0
            for axis in range(3):
                n[axis] = side * normals[triangle, axis]
                o[axis] += d[axis] * length
            # The far face of a solid that was entered through its near face: the loss was taken on entering.
            if dn > 0 and inside > 0:
                inside -= 1
                for axis in range(3):
                    o[axis] -= n[axis] * 1e-4
                for b in range(bands):
                    energy[b] *= np.exp(-air[b] * length)
                continue
            through = 0.0
            for b in range(bands):
                through = max(through, coefficients[2, m, b] / (1.0 - coefficients[0, m, b] + coefficients[2, m, b] + 1e-9))
            transmitted = through > 0 and _uniform(seed, k, draw) < through
            loudest = 0.0
            for b in range(bands):
                kept = coefficients[2, m, b] / through if transmitted else (1.0 - coefficients[0, m, b]) / (1.0 - through)
                energy[b] *= np.exp(-air[b] * length) * kept
                loudest = max(loudest, energy[b])
            if loudest * count < 1e-6:
                break
            if transmitted:
                inside += 1 if dn < 0 else 0
                for axis in range(3):
                    o[axis] -= n[axis] * 1e-4
            else:
                reflected = True
                for axis in range(3):
                    o[axis] += n[axis] * 1e-4
                if _uniform(seed, k, draw + 1) < coefficients[1, m, 3]:  # Lambert's law
                    c = 1.0 - 2.0 * _uniform(seed, k, draw + 2)
                    f = 6.283185307179586 * _uniform(seed, k, draw + 3)
                    s = np.sqrt(max(0.0, 1.0 - c * c))
                    d[0], d[1], d[2] = n[0] + s * np.cos(f), n[1] + s * np.sin(f), n[2] + c
                else:
                    back = 2.0 * (d[0] * n[0] + d[1] * n[1] + d[2] * n[2])
                    for axis in range(3):
                        d[axis] -= back * n[axis]
                inverse = 1.0 / np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + 1e-30)
                for axis in range(3):
                    d[axis] *= inverse
            draw += 4
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

    Returns:
        The field.
    """
    energy = np.zeros((len(grid.anchors), len(bins.widths), len(OCTAVE_BANDS), 4), np.float32)
    surfaces = (scene.normals, scene.material, scene.coefficients)
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


@kernel(fastmath={"contract", "reassoc", "arcp", "nsz"})
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
                # Half a cell away a cell has an eighth of its weight, so that the change from one to the next is smooth.
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
