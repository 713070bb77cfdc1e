"""Rays on their way through a scene, as energy fields and pairs trace them: reflection, loss, and roulette.

A ray carries the energy of all bands. At a surface it is reflected, scattered or mirrored by chance, and loses what the
material absorbs. What transmits much, such as a curtain, lets rays pass by chance; at what transmits little, such as a
wall, rays are split (`harken.acoustics.fields.passages`).

It shares only `harken.acoustics.tracing` with the reference tier: the interaction of a ray with a surface is
implemented here independently, because tests compare the two tiers.
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.paths.facets import Facets
from harken.acoustics.tracing import BANDS, FAST, MIRRORED, OFFSET, POWER, SCATTERED, TURN, emit, radiate, uniform
from harken.raytracing import kernel
from harken.scene import Scene

__all__ = [
    "DRAW", "INSIDE", "LAST", "LEAST", "LOUD", "MIRRORS", "NEVER", "NUMBER", "PART", "PARTS", "PASSED", "RAY",
    "SCATTERING_BAND", "THIN", "WAY", "Ray", "TracedSurfaces", "TracedWorld",
    "is_leaving", "meet", "new_ray", "ray_of", "start", "traced_world",
]  # fmt: skip

FAINTEST = 1e-6
"""Energy at which a ray ends, times the number of rays: 71 dB below what it started with."""

SCATTERING_BAND = 3
"""A ray has one direction for all bands, so it scatters with the coefficient at 1 kHz; where image sources take their
share of each band, the bands are weighed instead."""

NEVER = -1
"""Number of mirror reflections of a ray that image sources do not follow, or no longer follow."""

RARE = 0.02
"""Transmission up to which rays are split at a material; more of it lets them pass by chance."""

INSIDE = 0
"""Entry of `Ray.walk`: solids that the ray is in."""

MIRRORS = 1
"""Entry of `Ray.walk`: successive mirror reflections that image sources follow, `NEVER` where they do not."""

LAST = 2
"""Entry of `Ray.walk`: kind of the last reflection, `SCATTERED`, `MIRRORED` or none (0)."""

WAY = 3
"""Entry of `Ray.walk`: way travelled [m]."""

THIN = 4
"""Entry of `Ray.walk`: energy below which the ray may end by chance."""

LEAST = 5
"""Entry of `Ray.walk`: energy below which it ends."""

LOUD = 6
"""Entry of `Ray.walk`: energy with which rays of its kind start."""

NUMBER = 7
"""Entry of `Ray.walk`: its number."""

DRAW = 8
"""Entry of `Ray.walk`: the next of its random draws."""

PASSED = 9
"""Entry of `Ray.walk`: 0, or once it has passed as part of a split ray, 1 until it is in the air again, then 2."""

PART = 10
"""Entry of `Ray.walk`: the part of the source's rays that it belongs to, 0 to `PARTS` − 1, with all that passes."""

PARTS = 16
"""Parts into which rays are divided, of which the standard error of what they give is estimated
(`harken.acoustics.fields.uncertainty`)."""

DRAWS = 6
"""Random draws of a ray at one surface: `split` takes the first."""

RAY = 9 + BANDS + 11
"""Length of `Ray.row`."""


class Ray(NamedTuple):
    """A ray; all arrays are views of the first."""

    row: np.ndarray
    """All of it."""
    o: np.ndarray
    """``(3,)`` where it is [m]."""
    d: np.ndarray
    """``(3,)`` its direction."""
    first: np.ndarray
    """``(3,)`` the direction in which it left the source."""
    energy: np.ndarray
    """``(bands,)``."""
    walk: np.ndarray
    """``(11,)`` the rest of its state: `INSIDE`, `MIRRORS` and so on."""


def new_ray() -> Ray:
    """Return a ray for kernels to work with."""
    row = np.zeros(RAY)
    return Ray(row, row[:3], row[3:6], row[6:9], row[9 : 9 + BANDS], row[9 + BANDS :])


@kernel(inline="always")
def ray_of(row):
    """Return the ray that a row ``(RAY,)`` holds."""
    return Ray(row, row[:3], row[3:6], row[6:9], row[9 : 9 + BANDS], row[9 + BANDS :])


@kernel(fastmath=FAST)
def start(seed, k, count, order, place, pattern, thinning, ray):
    """Send ray `k` of `count` from a place, with a `pattern`; `order` is that of image sources.

    `thinning` is the share of its energy at which a ray is ended with the chance 1/2 or goes on doubled, and so at
    every further 6 dB: the number of rays that carry late energy falls with the square root of the energy only.
    """
    emit(seed, k, count, ray.d)
    ray.first[:], ray.o[:] = ray.d, place
    radiate(pattern, ray.d, POWER / count, ray.energy)
    walk = ray.walk
    walk[INSIDE], walk[MIRRORS], walk[LAST], walk[WAY] = 0, 0 if order > 0 else NEVER, 0, 0.0
    walk[THIN], walk[LEAST] = thinning * POWER / count, FAINTEST / count
    walk[LOUD], walk[NUMBER], walk[DRAW], walk[PASSED] = POWER / count, k, 3, 0
    walk[PART] = k % PARTS


@kernel(fastmath=FAST)
def is_leaving(n, triangle, d):
    """Whether a ray along `d` meets the back of a triangle; `n` has the normals of all."""
    return d[0] * n[triangle, 0] + d[1] * n[triangle, 1] + d[2] * n[triangle, 2] > 0


@kernel(fastmath=FAST)
def _scatters(seed, k, draw, scattering, mean, followed, energy):
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
def _reflect(seed, k, draw, scattered, n, d):
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
def _goes_on(seed, k, draw, energy):
    """End a ray with the chance 1/2, or double its energy; returns whether it goes on."""
    if uniform(seed, k, draw) < 0.5:
        return False
    for b in range(BANDS):
        energy[b] *= 2.0
    return True


@kernel(fastmath=FAST)
def meet(world, seed, triangle, length, ray, n):
    """Let a ray meet a surface at the end of a leg; returns whether it goes on, reflected or on the other side.

    `n` is scratch ``(3,)``, the normal on the side of the ray.
    """
    surfaces, normals = world.surfaces, world.surfaces.normals
    o, d, energy, walk = ray.o, ray.d, ray.energy, ray.walk
    k, draw, m = int(walk[NUMBER]), int(walk[DRAW]), surfaces.material[triangle]
    walk[DRAW] += DRAWS
    walk[WAY] += length
    leaves = is_leaving(normals, triangle, d)
    for axis in range(3):
        n[axis] = -normals[triangle, axis] if leaves else normals[triangle, axis]
        o[axis] += d[axis] * length
    # The far face of a solid that was entered through its near face is free: the loss was taken on entering.
    free = leaves and walk[INSIDE] > 0
    chance = surfaces.chances[m, 0]
    passes = free or (chance > 0 and uniform(seed, k, draw + 5) < chance)
    loudest = _lose(energy, world.air, length, surfaces.factors[2 if free else (1 if passes else 0), m])
    if not free and loudest < walk[THIN]:
        if loudest < walk[LEAST] or not _goes_on(seed, k, draw + 1, energy):
            return False
        walk[THIN] *= 0.5
    if passes:
        walk[INSIDE] += -1 if free else (0 if leaves else 1)
        walk[MIRRORS] = NEVER
        for axis in range(3):
            o[axis] -= OFFSET * n[axis]
        return True
    followed = walk[MIRRORS] >= 0 and world.covered[triangle]
    scattered = _scatters(seed, k, draw + 2, surfaces.coefficients[1, m], surfaces.chances[m, 1], followed, energy)
    walk[MIRRORS] = walk[MIRRORS] + 1 if followed and not scattered and walk[MIRRORS] < world.order else NEVER
    walk[LAST] = SCATTERED if scattered else MIRRORED
    for axis in range(3):
        o[axis] += OFFSET * n[axis]
    _reflect(seed, k, draw + 3, scattered, n, d)
    return True


class TracedSurfaces(NamedTuple):
    """Surfaces, as kernels that trace rays take them."""

    normals: np.ndarray
    """``(triangles, 3)``."""
    material: np.ndarray
    """``(triangles,)``."""
    coefficients: np.ndarray
    """``(3, materials, bands)`` absorption, scattering and transmission."""
    chances: np.ndarray
    """``(materials, 3)`` chances to go through and to scatter, and the largest transmission where rays are split."""
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
    rare = through.max(1) <= RARE
    # A ray passes with the probability of the band that passes most; energies are divided by that probability.
    passing = np.where(rare, 0.0, (through / (back + through + 1e-9)).max(1))
    factors = np.stack(
        [back / (1.0 - passing)[:, None], through / np.maximum(passing, 1e-30)[:, None], np.ones_like(back)]
    )
    chances = np.stack([passing, coefficients[1].mean(1, dtype=np.float64), np.where(rare, through.max(1), 0.0)], 1)
    covered = np.zeros(len(scene.faces), bool) if facets is None else facets.covered
    order = 0 if facets is None else int(image_order)
    surfaces = TracedSurfaces(scene.normals, scene.material, coefficients, chances, factors)
    return TracedWorld(surfaces, covered, order, np.asarray(air, np.float64))
