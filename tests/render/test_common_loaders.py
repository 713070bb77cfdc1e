"""What loaders that know nothing of Harken make of a data set: WebDataset and Hugging Face's datasets."""

import gc
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import yaml
from render_recipes import Objects, Scenes

from harken.render import decode_sample, read_samples, render

SAMPLES, PER_SHARD = 9, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loaders")
    for recipe in (Scenes(), Scenes(split="val")):
        render(recipe, folder, samples=SAMPLES, samples_per_shard=PER_SHARD, progress=False)
    return folder


@pytest.fixture(scope="module")
def ours(folder):
    return list(read_samples(folder))


def urls(folder):
    return str(folder / "train-{000000..000002}.tar")


@pytest.fixture
def webdataset():
    yield pytest.importorskip("webdataset", reason="webdataset is not installed; `pip install webdataset`")
    gc.collect()  # It leaves closing files to the collector; see the filter of the tests.


unclosed = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


def check_same(found, sample):
    assert found["__key__"] == sample["__key__"]
    for name in ("depth.npy", "depth.npy.gz", "rgb.png", "flac", "echo.wav"):
        assert np.array_equal(found[name], sample[name]), name
    assert found["json"] == sample["json"]


@unclosed
def test_webdataset_with_our_decoder_gives_what_our_reader_gives(webdataset, folder, ours):
    found = list(webdataset.WebDataset(urls(folder), shardshuffle=False).map(decode_sample))
    assert len(found) == SAMPLES
    for theirs, sample in zip(found, ours, strict=True):
        check_same(theirs, sample)


@unclosed
def test_webdatasets_own_decoders_find_metres_and_pictures(webdataset, folder, ours):
    # Its audio decoder needs torchaudio, and reads the same numbers as soundfile.
    found = next(iter(webdataset.WebDataset(urls(folder), shardshuffle=False).decode("rgb8")))
    sample = ours[0]
    assert np.array_equal(found["depth.npy.gz"], sample["depth.npy.gz"]) and found["depth.npy.gz"].max() > 5.0
    assert np.array_equal(found["rgb.png"], sample["rgb.png"]) and found["json"] == sample["json"]
    sound, _ = soundfile.read(io.BytesIO(found["flac"]), dtype="float32", always_2d=True)
    assert np.array_equal(sound.T * found["json"]["parts"]["flac"]["scale"], sample["flac"])


LOAD = """
import json, sys
import numpy
from datasets import load_dataset
folder = sys.argv[1]
keys = [
    {split: [row["__key__"] for row in samples] for split, samples in load_dataset(folder, streaming=streaming).items()}
    for streaming in (False, True)
]
rows = {"train": list(load_dataset(folder, split="train", streaming=True))}
first = rows["train"][0]
sizes = {name: numpy.array(first[name]).shape for name in ("depth.npy", "depth.npy.gz", "rgb.png")}
table = load_dataset("parquet", data_files=folder + "/train.parquet", split="train")
print(json.dumps({
    "samples": keys,
    "sizes": sizes, "deepest": float(numpy.max(first["depth.npy.gz"])), "flac": len(first["flac"]),
    "json": first["json"], "rows": len(table), "columns": table.column_names,
}))
"""


def test_datasets_loads_a_folder_by_its_card(folder, ours, tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="datasets is not installed; `pip install datasets`")
    for name, value in {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", LOAD, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, sample = json.loads(done.stdout.splitlines()[-1]), ours[0]
    keys = {split: [f"{split}-{number:08d}" for number in range(SAMPLES)] for split in ("train", "val")}
    assert found["samples"] == [keys, keys]
    assert found["sizes"] == {name: list(sample[name].shape) for name in ("depth.npy", "depth.npy.gz", "rgb.png")}
    assert found["deepest"] == pytest.approx(float(sample["depth.npy.gz"].max()))
    assert found["json"] == sample["json"] and found["flac"] > 1000
    assert found["rows"] == SAMPLES and {"key", "shard", "offset", "loudness"} <= set(found["columns"])


def header(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def test_the_card_names_the_shards_of_each_split_and_the_types_of_all_parts(folder):
    found = header(folder)
    files = [{"split": split, "path": f"{split}-*.tar"} for split in ("train", "val")]
    assert found["configs"] == [{"config_name": "default", "data_files": files}]
    features = {one.pop("name"): one for one in found["dataset_info"][0]["features"]}
    assert features["flac"] == {"dtype": "binary"} and features["rgb.png"] == {"dtype": "image"}
    assert features["depth.npy.gz"] == {"list": {"list": {"list": "float32"}}}
    metadata = {one["name"]: one for one in features["json"]["struct"]}
    assert metadata["loudness"]["dtype"] == "float64" and metadata["place"]["list"] == "int64"
    # Of samples of which every other has None there.
    assert {"name": "kind", "dtype": "string"} in metadata["room"]["struct"]


def test_types_that_the_first_samples_do_not_tell_are_found_in_later_ones(tmp_path):
    render(Objects(), tmp_path, samples=12, samples_per_shard=5, progress=False)
    features = {one.pop("name"): one for one in header(tmp_path)["dataset_info"][0]["features"]}
    objects = next(one for one in features["json"]["struct"] if one["name"] == "objects")
    assert {"name": "color", "list": "int64"} in objects["list"]
    assert {"name": "gain", "dtype": "float64"} in objects["list"]


def test_without_common_types_the_card_leaves_them_to_the_loader(tmp_path):
    render(Objects(varying=True), tmp_path, samples=4, progress=False)
    assert "dataset_info" not in header(tmp_path)
