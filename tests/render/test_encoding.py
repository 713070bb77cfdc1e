import gzip
import io
import json
import tracemalloc

import numpy as np
import pytest

from harken.errors import DataSetError, HarkenError
from harken.render import Audio, Depth, Video
from harken.render.encoding import decode_sample, encode_sample

RANDOM = np.random.default_rng(5)
NOISE = RANDOM.normal(0, 0.2, (2, 4000)).astype(np.float32)


def encode(**parts):
    return encode_sample({name.replace("_", "."): part for name, part in parts.items()}, number=3, split="val")


def both_ways(**parts):
    return decode_sample(encode(**parts))


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("level", [1e-3, 1.0, 7.0, 300.0])
def test_flac_keeps_every_level_to_half_a_step(bits, level):
    sound = NOISE / np.abs(NOISE).max() * np.float32(level)
    result = both_ways(flac=Audio(samples=sound, rate=16000, bits=bits))
    scale = result["json"]["parts"]["flac"]["scale"]
    assert scale == 2.0 ** max(0, np.ceil(np.log2(level))) or (scale == 2.0 and level == 1.0)
    assert np.abs(result["flac"] - sound).max() <= 0.5001 * scale * 2.0 ** (1 - bits)
    assert result["flac"].dtype == np.float32


@pytest.mark.parametrize("peak", [1.0, -1.0, 1 - 2.0**-24, 2.0, -2.0, 0.0])
def test_flac_clips_nothing_at_full_scale(peak):
    sound = np.array([[0.25, peak, -0.5]], np.float32)
    assert np.abs(both_ways(flac=Audio(samples=sound, rate=8000))["flac"] - sound).max() <= 2.0**-23


def test_a_plain_player_reads_the_flac_as_what_was_given_over_its_scale():
    import soundfile

    sound = NOISE * 10
    encoded = encode(flac=Audio(samples=sound, rate=22050))
    plain, rate = soundfile.read(io.BytesIO(encoded["flac"]), dtype="float32")
    scale = json.loads(encoded["json"])["parts"]["flac"]["scale"]
    assert rate == 22050
    np.testing.assert_allclose(plain.T * scale, sound, atol=scale * 2.0**-24)


@pytest.mark.parametrize("channels", [1, 2, 16])
def test_wav_is_exact(channels):
    sound = RANDOM.normal(0, 1e3, (channels, 777)).astype(np.float32)
    assert np.array_equal(both_ways(wav=Audio(samples=sound, rate=44100))["wav"], sound)


@pytest.mark.parametrize(
    "image",
    [
        RANDOM.integers(0, 255, (7, 5, 3), np.uint8),
        RANDOM.integers(0, 255, (7, 5, 4), np.uint8),
        RANDOM.integers(0, 255, (1, 1, 1), np.uint8),
    ],
    ids=["colour", "alpha", "pixel"],
)
def test_png_is_exact(image):
    result = both_ways(png=image)["png"]
    assert result.dtype == image.dtype and np.array_equal(result, image)


@pytest.mark.parametrize("shape", [(9, 8, 1), (3, 9, 8, 1)])
def test_depth_is_exact_as_an_array_and_within_half_a_millimetre_where_it_is_packed(shape):
    depth = RANDOM.uniform(0, 200, shape).astype(np.float32)
    result = both_ways(depth_npy=depth, exact_npy_gz=depth, depth_npy_gz=Depth(metres=depth))
    assert np.array_equal(result["depth.npy"], depth) and np.array_equal(result["exact.npy.gz"], depth)
    assert result["depth.npy.gz"].dtype == np.float32 and result["depth.npy.gz"].shape == shape
    assert np.abs(result["depth.npy.gz"] - depth).max() <= 0.000515  # and the rounding of single precision at 200 m
    assert result["json"]["parts"]["depth.npy.gz"]["unit"] == "m"


def test_any_reader_of_arrays_finds_depth_in_metres_and_no_reader_of_pictures_finds_a_picture():
    from PIL import Image

    content = encode(depth_npy_gz=Depth(metres=np.full((4, 5, 1), 2.5)))["depth.npy.gz"]
    assert (np.load(io.BytesIO(gzip.decompress(content))) == np.full((4, 5, 1), np.float32(2.5))).all()
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(io.BytesIO(content))


def test_all_sounds_of_a_sample_have_one_scale_so_that_stems_sum_for_readers_that_do_not_know_it():
    import soundfile

    loud, soft = NOISE * 9, NOISE[:, ::-1] * np.float32(0.1)
    parts = {"loud.flac": loud, "soft.flac": soft, "mixture.flac": loud + soft}
    encoded = encode_sample(
        {name: Audio(samples=sound, rate=16000) for name, sound in parts.items()}
        | {"x.wav": Audio(samples=loud, rate=1)},
        number=0,
        split="train",
    )
    described = json.loads(encoded["json"])["parts"]
    assert {described[name]["scale"] for name in parts} == {8.0} and "scale" not in described["x.wav"]
    plain = {name: soundfile.read(io.BytesIO(encoded[name]), dtype="float64")[0] for name in parts}
    assert np.abs(plain["loud.flac"] + plain["soft.flac"] - plain["mixture.flac"]).max() < 2.0**-22


def frames(count, height=64, width=96):
    place = np.arange(count)[:, None, None, None]
    rows, columns = np.arange(height)[None, :, None, None], np.arange(width)[None, None, :, None]
    return np.uint8(127 + 120 * np.sin(rows / 9 + place / 3) * np.cos(columns / 11 + np.arange(3)))


def test_video_is_near_to_its_images():
    images = frames(12)
    result = both_ways(mp4=Video(frames=images, frame_rate=10.0, audio=NOISE, audio_rate=3333))
    assert result["mp4"].shape == images.shape
    error = result["mp4"].astype(float) - images
    assert np.sqrt(np.mean(error**2)) < 8
    assert result["json"]["parts"]["mp4"]["frame_rate"] == 10


def test_a_video_gives_the_same_bytes_whatever_memory_held_before():
    video = Video(frames=frames(30, 224, 448), frame_rate=10, audio=np.tile(NOISE, 12), audio_rate=16000)
    found = set()
    for turn in range(8):
        # Blocks of many sizes full of something, given back, so that the encoder gets them.
        rubbish = [np.random.default_rng(turn).bytes(size) for size in (10_000, 100_000, 1_000_000) for _ in range(9)]
        del rubbish
        found.add(encode(mp4=video)["mp4"])
    assert len(found) == 1


def test_jpg_text_and_bytes():
    image = frames(1)[0]
    result = both_ways(jpg=image, txt="Grüße", custom_bin=b"\0\1")
    assert np.abs(result["jpg"].astype(int) - image).mean() < 3
    assert result["txt"] == "Grüße" and result["custom.bin"] == b"\0\1"


def test_metadata_says_number_split_and_parts():
    metadata = {"place": np.array([1.5, 2.0]), "count": np.int64(3), "none": None}
    result = both_ways(json=metadata, flac=Audio(samples=NOISE, rate=16000))["json"]
    assert result["place"] == [1.5, 2.0] and result["count"] == 3 and result["none"] is None
    assert (result["number"], result["split"]) == (3, "val")
    sound = {"kind": "audio", "rate": 16000, "channels": 2, "samples": 4000, "bits": 24, "scale": 1.0}
    assert result["parts"] == {"flac": sound}


def test_the_same_part_gives_the_same_bytes_a_second_later():
    import time

    parts = {
        "flac": Audio(samples=NOISE, rate=16000),
        "wav": Audio(samples=NOISE, rate=16000),
        "png": frames(1)[0],
        "jpg": frames(1)[0],
        "npy": NOISE,
    }
    first = encode(**parts)
    time.sleep(1.1)
    assert encode(**parts) == first


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"flac": NOISE}, "expected Audio"),
        ({"flac": Audio(samples=NOISE[0], rate=16000)}, r"float32 \(4000,\); expected"),
        ({"flac": Audio(samples=NOISE[:, :0], rate=16000)}, r"\(2, 0\)"),
        ({"flac": Audio(samples=np.int16(NOISE), rate=16000)}, "int16"),
        ({"flac": Audio(samples=NOISE * np.nan, rate=16000)}, "NaN or infinite, first at channel 0, sample 0"),
        ({"wav": Audio(samples=NOISE * np.float32(np.inf), rate=16000)}, "'wav': the sound is NaN or infinite"),
        ({"flac": Audio(samples=NOISE, rate=0)}, "sample rate is 0"),
        ({"flac": Audio(samples=np.zeros((9, 5)), rate=16000)}, "9 channels .* Store them as wav"),
        ({"flac": Audio(samples=NOISE, rate=16000, bits=8)}, "expected 16 or 24"),
        ({"png": np.zeros((4, 4), np.uint8)}, r"uint8 \(4, 4\)"),
        ({"png": np.zeros((4, 4, 1), np.float32)}, r"Store depth as Depth\(metres=…\) or npy"),
        ({"png": np.zeros((4, 4, 1), np.uint16)}, r"uint16 \(4, 4, 1\); expected uint8"),
        ({"png": np.zeros((4, 0, 3), np.uint8)}, r"\(4, 0, 3\)"),
        ({"depth_png": Depth(metres=np.full((2, 2, 1), 7.0))}, "image readers would reduce to 8 bits; .* as npy.gz"),
        ({"depth_npy_gz": Depth(metres=np.full((2, 2, 1), -0.1))}, "expected finite numbers from 0"),
        ({"depth_npy_gz": Depth(metres=np.full((2, 2, 1), np.nan))}, "expected finite numbers from 0"),
        ({"depth_npy_gz": Depth(metres=np.full((2, 2), 1.0))}, r"float64 \(2, 2\); expected"),
        ({"npy": np.array([1.0, np.nan])}, r"NaN, first at \(1,\)"),
        ({"npy": np.array(["a"])}, "expected an array of numbers"),
        ({"mp4": np.zeros((4, 4, 3), np.uint8)}, "expected Video"),
        ({"mp4": Video(frames=[], frame_rate=10)}, "no frames"),
        ({"json": {"level": float("nan")}}, "not JSON compliant"),
        ({"json": {"clip": object()}}, "object is not a number"),
        ({"json": {"number": 3}}, "key 'number', which belongs to the renderer"),
        ({"txt": 3}, "expected text"),
        ({"ogg": NOISE}, "Unknown extension 'ogg'"),
        ({"Flac": NOISE}, "lower-case words"),
    ],
)
def test_what_does_not_fit_is_refused(parts, message):
    with pytest.raises(HarkenError, match=message):
        encode(**parts)


@pytest.fixture(scope="module")
def every_kind():
    sound = Audio(samples=NOISE, rate=16000)
    video = Video(frames=frames(3), frame_rate=10.0)
    return encode(flac=sound, wav=sound, png=frames(1)[0], jpg=frames(1)[0], npy=NOISE, npy_gz=NOISE, mp4=video)


@pytest.mark.parametrize("name", ["flac", "png", "npy", "npy.gz", "wav", "jpg", "mp4"])
@pytest.mark.parametrize("harm", ["cut", "empty", "flipped"])
def test_damaged_parts_are_named_or_decode_to_what_was_said(every_kind, name, harm):
    encoded, content = dict(every_kind), every_kind[name]
    middle = len(content) // 2
    harmed = {"cut": content[:middle], "empty": b"", "flipped": content[:9] + b"\xff" * 9 + content[18:]}
    encoded[name] = harmed[harm]
    if harm == "flipped":  # a flipped byte of a sound or a picture may leave one that can be read
        try:
            found = decode_sample(encoded)[name]
        except DataSetError:
            return
        assert found.shape == decode_sample(every_kind)[name].shape
    elif name == "jpg" and harm == "cut":
        with pytest.raises(DataSetError):
            decode_sample(encoded)
    else:
        with pytest.raises(DataSetError, match=f"'{name}' of .* bytes cannot be decoded"):
            decode_sample(encoded)


HOSTILE_JSON = {
    "a list": (b"[]", "'json' is list; expected an object"),
    "a number": (b"3", "is int"),
    "no JSON": (b"\xff", "is not JSON"),
    "nested": (b"[" * 200_000, "too deep"),
    "nested below": (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", "deep"),
    "a key twice": (b'{"parts": {}, "parts": {}}', "occurs twice"),
    "NaN": (b'{"a": NaN}', "NaN"),
    "parts that are a list": (b'{"parts": []}', "`parts` that are not an object"),
    "parts of text": (b'{"parts": {"npy": "x"}}', "`parts` that are not an object"),
    "parts without fields": (b'{"parts": {"flac": {}}}', "'flac' .* cannot be decoded .KeyError"),
    "another shape": (b'{"parts": {"png": {"shape": [1000000, 1000000, 3], "dtype": "uint8"}}}', "pixels"),
    "a shape of text": (b'{"parts": {"png": {"shape": "x", "dtype": "uint8"}}}', "'png' .* cannot be decoded"),
    "another length": (b'{"parts": {"flac": {"rate": 16000, "channels": 2, "samples": 9}}}', "samples 4000"),
    "no frames": (b'{"parts": {"mp4": {"shape": [1, 64, 96, 3]}}}', "more or larger frames"),
    "a packed bomb": (b'{"parts": {"npy.gz": {"shape": [1000000000000], "dtype": "float32"}}}', "at most"),
}


@pytest.mark.parametrize("what", HOSTILE_JSON)
def test_metadata_of_any_kind_is_refused_by_name(every_kind, what):
    content, message = HOSTILE_JSON[what]
    with pytest.raises(DataSetError, match=message):
        decode_sample({**every_kind, "json": content})


def test_what_claims_more_than_it_holds_takes_no_memory(every_kind):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
    array = {"kind": "array", "dtype": "float64", "shape": [8]}
    for name, content, message in (
        ("npy", header.getvalue(), "has 0 bytes"),
        ("npy.gz", gzip.compress(header.getvalue()), "has 0 bytes"),
        ("npy.gz", gzip.compress(bytes(50_000_000)), "unpacks to more than"),
    ):
        tracemalloc.start()
        with pytest.raises(DataSetError, match=message):
            decode_sample({name: content, "json": json.dumps({"parts": {name: array}}).encode()})
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()
