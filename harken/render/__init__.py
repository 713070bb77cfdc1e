"""Data sets from the simulator: recipes, sharded and resumable rendering, and readers."""

from harken.render.encoding import Audio, Depth, Frames, Video, decode_sample
from harken.render.reading import RenderedSamples, read_samples
from harken.render.recipe import RECIPES, Recipe, make_recipe, sample_generator
from harken.render.rendering import render
from harken.render.verification import Verification, verify

__all__ = [
    "RECIPES",
    "Audio",
    "Depth",
    "Frames",
    "Recipe",
    "RenderedSamples",
    "Verification",
    "Video",
    "decode_sample",
    "make_recipe",
    "read_samples",
    "render",
    "sample_generator",
    "verify",
]
