"""Rays are divided and ended without changing how much energy they carry on average."""

import numpy as np
import pytest
import trimesh

from harken.acoustics.fields.walks import PASSED, THIN, WAY, new_ray
from harken.acoustics.fields.weight_window import HIGH, LOW, MIDDLE, THINNED, TOLD, divided, new_weight_window
from harken.acoustics.tracing import POWER
from harken.scene import AcousticMaterial, Scene

RAYS = 1_000


@pytest.fixture(scope="module")
def scene():
    room = trimesh.creation.box(bounds=[[0, 0, 0], [8, 3, 4]])
    wall = AcousticMaterial(name="wall", absorption=(0.1,))
    return Scene(vertices=room.vertices, faces=room.faces, materials=(wall,), material=np.zeros(len(room.faces), int))


def ray_with(energy, way=20.0):
    ray = new_ray()
    ray.o[:], ray.d[:], ray.energy[:] = (2.0, 1.5, 2.0), (1.0, 0.0, 0.0), energy
    ray.walk[WAY], ray.walk[PASSED], ray.walk[THIN] = way, 0, 0.0
    return ray


def told(scene, energy):
    """A window to which 500 rays of one energy have come, after 20 m, in one place; and its middle."""
    window = new_weight_window(scene, RAYS)
    for _ in range(500):
        divided(window, 4.0, ray_with(energy, way=14.0), 1.0, 0)
    return window, np.sqrt(THINNED * POWER / RAYS * energy)


def test_a_ray_far_above_others_is_divided_into_parts_that_add_up(scene):
    window, middle = told(scene, 0.1 * POWER / RAYS)
    ray = ray_with(8.1 * middle)
    more = divided(window, 4.0, ray, 500.0, 100)
    assert more + 1 == int(8.1 / MIDDLE)
    assert (more + 1) * ray.energy[0] == pytest.approx(8.1 * middle)
    assert ray.walk[THIN] == pytest.approx(LOW * middle)


def test_a_ray_within_the_window_goes_on_as_it_is(scene):
    window, middle = told(scene, 0.1 * POWER / RAYS)
    ray = ray_with(0.9 * HIGH * middle)
    assert divided(window, 4.0, ray, 500.0, 100) == 0
    assert ray.energy[0] == pytest.approx(0.9 * HIGH * middle)


def test_parts_are_no_more_than_there_is_room_for(scene):
    window, middle = told(scene, 0.1 * POWER / RAYS)
    ray = ray_with(100.0 * middle)
    assert divided(window, 4.0, ray, 500.0, 3) == 3
    assert ray.energy[0] == pytest.approx(25.0 * middle)


def test_first_rays_are_not_divided(scene):
    window, middle = told(scene, 0.1 * POWER / RAYS)
    assert divided(window, 4.0, ray_with(100.0 * middle), TOLD, 100) == 0


def test_quiet_places_get_more_rays(scene):
    window, middle = told(scene, 0.1 * POWER / RAYS)
    there, elsewhere = ray_with(3.0 * middle), ray_with(3.0 * middle)
    elsewhere.o[0] = -1.0  # its leg has its middle in another block, where nothing has been
    assert divided(window, 4.0, there, 500.0, 100) == 0
    assert divided(window, 4.0, elsewhere, 500.0, 100) > 0
    assert elsewhere.energy[0] < there.energy[0]
