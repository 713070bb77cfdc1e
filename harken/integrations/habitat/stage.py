"""A scene of Harken's as the files that Habitat reads: a GLB of triangles with colours, and a stage configuration."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np

from harken.scene import Scene

__all__ = ["write_stage", "write_stage_config"]

GLB, JSON, BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
"""Magic number of a binary glTF file and types of its chunks (glTF 2.0, section 4.4)."""

FLOAT32 = 5126
"""Component type of glTF 2.0, section 3.6.2.2."""


def write_stage(scene: Scene, folder: Path) -> Path:
    """Write a scene for Habitat, unless it is there already.

    Args:
        scene: The scene; its textures are left out, their place is taken by their mean colour.
        folder: An existing folder.

    Returns:
        Path of the stage configuration, which is what Habitat loads.
    """
    digest = hashlib.sha256(scene.fingerprint.encode()).hexdigest()[:16]
    config = folder / f"{digest}.stage_config.json"
    if not config.exists():
        asset = folder / f"{digest}.glb"
        asset.write_bytes(_glb(scene))
        write_stage_config(asset, config, up="y")
    return config


def write_stage_config(asset: Path, config: Path, *, up: str) -> Path:
    """Write a stage configuration, without which Habitat takes z for the axis that points up.

    Args:
        asset: The mesh.
        config: The file to write, ending in .stage_config.json.
        up: "y" or "z".
    """
    axes = {"y": ([0, 1, 0], [0, 0, -1]), "z": ([0, 0, 1], [0, 1, 0])}
    upwards, ahead = axes[up]
    content = {"render_asset": str(asset.resolve()), "up": upwards, "front": ahead}
    config.write_text(json.dumps(content), encoding="utf-8")
    return config


def _glb(scene: Scene) -> bytes:
    """Return the bytes of a binary glTF file with one mesh of separate triangles.

    Its colours are sRGB, which Habitat shows as they are, although vertices of glTF should have linear ones.
    """
    faces = scene.faces.ravel()
    places = np.ascontiguousarray((scene.vertices[faces] + scene.origin).astype("<f4"))
    assert scene.appearance is not None
    colors = np.ones((len(faces), 4), "<f4")
    means = np.array([image.reshape(-1, 3).mean(0) for image in scene.appearance.textures] or np.zeros((0, 3)))
    tint = np.full((len(scene.faces), 3), 255.0)
    textured = scene.appearance.texture >= 0
    tint[textured] = means[scene.appearance.texture[textured]]
    colors[:, :3] = (scene.appearance.colors / 255.0 * (tint[:, None] / 255.0)).reshape(-1, 3)
    data = places.tobytes() + colors.tobytes()
    content = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "material": 0}]}],
        "materials": [{"doubleSided": True, "pbrMetallicRoughness": {"metallicFactor": 0.0}}],
        "accessors": [
            {
                "bufferView": 0, "componentType": FLOAT32, "count": len(places), "type": "VEC3",
                "min": places.min(0).tolist(), "max": places.max(0).tolist(),
            },
            {"bufferView": 1, "componentType": FLOAT32, "count": len(colors), "type": "VEC4"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": places.nbytes},
            {"buffer": 0, "byteOffset": places.nbytes, "byteLength": colors.nbytes},
        ],
        "buffers": [{"byteLength": len(data)}],
    }  # fmt: skip
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    length = 12 + 8 + len(text) + 8 + len(data)
    return (
        struct.pack("<III", GLB, 2, length)
        + struct.pack("<II", len(text), JSON) + text
        + struct.pack("<II", len(data), BINARY) + data
    )  # fmt: skip
