"""The measured studio: both of Harken's tiers, what each physical choice changes, and SoundSpaces 2.0's engine."""

import importlib.util
import time
from dataclasses import replace

import numpy as np
from _engines import BANDS, fast_in, peer_in, reference_in
from _round_robin import MEASURES, MIDDLE, STATES, Studio, facing

from harken.acoustics import AcousticSettings
from harken.acoustics.engines.reference import ReferencePropagation, ReferenceSettings
from harken.acoustics.measures import interaural_coherence
from harken.acoustics.protocol import Listener, Source
from harken.scene import OCTAVE_BANDS

__all__ = ["interaural", "mean_errors", "participants_errors", "studio", "studio_settings"]


DURATION = 1.8
"""How long sound is followed in the studio [s]."""

SEEDS = 4
"""Seeds with which the fast tier is run."""


def studio_settings(rays: int, threads: int, **changes: object) -> ReferenceSettings:
    """The one setting for everything in the studio: vector scattering, diffraction, the room's air, 1 ms bins."""
    settings = ReferenceSettings(
        rays=rays, threads=threads, duration=DURATION, scattering="vector", image_order=0, pressure_kilopascal=100.0,
        bands=BANDS,
    )  # fmt: skip
    return replace(settings, **changes)  # type: ignore[arg-type]


def mean_errors(table: np.ndarray) -> tuple[float, float]:
    """Return the mean size of errors ``(2 states, 6 bands, 6 positions)``, over all bands and over 500–2000 Hz."""
    return float(np.nanmean(np.abs(table))), float(np.nanmean(np.abs(table[:, MIDDLE])))


def participants_errors(room: Studio, measure: str) -> np.ndarray:
    """Return the same of the participants who predicted a quantity, ``(n, 2)``."""
    tables = [room.errors(room.predicted(number), measure) for number in room.data["participants"]]
    return np.array([mean_errors(table) for table in tables if np.isfinite(table).mean() > 0.5])


def report(room: Studio, values: dict, title: str, participants: dict) -> None:
    everything, middle = room.score(values)
    ranks = [1 + sum(p[i] < score for p in participants.values()) for i, score in enumerate((everything, middle))]
    print(f"{title}: {everything:.3f} JND all bands, {middle:.3f} JND 500–2000 Hz")
    print(f"  ranks {ranks[0]} and {ranks[1]} among {len(participants)} + 1, non-blind")
    for measure in (*MEASURES, "LF/%"):
        if measure in next(iter(values.values())):
            print(f"  {quantity(room, measure, room.errors(values, measure))}", flush=True)


def quantity(room: Studio, measure: str, table: np.ndarray) -> str:
    """Return a line about the errors ``(2 states, 6 bands, 6 positions)`` of one quantity, beside the participants'."""
    ours, others = mean_errors(table), participants_errors(room, measure)
    parts = []
    for name, own, theirs in zip(("all bands", "500–2000 Hz"), ours, others.T, strict=True):
        parts.append(
            f"{name} {own:.2f} ({len(theirs)} programs: best {theirs.min():.2f}, median {np.median(theirs):.2f})"
        )
    bias = [f"{state} {table[i].mean(1).round(1)}" for i, state in enumerate(STATES)]
    return f"{measure:6} " + ", ".join(parts) + f"; with sign, by band: {', '.join(bias)}"


def studio(rays: int, threads: int, seed: int, quick: bool, ablations: bool) -> None:
    room = Studio.find()
    if room is None:
        print("Measured studio: skipped, ptb_round_robin_3 was not found. Set HARKEN_DATA to the folder that holds it.")
        return
    participants = room.participants()
    scores = np.sort(np.array(list(participants.values())), axis=0)
    print(f"Measured studio (PTB round robin III), {len(scores)} participants with full data, who were blind:")
    print(f"  best {scores[0].round(2)}, median {np.median(scores, 0).round(2)}, worst {scores[-1].round(2)} [JND]")
    settings = studio_settings(rays, threads, seed=seed)
    start = time.perf_counter()
    values = room.run(reference_in(settings))
    spent = time.perf_counter() - start
    title = f"Harken, reference tier, vector scattering, {rays} rays a source ({spent:.0f} s)"
    report(room, values, title, participants)
    fast_tier(room, participants, seed)
    if not quick:
        # Next-event estimation makes on–off scattering less noisy, so a quarter of the rays will do.
        on_off = replace(settings, scattering="on-off", image_order=2, rays=max(rays // 4, 1_000))
        report(
            room, room.run(reference_in(on_off)), "Harken, on–off scattering, image sources to order 2", participants
        )
        table = interaural(room, max(rays // 40, 1_000), threads)
        print(f"  {quantity(room, 'IACC', table)} (KEMAR facing the source, whole response)")
    if importlib.util.find_spec("rlr_audio_propagation") is None:
        print("SoundSpaces 2.0's engine: skipped, rlr-audio-propagation is not installed.")
    else:
        start = time.perf_counter()
        values = room.run(peer_in(500 if quick else 5_000))
        report(room, values, f"SoundSpaces 2.0's engine ({time.perf_counter() - start:.0f} s)", participants)
    if ablations:
        ablate(room, replace(settings, rays=max(rays // 4, 1_000)))


def fast_tier(room: Studio, participants: dict, seed: int) -> None:
    """Print the errors of the fast tier with its own settings, from fields and from pairs, and those of other seeds."""
    for kind in ("field", "pair"):
        predictions = []
        for number in range(seed, seed + SEEDS):
            settings = AcousticSettings(duration=DURATION, pressure_kilopascal=100.0, seed=number)
            predictions.append(room.run(fast_in(settings, kind == "field")))
        report(room, predictions[0], f"Harken, fast tier, {kind}", participants)
        scores = np.array([room.score(values) for values in predictions])
        low, high = scores.min(0), scores.max(0)
        print(f"  {SEEDS} seeds: {low[0]:.3f} to {high[0]:.3f} all bands, {low[1]:.3f} to {high[1]:.3f} 500–2000 Hz")


def interaural(room: Studio, rays: int, threads: int) -> np.ndarray:
    """Return the errors of IACC ``(2 states, 6 bands, 6 positions)``, KEMAR facing the source, whole response."""
    jnd, table = room.data["jnd"]["IACC"][1], np.empty((2, len(BANDS), 6))
    settings = studio_settings(rays, threads, bands=OCTAVE_BANDS, rate=24_000, scattering="on-off", image_order=2)
    receivers, sources = room.places("receivers"), room.places("sources")
    for i, state in enumerate(STATES):
        propagation = ReferencePropagation(room.scene(state), settings)
        for j, position in enumerate(room.data["positions"]):
            source, at = sources[position[:2]], receivers[position[2:]]
            heard = propagation.impulse_response(
                Source(position=source), Listener(position=at, heading=facing(at, source))
            )
            for b, band in enumerate(BANDS):
                limits = band / np.sqrt(2), band * np.sqrt(2)
                measured = room.data["measurement_mean"][state][f"{band:g}"]["IACC"][j]
                table[i, b, j] = (interaural_coherence(heard.samples, heard.rate, band=limits) - measured) / jnd
    return table


def ablate(room: Studio, settings: ReferenceSettings) -> None:
    print(f"Ablations with {settings.rays} rays a source, JND all bands / 500–2000 Hz")
    on_off = replace(settings, scattering="on-off")
    cases: list[tuple[str, ReferenceSettings, dict]] = [
        ("vector scattering", settings, {}),
        ("vector scattering, other seed", replace(settings, seed=settings.seed + 1), {}),
        ("vector scattering, no diffraction", replace(settings, diffraction=False), {}),
        ("vector scattering, detector of 0.15 m", replace(settings, detector_radius=0.15), {}),
        ("vector scattering, detector of 0.6 m", replace(settings, detector_radius=0.6), {}),
        ("vector scattering, 10 % of the rays", replace(settings, rays=settings.rays // 10), {}),
        ("vector scattering, 10 °C instead of 20 °C", replace(settings, temperature_celsius=10.0), {}),
        ("on–off, no image sources", on_off, {}),
        ("on–off, images to order 3", replace(on_off, image_order=3), {}),
        ("every surface s = 0 (mirrors)", on_off, {"scattering": 0.0}),
        ("every surface s = 1 (Lambert)", on_off, {"scattering": 1.0}),
    ]
    for name, choice, options in cases:
        everything, middle = room.score(room.run(reference_in(choice), **options))
        print(f"  {name:<45} {everything:.3f} / {middle:.3f}", flush=True)
