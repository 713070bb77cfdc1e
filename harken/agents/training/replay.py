"""Rollouts that are learnt from again and again, kept in files so that an interrupted training finds them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from harken.agents.networks.sensors import sensor_kind
from harken.errors import StateError
from harken.files import write_bytes

__all__ = ["Replay"]

SUFFIX = ".rollout"
"""Ending of the files."""


class Replay:
    """The last rollouts of a training, a file for each, of which sequences are drawn with equal chances.

    DAgger (Ross et al. 2011) learns from all places that the pupil has ever come to. Images and spectrograms are kept
    with half precision: of depth that is five millimetres at ten metres. Bytes stay bytes.

    Args:
        folder: Where the files are; those that are there already count.
        rollouts: How many of the newest are learnt from.
        steps: After how many steps the training goes on: what was written later is removed.
    """

    def __init__(self, folder: Path, rollouts: int, steps: int = 0):
        self.folder, self.rollouts = folder, rollouts
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[int, Any] = {}
        self._rows: dict[int, int] = {}
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if int(path.stem) > steps:
                path.unlink()
            else:
                self._open(int(path.stem))

    def check_holds(self, count: int) -> None:
        """Check that nobody has removed rollouts.

        Raises:
            StateError: There are fewer than `count`.
        """
        if len(self._files) < count:
            raise StateError(
                f"{str(self.folder)!r} holds {len(self._files)} of the {count} rollouts that the training learns from. "
                "Put the missing ones back, or begin again in another folder."
            )

    def add(self, steps: int, spaces: Mapping[str, Any], rollout: Mapping[str, np.ndarray | Tensor]) -> None:
        """Keep a rollout.

        Args:
            steps: After how many steps of the training it ends.
            spaces: The spaces of sensors by name.
            rollout: Arrays ``(environments, steps, …)``, or anything else of which the environments come first.

        Raises:
            FileError: The disk is full, or the folder cannot be written.
        """
        tensors = {}
        for name, values in rollout.items():
            tensor = torch.as_tensor(values)
            if tensor.dtype == torch.float32 and name in spaces and sensor_kind(name, spaces[name]) != "vector":
                tensor = tensor.to(torch.uint8) if spaces[name].dtype == np.uint8 else tensor.half()
            tensors[name] = tensor.contiguous()
        write_bytes(self._path(steps), save(tensors))
        self._open(steps)

    def draw(self, count: int) -> dict[str, Tensor]:
        """Return ``(count, …)`` rollouts of single environments, drawn with NumPy's global generator.

        There may be fewer while the replay holds fewer. Stable-Baselines3 seeds that generator.
        """
        kept = sorted(self._files)[-self.rollouts :]
        environments = [(steps, row) for steps in kept for row in range(self._rows[steps])]
        count = min(count, len(environments))
        chosen = np.random.choice(len(environments), count, replace=False)  # noqa: NPY002
        found: dict[str, list[Tensor]] = {}
        for number in np.sort(chosen):
            steps, row = environments[number]
            file = self._files[steps]
            for name in file.keys():  # noqa: SIM118 - no mapping
                found.setdefault(name, []).append(file.get_slice(name)[row : row + 1])
        return {name: torch.cat(parts) for name, parts in found.items()}

    def all(self, name: str) -> Tensor:
        """Return one of the arrays of all rollouts that are learnt from, ``(n, …)``."""
        return torch.cat([self._files[steps].get_tensor(name) for steps in sorted(self._files)[-self.rollouts :]])

    def prune(self) -> None:
        """Remove what is not learnt from any more, once a checkpoint says so."""
        for steps in sorted(self._files)[: -self.rollouts]:
            del self._files[steps]
            self._path(steps).unlink(missing_ok=True)

    def _open(self, steps: int) -> None:
        file = safe_open(self._path(steps), framework="pt")
        self._files[steps] = file
        self._rows[steps] = int(file.get_slice(next(iter(file.keys()))).get_shape()[0])

    def _path(self, steps: int) -> Path:
        return self.folder / f"{steps:012d}{SUFFIX}"
