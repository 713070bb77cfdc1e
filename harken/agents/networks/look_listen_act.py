"""The network of Look, Listen, and Act (Gan et al., ICRA 2020): hear where it sounds, plan the way there on the map.

A predictor turns the sound of one moment, and the map around the body, into the place from which it comes, and into how
sure it is of the distance and of the direction. What was heard from several places is put together by odometry, as an
information filter does it: directions from two places tell the distance that neither tells alone. A planner finds the
ways to the place on the geometric map, on which the unknown is free; and a layer of its own says when to stop. The
agent acts in way points: in the published one, too, the plan is made anew after a few steps. Comparisons on SoundSpaces
have it in this form.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional

from harken.agents.networks.av_nav import AvNavEncoder, AvNavSize
from harken.agents.networks.savi import SILENCE, seen_from, seen_from_start
from harken.agents.networks.sensors import FAINTEST_LEVEL, FARTHEST, UNSEEN
from harken.checks import check_settings
from harken.errors import ConfigurationError
from harken.sound.interaural import LAGS

__all__ = [
    "MAP",
    "NEAREST",
    "GoalMemory",
    "ListeningEncoder",
    "LookListenActSize",
    "gathered_information",
    "information",
    "place_of",
    "waypoint_ways",
    "ways_to",
]

SOUNDS = "spectrogram", "interaural"
"""Sensors that the predictor may hear with."""

MAP = "geometric_map"
"""The sensor on which it plans."""

POSE = 4
"""Numbers of the sensor "pose"."""

COARSER = 2
"""Cells of the map along each side of a cell on which ways are planned."""

BLOCKED = 50.0
"""Cost of a cell in which something stands: the predicted place may lie in a wall."""

BESIDE = 4.0
"""Cost of a cell beside such a cell."""

SUREST, LEAST_SURE = 0.1, 10.0
"""Least and greatest spread of what one moment's sound tells of a place [m]."""

NEAREST = 1e-3
"""Distance below which a place has no direction [m]."""

DIAGONAL = 2.0**0.5
"""Length of a diagonal step between cells."""


@dataclass(frozen=True, kw_only=True)
class LookListenActSize(AvNavSize):
    """Sizes of the network. Those of the layers are AV-Nav's."""

    kept: float = 0.7
    """What counts of earlier sound in the next step: less for sources that walk. What is heard from nearly the same
    place is wrong in nearly the same way, so it does not count as often as it is heard."""
    map_cell: float = 0.1
    """Size of the cells of the geometric map [m]."""
    waypoint_cell: float = 0.5
    """Size of the cells that are chosen from [m]."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_settings(self, kept=(0.0, 1.0), map_cell=(0.02, 2.0), waypoint_cell=(0.05, 100.0))

    @staticmethod
    def small() -> "LookListenActSize":
        """Return sizes for training on a few CPU cores, at geometric maps of 64 × 64."""
        few = AvNavSize.small()
        return LookListenActSize(
            image=few.image, spectrogram=few.spectrogram, features=few.features, memory=few.memory
        )  # fmt: skip

    def encoder(self, space: gym.spaces.Dict) -> "ListeningEncoder":
        """Return the encoder of these sizes for some observations."""
        return ListeningEncoder(space, self)


class ListeningEncoder(nn.Module):
    """Turns what is sensed at one moment into features for the stop, and hears where the goal is.

    Args:
        space: The observations: "pose", "geometric_map", and "interaural" or "spectrogram" at least.
        size: Sizes of the layers.

    Attributes:
        features: Number of features.
        width: Number of all that `forward` returns.

    Raises:
        ConfigurationError: A sensor is missing, or is too small for the layers.
    """

    def __init__(self, space: gym.spaces.Dict, size: LookListenActSize | None = None):
        super().__init__()
        size = size or LookListenActSize()
        shown = {name: part for name, part in space.spaces.items() if name not in UNSEEN}
        heard = {name: shown[name] for name in SOUNDS if name in shown}
        missing = [name for name in ("pose", MAP) if name not in shown]
        missing += [] if heard else [" or ".join(SOUNDS)]
        if missing:
            raise ConfigurationError(
                f"The observations are {', '.join(shown)}; Look, Listen, and Act needs {' and '.join(missing)} besides."
            )
        self.sounds = tuple(heard)
        rest = {name: part for name, part in shown.items() if name not in ("pose", MAP)}
        self.senses = AvNavEncoder(gym.spaces.Dict(rest), size)
        # A sound that comes through a door tells more of the place behind it where the walls are known.
        self.listening = AvNavEncoder(gym.spaces.Dict({**heard, MAP: shown[MAP]}), size)
        self.location = nn.Linear(self.listening.width, 4)
        self.features = self.senses.width
        self.width = self.features + POSE + 5

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return ``(n, width)``: features, pose, predicted place and its spread [m], and whether something is heard.

        The place carries no gradient: it learns from labels alone, see `predict`.
        """
        with torch.no_grad():
            told = [observations["pose"].float(), *self.predict(observations), self.hears(observations)[:, None]]
        return torch.cat([self.senses(observations), *told], dim=1)

    def predict(self, observations: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return where the sound of ``(n, …)`` observations comes from.

        Returns:
            The place ``(n, 2)``, metres ahead and to the left; and by how much it is off on average along the line to
            it and across, ``(n, 2)`` [m].
        """
        told = self.location(self.listening({name: observations[name] for name in (*self.sounds, MAP)}))
        surest, least = math.log(SUREST), math.log(LEAST_SURE)
        return FARTHEST * told[:, :2], torch.exp(surest + (least - surest) * told[:, 2:].sigmoid())

    def hears(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return whether something is heard, ``(n,)`` float32."""
        if "interaural" in self.sounds:
            levels = observations["interaural"].float().flatten(1).unflatten(1, (-1, LAGS + 2))[..., -1]
            return (levels.amax(1) > FAINTEST_LEVEL).float()
        return (observations["spectrogram"].float().flatten(1).amax(1) > SILENCE).float()


class GoalMemory(nn.Module):
    """Puts together what is heard from several places, and keeps the place of the goal while nothing is heard.

    Args:
        encoder: What hears it.
        size: Sizes of the layers.

    Attributes:
        hidden_size: Numbers of its state, see `gathered_information`.
        num_layers: 1.
    """

    num_layers, hidden_size = 1, 5

    def __init__(self, encoder: ListeningEncoder, size: LookListenActSize):
        super().__init__()
        self.features, self.kept = encoder.features, size.kept
        self.summary = nn.Sequential(nn.Linear(encoder.features + 3, size.memory), nn.ReLU())

    def forward(self, inputs: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Follow some sequences.

        Args:
            inputs: ``(n, steps, encoder.width)`` of the encoder.
            state: ``(n, 5)`` what is known before the first step; zeros for nothing.
            starts: ``(n, steps)`` bool, whether a step is the first of an episode: nothing is known there.

        Returns:
            ``(n, steps, memory + 3)``: what says when to stop, whether the place is known, and the place as the body
            sees it now, over ten metres; and the state after the last step.
        """
        features, pose, place, spread, heard = inputs.split([self.features, POSE, 2, 2, 1], -1)
        gathered = gathered_information(state, information(pose, place, spread) * heard, starts, self.kept)
        is_known = (gathered[..., 2:3] > 0.0).to(inputs.dtype)
        where = seen_from(pose, place_of(gathered)) * is_known / FARTHEST
        summary = self.summary(torch.cat([features, is_known, where], -1))
        return torch.cat([summary, is_known, where], -1), gathered[:, -1]


def information(pose: Tensor, place: Tensor, spread: Tensor) -> Tensor:
    """Return what one moment's sound tells of a place, relative to the start, in the form that can be added.

    Args:
        pose: ``(…, 3 or more)`` of the body: metres ahead and to the left of its start, and the angle turned [rad].
        place: ``(…, 2)`` metres ahead and to the left of the body.
        spread: ``(…, 2)`` how far it is off along the line to it and across [m].

    Returns:
        ``(…, 5)``: the inverse of the covariance times the place (2), and the inverse itself: its first and second
        element on the diagonal and the one beside it. Thrun, Burgard and Fox, "Probabilistic Robotics", 2005, section
        3.5.
    """
    line = place / torch.linalg.vector_norm(place, dim=-1, keepdim=True).clamp(min=NEAREST)
    turned = pose.clone()
    turned[..., :2] = 0.0
    ahead, left = seen_from_start(turned, line).unbind(-1)
    along, across = (spread**-2).unbind(-1)
    one, two, beside = (
        along * ahead**2 + across * left**2,
        along * left**2 + across * ahead**2,
        (along - across) * ahead * left,
    )
    x, y = seen_from_start(pose, place).unbind(-1)
    return torch.stack([one * x + beside * y, beside * x + two * y, one, two, beside], -1)


def gathered_information(before: Tensor, told: Tensor, starts: Tensor, kept: float) -> Tensor:
    """Return what is known after each step: what it tells, and a share of what was known before.

    Args:
        before: ``(n, 5)`` what was known before the first step, see `information`; zeros for nothing.
        told: ``(n, steps, 5)`` what each step tells, zeros for nothing.
        starts: ``(n, steps)`` bool, whether an episode begins: nothing is known there.
        kept: What counts of what was known before, where a step tells something.

    Returns:
        ``(n, steps, 5)``.
    """
    known, found = before, []
    for step in range(told.shape[1]):
        share = torch.where((told[:, step] != 0.0).any(-1, keepdim=True), kept, 1.0)
        known = torch.where(starts[:, step, None], torch.zeros_like(known), known) * share + told[:, step]
        found.append(known)
    return torch.stack(found, 1)


def place_of(known: Tensor) -> Tensor:
    """Return the most likely places ``(…, 2)``, relative to the start, of what is known ``(…, 5)``; 0 for nothing."""
    x, y, one, two, beside = known.unbind(-1)
    determinant = one * two - beside**2
    divisor = torch.where(determinant > 0.0, determinant, 1.0)
    place = torch.stack([two * x - beside * y, one * y - beside * x], -1) / divisor[..., None]
    return torch.where(determinant[..., None] > 0.0, place, 0.0)


def ways_to(occupied: Tensor, place: Tensor, cell: float) -> Tensor:
    """Return how long the ways are from all cells of maps to a place each.

    Ways avoid what stands there and what is beside it, but may lead through: each step costs what the cell does that is
    entered. Outside the map they are straight lines.

    Args:
        occupied: ``(n, side, side)`` bool, as the geometric map shows it: the body in the middle, rows ahead first.
        place: ``(n, 2)`` metres ahead and to the left of the body.
        cell: Size of a cell [m].

    Returns:
        ``(n, side, side)`` float32 [m].
    """
    side = occupied.shape[-1]
    beside = functional.max_pool2d(occupied[:, None].float(), 3, stride=1, padding=1)[:, 0] > 0
    cost = torch.where(occupied, BLOCKED, torch.where(beside, BESIDE, 1.0))
    middles = (0.5 * (side - 1) - torch.arange(side, device=place.device)) * cell
    straight = torch.hypot(place[:, :1, None] - middles[:, None], place[:, 1:, None] - middles) / cell
    edge = torch.ones(side, side, dtype=torch.bool, device=place.device)
    edge[1:-1, 1:-1] = False
    is_inside = (place.abs().amax(1) < 0.5 * side * cell)[:, None, None]
    length = torch.where(torch.where(is_inside, straight < 1.0, edge), straight, torch.inf)
    for _ in range(side * side):  # no way has more steps; most maps take a few dozen
        around = functional.pad(length, (1, 1, 1, 1), value=torch.inf)
        found = length
        for down in range(3):
            for across in range(3):
                step = DIAGONAL if down != 1 and across != 1 else 1.0
                onward = around[:, down : down + side, across : across + side] + step * cost
                found = torch.minimum(found, onward)
        if torch.equal(found, length):
            break
        length = found
    return length * cell


def waypoint_ways(occupied: Tensor, place: Tensor, cells: int, size: LookListenActSize) -> Tensor:
    """Return how long the ways are from way points to a place.

    Args:
        occupied: ``(n, side, side)`` bool, as the geometric map shows it.
        place: ``(n, 2)`` metres ahead and to the left of the body.
        cells: Rows and columns of way points.
        size: Sizes of the cells.

    Returns:
        ``(n, cells²)`` [m], row by row as `harken.envs.WaypointActions` counts them.
    """
    coarse = functional.max_pool2d(occupied[:, None].float(), COARSER, ceil_mode=True)[:, 0] > 0
    cell = size.map_cell * COARSER
    ways = ways_to(coarse, place, cell)
    offsets = (cells // 2 - torch.arange(cells, device=place.device)) * size.waypoint_cell
    index = (0.5 * (ways.shape[-1] - 1) - offsets / cell).round().long().clamp(0, ways.shape[-1] - 1)
    return ways[:, index][:, :, index].flatten(1)
