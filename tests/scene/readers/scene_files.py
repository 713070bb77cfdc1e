"""Scene files that the tests of the readers write."""

import base64
import json

import numpy as np
import trimesh
from PIL import Image

ROOM = """\
# A room of 4 × 3 × 5 m, walls with a notch for a door at z = 0.
mtllib room.mtl
v 0 0 0
v 4 0 0
v 4 3 0
v 0 3 0
v 0 0 5
v 4 0 5
v 4 3 5
v 0 3 5
v 1 0 0
v 1 2 0
v 2 2 0
v 2 0 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
o floor
usemtl oak
f 1/1 5/2 6/3 2/4
o ceiling
usemtl painted_plaster
f 4 3 7 8
o walls
usemtl brick
f 1 9 10 11 12 2 3 4
usemtl odd name_7
f -12 -9 -5 -8
f 2 6 7 3
f 5 8 7 6
"""


MTL = "newmtl oak\nKd 0.5 0.25 1\nmap_Kd oak.png\nnewmtl painted_plaster\nKd 0.2 0.4 0.6\n"


def made_of(scene, point_on, axis):
    """Names of the materials of the triangles in the plane `axis` = `point_on`."""
    flat = np.ptp(scene.vertices[scene.faces][:, :, axis], axis=1) < 1e-6
    chosen = flat & (np.abs(scene.vertices[scene.faces][:, 0, axis] - point_on) < 1e-6)
    return {scene.materials[i].name for i in scene.material[chosen]}


def box_file(path, size=(4.0, 3.0, 5.0), name="wall"):
    mesh = trimesh.creation.box(extents=size)
    world = trimesh.Scene()
    world.add_geometry(mesh, node_name=name, geom_name=name)
    world.export(path)
    return path


def furnished(tmp_path, suffix=".glb"):
    """Two instances of one textured chair under a moved, turned and scaled node, and a room around."""
    image = Image.fromarray(np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]]))
    look = trimesh.visual.material.PBRMaterial(name="leather", baseColorTexture=image)
    chair = trimesh.creation.box(extents=(1, 1, 1))
    chair.visual = trimesh.visual.TextureVisuals(uv=np.tile([0.25, 0.75], (8, 1)), material=look)
    walls = trimesh.creation.box(extents=(4, 3, 5))
    walls.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(name="Brick_02", baseColorFactor=[255, 0, 128, 255])
    )
    world = trimesh.Scene()
    world.add_geometry(walls, node_name="Walls", geom_name="shell")
    place = trimesh.transformations.translation_matrix((1, -1, 0)) @ np.diag((1, 1, 2, 1))
    turn = trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0))
    world.add_geometry(chair, node_name="chair_a", geom_name="chair", transform=place)
    world.graph.update(frame_to="chair_b", frame_from="world", geometry="chair", matrix=turn @ place)
    path = tmp_path / f"home{suffix}"
    if suffix == ".glb":
        world.export(path)
    else:
        for name, content in world.export(file_type="gltf").items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / "model.gltf").rename(path)
    return path


def rewrite(path, change):
    """Change the JSON part of a GLB file."""
    content = path.read_bytes()
    length = int.from_bytes(content[12:16], "little")
    header = json.loads(content[20 : 20 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    rest = content[20 + length :]
    total = (20 + len(text) + len(rest)).to_bytes(4, "little")
    path.write_bytes(content[:8] + total + len(text).to_bytes(4, "little") + content[16:20] + text + rest)
    return path


def give_acoustics(entry):
    def change(header):
        next(m for m in header["materials"] if m["name"] == "Brick_02")["extras"] = {"acoustics": entry}

    return change


def replica_like(path, *, binary=True):
    """Two quads at z = 0 and z = 2.5, z up, with colours and an object per face."""
    corners = [(0, 0), (4, 0), (4, 6), (0, 6)]
    vertices = [(x, y, z) for z in (0.0, 2.5) for x, y in corners]
    head = (
        f"ply\nformat {'binary_little_endian' if binary else 'ascii'} 1.0\nelement vertex 8\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        "element face 2\nproperty list uchar int vertex_indices\nproperty int object_id\nend_header\n"
    )
    kinds = np.dtype([("p", "<f4", 3), ("c", "u1", 3)])
    faces = np.dtype([("n", "u1"), ("v", "<i4", 4), ("id", "<i4")])
    rows = np.array([(v, (200, 100, i)) for i, v in enumerate(vertices)], kinds)
    quads = np.array([(4, (0, 1, 2, 3), 7), (4, (4, 7, 6, 5), 9)], faces)
    if binary:
        path.write_bytes(head.encode() + rows.tobytes() + quads.tobytes())
    else:
        text = [" ".join(map(str, (*v, 200, 100, i))) for i, v in enumerate(vertices)]
        text += [" ".join(map(str, (4, *q["v"], q["id"]))) for q in quads]
        path.write_text(head + "\n".join(text) + "\n")
    return path


_COMPONENTS = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
SQUARE = np.array([(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0)], np.float32)


class GltfWriter:
    """Write small glTF files by hand: `add` arrays, change `header`, then `write`."""

    def __init__(self):
        self.data = b""
        self.header = {
            "asset": {"version": "2.0"},
            "scenes": [{"nodes": [0]}],
            "nodes": [{"name": "wall", "mesh": 0}],
            "meshes": [],
            "accessors": [],
            "bufferViews": [],
        }

    def view(self, content, **more):
        self.data += b"\0" * (-len(self.data) % 4)
        self.header["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content), **more}
        )
        self.data += content
        return len(self.header["bufferViews"]) - 1

    def add(self, values, **more):
        """Add an accessor and return its number."""
        values = np.asarray(values)
        values = values.reshape(len(values), -1)
        self.header["accessors"].append(
            {
                "bufferView": self.view(values.tobytes()),
                "componentType": _COMPONENTS[values.dtype.name],
                "count": len(values),
                "type": _KINDS[values.shape[1]],
                **more,
            }
        )
        return len(self.header["accessors"]) - 1

    def mesh(self, positions=SQUARE, indices=(0, 1, 2, 0, 2, 3), width="uint16", **primitive):
        """Add a mesh of one primitive."""
        entry = {"attributes": {"POSITION": self.add(positions)}, **primitive}
        if indices is not None:
            entry["indices"] = self.add(np.array(indices, width))
        self.header["meshes"].append({"primitives": [entry]})
        return entry

    def write(self, path):
        uri = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
        buffers = [{"uri": uri, "byteLength": len(self.data)}] if self.data else []
        path.write_text(json.dumps({"buffers": buffers, **self.header}))
        return path
