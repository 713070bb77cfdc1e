"""What two ears tell about where a sound comes from: interaural differences of time and level, band by band."""

from functools import lru_cache

import numpy as np
import scipy.fft

from harken.errors import SoundError

__all__ = [
    "BANDS",
    "LAGS",
    "LONGEST_LAG",
    "QUIETEST",
    "ears_exchanged",
    "interaural_cues",
    "onset_spectra",
    "silent_cues",
]

BANDS = ((200.0, 600.0), (600.0, 1200.0), (1200.0, 2400.0), (2400.0, 4800.0), (4800.0, 7600.0))
"""Bands of `interaural_cues` [Hz]."""

LAGS = 25
"""Number of lags of `interaural_cues`, the middle one 0."""

LONGEST_LAG = 0.75e-3
"""Greatest lag [s]; a source at one side of KEMAR's head arrives 0.7 ms later at the other ear."""

QUIETEST = -120.0
"""Level of silence [dB re 1]."""

FRAME = 0.032
"""Length of a frame in which onsets are looked for [s]."""

FAINT = 1e-4
"""Power below which a frequency counts as silent, relative to the loudest."""


def onset_spectra(waveform: np.ndarray, *, frame: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute cross-spectrum and power spectra of a binaural sound, in the moments in which it rises.

    The first wave front tells where a sound comes from, the echoes that follow do not (Wallach et al. 1949).

    Args:
        waveform: ``(2, n)`` samples, left and right, at least a frame.
        frame: Length of a frame [samples].
        hop: Distance between frames [samples], at most a quarter of a frame.

    Returns:
        ``(frame // 2 + 1,)`` complex, its phase that of the left ear relative to the right, and ``(2, frame // 2 + 1)``
        power.
    """
    frames = np.lib.stride_tricks.sliding_window_view(waveform, frame, axis=1)[:, ::hop]
    left, right = scipy.fft.rfft(frames * np.hanning(frame).astype(np.float32), axis=-1)
    energy = np.abs(left) ** 2 + np.abs(right) ** 2
    earlier = max(1, frame // 4 // hop)
    before = np.concatenate([10 * energy[:1], *[energy[:1]] * (earlier - 1), energy[:-earlier]])[: len(energy)]
    rising = np.maximum(energy - 1.2 * before, 0.0) / (before + 0.02 * energy.max(0) + 1e-20) + 1e-3
    cross = (rising * left * right.conj()).sum(0)
    return cross, np.stack([(rising * np.abs(ear) ** 2).sum(0) for ear in (left, right)])


def interaural_cues(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Compute interaural differences, which tell the direction of a sound whatever sounds.

    For each band, the correlation of the two ears over lags, each frequency weighed by its coherence (a generalised
    cross-correlation, Knapp and Carter 1976) and by how much the sound rises; then the level difference and the level.
    A sound from the left arrives at the left ear first and has its maximum at a positive lag.

    Args:
        waveform: ``(2, n)`` samples, left and right, at least 32 ms.
        rate: Sampling rate [Hz].

    Returns:
        ``(len(BANDS), LAGS + 2)`` float32: correlations at lags from −`LONGEST_LAG` to `LONGEST_LAG`, -1 to 1; level of
        the left ear minus that of the right [dB]; level of both [dB re 1], `QUIETEST` in silence. Silent bands, and
        those above half the sampling rate, have correlations and differences of 0.

    Raises:
        SoundError: The waveform has another shape, or is shorter.
    """
    frame = round(FRAME * rate)
    if waveform.ndim != 2 or waveform.shape[0] != 2 or waveform.shape[1] < frame:
        raise SoundError(
            f"A sound of shape {waveform.shape} has no interaural cues; expected (2, samples) with {frame} or more."
        )
    result = silent_cues()
    level = np.square(waveform, dtype=np.float32).mean()
    if level <= 10 ** (QUIETEST / 10):
        return result
    cross, power = onset_spectra(waveform, frame=frame, hop=frame // 4)
    both = power.sum(0)
    heard = both > FAINT * both.max()
    coherence = np.where(heard, cross / np.sqrt(power[0] * power[1] + 1e-30), 0.0)
    for row, (first, last, shifts) in zip(result, _band_shifts(rate), strict=True):
        count = int(heard[first:last].sum())
        if count:
            ears = power[:, first:last].sum(1)
            row[:LAGS] = (coherence[first:last] @ shifts).real / count
            row[LAGS] = 10 * np.log10((ears[0] + 1e-20) / (ears[1] + 1e-20))
            row[LAGS + 1] = max(QUIETEST, 10 * np.log10(level * ears.sum() / both.sum()))
    return result


def silent_cues() -> np.ndarray:
    """Return the cues of silence, see `interaural_cues`."""
    cues = np.zeros((len(BANDS), LAGS + 2), np.float32)
    cues[:, -1] = QUIETEST
    return cues


def ears_exchanged(cues: np.ndarray) -> np.ndarray:
    """Return the cues of the same sound with left and right exchanged, see `interaural_cues`."""
    return np.concatenate([cues[:, LAGS - 1 :: -1], -cues[:, LAGS : LAGS + 1], cues[:, LAGS + 1 :]], axis=1)


@lru_cache(maxsize=8)
def _band_shifts(rate: int) -> tuple[tuple[int, int, np.ndarray], ...]:
    """Return, for each band, its first bin, the bin after its last, and what each lag does to the phase of each bin."""
    frequencies = scipy.fft.rfftfreq(round(FRAME * rate), 1 / rate)
    lags = np.linspace(-LONGEST_LAG, LONGEST_LAG, LAGS)
    bands = [np.searchsorted(frequencies, band) for band in BANDS]
    return tuple(
        (int(a), int(b), np.exp(-2j * np.pi * frequencies[a:b, None] * lags).astype(np.complex64)) for a, b in bands
    )
