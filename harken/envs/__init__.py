"""Gymnasium environments."""

from harken.envs.attacking import AttackerEnv
from harken.envs.env import TaskEnv
from harken.envs.recording import RecordVideo
from harken.envs.stable_baselines import StableBaselinesAction, StableBaselinesObservation
from harken.envs.vector import ThreadVectorEnv, vector_env
from harken.envs.video import write_video
from harken.envs.waypoints import WaypointActions

__all__ = [
    "AttackerEnv",
    "RecordVideo",
    "StableBaselinesAction",
    "StableBaselinesObservation",
    "TaskEnv",
    "ThreadVectorEnv",
    "WaypointActions",
    "vector_env",
    "write_video",
]
