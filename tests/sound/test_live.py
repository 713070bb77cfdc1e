import numpy as np
import pytest

from harken.errors import SoundError
from harken.sound.live import AHEAD, LiveSound

RATE, STEP, FADE = 16_000, 4_000, 160


def tone(frequency, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)).astype(np.float32)


def played(steps, length=40 * STEP):
    """Return all that steps of (clip, gain, offset) wrote, in time."""
    live = LiveSound(length, fade=FADE)
    for clip, gain, offset in steps:
        live.play(clip, STEP, gain=gain, offset=offset)
    return live.ring[: len(steps) * STEP + AHEAD]


def test_changes_of_clip_level_and_silence_do_not_click():
    """No step from sample to sample is greater than those of the tones and that of the crossfade together."""
    low, high = tone(200.0), tone(310.0)
    heard = played([(low, 1, 0), (high, 1, 0), (high, 0.25, 0), (low, 0, 0), (low, 1, 0), (high, 0.5, 0), (high, 0, 0)])
    steepest = 0.5 * 2 * np.sin(np.pi * 310.0 / RATE)  # of the tones
    assert np.abs(np.diff(heard)).max() <= steepest + 2 * 0.5 / FADE
    assert np.abs(heard).max() <= 0.5 + 1e-6


def test_a_clip_runs_on_while_another_is_heard():
    low, high = tone(200.0), tone(310.0)
    heard = played([(low, 1, 0), (high, 1, 0), (low, 1, 0)])
    time = np.arange(AHEAD + 2 * STEP + FADE, AHEAD + 3 * STEP)
    assert np.array_equal(heard[time], low[time % RATE])


def test_what_does_not_change_is_the_clip_itself_from_its_offset_on():
    clip, steps = np.random.default_rng(0).normal(size=5000).astype(np.float32), [(None, 0.5, 77)] * 5
    heard = played([(clip.copy(), gain, offset) for _, gain, offset in steps])
    time = np.arange(AHEAD + FADE, len(heard))
    assert np.array_equal(heard[time], np.float32(0.5) * clip[(time + 77) % 5000])
    assert not heard[:AHEAD].any()


def test_the_ring_holds_the_last_of_a_long_sound():
    clip = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    live, length = LiveSound(3 * STEP, fade=FADE), 3 * STEP
    ring = live.ring
    for _ in range(10):
        live.play(clip, STEP)
    time = np.arange(10 * STEP + AHEAD - length, 10 * STEP + AHEAD)
    assert live.ring is ring and np.array_equal(ring[time % length], clip[time % 5000])


@pytest.mark.parametrize("samples", [FADE - 1, 3 * STEP])
def test_a_step_that_does_not_fit_is_an_error(samples):
    with pytest.raises(SoundError, match="crossfade"):
        LiveSound(3 * STEP, fade=FADE).play(tone(200.0), samples)
