"""Learning from the oracle, which knows the way and costs nothing: behaviour cloning and DAgger on whole sequences."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from harken.agents.training.recurrent import SequencePPO
from harken.errors import ConfigurationError

__all__ = ["Imitation", "TeacherDrives"]

TEACHER = "oracle"
"""Sensor that names the teacher's action."""


RAREST = 0.005
"""Share of an action below which it counts no more than with this share."""


class TeacherDrives(VecEnvWrapper):
    """Lets the teacher act in some of the steps, whatever the pupil does.

    Each episode draws its own share of steps in which the teacher acts, between a least share and all: the pupil
    meets its own mistakes of every size, and is led back from them.

    Args:
        venv: Environments that show the sensor "oracle".
        share: The least share, 0 to 1: 1 is behaviour cloning, and DAgger (Ross et al. 2011) lets it fall to 0.
        seed: Seed of the draws.

    Raises:
        ConfigurationError: The sensor is missing.
    """

    def __init__(self, venv: VecEnv, share: float = 0.0, seed: int = 0):
        super().__init__(venv)
        _check_teacher(venv.observation_space)
        self.share = share
        self.random = np.random.default_rng(seed)
        self.shares = np.ones(venv.num_envs)
        self.advice = np.zeros(venv.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""
        observation = self.venv.reset()
        self.shares = self.random.uniform(self.share, 1.0, self.num_envs)
        self.listen(observation)
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Take the pupil's actions, or the teacher's where it acts."""
        drives = self.random.random(self.num_envs) < self.shares
        self.venv.step_async(np.where(drives, self.advice, actions))

    def step_wait(self) -> VecEnvStepReturn:
        """Return what followed."""
        observation, rewards, dones, infos = self.venv.step_wait()
        drawn = self.random.uniform(self.share, 1.0, self.num_envs)  # as many draws in every step, whatever ends
        self.shares = np.where(dones, drawn, self.shares)
        self.listen(observation)
        return observation, rewards, dones, infos

    def listen(self, observation: VecEnvObs) -> None:
        """Take the teacher's advice from what is observed now."""
        assert isinstance(observation, dict)
        self.advice = np.array(observation[TEACHER]).reshape(-1)


class Imitation(SequencePPO):
    """Learns to do what the teacher would do, in the places to which the pupil (or the teacher) has come.

    It is `SequencePPO` with another loss: the cross-entropy to the teacher's actions, and the error of the values of
    what is earned meanwhile, so that reinforcement can go on with policy and values. The loop, the logs, the saved
    files are the same, and so are the weights.

    Args:
        arguments: Those of `sb3_contrib.RecurrentPPO`; the environments must show the sensor "oracle".
        balance: How much more rare actions count than common ones, as the power of their share: with 0 each step
            counts alike, with 1 each action. A stop is right in one step of sixty, and nothing succeeds without it.

    Raises:
        ConfigurationError: The sensor is missing.
    """

    def __init__(self, *arguments: Any, balance: float = 0.5, **more: Any):
        self.balance = balance
        super().__init__(*arguments, **more)

    def _setup_model(self) -> None:
        _check_teacher(self.observation_space)
        super()._setup_model()

    def train(self) -> None:
        """Update the policy from the rollout."""
        policy = self.policy
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        sums: dict[str, list[float]] = {"imitation_loss": [], "agreement": [], "value_loss": [], "entropy": []}
        weights = self._weights()
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                advice = batch.observations[TEACHER].long().flatten()  # type: ignore[index]
                values, logarithms, entropy = policy.evaluate_actions(
                    batch.observations,  # type: ignore[arg-type]
                    advice,
                    batch.lstm_states,  # type: ignore[attr-defined]
                    batch.episode_starts,  # type: ignore[attr-defined]
                )
                imitation = -(weights[advice] * logarithms).mean()
                value_loss = torch.nn.functional.mse_loss(values.flatten(), batch.returns)
                assert entropy is not None
                loss = imitation + self.vf_coef * value_loss - self.ent_coef * entropy.mean()
                policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
                policy.optimizer.step()
                found = {
                    "imitation_loss": imitation, "agreement": logarithms.detach().exp().mean(),
                    "value_loss": value_loss, "entropy": entropy.mean(),
                }  # fmt: skip
                for name, value in found.items():
                    sums[name].append(value.item())
            self._n_updates += 1
        for name, values_of_batches in sums.items():
            self.logger.record(f"train/{name}", float(np.mean(values_of_batches)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _weights(self) -> torch.Tensor:
        """Return how much each action counts; the mean over the rollout is 1."""
        assert isinstance(self.action_space, gym.spaces.Discrete)
        advice = self.rollout_buffer.observations[TEACHER].astype(np.int64).ravel()  # type: ignore[index]
        shares = np.bincount(advice, minlength=int(self.action_space.n)) / len(advice)
        weights = np.maximum(shares, RAREST) ** -self.balance
        return torch.as_tensor(weights / (weights * shares).sum(), dtype=torch.float32, device=self.device)


def _check_teacher(space: Any) -> None:
    if not isinstance(space, gym.spaces.Dict) or not isinstance(space.spaces.get(TEACHER), gym.spaces.Discrete):
        raise ConfigurationError(
            f"The environments show {space}; imitation needs the sensor {TEACHER!r}, which names the teacher's action: "
            f"make them with sensors=(…, {TEACHER!r})."
        )
