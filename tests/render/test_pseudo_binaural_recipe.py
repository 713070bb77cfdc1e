"""The recipe pseudo-binaural: what is left is heard left, and what cannot be used is named."""

import json
import math
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.pseudo_binaural import VirtualLoudspeakers, lead_of, render_pair
from harken.configs import from_mapping, to_mapping
from harken.errors import ConfigurationError, DataSetError, HarkenError, HarkenWarning, SoundError, UnknownNameError
from harken.render.encoding import decode_sample, encode_sample
from harken.render.recipe import Recipe
from harken.render.recipes.pseudo_binaural import PseudoBinauralRecipe, PseudoBinauralSettings, mirrored

RATE = 16000


def write_clip(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")


def write_image(path: Path, size: tuple[int, int], color: tuple[int, ...], mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


def noise(seconds: float = 3.0, level: float = 0.1, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate)).clip(-4, 4)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three things that sound, with a picture each of one colour."""
    for k, (name, color) in enumerate({"dog": (255, 0, 0), "cat": (0, 255, 0), "bell": (0, 0, 255)}.items()):
        write_clip(tmp_path / "clips" / "train" / name / f"{name}.wav", noise(seed=k))
        write_image(tmp_path / "images" / name / "1.png", (90, 60), color)
    return tmp_path


def recipe(folders: Path, **changes) -> PseudoBinauralRecipe:
    seed = changes.pop("seed", 0)
    given = {
        "clips": str(folders / "clips"),
        "images": str(folders / "images"),
        "background": "empty",
        "duration": 1.0,
        **changes,
    }
    return PseudoBinauralRecipe(settings=PseudoBinauralSettings(**given), seed=seed)


def level_difference(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound[0]).sum() / np.square(sound[1]).sum()))


def lag(sound: np.ndarray) -> int:
    """Return by how many samples the left channel is earlier, over the whole sound below 700 Hz."""
    spectra = np.fft.rfft(sound, 2 * sound.shape[1])
    spectra[:, round(1400 / RATE * sound.shape[1]) :] = 0
    both = np.fft.irfft(spectra[1] * spectra[0].conj())
    return int(np.argmax(np.concatenate([both[-40:], both[:41]]))) - 40


def test_what_is_left_in_the_image_is_louder_and_earlier_on_the_left(folders: Path) -> None:
    one = recipe(folders, sources=(1.0,), duration=3.0)
    sides = []
    for number in range(30):
        parts = one.sample(number)
        (source,), sound = parts["json"]["sources"], parts["binaural.flac"].samples
        columns = parts["png"].any((0, 2)).nonzero()[0]
        assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(source["centre"][0], abs=1)
        off = 320 - (columns.min() + columns.max()) / 2
        if abs(off) > 60:
            sides.append(np.sign(off))
            assert np.sign(level_difference(sound)) == np.sign(lag(sound)) == np.sign(off)
            assert abs(level_difference(sound)) > 1
    assert {-1, 1} == set(sides)


def test_a_mirrored_sample_is_what_the_mirrored_places_sound_like(folders: Path) -> None:
    parts = recipe(folders, stems=True, sources=(0.0, 1.0)).sample(3)
    turned = mirrored(parts)
    assert (turned["png"] == parts["png"][:, ::-1]).all()
    before, after = parts["json"]["sources"], turned["json"]["sources"]
    for a, b in zip(before, after, strict=True):
        assert b["centre"][0] == 640 - a["centre"][0] and b["azimuth"] == -a["azimuth"]
        assert turned["png"][b["box"][1], b["box"][0]].any()
    head = HeadResponse.kemar(RATE)
    filters = VirtualLoudspeakers(head=head).filters(np.array([one["direction"] for one in after]))
    stems = np.concatenate([parts[f"stem_{k}.flac"].samples for k in range(len(after))])
    taps, lead = filters.shape[2], lead_of(head)
    rendered = render_pair(stems, filters)
    # Rendered from the stems, the sound begins where the filters overlap them wholly.
    inside = turned["binaural.flac"].samples[:, taps - 1 - lead :][:, : rendered.shape[1]]
    assert rendered == pytest.approx(inside, abs=1e-4)
    assert mirrored(turned)["json"] == parts["json"]


def test_the_sum_of_the_channels_is_the_mono_part_and_has_the_published_level(folders: Path) -> None:
    for number in range(4):
        parts = recipe(folders).sample(number)
        sound, mono = parts["binaural.flac"].samples, parts["mono.flac"].samples
        assert sound.shape == (2, RATE) and mono.shape == (1, RATE) and sound.dtype == mono.dtype == np.float32
        assert mono[0] == pytest.approx(sound.sum(0), abs=1e-6)
        assert np.sqrt(np.mean(np.square(mono, dtype=np.float64))) == pytest.approx(0.1, rel=1e-4)


def test_every_source_goes_in_with_the_same_level(folders: Path) -> None:
    write_clip(folders / "clips" / "train" / "dog" / "dog.wav", noise(level=0.01))
    parts = recipe(folders, sources=(0.0, 0.0, 1.0), stems=True).sample(5)
    gain, sources = parts["json"]["gain"], parts["json"]["sources"]
    assert len(sources) > 1
    for k in range(len(sources)):
        assert np.sqrt(np.mean(parts[f"stem_{k}.flac"].samples ** 2)) == pytest.approx(0.1 * gain, rel=1e-3)


def test_the_sound_is_whole_from_its_first_sample_to_its_last(folders: Path) -> None:
    sound = recipe(folders, sources=(1.0,)).sample(0)["binaural.flac"].samples
    middle = np.sqrt(np.mean(sound**2))
    for end in (sound[:, :160], sound[:, -160:]):
        assert np.sqrt(np.mean(end**2)) == pytest.approx(middle, rel=0.4)  # 320 values of noise: 3 σ are 12 % to each


def test_pictures_do_not_overlap_and_are_where_the_metadata_says(folders: Path) -> None:
    one, most = recipe(folders, sources=(0.0, 0.0, 1.0)), 0
    for number in range(12):
        parts = one.sample(number)
        sources, image = parts["json"]["sources"], parts["png"]
        assert image.shape == (360, 640, 3) and image.dtype == np.uint8
        covered = np.zeros(640, int)
        for source in sources:
            left, top, width, height = source["box"]
            assert 0 <= left <= 640 - width and 0 <= top <= 360 - height
            covered[left : left + width] += 1
            color = {"dog": 0, "cat": 1, "bell": 2}[source["category"]]
            assert (image[top : top + height, left : left + width, color] == 255).all()
        assert covered.max() == 1
        assert parts["json"]["without_place"] == 3 - len(sources)
        most = max(most, len(sources))
    assert most == 3


def test_the_same_number_gives_the_same_bytes_whatever_came_before(folders: Path) -> None:
    def encoded(one: Recipe, number: int) -> dict[str, bytes]:
        return encode_sample(one.sample(number), number=number, split="train")

    used = recipe(folders)
    assert isinstance(used, Recipe)
    for number in range(5):
        used.sample(number)
    fresh, sent = recipe(folders), pickle.loads(pickle.dumps(used))
    assert encoded(used, 7) == encoded(fresh, 7) == encoded(sent, 7)
    assert encoded(used, 7) != encoded(used, 8)
    assert encoded(used, 7) != encoded(recipe(folders, seed=1), 7)
    assert len(pickle.dumps(used)) < 2000


def test_a_sample_survives_its_encoding(folders: Path) -> None:
    parts = recipe(folders, stems=True).sample(0)
    back = decode_sample(encode_sample(parts, number=0, split="train"))
    assert back["binaural.flac"] == pytest.approx(parts["binaural.flac"].samples, abs=2e-7)
    assert (back["png"] == parts["png"]).all()
    assert back["json"]["sources"] == json.loads(json.dumps(parts["json"]["sources"]))


def test_settings_survive_a_file() -> None:
    settings = PseudoBinauralSettings(decoder="projection", sources=(0.5, 0.5), field_of_view=math.radians(100))
    for one in (settings, PseudoBinauralSettings()):
        assert from_mapping(PseudoBinauralSettings, to_mapping(one)) == one


def test_the_options_of_the_released_code_change_what_they_say(folders: Path) -> None:
    base = {"sources": (1.0,), "duration": 2.0}
    numbers = [n for n in range(12) if abs(recipe(folders, **base).sample(n)["json"]["sources"][0]["azimuth"]) > 0.3]

    def lags(**changes) -> np.ndarray:
        return np.array([lag(recipe(folders, **base, **changes).sample(n)["binaural.flac"].samples) for n in numbers])

    direct, default = lags(rendering="direct"), lags()
    assert (np.abs(default - direct) <= 1).all()
    assert (np.abs(lags(decoder="projection")) < np.abs(direct)).all()
    # 2.76 times, less the third by which a head's delay falls towards high frequencies (Kuhn 1977, eqs. 6 and 8).
    stretched = lags(rendering="direct", hrir_rate="unconverted")
    assert 2.756 * 2 / 3 < np.abs(stretched).sum() / np.abs(direct).sum() < 2.756
    assert (lags(rendering="ambisonics") == 0).all()


def test_transparent_parts_let_the_background_through_and_do_not_shift_the_centre(folders: Path) -> None:
    picture = np.zeros((100, 200, 4), np.uint8)
    picture[..., 1] = 255  # green where nothing is to be seen
    picture[20:60, 120:180] = (255, 0, 0, 255)
    Image.fromarray(picture).save(folders / "images" / "dog" / "1.png")
    write_image(folders / "behind" / "wall.png", (300, 300), (0, 0, 200))
    (folders / "clips" / "train" / "cat" / "cat.wav").unlink()
    (folders / "clips" / "train" / "bell" / "bell.wav").unlink()
    parts = recipe(folders, background=str(folders / "behind")).sample(0)
    left, top, width, height = parts["json"]["sources"][0]["box"]
    assert width / height == pytest.approx(1.5, abs=0.05)
    image = parts["png"]
    assert (image[..., 1] <= 1).all()
    assert image[top + height // 2, left + width // 2].tolist() == [255, 0, 0]
    assert (np.delete(image, np.s_[left : left + width], 1) == (0, 0, 200)).all()


def test_frames_of_a_clip_follow_its_time(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips" / "talk.wav", noise(2.0))
    for k in range(20):
        write_image(tmp_path / "images" / "talk" / f"{k}.png", (60, 60), (k, 255, 0))
    one = recipe(tmp_path, duration=0.5)
    for number in range(8):
        (source,) = one.sample(number)["json"]["sources"]
        assert source["picture"] == f"{int((source['start'] / RATE + 0.25) * 10)}.png"


def test_a_pause_is_not_taken_for_the_sound(folders: Path) -> None:
    for name in ("cat", "bell"):
        (folders / "clips" / "train" / name / f"{name}.wav").unlink()
    pause = np.zeros(60 * RATE)
    pause[30 * RATE : 31 * RATE] = noise(1.0)
    write_clip(folders / "clips" / "train" / "dog" / "dog.wav", pause)
    one = recipe(folders)
    for number in range(6):
        (source,) = one.sample(number)["json"]["sources"]
        assert 29 * RATE < source["start"] < 31 * RATE


def test_stereo_and_mixed_rates_become_mono_of_one_rate(folders: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(3 * 44100) / 44100) / 5
    write_clip(folders / "clips" / "train" / "dog" / "dog.wav", np.stack([tone, tone], 1), 44100)
    for name in ("cat", "bell"):
        (folders / "clips" / "train" / name / f"{name}.wav").unlink()
    sound = recipe(folders).sample(0)["binaural.flac"]
    assert sound.rate == RATE
    assert np.abs(np.fft.rfft(sound.samples[0])).argmax() == 440


def test_a_short_clip_repeats_or_is_an_error(folders: Path) -> None:
    longer = recipe(folders, duration=8.0)
    assert longer.sample(0)["json"]["sources"][0]["repeats"]
    with pytest.raises(SoundError, match=r"lasts 3 s; samples last 8 s.*repeat"):
        recipe(folders, duration=8.0, repeat=False).sample(0)


def test_clips_without_a_picture_are_left_out_with_a_warning(folders: Path) -> None:
    write_clip(folders / "clips" / "train" / "owl" / "owl.wav", noise())
    with pytest.warns(HarkenWarning, match="1 of 4 clips have no picture.*owl"):
        recipe(folders).sample(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {s["clip"] for n in range(20) for s in recipe(folders, pairing="any").sample(n)["json"]["sources"]}
    assert "train/owl/owl" in found


def empty(path: Path) -> None:
    for file in sorted(path.rglob("*.*")):
        file.unlink()


def silent(path: Path) -> None:
    for file in sorted((path / "clips").rglob("*.wav")):
        write_clip(file, np.zeros(RATE))


def only_picture(path: Path, size: tuple[int, int], color: tuple[int, ...], mode: str) -> None:
    for file in sorted((path / "images").rglob("*.png")):
        write_image(file, size, color, mode)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda p: empty(p / "clips"), SoundError, "No recording in"),
        (lambda p: empty(p / "images"), DataSetError, "No image in"),
        (silent, SoundError, "silent"),
        (lambda p: write_clip(p / "clips" / "short.wav", noise(0.02)), SoundError, "lasts 20 ms"),
        (lambda p: only_picture(p, (1, 1), (255, 0, 0), "RGB"), DataSetError, "1×1 pixels; expected 8×8"),
        (lambda p: only_picture(p, (50, 50), (255, 0, 0, 0), "RGBA"), DataSetError, "wholly transparent"),
        (lambda p: (p / "images" / "dog" / "1.png").write_bytes(b"no image"), DataSetError, "cannot be read"),
        (lambda p: (p / "images" / "dog").rename(p / "images" / "train"), DataSetError, "No clip has a picture"),
        (lambda p: (p / "images").rename(p / "elsewhere"), DataSetError, "not there"),
    ],
)
def test_bad_folders_are_named(folders: Path, spoil, error: type[HarkenError], message: str) -> None:
    spoil(folders)
    one = recipe(folders)
    with pytest.raises(error, match=message):
        [one.sample(number) for number in range(10)]


def test_pictures_of_every_kind_are_read(folders: Path) -> None:
    for mode, color in (("L", 200), ("I;16", 40000), ("LA", (200, 255)), ("P", 3), ("1", 1), ("RGBA", (9, 9, 9, 90))):
        Image.new(mode, (70, 50), color).save(folders / "images" / "dog" / "1.png")
        Image.new("CMYK", (70, 50), (0, 100, 0, 0)).save(folders / "images" / "cat" / "1.jpg")
        assert recipe(folders, sources=(0.0, 0.0, 1.0)).sample(0)["png"].any()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"decoder": "pinv"}, UnknownNameError, "Known: least-squares, projection"),
        ({"rendering": "speakers"}, UnknownNameError, "Did you mean 'loudspeakers'"),
        ({"hrir_rate": "44100"}, UnknownNameError, "converted"),
        ({"sources": (0.4, 0.4)}, ConfigurationError, "sum to one"),
        ({"sources": ()}, ConfigurationError, "sum to one"),
        ({"duration": 0.0}, ConfigurationError, "from 0.05 to 600"),
        ({"width": 2}, ConfigurationError, "from 64 to 8192"),
        ({"order": 4}, ConfigurationError, "at least 2·order"),
        ({"field_of_view": 120.0}, ConfigurationError, "from 0.001 to 6.28319"),
        ({"rate": 100}, ConfigurationError, "from 4000 to 192000"),
        ({"frame_rate": 0.0}, ConfigurationError, "frame_rate is 0.0"),
    ],
)
def test_bad_settings_are_named(changes: dict, error: type[HarkenError], message: str) -> None:
    with pytest.raises(error, match=message):
        PseudoBinauralSettings(**changes)
    with pytest.raises(UnknownNameError, match="split"):
        PseudoBinauralRecipe(split="training")  # type: ignore[arg-type]


def test_without_folders_furniture_of_generated_homes_sounds() -> None:
    one = PseudoBinauralRecipe(settings=PseudoBinauralSettings(width=160, height=90, duration=1.0), split="val")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples = [one.sample(number) for number in range(8)]
    for parts in samples:
        assert parts["png"].std() > 2
        for source in parts["json"]["sources"]:
            assert source["clip"].startswith(source["category"]) and source["picture"].startswith(source["category"])
            assert "home val" in source["picture"]
    assert replace(one, split="train").licence == one.licence
    assert "CC0" in one.licence and "KEMAR" in one.licence
