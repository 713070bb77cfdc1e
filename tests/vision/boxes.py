"""Scenes of boxes, for tests that know where everything is."""

import numpy as np

from harken.scene import AcousticMaterial, Appearance, Scene, SceneObject

PLASTER = AcousticMaterial(name="plaster", absorption=(0.1,))

# The corners of a unit box and its faces, seen from outside counter-clockwise.
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
_QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
_BOX = np.array([[q[i] for i in t] for q in _QUADS for t in ((0, 1, 2), (0, 2, 3))])


def build(boxes, *, colors=None, inward=(), rooms=(), textures=()) -> Scene:
    """Build a scene of boxes ``(category, lower, upper)``; those whose number is in `inward` are seen from inside."""
    names = ("unknown", *dict.fromkeys(name for name, _, _ in boxes))
    vertices, faces = [], []
    for number, (_, lower, upper) in enumerate(boxes):
        vertices.append(np.float32(lower) + _CORNERS * (np.float32(upper) - np.float32(lower)))
        faces.append(8 * number + (_BOX[:, ::-1] if number in inward else _BOX))
    owner = np.repeat(np.arange(len(boxes)), 12)
    structure = np.array([name in ("wall", "floor", "ceiling") for name, _, _ in boxes])
    palette = np.uint8(colors if colors is not None else np.full((len(boxes), 3), 200))
    return Scene(
        vertices=np.concatenate(vertices),
        faces=np.concatenate(faces),
        materials=(PLASTER,),
        material=np.zeros(len(owner), np.int32),
        categories=names,
        category=np.array([names.index(name) for name, _, _ in boxes])[owner],
        instance=np.where(structure, 0, np.arange(len(boxes)) + 1)[owner],
        objects=tuple(
            SceneObject(instance=i + 1, category=n, name=f"{n} {i}", lower=np.float32(a), upper=np.float32(b))
            for i, (n, a, b) in enumerate(boxes)
            if not structure[i]
        ),
        rooms=rooms,
        appearance=Appearance(
            colors=np.repeat(palette[owner][:, None], 3, 1),
            texture=np.full(len(owner), -1, np.int32),
            uv=np.zeros((len(owner), 3, 2), np.float32),
            textures=textures,
        ),
    )
