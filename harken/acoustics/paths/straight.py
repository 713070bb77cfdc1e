"""Exact paths: straight from source to listener, through obstacles, and around corners."""

from collections.abc import Callable

import numpy as np

from harken.acoustics.protocol import SoundPath
from harken.acoustics.tracing import MAXIMUM_CROSSINGS
from harken.raytracing import closest_hit, is_occluded, kernel, ray_buffer
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["NEAREST", "Route", "diffracted_path", "knife_edge_energy", "share_through", "straight_path"]

Route = Callable[[np.ndarray, np.ndarray], np.ndarray | None]
"""Finds a way for sound around obstacles: points ``(n, 3)`` from a source to a listener, or None."""

NEAREST = 0.1
"""Distance below which the level of a source no longer rises [m]: it would be inside the listener's head."""


@kernel
def share_through(rays, normals, material, coefficients, start, end, share):
    """Set `share` ``(bands,)`` to the transmission of the surfaces between two points; returns the number of surfaces.

    A solid counts once, at the face through which it is entered.
    """
    buffer = ray_buffer()
    bands = coefficients.shape[2]
    share[:] = 1.0
    d = end - start
    length = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    if length < 1e-6:
        return 0
    d /= length
    crossed, inside, at = 0, 0, 1e-4
    while at < length - 1e-4:
        o = start + d * at
        distance, triangle, _, _ = closest_hit(
            rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(length - 1e-4 - at)
        )
        if triangle < 0:
            break
        if crossed >= MAXIMUM_CROSSINGS:
            share[:] = 0.0
            return crossed
        dn = d[0] * normals[triangle, 0] + d[1] * normals[triangle, 1] + d[2] * normals[triangle, 2]
        if dn > 0 and inside > 0:  # the far face of a solid: the loss was taken on entering
            inside -= 1
        else:
            inside += 1 if dn < 0 else 0
            for b in range(bands):
                share[b] *= coefficients[2, material[triangle], b]
        crossed += 1
        at += distance + 1e-4
    return crossed


def straight_path(scene: Scene, source: np.ndarray, listener: np.ndarray, air: np.ndarray) -> SoundPath:
    """Return the straight path from source to listener, through any obstacles.

    Args:
        scene: The scene.
        source: ``(3,)`` position [m].
        listener: ``(3,)`` position [m].
        air: ``(bands,)`` energy attenuation of air [1/m].

    Returns:
        The path: energy 1/r² × air × the transmission coefficients of what is crossed. A solid counts once, at the face
        through which it is entered.
    """
    share = np.empty(len(OCTAVE_BANDS))
    points = np.array([source, listener], np.float64)
    crossed = share_through(
        scene.triangles.kernel_data, scene.normals, scene.material, scene.coefficients, points[0], points[1], share
    )
    length = float(np.linalg.norm(points[1] - points[0]))
    energy = share * np.exp(-air * length) / max(length, NEAREST) ** 2
    return SoundPath(kind="transmitted" if crossed else "direct", points=points, length=length, energy=energy)


@kernel
def _sees(rays, buffer, a, b):
    return not is_occluded(
        rays, buffer, a[0], a[1], a[2], b[0] - a[0], b[1] - a[1], b[2] - a[2], np.float32(1e-4), np.float32(1.0 - 1e-4)
    )


@kernel
def _pull_taut(rays, points):
    """Shorten a polyline in place, like a string pulled tight around obstacles; returns the remaining number of points.

    First, points are removed whose neighbours see each other, then each corner moves towards the straight line between
    its neighbours as far as both legs stay free.
    """
    buffer = ray_buffer()
    count = len(points)
    size = 1
    i = 0
    while i < count - 1:
        j = count - 1
        while j > i + 1 and not _sees(rays, buffer, points[i], points[j]):
            j -= 1
        points[size] = points[j]
        size += 1
        i = j
    foot, trial = np.empty(3), np.empty(3)
    for _ in range(2):
        for c in range(1, size - 1):
            way = points[c + 1] - points[c - 1]
            along = np.dot(points[c] - points[c - 1], way) / (np.dot(way, way) + 1e-12)
            foot[:] = points[c - 1] + way * min(max(along, 0.0), 1.0)
            blocked, free = 1.0, 0.0
            for _step in range(6):
                middle = 0.5 * (blocked + free)
                trial[:] = points[c] + (foot - points[c]) * middle
                if _sees(rays, buffer, points[c - 1], trial) and _sees(rays, buffer, trial, points[c + 1]):
                    free = middle
                else:
                    blocked = middle
            points[c] += (foot - points[c]) * free
    for c in range(size - 1):
        if not _sees(rays, buffer, points[c], points[c + 1]):
            return 0
    return size


def knife_edge_energy(detour: np.ndarray | float, wavelength: np.ndarray) -> np.ndarray:
    """Return the share of energy that bends around an edge, by Kurze and Anderson's fit to Maekawa's measurements.

    Args:
        detour: How much longer the way over the edge is than the straight one [m], of any shape.
        wavelength: ``(bands,)`` [m].

    Returns:
        ``(..., bands)`` share of energy: insertion loss 5 + 20 log₁₀(√(2πN) / tanh √(2πN)) dB with the Fresnel number
        N = 2·detour/wavelength (Kurze and Anderson 1971, eq. 5).
    """
    root = np.sqrt(4 * np.pi * np.maximum(np.asarray(detour), 1e-9)[..., None] / wavelength)
    return 10.0**-0.5 * (np.tanh(root) / root) ** 2


def diffracted_path(
    scene: Scene, source: np.ndarray, listener: np.ndarray, route: Route, air: np.ndarray, speed: float
) -> SoundPath | None:
    """Return the shortest path around obstacles, such as through a door.

    Args:
        scene: The scene.
        source: ``(3,)`` position [m].
        listener: ``(3,)`` position [m].
        route: Proposes a way; it is pulled taut against the geometry.
        air: ``(bands,)`` energy attenuation of air [1/m].
        speed: Speed of sound [m/s].

    Returns:
        The path, its energy 1/length² × air × the loss at each corner as at a knife edge, or None without a way.
    """
    proposed = route(source, listener)
    if proposed is None or len(proposed) < 3:
        return None
    points = np.array(proposed, np.float64)
    points[0], points[-1] = source, listener
    points = points[: _pull_taut(scene.triangles.kernel_data, points)]
    if len(points) < 3:
        return None
    legs = np.sqrt(((points[1:] - points[:-1]) ** 2).sum(1))
    detours = legs[:-1] + legs[1:] - np.sqrt(((points[2:] - points[:-2]) ** 2).sum(1))
    length = float(legs.sum())
    bent = knife_edge_energy(detours, speed / np.array(OCTAVE_BANDS)).prod(0)
    energy = bent * np.exp(-air * length) / max(length, NEAREST) ** 2
    return SoundPath(kind="diffracted", points=points, length=length, energy=energy)
