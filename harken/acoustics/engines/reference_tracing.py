"""The walks of the reference tier: compiled path tracing that leaves energy at point listeners.

A walk starts at the source and carries the energy of every octave band. Bands travel together until a surface treats
them differently: whether a band is let through, scattered or mirrored is decided by one random number for all bands
against each band's own coefficient, and where the answers differ the walk splits. Each band by itself therefore
performs a plain random walk, with weights that never grow.

What reaches a listener is counted in exactly one of three ways, depending on the last event on the path:

- nothing but passing through: the straight path, which is known exactly and not counted here;
- a diffuse reflection: the expected value of the straight way from there to the listener (next-event estimation; in
  room acoustics "diffuse rain", Schröder 2011, section 5.3), so every reflection adds to every listener in view;
- a mirror-like reflection: energy × length of the way inside a small sphere around the listener / its volume (the
  track-length estimator, Spanier and Gelbard 1969, section 2.6).

It shares only `harken.acoustics.tracing` with the fast tier: reflections, losses and detection are implemented here
independently, because tests compare the fast tier with this one.
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.tracing import (
    FAST,
    MAXIMUM_CROSSINGS,
    MIRRORED,
    OFFSET,
    POWER,
    SCATTERED,
    TURN,
    emit,
    radiate,
    uniform,
)
from harken.raytracing import closest_hit, is_occluded, kernel, ray_buffer

__all__ = ["MOMENTS", "Medium", "Surfaces", "trace_batch"]

MOMENTS = 9
"""Numbers kept per time bin and band: energy e, e·(x, y, z) and e·(xx, yy, xy, xz, yz) of where it comes from."""

DIRECT, BENT = 0, 3
"""What happened last on a walk, besides `SCATTERED` and `MIRRORED`: nothing but passing through, and a reflection bent
from the mirrored direction towards Lambert's."""

ROULETTE_SURVIVES = 0.25
"""Chance of a faint walk to go on."""

RARELY = 0.01
"""Least share of the walks that pass through what transmits anything."""

AT, TO, WAY, LAST, ORDER, INSIDE, DRAW, MASK, ENERGY = 0, 3, 6, 7, 8, 9, 10, 11, 12
"""Columns of a walk: position, direction, distance travelled, last event, number of mirror-like reflections if there
was nothing else (otherwise -1), solids around it, random numbers used, bands (bits), and energies."""


class Surfaces(NamedTuple):
    """The surfaces of a scene."""

    normals: np.ndarray
    """``(F, 3)``."""
    material: np.ndarray
    """``(F,)``."""
    coefficients: np.ndarray
    """``(3, M, bands)`` absorption, scattering and transmission."""
    transmits: bool
    """Whether anything is transmitted."""
    covered: np.ndarray
    """``(F,)`` bool: whether image sources cover a triangle."""


class Medium(NamedTuple):
    """The medium of propagation, and the time bins."""

    attenuation: np.ndarray
    """``(bands,)`` energy attenuation of air [1/m]."""
    speed: float
    """Speed of sound [m/s]."""
    width: float
    """Width of a time bin [s]."""


class Scratch(NamedTuple):
    """Arrays that a walk needs at a surface."""

    normal: np.ndarray
    """``(3,)`` on the side from which the walk comes."""
    place: np.ndarray
    """``(3,)`` just off the surface [m]."""
    chances: np.ndarray
    """``(4,)`` random numbers."""
    scattered: np.ndarray
    """``(bands,)`` share that is scattered."""
    share: np.ndarray
    """``(bands,)`` share that reaches a listener."""


class World(NamedTuple):
    """The scene as rays meet it."""

    rays: np.ndarray
    """`Triangles.kernel_data`."""
    buffer: np.ndarray
    """What `ray_buffer` returned."""
    surfaces: Surfaces
    """The surfaces."""


@kernel(fastmath=FAST)
def _add(histogram, medium, way, x, y, z, energy, share, mask):
    """Add ``energy × share`` of the bands in `mask`, which come from (x, y, z), to the bin in which they arrive."""
    t = int(way / (medium.speed * medium.width))
    if t >= histogram.shape[0]:
        return
    for b in range(len(energy)):
        if mask >> b & 1:
            e = energy[b] * share[b]
            h = histogram[t, b]
            h[0] += e
            h[1] += e * x
            h[2] += e * y
            h[3] += e * z
            h[4] += e * x * x
            h[5] += e * y * y
            h[6] += e * x * y
            h[7] += e * x * z
            h[8] += e * y * z


@kernel(fastmath=FAST)
def _pierce(world, o, x, y, z, distance, share):
    """Multiply `share` by the transmission along a straight leg; returns False where nothing passes."""
    rays, buffer, surfaces = world.rays, world.buffer, world.surfaces
    normals, material, coefficients = surfaces.normals, surfaces.material, surfaces.coefficients
    at, inside = 0.0, 0
    for _crossing in range(MAXIMUM_CROSSINGS):
        length, triangle, _, _ = closest_hit(
            rays, buffer, o[0] + x * at, o[1] + y * at, o[2] + z * at, x, y, z, 0.0, np.float32(distance - at)
        )
        if triangle < 0:
            return True
        facing = x * normals[triangle, 0] + y * normals[triangle, 1] + z * normals[triangle, 2]
        if facing > 0 and inside > 0:
            inside -= 1
        else:
            inside += 1 if facing < 0 else 0
            loudest = 0.0
            for b in range(len(share)):
                share[b] *= coefficients[2, material[triangle], b]
                loudest = max(loudest, share[b])
            if loudest <= 0.0:
                return False
        at += length + OFFSET
        if at >= distance:
            return True
    return False


@kernel(fastmath=FAST)
def _rain(world, medium, o, n, listener, way, energy, mask, scattered, share, histogram):
    """Add what the diffuse reflection at `o` sends straight to a listener: `scattered` is its share per band."""
    x, y, z = listener[0] - o[0], listener[1] - o[1], listener[2] - o[2]
    distance = np.sqrt(x * x + y * y + z * z)
    if distance < 1e-6:
        return
    x, y, z = x / distance, y / distance, z / distance
    cosine = x * n[0] + y * n[1] + z * n[2]
    if cosine <= 0.0 or way + distance >= medium.speed * medium.width * histogram.shape[0]:
        return
    share[:] = scattered
    if world.surfaces.transmits:
        if not _pierce(world, o, x, y, z, distance, share):
            return
    elif is_occluded(world.rays, world.buffer, o[0], o[1], o[2], x, y, z, 0.0, np.float32(distance)):
        return
    for b in range(len(share)):
        share[b] *= np.exp(-medium.attenuation[b] * distance) * cosine / (np.pi * distance * distance)
    _add(histogram, medium, way + distance, -x, -y, -z, energy, share, mask)


@kernel(fastmath=FAST)
def _detect(world, medium, walk, length, listener, ball, chance, share, histogram):
    """Add what one leg of a walk leaves in the ball (radius, volume) around a listener."""
    x, y, z = listener[0] - walk[AT], listener[1] - walk[AT + 1], listener[2] - walk[AT + 2]
    dx, dy, dz = walk[TO], walk[TO + 1], walk[TO + 2]
    middle = x * dx + y * dy + z * dz
    half = ball[0] * ball[0] - (x * x + y * y + z * z - middle * middle)
    if half <= 0.0:
        return
    half = np.sqrt(half)
    near, far = max(0.0, middle - half), min(length, middle + half)
    if far <= near:
        return
    # Only what the listener sees belongs to its ball; one random place on the chord decides for all of it.
    at = near + (far - near) * chance
    px, py, pz = dx * at - x, dy * at - y, dz * at - z
    end = np.float32(1.0 - OFFSET)
    if is_occluded(world.rays, world.buffer, listener[0], listener[1], listener[2], px, py, pz, np.float32(0.0), end):
        return
    for b in range(len(share)):
        share[b] = np.exp(-medium.attenuation[b] * at) * (far - near) / ball[1]
    _add(histogram, medium, walk[WAY] + at, -dx, -dy, -dz, walk[ENERGY:], share, int(walk[MASK]))


@kernel(fastmath=FAST)
def _turn(d, n, kind, scattering, chances):
    """Turn direction `d` at a surface: after Lambert's law, like a mirror, or bent from the mirror towards Lambert."""
    lx = ly = lz = 0.0
    if kind != MIRRORED:
        c, f = 1.0 - 2.0 * chances[2], TURN * chances[3]
        s = np.sqrt(max(0.0, 1.0 - c * c))
        lx, ly, lz = n[0] + s * np.cos(f), n[1] + s * np.sin(f), n[2] + c
        inverse = 1.0 / np.sqrt(lx * lx + ly * ly + lz * lz + 1e-30)
        lx, ly, lz = lx * inverse, ly * inverse, lz * inverse
    back = 2.0 * (d[0] * n[0] + d[1] * n[1] + d[2] * n[2])
    mirror = 0.0 if kind == SCATTERED else (1.0 if kind == MIRRORED else 1.0 - scattering)
    d[0] = mirror * (d[0] - back * n[0]) + (1.0 - mirror) * lx
    d[1] = mirror * (d[1] - back * n[1]) + (1.0 - mirror) * ly
    d[2] = mirror * (d[2] - back * n[2]) + (1.0 - mirror) * lz
    inverse = 1.0 / np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + 1e-30)
    for axis in range(3):
        d[axis] *= inverse


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
    _turn(walk[TO : TO + 3], n, kind, scattering, chances)
    walk[LAST] = SCATTERED if kind == SCATTERED else MIRRORED
    walk[ORDER] = walk[ORDER] + 1 if kind == MIRRORED and covered and walk[ORDER] >= 0 else -1


@kernel(fastmath=FAST)
def _branch(walks, top, n, masks, leaves, covered, vector, scattering, chances):
    """Replace the last walk by one for every group of bands that continues differently; returns the number of walks."""
    passing, scattered, mirrored = masks
    spare = walks[len(walks) - 1]
    spare[:] = walks[top - 1]
    top -= 1
    if passing:
        walks[top] = spare
        walks[top, INSIDE] += 0 if leaves else 1
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
def _advance(walk, medium, length, balance):
    """Move a walk to the end of its leg and apply the loss in air."""
    for axis in range(3):
        walk[AT + axis] += walk[TO + axis] * length
    walk[WAY] += length
    mask = int(walk[MASK])
    for b in range(len(walk) - ENERGY):
        if mask >> b & 1:
            loss = walk[ENERGY + b] * (1.0 - np.exp(-medium.attenuation[b] * length))
            walk[ENERGY + b] -= loss
            balance[1, b] += loss


@kernel(fastmath=FAST)
def _decide(walk, coefficients, m, chances, balance):
    """Apply the material's absorption and decide per band what happens; returns the bits of bands that pass or scatter.

    In every case a band keeps the share that is reflected or transmitted. Where little is transmitted, more walks
    pass than that share of them, each with less energy: otherwise the faint sound heard next door before sound arrives
    through a door would depend on a few walks in a hundred thousand.
    """
    mask, passing, scattering = int(walk[MASK]), 0, 0
    for b in range(len(walk) - ENERGY):
        if mask >> b & 1:
            transmission = coefficients[2, m, b]
            remainder = 1.0 - coefficients[0, m, b] + transmission
            balance[0, b] += walk[ENERGY + b] * (1.0 - remainder)
            walk[ENERGY + b] *= remainder
            if transmission > 0.0:
                share = transmission / remainder
                chance = max(share, RARELY)
                if chances[0] < chance:
                    passing |= 1 << b
                    walk[ENERGY + b] *= share / chance
                    continue
                walk[ENERGY + b] *= (1.0 - share) / (1.0 - chance)
            if chances[1] < coefficients[1, m, b]:
                scattering |= 1 << b
    return passing, scattering


@kernel(fastmath=FAST)
def _meet(world, medium, vector, seed, k, walks, top, triangle, listeners, histogram, balance, scratch):
    """Let the last walk interact with the surface it has reached; returns the new number of walks."""
    surfaces = world.surfaces
    normals, material, coefficients, covered = (
        surfaces.normals, surfaces.material, surfaces.coefficients, surfaces.covered,
    )  # fmt: skip
    n, o, chances, scattered = scratch.normal, scratch.place, scratch.chances, scratch.scattered
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
    mask = int(walk[MASK])
    if not vector:
        for b in range(len(scattered)):
            scattered[b] = (1.0 - coefficients[0, m, b]) * coefficients[1, m, b]
        for i in range(len(listeners)):
            way, energy = walk[WAY], walk[ENERGY:]
            _rain(world, medium, o, n, listeners[i], way, energy, mask, scattered, scratch.share, histogram[i])
    passing, scattering = _decide(walk, coefficients, m, chances, balance)
    if vector:
        scattering = mask & ~passing
    masks = passing, scattering, mask & ~passing & ~scattering
    return _branch(walks, top, n, masks, leaves, covered[triangle], vector, coefficients[1, m], chances)


@kernel(fastmath=FAST)
def _survives(walk, seed, k, faintest):
    """Russian roulette: a faint walk ends by chance, or goes on with the energy of those that ended."""
    loudest, mask = 0.0, int(walk[MASK])
    for b in range(len(walk) - ENERGY):
        if mask >> b & 1:
            loudest = max(loudest, walk[ENERGY + b])
    if loudest >= faintest:
        return True
    if loudest <= 0.0:
        return False
    walk[DRAW] += 1
    if uniform(seed, k, int(walk[DRAW]) - 1) >= ROULETTE_SURVIVES:
        return False
    for b in range(len(walk) - ENERGY):
        walk[ENERGY + b] /= ROULETTE_SURVIVES
    return True


@kernel(fastmath=FAST)
def _follow(
    world, medium, vector, image_order, seed, k, walks, faintest, listeners, balls, histogram, balance, scratch
):
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
                _detect(world, medium, walk, length, listeners[i], balls[i], chance, scratch.share, histogram[i])
        if triangle < 0 or walk[WAY] + length >= reach:
            mask = int(walk[MASK])
            for b in range(len(walk) - ENERGY):
                if mask >> b & 1:
                    balance[2 if triangle < 0 else 3, b] += walk[ENERGY + b]
            top -= 1
            continue
        _advance(walk, medium, length, balance)
        top = _meet(world, medium, vector, seed, k, walks, top, triangle, listeners, histogram, balance, scratch)
        while top > 0 and not _survives(walks[top - 1], seed, k, faintest):
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
    faintest,
    medium,
    listeners,
    balls,
    histogram,
    balance,
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
        faintest: Share of a ray's first energy below which it may end by chance.
        medium: Air and time bins.
        listeners: ``(L, 3)`` [m].
        balls: ``(L, 2)`` radius [m] and visible volume [m³] of the ball around each.
        histogram: ``(L, bins, bands, 9)`` float64, added to.
        balance: ``(4, bands)`` float64, added to: energy lost to surfaces, lost to air, escaped, still on its way at
            the end.
    """
    bands = len(medium.attenuation)
    world = World(rays, ray_buffer(), surfaces)
    # A ray is at most split into as many walks as there are bands; the last row is for `_branch`.
    walks = np.zeros((bands + 2, ENERGY + bands))
    scratch = Scratch(np.empty(3), np.empty(3), np.empty(4), np.empty(bands), np.empty(bands))
    for k in range(count):
        walks[0] = 0.0
        walks[0, AT : AT + 3] = source
        emit(seed, k, count, walks[0, TO : TO + 3])
        walks[0, DRAW] = 3
        walks[0, MASK] = (1 << bands) - 1
        radiate(pattern, walks[0, TO : TO + 3], POWER / count, walks[0, ENERGY:])
        least = faintest * POWER / count
        _follow(
            world, medium, vector, image_order, seed, k, walks, least, listeners, balls, histogram, balance, scratch
        )
