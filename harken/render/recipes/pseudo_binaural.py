"""The recipe "pseudo-binaural": mono clips and pictures of what makes them, turned into pairs of image and stereo.

After Xu, Zhou, Liu, Dai, Wang and Lin, "Visually Informed Binaural Audio Generation without Binaural Audios", CVPR 2021
("PseudoBinaural"), step by step: one to three clips, each scaled to RMS 0.1; a picture of each, smaller the louder its
recording was, laid on a background so that none overlaps another from left to right; the angles of its centre; and the
sound of all of them from there, which `harken.acoustics.hearing.pseudo_binaural` describes.

Where the released code departs from physics, this recipe follows physics and offers the code's way as a setting
(`decoder`, `hrir_rate`, `swap_rear`). It departs from the code without a setting in these places: the head is KEMAR or
the user's and not CIPIC's subject 3, its responses are interpolated and not the nearest; centres of pictures are exact
and not rounded to whole pixels; the sound is whole from its beginning, where the code leaves 199 samples silent.
"""

import math
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal
from warnings import warn

import numpy as np

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.pseudo_binaural import (
    Decoder,
    VirtualLoudspeakers,
    direct_filters,
    direction_of,
    lead_of,
    pixel_angles,
    render_pair,
    stereo_gains,
    unconverted_head,
)
from harken.checks import angle, check_settings
from harken.errors import ConfigurationError, DataSetError, HarkenWarning, SoundError
from harken.render.encoding import Audio
from harken.render.recipe import check_split_and_seed, sample_generator
from harken.render.recipes.home_pictures import furniture_pictures, room_views
from harken.render.recipes.object_images import ObjectImage, blend, image_groups, load_background, load_object, resized
from harken.sound import ClipLibrary
from harken.sound.clip import Clip
from harken.sound.level import CLIP_RMS, active_rms, rms
from harken.splits import Split

__all__ = ["PlacedObject", "PseudoBinauralRecipe", "PseudoBinauralSettings", "mirrored"]

_MEASURED_RATE = 44100
_WINDOWS = 20
_QUIETEST = 0.01
_LEVEL_FLOOR = 1e-4
_KEPT_CLIPS = 128


@dataclass(frozen=True, kw_only=True)
class PseudoBinauralSettings:
    """Settings of the recipe "pseudo-binaural"."""

    clips: str | None = None
    """Folder of recordings, as `harken.sound.ClipLibrary.folder` reads it; the built-in clips where None."""
    images: str | None = None
    """Folder of pictures of objects, cut out (with an alpha channel) or whole, as
    `harken.render.recipes.object_images.image_groups` reads it; furniture of generated homes where None."""
    background: str = "rooms"
    """"rooms": empty rooms of generated homes. "empty": black, which the paper found slightly better than blending.
    Else a folder of images."""
    pairing: Literal["category", "any"] = "category"
    """"category": a clip is shown by pictures of its own name or, where there are none, of its category; clips without
    are left out with a warning. "any": by any picture."""
    frame_rate: float = 10.0
    """Pictures a second of a folder that has the name of a clip: the one in the middle of the sound is taken [Hz]."""
    rate: int = 16000
    """Sample rate [Hz]. Recordings of any rate are converted."""
    duration: float = 10.0
    """Length of a sample [s]; the paper trains on 0.63."""
    repeat: bool = True
    """Whether clips shorter than `duration` are repeated without a pause. If not, they are an error."""
    sources: tuple[float, ...] = (0.4, 0.5, 0.1)
    """Probabilities of one source, two and so on; they sum to one."""
    width: int = 640
    """Columns of the image."""
    height: int = 360
    """Rows of the image."""
    field_of_view: float = angle(2 * math.pi / 3)
    """Azimuth that the image's width stands for [rad]."""
    rendering: Literal["loudspeakers", "direct", "ambisonics"] = "loudspeakers"
    """"loudspeakers": through ambisonics and virtual loudspeakers, as published. "direct": every source through its own
    head-related responses. "ambisonics": left (W + Y)/2, right (W − Y)/2. The paper compares the three."""
    decoder: Decoder = "least-squares"
    """To the loudspeakers: "least-squares" as in the paper, "projection" as in the code, which halves the interaural
    delay."""
    hrir_rate: Literal["converted", "unconverted"] = "converted"
    """Whether responses measured at 44.1 kHz are converted to `rate`. The code does not, so that all delays are 2.76
    times too long."""
    swap_rear: bool = False
    """Whether loudspeakers behind the head feed the opposite ears, as in the code."""
    order: int = 1
    """Ambisonic order, 1 as published. Order 1 follows a head up to some 600 Hz; level differences above are too small,
    about half at order 1."""
    loudspeakers: int = 8
    """Virtual loudspeakers on the horizon, 8 as published; 2·order + 1 at least."""
    head: str | None = None
    """SOFA file of head-related responses; the built-in KEMAR where None. Without conversion it is taken for measured
    at 44.1 kHz."""
    stems: bool = False
    """Whether the dry mono sources are stored too, as the paper's separation branch needs them."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(
            self,
            frame_rate=(0.001, 1000),
            rate=(4000, 192_000),
            duration=(0.05, 600),
            sources=(0, 1),
            width=(64, 8192),
            height=(64, 8192),
            field_of_view=(0.001, 2 * math.pi),
            order=(1, 30),
            loudspeakers=(3, 1000),
        )
        shares = self.sources
        if not 1 <= len(shares) <= 8 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise ConfigurationError(
                f"sources is {shares!r}; expected the probabilities of one to at most eight sources, which sum to one."
            )
        if self.loudspeakers < 2 * self.order + 1:
            raise ConfigurationError(f"loudspeakers is {self.loudspeakers}; expected at least 2·order + 1.")


@dataclass(frozen=True, kw_only=True)
class PlacedObject:
    """A clip and its picture at their place in the image."""

    clip: str
    """Name of the clip."""
    category: str
    """What makes the sound."""
    start: int
    """First sample of the clip that is heard."""
    repeats: bool
    """Whether the clip is shorter than what is heard of it."""
    normaliser: float
    """What the clip is divided by: its RMS over what is heard, over 0.1."""
    picture: ObjectImage
    """What is seen."""
    left: int
    """First column of the picture."""
    top: int
    """First row of the picture."""
    width: int
    """Columns of the picture."""
    height: int
    """Rows of the picture."""

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the picture from the image's upper left corner [pixel]."""
        return self.left + self.width / 2, self.top + self.height / 2


@dataclass(frozen=True, kw_only=True)
class PseudoBinauralRecipe:
    """Images of objects with the stereo sound that they would make where they are seen."""

    name: ClassVar[str] = "pseudo-binaural"
    version: ClassVar[int] = 2

    settings: PseudoBinauralSettings = field(default_factory=PseudoBinauralSettings)
    """What is rendered."""
    split: Split = "train"
    """Split of clips, pictures and rooms."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        """Check split and seed."""
        check_split_and_seed(self.split, self.seed)

    @property
    def licence(self) -> str:
        """What the samples may be used for."""
        s = self.settings
        folders = [f"recordings of {s.clips!r}"] if s.clips else []
        folders += [f"pictures of {s.images!r}"] if s.images else []
        folders += [f"backgrounds of {s.background!r}"] if s.background not in ("rooms", "empty") else []
        folders += [f"head-related responses of {s.head!r}"] if s.head else []
        own = "What Harken makes itself is free of restrictions (CC0)."
        head = "" if s.head else " Responses of the head: MIT KEMAR (Gardner and Martin 1994), free of restrictions."
        return f"{own}{head}" + (f" The licences of these hold besides: {', '.join(folders)}." if folders else "")

    def __getstate__(self) -> dict[str, Any]:
        """Drop what was made for the first sample."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def sample(self, number: int) -> dict[str, Any]:
        """Make a sample.

        Args:
            number: Number of the sample.

        Returns:
            - ``binaural.flac``: `Audio` of two channels, left first, scaled so that their sum has RMS 0.1,
            - ``mono.flac``: that sum, from which a network is to find the two,
            - ``png``: ``(height, width, 3)`` uint8,
            - ``stem_0.flac`` and so on, with `PseudoBinauralSettings.stems`: each source, mono, at the level with which
              it goes into ``binaural.flac``; silent where there are fewer than `PseudoBinauralSettings.sources` allows,
            - ``json``: per source its clip, picture, box [pixel], azimuth and elevation [rad], direction (right, up,
              back); the gain; how the sound was rendered.

        Raises:
            SoundError: A clip cannot be used, or is too short and `repeat` is off.
            DataSetError: A picture cannot be used, or no clip has one.
        """
        random = sample_generator(self, number)
        placed, left_out = self._place(random)
        image, background = self._image(placed, random)
        return self._parts(placed, image, {"background": background, "without_place": left_out})

    def _parts(self, placed: list[PlacedObject], image: np.ndarray, extra: dict[str, Any]) -> dict[str, Any]:
        rate = self.settings.rate
        directions = direction_of(*self._angles(placed))
        filters, lead = self._filters(directions)
        signals = np.stack([self._signal(item, lead, filters.shape[2]) for item in placed])
        binaural = render_pair(signals, filters)
        loudness = float(rms(binaural.sum(0)))
        if not loudness > 0.0:
            names = ", ".join(item.clip for item in placed)
            raise SoundError(f"{names}: both ears together hear nothing; the clips cancel. Leave one of them out.")
        gain = CLIP_RMS / loudness
        binaural *= np.float32(gain)
        parts: dict[str, Any] = {
            "binaural.flac": Audio(samples=binaural, rate=rate),
            "mono.flac": Audio(samples=binaural.sum(0, keepdims=True), rate=rate),
            "png": image,
        }
        if self.settings.stems:
            ahead = filters.shape[2] - 1 - lead
            dry = signals[:, ahead : ahead + binaural.shape[1]] * np.float32(gain)
            # As many as there can be sources, so that all samples have the same parts.
            dry = np.pad(dry, ((0, len(self.settings.sources) - len(dry)), (0, 0)))
            parts |= {f"stem_{k}.flac": Audio(samples=stem[None], rate=rate) for k, stem in enumerate(dry)}
        return {**parts, "json": {**self._metadata(placed, directions), **extra, "gain": gain}}

    def _metadata(self, placed: list[PlacedObject], directions: np.ndarray) -> dict[str, Any]:
        azimuths, elevations = self._angles(placed)
        s = self.settings
        return {
            "rendering": s.rendering,
            **({} if s.rendering == "ambisonics" else {"head": self._head.name, "hrir_rate": s.hrir_rate}),
            **(
                {"decoder": s.decoder, "order": s.order, "loudspeakers": s.loudspeakers, "swap_rear": s.swap_rear}
                if s.rendering == "loudspeakers"
                else {}
            ),
            "field_of_view": s.field_of_view,
            "sources": [
                {
                    "clip": item.clip,
                    "category": item.category,
                    "start": item.start,
                    "repeats": item.repeats,
                    "normaliser": item.normaliser,
                    "picture": item.picture.name,
                    "box": [item.left, item.top, item.width, item.height],
                    "centre": list(item.centre),
                    "azimuth": float(azimuth),
                    "elevation": float(elevation),
                    "direction": direction.tolist(),
                }
                for item, azimuth, elevation, direction in zip(placed, azimuths, elevations, directions, strict=True)
            ],
        }

    def _place(self, random: np.random.Generator) -> tuple[list[PlacedObject], int]:
        """Choose clips and pictures and find places for them: what was placed, and how many found no place."""
        s, pairs = self.settings, self._pairs
        count = min(1 + int(random.choice(len(s.sources), p=s.sources)), len(pairs))
        chosen = random.choice(len(pairs), count, replace=False)
        placed: list[PlacedObject] = []
        for index in chosen.tolist():
            name, group, own = pairs[index]
            clip = self._clip(name)
            start = self._start(clip, random)
            normaliser = max(_LEVEL_FLOOR, self._window_rms(clip, start)) / CLIP_RMS
            picture = self._picture(group, own, clip, start, random)
            limit = min(1.0 / normaliser, s.height / picture.height, s.width / 2 / picture.width)
            ratio = limit * float(random.uniform(0.8, 1.0))
            width, height = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
            free = _free_columns(placed, width, s.width)
            if len(free) < 2:
                break
            placed.append(
                PlacedObject(
                    clip=name,
                    category=clip.category,
                    start=start,
                    repeats=len(clip.samples) < self._samples,
                    normaliser=normaliser,
                    picture=picture,
                    left=int(free[random.integers(len(free))]),
                    top=int(random.integers(s.height - height + 1)),
                    width=width,
                    height=height,
                )
            )
        return placed, count - len(placed)

    def _image(self, placed: list[PlacedObject], random: np.random.Generator) -> tuple[np.ndarray, str]:
        """Lay the pictures on a background: the image and the background's name."""
        s = self.settings
        if s.background == "empty":
            canvas, name = np.zeros((s.height, s.width, 3), np.uint8), "empty"
        else:
            if s.background == "rooms":
                views = room_views(self.split, s.height, s.width)
                index = int(random.integers(len(views)))
                view, name = views[index], f"room {index}"
            else:
                path = self._backgrounds[int(random.integers(len(self._backgrounds)))]
                view, name = load_background(path, s.height, s.width), Path(path).name
            top = int(random.integers(view.shape[0] - s.height + 1))
            left = int(random.integers(view.shape[1] - s.width + 1))
            canvas = view[top : top + s.height, left : left + s.width].copy()
        for item in placed:
            blend(canvas, resized(item.picture.pixels, item.height, item.width), item.left, item.top)
        return canvas, name

    def _angles(self, placed: list[PlacedObject]) -> tuple[np.ndarray, np.ndarray]:
        s = self.settings
        x, y = np.array([item.centre for item in placed]).T
        return pixel_angles(x, y, s.width, s.height, s.field_of_view)

    def _filters(self, directions: np.ndarray) -> tuple[np.ndarray, int]:
        """Return filters ``(n, 2, taps)``, and by how many samples they are late."""
        if self.settings.rendering == "ambisonics":
            return stereo_gains(directions)[..., None], 0
        if self.settings.rendering == "direct":
            return direct_filters(self._head, directions), lead_of(self._head)
        return self._ring.filters(directions), lead_of(self._head)

    def _signal(self, item: PlacedObject, lead: int, taps: int) -> np.ndarray:
        """Return what a clip has sounded and will sound while the ears hear it, at RMS 0.1 over what is heard."""
        before = taps - 1 - lead
        samples = self._clip(item.clip).looped(item.start - before, self._samples + taps - 1)
        return samples / np.float32(item.normaliser)

    def _start(self, clip: Clip, random: np.random.Generator) -> int:
        """Draw where in the clip to begin, so that what is heard is not one of its pauses."""
        count = len(clip.samples)
        if count < self._samples and not self.settings.repeat:
            raise SoundError(
                f"Clip {clip.name!r} lasts {clip.duration:.3g} s; samples last {self.settings.duration:g} s. Allow "
                "repetition (repeat), ask for shorter samples (duration), or leave the clip out."
            )
        # A clip that repeats may begin anywhere; one that does not has to end with the sample or later.
        starts = count if count < self._samples else count - self._samples + 1
        quietest = _QUIETEST * active_rms(clip.samples, clip.rate)
        for _ in range(_WINDOWS):
            start = int(random.integers(starts))
            if self._window_rms(clip, start) > quietest:
                return start
        return int(np.clip(np.abs(clip.samples).argmax() - self._samples // 2, 0, starts - 1))

    def _window_rms(self, clip: Clip, start: int) -> float:
        if len(clip.samples) < self._samples:
            return float(rms(clip.looped(start, self._samples)))
        return float(rms(clip.samples[start : start + self._samples]))

    def _picture(
        self, group: tuple[Any, ...], own: bool, clip: Clip, start: int, random: np.random.Generator
    ) -> ObjectImage:
        middle = (start % len(clip.samples) + self._samples / 2) / clip.rate % clip.duration
        index = min(int(middle * self.settings.frame_rate), len(group) - 1) if own else int(random.integers(len(group)))
        entry = group[index]
        if isinstance(entry, ObjectImage):
            return entry
        return load_object(entry, (self.settings.height, self.settings.width // 2))

    @property
    def _samples(self) -> int:
        return round(self.settings.duration * self.settings.rate)

    @cached_property
    def _head(self) -> HeadResponse:
        s = self.settings
        rate = s.rate if s.hrir_rate == "converted" else _MEASURED_RATE
        if s.head is None:
            head = HeadResponse.kemar(rate)
        else:
            from harken.acoustics.hearing.sofa import read_head

            head = read_head(s.head, rate)
        return head if rate == s.rate else unconverted_head(head, s.rate)

    @cached_property
    def _ring(self) -> VirtualLoudspeakers:
        s = self.settings
        return VirtualLoudspeakers(
            head=self._head, order=s.order, count=s.loudspeakers, decoder=s.decoder, swap_rear=s.swap_rear
        )

    @cached_property
    def _library(self) -> ClipLibrary:
        s = self.settings
        return ClipLibrary.builtin(s.rate) if s.clips is None else ClipLibrary.folder(s.clips, s.rate, level=None)

    @cached_property
    def _clip(self) -> Any:
        # Not the library's own store, which keeps every clip: a folder may hold more than fits into memory.
        library = self._library
        return lru_cache(maxsize=_KEPT_CLIPS)(lambda name: library.entry(name).make())

    @cached_property
    def _backgrounds(self) -> tuple[str, ...]:
        groups = image_groups(self.settings.background, self.split)
        return tuple(path for paths in groups.values() for path in paths)

    @cached_property
    def _pairs(self) -> tuple[tuple[str, tuple[Any, ...], bool], ...]:
        """Clips with their pictures, and whether a picture belongs to that very clip."""
        s, library = self.settings, self._library
        names = tuple(library) if library.splits == ("all",) else library.names(self.split)
        if s.images is None:
            categories = tuple(sorted({library.entry(name).category for name in names}))
            groups: dict[str, tuple[Any, ...]] = dict(
                furniture_pictures(self.split, () if s.pairing == "any" else categories)
            )
        else:
            groups = dict(image_groups(s.images, self.split))
        if s.pairing == "any":
            every = tuple(picture for pictures in groups.values() for picture in pictures)
            return tuple((name, every, False) for name in names)
        pairs = []
        for name in names:
            own = groups.get(name) or groups.get(name.rpartition("/")[2])
            pictures = own or groups.get(library.entry(name).category)
            if pictures:
                pairs.append((name, pictures, own is not None and s.images is not None))
        self._report(names, [pair[0] for pair in pairs], groups)
        return tuple(pairs)

    def _report(self, names: tuple[str, ...], shown: list[str], groups: dict[str, tuple[Any, ...]]) -> None:
        """Warn of clips without a picture, where the user chose either; raise where there is none with one."""
        s = self.settings
        missing = sorted(set(names) - set(shown))
        advice = "Name folders of pictures like the clips or their categories, or pair any with any (pairing='any')."
        if not shown:
            kinds = sorted({self._library.entry(name).category for name in names})
            raise DataSetError(
                f"No clip has a picture: the clips are of {', '.join(kinds[:10])}; the pictures of "
                f"{', '.join(list(groups)[:10]) or 'nothing'}. {advice}"
            )
        if missing and (s.clips or s.images):
            some = ", ".join(missing[:5]) + (" and others" if len(missing) > 5 else "")
            warn(
                f"{len(missing)} of {len(names)} clips have no picture and are left out: {some}. {advice}",
                HarkenWarning,
                stacklevel=4,
            )


def mirrored(parts: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as in a mirror: image, channels and angles change sides.

    What Lin and Wang, "Exploiting Audio-Visual Consistency with Partial Supervision for Spatial Audio Generation",
    AAAI 2021, call left-right consistency; for the built-in head, which is symmetric, it is what would be rendered for
    the mirrored places.

    Args:
        parts: What `PseudoBinauralRecipe.sample` returned.

    Returns:
        A new sample; its arrays are new where they differ.
    """
    sound, metadata, width = parts["binaural.flac"], parts["json"], parts["png"].shape[1]
    sources = []
    for source in metadata["sources"]:
        (left, top, columns, rows), (x, y), (right, up, back) = source["box"], source["centre"], source["direction"]
        turned = {
            "box": [width - left - columns, top, columns, rows],
            "centre": [width - x, y],
            "azimuth": -source["azimuth"],
            "direction": [-right, up, back],
        }
        sources.append({**source, **turned})
    return {
        **parts,
        "binaural.flac": Audio(samples=sound.samples[::-1].copy(), rate=sound.rate, bits=sound.bits),
        "png": parts["png"][:, ::-1].copy(),
        "json": {**metadata, "sources": sources},
    }


def _free_columns(placed: list[PlacedObject], width: int, columns: int) -> np.ndarray:
    """Return the columns at which a picture of some width can begin without lying above or below another."""
    free = np.ones(columns - width + 1, bool)
    for item in placed:
        free[max(0, item.left - width) : item.left + item.width] = False
    return free.nonzero()[0]
