"""The density of the directions into which vector scattering sends sound, against the directions themselves."""

import numpy as np
import pytest

from harken.acoustics.engines.vector_scattering import NARROWEST, bend, bent_density

NORMAL = np.array((0.0, 1.0, 0.0))


def mirrored(angle: float) -> np.ndarray:
    """Return the mirrored direction of sound that comes in at an angle from the normal [rad]."""
    return np.array((np.sin(angle), np.cos(angle), 0.0))


def directions(scattering: float, angle: float, count: int) -> np.ndarray:
    """Return directions ``(count, 3)`` in which sound leaves."""
    rng = np.random.default_rng(3)
    result = np.tile(mirrored(angle) * (1.0, -1.0, 1.0), (count, 1))
    for d, chances in zip(result, rng.random((count, 2)), strict=True):
        bend(d, NORMAL, scattering, chances)
    return result


def density(scattering: float, angle: float, towards: np.ndarray) -> np.ndarray:
    """Return the density of directions ``(n, 3)``."""
    mirror = mirrored(angle)
    return np.array([bent_density(scattering, d @ NORMAL, mirror @ NORMAL, d @ mirror) for d in towards])


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.3])
@pytest.mark.parametrize("scattering", [0.05, 0.3, 0.5, 0.7, 1.0])
def test_directions_are_as_dense_as_the_closed_form_says(scattering, angle):
    # Cells around the mirrored direction: rings of equal width in its angle, cut into eight by the angle around it.
    mirror, count = mirrored(angle), 60_000
    beside = np.array((np.cos(angle), -np.sin(angle), 0.0))
    widest = np.pi if scattering >= 0.5 else np.arcsin(scattering / (1.0 - scattering))
    rings, parts, steps = 6, 8, 24

    def cell(towards: np.ndarray) -> np.ndarray:
        off = np.arccos(np.clip(towards @ mirror, -1.0, 1.0))
        around = np.arctan2(towards[:, 2], towards @ beside)
        ring = np.minimum((off / widest * rings).astype(int), rings - 1)
        return ring * parts + np.minimum(((around / (2 * np.pi) + 0.5) * parts).astype(int), parts - 1)

    found = np.bincount(cell(directions(scattering, angle, count)), minlength=rings * parts) / count
    # With off = widest sin u the infinite density at the cone's edge is integrated without error.
    u = (np.arange(rings * steps * 4) + 0.5) / (rings * steps * 4) * np.pi / 2
    off, slope = widest * np.sin(u), widest * np.cos(u) * np.pi / 2 / len(u)
    around = ((np.arange(parts * steps) + 0.5) / (parts * steps) - 0.5) * 2 * np.pi
    off, turn = np.meshgrid(off, around, indexing="ij")
    towards = (
        np.cos(off)[..., None] * mirror
        + (np.sin(off) * np.cos(turn))[..., None] * beside
        + (np.sin(off) * np.sin(turn))[..., None] * np.array((0.0, 0.0, 1.0))
    ).reshape(-1, 3)
    solid = (np.sin(off) * slope[:, None] * 2 * np.pi / len(around)).ravel()
    share = density(scattering, angle, towards) * solid
    assert share.sum() == pytest.approx(1.0, abs=0.01)
    expected = np.bincount(cell(towards), share, minlength=rings * parts)
    error = np.sqrt(np.maximum(expected * (1 - expected), 1e-6) / count)
    np.testing.assert_array_less(np.abs(found - expected), 4.5 * error + 0.004)


def test_full_scattering_follows_lamberts_law():
    towards = directions(1.0, 0.4, 200)
    np.testing.assert_allclose(density(1.0, 1.2, towards), towards @ NORMAL / np.pi, rtol=1e-9)


def test_narrow_lobes_count_as_mirrors():
    assert bent_density(0.5 * NARROWEST, 0.8, 0.8, 1.0) == 0.0
    assert bent_density(NARROWEST, 0.8, 0.8, 1.0) > 1e4


def test_no_sound_leaves_below_the_surface_or_outside_the_cone():
    assert bent_density(0.6, -0.1, 0.5, 0.2) == 0.0
    edge = np.arcsin(0.2 / 0.8)
    towards = np.array([mirrored(1.0 - off) for off in (0.98 * edge, 1.02 * edge)])
    inside, outside = density(0.2, 1.0, towards)
    assert inside > 0.0 and outside == 0.0
