"""Settings of training."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from harken.agents.training.table import Learner, find_learner
from harken.checks import check_settings, checked_count
from harken.envs.drawing import HomePool
from harken.envs.waypoints import LONGEST_WAY
from harken.errors import ConfigurationError

if TYPE_CHECKING:
    from harken.agents.networks.av_nav import AvNavSize

__all__ = ["CurriculumSettings", "ImitationSettings", "PPOSettings", "TrainSettings", "falling_rate"]


SHORT_WAY = 3
"""Steps of the body to a way point, at most, of a small network."""


def falling_rate(rate: float, remaining: float) -> float:
    """Return the learning rate where a share of the steps remains, 1 to 0: it falls linearly to a tenth."""
    return rate * (0.1 + 0.9 * remaining)


@dataclass(frozen=True, kw_only=True)
class ImitationSettings:
    """Learning from the oracle."""

    teacher: str = "oracle"
    """Sensor of the task that names the action of the teacher: "oracle", which takes the shortest way, or in quietnav
    "quiet_oracle". Agents that act in way points learn from the oracle."""
    steps: int = 700_000
    """Steps of all environments together; 0 for none."""
    teacher_steps: int = 200_000
    """Steps over which the least share of an episode's steps in which the teacher acts falls from all to none."""
    rollout: int = 32
    """Steps of each environment between two updates."""
    batch: int = 512
    """Steps of a minibatch, of rollouts of single environments."""
    epochs: int = 5
    """How often each step is learnt from altogether, while it is remembered."""
    remembered: int = 400
    """How many rollouts are remembered: 5 to 10 MB each on disk, with the small network and 16 environments."""
    learning_rate: float = 2e-3
    """Learning rate of Adam at the beginning; it falls linearly to a tenth."""
    entropy: float = 0.0
    """Weight of the entropy of actions."""
    stop_distance: float = 0.4
    """How near to the goal the teacher goes before it stops [m], a step of the body at least: a pupil that errs by half
    a metre still succeeds. On a grid it stops at the goal."""
    balance: float = 0.1
    """How much more rare actions count, as the power of their share: 0 not at all, 1 so that all count alike."""
    value: float = 0.02
    """Weight of the error of values: rewards are of the order of ten, and gradients are clipped all together."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            steps=(0, 10**12),
            teacher_steps=(0, 10**12),
            rollout=(1, 10**6),
            batch=(1, 10**9),
            epochs=(1, 1_000),
            remembered=(1, 10**6),
            learning_rate=(0.0, 1.0),
            entropy=(0.0, 100.0),
            stop_distance=(1e-3, 1000.0),
            balance=(0.0, 1.0),
            value=(0.0, 100.0),
        )


@dataclass(frozen=True, kw_only=True)
class PPOSettings:
    """Reinforcement by proximal policy optimisation (Schulman et al. 2017)."""

    steps: int = 300_000
    """Steps of all environments together; 0 for none."""
    rollout: int = 128
    """Steps of each environment between two updates."""
    batch: int = 512
    """Steps of a minibatch, whole rollouts of a few environments."""
    epochs: int = 3
    """How often each rollout is learnt from."""
    learning_rate: float = 2.5e-4
    """Learning rate of Adam at the beginning; it falls linearly to a tenth."""
    clip: float = 0.1
    """How far the ratio of probabilities may go from one."""
    entropy: float = 0.005
    """Weight of the entropy of actions."""
    discount: float = 0.99
    """Discount of rewards a step later."""
    trace: float = 0.95
    """λ of generalised advantage estimation."""
    value: float = 0.05
    """Weight of the error of values: rewards are of the order of ten, and gradients are clipped all together."""
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
class CurriculumSettings:
    """Near goals first: the greatest distance from start to goal grows with the steps, then there is no bound."""

    steps: int = 0
    """Steps of all environments together over which it grows; 0 for no bound from the beginning."""
    begin: float = 4.0
    """Greatest distance at the beginning [m]; at least the task's least distance, which is 2 m by default."""
    end: float = 15.0
    """Greatest distance before the bound falls away [m]."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(self, steps=(0, 10**12), begin=(0.1, 1e6), end=(0.1, 1e6))
        if self.end < self.begin:
            raise ConfigurationError(f"The curriculum ends at {self.end:g} m; expected at least {self.begin:g} m.")

    def most_distance(self, steps: int) -> float | None:
        """Return the greatest distance from start to goal after `steps` steps [m]; None for no bound."""
        if steps >= self.steps:
            return None
        return self.begin + (self.end - self.begin) * steps / self.steps


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How an agent is trained: first by imitation, then by reinforcement."""

    task: str = "audiogoal"
    """Task, such as audiogoal, audiopointgoal, pointgoal, semantic-audiogoal."""
    preset: str | None = None
    """Rules of the task, such as savn-ce; the task's own by default."""
    agent: str = "av-nav"
    """Network of the agent: av-nav; savi, for semantic-audiogoal; or av-wan, dav-nav or look-listen-act, which act in
    way points. Their steps are then way points, too."""
    sensors: tuple[str, ...] = ()
    """What the agent senses. By default what the task is about, and what it did itself: "collision", "last_action"; the
    sound and maps for those that act in way points. The small network of savi does without "rgb", and
    has "interaural"."""
    sound: str | None = "telephone"
    """What sounds: a clip or category, "heard", or the path of a recording or folder; None where nothing does."""
    attacker: str | None = None
    """Who attacks in adversarial-audiogoal: a scripted attacker, such as "mixed", in each episode another one; random
    by default."""
    size: Literal["small", "published"] = "small"
    """Sizes of the network: as published, with images of 128 × 128, or for a few CPU cores, with images of 64 × 64 and
    spectrograms that end with the sound of the step; maps of 200 × 200, or 64 × 64."""
    environments: int = 16
    """Environments that are stepped together."""
    workers: int | None = None
    """Processes that step them, each a share of them; the number of cores by default, 1 for this process."""
    network_threads: int | None = None
    """Threads in which torch learns; the number of cores by default. While the environments are stepped it has one.
    Another number rounds sums differently, and so gives another agent."""
    waypoint_steps: int | None = None
    """Most steps of the body to a way point, for agents that act in them, in training and after it: 10 as published, 3
    by default for the small network, which so decides, and learns, three times as often."""
    pool: HomePool = field(default_factory=lambda: HomePool(homes=400, episodes=12))
    """Homes that the episodes return to."""
    goals_per_home: int = 8
    """Places of a home among which goals are drawn; 0 for anywhere."""
    imitation: ImitationSettings = field(default_factory=ImitationSettings)
    """Learning from the oracle."""
    reinforcement: PPOSettings = field(default_factory=PPOSettings)
    """Learning from rewards."""
    curriculum: CurriculumSettings = field(default_factory=CurriculumSettings)
    """Near goals first."""
    start: str | None = None
    """Weights to begin with: a training's folder or a ``.safetensors`` file, with the same sensors and network."""
    evaluate_every: int = 100_000
    """Steps between evaluations in homes of the val split; 0 for none."""
    evaluation_episodes: int = 50
    """Episodes of an evaluation."""
    deterministic: bool = False
    """Whether evaluations take the most likely action; else they draw one, as training does, from the episode's seed.
    An agent in doubt between left and right gets on by drawing."""
    checkpoint_every: int = 50_000
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
            workers=(1, 10_000),
            network_threads=(1, 10_000),
            waypoint_steps=(1, 100_000),
        )
        learner = find_learner(self.agent)
        if learner.waypoints and self.imitation.teacher != "oracle":
            raise ConfigurationError(
                f"The teacher is {self.imitation.teacher!r}; {learner.title} acts in way points, which only 'oracle' "
                "chooses."
            )
        if self.imitation.steps + self.reinforcement.steps == 0:
            raise ConfigurationError("Neither imitation nor reinforcement has any steps; give one of them some.")

    def with_steps(self, steps: int) -> "TrainSettings":
        """Return the same training with fewer or more steps: each part keeps its share of them.

        Args:
            steps: Steps of imitation and reinforcement together.

        Raises:
            ConfigurationError: There are no steps.
        """
        checked_count("steps", steps)
        share = steps / (self.imitation.steps + self.reinforcement.steps)
        imitation = round(self.imitation.steps * share)
        return replace(
            self,
            imitation=replace(
                self.imitation, steps=imitation, teacher_steps=round(self.imitation.teacher_steps * share)
            ),
            reinforcement=replace(self.reinforcement, steps=steps - imitation),
            curriculum=replace(self.curriculum, steps=round(self.curriculum.steps * share)),
        )

    @property
    def learner(self) -> Learner:
        """The agent that is trained."""
        return find_learner(self.agent)

    @property
    def longest_way(self) -> int:
        """Most steps of the body to a way point."""
        return self.waypoint_steps or (LONGEST_WAY if self.size == "published" else SHORT_WAY)

    @property
    def network(self) -> "AvNavSize":
        """Sizes of the network; needs torch."""
        return self.learner.network(self.size)

    @property
    def camera(self) -> dict[str, int]:
        """Settings of the camera that differ from the task's."""
        return {} if self.size == "published" else {"width": 64, "height": 64}
