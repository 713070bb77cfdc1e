"""Trained models by name: those that come with Harken, and those of a folder or a repository of Hugging Face.

A model is two files, ``NAME.safetensors`` with the weights and ``NAME.yaml`` with its card. Neither can run code.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harken.checks import check_settings
from harken.configs import load_preset
from harken.errors import ConfigurationError, MissingDependencyError, UnknownNameError

__all__ = ["HUB", "SHIPPED", "Model", "ModelCard", "find_model", "list_models"]

SHIPPED = Path(__file__).parent / "models"
"""Folder of the models that come with Harken."""

HUB = "hf:"
"""How the name of a repository of Hugging Face begins, as in ``hf:owner/name``."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """How a model was trained, and what it reaches."""

    summary: str
    """What it is, in a sentence."""
    task: str
    """Task that it was trained for."""
    data: str
    """Homes and sounds that it was trained with."""
    seed: int
    """Seed of its training."""
    command: str
    """Command that trains it again; empty where it was trained by a script."""
    steps: int
    """Steps of all environments together, until the weights were as they are."""
    seconds: float
    """How long the whole training took [s]."""
    curve: tuple[tuple[float, float], ...] = ()
    """Steps and SPL of each evaluation while it was trained."""
    results: dict[str, Any] = field(default_factory=dict)
    """What it reaches, by measure."""

    def __post_init__(self) -> None:
        """Check the types."""
        check_settings(self, seed=(0, 2**63), steps=(0, 10**15), seconds=(0.0, 1e12))


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that can be loaded."""

    name: str
    """Its name."""
    weights: Path
    """Its file of weights."""
    card: ModelCard
    """How it was trained."""


def list_models(source: str | Path | None = None) -> tuple[Model, ...]:
    """Return the models of a source, in the order of their names.

    Args:
        source: A folder, or ``hf:owner/name``, a repository of Hugging Face, which is downloaded; by default what
            comes with Harken.

    Raises:
        ConfigurationError: There is no such folder or repository, or a card is missing or damaged.
        MissingDependencyError: A repository was named, and ``huggingface_hub`` is not installed.
    """
    folder = SHIPPED if source is None else _folder(str(source))
    found = []
    for weights in sorted(folder.glob("*.safetensors")):
        card = weights.with_suffix(".yaml")
        if not card.is_file():
            raise ConfigurationError(f"{weights} has no card; expected {card.name!r} beside it.")
        found.append(Model(name=weights.stem, weights=weights, card=_read_card(card)))
    return tuple(found)


def find_model(name: str, source: str | Path | None = None) -> Model:
    """Return a model by its name.

    Args:
        name: Its name.
        source: As for `list_models`.

    Raises:
        UnknownNameError: The source has no such model.
        ConfigurationError: As for `list_models`.
    """
    models = {model.name: model for model in list_models(source)}
    if name not in models:
        raise UnknownNameError("model" if source is None else f"model of {str(source)!r}", name, models)
    return models[name]


def _read_card(path: Path) -> ModelCard:
    try:
        return load_preset(ModelCard, path)
    except TypeError as error:  # a field without a default is missing
        raise ConfigurationError(f"{path} is no card of a model: {error}.") from error


def _folder(source: str) -> Path:
    if not source.startswith(HUB):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise ConfigurationError(
                f"There is no folder of models {source!r}; expected a folder, or {HUB}owner/name for a repository of "
                "Hugging Face."
            )
        return folder
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError(
            f"{source} is a repository of Hugging Face: pip install 'harken[hub]', or download it and give its folder."
        ) from error
    try:
        return Path(snapshot_download(source.removeprefix(HUB), allow_patterns=["*.safetensors", "*.yaml"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigurationError(f"The models of {source} cannot be downloaded: {error}.") from error
