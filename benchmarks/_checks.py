"""A figure with its exact value, and the small scenes that closed forms need."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh

from harken.acoustics.engines.reference import ReferencePropagation
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

__all__ = ["Check", "block", "scene_of", "sheet", "without_air"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A figure of Harken with the one that is expected."""

    case: str
    """Number of the closed form, such as "A5"."""
    what: str
    """What it is."""
    value: float
    """Its value in Harken."""
    expected: float | None
    """The exact value; None where smaller is always better."""
    error: float | None = None
    """Standard error of the value, where it depends on random numbers."""
    unit: str = ""
    """Its unit."""
    relative: bool = True
    """Whether to print the difference as a share of the expected value."""

    def __str__(self) -> str:
        """Return a line of a table."""
        name = f"{self.case:<3} {self.what}" + (f" [{self.unit}]" if self.unit else "")
        line = f"  {name:<76} {self.value:10.5g}"
        if self.expected is None:
            return line
        difference = self.value - self.expected
        if self.error is not None:
            line += f" ± {self.error:.2g} (z = {difference / self.error:+.1f})"
        line += f"  expected {self.expected:.5g}"
        if self.relative and self.expected != 0 and self.unit != "dB":
            line += f" ({100 * difference / self.expected:+.2f} %)"
        return line


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
    """Return a box between two corners."""
    return trimesh.creation.box(bounds=[lower, upper])


def sheet(*corners: Sequence[float]) -> trimesh.Trimesh:
    """Return a sheet without thickness between four corners."""
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)


def without_air(propagation: ReferencePropagation, energy: np.ndarray, width: float) -> np.ndarray:
    """Undo what the air took from energies ``(octave bands, bins)`` of bins of one width [s]."""
    times = (np.arange(energy.shape[1]) + 0.5) * width
    return energy * np.exp(propagation.air.attenuation(OCTAVE_BANDS)[:, None] * propagation.speed * times)
