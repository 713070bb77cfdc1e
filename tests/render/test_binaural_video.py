"""The recipe binaural-video: what is seen left is heard left, stems sum, masks lie where positions say."""

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from harken.acoustics import AcousticSettings
from harken.configs import from_mapping, to_mapping
from harken.errors import ConfigurationError, DataSetError, SoundError, UnknownNameError
from harken.render.encoding import decode_sample, encode_sample
from harken.render.recipe import Recipe, make_recipe
from harken.render.recipes.binaural_video import BinauralVideoRecipe, BinauralVideoSettings, mirrored
from harken.render.scenes import SceneSettings, sample_scene
from harken.scene import HomeConfig

RATE = 16000
HOMES = HomeConfig(rooms=(3, 3), area=(40.0, 60.0))
SMALL = SceneSettings(
    width=96,
    height=48,
    duration=1.0,
    radius=0.25,
    smallest=4,
    homes=HOMES,
    acoustics=AcousticSettings(rays=300, waypoint_rays=50, duration=0.3, image_order=1),
)


def recipe(every_depth: bool = False, exact_frames: bool = False, **changes: Any) -> BinauralVideoRecipe:
    scenes = replace(SMALL, **changes)
    settings = BinauralVideoSettings(scenes=scenes, every_depth=every_depth, exact_frames=exact_frames)
    return BinauralVideoRecipe(settings=settings)


def level_difference(sound: np.ndarray) -> float:
    """Return how much louder the left channel is, over the whole sound [dB]."""
    return float(10 * np.log10(np.square(sound[0]).sum() / np.square(sound[1]).sum()))


def lag(sound: np.ndarray) -> int:
    """Return by how many samples the left channel is earlier, over the whole sound below 700 Hz."""
    spectra = np.fft.rfft(sound, 2 * sound.shape[1])
    spectra[:, round(1400 / RATE * sound.shape[1]) :] = 0
    both = np.fft.irfft(spectra[1] * spectra[0].conj())
    return int(np.argmax(np.concatenate([both[-12:], both[:13]]))) - 12


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> list[dict[str, Any]]:
    """Samples with one ball at rest that makes noise, whose delay between the ears is unambiguous."""
    folder = tmp_path_factory.mktemp("clips")
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    soundfile.write(folder / "noise.wav", noise, RATE, subtype="FLOAT")
    made = recipe(clips=str(folder), sources=(1.0,), moving=0.0, furniture=0.0, distance=(0.5, 1.0))
    return [made.sample(number) for number in range(8)]


@pytest.fixture(scope="module")
def several() -> dict[str, Any]:
    """A sample with two moving balls, and depth of all images."""
    return recipe(every_depth=True, exact_frames=True, sources=(0.0, 1.0), moving=1.0, furniture=0.0).sample(0)


def test_what_is_seen_left_is_louder_and_earlier_in_the_left_ear_and_right_in_the_mirror(single):
    sides, lags = set(), []
    for parts in single:
        x, azimuth = parts["pixels.npy"][0, 0, 0] / parts["mp4"].frames.shape[2], parts["directions.npy"][0, 0, 0]
        assert (x < 0.5) == (azimuth > 0)
        if abs(azimuth) < math.radians(8):
            continue
        side = 1 if x < 0.5 else -1
        sides.add(side)
        sound, other = parts["binaural.flac"].samples, mirrored(parts)
        turned = other["binaural.flac"].samples
        assert side * level_difference(sound) > 0.5 and side * level_difference(turned) < -0.5
        # Reverberation moves the delay of single samples by one or two; ten degrees make about two.
        lags.append(side * lag(sound))
        assert lags[-1] == -side * lag(turned) and (lags[-1] >= 2 or abs(azimuth) < math.radians(15))
        columns = np.nonzero(other["masks.png"].images[0, :, :, 0])[1]
        assert side * (columns.mean() / other["mp4"].frames.shape[2] - 0.5) > 0
        assert side * parts["directions.npy"][0, 0, 0] > 0 > side * other["directions.npy"][0, 0, 0]
    assert sides == {1, -1} and np.mean(lags) >= 3


def test_the_mirror_of_the_mirror_is_the_sample(single):
    parts = single[0]
    twice = mirrored(mirrored(parts))
    assert np.array_equal(twice["binaural.flac"].samples, parts["binaural.flac"].samples)
    assert np.array_equal(twice["mp4"].frames, parts["mp4"].frames)
    assert np.allclose(twice["pixels.npy"], parts["pixels.npy"], atol=1e-4)
    assert "positions.npy" not in twice and "home" not in twice["json"]


def test_stems_sum_to_the_mixture_and_both_ears_to_mono(several):
    stems = sum(several[f"stem_{k}.flac"].samples.astype(np.float64) for k in range(2))
    assert np.abs(stems - several["binaural.flac"].samples).max() < 1e-6
    assert np.abs(several["binaural.flac"].samples.sum(0) - several["mono.flac"].samples[0]).max() < 1e-6
    assert several["binaural.flac"].samples.shape == (2, RATE)


def test_masks_lie_where_positions_are_projected_and_agree_with_depth(several):
    masks, depth = several["masks.png"].images[..., 0], several["depth.npy.gz"].metres[..., 0]
    pixels, distance = several["pixels.npy"], several["directions.npy"][..., 2]
    checked = 0
    for k in range(2):
        for frame in range(len(masks)):
            rows, columns = np.nonzero(masks[frame] == k + 1)
            if several["visible.npy"][k, frame] < 1.0 or not several["in_view.npy"][k, frame]:
                continue
            middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
            # A ball off the axis appears as an ellipse, whose middle lies a little outside that of the ball.
            assert np.linalg.norm(middle - pixels[k, frame]) < 2.0
            assert masks[frame][int(pixels[k, frame, 1]), int(pixels[k, frame, 0])] == k + 1
            assert depth[frame][rows, columns].max() < distance[k, frame]
            checked += 1
    assert checked > 5


def test_images_change_only_where_balls_are_or_were(several):
    frames, masks = several["frames.png"].images, several["masks.png"].images[..., 0]
    for frame in range(1, len(frames)):
        changed = (frames[frame] != frames[0]).any(-1)
        assert not changed[(masks[frame] == 0) & (masks[0] == 0)].any()
    assert (several["positions.npy"][:, 0] != several["positions.npy"][:, -1]).any(-1).all()


def test_a_ball_behind_another_is_occluded():
    from harken.render.recipes.footage import film
    from harken.sim import Trajectory, forward_vector

    scene = sample_scene(replace(SMALL, sources=(0.0, 1.0), moving=0.0, furniture=0.0), "train", 0, 0)
    ahead = forward_vector(scene.heading)
    near, far = (
        replace(one, trajectory=Trajectory(times=np.zeros(1), positions=(scene.eye + way * ahead)[None]))
        for one, way in zip(scene.objects, (0.6, 0.9), strict=True)
    )
    for objects, hidden in (((near, far), 1), ((far, near), 0)):
        seen = film(replace(scene, objects=objects), every_depth=True)
        assert seen.visible[1 - hidden, 0] == 1.0 and seen.visible[hidden, 0] < 0.5
        assert seen.occluded[:, 0].tolist() == [k == hidden for k in range(2)]
        row, column = SMALL.height // 2, SMALL.width // 2
        assert seen.masks[0, row, column, 0] == 2 - hidden
        assert abs(seen.depth[0, row, column, 0] - (0.6 - SMALL.radius)) < 0.02


def test_furniture_is_masked_by_its_instance_and_sounds_of_its_category():
    made = recipe(sources=(1.0,), furniture=1.0, moving=0.0)
    found = 0
    for number in range(6):
        parts = made.sample(number)
        one = parts["json"]["objects"][0]
        if one["kind"] != "furniture":
            continue
        scene = sample_scene(made.settings.scenes, "train", 0, number)
        seen = scene.world.renderer.observe(scene.settings.camera, scene.eye, scene.heading, channels=("instance",))
        thing = next(t for t in scene.world.scene.objects if t.instance == one["instance"])
        assert np.array_equal(parts["masks.png"].images[0] == 1, seen["instance"] == one["instance"])
        assert thing.category == one["category"] and not one["moves"]
        assert (thing.lower - 0.1 <= parts["positions.npy"][0, 0]).all()
        assert (parts["positions.npy"][0, 0] <= thing.upper + 0.1).all()
        column, row = parts["pixels.npy"][0, 0]
        assert parts["masks.png"].images[0, int(row), int(column), 0] == 1
        found += 1
    assert found > 0


def test_the_intensity_of_a_panorama_points_to_the_source():
    made = recipe(view="panorama", sources=(1.0,), moving=0.0, furniture=0.0)
    for number in range(3):
        parts = made.sample(number)
        assert parts["ambisonics.flac"].samples.shape == (4, RATE)
        assert np.array_equal(parts["mono.flac"].samples[0], parts["ambisonics.flac"].samples[0])
        azimuth, elevation, distance = parts["directions.npy"][0, 0]
        first = round(distance / 343.5 * RATE)
        w, y, z, x = parts["response_0.wav"].samples[:, first - 8 : first + 9].astype(np.float64)
        vector = np.array([w @ x, w @ y, w @ z])
        assert abs(math.remainder(math.atan2(vector[1], vector[0]) - azimuth, 2 * math.pi)) < math.radians(3)
        assert abs(math.atan2(vector[2], math.hypot(vector[0], vector[1])) - elevation) < math.radians(3)
        column = parts["pixels.npy"][0, 0, 0] / SMALL.width
        assert abs(math.remainder((0.5 - column) * 2 * math.pi - azimuth, 2 * math.pi)) < 1e-3
        left = mirrored(parts)["ambisonics.flac"].samples
        assert np.array_equal(left[1], -parts["ambisonics.flac"].samples[1]) and np.array_equal(
            left[[0, 2, 3]], parts["ambisonics.flac"].samples[[0, 2, 3]]
        )


def test_the_same_number_gives_the_same_bytes_whatever_was_made_before():
    scenes = replace(SMALL, duration=0.5)
    used = BinauralVideoRecipe(settings=BinauralVideoSettings(scenes=scenes))
    used.sample(1)
    again = pickle.loads(pickle.dumps(used))
    first, second = used.sample(0), again.sample(0)
    encoded = [encode_sample(parts, number=0, split="train") for parts in (first, second)]
    assert encoded[0] == encoded[1]
    assert encode_sample(used.sample(2), number=2, split="train") != encoded[0]
    assert isinstance(used, Recipe)


def test_every_part_can_be_written_and_read(several):
    read = decode_sample(encode_sample(several, number=0, split="train"))
    assert np.array_equal(read["masks.png"], several["masks.png"].images)
    assert np.array_equal(read["frames.png"], several["frames.png"].images)
    assert np.abs(read["depth.npy.gz"] - several["depth.npy.gz"].metres).max() <= 0.00051
    assert read["mp4"].shape == several["mp4"].frames.shape
    assert np.abs(read["binaural.flac"] - several["binaural.flac"].samples).max() < 1e-6
    assert read["json"]["frame_rate"] == 10.0 and len(read["json"]["objects"]) == 2


def test_a_clip_that_is_too_short_repeats_and_a_silent_one_is_refused(tmp_path: Path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE // 5)
    soundfile.write(tmp_path / "buzz.wav", noise, RATE, subtype="FLOAT")
    made = recipe(clips=str(tmp_path), sources=(1.0,), moving=0.0, level_range=0.0)
    scene = sample_scene(made.settings.scenes, "train", 0, 0)
    period = len(noise)
    assert np.array_equal(scene.objects[0].samples[period : 2 * period], scene.objects[0].samples[:period])
    other = tmp_path / "silent"
    other.mkdir()
    soundfile.write(other / "nothing.wav", np.zeros(RATE), RATE, subtype="FLOAT")
    with pytest.raises(SoundError, match="silent"):
        recipe(clips=str(other), sources=(1.0,)).sample(0)


def test_what_does_not_fit_into_the_view_is_said_after_some_tries():
    with pytest.raises(DataSetError, match=r"in 2 places of the camera.*did not fit.*smallest"):
        recipe(smallest=48 * 96, attempts=2).sample(0)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"width": 16}, ConfigurationError),
        ({"height": 8}, ConfigurationError),
        ({"view": "fisheye"}, UnknownNameError),
        ({"activity": "sometimes"}, UnknownNameError),
        ({"sources": (0.5, 0.2)}, ConfigurationError),
        ({"duration": 0.1, "frame_rate": 1.0}, ConfigurationError),
        ({"duration": 600.0, "width": 2048, "height": 1024}, ConfigurationError),
        ({"speed": (2.0, 1.0)}, ConfigurationError),
        ({"distance": (0.0, 1.0)}, ConfigurationError),
        ({"field_of_view": 4.0}, ConfigurationError),
        ({"attempts": 0}, ConfigurationError),
        ({"furniture": math.nan}, ConfigurationError),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], error: type[Exception]):
    with pytest.raises(error):
        SceneSettings(**changes)


def test_settings_survive_yaml_and_the_recipe_has_a_name():
    settings = BinauralVideoSettings(scenes=SMALL, dry=True)
    assert from_mapping(BinauralVideoSettings, to_mapping(settings)) == settings
    assert isinstance(make_recipe("binaural-video"), BinauralVideoRecipe)
