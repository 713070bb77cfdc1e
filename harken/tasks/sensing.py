"""Sensors that several tasks have in common."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

import numpy as np

from harken.acoustics.engines.echo import EchoSettings
from harken.sound.interaural import BANDS, FRAME, LAGS, QUIETEST, interaural_cues
from harken.sound.spectrogram import echo_spectrogram, echo_spectrogram_settings, spectrogram, spectrogram_shape
from harken.tasks.protocol import Choice, Numbers, Sensor
from harken.tasks.walk import WALKING, Action, Walk
from harken.vision import Camera

__all__ = [
    "FARTHEST",
    "LOUDEST",
    "echo_sensors",
    "image_sensors",
    "interaural_sensors",
    "oracle_sensor",
    "sound_sensors",
    "walk_sensors",
]

LOUDEST = 100.0
"""Bound of waveforms: a clip of peak 1 at 0.1 m, ten times, and room to spare."""

LARGEST_LEVEL = 2.0 * -QUIETEST
"""Bound of levels and of differences of levels [dB]."""

FARTHEST = 10_000.0
"""Bound of positions and displacements [m]."""

Views = Mapping[str, np.ndarray]


def image_sensors(camera: Camera, max_depth: float) -> tuple[Sensor, ...]:
    """Return "rgb", "depth" and "semantic".

    Args:
        camera: What the body sees with.
        max_depth: Largest depth that is shown [m]; what is farther is clipped to it.
    """
    height, width = camera.height, camera.width

    def depth(views: Views) -> np.ndarray:
        return np.minimum(views["depth"], np.float32(max_depth), out=views["depth"])

    return (
        Sensor(
            name="rgb",
            space=Numbers(shape=(height, width, 3), low=0, high=255, dtype=np.uint8),
            views=("rgb",),
            read=lambda views: views["rgb"],
        ),
        Sensor(
            name="depth",
            space=Numbers(shape=(height, width, 1), low=0.0, high=max_depth),
            views=("depth",),
            read=depth,
        ),
        Sensor(
            name="semantic",
            space=Numbers(shape=(height, width, 1), low=0, high=2**15 - 1, dtype=np.int32),
            views=("semantic",),
            read=lambda views: views["semantic"],
        ),
    )


def sound_sensors(heard: Callable[[], np.ndarray], samples: int) -> tuple[Sensor, ...]:
    """Return "waveform" and "spectrogram", the latter as SoundSpaces' sensor.

    Args:
        heard: Returns ``(2, n)`` float32, the sound of the step.
        samples: Length of the waveform that is shown, n or more: it ends in zeros.
    """

    def padded(views: Views) -> np.ndarray:
        sound = heard()
        result = np.zeros((2, samples), np.float32)
        result[:, : sound.shape[1]] = sound
        return result

    return (
        Sensor(name="waveform", space=Numbers(shape=(2, samples), low=-LOUDEST, high=LOUDEST), read=padded),
        Sensor(
            name="spectrogram",
            space=Numbers(
                shape=spectrogram_shape(samples),
                low=0.0,
                high=float(np.float32(np.log1p(LOUDEST * 512))),
            ),
            read=lambda views: spectrogram(padded(views)),
        ),
    )


def interaural_sensors(heard: Callable[[], np.ndarray], rate: int, samples: int) -> tuple[Sensor, ...]:
    """Return "interaural", what the two ears tell of the direction of a sound: `interaural_cues` as one vector.

    Args:
        heard: Returns ``(2, samples)`` float32, the sound of the step.
        rate: Sampling rate [Hz].
        samples: Length of the sound of a step; there is no such sensor where it is shorter than a frame.
    """
    if samples < round(FRAME * rate):
        return ()
    space = Numbers(shape=(len(BANDS) * (LAGS + 2),), low=-LARGEST_LEVEL, high=LARGEST_LEVEL)
    return (Sensor(name="interaural", space=space, read=lambda views: interaural_cues(heard(), rate).ravel()),)


def echo_sensors(echo: Callable[[], np.ndarray], settings: EchoSettings) -> tuple[Sensor, ...]:
    """Return "waveform" and "spectrogram" of what comes back of a sweep.

    Args:
        echo: Returns ``(2, n)`` float32, the echo of the step.
        settings: How echoes are simulated.
    """
    transform = echo_spectrogram_settings(settings.rate)
    shape = spectrogram_shape(settings.samples, settings=transform)
    return (
        Sensor(
            name="waveform",
            space=Numbers(shape=(2, settings.samples), low=-LOUDEST, high=LOUDEST),
            read=lambda views: echo().copy(),
        ),
        Sensor(
            name="spectrogram",
            space=Numbers(shape=shape, low=0.0, high=LOUDEST * transform.window),
            read=lambda views: echo_spectrogram(echo(), settings.rate, duration=None),
        ),
    )


def walk_sensors(walk: Callable[[], Walk], step_time: float) -> tuple[Sensor, ...]:
    """Return "pose", "collision" and "last_action".

    Args:
        walk: Returns the body's walk.
        step_time: Time that passes in a step [s].
    """
    return (
        Sensor(
            name="pose",
            space=Numbers(shape=(4,), low=-FARTHEST, high=FARTHEST),
            read=lambda views: walk().pose(walk().steps * step_time),
        ),
        Sensor(
            name="collision",
            space=Numbers(shape=(1,), low=0.0, high=1.0),
            read=lambda views: np.array([walk().collided], np.float32),
        ),
        Sensor(
            name="last_action",
            space=Choice(names=("none", *(action.name.lower().replace("_", " ") for action in Action))),
            read=lambda views: np.int64(0 if (last := walk().last_action) is None else last + 1),
        ),
    )


def oracle_sensor(action: Callable[[], int], choices: Sequence[IntEnum] = WALKING, *, name: str = "oracle") -> Sensor:
    """Return a privileged sensor: the next action of the shortest path, or of another good one.

    Args:
        action: Returns the action.
        choices: What it is one of.
        name: Name of the sensor.
    """
    names = tuple(choice.name.lower().replace("_", " ") for choice in choices)
    return Sensor(name=name, space=Choice(names=names), privileged=True, read=lambda views: np.int64(action()))
