"""Files of sound: what their headers promise, and the samples in them."""

import re
import warnings
from pathlib import Path

import numpy as np

from harken.errors import HarkenWarning, SoundError

__all__ = ["CONTAINER_SUFFIXES", "HIGHEST_RATE", "LOWEST_RATE", "check_recording", "read_recording"]

CONTAINER_SUFFIXES: tuple[str, ...] = (".m4a", ".mp4", ".aac", ".webm", ".mkv", ".mov", ".3gp")
"""Endings of the files whose first sound track FFmpeg reads; libsndfile reads all others."""

LOWEST_RATE: int = 2000
"""Lowest sample rate that a recording of sound can have [Hz]."""

HIGHEST_RATE: int = 384000
"""Highest sample rate that a recording of sound can have [Hz]."""

_SHORTEST = 0.05
# Encoders begin and end with up to two frames of padding, which some decoders give back and some do not.
_PADDING = 0.1


def check_recording(file: Path) -> int:
    """Return the number of samples that a file's header promises; of a film or m4a file, about so many.

    Args:
        file: The file.

    Raises:
        SoundError: There is no such file, it is empty, cannot be opened, has no sample rate or no sound track, or
            lasts less than 50 ms.
        HarkenWarning: A wave file ends early.
    """
    if not file.is_file():
        raise SoundError(f"No recording at {str(file)!r}: it is {'a folder' if file.is_dir() else 'not there'}.")
    if file.stat().st_size == 0:
        raise SoundError(f"{str(file)!r} is empty (0 bytes). Fetch it again or leave it out.")
    frames, rate = _container_header(file) if _is_container(file) else _header(file)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise SoundError(
            f"{str(file)!r} has a sample rate of {rate} Hz; expected {LOWEST_RATE} to {HIGHEST_RATE} Hz. "
            "Its header is corrupt, or it is no recording of sound."
        )
    if frames < _SHORTEST * rate:
        raise SoundError(
            f"{str(file)!r} lasts {1000 * frames / rate:.0f} ms ({frames} samples); "
            f"expected at least {1000 * _SHORTEST:.0f} ms of sound."
        )
    return frames


def read_recording(file: Path) -> tuple[np.ndarray, int]:
    """Read all samples of a recording.

    Args:
        file: The file.

    Returns:
        ``(n, channels)`` float32 with full scale 1, and the sample rate [Hz].

    Raises:
        SoundError: As `check_recording`; or the file is corrupt or cut off.
    """
    expected = check_recording(file)
    if _is_container(file):
        channels, rate = _read_container(file)
        expected -= round(_PADDING * rate)
    else:
        channels, rate = _read(file)
    if len(channels) < expected:
        raise SoundError(
            f"{str(file)!r} is cut off: its header promises {expected} samples, {len(channels)} can be read. "
            "Fetch it again or leave it out."
        )
    return channels, rate


def _is_container(file: Path) -> bool:
    return file.suffix.lower() in CONTAINER_SUFFIXES


def _header(file: Path) -> tuple[int, int]:
    import soundfile

    try:
        found = soundfile.info(file, verbose=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _unreadable(file, error) from error
    # Only libsndfile's log tells of a WAV file that ends early. Streams write 2³¹ and more, which promises nothing.
    sizes = re.search(r"data : (\d+) \(should be (\d+)\)", found.extra_info)
    if sizes and int(sizes[2]) < int(sizes[1]) < 2**31 - 1:
        warnings.warn(
            f"{str(file)!r} is cut off: its header promises {sizes[1]} bytes of sound, {sizes[2]} are there. "
            "What is there is used; fetch the file again to have all of it.",
            HarkenWarning,
            stacklevel=4,
        )
    return int(found.frames), int(found.samplerate)


def _read(file: Path) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        return soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _corrupt(file, error) from error


def _container_header(file: Path) -> tuple[int, int]:
    import av

    try:
        with av.open(str(file)) as container:
            if not container.streams.audio:
                raise SoundError(f"{str(file)!r} has no sound track. Leave it out, or fetch it with its sound.")
            track = container.streams.audio[0]
            if track.duration is not None and track.time_base is not None:
                seconds = float(track.duration * track.time_base)
            else:
                # A raw stream does not say how long it is; that it has something is found when it is read.
                seconds = container.duration / 1e6 if container.duration else _SHORTEST + _PADDING
            return round(seconds * track.rate), int(track.rate)
    except (av.error.FFmpegError, ValueError) as error:
        raise _unreadable(file, error) from error


def _read_container(file: Path) -> tuple[np.ndarray, int]:
    import av

    try:
        with av.open(str(file)) as container:
            resampler = av.AudioResampler(format="fltp")
            blocks = [
                block.to_ndarray()
                for frame in [*container.decode(audio=0), None]
                for block in resampler.resample(frame)
                if block.samples
            ]
            rate = int(container.streams.audio[0].rate)
    except (av.error.FFmpegError, ValueError) as error:
        raise _corrupt(file, error) from error
    if not blocks:
        raise SoundError(f"{str(file)!r} is corrupt (no sound can be decoded). Fetch it again or leave it out.")
    return np.concatenate(blocks, axis=1).T.astype(np.float32), rate


def _unreadable(file: Path, error: Exception) -> SoundError:
    return SoundError(
        f"{str(file)!r} cannot be read as audio ({error}). It is corrupt, or no {file.suffix.lower()} inside."
    )


def _corrupt(file: Path, error: Exception) -> SoundError:
    return SoundError(f"{str(file)!r} is corrupt ({error}). Fetch it again or leave it out.")
