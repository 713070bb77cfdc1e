"""The agents that `harken train` trains, one line for each; a network is loaded when it is first made."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harken.errors import UnknownNameError

__all__ = ["LEARNERS", "Learner", "find_learner"]


@dataclass(frozen=True, kw_only=True)
class Learner:
    """An agent that learns."""

    title: str
    """What it is called in print."""
    size: str
    """Where the sizes of its network are, ``module:Class``: a dataclass like `harken.agents.networks.AvNavSize`, whose
    defaults are the published sizes, with ``small()``, ``memory``, and ``encoder(space)``, which makes the module."""
    waypoints: bool = False
    """Whether it acts in way points, see `harken.envs.WaypointActions`."""
    sensors: tuple[str, ...] = ()
    """Sensors that it is made for, of which the task's are shown; by default those that the task is about."""
    policy: str = "harken.agents.training.recurrent:EncoderPolicy"
    """Its policy, ``module:Class``, such as one with a memory of its own."""
    labels: tuple[str, ...] = ()
    """Sensors that imitation shows to `SequencePolicy.auxiliary_loss` besides, and nobody else sees."""
    small_without: tuple[str, ...] = ()
    """Sensors of the task that the small network does without, unless it is asked for them."""
    small_with: tuple[str, ...] = ()
    """Further sensors of the task that the small network has."""
    small: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the task for the small network, besides those of the camera."""

    def network(self, size: str) -> Any:
        """Return the sizes of its network, "small" or "published"; needs torch."""
        sizes = _imported(self.size)
        return sizes() if size == "published" else sizes.small()

    @property
    def policy_class(self) -> Any:
        """The class of its policy; needs torch."""
        return _imported(self.policy)


def _imported(name: str) -> Any:
    module, _, kind = name.partition(":")
    return getattr(importlib.import_module(module), kind)


def _map_agent(title: str, network: str, *sensors: str, **more: Any) -> Learner:
    return Learner(
        title=title,
        size=f"harken.agents.networks.{network}",
        waypoints=True,
        sensors=("geometric_map", *sensors, "collision"),
        small={"map": {"size": 64}},
        **more,
    )


LEARNERS: dict[str, Learner] = {
    "av-nav": Learner(title="AV-Nav", size="harken.agents.networks.av_nav:AvNavSize"),
    "savi": Learner(
        title="SAVi",
        size="harken.agents.networks.savi:SaviSize",
        policy="harken.agents.training.savi:SaviPolicy",
        labels=("goal_category", "goal_location"),
        small_without=("rgb",),
        small_with=("interaural",),
    ),
    "av-wan": _map_agent("AV-WaN", "av_wan:AvWanSize", "acoustic_map", "spectrogram", "pointgoal"),
    "dav-nav": _map_agent("Dav-Nav", "dav_nav:DavNavSize", "depth", "spectrogram"),
    "look-listen-act": _map_agent(
        "Look, Listen, and Act",
        "look_listen_act:LookListenActSize",
        "interaural",
        "pose",
        policy="harken.agents.training.look_listen_act:PlannerPolicy",
        labels=("way_location",),
    ),
}
"""The agents by their names on the command line."""


def find_learner(name: str) -> Learner:
    """Return an agent that learns by its name.

    Raises:
        UnknownNameError: There is no such agent.
    """
    if name not in LEARNERS:
        raise UnknownNameError("agent to train", name, LEARNERS)
    return LEARNERS[name]
