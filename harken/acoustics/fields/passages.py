"""Sound through walls: rays are split where little passes, so that what is heard next door is no matter of luck.

If one ray in ten thousand passed a wall, with all its energy, what is heard behind it would depend on none or one of
them. A share of the rays that meet a surface is therefore split (Spanier & Gelbard 1969, §3.5): one part goes on as if
nothing passed, and another passes, with as much less energy as it passes more often than the material transmits. What
is heard on the near side owes nothing to chance then.

How many are split does not depend on how much a material transmits, but on how many passages are wanted in all. Those
that come into air where other rays go too, through furniture or into a room with an open door, are faint beside them:
most end there, and those that live on carry their energy (Russian roulette).
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.fields.walks import (
    DRAW,
    INSIDE,
    LEAST,
    LOUD,
    MIRRORS,
    NEVER,
    NUMBER,
    PASSED,
    RAY,
    THIN,
    WAY,
    is_leaving,
)
from harken.acoustics.fields.weight_window import THINNED, WeightWindow, divided, new_weight_window
from harken.acoustics.tracing import BANDS, FAST, OFFSET, POWER, uniform
from harken.raytracing import kernel
from harken.scene import Scene

__all__ = ["Passages", "count_ray", "lives_on", "new_passages", "next_passage", "split"]

PASSAGES = (0.15, 250.0, 0.5)
"""Passages per ray of a source that are wanted to live on: at least; as many as make this number in all; at most."""

PROBES = 2.0
"""Most passages per one that is wanted to live on."""

BLOCK, MOST_BLOCKS = 1.0, 8_000
"""Edge of the blocks of air in which visits of rays are counted [m], more in scenes that would have too many."""

COUNTED = 30.0
"""Way on which visits are counted [m]."""

LIVES_ON = 0.1
"""Least chance of a passage to live on."""

EXPECTED_MEETINGS = 10.0
"""Times that a ray is assumed to meet what it may pass, until the first rays tell."""

PENDING = 256
"""Most passages of one ray that wait to be followed; more take the places of others by chance."""

WAITING, STARTED, NUMBERS, MET, PROBED, ALIVE = range(6)
"""Entries of `Passages.tally`.

Passages that wait; rays that the source has sent; numbers that are given; what `split` has met so far, weighed; and
passages that have come into the air, and those of them that lived on.
"""


class Passages(NamedTuple):
    """Rays that have passed through a surface, or are parts of divided ones, and wait to be followed."""

    waiting: np.ndarray
    """``(PENDING, n)`` as `Ray.row`."""
    tally: np.ndarray
    """``(6,)`` counts: `WAITING`, `STARTED` and so on."""
    wanted: float
    """Passages that live on per ray of the source."""
    full: float
    """Energy with which the source's rays start."""
    visits: np.ndarray
    """``(nx, ny, nz)`` float32 number of legs of rays that were not split, by the block of their middle."""
    lower: np.ndarray
    """``(3,)`` least corner of the first block [m]."""
    pace: float
    """Blocks per metre."""
    window: WeightWindow
    """The energies that rays should have."""
    windowed: bool
    """Whether they are kept to that."""


def new_passages(scene: Scene, rays: int, *, windowed: bool = True) -> Passages:
    """Return the empty passages of a source that sends a number of rays.

    Args:
        scene: The scene.
        rays: The number of rays.
        windowed: Whether the energies of rays are kept near one another (`harken.acoustics.fields.weight_window`).
    """
    tally = np.zeros(6)
    tally[MET], tally[STARTED], tally[PROBED], tally[ALIVE] = EXPECTED_MEETINGS, 1.0, 1.0, 1.0
    least, enough, most = PASSAGES
    lower, upper = (corner.astype(np.float64) for corner in scene.bounds)
    extent = np.maximum(upper - lower, BLOCK)
    edge = max(BLOCK, float(np.prod(extent) / MOST_BLOCKS) ** (1 / 3))
    visits = np.zeros(tuple(np.ceil(extent / edge).astype(int)), np.float32)
    wanted = min(most, max(least, enough / rays))
    window = new_weight_window(scene, rays)
    return Passages(np.zeros((PENDING, RAY)), tally, wanted, POWER / rays, visits, lower, 1.0 / edge, window, windowed)


@kernel(fastmath=FAST)
def count_ray(k, count, passages):
    """Count that a source sends ray `k` of `count`."""
    passages.tally[STARTED] = k + 1
    passages.tally[NUMBERS] = max(passages.tally[NUMBERS], count)


@kernel(fastmath=FAST)
def next_passage(ray, passages):
    """Take up the last of the passages that wait; returns whether there was one."""
    if passages.tally[WAITING] == 0:
        return False
    passages.tally[WAITING] -= 1
    ray.row[:] = passages.waiting[int(passages.tally[WAITING])]
    return True


@kernel(fastmath=FAST)
def _wait(ray, passages):
    """Put a copy of a ray, with a number of its own, to those that wait."""
    row = passages.waiting[int(passages.tally[WAITING])]
    row[:] = ray.row
    passages.tally[WAITING] += 1
    passages.tally[NUMBERS] += 1
    row[9 + BANDS + NUMBER] = passages.tally[NUMBERS]


@kernel(fastmath=FAST)
def _visits(passages, o, d, at):
    """Return the numbers (i, j, k) of the block at a way along a ray."""
    shape, lower = passages.visits.shape, passages.lower
    i = int((o[0] + d[0] * at - lower[0]) * passages.pace)
    j = int((o[1] + d[1] * at - lower[1]) * passages.pace)
    k = int((o[2] + d[2] * at - lower[2]) * passages.pace)
    return min(max(i, 0), shape[0] - 1), min(max(j, 0), shape[1] - 1), min(max(k, 0), shape[2] - 1)


@kernel(fastmath=FAST)
def lives_on(seed, length, ray, passages):
    """Count the leg that a ray is about to go, and decide whether a passage that has come into the air lives on.

    Rays that carry too much are divided before (`harken.acoustics.fields.weight_window`).

    Where other rays go too, what passes is faint beside them, and one passage in ten is enough: it lives on with the
    chance of its energy, relative to that of other rays, over the number of their visits.
    """
    walk, visits = ray.walk, passages.visits
    if passages.windowed:
        room = len(passages.waiting) - int(passages.tally[WAITING])
        for _ in range(divided(passages.window, length, ray, passages.tally[STARTED], room)):
            _wait(ray, passages)
    if walk[PASSED] == 0:
        if walk[WAY] < COUNTED:
            visits[_visits(passages, ray.o, ray.d, 0.5 * length)] += np.float32(1.0)
        return True
    if walk[PASSED] == 2 or walk[INSIDE] > 0:
        return True
    fewest, tally = np.float32(1e30), passages.tally
    for i in range(3):
        fewest = min(fewest, visits[_visits(passages, ray.o, ray.d, (i + 0.5) / 3.0 * length)])
    chance = min(max(walk[LOUD] / passages.full * tally[STARTED] / max(fewest, 1.0), LIVES_ON), 1.0)
    tally[PROBED] += 1.0
    walk[PASSED] = 2
    walk[DRAW] += 1
    if uniform(seed, int(walk[NUMBER]), int(walk[DRAW]) - 1) >= chance:
        return False
    tally[ALIVE] += 1.0
    for b in range(BANDS):
        ray.energy[b] /= chance
    for i in (THIN, LEAST, LOUD):
        walk[i] /= chance
    return True


@kernel(fastmath=FAST)
def _chance_to_split(seed, energy, walk, tally, wanted, share):
    """Return the chance with which a ray was split, 0 where it was not; `share` is the largest transmission of a band.

    It falls with the square root of the energy, as the number of rays that carry late energy does
    (`harken.acoustics.fields.walks.start`), and is such that about as many pass and live on as are wanted, judged by
    the rays so far. It may depend on those, but not on the random number that decides, so that it biases nothing.
    """
    loudest = 0.0
    for b in range(BANDS):
        loudest = max(loudest, energy[b])
    worth = np.sqrt(loudest / walk[LOUD])
    tally[MET] += worth
    rate = wanted * min(PROBES, tally[PROBED] / tally[ALIVE])
    chance = min(max(share, rate * worth * tally[STARTED] / tally[MET]), 1.0)
    return chance if uniform(seed, int(walk[NUMBER]), int(walk[DRAW])) < chance else 0.0


@kernel(fastmath=FAST)
def split(world, seed, triangle, length, ray, passages):
    """Split a ray, before it meets a surface that transmits little: what passes waits in `passages`.

    What passes has the share τ / chance of the energy, and counts as faint in the same proportion.
    """
    share = world.surfaces.chances[world.surfaces.material[triangle], 2]
    if share <= 0.0 or (ray.walk[INSIDE] > 0 and is_leaving(world.surfaces.normals, triangle, ray.d)):
        return
    chance = _chance_to_split(seed, ray.energy, ray.walk, passages.tally, passages.wanted, share)
    if chance > 0.0:
        _pass(world, seed, triangle, length, share, 1.0 / chance, ray, passages)


@kernel(fastmath=FAST)
def _pass(world, seed, triangle, length, share, scale, ray, passages):
    """Put the part of a ray that passes, of which the energy is multiplied by `scale`, to those that wait."""
    tally, m = passages.tally, world.surfaces.material[triangle]
    tally[NUMBERS] += 1
    if tally[WAITING] < len(passages.waiting):
        tally[WAITING] += 1
    else:
        # It takes the place of the last that waits, or that one stays: each with the chance 1/2, and then doubled.
        scale *= 2.0
        if uniform(seed, int(tally[NUMBERS]), 0) < 0.5:
            passages.waiting[len(passages.waiting) - 1, 9 : 9 + BANDS] *= 2.0
            return
    row = passages.waiting[int(tally[WAITING]) - 1]
    row[:] = ray.row
    for axis in range(3):
        row[axis] += ray.d[axis] * (length + OFFSET)
    for b in range(BANDS):
        row[9 + b] *= np.exp(-world.air[b] * length) * world.surfaces.coefficients[2, m, b] * scale
    passed = row[9 + BANDS :]
    passed[INSIDE] += 0 if is_leaving(world.surfaces.normals, triangle, ray.d) else 1
    passed[MIRRORS], passed[NUMBER], passed[DRAW], passed[PASSED] = NEVER, tally[NUMBERS], 3, 1
    passed[WAY] += length
    for i in (THIN, LEAST, LOUD):
        passed[i] *= share * scale
    if passages.windowed:  # the window of other rays is not for what is faint for having passed
        passed[THIN] = min(passed[THIN], THINNED * passed[LOUD])
