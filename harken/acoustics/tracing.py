"""Ray-tracing code that the reference tier and the fast tier share, because they must agree on it.

Time bins, random numbers, the directions and energies with which rays leave a source, and the ball around a listener in
which mirrored rays count. Each tier has its own code for reflections and detection
(`harken.acoustics.engines.reference_tracing`, `harken.acoustics.fields.field` and `.pair`): tests compare the fast tier
with the reference, which could not reveal errors in shared code.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harken.acoustics.directivity import read_gains
from harken.raytracing import closest_hit, kernel, ray_buffer
from harken.scene import OCTAVE_BANDS

__all__ = [
    "BANDS",
    "FAST",
    "GOLDEN_ANGLE",
    "MAXIMUM_CROSSINGS",
    "MIRRORED",
    "OFFSET",
    "OMNIDIRECTIONAL",
    "POWER",
    "SCATTERED",
    "TURN",
    "BinTable",
    "Pattern",
    "TimeBins",
    "emit",
    "radiate",
    "uniform",
    "visible_ball",
]

FAST = {"contract", "reassoc", "arcp", "nsz"}
"""Floating-point liberties of the compiler; NaN and infinity stay what they are."""

BANDS = len(OCTAVE_BANDS)
"""Number of octave bands; a constant lets the compiler unroll the loops over them."""

POWER = 4 * np.pi
"""Power of a source whose squared pressure is 1 at 1 m."""

TURN = 2 * np.pi
"""A full turn [rad]."""

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
"""The golden angle [rad], from one direction of a spiral over the sphere to the next."""

SCATTERED = 1
"""The last reflection of a ray was diffuse."""

MIRRORED = 2
"""The last reflection of a ray was specular."""

OFFSET = 1e-4
"""Distance from the surface at which a ray continues [m]."""

MAXIMUM_CROSSINGS = 32
"""Number of surfaces that a straight path may cross before it counts as silent."""


class Pattern(NamedTuple):
    """How a source radiates, as kernels take it."""

    table: np.ndarray
    """``(rows, columns, bands)`` float32 gains, as `read_gains` takes; no rows where it radiates equally."""
    frame: np.ndarray
    """``(3, 3)`` rotation from the world into the source's frame."""


OMNIDIRECTIONAL = Pattern(np.zeros((0, 0, BANDS), np.float32), np.eye(3))
"""Pattern of a source that radiates equally in all directions."""


class BinTable(NamedTuple):
    """Time bins, as kernels take them."""

    lookup: np.ndarray
    """``(steps,)`` int32 bin of each step."""
    step: float
    """Length of a step [s]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeBins:
    """Time bins that widen with time: the ear is sharp early, and late energy is smooth but sparse in rays."""

    edges: np.ndarray
    """``(n + 1,)`` float64 edges [s], from 0."""
    lookup: np.ndarray
    """``(steps,)`` int32: bin of each `step`."""
    step: float = 0.001
    """Time that all widths are multiples of [s]."""

    @staticmethod
    def build(
        duration: float, *, first: float = 0.004, growth: float = 0.06, widest: float = 0.016, step: float = 0.001
    ) -> "TimeBins":
        """Make bins of whole steps.

        Args:
            duration: Length covered [s].
            first: Width of the first bins [s].
            growth: Width of a bin as a share of its time.
            widest: Greatest width [s].
            step: Time that all widths are multiples of [s].
        """
        edges = [0]
        while edges[-1] * step < duration - 1e-9:
            width = min(widest, max(first, growth * edges[-1] * step))
            edges.append(edges[-1] + max(1, round(width / step)))
        lookup = np.repeat(np.arange(len(edges) - 1, dtype=np.int32), np.diff(edges))
        return TimeBins(edges=np.array(edges) * step, lookup=lookup, step=step)

    @property
    def centres(self) -> np.ndarray:
        """``(n,)`` centres [s]."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def widths(self) -> np.ndarray:
        """``(n,)`` widths [s]."""
        return np.diff(self.edges)

    @property
    def kernel_data(self) -> BinTable:
        """What compiled code takes."""
        return BinTable(self.lookup, self.step)


@kernel
def uniform(seed, ray, draw):
    """Return a number in [0, 1) that depends on its arguments only (splitmix64, Steele et al. 2014)."""
    x = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * (
        (np.uint64(ray) << np.uint64(20)) + np.uint64(draw) + np.uint64(1)
    )
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.float64(x >> np.uint64(11)) * 1.1102230246251565e-16


@kernel(fastmath=FAST)
def emit(seed, k, count, d):
    """Set the direction of ray `k` of `count`: a spiral over the sphere, jittered."""
    z = 1.0 - 2.0 * (k + uniform(seed, k, 0)) / count
    phi = k * GOLDEN_ANGLE + TURN * (uniform(seed, count, 1) + 0.25 * uniform(seed, k, 2) / count)
    q = np.sqrt(max(0.0, 1.0 - z * z))
    d[0], d[1], d[2] = q * np.cos(phi), z, q * np.sin(phi)


@kernel(fastmath=FAST)
def radiate(pattern, d, power, energy):
    """Set the energy of a ray that leaves a source of some `power` along `d`."""
    frame = pattern.frame
    energy[:] = 1.0
    if len(pattern.table) > 0:
        x = frame[0, 0] * d[0] + frame[0, 1] * d[1] + frame[0, 2] * d[2]
        y = frame[1, 0] * d[0] + frame[1, 1] * d[1] + frame[1, 2] * d[2]
        z = frame[2, 0] * d[0] + frame[2, 1] * d[1] + frame[2, 2] * d[2]
        read_gains(pattern.table, x, y, z, energy)
    for b in range(len(energy)):
        energy[b] *= power * energy[b]


@kernel
def visible_ball(rays, listener, radius, count):
    """Return the visible volume [m³] of a ball of `radius` around a listener, from `count` directions."""
    buffer = ray_buffer()
    d = np.empty(3)
    volume = 0.0
    for k in range(count):
        emit(np.uint64(1), k, count, d)
        length, triangle, _, _ = closest_hit(
            rays, buffer, listener[0], listener[1], listener[2], d[0], d[1], d[2], 0.0, np.float32(radius)
        )
        distance = min(radius, np.float64(length)) if triangle >= 0 else radius
        volume += 4.0 / 3.0 * np.pi * distance * distance * distance / count
    return volume
