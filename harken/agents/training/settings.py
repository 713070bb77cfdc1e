"""Settings of training."""

from dataclasses import dataclass, field
from typing import Literal

from harken.agents.networks.av_nav import AvNavSize
from harken.checks import check_settings
from harken.envs.drawing import HomePool
from harken.errors import ConfigurationError

__all__ = ["ImitationSettings", "PPOSettings", "TrainSettings"]


@dataclass(frozen=True, kw_only=True)
class ImitationSettings:
    """Learning from the oracle."""

    steps: int = 500_000
    """Steps of all environments together; 0 for none."""
    teacher_steps: int = 50_000
    """Steps over which the share of the episodes in which the teacher acts falls from all to none."""
    rollout: int = 64
    """Steps of each environment between two updates."""
    batch: int = 256
    """Steps of a minibatch, whole rollouts of a few environments."""
    epochs: int = 2
    """How often each rollout is learnt from."""
    learning_rate: float = 5e-4
    """Learning rate of Adam at the beginning; it falls linearly to a tenth."""
    entropy: float = 0.0
    """Weight of the entropy of actions."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            steps=(0, 10**12),
            teacher_steps=(0, 10**12),
            rollout=(1, 10**6),
            batch=(1, 10**9),
            epochs=(1, 1_000),
            learning_rate=(0.0, 1.0),
            entropy=(0.0, 100.0),
        )


@dataclass(frozen=True, kw_only=True)
class PPOSettings:
    """Reinforcement by proximal policy optimisation (Schulman et al. 2017)."""

    steps: int = 1_500_000
    """Steps of all environments together; 0 for none."""
    rollout: int = 128
    """Steps of each environment between two updates."""
    batch: int = 256
    """Steps of a minibatch, whole rollouts of a few environments."""
    epochs: int = 4
    """How often each rollout is learnt from."""
    learning_rate: float = 2.5e-4
    """Learning rate of Adam at the beginning; it falls linearly to a tenth."""
    clip: float = 0.1
    """How far the ratio of probabilities may go from one."""
    entropy: float = 0.01
    """Weight of the entropy of actions."""
    discount: float = 0.99
    """Discount of rewards a step later."""
    trace: float = 0.95
    """λ of generalised advantage estimation."""
    value: float = 0.5
    """Weight of the error of values."""
    gradient: float = 0.5
    """Greatest norm of a gradient."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            steps=(0, 10**12),
            rollout=(1, 10**6),
            batch=(1, 10**9),
            epochs=(1, 1_000),
            learning_rate=(0.0, 1.0),
            clip=(0.0, 10.0),
            entropy=(0.0, 100.0),
            discount=(0.0, 1.0),
            trace=(0.0, 1.0),
            value=(0.0, 100.0),
            gradient=(0.0, 1e9),
        )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How an agent is trained: first by imitation, then by reinforcement."""

    task: str = "audiogoal"
    """Task, such as audiogoal, audiopointgoal, pointgoal."""
    sensors: tuple[str, ...] = ()
    """What the agent senses; those that the task is about by default."""
    sound: str | None = "telephone"
    """What sounds: a clip or category, "heard", or the path of a recording or folder; None where nothing does."""
    size: Literal["small", "published"] = "small"
    """Sizes of the network: for a few CPU cores, with images of 64 × 64, or as published, with 128 × 128."""
    environments: int = 8
    """Environments that are stepped together."""
    threads: int | None = None
    """Threads that step them; the number of cores by default."""
    pool: HomePool = field(default_factory=HomePool)
    """Homes that the episodes return to."""
    goals_per_home: int = 8
    """Places of a home among which goals are drawn; 0 for anywhere."""
    imitation: ImitationSettings = field(default_factory=ImitationSettings)
    """Learning from the oracle."""
    reinforcement: PPOSettings = field(default_factory=PPOSettings)
    """Learning from rewards."""
    evaluate_every: int = 100_000
    """Steps between evaluations in homes of the val split; 0 for none."""
    evaluation_episodes: int = 50
    """Episodes of an evaluation."""
    checkpoint_every: int = 20_000
    """Steps between checkpoints."""
    seed: int = 0
    """Seed of weights, episodes and actions."""
    device: str = "auto"
    """Where the network computes: "cpu", "cuda" or "auto"."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            environments=(1, 10_000),
            goals_per_home=(0, 1_000_000),
            evaluate_every=(0, 10**12),
            evaluation_episodes=(1, 1_000_000),
            checkpoint_every=(1, 10**12),
            seed=(0, 2**31),
        )
        if self.imitation.steps + self.reinforcement.steps == 0:
            raise ConfigurationError("Neither imitation nor reinforcement has any steps; give one of them some.")

    @property
    def network(self) -> AvNavSize:
        """Sizes of the network."""
        return AvNavSize() if self.size == "published" else AvNavSize.small()

    @property
    def camera(self) -> dict[str, int]:
        """Settings of the camera that differ from the task's."""
        return {} if self.size == "published" else {"width": 64, "height": 64}
