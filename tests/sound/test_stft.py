import numpy as np
import pytest

from harken.errors import ConfigurationError, SoundError
from harken.sound.stft import stft


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize(("n_fft", "hop", "window"), [(512, 160, 400), (1023, 512, 1023), (64, 16, 63)])
def test_is_that_of_torch_which_is_librosas(padding, n_fft, hop, window):
    torch = pytest.importorskip("torch", reason="torch.stft is the reference")
    samples = np.random.default_rng(0).standard_normal((2, 5000))
    expected = torch.stft(
        torch.from_numpy(samples),
        n_fft,
        hop_length=hop,
        win_length=window,
        window=torch.hann_window(window, periodic=True, dtype=torch.float64),
        center=True,
        pad_mode="reflect" if padding == "reflect" else "constant",
        return_complex=True,
    ).numpy()
    found = stft(samples, n_fft=n_fft, hop=hop, window=window, padding=padding)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_one_second_at_16_khz_has_the_published_sizes():
    second = np.ones(16000)
    assert stft(second, n_fft=1023, hop=512, window=1023).shape == (512, 32)
    assert stft(second[:10080]).shape == (257, 64)


@pytest.mark.parametrize(
    ("waveform", "settings", "error", "message"),
    [
        (np.zeros((2, 0)), {}, SoundError, "not empty"),
        (np.float64(1.0), {}, SoundError, "shape"),
        (np.array([0.0, np.nan] * 400), {}, SoundError, "finite"),
        (np.ones(800) * 1j, {}, SoundError, "complex128"),
        (np.ones(256), {}, SoundError, "more than 256 samples"),
        (np.ones(800), {"window": 513}, ConfigurationError, "window 513"),
        (np.ones(800), {"hop": 0}, ConfigurationError, "hop 0"),
        (np.ones(800), {"padding": "wrap"}, ConfigurationError, "padding 'wrap'"),
    ],
)
def test_bad_input(waveform, settings, error, message):
    with pytest.raises(error, match=message):
        stft(waveform, **settings)
