"""Training the attacker of AdversarialAudioGoal against an agent."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from harken.agents.protocol import Agent
from harken.agents.training.settings import PPOSettings, falling_rate
from harken.checks import checked_count, checked_seed
from harken.envs import AttackerEnv
from harken.errors import ConfigurationError
from harken.files import checked_output_file

__all__ = ["train_attacker"]


def train_attacker(
    make_agent: Callable[[], Agent],
    out: str | Path,
    *,
    settings: PPOSettings | None = None,
    environments: int = 4,
    seed: int = 0,
    **arguments: Any,
) -> Path:
    """Train an attacker by proximal policy optimisation, with two small layers on what it senses.

    The paper trains agent and attacker jointly; here the agent stays as it is. `harken.agents.make_attacker` and
    ``harken eval adversarial-audiogoal --attacker FILE --trust`` read what is written.

    Args:
        make_agent: Makes an agent for each environment, such as ``lambda: DirectionFollower(rules)``.
        out: The file to write, ending in ``.zip``.
        settings: How it learns.
        environments: How many environments are played in turn.
        seed: Seed of every random draw; the same seed gives the same weights.
        arguments: Those of `harken.envs.AttackerEnv`; the split is "train" unless they say another.

    Returns:
        The file.

    Raises:
        ConfigurationError: The file does not end in ``.zip``, a minibatch is larger than a rollout of all environments,
            or a number is out of range.
    """
    path, rules = checked_output_file(Path(out)), settings or PPOSettings()
    environments, seed = checked_count("environments", environments), checked_seed(seed)
    if path.suffix != ".zip":
        raise ConfigurationError(f"The trained attacker is to be written to {str(path)!r}; expected a name in .zip.")
    if rules.batch > rules.rollout * environments:
        raise ConfigurationError(
            f"Setting batch is {rules.batch}, more than the {rules.rollout} steps of a rollout in {environments} "
            "environments. Lower it, or raise rollout or environments."
        )
    given: dict[str, Any] = {"split": "train", **arguments}
    envs = DummyVecEnv([lambda: Monitor(AttackerEnv(make_agent(), **given))] * environments)
    model = PPO(
        "MultiInputPolicy",
        envs,
        learning_rate=partial(falling_rate, rules.learning_rate),
        n_steps=rules.rollout,
        batch_size=rules.batch,
        n_epochs=rules.epochs,
        gamma=rules.discount,
        gae_lambda=rules.trace,
        clip_range=rules.clip,
        ent_coef=rules.entropy,
        vf_coef=rules.value,
        max_grad_norm=rules.gradient,
        seed=seed,
        device="cpu",
    )
    try:
        model.learn(rules.steps)
    finally:
        envs.close()
    model.save(path)
    return path
