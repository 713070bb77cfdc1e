"""Scenes: triangles with materials and meaning, floors to walk on, readers, and the generator of homes."""

from harken.scene.datasets import FoundScene, find_scene
from harken.scene.doors import DOOR_STATES, Door, DoorState
from harken.scene.floor.geodesic import DistanceField, Path
from harken.scene.floor.graph import NavigationGraph
from harken.scene.floor.walkable import Body, WalkableFloor
from harken.scene.ground import FloorGround, GridGround, Ground
from harken.scene.homes import HomeConfig, generate_home
from harken.scene.inspection import SceneReport, inspect_scene
from harken.scene.labels import match_category, match_material
from harken.scene.material_table import MATERIALS, material
from harken.scene.materials import OCTAVE_BANDS, AcousticMaterial
from harken.scene.readers.reading import read_scene
from harken.scene.scene import Appearance, Room, Scene, SceneObject
from harken.scene.vocabulary import CATEGORIES, SOUNDING_CATEGORIES

__all__ = [
    "CATEGORIES",
    "DOOR_STATES",
    "MATERIALS",
    "OCTAVE_BANDS",
    "SOUNDING_CATEGORIES",
    "AcousticMaterial",
    "Appearance",
    "Body",
    "DistanceField",
    "Door",
    "DoorState",
    "FloorGround",
    "FoundScene",
    "GridGround",
    "Ground",
    "HomeConfig",
    "NavigationGraph",
    "Path",
    "Room",
    "Scene",
    "SceneObject",
    "SceneReport",
    "WalkableFloor",
    "find_scene",
    "generate_home",
    "inspect_scene",
    "match_category",
    "match_material",
    "material",
    "read_scene",
]
