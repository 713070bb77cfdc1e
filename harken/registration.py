"""The environments' names in Gymnasium's registry."""

from gymnasium.envs.registration import register, registry

__all__ = ["ENVIRONMENTS", "OTHER_ENVIRONMENTS", "SEPARATION_ENVIRONMENTS", "register_environments"]

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "harken/AudioGoal-v0": {"task": "audiogoal"},
    "harken/AudioPointGoal-v0": {"task": "audiopointgoal"},
    "harken/PointGoal-v0": {"task": "pointgoal"},
}
"""Ids of the navigation tasks, and the arguments that make each environment what it is."""

OTHER_ENVIRONMENTS: dict[str, str] = {
    "harken/EchoDepth-v0": "harken.envs.echo_depth:EchoDepthEnv",
}
"""Ids of the other tasks, and what makes their environments."""

SEPARATION_ENVIRONMENTS: dict[str, dict[str, str]] = {
    "harken/ActiveSeparation-v0": {"preset": "near-target"},
    "harken/ActiveDynamicSeparation-v0": {"preset": "dynamic"},
}
"""Ids of active separation and the arguments that make each environment what it is."""


def register_environments() -> None:
    """Register every environment once, by the names of what makes it, so that nothing is loaded before it is made."""
    for name, arguments in ENVIRONMENTS.items():
        if name not in registry:
            register(
                id=name,
                entry_point="harken.envs:NavigationEnv",
                vector_entry_point="harken.envs:navigation_vector_env",
                kwargs=dict(arguments),
            )
    for name, entry_point in OTHER_ENVIRONMENTS.items():
        if name not in registry:
            register(id=name, entry_point=entry_point)
    for name, arguments in SEPARATION_ENVIRONMENTS.items():
        if name not in registry:
            register(
                id=name,
                entry_point="harken.envs.separation:SeparationEnv",
                vector_entry_point="harken.envs.separation:separation_vector_env",
                kwargs=dict(arguments),
            )
