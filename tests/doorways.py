"""Two rooms with a door between them, which several tests share."""

import numpy as np
import trimesh

from harken.scene import AcousticMaterial, Door, Scene

OAK = AcousticMaterial(name="oak", absorption=(0.1,), scattering=(0.1,), transmission=(0.01,))
HINGE, LATCH = (4.05, 0.0, 1.5), (4.05, 0.0, 2.4)


def two_rooms(**door):
    """Two rooms of 4 × 2.6 × 4 m and a wall of 10 cm with an opening of 0.9 × 2 m."""
    shell = trimesh.creation.box(bounds=[[0, 0, 0], [8.1, 2.6, 4]])
    shell.invert()
    parts = [[[4, 0, 0], [4.1, 2.6, 1.5]], [[4, 0, 2.4], [4.1, 2.6, 4]], [[4, 2, 1.5], [4.1, 2.6, 2.4]]]
    mesh = trimesh.util.concatenate([shell, *(trimesh.creation.box(bounds=part) for part in parts)])
    plaster = AcousticMaterial(name="plaster", absorption=(0.2,), scattering=(0.5,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(plaster,), material=np.zeros(len(mesh.faces)))


def a_door(**changes):
    return Door(**{"name": "door", "hinge": HINGE, "latch": LATCH, "height": 2.0, "material": OAK, **changes})
