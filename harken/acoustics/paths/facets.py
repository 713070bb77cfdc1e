"""Facets: the flat surfaces of a scene that reflect like mirrors, put together from triangles of the same plane.

Image sources mirror at planes, and a wall of a thousand triangles is one plane. Triangles belong together wherever they
lie on the plane, regardless of winding and material: the mirror image is the same, and the loss of a reflection depends
on the triangle that it meets.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from harken.errors import ConfigurationError
from harken.scene import Scene

__all__ = ["Facets"]

ANGLE = 1e-3
"""Angle between normals below which triangles are parallel [rad]."""

DISTANCE = 1e-3
"""Distance below which parallel triangles lie on the same plane [m]."""

NEAR = 0.01
"""Distance between the boxes of two facets up to which they make a corner [m]."""

PARALLEL = 0.99
"""Cosine of the angle between the normals of two facets from which on they no longer form a corner."""

AIMS = 8
"""Triangles of a facet, the largest ones, that get a ray each."""

_ROUNDING = 1e-4
"""Normals that agree to this count as equal; far below `ANGLE`, so that equal normals are processed only once."""

_EVEN = 1e-5
"""Distance from its plane within which a triangle's deviation counts as rounding of its corners [m]."""

_UPWARDS = np.array([0.8127, 0.4731, 0.3403])
"""Of a plane's two normals, the one on this side is used; few planes are parallel to this direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Facets:
    """The flat surfaces of a scene, largest first."""

    normal: np.ndarray
    """``(F, 3)`` float64 unit normals; a facet reflects on both sides, so the sign means nothing."""
    offset: np.ndarray
    """``(F,)`` float64: points x of the facet's plane have normal · x = offset [m]."""
    area: np.ndarray
    """``(F,)`` float64 sum of the triangles' areas [m²]."""
    lower: np.ndarray
    """``(F, 3)`` float64 least corner of the facet's box, a millimetre wider than its triangles [m]."""
    upper: np.ndarray
    """``(F, 3)`` float64 greatest corner of the facet's box, likewise [m]."""
    facet: np.ndarray
    """``(triangles,)`` int32: the facet of each triangle of the scene, -1 where it belongs to none."""
    unevenness: np.ndarray
    """``(F,)`` float64 greatest distance of the facet's triangles from its plane [m]; 0 where that is only rounding."""
    largest: np.ndarray
    """``(F,)`` int32: the largest triangle of each facet."""
    aims: np.ndarray
    """``(n, 3)`` float64 centres of the largest triangles of every facet, for rays that look for it [m]."""
    least_area: float
    """Area below which triangles of one plane make no facet [m²]."""

    def __len__(self) -> int:
        """Number of facets."""
        return len(self.area)

    @property
    def covered(self) -> np.ndarray:
        """``(triangles,)`` bool: whether image sources cover reflections at a triangle.

        An energy field that is heard together with image sources up to some order must leave out what they render, so
        that no energy counts twice. The rule, for a ray from the source: **a straight piece of it is not deposited if
        the ray was reflected at least once and at most `order` times so far, every time like from a mirror (not
        scattered) and at a covered triangle, and has passed through nothing.** One scattered reflection, one passage
        through a surface (the free far face of a solid included), one reflection at a triangle that is not covered, or
        one reflection more than `order` ends it for the rest of the ray.

        The share that image sources keep of a reflection is (1 − α)(1 − s) in every band. The ray has to keep the same
        share on average, so as long as the rule holds for it, it scatters with one chance p for all bands and then
        weighs each band: s/p if it scattered, (1 − s)/(1 − p) if not.
        """
        return self.facet >= 0

    def corners(self) -> np.ndarray:
        """Return the pairs of facets that meet, or nearly so, ``(n, 2)`` int32, each in both orders.

        They are those that are not parallel and whose boxes come within a centimetre of each other: the corners of
        rooms and of what stands against a wall, which send sound back to where it came from.
        """
        first: list[np.ndarray] = []
        second: list[np.ndarray] = []
        for i in range(len(self)):
            near = ((self.lower <= self.upper[i] + NEAR) & (self.upper >= self.lower[i] - NEAR)).all(1)
            near &= np.abs(self.normal @ self.normal[i]) < PARALLEL
            partners = np.flatnonzero(near)
            first.append(np.full(len(partners), i))
            second.append(partners)
        return np.stack([np.concatenate(first or [[]]), np.concatenate(second or [[]])], 1).astype(np.int32)

    def triangles(self, facet: int) -> np.ndarray:
        """Return the numbers of the triangles of a facet, rising."""
        return np.flatnonzero(self.facet == facet)

    @staticmethod
    def build(scene: Scene, *, least_area: float = 0.1) -> "Facets":
        """Merge the triangles of a scene that lie on the same plane.

        Args:
            scene: The scene. The result holds for this scene only; keep it as long as the scene.
            least_area: Triangles of a plane whose areas sum to less make no facet [m²]: sound scatters around what is
                small against the wavelength (0.1 m² is a wavelength across at 1.1 kHz), and curved surfaces are left
                out thereby. Their reflections belong to the energy field.

        Returns:
            The facets: planes merged within 1 mm and 1 mrad, in decreasing order of area. The same scene gives the same
            bytes.

        Raises:
            ConfigurationError: `least_area` is negative or not finite.
        """
        if not (np.isfinite(least_area) and least_area >= 0):
            raise ConfigurationError(f"Facets: least_area is {least_area!r}; expected square metres, 0 or more.")
        corners = scene.vertices[scene.faces].astype(np.float64)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        double = np.linalg.norm(cross, axis=1)
        solid = np.flatnonzero(double > 0)
        area, centre = 0.5 * double[solid], corners[solid].mean(1)
        unit = cross[solid] / double[solid, None]
        cluster, axis = _merge_directions(unit, area)
        aligned = np.einsum("ij,ij->i", unit, axis[cluster])
        unit *= np.where(aligned < 0, -1.0, 1.0)[:, None]
        plane = _split_by_offset(cluster, np.einsum("ij,ij->i", centre, axis[cluster]))
        total = np.bincount(plane, area)
        order = np.argsort(-total, kind="stable")
        members = order[total[order] >= max(least_area, 1e-300)]
        number = np.full(len(total), -1, np.int32)
        number[members] = np.arange(len(members))
        facet = np.full(len(scene.faces), -1, np.int32)
        facet[solid] = number[plane]
        normal, offset = _fit(number[plane], len(members), unit, centre, area)
        lower, upper = np.full((len(members), 3), np.inf), np.full((len(members), 3), -np.inf)
        flat = facet >= 0
        np.minimum.at(lower, facet[flat], corners[flat].min(1))
        np.maximum.at(upper, facet[flat], corners[flat].max(1))
        away = np.einsum("fcj,fj->fc", corners[flat], normal[facet[flat]]) - offset[facet[flat], None]
        unevenness = np.zeros(len(members))
        np.maximum.at(unevenness, facet[flat], np.abs(away).max(1))
        return Facets(
            normal=normal,
            offset=offset,
            area=total[members],
            lower=lower - DISTANCE,
            upper=upper + DISTANCE,
            facet=facet,
            unevenness=np.where(unevenness < _EVEN, 0.0, unevenness),
            largest=solid[_biggest(number[plane], area, 1)].astype(np.int32),
            aims=centre[_biggest(number[plane], area, AIMS)],
            least_area=float(least_area),
        )


def _merge_directions(unit: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group unit normals ``(n, 3)`` that differ by less than `ANGLE` or point the opposite way.

    Directions are taken in decreasing order of area, and each gathers what is near it and still free; groups do not
    grow by chains of neighbours, as they would along a finely divided cylinder.

    Returns:
        The group of each ``(n,)`` and the normal of each group.
    """
    steps = np.round(unit * np.where(unit @ _UPWARDS < 0, -1.0, 1.0)[:, None] / _ROUNDING).astype(np.int64)
    key = steps @ np.array([1, 1 << 20, 1 << 40])
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    direction = unit[first]
    weight = np.bincount(inverse, area)
    tree = KDTree(np.concatenate([direction, -direction]))
    close = tree.query_ball_point(direction, ANGLE)
    group = np.full(len(direction), -1)
    axes: list[np.ndarray] = []
    for i in np.argsort(-weight, kind="stable"):
        if group[i] >= 0:
            continue
        near = np.array(close[i]) % len(direction)
        group[near[group[near] < 0]] = len(axes)
        axes.append(direction[i])
    return group[inverse], np.array(axes).reshape(-1, 3)


def _split_by_offset(cluster: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Number the planes ``(n,)``: in each group of parallel triangles, one plane ends where a gap in offset begins."""
    order = np.lexsort((offset, cluster))
    step = (np.diff(cluster[order]) != 0) | (np.diff(offset[order]) > DISTANCE)
    plane = np.empty(len(order), np.int64)
    plane[order] = np.r_[0, np.cumsum(step)][: len(order)]
    return plane


def _fit(
    facet: np.ndarray, count: int, unit: np.ndarray, centre: np.ndarray, area: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return normals ``(count, 3)`` and offsets ``(count,)`` of the planes, triangles weighed by their areas."""
    if count == 0:
        return np.empty((0, 3)), np.empty(0)
    members = facet >= 0
    f, weight = facet[members], area[members]
    normal = np.stack([np.bincount(f, weight * unit[members, axis], count) for axis in range(3)], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = np.einsum("ij,ij->i", normal[f], centre[members])
    return normal, np.bincount(f, weight * height, count) / np.bincount(f, weight, count)


def _biggest(facet: np.ndarray, area: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` largest triangles of every facet, facet by facet."""
    order = np.lexsort((-area, facet))
    order = order[facet[order] >= 0]
    begin = np.searchsorted(facet[order], facet[order])
    return order[np.arange(len(order)) - begin < count]
