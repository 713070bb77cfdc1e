"""Gymnasium environments."""

from harken.envs.navigation import TASKS, NavigationEnv
from harken.envs.recording import RecordVideo
from harken.envs.sensors import SENSORS
from harken.envs.stable_baselines import StableBaselinesAction, StableBaselinesObservation
from harken.envs.vector import ThreadVectorEnv, navigation_vector_env
from harken.envs.video import write_video

__all__ = [
    "SENSORS",
    "TASKS",
    "NavigationEnv",
    "RecordVideo",
    "StableBaselinesAction",
    "StableBaselinesObservation",
    "ThreadVectorEnv",
    "navigation_vector_env",
    "write_video",
]
