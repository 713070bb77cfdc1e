"""How well generated binaural and ambisonic sound matches the truth, and baselines that need no learning.

Binaural sound is ``(2, n)``, left first, at 16 kHz where numbers are to compare with published ones: the windows are
fixed in samples. The measures are those of the released code of 2.5D Visual Sound, Sep-Stereo and PseudoBinaural.

**Levels.** That code divides prediction and truth by their own peaks, each by its own (``--normalization``; Sep-Stereo
and PseudoBinaural by default, and 2.5D Visual Sound whenever the option is given, whatever its value), or leaves both
as they are. Numbers of the two settings do not compare. Two peaks are two gains: a prediction of the wrong level goes
unpunished, while one right everywhere but in its loudest sample is wrong everywhere. And without any scale the
distances grow with the recording's level, and the constants in the SNR decide what is quiet. `Normalization`
"reference", the default here, divides both by the truth's peak: a common gain of both changes nothing, and an error of
level counts. "independent" and "none" are the released settings.

Sources: Gao and Grauman (CVPR 2019), "2.5D visual sound"; Zhou, Xu, Lin, Wang and Liu (ECCV 2020), "Sep-Stereo"; Xu,
Zhou, Liu, Dai, Wang and Lin (CVPR 2021), "Visually informed binaural audio generation without binaural audios";
Morgado, Vasconcelos, Langlois and Wang (NeurIPS 2018), "Self-supervised generation of spatial audio for 360° video".
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from scipy.fft import fft, ifft

from harken.acoustics.directivity import sphere_directions
from harken.acoustics.hearing.ambisonics import encode, energy_map, order_of
from harken.errors import ConfigurationError, SoundError
from harken.sound.level import as_pressure
from harken.sound.stft import stft

__all__ = [
    "BinauralErrors",
    "Normalization",
    "balance",
    "balance_error",
    "binaural_errors",
    "energy_map_correlation",
    "energy_map_distance",
    "energy_panning",
    "flipped",
    "mono_mono",
    "morgado_distance",
]

Normalization = Literal["reference", "independent", "none"]
"""What both are divided by: the truth's peak, each its own peak, or nothing."""

_SNR_FLOOR = 1e-4


@dataclass(frozen=True, kw_only=True)
class BinauralErrors:
    """The published errors of generated binaural sound; all but the last are distances."""

    stft: float
    """Σ over both ears of the mean over real and imaginary parts, frequencies and frames of the squared error."""
    envelope: float
    """Σ over both ears of the root of the mean squared error of the envelopes, |analytic signal| ("ENV")."""
    magnitude: float
    """Σ over both ears of the mean of |Ŝ − S|² ("Mag"): exactly twice `stft`, despite its name and its own column."""
    phase: float
    """Mean over frequencies and frames of the angle between the spectra of left − right [rad], 0 to π ("D_phase").
    No difference counts as phase 0, so that mono–mono has about π/2, the published 1.571."""
    snr: float
    """10·log₁₀((mean square of the truth + 10⁻⁴) / (mean squared error + 10⁻⁴)) [dB]."""

    def to_mapping(self) -> dict[str, float]:
        """Return the fields by name in types that JSON can hold."""
        return asdict(self)


def binaural_errors(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    normalization: Normalization = "reference",
    padding: Literal["reflect", "zeros"] = "reflect",
) -> BinauralErrors:
    """Compare generated binaural sound with the truth, as released code does; a table's numbers are means over clips.

    The transform has 512 points, a periodic Hann window of 400 samples and a hop of 160.

    Args:
        prediction: ``(2, n)`` generated, left first.
        reference: ``(2, n)`` the truth.
        normalization: What both are divided by first; see above.
        padding: What lies beyond both ends: "reflect" as in librosa before 0.10, which was current then, or "zeros".

    Returns:
        The errors.

    Raises:
        SoundError: The shapes differ or are not supported, a sample is NaN or infinite, one of both is silent, or they
            have no more than 256 samples.
        ConfigurationError: The normalisation does not exist.
    """
    prediction, reference = _binaural_pair(prediction, reference)
    prediction, reference = _normalized(prediction, reference, normalization)
    error = stft(prediction - reference, padding=padding)
    magnitude = float(np.mean(error.real**2 + error.imag**2, axis=(1, 2)).sum())
    spread = np.sqrt(np.square(_envelope(reference) - _envelope(prediction)).mean(-1)).sum()
    # A difference of signals of one level may be all rounding; the released code too takes its angle as it is.
    angles = np.angle(stft(np.stack([prediction[0] - prediction[1], reference[0] - reference[1]]), padding=padding))
    turn = np.abs(angles[0] - angles[1])
    noise = np.square(prediction - reference).mean()
    return BinauralErrors(
        stft=0.5 * magnitude,
        envelope=float(spread),
        magnitude=magnitude,
        phase=float(np.minimum(turn, np.abs(2.0 * np.pi - turn)).mean()),
        snr=float(10.0 * np.log10((np.square(reference).mean() + _SNR_FLOOR) / (noise + _SNR_FLOOR))),
    )


def balance(binaural: np.ndarray) -> float:
    """Return on which side the energy is: (E_left − E_right) / (E_left + E_right), 1 wholly left, −1 wholly right.

    `harken.acoustics.measures.interaural_level_difference` says the same in decibels where both ears hear something.

    Args:
        binaural: ``(2, n)`` samples, left first.

    Raises:
        SoundError: The shape is wrong, a sample is NaN or infinite, or all is silent.
    """
    left, right = np.square(_binaural(binaural, "sound")).sum(-1)
    return float((left - right) / (left + right))


def balance_error(prediction: np.ndarray, reference: np.ndarray, *, frame: int | None = 1600) -> float:
    """Return by how much the side of the energy is missed: 0, to 2 for everything on the wrong side.

    The clip is cut into frames, the last one shorter, and the errors |`balance` of the prediction − that of the truth|
    are averaged with the truth's energies as weights, so that pauses do not count. Levels do not matter.

    Args:
        prediction: ``(2, n)`` generated, left first.
        reference: ``(2, n)`` the truth.
        frame: Length of a frame [samples], 0.1 s at 16 kHz by default; None takes the clip as a whole, which a source
            that moves from one side to the other leaves balanced.

    Raises:
        SoundError: As `binaural_errors`, or the prediction is silent in a frame in which the truth sounds.
        ConfigurationError: The frame has no samples.
    """
    prediction, reference = _binaural_pair(prediction, reference)
    length = reference.shape[1] if frame is None else frame
    if length < 1:
        raise ConfigurationError(f"Frame is {frame!r} samples; expected 1 or more, or None.")
    starts = np.arange(0, reference.shape[1], length)
    energies = np.add.reduceat(np.square(np.stack([prediction, reference])), starts, axis=-1)
    totals = energies.sum(1)
    sounding = totals[1] > 0
    if not (totals[0][sounding] > 0).all():
        first = int(starts[sounding & (totals[0] == 0)][0])
        raise SoundError(
            f"The prediction is silent in the frame from sample {first}, in which the truth sounds: it has no side. "
            "Take longer frames."
        )
    sides = (energies[:, 0] - energies[:, 1])[:, sounding] / totals[:, sounding]
    return float(np.average(np.abs(sides[0] - sides[1]), weights=totals[1][sounding]))


def energy_map_distance(
    prediction: np.ndarray, reference: np.ndarray, *, rate: float, frame: float = 0.1, directions: int = 96
) -> float:
    """Return how far the energy of an ambisonic prediction lies from where it should be, as an angle.

    In each frame both sounds' `harken.acoustics.hearing.ambisonics.energy_map`, normalised to one, are compared by the
    earth mover's distance on the sphere: the least mean angle over which energy has to be moved. Frames are averaged
    with the truth's energies as weights. Levels do not matter. Directions of equal solid angle stand for the sphere.
    First-order maps are wide, so that two opposite sources are less than π apart; see `morgado_distance` for the
    published number.

    Args:
        prediction: ``(channels, n)`` with 4, 9 or 16 channels, ACN, SN3D.
        reference: The truth, of the same shape.
        rate: Sampling rate [Hz].
        frame: Length of a frame [s].
        directions: Number of directions of the maps.

    Returns:
        0 to π [rad].

    Raises:
        SoundError: The shapes differ, a sample is NaN or infinite, one of both is silent, or the prediction is silent
            in a frame in which the truth sounds.
        ConfigurationError: The number of channels is not supported, or rate, frame or directions are out of range.
    """
    maps, weights, places = _energy_maps(prediction, reference, rate, frame, directions)
    shares = maps / maps.sum(-1, keepdims=True)
    angles = _angles(places)
    distances = [_transport(mass, target, angles) for mass, target in zip(*shares, strict=True)]
    return float(np.average(distances, weights=weights))


def energy_map_correlation(
    prediction: np.ndarray, reference: np.ndarray, *, rate: float, frame: float = 0.1, directions: int = 96
) -> float:
    """Return the correlation of the energy maps of `energy_map_distance` over the directions (Pearson's), −1 to 1.

    Arguments and errors are those of `energy_map_distance`; further:

    Raises:
        SoundError: A map is flat, such as that of a mono prediction (W alone), and correlates with nothing.
    """
    maps, weights, _ = _energy_maps(prediction, reference, rate, frame, directions)
    centred = maps - maps.mean(-1, keepdims=True)
    spread = np.sqrt(np.square(centred).sum(-1))
    flat = spread <= 1e-9 * maps.sum(-1)
    if flat.any():
        raise SoundError(
            f"The energy map of the {'prediction' if flat[0].any() else 'truth'} is flat in {int(flat.sum())} frames: "
            "it has no direction to correlate. energy_map_distance compares flat maps too."
        )
    return float(np.average((centred[0] * centred[1]).sum(-1) / (spread[0] * spread[1]), weights=weights))


def morgado_distance(prediction: np.ndarray, reference: np.ndarray, *, rate: float) -> float:
    """Return the earth mover's distance of Morgado et al. as their released code computes it, of first-order sound.

    Maps are of RMS, not of energy, by projection onto a mesh of 30° in azimuth and elevation, which holds each pole
    twelve times, over whole frames of 0.1 s. They are divided by the number of nodes and not normalised: mass that one
    map has in excess costs π, so that the distance is one of levels as well and depends on the recording's. Frames
    weigh alike. The released table prints √4800 times this value (4800 samples are a frame at 48 kHz).

    Args:
        prediction: ``(4, n)``, ACN, SN3D.
        reference: The truth, of the same shape.
        rate: Sampling rate [Hz].

    Returns:
        The mean distance over the frames.

    Raises:
        SoundError: The shapes differ or are not supported, a sample is NaN or infinite, one of both is silent, or they
            are shorter than 0.1 s.
    """
    prediction, reference = _ambisonic_pair(prediction, reference)
    length = int(0.1 * rate)
    frames = reference.shape[1] // length if length > 0 else 0
    if len(reference) != 4 or frames == 0:
        raise SoundError(
            f"Ambisonic sound of shape {reference.shape} at {rate:g} Hz; expected (4, n) that lasts 0.1 s or longer."
        )
    azimuths, elevations = np.meshgrid(np.arange(-180, 180, 30), np.arange(-90, 91, 30))
    turn, up = np.radians(azimuths.ravel()), np.radians(elevations.ravel())
    mesh = np.stack([-np.sin(turn) * np.cos(up), np.sin(up), -np.cos(turn) * np.cos(up)], -1)
    angles = _angles(mesh)
    both = np.stack([prediction, reference])[..., : frames * length].reshape(2, 4, frames, length)
    decoded = np.einsum("dc,pcft->pfdt", encode(mesh, 1), both, optimize=True)
    maps = np.sqrt(np.square(decoded).mean(-1)) / len(mesh)
    return float(np.mean([_transport(mass, target, angles) for mass, target in zip(*maps, strict=True)]))


def mono_mono(binaural: np.ndarray) -> np.ndarray:
    """Return the mean of both ears on both ears, the published baseline "Mono-Mono".

    Args:
        binaural: ``(2, n)`` samples.

    Returns:
        ``(2, n)`` float32.

    Raises:
        SoundError: The shape is wrong, a sample is NaN or infinite, or all is silent.
    """
    return np.repeat(_binaural(binaural, "sound").mean(0, keepdims=True), 2, axis=0).astype(np.float32)


def flipped(binaural: np.ndarray) -> np.ndarray:
    """Return the ears exchanged: what a perfect network gives for the image seen in a mirror.

    Arguments and errors are those of `mono_mono`.
    """
    return _binaural(binaural, "sound")[::-1].astype(np.float32)


def energy_panning(mono: np.ndarray, azimuth: np.ndarray | float) -> np.ndarray:
    """Pan a sound by level alone to where its source truly is.

    The energies of left and right are as (1 + sin θ) : (1 − sin θ), the sine–cosine law over the half circle, and
    their waveforms sum to twice the mono sound, which is how the field's data make it: mono = (left + right) / 2. Of
    several sources, pan each and add.

    Args:
        mono: ``(n,)`` samples.
        azimuth: Angle θ of the source [rad], relative to where the head faces, positive to the left; a source behind
            sounds as its mirror image ahead. One for all, or ``(k,)`` at even distances from the first sample to the
            last, between which the balance sin θ is interpolated.

    Returns:
        ``(2, n)`` float32.

    Raises:
        SoundError: The shape is wrong, a sample is NaN or infinite, or all is silent.
        ConfigurationError: An angle is not finite, or their shape is wrong.
    """
    samples = np.asarray(mono)
    if samples.ndim != 1 or samples.size == 0:
        raise SoundError(f"The mono sound has shape {samples.shape}; expected (n,), not empty.")
    samples = _sounding(samples, "mono sound")
    angles = np.atleast_1d(np.asarray(azimuth, np.float64))
    if angles.ndim != 1 or angles.size == 0 or not np.isfinite(angles).all():
        raise ConfigurationError(f"Azimuth of shape {angles.shape}; expected one finite angle [rad], or (k,) of them.")
    places = np.linspace(0.0, len(samples) - 1.0, len(angles)) if len(angles) > 1 else np.zeros(1)
    side = np.interp(np.arange(len(samples)), places, np.sin(angles))
    gains = np.sqrt(0.5 * np.stack([1.0 + side, 1.0 - side]).clip(0.0))
    return (2.0 * samples * gains / gains.sum(0)).astype(np.float32)


def _normalized(
    prediction: np.ndarray, reference: np.ndarray, normalization: Normalization
) -> tuple[np.ndarray, np.ndarray]:
    if normalization not in ("reference", "independent", "none"):
        raise ConfigurationError(f'Normalization is {normalization!r}; expected "reference", "independent" or "none".')
    if normalization == "none":
        return prediction, reference
    peak = np.abs(reference).max()
    return prediction / (np.abs(prediction).max() if normalization == "independent" else peak), reference / peak


def _energy_maps(
    prediction: np.ndarray, reference: np.ndarray, rate: float, frame: float, directions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the maps ``(2, frames, directions)`` of the sounding frames, the truth's energies in them and the places.

    Prediction first.
    """
    prediction, reference = _ambisonic_pair(prediction, reference)
    if order_of(len(reference)) == 0:
        raise ConfigurationError("One channel has no directions; expected 4, 9 or 16 for ambisonic orders 1 to 3.")
    length = round(rate * frame) if np.isfinite(rate * frame) else 0
    if length < 1 or directions < 4:
        raise ConfigurationError(
            f"Rate {rate!r} Hz, frame {frame!r} s, {directions!r} directions; expected a frame of one sample or more "
            "and at least 4 directions."
        )
    places = sphere_directions(directions)
    starts = [start for start in range(0, reference.shape[1], length) if reference[:, start : start + length].any()]
    maps = np.empty((2, len(starts), directions))
    for k, start in enumerate(starts):
        part = slice(start, start + length)
        if not prediction[:, part].any():
            raise SoundError(
                f"The prediction is silent from {start / rate:.2f} s for {frame:g} s, in which the truth sounds: it "
                "has no direction. Take longer frames."
            )
        maps[:, k] = energy_map(prediction[:, part], places), energy_map(reference[:, part], places)
    return maps, maps[1].sum(-1), places


def _angles(directions: np.ndarray) -> np.ndarray:
    """Return the angles [rad] between all pairs of unit vectors."""
    return np.arccos(np.clip(directions @ directions.T, -1.0, 1.0))


def _transport(mass: np.ndarray, target: np.ndarray, costs: np.ndarray) -> float:
    """Return the least cost of turning one distribution of mass into another.

    The costs are a metric, so that mass in the same place never has to move and only the differences count. Excess mass
    of one distribution costs the greatest distance (Pele and Werman 2009, "Fast and robust earth mover's distances").
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    difference = mass - target
    excess = difference.sum()
    if abs(excess) > 1e-12 * mass.sum():
        greatest = np.full((len(costs), 1), costs.max())
        costs = np.block([[costs, greatest], [greatest.T, np.zeros((1, 1))]])
        difference = np.append(difference, -excess)
    scale = np.abs(difference).sum()
    if scale <= 1e-15 * mass.sum():
        return 0.0
    sources, sinks = np.flatnonzero(difference > 0), np.flatnonzero(difference < 0)
    supply, demand = difference[sources] / scale, -difference[sinks] / scale
    # Both sums are equal but for rounding, which would leave the equations without a solution: the last is redundant.
    index = np.arange(len(sources) * len(sinks))
    rows = np.concatenate([index // len(sinks), len(sources) + index % len(sinks)])
    independent = rows < len(sources) + len(sinks) - 1
    equations = coo_array((np.ones(independent.sum()), (rows[independent], np.tile(index, 2)[independent])))
    solution = linprog(
        costs[np.ix_(sources, sinks)].ravel(),
        A_eq=equations,
        b_eq=np.concatenate([supply, demand])[:-1],
        method="highs",
    )
    if not solution.success:
        raise SoundError(f"The earth mover's distance of two energy maps was not found: {solution.message}")
    return float(solution.fun * scale)


def _ambisonic_pair(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    if prediction.shape != reference.shape or reference.ndim != 2 or reference.size == 0:
        raise SoundError(
            f"The prediction has shape {prediction.shape}, the truth {reference.shape}; expected (channels, n) alike, "
            "not empty."
        )
    return _sounding(prediction, "prediction"), _sounding(reference, "truth")


def _envelope(samples: np.ndarray) -> np.ndarray:
    """Return the magnitude of the analytic signal over the last axis, taken to repeat after its end."""
    count = samples.shape[-1]
    weights = np.zeros(count)
    weights[0], weights[1 : (count + 1) // 2] = 1.0, 2.0
    if count % 2 == 0:
        weights[count // 2] = 1.0
    return np.abs(ifft(fft(samples) * weights))


def _binaural_pair(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(prediction) != np.shape(reference):
        raise SoundError(
            f"The prediction has shape {np.shape(prediction)}, the truth {np.shape(reference)}; expected (2, n) alike."
        )
    return _binaural(prediction, "prediction"), _binaural(reference, "truth")


def _binaural(samples: np.ndarray, name: str) -> np.ndarray:
    sound = np.asarray(samples)
    if sound.ndim != 2 or sound.shape[0] != 2 or sound.shape[1] == 0:
        raise SoundError(f"The {name} has shape {sound.shape}; expected (2, n): the left ear, then the right.")
    return _sounding(sound, name)


def _sounding(sound: np.ndarray, name: str) -> np.ndarray:
    """Return samples as float64, once they are finite and not all zero."""
    sound = as_pressure(sound, f"The {name}", loudest=np.inf)
    if not sound.any():
        raise SoundError(f"The {name} of shape {sound.shape} is silent: nothing to compare. Leave such clips out.")
    return sound.astype(np.float64)
