"""Scenes: triangles with materials and meaning, floors to walk on, readers, and the generator of homes."""

from harken.scene.materials import OCTAVE_BANDS, AcousticMaterial
from harken.scene.scene import Appearance, Room, Scene, SceneObject

__all__ = ["OCTAVE_BANDS", "AcousticMaterial", "Appearance", "Room", "Scene", "SceneObject"]
