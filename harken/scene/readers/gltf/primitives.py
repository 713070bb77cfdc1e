"""The triangles of one primitive of a glTF mesh: indexed or not, lists, strips and fans, morphed, or from Draco."""

import importlib.util
from dataclasses import dataclass

import numpy as np

from harken.errors import MissingDependencyError
from harken.scene.readers.gltf.accessors import as_floats, read_accessor
from harken.scene.readers.gltf.container import Entry

__all__ = ["Primitive", "read_primitive"]

_TRIANGLES, _STRIP, _FAN = 4, 5, 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Primitive:
    """Triangles that share one material, before any node moves them."""

    positions: np.ndarray
    """``(V, 3)`` float64."""
    faces: np.ndarray
    """``(F, 3)`` int64."""
    uv: dict[int, np.ndarray]
    """Texture coordinates ``(V, 2)`` float64 by the number of their set, (0, 0) at the top left."""
    colors: np.ndarray | None
    """``(V, 3)`` linear float64, None for none."""
    joints: np.ndarray | None
    """``(V, n)`` joints of the skin that move each vertex."""
    weights: np.ndarray | None
    """``(V, n)`` weights of these joints."""
    material: Entry | None
    """Its material."""


def read_primitive(primitive: Entry, weights: tuple[float, ...]) -> Primitive | None:
    """Read a primitive.

    Args:
        primitive: Its entry.
        weights: Weights of the morph targets at rest; left-out ones are 0.

    Returns:
        The primitive; None where it holds points or lines, or no positions.

    Raises:
        SceneError: The primitive does not conform to glTF, or an index exceeds its vertices.
        MissingDependencyError: It is compressed with Draco alone and DracoPy is not installed.
    """
    mode = primitive.count("mode", _TRIANGLES)
    attributes = primitive.child("attributes")
    if attributes is None or "POSITION" not in attributes.content or mode not in (_TRIANGLES, _STRIP, _FAN):
        return None
    source = _Source(primitive, attributes)
    positions = source.floats("POSITION", (3,))
    count = len(positions)
    colors = source.floats("COLOR_0", (3, 4)) if source.has("COLOR_0") else None
    sets = [n for n in range(8) if source.has(f"TEXCOORD_{n}")]
    uv = {n: source.floats(f"TEXCOORD_{n}", (2,)) for n in sets}
    joints = [source.values(f"JOINTS_{n}", (4,)) for n in range(2) if source.has(f"JOINTS_{n}")]
    shares = [source.floats(f"WEIGHTS_{n}", (4,)) for n in range(len(joints)) if source.has(f"WEIGHTS_{n}")]
    if len(shares) != len(joints):
        raise primitive.fault("it has joints without weights")
    for name, values in (("COLOR_0", colors), *uv.items(), *(("JOINTS", table) for table in [*joints, *shares])):
        if values is not None and len(values) != count:
            raise primitive.fault(f"{name} has {len(values)} elements for {count} vertices")
    return Primitive(
        positions=_morphed(primitive, positions, weights),
        faces=_triangles(primitive, source.indices(count), mode),
        uv=uv,
        colors=None if colors is None else colors[:, :3],
        joints=np.concatenate(joints, axis=1).astype(np.int64) if joints else None,
        weights=np.concatenate(shares, axis=1) if joints else None,
        material=primitive.linked("material", "materials"),
    )


class _Source:
    """Storage of a primitive's numbers: accessors, or Draco compression."""

    def __init__(self, primitive: Entry, attributes: Entry):
        self.primitive, self.attributes = primitive, attributes
        self.draco = _decode_draco(primitive, attributes)

    def has(self, name: str) -> bool:
        return name in self.attributes.content

    def values(self, name: str, sizes: tuple[int, ...]) -> np.ndarray:
        accessor = self.attributes.linked(name, "accessors")
        if accessor is None:
            raise self.attributes.fault(f"{name} is missing")
        if self.draco is not None and name in self.draco:
            values = self.draco[name]
            if values.ndim != 2 or values.shape[1] not in sizes:
                raise self.primitive.fault(f"{name} in Draco has shape {values.shape}")
            return values
        size = next((n for n in sizes if accessor.content.get("type") == f"VEC{n}"), sizes[0])
        return read_accessor(accessor, size)

    def floats(self, name: str, sizes: tuple[int, ...]) -> np.ndarray:
        values = self.values(name, sizes)
        accessor = self.attributes.linked(name, "accessors")
        assert accessor is not None
        return as_floats(accessor, values)

    def indices(self, count: int) -> np.ndarray:
        """Return the vertices in their order, as indices within `count`."""
        accessor = self.primitive.linked("indices", "accessors")
        if self.draco is not None and "indices" in self.draco:
            order = self.draco["indices"]
        elif accessor is None:
            return np.arange(count)
        else:
            order = read_accessor(accessor, 1)[:, 0]
            if order.dtype.kind != "u":
                raise accessor.fault("its componentType is none of an index")
        order = order.astype(np.int64)
        if len(order) and not 0 <= int(order.min()) <= int(order.max()) < count:
            raise self.primitive.fault(f"a face names vertex {int(order.max())}, but there are {count}, from 0 on")
        return order


def _triangles(primitive: Entry, order: np.ndarray, mode: int) -> np.ndarray:
    if mode == _TRIANGLES:
        if len(order) % 3:
            raise primitive.fault(f"it has {len(order)} corners, which makes no whole number of triangles")
        return order.reshape(-1, 3)
    first = np.arange(max(len(order) - 2, 0))
    if mode == _FAN:
        return order[np.stack([first * 0, first + 1, first + 2], axis=1)]
    # Every other triangle of a strip runs backwards (glTF 2.0, §3.7.2.1).
    odd = first % 2
    return order[np.stack([first, first + 1 + odd, first + 2 - odd], axis=1)]


def _morphed(primitive: Entry, positions: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
    for weight, target in zip(weights, primitive.children("targets"), strict=False):
        accessor = target.linked("POSITION", "accessors")
        if weight and accessor is not None:
            moved = as_floats(accessor, read_accessor(accessor, 3))
            if len(moved) != len(positions):
                raise target.fault(f"POSITION has {len(moved)} elements for {len(positions)} vertices")
            positions = positions + weight * moved
    return positions


def _decode_draco(primitive: Entry, attributes: Entry) -> dict[str, np.ndarray] | None:
    """Return the arrays in Draco data by name, including "indices"; None if Draco is not used or not needed."""
    extension = primitive.extension("KHR_draco_mesh_compression")
    if extension is None:
        return None
    if importlib.util.find_spec("DracoPy") is None:
        accessor = attributes.linked("POSITION", "accessors")
        if accessor is not None and "bufferView" in accessor.content:
            return None
        raise MissingDependencyError(
            f"{primitive.document.path} is compressed with Draco. Install the decoder with `pip install DracoPy`."
        )
    import DracoPy

    view, names = extension.linked("bufferView", "bufferViews"), extension.child("attributes")
    if view is None or names is None:
        raise extension.fault("bufferView or attributes are missing")
    try:
        mesh = DracoPy.decode(bytes(primitive.document.view(view)[0]))
        arrays = {"indices": np.asarray(mesh.faces).ravel()}
        for name in names.content:
            entry = mesh.get_attribute_by_unique_id(names.count(name))
            arrays[name] = np.asarray(entry["data"])
    except Exception as error:
        raise extension.fault(f"Draco cannot decode it ({error or type(error).__name__})") from error
    return arrays
