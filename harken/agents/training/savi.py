"""SAVi in the form in which it is trained."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harken.agents.networks.savi import SaviEncoder, SceneMemory
from harken.agents.networks.sensors import FARTHEST
from harken.agents.training.recurrent import SceneMemoryPolicy

__all__ = ["SaviPolicy", "location_loss"]


class SaviPolicy(SceneMemoryPolicy):
    """The policy of SAVi, whose state is all that its scene memory holds; see `EncoderPolicy` for its arguments."""

    @property
    def width(self) -> int:
        """Width of the transformer."""
        return self.size.model

    def make_memory(self) -> SceneMemory:
        """Return the scene memory."""
        return SceneMemory(self._encoder, self.size)

    @property
    def _encoder(self) -> SaviEncoder:
        encoder: Any = self.features_extractor.encoder
        return encoder

    def auxiliary_loss(self, observations: Mapping[str, Tensor]) -> tuple[Tensor | float, dict[str, float]]:
        """Return how far the predictors are from the labels where something is heard.

        Args:
            observations: ``(n, …)`` what was sensed, with "goal_category" and "goal_location".

        Returns:
            The cross-entropy of categories plus the error of places, see `location_loss`; "category_right", the share
            of categories that are right, and "location_error", the mean distance between places [m].
        """
        encoder = self._encoder
        heard = encoder.hears(observations) > 0.5
        if not heard.any():
            return 0.0, {}
        scores, place = encoder.predict({name: values[heard] for name, values in observations.items()})
        category, location = observations["goal_category"].long().flatten()[heard], observations["goal_location"][heard]
        loss, error = location_loss(place, location)
        figures = {"location_error": error}
        if not encoder.is_told:
            loss = loss + functional.cross_entropy(scores, category)
            figures["category_right"] = float((scores.argmax(1) == category).float().mean())
        return loss, figures


def location_loss(place: Tensor, location: Tensor) -> tuple[Tensor, float]:
    """Return how far predicted places are from the right ones.

    Args:
        place: ``(n, 2)`` predicted [m].
        location: ``(n, 2)`` right [m].

    Returns:
        The mean error in units of ten metres, squared within a metre and linear beyond (Huber 1964), since now and then
        one is far off; and the mean distance between them [m].
    """
    loss = functional.smooth_l1_loss(place / FARTHEST, location / FARTHEST, beta=1.0 / FARTHEST)
    return loss, float(torch.linalg.vector_norm(place.detach() - location, dim=1).mean())
