"""Rooms are told from the inside of solids, whichever way triangles wind."""

import numpy as np
import pytest
import trimesh

from harken.scene import AcousticMaterial, Scene, WalkableFloor
from harken.scene.enclosure import ClosedSurfaces
from harken.scene.floor.rooms import BY_FRONTS

PLAIN = AcousticMaterial(name="plain", absorption=(0.1,))
ROOM = 25.76
"""Floor of a room of 6 × 5 m for the middle of a body with a radius of 0.2 m [m²]."""
BLOCK = (2, 0, 1, 4, 2, 3)
HUGE = (0.3, 0, 0.3, 5.5, 2.9, 3.5)


def box(x0, y0, z0, x1, y1, z1, *, inward=False):
    mesh = trimesh.creation.box(bounds=[(x0, y0, z0), (x1, y1, z1)])
    if inward:
        mesh.invert()
    return mesh


def sheets(*, inward):
    """The six sides of a room of 6 × 3 × 5 m, apart from each other."""
    corners = box(0, 0, 0, 6, 3, 5, inward=inward).triangles.reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def build(*parts):
    mesh = trimesh.util.concatenate(parts)
    scene = Scene(
        vertices=mesh.vertices, faces=mesh.faces, materials=(PLAIN,), material=np.zeros(len(mesh.faces), np.int32)
    )
    return WalkableFloor.build(scene)


def assert_on_the_floor(floor, area):
    assert floor.area == pytest.approx(area, abs=0.02)
    rng = np.random.default_rng(0)
    assert all(floor.random_point(rng)[1] == 0.0 for _ in range(50))


@pytest.mark.parametrize("inward", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_plain_box_has_its_floor_inside(inward, whole):
    floor = build(box(0, 0, 0, 6, 3, 5, inward=inward) if whole else sheets(inward=inward))
    assert_on_the_floor(floor, ROOM)
    assert (floor.remark == BY_FRONTS) == inward
    assert inward or "look outwards, is taken for a room" in floor.remark


@pytest.mark.parametrize("inward", [True, False])
def test_a_closed_box_in_a_room_of_sheets_puts_nobody_on_the_ceiling(inward):
    # The box and a rim of the radius take 1.6 × 0.52 m off the walls' own rim, with two rounded corners.
    taken = 1.6 * (0.52 - 0.2) - 2 * (1 - np.pi / 4) * 0.2**2
    assert_on_the_floor(build(sheets(inward=inward), box(1, 0, 0.02, 2.2, 2, 0.32)), ROOM - taken)


@pytest.mark.parametrize("room_inward", [True, False])
@pytest.mark.parametrize("inward", [True, False])
def test_nobody_is_put_into_a_block(room_inward, inward):
    taken = 2.4**2 - 4 * (1 - np.pi / 4) * 0.2**2
    assert_on_the_floor(build(sheets(inward=room_inward), box(*BLOCK, inward=inward)), ROOM - taken)


@pytest.mark.parametrize("room_inward", [True, False])
@pytest.mark.parametrize("inward", [True, False])
def test_a_block_larger_than_the_air_around_it_is_no_room(room_inward, inward):
    floor = build(sheets(inward=room_inward), box(*HUGE, inward=inward))
    assert floor.island((5.7, 0, 4.5)) == 0
    assert floor.islands[floor.island((2, 0, 2))].covered == 0.0
    assert "1 islands are inside solids" in floor.remark


def test_tall_closed_furniture_leaves_the_room_its_floor():
    taken = 1.1**2 - 4 * (1 - np.pi / 4) * 0.2**2
    assert_on_the_floor(build(sheets(inward=True), box(2, 0, 1, 2.7, 2.2, 1.7)), ROOM - taken)


def test_a_furnished_box_on_a_lawn_is_a_room_and_a_block_on_a_lawn_is_none():
    lawn = box(-5, -1, -5, 10, 0, 10)
    assert_on_the_floor(build(sheets(inward=False), box(1, 0, 1, 3, 0.5, 2), lawn), ROOM - 2.4 * 1.4 + 0.034)
    floor = build(box(*BLOCK), lawn)
    assert floor.area > 180
    assert not floor.is_walkable((3, 0, 2)) or floor.island((3, 0, 2)) > 0


def test_closed_surfaces_are_found_and_what_is_in_them():
    mesh = trimesh.util.concatenate([box(0, 0, 0, 6, 3, 5, inward=True), box(*BLOCK), box(4, 0, 1, 5, 2, 3)])
    open_box = box(10, 0, 0, 12, 2, 2)
    faces = np.concatenate([mesh.faces, open_box.faces[1:] + len(mesh.vertices)])
    surfaces = ClosedSurfaces(np.concatenate([mesh.vertices, open_box.vertices]), faces)
    assert surfaces.count == 3  # Two of them touch.
    assert sorted(surfaces.volumes) == pytest.approx([-90, 4, 8])
    inside = surfaces.contain(np.array([[1, 1, 4], [3, 1, 2], [4.5, 1, 2], [11, 1, 1], [7, 1, 1], [np.nan, 1, 1]]))
    assert inside.sum(1).tolist() == [1, 2, 2, 0, 0, 0]
    outside = surfaces.outsides(int(surfaces.volumes.argmax()))
    assert len(outside) == 48
    assert not surfaces.contain(outside)[:, int(surfaces.volumes.argmax())].any()
