import numpy as np
import pytest
from scipy.signal import fftconvolve

from harken.sound.delay_lines import DelayLines, add_gliding
from harken.sound.stream import Stream

RATE = 16_000


def lines(delay, gain=1.0, own=(1.0,), taps=((1.0,),)):
    """One path to as many channels as there are `taps`, each a filter of energy one."""
    own, taps = np.array([own], np.float32), np.array([taps], np.float32)
    channels = taps.shape[1]
    return DelayLines(
        own=own,
        own_heard=np.array([[0, own.shape[1]]]),
        taps=taps,
        heard=np.tile([0, taps.shape[2]], (1, channels, 1)),
        gain=np.broadcast_to(np.array(gain, float), (1, channels)).copy(),
        delay=np.broadcast_to(np.array(delay, float), (1, channels)).copy(),
    )


NOTHING = DelayLines(*(part[:0] for part in lines(0.0)))


def tone(frequency, seconds=4.0):
    return Stream(clip=np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE).astype(np.float32))


def heard(stream, start, before, after, block=4000, pairs=((0, 0),)):
    out = np.zeros((max(before.gain.shape[1], after.gain.shape[1]), block), np.float32)
    add_gliding(stream, start, before, after, np.array(pairs), out)
    return out


@pytest.mark.parametrize("frequency", [200.0, 1000.0, 4000.0])
@pytest.mark.parametrize("change", [0.0, 12.0, -12.0, 350.0, -1100.0])
def test_what_is_heard_left_the_source_the_delay_of_its_arrival_ago(frequency, change):
    out = heard(tone(frequency), 20_000, lines(1500.3), lines(1500.3 + change))[0]
    delay = 1500.3 + change * np.arange(4000) / 4000
    exact = np.sin(2 * np.pi * frequency * (20_000 + np.arange(4000) - delay) / RATE)
    assert 20 * np.log10(np.abs(out - exact).max()) < -50.0


def test_a_path_at_rest_is_the_convolution_with_its_filters():
    rng = np.random.default_rng(0)
    clip, own, taps = (rng.normal(size=size).astype(np.float32) for size in (777, 130, (2, 40)))
    path = lines((300.0, 310.0), (0.5, -2.0), own, taps)
    for block in (1, 37, 4000):
        out = heard(Stream(clip=clip, offset=50), 9000, path, path, block)
        stream = np.resize(np.roll(clip, -50), 9000 + block)
        for c, (delay, gain) in enumerate(((300, 0.5), (310, -2.0))):
            expected = gain * fftconvolve(stream, fftconvolve(own, taps[c]))[9000 - delay : 9000 + block - delay]
            np.testing.assert_allclose(out[c], expected, atol=2e-5 * np.abs(expected).max() + 1e-3)


def test_blocks_follow_one_another_without_a_seam():
    way = [lines(delay, gain) for delay, gain in ((400.0, 1.0), (388.0, 0.8), (388.0, 0.8), (410.0, 0.3))]
    out = np.concatenate([heard(tone(3000.0), 8000 + 4000 * i, *way[i : i + 2])[0] for i in range(3)])
    frames = np.lib.stride_tricks.sliding_window_view(out, 512)[::64] * np.blackman(512)
    spectra = np.abs(np.fft.rfft(frames))
    beside = np.abs(np.fft.rfftfreq(512, 1 / RATE) - 3000.0) > 300.0
    assert 20 * np.log10(spectra[:, beside].max() / spectra.max()) < -55.0


def test_a_path_that_appears_or_ends_fades_where_it_is():
    clip = np.ones(100, np.float32)
    comes = heard(Stream(clip=clip), 5000, NOTHING, lines(200.0), pairs=[(-1, 0)])[0]
    goes = heard(Stream(clip=clip), 5000, lines(200.0), NOTHING, pairs=[(0, -1)])[0]
    # The windowed sinc passes a constant to within half a per cent.
    np.testing.assert_allclose(comes, np.arange(4000) / 4000, atol=6e-3)
    np.testing.assert_allclose(goes, 1.0 - np.arange(4000) / 4000, atol=6e-3)


def test_a_sound_is_heard_from_its_onset_to_its_end():
    stream = Stream(clip=np.ones(10, np.float32), sounding=(1000, 2000))
    out = heard(stream, 0, lines(500.0), lines(500.0))[0]
    np.testing.assert_allclose(np.r_[out[: 1500 - 16], out[2500 + 16 :]], 0.0, atol=1e-6)
    np.testing.assert_allclose(out[1500 + 16 : 2500 - 16], 1.0, atol=6e-3)


def test_channels_at_one_point_differ_by_their_gains_alone():
    together = heard(tone(500.0), 9000, *(lines(d, (1.0, -0.5), taps=((1.0,), (1.0,))) for d in (300.0, 280.0)))
    np.testing.assert_allclose(together[1], -0.5 * together[0], atol=1e-6)


def test_a_gain_that_changes_its_sign_passes_zero_steadily():
    out = heard(Stream(clip=np.ones(10, np.float32)), 9000, lines(50.0, 1.0), lines(50.0, -1.0))[0]
    np.testing.assert_allclose(out, 1.0 - np.arange(4000) / 2000, atol=6e-3)


def test_no_path_is_silence():
    out = heard(tone(500.0), 0, lines(0.0, gain=0.0), lines(0.0, gain=0.0))
    assert not out.any()
