"""Files of sound: what their headers promise, and the samples in them."""

import itertools
import re
import warnings
import zlib
from pathlib import Path

import numpy as np

from harken.errors import HarkenWarning, SoundError

__all__ = ["CONTAINER_SUFFIXES", "HIGHEST_RATE", "LOWEST_RATE", "MOST_SAMPLES", "check_recording", "read_recording"]

CONTAINER_SUFFIXES: tuple[str, ...] = (".m4a", ".mp4", ".aac", ".webm", ".mkv", ".mov", ".3gp")
"""Endings of the files whose first sound track FFmpeg reads; libsndfile reads all others."""

LOWEST_RATE: int = 2000
"""Lowest sample rate that a recording of sound can have [Hz]."""

HIGHEST_RATE: int = 384000
"""Highest sample rate that a recording of sound can have [Hz]."""

MOST_SAMPLES: int = 2**28
"""Most samples of a recording, all channels together: 1 GB of memory, an hour and a half of mono at 48 kHz."""

_SHORTEST = 0.05
# Encoders begin and end with up to two frames of padding, which some decoders give back and some do not.
_PADDING = 0.1

# What decoders raise on damaged files, besides their own errors.
_DAMAGED = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, OSError, MemoryError)

_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_recording(file: Path) -> int:
    """Return the number of samples that a file's header promises; of a film or m4a file, about so many.

    Args:
        file: The file.

    Raises:
        SoundError: There is no such file, it is empty, cannot be opened, has no sample rate or no sound track, lasts
            less than 50 ms, or holds more than `MOST_SAMPLES`.
        HarkenWarning: A wave file ends early.
    """
    try:
        size = file.stat().st_size if file.is_file() else -1
    except (OSError, ValueError) as error:
        raise SoundError(f"No recording at {str(file)!r}: {error}.") from error
    if size < 0:
        kind = "a folder" if file.is_dir() else "no regular file" if file.exists() else "not there"
        raise SoundError(f"No recording at {str(file)!r}: it is {kind}.")
    if size == 0:
        raise SoundError(f"{str(file)!r} is empty (0 bytes). Fetch it again or leave it out.")
    frames, channels, rate = _container_header(file) if _is_container(file) else _header(file)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise SoundError(
            f"{str(file)!r} has a sample rate of {rate} Hz; expected {LOWEST_RATE} to {HIGHEST_RATE} Hz. "
            "Its header is corrupt, or it is not a recording of sound."
        )
    if frames < _SHORTEST * rate:
        raise SoundError(
            f"{str(file)!r} lasts {1000 * frames / rate:.0f} ms ({frames} samples); "
            f"expected at least {1000 * _SHORTEST:.0f} ms of sound."
        )
    if frames * channels > MOST_SAMPLES:
        raise SoundError(
            f"{str(file)!r} promises {frames} samples in {channels} channels; expected at most {MOST_SAMPLES} in all. "
            "Divide the recording, or fetch it again if it should be shorter."
        )
    return frames


def read_recording(file: Path) -> tuple[np.ndarray, int]:
    """Read all samples of a recording.

    Args:
        file: The file.

    Returns:
        ``(n, channels)`` float32 with full scale 1, and the sample rate [Hz].

    Raises:
        SoundError: As `check_recording`; or the file is corrupt or cut off. Checksums of FLAC and Ogg files are
            compared; wrong bits go unnoticed in WAV and MP3 files.
    """
    expected = check_recording(file)
    if _is_container(file):
        channels, rate = _read_container(file)
        expected -= round(_PADDING * rate)
    else:
        _check_ogg(file)
        channels, rate = _read(file)
    if len(channels) < expected:
        raise SoundError(
            f"{str(file)!r} is cut off: its header promises {expected} samples, {len(channels)} can be read. "
            "Fetch it again or leave it out."
        )
    return channels, rate


def _is_container(file: Path) -> bool:
    return file.suffix.lower() in CONTAINER_SUFFIXES


def _check_ogg(file: Path) -> None:
    """Refuse an Ogg file (RFC 3533) with a damaged page: decoders pass over it and give what is left.

    A page begins with "OggS" and holds its flags, number and checksum, a table of segment lengths, and the segments.
    """
    data = file.read_bytes()
    if not data.startswith(b"OggS"):
        return
    at, ended, numbers = 0, set(), {}
    while at < len(data):
        head = data[at : at + 27]
        table = data[at + 27 : at + 27 + head[26]] if len(head) == 27 else b""
        end = at + 27 + len(table) + sum(table)
        if not head.startswith(b"OggS") or len(table) < head[26] or end > len(data):
            raise _corrupt(file, f"the Ogg page at byte {at} of {len(data)} is damaged or cut off")
        page = head[:22] + bytes(4) + head[26:] + data[at + 27 : end]
        serial, number = head[14:18], int.from_bytes(head[18:22], "little")
        if _ogg_checksum(page) != int.from_bytes(head[22:26], "little"):
            raise _corrupt(file, f"the Ogg page at byte {at} of {len(data)} has another checksum")
        if number != numbers.get(serial, number - 1) + 1:
            raise _corrupt(file, f"an Ogg page is missing before byte {at} of {len(data)}")
        numbers[serial] = number
        if head[5] & 4:
            ended.add(serial)
        at = end
    if ended != set(numbers):
        warnings.warn(
            f"{str(file)!r} has no mark of its end, so it may be cut off. What is there is used.",
            HarkenWarning,
            stacklevel=4,
        )


def _ogg_checksum(page: bytes) -> int:
    """Return the CRC of a page whose checksum is zeroed: zlib's polynomial, but with the highest bit of bytes first."""
    mirrored = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _header(file: Path) -> tuple[int, int, int]:
    import soundfile

    try:
        info = soundfile.info(file, verbose=True)
    except (soundfile.SoundFileError, *_DAMAGED) as error:
        raise _unreadable(file, error) from error
    # Only libsndfile's log reports a WAV file that ends early. Streams write 2³¹ and more, which promises nothing.
    sizes = re.search(r"data : (\d+) \(should be (\d+)\)", info.extra_info)
    if sizes and int(sizes[2]) < int(sizes[1]) < 2**31 - 1:
        warnings.warn(
            f"{str(file)!r} is cut off: its header promises {sizes[1]} bytes of sound, {sizes[2]} are there. "
            "What is there is used; fetch the file again to have all of it.",
            HarkenWarning,
            stacklevel=4,
        )
    return int(info.frames), int(info.channels), int(info.samplerate)


def _read(file: Path) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        return soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, *_DAMAGED) as error:
        raise _corrupt(file, error) from error


def _container_header(file: Path) -> tuple[int, int, int]:
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
            return round(seconds * track.rate), int(track.channels), int(track.rate)
    except (av.error.FFmpegError, *_DAMAGED) as error:
        raise _unreadable(file, error) from error


def _read_container(file: Path) -> tuple[np.ndarray, int]:
    import av

    try:
        with av.open(str(file)) as container:
            resampler, blocks, count = av.AudioResampler(format="fltp"), [], 0
            for frame in itertools.chain(container.decode(audio=0), [None]):
                new = [block.to_ndarray() for block in resampler.resample(frame) if block.samples]
                count += sum(block.size for block in new)
                blocks += new
                if count > MOST_SAMPLES:
                    raise SoundError(
                        f"{str(file)!r} holds more than {MOST_SAMPLES} samples in all its channels. Divide it."
                    )
            rate = int(container.streams.audio[0].rate)
    except (av.error.FFmpegError, *_DAMAGED) as error:
        raise _corrupt(file, error) from error
    if not blocks:
        raise SoundError(f"{str(file)!r} is corrupt (no sound can be decoded). Fetch it again or leave it out.")
    return np.concatenate(blocks, axis=1).T.astype(np.float32), rate


def _unreadable(file: Path, error: Exception) -> SoundError:
    return SoundError(
        f"{str(file)!r} cannot be read as audio ({error}). It is corrupt, or no {file.suffix.lower()} inside."
    )


def _corrupt(file: Path, error: Exception | str) -> SoundError:
    return SoundError(f"{str(file)!r} is corrupt ({error}). Fetch it again or leave it out.")
