"""Vector scattering in the reference tier: nothing counted twice or missed, and little noise."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from test_reference import assert_equal_on_average, block, made_of, scene_of, sheet

from harken.acoustics.engines.reference import ReferencePropagation, ReferenceSettings
from harken.acoustics.engines.reference_detection import usual_detector_radius
from harken.acoustics.protocol import Listener, Source

SETTINGS = ReferenceSettings(rays=16_000, duration=0.3, image_order=0, scattering="vector", bands=(500.0,))
PAIR = Source(position=(1.5, 1.6, 1.2)), Listener(position=(4.5, 1.2, 3.5))


def bent(d: np.ndarray, n: np.ndarray, scattering: float, rng: np.random.Generator) -> np.ndarray:
    """Return in which directions ``(N, 3)`` sound leaves a surface; written without the engine."""
    around = rng.normal(size=d.shape)
    lambert = n + around / np.linalg.norm(around, axis=1, keepdims=True)
    lambert /= np.linalg.norm(lambert, axis=1, keepdims=True)
    leaving = scattering * lambert + (1.0 - scattering) * (d - 2.0 * (d @ n)[:, None] * n)
    return leaving / np.linalg.norm(leaving, axis=1, keepdims=True)


def in_ball(o: np.ndarray, d: np.ndarray, centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths of rays ``(N, 3)`` in a ball and how far the middle of that chord is [m]."""
    to = centre - o
    middle = (to * d).sum(1)
    half = np.sqrt(np.maximum(radius**2 - ((to**2).sum(1) - middle**2), 0.0))
    near, far = np.maximum(middle - half, 0.0), np.maximum(middle + half, 0.0)
    return np.where(half > 0, far - near, 0.0), 0.5 * (near + far)


@pytest.mark.parametrize("height", [1.5, 0.12])
@pytest.mark.parametrize("scattering", [0.0, 0.04, 0.2, 0.45, 0.7, 1.0])
def test_a_floor_sends_as_much_to_the_ball_as_single_rays_do(scattering, height):
    # At 12 cm the floor cuts the ball of 30 cm.
    absorption, radius, rng = 0.2, 0.3, np.random.default_rng(4)
    floor = scene_of((sheet((-30, 0, -30), (-30, 0, 30), (30, 0, 30), (30, 0, -30)), made_of(absorption, scattering)))
    source, ears = np.array((0.0, 1.0, 0.0)), np.array((2.0, height, 1.0))
    propagation = ReferencePropagation(floor, replace(SETTINGS, rays=64_000, duration=0.2, diffraction=False))
    response = propagation.energy(Source(position=source), Listener(position=ears))
    count, sums = 400_000, []
    volume = 4 / 3 * np.pi * radius**3
    if height < radius:
        volume -= np.pi * (radius - height) ** 2 * (2 * radius + height) / 3
    for _ in range(4):
        d = rng.normal(size=(count, 3))
        d[:, 1] = -np.abs(d[:, 1])
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        legs = -source[1] / d[:, 1]
        legs, d = legs[legs < 25.0], d[legs < 25.0]
        leaving = bent(d, np.array((0.0, 1.0, 0.0)), scattering, rng)
        length, at = in_ball(source + legs[:, None] * d, leaving, ears, radius)
        air = np.exp(-propagation.air.attenuation((500.0,))[0] * (legs + at))
        energy = 2 * np.pi * (1 - absorption) * air * length / volume
        sums.append((energy.sum() / count, energy.var() * len(energy) / count**2))
    expected, error = np.mean([s for s, _ in sums]), np.sqrt(np.mean([v for _, v in sums]) / len(sums))
    difference = response.traced[:, 0, 0].sum() - expected
    assert_equal_on_average(np.array([difference]), np.array([np.hypot(error, response.total_error[0])]))


def test_strong_scattering_is_lamberts_law_also_through_walls_and_furniture():
    scene = scene_of(
        (block((0, 0, 0), (6, 3, 5)), made_of(0.3, 1.0)),
        (sheet((3, 0, 0), (3, 3, 0), (3, 3, 5), (3, 0, 5)), made_of(0.5, 1.0, 0.3, "partition")),
        (block((3.6, 0, 2.0), (4.0, 2.0, 3.0)), made_of(0.6, 1.0, 0.3, "cupboard")),
    )
    on_off, vector = (
        ReferencePropagation(scene, replace(SETTINGS, scattering=kind)).energy(*PAIR) for kind in ("on-off", "vector")
    )
    windows = [r.traced[:, 0, 0].reshape(-1, 50).sum(1) for r in (on_off, vector)]
    errors = [r.parts[:, :, 0].reshape(16, -1, 50).sum(2).std(0, ddof=1) / 4 for r in (on_off, vector)]
    assert_equal_on_average((windows[0] - windows[1])[:5], np.hypot(*errors)[:5])


def test_bands_that_scatter_differently_are_heard_as_each_by_itself():
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.3, (0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 1.0))))
    together = ReferencePropagation(scene, replace(SETTINGS, bands=(125.0, 500.0, 2000.0, 4000.0))).energy(*PAIR)
    for b, band in enumerate(together.bands):
        alone = ReferencePropagation(scene, replace(SETTINGS, bands=(band,), seed=1)).energy(*PAIR)
        difference = together.traced[:, b, 0].sum() - alone.traced[:, 0, 0].sum()
        error = np.hypot(together.total_error[b], alone.total_error[0])
        assert_equal_on_average(np.array([difference]), np.array([error]))


def test_the_size_of_the_ball_decides_between_estimators_and_changes_nothing():
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.3, 0.15)))
    small, large = (
        ReferencePropagation(scene, replace(SETTINGS, detector_radius=radius)).energy(*PAIR) for radius in (0.1, 0.5)
    )
    difference = small.traced[:, 0, 0].sum() - large.traced[:, 0, 0].sum()
    assert_equal_on_average(np.array([difference]), np.array([np.hypot(small.total_error, large.total_error)[0]]))


def test_a_hall_converges_with_few_rays():
    hall = scene_of(
        (block((0, 0, 0), (40, 15, 18)), made_of(0.15, 0.3)),
        (trimesh.util.concatenate([block((12 + 4 * i, 0, 2), (15 + 4 * i, 1, 16)) for i in range(6)]),
         made_of(0.7, 0.6, 0.0, "audience")),
    )  # fmt: skip
    propagation = ReferencePropagation(hall, replace(SETTINGS, rays=8_000, duration=2.0))
    response = propagation.energy(Source(position=(5.0, 1.6, 8.0)), Listener(position=(26.0, 2.2, 10.0)))
    # With the ball alone the windows of 10 ms have an error of 0.95, and the late level one of 1.2 dB.
    assert response.error < 0.3
    assert response.convergence.late[0] < 0.25


def test_the_ball_grows_with_the_room():
    radii = []
    for size in ((5.0, 3.0, 4.0), (40.0, 15.0, 25.0)):
        room = scene_of((block((0, 0, 0), size), made_of(0.2, 0.3)))
        radii.append(usual_detector_radius(room))
        surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
        assert radii[-1] == pytest.approx(max(0.3, 0.08 * 4 * np.prod(size) / surface), rel=0.05)
    assert radii[0] == 0.3 and radii[1] > 1.0
