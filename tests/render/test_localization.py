"""The recipe localization: its labels are those of the sounds and images beside them."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harken.acoustics import AcousticSettings
from harken.render.encoding import encode_sample
from harken.render.recipe import make_recipe
from harken.render.recipes.binaural_video import BinauralVideoRecipe, BinauralVideoSettings
from harken.render.recipes.localization import LocalizationRecipe, LocalizationSettings, dcase_rows, sounding
from harken.render.scenes import SceneSettings, sample_scene
from harken.scene import HomeConfig

RATE = 16000
SCENES = SceneSettings(
    width=96,
    height=48,
    duration=3.0,
    radius=0.25,
    smallest=4,
    sources=(0.0, 1.0),
    moving=0.5,
    activity="events",
    event=(0.4, 1.0),
    pause=(0.4, 0.8),
    homes=HomeConfig(rooms=(3, 3), area=(40.0, 60.0)),
    acoustics=AcousticSettings(rays=300, waypoint_rays=50, duration=0.3, image_order=1),
)


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return LocalizationRecipe(settings=LocalizationSettings(scenes=SCENES, stems=True)).sample(1)


def test_each_stem_is_silent_before_its_first_event_and_sounds_in_it(parts):
    for k in range(2):
        events = [event for event in parts["json"]["events"] if event["object"] == k]
        stem = parts[f"stem_{k}.flac"].samples
        onset = events[0]["onset"]
        nearest = parts["directions.npy"][k, :, 2].min() / 345
        first = round((onset + nearest) * RATE) - 50
        assert np.abs(stem[:, : max(0, first)]).max(initial=0.0) < 1e-3 * np.abs(stem).max()
        inside = stem[:, round(onset * RATE) : round((onset + events[0]["duration"] + 0.03) * RATE)]
        assert np.abs(inside).max() > 10 * np.abs(stem[:, : max(1, first)]).max(initial=0.0)


def test_events_alternate_with_pauses_and_hold_all_activity(parts):
    steps = (np.arange(parts["active.npy"].shape[1]) + 0.5) * 0.1
    for k in range(2):
        events = [(e["onset"], e["onset"] + e["duration"]) for e in parts["json"]["events"] if e["object"] == k]
        assert all(after[0] - before[1] >= 0.4 for before, after in itertools.pairwise(events))
        inside = np.array([any(on - 0.05 <= time <= off + 0.05 for on, off in events) for time in steps])
        assert not (parts["active.npy"][k] & ~inside).any()
        assert parts["active.npy"][k].any() and not parts["active.npy"][k].all()


def test_audible_pixels_are_the_visible_ones_of_what_sounds(parts):
    visible, audible = (parts[f"{name}.png"].images[..., 0] for name in ("visible", "audible"))
    active = parts["active.npy"]  # one image per step at 10 images a second
    for k in range(2):
        assert np.array_equal(audible == k + 1, (visible == k + 1) & active[k, :, None, None])
    assert (audible > 0).any() and (visible > 0).sum() > (audible > 0).sum()


def test_directions_are_those_of_the_world(parts):
    scene = sample_scene(SCENES, "train", 0, 1)
    for k, one in enumerate(scene.objects):
        for step in (0, 14, 29):
            azimuth, elevation, distance = parts["directions.npy"][k, step].astype(float)
            angle = scene.heading + azimuth
            way = [
                -math.sin(angle) * math.cos(elevation),
                math.sin(elevation),
                -math.cos(angle) * math.cos(elevation),
            ]
            place = scene.eye + distance * np.array(way)
            assert np.allclose(place, one.trajectory.position((step + 0.5) * 0.1), atol=1e-4)


def test_the_table_of_dcase_says_the_same(parts):
    active, directions = parts["active.npy"], parts["directions.npy"]
    rows = [list(map(int, line.split(","))) for line in parts["dcase.csv"].decode().splitlines()]
    assert len(rows) == active.sum()
    for step, index, k, azimuth, elevation, distance in rows:
        assert active[k, step] and parts["json"]["classes"][index] == parts["json"]["objects"][k]["category"]
        assert abs(azimuth - math.degrees(directions[k, step, 0])) <= 0.5001
        assert abs(elevation - math.degrees(directions[k, step, 1])) <= 0.5001
        assert abs(distance - 100 * directions[k, step, 2]) <= 0.5001
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_the_table_has_no_negative_zero():
    directions = np.array([[[-0.001, -0.002, 1.5]]])
    assert dcase_rows(np.ones((1, 1), bool), directions, [7]) == "0,7,0,0,0,150\n"


def test_pauses_in_a_clip_are_no_activity():
    scene = sample_scene(replace(SCENES, activity="continuous"), "train", 0, 1)
    samples = np.zeros(3 * RATE, np.float32)
    samples[RATE : 2 * RATE] = 0.1
    active = sounding(replace(scene.objects[0], samples=samples), RATE, 0.1, 30)
    assert np.array_equal(np.flatnonzero(active), np.arange(10, 20))


def test_the_scenes_are_those_of_binaural_video(parts):
    video = BinauralVideoRecipe(settings=BinauralVideoSettings(scenes=SCENES)).sample(1)
    assert np.array_equal(video["binaural.flac"].samples, parts["binaural.flac"].samples)
    assert np.array_equal(video["masks.png"].images, parts["visible.png"].images)


def test_the_same_number_gives_the_same_bytes(parts):
    again = LocalizationRecipe(settings=LocalizationSettings(scenes=SCENES, stems=True)).sample(1)
    assert encode_sample(again, number=1, split="train") == encode_sample(parts, number=1, split="train")


def test_the_recipe_has_a_name_and_a_panorama():
    assert isinstance(make_recipe("localization"), LocalizationRecipe)
    scenes = replace(SCENES, view="panorama", duration=0.5, sources=(1.0,))
    parts = LocalizationRecipe(settings=LocalizationSettings(scenes=scenes)).sample(0)
    assert parts["ambisonics.flac"].samples.shape == (4, RATE // 2)
