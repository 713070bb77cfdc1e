"""Scenes for spatial sound: a camera that stands in a generated home, and one to four things in view that sound.

Two kinds of things sound: furniture, at a place of it that the camera sees, with a clip of its own category from the
built-in library; and balls in the air, talkers and instruments, that stand or walk to and fro over free floor. A ball
has the colour of its category, so that its look shows what it sounds like. Balls hide what is behind them but do not
disturb sound.

The recipes "binaural-video" and "localization" share these scenes: with equal settings, split, seed and number they
show the same.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from harken.acoustics import AcousticSettings
from harken.checks import angle, check_settings
from harken.errors import ConfigurationError, DataSetError
from harken.render.scene_sounds import Kind, category_color, clips_by_category, clips_of, draw_events, event_gain
from harken.scene import HomeConfig, generate_home
from harken.sim import Trajectory, World, WorldSettings, forward_vector
from harken.sound.clip import Clip
from harken.sound.level import amplitude
from harken.sound.synthesis.speech_and_music import KINDS
from harken.splits import checked_split
from harken.vision import Camera
from harken.vision.spheres import project, view_sphere, viewing_ray

__all__ = ["LARGEST_FILM", "SampledScene", "SceneSettings", "SoundingObject", "sample_scene", "scene_categories"]

LARGEST_FILM = 80_000_000
"""Most pixels that all images of a clip may have together: what image libraries read without a warning."""

_WORLDS_KEPT = 2
_HEADINGS = 12
_PLACES = 24
_APART = 0.5
_WALK = (1.5, 5.0)
_PASSING = 0.7
_OFF_SURFACE = 0.05
_TALKER_HEIGHTS, _OTHER_HEIGHTS = (1.2, 1.7), (0.6, 1.4)
_OPENING = 1.5
_MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """What scenes for spatial sound look and sound like."""

    view: Literal["camera", "panorama"] = "camera"
    """"camera": a pinhole camera. "panorama": 360°, equirectangular, as in Morgado et al. (NeurIPS 2018)."""
    width: int = 448
    """Columns of the images; 32 at least."""
    height: int = 224
    """Rows of the images; 16 at least."""
    field_of_view: float = angle(math.radians(100))
    """Horizontal angle of view of the pinhole camera [rad]."""
    frame_rate: float = 10.0
    """Images a second [Hz]."""
    duration: float = 10.0
    """Length of a clip [s]."""
    ear_height: float = 1.5
    """Height of camera and ears above the floor [m]."""
    sources: tuple[float, ...] = (0.3, 0.4, 0.2, 0.1)
    """Probabilities of one sounding object, two and so on, eight at most; they sum to one."""
    furniture: float = 0.3
    """Probability that a sounding object is a piece of furniture, where one in view can sound."""
    moving: float = 0.5
    """Probability that a ball moves."""
    distance: tuple[float, float] = (0.7, 4.0)
    """Least and greatest distance of sounding objects in the first image [m]. In a home the direct sound is fainter
    than the reverberation beyond half a metre or so, and at several metres no longer decides which ear is the louder
    over a whole clip."""
    speed: tuple[float, float] = (0.3, 1.0)
    """Least and greatest speed of moving balls [m/s]."""
    radius: float = 0.15
    """Radius of the balls [m]."""
    smallest: int = 12
    """Least number of pixels of a sounding object in the first image."""
    clips: str | None = None
    """Folder of recordings, as `harken.sound.ClipLibrary.folder` reads it, for all sounding objects; where None,
    furniture has clips of the built-in library and balls talkers and instruments. Clips too short repeat."""
    level_range: float = 6.0
    """Width of the range of levels [dB], uniform around the clips' own."""
    activity: Literal["continuous", "events"] = "continuous"
    """"continuous": every object sounds from beginning to end, but for the pauses in its clip. "events": it sounds
    from time to time."""
    event: tuple[float, float] = (1.0, 4.0)
    """Least and greatest length of an event [s]."""
    pause: tuple[float, float] = (0.5, 3.0)
    """Least and greatest pause between events [s]."""
    clips_per_home: int = 100
    """Samples in a row that share a home. Making one takes about as long as ten samples of 10 s."""
    homes: HomeConfig = field(default_factory=HomeConfig)
    """What the homes are like."""
    attempts: int = 30
    """Places of the camera that are tried before a sample is given up."""
    acoustics: AcousticSettings = AcousticSettings()
    """How sound is propagated; its `rate` is that of the sound."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(
            self,
            width=(32, 8192),
            height=(16, 8192),
            frame_rate=(0.1, 240),
            duration=(0.1, 600),
            ear_height=(0.3, 2.0),
            sources=(0, 1),
            furniture=(0, 1),
            moving=(0, 1),
            distance=(0.4, 100),
            speed=(0.01, 10),
            radius=(0.01, 0.5),
            smallest=(1, 1_000_000),
            level_range=(0, 60),
            event=(0.05, 600),
            pause=(0, 600),
            clips_per_home=(1, 1_000_000_000),
            attempts=(1, 10_000),
        )
        for name in ("distance", "speed", "event", "pause"):
            least, greatest = getattr(self, name)
            if least > greatest:
                raise ConfigurationError(f"Setting {name} is ({least:g}, {greatest:g}); expected (least, greatest).")
        shares = self.sources
        if not 1 <= len(shares) <= 8 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise ConfigurationError(
                f"sources is {shares!r}; expected the probabilities of one to at most eight sources, which sum to one."
            )
        if self.frames < 1:
            raise ConfigurationError(
                f"{self.duration:g} s at {self.frame_rate:g} images a second hold no image; ask for longer samples or "
                "more images a second."
            )
        if self.frames * self.width * self.height > LARGEST_FILM:
            raise ConfigurationError(
                f"{self.frames} images of {self.width} × {self.height} pixels are more than {LARGEST_FILM:,} pixels; "
                "make the images smaller or fewer."
            )
        self.camera  # noqa: B018 - Checks the angle of view.

    @property
    def frames(self) -> int:
        """Number of images in a clip."""
        return round(self.duration * self.frame_rate)

    @property
    def samples(self) -> int:
        """Number of samples of sound in a clip."""
        return round(self.duration * self.acoustics.rate)

    @property
    def camera(self) -> Camera:
        """The camera."""
        projection = "pinhole" if self.view == "camera" else "equirectangular"
        return Camera(width=self.width, height=self.height, field_of_view=self.field_of_view, projection=projection)


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundingObject:
    """Something in view that sounds."""

    kind: Kind
    """What is seen of it."""
    clip: str
    """Name of its clip."""
    category: str
    """What makes the sound."""
    samples: np.ndarray
    """``(n,)`` float32: the dry sound of the whole clip, at 1 m in the free field, zero between its events."""
    events: tuple[tuple[float, float], ...]
    """Onset and length of each event [s]."""
    gain_db: float
    """Level relative to the clip's own [dB]."""
    trajectory: Trajectory
    """Its path; one place for an object at rest."""
    instance: int = 0
    """Number of the piece of furniture in the home, 0 for a ball."""
    color: tuple[int, int, int] = (0, 0, 0)
    """Colour (sRGB) of a ball."""

    @property
    def moves(self) -> bool:
        """Whether it moves."""
        return len(self.trajectory.times) > 1


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledScene:
    """A camera in a home and what sounds in its view."""

    settings: SceneSettings
    """What it was drawn from."""
    world: World
    """The home."""
    position: np.ndarray
    """``(3,)`` float64 place on the floor [m]; camera and ears are `SceneSettings.ear_height` above."""
    heading: float
    """Where camera and ears face [rad]."""
    objects: tuple[SoundingObject, ...]
    """What sounds, in no order."""

    @property
    def eye(self) -> np.ndarray:
        """``(3,)`` place of camera and ears [m]."""
        return self.position + [0.0, self.settings.ear_height, 0.0]


def sample_scene(settings: SceneSettings, split: str, seed: int, number: int) -> SampledScene:
    """Draw a scene: a function of the arguments alone.

    Args:
        settings: What scenes are like.
        split: Split of homes and clips.
        seed: Seed of the data set.
        number: Number of the sample.

    Raises:
        DataSetError: No place of the camera was found from which as many objects as were drawn are in view.
        SoundError: A recording cannot be used: it is silent, corrupt or not finite.
    """
    home = _digest("home", split, seed, number // settings.clips_per_home) & 0xFFFFFFFF
    world = _world(split, home, settings.homes, settings.acoustics, settings.ear_height)
    random = np.random.default_rng(_digest("scene", split, seed, number))
    count = 1 + int(random.choice(len(settings.sources), p=settings.sources))
    for _ in range(settings.attempts):
        stand = _stand(settings, world, random)
        if stand is None:
            continue
        view = _View(settings, world, split, *stand)
        placements = view.place(count, random)
        if placements is not None:
            objects = tuple(_sounding(settings, placement, random) for placement in placements)
            return SampledScene(
                settings=settings,
                world=world,
                position=stand[0],
                heading=stand[1],
                objects=objects,
            )
    raise DataSetError(
        f"Sample {number} of split {split!r}: in {settings.attempts} places of the camera in {world.scene.name}, "
        f"{count} sounding {'object' if count == 1 else 'objects'} of {settings.smallest} pixels or more did not fit "
        "into the view. Allow smaller objects (smallest), larger balls (radius) or images (width, height), fewer "
        "sources, a wider angle (field_of_view), or more attempts."
    )


def scene_categories(settings: SceneSettings) -> tuple[str, ...]:
    """Return the categories of all that may sound in scenes, sorted."""
    rate = settings.acoustics.rate
    kinds: tuple[Kind, ...] = ("furniture", "ball")
    return tuple(sorted({name for kind in kinds for name in clips_of(settings.clips, rate, kind).categories}))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """An object in its place, before its sound is made."""

    clip: Clip
    trajectory: Trajectory
    instance: int = 0


class _View:
    """What a camera sees, while objects are put into it."""

    def __init__(self, settings: SceneSettings, world: World, split: str, position: np.ndarray, heading: float):
        self.settings, self.world, self.split = settings, world, split
        self.heading, self.camera = heading, settings.camera
        self.eye = position + np.array([0.0, settings.ear_height, 0.0])
        view = world.renderer.observe(self.camera, self.eye, heading, channels=("depth", "instance"))
        self.depth, self.instance = view["depth"][..., 0], view["instance"][..., 0]
        self.places: list[np.ndarray] = []

    def place(self, count: int, random: np.random.Generator) -> list[_Placed] | None:
        """Find places for some objects, None where not all fit."""
        placements: list[_Placed] = []
        furniture = self._furniture()
        for _ in range(count):
            placement = None
            if furniture and random.random() < self.settings.furniture:
                placement = self._sounding_furniture(furniture.pop(int(random.integers(len(furniture)))), random)
            placement = placement or self._ball(random)
            if placement is None:
                return None
            placements.append(placement)
            self.places.append(placement.trajectory.position(0.0))
        return placements

    def _furniture(self) -> list[int]:
        """Return the instances in view that are large enough and that have clips."""
        count = np.bincount(self.instance.ravel())
        categories = self._clips("furniture")
        return [
            thing.instance
            for thing in self.world.scene.objects
            if thing.instance < len(count)
            and count[thing.instance] >= 4 * self.settings.smallest
            and thing.category in categories
        ]

    def _sounding_furniture(self, instance: int, random: np.random.Generator) -> _Placed | None:
        """Let furniture sound from just before its visible surface, next to the middle of what is seen."""
        rows, columns = np.nonzero(self.instance == instance)
        nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
        row, column = int(rows[nearest]), int(columns[nearest])
        ray = viewing_ray(self.camera, self.heading, row, column)
        way = float(self.depth[row, column]) * float(np.linalg.norm(ray)) - _OFF_SURFACE
        place = self.eye + way * ray / np.linalg.norm(ray)
        nearest, farthest = self.settings.distance
        if not nearest <= way <= farthest or not self._is_apart(place) or self.world.scene.is_inside_solid(place):
            return None
        category = next(o.category for o in self.world.scene.objects if o.instance == instance)
        clip = self._clip("furniture", category, random)
        return _Placed(clip=clip, trajectory=_standing(place), instance=instance)

    def _clips(self, kind: Kind) -> dict[str, tuple[str, ...]]:
        return clips_by_category(self.settings.clips, self.settings.acoustics.rate, kind, self.split)

    def _clip(self, kind: Kind, category: str, random: np.random.Generator) -> Clip:
        """Draw a clip; "" is any category."""
        names = self._clips(kind)[category]
        library = clips_of(self.settings.clips, self.settings.acoustics.rate, kind)
        return library.clip(names[int(random.integers(len(names)))])

    def _ball(self, random: np.random.Generator) -> _Placed | None:
        """Put a ball over free floor in view; None where no place is found."""
        clip = self._clip("ball", "", random)
        low, high = _TALKER_HEIGHTS if clip.category in KINDS["voice"] else _OTHER_HEIGHTS
        lift = np.array([0.0, float(random.uniform(low, high)), 0.0])
        moves = bool(random.random() < self.settings.moving)
        for start in self._open_places(lift, random):
            if not moves:
                return _Placed(clip=clip, trajectory=_standing(start))
            goal = self._walk(start, lift, random)
            if goal is not None:
                way = np.stack([start, goal, start])
                trajectory = Trajectory.along(way, float(random.uniform(*self.settings.speed)), repeats=True)
                return _Placed(clip=clip, trajectory=trajectory)
        return None

    def _open_places(self, lift: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield some places over the floor at which a ball is in view, in random order."""
        places = self.world.floor.cells.astype(np.float64) + lift
        pixels, inside = project(self.camera, self.eye, self.heading, places)
        if self.settings.view == "camera":
            edge = np.array([self.camera.width, self.camera.height])
            inside &= ((pixels >= _MARGIN * edge) & (pixels <= (1 - _MARGIN) * edge)).all(1)
        distance = np.linalg.norm(places - self.eye, axis=1)
        nearest, farthest = self.settings.distance
        places = places[inside & (distance >= nearest) & (distance <= farthest)]
        for place in places[random.permutation(len(places))[:_PLACES]]:
            if self._is_apart(place) and self._pixels(place) >= self.settings.smallest:
                yield place

    def _pixels(self, place: np.ndarray) -> int:
        """Return how many pixels of a ball are seen, 0 where its middle is hidden."""
        if bool(self.world.scene.triangles.occluded(self.eye[None], place[None])[0]):
            return 0
        ball = view_sphere(self.camera, self.eye, self.heading, place, self.settings.radius)
        behind = self.depth[ball.rows, ball.columns]
        return int(((ball.depth < behind) | (behind == 0)).sum())

    def _is_apart(self, place: np.ndarray) -> bool:
        return all(float(np.linalg.norm(place - other)) >= _APART for other in self.places)

    def _walk(self, start: np.ndarray, lift: np.ndarray, random: np.random.Generator) -> np.ndarray | None:
        """Return where a straight walk from a place over free floor may lead, past the camera."""
        floor, scene = self.world.floor, self.world.scene
        for _ in range(_PLACES):
            angle, length = float(random.uniform(-np.pi, np.pi)), float(random.uniform(*_WALK))
            step = length * forward_vector(angle)
            goal = start + step
            if _distance_to_leg(self.eye, start, goal) < _PASSING:
                continue
            end, collided = floor.move(floor.snap(start - lift), step)
            level = np.asarray(end, np.float64) + lift
            if collided or np.linalg.norm(level - goal) > 0.01 or scene.triangles.occluded(start[None], goal[None])[0]:
                continue
            return goal
        return None


def _stand(settings: SceneSettings, world: World, random: np.random.Generator) -> tuple[np.ndarray, float] | None:
    """Draw where the camera stands and faces, so that it does not look at a wall; None where it would."""
    position = world.floor.snap(world.floor.random_point(random))
    eye = position + [0.0, settings.ear_height, 0.0]
    if world.scene.is_inside_solid(eye):
        return None
    small = Camera(width=16, height=8, field_of_view=settings.field_of_view)
    for _ in range(_HEADINGS):
        heading = float(random.uniform(-np.pi, np.pi))
        if settings.view == "panorama":
            return position, heading
        depth = world.renderer.observe(small, eye, heading)["depth"]
        if float(np.median(depth)) >= _OPENING:
            return position, heading
    return None


def _sounding(settings: SceneSettings, placed: _Placed, random: np.random.Generator) -> SoundingObject:
    """Draw the sound of an object: where its clip begins, its level, and its events."""
    rate, clip = settings.acoustics.rate, placed.clip
    gain = float(random.uniform(-0.5, 0.5)) * settings.level_range
    samples = clip.looped(int(random.integers(len(clip.samples))), settings.samples) * np.float32(amplitude(gain))
    events: tuple[tuple[float, float], ...] = ((0.0, settings.duration),)
    if settings.activity == "events":
        events = draw_events(settings.duration, settings.event, settings.pause, random)
        samples *= event_gain(events, len(samples), rate)
    return SoundingObject(
        kind="furniture" if placed.instance else "ball",
        clip=clip.name,
        category=clip.category,
        samples=samples,
        events=events,
        gain_db=gain,
        trajectory=placed.trajectory,
        instance=placed.instance,
        color=(0, 0, 0)
        if placed.instance
        else category_color(clip.category, clips_of(settings.clips, rate, "ball").categories),
    )


def _standing(place: np.ndarray) -> Trajectory:
    return Trajectory(times=np.zeros(1), positions=np.asarray(place)[None])


def _distance_to_leg(point: np.ndarray, start: np.ndarray, goal: np.ndarray) -> float:
    """Return how near a straight path comes to a point, seen from above [m]."""
    a, b, p = start[[0, 2]], goal[[0, 2]], point[[0, 2]]
    way = b - a
    share = float(np.clip((p - a) @ way / max(float(way @ way), 1e-12), 0.0, 1.0))
    return float(np.linalg.norm(a + share * way - p))


def _digest(*words: object) -> int:
    text = "/".join(map(str, words)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:16], "little")


@lru_cache(maxsize=_WORLDS_KEPT)
def _world(split: str, home: int, config: HomeConfig, acoustics: AcousticSettings, ear_height: float) -> World:
    scene = generate_home(home, split=checked_split(split), config=config)
    return World(scene=scene, settings=WorldSettings(acoustics=acoustics, ear_height=ear_height))
