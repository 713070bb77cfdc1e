"""Levels: root mean square, decibels and sound pressure level.

Sound in Harken is pressure relative to 1 at 1 m from the source in the free field. Where a level in pascals is wanted,
one unit is one pascal: a clip of RMS 0.1, the level of the built-in clips, then has 74 dB SPL at 1 m, a raised voice.
"""

from typing import Any

import numpy as np

from harken.errors import SoundError

__all__ = [
    "CLIP_RMS",
    "LOUDEST",
    "REFERENCE_PRESSURE",
    "a_weighting",
    "active_part",
    "active_rms",
    "active_runs",
    "amplitude",
    "as_pressure",
    "decibels",
    "rms",
    "sound_pressure_level",
]

REFERENCE_PRESSURE: float = 20e-6
"""Sound pressure of 0 dB SPL in air [Pa] (ISO 1683)."""

CLIP_RMS: float = 0.1
"""RMS of the built-in clips over their active part."""

LOUDEST: float = 1000.0
"""Greatest sample of a sound that `as_pressure` takes: 154 dB SPL where one unit is one pascal. Integers stored as
floats lie above it, and squares of what lies far above it overflow."""

_FULL_SCALE = {"uint8": (128, 128.0), "int16": (0, 2.0**15), "int32": (0, 2.0**31)}

_A_POLES = (20.598997, 107.65265, 737.86223, 12194.217)  # [Hz], IEC 61672-1:2013, annex E

_ACTIVE_FRAME = 0.02
_ACTIVE_RANGE = 40.0


def as_pressure(samples: Any, what: str = "The sound", *, loudest: float = LOUDEST) -> np.ndarray:
    """Return samples as real numbers with full scale 1, of whatever type they were.

    Integer PCM, as `scipy.io.wavfile.read` returns it (uint8 around 128, int16, and int32 for 24 bits too), is
    divided by its full scale. Floating-point samples stay what they are.

    Args:
        samples: Array of any shape.
        what: What to call it in a message.
        loudest: Greatest sample that is taken; infinity where only ratios matter.

    Returns:
        The same shape, floating point: float32 for uint8 and int16, float64 for int32, else the type given. Not a copy
        where nothing changes.

    Raises:
        SoundError: It is text, complex, truth values or integers of another type, holds NaN or infinity, or exceeds
            `loudest`.
    """
    try:
        values = np.asarray(samples)
    except (ValueError, TypeError, OverflowError) as error:
        raise SoundError(f"{what} is not an array of samples ({error}); expected numbers, such as float32.") from error
    if values.dtype.name in _FULL_SCALE:
        zero, scale = _FULL_SCALE[values.dtype.name]
        kind = np.float64 if values.dtype.itemsize == 4 else np.float32
        return (values.astype(kind) - kind(zero)) / kind(scale)
    if values.dtype.kind != "f":
        raise SoundError(
            f"{what} has samples of type {values.dtype}; expected floats with full scale 1, or integer PCM (uint8, "
            "int16 or int32), which is divided by its full scale."
        )
    if values.size and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise SoundError(f"{what}: {bad} of {values.size} samples are NaN or infinite. Repair or leave it out.")
    if values.size and max(values.max(), -values.min()) > loudest:
        raise SoundError(
            f"{what} has a peak of {float(np.abs(values).max()):.3g}; expected at most {loudest:g}, with full scale 1. "
            "Integers that were turned into floats have to be divided by their full scale, such as 32768 for 16 bits."
        )
    return values


def rms(samples: np.ndarray) -> np.ndarray:
    """Return the root mean square over the last axis.

    Args:
        samples: ``(…, n)`` samples.

    Returns:
        ``(…)`` float64.
    """
    return np.sqrt(np.mean(np.square(samples, dtype=np.float64), axis=-1))


def decibels(ratio: np.ndarray | float) -> np.ndarray:
    """Return 20·log₁₀ of a ratio of amplitudes; −inf for 0."""
    with np.errstate(divide="ignore"):
        return 20.0 * np.log10(np.asarray(ratio, np.float64))


def amplitude(level: np.ndarray | float) -> np.ndarray:
    """Return the ratio of amplitudes of a level [dB]: the inverse of `decibels`."""
    return 10.0 ** (np.asarray(level, np.float64) / 20.0)


def sound_pressure_level(samples: np.ndarray, *, pascals: float = 1.0) -> np.ndarray:
    """Return the sound pressure level over the last axis, unweighted.

    Args:
        samples: ``(…, n)`` pressure in Harken's unit.
        pascals: Pascals of one unit.

    Returns:
        ``(…)`` float64 level [dB re 20 µPa] (ISO 1683); −inf for silence.
    """
    return decibels(rms(samples) * pascals / REFERENCE_PRESSURE)


def a_weighting(frequencies: np.ndarray) -> np.ndarray:
    """Return the A-weighting of frequencies: how much less of them counts for people than of 1 kHz.

    Source: IEC 61672-1:2013, annex E, eq. (E.6).

    Args:
        frequencies: Frequencies [Hz] of any shape, above 0.

    Returns:
        The same shape, float64 [dB]; 0 at 1 kHz.
    """
    squares = np.square(np.append(np.asarray(frequencies, np.float64).ravel(), 1000.0))
    low, middle, high, top = (pole**2 for pole in _A_POLES)
    gains = top * squares**2 / ((squares + low) * np.sqrt((squares + middle) * (squares + high)) * (squares + top))
    levels = decibels(gains)
    return (levels[:-1] - levels[-1]).reshape(np.shape(frequencies))


def active_part(samples: np.ndarray, rate: int) -> np.ndarray:
    """Tell which samples belong to the sound and which to the pauses in it.

    A frame of 20 ms is active when its RMS lies less than 40 dB below that of the loudest frame.

    Args:
        samples: ``(n,)`` samples.
        rate: Sample rate [Hz].

    Returns:
        ``(n,)`` bool; all False where everything is zero.
    """
    frame = max(1, round(_ACTIVE_FRAME * rate))
    starts = np.arange(0, len(samples), frame)
    counts = np.diff(np.append(starts, len(samples)))
    power = np.add.reduceat(np.square(samples, dtype=np.float64), starts) / counts
    return np.repeat(power > power.max() * 10.0 ** (-_ACTIVE_RANGE / 10.0), counts)


def active_runs(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return where the active parts begin and end (see `active_part`).

    Args:
        samples: ``(n,)`` samples.
        rate: Sample rate [Hz].

    Returns:
        ``(runs, 2)`` int64, the first sample of each and the first after it; empty where everything is zero.
    """
    active = active_part(samples, rate)
    return np.flatnonzero(np.diff(active, prepend=False, append=False)).reshape(-1, 2)


def active_rms(samples: np.ndarray, rate: int) -> float:
    """Return the root mean square of the active part (see `active_part`), so that pauses do not count.

    Args:
        samples: ``(n,)`` samples.
        rate: Sample rate [Hz].

    Raises:
        SoundError: There are no samples, or all are zero.
    """
    if len(samples) == 0 or not np.any(samples):
        raise SoundError(
            f"{len(samples)} samples without sound have no active part; expected a sound that is not silent."
        )
    return float(rms(samples[active_part(samples, rate)]))
