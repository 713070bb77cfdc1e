"""Reflected sound between one source and one listener, traced for this pair alone.

If both change every time, a field over the whole floor would be traced only to be read once. Here rays of both
ends meet the other end directly: at every reflection the scattered share is sent straight to it (next-event estimation,
"diffuse rain", Schröder 2011, §3.3), and mirrored rays count by the length of their way through a ball around it. Late
sound is joined where rays of both ends cross (`harken.acoustics.fields.joining`). Rays, bands, losses and the share of
image sources are those of energy fields.
"""

from typing import Any, NamedTuple

import numpy as np

from harken.acoustics.fields.field import LATE
from harken.acoustics.fields.joining import STEP as CROSSING_STEP
from harken.acoustics.fields.joining import crossings, deposit_crossing, diffuse_between, join, join_without
from harken.acoustics.fields.passages import count_ray, lives_on, new_passages, next_passage, split
from harken.acoustics.fields.regions import RegionArrays, Regions
from harken.acoustics.fields.smoothing import late_share
from harken.acoustics.fields.walks import (
    DRAW,
    INSIDE,
    LAST,
    MIRRORS,
    NUMBER,
    PART,
    PARTS,
    SCATTERING_BAND,
    WAY,
    is_leaving,
    meet,
    new_ray,
    start,
    traced_world,
)
from harken.acoustics.paths.facets import Facets
from harken.acoustics.tracing import (
    BANDS,
    FAST,
    MIRRORED,
    OFFSET,
    OMNIDIRECTIONAL,
    Pattern,
    TimeBins,
    radiate,
    uniform,
    visible_ball,
)
from harken.raytracing import aligned_buffer, borrowed, closest_hit, is_occluded, kernel
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["trace_pair", "trace_pair_in_parts"]

RADII = (0.9, 3.0)
"""Radii of the balls around the listener in which early and late mirrored rays count [m]: late energy is similar
throughout a room, as for fields."""

DIFFUSE, MORE = 0.05, 2
"""Mean scattering coefficient below which late sound counts as not diffuse and is not joined, and how many times as
many rays are traced then: sound between bare parallel walls stays on its axis, and decays more slowly than a mean over
directions."""

BALL_RAYS = 256
"""Rays that find how much of the ball the listener sees."""

THINNING = 0.03
"""Share of its energy from which on a ray may end by chance (`harken.acoustics.fields.walks.start`)."""

THROUGH, AT_LEAST = 10.0, 0.1
"""A scattered ray to the listener passes a wall with ten times the transmission as its probability, or one in ten if
that is more, and with correspondingly less energy: transmitted sound is faint, and one ray in ten is enough."""


class Place(NamedTuple):
    """One of the two ends."""

    position: np.ndarray
    """``(3,)`` where it is [m]."""
    pattern: Pattern
    """How it radiates."""


class Ends(NamedTuple):
    """The current ray of one end, and the other end that it may meet."""

    o: np.ndarray
    """``(3,)`` where the ray is [m]."""
    d: np.ndarray
    """``(3,)`` its direction."""
    departure: np.ndarray
    """``(3,)`` the direction in which it left, if sound goes the other way; else empty."""
    there: Place
    """The other end."""
    speed: float
    """Speed of sound [m/s]."""


class Scratch(NamedTuple):
    """Scratch arrays of kernels."""

    place: np.ndarray
    """``(3,)``."""
    share: np.ndarray
    """``(bands,)``."""
    direction: np.ndarray
    """``(3,)``."""
    gains: np.ndarray
    """``(bands,)``."""
    normal: np.ndarray
    """``(3,)``."""


@kernel(fastmath=FAST)
def _arrive(bins, out, way, speed, energy, share, x, y, z):
    """Add energy that comes from (x, y, z), after a way [m], to its time bin."""
    at = int(way / (speed * bins.step))
    if at >= len(bins.lookup):
        return
    target = out[bins.lookup[at]]
    for b in range(BANDS):
        e = np.float32(energy[b] * share[b])
        target[b, 0] += e
        target[b, 1] += e * np.float32(x)
        target[b, 2] += e * np.float32(y)
        target[b, 3] += e * np.float32(z)


@kernel(fastmath=FAST)
def _reaches(rays, buffer, surfaces, seed, k, draw, o, x, y, z, distance, share):
    """Follow a straight leg through any obstacles; returns False where nothing arrives."""
    normals, material, coefficients = surfaces.normals, surfaces.material, surfaces.coefficients
    at, inside = 0.0, 0
    for crossing in range(8):
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
            m, loudest = material[triangle], 0.0
            for b in range(BANDS):
                loudest = max(loudest, coefficients[2, m, b])
            if loudest <= 0.0:
                return False
            chance = min(1.0, max(THROUGH * loudest, AT_LEAST))
            if uniform(seed, k, draw + crossing) >= chance:
                return False
            for b in range(BANDS):
                share[b] *= coefficients[2, m, b] / chance
        at += length + OFFSET
        if at >= distance:
            return True
    return False


@kernel(fastmath=FAST)
def _weigh(pattern, x, y, z, share, scratch):
    """Multiply `share` by the energy that a directivity sends along (x, y, z)."""
    if len(pattern.table) == 0:
        return
    d, gains = scratch.direction, scratch.gains
    d[0], d[1], d[2] = x, y, z
    radiate(pattern, d, 1.0, gains)
    for b in range(BANDS):
        share[b] *= gains[b]


@kernel(fastmath=FAST)
def _rain(
    rays, buffer, world, seed, k, draw, triangle, length, travelled, followed, energy, ends, early, bins, out, scratch
):
    """Send what a surface scatters straight to the other end; `early` is the share of each time bin that counts."""
    normals, coefficients, air = world.surfaces.normals, world.surfaces.coefficients, world.air
    o, d, there = ends.o, ends.d, ends.there.position
    p, share, lookup = scratch.place, scratch.share, bins.lookup
    m = world.surfaces.material[triangle]
    turn = 1.0 if d[0] * normals[triangle, 0] + d[1] * normals[triangle, 1] + d[2] * normals[triangle, 2] < 0 else -1.0
    for axis in range(3):
        p[axis] = o[axis] + d[axis] * length + turn * OFFSET * normals[triangle, axis]
    x, y, z = there[0] - p[0], there[1] - p[1], there[2] - p[2]
    distance = max(np.sqrt(x * x + y * y + z * z), 1e-3)
    x, y, z = x / distance, y / distance, z / distance
    cosine = turn * (x * normals[triangle, 0] + y * normals[triangle, 1] + z * normals[triangle, 2])
    way = travelled + length + distance
    arrives = int(way / (ends.speed * bins.step))
    if cosine <= 0.0 or arrives >= len(lookup) or early[lookup[arrives]] <= 0.0:
        return
    loudest, scale = 0.0, early[lookup[arrives]] * cosine / (np.pi * max(distance * distance, 0.01))
    for b in range(BANDS):
        s = coefficients[1, m, b if followed else SCATTERING_BAND]
        share[b] = (1.0 - coefficients[0, m, b]) * s * np.exp(-air[b] * (length + distance)) * scale
        loudest = max(loudest, share[b])
    if loudest > 0.0 and _reaches(rays, buffer, world.surfaces, seed, k, draw, p, x, y, z, distance, share):
        _weigh(ends.there.pattern, -x, -y, -z, share, scratch)
        _arrive(bins, out, way, ends.speed, energy, share, *_comes_from(ends.departure, x, y, z))


@kernel(fastmath=FAST)
def _comes_from(departure, x, y, z):
    """Return the direction to where sound comes from, of a leg along (x, y, z) to the other end.

    Rays of the source arrive there; rays of the listener left where sound arrives.
    """
    if len(departure) == 0:
        return -x, -y, -z
    return departure[0], departure[1], departure[2]


@kernel(fastmath=FAST)
def _detect(rays, buffer, air, seed, k, draw, length, travelled, energy, ends, ball, counts, bins, out, scratch):
    """Count a mirrored leg by its way through the part of a ball that the other end sees.

    `counts` is the share of each time bin that counts.
    """
    o, d, there = ends.o, ends.d, ends.there.position
    share, lookup = scratch.share, bins.lookup
    x, y, z = there[0] - o[0], there[1] - o[1], there[2] - o[2]
    middle = x * d[0] + y * d[1] + z * d[2]
    half = ball[0] * ball[0] - (x * x + y * y + z * z - middle * middle)
    if half <= 0.0:
        return
    near, far = max(0.0, middle - np.sqrt(half)), min(np.float64(length), middle + np.sqrt(half))
    if far <= near:
        return
    at = near + (far - near) * uniform(seed, k, draw)
    arrives = int((travelled + at) / (ends.speed * bins.step))
    if arrives >= len(lookup) or counts[lookup[arrives]] <= 0.0:
        return
    px, py, pz = d[0] * at - x, d[1] * at - y, d[2] * at - z
    end = np.float32(1.0 - OFFSET)
    if is_occluded(rays, buffer, there[0], there[1], there[2], px, py, pz, np.float32(0.0), end):
        return
    for b in range(BANDS):
        share[b] = counts[lookup[arrives]] * np.exp(-air[b] * at) * (far - near) / ball[1]
    _weigh(ends.there.pattern, -d[0], -d[1], -d[2], share, scratch)
    _arrive(bins, out, travelled + at, ends.speed, energy, share, *_comes_from(ends.departure, d[0], d[1], d[2]))


@kernel(fastmath=FAST)
def _trace(
    rays, world, here, there, back, count, seed, speed, balls, early, counts, bins, regions, lefts, outs, scratch
):
    """Trace `count` rays of one end, `here`, to the other, `there`, each a `Place`.

    Sound goes from here to there, or `back`. `early` is the share of each time bin in which rays rain on the other
    end, `counts` that in which mirrored ones count in each of `balls` around it; `lefts` get what is joined. `outs` and
    `lefts` are those of each part of the rays, or of all. `scratch` is a ray, passages, what `closest_hit` takes, and
    `Scratch`.
    """
    world, here, there, balls, early = (
        borrowed(world),
        borrowed(here),
        borrowed(there),
        borrowed(balls),
        borrowed(early),
    )
    counts, bins, regions, lefts, outs = (
        borrowed(counts),
        borrowed(bins),
        borrowed(regions),
        borrowed(lefts),
        borrowed(outs),
    )
    (ray, passages, buffer, work), met = borrowed(scratch), 0
    ends = Ends(ray.o, ray.d, ray.first if back else ray.first[:0], there, speed)
    for i in range(len(bins.lookup)):
        if early[bins.lookup[i]] > 0.0:
            met = i + 1
    audible = met * bins.step * speed
    for k in range(count):
        start(seed, k, count, world.order, here.position, here.pattern, THINNING, ray)
        count_ray(k, count, passages)
        part = int(ray.walk[PART]) % len(outs)
        follows = True
        while follows:
            _follow(
                rays, buffer, world, ends, seed, audible, balls, early, counts, bins, regions, lefts[part], outs[part],
                ray, passages, work,
            )  # fmt: skip
            follows = next_passage(ray, passages)


@kernel(fastmath=FAST)
def _follow(
    rays, buffer, world, ends, seed, audible, balls, early, counts, bins, regions, left, out, ray, passages, work
):
    """Follow one ray of one end until it is late, faint or gone; arguments as `_trace`.

    `audible` is the way on which rays rain on the other end [m].
    """
    n, o, d, walk, speed = work.normal, ray.o, ray.d, ray.walk, ends.speed
    reach = max(audible, left.shape[1] * CROSSING_STEP * speed)
    while walk[WAY] < reach:
        length, triangle, _, _ = closest_hit(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(1e30))
        leg = np.float64(length) if triangle >= 0 else 1e9
        if not lives_on(seed, leg, ray, passages):
            return
        travelled, k, draw = walk[WAY], int(walk[NUMBER]), int(walk[DRAW])
        if travelled < audible and walk[LAST] == MIRRORED and walk[MIRRORS] < 0:
            for i in range(len(balls)):
                _detect(
                    rays, buffer, world.air, seed, k, draw, leg, travelled, ray.energy, ends, balls[i], counts[i], bins,
                    out, work,
                )  # fmt: skip
        if triangle < 0:
            return
        if left.shape[1] > 0:
            mirrors = int(walk[MIRRORS]) if walk[LAST] > 0 else 0
            shift = uniform(seed, k, draw + 1)
            deposit_crossing(
                rays, buffer, regions, left, world.air, speed, travelled, leg, ray.energy, o, d, ray.first, mirrors,
                shift,
            )  # fmt: skip
        if travelled < audible and not (walk[INSIDE] > 0 and is_leaving(world.surfaces.normals, triangle, d)):
            followed = walk[MIRRORS] >= 0 and world.covered[triangle]
            _rain(
                rays, buffer, world, seed, k, draw + 2, triangle, length, travelled, followed, ray.energy, ends, early,
                bins, out, work,
            )  # fmt: skip
        walk[DRAW] += 10
        split(world, seed, triangle, length, ray, passages)
        if not meet(world, seed, triangle, length, ray, n):
            return


def trace_pair(
    scene: Scene,
    source: np.ndarray,
    listener: np.ndarray,
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
    regions: Regions | None = None,
) -> np.ndarray:
    """Trace the reflected sound between a source and one listener; arguments as `trace_field`.

    Args:
        scene: The scene.
        source: ``(3,)`` position [m].
        listener: ``(3,)`` position [m].
        bins: Time bins.
        rays: Number of rays of each end that is traced.
        seed: Chooses the rays; the same seed gives the same bytes.
        air: ``(bands,)`` energy attenuation of air [1/m].
        speed: Speed of sound [m/s].
        transmission: Whether sound passes through walls and furniture.
        pattern: How the source radiates.
        facets: The facets whose reflections are heard as image sources, and so left out here.
        image_order: Mirror reflections in a row that are left out.
        regions: The scene's regions, for tracing from both ends and joining late sound between them where surfaces
            scatter (`DIFFUSE`); None traces from the source only, which is enough for short responses.

    Returns:
        ``(bins, bands, 4)`` float32 energy and vector to where it comes from, as `read_field` returns. With `regions`
        and a source that radiates equally in all directions, the energy is the same, up to rounding, if both ends are
        exchanged.
    """
    outs, left = _trace_ends(
        scene, source, listener, bins, parts=1, rays=rays, seed=seed, air=air, speed=speed, transmission=transmission,
        pattern=pattern, facets=facets, image_order=image_order, regions=regions,
    )  # fmt: skip
    if regions is not None and left:
        _join_late(left[0][0], left[1][0], regions, bins, speed, outs[0])
    return outs[0]


def trace_pair_in_parts(
    scene: Scene,
    source: np.ndarray,
    listener: np.ndarray,
    bins: TimeBins,
    *,
    speed: float,
    regions: Regions,
    **arguments: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Trace as `trace_pair` does, and tell how much chance there is in it; arguments as `trace_pair`.

    Returns:
        What `trace_pair` returns, up to rounding, and the energy ``(PARTS, bins, bands)`` that it would have without
        each part of the rays of both ends, scaled to that of all.
    """
    given: dict[str, Any] = {"speed": speed, "regions": regions, **arguments}
    outs, left = _trace_ends(scene, source, listener, bins, parts=PARTS, **given)
    energy = outs.sum(0)
    without = np.maximum(energy[..., 0] - outs[..., 0], 0.0) * np.float32(PARTS / (PARTS - 1))
    if not left:
        return energy, without
    _join_late(left[0].sum(0), left[1].sum(0), regions, bins, speed, energy)
    share = late_share(bins, diffuse_between(regions, speed))
    join_without(left[0], left[1], regions, bins.centres, share * bins.widths, speed=speed, out=without)
    return energy, without


def _join_late(
    source: np.ndarray, listener: np.ndarray, regions: Regions, bins: TimeBins, speed: float, out: np.ndarray
) -> None:
    late = late_share(bins, diffuse_between(regions, speed))
    join(source, listener, regions, bins.centres, late * bins.widths, speed=speed, out=out)


def _trace_ends(
    scene: Scene,
    source: np.ndarray,
    listener: np.ndarray,
    bins: TimeBins,
    *,
    parts: int,
    rays: int,
    seed: int,
    air: np.ndarray,
    speed: float,
    transmission: bool = True,
    pattern: Pattern = OMNIDIRECTIONAL,
    facets: Facets | None = None,
    image_order: int = 0,
    regions: Regions | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return what rays bring to the other end ``(parts, bins, bands, 4)``, and what each end leaves to be joined.

    `parts` is `PARTS`, or 1 for all rays together; the other arguments are those of `trace_pair`.
    """
    outs = np.zeros((parts, len(bins.widths), len(OCTAVE_BANDS), 4), np.float32)
    triangles = scene.triangles.kernel_data
    world = traced_world(scene, air, transmission=transmission, facets=facets, image_order=image_order)
    ends = (
        Place(np.asarray(source, np.float64), pattern), Place(np.asarray(listener, np.float64), OMNIDIRECTIONAL),
    )  # fmt: skip

    if regions is not None and regions.scattering < DIFFUSE:
        rays *= MORE
    # Rays belong to places, not to roles, so that what is heard is the same with the ends exchanged (reciprocity).
    swapped = tuple(ends[1].position) < tuple(ends[0].position)

    def trace(here: int, balls: list, early: np.ndarray, counts: np.ndarray, lefts: np.ndarray) -> None:
        numbers = _NOWHERE if regions is None else regions.kernel_data
        work = Scratch(np.empty(3), np.empty(BANDS), np.empty(3), np.empty(BANDS), np.empty(3))
        # Rays of both ends count wherever they meet; windows make them dearer and no better.
        scratch = new_ray(), new_passages(scene, rays, windowed=False), aligned_buffer(), work
        _trace(
            triangles, world, ends[here], ends[1 - here], here == 1, rays, seed + (here ^ swapped), float(speed),
            np.array(balls), early, counts, bins.kernel_data, numbers, lefts, outs, scratch,
        )  # fmt: skip

    if regions is None or regions.scattering < DIFFUSE:
        late, both = late_share(bins, LATE), regions is not None
        share = np.full_like(late, 0.5 if both else 1.0)
        nothing = np.zeros((parts, 0, 0, 0, 0), np.float32)
        for here in (0, 1) if both else (0,):
            balls = [_ball(triangles, ends[1 - here].position, radius) for radius in RADII]
            trace(here, balls, share, share * np.stack([1.0 - late, late]), nothing)
        return outs, []
    left, late = [], late_share(bins, diffuse_between(regions, speed))
    for here in (0, 1):
        left.append(np.zeros((parts, *crossings(regions, float(bins.edges[-1]), world.order).shape), np.float32))
        early = 0.5 * (1.0 - late)
        trace(here, [_ball(triangles, ends[1 - here].position, RADII[0])], early, early[None], left[here])
    return outs, left


def _ball(triangles: object, place: np.ndarray, radius: float) -> tuple[float, float]:
    """Return the radius of a ball and the volume of it that its middle sees."""
    return radius, max(visible_ball(triangles, place, radius, BALL_RAYS), 1e-6)


_NOWHERE = RegionArrays(np.zeros((0, 0, 0), np.int32), np.zeros((0, 0, 0), np.bool_), np.zeros(3), np.ones(3))
