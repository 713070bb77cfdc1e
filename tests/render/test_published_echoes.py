"""The published echo data sets, in tiny folders of their layouts."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from harken.errors import ConfigurationError, DataSetError, HarkenError, UnknownNameError
from harken.render.published_echoes import echo_spectrogram, read_batvision, read_visual_echoes

RATE = 44100


def echo_of(seed: int, seconds: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * RATE), 2)).astype(np.float32)


def write_sound(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="PCM_16")


def observations(scenes: dict[str, int]) -> dict:
    rng = np.random.default_rng(0)
    return {
        scene: {
            (location, angle): {
                "rgb": rng.integers(0, 255, (8, 8, 4), dtype=np.uint8),
                "depth": np.full((8, 8), 1.0 + location, np.float32),
            }
            for location in range(count)
            for angle in (0, 90)
        }
        for scene, count in scenes.items()
    }


@pytest.fixture
def visual_echoes(tmp_path: Path) -> Path:
    content = observations({"office_0": 2, "apartment_2": 1})
    content["office_0"][0, 90]["depth"][0, :3] = (0.0, np.nan, 2.5)
    (tmp_path / "scene_observations_128.pkl").write_bytes(pickle.dumps(content))
    for scene, views in content.items():
        for location, angle in views:
            file = tmp_path / "echoes_navigable" / scene / "3ms_sweep" / str(angle) / f"{location}.wav"
            write_sound(file, echo_of(location + angle))
    return tmp_path


def write_batvision(root: Path, version: int, *, camera: bool = True) -> Path:
    place = root if version == 1 else root / "2ndFloor"
    place.mkdir(parents=True, exist_ok=True)
    kind = np.float64 if version == 1 else np.uint16
    depth = np.full((6, 8), 2500, kind)
    depth[0, :2] = 0, 31000
    if version == 1:
        depth[1, :3] = np.nan, np.inf, -5
    header = ["depth path", "audio path left", "audio path right", "camera path left"]
    values = ["d.npy", "l.npy", "r.npy", "c.png"]
    if version == 2:
        header = ["depth path", "depth file name", "audio path", "audio file name", "camera path", "camera file name"]
        values = ["2ndFloor/depth", "d.npy", "2ndFloor/audio", "a.wav", "2ndFloor/camera", "c.png"]
        for folder in ("depth", "audio", "camera"):
            (place / folder).mkdir()
        write_sound(place / "audio" / "a.wav", echo_of(1))
        np.save(place / "depth" / "d.npy", depth)
        Image.new("RGB", (8, 6), (1, 2, 3)).save(place / "camera" / "c.png")
    else:
        np.save(place / "d.npy", depth)
        for ear, file in enumerate(("l.npy", "r.npy")):
            np.save(place / file, (1000 * echo_of(1)[:, ear]).astype(np.int32))
        Image.new("RGB", (8, 6), (1, 2, 3)).save(place / "c.png")
    if not camera:
        header, values = header[: 3 if version == 1 else 4], values[: 3 if version == 1 else 4]
    (place / "train.csv").write_text(f"{','.join(header)}\n{','.join(values)}\n")
    return root


def test_visual_echoes_come_by_scene_location_and_angle(visual_echoes: Path) -> None:
    samples = list(read_visual_echoes(visual_echoes))
    names = [sample.name for sample in samples]
    assert names[0] == "apartment_2/3ms_sweep/0/0" and len(names) == 6
    by_name = {sample.name: sample for sample in samples}
    one = by_name["office_0/3ms_sweep/90/1"]
    assert (one.scene, one.orientation, one.rate) == ("office_0", 90, RATE)
    assert one.echo == pytest.approx(echo_of(91).T, abs=1e-4)  # 16 bit
    assert one.rgb is not None and one.rgb.shape == (8, 8, 3) and one.rgb.dtype == np.uint8
    assert one.depth.shape == (8, 8, 1) and one.depth.dtype == np.float32
    assert (one.depth == 2.0).all() and one.known.all()
    holed = by_name["office_0/3ms_sweep/90/0"]
    assert holed.depth[0, :3, 0].tolist() == [0.0, 0.0, 2.5]
    assert holed.known[0, :3, 0].tolist() == [False, False, True]
    only = list(read_visual_echoes(visual_echoes, scenes=["apartment_2"]))
    assert {sample.scene for sample in only} == {"apartment_2"}


@pytest.mark.parametrize("version", [1, 2])
def test_batvision_has_depth_in_metres_and_says_where_it_is_known(tmp_path: Path, version: int) -> None:
    (sample,) = read_batvision(write_batvision(tmp_path, version), "train")
    assert sample.depth.shape == (6, 8, 1) and sample.depth[3, 3, 0] == pytest.approx(2.5)
    assert sample.depth[0, :2, 0].tolist() == [0.0, pytest.approx(31.0)]
    assert sample.known[0, :2, 0].tolist() == [False, False]
    assert sample.known.sum() == 46 - (3 if version == 1 else 0)
    assert np.isfinite(sample.depth).all()
    assert sample.rgb is not None and sample.rgb[0, 0].tolist() == [1, 2, 3]
    assert sample.echo.shape == (2, 4410) and sample.echo.dtype == np.float32 and sample.rate == RATE
    assert sample.scene == ("" if version == 1 else "2ndFloor")
    (near,) = read_batvision(tmp_path, "train", max_depth=2.0)
    assert not near.known.any()


@pytest.mark.parametrize("version", [1, 2])
def test_batvision_without_images_has_none(tmp_path: Path, version: int) -> None:
    (sample,) = read_batvision(write_batvision(tmp_path, version, camera=False), "train")
    assert sample.rgb is None


@pytest.mark.parametrize(("rate", "frames"), [(44100, 166), (16000, 121)])
def test_spectrograms_have_the_published_shape(rate: int, frames: int) -> None:
    tone = np.sin(2 * np.pi * rate / 8 * np.arange(rate // 5) / rate)
    found = echo_spectrogram(np.stack([tone, 0.5 * tone]), rate)
    assert found.shape == (257, frames, 2)
    assert found[:, frames // 2].argmax(0).tolist() == [64, 64]
    # A sine of amplitude one gives half the sum of the window, which for Hann is a quarter of its length.
    window = 64 if rate == 44100 else 32
    assert found[64, frames // 2] == pytest.approx([window / 4, window / 8], rel=0.01)
    with pytest.raises(ConfigurationError, match=r"1 s of an echo of 0.2 s"):
        echo_spectrogram(np.stack([tone, tone]), rate, duration=1.0)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol_are_read(visual_echoes: Path, protocol: int) -> None:
    file = visual_echoes / "scene_observations_128.pkl"
    file.write_bytes(pickle.dumps(observations({"office_0": 2}), protocol=protocol))
    assert len(list(read_visual_echoes(visual_echoes))) == 4


def claimed(file: Path) -> None:
    """Write the header of an array of 80 TB and no array."""
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})


def archived(file: Path) -> None:
    with file.open("wb") as stream:
        np.savez(stream, x=np.zeros(7))


class Harmful:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch harmed",)


def pickled(content: object):
    return lambda p: (p / "scene_observations_128.pkl").write_bytes(pickle.dumps(content))


def echo_file(p: Path) -> Path:
    return p / "echoes_navigable" / "office_0" / "3ms_sweep" / "0" / "0.wav"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: (p / "scene_observations_128.pkl").unlink(), "No pickle of images"),
        (lambda p: (p / "echoes_navigable").rename(p / "echoes"), "No folder of echoes"),
        (pickled(Harmful()), r"names \w+.system"),
        (pickled([1, 2]), "holds no scenes"),
        (pickled({"office_0": {3: {}}}), "is not {"),
        (lambda p: (p / "scene_observations_128.pkl").write_bytes(b"\x80\x04cut"), "not a pickle of VisualEchoes"),
        (pickled({"office_0": {(0, 0): {"rgb": np.zeros((4, 4)), "depth": np.zeros((4, 4))}}}), "expected uint8"),
        (pickled({"office_0": {(0, 0): {"rgb": 0, "depth": np.zeros(4)}}}), r"expected numbers \(height, width\)"),
        (lambda p: echo_file(p).unlink(), "missing or cannot be read"),
        (lambda p: write_sound(echo_file(p), echo_of(0)[:, 0]), "1 channels"),
    ],
)
def test_a_spoilt_folder_of_visual_echoes_is_named(
    visual_echoes: Path, spoil, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(visual_echoes)
    spoil(visual_echoes)
    with pytest.raises(DataSetError, match=message):
        list(read_visual_echoes(visual_echoes))
    assert not (visual_echoes / "harmed").exists()


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda p: (p / "train.csv").unlink(), DataSetError, r"No train.csv in .*\(BatVision V1\) nor"),
        (lambda p: (p / "train.csv").write_text("depth path,audio path left\n"), DataSetError, "'audio path right'"),
        (
            lambda p: (p / "train.csv").write_text(",".join(("depth path", "audio path left", "audio path right"))),
            *((DataSetError, "lists no sample")),
        ),
        (lambda p: (p / "d.npy").unlink(), DataSetError, "missing or cannot be read"),
        (lambda p: np.save(p / "d.npy", np.array([Harmful()]), allow_pickle=True), DataSetError, "cannot be read"),
        (lambda p: np.save(p / "r.npy", np.zeros(7)), DataSetError, "right ear"),
        (lambda p: archived(p / "r.npy"), DataSetError, "cannot be read"),
        (lambda p: claimed(p / "r.npy"), DataSetError, "cannot be read"),
        (lambda p: (p / "train.csv").write_bytes(b"\xff\xfe\x00"), DataSetError, "is not UTF-8"),
        (lambda p: (p / "train.csv").write_text('depth path,"x'), DataSetError, "is not a table"),
        (lambda p: np.save(p / "r.npy", np.full(4410, np.nan)), DataSetError, "NaN or infinite"),
        (lambda p: (p / "c.png").write_bytes(b"no"), DataSetError, "image"),
    ],
)
def test_a_spoilt_folder_of_batvision_is_named(
    tmp_path: Path, spoil, error: type[HarkenError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil(write_batvision(tmp_path, 1))
    with pytest.raises(error, match=message):
        list(read_batvision(tmp_path, "train"))
    assert not (tmp_path / "harmed").exists()


def test_unknown_names_are_named_before_anything_is_read(tmp_path: Path, visual_echoes: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'office_0'"):
        read_visual_echoes(visual_echoes, scenes=["ofice_0"])
    with pytest.raises(UnknownNameError, match="split"):
        read_batvision(tmp_path, "training")  # type: ignore[arg-type]
    with pytest.raises(DataSetError, match="not there"):
        read_batvision(tmp_path / "nowhere", "train")
    root = write_batvision(tmp_path / "two", 2)
    with pytest.raises(UnknownNameError, match="Known: 2ndFloor"):
        read_batvision(root, "train", places=["Attic"])
    with pytest.raises(ConfigurationError, match="more than 0"):
        read_batvision(root, "train", max_depth=0.0)
