"""Recurrent proximal policy optimisation on whole sequences, on top of sb3-contrib's.

sb3-contrib cuts a rollout into sequences, pads them, and steps through them in a loop. Here a minibatch is the whole
rollouts of a few environments: fragments between episode starts are packed and handed to the recurrent layer at once.
Loss and gradients are the same.
"""

from collections.abc import Generator, Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer
from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RecurrentDictRolloutBufferSamples, RNNStates
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from harken.agents.networks.av_nav import AvNavSize
from harken.envs.waypoints import ACTION_MASK
from harken.errors import ConfigurationError

__all__ = [
    "EncoderFeatures",
    "EncoderPolicy",
    "GatedMemory",
    "SceneMemoryPolicy",
    "SequenceBuffer",
    "SequencePPO",
    "SequencePolicy",
    "run_fragments",
]

FORBIDDEN = -1e8
"""Logit of an action that is not allowed."""

States = tuple[Tensor, Tensor]
"""Hidden and cell states, ``(layers, environments, units)`` each."""


class GatedMemory(nn.GRU):
    """A gated recurrent unit (Cho et al. 2014) that takes and returns states as `torch.nn.LSTM` does.

    The cell states that sb3-contrib's classes pass around go through unchanged.
    """

    def forward(self, features: Any, states: States) -> Any:  # type: ignore[override]
        """Return outputs and states."""
        output, hidden = super().forward(features, states[0])
        return output, (hidden, states[1])


def run_fragments(features: Tensor, states: States, starts: Tensor, memory: nn.Module) -> tuple[Tensor, States]:
    """Run a recurrent layer over rollouts in which episodes begin, all fragments between the beginnings at once.

    Args:
        features: ``(environments, steps, n)``.
        states: What the layer remembers before the first step.
        starts: ``(environments, steps)`` bool, whether a step is the first of an episode: nothing is remembered there.
        memory: A recurrent layer with the interface of `torch.nn.LSTM`.

    Returns:
        Outputs ``(environments, steps, units)``, and the states after the last step.
    """
    count, steps = starts.shape
    begins = starts.clone()
    begins[:, 0] = True
    first = begins.flatten().nonzero().flatten()
    lengths = torch.diff(first, append=first.new_tensor([count * steps]))
    order = torch.argsort(lengths, descending=True, stable=True)
    first, lengths = first[order], lengths[order]
    times = torch.arange(int(lengths[0]), device=first.device)
    running = lengths[None, :] > times[:, None]  # (time, fragment), of which the longest come first
    index = (first[None, :] + times[:, None])[running]
    packed = PackedSequence(features.flatten(0, 1)[index], running.sum(1).cpu())
    environment = first // steps
    remembered = (~starts.flatten()[first]).to(features.dtype)[:, None]
    output, after = memory(packed, tuple(state[:, environment] * remembered for state in states))
    place = torch.empty_like(index)
    place[index] = torch.arange(len(index), device=index.device)
    last = torch.empty(count, dtype=torch.long, device=first.device)
    is_last = (first + lengths) % steps == 0
    last[environment[is_last]] = is_last.nonzero().flatten()
    return output.data[place].unflatten(0, (count, steps)), tuple(state[:, last] for state in after)  # type: ignore[return-value]


class SequencePolicy(RecurrentMultiInputActorCriticPolicy):
    """sb3-contrib's recurrent policy, which takes whole sequences at once; see `run_fragments`."""

    def auxiliary_loss(self, observations: Mapping[str, Tensor]) -> tuple[Tensor | float, dict[str, float]]:
        """Return what a network learns beside its actions while it imitates, and figures to log; nothing by default.

        Args:
            observations: ``(n, …)`` what was sensed, the labels of `harken.agents.training.table` included.

        Returns:
            The loss, which is added to that of imitation, and figures by name.
        """
        return 0.0, {}

    @staticmethod
    def _process_sequence(features: Tensor, lstm_states: States, episode_starts: Tensor, lstm: nn.LSTM) -> Any:
        count = lstm_states[0].shape[1]
        starts = episode_starts.reshape(count, -1) > 0.5
        if starts.shape[1] == 1:
            remembered = (~starts).to(features.dtype)
            output, after = lstm(features[None], tuple(state * remembered for state in lstm_states))
            return output[0], after
        output, after = run_fragments(features.reshape(count, starts.shape[1], -1), lstm_states, starts, lstm)
        return output.flatten(0, 1), after


class EncoderFeatures(BaseFeaturesExtractor):
    """The encoder of `EncoderPolicy` in the form that Stable-Baselines3 builds, for policies of other kinds too.

    Args:
        observation_space: The observations.
        size: Sizes of the network.
    """

    def __init__(self, observation_space: gym.spaces.Dict, size: AvNavSize):
        encoder: Any = size.encoder(observation_space)
        super().__init__(observation_space, encoder.width)
        self.encoder = encoder

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return the features."""
        return self.encoder(observations)


class EncoderPolicy(SequencePolicy):
    """An encoder, a gated recurrent unit for actions and values together, and a linear layer for each, as AV-Nav.

    Where "action_mask" is observed, actions that it does not allow are never taken.

    Args:
        size: Sizes of the network, which say what it is: `AvNavSize` or one of the others; see
            `harken.agents.training.table`.
        observation_space: The observations, a Dict.
        action_space: The actions.
        lr_schedule: The learning rate over the progress that remains.
        more: Further arguments of sb3-contrib's policy.
    """

    def __init__(
        self,
        observation_space: gym.spaces.Dict,
        action_space: gym.Space,
        lr_schedule: Any,
        *,
        size: Any = None,
        **more: Any,
    ):
        self.size: Any = size or AvNavSize()
        fixed: dict[str, Any] = {
            "net_arch": [], "features_extractor_class": EncoderFeatures,
            "features_extractor_kwargs": {"size": self.size}, "normalize_images": False,
            "lstm_hidden_size": self.width, "shared_lstm": True,
            "enable_critic_lstm": False, "ortho_init": False, "optimizer_kwargs": {"eps": 1e-5},
        }  # fmt: skip
        super().__init__(observation_space, action_space, lr_schedule, **{**more, **fixed})
        for layer, gain in ((self.action_net, 0.01), (self.value_net, 1.0)):
            assert isinstance(layer, nn.Linear)
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)
        self.lstm_actor = self.make_memory()
        self.lstm_hidden_state_shape = (1, 1, self.lstm_actor.hidden_size)
        make: Any = self.optimizer_class
        self.optimizer = make(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    @property
    def width(self) -> int:
        """Numbers that the memory says in a step."""
        return self.size.memory

    def make_memory(self) -> Any:
        """Return the memory: a module with ``num_layers`` 1 and ``hidden_size`` the width of its state.

        `_process_sequence` calls it.
        """
        memory = GatedMemory(self.features_dim, self.size.memory)
        for name, parameter in memory.named_parameters():
            if "weight" in name:
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)
        return memory

    def evaluate_actions(self, obs: Any, actions: Tensor, lstm_states: RNNStates, episode_starts: Tensor) -> Any:
        """Return values, logarithms of the actions' probabilities, and entropies.

        Other than in sb3-contrib, where a shared memory learns from the actions alone, it learns from values too, as
        in the published agent.
        """
        values, distribution = self.evaluate(obs, lstm_states, episode_starts)
        return values, distribution.log_prob(actions), distribution.entropy()

    def evaluate(self, obs: Any, states: RNNStates, starts: Tensor) -> tuple[Tensor, Distribution]:
        """Return values ``(n, 1)`` and the distribution of actions."""
        latent, _ = self._remember(obs, states.pi, starts)
        return self.value_net(latent), self._choices(obs, latent)

    def forward(self, obs: Any, lstm_states: RNNStates, episode_starts: Tensor, deterministic: bool = False) -> Any:
        """Return actions, values, logarithms of the actions' probabilities, and what is remembered after."""
        latent, after = self._remember(obs, lstm_states.pi, episode_starts)
        distribution = self._choices(obs, latent)
        actions = distribution.get_actions(deterministic=deterministic)
        states = RNNStates(after, tuple(state.detach() for state in after))  # type: ignore[arg-type]
        return actions, self.value_net(latent), distribution.log_prob(actions), states

    def get_distribution(self, obs: Any, lstm_states: Any, episode_starts: Tensor) -> Any:
        """Return the distribution of actions, and what is remembered after."""
        latent, after = self._remember(obs, lstm_states, episode_starts)
        return self._choices(obs, latent), after

    def _remember(self, obs: Any, states: Any, episode_starts: Tensor) -> tuple[Tensor, States]:
        """Return what the memory says of observations ``(n, units)``, and its states after."""
        features: Any = self.extract_features(obs)
        return self._process_sequence(features, states, episode_starts, self.lstm_actor)

    def _choices(self, obs: Mapping[str, Tensor], latent: Tensor) -> Distribution:
        """Return the distribution of the actions that are allowed."""
        if ACTION_MASK not in obs:
            return self._get_action_dist_from_latent(latent)
        logits = self.action_net(latent).masked_fill(obs[ACTION_MASK] < 0.5, FORBIDDEN)
        assert isinstance(self.action_dist, CategoricalDistribution)
        return self.action_dist.proba_distribution(action_logits=logits)


class SceneMemoryPolicy(EncoderPolicy):
    """A policy whose memory follows whole sequences itself, with the beginnings of episodes in them.

    `make_memory` returns a module that takes ``(n, steps, features)``, its state ``(n, hidden_size)`` and beginnings
    ``(n, steps)`` bool, and returns ``(n, steps, width)`` and its state after the last step.
    """

    @staticmethod
    def _process_sequence(features: Tensor, lstm_states: States, episode_starts: Tensor, lstm: Any) -> Any:
        count = lstm_states[0].shape[1]
        inputs, starts = features.reshape(count, -1, features.shape[-1]), episode_starts.reshape(count, -1) > 0.5
        output, after = lstm(inputs, lstm_states[0][0], starts)
        return output.flatten(0, 1), (after[None], lstm_states[1])


class SequenceBuffer(RecurrentDictRolloutBuffer):
    """A rollout whose minibatches are the whole rollouts of a few environments.

    Of the states of the memory only those before the first step are kept.
    """

    def reset(self) -> None:
        """Empty the buffer."""
        DictRolloutBuffer.reset(self)
        self._states: RNNStates | None = None

    def add(self, *args: Any, lstm_states: RNNStates, **kwargs: Any) -> None:
        """Add a step of every environment."""
        if self.pos == 0:
            self._states = lstm_states
        DictRolloutBuffer.add(self, *args, **kwargs)

    @property
    def first_memory(self) -> Tensor:
        """What the memory of actions was before the first step, ``(environments, units)``."""
        assert self._states is not None
        return self._states.pi[0][0]

    def get(self, batch_size: int | None = None) -> Generator[RecurrentDictRolloutBufferSamples, None, None]:
        """Yield minibatches, in random order.

        Args:
            batch_size: Number of steps, of which as many whole rollouts are taken as fit, one at least; all by default.
        """
        assert self.full, "the buffer is emptied before it was filled"
        together = self.n_envs if batch_size is None else max(1, min(batch_size // self.buffer_size, self.n_envs))
        shuffled = np.random.permutation(self.n_envs)  # noqa: NPY002 - the generator that Stable-Baselines3 seeds
        for start in range(0, self.n_envs, together):
            yield self._rollouts(np.sort(shuffled[start : start + together]))

    def _rollouts(self, chosen: np.ndarray) -> RecurrentDictRolloutBufferSamples:
        def flat(values: np.ndarray) -> Tensor:
            return self.to_torch(values[:, chosen].swapaxes(0, 1).reshape(-1, *values.shape[2:]))

        assert self._states is not None
        at = torch.as_tensor(chosen, device=self.device)
        states = RNNStates(*(tuple(state[:, at].contiguous() for state in pair) for pair in self._states))
        returns = flat(self.returns)
        return RecurrentDictRolloutBufferSamples(
            observations={name: flat(values) for name, values in self.observations.items()},
            actions=flat(self.actions),
            old_values=flat(self.values),
            old_log_prob=flat(self.log_probs),
            advantages=flat(self.advantages),
            returns=returns,
            lstm_states=states,
            episode_starts=flat(self.episode_starts),
            mask=torch.ones_like(returns),
        )


class SequencePPO(RecurrentPPO):
    """sb3-contrib's recurrent PPO with `SequenceBuffer`; takes the arguments of `sb3_contrib.RecurrentPPO`.

    ``batch_size`` counts steps; a minibatch has as many environments' whole rollouts as fit, one at least.

    Raises:
        ConfigurationError: The policy is no `SequencePolicy`.
    """

    policy_aliases: ClassVar[dict[str, type]] = {"EncoderPolicy": EncoderPolicy, "SequencePolicy": SequencePolicy}

    def _setup_model(self) -> None:
        if not issubclass(self.policy_class, SequencePolicy):
            raise ConfigurationError(
                f"The policy is {self.policy_class.__name__}; expected a SequencePolicy, such as EncoderPolicy."
            )
        super()._setup_model()
        space = self.observation_space
        assert isinstance(space, gym.spaces.Dict)
        self.rollout_buffer = SequenceBuffer(
            self.n_steps, space, self.action_space, (1, 1, 1, 1), self.device,
            gamma=self.gamma, gae_lambda=self.gae_lambda, n_envs=self.n_envs,
        )  # fmt: skip
