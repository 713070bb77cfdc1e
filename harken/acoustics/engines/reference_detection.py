"""How the walks of the reference tier leave energy at point listeners.

What reaches a listener is counted by one estimator or by two that share it, depending on the last event on the path:

- nothing but passing through: the straight path, which is known exactly and not counted here;
- a diffuse reflection: the expected value of the straight way from there to the listener (next-event estimation; in
  room acoustics "diffuse rain", Schröder 2011, section 5.3), so every reflection adds to every listener in view;
- a mirror-like reflection: energy × length of the way inside a small ball around the listener / its volume (the
  track-length estimator, Spanier and Gelbard 1969, section 2.6);
- a reflection that is bent from the mirror (vector scattering): both. Either gives the mean energy in the ball, the
  first by sending sound to a random place in it. If the direction has the density p, the place lies in the distance r
  and its chord through the ball of the volume V has the length ℓ, the first finds a place with the density 1/V and the
  second with p/(r²ℓ). Each counts with its share of the sum of both (multiple importance sampling with the balance
  heuristic, Veach 1997, section 9.2). Where scattering is strong, nearly all is found by the first estimator; where
  it is weak and p is almost always nothing and seldom enormous, by the second. What one reflection adds is never
  more than ℓ/V of its energy.
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.engines.vector_scattering import bent_density
from harken.acoustics.fields.regions import build_regions
from harken.acoustics.tracing import FAST, MAXIMUM_CROSSINGS, OFFSET, TURN
from harken.raytracing import closest_hit, is_occluded, kernel
from harken.scene import Scene

__all__ = [
    "AT",
    "DENSITY",
    "DRAW",
    "ENERGY",
    "INSIDE",
    "LAST",
    "LEVEL",
    "MASK",
    "MOMENTS",
    "ORDER",
    "SINCE",
    "TO",
    "WAY",
    "Medium",
    "Scratch",
    "Surfaces",
    "World",
    "bent_rain",
    "detect",
    "place_in_ball",
    "rain",
    "usual_detector_radius",
]

LEAST_RADIUS, SHARE_OF_PATH, GREATEST_RADIUS = 0.3, 0.08, 2.0
"""The ball is as large as this share of the mean free path, within these bounds [m]. In a hall of 15,000 m³ a ball of
0.3 m has an error of 80 % in windows of 10 ms with 20,000 rays, one of 1 m of 30 %; levels agree to 0.1 dB."""

MOMENTS = 9
"""Numbers kept per time bin and band: energy e, e·(x, y, z) and e·(xx, yy, xy, xz, yz) of where it comes from."""

AT = 0
"""First of three columns of a walk: its position [m]."""

TO = 3
"""First of three columns of a walk: its direction."""

WAY = 6
"""Column of a walk: distance travelled [m]."""

LAST = 7
"""Column of a walk: what happened last."""

ORDER = 8
"""Column of a walk: number of mirror-like reflections if there was nothing else, otherwise -1."""

INSIDE = 9
"""Column of a walk: solids around it."""

DRAW = 10
"""Column of a walk: random numbers used."""

MASK = 11
"""Column of a walk: its bands, as bits."""

SINCE = 12
"""Column of a walk: distance travelled at the last reflection [m]."""

DENSITY = 13
"""Column of a walk: how densely the directions are filled into which it bent there; infinite where it mirrored."""

LEVEL = 14
"""Column of a walk: share of its energy that it kept on passing through surfaces."""

ENERGY = 15
"""First of the columns of a walk that hold the energies of its bands."""


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
    within: np.ndarray
    """``(3,)`` random place in the unit ball."""
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


def usual_detector_radius(scene: Scene) -> float:
    """Return the radius of a listener's ball [m]: in a large room few rays come near, and little changes in a metre."""
    path = build_regions(scene).free_path
    return float(np.clip(SHARE_OF_PATH * path, LEAST_RADIUS, GREATEST_RADIUS)) if np.isfinite(path) else LEAST_RADIUS


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
def _pierce(world, o, x, y, z, distance, inside, share):
    """Multiply `share` by the transmission along a straight leg; returns False where nothing passes.

    `inside` is the number of solids around its beginning, whose far faces are free.
    """
    rays, buffer, surfaces = world.rays, world.buffer, world.surfaces
    normals, material, coefficients = surfaces.normals, surfaces.material, surfaces.coefficients
    at = 0.0
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
def _reaches(world, o, x, y, z, distance, inside, share):
    """Take from `share` what a straight leg costs at surfaces; returns False where nothing is left."""
    if world.surfaces.transmits:
        return _pierce(world, o, x, y, z, distance, inside, share)
    return not is_occluded(world.rays, world.buffer, o[0], o[1], o[2], x, y, z, 0.0, np.float32(distance))


@kernel(fastmath=FAST)
def rain(world, medium, walk, m, o, n, listener, share, histogram):
    """Add what the diffuse reflection of a walk at `o`, on the material `m`, sends straight to a listener."""
    x, y, z = listener[0] - o[0], listener[1] - o[1], listener[2] - o[2]
    distance = np.sqrt(x * x + y * y + z * z)
    if distance < 1e-6:
        return
    x, y, z = x / distance, y / distance, z / distance
    cosine, way = x * n[0] + y * n[1] + z * n[2], walk[WAY] + distance
    if cosine <= 0.0 or way >= medium.speed * medium.width * histogram.shape[0]:
        return
    coefficients = world.surfaces.coefficients
    for b in range(len(share)):
        share[b] = (1.0 - coefficients[0, m, b]) * coefficients[1, m, b]
    if not _reaches(world, o, x, y, z, distance, int(walk[INSIDE]), share):
        return
    for b in range(len(share)):
        share[b] *= np.exp(-medium.attenuation[b] * distance) * cosine / (np.pi * distance * distance)
    _add(histogram, medium, way, -x, -y, -z, walk[ENERGY:], share, int(walk[MASK]))


@kernel(fastmath=FAST)
def place_in_ball(chances, place):
    """Set `place` to a random one in the unit ball, from three random numbers."""
    c, f, r = 1.0 - 2.0 * chances[0], TURN * chances[1], np.cbrt(chances[2])
    s = r * np.sqrt(max(0.0, 1.0 - c * c))
    place[0], place[1], place[2] = s * np.cos(f), r * c, s * np.sin(f)


@kernel(fastmath=FAST)
def _is_hidden(world, listener, ball, whole, x, y, z):
    """Whether the place (x, y, z) off a listener, in its ball, is not seen from there and so does not belong to it."""
    if ball[1] >= 0.999999 * whole:
        return False
    end = np.float32(1.0 - OFFSET)
    return is_occluded(
        world.rays, world.buffer, listener[0], listener[1], listener[2], x, y, z, np.float32(0.0), end
    )  # fmt: skip


@kernel(fastmath=FAST)
def bent_rain(world, medium, walk, m, o, n, within, listener, ball, share, histogram):
    """Add what the bent reflection of a walk at `o` sends straight to a place in the ball around a listener.

    The place is `within` the unit ball. What `detect` is left with is the rest.
    """
    px, py, pz = ball[0] * within[0], ball[0] * within[1], ball[0] * within[2]
    lx, ly, lz = listener[0] - o[0], listener[1] - o[1], listener[2] - o[2]
    x, y, z = lx + px, ly + py, lz + pz
    distance = np.sqrt(x * x + y * y + z * z)
    if distance < 1e-6:
        return
    x, y, z = x / distance, y / distance, z / distance
    rise, way = x * n[0] + y * n[1] + z * n[2], walk[WAY] + distance
    if rise <= 0.0 or way >= medium.speed * medium.width * histogram.shape[0]:
        return
    mirror_rise = -(walk[TO] * n[0] + walk[TO + 1] * n[1] + walk[TO + 2] * n[2])
    between = walk[TO] * x + walk[TO + 1] * y + walk[TO + 2] * z + 2.0 * mirror_rise * rise
    coefficients, mask = world.surfaces.coefficients, int(walk[MASK])
    density, scattering, greatest = 0.0, -1.0, 0.0
    for b in range(len(share)):
        share[b] = 0.0
        if mask >> b & 1:
            if coefficients[1, m, b] != scattering:
                scattering = coefficients[1, m, b]
                density = bent_density(scattering, rise, mirror_rise, between)
            share[b] = density
            greatest = max(greatest, density)
    if greatest <= 0.0:
        return
    whole = 2.0 / 3.0 * TURN * ball[0] ** 3
    if _is_hidden(world, listener, ball, whole, px, py, pz):
        return
    middle = lx * x + ly * y + lz * z
    half = np.sqrt(max(0.0, ball[0] * ball[0] - (lx * lx + ly * ly + lz * lz - middle * middle)))
    chord = middle + half - max(0.0, middle - half)
    for b in range(len(share)):
        if share[b] > 0.0:
            found = 1.0 / (distance * distance / (share[b] * whole) + 1.0 / max(chord, 1e-12))
            share[b] = found / ball[1] * (1.0 - coefficients[0, m, b]) * np.exp(-medium.attenuation[b] * distance)
    if _reaches(world, o, x, y, z, distance, int(walk[INSIDE]), share):
        _add(histogram, medium, way, -x, -y, -z, walk[ENERGY:], share, mask)


@kernel(fastmath=FAST)
def detect(world, medium, walk, length, listener, ball, chance, share, histogram):
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
    at, whole = near + (far - near) * chance, 2.0 / 3.0 * TURN * ball[0] ** 3
    if _is_hidden(world, listener, ball, whole, dx * at - x, dy * at - y, dz * at - z):
        return
    way = walk[WAY] - walk[SINCE]
    chord = middle + half - max(-way, middle - half)
    weight = 1.0 / (1.0 + (way + at) * (way + at) * chord / (walk[DENSITY] * whole))
    for b in range(len(share)):
        share[b] = weight * np.exp(-medium.attenuation[b] * at) * (far - near) / ball[1]
    _add(histogram, medium, walk[WAY] + at, -dx, -dy, -dz, walk[ENERGY:], share, int(walk[MASK]))
