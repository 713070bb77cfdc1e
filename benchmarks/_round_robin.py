"""The measured studio of PTB's third round robin: reading it, measuring in it, and counting the errors.

A music studio of about 400 m³ at PTB Braunschweig (Bork 2002–2005), measured with open and with closed curtains, and
predicted by participants' programs, 16 of them with full data. The data are PTB's and not part of this package: set
HARKEN_DATA to the folder that holds ``ptb_round_robin_3``.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _engines import BANDS, Hearing

from harken.acoustics.protocol import Listener, Source
from harken.scene import AcousticMaterial, Scene

__all__ = ["MEASURES", "MIDDLE", "STATES", "Studio", "data_folder", "facing", "upright"]

STATES = ("open", "closed")
MIDDLE = slice(2, 5)
MEASURES = ("T30/s", "EDT/s", "D/%", "C/dB", "TS/ms", "G/dB")
"""What the bar is counted over; LF and IACC are reported beside it."""
REPORTED = (*MEASURES, "LF/%", "IACC")

Values = dict[tuple[str, str], dict[str, np.ndarray]]
"""Values ``(6 bands,)`` by (state, position) and measure."""


class Studio:
    """The room, the measurements in it and the predictions of others."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.data = json.loads((folder / "round_robin_3.json").read_text())

    @staticmethod
    def find() -> "Studio | None":
        """Return the studio, or None where its data are not."""
        folder = data_folder("ptb_round_robin_3")
        return None if folder is None else Studio(folder)

    def scene(self, state: str, scattering: float | None = None) -> Scene:
        """Return the room with its curtains "open" or "closed", made of the materials that all participants were given.

        With `scattering` all surfaces scatter that much instead of what was given, for ablations.
        """
        vertices, faces, material = [], [], []
        names: list[str] = []
        current = ""
        for line in (self.folder / f"ptb_studio_phase3_curtains_{state}.obj").read_text().splitlines():
            word, *rest = line.split() or [""]
            if word == "v":
                vertices.append([float(value) for value in rest])
            elif word == "usemtl":
                current = rest[0]
                names += [] if current in names else [current]
            elif word == "f":
                faces.append([int(corner) - 1 for corner in rest])
                material.append(names.index(current))
        coefficients = self.data["materials"]
        materials = tuple(
            AcousticMaterial(
                name=name,
                absorption=tuple(coefficients[name]["absorption"]),
                scattering=tuple(coefficients[name]["scattering"]) if scattering is None else (scattering,),
            )
            for name in names
        )
        return Scene(
            vertices=upright(np.array(vertices)), faces=np.array(faces), materials=materials,
            material=np.array(material), name=f"studio, curtains {state}",
        )  # fmt: skip

    def places(self, kind: str) -> dict[str, np.ndarray]:
        """Return the "sources" or "receivers" by name."""
        return {name: upright(np.array(place, float)) for name, place in self.data[kind].items()}

    def run(self, heard_from: Callable[[Scene], Hearing], **options: float) -> Values:
        """Let an engine predict everything.

        Args:
            heard_from: Takes the scene and returns a function of a `Source` and listeners that returns for each the
                measures by name.
            options: For `scene`.
        """
        values = {}
        for state in STATES:
            hear = heard_from(self.scene(state, **options))
            receivers = self.places("receivers")
            for name, place in self.places("sources").items():
                listeners = [
                    Listener(position=at, heading=facing(at, place), format="mono") for at in receivers.values()
                ]
                for receiver, result in zip(receivers, hear(Source(position=place), listeners), strict=True):
                    values[state, name + receiver] = result
        return values

    def errors(self, values: Values, measure: str) -> np.ndarray:
        """Return errors ``(2 states, 6 bands, 6 positions)`` in just-noticeable differences, with their sign."""
        how, size = self.data["jnd"][measure]
        table = np.empty((2, 6, 6))
        for i, state in enumerate(STATES):
            for j, position in enumerate(self.data["positions"]):
                measured = self._column(self.data["measurement_mean"], state, measure, j)
                noticeable = size * (measured if how == "rel" else 1.0)
                table[i, :, j] = (values[state, position][measure] - measured) / noticeable
        return table

    def score(self, values: Values) -> tuple[float, float]:
        """Return the mean absolute error [JND] over all bands and over 500–2000 Hz."""
        tables = np.abs([self.errors(values, measure) for measure in MEASURES])
        return float(np.nanmean(tables)), float(np.nanmean(tables[:, :, MIDDLE]))

    def participants(self) -> dict[str, tuple[float, float]]:
        """Return the scores of the participants with full data."""
        return {number: self.score(self.predicted(number)) for number in self.data["participants"]}

    def predicted(self, number: str) -> Values:
        """Return what a participant predicted; zeros in their data mean missing, and are NaN here."""
        table, values = self.data["participants"][number], {}
        for state in STATES:
            for j, position in enumerate(self.data["positions"]):
                column = {m: self._column(table, state, m, j) for m in REPORTED}
                values[state, position] = {m: np.where(v == 0, np.nan, v) for m, v in column.items()}
        return values

    @staticmethod
    def _column(table: dict, state: str, measure: str, position: int) -> np.ndarray:
        return np.array([table[state][f"{band:g}"][measure][position] for band in BANDS], float)


def data_folder(name: str) -> Path | None:
    """Return a folder of data in the one that HARKEN_DATA names, or None where it is not."""
    setting = os.environ.get("HARKEN_DATA")
    parent = Path(setting).expanduser() if setting else Path(__file__).resolve().parents[2] / "shared" / "data"
    return parent / name if (parent / name).is_dir() else None


def upright(points: np.ndarray) -> np.ndarray:
    """Bring coordinates of PTB or BRAS (z up) into Harken's frame (y up, −z forward)."""
    return points[..., [0, 2, 1]] * [1.0, 1.0, -1.0]


def facing(at: np.ndarray, target: np.ndarray) -> float:
    """Return the heading [rad] from a place towards a target."""
    way = target - at
    return float(np.arctan2(-way[0], -way[2]))
