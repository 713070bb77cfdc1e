"""Look, Listen, and Act in the form in which it is trained."""

import math
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from torch import Tensor

from harken.agents.networks.look_listen_act import MAP, NEAREST, GoalMemory, ListeningEncoder, waypoint_ways
from harken.agents.networks.sensors import FARTHEST, sensor_input
from harken.agents.training.recurrent import FORBIDDEN, SceneMemoryPolicy
from harken.agents.training.savi import location_loss
from harken.envs.waypoints import ACTION_MASK

__all__ = ["PlannerPolicy", "spread_loss"]

DOUBT = 0.1
"""Differences between the lengths of two ways that hardly count [m]: half a cell on which ways are planned."""


class PlannerPolicy(SceneMemoryPolicy):
    """Goes to the way point from which the way to where it heard the goal is shortest; the stop alone is learnt.

    See `EncoderPolicy` for its arguments. Its state is what it knows of the goal's place.
    """

    @property
    def width(self) -> int:
        """Numbers that the memory says in a step."""
        return self.size.memory + 3

    def make_memory(self) -> GoalMemory:
        """Return the memory of the goal's place."""
        return GoalMemory(self._encoder, self.size)

    @property
    def _spaces(self) -> Mapping[str, gym.Space]:
        assert isinstance(self.observation_space, gym.spaces.Dict)
        return self.observation_space.spaces

    @property
    def _encoder(self) -> ListeningEncoder:
        encoder: Any = self.features_extractor.encoder
        return encoder

    def _choices(self, obs: Mapping[str, Tensor], latent: Tensor) -> Distribution:
        count = obs[ACTION_MASK].shape[-1]
        with torch.no_grad():
            occupied = sensor_input(MAP, self._spaces[MAP], obs[MAP])[:, 0] > 0.5
            ways = waypoint_ways(occupied, FARTHEST * latent[:, -2:], math.isqrt(count), self.size)
            ways = ways.masked_fill(obs[ACTION_MASK] < 0.5, torch.inf)
            ways[:, count // 2] = torch.inf
            logits = ((ways.amin(1, keepdim=True) - ways) / DOUBT).nan_to_num(FORBIDDEN).clamp(min=FORBIDDEN)
        stop = self.action_net(latent)[:, count // 2]
        logits = torch.cat([logits[:, : count // 2], stop[:, None], logits[:, count // 2 + 1 :]], 1)
        assert isinstance(self.action_dist, CategoricalDistribution)
        return self.action_dist.proba_distribution(action_logits=logits)

    def auxiliary_loss(self, observations: Mapping[str, Tensor]) -> tuple[Tensor | float, dict[str, float]]:
        """Return how far the predicted places are from the labels where something is heard.

        Args:
            observations: ``(n, …)`` what was sensed, with "way_location".

        Returns:
            The loss, see `location_loss` and `spread_loss`, and "location_error", the mean distance between them [m].
        """
        heard = self._encoder.hears(observations) > 0.5
        if not heard.any():
            return 0.0, {}
        place, spread = self._encoder.predict({name: values[heard] for name, values in observations.items()})
        location = observations["way_location"][heard]
        loss, error = location_loss(place, location)
        return loss + spread_loss(place.detach(), spread, location), {"location_error": error}


def spread_loss(place: Tensor, spread: Tensor, location: Tensor) -> Tensor:
    """Return how unlikely the errors of predicted places are after the spread that was predicted.

    The places themselves do not learn from it: where a network may excuse an error by a larger spread, it learns
    neither (Seitzer et al., "On the pitfalls of heteroscedastic uncertainty estimation", ICLR 2022).

    Args:
        place: ``(n, 2)`` predicted, metres ahead and to the left.
        spread: ``(n, 2)`` how far it is off on average along the line to it and across, as predicted [m].
        location: ``(n, 2)`` right [m].

    Returns:
        The mean negative logarithm of the density of Laplace's distribution in both directions, without the constant.
    """
    line = place / torch.linalg.vector_norm(place, dim=1, keepdim=True).clamp(min=NEAREST)
    error = location - place
    along = (error * line).sum(1)
    across = error[:, 1] * line[:, 0] - error[:, 0] * line[:, 1]
    off = torch.stack([along, across], 1).abs()
    return (off / spread + spread.log()).mean()
