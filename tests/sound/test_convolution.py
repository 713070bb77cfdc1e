import numpy as np
import pytest
from scipy.signal import fftconvolve

from harken.errors import ConfigurationError
from harken.sound.convolution import StreamingConvolver


def stream(clip, responses, block, **options):
    convolver = StreamingConvolver(clip, block, **options)
    return np.concatenate([convolver.advance(response) for response in responses], axis=1)


@pytest.mark.parametrize(
    ("block", "length"),
    [(1, 1), (1, 99), *[(block, length) for block in (100, 250, 4000) for length in (1, 99, 1600, 9000)]],
)
def test_a_fixed_response_gives_the_convolution_of_the_whole_stream(block, length):
    rng = np.random.default_rng(0)
    clip, response = np.float32(rng.normal(size=777)), np.float32(rng.normal(size=(2, length)))
    count = 60 if block == 1 else max(3, 12_000 // block)
    heard = stream(clip, [response] * count, block, offset=50)
    played = np.resize(np.roll(clip, -50), count * block)
    expected = np.stack([fftconvolve(played, channel)[: count * block] for channel in response])
    np.testing.assert_allclose(heard, expected, atol=2e-4 * np.abs(expected).max())


def test_the_output_is_the_same_whatever_the_block():
    rng = np.random.default_rng(1)
    clip, response = np.float32(rng.normal(size=500)), np.float32(rng.normal(size=(2, 800)))
    short, long = stream(clip, [response] * 40, 100), stream(clip, [response] * 4, 1000)
    np.testing.assert_allclose(short, long, atol=1e-3)


def test_a_change_of_response_fades_over_and_does_not_click():
    t = np.arange(8000) / 16_000
    clip = np.float32(np.sin(2 * np.pi * 500 * t))
    one, other = np.zeros((1, 10), np.float32), np.zeros((1, 10), np.float32)
    one[0, 0], other[0, 5] = 1.0, -0.5
    heard = stream(clip, [one, one, other, other], 4000, fade=800)[0]
    steepest = np.abs(np.diff(heard)).max()
    assert steepest <= 1.01 * np.abs(np.diff(clip)).max(), "no jump is steeper than the sine itself"
    expected = -0.5 * np.roll(np.resize(clip, 16_000), 5)
    np.testing.assert_allclose(heard[8000 + 800 :], expected[8000 + 800 :], atol=1e-5)


def test_a_source_sounds_only_from_its_onset_to_its_end():
    response = np.ones((1, 1), np.float32)
    heard = stream(np.ones(10, np.float32), [response] * 5, 100, sounding=(150, 320))[0]
    # The transforms round to about 1e-7 of the loudest sample.
    np.testing.assert_allclose(np.r_[heard[:150], heard[320:]], 0.0, atol=1e-6)
    np.testing.assert_allclose(heard[150:320], 1.0, atol=1e-5)


def test_a_longer_response_than_before_finds_the_history_that_was_heard():
    rng = np.random.default_rng(2)
    clip = np.float32(rng.normal(size=400))
    short, long = np.float32(rng.normal(size=(1, 50))), np.float32(rng.normal(size=(1, 350)))
    convolver = StreamingConvolver(clip, 100, fade=10)
    for response in (long, short, long):
        last = convolver.advance(response)
    expected = fftconvolve(clip[:300], long[0])[200:300]
    np.testing.assert_allclose(last[0, 10:], expected[10:], atol=1e-3)


@pytest.mark.parametrize("blocks", [2, 5, 9])
def test_a_response_longer_than_any_before_is_heard_with_its_whole_history(blocks):
    rng = np.random.default_rng(3)
    clip = np.float32(rng.normal(size=330))
    short, long = np.float32(rng.normal(size=(2, 50))), np.float32(rng.normal(size=(2, 1250)))
    convolver = StreamingConvolver(clip, 100, offset=20, fade=10, sounding=(40, np.inf))
    for response in [short] * blocks + [long]:
        last = convolver.advance(response)
    played = np.resize(np.roll(clip, -20), 100 * (blocks + 1))
    played[:40] = 0.0
    for channel, heard in zip(long, last, strict=True):
        np.testing.assert_allclose(heard[10:], fftconvolve(played, channel)[100 * blocks :][10:100], atol=1e-3)


def test_the_first_samples_go_from_the_old_response_to_the_new():
    rng = np.random.default_rng(4)
    clip = np.float32(rng.normal(size=300))
    one, other = (np.float32(rng.normal(size=(2, 250))) for _ in range(2))
    convolver = StreamingConvolver(clip, 100, fade=60)
    for response in (one, one, one, other):
        last = convolver.advance(response)
    played = np.resize(clip, 400)
    before, after = (
        np.stack([fftconvolve(played, channel)[300:400] for channel in response]) for response in (one, other)
    )
    share = np.r_[np.arange(1, 61) / 61, np.ones(40)]
    np.testing.assert_allclose(last, share * after + (1 - share) * before, atol=1e-3)


@pytest.mark.parametrize(("clip", "block"), [(np.zeros(0, np.float32), 10), (np.ones(5, np.float32), 0)])
def test_an_empty_clip_or_block_is_refused(clip, block):
    with pytest.raises(ConfigurationError, match="must be positive"):
        StreamingConvolver(clip, block)
