"""Write what an agent saw and heard as a video that any player opens."""

import io
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from harken.errors import ConfigurationError, HarkenWarning, MissingDependencyError, SoundError

__all__ = ["encode_audio", "write_video"]

_BLOCK = 1024
# From 0.95 on the AAC encoder turns down one ear alone to keep it from clipping.
_LOUDEST = 0.9
_VIDEO_ENCODERS = ("libx264", "libopenh264")
# Encoders save bits by mixing the ears or inventing noise, which destroys the cues of binaural sound.
_EARS_APART = {"aac": {"aac_ms": "0", "aac_is": "0", "aac_pns": "0"}, "libmp3lame": {"joint_stereo": "0"}}


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    frame_rate: float,
    audio: np.ndarray | None = None,
    audio_rate: int | None = None,
    *,
    preset: Literal["medium", "veryfast"] = "veryfast",
) -> None:
    """Write frames and binaural sound as an MP4 file (H.264, AAC stereo), in step with each other.

    The file appears whole or not at all. Images of odd size repeat their last row or column, as H.264 halves the
    resolution of colour. Sound louder than ±0.9 is turned down as a whole so that nothing clips. Ears are coded apart.

    Args:
        path: File to write, ending in .mp4; its folder is made.
        frames: Images ``(h, w, 3)`` uint8, all of one size; an iterator is consumed one by one.
        frame_rate: Images per second [Hz], 0.05–240; a step of 0.25 s is 4.
        audio: ``(2, n)`` sound, left first; None for a silent video.
        audio_rate: Sampling rate of `audio` [Hz].
        preset: How long x264 looks for a smaller file; "medium" takes twice the time for some two per cent less.

    Raises:
        ConfigurationError: There are no frames, they are no images of one size, or a rate is out of range.
        SoundError: `audio` is not stereo, is empty or holds NaN.
        MissingDependencyError: PyAV comes without an H.264 or AAC encoder.

    Warns:
        HarkenWarning: Sound and images differ in length by more than one frame.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise ConfigurationError(f"The video would be called {path.name!r}; expected a name that ends in .mp4.")
    if not 0.05 <= frame_rate <= 240.0:
        raise ConfigurationError(f"frame_rate is {frame_rate!r} Hz; expected 0.05–240, the inverse of a step's length.")
    track = None if audio is None else _track(audio, audio_rate, "aac")
    images = _even_images(frames)
    first = next(images, None)
    if first is None:
        raise ConfigurationError("There are no frames to write; a video needs at least one.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.mp4")
    try:
        seconds = _mux(partial, first, images, Fraction(frame_rate).limit_denominator(1000), track, preset)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if track is not None and abs(track[0].shape[1] / track[1] - seconds) > 1.001 / frame_rate:
        warnings.warn(
            f"{path.name}: the sound lasts {track[0].shape[1] / track[1]:.3f} s and the images {seconds:.3f} s. "
            "Check audio_rate and frame_rate.",
            HarkenWarning,
            stacklevel=2,
        )


def encode_audio(audio: np.ndarray, audio_rate: int) -> bytes:
    """Return binaural sound as an MP3 file: every browser plays it, those without patented decoders included.

    Args:
        audio: ``(2, n)`` sound, left first; louder than ±0.9 is turned down as a whole. Ears are coded apart.
        audio_rate: Sampling rate [Hz].

    Returns:
        The bytes of the file, about 12 kB for each second at 16 kHz.

    Raises:
        SoundError: `audio` is not stereo, is empty or holds NaN.
        ConfigurationError: The rate is not valid.
        MissingDependencyError: PyAV comes without an MP3 encoder.
    """
    import av

    samples, rate = _track(audio, audio_rate, "libmp3lame")
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = _audio_stream(container, rate, "libmp3lame")
        for start in range(0, samples.shape[1], _BLOCK):
            container.mux(stream.encode(_sound_frame(av, samples, rate, start)))
        container.mux(stream.encode(None))
    return file.getvalue()


def _mux(
    path: Path,
    first: np.ndarray,
    rest: Iterator[np.ndarray],
    rate: Fraction,
    track: tuple[np.ndarray, int] | None,
    preset: str,
) -> float:
    """Write the file and return how long the images last [s]."""
    import av

    encoder = _encoder(av, _VIDEO_ENCODERS).name
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = _video_stream(container, encoder, rate, first.shape, preset)
        sound = None if track is None else _audio_stream(container, track[1], "aac")
        count = position = 0
        image: np.ndarray | None = first
        while image is not None:
            container.mux(video.encode(_picture(av, image, count, rate)))
            count += 1
            if track is not None and sound is not None:
                # Sound follows the images closely, so that the muxer need not hold a whole stream back.
                position = _feed(av, container, sound, track, position, float(count / rate))
            image = next(rest, None)
        container.mux(video.encode(None))
        if track is not None and sound is not None:
            _feed(av, container, sound, track, position, math.inf)
            container.mux(sound.encode(None))
    return float(count / rate)


def _feed(av: ModuleType, container: Any, stream: Any, track: tuple[np.ndarray, int], start: int, until: float) -> int:
    """Encode blocks of sound from sample `start` up to the time `until` and return the next sample."""
    samples, rate = track
    while start < samples.shape[1] and start / rate < until:
        container.mux(stream.encode(_sound_frame(av, samples, rate, start)))
        start += _BLOCK
    return start


def _encoder(av: ModuleType, names: tuple[str, ...]) -> Any:
    """Return the first encoder of `names` that this build of PyAV has."""
    for name in names:
        try:
            return av.codec.Codec(name, "w")
        except ValueError:
            continue
    raise MissingDependencyError(
        f"This build of PyAV has no encoder {' or '.join(names)}. "
        "Install the wheel from PyPI: `pip install --force-reinstall --only-binary=:all: av`."
    )


def _video_stream(container: Any, encoder: str, rate: Fraction, shape: tuple[int, ...], preset: str) -> Any:
    options = {"preset": preset, "crf": "20", "tune": "animation"} if encoder == "libx264" else {}
    if encoder == "libx264":
        # Without it x264's choices differ between processors, and now and then between runs on one.
        options["x264-params"] = "cpu-independent=1"
    stream = container.add_stream(encoder, rate=rate, options=options)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    # A key frame every two seconds keeps seeking quick; one thread keeps the bytes the same on every machine.
    context.gop_size = max(1, round(2 * rate))
    context.thread_count = 1
    return stream


def _audio_stream(container: Any, rate: int, encoder: str) -> Any:
    stream = container.add_stream(encoder, rate=rate, layout="stereo", options=dict(_EARS_APART[encoder]))
    stream.bit_rate = min(192_000, 6 * rate)
    return stream


def _picture(av: ModuleType, image: np.ndarray, index: int, rate: Fraction) -> Any:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    frame.pts, frame.time_base = index, 1 / rate
    return frame


def _sound_frame(av: ModuleType, samples: np.ndarray, rate: int, start: int) -> Any:
    block = np.ascontiguousarray(samples[:, start : start + _BLOCK])
    frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
    return frame


def _even_images(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the images padded to even sizes; the first sets the size of all."""
    expected: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        image = np.asarray(frame)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < 2:
            raise ConfigurationError(
                f"Frame {index} is {image.dtype} {image.shape}; expected uint8 (height, width, 3) of 2 pixels or more."
            )
        expected = expected or image.shape
        if image.shape != expected:
            raise ConfigurationError(f"Frame {index} has shape {image.shape}; the first has {expected}. Use one size.")
        height, width = image.shape[:2]
        yield np.ascontiguousarray(np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))


def _track(audio: np.ndarray, audio_rate: int | None, encoder: str) -> tuple[np.ndarray, int]:
    """Return sound in the form that `encoder` takes, and its rate."""
    import av

    samples = np.asarray(audio, np.float32)
    if samples.ndim != 2 or samples.shape[0] != 2 or samples.shape[1] == 0:
        raise SoundError(f"The sound has shape {samples.shape}; expected (2, samples), left first.")
    if not np.isfinite(samples).all():
        bad = np.argwhere(~np.isfinite(samples))[0]
        raise SoundError(
            f"The sound is NaN or infinite, first at channel {bad[0]}, sample {bad[1]}. Nothing was written."
        )
    if audio_rate is None or not 1000 <= audio_rate <= 768_000 or int(audio_rate) != audio_rate:
        raise ConfigurationError(f"audio_rate is {audio_rate!r} Hz; expected the whole sampling rate of the sound.")
    rate = int(audio_rate)
    supported = _encoder(av, (encoder,)).audio_rates or [rate]
    if rate not in supported:
        import soxr

        nearest = min((r for r in supported if r >= rate), default=max(supported))
        samples, rate = np.ascontiguousarray(soxr.resample(samples.T, rate, nearest).T), nearest
    return samples * np.float32(min(1.0, _LOUDEST / max(float(np.abs(samples).max()), 1e-9))), rate
