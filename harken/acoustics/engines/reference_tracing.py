"""The walks of the reference tier: compiled path tracing that leaves energy at point listeners.

A walk starts at the source and carries the energy of every octave band. Bands travel together until a surface treats
them differently: whether a band is let through, scattered or mirrored is decided by one random number for all bands
against each band's own coefficient, and where the answers differ the walk splits. With vector scattering, bands split
where their coefficients differ. Each band by itself therefore performs a plain random walk.
How walks leave energy at listeners is said in `harken.acoustics.engines.reference_detection`.

After some time most walks carry little of what is left, because they met absorbing surfaces more often than others. A
walk with less than a quarter of the energy that a walk has on average at that time ends by chance, or goes on with the
average (Russian roulette with a weight window, Booth and Hendricks 1984, "Importance estimation in forward Monte Carlo
calculations"). A walk that has passed through a wall is compared with as much less as it lost there, since it may be
one of few that are heard on the other side.

It shares only `harken.acoustics.tracing` with the fast tier: reflections, losses and detection are implemented here
independently, because tests compare the fast tier with this one.
"""

import numpy as np

from harken.acoustics.engines.reference_detection import (
    AT,
    DENSITY,
    DRAW,
    ENERGY,
    INSIDE,
    LAST,
    LEVEL,
    MASK,
    ORDER,
    SINCE,
    TO,
    WAY,
    Scratch,
    World,
    bent_rain,
    detect,
    place_in_ball,
    rain,
)
from harken.acoustics.engines.vector_scattering import bend, bent_density
from harken.acoustics.tracing import FAST, MIRRORED, OFFSET, POWER, SCATTERED, emit, radiate, uniform
from harken.raytracing import closest_hit, kernel, ray_buffer

__all__ = ["STEP", "trace_batch"]

DIRECT, BENT = 0, 3
"""What happened last on a walk, besides `SCATTERED` and `MIRRORED`: nothing but passing through, and a reflection bent
from the mirrored direction towards Lambert's."""

STEP = 0.01
"""Length of the time steps for which the mean energy of walks is known [s]."""

FAINT = 0.25
"""Share of the mean energy below which a walk may end by chance."""

FAINTEST = 1e-6
"""Share of its first energy below which a walk may end by chance in any case."""

LEAST = 1e-300
"""Energy that is as good as none, by which one can divide."""

ROULETTE_SURVIVES = 0.25
"""Chance of a walk below that to go on."""

RARELY = 0.01
"""Least share of the walks that pass through what transmits anything."""


@kernel(fastmath=FAST)
def _turn(walk, n, kind, scattering, chances):
    """Turn a walk at a surface: after Lambert's law, like a mirror, or bent from the mirror towards Lambert."""
    d = walk[TO : TO + 3]
    mirror_rise = -(d[0] * n[0] + d[1] * n[1] + d[2] * n[2])
    mx, my, mz = d[0] + 2.0 * mirror_rise * n[0], d[1] + 2.0 * mirror_rise * n[1], d[2] + 2.0 * mirror_rise * n[2]
    bend(d, n, 1.0 if kind == SCATTERED else (0.0 if kind == MIRRORED else scattering), chances[2:4])
    walk[SINCE], walk[DENSITY] = walk[WAY], np.inf
    if kind == BENT:
        rise, between = d[0] * n[0] + d[1] * n[1] + d[2] * n[2], d[0] * mx + d[1] * my + d[2] * mz
        density = bent_density(scattering, rise, mirror_rise, between)
        if density > 0.0:
            walk[DENSITY] = density


@kernel(fastmath=FAST)
def _leave(walk, n, kind, mask, covered, scattering, chances):
    """Send the bands in `mask` on from a surface: straight through, or as `_turn` says."""
    side = -OFFSET if kind == DIRECT else OFFSET
    for axis in range(3):
        walk[AT + axis] += side * n[axis]
    walk[MASK] = mask
    if kind == DIRECT:
        walk[ORDER] = -1
        return
    _turn(walk, n, kind, scattering, chances)
    walk[LAST] = SCATTERED if kind == SCATTERED else MIRRORED
    walk[ORDER] = walk[ORDER] + 1 if kind == MIRRORED and covered and walk[ORDER] >= 0 else -1


@kernel(fastmath=FAST)
def _branch(walks, top, n, masks, level, leaves, covered, vector, scattering, chances):
    """Replace the last walk by one for every group of bands that continues differently; returns the number of walks.

    `masks` are the bits of the bands that pass, scatter and are mirrored; the first keep `level` of their energy.
    """
    passing, scattered, mirrored = masks
    spare = walks[len(walks) - 1]
    spare[:] = walks[top - 1]
    top -= 1
    if passing:
        walks[top] = spare
        walks[top, INSIDE] += 0 if leaves else 1
        walks[top, LEVEL] *= level
        _leave(walks[top], n, DIRECT, passing, covered, 0.0, chances)
        top += 1
    if mirrored:
        walks[top] = spare
        _leave(walks[top], n, MIRRORED, mirrored, covered, 0.0, chances)
        top += 1
    if scattered and not vector:
        walks[top] = spare
        _leave(walks[top], n, SCATTERED, scattered, covered, 1.0, chances)
        return top + 1
    b = 0
    while scattered:  # bands with equal coefficients bend the mirrored direction equally
        if scattered >> b & 1:
            alike = 0
            for c in range(b, len(scattering)):
                if scattering[c] == scattering[b]:
                    alike |= scattered & (1 << c)
            walks[top] = spare
            _leave(walks[top], n, BENT, alike, covered, scattering[b], chances)
            top += 1
            scattered &= ~alike
        b += 1
    return top


@kernel(fastmath=FAST)
def _step(walk, medium, steps):
    """Return the number of the time step in which a walk is."""
    return min(int(walk[WAY] / (medium.speed * STEP)), len(steps) - 1)


@kernel(fastmath=FAST)
def _advance(walk, medium, length, balance, present):
    """Move a walk to the end of its leg and apply the loss in air."""
    for axis in range(3):
        walk[AT + axis] += walk[TO + axis] * length
    walk[WAY] += length
    mask, t = int(walk[MASK]), _step(walk, medium, present)
    for b in range(len(walk) - ENERGY):
        if mask >> b & 1:
            present[t, b] += walk[ENERGY + b] * length
            loss = walk[ENERGY + b] * (1.0 - np.exp(-medium.attenuation[b] * length))
            walk[ENERGY + b] -= loss
            balance[1, b] += loss


@kernel(fastmath=FAST)
def _decide(walk, coefficients, m, chances, balance):
    """Apply the material's absorption and decide per band what happens.

    Returns the bits of the bands that pass and of those that scatter, and the share of their energy that bands which
    pass keep at most.

    In every case a band keeps the share that is reflected or transmitted. Where little is transmitted, more walks
    pass than that share of them, each with less energy: otherwise the faint sound heard next door before sound arrives
    through a door would depend on a few walks in a hundred thousand.
    """
    mask, passing, scattering, level = int(walk[MASK]), 0, 0, 0.0
    for b in range(len(walk) - ENERGY):
        if mask >> b & 1:
            transmission = coefficients[2, m, b]
            remainder = 1.0 - coefficients[0, m, b] + transmission
            balance[0, b] += walk[ENERGY + b] * (1.0 - remainder)
            walk[ENERGY + b] *= remainder
            if transmission > 0.0:
                share = transmission / remainder
                chance = max(share, RARELY)
                passes = chances[0] < chance
                weight = share / chance if passes else (1.0 - share) / (1.0 - chance)
                balance[4, b] += walk[ENERGY + b] * (1.0 - weight)
                walk[ENERGY + b] *= weight
                if passes:
                    passing |= 1 << b
                    level = max(level, weight)
                    continue
            if chances[1] < coefficients[1, m, b]:
                scattering |= 1 << b
    return passing, scattering, level


@kernel(fastmath=FAST)
def _send(world, medium, vector, seed, k, walk, m, listeners, balls, histogram, scratch):
    """Add what the reflection that a walk is about to undergo sends straight to every listener."""
    n, o, share, within = scratch.normal, scratch.place, scratch.share, scratch.within
    if vector:
        for c in range(3):
            within[c] = uniform(seed, k, int(walk[DRAW]) + c)
        walk[DRAW] += 3
        place_in_ball(within, within)
    for i in range(len(listeners)):
        if vector:
            bent_rain(world, medium, walk, m, o, n, within, listeners[i], balls[i], share, histogram[i])
        else:
            rain(world, medium, walk, m, o, n, listeners[i], share, histogram[i])


@kernel(fastmath=FAST)
def _meet(world, medium, vector, seed, k, walks, top, triangle, listeners, balls, histogram, balance, scratch):
    """Let the last walk interact with the surface it has reached; returns the new number of walks."""
    surfaces = world.surfaces
    normals, material, coefficients, covered = (
        surfaces.normals, surfaces.material, surfaces.coefficients, surfaces.covered,
    )  # fmt: skip
    n, o, chances = scratch.normal, scratch.place, scratch.chances
    walk, m, facing = walks[top - 1], material[triangle], 0.0
    for axis in range(3):
        facing += walk[TO + axis] * normals[triangle, axis]
    leaves = facing > 0
    for axis in range(3):
        n[axis] = -normals[triangle, axis] if leaves else normals[triangle, axis]
        o[axis] = walk[AT + axis] + OFFSET * n[axis]
    if leaves and walk[INSIDE] > 0:
        # The far face of a solid is free: the loss was taken on entering.
        walk[INSIDE] -= 1
        for axis in range(3):
            walk[AT + axis] -= OFFSET * n[axis]
        return top
    for c in range(4):
        chances[c] = uniform(seed, k, int(walk[DRAW]) + c)
    walk[DRAW] += 4
    _send(world, medium, vector, seed, k, walk, m, listeners, balls, histogram, scratch)
    mask = int(walk[MASK])
    passing, scattering, level = _decide(walk, coefficients, m, chances, balance)
    if vector:
        scattering = mask & ~passing
    masks = passing, scattering, mask & ~passing & ~scattering
    return _branch(walks, top, n, masks, level, leaves, covered[triangle], vector, coefficients[1, m], chances)


@kernel(fastmath=FAST)
def _survives(walk, medium, seed, k, faintest, mean, balance):
    """Russian roulette: a faint walk ends by chance, or goes on with the energy of those that ended."""
    loudest, ratio, mask, t = 0.0, 0.0, int(walk[MASK]), _step(walk, medium, mean)
    for b in range(len(walk) - ENERGY):
        if mask >> b & 1:
            loudest = max(loudest, walk[ENERGY + b])
            ratio = max(ratio, walk[ENERGY + b] / max(walk[LEVEL] * mean[t, b], LEAST))
    if loudest <= 0.0:
        return False
    chance = ratio if ratio < FAINT else 1.0
    if loudest < faintest:
        chance = min(chance, ROULETTE_SURVIVES)
    if chance >= 1.0:
        return True
    walk[DRAW] += 1
    survives = uniform(seed, k, int(walk[DRAW]) - 1) < chance
    for b in range(len(walk) - ENERGY):
        if mask >> b & 1:
            before = walk[ENERGY + b]
            walk[ENERGY + b] = before / chance if survives else 0.0
            balance[4, b] += before - walk[ENERGY + b]
    return survives


@kernel(fastmath=FAST)
def _follow(
    world, medium, vector, image_order, seed, k, walks, faintest, mean, listeners, balls, histogram, balance, present,
    scratch,
):  # fmt: skip
    """Follow the walk in the first row of `walks`, and those that split off it, until all have ended."""
    reach, top = medium.speed * medium.width * histogram.shape[1], 1
    while top > 0:
        walk = walks[top - 1]
        length, triangle, _, _ = closest_hit(
            world.rays, world.buffer, walk[0], walk[1], walk[2], walk[3], walk[4], walk[5], 0.0, np.float32(1e30)
        )
        if walk[LAST] == MIRRORED and not 0 < walk[ORDER] <= image_order:
            chance = uniform(seed, k, int(walk[DRAW]))
            walk[DRAW] += 1
            for i in range(len(listeners)):
                detect(world, medium, walk, length, listeners[i], balls[i], chance, scratch.share, histogram[i])
        if triangle < 0 or walk[WAY] + length >= reach:
            mask = int(walk[MASK])
            for b in range(len(walk) - ENERGY):
                if mask >> b & 1:
                    balance[2 if triangle < 0 else 3, b] += walk[ENERGY + b]
            top -= 1
            continue
        _advance(walk, medium, length, balance, present)
        top = _meet(world, medium, vector, seed, k, walks, top, triangle, listeners, balls, histogram, balance, scratch)
        while top > 0 and not _survives(walks[top - 1], medium, seed, k, faintest, mean, balance):
            top -= 1


@kernel(fastmath=FAST)
def trace_batch(
    rays,
    surfaces,
    vector,
    image_order,
    source,
    pattern,
    count,
    seed,
    mean,
    medium,
    listeners,
    balls,
    histogram,
    balance,
    present,
):
    """Trace `count` rays from a source and add what reaches the listeners.

    Args:
        rays: `Triangles.kernel_data`.
        surfaces: The surfaces.
        vector: Whether scattering bends the mirrored direction; else a share of the energy is scattered.
        image_order: Mirror-like reflections in a row from the source that are not counted, on covered triangles.
        source: ``(3,)`` [m].
        pattern: How the source radiates in the bands that are traced.
        count: Number of rays.
        seed: Chooses the rays (uint64).
        mean: ``(steps, bands)`` mean energy of a ray in time steps of `STEP`; 0 where it is not known.
        medium: Air and time bins.
        listeners: ``(L, 3)`` [m].
        balls: ``(L, 2)`` radius [m] and visible volume [m³] of the ball around each.
        histogram: ``(L, bins, bands, 9)`` float64, added to.
        balance: ``(5, bands)`` float64, added to: energy lost to surfaces, lost to air, escaped, still on its way at
            the end, and taken by chance less what others were given instead.
        present: ``(steps, bands)`` float64, added to: energy × way travelled [m] in time steps of `STEP`.
    """
    bands = len(medium.attenuation)
    world = World(rays, ray_buffer(), surfaces)
    # A ray is at most split into as many walks as there are bands; the last row is for `_branch`.
    walks = np.zeros((bands + 2, ENERGY + bands))
    scratch = Scratch(np.empty(3), np.empty(3), np.empty(4), np.empty(3), np.empty(bands))
    for k in range(count):
        walks[0] = 0.0
        walks[0, AT : AT + 3] = source
        emit(seed, k, count, walks[0, TO : TO + 3])
        walks[0, DRAW], walks[0, LEVEL] = 3, 1.0
        walks[0, MASK] = (1 << bands) - 1
        radiate(pattern, walks[0, TO : TO + 3], POWER / count, walks[0, ENERGY:])
        _follow(
            world, medium, vector, image_order, seed, k, walks, FAINTEST * POWER / count, mean, listeners, balls,
            histogram, balance, present, scratch,
        )  # fmt: skip
