"""The reference tier against closed forms and against a measured room, with SoundSpaces 2.0's engine on the same work.

Every figure is printed beside what it should be; ± is one standard error. The measured room is PTB's studio (see
``_round_robin.py``; skipped where its data are not). Its participants had not seen the measurement and we have: ranks
are "non-blind". SoundSpaces 2.0's engine is not a dependency: ``pip install rlr-audio-propagation==0.0.1``
(CC-BY-NC-4.0, Linux x86-64).

    python benchmarks/acoustics.py [--quick] [--ablations] [--threads 2] [--only closed,studio]
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import trimesh
from _round_robin import BANDS, MEASURES, MIDDLE, STATES, Studio, measure_energy, measure_samples

from harken.acoustics.measures import decay_time, interaural_coherence
from harken.acoustics.protocol import Listener, Source
from harken.acoustics.reference import ReferencePropagation, ReferenceSettings
from harken.errors import HarkenWarning
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

SPHERE = {0.05: 5.2517, 0.1: 2.5652, 0.2: 1.2197, 0.3: 0.7689, 0.5: 0.4028, 0.7: 0.2375, 0.9: 0.1295}
"""Decay times [s] of a sphere of 5 m radius with Lambert walls at 343 m/s, by absorption (Carroll and Miles 1978)."""


def scene_of(*parts: tuple[trimesh.Trimesh, tuple]) -> Scene:
    """Put meshes together, each made of (absorption, scattering, transmission)."""
    meshes = [mesh for mesh, _ in parts]
    both = trimesh.util.concatenate(meshes)
    materials = tuple(
        AcousticMaterial(
            name=f"material {i}",
            **{
                name: tuple(np.atleast_1d(value))
                for name, value in zip(("absorption", "scattering", "transmission"), of, strict=True)
            },
        )
        for i, (_, of) in enumerate(parts)
    )
    return Scene(
        vertices=both.vertices,
        faces=both.faces,
        materials=materials,
        material=np.repeat(np.arange(len(parts)), [len(mesh.faces) for mesh in meshes]),
    )


def block(lower: Sequence[float], upper: Sequence[float]) -> trimesh.Trimesh:
    return trimesh.creation.box(bounds=[lower, upper])


def sheet(*corners: Sequence[float]) -> trimesh.Trimesh:
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)


def without_air(propagation: ReferencePropagation, energy: np.ndarray, width: float) -> np.ndarray:
    times = (np.arange(energy.shape[1]) + 0.5) * width
    return energy * np.exp(propagation.air.attenuation(OCTAVE_BANDS)[:, None] * propagation.speed * times)


def line(name: str, found: float, expected: float, error: float | None = None, unit: str = "") -> None:
    deviation = found / expected - 1.0
    spread = "" if error is None else f" ± {error:.4g} (z = {(found - expected) / error:+.1f})"
    print(f"  {name:<58} {found:10.5g}{spread}  expected {expected:.5g} {unit} ({100 * deviation:+.2f} %)")


def shoebox_images(size: np.ndarray, source: np.ndarray, listener: np.ndarray, absorption: float, order: int) -> list:
    """Return (order, distance, energy) of the images of a box (Allen and Berkley 1979)."""
    found = []
    axes = []
    for length, s in zip(size, source, strict=True):
        axes.append([(2 * n * length + sign * s, abs(2 * n - (sign < 0))) for n in range(-9, 10) for sign in (1, -1)])
    for x, i in axes[0]:
        for y, j in axes[1]:
            for z, k in axes[2]:
                if i + j + k <= order:
                    distance = np.linalg.norm(np.array([x, y, z]) - listener)
                    found.append((i + j + k, distance, (1 - absorption) ** (i + j + k) / distance**2))
    return found


def closed_forms(scale: float, threads: int) -> None:
    print("Closed forms")
    settings = ReferenceSettings(threads=threads, image_order=0)
    paths_and_boxes(settings, scale)
    free_path(settings, scale)
    sphere(settings, scale)
    rooms(settings, scale)
    own_error(settings, scale)


def paths_and_boxes(settings: ReferenceSettings, scale: float) -> None:
    far = scene_of((block((0, 0, 0), (40, 40, 40)), (1.0, 0.5, 0.0)))
    propagation = ReferencePropagation(far, replace(settings, rays=160, duration=0.2))
    response = propagation.energy(Source(position=(5, 20, 20)), Listener(position=(35, 20, 20)))
    air = np.exp(-propagation.air.attenuation(OCTAVE_BANDS) * 30)
    line("A1 free field, 30 m, 8 kHz", response.energy[6].sum(), air[6] / 900)
    line("A1 its delay [s]", response.arrival, 30 / propagation.speed)
    size, source, listener = np.array([6.0, 3.0, 5.0]), np.array([1.5, 1.6, 1.2]), np.array([4.3, 1.25, 3.35])
    box = scene_of((block((0, 0, 0), size), (0.3, 0.0, 0.0)))
    exact = shoebox_images(size, source, listener, 0.3, 60)
    for order in (0, 3):
        choice = replace(settings, rays=round(40_000 * scale), duration=0.15, image_order=order, bands=(125.0,))
        propagation = ReferencePropagation(box, choice)
        response = propagation.energy(Source(position=source), Listener(position=listener))
        m = float(propagation.air.attenuation((125.0,))[0])
        reach = propagation.speed * 0.15
        expected = sum(e * np.exp(-m * d) for n, d, e in exact if d < reach)
        if order:
            near = sorted((d, e * np.exp(-m * d)) for n, d, e in exact if n <= order)
            ours = np.array([(p.length, p.energy[0]) for p in sorted(response.paths, key=lambda p: p.length)])
            worst = np.abs(ours / np.array(near) - 1).max() if len(ours) == len(near) else np.inf
            print(f"  A3 shoebox, {len(ours)} paths to order {order}, worst delay or level: {100 * worst:.4f} % off")
        name = "images to order 3 + traced" if order else "all traced"
        line(f"A3 mirror walls, {name}, energy", response.energy.sum(), expected, response.total_error[0])


def free_path(settings: ReferenceSettings, scale: float) -> None:
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
        found = propagation.speed * np.log1p(-0.001) / np.log(left[1] / left[0])
        line(f"A4 mean free path, {name}, Lambert walls [m]", found, 4 * mesh.volume / mesh.area)


def sphere(settings: ReferenceSettings, scale: float) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=5.0)
    mesh.apply_scale(5.0 / (3.0 * mesh.volume / mesh.area))
    choice = replace(settings, rays=round(60_000 * scale), duration=6.0, bin=0.002)
    propagation = ReferencePropagation(scene_of((mesh, (tuple(SPHERE), 1.0, 0.0))), choice)
    places = [(3.0, 0.0, 0.5), (0.0, 4.0, 0.0)]
    responses = propagation.energies(Source(position=(0, 0, 0)), [Listener(position=p) for p in places])
    for b, (absorption, exact) in enumerate(SPHERE.items()):
        energy = sum(without_air(propagation, r.traced[:, :, 0].T, r.bin)[b] for r in responses)
        levels = (-35.0, -65.0) if exact < 0.5 else (-5.0, -35.0)
        found = decay_time(energy, 1 / choice.bin, levels=levels, start=0.03) * propagation.speed / 343.0
        line(f"A5 sphere, Lambert walls, α = {absorption:g}, T60 [s]", float(found), exact)
    for place, r in zip(places, responses, strict=True):
        # The highest bands are left out: to take the air out of them would add to the error.
        for b in (1, 3):
            absorption = list(SPHERE)[b]
            energy = without_air(propagation, r.traced[:, :, 0].T, r.bin)[b].sum()
            expected = 16 * np.pi * (1 - absorption) / (absorption * propagation.scene.areas.sum())
            error = r.total_error[b] * energy / r.traced[:, b, 0].sum()
            radius = np.linalg.norm(place)
            line(f"A6 sphere, steady state, α = {absorption:g}, {radius:.1f} m off the middle", energy, expected, error)


def rooms(settings: ReferenceSettings, scale: float) -> None:
    absorption, gap = 0.1, 0.6
    both = block((0, 0, 0), (9, 3, 5))
    wall = sheet((5, 0, 0), (5, 3, 0), (5, 3, 5 - gap), (5, 0, 5 - gap))
    scene = scene_of((both, (absorption, 1.0, 0.0)), (wall, (absorption, 1.0, 0.0)))
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
    line("A7 coupled rooms, late decay, diffuse-field theory [1/s]", slope, np.linalg.eigvals(matrix).min())
    transmission = 0.01
    wall = sheet((5, 0, 0), (5, 3, 0), (5, 3, 5), (5, 0, 5))
    scene = scene_of((both, (absorption, 1.0, 0.0)), (wall, (absorption, 1.0, transmission)))
    choice = replace(settings, rays=round(20_000 * scale), duration=1.8, bin=0.01, bands=(125.0,))
    places = [(x, y, z) for x in (2.5, 3.7, 6.3, 7.5) for y in (1.0, 2.0) for z in (1.2, 3.8)]
    heard = ReferencePropagation(scene, choice).energies(
        Source(position=(1, 1.5, 2.5)), [Listener(position=p) for p in places]
    )
    means = [np.mean([r.traced[:, 0, 0].sum() for r in half]) for half in (heard[:8], heard[8:])]
    expected = -10 * np.log10(transmission) + 10 * np.log10(2 * (12 + 20 + 15) * absorption / 15)
    line("A8 level difference through a wall, TL = 20 dB [dB]", 10 * np.log10(means[0] / means[1]), expected)


def own_error(settings: ReferenceSettings, scale: float) -> None:
    shapes = (
        (block((0, 0, 0), (6, 3, 5)), (0.2, (0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 0.0)),
        (block((2.5, 0, 2.0), (2.8, 2.0, 3.5)), (0.4, 0.3, 0.2)),
    )
    scene, a, b = scene_of(*shapes), (1.2, 1.5, 2.6), (4.8, 1.2, 2.9)
    choice = replace(settings, rays=round(24_000 * scale), duration=0.4, bin=0.02, image_order=2)
    there = ReferencePropagation(scene, choice).energy(Source(position=a), Listener(position=b))
    back = ReferencePropagation(scene, replace(choice, seed=1)).energy(Source(position=b), Listener(position=a))
    z = (there.energy - back.energy).T[1:] / np.hypot(there.standard_error, back.standard_error)[1:]
    spread = np.sqrt((z**2).mean())
    print(f"  A11 reciprocity, {z.size} bins and bands: z has root mean square {spread:.2f}, expected 1")
    errors = []
    for rays in (1_000, 4_000, 16_000):
        response = ReferencePropagation(scene, replace(choice, rays=rays, bin=0.001)).energy(
            Source(position=a), Listener(position=b)
        )
        errors.append(response.error)
    line("A12 error at 1 k over error at 16 k rays", errors[0] / errors[2], 4.0)
    total = there.absorbed + there.lost_in_air + there.escaped + there.remaining
    print(f"  A12 energy conservation: worst band {100 * np.abs(total - 1).max():.6f} % off")
    traced = [
        ReferencePropagation(scene, replace(choice, rays=800, threads=n))
        .energy(Source(position=a), Listener(position=b))
        .traced.tobytes()
        for n in (1, 2, 8)
    ]
    print(f"  same bytes with 1, 2 and 8 threads: {len(set(traced)) == 1}")


def studio_settings(rays: int, threads: int, **changes: object) -> ReferenceSettings:
    """The one setting for everything in the studio: vector scattering, the room's air, 1 ms bins."""
    settings = ReferenceSettings(
        rays=rays, threads=threads, duration=1.8, scattering="vector", image_order=0, pressure_kilopascal=100.0,
        bands=BANDS,
    )  # fmt: skip
    return replace(settings, **changes)  # type: ignore[arg-type]


def reference_in(settings: ReferenceSettings) -> Callable[[Scene], Callable]:
    def enter(scene: Scene) -> Callable:
        propagation = ReferencePropagation(scene, settings)

        def hear(source: Source, listeners: list[Listener]) -> list[dict]:
            responses = propagation.energies(source, listeners)
            return [measure_energy(r, listener) for r, listener in zip(responses, listeners, strict=True)]

        return hear

    return enter


def peer_in(rays: int) -> Callable[[Scene], Callable]:
    """SoundSpaces 2.0's engine with its own eight bands, omnidirectional, measured through octave filters."""

    def enter(scene: Scene) -> Callable:
        from harken.acoustics.engines.soundspaces2 import SoundSpaces2Propagation, SoundSpaces2Settings

        settings = SoundSpaces2Settings(rate=44_100, duration=2.0, rays=rays, bands=8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HarkenWarning)
            propagation = SoundSpaces2Propagation(scene, settings)

            def hear(source: Source, listeners: list[Listener]) -> list[dict]:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", HarkenWarning)
                    heard = [propagation.impulse_response(source, listener) for listener in listeners]
                return [measure_samples(r.samples[0], r.rate) for r in heard]

        return hear

    return enter


def report(room: Studio, values: dict, title: str, participants: dict) -> None:
    everything, middle = room.score(values)
    ranks = [1 + sum(p[i] < score for p in participants.values()) for i, score in enumerate((everything, middle))]
    print(f"{title}: {everything:.3f} JND all bands, {middle:.3f} JND 500–2000 Hz")
    print(f"  ranks {ranks[0]} and {ranks[1]} among {len(participants)} + 1, non-blind")
    for measure in (*MEASURES, "LF/%"):
        if measure not in next(iter(values.values())):
            continue
        table = room.errors(values, measure)
        everything, middle = np.abs(table).mean(), np.abs(table[:, MIDDLE]).mean()
        bias = [f"{state} {table[i].mean(1).round(1)}" for i, state in enumerate(STATES)]
        print(f"  {measure:6} {everything:.2f}, 500–2000 Hz {middle:.2f}; with sign, by band: {', '.join(bias)}")


def studio(rays: int, threads: int, quick: bool, ablations: bool) -> None:
    room = Studio.find()
    if room is None:
        print("Measured studio: skipped, ptb_round_robin_3 was not found. Set HARKEN_DATA to the folder that holds it.")
        return
    participants = room.participants()
    scores = np.sort(np.array(list(participants.values())), axis=0)
    print(f"Measured studio (PTB round robin III), {len(scores)} participants with full data, who were blind:")
    print(f"  best {scores[0].round(2)}, median {np.median(scores, 0).round(2)}, worst {scores[-1].round(2)} [JND]")
    settings = studio_settings(rays, threads)
    start = time.perf_counter()
    values = room.run(reference_in(settings))
    spent = time.perf_counter() - start
    title = f"Harken, reference tier, vector scattering, {rays} rays a source ({spent:.0f} s)"
    report(room, values, title, participants)
    if not quick:
        # Next-event estimation makes on–off scattering less noisy, so a quarter of the rays will do.
        on_off = replace(settings, scattering="on-off", image_order=2, rays=max(rays // 4, 1_000))
        report(
            room, room.run(reference_in(on_off)), "Harken, on–off scattering, image sources to order 2", participants
        )
        interaural(room, max(rays // 40, 1_000), threads)
    if importlib.util.find_spec("rlr_audio_propagation") is None:
        print("SoundSpaces 2.0's engine: skipped, rlr-audio-propagation is not installed.")
    else:
        start = time.perf_counter()
        values = room.run(peer_in(500 if quick else 5_000))
        report(room, values, f"SoundSpaces 2.0's engine ({time.perf_counter() - start:.0f} s)", participants)
    if ablations:
        ablate(room, replace(settings, rays=max(rays // 4, 1_000)))


def interaural(room: Studio, rays: int, threads: int) -> None:
    """Print IACC of binaural responses, KEMAR facing the source, over the whole response."""
    jnd, table = room.data["jnd"]["IACC"][1], np.empty((2, len(BANDS), 6))
    settings = studio_settings(rays, threads, bands=OCTAVE_BANDS, rate=24_000, scattering="on-off", image_order=2)
    receivers = room.places("receivers")
    for i, state in enumerate(STATES):
        propagation = ReferencePropagation(room.scene(state), settings)
        for j, position in enumerate(room.data["positions"]):
            source, at = room.places("sources")[position[:2]], receivers[position[2:]]
            heading = float(np.arctan2(at[0] - source[0], at[2] - source[2]))
            heard = propagation.impulse_response(
                Source(position=source), Listener(position=at, heading=heading, format="binaural")
            )
            for b, band in enumerate(BANDS):
                limits = band / np.sqrt(2), band * np.sqrt(2)
                measured = room.data["measurement_mean"][state][f"{band:g}"]["IACC"][j]
                table[i, b, j] = (interaural_coherence(heard.samples, heard.rate, band=limits) - measured) / jnd
    print(
        f"  IACC   {np.abs(table).mean():.2f}, 500–2000 Hz {np.abs(table[:, MIDDLE]).mean():.2f}; with sign, by band: ",
        end="",
    )
    print(f"{table.mean((0, 2)).round(1)} (KEMAR facing the source, whole response)")


def ablate(room: Studio, settings: ReferenceSettings) -> None:
    print("Ablations, JND all bands / 500–2000 Hz (each a departure from the first line of Harken above)")
    on_off = replace(settings, scattering="on-off")
    cases: list[tuple[str, ReferenceSettings, dict]] = [
        ("vector scattering, other seed", replace(settings, seed=1), {}),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run with few rays")
    parser.add_argument("--ablations", action="store_true", help="what each physical choice changes in the studio")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rays", type=int, default=160_000, help="rays a source in the studio")
    parser.add_argument("--only", default="closed,studio")
    options = parser.parse_args()
    parts = options.only.split(",")
    if "closed" in parts:
        closed_forms(0.04 if options.quick else 1.0, options.threads)
    if "studio" in parts:
        studio(800 if options.quick else options.rays, options.threads, options.quick, options.ablations)


if __name__ == "__main__":
    main()
