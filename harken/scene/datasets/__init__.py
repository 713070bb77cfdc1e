"""Scenes in the folders of the field's data sets: found by name, with what describes their objects."""

from harken.scene.datasets.finding import FoundScene, find_scene
from harken.scene.datasets.sources import SOURCES

__all__ = ["SOURCES", "FoundScene", "find_scene"]
