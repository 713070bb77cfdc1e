"""Measured rooms, where their data are, are read as their authors describe them."""

import importlib
import sys

import numpy as np
import pytest


@pytest.fixture
def readers(repository, monkeypatch):
    """The modules of the benchmarks that read measured rooms."""
    monkeypatch.syspath_prepend(repository / "benchmarks")
    yield {name: importlib.import_module(name) for name in ("_round_robin", "_bras")}
    for name in ("_round_robin", "_bras", "_engines"):
        sys.modules.pop(name, None)


def test_surfaces_of_bras_have_the_areas_that_bras_lists(readers, bras):
    # 3 Surface descriptions/_descr/mat_CR2.txt and mat_CR4.txt [m²].
    listed = {
        "CR2": {"plaster": 34.93, "concrete": 56.94, "windows": 9.75, "floor": 49.29, "ceiling": 51.62},
        "CR4": {"linoleum": 638, "concrete": 1774, "seating": 557, "brickwall": 699, "woodPanels": 326,
                "whitePanels": 1655, "parquet": 193, "windows": 8.5},
    }  # fmt: skip
    for room in readers["_bras"].ROOMS:
        scene = readers["_bras"].scene_of_room(bras, room)
        areas = np.bincount(scene.material, scene.areas)
        named = {material.name: area for material, area in zip(scene.materials, areas, strict=True)}
        assert named == pytest.approx(listed[room.name], abs=0.005 if room.name == "CR2" else 0.6)


def test_in_the_studio_every_receiver_sees_every_source(readers, round_robin):
    room = readers["_round_robin"].Studio(round_robin)
    receivers = np.array(list(room.places("receivers").values()))
    for state in ("open", "closed"):
        triangles = room.scene(state).triangles
        for place in room.places("sources").values():
            assert not triangles.occluded(place, receivers).any()
