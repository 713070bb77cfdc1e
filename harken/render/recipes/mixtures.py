"""The recipe "mixtures": sounding objects of a home heard at once, with their stems, masks, places and pictures.

Mix-and-separate as in Zhao et al. (ECCV 2018) and Gao and Grauman (ICCV 2019), but with rooms: every source is heard
through the response of its place, so that its stem is what a microphone or an ear would pick up of it alone.

A home costs seconds to build and its sound fields to trace, a mixture milliseconds. So `mixtures_per_home` mixtures in
a row share a home, its listening places and the responses of the objects that are seen from them.
"""

import math
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.fft

from harken.acoustics import AcousticSettings, Listener, Source
from harken.checks import angle, check_settings
from harken.errors import DataSetError, SoundError
from harken.render.encoding import Audio
from harken.render.recipe import check_split_and_seed, sample_generator
from harken.scene import generate_home
from harken.scene.scene import SceneObject
from harken.sim import World, WorldSettings
from harken.sound import Clip, ClipLibrary, spectrogram
from harken.sound.convolution import audible_length
from harken.sound.level import active_runs, amplitude
from harken.sound.masks import ideal_binary_masks, ideal_ratio_masks
from harken.splits import SPLITS, Split
from harken.tasks.heard import MAGNITUDES
from harken.vision import Camera

__all__ = ["MixturesRecipe", "MixturesSettings", "Place", "SoundingObject"]

_STRUCTURE = ("wall", "floor", "ceiling", "door", "window", "curtain", "rug")
_HOMES_TRIED, _POSES_TRIED, _OBJECTS = 8, 80, 6
_SEEN_SHARE = 0.004
_ABOVE = 0.08


@dataclass(frozen=True, kw_only=True)
class MixturesSettings:
    """Settings of the recipe "mixtures"."""

    sounds: str = "household"
    """"household": the built-in clips of things that homes hold. "speech and music": the built-in talkers, instruments
    and backgrounds. Else a folder of recordings, as `harken.sound.ClipLibrary.folder` reads it."""
    objects: Literal["matching", "any"] = "matching"
    """"matching": a clip sounds from an object of its own category, so that the picture shows what is heard. "any":
    from any object, so that the picture shows only where it is; talkers and instruments need this."""
    sources: int = 2
    """How many sound at once, of different categories."""
    rate: int = 16000
    """Sample rate [Hz]; recordings of any rate are converted."""
    duration: float = 2.0
    """Length of a mixture [s]; shorter clips repeat."""
    level_range: float = 10.0
    """Width of the range of source levels [dB], uniform around the clips' own."""
    masks: Literal["ratio", "binary"] = "ratio"
    """Which ideal masks are stored: shares of the magnitudes, or which source is the loudest. Their bins are those of
    `harken.tasks.heard.MAGNITUDES`, so that separators trained on mixtures serve in the environments."""
    audio: Literal["flac", "wav"] = "flac"
    """How sound is stored: 24 bits, or 32-bit floats, which take twice the space and a fifth of the time."""
    width: int = 224
    """Columns of the picture."""
    height: int = 224
    """Rows of the picture."""
    field_of_view: float = angle(math.pi / 2)
    """Horizontal angle of view [rad]."""
    mixtures_per_home: int = 4000
    """Mixtures in a row that share a home."""
    places: int = 8
    """Most places of a home from which is listened and looked."""
    ear_height: float = 1.5
    """Height of ears and camera above the floor [m]."""
    acoustics: AcousticSettings = field(default_factory=lambda: AcousticSettings(rays=2000))
    """How sound is propagated; its rate is replaced by `rate`."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(
            self,
            sources=(2, 6),
            rate=(4000, 192_000),
            duration=(0.1, 120),
            level_range=(0, 60),
            width=(32, 4096),
            height=(32, 4096),
            field_of_view=(0.001, math.pi - 0.001),
            mixtures_per_home=(1, 1_000_000_000),
            places=(1, 10_000),
            ear_height=(0.1, 3.0),
        )

    @property
    def samples(self) -> int:
        """Samples of a mixture."""
        return round(self.duration * self.rate)


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundingObject:
    """An object that is seen and heard from a place."""

    thing: SceneObject
    """The object."""
    position: np.ndarray
    """``(3,)`` where it sounds: above its middle [m]."""
    box: tuple[int, int, int, int]
    """Left, top, right and bottom of what is seen of it [pixels], the last two exclusive."""
    pixels: int
    """How many pixels show it."""
    response: np.ndarray
    """``(2, taps)`` float32 its response at the ears, as far as it is heard."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """A place from which is listened and looked."""

    position: np.ndarray
    """``(3,)`` of ears and camera [m]."""
    heading: float
    """[rad]"""
    image: np.ndarray
    """``(height, width, 3)`` uint8 what is seen."""
    objects: tuple[SoundingObject, ...]
    """What may sound, the largest in the picture first."""
    spectra: np.ndarray
    """``(objects, 2, bins)`` complex64 spectra of their responses, all of the same length: transforms of several sounds
    in one call take little longer than one."""


@dataclass(frozen=True, kw_only=True)
class MixturesRecipe:
    """Sounding objects of a home, heard at once."""

    name: ClassVar[str] = "mixtures"
    version: ClassVar[int] = 1

    settings: MixturesSettings = field(default_factory=MixturesSettings)
    """What is rendered."""
    split: Split = "train"
    """Split of homes and clips."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        """Check split and seed."""
        check_split_and_seed(self.split, self.seed)

    @property
    def licence(self) -> str:
        """What the samples may be used for."""
        own = "Homes and built-in sounds are made by Harken; its licence, MIT, sets no condition on what it renders."
        head = " Responses of the head: MIT KEMAR (Gardner and Martin 1994), free of restrictions."
        recordings = f" The recordings of {self.settings.sounds!r} keep the licence that they have."
        return own + head + ("" if self.settings.sounds in ("household", "speech and music") else recordings)

    @cached_property
    def _library(self) -> ClipLibrary:
        settings = self.settings
        if settings.sounds == "household":
            return ClipLibrary.builtin(settings.rate)
        if settings.sounds == "speech and music":
            return ClipLibrary.speech_and_music(settings.rate)
        return ClipLibrary.folder(settings.sounds, settings.rate)

    @cached_property
    def _names(self) -> dict[str, tuple[str, ...]]:
        """Names of the split's clips by category."""
        library, clips = self._library, {}
        for name in library if library.splits == ("all",) else library.names(self.split):
            clips.setdefault(library.entry(name).category, []).append(name)
        if len(clips) < self.settings.sources:
            raise SoundError(
                f"{self.settings.sounds!r} has clips of {len(clips)} categories in split {self.split!r}; expected "
                f"{self.settings.sources} or more, because the sources of a mixture differ in their category."
            )
        return {category: tuple(names) for category, names in sorted(clips.items())}

    @cached_property
    def _runs(self) -> dict[str, np.ndarray]:
        """Where the clips sound that were used so far."""
        return {}

    def _runs_of(self, clip: Clip) -> np.ndarray:
        if clip.name not in self._runs:
            self._runs[clip.name] = active_runs(clip.samples, clip.rate)
        return self._runs[clip.name]

    def __getstate__(self) -> dict[str, Any]:
        """Drop the clips when pickled: they are made again when needed."""
        return {name: self.__dict__[name] for name in ("settings", "split", "seed")}

    def places(self, home: int) -> tuple[Place, ...]:
        """Return the places of a home, with their pictures and responses; the last two homes are kept.

        Args:
            home: Number of the home: ``number // mixtures_per_home`` of a mixture.

        Raises:
            DataSetError: Homes have no place from which enough objects are seen.
        """
        categories = tuple(self._names) if self.settings.objects == "matching" else None
        return _places(self.settings, self.split, self.seed, home, categories)

    def sample(self, number: int) -> dict[str, Any]:
        """Make a mixture.

        Args:
            number: Number of the sample.

        Returns:
            ``mixture.flac`` ``(2, n)`` the sum of ``stem_0.flac``, ``stem_1.flac`` …, all as heard; ``dry.flac``
            ``(sources, n)`` as emitted, or ``.wav``; ``masks.npy`` ``(sources, 512, frames, 2)`` uint8, 255ths (ratio),
            or bool (binary); ``jpg`` the view; ``json`` with the sources (clip, category, object, position [m], azimuth
            [rad, positive to the left], elevation, distance, box and pixels of what is seen of it, gain, energy at each
            ear) and the pose of listener and camera.

        Raises:
            DataSetError: Homes have no place from which enough objects are seen.
            SoundError: A clip is silent over its whole length.
        """
        settings, random = self.settings, sample_generator(self, number)
        home = number // settings.mixtures_per_home
        places = self.places(home)
        place = places[int(random.integers(len(places)))]
        indices = _choose(random, place.objects, settings.sources)
        things = [place.objects[index] for index in indices]
        if settings.objects == "matching":
            categories = [thing.thing.category for thing in things]
        else:
            choices = list(self._names)
            categories = [choices[i] for i in random.choice(len(choices), settings.sources, replace=False)]
        length = 2 * (place.spectra.shape[2] - 1)
        before = length - settings.samples
        emitted, descriptions = np.empty((len(things), length), np.float32), []
        for sound, category, thing in zip(emitted, categories, things, strict=True):
            names = self._names[category]
            clip = self._library.clip(names[int(random.integers(len(names)))])
            start = _sounding_start(clip, self._runs_of(clip), random, settings.samples)
            gain = float(random.uniform(-0.5, 0.5)) * settings.level_range
            np.multiply(clip.looped(start - before, length), np.float32(amplitude(gain)), out=sound)
            descriptions.append({"clip": clip.name, "category": category, "start": start, "gain_db": round(gain, 6)})
            descriptions[-1] |= _seen(place, thing)
        stems = _filtered(emitted, place.spectra[indices], settings.samples)
        for source, energy in zip(descriptions, np.square(stems, dtype=np.float64).sum(2).tolist(), strict=True):
            source["energy"] = energy
        mixture, dry = stems.sum(0), emitted[:, before:]
        magnitudes = np.stack([spectrogram(stem, MAGNITUDES) for stem in stems])
        if settings.masks == "ratio":
            masks = (255.0 * ideal_ratio_masks(magnitudes) + 0.5).astype(np.uint8)
        else:
            masks = ideal_binary_masks(magnitudes)
        sounds = {"mixture": mixture, "dry": dry} | {f"stem_{k}": stem for k, stem in enumerate(stems)}
        return {
            **{f"{name}.{settings.audio}": Audio(samples=x, rate=settings.rate) for name, x in sounds.items()},
            "masks.npy": masks,
            "jpg": place.image,
            "json": {
                "home": home,
                "position": place.position.tolist(),
                "heading": place.heading,
                "field_of_view": settings.field_of_view,
                "sources": descriptions,
            },
        }


def _choose(random: np.random.Generator, objects: tuple[SoundingObject, ...], count: int) -> list[int]:
    """Return the numbers of objects of different categories, in random order."""
    indices: dict[str, int] = {}
    for index in random.permutation(len(objects)).tolist():
        indices.setdefault(objects[index].thing.category, index)
    return list(indices.values())[:count]


def _sounding_start(clip: Clip, runs: np.ndarray, random: np.random.Generator, count: int) -> int:
    """Return where to start in a clip so that not all that follows is a pause."""
    if len(runs) == 0:
        raise SoundError(f"Clip {clip.name!r} is silent; leave it out.")
    start = int(random.integers(len(clip.samples)))
    following = int(np.searchsorted(runs[:, 1], start, side="right"))
    begin = runs[following, 0] if following < len(runs) else len(clip.samples) + runs[0, 0]
    # Half of the mixture at most passes in silence.
    return start if begin - start < count // 2 else int(runs[0, 0])


def _filtered(emitted: np.ndarray, spectra: np.ndarray, count: int) -> np.ndarray:
    """Return the last `count` samples ``(k, 2, count)`` of sounds ``(k, n)`` through responses; none wraps there."""
    sounds = scipy.fft.rfft(emitted)[:, None]
    return np.ascontiguousarray(scipy.fft.irfft(sounds * spectra, emitted.shape[1], overwrite_x=True)[..., -count:])


def _seen(place: Place, thing: SoundingObject) -> dict[str, Any]:
    """Describe where an object is."""
    x, y, z = (thing.position - place.position).tolist()
    return {
        "object": thing.thing.name,
        "object_category": thing.thing.category,
        "position": thing.position.tolist(),
        "azimuth": _azimuth(thing.position - place.position, place.heading),
        "elevation": math.atan2(y, math.hypot(x, z)),
        "distance": math.sqrt(x * x + y * y + z * z),
        "box": list(thing.box),
        "pixels": thing.pixels,
    }


def _azimuth(away: np.ndarray, heading: float) -> float:
    """Return the angle of a direction to the left of a heading [rad], −π to π."""
    angle = math.atan2(-away[0], -away[2]) - heading
    return (angle + math.pi) % (2 * math.pi) - math.pi


@lru_cache(maxsize=2)
def _places(
    settings: MixturesSettings,
    split: Split,
    seed: int,
    home: int,
    categories: tuple[str, ...] | None,
) -> tuple[Place, ...]:
    """Find the places of a home; where there are none, of the next of a few homes kept for it."""
    for attempt in range(_HOMES_TRIED):
        key = [zlib.crc32(b"mixtures"), SPLITS.index(split), seed, home, attempt]
        rng = np.random.default_rng(key)
        scene = generate_home(int(rng.integers(2**31)), split=split)
        acoustics = replace(settings.acoustics, rate=settings.rate)
        world = World(scene=scene, settings=WorldSettings(acoustics=acoustics, ear_height=settings.ear_height))
        sounding = _sounding_positions(world, categories)
        places = _look_around(world, settings, rng, sounding)
        if places:
            return places
    raise DataSetError(
        f"{_HOMES_TRIED} homes have no place from which objects of {settings.sources} categories with clips are seen. "
        'Lower sources, widen field_of_view, or set objects="any".'
    )


def _sounding_positions(world: World, categories: tuple[str, ...] | None) -> dict[int, tuple[SceneObject, np.ndarray]]:
    """Return objects that can sound by their instance, and where from: above them, where there is air."""
    positions = {}
    for thing in world.scene.objects:
        if thing.category in _STRUCTURE or (categories is not None and thing.category not in categories):
            continue
        place = np.array((thing.lower + thing.upper) / 2, np.float64)
        place[1] = float(thing.upper[1]) + _ABOVE
        if thing.room < 0 or place[1] > world.scene.rooms[thing.room].ceiling - _ABOVE:
            continue
        if not world.scene.is_inside_solid(place):
            positions[thing.instance] = thing, place
    return positions


def _look_around(
    world: World,
    settings: MixturesSettings,
    rng: np.random.Generator,
    sounding: dict[int, tuple[SceneObject, np.ndarray]],
) -> tuple[Place, ...]:
    """Draw poses until enough of them see enough objects."""
    camera = Camera(width=settings.width, height=settings.height, field_of_view=settings.field_of_view)
    scale = max(settings.width, settings.height) / 64
    glance = Camera(
        width=max(8, round(settings.width / scale)),
        height=max(8, round(settings.height / scale)),
        field_of_view=settings.field_of_view,
    )
    places: list[Place] = []
    for _ in range(_POSES_TRIED):
        if len(places) == settings.places:
            break
        position = np.array(world.floor.random_point(rng), np.float64) + [0.0, settings.ear_height, 0.0]
        heading = float(rng.uniform(-math.pi, math.pi))
        coarse = world.renderer.observe(glance, position, heading, channels=("instance",))["instance"]
        instances_in_view = _largest(coarse, sounding)
        if len({sounding[instance][0].category for instance in instances_in_view}) < settings.sources:
            continue
        view = world.renderer.observe(camera, position, heading, channels=("rgb", "instance"))
        half = settings.field_of_view / 2
        ahead = [
            k for k in _largest(view["instance"], sounding) if abs(_azimuth(sounding[k][1] - position, heading)) < half
        ]
        instances = ahead[:_OBJECTS]
        if len({sounding[instance][0].category for instance in instances}) < settings.sources:
            continue
        objects = tuple(
            _sounding_object(
                world, settings, Listener(position=position, heading=heading), view["instance"], *sounding[k]
            )
            for k in instances
        )
        spectra = _spectra([item.response for item in objects], settings.samples)
        places.append(Place(position=position, heading=heading, image=view["rgb"], objects=objects, spectra=spectra))
    return tuple(places)


def _largest(instances: np.ndarray, sounding: dict[int, tuple[SceneObject, np.ndarray]]) -> list[int]:
    """Return what is well seen and can sound, the largest first."""
    numbers, counts = np.unique(instances, return_counts=True)
    rows = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), reverse=True)
    return [k for count, k in rows if k in sounding and count >= _SEEN_SHARE * instances.size]


def _sounding_object(
    world: World,
    settings: MixturesSettings,
    listener: Listener,
    instances: np.ndarray,
    thing: SceneObject,
    position: np.ndarray,
) -> SoundingObject:
    response = world.propagation.impulse_response(Source(position=position), listener).samples
    rows, columns = np.nonzero(instances[:, :, 0] == thing.instance)
    return SoundingObject(
        thing=thing,
        position=position,
        box=(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1),
        pixels=len(rows),
        response=response[:, : audible_length(response)],
    )


def _spectra(responses: list[np.ndarray], samples: int) -> np.ndarray:
    """Return the spectra ``(k, 2, bins)`` of responses, long enough that `samples` of what they filter are whole."""
    size = scipy.fft.next_fast_len(samples + max(response.shape[1] for response in responses), real=True)
    size += size % 2
    return np.stack([scipy.fft.rfft(response.astype(np.float32), size) for response in responses])
