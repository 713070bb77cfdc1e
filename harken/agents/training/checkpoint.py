"""Weights of policies, and everything else that training needs to go on, in files without pickles.

A file is in the format of safetensors: arrays, and a text that says what they are. It is written under another name
and renamed, so what is found is whole.
"""

import json
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch import Tensor

from harken.agents.networks.sensors import PRIVILEGED
from harken.agents.training.recurrent import EncoderPolicy, SequencePPO
from harken.agents.training.table import LEARNERS, find_learner
from harken.configs import from_mapping
from harken.errors import ConfigurationError, MissingDependencyError, UnknownNameError
from harken.files import parse_json, read_bytes, write_bytes

__all__ = ["load_policy", "load_training", "read_card", "save_policy", "save_training"]

FORMAT = 1
"""Number of the format; files of another are refused."""

LARGEST = 2_000_000_000
"""Largest file that is read [bytes]."""


def save_policy(path: str | Path, policy: EncoderPolicy, card: Mapping[str, Any] | None = None) -> None:
    """Write a policy: its weights, its sizes and its spaces.

    Args:
        path: The file, which ends in ``.safetensors``.
        policy: The policy.
        card: What else is known of it, as JSON can hold it.

    Raises:
        FileError: The file cannot be written.
    """
    _write(path, _described(policy) | {"card": dict(card or {})}, _under("policy", _weights(policy)))


def load_policy(path: str | Path, *, device: str = "cpu") -> EncoderPolicy:
    """Read a policy that `save_policy` or `save_training` wrote, without what only teachers see.

    Args:
        path: The file.
        device: Where it computes.

    Raises:
        ConfigurationError: The file is missing, or is not such a policy.
    """
    text, tensors = _read(path)
    policy = _policy(path, text)
    _load_weights(path, policy, _of("policy", tensors))
    return policy.to(device)


def read_card(path: str | Path) -> dict[str, Any]:
    """Return what `save_policy` was told of a policy.

    Raises:
        ConfigurationError: The file is missing, or is not such a policy.
    """
    return dict(_read(path)[0].get("card", {}))


def save_training(path: str | Path, model: SequencePPO, more: Mapping[str, Any]) -> None:
    """Write all that a model needs to go on: policy, optimiser, memories, random states, statistics.

    Args:
        path: The file.
        model: The model, between two rollouts.
        more: What else there is, as JSON can hold it, such as the places of environments.

    Raises:
        FileError: The file cannot be written.
    """
    assert isinstance(model.policy, EncoderPolicy) and model._last_lstm_states is not None
    optimizer = model.policy.optimizer.state_dict()
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - Stable-Baselines3 draws from it
    tensors = {
        **_under("policy", _weights(model.policy)),
        **{f"optimizer.{i}.{key}": value for i, slot in optimizer["state"].items() for key, value in slot.items()},
        **{f"memory.{i}": state for i, state in enumerate(model._last_lstm_states.pi)},
        "starts": torch.as_tensor(np.asarray(model._last_episode_starts)),
        "random.torch": torch.get_rng_state(),
        "random.numpy": torch.as_tensor(np.asarray(keys, np.int64)),
    }
    state = {
        "steps": model.num_timesteps, "updates": model._n_updates, "episodes": model._episode_num,
        "groups": optimizer["param_groups"],
        "python": [version, list(numbers), gauss], "numpy": [name, position, has_gauss, cached],
        "infos": [dict(info) for info in model.ep_info_buffer or ()],
        "successes": [bool(success) for success in model.ep_success_buffer or ()],
    }  # fmt: skip
    _write(path, _described(model.policy) | {"training": state, **more}, tensors)


def load_training(path: str | Path, model: SequencePPO) -> dict[str, Any]:
    """Bring a model to where it was when `save_training` wrote it, and return what else was written.

    Args:
        path: The file.
        model: A model of the same settings.

    Raises:
        ConfigurationError: The file is missing, or belongs to other sensors, actions or sizes.
    """
    text, tensors = _read(path)
    if "training" not in text:
        raise ConfigurationError(f"{path} holds a policy alone; training goes on from a checkpoint of its own folder.")
    assert isinstance(model.policy, EncoderPolicy)
    theirs, ours = (d["sensors"] | {"": d["actions"]} for d in (text, _described(model.policy)))
    if theirs != ours:
        raise ConfigurationError(f"{path} was trained with {theirs}; this training has {ours}.")
    _load_weights(path, model.policy, _of("policy", tensors))
    state = text.pop("training")
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _of("optimizer", tensors).items():
        number, _, key = name.partition(".")
        slots.setdefault(int(number), {})[key] = value
    model.policy.optimizer.load_state_dict({"state": slots, "param_groups": state["groups"]})
    memory = tensors["memory.0"].to(model.device), tensors["memory.1"].to(model.device)
    model._last_lstm_states = RNNStates(memory, memory)  # actions and values share one
    model._last_episode_starts = tensors["starts"].numpy()
    model.num_timesteps, model._n_updates = state["steps"], state["updates"]
    model._episode_num = state["episodes"]
    window = model._stats_window_size
    model.ep_info_buffer = deque(state["infos"], maxlen=window)
    model.ep_success_buffer = deque(state["successes"], maxlen=window)
    torch.set_rng_state(tensors["random.torch"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, position, has_gauss, cached = state["numpy"]
    keys = tensors["random.numpy"].numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, cached))  # noqa: NPY002 - Stable-Baselines3 draws from it
    return {key: value for key, value in text.items() if key not in ("sensors", "actions", "size", "format", "network")}


def _described(policy: EncoderPolicy) -> dict[str, Any]:
    space, actions = policy.observation_space, policy.action_space
    assert isinstance(space, gym.spaces.Dict) and isinstance(actions, gym.spaces.Discrete)
    sensors = {name: _space_text(part) for name, part in space.spaces.items() if name not in PRIVILEGED}
    kind = f"{type(policy.size).__module__}:{type(policy.size).__name__}"
    name = next(name for name, learner in LEARNERS.items() if learner.size == kind)
    return {
        "format": FORMAT, "network": name, "sensors": sensors, "actions": int(actions.n), "size": asdict(policy.size),
    }  # fmt: skip


def _space_text(space: gym.Space) -> dict[str, Any]:
    if isinstance(space, gym.spaces.Discrete):
        return {"n": int(space.n)}
    assert isinstance(space, gym.spaces.Box)
    low, high = float(space.low.min()), float(space.high.max())
    return {"shape": list(space.shape), "type": str(space.dtype), "low": low, "high": high}


def _space(text: Mapping[str, Any]) -> gym.Space:
    if "n" in text:
        return gym.spaces.Discrete(text["n"])
    kind = np.dtype(text["type"]).type
    return gym.spaces.Box(kind(text["low"]), kind(text["high"]), tuple(text["shape"]), kind)


def _policy(path: str | Path, text: Mapping[str, Any]) -> EncoderPolicy:
    try:
        learner = find_learner(text.get("network", "av-nav"))  # old files do not say
        size = from_mapping(type(learner.network("published")), text["size"])
        space = gym.spaces.Dict({name: _space(part) for name, part in text["sensors"].items()})
        return learner.policy_class(space, gym.spaces.Discrete(text["actions"]), lambda _: 0.0, size=size)
    except (KeyError, TypeError, ValueError, AttributeError, UnknownNameError) as error:
        raise ConfigurationError(f"{path} does not say what its network is like ({error!r}).") from error


def _load_weights(path: str | Path, policy: EncoderPolicy, weights: Mapping[str, Tensor]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in _weights(policy).items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if found != expected:
        differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        first = differing[0]
        raise ConfigurationError(
            f"{path} holds the weights of another network: {first} is {found.get(first)}, expected "
            f"{expected.get(first)}; {len(differing)} differ in all."
        )
    policy.load_state_dict(weights, strict=False)  # Stable-Baselines3 lists shared parts under several names


def _weights(policy: EncoderPolicy) -> dict[str, Tensor]:
    """Return the parameters, each once."""
    return dict(policy.named_parameters())


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in tensors.items()}


def _of(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _write(path: str | Path, text: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, _safetensors().save(whole, metadata={"harken": json.dumps(text)}))


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    content = read_bytes(path, largest=LARGEST, error=ConfigurationError)
    try:
        length = int.from_bytes(content[:8], "little")
        header = parse_json(content[8 : 8 + length], where=str(path), error=ConfigurationError)
        text = parse_json(header["__metadata__"]["harken"], where=str(path), error=ConfigurationError)
        tensors = _safetensors().load(content)
        found = text["format"]
    except (KeyError, TypeError, ValueError, _safetensors_error()) as error:
        raise ConfigurationError(f"{path} is no policy of Harken ({error}); expected a .safetensors file.") from error
    if found != FORMAT:
        raise ConfigurationError(f"{path} has the format {found}; this version of Harken reads {FORMAT}.")
    return text, tensors


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingDependencyError("Policies are kept as safetensors: pip install 'harken[train]'.") from error
    return safetensors.torch


def _safetensors_error() -> type[Exception]:
    import safetensors

    return safetensors.SafetensorError
