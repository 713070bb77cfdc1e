"""Sound around corners, through doors and over furniture.

Edges and their mutual visibility are found once per scene (`DiffractionPaths`), the ways from a source to all edges
once per source (`DiffractionPaths.prepare`), and the paths to a listener at every step (`DiffractionPaths.paths`).
Direct sound that passes near an edge is affected as well (`DiffractionPaths.passing`), so that the level is continuous
from the illuminated side into the shadow.
"""

import functools
from dataclasses import dataclass

import numpy as np

from harken.acoustics.paths.diffraction.edges import Edges
from harken.acoustics.paths.diffraction.energy import chain_energy, chain_estimate, pass_leg, pass_sight
from harken.acoustics.paths.diffraction.geometry import lifted, link_edges, pack_edges, sees, sees_edge, settle_points
from harken.acoustics.paths.diffraction.search import best_ways, reach_edges, unroll
from harken.acoustics.paths.diffraction.wedge import WedgeRule
from harken.acoustics.protocol import SoundPath
from harken.errors import ConfigurationError
from harken.raytracing import aligned_buffer, borrowed, kernel, ray_buffer
from harken.scene import OCTAVE_BANDS, Scene
from harken.scene.doors import vacated

__all__ = ["DiffractionPaths", "EdgeGraph", "EdgeWays", "find_bent_paths", "no_edges", "pass_in_view"]

SLOTS = 6
"""Number of ways that are kept per last edge and number of edges."""

LISTED = 160
"""Number of the most promising ways that are examined for a listener."""

TRIED = 16
"""Number of these that are traced, among those whose last edge the listener sees; all, until a path is found."""

FAINTEST = 0.03
"""Share of the strongest path's energy below which another one is left out: 15 dB; up to 12 dB it fades."""

DOUBT = 0.1
"""Share of `FAINTEST` below which even an estimated energy proves that a path is too faint."""

PATH_NODES = 8
"""Nodes of the wedge integral on bent paths; see `diffraction_wedge`."""

NEAREST = 0.1
"""Length below which the level of a path no longer rises [m]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EdgeWays:
    """The ways from one source to all edges."""

    source: np.ndarray
    """``(3,)`` position of the source [m]."""
    reached: np.ndarray
    """``(n,)`` int64: the edges that have any ways."""
    ways: np.ndarray
    """``(orders, edges, slots, 5)`` float64: see `diffraction_search`."""
    came: np.ndarray
    """``(orders, edges, slots, 2)`` int32: edge and slot that each way came from."""


@kernel
def _before(a, b):
    """Whether point `a` comes before `b` in the order of their coordinates."""
    for axis in range(3):
        if a[axis] != b[axis]:
            return a[axis] < b[axis]
    return True


@kernel
def _legs_free(rays, buffer, table, sequence, count, points, t, p, q):
    """Whether all legs of a path are free, just outside its edges."""
    p[:] = points[0]
    for i in range(count):
        lifted(table[sequence[i]], t[i], q)
        if not sees(rays, buffer, p, q):
            return False
        p[:] = q
    return sees(rays, buffer, p, points[count + 1])


@kernel
def _trace(rays, buffer, table, sequence, count, source, listener, points, t):
    """Settle and check one sequence of edges; returns its length, 0 where a leg is not free.

    Both directions are computed from the same end, the one whose coordinates come first, so that they agree to the last
    bit: `sequence` is reversed where that is the listener.
    """
    p, q, work = np.empty(3), np.empty(3), np.empty((4, count))
    forth = _before(source, listener)
    if not forth:
        sequence[:count] = sequence[:count][::-1].copy()
    points[0], points[count + 1] = (source, listener) if forth else (listener, source)
    length = settle_points(table, sequence, count, points, t, work)
    return length if _legs_free(rays, buffer, table, sequence, count, points, t, p, q) else 0.0


@kernel
def _pass_path(rays, buffer, rule, table, sequence, count, points, t, energy):
    """Multiply a path's energy by the effect of edges beside its legs; returns False where a leg cuts an edge."""
    product = np.ones(len(energy), np.complex128)
    p, q = points[0].copy(), np.empty(3)
    for leg in range(count + 1):
        if leg < count:
            lifted(table[sequence[leg]], t[leg], q)
        else:
            q[:] = points[count + 1]
        first = sequence[leg - 1] if leg > 0 else -1
        last = sequence[leg] if leg < count else -1
        if pass_leg(rays, buffer, rule, table, points[leg], points[leg + 1], p, q, first, last, product) == -2:
            return False
        p[:] = q
    for i in range(len(energy)):
        energy[i] *= abs(product[i]) ** 2
    return True


@kernel
def _try_ways(rays, buffer, table, ways, ends, sequences, counts, points, t, lengths, estimates):
    """Fill the paths that are strongest by an estimate, strongest first; returns their number."""
    reached, way_table, came = ways
    source, listener = ends
    levels, most = way_table.shape[0], len(lengths)
    candidates, scores = np.empty((LISTED, 3), np.int64), np.empty(LISTED)
    listed = best_ways(table, reached, way_table, listener, candidates, scores)
    visibility = np.zeros(len(table), np.int8)
    sequence, way, at_edge, scratch = (
        np.empty(levels, np.int64),
        np.empty((levels + 2, 3)),
        np.empty(levels),
        np.empty(3),
    )
    path_count, attempts = 0, 0
    for i in range(listed):
        if path_count > 0 and (attempts >= TRIED or scores[i] < DOUBT * FAINTEST * estimates[0]):
            break
        last = candidates[i, 1]
        if visibility[last] == 0:
            visibility[last] = 1 if sees_edge(rays, buffer, table[last], listener, scratch) else 2
        if visibility[last] == 2:
            continue
        attempts += 1
        count = unroll(came, candidates[i, 0], last, candidates[i, 2], sequence)
        length = _trace(rays, buffer, table, sequence, count, source, listener, way, at_edge)
        if length == 0.0:
            continue
        estimate = chain_estimate(table, sequence, count, way) / max(length, NEAREST) ** 2
        if estimate == 0.0 or (path_count == most and estimate <= estimates[most - 1]):
            continue
        at = min(path_count, most - 1)
        while at > 0 and estimates[at - 1] < estimate:
            sequences[at], counts[at], points[at] = sequences[at - 1], counts[at - 1], points[at - 1]
            t[at], lengths[at], estimates[at] = t[at - 1], lengths[at - 1], estimates[at - 1]
            at -= 1
        sequences[at], counts[at], points[at] = sequence, count, way
        t[at], lengths[at], estimates[at] = at_edge, length, estimate
        path_count = min(path_count + 1, most)
    return path_count


@kernel
def find_bent_paths(rays, rule, table, ways, ends, air, maximum, sequences, points, counts, lengths, energies):
    """Fill the strongest paths over edges from inside a kernel.

    Args:
        rays: `Triangles.kernel_data`.
        rule: The first part of `DiffractionPaths.kernel_data`.
        table: The third part.
        ways: The fourth part.
        ends: Source and listener, each ``(3,)`` float64 [m], who do not see each other.
        air: ``(bands,)`` energy attenuation of air [1/m].
        maximum: How many paths.
        sequences: ``(maximum + 1, order)`` int64, set to the edges from source to listener.
        points: ``(maximum + 1, order + 2, 3)`` float64, set to the points from source to listener.
        counts: ``(maximum + 1,)`` int64, set to the number of edges.
        lengths: ``(maximum + 1,)`` float64, set to the lengths; 0 stands for no path.
        energies: ``(maximum + 1, bands)`` float64, set to the energies.

    Returns:
        How many places were filled.
    """
    rule, table, ways, ends, air = borrowed(rule), borrowed(table), borrowed(ways), borrowed(ends), borrowed(air)
    sequences, points, counts = borrowed(sequences), borrowed(points), borrowed(counts)
    lengths, energies = borrowed(lengths), borrowed(energies)
    buffer = ray_buffer()
    source, listener = ends
    levels, most = ways[1].shape[0], len(lengths)
    t, estimates = np.empty((most, levels)), np.empty(most)
    path_count = _try_ways(rays, buffer, table, ways, ends, sequences, counts, points, t, lengths, estimates)
    forth = _before(source, listener)
    good, strongest = 0, 0.0
    for i in range(path_count):
        count = counts[i]
        if (
            good == maximum
            or estimates[i] < DOUBT * FAINTEST * estimates[0]
            or not chain_energy(rule, table, sequences[i], count, points[i], t[i], energies[i])
            or not _pass_path(rays, buffer, rule, table, sequences[i], count, points[i], t[i], energies[i])
        ):
            lengths[i] = 0.0
            continue
        energies[i] *= np.exp(-air * lengths[i]) / max(lengths[i], NEAREST) ** 2
        good, strongest = good + 1, max(strongest, energies[i].sum())
        if not forth:
            points[i, : count + 2] = points[i, : count + 2][::-1].copy()
            sequences[i, :count] = sequences[i, :count][::-1].copy()
    for i in range(path_count):
        # A path fades out before it is dropped, so that the level does not jump.
        share = min(energies[i].sum() / (FAINTEST * strongest) - 1.0, 1.0) if lengths[i] > 0.0 else 0.0
        energies[i] *= max(share, 0.0)
        if share <= 0.0:
            lengths[i] = 0.0
    return path_count


@kernel
def pass_in_view(rays, rule, table, a, b, product):
    """Set `product` to the effect of edges beside a free line of sight on the pressure; returns whether there is any.

    Args:
        rays: `Triangles.kernel_data`.
        rule: The second part of `DiffractionPaths.kernel_data`.
        table: The third part.
        a: ``(3,)`` float64 one end [m].
        b: ``(3,)`` float64 the other end [m].
        product: ``(frequencies,)`` complex128 factor of the pressure at each frequency of the rule, as many per band.
    """
    forth = _before(a, b)
    return pass_sight(rays, ray_buffer(), rule, table, a if forth else b, b if forth else a, product)


@dataclass(frozen=True, kw_only=True, eq=False)
class EdgeGraph:
    """The edges of a scene, and which of them see each other."""

    edges: Edges
    """The edges."""
    table: np.ndarray
    """``(n, 19)`` float64: the edges as kernels take them, see `pack_edges`."""
    neighbours: np.ndarray
    """``(m,)`` int32: those of edge e are ``neighbours[borders[e] : borders[e + 1]]``."""
    borders: np.ndarray
    """``(n + 1,)`` int32."""

    @staticmethod
    def build(scene: Scene, edges: Edges | None = None) -> "EdgeGraph":
        """Find the edges of a scene, unless they are given, and what they see of each other."""
        edges = Edges.build(scene) if edges is None else edges
        table = pack_edges(scene.triangles, edges)
        first, neighbours = (part.astype(np.int32) for part in np.nonzero(link_edges(scene.triangles, table)))
        borders = np.searchsorted(first, np.arange(len(edges) + 1)).astype(np.int32)
        return EdgeGraph(edges=edges, table=table, neighbours=neighbours, borders=borders)

    def with_leaves(self, scene: Scene) -> "EdgeGraph":
        """Return the graph of a scene into which leaves of doors were put; this is that of ``scene.bare``.

        A leaf that comes can only hide edges from each other, so those that saw each other are asked again, those
        between which a leaf has rested until now, and the leaves' own.
        """
        edges, before = self.edges.with_leaves(scene)
        count, old = len(edges), before >= 0
        saw = np.zeros((len(self.edges), len(self.edges)), bool)
        saw[np.repeat(np.arange(len(self.edges)), np.diff(self.borders)), self.neighbours] = True
        asked = np.ones((count, count), bool)
        asked[np.ix_(old, old)] = saw[np.ix_(before[old], before[old])]
        table = pack_edges(scene.triangles, edges)
        linked = link_edges(scene.triangles, table, asked=asked, freed=vacated(scene))
        first, neighbours = (part.astype(np.int32) for part in np.nonzero(linked))
        borders = np.searchsorted(first, np.arange(count + 1)).astype(np.int32)
        return EdgeGraph(edges=edges, table=table, neighbours=neighbours, borders=borders)


class DiffractionPaths:
    """Finds the paths over edges between any two points of a scene.

    Args:
        scene: The scene.
        edges: Its edges, or their graph; `EdgeGraph.build(scene)` by default.
        air: ``(bands,)`` energy attenuation of air [1/m]; none by default.
        speed: Speed of sound [m/s].
        order: Most edges on one path, 1 to 5.
        most: Most paths between two points.

    Raises:
        ConfigurationError: A setting is outside its range.
    """

    def __init__(
        self,
        scene: Scene,
        edges: Edges | EdgeGraph | None = None,
        *,
        air: np.ndarray | None = None,
        speed: float = 343.2,
        order: int = 4,
        most: int = 3,
    ):
        self.air = np.zeros(len(OCTAVE_BANDS)) if air is None else np.array(air, np.float64)
        if self.air.shape != (len(OCTAVE_BANDS),) or not (self.air >= 0).all() or not np.isfinite(self.air).all():
            raise ConfigurationError(
                f"Diffraction: air is {air!r}; expected {len(OCTAVE_BANDS)} attenuations of 0 per metre or more."
            )
        if not 1 <= order <= 5 or most < 1 or not 0 < speed < np.inf:
            raise ConfigurationError(
                f"Diffraction over {order!r} edges, {most!r} paths at {speed!r} m/s; "
                "expected 1 to 5 edges, at least one path and a speed above 0."
            )
        self.scene, self.order, self.most = scene, order, most
        self.graph = edges if isinstance(edges, EdgeGraph) else EdgeGraph.build(scene, edges)
        self.edges, self._table = self.graph.edges, self.graph.table
        coarse, fine = WedgeRule.bands(float(speed), 1, PATH_NODES), WedgeRule.bands(float(speed), 3)
        self._rule = coarse.wavenumbers, coarse.nodes, coarse.weights
        self._fine_rule = fine.wavenumbers, fine.nodes, fine.weights

    def prepare(self, source: np.ndarray) -> EdgeWays:
        """Find the ways from a source to all edges, once per source.

        Args:
            source: ``(3,)`` position [m].

        Returns:
            The data that `paths` needs; keep it as long as the source does not move.
        """
        source = _point(source, "source")
        ways = np.zeros((self.order, len(self.edges), SLOTS, 5))
        came = np.zeros((self.order, len(self.edges), SLOTS, 2), np.int32)
        graph = self._table, self.graph.neighbours, self.graph.borders
        scratch = aligned_buffer(), np.empty(3), np.empty(3), np.empty(5)
        reach_edges(self.scene.triangles.kernel_data, *graph, source, ways, came, scratch)
        reached = np.flatnonzero((ways[..., -1] > 0.0).any((0, 2)))
        return EdgeWays(source=source, reached=reached, ways=ways, came=came)

    def kernel_data(self, ways: EdgeWays) -> tuple:
        """Return what kernels take: a coarse and a fine rule, the table of edges, the ways, and most paths."""
        return self._rule, self._fine_rule, self._table, (ways.reached, ways.ways, ways.came), self.most

    def paths(self, ways: EdgeWays, listener: np.ndarray) -> tuple[SoundPath, ...]:
        """Return the strongest paths over edges from a source to a listener who does not see it.

        Args:
            ways: What `prepare` returned for the source.
            listener: ``(3,)`` position [m].

        Returns:
            At most `most` paths, shortest first. Their energy is 1/length² × air × what the edges let through (rigid
            wedges, `harken.acoustics.paths.diffraction.wedge`). Empty where no path over `order` edges leads.
        """
        listener = _point(listener, "listener")
        bands = len(OCTAVE_BANDS)
        spare = self.most + 1  # a spare one, since a path may turn out to cut an edge
        points, counts = np.empty((spare, self.order + 2, 3)), np.empty(spare, np.int64)
        sequences = np.empty((spare, self.order), np.int64)
        lengths, energies = np.empty(spare), np.empty((spare, bands))
        path_count = find_bent_paths(
            self.scene.triangles.kernel_data,
            self._rule,
            self._table,
            (ways.reached, ways.ways, ways.came),
            (ways.source, listener),
            self.air,
            self.most,
            sequences,
            points,
            counts,
            lengths,
            energies,
        )
        rows = [i for i in range(path_count) if lengths[i] > 0.0]
        return tuple(
            SoundPath(
                kind="diffracted",
                points=points[i, : counts[i] + 2].copy(),
                length=float(lengths[i]),
                energy=energies[i],
            )
            for i in sorted(rows, key=lambda i: lengths[i])
        )

    def passing(self, source: np.ndarray, listener: np.ndarray) -> np.ndarray:
        """Return the effect of edges beside a free line of sight on the direct sound.

        Args:
            source: ``(3,)`` position [m].
            listener: ``(3,)`` position [m], in view of the source.

        Returns:
            ``(bands,)`` factor of energy: 1 away from edges, about ¼ (-6 dB) at the boundary of a shadow, where
            `paths` takes over at the same level.
        """
        a, b = _point(source, "source"), _point(listener, "listener")
        product = np.empty(len(self._fine_rule[0]), np.complex128)
        if not pass_in_view(self.scene.triangles.kernel_data, self._fine_rule, self._table, a, b, product):
            return np.ones(len(OCTAVE_BANDS))
        return (np.abs(product) ** 2).reshape(len(OCTAVE_BANDS), -1).mean(1)


@functools.cache
def no_edges() -> tuple:
    """Return what `DiffractionPaths.kernel_data` would for a scene without edges."""
    rules = (WedgeRule.bands(343.2, 1, PATH_NODES), WedgeRule.bands(343.2, 3))
    coarse, fine = ((rule.wavenumbers, rule.nodes, rule.weights) for rule in rules)
    ways = np.zeros(0, np.int64), np.zeros((1, 0, SLOTS, 5)), np.zeros((1, 0, SLOTS, 2), np.int32)
    return coarse, fine, np.zeros((0, 19)), ways, 1


def _point(value: np.ndarray, what: str) -> np.ndarray:
    point = np.array(value, np.float64)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise ConfigurationError(f"Diffraction: the {what} is at {value!r}; expected three finite numbers in metres.")
    return point
