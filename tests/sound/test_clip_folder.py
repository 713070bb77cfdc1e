import os
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harken.errors import ConfigurationError, HarkenWarning, SoundError
from harken.sound import ClipLibrary, load_clip
from harken.sound.level import CLIP_RMS, active_rms

DESKTOP = Path("/usr/share/sounds/freedesktop/stereo")
PROMPTS = Path("/usr/share/asterisk/sounds")


def tone(rate=16000, seconds=0.5, frequency=440.0, gain=0.5):
    return gain * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def put(path, samples=None, rate=16000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(rate) if samples is None else samples, rate, **options)
    return path


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_any_rate_is_brought_to_the_one_asked_for(tmp_path, suffix, rate):
    clip = load_clip(put(tmp_path / f"hum{suffix}", tone(rate), rate), level=None)
    assert (clip.rate, clip.name, clip.category, clip.split) == (16000, "hum", "hum", "all")
    assert clip.duration == pytest.approx(0.5, abs=1e-4)
    middle = slice(1000, 7000)  # away from the ends, where a resampler rings
    # 16-bit steps are 3e-5; soxr's high quality is good for 20 bits.
    np.testing.assert_allclose(clip.samples[middle], tone()[middle], atol=1e-4)


@pytest.mark.parametrize("suffix", [".ogg", ".oga"])
def test_ogg_is_read(tmp_path, suffix):
    clip = load_clip(put(tmp_path / f"hum{suffix}", format="OGG", subtype="VORBIS"))
    assert len(clip.samples) == 8000
    assert np.corrcoef(clip.samples, tone())[0, 1] > 0.99  # lossy


def test_what_lies_above_half_the_rate_is_gone(tmp_path):
    both = tone(48000) + tone(48000, frequency=11000.0)
    clip = load_clip(put(tmp_path / "a.wav", both, 48000, subtype="FLOAT"), level=None)
    np.testing.assert_allclose(clip.samples[1000:7000], tone()[1000:7000], atol=1e-4)


def test_channels_are_mixed_by_their_mean(tmp_path):
    channels = np.stack([tone(), 0.5 * tone(), 0 * tone()], axis=1)
    clip = load_clip(put(tmp_path / "a.wav", channels, subtype="FLOAT"), level=None)
    np.testing.assert_allclose(clip.samples, 0.5 * tone(), atol=1e-6)


def test_a_warning_tells_of_channels_that_cancel(tmp_path):
    channels = np.stack([tone(), -0.99 * tone()], axis=1)
    with pytest.warns(HarkenWarning, match="2 channels cancel; their mean is 46 dB below"):
        load_clip(put(tmp_path / "a.wav", channels, subtype="FLOAT"))


def test_channels_that_cancel_wholly_are_silent(tmp_path):
    path = put(tmp_path / "a.wav", np.stack([tone(), -tone()], axis=1), subtype="FLOAT")
    with pytest.warns(HarkenWarning, match="cancel"), pytest.raises(SoundError, match="silent"):
        load_clip(path)


@pytest.mark.parametrize("gain", [0.002, 0.1, 1.0, 20.0])
def test_recordings_are_brought_to_the_level_of_the_built_in_clips(tmp_path, gain):
    path = put(tmp_path / "a.wav", np.append(tone(gain=gain), np.zeros(8000)), subtype="FLOAT")
    folder = ClipLibrary.folder(tmp_path)
    for clip in (load_clip(path), folder.clip("a")):
        assert active_rms(clip.samples, clip.rate) == pytest.approx(CLIP_RMS, rel=1e-4)
    assert load_clip(path).samples.tobytes() == folder.clip("a").samples.tobytes()


def test_recordings_keep_their_level_on_request(tmp_path):
    path = put(tmp_path / "a.wav", tone(gain=0.5), subtype="FLOAT")
    for clip in (load_clip(path, level=None), ClipLibrary.folder(tmp_path, level=None).clip("a")):
        assert np.abs(clip.samples).max() == pytest.approx(0.5, rel=1e-4)
    assert active_rms(load_clip(path, level=0.02).samples, 16000) == pytest.approx(0.02, rel=1e-4)
    for level in (0.0, -1.0, np.nan, "loud", 1e38):
        with pytest.raises(ConfigurationError, match="level of a clip"):
            load_clip(path, level=level)


def test_no_damaged_byte_of_an_ogg_file_shortens_it_silently(tmp_path):
    whole = put(tmp_path / "a.ogg", tone(seconds=1.0), format="OGG", subtype="VORBIS").read_bytes()
    # Wherever a page is hit: its number and checksum, the table of segments, and what is encoded, the last page's too.
    for at in [*range(0, len(whole), 97), *range(len(whole) - 200, len(whole), 7)]:
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        (tmp_path / "b.ogg").write_bytes(damaged)
        with pytest.raises(SoundError, match=r"b\.ogg"):
            load_clip(tmp_path / "b.ogg")


def test_an_ogg_file_that_lacks_its_last_pages_is_told(tmp_path):
    whole = put(
        tmp_path / "a.ogg", np.random.default_rng(0).uniform(-0.3, 0.3, 64000), format="OGG", subtype="VORBIS"
    ).read_bytes()
    last = whole.rindex(b"OggS")
    (tmp_path / "b.ogg").write_bytes(whole[:last])
    with pytest.warns(HarkenWarning, match="no mark of its end"):
        assert 0 < len(load_clip(tmp_path / "b.ogg").samples) < 64000
    pages = [i for i in range(len(whole)) if whole.startswith(b"OggS", i)]
    missing = whole[: pages[2]] + whole[pages[3] :]
    (tmp_path / "c.ogg").write_bytes(missing)
    with pytest.raises(SoundError, match="page is missing"):
        load_clip(tmp_path / "c.ogg")


def test_a_header_that_promises_more_than_memory_is_refused(tmp_path):
    content = bytearray(put(tmp_path / "a.flac").read_bytes())
    # STREAMINFO keeps the number of samples in 36 bits, the lower 32 from byte 22 on.
    content[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(SoundError, match="promises 4294967295 samples in 1 channels"):
        load_clip(tmp_path / "a.flac")


@pytest.mark.parametrize("path", [None, b"a.wav", 3, "", "a\0b", "a" * 5000])
def test_what_is_no_path_is_refused(path):
    for call in (load_clip, ClipLibrary.folder):
        with pytest.raises((ConfigurationError, SoundError)):
            call(path)


def test_a_named_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(SoundError, match="no regular file"):
        load_clip(tmp_path / "a.wav")


def cut_off(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def with_rate_zero(path):
    content = put(path).read_bytes()
    path.write_bytes(content[:24] + struct.pack("<I", 0) + content[28:])


def damaged(path):
    content = bytearray(put(path, np.random.default_rng(0).uniform(-1, 1, 16000)).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = bytes(300)
    path.write_bytes(content)


BAD_FILES = {
    "empty": ("a.wav", lambda path: path.write_bytes(b""), r"empty \(0 bytes\)"),
    "no audio inside": ("a.wav", lambda path: path.write_bytes(b"not a sound " * 50), "cannot be read as audio"),
    "damaged": ("a.flac", damaged, "corrupt"),
    "cut off": ("a.ogg", lambda path: cut_off(put(path), 0.5), "cannot be read as audio|corrupt|cut off"),
    "rate zero": ("a.wav", with_rate_zero, "cannot be read as audio|sample rate of 0"),
    "rate too low": ("a.wav", lambda path: put(path, rate=100), "sample rate of 100 Hz"),
    "no samples": ("a.wav", lambda path: put(path, np.zeros(0)), r"lasts 0 ms \(0 samples\)"),
    "too short": ("a.wav", lambda path: put(path, tone(seconds=0.049)), "lasts 49 ms"),
    "silent": ("a.wav", lambda path: put(path, np.zeros(8000)), "silent"),
    "last bits only": ("a.wav", lambda path: put(path, tone(gain=5e-5), subtype="FLOAT"), "silent"),
    "NaN": ("a.wav", lambda path: put(path, np.full(8000, np.nan), subtype="FLOAT"), "8000 of 8000 samples are NaN"),
    "infinite": ("a.wav", lambda path: put(path, np.append(tone(), np.inf), subtype="FLOAT"), "1 of 8001 samples"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_recordings_are_refused(tmp_path, case):
    name, make, message = BAD_FILES[case]
    make(tmp_path / name)
    with pytest.raises(SoundError, match=message):
        load_clip(tmp_path / name)
    with pytest.raises(SoundError, match=message):
        ClipLibrary.folder(tmp_path).clip("a")


@pytest.mark.parametrize("case", ["empty", "no audio inside", "rate zero", "too short"])
def test_a_folder_finds_at_once_what_cannot_be_opened(tmp_path, case):
    name, make, message = BAD_FILES[case]
    put(tmp_path / "good.wav")
    make(tmp_path / name)
    with pytest.raises(SoundError, match=message):
        ClipLibrary.folder(tmp_path)


def test_a_warning_tells_of_a_wave_file_that_ends_early(tmp_path):
    cut_off(put(tmp_path / "a.wav"), 0.5)
    with pytest.warns(HarkenWarning, match="promises 16000 bytes of sound, 7978 are there"):
        assert len(load_clip(tmp_path / "a.wav").samples) == 3989


def test_missing_recordings_and_folders_are_refused(tmp_path):
    put(tmp_path / "a.wav")
    with pytest.raises(SoundError, match="not there"):
        load_clip(tmp_path / "b.wav")
    with pytest.raises(SoundError, match="a folder"):
        load_clip(tmp_path)
    with pytest.raises(SoundError, match="not there"):
        ClipLibrary.folder(tmp_path / "sounds")
    with pytest.raises(SoundError, match="use load_clip"):
        ClipLibrary.folder(tmp_path / "a.wav")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "notes.txt").write_text("no sound")
    with pytest.raises(SoundError, match="No recording in"):
        ClipLibrary.folder(tmp_path / "sub")


def test_bad_rate_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigurationError, match="sample rate is 0"):
        load_clip(put(tmp_path / "a.wav"), 0)


def test_split_folders_give_splits_and_names_give_categories(tmp_path):
    for split in ("train", "val", "test"):
        for category in ("chair", "tv_monitor"):
            put(tmp_path / split / f"{category}.wav")
    library = ClipLibrary.folder(tmp_path)
    assert list(library) == [
        f"{split}/{category}" for split in ("test", "train", "val") for category in ("chair", "tv_monitor")
    ]
    assert library.categories == ("chair", "tv_monitor")
    assert library.names(split="val") == ("val/chair", "val/tv_monitor")
    assert library.clip("val/chair").split == "val"
    assert library.clip("val/chair").category == "chair"


@pytest.mark.parametrize(
    ("file", "category", "split"),
    [
        ("train/chair/a17.wav", "chair", "train"),
        ("chair/train/a17.wav", "chair", "train"),
        ("Validation/dog_12.flac", "dog", "val"),
        ("valid/dog.wav", "dog", "val"),
        ("test/animals/dog/3.wav", "dog", "test"),
        ("dog 3.wav", "dog", "all"),
        ("42.wav", "42", "all"),
        ("noise/LOUD.WAV", "noise", "all"),
    ],
)
def test_category_and_split_come_from_the_path(tmp_path, file, category, split):
    put(tmp_path / file)
    put(tmp_path / "train" / "other.wav")  # a split folder, so that nothing is dealt out
    entry = ClipLibrary.folder(tmp_path).entry(file.rsplit(".", 1)[0])
    assert (entry.category, entry.split) == (category, split)


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """A folder like SoundSpaces' sounds/1s_all: 102 recordings side by side, the telephone among them."""
    folder = tmp_path_factory.mktemp("1s_all")
    put(folder / "telephone.wav")
    for k in range(102):
        (folder / f"person_{k}.wav").write_bytes((folder / "telephone.wav").read_bytes())
    return folder


def test_a_flat_folder_is_dealt_out_like_the_sounds_of_soundspaces(flat):
    library = ClipLibrary.folder(flat)
    assert Counter(library.entry(name).split for name in library) == {"train": 73, "val": 11, "test": 18, "all": 1}
    assert library.names(split="all") == ("telephone",)
    assert library.names(split="test") == ClipLibrary.folder(flat, 44100).names(split="test")
    assert library.names(split="test") != tuple(sorted(f"person_{k}" for k in range(84, 102)))


def test_other_shares_can_be_asked_for(flat):
    assert ClipLibrary.folder(flat, shares=None).splits == ("all",)
    half = ClipLibrary.folder(flat, shares=(1, 0, 1))
    assert (len(half.names(split="train")), half.splits) == (51, ("train", "test", "all"))
    for shares in ((1, 2), (-1, 1, 1), (0, 0, 0)):
        with pytest.raises(ConfigurationError, match="expected three numbers"):
            ClipLibrary.folder(flat, shares=shares)


def test_three_recordings_are_enough_for_three_splits_and_two_are_not(tmp_path):
    for name in "ab":
        put(tmp_path / f"{name}.wav")
    assert ClipLibrary.folder(tmp_path).splits == ("all",)
    put(tmp_path / "c.wav")
    assert ClipLibrary.folder(tmp_path).splits == ("train", "val", "test")


def test_hidden_files_are_passed_over(tmp_path):
    put(tmp_path / "a.wav")
    (tmp_path / "._a.wav").write_bytes(b"resource fork")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "b.wav").write_bytes(b"")
    assert list(ClipLibrary.folder(tmp_path)) == ["a"]


def test_two_recordings_of_one_name_are_refused(tmp_path):
    put(tmp_path / "a.wav")
    put(tmp_path / "a.flac")
    with pytest.raises(SoundError, match="more than one is called a"):
        ClipLibrary.folder(tmp_path)


@pytest.mark.skipif(not DESKTOP.is_dir(), reason="needs the Debian package sound-theme-freedesktop")
def test_desktop_sounds_are_read():
    library, as_recorded = ClipLibrary.folder(DESKTOP), ClipLibrary.folder(DESKTOP, level=None)
    assert set(library.splits) == {"train", "val", "test"}
    for name in library:
        clip = library.clip(name)
        assert clip.rate == 16000
        assert active_rms(clip.samples, clip.rate) == pytest.approx(CLIP_RMS, rel=1e-4)
        assert np.abs(as_recorded.clip(name).samples).max() < 1.5


@pytest.mark.skipif(not PROMPTS.is_dir(), reason="needs the Debian package asterisk-core-sounds-en-wav")
def test_recorded_silence_is_told_from_recorded_speech():
    library = ClipLibrary.folder(PROMPTS)
    silent = [name for name in library if library.entry(name).category == "silence"]
    assert silent
    with pytest.raises(SoundError, match="silent"):
        library.clip(silent[0])
    for name in library.names(category="digits"):
        assert library.clip(name).normalised().duration > 0.05
