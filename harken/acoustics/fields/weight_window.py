"""Weight windows: rays that carry much more than others do at their time and place are divided, faint ones ended.

Where a source stands in a dead room beside a live one, few rays find the door, and those carry all late sound. What
is heard late would depend on them alone, and in the dead room on the few of them that come back. Weight windows
(Booth and Hendricks 1984, "Importance estimation in forward Monte Carlo calculations", Nuclear Technology/Fusion 5,
90) keep the energies of rays near one another: a ray above the window is divided into parts that go on independently,
and one below it ends by chance (Russian roulette). Neither changes the expected value.

The window lies about

    w(t, x) = √(T e₀ ē(t)) ρ(t, x)^p,

with the energy e₀ of a ray at the source, the mean energy ē(t) per ray of the source after a way t, and the energy
density ρ of the place relative to that everywhere. So the number of rays falls with the root of the energy only, and
quiet rooms get more of them than their share of the energy. Both ē and ρ are what the source's rays before have left:
a window may depend on those, but not on random numbers to come.
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.fields.walks import LEAST, PASSED, THIN, WAY
from harken.acoustics.tracing import BANDS, FAST, POWER
from harken.raytracing import kernel
from harken.scene import Scene

__all__ = ["THINNED", "WeightWindow", "divided", "new_weight_window"]

THINNED = 0.2
"""T: the mean energy at which w is the mean, relative to that of a ray at the source."""

LOW, HIGH, MIDDLE = 0.8, 6.0, 3.0
"""Ends of the window, and the energy of the parts of a divided ray, relative to w."""

MOST_PARTS = 16
"""Most parts that a ray is divided into at once."""

EVEN, QUIETEST = 0.3, 0.3
"""p, and the least factor by which a quiet place lowers the window."""

TOLD = 200.0
"""Rays of the source from which on the window is used."""

PACE, PACES = 8.0, 256
"""Ways after which the energy of rays is counted [m], and how many of them."""

BLOCK, MOST_BLOCKS = 2.0, 1_000
"""Edge of the blocks in which energy densities are counted [m], more in scenes that would have too many."""

SPAN, SPANS = 10.0, 8
"""Way in which densities are counted together [m], from then on in spans that double, and how many of them."""


class WeightWindow(NamedTuple):
    """What the rays of a source have told so far."""

    present: np.ndarray
    """``(PACES,)`` energy of all rays after each `PACE`."""
    density: np.ndarray
    """``(blocks, SPANS)`` energy times way in each block."""
    total: np.ndarray
    """``(2, SPANS)`` the same in all blocks, and how many of them rays have come to."""
    shape: np.ndarray
    """``(3,)`` int64 numbers of blocks along the axes."""
    lower: np.ndarray
    """``(3,)`` least corner of the first block [m]."""
    per_metre: float
    """Blocks per metre."""
    full: float
    """Energy with which the source's rays start."""


def new_weight_window(scene: Scene, rays: int) -> WeightWindow:
    """Return the window of a source that sends a number of rays."""
    lower, upper = (ends.astype(np.float64) for ends in (scene.vertices.min(0), scene.vertices.max(0)))
    extent = np.maximum(upper - lower, BLOCK)
    edge = max(BLOCK, float(np.prod(extent) / MOST_BLOCKS) ** (1 / 3))
    shape = np.ceil(extent / edge).astype(np.int64)
    density, total = np.zeros((int(shape.prod()), SPANS)), np.zeros((2, SPANS))
    return WeightWindow(np.zeros(PACES), density, total, shape, lower, 1.0 / edge, POWER / rays)


@kernel(fastmath=FAST)
def _block_at(window, o, d, at):
    """Return the number of the block at a way along a ray."""
    block = 0
    for axis in range(3):
        i = int((o[axis] + d[axis] * at - window.lower[axis]) * window.per_metre)
        block = block * window.shape[axis] + min(max(i, 0), window.shape[axis] - 1)
    return block


@kernel(fastmath=FAST)
def _span_of(way):
    """Return the span that a way lies in, ⌊log₂(1 + way / SPAN)⌋; no logarithm is taken, which would cost more."""
    span, end = 0, SPAN
    while way >= end and span < SPANS - 1:
        span, end = span + 1, 2.0 * end + SPAN
    return span


@kernel(fastmath=FAST)
def _count(window, way, length, energy, block, span):
    """Count the energy of a ray on a leg."""
    first = int(way / PACE) + 1
    last = min(int((way + min(length, PACE * PACES)) / PACE), PACES - 1)
    for i in range(first, last + 1):
        window.present[i] += energy
    if window.density[block, span] == 0.0:
        window.total[1, span] += 1.0
    window.density[block, span] += energy * length
    window.total[0, span] += energy * length


@kernel(fastmath=FAST)
def _middle_of(window, step, block, span, started):
    """Return w; `started` is the number of rays that the source has sent."""
    ratio = window.density[block, span] * window.total[1, span] / max(window.total[0, span], 1e-300)
    w = np.sqrt(THINNED * window.full * window.present[step] / started)
    return w * max(ratio**EVEN, QUIETEST)


@kernel(fastmath=FAST)
def divided(window, length, ray, started, room):
    """Count the leg that a ray is about to go, and bring the ray into the window.

    Args:
        window: The window.
        length: Length of the leg [m].
        ray: The ray; its energy is that of one part afterwards.
        started: Rays that the source has sent.
        room: Most further parts.

    Returns:
        How many more parts like the ray there are to follow, mostly 0.
    """
    walk, energy = ray.walk, ray.energy
    step = int(walk[WAY] / PACE)
    if step >= PACES:
        return 0
    loudest, parts = 0.0, 1
    for b in range(BANDS):
        loudest = max(loudest, energy[b])
    block = _block_at(window, ray.o, ray.d, 0.5 * length)
    span = _span_of(walk[WAY])
    if step > 0 and started > TOLD and window.present[step] > 0.0:
        w = _middle_of(window, step, block, span, started)
        if walk[PASSED] == 0:  # what has passed a wall is faint, and wanted nevertheless
            walk[THIN] = LOW * w
        if loudest > HIGH * w:
            parts = min(min(int(loudest / (MIDDLE * w)), MOST_PARTS), room + 1)
    if parts > 1:
        loudest /= parts
        for b in range(BANDS):
            energy[b] /= parts
        walk[THIN] /= 1.0 if walk[PASSED] == 0 else parts
        walk[LEAST] /= parts
    _count(window, walk[WAY], length, loudest * parts, block, span)
    return parts - 1
