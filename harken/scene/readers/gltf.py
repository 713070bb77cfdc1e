"""Reader of glTF 2.0 files, binary (GLB) and text."""

import importlib.util
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import MissingDependencyError, SceneError
from harken.scene.labels import match_category
from harken.scene.readers.parts import MeshPart, shrink_texture

__all__ = ["read_gltf"]


def read_gltf(path: Path) -> tuple[list[MeshPart], list[str]]:
    """Read a glTF file: node transforms, instances, textures, vertex colours, base colours, ``extras.acoustics``.

    Args:
        path: A ``.glb`` or ``.gltf`` file.

    Returns:
        The parts, one per node and primitive, and remarks about what is missing, for a warning.

    Raises:
        SceneError: The file is not glTF 2.0, is cut off or broken, or names a file that is missing.
        MissingDependencyError: The mesh is compressed with Draco and DracoPy is not installed.
    """
    import trimesh

    header = _header(path)
    _check_compression(path, header)
    try:
        world = trimesh.load_scene(path, process=False)
    except Exception as error:
        raise SceneError(
            f"{path} cannot be read as glTF: {error or type(error).__name__}. It may be cut off, broken, or refer to a "
            "file that is missing beside it; export it again."
        ) from error
    shown = _shown(world)
    acoustics = _acoustics(path, header)
    owners = [one.group or one.node for one in shown]
    distinct = list(dict.fromkeys(owners))
    images: dict[int, np.ndarray | None] = {}
    parts = [
        _part(one, distinct.index(owner) + 1 if len(distinct) > 1 else 0, acoustics, images)
        for one, owner in zip(shown, owners, strict=True)
    ]
    return parts, _missing_textures(header, [one.mesh for one in shown])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shown:
    """A mesh as a node shows it."""

    node: str
    group: str
    name: str
    transform: np.ndarray
    mesh: Any


def _shown(world: Any) -> list[_Shown]:
    """Return each mesh as often as a node shows it, in the order of the file's meshes and then of the nodes' names."""
    import trimesh

    parents = world.graph.transforms.parents
    order = {name: number for number, name in enumerate(world.geometry)}
    shown = []
    for frame in world.graph.nodes_geometry:
        transform, name = world.graph[frame]
        mesh = world.geometry.get(name)
        if not isinstance(mesh, trimesh.Trimesh):
            continue
        # Trimesh gives each primitive of a mesh a child frame with a random name; the node itself is the parent.
        node = str(parents[frame] if mesh.metadata.get("from_gltf_primitive") else frame)
        shown.append(
            _Shown(node=node, group=_group(node, parents), name=name, transform=np.asarray(transform), mesh=mesh)
        )
    return sorted(shown, key=lambda one: (order[one.name], one.node))


def _header(path: Path) -> dict[str, Any]:
    """Return the JSON part of a glTF file."""
    content = path.read_bytes()
    try:
        if path.suffix.lower() == ".glb":
            magic, version, _, length, _ = struct.unpack("<4sIIII", content[:20])
            if magic != b"glTF" or version != 2:
                raise ValueError("it does not begin as a GLB file of version 2")
            content = content[20 : 20 + length]
        header = json.loads(content)
    except (ValueError, struct.error) as error:
        raise SceneError(
            f"{path} cannot be read as glTF: {error}. It may be cut off or broken; export it again."
        ) from error
    if not isinstance(header, dict):
        raise SceneError(f"{path} cannot be read as glTF: its JSON is no object. Export it again.")
    return header


def _check_compression(path: Path, header: dict[str, Any]) -> None:
    used = set(header.get("extensionsRequired", [])) | set(header.get("extensionsUsed", []))
    if "KHR_draco_mesh_compression" in used and importlib.util.find_spec("DracoPy") is None:
        raise MissingDependencyError(
            f"{path} is compressed with Draco. Install the decoder with `pip install DracoPy`."
        )
    if "EXT_meshopt_compression" in used:
        raise SceneError(
            f"{path} is compressed with meshopt, which cannot be read. Write it uncompressed, for example with "
            "`npx @gltf-transform/cli copy in.glb out.glb`."
        )


def _group(node: str, parents: dict[str, str]) -> str:
    """Return the nearest node above that names a thing («Sofa» above «Cube.012»), empty where `node` does itself.

    Nodes named after structure are passed over: «floor 1» above a chair is a storey.
    """
    if match_category(node) != "unknown":
        return ""
    while node in parents:
        node = parents[node]
        if match_category(node) not in ("unknown", "wall", "floor", "ceiling"):
            return node
    return ""


def _acoustics(path: Path, header: dict[str, Any]) -> dict[str, Any]:
    """Return ``extras.acoustics`` by the name of the material, under which trimesh hands the material on."""
    found: dict[str, Any] = {}
    for number, entry in enumerate(header.get("materials", [])):
        extras, name = entry.get("extras"), entry.get("name", "")
        if not isinstance(extras, dict) or "acoustics" not in extras:
            continue
        if not name or found.get(name, extras["acoustics"]) != extras["acoustics"]:
            raise SceneError(
                f"{path}: material {number} has extras.acoustics but {'shares its' if name else 'no'} name"
                f"{f' {name!r} with another' if name else ''}. Give each material with acoustics a name of its own."
            )
        found[name] = extras["acoustics"]
    return found


def _part(one: _Shown, thing: int, acoustics: dict[str, Any], images: dict[int, np.ndarray | None]) -> MeshPart:
    mesh, transform = one.mesh, one.transform
    vertices = np.asarray(mesh.vertices, np.float64) @ transform[:3, :3].T + transform[:3, 3]
    faces = np.asarray(mesh.faces, np.int64)
    if np.linalg.det(transform[:3, :3]) < 0:
        faces = faces[:, ::-1]
    material = getattr(mesh.visual, "material", None)
    name = str(getattr(material, "name", None) or "")
    image, factor = getattr(material, "baseColorTexture", None), getattr(material, "baseColorFactor", None)
    if image is not None and id(image) not in images:
        try:
            images[id(image)] = shrink_texture(image)
        except (OSError, ValueError, SyntaxError):
            images[id(image)] = None
    texture = images.get(id(image)) if image is not None else None
    uv = getattr(mesh.visual, "uv", None)
    return MeshPart(
        vertices=vertices,
        faces=faces,
        material=name,
        node=one.node,
        mesh=one.name,
        group=one.group,
        thing=thing,
        acoustics=acoustics.get(name),
        colors=_colors(mesh, factor, plain=material is None)[faces],
        uv=None if uv is None or texture is None else np.asarray(uv)[faces],
        texture=texture if uv is not None else None,
    )


def _colors(mesh: Any, factor: np.ndarray | None, *, plain: bool) -> np.ndarray:
    """Return ``(V, 3)`` uint8 sRGB colours: vertex colours times the base colour, both linear in the file."""
    given = mesh.visual.vertex_attributes.get("color") if mesh.visual.kind == "texture" else None
    if given is None and mesh.visual.kind == "vertex":
        given = mesh.visual.vertex_colors
    if given is None and plain:
        return np.full((len(mesh.vertices), 3), 190, np.uint8)
    linear = np.ones((len(mesh.vertices), 3))
    if given is not None:
        given = np.asarray(given)
        linear = given[:, :3] / (np.iinfo(given.dtype).max if given.dtype.kind in "ui" else 1.0)
    if factor is not None:
        factor = np.asarray(factor)
        # Trimesh turns factors of 0…1 into bytes.
        linear = linear * (factor[:3] / (255.0 if factor.dtype.kind in "ui" else 1.0))
    linear = np.clip(linear, 0.0, 1.0)
    # IEC 61966-2-1, the sRGB transfer function.
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255.0 * encoded).astype(np.uint8)


def _missing_textures(header: dict[str, Any], meshes: list[Any]) -> list[str]:
    """Name the materials that have a base texture in the file but none after reading."""
    wanted = {
        str(entry.get("name", ""))
        for entry in header.get("materials", [])
        if "baseColorTexture" in entry.get("pbrMetallicRoughness", {})
    }
    materials = [getattr(mesh.visual, "material", None) for mesh in meshes]
    missing = sorted(
        {
            str(getattr(material, "name", None) or "")
            for material in materials
            if material is not None and getattr(material, "baseColorTexture", None) is None
        }
        & wanted
    )
    if not missing:
        return []
    names = ", ".join(repr(name) for name in missing[:3]) + (" …" if len(missing) > 3 else "")
    return [
        f"the texture of {len(missing)} material(s) ({names}) is missing or in a format that cannot be read, such as "
        "KTX2, so their surfaces have one colour"
    ]
