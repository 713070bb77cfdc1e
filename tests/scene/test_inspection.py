from dataclasses import replace

import numpy as np
import pytest
import trimesh

from harken.scene import AcousticMaterial, Scene
from harken.scene.inspection import inspect_scene
from harken.scene.material_table import material

SIZE = np.array([6.0, 3.0, 5.0])
VOLUME, SURFACE = 90.0, 2 * (18.0 + 15.0 + 30.0)


def room(*, absorption=0.2, drop=(), inward=True, size=SIZE):
    box = trimesh.creation.box(extents=size, transform=trimesh.transformations.translation_matrix(size / 2))
    faces = box.faces[:, ::-1] if inward else box.faces
    return Scene(
        vertices=box.vertices,
        faces=np.delete(faces, list(drop), axis=0),
        materials=(AcousticMaterial(name="wall", absorption=(absorption,)),),
        material=np.zeros(len(faces) - len(drop), np.int32),
        name="room",
    )


def with_mesh(scene, mesh, made):
    return replace(
        scene,
        vertices=np.concatenate([scene.vertices, mesh.vertices]),
        faces=np.concatenate([scene.faces, mesh.faces + len(scene.vertices)]),
        materials=(*scene.materials, made),
        material=np.concatenate([scene.material, np.full(len(mesh.faces), len(scene.materials))]),
        category=np.zeros(0),
        instance=np.zeros(0),
        room=np.zeros(0),
        appearance=None,
    )


def upward(scene):
    """Triangles whose plane is y = the ceiling's."""
    return np.flatnonzero(scene.vertices[scene.faces][:, :, 1].min(axis=1) > SIZE[1] - 1e-6)


@pytest.mark.parametrize("inward", [True, False])
def test_a_closed_box_gives_the_textbook_figures(inward):
    report = inspect_scene(room(inward=inward))
    assert report.triangles == 12
    assert report.vertices == 8
    assert report.extent == pytest.approx(SIZE)
    assert report.surface_area == pytest.approx(SURFACE)
    assert report.volume == pytest.approx(VOLUME, rel=1e-6)  # The box of the scene is the room: no chance in it.
    assert report.open_edges == 0
    assert report.open_edge_length == 0.0
    assert report.leak_fraction == 0.0
    assert report.problems == ()
    # 4V/S; 20,000 paths whose lengths scatter by about half their mean: 4 standard errors are 1.5 %.
    assert report.mean_free_path == pytest.approx(4 * VOLUME / SURFACE, rel=0.015)
    assert report.mean_absorption == pytest.approx((0.2,) * 7)
    eyring = 0.161 * VOLUME / (-SURFACE * np.log(0.8))
    assert report.reverberation_time == pytest.approx((eyring,) * 7, rel=0.02)


def test_furniture_is_taken_from_the_volume_and_counts_with_the_surface_it_shows():
    cube = trimesh.creation.box(extents=(2, 2, 2), transform=trimesh.transformations.translation_matrix((3, 1, 2.5)))
    report = inspect_scene(with_mesh(room(), cube, replace(material("mattress"), name="block")))
    # Binomial with p = 82/90 and 4096 points: 4 standard errors are 1.6 m³.
    assert report.volume == pytest.approx(VOLUME - 8.0, abs=1.6)
    shown, floor = 5 * 4.0, SURFACE - 4.0
    expected = (np.array(material("mattress").absorption) * shown + 0.2 * floor) / (shown + floor)
    # 20,000 hits, a sixth of them on the block: 4 standard errors are about 0.005.
    assert report.mean_absorption == pytest.approx(tuple(expected), abs=0.006)
    assert list(report.material_areas) == ["wall", "block"]
    assert report.material_areas["block"] == pytest.approx(24.0)


def test_holes_are_found_and_explained():
    whole = room()
    report = inspect_scene(replace_faces(whole, np.delete(np.arange(12), upward(whole)[0])))
    assert report.open_edges == 3
    assert report.open_edge_length == pytest.approx(6.0 + 5.0 + np.hypot(6.0, 5.0))
    # The hole is 15 of 126 m², seen at a slant from under the other half of the ceiling.
    assert 0.02 < report.leak_fraction < 15 / 126
    assert any("hit nothing" in problem and "m of edges" in problem for problem in report.problems)
    assert min(report.mean_absorption) > 0.2


def replace_faces(scene, chosen):
    return replace(
        scene,
        faces=scene.faces[chosen],
        material=scene.material[chosen],
        category=np.zeros(0),
        instance=np.zeros(0),
        room=np.zeros(0),
        appearance=None,
    )


def test_a_scene_without_a_ceiling_has_no_indoors():
    whole = room()
    report = inspect_scene(replace_faces(whole, np.delete(np.arange(12), upward(whole))))
    assert report.leak_fraction is None
    assert report.volume is None
    assert report.reverberation_time is None
    assert any("ceiling" in problem for problem in report.problems)
    assert "nothing enclosed" in str(report)


def test_degenerate_and_doubled_triangles_are_counted():
    whole = room()
    chosen = np.concatenate([np.arange(12), [0, 3, 3]])
    doubled = replace_faces(whole, chosen)
    faces = doubled.faces.copy()
    faces[-1] = faces[-1][[0, 0, 1]]
    report = inspect_scene(replace(doubled, faces=faces))
    assert report.degenerate_triangles == 1
    assert report.duplicate_triangles == 2
    assert any("exactly on another" in problem for problem in report.problems)


def test_rooms_without_absorption_ring_forever_and_rooms_of_holes_do_not():
    assert inspect_scene(room(absorption=0.0)).reverberation_time == (np.inf,) * 7
    assert any("cathedral" in problem for problem in inspect_scene(room(absorption=0.005)).problems)
    assert inspect_scene(room(absorption=1.0)).reverberation_time == (0.0,) * 7


def test_unknown_materials_units_and_axes_are_named():
    whole = room()
    unknown = whole.with_materials((material("default"),), whole.material)
    assert any("'default'" in problem for problem in inspect_scene(unknown).problems)
    assert any("centimetres" in problem for problem in inspect_scene(room(size=SIZE * 100)).problems)
    assert any("up='z'" in problem for problem in inspect_scene(room(size=np.array([8.0, 9.0, 2.5]))).problems)


def test_the_same_seed_gives_the_same_report_and_another_seed_another():
    scene = room()
    assert inspect_scene(scene, seed=3) == inspect_scene(scene, seed=3)
    assert inspect_scene(scene, seed=3) != inspect_scene(scene, seed=4)


def test_the_report_reads_as_text():
    text = str(inspect_scene(room()))
    assert "triangles 12" in text
    assert "90 m³" in text
    assert "1000: 0.20" in text
