"""Sound through the walls of closed rooms, in the fast tier."""

import numpy as np
import pytest
import trimesh

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.acoustics.fields.passages import count_ray, new_passages, next_passage, split
from harken.acoustics.fields.walks import LOUD, NUMBER, PASSED, WAY, new_ray, traced_world
from harken.raytracing import kernel
from harken.scene import AcousticMaterial, Scene

SOURCE, NEAR, BEHIND = [1.0, 1.5, 2.5], [3.6, 1.4, 3.7], [7.3, 1.4, 1.6]

DIFFERENCE = -1.8
"""Level difference from `NEAR` to `BEHIND` in the reference tier (480,000 rays), less the transmission loss [dB]."""


def rooms_with_a_wall(transmission):
    """Two rooms of 5 × 3 × 5 and 4 × 3 × 5 m, and a wall of 10 cm between them."""
    room = trimesh.creation.box(bounds=[[0, 0, 0], [9.1, 3, 5]])
    room.invert()
    wall = trimesh.creation.box(bounds=[[5, -0.05, -0.05], [5.1, 3.05, 5.05]])
    mesh = trimesh.util.concatenate([room, wall])
    materials = (
        AcousticMaterial(name="room", absorption=(0.1,), scattering=(0.5,)),
        AcousticMaterial(name="wall", absorption=(0.1,), scattering=(0.5,), transmission=(transmission,)),
    )
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=materials, material=np.repeat([0, 1], 12))


def ears(first, last):
    x, z = np.arange(first, last, 0.25), np.arange(0.25, 5, 0.25)
    return np.stack(np.meshgrid(x, [1.5], z), -1).reshape(-1, 3)


def level(engine, place):
    return 10 * np.log10(engine.energy(Source(position=SOURCE), Listener(position=place)).over_time(0.01).sum())


@pytest.mark.filterwarnings("ignore:Responses are cut")
@pytest.mark.parametrize("floor", [(0.25, 9.1), (0.25, 5.0)], ids=["floor behind the wall", "none behind it"])
@pytest.mark.parametrize("loss", [20, 30, 40, 50])
def test_what_is_heard_through_a_wall_does_not_depend_on_the_seed(loss, floor):
    scene = rooms_with_a_wall(10 ** (-loss / 10))
    for seed in range(8):
        engine = FastPropagation(scene, AcousticSettings(duration=1.0, seed=seed), ears=ears(*floor))
        assert level(engine, NEAR) - level(engine, BEHIND) == pytest.approx(loss + DIFFERENCE, abs=1.0), seed


def meet_often(world, scene, times):
    """Let new rays of energy 1 meet the wall, and return the rays that passed."""
    ray, passages = new_ray(), new_passages(scene, times)
    triangle = int(np.flatnonzero((scene.material == 1) & (scene.normals[:, 0] < -0.9))[0])
    rows = np.zeros((100_000, len(ray.row)))
    return rows[: _meet_often(world, triangle, times, ray, passages, rows)]


@kernel
def _meet_often(world, triangle, times, ray, passages, rows):
    passed = 0
    for i in range(times):
        ray.row[:] = 0.0
        ray.o[0], ray.o[1], ray.o[2], ray.d[0] = 4.0, 1.5, 2.5, 1.0
        ray.energy[:] = 1.0
        ray.walk[LOUD], ray.walk[NUMBER] = 1.0, i
        count_ray(i, times, passages)
        split(world, 0, triangle, 1.0, ray, passages)
        while next_passage(ray, passages):
            rows[passed] = ray.row
            passed += 1
    return passed


@pytest.mark.parametrize("transmission", [1e-2, 1e-5])
def test_rays_that_pass_carry_what_the_wall_transmits(transmission):
    scene = rooms_with_a_wall(transmission)
    world = traced_world(scene, np.zeros(7), transmission=True, facets=None, image_order=0)
    times = 20_000
    rows = meet_often(world, scene, times)
    assert len(rows) > 200
    places, weights, walks = rows[:, :3], rows[:, 12], rows[:, 16:]
    error = np.sqrt((weights**2).sum())
    assert abs(weights.sum() - times * transmission) < 4 * error
    assert weights.max() <= 1.0 + 1e-6
    np.testing.assert_allclose(places, [[5.0001, 1.5, 2.5]] * len(rows), atol=1e-9)
    assert (walks[:, PASSED] == 1).all() and (walks[:, WAY] == 1.0).all()
    # A passage counts as faint, and ends by chance, only where it is faint among passages.
    np.testing.assert_allclose(walks[:, LOUD], weights, rtol=1e-5)


@kernel
def _wait(world, seed, triangle, times, ray, passages):
    for i in range(times):
        ray.row[:] = 0.0
        ray.o[0], ray.o[1], ray.o[2], ray.d[0] = 4.0, 1.5, 2.5, 1.0
        ray.energy[:] = 1.0
        ray.walk[LOUD], ray.walk[NUMBER] = 1.0, i
        count_ray(i, times, passages)
        split(world, seed, triangle, 1.0, ray, passages)


def test_more_passages_than_can_wait_keep_their_energy_on_average():
    scene, more = rooms_with_a_wall(0.01), 3
    world = traced_world(scene, np.zeros(7), transmission=True, facets=None, image_order=0)
    triangle = int(np.flatnonzero((scene.material == 1) & (scene.normals[:, 0] < -0.9))[0])
    sums = []
    for seed in range(200):
        # So many are wanted that every ray is split.
        passages = new_passages(scene, 100)._replace(wanted=1e9)
        _wait(world, seed, triangle, len(passages.waiting) + more, new_ray(), passages)
        sums.append(passages.waiting[:, 12].sum() / 0.01 - len(passages.waiting))
    assert np.mean(sums) == pytest.approx(more, abs=4 * np.std(sums) / np.sqrt(len(sums)))
    assert np.std(sums) > 0
