"""What lies beside the mesh of a scan and says what its surfaces are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harken.errors import SceneError
from harken.scene.datasets.descriptions import Instance, read_house, read_info_semantic, read_scn, read_semantic_txt
from harken.scene.datasets.sources import SOURCES
from harken.scene.readers.content import is_file

__all__ = ["Annotations", "Layout", "annotations_of", "mesh_stem"]

Layout = Literal["replica", "mp3d", "gibson", "hm3d"]
"""The data sets whose annotated scans are known."""

_READ: dict[Layout, Callable[[Path], dict[int, Instance]]] = {
    "replica": read_info_semantic,
    "mp3d": read_house,
    "gibson": read_scn,
    "hm3d": read_semantic_txt,
}


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """The semantic files of a scan."""

    layout: Layout
    """Whose layout it is."""
    description: Path
    """File that names the objects."""
    mesh: Path
    """Mesh whose surfaces have the objects' numbers, or colours; it may be missing."""

    def instances(self) -> dict[int, Instance]:
        """Return the objects by number.

        Raises:
            SceneError: The description is damaged.
        """
        return _READ[self.layout](self.description)

    def checked_mesh(self) -> Path:
        """Return the semantic mesh.

        Raises:
            SceneError: It is missing; the message says where it comes from.
        """
        if not is_file(self.mesh):
            raise SceneError(
                f"{self.description} names objects, but the mesh with their surfaces, {str(self.mesh)!r}, is missing. "
                f"Get it from {SOURCES[self.layout]}; or move the description away to do without categories."
            )
        return self.mesh


def mesh_stem(mesh: Path) -> str:
    """Return the name of a scan from its mesh's: «X» for X.glb and X.basis.glb."""
    return mesh.stem.removesuffix(".basis")


def annotations_of(mesh: Path) -> Annotations | None:
    """Return the semantic files beside the mesh of a scan, None where no description of its objects is there."""
    folder, stem = mesh.parent, mesh_stem(mesh)
    if mesh.suffix.lower() == ".ply":
        for file in (folder / "info_semantic.json", folder / "habitat" / "info_semantic.json"):
            if is_file(file):
                named = folder / "mesh_semantic.ply"
                return Annotations(layout="replica", description=file, mesh=named if is_file(named) else mesh)
        return None
    known: tuple[tuple[Layout, str, str], ...] = (
        ("mp3d", ".house", "_semantic.ply"),
        ("gibson", ".scn", "_semantic.ply"),
        ("hm3d", ".semantic.txt", ".semantic.glb"),
    )
    for layout, description, surfaces in known:
        if is_file(folder / f"{stem}{description}") and mesh.name != f"{stem}{surfaces}":
            return Annotations(
                layout=layout, description=folder / f"{stem}{description}", mesh=folder / f"{stem}{surfaces}"
            )
    return None
