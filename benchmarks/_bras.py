"""Two measured rooms of BRAS, the Benchmark for Room Acoustical Simulation: a seminar room and an auditorium.

The data are not part of this package: set HARKEN_DATA to the folder that holds ``bras``, and in that

- ``3 Surface descriptions/_csv/initial_estimates`` and ``4 Additional data/Room acoustic parameters/data`` of Aspöck,
  Brinkmann, Ackermann, Weinzierl and Vorländer 2020, "BRAS – Benchmark for Room Acoustical Simulation",
  doi:10.14279/depositonce-6726.3 (CC BY-SA 4.0), as they are unpacked;
- ``RavenModels`` of Aspöck 2020, "Input and output data for informed room acoustic simulations of the BRAS scene
  database", https://publications.rwth-aachen.de/record/803828 (CC BY-NC-SA 4.0): the same rooms as AC3D files.

The absorption is the authors' first estimate, from tables and measurements on samples; their second one was fitted to
the measured decay and is not used. Measured are the means over two loudspeakers and five microphones, in third octaves.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from _engines import BANDS, Hearing, fast_in, reference_in
from _round_robin import MIDDLE, data_folder, upright

from harken.acoustics import AcousticSettings, Listener, ReferenceSettings, Source
from harken.scene import AcousticMaterial, Scene
from harken.scene.readers.polygons import triangulate

__all__ = ["JND", "ROOMS", "bras", "engines", "eyring", "measured", "predicted", "scene_of_room"]

JND = {"T20/s": 0.05, "EDT/s": 0.05, "C/dB": 1.0, "D/%": 5.0}
"""Just-noticeable differences (ISO 3382-1, table A.1): of times as a share, of the others as they are."""

FILES = {"T20/s": "T20", "EDT/s": "EDT", "C/dB": "C80", "D/%": "D50"}
"""The measures in BRAS's names."""

DRIVERS = (BANDS[:1], BANDS[1:4], BANDS[4:])
"""Bands of a loudspeaker's three drivers, which cross over at 177 Hz and 1.42 kHz (BRAS's documentation, 3.3.1)."""

SECONDS = 3.5
"""How long sound is followed [s]."""

Settings = TypeVar("Settings", AcousticSettings, ReferenceSettings)


@dataclass(frozen=True, kw_only=True)
class BrasRoom:
    """A room of BRAS, with the places of its loudspeakers and microphones as in its documentation, z up [m]."""

    name: str
    """BRAS's name of the scene, such as "CR2"."""
    title: str
    """What it is."""
    number: int
    """Number of its AC3D file."""
    sources: tuple[tuple[float, float], ...]
    """Where loudspeakers stand (x, y)."""
    drivers: tuple[float, float, float]
    """Heights of their drivers, from low to high frequencies."""
    microphones: tuple[tuple[float, float, float], ...]
    """Where microphones are."""
    temperature_celsius: float
    """Temperature of the air [°C]."""
    humidity_percent: float
    """Its relative humidity [%]."""

    def settings(self, kind: type[Settings], **changes: object) -> Settings:
        """Return settings of an engine with the room's air."""
        air = {"temperature_celsius": self.temperature_celsius, "humidity_percent": self.humidity_percent}
        return kind(duration=SECONDS, **air, **changes)  # type: ignore[arg-type]


ROOMS = (
    BrasRoom(
        name="CR2",
        title="seminar room",
        number=9,
        sources=((0.931, -2.547), (0.119, 2.880)),
        drivers=(0.460, 0.723, 1.023),
        microphones=(
            (-0.993, 1.426, 1.23),
            (0.439, -0.147, 1.23),
            (1.361, -0.603, 1.23),
            (-1.110, -0.256, 1.23),
            (-0.998, -1.409, 1.23),
        ),
        temperature_celsius=19.5,
        humidity_percent=41.7,
    ),
    BrasRoom(
        name="CR4",
        title="auditorium",
        number=11,
        sources=((0.0, 4.5), (-2.8, -4.5)),
        drivers=(1.117, 1.380, 1.680),
        microphones=(
            (8.50, 0.0, 1.09),
            (3.33, -7.95, 0.57),
            (9.33, -6.96, 1.18),
            (5.91, 6.34, 0.83),
            (11.83, 8.43, 1.43),
        ),
        temperature_celsius=20.9,
        humidity_percent=37.5,
    ),
)
"""The two rooms of which geometry, estimated absorption and measurement are published as files that can be read."""


def octaves(folder: Path, room: BrasRoom, surface: str) -> np.ndarray:
    """Return absorption and scattering ``(2, 6)`` of a surface, octaves as means of third octaves."""
    path = folder / "3 Surface descriptions" / "_csv" / "initial_estimates" / f"mat_{room.name}_{surface}.csv"
    frequencies, *rows = np.loadtxt(path, delimiter=",")
    return np.array([third_octaves_joined(frequencies, row) for row in rows])


def measured(folder: Path, room: BrasRoom, measure: str) -> np.ndarray:
    """Return a measured quantity ``(6,)``, mean over places and over the third octaves of an octave."""
    data = folder / "4 Additional data" / "Room acoustic parameters" / "data"
    return third_octaves_joined(*np.loadtxt(data / f"Evaluation_{room.name}_{FILES[measure]}.txt", delimiter=","))


def third_octaves_joined(frequencies: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the means of the three third octaves nearest to each octave ``(6,)``."""
    nearest = [np.argmin(np.abs(np.log(frequencies / band))) for band in BANDS]
    return np.array([values[i - 1 : i + 2].mean() for i in nearest])


def scene_of_room(folder: Path, room: BrasRoom) -> Scene:
    """Read a room from its AC3D file, a text of objects with corners and polygons, y up."""
    names: list[str] = []
    vertices, faces, material = [], [], []
    corners: list[list[float]] = []
    lines = iter((folder / "RavenModels" / f"scene{room.number}.ac").read_text().splitlines())
    for line in lines:
        word, *rest = line.split() or [""]
        if word == "MATERIAL":
            names.append(rest[0].strip('"').rpartition("_")[2])
        elif word == "numvert":
            corners = [[float(value) for value in next(lines).split()] for _ in range(int(rest[0]))]
        elif word == "mat":
            surface = int(rest[0])
        elif word == "refs":
            polygon = np.array([corners[int(next(lines).split()[0])] for _ in range(int(rest[0]))])
            cut, _, _ = triangulate(polygon, np.arange(len(polygon))[None])
            faces.append(cut + sum(map(len, vertices)))
            vertices.append(polygon)
            material += [surface] * len(cut)
    given = [octaves(folder, room, name) for name in names]
    materials = tuple(
        AcousticMaterial(name=name, absorption=tuple(absorption), scattering=tuple(scattering))
        for name, (absorption, scattering) in zip(names, given, strict=True)
    )
    return Scene(
        vertices=np.concatenate(vertices), faces=np.concatenate(faces), materials=materials,
        material=np.array(material), name=f"BRAS {room.name}",
    )  # fmt: skip


def predicted(scene: Scene, room: BrasRoom, engine: Callable[[tuple], Callable[[Scene], Hearing]]) -> np.ndarray:
    """Return what an engine predicts ``(4 measures, 6 bands)``, mean over all pairs; every driver in its own bands."""
    listeners = [Listener(position=upright(np.array(place)), format="mono") for place in room.microphones]
    parts = []
    for height, bands in zip(room.drivers, DRIVERS, strict=True):
        hear = engine(bands)(scene)
        heard = []
        for x, y in room.sources:
            heard += hear(Source(position=upright(np.array([x, y, height]))), listeners)
        parts.append(np.array([[values[measure] for measure in JND] for values in heard]).mean(0))
    return np.concatenate(parts, axis=1)


def errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return errors ``(4, 6)`` in just-noticeable differences, with their sign."""
    relative = np.array([[measure.endswith("/s")] for measure in JND])
    noticeable = np.array(list(JND.values()))[:, None] * np.where(relative, expected, 1.0)
    return (found - expected) / noticeable


def size(scene: Scene) -> tuple[float, float]:
    """Return the area [m²] of the surfaces and the volume [m³] that they enclose."""
    corners = scene.vertices[scene.faces].astype(float)
    return float(scene.areas.sum()), float(np.linalg.det(corners).sum() / 6)


def eyring(scene: Scene, settings: AcousticSettings) -> np.ndarray:
    """Return the reverberation times ``(6,)`` of a room by Eyring's formula, the air's absorption included [s]."""
    area, volume = size(scene)
    absorption = np.array([material.absorption[: len(BANDS)] for material in scene.materials])[scene.material]
    taken = -area * np.log1p(-(scene.areas[:, None] * absorption).sum(0) / area)
    air = settings.air
    return 24 * np.log(10) / air.speed_of_sound * volume / (taken + 4 * volume * air.attenuation(BANDS))


def bras(rays: int, threads: int, seed: int, quick: bool) -> None:
    """Print the errors of both tiers in both rooms, and that of Eyring's formula with the same absorption.

    In a hurry only in the small one: in the hall, few rays leave gaps in the decay.
    """
    folder = data_folder("bras")
    if folder is None:
        print("Measured rooms of BRAS: skipped, bras was not found. Set HARKEN_DATA to the folder that holds it.")
        return
    for room in ROOMS[:1] if quick else ROOMS:
        scene = scene_of_room(folder, room)
        expected = np.array([measured(folder, room, measure) for measure in JND])
        print(f"BRAS {room.name}, {room.title} of {size(scene)[0]:.1f} m² and {size(scene)[1]:.1f} m³:")
        print(f"  means over ten pairs, error in JND by octave from {BANDS[0]:g} Hz on")
        times = eyring(scene, room.settings(AcousticSettings))
        print(f"  Eyring's formula, T20: {errors(np.tile(times, (len(JND), 1)), expected)[0].round(1)}")
        for title, engine in engines(room, rays, threads, seed):
            start = time.perf_counter()
            table = errors(predicted(scene, room, engine), expected)
            everything, middle = np.abs(table).mean(), np.abs(table[:, MIDDLE]).mean()
            spent = time.perf_counter() - start
            print(f"  {title} ({spent:.0f} s): {everything:.2f} JND all bands, {middle:.2f} JND 500–2000 Hz")
            for measure, row in zip(JND, table, strict=True):
                print(f"    {measure:6} {row.round(1)}", flush=True)


def engines(room: BrasRoom, rays: int, threads: int, seed: int) -> Iterator[tuple[str, Callable]]:
    """Yield both tiers, each with a title."""
    slow = room.settings(ReferenceSettings, rays=rays, threads=threads, seed=seed)
    vector = replace(slow, scattering="vector", image_order=0)
    yield (
        f"reference tier, vector scattering, {rays} rays a driver",
        lambda bands: reference_in(replace(vector, bands=bands)),
    )
    yield "reference tier, on–off scattering, images to order 2", lambda bands: reference_in(replace(slow, bands=bands))
    fast = room.settings(AcousticSettings, seed=seed)
    yield "fast tier, field", lambda bands: fast_in(fast, True, bands)
    yield "fast tier, pair", lambda bands: fast_in(fast, False, bands)
