"""The rules of finding a goal."""

from dataclasses import dataclass, field
from typing import Literal

from harken.acoustics import AcousticSettings
from harken.checks import check_settings
from harken.errors import ConfigurationError
from harken.sim import BodySettings, WorldSettings
from harken.sim.settings import Engine
from harken.tasks.difficulty import Difficulty
from harken.tasks.mapping import MapSettings

__all__ = ["NavigationSettings"]


@dataclass(frozen=True, kw_only=True)
class NavigationSettings:
    """The rules of a navigation task. The defaults are those of SoundSpaces 2.0's continuous AudioGoal."""

    body: BodySettings = BodySettings()
    """What the body is like."""
    propagation: Engine = "harken"
    """Engine that propagates sound."""
    acoustics: AcousticSettings = field(default_factory=AcousticSettings)
    """How sound is propagated."""
    step_time: float = 0.25
    """Time that passes in a step [s]."""
    success_distance: float = 1.0
    """A stop nearer to the goal than this is a success [m]."""
    max_steps: int = 500
    """Steps after which the episode is cut off."""
    success_reward: float = 10.0
    """Reward of a successful stop."""
    step_reward: float = -0.01
    """Reward of every step."""
    distance_reward: float = 1.0
    """Reward per metre that the geodesic distance to the goal falls."""
    least_distance: float = 2.0
    """Least geodesic distance from start to goal of a sampled episode [m]."""
    most_distance: float | None = None
    """Greatest geodesic distance from start to goal of a sampled episode [m]; None for any."""
    difficulty: Difficulty = "any"
    """How much longer than the straight line the way of a sampled episode is: "easy" less than 1.1 times, "medium" less
    than 1.5 times, "hard" at least that, or "any"."""
    oracle_distance: float | None = None
    """How near to the goal the oracle goes before it stops, at least a step [m]; None for just within
    `success_distance`. A teacher that goes nearer teaches to stop where there is little doubt."""
    goals_per_home: int = 0
    """Places of a home among which goals are drawn, so that training hears each of them often; 0 for anywhere."""
    doors: Literal["open", "random"] = "open"
    """How doors stand when an episode begins: all open, or each drawn, half of them open, the others ajar or closed."""
    opens_doors: bool = False
    """Whether the body opens and closes the door ahead with an action of its own. Where it does not, an episode's
    start and goal are on the same side of closed doors."""
    observation_time: float = 1.0
    """Length of the waveform that is observed [s], up to 60: the step's sound, padded with zeros at the end."""
    max_depth: float = 10.0
    """Largest depth that is observed [m]; what is farther is clipped to it."""
    map: MapSettings = field(default_factory=MapSettings)
    """The maps that a body draws of where it has been."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            step_time=(1e-3, 60.0),
            success_distance=(1e-3, 1000.0),
            max_steps=(1, 10**9),
            success_reward=(-1e9, 1e9),
            step_reward=(-1e9, 1e9),
            distance_reward=(-1e9, 1e9),
            least_distance=(0.0, 1e6),
            most_distance=(0.0, 1e6),
            oracle_distance=(1e-3, 1000.0),
            goals_per_home=(0, 1_000_000),
            observation_time=(1e-3, 60.0),
            max_depth=(1e-3, 10_000.0),
        )
        if self.most_distance is not None and self.most_distance < self.least_distance:
            raise ConfigurationError(
                f"Settings least_distance {self.least_distance!r} and most_distance {self.most_distance!r} m; expected "
                "the least not above the most."
            )
        if self.oracle_distance is not None and self.oracle_distance < self.body.forward_step:
            raise ConfigurationError(
                f"Setting oracle_distance is {self.oracle_distance:g} m, less than a step of the body, "
                f"{self.body.forward_step:g} m: the oracle would walk past the goal. Raise it."
            )
        if self.observation_time < self.step_time:
            raise ConfigurationError(
                f"Setting observation_time is {self.observation_time} s, less than step_time, {self.step_time} s: "
                "sound would be lost. Raise it."
            )

    @property
    def stop_distance(self) -> float:
        """Distance to the goal below which the oracle stops [m]."""
        return 0.95 * self.success_distance if self.oracle_distance is None else self.oracle_distance

    @property
    def world(self) -> WorldSettings:
        """The worlds that the task is played in."""
        return self.body.world(self.acoustics, self.propagation)
