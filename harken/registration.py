"""The environments' names in Gymnasium's registry."""

from gymnasium.envs.registration import register, registry

__all__ = ["ENVIRONMENTS", "register_environments"]

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "harken/AudioGoal-v0": {"task": "audiogoal"},
    "harken/AudioPointGoal-v0": {"task": "audiopointgoal"},
    "harken/PointGoal-v0": {"task": "pointgoal"},
}
"""Ids and the arguments that make each environment what it is."""


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
