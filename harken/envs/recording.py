"""Record episodes as videos with the sound that the ears heard."""

from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from harken.envs.env import TaskEnv
from harken.envs.video import write_video
from harken.errors import ConfigurationError

__all__ = ["RecordVideo"]


class RecordVideo(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Write every episode as ``<name>-<n>.mp4``, picture and binaural sound in step.

    Gymnasium's wrapper of the same name writes no sound.

    Args:
        env: A Harken environment with ``render_mode="rgb_array"``.
        folder: Where the videos go; it is created.
        name: First part of the files' names.
    """

    def __init__(self, env: gym.Env, folder: str | Path, *, name: str = "episode"):
        gym.utils.RecordConstructorArgs.__init__(self, folder=folder, name=name)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.unwrapped, TaskEnv) or env.unwrapped.render_mode != "rgb_array":
            raise ConfigurationError(
                "RecordVideo needs a Harken environment with pictures: gym.make(..., render_mode='rgb_array')."
            )
        self._harken: TaskEnv = env.unwrapped
        self.folder, self.name, self.count = Path(folder), name, 0
        self._frames: list[np.ndarray] = []
        self._sound: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Finish the video of the last episode and start the next."""
        self._write()
        result = self.env.reset(seed=seed, options=options)
        self._keep()
        return result

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step and keep the picture and the sound; write the video where the episode ends."""
        result = self.env.step(action)
        self._keep()
        if result[2] or result[3]:
            self._write()
        return result

    def close(self) -> None:
        """Write what was recorded and close the environment."""
        self._write()
        self.env.close()

    def _keep(self) -> None:
        frame = self._harken.render()
        assert frame is not None
        self._frames.append(frame)
        if self._harken.waveform is not None:
            self._sound.append(self._harken.waveform)

    def _write(self) -> None:
        if not self._frames:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        sound = np.concatenate(self._sound, axis=1) if self._sound else None
        path = self.folder / f"{self.name}-{self.count}.mp4"
        write_video(path, self._frames, 1.0 / self._harken.task.step_time, sound, self._harken.sound_rate)
        self.count += 1
        self._frames, self._sound = [], []
