"""Exact paths of a scene: direct paths, diffraction around edges and mirror reflections, found in one compiled call.

Data of the scene is computed once (`ExactPaths`), data of a source once per source (`ExactPaths.prepare`), and paths to
a listener at every step (`ExactPaths.find`).
"""

import functools
from dataclasses import dataclass, replace

import numpy as np

from harken.acoustics.directivity import body_frame, gain_table, read_gains
from harken.acoustics.paths.diffraction.bent import (
    DiffractionPaths,
    EdgeGraph,
    EdgeWays,
    find_bent_paths,
    no_edges,
    pass_in_view,
)  # fmt: skip
from harken.acoustics.paths.diffraction.edges import Edges
from harken.acoustics.paths.facets import Facets
from harken.acoustics.paths.image_sources import ImageSources, no_images, specular_paths
from harken.acoustics.paths.straight import NEAREST, Route, diffracted_path, share_through
from harken.acoustics.protocol import PATH_KINDS, SoundPath, SoundPaths, Source
from harken.acoustics.tracing import Pattern
from harken.prepared import NOWHERE, PreparedFolder
from harken.raytracing import borrowed, kernel
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["ExactPaths", "ExactSource", "source_gains"]

DIRECT, TRANSMITTED, DIFFRACTED, SPECULAR = range(len(PATH_KINDS))
"""Kinds of paths, as in `SoundPaths.kind`."""

_NOWHERE = np.zeros((0, 0, len(OCTAVE_BANDS)), np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactSource:
    """Precomputed data of one source, independent of the listener."""

    position: np.ndarray
    """``(3,)`` position [m]."""
    gains: np.ndarray
    """``(rows, columns, bands)`` float32 table of its directivity, as `read_gains` takes; no rows if it has none."""
    frame: np.ndarray
    """``(3, 3)`` rotation from the world into its frame."""
    images: ImageSources | None
    """Its images, None without reflections."""
    ways: EdgeWays | None
    """Its ways to all edges, None without diffraction."""
    stays: bool = True
    """Whether walkable routes to it are searched, which takes longer than everything else."""


def source_gains(source: Source) -> np.ndarray:
    """Return the table of a source's directivity for `read_gains`, without rows where it radiates equally."""
    return _NOWHERE if source.directivity is None else gain_table(source.directivity)


class ExactPaths:
    """Finds the exact paths between any two points of a scene.

    Args:
        scene: The scene.
        air: ``(bands,)`` energy attenuation of air [1/m].
        speed: Speed of sound [m/s].
        transmission: Whether sound passes through walls and objects between source and listener.
        diffraction: Whether sound bends around edges.
        image_order: Mirror reflections in a row, 0 to 4.
        image_rays: Rays that look for the facets that mirror a source.
        route: Proposes ways around obstacles where the search over edges finds none.
        prepared: Folder in which data of the scene and of sources is kept; none by default.
        bare: Those of ``scene.bare``, from which those of a scene with leaves of doors are made.

    Raises:
        ConfigurationError: A setting is outside its range.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        air: np.ndarray,
        speed: float,
        transmission: bool = True,
        diffraction: bool = True,
        image_order: int = 2,
        image_rays: int = 8_000,
        route: Route | None = None,
        prepared: PreparedFolder = NOWHERE,
        bare: "ExactPaths | None" = None,
    ):
        self.scene, self.air, self.speed, self.route = scene, np.asarray(air, np.float64), float(speed), route
        self.transmission, self.image_order, self.image_rays = transmission, image_order, image_rays
        self._folder, key = prepared, (scene.fingerprint,)
        self.edges, self.facets = None, None
        if diffraction:
            build = functools.partial(EdgeGraph.build, scene)
            if bare is not None and bare.edges is not None:
                build, key = functools.partial(bare.edges.graph.with_leaves, scene), (*key, bare.scene.fingerprint)
            graph = prepared.get("edges", key, build, classes=(EdgeGraph, Edges))
            self.edges = DiffractionPaths(scene, graph, air=self.air, speed=self.speed)
        if image_order:
            self.facets = prepared.get("facets", key, lambda: Facets.build(scene), classes=(Facets,))

    def prepare(self, source: Source, *, near: ExactSource | None = None) -> ExactSource:
        """Precompute the data of one source, once per source.

        Args:
            source: The source.
            near: The prepared source at a place nearby that the source sees, whose facets and ways over edges are
                reused: a hundred times faster, for a source that moves. The paths are exact for the source's own place,
                but paths that only exist from there may be missed.

        Raises:
            SoundError: The source lies inside a wall or a piece of furniture, or far outside the scene.
        """
        if near is None:
            images, ways = self._images_and_ways(source.position)
        else:
            images = None if near.images is None else near.images.moved(source.position, is_open=True)
            ways = near.ways
        return ExactSource(
            position=source.position,
            gains=source_gains(source) if near is None else near.gains,
            frame=body_frame(source.heading, source.pitch),
            images=images,
            ways=ways,
            stays=not source.moving,
        )

    def _images_and_ways(self, source: np.ndarray) -> tuple[ImageSources | None, EdgeWays | None]:
        def search() -> tuple[np.ndarray | None, EdgeWays | None]:
            images = self._images(source)
            ways = None if self.edges is None else self.edges.prepare(source)
            return None if images is None else images.sequences, ways

        key = self.scene.fingerprint, source, self.edges is None, self.image_order, self.image_rays
        sequences, ways = self._folder.get("source", key, search, classes=(EdgeWays,))
        return self._images(source, sequences), ways

    def _images(self, source: np.ndarray, sequences: np.ndarray | None = None) -> ImageSources | None:
        if self.facets is None:
            return None
        numbers = self.image_order, self.image_rays
        return ImageSources(self.scene, self.facets, source, *numbers, air=self.air, sequences=sequences)

    def find(self, source: ExactSource, listener: np.ndarray) -> SoundPaths:
        """Return the exact paths from a source to a listener.

        Args:
            source: What `prepare` returned.
            listener: ``(3,)`` position [m].

        Returns:
            The direct path, in view or through obstacles; where it is blocked, the strongest paths over edges;
            reflections up to `image_order`. Shortest first. In view, edges beside the line of sight act on the level
            (`DiffractionPaths.passing`), so that it is continuous into their shadow.
        """
        # Writable copies, since read-only arrays would need another compiled variant.
        ends = np.array(source.position, np.float64), np.array(listener, np.float64)
        facets = np.zeros(0, np.int32) if self.facets is None else self.facets.facet
        kind, length, energy, points, counts, identity = _find(
            self.scene.triangles.kernel_data,
            (self.scene.normals, self.scene.material, self.scene.coefficients),
            self.air,
            ends,
            self.transmission,
            no_edges() if self.edges is None or source.ways is None else self.edges.kernel_data(source.ways),
            (facets, *(no_images() if source.images is None else (source.images.tables, source.images.surfaces))),
            Pattern(source.gains, source.frame),
        )
        paths = SoundPaths(
            kind=kind, length=length, energy=energy, points=points, point_count=counts, identity=identity
        )
        if not source.stays or self.edges is None or self.route is None or DIRECT in kind or DIFFRACTED in kind:
            return paths
        around = diffracted_path(self.scene, *ends, self.route, self.air, self.speed)
        return paths if around is None else SoundPaths.of([*paths, self._radiated(source, around)])

    def _radiated(self, source: ExactSource, path: SoundPath) -> SoundPath:
        """Return a path with the source's directivity."""
        if len(source.gains) == 0:
            return path
        share = np.empty(len(OCTAVE_BANDS))
        read_gains(source.gains, *(source.frame @ path.departure), share)
        return replace(path, energy=path.energy * share**2)


@kernel
def _distance(a, b):
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@kernel
def _straight(rays, surfaces, air, ends, transmission, rule, table, energy):
    """Set the energy of the straight path; returns whether it is in view."""
    source, listener = ends
    normals, material, coefficients = surfaces
    crossed = share_through(rays, normals, material, coefficients, source, listener, energy)
    bands = len(energy)
    if crossed == 0 and len(table) > 0:
        product = np.empty(len(rule[0]), np.complex128)
        if pass_in_view(rays, rule, table, source, listener, product):
            each = len(product) // bands
            for b in range(bands):
                energy[b] = 0.0
                for i in range(b * each, (b + 1) * each):
                    energy[b] += (product[i].real ** 2 + product[i].imag ** 2) / each
    length = _distance(source, listener)
    for b in range(bands):
        energy[b] *= np.exp(-air[b] * length) / max(length, NEAREST) ** 2
        if crossed > 0 and not transmission:
            energy[b] = 0.0
    return crossed == 0


@kernel
def _radiate(pattern, points, energy):
    """Multiply the energies of paths by the source's directivity."""
    frame = pattern.frame
    gains, d = np.empty(energy.shape[1]), np.empty(3)
    for i in range(len(energy)):
        for axis in range(3):
            d[axis] = 0.0
            for j in range(3):
                d[axis] += frame[axis, j] * (points[i, 1, j] - points[i, 0, j])
        read_gains(pattern.table, d[0], d[1], d[2], gains)
        energy[i] *= gains * gains


@kernel
def _sequence_identity(kind, sequence, count):
    """Return a number other than 0 for a kind of path and the `count` facets or edges that it meets, in their order."""
    number = np.int64(kind + 1)
    for i in range(count):
        number = number * np.int64(1_000_003) + np.int64(sequence[i] + 1)  # wraps around
    return number if number != 0 else np.int64(1)


@kernel
def _find(rays, surfaces, air, ends, transmission, bent, mirrored, pattern):
    """Find all exact paths, shortest first: their kinds, lengths, energies, points, their numbers and identities."""
    # Counting the references to arrays that are passed on would take a twelfth of the time.
    surfaces, air, ends, bent = borrowed(surfaces), borrowed(air), borrowed(ends), borrowed(bent)
    mirrored, pattern = borrowed(mirrored), borrowed(pattern)
    source, listener = ends
    rule, fine_rule, table, ways, maximum = bent
    facet, tables, weights = mirrored
    bands, most = len(air), len(tables[0])
    straight = np.empty(bands)
    in_view = _straight(rays, surfaces, air, ends, transmission, fine_rule, table, straight)
    bends, edges = 0, ways[1].shape[0]
    bent_points, bent_counts = np.empty((maximum + 1, edges + 2, 3)), np.zeros(maximum + 1, np.int64)
    bent_lengths, bent_energies = np.zeros(maximum + 1), np.empty((maximum + 1, bands))
    bent_edges = np.empty((maximum + 1, edges), np.int64)
    if not in_view and len(ways[0]) > 0:
        bends = find_bent_paths(
            rays, rule, table, ways, ends, air, maximum, bent_edges, bent_points, bent_counts, bent_lengths,
            bent_energies,
        )  # fmt: skip
    sequences, mirror_points = np.empty(most, np.int32), np.empty((most, tables[1].shape[1] + 2, 3))
    mirror_energies = np.empty((most, bands))
    reflections = 0
    if most > 0:
        reflections = specular_paths(rays, facet, tables, weights, listener, sequences, mirror_points, mirror_energies)
    count, width = 1 + bends + reflections, max(edges, tables[1].shape[1]) + 2
    kind, length, energy = np.empty(count, np.int8), np.empty(count), np.empty((count, bands))
    points, counts = np.full((count, width, 3), np.nan), np.empty(count, np.int64)
    identity, n = np.empty(count, np.int64), 0
    if straight.max() > 0.0:
        kind[0], length[0], energy[0], counts[0] = DIRECT if in_view else TRANSMITTED, 0.0, straight, 2
        length[0] = _distance(source, listener)
        points[0, 0], points[0, 1] = source, listener
        # The same in view and through obstacles, between which it changes as either end moves.
        identity[0], n = _sequence_identity(DIRECT, bent_counts, 0), 1
    for i in range(bends):
        if bent_lengths[i] > 0.0:
            kind[n], length[n], energy[n], counts[n] = DIFFRACTED, bent_lengths[i], bent_energies[i], bent_counts[i] + 2
            points[n, : counts[n]] = bent_points[i, : counts[n]]
            identity[n] = _sequence_identity(DIFFRACTED, bent_edges[i], bent_counts[i])
            n += 1
    for i in range(reflections):
        order = tables[0][sequences[i]]
        kind[n], energy[n], counts[n] = SPECULAR, mirror_energies[i], order + 2
        length[n] = _distance(tables[2][sequences[i], order], listener)
        points[n, : counts[n]] = mirror_points[i, : counts[n]]
        identity[n] = _sequence_identity(SPECULAR, tables[1][sequences[i]], order)
        n += 1
    if len(pattern.table) > 0:
        _radiate(pattern, points[:n], energy[:n])
    return _in_order(n, kind, length, energy, points, counts, identity)


@kernel
def _in_order(n, kind, length, energy, points, counts, identity):
    """Return the first `n` paths, shortest first; those of one length keep their order.

    There are a few dozen at most. Sorting and indexing with arrays would add a twentieth to the compile time of
    `_find`.
    """
    order = np.empty(n, np.int64)
    for i in range(n):
        at = i
        while at > 0 and length[order[at - 1]] > length[i]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = i
    kinds, lengths, numbers = np.empty(n, np.int8), np.empty(n), np.empty(n, np.int64)
    identities = np.empty(n, np.int64)
    energies, places = np.empty((n, energy.shape[1])), np.empty((n, points.shape[1], 3))
    for i in range(n):
        k = order[i]
        kinds[i], lengths[i], numbers[i], energies[i], places[i] = kind[k], length[k], counts[k], energy[k], points[k]
        identities[i] = identity[k]
    return kinds, lengths, energies, places, numbers, identities
