import numpy as np
import pytest

from harken.errors import ConfigurationError, SoundError
from harken.sound import Spectrogram, spectrogram, spectrogram_shape


def straightforward(waveform, settings):
    """The definition, frame by frame in float64: window, Fourier sum, blocks filled up with zeros."""
    n_fft, hop, length, block = settings.n_fft, settings.hop, settings.window, settings.downsample
    window = np.zeros(n_fft)
    before = (n_fft - length) // 2
    window[before : before + length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    mode = {"zeros": "constant", "reflect": "reflect"}[settings.padding]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft)
    channels = []
    for row in np.float64(waveform):
        padded = np.pad(row, n_fft // 2, mode=mode)
        frames = [padded[k * hop : k * hop + n_fft] * window for k in range(len(row) // hop + 1)]
        magnitude = np.abs(turns @ np.array(frames).T)
        magnitude = np.pad(magnitude, [(0, -size % block) for size in magnitude.shape])
        bands, columns = (size // block for size in magnitude.shape)
        means = [
            [magnitude[i * block : (i + 1) * block, j * block : (j + 1) * block].mean() for j in range(columns)]
            for i in range(bands)
        ]
        channels.append(np.log1p(means) if settings.logarithm else means)
    return np.stack(channels, axis=-1)


SETTINGS = [
    Spectrogram(),
    Spectrogram(padding="reflect"),
    Spectrogram(downsample=1),
    Spectrogram(downsample=1, logarithm=False),
    Spectrogram(n_fft=256, hop=100, window=255, downsample=3),
    Spectrogram(n_fft=511, hop=128, window=300, downsample=2),
    Spectrogram(n_fft=1024, hop=512, window=1024, downsample=5),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("samples", [6000, 4321, 600])
def test_equals_the_definition(settings, samples):
    rng = np.random.default_rng(samples)
    waveform = np.float32(rng.standard_normal((2, samples)))
    found = spectrogram(waveform, settings)
    assert found.dtype == np.float32
    # Float32 transforms of unit noise: a magnitude of some 20 is wrong by some 1e-7 of itself, one near 0 by as much.
    np.testing.assert_allclose(found, straightforward(waveform, settings), atol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS[:4], ids=str)
@pytest.mark.parametrize("sounding", [(0, 300), (0, 4000), (3000, 3001), (5900, 9000), (15900, 16000), (0, 0)], ids=str)
def test_skipping_silent_frames_changes_nothing(settings, sounding):
    start, end = sounding
    waveform = np.zeros((2, 16000), np.float32)
    waveform[0, start:end] = 0.1 * np.random.default_rng(1).standard_normal(end - start)
    waveform[1, start : (start + end) // 2] = 0.1
    np.testing.assert_allclose(spectrogram(waveform, settings), straightforward(waveform, settings), atol=2e-6)


@pytest.mark.parametrize(("samples", "shape"), [(16000, (65, 26, 2)), (44100, (65, 69, 2)), (1, (65, 1, 2))])
def test_shapes_of_soundspaces(samples, shape):
    assert spectrogram(np.ones((2, samples), np.float32)).shape == shape
    assert spectrogram_shape(samples) == shape


def test_shape_follows_settings_and_channels():
    settings = Spectrogram(n_fft=1023, hop=512, window=1023, downsample=1)
    assert spectrogram_shape(16000, channels=1, settings=settings) == (512, 32, 1)
    assert spectrogram(np.ones((1, 16000)), settings).shape == (512, 32, 1)


def test_a_tone_shows_at_its_frequency():
    tone = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000)
    found = spectrogram(np.stack([tone, 0 * tone]))
    # 2,000 Hz is bin 64 of 31.25 Hz: the 17th block of four.
    assert found[:, 12, 0].argmax() == 16
    assert not found[..., 1].any()


def test_a_louder_ear_has_larger_values():
    noise = np.random.default_rng(2).standard_normal(16000) * 0.05
    left, right = np.moveaxis(spectrogram(np.stack([noise, 2 * noise])), -1, 0)
    assert (right > left).all()
    np.testing.assert_allclose(np.expm1(right), 2 * np.expm1(left), rtol=1e-4, atol=1e-6)


def test_same_input_same_bytes():
    waveform = np.random.default_rng(3).standard_normal((2, 16000))
    assert spectrogram(waveform).tobytes() == spectrogram(waveform).tobytes()


def test_strided_and_double_input_is_accepted():
    waveform = np.random.default_rng(4).standard_normal((16000, 2))
    np.testing.assert_array_equal(spectrogram(waveform.T), spectrogram(np.float32(waveform.T).copy()))


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(16000), r"expected \(channels, samples\)"),
        (np.zeros((2, 0)), "neither 0"),
        (np.zeros((0, 100)), "neither 0"),
        (np.zeros((1, 2, 100)), r"\(1, 2, 100\)"),
        (np.full((2, 1000), np.nan), "2000 of 2000 samples are NaN"),
        (np.where(np.eye(2, 1000, 500) > 0, np.inf, 0.1), "2 of 2000 samples are NaN or infinite"),
    ],
    ids=["mono", "empty", "no channel", "three axes", "nan", "infinite"],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_bad_waveforms_are_refused(waveform, message):
    with pytest.raises(SoundError, match=message):
        spectrogram(waveform)


def test_reflection_needs_a_waveform_longer_than_half_a_frame():
    with pytest.raises(SoundError, match="more than 256 samples, got 256"):
        spectrogram(np.ones((2, 256)), Spectrogram(padding="reflect"))
    assert spectrogram(np.ones((2, 257)), Spectrogram(padding="reflect")).shape == (65, 1, 2)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_fft": 0}, "n_fft is 0"),
        ({"hop": -1}, "hop is -1"),
        ({"window": 600}, "window 600 is longer than n_fft 512"),
        ({"downsample": 1.5}, "downsample is 1.5"),
        ({"padding": "mirror"}, "padding 'mirror'"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(setting, message):
    with pytest.raises(ConfigurationError, match=message):
        Spectrogram(**setting)
