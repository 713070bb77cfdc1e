"""Learning from the oracle, which knows the way and costs nothing: behaviour cloning and DAgger on whole sequences."""

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from harken.agents.training.recurrent import EncoderPolicy, SequenceBuffer, SequencePPO
from harken.agents.training.replay import Replay
from harken.envs.waypoints import DETOURS
from harken.errors import ConfigurationError

__all__ = ["Imitation", "TeacherDrives"]

INDIFFERENCE = 0.15
"""Detour that makes a way point less likely by a factor e in what is imitated [m]."""

RAREST = 0.005
"""Share of an action below which it counts no more than with this share."""


class TeacherDrives(VecEnvWrapper):
    """Lets the teacher act in some of the steps, whatever the pupil does.

    Each episode draws its own share of steps in which the teacher acts, between a least share and all: the pupil
    meets its own mistakes of every size, and is led back from them.

    Args:
        venv: Environments that show the teacher.
        share: The least share, 0 to 1: 1 is behaviour cloning, and DAgger (Ross et al. 2011) lets it fall to 0.
        seed: Seed of the draws.
        teacher: Sensor that names the teacher's action.

    Raises:
        ConfigurationError: The sensor is missing.
    """

    def __init__(self, venv: VecEnv, share: float = 0.0, seed: int = 0, teacher: str = "oracle"):
        super().__init__(venv)
        _check_teacher(venv.observation_space, teacher)
        self.share, self.teacher = share, teacher
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
        self.advice = np.array(observation[self.teacher]).reshape(-1)


class Imitation(SequencePPO):
    """Learns to do what the teacher would do, in all places to which the pupil (or the teacher) has come.

    It is `SequencePPO` with another loss: the cross-entropy to the teacher's actions, and the error of the values of
    what was earned meanwhile, so that reinforcement can go on with policy and values. The loop, the logs, the saved
    files are the same, and so are the weights. ``n_epochs`` says how often each step is learnt from altogether, while
    it is among the rollouts that are remembered; the memory's states at the beginning of a rollout are those that it
    had then.

    Args:
        arguments: Those of `sb3_contrib.RecurrentPPO`; the environments must show the teacher.
        balance: How much more rare actions count than common ones, as the power of their share: with 0 each step
            counts alike, with 1 each action. A stop is right in one step of sixty, and nothing succeeds without it.
        teacher: Sensor that names the teacher's action.
        rollouts: How many rollouts are remembered.
        folder: Where they are; a temporary folder by default.

    Raises:
        ConfigurationError: The sensor is missing, or the policy is no `EncoderPolicy`.
        FileError: The folder cannot be written.
    """

    def __init__(
        self,
        *arguments: Any,
        balance: float = 0.5,
        teacher: str = "oracle",
        rollouts: int = 64,
        folder: Path | None = None,
        **more: Any,
    ):
        self.balance, self.teacher, self._folder, self._rollouts = balance, teacher, folder, rollouts
        self.replay: Replay | None = None
        super().__init__(*arguments, **more)

    def _setup_model(self) -> None:
        _check_teacher(self.observation_space, self.teacher)
        if not issubclass(self.policy_class, EncoderPolicy):
            raise ConfigurationError(
                f"The policy is {self.policy_class.__name__}; imitation needs an EncoderPolicy, or one derived from it."
            )
        super()._setup_model()

    def train(self) -> None:
        """Remember the rollout, and update the policy from rollouts that are remembered."""
        replay = self._remember()
        assert self.batch_size is not None
        policy, together = self.policy, max(1, self.batch_size // self.n_steps)
        assert isinstance(policy, EncoderPolicy)
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        self._n_updates += 1  # first, for the message of an update that fails
        sums: dict[str, list[float]] = {}
        weights = self._weights(replay.all(self.teacher))
        for _ in range(-(-self.n_epochs * self.n_envs // together)):
            batch = replay.draw(together)
            sensed = {name: batch[name].flatten(0, 1).to(self.device) for name in self._sensors}
            hidden, *parts = (batch[name].to(self.device) for name in ("_memory", "_starts", "_returns"))
            starts, returns = (part.flatten() for part in parts)
            state = hidden[None].contiguous()
            advice = sensed[self.teacher].long().flatten()
            values, distribution = policy.evaluate(sensed, RNNStates((state, state), ()), starts)  # type: ignore[arg-type]
            logarithms, entropy = distribution.log_prob(advice), distribution.entropy()
            imitation = -(weights[advice] * self._likeness(sensed, distribution, logarithms)).mean()
            value_loss = torch.nn.functional.mse_loss(values.flatten(), returns)
            assert entropy is not None
            auxiliary, figures = policy.auxiliary_loss(sensed)
            loss = imitation + self.vf_coef * value_loss - self.ent_coef * entropy.mean() + auxiliary
            policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
            policy.optimizer.step()
            found = {
                "imitation_loss": imitation, "agreement": logarithms.detach().exp().mean(),
                "value_loss": value_loss, "entropy": entropy.mean(),
            }  # fmt: skip
            for name, value in {**{name: value.item() for name, value in found.items()}, **figures}.items():
                sums.setdefault(name, []).append(value)
        for name, values_of_batches in sums.items():
            self.logger.record(f"train/{name}", float(np.mean(values_of_batches)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    @staticmethod
    def _likeness(sensed: dict[str, torch.Tensor], distribution: Any, logarithms: torch.Tensor) -> torch.Tensor:
        """Return how likely the teacher's actions are ``(n,)``, as a logarithm.

        Of way points many are about as good: where their detours are known, all count that are nearly the best.

        Args:
            sensed: What was observed.
            distribution: The pupil's distribution of actions.
            logarithms: Logarithms of the probabilities of what the teacher would do.
        """
        if DETOURS not in sensed:
            return logarithms
        wanted = torch.softmax(-sensed[DETOURS] / INDIFFERENCE, 1)
        return (wanted * distribution.distribution.logits).sum(1)

    @property
    def _sensors(self) -> tuple[str, ...]:
        assert isinstance(self.observation_space, gym.spaces.Dict)
        return tuple(self.observation_space.spaces)

    def _remember(self) -> Replay:
        """Keep the rollout, with the environments first."""
        buffer, space = self.rollout_buffer, self.observation_space
        assert isinstance(buffer, SequenceBuffer) and isinstance(space, gym.spaces.Dict)
        if self.replay is None:  # now it is known where the training goes on
            size = self.n_steps * self.n_envs
            before = self.num_timesteps - size
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="harken-replay-"))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
                self.replay = Replay(self._folder, self._rollouts)
            else:
                self.replay = Replay(self._folder, self._rollouts, before)
                self.replay.check_holds(min(self._rollouts, before // size))
        arrays: dict[str, np.ndarray | torch.Tensor] = {
            name: np.ascontiguousarray(values.swapaxes(0, 1)) for name, values in buffer.observations.items()
        }
        arrays["_returns"] = np.ascontiguousarray(buffer.returns.T)
        arrays["_starts"] = np.ascontiguousarray(buffer.episode_starts.T)
        arrays["_memory"] = buffer.first_memory
        self.replay.add(self.num_timesteps, space.spaces, arrays)
        return self.replay

    def _weights(self, advice: torch.Tensor) -> torch.Tensor:
        """Return how much each action counts; the mean over what is remembered is 1."""
        assert isinstance(self.action_space, gym.spaces.Discrete)
        shares = np.bincount(advice.numpy().astype(np.int64).ravel(), minlength=int(self.action_space.n))
        shares = shares / shares.sum()
        weights = np.maximum(shares, RAREST) ** -self.balance
        return torch.as_tensor(weights / (weights * shares).sum(), dtype=torch.float32, device=self.device)


def _check_teacher(space: Any, teacher: str) -> None:
    if not isinstance(space, gym.spaces.Dict) or not isinstance(space.spaces.get(teacher), gym.spaces.Discrete):
        raise ConfigurationError(
            f"The environments show {space}; imitation needs the sensor {teacher!r}, which names the teacher's action: "
            f"make them with sensors=(…, {teacher!r})."
        )
