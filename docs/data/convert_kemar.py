"""Make `harken/acoustics/data/kemar.npz` from the MIT KEMAR measurement (normal pinna) in SOFA format.

The SOFA file is part of Debian's package libmysofa1 (`/usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa`). Needs h5py::

    python docs/data/convert_kemar.py /usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa harken/acoustics/data/kemar.npz

What is measured is ear canal × head × loudspeaker × microphone. What Harken wants is the head alone, from 0 Hz
upwards, in few taps. Steps:

1. The file's right ear is the left ear mirrored at the median plane, to the last bit: only the left ear is kept.
2. Diffuse-field equalisation: divide by the minimum-phase filter of the magnitude averaged (energy) over the sphere.
   That removes loudspeaker, microphone and ear canal and leaves what depends on direction (diffuse-field calibration,
   Møller 1992, "Fundamentals of binaural technology").
3. Below 600 Hz the loudspeaker's excess phase is taken out: averaged over the sphere, the pressure on a rigid sphere of
   radius a has the phase ka − atan(ka) (the zeroth mode), so what the measured average has besides is not the head's.
4. Below 160 Hz the loudspeaker radiates too little: magnitude goes to 1 and phase is continued linearly to zero
   frequency (Xie 2009, "On the low frequency characteristics of head-related transfer function").
5. Each response is shifted by its onset (10 % of its peak) and cut to 128 taps, before the reflections from the
   apparatus arrive (3 ms after the onset). The onset, relative to the arrival at the centre of the head, is kept as the
   delay.
6. One response is made up: straight below, where nothing was measured (lowest ring: −40°), with the energy that
   the lowest ring has on average and the phase of that ring's mean, so that it interpolates well with its neighbours.
"""

import sys

import h5py
import numpy as np
from scipy.signal import resample_poly
from scipy.spatial import SphericalVoronoi

TAPS, LEAD, SIZE = 128, 16, 4096
HEAD_RADIUS, SPEED_OF_SOUND = 0.0875, 343.2


def minimum_phase(magnitude: np.ndarray) -> np.ndarray:
    """Spectrum with this magnitude (n/2 + 1 bins) and minimum phase, through the real cepstrum."""
    size = 2 * (magnitude.shape[-1] - 1)
    cepstrum = np.fft.irfft(np.log(magnitude), size)
    cepstrum[..., 1 : size // 2] *= 2.0
    cepstrum[..., size // 2 + 1 :] = 0.0
    return np.exp(np.fft.rfft(cepstrum, size))


def fade(frequencies: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 below `start`, 1 above `end`, half a cosine in between."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((frequencies - start) / (end - start), 0.0, 1.0))


def diffuse_equalised(spectra: np.ndarray, weights: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Divide by the minimum-phase diffuse-field response, not dividing by nearly nothing below 40 and above 18 kHz."""
    diffuse = np.sqrt(weights @ np.abs(spectra) ** 2)
    low, high = np.searchsorted(frequencies, (40.0, 18000.0))
    diffuse[:low], diffuse[high:] = diffuse[low], diffuse[high]
    return spectra / minimum_phase(diffuse)


def onsets(spectra: np.ndarray, share: float = 0.1, factor: int = 10) -> np.ndarray:
    """First samples (fractional) at which the responses reach a share of their peak."""
    responses = np.abs(resample_poly(np.fft.irfft(spectra), factor, 1, axis=-1))
    return (responses > share * responses.max(-1, keepdims=True)).argmax(-1) / factor


def without_excess_phase(spectra: np.ndarray, weights: np.ndarray, frequencies: np.ndarray, rate: float) -> tuple:
    """Refer phases to the centre of the head: returns the spectra and the reference instant [samples]."""
    ka = 2.0 * np.pi * frequencies * HEAD_RADIUS / SPEED_OF_SOUND
    excess = np.unwrap(np.angle(weights @ spectra)) - (ka - np.arctan(ka))
    fitted = (frequencies > 600.0) & (frequencies < 1200.0)
    # Unwrapped from zero frequency, the phase may be off by a multiple of 2π; a line with an offset finds it.
    slope, offset = np.polyfit(frequencies[fitted], excess[fitted], 1)
    excess -= 2.0 * np.pi * np.round(offset / (2.0 * np.pi))
    slope = (excess[fitted] @ frequencies[fitted]) / (frequencies[fitted] @ frequencies[fitted])
    reference = -slope / (2.0 * np.pi) * rate
    correction = (excess - slope * frequencies) * (1.0 - fade(frequencies, 600.0, 1200.0))
    return spectra * np.exp(-1j * correction), reference


def with_low_frequencies(aligned: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Continue the responses from 160–320 Hz down to zero frequency."""
    used = (frequencies >= 160.0) & (frequencies <= 320.0)
    slope = (np.angle(aligned[:, used]) * frequencies[used]).sum(-1) / (frequencies[used] ** 2).sum()
    level = np.log(np.abs(aligned[:, used])).mean(-1)
    magnitude = np.exp(level[:, None] * np.clip((frequencies - 40.0) / 200.0, 0.0, 1.0))
    model = magnitude * np.exp(1j * slope[:, None] * frequencies)
    share = fade(frequencies, 120.0, 240.0)
    return (1.0 - share) * model + share * aligned


def cut(aligned: np.ndarray, frequencies: np.ndarray, rate: float) -> np.ndarray:
    """Cut to `TAPS`, with what that does to low frequencies taken back: the cut and the continuation in turns."""
    window = np.append(np.ones(TAPS - 32), 1.0 - fade(np.arange(32.0), 0.0, 32.0))
    window[:4] *= fade(np.arange(4.0), -1.0, 4.0)
    lead = np.exp(-2j * np.pi * frequencies / rate * LEAD)
    original = np.abs(aligned)
    low, share = with_low_frequencies(aligned, frequencies), fade(frequencies, 160.0, 400.0)
    aligned = low
    for _ in range(8):
        filters = np.fft.irfft(aligned * lead, SIZE)[:, :TAPS] * window
        aligned = (1.0 - share) * low + share * np.fft.rfft(filters, SIZE) / lead
    audible = (frequencies > 200.0) & (frequencies < 16000.0)
    change = 20.0 * np.log10(np.abs(np.fft.rfft(filters, SIZE))[:, audible] / original[:, audible])
    print(f"magnitude changed by the cut: {change.std():.2f} dB rms, 200–16000 Hz")
    return filters


def main(sofa: str, target: str) -> None:
    with h5py.File(sofa) as file:
        azimuth, elevation = file["SourcePosition"][:, 0], file["SourcePosition"][:, 1]
        ears, rate = file["Data.IR"][:], float(file["Data.SamplingRate"][0])
    a, e = np.radians(azimuth), np.radians(elevation)
    directions = np.stack([-np.sin(a) * np.cos(e), np.sin(e), -np.cos(a) * np.cos(e)], -1)
    mirror = np.argmax((directions * [-1.0, 1.0, 1.0]) @ directions.T, axis=-1)
    assert np.array_equal(ears[:, 1], ears[mirror, 0]), "the right ear is not the left ear mirrored"

    directions = np.vstack([directions, [0.0, -1.0, 0.0]])
    areas = SphericalVoronoi(directions).calculate_areas()[:-1]
    weights = areas / areas.sum()
    frequencies = np.fft.rfftfreq(SIZE, 1.0 / rate)
    spectra = diffuse_equalised(np.fft.rfft(ears[:, 0], SIZE), weights, frequencies)
    spectra, reference = without_excess_phase(spectra, weights, frequencies, rate)
    delays = onsets(spectra) - reference
    turn = np.exp(2j * np.pi * frequencies / rate * (delays + reference)[:, None])
    aligned = with_low_frequencies(spectra * turn, frequencies) * (1.0 - fade(frequencies, 18500.0, 21000.0))

    ring = elevation == elevation.min()
    below = np.sqrt((np.abs(aligned[ring]) ** 2).mean(0)) * np.exp(1j * np.angle(aligned[ring].mean(0)))
    aligned, delays = np.vstack([aligned, below]), np.append(delays, delays[ring].mean())

    filters = cut(aligned, frequencies, rate)
    scale = np.abs(filters).max(-1) / 32767.0
    np.savez_compressed(
        target,
        rate=np.float64(rate),
        directions=directions.astype(np.float32),
        mirror=np.append(mirror, len(mirror)).astype(np.int16),
        delays=((delays - LEAD) / rate).astype(np.float32),
        filters=np.round(filters / scale[:, None]).astype(np.int16),
        scale=scale.astype(np.float32),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
