"""Generated homes: apartments with rooms, furniture, materials and textures, a new one for every seed."""

from harken.scene.homes.config import HomeConfig
from harken.scene.homes.home import generate_home, generate_plan
from harken.scene.homes.plan import Opening, Plan

__all__ = ["HomeConfig", "Opening", "Plan", "generate_home", "generate_plan"]
