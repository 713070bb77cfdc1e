"""Cases with an exact answer, or one of diffuse-field theory: paths, decays, levels and the tracer's own error.

Each function yields `Check`s. The numbers A1 to A13 are those of docs/validation.md.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import trimesh
from _checks import Check, block, scene_of, sheet, without_air
from _wedge import wedge
from scipy.fft import irfft, rfft
from scipy.signal import csd

from harken.acoustics.engines.reference import EnergyResponse, ReferencePropagation, ReferenceSettings
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.microphones import MicrophoneArray
from harken.acoustics.hearing.receivers import Synthesizer
from harken.acoustics.measures import MODULATION_FREQUENCIES, decay_time, speech_transmission_index
from harken.acoustics.paths.facets import Facets
from harken.acoustics.paths.image_sources import ImageSources
from harken.acoustics.paths.straight import straight_path
from harken.acoustics.protocol import Listener, ListenerFormat, SoundPath, SoundPaths, Source
from harken.acoustics.tracing import TimeBins
from harken.scene import OCTAVE_BANDS

__all__ = ["SPHERE", "closed_forms", "convergence", "shoebox_responses"]

SPHERE = {0.05: 5.2517, 0.1: 2.5652, 0.2: 1.2197, 0.3: 0.7689, 0.5: 0.4028, 0.7: 0.2375, 0.9: 0.1295}
"""Decay times [s] of a sphere of 5 m radius with Lambert walls at 343 m/s, by absorption (Carroll and Miles 1978)."""

SIZE, SOURCE, LISTENER = np.array([6.0, 3.0, 5.0]), np.array([1.5, 1.6, 1.2]), np.array([4.3, 1.25, 3.35])
"""The shoebox and the places in it."""


def closed_forms(scale: float, threads: int) -> Iterator[Check]:
    """Yield all of them; `scale` multiplies the numbers of rays."""
    settings = ReferenceSettings(threads=threads, image_order=0)
    yield from free_field(settings)
    yield from rigid_floor(settings)
    yield from shoebox(settings, scale)
    yield from free_path(settings, scale)
    yield from sphere(settings, scale)
    yield from coupled_rooms(settings, scale)
    yield from through_a_wall(settings, scale)
    yield from wedge(settings, scale)
    yield from diffuse_fields(scale)
    yield from own_error(settings, scale)
    yield from intelligibility()


def free_field(settings: ReferenceSettings) -> Iterator[Check]:
    far = scene_of((block((0, 0, 0), (40, 40, 40)), (1.0, 0.5, 0.0)))
    propagation = ReferencePropagation(far, replace(settings, rays=160, duration=0.2))
    response = propagation.energy(Source(position=(5, 20, 20)), Listener(position=(35, 20, 20)))
    air = np.exp(-propagation.air.attenuation(OCTAVE_BANDS) * 30)
    yield Check(
        case="A1", what="free field, energy at 30 m, 8 kHz", value=response.energy[6].sum(), expected=air[6] / 900
    )
    yield Check(case="A1", what="its delay", value=response.arrival, expected=30 / propagation.speed, unit="s")


def rigid_floor(settings: ReferenceSettings) -> Iterator[Check]:
    floor = scene_of((sheet((-50, 0, -50), (-50, 0, 50), (50, 0, 50), (50, 0, -50)), (0.0, 0.0, 0.0)))
    propagation = ReferencePropagation(floor, replace(settings, rays=160, duration=0.25, rate=48_000, image_order=1))
    source, listener = Source(position=(0, 1.5, 0)), Listener(position=(4, 1.2, 0), format="mono")
    samples = propagation.impulse_response(source, listener).samples[0]
    size = 1 << 20
    frequencies, spectrum = np.fft.rfftfreq(size, 1 / 48_000), np.abs(rfft(samples.astype(np.float64), size))
    ways = np.sqrt(16 + 0.3**2), np.sqrt(16 + 2.7**2)
    spacing = propagation.speed / (ways[1] - ways[0])
    for k in (0, 2, 6):
        expected = (k + 0.5) * spacing
        near = np.flatnonzero(np.abs(frequencies - expected) < 0.3 * spacing)
        notch = frequencies[near[np.argmin(spectrum[near])]]
        yield Check(
            case="A2", what=f"rigid floor, notch {k + 1} of the comb", value=notch, expected=expected, unit="Hz"
        )
    at = np.argmin(np.abs(frequencies - 2.5 * spacing))
    depth = 20 * np.log10(spectrum[at] * ways[0])
    expected = 20 * np.log10(1 - ways[0] / ways[1])
    yield Check(case="A2", what="depth of notch 3 re direct sound", value=depth, expected=expected, unit="dB")


def shoebox_images(absorption: float, order: int) -> list[tuple[int, float, float]]:
    """Return (order, distance, energy) of the images of the shoebox (Allen and Berkley 1979)."""
    axes = [
        [(2 * n * length + sign * s, abs(2 * n - (sign < 0))) for n in range(-9, 10) for sign in (1, -1)]
        for length, s in zip(SIZE, SOURCE, strict=True)
    ]
    images = []
    for x, i in axes[0]:
        for y, j in axes[1]:
            for z, k in axes[2]:
                if i + j + k <= order:
                    distance = float(np.linalg.norm(np.array([x, y, z]) - LISTENER))
                    images.append((i + j + k, distance, (1 - absorption) ** (i + j + k) / distance**2))
    return images


def shoebox(settings: ReferenceSettings, scale: float) -> Iterator[Check]:
    box = scene_of((block((0, 0, 0), SIZE), (0.3, 0.0, 0.0)))
    exact = shoebox_images(0.3, 60)
    for order in (0, 3):
        choice = replace(settings, rays=round(40_000 * scale), duration=0.15, image_order=order, bands=(125.0,))
        propagation = ReferencePropagation(box, choice)
        response = propagation.energy(Source(position=SOURCE), Listener(position=LISTENER))
        m = float(propagation.air.attenuation((125.0,))[0])
        reach = propagation.speed * 0.15
        if order:
            near = sorted((d, e * np.exp(-m * d)) for n, d, e in exact if n <= order)
            ours = np.array([(p.length, p.energy[0]) for p in sorted(response.paths, key=lambda p: p.length)])
            worst = np.abs(ours / np.array(near) - 1).max() if len(ours) == len(near) else np.inf
            what = f"shoebox, {len(ours)} paths to order {order}, worst delay or level"
            yield Check(case="A3", what=what, value=100 * worst, expected=0.0, unit="%")
        yield Check(
            case="A3",
            what=f"mirror walls, {'images to order 3 + traced' if order else 'all traced'}, energy",
            value=response.energy.sum(),
            expected=sum(e * np.exp(-m * d) for _, d, e in exact if d < reach),
            error=response.total_error[0],
        )
    if importlib.util.find_spec("pyroomacoustics") is None:
        print("  A3  against pyroomacoustics: skipped, it is not installed.")
        return
    ours, theirs = shoebox_responses()
    both = irfft(rfft(ours, 2 * len(ours)) * rfft(theirs, 2 * len(ours)).conj())
    lag = float((np.argmax(both) + len(ours)) % (2 * len(ours)) - len(ours))
    audible = np.fft.rfftfreq(len(ours), 1 / 48_000) < 20_000
    spectra = rfft(ours)[audible], rfft(theirs)[audible]
    rest = (np.abs(spectra[0] - spectra[1]) ** 2).sum() / (np.abs(spectra[1]) ** 2).sum()
    yield Check(case="A3", what="against pyroomacoustics, lag of the response", value=lag, expected=0.0, unit="samples")
    decibel = 10 * np.log10(rest)
    yield Check(case="A3", what="energy of the difference below 20 kHz", value=decibel, expected=None, unit="dB")


def shoebox_responses() -> tuple[np.ndarray, np.ndarray]:
    """Return the shoebox's response to order 3, 48 kHz, 343 m/s, without air: ours and pyroomacoustics', ``(n,)``."""
    import pyroomacoustics

    samples, delay = 4_800, 40  # its fractional-delay filter is 81 samples long
    wall = (0.3, 0.0, 0.0)
    scene = scene_of((block((0, 0, 0), SIZE), wall))
    paths: list[SoundPath] = [straight_path(scene, SOURCE, LISTENER, np.zeros(len(OCTAVE_BANDS)))]
    paths += ImageSources(scene, Facets.build(scene), SOURCE, 3).paths(LISTENER).sound_paths()
    listener = Listener(position=LISTENER, format="mono")
    ours = Synthesizer(48_000, samples, 0, 343.0).respond(listener, SoundPaths.of(paths)).samples[0]
    pyroomacoustics.constants.set("rir_hpf_enable", False)
    turn = [0, 2, 1]  # its z is up
    room = pyroomacoustics.ShoeBox(
        SIZE[turn], fs=48_000, materials=pyroomacoustics.Material(*wall[:2]), max_order=3, air_absorption=False,
        use_rand_ism=False,
    )  # fmt: skip
    room.set_sound_speed(343.0)
    room.add_source(SOURCE[turn])
    room.add_microphone(LISTENER[turn])
    room.compute_rir()
    theirs = np.zeros(samples)
    response = np.asarray(room.rir[0][0])[delay : delay + samples]
    theirs[: len(response)] = response
    return ours.astype(np.float64), theirs


def free_path(settings: ReferenceSettings, scale: float) -> Iterator[Check]:
    shapes = {"box 8 × 3 × 6": block((0, 0, 0), (8, 3, 6)), "icosphere": trimesh.creation.icosphere(3, 4.0)}
    shapes["icosphere"].apply_translation((4, 1.5, 3))
    for name, mesh in shapes.items():
        left = []
        for duration in (0.2, 1.2):
            choice = replace(settings, rays=round(30_000 * scale), duration=duration, bin=0.1, bands=(125.0,))
            propagation = ReferencePropagation(scene_of((mesh, (0.001, 1.0, 0.0))), choice)
            response = propagation.energy(Source(position=(4, 1.2, 2.5)), Listener(position=(5, 1, 3)))
            air = propagation.air.attenuation((125.0,))[0] * propagation.speed * duration
            left.append(response.remaining[0] * np.exp(air))
        length = propagation.speed * np.log1p(-0.001) / np.log(left[1] / left[0])
        what = f"mean free path, {name}, Lambert walls"
        yield Check(case="A4", what=what, value=length, expected=4 * mesh.volume / mesh.area, unit="m")


def sphere(settings: ReferenceSettings, scale: float) -> Iterator[Check]:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=5.0)
    mesh.apply_scale(5.0 / (3.0 * mesh.volume / mesh.area))
    choice = replace(settings, rays=round(60_000 * scale), duration=6.0, bin=0.002)
    propagation = ReferencePropagation(scene_of((mesh, (tuple(SPHERE), 1.0, 0.0))), choice)
    places = [(3.0, 0.0, 0.5), (0.0, 4.0, 0.0)]
    responses = propagation.energies(Source(position=(0, 0, 0)), [Listener(position=p) for p in places])
    for b, (absorption, exact) in enumerate(SPHERE.items()):
        energy = sum(without_air(propagation, r.traced[:, :, 0].T, r.bin)[b] for r in responses)
        # With α = 0.9 every reflection takes 10 dB, and the exponential decay begins after some of them.
        levels = (-35.0, -65.0) if exact < 0.5 else (-5.0, -35.0)
        time = decay_time(energy, 1 / choice.bin, levels=levels, start=0.03) * propagation.speed / 343.0
        what = f"sphere, Lambert walls, α = {absorption:g}, T60"
        yield Check(case="A5", what=what, value=float(time), expected=exact, unit="s")
    for place, r in zip(places, responses, strict=True):
        # The highest bands are left out: to take the air out of them would add to the error.
        for b in (1, 3):
            absorption = list(SPHERE)[b]
            energy = without_air(propagation, r.traced[:, :, 0].T, r.bin)[b].sum()
            yield Check(
                case="A6",
                what=f"sphere, steady state, α = {absorption:g}, {np.linalg.norm(place):.1f} m off the middle",
                value=energy,
                expected=16 * np.pi * (1 - absorption) / (absorption * propagation.scene.areas.sum()),
                error=r.total_error[b] * energy / r.traced[:, b, 0].sum(),
            )


def coupled_rooms(settings: ReferenceSettings, scale: float) -> Iterator[Check]:
    absorption, gap = 0.1, 0.6
    wall = sheet((5, 0, 0), (5, 3, 0), (5, 3, 5 - gap), (5, 0, 5 - gap))
    scene = scene_of((block((0, 0, 0), (9, 3, 5)), (absorption, 1.0, 0.0)), (wall, (absorption, 1.0, 0.0)))
    choice = replace(settings, rays=round(40_000 * scale), duration=1.8, bin=0.01)
    propagation = ReferencePropagation(scene, choice)
    response = propagation.energy(Source(position=(2, 1.5, 2)), Listener(position=(7.5, 1.2, 2)))
    energy = without_air(propagation, response.energy, response.bin)[3]
    opening, volumes = 3 * gap, np.array([75.0, 60.0])
    surfaces = np.array([2 * (15 + 25 + 15), 2 * (12 + 20 + 15)]) - opening
    taken = -np.log1p(-absorption) * surfaces
    matrix = propagation.speed / 4 * (np.diag(taken + opening) - opening * (1 - np.eye(2))) / volumes[None, :]
    late = slice(50, 170)
    levels = np.log(np.maximum(energy[late], 1e-12))
    slope = -np.polyfit(np.arange(len(energy))[late] * response.bin, levels, 1)[0]
    slow = float(np.linalg.eigvals(matrix).min())
    yield Check(case="A7", what="coupled rooms, late decay, diffuse theory", value=slope, expected=slow, unit="1/s")


def through_a_wall(settings: ReferenceSettings, scale: float) -> Iterator[Check]:
    absorption, transmission = 0.1, 0.01
    wall = sheet((5, 0, 0), (5, 3, 0), (5, 3, 5), (5, 0, 5))
    scene = scene_of((block((0, 0, 0), (9, 3, 5)), (absorption, 1.0, 0.0)), (wall, (absorption, 1.0, transmission)))
    choice = replace(settings, rays=round(20_000 * scale), duration=1.8, bin=0.01, bands=(125.0,))
    places = [(x, y, z) for x in (2.5, 3.7, 6.3, 7.5) for y in (1.0, 2.0) for z in (1.2, 3.8)]
    heard = ReferencePropagation(scene, choice).energies(
        Source(position=(1, 1.5, 2.5)), [Listener(position=p) for p in places]
    )
    means = [np.mean([r.traced[:, 0, 0].sum() for r in half]) for half in (heard[:8], heard[8:])]
    expected = -10 * np.log10(transmission) + 10 * np.log10(2 * (12 + 20 + 15) * absorption / 15)
    loss = 10 * np.log10(means[0] / means[1])
    what = "level difference through a wall of 20 dB, diffuse theory"
    yield Check(case="A8", what=what, value=loss, expected=expected, unit="dB")


WINDOW = 4096
"""Length of the windows of `coherence` [samples]."""


def steady_tail(kind: ListenerFormat, seconds: float, rate: int, *, position: np.ndarray | None = None) -> np.ndarray:
    """Return what a listener hears of a diffuse field of constant energy: ``(channels, samples)``."""
    bins = TimeBins.build(seconds)
    field = np.zeros((len(bins.widths), len(OCTAVE_BANDS), 4), np.float32)
    field[..., 0] = bins.widths[:, None]
    listener = Listener(position=np.zeros(3) if position is None else position, format=kind)
    hearing = Synthesizer(rate, round(seconds * rate), 0, 343.2)
    out = np.zeros((hearing.receiver(kind).channels, hearing.samples), np.float32)
    hearing.add_tail(out, field, bins.edges, listener)
    return out


def diffuse_fields(scale: float) -> Iterator[Check]:
    seconds, rate = max(60 * scale, 6.0), 48_000
    frequencies = np.fft.rfftfreq(WINDOW, 1 / rate)
    for spacing in (0.05, 0.2):
        pair = MicrophoneArray(positions=[(0, 0, -spacing / 2), (0, 0, spacing / 2)])
        coherences = coherence(steady_tail(pair, seconds, rate), rate)
        worst = np.abs(in_thirds(coherences - np.sinc(2 * frequencies * spacing / 343.2), frequencies)).max()
        what = f"microphones {100 * spacing:g} cm apart, coherence off sin(kd)/(kd), worst third"
        yield Check(case="A10", what=what, value=worst, expected=0.0)
    head = HeadResponse.kemar(rate)
    coherences = coherence(steady_tail(head, seconds, rate), rate)
    left, right, cross = head.diffuse_spectra(WINDOW)
    worst = np.abs(in_thirds(coherences - cross.real / np.sqrt(left.real * right.real), frequencies)).max()
    what = "ears, coherence off the head's integral over directions, worst third"
    yield Check(case="A10", what=what, value=worst, expected=0.0)
    yield from reverberation_at_the_ears(head, max(round(60 * scale), 2))


def coherence(noise: np.ndarray, rate: int) -> np.ndarray:
    """Return the real part of the coherence of two signals ``(2, n)`` at the frequencies of `WINDOW` (Welch 1967)."""
    left, right, cross = (csd(noise[i], noise[j], rate, nperseg=WINDOW)[1] for i, j in ((0, 0), (1, 1), (1, 0)))
    return cross.real / np.sqrt(left.real * right.real)


def in_thirds(values: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Return means over the third octaves from 100 Hz to 8 kHz: single lines of a noise's spectrum vary too much."""
    edges = 1_000.0 * 2.0 ** ((np.arange(-10, 11) - 0.5) / 3)
    return np.array([values[(frequencies >= a) & (frequencies < b)].mean() for a, b in pairwise(edges)])


def reverberation_at_the_ears(head: HeadResponse, count: int) -> Iterator[Check]:
    """Hear a room's tail, from 80 ms on, with ears: how alike, per octave, on average over seeds."""
    room = scene_of((block((0, 0, 0), (6, 3, 5)), (0.1, 1.0, 0.0)))
    bands = OCTAVE_BANDS[:6]
    sums = np.zeros((3, len(bands)))
    for seed in range(count):
        settings = ReferenceSettings(rays=320, duration=0.8, rate=16_000, image_order=0, seed=seed)
        heard = ReferencePropagation(room, settings).impulse_response(
            Source(position=SOURCE), Listener(position=LISTENER, heading=float(seed))
        )
        left, right = np.fft.rfft(heard.samples[:, 1_280:].astype(np.float64))
        frequencies = np.fft.rfftfreq(heard.samples.shape[1] - 1_280, 1 / 16_000)
        for b, band in enumerate(bands):
            chosen = (frequencies > band / np.sqrt(2)) & (frequencies < band * np.sqrt(2))
            products = np.abs(left) ** 2, np.abs(right) ** 2, (left * right.conj()).real
            # Each response counts alike, however loud it is.
            total = products[0][chosen].sum() + products[1][chosen].sum()
            sums[:, b] += [p[chosen].sum() / total for p in products]
    coherences = sums[2] / np.sqrt(sums[0] * sums[1])
    spectra = head.diffuse_spectra(WINDOW)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / head.rate)
    for b, band in enumerate(bands):
        chosen = (frequencies > band / np.sqrt(2)) & (frequencies < band * np.sqrt(2))
        left, right, cross = (s[chosen].real.sum() for s in spectra)
        what = f"tail of a room at the ears, coherence, {band:g} Hz"
        yield Check(case="A10", what=what, value=coherences[b], expected=cross / np.sqrt(left * right), relative=False)


def cupboard_room(settings: ReferenceSettings) -> tuple:
    """Return a room with a cupboard, two places in it and settings."""
    scene = scene_of(
        (block((0, 0, 0), (6, 3, 5)), (0.2, (0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 0.0)),
        (block((2.5, 0, 2.0), (2.8, 2.0, 3.5)), (0.4, 0.3, 0.2)),
    )
    return scene, (1.2, 1.5, 2.6), (4.8, 1.2, 2.9), replace(settings, duration=0.4, bin=0.02, image_order=2)


def convergence(settings: ReferenceSettings, counts: Sequence[int], truth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the tracer's relative error in windows of 10 ms, over the first 30 dB of the decay.

    Args:
        settings: How to trace.
        counts: Numbers of rays.
        truth: Number of rays, of another seed, that counts as right.

    Returns:
        ``(counts,)`` what the responses state (`EnergyResponse.error`), and ``(counts,)`` how far they are off, root
        mean square over windows, bands and four seeds.
    """
    scene, a, b, choice = cupboard_room(settings)

    def traced(rays: int, seed: int) -> EnergyResponse:
        propagation = ReferencePropagation(scene, replace(choice, rays=rays, seed=seed, bin=0.01))
        return propagation.energy(Source(position=a), Listener(position=b))

    right = traced(truth, 99).traced[:, :, 0]
    to_come = np.cumsum(right[::-1], 0)[::-1]
    counted = (right > 0) & (to_come > 1e-3 * to_come[0])
    claimed, off = [], []
    for rays in counts:
        responses = [traced(rays, seed) for seed in range(4)]
        claimed.append(np.mean([r.error for r in responses]))
        off.append(
            np.sqrt(np.mean([(r.traced[:, :, 0] / np.where(counted, right, 1) - 1)[counted] ** 2 for r in responses]))
        )
    return np.array(claimed), np.array(off)


def own_error(settings: ReferenceSettings, scale: float) -> Iterator[Check]:
    scene, a, b, choice = cupboard_room(settings)
    choice = replace(choice, rays=round(24_000 * scale))
    there = ReferencePropagation(scene, choice).energy(Source(position=a), Listener(position=b))
    back = ReferencePropagation(scene, replace(choice, seed=1)).energy(Source(position=b), Listener(position=a))
    difference = (there.energy - back.energy).T[1:]
    z = difference / np.maximum(np.hypot(there.standard_error, back.standard_error)[1:], 1e-12)
    what = f"reciprocity, root mean square of z in {z.size} bins and bands"
    yield Check(case="A11", what=what, value=np.sqrt((z**2).mean()), expected=1.0)
    counts, truth = ((500, 2_000), 8_000) if scale < 1 else ((500, 2_000, 8_000), 64_000)
    for name, errors in zip(("stated", "actual"), convergence(settings, counts, truth), strict=True):
        what = f"slope of the {name} error over {counts[0]}–{counts[-1]} rays, log–log"
        yield Check(case="A12", what=what, value=np.polyfit(np.log(counts), np.log(errors), 1)[0], expected=-0.5)
    total = there.absorbed + there.lost_in_air + there.escaped + there.remaining + there.by_chance
    worst, random = 100 * np.abs(total - 1).max(), 100 * np.abs(there.by_chance).max()
    yield Check(case="A12", what="energy balance, worst band", value=worst, expected=0.0, unit="%")
    yield Check(case="A12", what="of it by Russian roulette, worst band", value=random, expected=0.0, unit="%")
    traced = {
        ReferencePropagation(scene, replace(choice, rays=800, threads=n))
        .energy(Source(position=a), Listener(position=b))
        .traced.tobytes()
        for n in (1, 2, 8)
    }
    yield Check(case="A12", what="distinct results with 1, 2 and 8 threads", value=len(traced), expected=1)


def intelligibility() -> Iterator[Check]:
    rate = 8_000
    modulations = np.array(MODULATION_FREQUENCIES)
    for decay in (0.3, 1.0, 3.0):
        energy = np.exp(-6 * np.log(10) * np.arange(round(4 * decay * rate)) / rate / decay)
        left = 1 / np.sqrt(1 + (2 * np.pi * modulations * decay / (6 * np.log(10))) ** 2)
        apparent = np.clip(10 * np.log10(left / (1 - left)), -15, 15)
        yield Check(
            case="A13",
            what=f"STI of an exponential decay, T = {decay:g} s",
            value=float(speech_transmission_index(np.tile(energy, (7, 1)), rate)),
            expected=float(((apparent + 15) / 30).mean()),
        )
