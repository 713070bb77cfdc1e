"""Generated homes: apartments with rooms, furniture, materials and textures, a new one for every seed."""

from harken.scene.homes.config import HomeConfig
from harken.scene.homes.home import generate_home

__all__ = ["HomeConfig", "generate_home"]
