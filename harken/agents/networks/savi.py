"""The network of SAVi (Chen, Al-Halah, Grauman; CVPR 2021): a memory of scenes, asked with what is known of the goal.

What is heard is turned into the goal's category and place by two predictors. Both stay known when the sound has
ended: the place is carried along by odometry. With this goal descriptor a transformer asks the features of the last
steps (a scene memory, Fang et al., CVPR 2019) what to do. Sizes are those of the released code where the paper gives
none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional

from harken.agents.networks.av_nav import PUBLISHED_SOUND, Convolution, connected, convolutions
from harken.agents.networks.sensors import FARTHEST, LONGEST, UNSEEN, sensor_input, sensor_size
from harken.checks import check_settings
from harken.errors import ConfigurationError
from harken.scene.vocabulary import SOUNDING_CATEGORIES

__all__ = [
    "CATEGORIES",
    "SaviEncoder",
    "SaviSize",
    "SceneMemory",
    "carried_descriptors",
    "seen_from",
    "seen_from_start",
]

CATEGORIES = len(SOUNDING_CATEGORIES)
"""Number of categories that are told apart."""

SILENCE = 0.01
"""Greatest value of a spectrogram in which nothing is heard: a goal in another room gives about one."""

UNKNOWN = 10.0
"""Metres ahead and to the left of a goal that was not heard yet, as published."""

CUES = "interaural"
"""Sensor that tells where a sound comes from, whatever sounds."""

POSE = 4
"""Numbers of the sensor "pose"."""

TOGETHER = 64
"""About how many steps are computed together."""


@dataclass(frozen=True, kw_only=True)
class SaviSize:
    """Sizes of the network. The defaults are the published ones, with predictors of the size of its sound encoder."""

    picture: int = 64
    """Height and width to which images are cut and scaled."""
    stem: tuple[Convolution, ...] = (Convolution(filters=16, kernel=3, stride=1),)
    """Layers over images before the residual blocks."""
    filters: tuple[int, ...] = (16, 32, 64, 128)
    """Filters of the residual stages; from the second on each halves height and width."""
    blocks: int = 2
    """Residual blocks of a stage."""
    image: int = 64
    """Numbers that an image becomes."""
    spectrogram: tuple[Convolution, ...] = PUBLISHED_SOUND
    """Layers over spectrograms, of the encoder and of each predictor."""
    sound: int = 128
    """Numbers that a spectrogram becomes."""
    predictor: int = 512
    """Numbers that it becomes in each predictor, before the last layer."""
    action: int = 16
    """Numbers that the last action becomes."""
    memory: int = 150
    """Steps that are remembered, the present among them."""
    place: int = 16
    """Numbers that a pose relative to the body becomes."""
    model: int = 256
    """Width of the transformer."""
    heads: int = 8
    """Heads of its attention."""
    feedforward: int = 256
    """Width of its other layers."""
    fresh: float = 0.5
    """Share of what is heard now in the goal descriptor; the rest is what was heard before."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        counts = ("picture", "blocks", "image", "sound", "predictor", "action", "memory", "place", "model", "heads")
        check_settings(self, fresh=(0.0, 1.0), feedforward=(1, 65_536), **dict.fromkeys(counts, (1, 65_536)))
        if self.model % self.heads:
            raise ConfigurationError(f"A model of {self.model} has {self.heads} heads; expected a divisor of it.")

    def encoder(self, space: gym.spaces.Dict) -> "SaviEncoder":
        """Return the encoder of these sizes for some observations."""
        return SaviEncoder(space, self)

    @staticmethod
    def small() -> "SaviSize":
        """Return sizes for training on a few CPU cores, at images of 64 × 64."""
        sound = tuple(Convolution(filters=f, kernel=k, stride=s) for f, k, s in ((16, 5, 2), (32, 3, 2), (32, 3, 2)))
        return SaviSize(
            stem=(Convolution(filters=16, kernel=8, stride=4),),
            filters=(16, 32, 32),
            blocks=1,
            spectrogram=sound,
            predictor=128,
            memory=64,
            model=128,
            heads=4,
            feedforward=128,
        )


class Residual(nn.Module):
    """Two convolutions of 3 × 3 beside a shortcut (He et al. 2016), normalised in groups of channels.

    Args:
        channels: Channels that go in.
        filters: Channels that come out.
        stride: Step between the places of the first convolution's filters.
    """

    def __init__(self, channels: int, filters: int, stride: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False), _norm(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False), _norm(filters),
        )  # fmt: skip
        same = channels == filters and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, filters, 1, stride)

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(n, filters, height / stride, width / stride)``."""
        return functional.relu(self.layers(image) + self.shortcut(image))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // 8), channels)


def _residual_network(channels: int, size: SaviSize) -> nn.Sequential:
    """Return layers that turn images ``(n, channels, picture, picture)`` into ``(n, image)``."""
    modules: list[nn.Module] = []
    side = size.picture
    for layer in size.stem:
        padding = (layer.kernel - 1) // 2
        modules += [nn.Conv2d(channels, layer.filters, layer.kernel, layer.stride, padding), nn.ReLU()]
        channels, side = layer.filters, (side + 2 * padding - layer.kernel) // layer.stride + 1
    for stage, filters in enumerate(size.filters):
        for block in range(size.blocks):
            stride = 2 if stage and not block else 1
            modules.append(Residual(channels, filters, stride))
            channels, side = filters, -(-side // stride)
    if side < 1:
        raise ConfigurationError(f"A picture of {size.picture} is too small for the layers {size.stem}; use a larger.")
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(channels * side * side, size.image), nn.ReLU())


class SaviEncoder(nn.Module):
    """Turns what is sensed at one moment into features, and hears in it where the goal is and what.

    Args:
        space: The observations: "spectrogram" and "pose" at least. Where "category" is shown, the descriptor has it in
            place of a prediction, and the place is predicted for that category, as published for distractors. Where
            "interaural" is shown, the place is predicted from it in place of the spectrogram.
        size: Sizes of the layers.

    Attributes:
        features: Number of features that are remembered.
        width: Number of all that `forward` returns.
        is_told: Whether the category is shown.

    Raises:
        ConfigurationError: A sensor is missing, or is too small for the layers.
    """

    def __init__(self, space: gym.spaces.Dict, size: SaviSize | None = None):
        super().__init__()
        self.size = size = size or SaviSize()
        self._spaces = {name: part for name, part in space.spaces.items() if name not in UNSEEN}
        missing = [name for name in ("spectrogram", "pose") if name not in self._spaces]
        if missing:
            raise ConfigurationError(
                f"The observations are {', '.join(self._spaces)}; SAVi needs {' and '.join(missing)} besides."
            )
        self.is_told = "category" in self._spaces
        self.images = nn.ModuleDict(
            {
                name: _residual_network(sensor_size(name, self._spaces[name])[0], size)
                for name in ("rgb", "depth")
                if name in self._spaces
            }
        )
        self.features = size.image * len(self.images) + size.sound + POSE
        shape = sensor_size("spectrogram", self._spaces["spectrogram"])
        self.sound = convolutions(shape, size.spectrogram, size.sound, shortened=True)  # type: ignore[arg-type]
        self.action = None
        if "last_action" in self._spaces:
            [actions] = sensor_size("last_action", self._spaces["last_action"])
            self.action = nn.Linear(actions, size.action)
            self.features += size.action
        self._others = [name for name in ("collision",) if name in self._spaces]
        self.features += len(self._others)
        self.category = None if self.is_told else _predictor(shape, size, CATEGORIES)
        asked = CATEGORIES * self.is_told
        self.cues = None
        if CUES in self._spaces:
            [count] = sensor_size(CUES, self._spaces[CUES])
            self.cues = connected(count, size.predictor, size.sound)
            self.features += size.sound
            layers = connected(count + asked, size.predictor, size.predictor)
            self.location = nn.Sequential(*layers, nn.Linear(size.predictor, 2))
        else:
            self.location = _predictor((shape[0] + asked, *shape[1:]), size, 2)
        self.width = self.features + POSE + CATEGORIES + 3

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return ``(n, width)``: features, pose, scores of categories, place [m] and whether something is heard.

        What is predicted carries no gradient: it learns from labels alone, see `predict`.
        """
        pose = observations["pose"].float()
        sound = self._input(observations, "spectrogram")
        parts = [layers(self._picture(observations, name)) for name, layers in self.images.items()]
        parts.append(self.sound(sound))
        if self.cues is not None:
            parts.append(self.cues(self._input(observations, CUES)))
        if self.action is not None:
            parts.append(self.action(self._input(observations, "last_action")))
        parts += [self._input(observations, name) for name in self._others]
        parts += [pose[:, :2] / FARTHEST, pose[:, 2:3] / torch.pi, torch.exp(-pose[:, 3:] / LONGEST)]
        with torch.no_grad():
            scores, place = self.predict(observations)
            told = [pose, scores if self.is_told else scores.softmax(1), place, self.hears(observations)[:, None]]
        return torch.cat([*parts, *told], dim=1)

    def predict(self, observations: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return what the sound tells of the goal.

        Args:
            observations: ``(n, …)`` observations.

        Returns:
            Logits of its category, or the category that is shown, ``(n, 21)``, and metres ahead and to the left to it,
            ``(n, 2)``.
        """
        sound = self._input(observations, "spectrogram")
        asked = sound if self.cues is None else self._input(observations, CUES)
        if self.category is not None:
            return self.category(sound), FARTHEST * self.location(asked)
        category = self._input(observations, "category")
        spread = category if asked.ndim == 2 else category[:, :, None, None].expand(-1, -1, *asked.shape[2:])
        return category, FARTHEST * self.location(torch.cat([asked, spread], dim=1))

    def hears(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return whether something is heard, ``(n,)`` float32."""
        return (observations["spectrogram"].float().flatten(1).amax(1) > SILENCE).float()

    def _input(self, observations: Mapping[str, Tensor], name: str) -> Tensor:
        return sensor_input(name, self._spaces[name], observations[name])

    def _picture(self, observations: Mapping[str, Tensor], name: str) -> Tensor:
        """Return the square in the middle of an image, scaled to the picture's size."""
        image = self._input(observations, name)
        height, width = image.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = image[:, :, top : top + side, left : left + side]
        if side == self.size.picture:
            return square
        return functional.interpolate(square, size=(self.size.picture,) * 2, mode="area")


def _predictor(shape: Sequence[int], size: SaviSize, outputs: int) -> nn.Sequential:
    channels, height, width = shape
    layers = convolutions((channels, height, width), size.spectrogram, size.predictor, shortened=True)
    return nn.Sequential(*layers, nn.Linear(size.predictor, outputs))


def seen_from(pose: Tensor, place: Tensor) -> Tensor:
    """Return places as a body sees them.

    Args:
        pose: ``(…, 3 or more)`` of the body: metres ahead and to the left of its start, and the angle turned [rad].
        place: ``(…, 2)`` metres ahead and to the left of the start.

    Returns:
        ``(…, 2)`` metres ahead and to the left of the body.
    """
    cosine, sine = pose[..., 2].cos(), pose[..., 2].sin()
    ahead, left = (place - pose[..., :2]).unbind(-1)
    return torch.stack([cosine * ahead + sine * left, cosine * left - sine * ahead], -1)


def seen_from_start(pose: Tensor, place: Tensor) -> Tensor:
    """Return places ``(…, 2)`` that a body sees as they are seen from its start; the inverse of `seen_from`."""
    cosine, sine = pose[..., 2].cos(), pose[..., 2].sin()
    ahead, left = place.unbind(-1)
    return pose[..., :2] + torch.stack([cosine * ahead - sine * left, cosine * left + sine * ahead], -1)


def carried_descriptors(before: Tensor, now: Tensor, heard: Tensor, starts: Tensor, fresh: float = 0.5) -> Tensor:
    """Return what is known of the goal after each step: what is heard, merged with what was known before.

    Places are relative to the start, so that one stays where it is while the body moves. While nothing is heard, all
    is carried over; the first that is heard counts whole.

    Args:
        before: ``(n, k + 1)`` what was known before the first step, and whether anything was.
        now: ``(n, steps, k)`` what each step tells.
        heard: ``(n, steps)`` bool, whether it tells anything.
        starts: ``(n, steps)`` bool, whether an episode begins: nothing is known there.
        fresh: Share of what is told now.

    Returns:
        ``(n, steps, k + 1)``.
    """
    known, found = before, []
    told = torch.cat([now, torch.ones_like(now[..., :1])], -1)
    for step in range(now.shape[1]):
        known = torch.where(starts[:, step, None], torch.zeros_like(known), known)
        share = torch.where(known[:, -1:] > 0.5, fresh, 1.0) * heard[:, step, None]
        known = known + share * (told[:, step] - known)
        found.append(known)
    return torch.stack(found, 1)


def _relative(now: Tensor, then: Tensor) -> Tensor:
    """Return where and when something was seen, ``(…, 5)``, for a body at a pose; both ``(…, 4)``."""
    turned, passed = then[..., 2:3] - now[..., 2:3], now[..., 3:] - then[..., 3:]
    away = seen_from(now, then[..., :2]) / FARTHEST
    return torch.cat([away, turned.sin(), turned.cos(), torch.exp(-passed.clamp(min=0.0))], -1)


class SceneMemory(nn.Module):
    """Remembers the features of the last steps, and is asked with the goal descriptor: the scene memory transformer.

    Each step the features that are remembered are put together with the pose at which they were seen, relative to where
    the body is now; one encoder layer relates them to each other, and one decoder layer answers the descriptor.

    Args:
        encoder: What it remembers.
        size: Sizes of the layers.

    Attributes:
        hidden_size: Numbers of its state.
        num_layers: 1.
    """

    num_layers = 1

    def __init__(self, encoder: SaviEncoder, size: SaviSize):
        super().__init__()
        self.size, self.features, self.is_told = size, encoder.features, encoder.is_told
        self.slot = self.features + POSE + 1  # and whether it is filled
        self.hidden_size = size.memory * self.slot + CATEGORIES + 3
        self.content = nn.Linear(self.features, size.model)
        self.place = nn.Linear(5, size.place)
        self.placed = nn.Linear(size.place, size.model, bias=False)
        self.fused = nn.Linear(size.model, size.model)
        self.query = nn.Linear(CATEGORIES + 2, size.model)
        layers = {"dim_feedforward": size.feedforward, "dropout": 0.0, "batch_first": True}
        self.relate = nn.TransformerEncoderLayer(size.model, size.heads, **layers)
        self.answer = nn.TransformerDecoderLayer(size.model, size.heads, **layers)

    def forward(self, inputs: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Answer all steps of some sequences at once; the same as one after the other.

        Args:
            inputs: ``(n, steps, encoder.width)`` of the encoder.
            state: ``(n, hidden_size)`` what is remembered before the first step; zeros for nothing.
            starts: ``(n, steps)`` bool, whether a step is the first of an episode: nothing is remembered there.

        Returns:
            ``(n, steps, model)``, and the state after the last step.
        """
        count, steps, _ = inputs.shape
        kept = self.size.memory
        slots = state[:, : kept * self.slot].unflatten(1, (kept, self.slot))
        new = inputs[..., : self.features + POSE]
        items = torch.cat([slots, torch.cat([new, torch.ones_like(new[..., :1])], -1)], 1)
        episode = starts.long().cumsum(1)
        episodes = torch.cat([episode.new_zeros(count, kept), episode], 1)
        window = torch.arange(steps, device=inputs.device)[:, None] + torch.arange(1, kept + 1, device=inputs.device)
        seen = (items[..., -1] > 0.5)[:, window] & (episodes[:, window] == episode[..., None])
        known, descriptor = self.describe(inputs, state[:, kept * self.slot :], starts)
        answer = self._answers(items, seen.sum(-1).flatten(), self.query(descriptor).flatten(0, 1))
        stays = episodes[:, -kept:] == episode[:, -1:]
        after = torch.cat([(items[:, -kept:] * stays[..., None]).flatten(1), known[:, -1]], 1)
        return answer.unflatten(0, (count, steps)), after

    def _answers(self, items: Tensor, lengths: Tensor, query: Tensor) -> Tensor:
        """Return what the memory answers in each step.

        Steps that remember about as much are computed together, since most of an episode's remember little.

        Args:
            items: ``(n, memory + steps, slot)`` all that is remembered before and after some steps.
            lengths: ``(n · steps,)`` how much of it each step remembers, itself included.
            query: ``(n · steps, model)`` what each step asks.

        Returns:
            ``(n · steps, model)``.
        """
        kept, steps = self.size.memory, items.shape[1] - self.size.memory
        content = self.content(items[..., : self.features]).flatten(0, 1)
        poses = items[..., self.features : self.features + POSE].flatten(0, 1)
        order = torch.argsort(lengths, stable=True)
        found = []
        for rows in order.chunk(max(1, len(order) // TOGETHER)):
            longest = int(lengths[rows].max())
            now = rows // steps * (kept + steps) + rows % steps + kept
            back = torch.arange(1 - longest, 1, device=rows.device)
            window = (now[:, None] + back).flatten()
            then = poses.index_select(0, window).unflatten(0, (-1, longest))
            hidden = -back >= lengths[rows, None]
            placed = self.placed(self.place(_relative(poses[now][:, None], then)))
            remembered = content.index_select(0, window).unflatten(0, (-1, longest))
            remembered = self.fused(functional.relu(remembered + placed))
            remembered = self.relate(remembered, src_key_padding_mask=hidden)
            found.append(self.answer(query[rows, None], remembered, memory_key_padding_mask=hidden)[:, 0])
        return torch.cat(found)[torch.argsort(order)]

    def describe(self, inputs: Tensor, before: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is known of the goal.

        Args:
            inputs: As `forward` takes them.
            before: ``(n, 24)`` what was known before the first step; zeros for nothing.
            starts: As `forward` takes them.

        Returns:
            ``(n, steps, 24)`` what is known after each step, relative to the start, for `before` of the next; and the
            descriptors ``(n, steps, 23)``: shares of the categories, and metres ahead and to the left over ten. As
            long as nothing was heard all categories have the same share, and the place is `UNKNOWN`.
        """
        pose, scores, place, heard = inputs[..., self.features :].split([POSE, CATEGORIES, 2, 1], -1)
        now = torch.cat([scores, seen_from_start(pose, place)], -1)
        known = carried_descriptors(before, now, heard[..., 0] > 0.5, starts, self.size.fresh)
        is_known = known[..., -1:] > 0.5
        category = torch.where(is_known, known[..., :CATEGORIES], 1.0 / CATEGORIES)
        where = torch.where(is_known, seen_from(pose, known[..., CATEGORIES:-1]), UNKNOWN)
        return known, torch.cat([scores if self.is_told else category, where / FARTHEST], -1)
