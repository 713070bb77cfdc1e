"""Image sources with visibility: mirror reflections, each with its own delay, level and direction.

A source mirrored at one facet after another has its image where a listener hears the reflection come from (Allen and
Berkley 1979 for boxes; Borish 1984, "Extension of the image model to arbitrary polyhedra", J. Acoust. Soc. Am. 75,
1827). Two steps find the paths that exist:

1. Once per source, rays from it find the sequences of facets along which sound can be reflected at all. Where there are
   few facets, every sequence is taken instead.
2. Once per listener, each sequence is followed back from the listener through the images: cheap geometric conditions
   first, then one ray per leg, each of which has to meet the expected facet before anything else.
"""

import functools
from dataclasses import dataclass

import numpy as np

from harken.acoustics.paths.facets import Facets
from harken.acoustics.paths.straight import NEAREST
from harken.acoustics.protocol import SoundPath
from harken.acoustics.tracing import GOLDEN_ANGLE, TURN
from harken.errors import ConfigurationError, SoundError
from harken.raytracing import borrowed, closest_hit, is_occluded, kernel, ray_buffer
from harken.raytracing.packets import aim_lane, cast_packet, idle_lane, lane_hit, packet_width, scattered_packet
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["MAXIMUM_ORDER", "ImageSources", "SpecularPaths", "no_images", "specular_paths"]

MAXIMUM_ORDER = 4
"""Greatest number of reflections that image sources follow."""

SKIN = 2e-3
"""Way from a point of reflection within which nothing stands in the way [m]; longer at facets that are not quite flat,
see `_skin`."""

SAME_PLACE = 1e-5
"""Distance below which two images count as one [m]: a path into an edge belongs to both orders of its two facets."""

ON_SURFACE = 1e-4
"""Distance from a facet below which a source or listener has no image in it [m]."""

FEW_SEQUENCES = 4096
"""Sequences of facets up to which all are taken, and no rays are needed to find them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpecularPaths:
    """The mirror reflections from a source to a listener, shortest first."""

    order: np.ndarray
    """``(paths,)`` int32 number of reflections."""
    length: np.ndarray
    """``(paths,)`` float64 length of the way [m]."""
    direction: np.ndarray
    """``(paths, 3)`` unit vectors at the listener, to where the sound comes from."""
    departure: np.ndarray
    """``(paths, 3)`` unit vectors at the source, to where the sound leaves."""
    energy: np.ndarray
    """``(paths, bands)`` squared pressure per octave band, relative to 1 at 1 m in the free field."""
    points: np.ndarray
    """``(paths, order + 2, 3)`` points from the source to the listener [m]; rows after the listener are NaN."""
    facets: np.ndarray
    """``(paths, order)`` int32 facets in the order in which sound meets them; -1 after the last."""

    def __len__(self) -> int:
        """Number of paths."""
        return len(self.order)

    def sound_paths(self) -> tuple[SoundPath, ...]:
        """Return the paths as objects of kind "specular", shortest first."""
        return tuple(
            SoundPath(
                kind="specular",
                points=self.points[i, : self.order[i] + 2],
                length=float(self.length[i]),
                energy=self.energy[i],
            )
            for i in range(len(self))
        )


@kernel
def _shoot(rays, packet, words, normal, facet, source, directions, sequences):
    """Follow rays from `source` from facet to facet; row k of `sequences` holds those that ray k met, then -1.

    `packet` is that of `scattered_packet`, `words` the same memory as int32.
    `rays` are `Triangles.image_data`: what a ray meets that has slipped between triangles is found to be hidden later.
    """
    packet, words, normal, facet = borrowed(packet), borrowed(words), borrowed(normal), borrowed(facet)
    directions, sequences = borrowed(directions), borrowed(sequences)
    width, o, d = packet_width(rays), np.empty((16, 3)), np.empty((16, 3))
    for first in range(0, len(directions), 16):
        count = min(16, len(directions) - first)
        for i in range(16):
            idle_lane(words, i)
            if i < count:
                o[i], d[i], sequences[first + i] = source, directions[first + i], -1
                aim_lane(packet, words, width, i, o[i], d[i])
        for j in range(sequences.shape[1]):
            cast_packet(rays, packet, np.float32(1e30))
            for i in range(count):
                distance, triangle = lane_hit(packet, words, width, i)
                if (j > 0 and sequences[first + i, j - 1] < 0) or triangle < 0 or facet[triangle] < 0:
                    idle_lane(words, i)
                    continue
                sequences[first + i, j] = facet[triangle]
                _mirror_ray(normal[facet[triangle]], distance, o[i], d[i])
                aim_lane(packet, words, width, i, o[i], d[i])


@kernel
def _mirror_ray(n, distance, o, d):
    """Move a ray to a plane of normal `n` at a distance, and reflect it there."""
    across = d[0] * n[0] + d[1] * n[1] + d[2] * n[2]
    clear = -1e-4 if across > 0 else 1e-4
    for axis in range(3):
        o[axis] += d[axis] * distance + clear * n[axis]
        d[axis] -= 2.0 * across * n[axis]


@kernel
def _mirror_images(normal, offset, sequences, images, heights):
    """Mirror the sources ``images[:, 0]`` at one facet after another; rows after the last facet mean nothing."""
    for c in range(len(sequences)):
        for j in range(sequences.shape[1]):
            f, at, to = sequences[c, j], images[c, j], images[c, j + 1]
            height = normal[f, 0] * at[0] + normal[f, 1] * at[1] + normal[f, 2] * at[2] - offset[f]
            for axis in range(3):
                to[axis] = at[axis] - 2.0 * height * normal[f, axis]
            heights[c, j] = -height


@kernel
def _reach(tables, listener, reached, points):
    """Find the sequences whose points of reflection lie in order and in the boxes of their facets; casts no ray.

    Sets `reached` ``(n,)`` to their numbers and `points` ``(n, order + 2, 3)`` to their points from source to listener;
    returns how many they are.
    """
    orders, planes, images, heights, normal, offset, lower, upper, _, _ = tables
    count = 0
    for c in range(len(orders)):
        px, py, pz = listener[0], listener[1], listener[2]
        j = orders[c]
        points[count, j + 1, 0], points[count, j + 1, 1], points[count, j + 1, 2] = px, py, pz
        while j > 0:
            f = planes[c, j - 1]
            ix, iy, iz = images[c, j, 0], images[c, j, 1], images[c, j, 2]
            here = normal[f, 0] * px + normal[f, 1] * py + normal[f, 2] * pz - offset[f]
            there = heights[c, j - 1]
            if j == orders[c]:
                if here * there >= 0 or abs(here) < ON_SURFACE:
                    break
            elif here * there > 0 and abs(here) > SAME_PLACE:  # nearer, the path runs into the edge of two facets
                break
            if abs(there) < ON_SURFACE:
                break
            t = here / (here - there)
            px, py, pz = px + (ix - px) * t, py + (iy - py) * t, pz + (iz - pz) * t
            if px < lower[f, 0] or py < lower[f, 1] or pz < lower[f, 2]:
                break
            if px > upper[f, 0] or py > upper[f, 1] or pz > upper[f, 2]:
                break
            points[count, j, 0], points[count, j, 1], points[count, j, 2] = px, py, pz
            j -= 1
        if j == 0:
            points[count, 0, 0], points[count, 0, 1], points[count, 0, 2] = (
                images[c, 0, 0],
                images[c, 0, 1],
                images[c, 0, 2],
            )
            reached[count] = c
            count += 1
    return count


@kernel
def _way(a, b):
    return b[0] - a[0], b[1] - a[1], b[2] - a[2]


@kernel
def _skin(normal, unevenness, f, dx, dy, dz):
    """Share of a leg within which the triangles of facet `f` may lie that it leaves or meets.

    What is merged into a facet lies up to `unevenness` before or behind its plane, and a leg that grazes the plane
    meets it the farther from the point of reflection, the flatter it runs.
    """
    length = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-9)
    across = abs(normal[f, 0] * dx + normal[f, 1] * dy + normal[f, 2] * dz)
    return max(SKIN / length, min(2.0 * unevenness[f] / max(across, 1e-9), 0.5))


@kernel
def _meets(rays, buffer, facet, a, b, near, far, expected):
    """Return the triangle of facet `expected` that is the first on the way from `a` to `b`, -1 if it is not.

    The way begins the share `near` of it behind `a` and ends the share `far` behind `b`.
    """
    dx, dy, dz = _way(a, b)
    _, triangle, _, _ = closest_hit(rays, buffer, a[0], a[1], a[2], dx, dy, dz, np.float32(near), np.float32(1.0 + far))
    return triangle if triangle >= 0 and facet[triangle] == expected else -1


@kernel
def _clear(rays, buffer, facet, tables, planes, order, points, met):
    """Whether every leg is free, from the listener back to the source; sets the triangles that are met."""
    normal, largest, unevenness = tables[4], tables[8], tables[9]
    for j in range(order, 0, -1):
        leg = np.sqrt(np.sum((points[j + 1] - points[j]) ** 2))
        if j < order and leg < 2 * SKIN:  # into an edge: both facets are met at one point
            met[j - 1] = largest[planes[j - 1]]
            continue
        dx, dy, dz = _way(points[j + 1], points[j])
        near = 0.0 if j == order else _skin(normal, unevenness, planes[j], dx, dy, dz)
        far = _skin(normal, unevenness, planes[j - 1], dx, dy, dz)
        met[j - 1] = _meets(rays, buffer, facet, points[j + 1], points[j], near, far, planes[j - 1])
        if met[j - 1] < 0:
            return False
    a, b = points[1], points[0]
    dx, dy, dz = _way(a, b)
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    if length < 2 * SKIN:
        return True
    near = _skin(normal, unevenness, planes[0], dx, dy, dz)
    return not is_occluded(rays, buffer, a[0], a[1], a[2], dx, dy, dz, np.float32(near), np.float32(1.0))


@kernel
def specular_paths(rays, facet, tables, surfaces, listener, sequences, points, energy):
    """Find the paths to a listener from inside a kernel.

    Args:
        rays: `Triangles.kernel_data`.
        facet: `Facets.facet`.
        tables: `ImageSources.tables`.
        surfaces: `ImageSources.surfaces`.
        listener: ``(3,)`` float64 position [m].
        sequences: ``(n,)`` int32, n the number of sequences: set to those that hold, as rows of `tables`.
        points: ``(n, order + 2, 3)`` float64, set to the points from source to listener.
        energy: ``(n, bands)`` float64, set to the energy of each path.

    Returns:
        The number of paths.
    """
    facet, tables, surfaces, listener = borrowed(facet), borrowed(tables), borrowed(surfaces), borrowed(listener)
    sequences, points, energy = borrowed(sequences), borrowed(points), borrowed(energy)
    buffer = ray_buffer()
    orders, planes, images = tables[0], tables[1], tables[2]
    met = np.empty(planes.shape[1], np.int32)
    count = 0
    for r in range(_reach(tables, listener, sequences, points)):
        c = sequences[r]
        k = orders[c]
        if not _clear(rays, buffer, facet, tables, planes[c], k, points[r], met):
            continue
        twin = False
        for earlier in range(count):
            twin = twin or (
                orders[sequences[earlier]] == k and _distance(images[sequences[earlier], k], images[c, k]) < SAME_PLACE
            )
        if twin:
            continue
        sequences[count], points[count] = c, points[r]
        _weigh(surfaces, met, k, _distance(images[c, k], listener), energy[count])
        count += 1
    return count


@kernel
def _distance(a, b):
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@kernel
def _weigh(surfaces, met, order, length, energy):
    """Set the energy ``(bands,)`` of a path of some length that was reflected at the triangles `met`."""
    material, coefficients, air = surfaces
    for b in range(len(energy)):
        energy[b] = np.exp(-air[b] * length) / max(length, NEAREST) ** 2
        for j in range(order):
            m = material[met[j]]
            energy[b] *= (1.0 - coefficients[0, m, b]) * (1.0 - coefficients[1, m, b])


@kernel
def _hear(rays, facet, tables, surfaces, listener, sequences, points, energy, out):
    """Find the paths and write them to `out`, the arrays of `SpecularPaths`, shortest first; return their number."""
    count = specular_paths(rays, facet, tables, surfaces, listener, sequences, points, energy)
    orders, planes, images = tables[0], tables[1], tables[2]
    order, length, direction, departure, weighed, way, facets = out
    far = np.empty(count)
    for i in range(count):
        far[i] = _distance(images[sequences[i], orders[sequences[i]]], listener)
    rank = np.argsort(far, kind="mergesort")
    for i in range(count):
        c = sequences[rank[i]]
        k = orders[c]
        order[i], length[i], facets[i], weighed[i] = k, far[rank[i]], planes[c], energy[rank[i]]
        way[i], way[i, k + 2 :] = points[rank[i]], np.nan
        first = max(_distance(way[i, 1], way[i, 0]), 1e-9)
        for axis in range(3):
            direction[i, axis] = (images[c, k, axis] - listener[axis]) / max(length[i], 1e-9)
            departure[i, axis] = (way[i, 1, axis] - way[i, 0, axis]) / first
    return count


class ImageSources:
    """The images of a source in the facets of a scene, up to an order of reflection.

    Depends on its arguments only: the same give the same bytes.

    Args:
        scene: The scene.
        facets: `Facets.build(scene)`, made once per scene.
        source: ``(3,)`` position of the source [m].
        order: Greatest number of reflections, 1–4.
        rays: Rays that look for sequences of facets, besides those aimed at every facet. A sequence that reflects the
            share ω of all directions is missed with the chance exp(−ω·rays). In furnished homes 8,000 rays miss 0.02 %
            of the energy that is reflected once, 1 % of what is reflected twice and 5 % of three times: take 32,000
            for higher orders. Not used where all sequences of facets are few.
        seed: Chooses the rays.
        air: ``(bands,)`` energy attenuation of air [1/m]; none by default.
        also: ``(n, k)`` int32 sequences of facets that are taken whatever the rays find, k at most `order`; -1 after
            the last.
        sequences: The `sequences` that an earlier search with the same arguments found, which is then left out.

    Raises:
        ConfigurationError: The order or the number of rays is out of range, the source is not a position, or the facets
            are those of another scene.
        SoundError: The source lies inside a wall or a piece of furniture.
    """

    def __init__(
        self,
        scene: Scene,
        facets: Facets,
        source: np.ndarray,
        order: int = 2,
        rays: int = 8_000,
        seed: int = 0,
        air: np.ndarray | None = None,
        also: np.ndarray | None = None,
        sequences: np.ndarray | None = None,
    ):
        if not 1 <= order <= MAXIMUM_ORDER or int(order) != order:
            raise ConfigurationError(f"ImageSources: order is {order!r}; expected a whole number 1–{MAXIMUM_ORDER}.")
        if not 1 <= rays <= 100_000_000 or int(rays) != rays:
            raise ConfigurationError(f"ImageSources: rays is {rays!r}; expected a whole number from 1 to 1e8.")
        if len(facets.facet) != len(scene.faces):
            raise ConfigurationError(
                f"ImageSources: the facets are of a scene of {len(facets.facet)} triangles, but {scene.name} has "
                f"{len(scene.faces)}. Build them from this scene: Facets.build(scene)."
            )
        self.scene, self.facets, self.order = scene, facets, int(order)
        self.air = np.zeros(len(OCTAVE_BANDS)) if air is None else np.asarray(air, np.float64)
        if self.air.shape != (len(OCTAVE_BANDS),):
            raise ConfigurationError(
                f"ImageSources: air has shape {self.air.shape}; expected ({len(OCTAVE_BANDS)},), one value per band."
            )
        self.surfaces = scene.material, scene.coefficients, self.air
        self._place(source)
        if sequences is not None:
            self.sequences = sequences
        elif _sequence_count(len(facets), self.order) <= FEW_SEQUENCES:
            self.sequences = _all_sequences(len(facets), self.order)
        else:
            self.sequences = self._find_sequences(int(rays), seed, also)
        self.tables = self._mirror()

    def _place(self, source: np.ndarray, is_open: bool = False) -> None:
        position = np.array(source, np.float64)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise ConfigurationError(
                f"ImageSources: the source is at {source!r}; expected three finite numbers x, y, z in metres."
            )
        if not is_open and self.scene.is_inside_solid(position):
            raise SoundError(
                f"The source at {position.round(3).tolist()} lies inside a wall or a piece of furniture of "
                f"{self.scene.name}, where nothing can sound. Move it into the open."
            )
        self.source = position

    def _find_sequences(self, count: int, seed: int, also: np.ndarray | None) -> np.ndarray:
        aimed = self.facets.aims - self.source
        directions = np.concatenate([aimed, _directions(count, seed)])
        met = _facets_met(self.scene, self.facets, self.source, directions, self.order)
        if also is not None:
            fill = ((0, 0), (0, self.order - also.shape[1]))
            met = np.concatenate([met, np.pad(also.astype(np.int32), fill, constant_values=-1)])
        return _distinct(met)

    def _mirror(self) -> tuple[np.ndarray, ...]:
        """Return what the kernels take: orders, sequences, images, their heights above the facets, and the planes."""
        f = self.facets
        orders = (self.sequences >= 0).sum(1).astype(np.int32)
        images, heights = np.empty((len(orders), self.order + 1, 3)), np.empty((len(orders), self.order))
        images[:, 0] = self.source
        _mirror_images(f.normal, f.offset, self.sequences, images, heights)
        return orders, self.sequences, images, heights, f.normal, f.offset, f.lower, f.upper, f.largest, f.unevenness

    def moved(self, source: np.ndarray, *, is_open: bool = False) -> "ImageSources":
        """Return the images of a source at another place, in the same sequences of facets.

        Takes a hundredth of the time of a new search. Sequences that only exist from the new place are not found, so
        use it within a room, for a source that moves a little or for the cell of a grid in which the search was made.

        Args:
            source: ``(3,)`` position [m].
            is_open: Whether the place is known to lie in the open, as one does that this source sees.

        Raises:
            ConfigurationError: The source is not a position.
            SoundError: The source lies inside a wall or a piece of furniture.
        """
        copy = object.__new__(ImageSources)
        copy.scene, copy.facets, copy.order, copy.air = self.scene, self.facets, self.order, self.air
        copy.sequences, copy.surfaces = self.sequences, self.surfaces
        copy._place(source, is_open)
        copy.tables = copy._mirror()
        return copy

    def paths(self, listener: np.ndarray) -> SpecularPaths:
        """Return the reflections that a listener hears.

        Args:
            listener: ``(3,)`` position [m].

        Returns:
            The paths of 1 to `order` reflections whose every leg is free. The energy of each is
            Π (1 − α)(1 − s) · exp(−air · L) / L² over its reflections: what scatters (s) belongs to the energy field.
            A source or listener on a facet (nearer than 0.1 mm) has no image in it.

        Raises:
            ConfigurationError: The listener is not a position.
        """
        position = np.array(listener, np.float64)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise ConfigurationError(
                f"ImageSources: the listener is at {listener!r}; expected three finite numbers x, y, z in metres."
            )
        most, bands = len(self.sequences), len(OCTAVE_BANDS)
        scratch = np.empty(most, np.int32), np.empty((most, self.order + 2, 3)), np.empty((most, bands))
        out = (
            np.empty(most, np.int32),
            np.empty(most),
            np.empty((most, 3)),
            np.empty((most, 3)),
            np.empty((most, bands)),
            np.empty((most, self.order + 2, 3)),
            np.empty((most, self.order), np.int32),
        )
        rays = self.scene.triangles.kernel_data
        count = _hear(rays, self.facets.facet, self.tables, self.surfaces, position, *scratch, out)
        order, length, direction, departure, energy, points, facets = (array[:count] for array in out)
        return SpecularPaths(
            order=order,
            length=length,
            direction=direction,
            departure=departure,
            energy=energy,
            points=points,
            facets=facets,
        )


@functools.cache
def no_images() -> tuple[tuple, tuple]:
    """Return the `tables` and `surfaces` that `ImageSources` of a scene without facets would have."""
    bands, place = len(OCTAVE_BANDS), np.zeros((0, 3))
    tables = np.zeros(0, np.int32), np.zeros((0, 2), np.int32), np.zeros((0, 3, 3)), np.zeros((0, 2))
    planes = place, np.zeros(0), place, place, np.zeros(0, np.int32), np.zeros(0)
    surfaces = np.zeros(0, np.int32), np.zeros((3, 0, bands), np.float32), np.zeros(bands)
    return (*tables, *planes), surfaces


def _facets_met(scene: Scene, facets: Facets, source: np.ndarray, directions: np.ndarray, order: int) -> np.ndarray:
    """Return the facets ``(n, order)`` int32 that rays of a source meet, mirrored at each; -1 after the last."""
    met = np.empty((len(directions), order), np.int32)
    packet = scattered_packet()
    views = packet, packet.view(np.int32)
    _shoot(scene.triangles.image_data, *views, facets.normal, facets.facet, source, directions, met)
    return met


@functools.lru_cache(maxsize=4)
def _directions(count: int, seed: int) -> np.ndarray:
    """Return unit vectors ``(count, 3)`` on a spiral over the sphere, jittered; not to be written to."""
    rng = np.random.default_rng(seed)
    y = 1.0 - 2.0 * (np.arange(count) + rng.random(count)) / count
    phi = np.arange(count) * GOLDEN_ANGLE + TURN * rng.random()
    q = np.sqrt(np.maximum(0.0, 1.0 - y * y))
    return np.stack([q * np.cos(phi), y, q * np.sin(phi)], 1)


def _sequence_count(facets: int, order: int) -> int:
    """Return how many sequences of 1 to `order` facets there are, none twice in a row."""
    return sum(facets * max(facets - 1, 0) ** (k - 1) for k in range(1, order + 1))


def _all_sequences(facets: int, order: int) -> np.ndarray:
    """Return every sequence ``(n, order)`` of 1 to `order` facets, none twice in a row; -1 after the last."""
    longest = np.arange(facets, dtype=np.int32)[:, None]
    every = [longest]
    for _ in range(1, order):
        longest = np.concatenate(
            [np.repeat(longest, facets, 0), np.tile(np.arange(facets, dtype=np.int32), len(longest))[:, None]], 1
        )
        longest = longest[longest[:, -1] != longest[:, -2]]
        every.append(longest)
    return np.concatenate([np.pad(s, ((0, 0), (0, order - s.shape[1])), constant_values=-1) for s in every])


def _distinct(met: np.ndarray) -> np.ndarray:
    """Return the distinct beginnings ``(n, order)`` of rows of facets, the short first; -1 after the last."""
    every = [np.empty((0, met.shape[1]), np.int32)]
    facets = int(met.max(initial=-1)) + 2
    if facets ** met.shape[1] < 2**62:  # most rows are alike: sorted out as whole numbers first
        digits = facets ** np.arange(met.shape[1], dtype=np.int64)
        met = (np.unique((met + 1) @ digits)[:, None] // digits % facets - 1).astype(np.int32)
    prefix = np.zeros(len(met), np.int64)
    for j in range(met.shape[1]):
        met, prefix = met[met[:, j] >= 0], prefix[met[:, j] >= 0]
        _, first, prefix = np.unique(
            prefix * (int(met.max(initial=0)) + 1) + met[:, j], return_index=True, return_inverse=True
        )
        beginnings = met[first].copy()
        beginnings[:, j + 1 :] = -1
        every.append(beginnings)
    return np.ascontiguousarray(np.concatenate(every))
