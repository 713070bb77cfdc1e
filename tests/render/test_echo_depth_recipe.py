import numpy as np
import pytest

from harken.acoustics.engines.echo import EchoSettings
from harken.errors import ConfigurationError, UnknownNameError
from harken.render import RECIPES, make_recipe, read_samples, render, verify
from harken.render.encoding import decode_sample, encode_sample
from harken.render.recipes.echo_depth import EchoDepthRecipe, EchoDepthRenderSettings
from harken.vision import Camera

FAST = EchoDepthRenderSettings(
    echo=EchoSettings(rate=16_000, rays=20, image_order=1), camera=Camera(width=24, height=16), samples_per_home=4
)
"""Small and coarse."""


def recipe(**changes):
    return EchoDepthRecipe(settings=FAST, **changes)


def test_a_sample_holds_what_was_heard_and_seen():
    sample = recipe(split="val").sample(0)
    described = sample["json"]
    assert sample["flac"].samples.shape == (2, 960) and sample["flac"].rate == 16_000
    assert sample["rgb.png"].shape == (16, 24, 3) and sample["depth.npy.gz"].metres.shape == (16, 24, 1)
    assert sample["semantic.png"].max() < len(described["categories"])
    assert 0 < sample["material.png"].max() < len(described["materials"]) and described["materials"][0] == "nothing"
    assert ((sample["material.png"] > 0) == (sample["depth.npy.gz"].metres > 0)).all()
    w, x, y, z = described["quaternion_wxyz"]
    assert 2 * np.arctan2(y, w) == pytest.approx(described["heading"], abs=1e-6) and x == z == 0.0


def test_the_echo_does_not_begin_before_the_nearest_reflection():
    for number in range(3):
        sample = recipe(split="val").sample(number)
        begins = sample["json"]["nearest_echo"] * 16_000
        heard = np.abs(sample["flac"].samples).max(0)
        # Around a shaped reflection lie 2 ms of filter; a scattering thing may be nearer than the nearest mirror.
        assert heard[: int(0.4 * begins)].max(initial=0.0) < 0.1 * heard.max()


def test_a_sample_depends_on_its_number_alone_and_survives_encoding():
    def encoded(number):
        return encode_sample(recipe(split="val").sample(number), number=number, split="val")

    first = encoded(1)
    encoded(0)
    assert encoded(1) == first and encoded(2) != first
    decoded = decode_sample(first)
    np.testing.assert_allclose(decoded["depth.npy.gz"], recipe(split="val").sample(1)["depth.npy.gz"].metres, atol=6e-4)
    echo = recipe(split="val").sample(1)["flac"].samples
    np.testing.assert_allclose(decoded["flac"], echo, atol=np.abs(echo).max() * 2.0**-20)


def test_headings_are_random_unless_cardinal_ones_are_asked_for():
    cardinal = EchoDepthRecipe(
        settings=EchoDepthRenderSettings(echo=FAST.echo, camera=FAST.camera, headings="cardinal"), split="val"
    )
    quarters = np.array([cardinal.sample(n)["json"]["heading"] for n in range(8)]) / (np.pi / 2)
    np.testing.assert_allclose(quarters, np.round(quarters), atol=1e-9)
    assert len(set(quarters.round())) > 1 and set(quarters.round()) <= {0, 1, 2, 3}
    free = np.array([recipe(split="val").sample(n)["json"]["heading"] for n in range(4)]) / (np.pi / 2)
    assert np.abs(free - np.round(free)).max() > 0.02


@pytest.mark.parametrize("beyond", ["clip", "mask"])
def test_depth_beyond_the_maximum_is_clipped_or_unknown(beyond):
    near = EchoDepthRecipe(
        settings=EchoDepthRenderSettings(echo=FAST.echo, camera=FAST.camera, max_depth=2.5, beyond=beyond), split="val"
    )
    depths = np.stack([near.sample(n)["depth.npy.gz"].metres for n in range(3)])
    assert depths.max() <= np.float32(2.5)
    assert (depths == np.float32(2.5)).any() if beyond == "clip" else (depths == 0.0).any()


def test_it_renders_from_the_registry_and_verifies(tmp_path):
    assert "echo-depth" in RECIPES
    render(
        make_recipe("echo-depth", settings=FAST, split="val"), tmp_path, samples=6, samples_per_shard=4, progress=False
    )
    assert verify(tmp_path).passed
    samples = list(read_samples(tmp_path, split="val"))
    assert len(samples) == 6 and samples[0]["flac"].shape == (2, 960)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"headings": "randon"}, UnknownNameError, "Did you mean 'random'"),
        ({"beyond": "clipp"}, UnknownNameError, "Did you mean 'clip'"),
        ({"samples_per_home": 0}, ConfigurationError, "samples_per_home is 0"),
        ({"height": float("nan")}, ConfigurationError, "height is nan"),
        ({"max_depth": 100.0}, ConfigurationError, "from 0.1 to 65.5"),
    ],
)
def test_impossible_settings_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        EchoDepthRenderSettings(**changes)
