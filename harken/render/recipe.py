"""Recipes: what one sample of a data set is."""

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from harken.checks import checked_count
from harken.errors import ConfigurationError, UnknownNameError
from harken.splits import checked_split

__all__ = ["RECIPES", "Recipe", "RecipeEntry", "make_recipe", "sample_generator"]


@runtime_checkable
class Recipe(Protocol):
    """What one sample of a data set is: a pure function of settings, split, seed and number.

    A recipe is pickled to other processes and machines, so it holds little more than its settings; what is large is
    made when the first sample needs it. Nothing that `sample` returns may depend on which samples were made before, on
    the process or on the clock: a data set is rendered in pieces, in any order, and its bytes must not depend on that.
    """

    name: ClassVar[str]
    """Name of the recipe, as on the command line."""
    version: ClassVar[int]
    """Raised whenever the same settings give other contents, so that old and new samples are never mixed."""

    @property
    def licence(self) -> str:
        """What the samples may be used for, in words for the data card, with the sources that ask to be named."""
        ...

    @property
    def settings(self) -> Any:
        """The settings, a frozen dataclass that `harken.configs.to_mapping` can write."""
        ...

    @property
    def split(self) -> str:
        """One of `harken.splits.SPLITS`."""
        ...

    @property
    def seed(self) -> int:
        """Seed of every random draw, not negative."""
        ...

    def sample(self, number: int) -> Mapping[str, Any]:
        """Make a sample.

        Args:
            number: Number of the sample in its split, from 0.

        Returns:
            Parts by extension, as `harken.render.encoding.encode_sample` takes them: `Audio` under ``flac`` or
            ``wav``, images ``(h, w, channels)`` uint8 and `Frames` under ``png`` or ``jpg``, arrays under ``npy`` or
            ``npy.gz``, `Depth` under ``npy.gz``, `Video` under ``mp4``, metadata under ``json``, with a prefix where
            there are several of a kind, such as ``left.flac`` and ``right.flac``. Every sample has the same parts, and
            metadata of the same types: common readers take the first sample for the rule.
        """
        ...


def sample_generator(recipe: Recipe, number: int) -> np.random.Generator:
    """Return the generator for all random draws of one sample.

    It is a function of the recipe's name, its split and seed, and the number, so that no two samples share draws.

    Args:
        recipe: The recipe.
        number: Number of the sample.
    """
    words = f"{recipe.name}/{recipe.split}/{recipe.seed}/{number}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(words).digest()[:16], "little"))


@dataclass(frozen=True, kw_only=True)
class RecipeEntry:
    """A recipe that the command line knows, imported when it is asked for."""

    module: str
    """Module that holds the recipe."""
    recipe: str
    """Name of the recipe's class; called with ``settings``, ``split`` and ``seed``."""
    settings: str
    """Name of the dataclass of its settings, in the same module."""
    description: str
    """One sentence for the command line's help."""


RECIPES: dict[str, RecipeEntry] = {
    "binaural-video": RecipeEntry(
        module="harken.render.recipes.binaural_video",
        recipe="BinauralVideoRecipe",
        settings="BinauralVideoSettings",
        description="Videos in homes with sounding objects in view: binaural, stems, masks, depth, positions; or 360°.",
    ),
    "clips": RecipeEntry(
        module="harken.render.recipes.clips",
        recipe="ClipsRecipe",
        settings="ClipsSettings",
        description="The built-in clips at random levels: the smallest recipe, and an example to copy.",
    ),
    "echo-depth": RecipeEntry(
        module="harken.render.recipes.echo_depth",
        recipe="EchoDepthRecipe",
        settings="EchoDepthRenderSettings",
        description="Echoes of a sweep with image, depth, semantic and material map, for depth from echoes.",
    ),
    "localization": RecipeEntry(
        module="harken.render.recipes.localization",
        recipe="LocalizationRecipe",
        settings="LocalizationSettings",
        description="The scenes of binaural-video with labels: which pixels sound, when each source is on, and where.",
    ),
    "mixtures": RecipeEntry(
        module="harken.render.recipes.mixtures",
        recipe="MixturesRecipe",
        settings="MixturesSettings",
        description="Sounding objects of a home heard at once: mixture, stems, ideal masks, places and pictures.",
    ),
    "pseudo-binaural": RecipeEntry(
        module="harken.render.recipes.pseudo_binaural",
        recipe="PseudoBinauralRecipe",
        settings="PseudoBinauralSettings",
        description="Images of objects and the stereo sound that they would make where they are seen (PseudoBinaural).",
    ),
}
"""The recipes of the command line by name."""


def make_recipe(name: str, *, settings: Any = None, split: str = "train", seed: int = 0) -> Recipe:
    """Make one of the recipes that come with Harken.

    Args:
        name: One of `RECIPES`.
        settings: An instance of the recipe's settings, the path of a YAML file of them, or None for the defaults.
        split: One of `harken.splits.SPLITS`.
        seed: Seed of every random draw.

    Raises:
        UnknownNameError: There is no such recipe, split or key in the file.
        ConfigurationError: The seed is not a whole number from 0, or a setting has a wrong value.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    check_split_and_seed(split, seed)
    entry = RECIPES[name]
    module = importlib.import_module(entry.module)
    kind = getattr(module, entry.settings)
    if settings is None:
        settings = kind()
    elif isinstance(settings, str | Path):
        from harken.configs import load_preset

        settings = load_preset(kind, settings)
    elif not isinstance(settings, kind):
        raise ConfigurationError(
            f"Recipe {name!r} was given settings of type {type(settings).__name__}; expected {entry.settings}."
        )
    return getattr(module, entry.recipe)(settings=settings, split=split, seed=seed)


def check_split_and_seed(split: str, seed: int) -> None:
    """Check what every recipe is made with.

    Raises:
        UnknownNameError: The split is not one of `harken.splits.SPLITS`.
        ConfigurationError: The seed is not a whole number from 0.
    """
    checked_split(split)
    checked_count("The seed", seed, 0)
