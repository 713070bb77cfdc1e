import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import harken.envs.video as module
from harken.envs.video import encode_audio, write_video
from harken.errors import ConfigurationError, HarkenWarning, MissingDependencyError, SoundError

RATE = 16000


def images(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Flat images, each of its own colour."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0], frames[..., 1] = 180, 60
    frames[..., 2] = np.linspace(20, 220, count, dtype=np.uint8)[:, None, None]
    return frames


def noise(seconds: float, rate: int = RATE, level: float = 0.1) -> np.ndarray:
    return np.float32(level * np.random.default_rng(0).normal(size=(2, round(seconds * rate))))


def read(path: Path) -> dict:
    import av

    with av.open(str(path)) as file:
        video = file.streams.video[0]
        result = {
            "format": (video.codec_context.name, video.codec_context.pix_fmt),
            "rate": video.average_rate,
            "video_seconds": float(video.duration * video.time_base),
            "streams": len(file.streams),
        }
        if file.streams.audio:
            audio = file.streams.audio[0]
            result |= {
                "audio": (audio.codec_context.name, audio.codec_context.layout.name, audio.rate),
                "audio_seconds": float(audio.duration * audio.time_base),
                "starts": (video.start_time, audio.start_time),
            }
        frames = list(file.decode(video=0))
        result["times"] = [float(frame.time) for frame in frames]
        result["frames"] = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    with av.open(str(path)) as file:
        if file.streams.audio:
            result["samples"] = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    return result


@pytest.mark.parametrize(
    ("frame_rate", "count", "rate"), [(4.0, 20, 16000), (1.0, 5, 44100), (30.0, 45, 48000), (1 / 0.3, 10, 16000)]
)
def test_frames_and_sound_come_back_in_step(tmp_path, frame_rate, count, rate):
    path, frames = tmp_path / "deep" / "walk.mp4", images(count)
    write_video(path, iter(frames), frame_rate, noise(count / frame_rate, rate), rate)
    back = read(path)
    assert back["format"] == ("h264", "yuv420p")
    assert back["audio"] == ("aac", "stereo", rate)
    assert back["frames"].shape == frames.shape
    assert back["times"] == pytest.approx(np.arange(count) / frame_rate, abs=1e-4)
    assert back["video_seconds"] == pytest.approx(count / frame_rate, abs=1e-3)
    assert abs(back["audio_seconds"] - back["video_seconds"]) < 1 / frame_rate
    assert back["starts"] == (0, 0)
    # 8-bit YUV rounds each channel to about one part in 219; the quantiser at this quality adds a shade or two.
    assert np.abs(back["frames"].astype(int) - frames).max() <= 5
    assert [p.name for p in path.parent.iterdir()] == ["walk.mp4"]


def test_sound_arrives_when_it_was_heard(tmp_path):
    audio = noise(5.0)
    write_video(tmp_path / "walk.mp4", images(20), 4.0, audio, RATE)
    heard = read(tmp_path / "walk.mp4")["samples"]
    for channel in range(2):
        match = np.correlate(heard[channel, 20000:30000], audio[channel, 22000:26000], "valid")
        assert int(match.argmax()) == 2000


@pytest.mark.parametrize("silent", [0, 1])
def test_sound_at_one_ear_stays_at_that_ear(tmp_path, silent):
    audio = noise(2.0)
    audio[silent] = 0.0
    write_video(tmp_path / "walk.mp4", images(8), 4.0, audio, RATE)
    energy = (read(tmp_path / "walk.mp4")["samples"].astype(np.float64) ** 2).sum(1)
    assert energy[1 - silent] > 100 * energy[silent]


def test_level_difference_and_coherence_between_the_ears_survive(tmp_path):
    audio = noise(4.0)
    audio[1] = 0.25 * audio[0]
    write_video(tmp_path / "walk.mp4", images(16), 4.0, audio, RATE)
    heard = read(tmp_path / "walk.mp4")["samples"][:, : audio.shape[1]].astype(np.float64)
    energy = (heard**2).sum(1)
    assert 10 * np.log10(energy[0] / energy[1]) == pytest.approx(12.04, abs=0.3)
    assert np.corrcoef(heard)[0, 1] > 0.95


def test_loud_sound_is_turned_down_as_a_whole_and_quiet_sound_left_alone(tmp_path):
    tone = np.sin(np.arange(2 * RATE) * 0.3, dtype=np.float32)
    for level, expected in ((4.0, (0.9, 0.45)), (0.1, (0.1, 0.05))):
        write_video(tmp_path / "walk.mp4", images(8), 4.0, level * np.stack([tone, tone / 2]), RATE)
        heard = read(tmp_path / "walk.mp4")["samples"][:, 4000:28000].astype(np.float64)
        assert np.sqrt(2 * (heard**2).mean(1)) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (33, 17), (2, 3)])
def test_odd_sizes_repeat_their_last_row_or_column(tmp_path, height, width):
    frames = images(4, height, width)
    write_video(tmp_path / "walk.mp4", frames, 4.0)
    back = read(tmp_path / "walk.mp4")["frames"]
    assert back.shape == (4, height + height % 2, width + width % 2, 3)
    assert np.abs(back[:, -1, -1].astype(int) - frames[:, -1, -1]).max() <= 5


def test_silent_video_has_no_sound_and_one_frame_is_enough(tmp_path):
    write_video(tmp_path / "still.mp4", images(1), 4.0)
    back = read(tmp_path / "still.mp4")
    assert back["streams"] == 1
    assert len(back["frames"]) == 1
    assert back["video_seconds"] == pytest.approx(0.25, abs=1e-3)


def test_rates_that_the_codec_lacks_are_resampled(tmp_path):
    rate = 10_000
    audio = np.tile(np.sin(2 * np.pi * 1000 * np.arange(2 * rate) / rate, dtype=np.float32) / 2, (2, 1))
    write_video(tmp_path / "walk.mp4", images(8), 4.0, audio, rate)
    back = read(tmp_path / "walk.mp4")
    spectrum = np.abs(np.fft.rfft(back["samples"][0, :16384]))
    assert back["audio_seconds"] == pytest.approx(2.0, abs=0.01)
    assert spectrum.argmax() * back["audio"][2] / 16384 == pytest.approx(1000, abs=2)


def test_same_sound_gives_the_same_bytes():
    assert encode_audio(noise(0.5), RATE) == encode_audio(noise(0.5), RATE)


def test_one_frame_more_than_sound_is_normal_but_more_is_suspicious(tmp_path):
    write_video(tmp_path / "walk.mp4", images(9), 4.0, noise(2.0), RATE)
    with pytest.warns(HarkenWarning, match=r"sound lasts 2\.000 s and the images 5\.000 s"):
        write_video(tmp_path / "walk.mp4", images(20), 4.0, noise(2.0), RATE)


def bad_sound(value: float) -> np.ndarray:
    audio = noise(1.0)
    audio[1, 77] = value
    return audio


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"frames": []}, ConfigurationError, "no frames"),
        ({"frames": [np.zeros((48, 64), np.uint8)]}, ConfigurationError, "Frame 0 is uint8"),
        ({"frames": [np.zeros((48, 64, 4), np.uint8)]}, ConfigurationError, "Frame 0"),
        ({"frames": [np.zeros((48, 64, 3))]}, ConfigurationError, "float64"),
        ({"frames": [np.zeros((1, 64, 3), np.uint8)]}, ConfigurationError, "2 pixels"),
        ({"frames": [*images(2), *images(1, 50)]}, ConfigurationError, "Frame 2 has shape"),
        ({"frame_rate": 0.0}, ConfigurationError, "frame_rate is 0.0"),
        ({"frame_rate": float("nan")}, ConfigurationError, "frame_rate is nan"),
        ({"frame_rate": 1000.0}, ConfigurationError, "frame_rate is 1000"),
        ({"path": "walk.avi"}, ConfigurationError, "ends in .mp4"),
        ({"audio": noise(1.0)[0]}, SoundError, r"\(16000,\)"),
        ({"audio": noise(1.0).T}, SoundError, r"\(16000, 2\)"),
        ({"audio": np.zeros((2, 0), np.float32)}, SoundError, r"\(2, 0\)"),
        ({"audio": bad_sound(np.nan)}, SoundError, "channel 1, sample 77"),
        ({"audio": bad_sound(np.inf)}, SoundError, "infinite"),
        ({"audio_rate": None}, ConfigurationError, "audio_rate is None"),
        ({"audio_rate": 0}, ConfigurationError, "audio_rate is 0"),
        ({"audio_rate": 22050.5}, ConfigurationError, "audio_rate is 22050.5"),
    ],
)
def test_bad_input_is_refused_and_leaves_no_file(tmp_path, arguments, error, words):
    given = {"frames": images(4), "frame_rate": 4.0, "audio": noise(1.0), "audio_rate": RATE, **arguments}
    path = tmp_path / given.pop("path", "walk.mp4")
    with pytest.raises(error, match=words):
        write_video(path, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_keeps_the_old_file(tmp_path):
    path = tmp_path / "walk.mp4"
    write_video(path, images(4), 4.0)
    before = path.read_bytes()

    def frames():
        yield from images(30)
        raise RuntimeError("camera unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        write_video(path, frames(), 4.0)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["walk.mp4"]


def test_a_build_without_the_encoder_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("harken.envs.video._VIDEO_ENCODERS", ("no_such_encoder",))
    with pytest.raises(MissingDependencyError, match=r"no encoder no_such_encoder.*pip install"):
        write_video(tmp_path / "walk.mp4", images(4), 4.0)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_module_does_not_import_pyav():
    code = "import sys, runpy; runpy.run_path(sys.argv[1]); assert 'av' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, module.__file__], check=True)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_encoded_sound_is_stereo_of_the_same_length_and_place(rate):
    import av

    audio = noise(1.5, rate)
    audio[1] = 0.0
    with av.open(io.BytesIO(encode_audio(audio, rate))) as file:
        frames = list(file.decode(audio=0))
    heard = np.concatenate([frame.to_ndarray() for frame in frames], axis=1).astype(np.float64)
    assert heard.shape[0] == 2
    assert Fraction(heard.shape[1], frames[0].sample_rate) == Fraction(3, 2)
    assert (heard[0] ** 2).sum() > 1e4 * (heard[1] ** 2).sum()
    if frames[0].sample_rate == rate:
        match = np.correlate(heard[0, :8000], audio[0, 2000:6000], "valid")
        assert int(match.argmax()) == 2000
