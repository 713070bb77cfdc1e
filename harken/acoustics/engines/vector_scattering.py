"""Vector-based scattering (Christensen and Rindel 2005): the direction in which sound leaves a surface, its density.

Sound leaves along ω, the direction of v = s·R + (1 − s)·S. S is the mirrored direction, R is distributed after
Lambert's law about the normal n, with the density cos θ/π, and s is the scattering coefficient. As R moves over the
unit sphere, v moves over a sphere of the radius s around (1 − s)·S. A line from the origin along ω meets it at v = kω
with

    k = a ± √q,   a = (1 − s) S·ω,   q = a² − (1 − 2s),

and there R = (kω − (1 − s)S)/s. A small solid angle of R covers s² times as much area of that sphere, whose normal is
R, and is seen from the origin under s² |R·ω|/k² times the solid angle. With |R·ω| = √q/s, the density of ω is
therefore

    p(ω) = Σ k² max(0, R·n) / (π s √q)

summed over the solutions k > 0. For s ≥ ½ there is one, and ω may lie anywhere above the surface. For s < ½ there are
two within the cone sin γ ≤ s/(1 − s) around S and none outside; at its edge the density is infinite, but integrable.
"""

import numpy as np

from harken.acoustics.tracing import FAST, TURN
from harken.raytracing import kernel

__all__ = ["NARROWEST", "bend", "bent_density"]

NARROWEST = 1e-3
"""Scattering coefficient below which a direction counts as mirrored, because its density could not be computed."""


@kernel(fastmath=FAST)
def bend(d, n, scattering, chances):
    """Turn direction `d` at a surface, between the mirrored direction and one after Lambert's law.

    Args:
        d: ``(3,)`` unit vector towards the surface, overwritten by the one in which sound leaves.
        n: ``(3,)`` unit normal on the side from which sound comes.
        scattering: Weight of Lambert's direction, 0–1.
        chances: ``(2,)`` random numbers, 0–1.
    """
    c, f = 1.0 - 2.0 * chances[0], TURN * chances[1]
    s = np.sqrt(max(0.0, 1.0 - c * c))
    x, y, z = n[0] + s * np.cos(f), n[1] + s * np.sin(f), n[2] + c
    bent = scattering / np.sqrt(x * x + y * y + z * z + 1e-30)
    back, mirrored = 2.0 * (d[0] * n[0] + d[1] * n[1] + d[2] * n[2]), 1.0 - scattering
    d[0] = mirrored * (d[0] - back * n[0]) + bent * x
    d[1] = mirrored * (d[1] - back * n[1]) + bent * y
    d[2] = mirrored * (d[2] - back * n[2]) + bent * z
    inverse = 1.0 / np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + 1e-30)
    for axis in range(3):
        d[axis] *= inverse


@kernel(fastmath=FAST)
def bent_density(scattering, rise, mirror_rise, between):
    """Return how densely `bend` fills a direction [1/sr].

    Args:
        scattering: Scattering coefficient s, `NARROWEST`–1; 0 is returned below.
        rise: Cosine between the direction and the normal.
        mirror_rise: Cosine between the mirrored direction and the normal, 0 or more.
        between: Cosine between the direction and the mirrored one.

    Returns:
        p(ω), with the integral 1 over all directions.
    """
    if scattering < NARROWEST or rise <= 0.0:
        return 0.0
    mirrored = 1.0 - scattering
    middle = mirrored * between
    square = middle * middle - (1.0 - 2.0 * scattering)
    if square <= 0.0:
        return 0.0
    root, density = np.sqrt(square), 0.0
    for k in (middle + root, middle - root):
        if k > 0.0:
            density += k * k * max(0.0, k * rise - mirrored * mirror_rise)
    return density / (np.pi * scattering * scattering * root)
