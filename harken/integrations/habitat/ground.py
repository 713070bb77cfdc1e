"""A navigation mesh of Habitat's as the ground that a body walks on."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from harken.checks import checked_number, checked_point
from harken.errors import NavigationError
from harken.scene import Scene
from harken.scene.floor.geodesic import Point, coordinates, point_text
from harken.scene.ground import forward_vector

__all__ = ["NavmeshGround"]

REACH = 1.0
"""Farthest that a body is moved to stand on the mesh [m], as on Harken's own floors."""

SAME = 1e-3
"""How near the mesh a place has to be for a body to stand there, sideways [m]."""

LEVEL = 0.5
"""How far above or below the mesh [m]; the mesh itself is sampled in steps of 0.2 m."""

CEILING = 10.0
"""How far above a floor something has to be for it to lie inside [m]."""


class NavmeshGround:
    """Habitat's navigation mesh as `harken.scene.ground.Ground`.

    The main part, on which random places are drawn, is the largest island that has something above most of it: roofs
    are often larger than rooms. Heights are the mesh's, which differ from the floor's by up to a cell's height.

    Args:
        pathfinder: Habitat's path finder, with a mesh.
        magnum: The module magnum.
        shortest_path: Habitat's class ``ShortestPath``.
        scene: The same scene in Harken, to tell rooms from roofs.
        sliding: Whether a body slides along obstacles.
    """

    def __init__(self, pathfinder: Any, magnum: Any, shortest_path: type, scene: Scene, *, sliding: bool = True):
        self.pathfinder, self._magnum, self._shortest_path = pathfinder, magnum, shortest_path
        self._scene, self._sliding = scene, sliding

    def __repr__(self) -> str:
        """Name the scene."""
        return f"NavmeshGround({self._scene.name!r}, {self.pathfinder.num_islands} islands)"

    def _vector(self, place: Point) -> Any:
        # Its functions take magnum's vectors and raise TypeError for lists.
        return self._magnum.Vector3(*map(float, coordinates(place)))

    def _nearest(self, place: Point) -> np.ndarray:
        return np.array(list(self.pathfinder.snap_point(self._vector(place))), np.float64)

    def _standing(self, place: Point) -> np.ndarray:
        """Return a place on the mesh, or raise the error that says that it is not."""
        near = self._nearest(place)
        x, y, z = coordinates(place)
        if not (math.hypot(near[0] - x, near[2] - z) <= SAME and abs(near[1] - y) <= LEVEL):
            raise NavigationError(
                f"The point {point_text(place)} is not on the navigation mesh of {self._scene.name}; the nearest is "
                f"{near.round(3).tolist()}. Use snap to go there."
            )
        return near

    def snap(self, position: Point) -> np.ndarray:
        """Return the place ``(3,)`` on the mesh nearest to a position, at most a metre away [m]."""
        place = checked_point("The position", position, error=NavigationError)
        near = self._nearest(place)
        # NaN where there is none within the box of 4 × 8 × 4 m that Habitat searches.
        if not math.dist(near, place) <= REACH:
            raise NavigationError(
                f"No navigation mesh within {REACH:g} m of the point {point_text(place)} in {self._scene.name}; the "
                f"nearest found is {near.round(3).tolist()}. Choose another point."
            )
        return near

    def turned(self, heading: float) -> float:
        """Return the heading itself: all are allowed [rad]."""
        return checked_number("The heading", heading, unit="rad", error=NavigationError)

    def move(self, position: Point, heading: float, distance: float) -> tuple[np.ndarray, bool]:
        """Walk ahead, sliding along what is in the way unless it was made without."""
        distance = checked_number("The distance", distance, 0.0, unit="m", error=NavigationError)
        start = self._standing(position)
        target = start + distance * forward_vector(self.turned(heading))
        step = self.pathfinder.try_step if self._sliding else self.pathfinder.try_step_no_sliding
        end = np.array(list(step(self._vector(start), self._vector(target))), np.float64)
        return end, math.hypot(end[0] - target[0], end[2] - target[2]) > SAME

    def is_straight(self, start: Point, end: Point) -> bool:
        """Tell whether the straight way from one place on the mesh to another runs into nothing."""
        went = np.array(list(self.pathfinder.try_step_no_sliding(self._vector(start), self._vector(end))), np.float64)
        x, y, z = coordinates(end)
        return math.hypot(went[0] - x, went[2] - z) <= SAME and abs(went[1] - y) <= LEVEL

    def moves(self, position: Point, headings: Sequence[float], distance: float) -> np.ndarray:
        """Return where walks along several headings end ``(n, 3)``."""
        return np.array([self.move(position, heading, distance)[0] for heading in headings]).reshape(-1, 3)

    def _path(self, start: np.ndarray, goal: np.ndarray) -> tuple[float, np.ndarray]:
        path = self._shortest_path()
        path.requested_start, path.requested_end = self._vector(start), self._vector(goal)
        if not self.pathfinder.find_path(path):
            return math.inf, np.empty((0, 3))
        return float(path.geodesic_distance), np.array([list(point) for point in path.points], np.float64)

    def distance(self, start: Point, goal: Point) -> float:
        """Return the length of the shortest way over the mesh to a goal or the nearest of several [m]."""
        return self._to_nearest(self._standing(start), self._goals(goal))

    def distances(self, starts: np.ndarray, goal: Point) -> np.ndarray:
        """Return the lengths ``(n,)`` of shortest ways to one or several goals: inf for none, NaN off the mesh [m]."""
        ends = self._goals(goal)
        return np.array([self._distance_from(start, ends) for start in starts], np.float64)

    def _distance_from(self, start: Point, ends: list[np.ndarray]) -> float:
        try:
            return self._to_nearest(self._standing(start), ends)
        except NavigationError:
            return math.nan

    def _goals(self, goal: Point) -> list[np.ndarray]:
        """Return the places of a goal ``(3,)``, or of several ``(n, 3)``."""
        return [self._standing(goal)] if np.ndim(goal) < 2 else [self._standing(place) for place in np.asarray(goal)]

    def _to_nearest(self, start: np.ndarray, ends: list[np.ndarray]) -> float:
        return min((self._path(start, end)[0] for end in ends), default=math.inf)

    def length(self, start: Point, end: Point) -> float:
        """Return the straight length of a step [m]: Habitat adds up such lengths, on stairs too."""
        return math.dist(self._standing(start), coordinates(end))

    def shortest_path(self, start: Point, goal: Point) -> np.ndarray:
        """Return the way points ``(n, 3)`` of the shortest way over the mesh [m]."""
        length, points = self._path(self._standing(start), self._standing(goal))
        if not math.isfinite(length):
            raise NavigationError(
                f"No way leads from {point_text(start)} to {point_text(goal)} over the navigation mesh of "
                f"{self._scene.name}: they are on different islands."
            )
        return points

    @cached_property
    def _island(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Number of the main island, corners ``(n, 3, 3)`` of its triangles, and the running sum of their areas."""
        best = (-1.0, 0, np.empty((0, 3, 3)), np.empty(0))
        for island in range(self.pathfinder.num_islands):
            vertices = np.array([list(v) for v in self.pathfinder.build_navmesh_vertices(island)], np.float64)
            order = np.array(list(self.pathfinder.build_navmesh_vertex_indices(island)), np.int64)
            corners = vertices.reshape(-1, 3)[order].reshape(-1, 3, 3)
            cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            areas = 0.5 * np.linalg.norm(cross, axis=1)
            covered = float(areas[self._is_covered(corners.mean(1))].sum())
            if covered > best[0]:
                best = (covered, island, corners, np.cumsum(areas))
        return best[1:]

    @property
    def triangles(self) -> np.ndarray:
        """Corners ``(n, 3, 3)`` of the triangles of the main island [m]."""
        return self._island[1]

    def _is_covered(self, places: np.ndarray) -> np.ndarray:
        above = (places + [0.0, LEVEL, 0.0]).astype(np.float32)
        upwards = np.tile(np.array([0.0, 1.0, 0.0], np.float32), (len(places), 1))
        distance, triangle, _ = self._scene.triangles.closest(above, upwards)
        return (triangle >= 0) & (distance < CEILING)

    def random_point(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a place ``(3,)`` uniformly from the main island [m]."""
        # Habitat's own draws come from the C library's global generator, which other code shares.
        island, corners, shares = self._island
        a, b, c = corners[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]
        u, v = rng.random(2)
        if u + v > 1.0:
            u, v = 1.0 - u, 1.0 - v
        return np.array(
            list(self.pathfinder.snap_point(self._vector(a + u * (b - a) + v * (c - a)), island)), np.float64
        )

    def is_free(self, position: Point) -> bool:
        """Tell whether a position ``(3,)`` is on the mesh."""
        try:
            self._standing(position)
        except NavigationError:
            return False
        return True

    @property
    def area(self) -> float:
        """Area of the main island [m²]."""
        return float(self._island[2][-1])

    @property
    def level(self) -> float:
        """Median height of the main island, by area [m]."""
        _, corners, shares = self._island
        order = np.argsort(corners[:, :, 1].mean(1), kind="stable")
        areas = np.cumsum(np.diff(shares, prepend=0.0)[order])
        return float(corners[order[int(np.searchsorted(areas, 0.5 * areas[-1]))], :, 1].mean())
