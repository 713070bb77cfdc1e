"""The common result of the readers: parts of a mesh, with their names, colours and textures."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = [
    "LARGEST_TEXTURE",
    "LONGEST_NAME",
    "MOST_TRIANGLES",
    "MeshPart",
    "members_of",
    "short_name",
    "shrink_texture",
]

LARGEST_TEXTURE = 1024
"""Longest side of a texture after loading [pixels]; larger images are scaled down."""
LONGEST_NAME = 200
"""Longest name that is kept [characters]."""
MOST_TRIANGLES = 20_000_000
"""Largest number of triangles of a scene, counting every instance: about 8 GB while it is read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MeshPart:
    """Triangles that share one material and belong to one object."""

    vertices: np.ndarray
    """``(V, 3)`` float64 positions, in the file's units and axes, node transforms applied."""
    faces: np.ndarray
    """``(F, 3)`` indices into `vertices`."""
    material: str = ""
    """Name of the material in the file, empty for none."""
    node: str = ""
    """Name of the object or node, empty for none."""
    mesh: str = ""
    """Name of the mesh that the node shows, where it differs from the node's."""
    group: str = ""
    """Name of the node above that names the whole object, if its own does not; empty for none."""
    thing: int = 0
    """Which object of the file this is, from 1; 0 for none. The parts of one object share the number."""
    acoustics: Any = None
    """The material's ``extras.acoustics``, not yet checked."""
    colors: np.ndarray | None = None
    """``(F, 3, 3)`` uint8 sRGB per corner, None for grey."""
    uv: np.ndarray | None = None
    """``(F, 3, 2)`` texture coordinates per corner, (0, 0) at the bottom left."""
    texture: np.ndarray | None = None
    """``(height, width, 3)`` uint8; parts with the same texture share the array."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names under which a material may be given, the most specific first."""
        return tuple(dict.fromkeys(name for name in (self.material, self.node, self.mesh, self.group) if name))

    def moved(self, transform: np.ndarray) -> "MeshPart":
        """Return the part under a transform ``(4, 4)``; one that mirrors turns the triangles over."""
        vertices = self.vertices @ transform[:3, :3].T + transform[:3, 3]
        if np.linalg.det(transform[:3, :3]) >= 0:
            return replace(self, vertices=vertices)
        corners = {name: getattr(self, name) for name in ("faces", "colors", "uv")}
        turned = {name: None if value is None else value[:, ::-1] for name, value in corners.items()}
        return replace(self, vertices=vertices, **turned)

    def only(self, rows: np.ndarray, **changes: Any) -> "MeshPart":
        """Return some of the triangles, by their places `rows`, as a part with its own vertices and other names."""
        corners, local = np.unique(self.faces[rows], return_inverse=True)
        return replace(
            self,
            vertices=self.vertices[corners],
            faces=local.reshape(-1, 3),
            colors=None if self.colors is None else self.colors[rows],
            uv=None if self.uv is None else self.uv[rows],
            **changes,
        )


def members_of(group: np.ndarray) -> list[np.ndarray]:
    """Return the places ``(n,)`` of every number that occurs in `group`, ascending."""
    if (group == group[0]).all():
        return [np.arange(len(group))]
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def shrink_texture(image: Any, largest: int = LARGEST_TEXTURE) -> np.ndarray:
    """Decode a Pillow image to ``(height, width, 3)`` uint8 with sides of at most `largest` pixels."""
    from PIL import Image

    image.draft("RGB", (largest, largest))
    image = image.convert("RGB")
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8).copy()


def short_name(name: str) -> str:
    """Return a name from a file, cut where it is too long to be one."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
