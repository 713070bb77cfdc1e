"""Trained policies as agents: Harken's own files, and those of Stable-Baselines3."""

import contextlib
import json
import math
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from harken.envs import StableBaselinesAction, StableBaselinesObservation, WaypointActions
from harken.envs.waypoints import ACTION_MASK, DETOURS, LONGEST_WAY
from harken.errors import ConfigurationError, MissingDependencyError
from harken.tasks import Task
from harken.tasks.protocol import Choice

__all__ = ["PolicyAgent", "policy_file"]

REDRAWS = 20
"""How often an action is drawn again in place of a stop, before the most likely one is taken."""

_TRACES = {
    "RecurrentPPO": ("RecurrentPPO", "sb3_contrib"),
    "MaskablePPO": ("MaskablePPO", "sb3_contrib"),
    "PPO": ("PPO", "stable_baselines3"),
    "A2C": ("A2C", "stable_baselines3"),
    "DQN": ("DQN", "stable_baselines3"),
    "SAC": ("SAC", "stable_baselines3"),
    "TD3": ("TD3", "stable_baselines3"),
}
"""Algorithms whose files are read, and the packages that they come from."""


class PolicyAgent:
    """Acts as a trained model does.

    A model that draws its actions stops only where the stop is its most likely action. An agent in doubt gets on by
    drawing, but a stop in doubt ends the episode at a wrong place.

    Args:
        model: An algorithm of Stable-Baselines3 or sb3-contrib, or anything with ``observation_space``,
            ``action_space`` and ``predict(observation, state, episode_start, deterministic)``.
        deterministic: Whether it takes the most likely action; else it draws, see above.
        config: Settings of the environments that it was trained in, where they differ from the task's own, such as
            ``{"body": {"camera": {"width": 64, "height": 64}}}``.
        waypoint_steps: Most steps of the body to a way point, if it acts in them; see `WaypointActions`.

    Raises:
        ConfigurationError: The model observes something else than a ``Dict`` of sensors.
    """

    def __init__(
        self,
        model: Any,
        *,
        deterministic: bool = True,
        config: Mapping[str, Any] | None = None,
        waypoint_steps: int = LONGEST_WAY,
    ):
        space = model.observation_space
        if not isinstance(space, gym.spaces.Dict):
            raise ConfigurationError(f"The policy observes {space}; expected a Dict of Harken's sensors.")
        self.model, self.deterministic, self.config = model, deterministic, dict(config or {})
        self.waypoint_steps = waypoint_steps
        self.sensors: tuple[str, ...] = tuple(name for name in space.spaces if name not in (ACTION_MASK, DETOURS))
        self._state: Any = None
        self._starts = True
        self._stop: int | None = None

    @staticmethod
    def load(path: str | Path, *, deterministic: bool | None = None, trust: bool = False) -> "PolicyAgent":
        """Read a policy: a file of Harken's, or a model that ``model.save(path)`` of Stable-Baselines3 wrote.

        A zip of Stable-Baselines3 holds pickles, and reading it can run whatever its author put there: trust your own,
        and those of people whom you know. Harken's files hold numbers only.

        Args:
            path: The ``.safetensors`` of Harken, the folder of a training (of which the best policy is taken), or
                the zip of Stable-Baselines3.
            deterministic: Whether the agent takes the most likely action; else it draws. None for what a file of
                Harken's says, and the most likely action of a zip.
            trust: Whether a zip is read.

        Raises:
            ConfigurationError: The file is missing, is not such a policy, or is a zip and not trusted.
            MissingDependencyError: Torch, Stable-Baselines3, or sb3-contrib where the model needs it, is missing.
        """
        file = Path(path).expanduser()
        if file.suffix == ".zip":
            return _load_zip(file, deterministic is not False, trust)
        file = policy_file(file)
        try:
            from harken.agents.training.checkpoint import load_policy, read_card
        except ImportError as error:
            raise MissingDependencyError(f"{path} is a trained policy: pip install 'harken[train]'.") from error
        policy, card = load_policy(file), read_card(file)
        drawn = card.get("deterministic", True) if deterministic is None else deterministic
        return PolicyAgent(
            policy,
            deterministic=bool(drawn),
            config=card.get("config"),
            waypoint_steps=card.get("waypoint_steps", LONGEST_WAY),
        )

    def check_fits(self, task: Task[Any]) -> None:
        """Check that a task has the sensors that the policy needs.

        Raises:
            ConfigurationError: It has not; the message names those of both.
        """
        missing = [sensor for sensor in self.sensors if sensor not in task.sensors]
        if missing:
            raise ConfigurationError(
                f"The policy was trained with the sensors {', '.join(self.sensors)}; the task has no "
                f"{', '.join(missing)}, but {', '.join(task.sensors)}. Choose the task that it was trained for."
            )

    def fitted(self, env: gym.Env) -> gym.Env:
        """Return an environment in the form in which the policy was trained, and learn which action is its stop.

        A policy that observes "action_mask" acts in way points: the environment is put in `WaypointActions`, unless it
        shows the mask already. Where the spaces differ, `StableBaselinesObservation` and `StableBaselinesAction` are
        tried; environments that were trained in with other wrappers have to be given with them.

        Raises:
            ConfigurationError: The spaces differ all the same; the message says how.
        """
        wrapped = env
        if ACTION_MASK in self.model.observation_space.spaces and ACTION_MASK not in _sensors(env):
            cells = math.isqrt(int(self.model.action_space.n))
            wrapped = WaypointActions(
                env, cells=cells, longest=self.waypoint_steps, shows_mask=True,
                shows_detours=DETOURS in self.model.observation_space.spaces,  # while it is trained
            )  # fmt: skip
        if not _alike(wrapped.observation_space, self.model.observation_space):
            wrapped = StableBaselinesObservation(wrapped)
        if wrapped.action_space != self.model.action_space and isinstance(wrapped.action_space, gym.spaces.Dict):
            wrapped = StableBaselinesAction(wrapped)
        if not _alike(wrapped.observation_space, self.model.observation_space):
            raise ConfigurationError(
                f"The policy was trained on {self.model.observation_space}; the environment shows "
                f"{env.observation_space}. Give the wrappers and settings that it was trained with."
            )
        if wrapped.action_space != self.model.action_space:
            raise ConfigurationError(
                f"The policy acts in {self.model.action_space}; the environment takes {env.action_space}. Give the "
                "wrappers and settings that it was trained with."
            )
        self._stop = _stop_of(wrapped)
        return wrapped

    def reset(self, seed: int) -> None:
        """Forget the last episode; where the policy draws its actions, the draws come from `seed`."""
        self._state, self._starts = None, True
        if not self.deterministic:
            import torch

            torch.manual_seed(seed)

    def act(self, observation: Mapping[str, Any]) -> Any:
        """Return the policy's action."""
        before, start = self._state, np.array([self._starts])

        def predict(deterministic: bool) -> tuple[Any, Any]:
            return self.model.predict(dict(observation), state=before, episode_start=start, deterministic=deterministic)

        with _one_thread():
            action, self._state = predict(self.deterministic)
            if not self.deterministic and self._stops(action):
                likeliest, _ = predict(True)
                draws = 0
                while self._stops(action) and not self._stops(likeliest):
                    draws += 1
                    action = predict(False)[0] if draws <= REDRAWS else likeliest
        self._starts = False
        return action

    def _stops(self, action: Any) -> bool:
        return self._stop is not None and int(action) == self._stop


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute in one thread.

    One observation is not worth more of them. They would go on spinning while the environment steps, and round sums in
    another way, so that an episode would depend on the number of cores.
    """
    torch: Any = sys.modules.get("torch")  # other models need none
    if torch is None or torch.get_num_threads() == 1:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def policy_file(path: str | Path) -> Path:
    """Return the file of a policy: the path itself, or the best policy of a training's folder.

    Raises:
        ConfigurationError: The folder is none of a training.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return folder
    for name in ("best.safetensors", "last.safetensors"):
        if (folder / name).is_file():
            return folder / name
    checkpoints = sorted(folder.glob("checkpoint-*.safetensors"))
    if not checkpoints:
        raise ConfigurationError(
            f"{str(folder)!r} is no folder of a training: it holds neither best.safetensors nor a checkpoint."
        )
    return checkpoints[-1]


def _load_zip(path: Path, deterministic: bool, trust: bool) -> PolicyAgent:
    kind = _algorithm(path)
    if not trust:
        raise ConfigurationError(
            f"{path} holds pickles, which can run any code when they are read. If you or somebody whom you trust made "
            "it, say so: --trust on the command line, trust=True in Python."
        )
    name, package = _TRACES[kind]
    try:
        algorithm = getattr(__import__(package), name)
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} was trained with {name}; it needs {package}: pip install 'harken[train]'."
        ) from error
    try:
        model = algorithm.load(str(path), device="cpu")
    except Exception as error:  # whatever a damaged pickle raises
        raise ConfigurationError(f"{path} cannot be read as a model of {name}: {error}.") from error
    return PolicyAgent(model, deterministic=deterministic)


def _stop_of(env: gym.Env) -> int | None:
    """Return which action of an environment stops; None where there is none."""
    if not isinstance(env.action_space, gym.spaces.Discrete):
        return None
    actions = getattr(getattr(env.unwrapped, "task", None), "actions", None)
    if not isinstance(actions, Choice) or "stop" not in actions.names:
        return None
    while isinstance(env, gym.Wrapper) and not isinstance(env, WaypointActions):
        env = env.env
    return env.center if isinstance(env, WaypointActions) else actions.names.index("stop")


def _sensors(env: gym.Env) -> tuple[str, ...]:
    space = env.observation_space
    return tuple(space.spaces) if isinstance(space, gym.spaces.Dict) else ()


def _alike(environment: gym.Space, policy: gym.Space) -> bool:
    """Whether a policy takes what an environment shows; Stable-Baselines3 keeps images with their channels first."""
    if not isinstance(environment, gym.spaces.Dict) or not isinstance(policy, gym.spaces.Dict):
        return environment == policy
    if set(environment.spaces) != set(policy.spaces):
        return False
    for name, space in environment.spaces.items():
        target = policy.spaces[name]
        if isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space != target:
            space = gym.spaces.Box(0, 255, (space.shape[2], *space.shape[:2]), np.uint8)
        if space != target:
            return False
    return True


def _algorithm(path: Path) -> str:
    """Return which algorithm wrote a model, from the plain text in its file; nothing in it is executed."""
    if not path.is_file():
        raise ConfigurationError(f"There is no model {str(path)!r}. Give the zip that model.save(...) wrote.")
    try:
        with zipfile.ZipFile(path) as file:
            if file.getinfo("data").file_size > 2**28:
                raise ConfigurationError(f"{path}: its data are larger than a model's; it is not read.")
            data = json.loads(file.read("data"))
        policy = str(data["policy_class"].get("__module__", ""))
    except (OSError, KeyError, ValueError, AttributeError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"{path} is not a model of Stable-Baselines3 ({type(error).__name__}: {error}); expected the zip that "
            "model.save(...) wrote."
        ) from error
    if "recurrent" in policy:
        return "RecurrentPPO"
    if "maskable" in policy:
        return "MaskablePPO"
    for key, name in (
        ("clip_range", "PPO"),
        ("exploration_fraction", "DQN"),
        ("target_entropy", "SAC"),
        ("policy_delay", "TD3"),
        ("gae_lambda", "A2C"),
    ):
        if key in data:
            return name
    raise ConfigurationError(f"{path} holds an algorithm that is not known; expected {', '.join(_TRACES)}.")
