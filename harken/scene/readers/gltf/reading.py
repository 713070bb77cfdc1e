"""Reader of glTF 2.0 files, binary (GLB) and text: the nodes of the scene and the meshes that they show."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harken.errors import MissingDependencyError, SceneError
from harken.scene.labels import match_category
from harken.scene.readers.gltf.accessors import as_floats, read_accessor
from harken.scene.readers.gltf.container import Document, Entry, open_document
from harken.scene.readers.gltf.looks import Look, Looks, srgb
from harken.scene.readers.gltf.primitives import Primitive, read_primitive
from harken.scene.readers.parts import LARGEST_TEXTURE, MOST_TRIANGLES, MeshPart, short_name

__all__ = ["read_gltf"]

_READ = {
    "EXT_mesh_gpu_instancing",
    "EXT_texture_avif",
    "EXT_texture_webp",
    "KHR_draco_mesh_compression",
    "KHR_materials_pbrSpecularGlossiness",
    "KHR_mesh_quantization",
    "KHR_node_visibility",
    "KHR_texture_basisu",
    "KHR_texture_transform",
    "MSFT_texture_dds",
}
"""Extensions that are read, or whose absence is reported elsewhere."""
_SHADING = (
    *("KHR_materials_", "EXT_materials_", "ADOBE_materials_", "KHR_lights_", "EXT_lights_", "KHR_xmp", "KHR_audio"),
    *("KHR_animation_", "KHR_texture_", "EXT_texture_", "MSFT_", "KHR_techniques_webgl", "KHR_interactivity", "VRMC_"),
    *("EXT_mesh_features", "EXT_structural_metadata", "EXT_instance_features", "KHR_physics", "MX_", "FB_", "AGI_"),
)
"""Prefixes of the names of extensions that change neither geometry nor base colour."""


def read_gltf(path: Path, largest_texture: int = LARGEST_TEXTURE) -> tuple[list[MeshPart], list[str]]:
    """Read a glTF file in its rest pose.

    What is read: nodes with their transforms, skins, morph targets and instances; lists, strips and fans of triangles,
    sparse and quantised accessors, Draco; textures, vertex colours, base colours; ``extras.acoustics`` of materials.
    Other extensions are refused where the file requires them, and named in a remark where it only uses them.

    Args:
        path: A ``.glb`` or ``.gltf`` file.
        largest_texture: Longest side that textures are scaled down to [pixels].

    Returns:
        The parts, one per node and primitive in the order of the scene's tree, and remarks for a warning.

    Raises:
        SceneError: The file is not glTF 2.0, is truncated or damaged, refers to a missing file, or needs an unsupported
            feature.
        MissingDependencyError: The mesh is compressed with Draco and DracoPy is not installed.
    """
    document = open_document(path)
    remarks = _check_extensions(document)
    places = _walk(document)
    world = {place.index: place.transform for place in places}
    looks = Looks(document, largest_texture)
    read: dict[tuple[str, tuple[float, ...]], list[Primitive]] = {}
    placements: list[tuple[_Place, Entry, list[Primitive], list[np.ndarray]]] = []
    total = 0
    for place in places:
        mesh = place.node.linked("mesh", "meshes")
        if mesh is None:
            continue
        weights = place.node.numbers("weights", None) or mesh.numbers("weights", None)
        if (mesh.place, weights) not in read:
            candidates = [read_primitive(child, weights) for child in mesh.children("primitives")]
            read[mesh.place, weights] = [
                primitive for primitive in candidates if primitive is not None and len(primitive.faces)
            ]
        primitives = read[mesh.place, weights]
        if not primitives:
            continue
        placements.append((place, mesh, primitives, list(_instances(place))))
        total += sum(len(primitive.faces) for primitive in primitives) * len(placements[-1][3])
        if total > MOST_TRIANGLES:
            raise document.fault(f"with all its instances it has more than {MOST_TRIANGLES:,} triangles")
    parts: list[MeshPart] = []
    owners: dict[tuple[int, int], int] = {}
    for place, mesh, primitives, transforms in placements:
        for number, transform in enumerate(transforms):
            # The instances of a node are separate objects, unless they are parts of an object above.
            owner = (place.owner, number if place.owner == place.index else 0)
            thing = owners.setdefault(owner, len(owners) + 1)
            parts += [_part(place, mesh, thing, primitive, transform, world, looks) for primitive in primitives]
    if len(owners) < 2:  # A single node is the scene and not an object in it.
        parts = [replace(part, thing=0) for part in parts]
    return parts, remarks + looks.remarks()


def _check_extensions(document: Document) -> list[str]:
    root = document.root
    required, used = (_texts(root, key) for key in ("extensionsRequired", "extensionsUsed"))
    if "EXT_meshopt_compression" in required or "KHR_meshopt_compression" in required:
        raise SceneError(
            f"{document.path} is compressed with meshopt, which cannot be read. Write it uncompressed, for example "
            "with `npx @gltf-transform/cli copy in.glb out.glb`."
        )
    if "KHR_draco_mesh_compression" in required and importlib.util.find_spec("DracoPy") is None:
        raise MissingDependencyError(
            f"{document.path} is compressed with Draco. Install the decoder with `pip install DracoPy`."
        )
    for name in required:
        if name not in _READ and not name.startswith(_SHADING):
            raise SceneError(
                f"{document.path} requires the glTF extension {short_name(name)!r}, which cannot be read. Export it "
                "without that extension."
            )
    foreign = sorted({short_name(name) for name in used if name not in _READ and not name.startswith(_SHADING)})
    if not foreign:
        return []
    return [f"it uses {', '.join(foreign[:5])}, which is not read: what is described by that alone is missing"]


def _texts(root: Entry, key: str) -> list[str]:
    names = root.content.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise root.fault(f"{key} is no list of names")
    return names


@dataclass(frozen=True, kw_only=True, eq=False)
class _Place:
    """A node in the scene's tree."""

    node: Entry
    index: int
    name: str
    """Its own name, or else its mesh's."""
    group: str
    """Name of the nearest node above that is an object («Sofa» above «Cube.012»), empty if its own name is enough.

    Nodes named after structure are skipped: «floor 1» above a chair is a storey.
    """
    owner: int
    """The node that is the object: itself, or the one that `group` names."""
    transform: np.ndarray
    """``(4, 4)`` from its axes to the scene's."""


def _walk(document: Document) -> list[_Place]:
    """Return the nodes of the default scene in the order of its tree; without recursion, as trees may be deep."""
    nodes = document.table("nodes")
    visits = np.zeros(len(nodes), bool)
    places: list[_Place] = []
    # Node, name and number of the nearest object above, and transform of the node above.
    waiting = [(root, ("", -1), np.eye(4)) for root in reversed(_roots(document))]
    while waiting:
        index, above, outer = waiting.pop()
        if index >= len(nodes):
            raise document.fault(f"a scene or node names node {index} of {len(nodes)}")
        if visits[index]:
            raise document.fault(f"nodes[{index}] is below itself or below two nodes, so the nodes form no tree")
        visits[index] = True
        node = nodes[index]
        visibility = node.extension("KHR_node_visibility")
        if visibility is not None and not visibility.flag("visible", True):
            continue
        mesh = node.linked("mesh", "meshes")
        name = short_name(node.text("name") or ("" if mesh is None else mesh.text("name")))
        category = match_category(name)
        group, owner = above if category == "unknown" and above[0] else ("", index)
        transform = outer @ _local(node)
        places.append(_Place(node=node, index=index, name=name, group=group, owner=owner, transform=transform))
        below = above if category in ("unknown", "wall", "floor", "ceiling") else (name, index)
        waiting += [(child, below, transform) for child in reversed(node.indices("children"))]
    return places


def _roots(document: Document) -> list[int]:
    scenes = document.table("scenes")
    if scenes:
        number = document.root.count("scene", 0)
        return document.root.entry_of("scenes", number, "scene").indices("nodes")
    below = {child for node in document.table("nodes") for child in node.indices("children")}
    return [index for index in range(len(document.table("nodes"))) if index not in below]


def _local(node: Entry) -> np.ndarray:
    """Return the transform ``(4, 4)`` of a node within the one above."""
    if "matrix" in node.content:
        return np.array(node.numbers("matrix", 16)).reshape(4, 4).T
    move = node.numbers("translation", 3, (0.0, 0.0, 0.0))
    turn = node.numbers("rotation", 4, (0.0, 0.0, 0.0, 1.0))
    scale = node.numbers("scale", 3, (1.0, 1.0, 1.0))
    if not any(turn):
        raise node.fault("rotation is 0; expected a unit quaternion x, y, z, w")
    return _transforms(np.array([move]), np.array([turn]), np.array([scale]))[0]


def _transforms(move: np.ndarray, turn: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return ``(n, 4, 4)`` of translations ``(n, 3)``, quaternions x, y, z, w ``(n, 4)`` and scales ``(n, 3)``."""
    x, y, z, w = (turn / np.maximum(np.linalg.norm(turn, axis=1, keepdims=True), 1e-300)).T
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    out = np.tile(np.eye(4), (len(move), 1, 1))
    out[:, :3, :3], out[:, :3, 3] = rotation * scale[:, None, :], move
    return out


def _instances(place: _Place) -> Iterator[np.ndarray]:
    """Return the transform ``(4, 4)`` of each copy that a node shows of its mesh."""
    extension = place.node.extension("EXT_mesh_gpu_instancing")
    attributes = None if extension is None else extension.child("attributes")
    if attributes is None:
        yield place.transform
        return
    values_by_name: dict[str, np.ndarray] = {}
    for name, size in (("TRANSLATION", 3), ("ROTATION", 4), ("SCALE", 3)):
        accessor = attributes.linked(name, "accessors")
        if accessor is not None:
            values_by_name[name] = as_floats(accessor, read_accessor(accessor, size))
    counts = {len(values) for values in values_by_name.values()}
    if len(counts) != 1:
        raise attributes.fault(f"its attributes have {sorted(counts)} elements; expected the same number each")
    ones = np.ones((counts.pop(), 1))
    move, turn = (
        values_by_name.get("TRANSLATION", ones * [0.0, 0, 0]),
        values_by_name.get("ROTATION", ones * [0.0, 0, 0, 1]),
    )
    for local in _transforms(move, turn, values_by_name.get("SCALE", ones * [1.0, 1, 1])):
        yield place.transform @ local


def _part(
    place: _Place,
    mesh: Entry,
    thing: int,
    primitive: Primitive,
    transform: np.ndarray,
    world: dict[int, np.ndarray],
    looks: Looks,
) -> MeshPart:
    skin = place.node.linked("skin", "skins")
    faces = primitive.faces
    if skin is not None and primitive.joints is not None:
        vertices = _skinned(skin, primitive, world)
    else:
        vertices = primitive.positions @ transform[:3, :3].T + transform[:3, 3]
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]
    material = primitive.material
    look = Look() if material is None else looks.read(material)
    uv = primitive.uv.get(look.channel)
    textured = look.texture is not None and uv is not None
    return MeshPart(
        vertices=vertices,
        faces=faces,
        material=look.name,
        node=place.name,
        mesh=short_name(mesh.text("name")),
        group=place.group,
        thing=thing,
        acoustics=look.acoustics,
        colors=_colors(primitive, look)[faces],
        uv=look.place(uv)[faces] if textured and uv is not None else None,
        texture=look.texture if textured else None,
    )


def _colors(primitive: Primitive, look: Look) -> np.ndarray:
    """Return ``(V, 3)`` uint8 sRGB colours: vertex colours times the base colour, both linear in the file."""
    if primitive.colors is None and primitive.material is None:
        return np.full((len(primitive.positions), 3), 190, np.uint8)
    linear = np.ones((len(primitive.positions), 3)) if primitive.colors is None else primitive.colors
    return srgb(linear * look.factor)


def _skinned(skin: Entry, primitive: Primitive, world: dict[int, np.ndarray]) -> np.ndarray:
    """Return ``(V, 3)`` positions that a skin's joints put in place (glTF 2.0, §3.7.3.3)."""
    joints = skin.indices("joints")
    missing = [joint for joint in joints if joint not in world]
    if missing or not joints:
        raise skin.fault(f"its joints {missing[:4]} are not in the scene")
    matrices = np.stack([world[joint] for joint in joints])
    accessor = skin.linked("inverseBindMatrices", "accessors")
    if accessor is not None:
        inverse = as_floats(accessor, read_accessor(accessor, 16)).reshape(-1, 4, 4).transpose(0, 2, 1)
        if len(inverse) < len(joints):
            raise skin.fault(f"it has {len(inverse)} inverse bind matrices for {len(joints)} joints")
        matrices = matrices @ inverse[: len(joints)]
    assert primitive.joints is not None and primitive.weights is not None
    if primitive.joints.max() >= len(joints):
        raise skin.fault(f"a vertex names joint {primitive.joints.max()} of {len(joints)}")
    weights = primitive.weights / np.maximum(primitive.weights.sum(axis=1, keepdims=True), 1e-12)
    out = np.zeros_like(primitive.positions)
    for joint, weight in zip(primitive.joints.T, weights.T, strict=True):
        transforms = matrices[joint]
        out += weight[:, None] * (
            np.einsum("nij,nj->ni", transforms[:, :3, :3], primitive.positions) + transforms[:, :3, 3]
        )
    return out
