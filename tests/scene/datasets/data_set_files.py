"""Small scenes in the layouts of the field's data sets, which the tests write."""

import json
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

NAME = "17DRP5sb8fy"
FROM_Y_UP = {"y": np.eye(3), "z": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])}
"""Rotations from +y up into a file's axes."""

FLOOR, TABLE, LAMP = 0, 1, 2
"""Numbers of the objects of `surfaces`."""


def surfaces() -> list[trimesh.Trimesh]:
    """Return a floor of 6 × 8 m, a table on it and a lamp 2 m above, +y up, by number."""
    floor = trimesh.creation.box(extents=(6.0, 0.1, 8.0)).subdivide().subdivide()
    table = trimesh.creation.box(extents=(1.0, 0.7, 1.0)).apply_translation((1.0, 0.45, 2.0))
    lamp = trimesh.creation.box(extents=(0.3, 0.3, 0.3)).apply_translation((-1.0, 2.0, 0.0))
    return [floor, table, lamp]


def written(path: Path, content: object) -> Path:
    """Write text, or anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def turned(mesh: trimesh.Trimesh, up: str) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices @ FROM_Y_UP[up].T, mesh.faces, process=False)


def scan(path: Path, up: str = "z") -> Path:
    """Write the surfaces as one red mesh without names."""
    mesh = turned(trimesh.util.concatenate(surfaces()), up)
    mesh.visual.vertex_colors = np.tile(np.uint8([255, 0, 0, 255]), (len(mesh.vertices), 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh.export(path)
    return path


def semantic_ply(path: Path, up: str = "z") -> Path:
    """Write the surfaces, a little moved, with the number of their object on each face."""
    rows, faces, start = [], [], 0
    for number, mesh in enumerate(surfaces()):
        mesh = turned(mesh, up)
        rows += (mesh.vertices + 0.01).tolist()
        faces += [(*(face + start), number) for face in mesh.faces]
        start += len(mesh.vertices)
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {len(rows)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nproperty int object_id\nend_header\n"
    )
    lines = [" ".join(map(str, row)) for row in rows] + [f"3 {a} {b} {c} {n}" for a, b, c, n in faces]
    return written(path, head + "\n".join(lines) + "\n")


HOUSE = f"""ASCII 1.1
H {NAME} label 0 0 0 0 0 3 3 0 0 1  0 0 0 0 0  -3 -4 0 3 4 2.5  0 0 0 0 0
C 0 2 floor 2 floor 0 0 0 0 0
C 1 40 coffee#table 5 table 0 0 0 0 0
C 2 50 ceiling#lamp 39 objects 0 0 0 0 0
O 0 0 0 0 0 0  1 0 0  0 1 0  3 4 0.05 0 0 0 0 0 0 0 0
O 1 0 1 1 2 0.4  1 0 0  0 1 0  0.5 0.5 0.35 0 0 0 0 0 0 0 0
O 2 1 2 -1 0 2  1 0 0  0 1 0  0.2 0.2 0.2 0 0 0 0 0 0 0 0
O 3 -1 -1 0 0 0  1 0 0  0 1 0  0 0 0 0 0 0 0 0 0 0 0
"""


def mp3d(root: Path, semantic: bool = True) -> Path:
    folder = root / "mp3d" / NAME
    mesh = scan(folder / f"{NAME}.glb")
    written(folder / f"{NAME}.house", HOUSE)
    if semantic:
        semantic_ply(folder / f"{NAME}_semantic.ply")
    return mesh


def gibson(root: Path) -> Path:
    mesh = scan(root / "gibson" / "Adrian.glb")
    objects = [{"id": 0, "class_": "floor"}, {"id": 1, "class_": "dining table"}, {"id": 2, "class_": "lamp"}]
    written(root / "gibson" / "Adrian.scn", {"objects": objects})
    semantic_ply(root / "gibson" / "Adrian_semantic.ply", up="y")
    return mesh


COLORS = {FLOOR: "1A2B3C", TABLE: "00FF7F", LAMP: "ABCDEF"}
SEMANTIC_TXT = f"""HM3D Semantic Annotations
{FLOOR},{COLORS[FLOOR]},"floor",0
{TABLE},{COLORS[TABLE]},"coffee table, round",0
{LAMP},{COLORS[LAMP]},"ceiling lamp",1
"""
HM3D = "00800-TEEsavR23oF"


def hm3d(root: Path, mesh: str = "TEEsavR23oF.basis.glb") -> Path:
    folder = root / "hm3d" / "val" / HM3D
    path = scan(folder / mesh)
    written(folder / "TEEsavR23oF.semantic.txt", SEMANTIC_TXT)
    # One wide texture with a stripe of each colour: shrinking it would mix them.
    stripes = [np.uint8([[int(color[k : k + 2], 16) for k in (0, 2, 4)]]) for color in COLORS.values()]
    pixels = np.concatenate([np.repeat(stripe, 1000, axis=0) for stripe in stripes])[None]
    look = trimesh.visual.material.PBRMaterial(name="atlas", baseColorTexture=Image.fromarray(pixels))
    world = trimesh.Scene()
    for number, part in enumerate(surfaces()):
        part = turned(part, "z")
        uv = np.tile([(number + 0.5) / len(stripes), 0.5], (len(part.vertices), 1))
        part.visual = trimesh.visual.TextureVisuals(uv=uv, material=look)
        world.add_geometry(part, geom_name=f"chunk {number}")
    world.export(folder / "TEEsavR23oF.semantic.glb")
    attributes = {"up": [0, 0, 1], "front": [0, 1, 0], "origin": [0, 0, 0]}
    written(
        root / "hm3d" / "hm3d_annotated_basis.scene_dataset_config.json",
        {"stages": {"paths": {".glb": ["val/*/*.basis.glb"]}, "default_attributes": attributes}},
    )
    return path


def replica(root: Path) -> Path:
    folder = root / "replica" / "apartment_0" / "habitat"
    mesh = semantic_ply(folder / "mesh_semantic.ply")
    objects = [{"id": 1, "class_name": "table"}, {"id": 2, "class_name": "lamp"}]
    written(folder / "info_semantic.json", {"objects": objects})
    return mesh


def model(
    path: Path, extents: tuple[float, float, float], middle: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> Path:
    """Write a box with a node that says nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    world = trimesh.Scene()
    box = trimesh.creation.box(extents=extents).apply_translation(middle)
    world.add_geometry(box, node_name="Cube.001", geom_name="Cube.001")
    world.export(path)
    return path


def room_glb(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    world = trimesh.Scene()
    for name, extents, middle in (
        ("floor", (6.0, 0.1, 8.0), (0.0, -0.05, 0.0)),
        ("wall", (6.0, 2.5, 0.1), (0.0, 1.25, -4.0)),
    ):
        box = trimesh.creation.box(extents=extents).apply_translation(middle)
        world.add_geometry(box, node_name=name, geom_name=name)
    world.export(path)
    return path


def hssd(root: Path) -> Path:
    """Write a scene as HSSD: objects in folders of one letter, categories by number from a lexicon."""
    data = root / "hssd-hab"
    room_glb(data / "stages" / "102344115.glb")
    written(
        data / "stages" / "102344115.stage_config.json",
        {"render_asset": "102344115.glb", "up": [0, 1, 0], "front": [0, 0, -1]},
    )
    for name, number, extents, middle in (
        ("a1", 7, (1.0, 0.8, 2.0), (0.0, 0.4, 0.0)),
        ("b2", 9, (0.5, 1.0, 0.5), (0.0, 0.5, 0.0)),
    ):
        model(data / "objects" / name[0] / f"{name}.glb", extents, middle)
        written(
            data / "objects" / name[0] / f"{name}.object_config.json",
            {"render_asset": f"{name}.glb", "semantic_id": number},
        )
    written(
        data / "semantics" / "hssd-hab_semantic_lexicon.json",
        {"classes": [{"name": "unknown", "id": 0}, {"name": "couch", "id": 7}, {"name": "potted_plant", "id": 9}]},
    )
    written(
        data / "hssd-hab.scene_dataset_config.json",
        {
            "stages": {"paths": {".json": ["stages"]}},
            "objects": {"paths": {".json": ["objects/*"]}},
            "scene_instances": {"paths": {".json": ["scenes"]}},
        },
    )
    turn = [np.cos(np.pi / 4), 0.0, np.sin(np.pi / 4), 0.0]  # 90° to the left
    return written(
        data / "scenes" / "102344115.scene_instance.json",
        {
            "stage_instance": {"template_name": "stages/102344115"},
            "translation_origin": "asset_local",
            "object_instances": [
                {"template_name": "a1", "translation": [1, 0, 2], "rotation": turn, "non_uniform_scale": [1, 1, 2]},
                {"template_name": "b2", "translation": [-2, 0, -1], "rotation": [1, 0, 0, 0]},
                {"template_name": "b2", "translation": [-2, 0, 1], "uniform_scale": 2.0},
            ],
        },
    )


def replica_cad(root: Path) -> Path:
    """Write a scene as ReplicaCAD: configurations apart from meshes, and an object with joints."""
    data = root / "replica_cad"
    room_glb(data / "stages" / "frl_apartment_stage.glb")
    written(
        data / "configs/stages/frl_apartment_stage.stage_config.json",
        {"render_asset": "../../stages/frl_apartment_stage.glb"},
    )
    model(data / "urdf" / "fridge" / "body.glb", (1.0, 1.0, 1.0))
    model(data / "urdf" / "fridge" / "door.glb", (1.0, 0.5, 0.1))
    written(data / "urdf" / "fridge" / "fridge.urdf", FRIDGE)
    model(data / "objects" / "frl_apartment_sofa.glb", (2.0, 1.0, 1.0), (0.0, 0.5, 0.0))
    written(
        data / "configs/objects/frl_apartment_sofa.object_config.json",
        {"render_asset": "../../objects/frl_apartment_sofa.glb", "semantic_id": 76},
    )
    written(data / "configs/ssd/replicaCAD_semantic_lexicon.json", {"classes": [{"id": 76, "name": "sofa"}]})
    written(
        data / "replicaCAD.scene_dataset_config.json",
        {
            "stages": {"paths": {".json": ["configs/stages"]}},
            "objects": {"paths": {".json": ["configs/objects"]}},
            "articulated_objects": {"paths": {".urdf": ["urdf/*"]}},
            "scene_instances": {"paths": {".json": ["configs/scenes"]}},
            "semantic_scene_descriptor_instances": {
                "replicaCAD_ssd_map": "configs/ssd/replicaCAD_semantic_lexicon.json"
            },
        },
    )
    return written(
        data / "configs/scenes/apt_0.scene_instance.json",
        {
            "stage_instance": {"template_name": "stages/frl_apartment_stage"},
            "translation_origin": "COM",
            "object_instances": [{"template_name": "objects/frl_apartment_sofa", "translation": [1, 0.5, 1]}],
            "articulated_object_instances": [
                {
                    "template_name": "fridge",
                    "translation": [-2, 0.5, 0],
                    "rotation": [1, 0, 0, 0],
                    "initial_joint_pose": {"hinge": np.pi / 2},
                }
            ],
        },
    )


FRIDGE = """<?xml version="1.0"?>
<robot name="fridge">
  <link name="door"><visual>
    <origin xyz="0.5 0 0" rpy="0 0 0"/><geometry><mesh filename="door.glb" scale="1 2 1"/></geometry>
  </visual><visual><geometry><box size="1 1 1"/></geometry></visual></link>
  <link name="body"><visual><geometry><mesh filename="body.glb"/></geometry></visual></link>
  <joint name="hinge" type="revolute">
    <parent link="body"/><child link="door"/><origin xyz="-0.5 0 0.55"/><axis xyz="0 1 0"/>
  </joint>
</robot>
"""


def procthor(root: Path) -> Path:
    """Write a scene as ProcTHOR for Habitat: categories as numbers by name."""
    data = root / "ai2thor-hab" / "ai2thor-hab"
    room_glb(data / "assets/stages/ProcTHOR/1/ProcTHOR-Train-1.glb")
    written(
        data / "configs/stages/ProcTHOR/1/ProcTHOR-Train-1.stage_config.json",
        {"render_asset": "../../../../assets/stages/ProcTHOR/1/ProcTHOR-Train-1.glb"},
    )
    model(data / "assets/objects/Television_1.glb", (1.0, 0.6, 0.1))
    written(
        data / "configs/objects/Television_1.object_config.json",
        {"render_asset": "../../assets/objects/Television_1.glb", "semantic_id": 12},
    )
    written(data / "configs/object_semantic_id_mapping.json", {"Television": 12, "Toilet": 13})
    written(
        data / "ai2thor-hab.scene_dataset_config.json",
        {
            "stages": {"paths": {".json": ["configs/stages/*/*"]}},
            "objects": {"paths": {".json": ["configs/objects"]}},
            "scene_instances": {"paths": {".json": ["configs/scenes/*/*"]}},
        },
    )
    return written(
        data / "configs/scenes/ProcTHOR/1/ProcTHOR-Train-1.scene_instance.json",
        {
            "stage_instance": {"template_name": "stages/ProcTHOR/1/ProcTHOR-Train-1"},
            "object_instances": [
                {
                    "template_name": "objects/Television_1",
                    "translation": [0, 1, -3],
                    "translation_origin": "asset_local",
                }
            ],
        },
    )
