"""SoundSpaces 2.0's engine, RLR-Audio-Propagation, behind Harken's protocol.

It comes with ``pip install harken[soundspaces]`` as the package rlr-audio-propagation 0.0.1: a closed binary for Linux
on x86-64 whose licence, CC-BY-NC-4.0, forbids commercial use. This module relies on the following measured properties,
which tests check:

- Frame: ours. The orientation of a listener is a quaternion (w, x, y, z) from its own frame, −z ahead, to the world's.
  Channel 0 is left.
- Delay: mono sound arrives (r − R)/(344 m/s) after emission, rounded to a sample, where R is the listener's radius.
  Binaural sound from ahead comes 1.02 ms later. Both are undone here, so that sound from ahead arrives at r/c. The near
  ear's pulse comes at the same time for all directions; the interaural delay is in the far ear (0.53 ms for a source at
  the side).
- Level: the direct sound has the energy 0.2876²/((r − R)² + 0.1 m²), the reverberation that of a source of unit power,
  1/(4π) of ours. Divided by 0.2876, the direct sound is 1/r within 0.5 dB from 1 m on, and softer than 1/r below.
- Head: averaged over all directions and the octaves 125–4000 Hz the binaural energy is 4.07² of the mono one at
  44.1 kHz, and proportional to the square of the sampling rate (the head's filters are resampled without keeping their
  gain). Both are undone, so that mono and binaural agree on average, as they do for Harken's own head.
- Absorption: documented as a share of pressure, but decay times are those of a share of *energy*; it is passed on as
  it is. Transmitted energy is part of the absorbed energy, as in Harken. Where transmission is the greater, it counts
  as absorption.
- Transmission: a share of energy, taken at *every* surface crossed, while Harken takes a solid's once. A solid's two
  faces therefore get √τ each, but at most their absorption.
- Repetition: every context draws the same random numbers from its start on, and others for each response. See
  `SoundSpaces2Settings.temporal_coherence`.
- The GIL is held while it computes. At sampling rates above 48 kHz it corrupts memory.
"""

import ctypes
import json
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np

from harken.acoustics.places import place_for_engine
from harken.acoustics.protocol import ImpulseResponse, Listener, Source, check_plain
from harken.checks import check_settings
from harken.errors import HarkenWarning, MissingDependencyError, SoundError
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["SoundSpaces2Propagation", "SoundSpaces2Settings", "converted_response"]

DIRECT_LEVEL = 0.2876
"""Pressure of the engine's direct sound, times the distance [m]."""

HEAD_LEVEL = 4.07
"""Root mean square over directions and octave bands of what its head does to pressure, at 44.1 kHz."""

HEAD_DELAY = 1.02e-3
"""Time by which its head delays sound from ahead [s]."""

SPEED = 344.0
"""Its speed of sound [m/s]."""

LISTENER_RADIUS = 0.1
"""Radius of its listener, unless it is told another [m]."""

JUMP = 1.0
"""Distance between two responses [m] beyond which source or listener counts as placed anew, not as having moved."""

THICKEST = 0.6
"""Greatest thickness at which a closed surface counts as a solid and not as a room [m]."""

_LOWEST_RATE, _HIGHEST_RATE = 8_000, 48_000


@dataclass(frozen=True, kw_only=True)
class SoundSpaces2Settings:
    """How SoundSpaces 2.0's engine propagates sound. The defaults are the engine's own; see also `navigation`."""

    rate: int = 16_000
    """Sampling rate [Hz], 8000–48000."""
    duration: float = 1.0
    """Length of every impulse response [s]: the engine's responses vary in length and are cut or padded with zeros."""
    rays: int = 5_000
    """Rays traced from the listener (``indirectRayCount``)."""
    ray_depth: int = 200
    """Reflections that such a ray is followed for (``indirectRayDepth``)."""
    source_rays: int = 200
    """Rays traced from the source (``sourceRayCount``)."""
    source_ray_depth: int = 10
    """Reflections that such a ray is followed for (``sourceRayDepth``)."""
    bands: int = 4
    """Frequency bands, 4 or 8 (``frequencyBands``)."""
    diffraction_order: int = 10
    """Most edges that sound bends around, 0 for none (``maxDiffractionOrder``)."""
    transmission: bool = True
    """Whether sound passes through walls and furniture."""
    materials: bool = True
    """Whether the scene's materials are used, or one for all (absorption 0.1, scattering 0.5, transmission 0)."""
    temporal_coherence: bool = False
    """Whether responses are averaged with those before.

    With it, a response depends on earlier ones: on a walk away from a source, in steps of 0.25 m through a room, the
    last responses were up to 4 dB too loud, and became correct after about 20 more in place. The history is dropped
    when source or listener jump by more than a metre. The same sequence from the start gives the same bytes. Without
    it, every response comes from a fresh context, which takes a few milliseconds, and depends only on the scene, the
    settings, the source and the listener.
    """
    listener_radius: float = LISTENER_RADIUS
    """Radius of the sphere that receives sound [m]."""

    def __post_init__(self) -> None:
        """Check the types and ranges."""
        check_settings(
            self,
            rate=(_LOWEST_RATE, _HIGHEST_RATE),
            duration=(0.01, 20.0),
            rays=(1, 10_000_000),
            ray_depth=(1, 10_000),
            source_rays=(1, 10_000_000),
            source_ray_depth=(1, 10_000),
            bands=(1, 64),
            diffraction_order=(0, 10),
            listener_radius=(0.0, 1.0),
        )

    @staticmethod
    def navigation(**changes: Any) -> "SoundSpaces2Settings":
        """Return what SoundSpaces 2.0 trains agents with: 500 rays, temporal coherence, no materials.

        Source: sound-spaces, ``soundspaces/continuous_simulator.py``, ``add_acoustic_config``.

        Args:
            changes: Settings that differ.
        """
        return replace(SoundSpaces2Settings(rays=500, temporal_coherence=True, materials=False), **changes)


@dataclass(kw_only=True, eq=False)
class _Context:
    """A context of the engine, with the last positions of its source and listener."""

    engine: Any
    source: np.ndarray
    listener: np.ndarray


class SoundSpaces2Propagation:
    """SoundSpaces 2.0's engine (package rlr-audio-propagation, CC-BY-NC-4.0, Linux on x86-64).

    Frame, delay and level are Harken's; see the module for what was converted and how.

    Args:
        scene: The scene.
        settings: How sound is propagated.

    Raises:
        MissingDependencyError: The engine is not installed.
    """

    def __init__(self, scene: Scene, settings: SoundSpaces2Settings | None = None):
        self.scene, self.settings = scene, settings or SoundSpaces2Settings()
        self.rate = self.settings.rate
        self._contexts: dict[str, _Context] = {}
        self._asking = threading.Lock()
        self._parts: list[tuple[str, list[int]]] | None = None
        _import_engine()
        _tell_licence()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine: it is started again when needed, without its history."""
        return {"scene": self.scene, "settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start anew."""
        self.__init__(**state)

    def impulse_response(self, source: Source, listener: Listener) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source.

        Args:
            source: The source.
            listener: The listener, binaural (left first) or mono.

        Returns:
            The response, ``duration × rate`` samples long. Its paths are empty: the engine does not report them.

        Raises:
            SoundError: The engine fails, or returns nothing or numbers that are not finite.
            ConfigurationError: The listener is neither binaural nor mono or looks up or down, or the source is
                directional.
        """
        source, listener = check_plain(source, listener, ("binaural", "mono"), "SoundSpaces 2.0's engine")
        try:
            with self._asking:
                raw = self._ask(self._context(source, listener).engine, source, listener)
        except (SystemError, RuntimeError, ValueError) as error:
            self._contexts.clear()
            raise SoundError(f"{self._place(source, listener)}: SoundSpaces 2.0's engine failed ({error}).") from error
        self._check(raw, source, listener)
        samples = converted_response(
            raw, str(listener.format), rate=self.rate, duration=self.settings.duration,
            radius=self.settings.listener_radius,
        )  # fmt: skip
        return ImpulseResponse(samples=samples, rate=self.rate)

    def _ask(self, engine: Any, source: Source, listener: Listener) -> np.ndarray:
        half = 0.5 * listener.heading
        engine.set_source_position(0, place_for_engine(self.scene, source).position.tolist())
        engine.set_listener_position(0, place_for_engine(self.scene, listener).position.tolist())
        engine.set_listener_orientation_quaternion(0, [float(np.cos(half)), 0.0, float(np.sin(half)), 0.0])
        engine.simulate()
        return engine.get_listener_source_audio(0, 0)

    def _context(self, source: Source, listener: Listener) -> _Context:
        """Return the context to use: a fresh one unless this response continues from the last."""
        context = self._contexts.get(str(listener.format))
        if context is None or not self.settings.temporal_coherence:
            with suppress(KeyError):
                del self._contexts[str(listener.format)]
            context = _Context(
                engine=self._start(str(listener.format)), source=source.position, listener=listener.position
            )
            if self.settings.temporal_coherence:
                self._contexts[str(listener.format)] = context
        jump = max(
            np.linalg.norm(context.source - source.position), np.linalg.norm(context.listener - listener.position)
        )
        if jump > JUMP:
            context.engine.clear_listeners()
            context.engine.clear_sources()
            self._populate(context.engine, str(listener.format))
        context.source, context.listener = source.position, listener.position
        return context

    def _start(self, format: str) -> Any:
        """Return a new context that holds the scene, a source and a listener."""
        engine = _import_engine()
        config, settings = engine.Config(), self.settings
        config.sample_rate, config.max_ir_length = settings.rate, max(settings.duration, 0.1)
        config.indirect_ray_count, config.indirect_ray_depth = settings.rays, settings.ray_depth
        config.source_ray_count, config.source_ray_depth = settings.source_rays, settings.source_ray_depth
        config.frequency_bands, config.transmission = settings.bands, settings.transmission
        config.diffraction, config.max_diffraction_order = settings.diffraction_order > 0, settings.diffraction_order
        config.temporal_coherence, config.thread_count = settings.temporal_coherence, 1
        with _captured() as printed:
            try:
                context = engine.Context(config)
                self._upload(context)
                self._populate(context, format)
            except (SystemError, RuntimeError, ValueError) as error:
                printed.seek(0)
                text = printed.read().decode(errors="replace").strip()
                raise SoundError(
                    f"{self.scene.name}: SoundSpaces 2.0's engine did not take the scene ({error}). It printed: {text}"
                ) from error
        return context

    def _populate(self, context: Any, format: str) -> None:
        engine = _import_engine()
        kinds = engine.ChannelLayoutType
        context.add_listener(engine.ChannelLayout(*((kinds.Binaural, 2) if format == "binaural" else (kinds.Mono, 1))))
        context.set_listener_radius(0, self.settings.listener_radius)
        context.add_source()

    def _upload(self, context: Any) -> None:
        """Give the scene to the engine."""
        if self._parts is None:
            self._parts = (
                _divide(self.scene.local) if self.settings.materials else [("default", _flat(self.scene.faces))]
            )
        if self.settings.materials:
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(_material_file(self.scene), file)
                file.flush()
                context.set_material_database_json(file.name)
        context.add_object()
        context.add_mesh_vertices(_flat(self.scene.vertices))
        for label, indices in self._parts:
            context.add_mesh_indices(indices, 3, label)
        context.finalize_object_mesh(0)

    def _check(self, raw: np.ndarray, source: Source, listener: Listener) -> None:
        channels = 2 if listener.format == "binaural" else 1
        if raw.ndim != 2 or raw.shape[0] != channels or raw.shape[1] == 0:
            problem = f"returned no response (shape {raw.shape})"
        elif not np.isfinite(raw).all():
            problem = "returned numbers that are not finite"
        elif not raw.any() and not self.scene.triangles.occluded(source.position, listener.position)[0]:
            problem = "returned silence although nothing stands between source and listener"
        else:
            return
        self._contexts.clear()
        raise SoundError(f"{self._place(source, listener)}: SoundSpaces 2.0's engine {problem}.")

    def _place(self, source: Source, listener: Listener) -> str:
        return (
            f"{self.scene.name}, source at {source.position.round(3).tolist()}, "
            f"listener at {listener.position.round(3).tolist()}"
        )


def converted_response(
    raw: np.ndarray, format: str, *, rate: int, duration: float, radius: float = LISTENER_RADIUS
) -> np.ndarray:
    """Return a response of the engine with Harken's level, delay and length.

    Args:
        raw: ``(channels, n)`` what the engine returned, at a volume of 1.
        format: "binaural" or "mono".
        rate: Sampling rate [Hz].
        duration: Length of what is returned [s].
        radius: Radius of the engine's listener [m].

    Returns:
        ``(channels, duration × rate)`` float32.
    """
    level, late = DIRECT_LEVEL, -radius / SPEED
    if format == "binaural":
        level, late = level * HEAD_LEVEL * rate / 44_100, late + HEAD_DELAY
    shift = -round(late * rate)
    out = np.zeros((len(raw), round(duration * rate)), np.float32)
    part = raw[:, max(-shift, 0) :][:, : max(out.shape[1] - max(shift, 0), 0)]
    out[:, max(shift, 0) : max(shift, 0) + part.shape[1]] = part / level
    return out


def _flat(values: np.ndarray) -> list[Any]:
    return values.ravel().tolist()


def _is_solid(scene: Scene) -> np.ndarray:
    """Return for each triangle ``(F,)`` whether it is the face of a thin solid, such as a wall or a board."""
    inwards = -scene.normals
    middles = scene.vertices[scene.faces].mean(1)
    distance, behind, _ = scene.triangles.closest(middles + 1e-4 * inwards, inwards, far=THICKEST)
    leaves = np.einsum("ij,ij->i", scene.normals[behind], inwards) > 0
    return (behind >= 0) & leaves & (distance < THICKEST)


def _label(material: int, solid: bool) -> str:
    # The engine looks for labels anywhere in a category's name, so that no label may contain another.
    return f"harken-{material:05d}-{'solid' if solid else 'sheet'}"


def _divide(scene: Scene) -> list[tuple[str, list[int]]]:
    """Return the corners of the triangles by the label of their material."""
    solid = _is_solid(scene)
    parts = []
    for material in range(len(scene.materials)):
        for thick in (False, True):
            members = (scene.material == material) & (solid == thick)
            if members.any():
                parts.append((_label(material, thick), _flat(scene.faces[members])))
    return parts


def _material_file(scene: Scene) -> dict[str, Any]:
    """Return what the engine reads: per material lists of frequency and share in turn."""
    entries = []
    for number, material in enumerate(scene.materials):
        for solid in (False, True):
            absorption, passing = np.array(material.absorption), np.array(material.transmission)
            if solid:
                passing = np.minimum(np.sqrt(passing), absorption)
            shares = {"absorption": absorption, "scattering": np.array(material.scattering), "transmission": passing}
            entry = {name: _flat(np.stack([OCTAVE_BANDS, values], 1)) for name, values in shares.items()}
            damping = _flat(np.stack([OCTAVE_BANDS, np.zeros(len(OCTAVE_BANDS))], 1))
            entries.append(
                {
                    "name": material.name,
                    "labels": [_label(number, solid)],
                    **entry,
                    "damping": damping,
                    "density": 1.2,
                    "speed": SPEED,
                }
            )
    return {"materials": entries}


def _import_engine() -> Any:
    try:
        import rlr_audio_propagation
    except ImportError as error:
        raise MissingDependencyError(
            "SoundSpaces 2.0's engine is not installed. It exists for Linux on x86-64, and its licence (CC-BY-NC-4.0) "
            "forbids commercial use: pip install 'harken[soundspaces]', which is rlr-audio-propagation==0.0.1."
        ) from error
    return rlr_audio_propagation


_licence_shown = False


def _tell_licence() -> None:
    """Warn of the terms of the engine's licence, once per process."""
    global _licence_shown
    if not _licence_shown:
        _licence_shown = True
        warnings.warn(
            "SoundSpaces 2.0's engine (RLR-Audio-Propagation, Meta) is licensed CC-BY-NC-4.0: no commercial use. "
            "Harken's own engine has no such limit.",
            HarkenWarning,
            stacklevel=3,
        )


_capturing = threading.Lock()


@contextmanager
def _captured() -> Iterator[IO[bytes]]:
    """Redirect file descriptors 1 and 2, to which the engine prints directly, to a file.

    Only the start of a context runs in here, since the output of other threads is redirected too.
    """
    with _capturing, tempfile.TemporaryFile() as sink:
        _flush()
        saved = []
        for descriptor in (1, 2):
            with suppress(OSError):  # a daemon may have closed them
                saved.append((descriptor, os.dup(descriptor)))
                os.dup2(sink.fileno(), descriptor)
        try:
            yield sink
        finally:
            _flush()
            for descriptor, copy in saved:
                os.dup2(copy, descriptor)
                os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)
