"""SOFA files (AES69): heads and directivities in, sets of room impulse responses out.

SOFA's frame has x ahead, y to the left and z up; Harken's has x to the right, y up and −z ahead. Everything here takes
and returns Harken's. Needs the package sofar: ``pip install harken[sofa]``.
"""

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from scipy.fft import irfft, rfft
from scipy.spatial import KDTree, QhullError, SphericalVoronoi

from harken.acoustics.bands import band_edges
from harken.acoustics.directivity import MeasuredDirectivity
from harken.acoustics.hearing.hrtf import HeadResponse, checked_head_rate
from harken.acoustics.protocol import ImpulseResponse, Listener, Source
from harken.checks import checked_path
from harken.errors import ConfigurationError, HarkenWarning, MissingDependencyError, SoundError
from harken.scene import OCTAVE_BANDS

__all__ = ["read_directivity", "read_head", "write_response_matrix", "write_responses"]

LENGTH, LEAD = 0.0029, 0.00036
"""Length of the filters, and of the quiet before their onset [s]: what comes later is the measurement's room."""

HEAD_RADIUS = 0.0875
"""Distance of the ears from the centre of the head [m]."""

_HEADS = ("SimpleFreeFieldHRIR", "GeneralFIR")
_FROM_SOFA = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
_FADED_SHARE, _SPEED_OF_SOUND = 0.25, 343.2

# Files hold whole degrees, often rounded to float32 or turned into metres and back, so angles are never compared at
# the very value that data have.
_WIDEST_GAP, _NARROWEST_GAP, _RING = np.radians(60.0 + 0.1), np.radians(20.0 - 0.1), np.radians(5.0 - 0.1)
_SAME_DIRECTION = 1e-4

_LOWEST_RATE, _HIGHEST_RATE = 8_000, 384_000
_MOST_VALUES = 2**28


def read_head(
    path: Path | str,
    rate: int = 16000,
    *,
    equalization: Literal["diffuse", "none"] = "diffuse",
    swap_ears: bool = False,
) -> HeadResponse:
    """Read head-related impulse responses (SimpleFreeFieldHRIR, or GeneralFIR with two receivers).

    Each response is shifted by its onset, the first sample of a tenth of its peak, which becomes its delay. Delays are
    relative to the arrival at the centre of the head, found from the phase of the mean over all directions. Filters are
    cut to 2.9 ms. If a direction was measured at several distances, the farthest measurement is used. Where nothing was
    measured straight above or below, up to 60° around the pole, the ring next to it is continued with its mean energy.

    Args:
        path: The file.
        rate: Sampling rate of the result [Hz].
        equalization: "diffuse" divides by the energy's mean over all directions, which removes the loudspeaker,
            microphone and ear canal of the measurement and matches the level of the built-in head, and continues the
            filters below 160 Hz; "none" keeps the file's spectrum and level.
        swap_ears: Whether to swap the file's receiver positions: some published heads store the right ear's responses
            at the position of the left receiver, and are refused without this.

    Returns:
        The head.

    Raises:
        MissingDependencyError: The package sofar is not installed.
        SoundError: The file cannot be read, is no set of head-related impulse responses, does not have one receiver on
            the left and one on the right, has a sampling rate outside 8–384 kHz, receives sound from the left earlier
            at its right ear, or leaves too large a part of the sphere out.
        ConfigurationError: The path, the rate or the equalisation is not valid.
    """
    path = checked_path("The path of a head", path)
    if equalization not in ("diffuse", "none"):
        raise ConfigurationError(f"Equalization is {equalization!r}; expected 'diffuse' or 'none'.")
    if not isinstance(swap_ears, bool):
        raise ConfigurationError(f"swap_ears is {swap_ears!r}; expected true or false.")
    rate = checked_head_rate(rate)
    data = _read(path, _HEADS, "head-related impulse responses")
    responses = np.asarray(data.Data_IR, np.float64)
    if responses.ndim != 3 or responses.shape[1] != 2:
        raise SoundError(f"{path.name} has responses of shape {responses.shape}; a head has two receivers.")
    if not np.isfinite(responses).all() or not responses.any(axis=-1).all():
        raise SoundError(f"{path.name}: a response is silent or not finite. Fetch the file again.")
    measured = _sampling_rate(data, path)
    left = _left_receiver(data, path)
    left = 1 - left if swap_ears else left
    directions, distances = _source_directions(data, path)
    lags = np.broadcast_to(np.asarray(data.Data_Delay, np.float64), responses.shape[:2])
    if len(directions) != len(responses) or len(directions) < 4:
        raise SoundError(f"{path.name}: {len(directions)} source positions for {len(responses)} responses.")
    rows, ears = _farthest(directions, distances, path), [left, 1 - left]
    name = str(data.GLOBAL_Title or getattr(data, "GLOBAL_ListenerShortName", "") or path.stem)
    responses, lags = responses[rows][:, ears], lags[rows][:, ears]
    return _head(responses, lags, directions[rows], (measured, rate), equalization == "diffuse", name)


def read_directivity(
    path: Path | str, *, bands: Sequence[float] = OCTAVE_BANDS, measurement: int = 0
) -> MeasuredDirectivity:
    """Read the directivity of a source (FreeFieldDirectivityTF).

    Squared magnitudes are averaged over the frequencies of each band, with equal weight to each fraction of an octave.
    A band without a frequency takes the nearest one's, with a warning.

    Args:
        path: The file.
        bands: Centre frequencies [Hz].
        measurement: Which of the file's measurements, such as notes of an instrument.

    Returns:
        The directivity.

    Raises:
        MissingDependencyError: The package sofar is not installed.
        SoundError: The file cannot be read or is no directivity, or has no such measurement.
        ConfigurationError: Its directions do not surround the source, or nothing is radiated straight ahead.
    """
    data = _read(path := checked_path("The path of a directivity", path), ("FreeFieldDirectivityTF",), "a directivity")
    real, imaginary = np.asarray(data.Data_Real, np.float64), np.asarray(data.Data_Imag, np.float64)
    frequencies = np.ravel(np.asarray(data.N, np.float64))
    if real.ndim != 3 or not 0 <= measurement < len(real) or real.shape[2] != len(frequencies):
        raise SoundError(
            f"{path.name}: transfer functions of shape {real.shape} for {len(frequencies)} frequencies have no "
            f"measurement {measurement}."
        )
    energies = real[measurement] ** 2 + imaginary[measurement] ** 2
    if isinstance(measurement, bool) or not isinstance(measurement, int):
        raise ConfigurationError(f"measurement is {measurement!r}; expected a whole number, counted from 0.")
    receivers = _cartesian(data.ReceiverPosition, data.ReceiverPosition_Type, data.ReceiverPosition_Units)
    receivers = receivers[..., min(measurement, receivers.shape[2] - 1)] if receivers.ndim == 3 else receivers
    view = _cartesian(data.SourceView, data.SourceView_Type, data.SourceView_Units)
    up = _cartesian(data.SourceUp, data.SourceView_Type, data.SourceView_Units)
    frame = _frames(view, up, path)
    directions = receivers @ frame[min(measurement, len(frame) - 1)].T
    values = np.empty((len(energies), len(bands)))
    edges, empty = band_edges(bands), []
    edges[0], edges[-1] = bands[0] / np.sqrt(2.0), bands[-1] * np.sqrt(2.0)
    for band, centre in enumerate(bands):
        inside = (frequencies >= edges[band]) & (frequencies < edges[band + 1])
        if not inside.any():
            empty.append(f"{centre:g}")
            inside[np.argmin(np.abs(np.log(np.maximum(frequencies, 1e-3) / centre)))] = True
        values[:, band] = np.sqrt(energies[:, inside] @ (1.0 / frequencies[inside]) / (1.0 / frequencies[inside]).sum())
    if empty:
        missing = f"{path.name} has no frequency in the bands {', '.join(empty)} Hz"
        warnings.warn(f"{missing}; the nearest one's values are taken.", HarkenWarning, stacklevel=2)
    return MeasuredDirectivity(directions=directions, values=values, name=str(data.GLOBAL_Title or path.stem))


def write_responses(
    path: Path | str,
    responses: Sequence[ImpulseResponse],
    sources: Sequence[Source],
    listeners: Sequence[Listener],
    *,
    receivers: np.ndarray | None = None,
    title: str = "",
    room: str = "simulated room",
    comment: str = "",
    license_name: str = "",
) -> None:
    """Write impulse responses, each with its own source and listener, as SingleRoomSRIR.

    Args:
        path: File to write, ending in .sofa; replaced if it exists.
        responses: The responses, all of one rate and number of channels; shorter ones are padded with zeros.
        sources: The source of each response.
        listeners: The listener of each response.
        receivers: ``(channels, 3)`` positions of the receivers in the listener's frame [m]; for one and two channels
            by default the centre and the ears.
        title: Title of the set.
        room: Description of the room.
        comment: Anything else, such as the order and normalisation of ambisonic channels, and settings.
        license_name: Licence of the data.

    Raises:
        MissingDependencyError: The package sofar is not installed.
        ConfigurationError: The lists do not fit together, or the name does not end in .sofa.
    """
    sofar = _sofar()
    if not (len(responses) == len(sources) == len(listeners) > 0):
        raise ConfigurationError(
            f"{len(responses)} responses, {len(sources)} sources and {len(listeners)} listeners; expected one or more, "
            "as many of each."
        )
    samples, rate = _stack(responses)
    data = sofar.Sofa("SingleRoomSRIR", mandatory=True)
    data.SourcePosition = np.array([source.position for source in sources]) @ _FROM_SOFA
    data.EmitterPosition = np.zeros((1, 3, 1))
    data.Data_Delay = np.zeros((1, samples.shape[1]))
    _describe(data, title, room, comment, license_name)
    _set_listeners(data, listeners, samples.shape[1], receivers)
    _write(sofar, data, samples, rate, path)


def write_response_matrix(
    path: Path | str,
    responses: Sequence[Sequence[ImpulseResponse]],
    sources: Sequence[Source],
    listeners: Sequence[Listener],
    *,
    receivers: np.ndarray | None = None,
    title: str = "",
    room: str = "simulated room",
    comment: str = "",
    license_name: str = "",
) -> None:
    """Write the responses of every source at every listener as SingleRoomMIMOSRIR, the sources being its emitters.

    Args:
        path: File to write, ending in .sofa; replaced if it exists.
        responses: ``responses[listener][source]``, all of one rate and number of channels.
        sources: The sources.
        listeners: The listeners.
        receivers: As for `write_responses`.
        title: Title of the set.
        room: Description of the room.
        comment: Anything else.
        license_name: Licence of the data.

    Raises:
        MissingDependencyError: The package sofar is not installed.
        ConfigurationError: The lists do not fit together, or the name does not end in .sofa.
    """
    sofar = _sofar()
    counts = [len(row) for row in responses]
    if not sources or not listeners or counts != [len(sources)] * len(listeners):
        raise ConfigurationError(
            f"Responses in rows of {counts} for {len(listeners)} listeners and {len(sources)} sources; expected a row "
            "for each listener with one response for each source."
        )
    flat, rate = _stack([response for row in responses for response in row])
    samples = np.moveaxis(flat.reshape(len(listeners), len(sources), *flat.shape[1:]), 1, -1)
    data = sofar.Sofa("SingleRoomMIMOSRIR", mandatory=True)
    data.SourcePosition = np.zeros((len(listeners), 3))
    data.EmitterPosition = (np.array([source.position for source in sources]) @ _FROM_SOFA)[..., None]
    data.Data_Delay = np.zeros((1, samples.shape[1], 1))
    _describe(data, title, room, comment, license_name)
    _set_listeners(data, listeners, samples.shape[1], receivers)
    _write(sofar, data, samples, rate, path)


def _sofar() -> ModuleType:
    try:
        return importlib.import_module("sofar")
    except ImportError as error:
        raise MissingDependencyError("SOFA files need the package sofar: pip install harken[sofa]") from error


def _read(path: Path, conventions: Sequence[str], what: str) -> Any:
    sofar = _sofar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_size(path)
            data = sofar.read_sofa(str(path), verify=False, verbose=False)
    except SoundError:
        raise
    except Exception as error:  # netCDF and sofar raise many kinds of errors for unreadable files
        raise SoundError(f"{path} cannot be read as a SOFA file: {error or type(error).__name__}") from error
    convention = getattr(data, "GLOBAL_SOFAConventions", None)
    if convention not in conventions:
        raise SoundError(f"{path.name} follows the convention {convention}; {what} come as {' or '.join(conventions)}.")
    return data


def _sampling_rate(data: Any, path: Path) -> int:
    try:
        rate = float(np.ravel(np.asarray(data.Data_SamplingRate, np.float64))[0])
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise SoundError(f"{path.name} has no sampling rate ({error}). Fetch the file again.") from error
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE or abs(rate - round(rate)) > 1e-3:
        raise SoundError(
            f"{path.name} has a sampling rate of {rate:g} Hz; expected a whole number from {_LOWEST_RATE} to "
            f"{_HIGHEST_RATE}. Correct Data.SamplingRate in the file, or fetch it again."
        )
    return round(rate)


def _check_size(path: Path) -> None:
    """Refuse a file whose variables would not fit into memory, even if they hold only fill values."""
    netcdf = importlib.import_module("netCDF4")
    with netcdf.Dataset(str(path)) as stored:
        values = sum(int(np.prod([len(d) for d in v.get_dims()], dtype=object)) for v in stored.variables.values())
    if values > _MOST_VALUES:
        raise SoundError(
            f"{path.name} declares {values:.3g} numbers; Harken reads up to {_MOST_VALUES:.3g} (2 GB). The file is "
            "damaged, or has to be divided."
        )


def _cartesian(values: np.ndarray, kind: str, units: str) -> np.ndarray:
    """Return SOFA coordinates ``(n, 3, …)`` as vectors in Harken's axes."""
    c = np.asarray(values, np.float64)
    if kind == "spherical":
        turn = np.radians if units.lower().startswith("degree") else np.asarray
        azimuth, elevation, radius = turn(c[:, 0]), turn(c[:, 1]), c[:, 2]
        level = radius * np.cos(elevation)
        c = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), radius * np.sin(elevation)], 1)
    elif kind != "cartesian":
        raise SoundError(f"SOFA coordinates are {kind!r}; only spherical and cartesian ones say where something is.")
    return np.einsum("ij,nj...->ni...", _FROM_SOFA, c)


def _frames(view: np.ndarray, up: np.ndarray, path: Path) -> np.ndarray:
    """Return rotations ``(n, 3, 3)`` from the file's axes (Harken's way) to those of a body with this view and up."""
    view, up = np.broadcast_arrays(np.atleast_2d(view), np.atleast_2d(up))
    right = np.cross(view, up)
    if not (np.linalg.norm(right, axis=-1) > 1e-6).all():
        raise SoundError(f"{path.name}: a view and its up direction are zero or parallel.")
    rows = np.stack([right, np.cross(right, view), -view], 1)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _left_receiver(data: Any, path: Path) -> int:
    """Return which receiver is the left ear."""
    ears = _cartesian(data.ReceiverPosition, data.ReceiverPosition_Type, data.ReceiverPosition_Units)
    rightward = ears.reshape(len(ears), 3, -1)[:, 0].mean(-1)
    if len(rightward) != 2 or abs(rightward[1] - rightward[0]) < 1e-3:
        raise SoundError(f"{path.name}: its receivers are not one on the left and one on the right: {ears.tolist()}.")
    return int(rightward.argmin())


def _source_directions(data: Any, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return directions from the listener to the source in the head frame ``(n, 3)``, and the distances ``(n,)``."""
    source = _cartesian(data.SourcePosition, data.SourcePosition_Type, data.SourcePosition_Units)
    listener = _cartesian(data.ListenerPosition, data.ListenerPosition_Type, data.ListenerPosition_Units)
    view, up = np.array([[0.0, 0.0, -1.0]]), np.array([[0.0, 1.0, 0.0]])
    if getattr(data, "ListenerView", None) is not None:
        kind, units = data.ListenerView_Type, data.ListenerView_Units
        view = _cartesian(data.ListenerView, kind, units)
        if getattr(data, "ListenerUp", None) is not None:
            up = _cartesian(data.ListenerUp, kind, units)
    ways = (_frames(view, up, path) @ (source - listener)[..., None])[..., 0]
    distances = np.linalg.norm(ways, axis=-1)
    if not (distances > 0).all():
        raise SoundError(f"{path.name}: a source lies in the centre of the head.")
    return ways / distances[:, None], distances


def _farthest(directions: np.ndarray, distances: np.ndarray, path: Path) -> np.ndarray:
    """Return which measurements to keep: for each direction the farthest, in the file's order."""
    rank = np.empty(len(distances), np.int64)
    rank[np.argsort(-distances, kind="stable")] = np.arange(len(distances))
    alike = KDTree(directions).query_pairs(_SAME_DIRECTION, output_type="ndarray")
    nearer = np.where(rank[alike[:, 0]] > rank[alike[:, 1]], alike[:, 0], alike[:, 1])
    rows = np.setdiff1d(np.arange(len(distances)), nearer)
    if distances.max() > 1.1 * distances.min() and len(rows) < len(directions):
        span = f"{distances.min():.2f} to {distances.max():.2f} m"
        warnings.warn(f"{path.name} was measured at {span}; the farthest is kept.", HarkenWarning, stacklevel=3)
    return rows


def _head(
    responses: np.ndarray, lags: np.ndarray, directions: np.ndarray, rates: tuple[int, int], equalize: bool, name: str
) -> HeadResponse:
    """Equalise, align, cut and resample responses, left ear first; `rates` are the measurement's and the wanted one."""
    from scipy.signal import resample_poly

    measured, rate = rates
    size = 1 << int(np.ceil(np.log2(max(4 * responses.shape[2], 2048))))
    frequencies = np.fft.rfftfreq(size, 1.0 / measured)
    lead = LEAD * measured
    onsets = _onsets(responses)
    spectra = rfft(responses, size) * _shift(frequencies / measured, lead - onsets)
    spectra, delays, directions = _with_poles(spectra, onsets + lags, directions, name)
    weights = _solid_angles(directions, name)
    if equalize:
        spectra = spectra * _diffuse_inverse(spectra, weights, frequencies)
    arrival, excess = _arrival(spectra * _shift(frequencies / measured, delays - lead), weights, frequencies, measured)
    if equalize:
        spectra = spectra * np.exp(-1j * excess)
        # Equalisers move the onsets.
        moved = _onsets(irfft(spectra, size)[..., : responses.shape[2]]) - lead
        spectra, delays = spectra * _shift(frequencies / measured, -moved), delays + moved
    _check_sides(delays - arrival, directions, measured, name)
    filters = _cut(spectra, frequencies, size, measured, lead if equalize else None)
    if rate != measured:
        divisor = int(np.gcd(rate, measured))
        filters = resample_poly(filters, rate // divisor, measured // divisor, axis=-1) * (measured / rate)
    seconds = (delays - arrival) / measured - LEAD
    return HeadResponse(rate=rate, directions=directions, delays=seconds, filters=filters, name=name)


def _shift(turns_per_sample: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the spectra of delays by fractional numbers of samples."""
    return np.exp(-2j * np.pi * turns_per_sample * samples[..., None])


def _cut(spectra: np.ndarray, frequencies: np.ndarray, size: int, rate: int, lead: float | None) -> np.ndarray:
    """Cut to `LENGTH`; with a `lead` [samples] given, low frequencies become what they are at a distance of the head.

    Loudspeakers radiate little there, and the cut would remove the rest: below 160 Hz the level approaches 1 and the
    phase continues linearly (Xie 2009, "On the low frequency characteristics of head-related transfer function"). The
    cut and the continuation are applied in turns until they agree.
    """
    taps = int(np.ceil(LENGTH * rate))
    window = np.ones(taps)
    tail = int(_FADED_SHARE * taps)
    window[-tail:] = np.cos(0.5 * np.pi * (np.arange(tail) + 0.5) / tail) ** 2
    if lead is None:
        return irfft(spectra, size)[..., :taps] * window
    turn = _shift(frequencies / rate, np.array(lead))
    aligned = spectra / turn
    reliable = (frequencies >= 160.0) & (frequencies <= 400.0)
    slope = (np.angle(aligned[..., reliable]) * frequencies[reliable]).sum(-1) / (frequencies[reliable] ** 2).sum()
    level = np.log(np.abs(aligned[..., reliable])).mean(-1)
    rise = np.clip((frequencies - 40.0) / 240.0, 0.0, 1.0)
    low = np.exp(level[..., None] * rise + 1j * slope[..., None] * frequencies)
    share = 0.5 - 0.5 * np.cos(np.pi * np.clip((frequencies - 160.0) / 160.0, 0.0, 1.0))
    for _ in range(8):
        filters = irfft(((1.0 - share) * low + share * aligned) * turn, size)[..., :taps] * window
        aligned = rfft(filters, size) / turn
    return filters


def _onsets(responses: np.ndarray, share: float = 0.1, factor: int = 8) -> np.ndarray:
    """Return the fractional samples at which responses reach a share of their peak."""
    from scipy.signal import resample_poly

    size = np.abs(resample_poly(responses, factor, 1, axis=-1))
    return (size > share * size.max(-1, keepdims=True)).argmax(-1) / factor


def _arrival(spectra: np.ndarray, weights: np.ndarray, frequencies: np.ndarray, rate: int) -> tuple[float, np.ndarray]:
    """Return the sample at which sound arrives at the centre of the head, and the phase that the head does not cause.

    Averaged over all directions, the pressure on a rigid sphere of radius a has the phase ka − atan(ka), that of its
    zeroth mode. The rest of the average's phase is a delay, which is the arrival, and the loudspeaker's phase at low
    frequencies.
    """
    ka = 2.0 * np.pi * frequencies * HEAD_RADIUS / _SPEED_OF_SOUND
    excess = np.unwrap(np.angle(np.einsum("n,nef->f", weights, spectra))) - (ka - np.arctan(ka))
    fitted = (frequencies > 600.0) & (frequencies < 1200.0)
    # Unwrapped from zero frequency, the phase may be off by a multiple of 2π; a line with an offset finds it.
    offset = np.polyfit(frequencies[fitted], excess[fitted], 1)[1]
    excess -= 2.0 * np.pi * np.round(offset / (2.0 * np.pi))
    slope = (excess[fitted] @ frequencies[fitted]) / (frequencies[fitted] @ frequencies[fitted])
    share = 0.5 + 0.5 * np.cos(np.pi * np.clip((frequencies - 600.0) / 600.0, 0.0, 1.0))
    return float(-slope / (2.0 * np.pi) * rate), share * (excess - slope * frequencies)


def _check_sides(delays: np.ndarray, directions: np.ndarray, rate: int, name: str) -> None:
    """Refuse delays that do not match ears on the left and the right of a head.

    A sphere's are −a·cos θ on the source's side and a·(θ − π/2) in the shadow (Woodworth and Schlosberg 1954).
    """
    cosines = directions[:, :1] * [-1.0, 1.0]
    way = np.where(cosines > 0, -cosines, np.arccos(np.clip(cosines, -1.0, 1.0)) - 0.5 * np.pi)
    radius = np.polyfit(way.ravel(), delays.ravel(), 1)[0] / rate * _SPEED_OF_SOUND
    if not 0.03 < radius < 0.3:
        raise SoundError(
            f"Head {name!r}: its delays fit a head of {100 * radius:.1f} cm radius; expected 3 to 30 cm. "
            + (
                "Sound from the left reaches its right ear first: its receiver positions contradict its responses. "
                "Read it with swap_ears=True."
                if radius < 0.0
                else "Its responses are not those of a head, or its sampling rate is wrong."
            )
        )


def _with_poles(
    spectra: np.ndarray, delays: np.ndarray, directions: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Continue the lowest and the highest ring to the pole where nothing was measured around it."""
    elevation = np.arcsin(np.clip(directions[:, 1], -1.0, 1.0))
    for sign in (-1.0, 1.0):
        gap = 0.5 * np.pi - (sign * elevation).max()
        if gap > _WIDEST_GAP:
            raise SoundError(f"Head {name!r} is unmeasured for {np.degrees(gap):.0f}° around a pole; up to 60° can be.")
        if gap < _NARROWEST_GAP:
            continue
        ring = np.flatnonzero(sign * elevation > 0.5 * np.pi - gap - _RING)
        pole = np.sqrt((np.abs(spectra[ring]) ** 2).mean(0)) * np.exp(1j * np.angle(spectra[ring].mean(0)))
        spectra, delays = np.concatenate([spectra, pole[None]]), np.vstack([delays, delays[ring].mean(0)])
        directions = np.vstack([directions, [0.0, sign, 0.0]])
    return spectra, delays, directions


def _solid_angles(directions: np.ndarray, name: str) -> np.ndarray:
    """Return the share of the sphere that lies nearest to each direction."""
    try:
        areas = SphericalVoronoi(directions).calculate_areas()
    except (QhullError, ValueError) as error:
        raise SoundError(f"Head {name!r}: its directions do not surround it.") from error
    return areas / areas.sum()


def _diffuse_inverse(spectra: np.ndarray, weights: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Return the minimum-phase spectrum that undoes the mean energy over the sphere and both ears."""
    mean = np.sqrt(np.einsum("n,nef->f", weights, np.abs(spectra) ** 2) / 2.0)
    # Outside this range, measurements contain little but noise.
    low, high = np.searchsorted(frequencies, (100.0, min(18000.0, 0.41 * 2.0 * frequencies[-1])))
    mean[:low], mean[high:] = mean[low], mean[high]
    size = 2 * (len(mean) - 1)
    cepstrum = irfft(-np.log(np.maximum(mean, 1e-6 * mean.max())), size)
    cepstrum[1 : size // 2] *= 2.0
    cepstrum[size // 2 + 1 :] = 0.0
    return np.exp(rfft(cepstrum, size))


def _stack(responses: Sequence[ImpulseResponse]) -> tuple[np.ndarray, int]:
    """Return samples ``(n, channels, samples)`` float64 and their rate."""
    kinds = {(response.rate, len(response.samples)) for response in responses}
    if len(kinds) != 1:
        raise ConfigurationError(
            f"Responses have several rates and numbers of channels, {sorted(kinds)}; expected one."
        )
    length = max(response.samples.shape[1] for response in responses)
    padded = [np.pad(response.samples, ((0, 0), (0, length - response.samples.shape[1]))) for response in responses]
    return np.stack(padded).astype(np.float64), responses[0].rate


def _describe(data: Any, title: str, room: str, comment: str, license_name: str) -> None:
    from harken import __version__

    data.GLOBAL_RoomType = "reverberant"
    data.add_attribute("GLOBAL_RoomDescription", room)
    data.GLOBAL_Title, data.GLOBAL_DatabaseName = title or room, title or room
    if comment:
        data.add_attribute("GLOBAL_Comment", comment)
    data.GLOBAL_ApplicationName, data.GLOBAL_ApplicationVersion = "Harken", __version__
    if license_name:
        data.GLOBAL_License = license_name


def _set_listeners(data: Any, listeners: Sequence[Listener], channels: int, receivers: np.ndarray | None) -> None:
    usual = {1: np.zeros((1, 3)), 2: np.array([[-HEAD_RADIUS, 0.0, 0.0], [HEAD_RADIUS, 0.0, 0.0]])}
    places = usual.get(channels) if receivers is None else np.asarray(receivers, np.float64)
    if places is None or places.shape != (channels, 3) or not np.isfinite(places).all():
        raise ConfigurationError(
            f"Receivers are {receivers!r}; expected ({channels}, 3) finite positions in metres, one for each channel."
        )
    headings = np.array([listener.heading for listener in listeners])
    views = np.stack([-np.sin(headings), np.zeros(len(headings)), -np.cos(headings)], -1)
    data.ListenerPosition = np.array([listener.position for listener in listeners]) @ _FROM_SOFA
    data.ListenerView, data.ListenerUp = views @ _FROM_SOFA, np.tile([0.0, 0.0, 1.0], (len(views), 1))
    data.ReceiverPosition = (places @ _FROM_SOFA)[..., None]
    data.ReceiverPosition_Type, data.ReceiverPosition_Units = "cartesian", "metre"


def _write(sofar: ModuleType, data: Any, samples: np.ndarray, rate: int, path: Path | str) -> None:
    path = checked_path("The path of a SOFA file", path)
    if path.suffix.lower() != ".sofa":
        raise ConfigurationError(f"File name {path.name!r}; expected one that ends in .sofa.")
    data.Data_IR, data.Data_SamplingRate = samples, float(rate)
    data.EmitterPosition_Type, data.EmitterPosition_Units = "cartesian", "metre"
    data.verify()
    sofar.write_sofa(str(path), data)
