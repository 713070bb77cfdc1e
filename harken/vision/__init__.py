"""Cameras: depth, colour and semantics by casting rays, and plans of a scene seen from above."""

from harken.vision.camera import Camera
from harken.vision.plan import Plan, draw_plan
from harken.vision.renderer import CHANNELS, Renderer

__all__ = ["CHANNELS", "Camera", "Plan", "Renderer", "draw_plan"]
