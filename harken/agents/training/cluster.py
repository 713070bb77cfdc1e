"""Training on RLlib (its new API stack): the same environments and network, stepped by workers on many machines."""

import functools
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor

from harken.agents.training.checkpoint import load_policy, read_card, save_policy
from harken.agents.training.loop import Judge, check_same_settings, environment_arguments, policy_card, train
from harken.agents.training.recurrent import EncoderPolicy
from harken.agents.training.settings import TrainSettings
from harken.checks import checked_count
from harken.envs import TaskEnv, ThreadVectorEnv
from harken.errors import ConfigurationError
from harken.files import checked_output_folder, locked

__all__ = ["PolicyModule", "cluster_config", "train_on_cluster"]

LONGEST_ROLLOUT = 3600.0
"""Time that workers get for a rollout, of which the first compiles and makes homes [s]. RLlib drops what takes longer;
by default that is a minute."""

ENVIRONMENT = "harken-training"
"""Name of the environments in Ray's registry."""

KEPT = "rllib"
"""Folder of RLlib's checkpoint in that of a training."""


class PolicyModule(TorchRLModule, ValueFunctionAPI):
    """A policy in RLlib's form; ``model_config`` has its "kind", its "size", and "start", the weights to begin with.

    Attributes:
        policy: The policy, whose weights these are.
    """

    def setup(self) -> None:
        """Make the network."""
        space = self.observation_space
        assert isinstance(space, gym.spaces.Dict) and self.action_space is not None
        config: Any = self.model_config
        self.policy = config["kind"](space, self.action_space, lambda _: 0.0, size=config["size"])
        if config["start"] is not None:
            self.policy.load_state_dict(load_policy(config["start"]).state_dict())

    def get_initial_state(self) -> dict[str, np.ndarray]:
        """Return what is remembered before an episode."""
        return {"h": np.zeros(self.policy.lstm_actor.hidden_size, np.float32)}

    def _forward(self, batch: dict[str, Any], **more: Any) -> dict[str, Any]:
        latent, state = self._latent(batch)
        return {
            Columns.ACTION_DIST_INPUTS: self.policy.action_net(latent), Columns.STATE_OUT: state,
            Columns.EMBEDDINGS: latent,
        }  # fmt: skip

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Return ``(environments, steps)`` values."""
        latent = self._latent(batch)[0] if embeddings is None else embeddings
        return self.policy.value_net(latent).squeeze(-1)

    def _latent(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return ``(environments, steps, units)`` what the recurrent layer says, and its state after the last step."""
        observations = batch[Columns.OBS]
        count, steps = next(iter(observations.values())).shape[:2]
        flat = {name: values.flatten(0, 1) for name, values in observations.items()}
        features: Any = self.policy.extract_features(flat)
        hidden = batch[Columns.STATE_IN]["h"][None].contiguous()
        starts = features.new_zeros(count * steps)  # RLlib begins a sequence where an episode begins
        output, (after, _) = self.policy._process_sequence(features, (hidden, hidden), starts, self.policy.lstm_actor)
        return output.unflatten(0, (count, steps)), {"h": after[0]}


def cluster_config(settings: TrainSettings, workers: int, start: Path | None = None) -> PPOConfig:
    """Return RLlib's configuration of the reinforcement of a training.

    Args:
        settings: The settings; the environments are shared out among the workers.
        workers: Processes that step environments, each on a core of its own.
        start: File of the weights to begin with; None for an untrained network.

    Raises:
        ConfigurationError: The number of workers is not positive.
    """
    checked_count("workers", workers)
    from ray.tune.registry import register_env

    register_env(ENVIRONMENT, functools.partial(_environments, settings))
    each = max(1, settings.environments // workers)
    ppo = settings.reinforcement
    return (
        PPOConfig()
        .environment(ENVIRONMENT)
        .env_runners(
            num_env_runners=workers,
            num_envs_per_env_runner=each,
            rollout_fragment_length=ppo.rollout,
            gym_env_vectorize_mode=gym.VectorizeMode.VECTOR_ENTRY_POINT,
            sample_timeout_s=LONGEST_ROLLOUT,
        )
        .training(
            lr=[[0, ppo.learning_rate], [max(ppo.steps, 1), 0.1 * ppo.learning_rate]],
            train_batch_size_per_learner=ppo.rollout * each * workers,
            minibatch_size=min(ppo.batch, ppo.rollout * each * workers),
            num_epochs=ppo.epochs,
            clip_param=ppo.clip,
            entropy_coeff=ppo.entropy,
            gamma=ppo.discount,
            lambda_=ppo.trace,
            vf_loss_coeff=ppo.value,
            vf_clip_param=float("inf"),
            use_kl_loss=False,
            grad_clip=ppo.gradient,
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=PolicyModule,
                model_config={
                    "kind": settings.learner.policy_class, "size": settings.network, "max_seq_len": ppo.rollout,
                    "start": None if start is None else str(start.resolve()),
                },
            )
        )
        .debugging(seed=settings.seed, log_level="ERROR")
    )  # fmt: skip


def _environments(settings: TrainSettings, context: Any) -> Any:
    arguments = environment_arguments(settings)
    first = TaskEnv(settings.task, **arguments)
    if "num_envs" not in context:
        return first
    envs = [first, *(first.another() for _ in range(context["num_envs"] - 1))]
    return ThreadVectorEnv([lambda env=env: env for env in envs], threads=1)


def train_on_cluster(
    settings: TrainSettings,
    out: str | Path,
    *,
    workers: int = 2,
    address: str | None = None,
    judge: Judge | None = None,
    progress: bool = True,
) -> Path:
    """Train an agent with RLlib, or go on where an earlier call was interrupted, with its last checkpoint.

    Imitation comes first where it has steps, on this machine, as in `train`. RLlib's workers answer in the order in
    which they are ready, so other than there two trainings of the same seed are not the same bit by bit.

    Args:
        settings: The settings.
        out: Folder for checkpoints and policies.
        workers: Processes that step environments.
        address: Address of a Ray cluster, such as "auto"; None starts one on this machine.
        judge: As for `train`.
        progress: Whether to show a progress bar.

    Returns:
        The file of the best policy.

    Raises:
        ConfigurationError: The folder holds a training with other settings, or a setting is impossible.
        FileError: The folder cannot be written.
    """
    import ray

    if settings.learner.waypoints:
        raise ConfigurationError(
            f"{settings.learner.title} acts in way points, whose masks RLlib's policy does not know. Train it without "
            "--engine rllib."
        )
    folder = checked_output_folder(out)
    start = None
    with locked(folder):
        check_same_settings(settings, folder)
        if settings.imitation.steps:
            alone = replace(settings, reinforcement=replace(settings.reinforcement, steps=0))
            start = train(alone, folder / "imitation", judge=judge, progress=progress)
        begun_here = not ray.is_initialized()
        if begun_here:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        try:
            _reinforce(settings, folder, cluster_config(settings, workers, start), judge, progress)
        finally:
            if begun_here:
                ray.shutdown()
    return folder / "best.safetensors"


def _reinforce(settings: TrainSettings, folder: Path, config: PPOConfig, judge: Judge | None, progress: bool) -> None:
    """Train with RLlib until all steps are done."""
    from tqdm import tqdm

    algorithm: Any = config.build_algo()
    try:
        if (folder / KEPT).is_dir():
            algorithm.restore_from_path(str((folder / KEPT).resolve()))
        steps = last = int(algorithm.metrics.peek("num_env_steps_sampled_lifetime", default=0))
        total = settings.reinforcement.steps
        with tqdm(total=total, initial=steps, unit="step", desc="RLlib", disable=not progress) as bar:
            while steps < total:
                result = algorithm.train()
                steps = int(result["num_env_steps_sampled_lifetime"])
                bar.update(steps - bar.n)
                bar.set_postfix(reward=f"{result.get('env_runners', {}).get('episode_return_mean', float('nan')):.2f}")
                is_end = steps >= total
                if judge is not None and _is_due(settings.evaluate_every, last, steps, is_end):
                    _keep_best(settings, folder, _policy(algorithm), judge, steps)
                if _is_due(settings.checkpoint_every, last, steps, is_end):
                    _keep(algorithm, folder)
                last = steps
        policy = _policy(algorithm)
        for name in ("last", "best"):
            if name == "last" or not (folder / "best.safetensors").is_file():
                save_policy(folder / f"{name}.safetensors", policy, policy_card(settings, steps))
    finally:
        algorithm.stop()


def _is_due(every: int, last: int, steps: int, is_end: bool) -> bool:
    return every > 0 and (is_end or steps // every > last // every)


def _policy(algorithm: Any) -> EncoderPolicy:
    """Return the policy with the learner's weights."""
    module = algorithm.get_module(DEFAULT_MODULE_ID)
    weights = algorithm.learner_group.get_weights()[DEFAULT_MODULE_ID]
    module.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()})
    return module.policy


def _keep(algorithm: Any, folder: Path) -> None:
    """Write RLlib's checkpoint under another name, and put it in the place of the one before."""
    coming, gone = folder / f"{KEPT}-coming", folder / f"{KEPT}-before"
    shutil.rmtree(coming, ignore_errors=True)
    algorithm.save_to_path(str(coming.resolve()))
    shutil.rmtree(gone, ignore_errors=True)
    if (folder / KEPT).exists():
        (folder / KEPT).rename(gone)
    coming.rename(folder / KEPT)
    shutil.rmtree(gone, ignore_errors=True)


def _keep_best(settings: TrainSettings, folder: Path, policy: EncoderPolicy, judge: Judge, steps: int) -> None:
    means = dict(judge(policy, settings, steps))
    best = folder / "best.safetensors"
    if not best.is_file() or means["spl"] > read_card(best).get("spl", -1.0):
        save_policy(best, policy, policy_card(settings, steps, means))
