"""Harken: an embodied audio-visual simulator. Agents that see and hear, on a laptop's CPU."""

__version__ = "0.1.0"
