import hashlib
import io
import json
import subprocess
import sys
import tarfile
from html.parser import HTMLParser

import numpy as np
import pytest
from render_recipes import Scenes, contents

from harken.cli import main
from harken.errors import ConfigurationError, DataSetError
from harken.render import RenderedSamples, read_samples, render, verify
from harken.render.index import read_index

SAMPLES, PER_SHARD = 21, 4


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine")
    render(Scenes(), folder, samples=SAMPLES, samples_per_shard=PER_SHARD, progress=False)
    return folder


@pytest.fixture
def folder(tmp_path, pristine):
    """A copy that a test may harm."""
    for name, content in contents(pristine).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_samples_come_in_order_as_the_recipe_made_them(pristine):
    samples = list(read_samples(pristine))
    assert [sample["__key__"] for sample in samples] == [f"train-{number:08d}" for number in range(SAMPLES)]
    for number in (0, 4, 20):
        made = Scenes().sample(number)
        assert np.array_equal(samples[number]["rgb.png"], made["rgb.png"])
        assert np.array_equal(samples[number]["depth.npy"], made["depth.npy"])
        assert np.array_equal(samples[number]["echo.wav"], made["echo.wav"].samples)
        assert samples[number]["json"]["place"] == made["json"]["place"]


def test_tars_are_what_webdataset_expects_and_tell_nothing_of_their_making(pristine):
    # WebDataset: members of one sample follow each other and share the name up to the first dot.
    with tarfile.open(pristine / "train-000001.tar") as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names[0] == "train-00000004.depth.npy" and names == sorted(names)
    assert len({name.partition(".")[0] for name in names}) == PER_SHARD
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}


def test_the_manifest_has_checksums_and_resolved_settings(pristine):
    manifest = json.loads((pristine / "train.manifest.json").read_text())
    assert manifest["settings"] == {"size": 24, "angles": [0.0, 1.5]}
    assert (manifest["recipe"], manifest["recipe_version"], manifest["seed"]) == ("scenes", 1, 0)
    for file in (*manifest["shards"], manifest["index"]):
        content = (pristine / file["name"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["bytes"])


def test_the_index_has_metadata_and_places(pristine):
    index = read_index(pristine, "train").to_pylist()
    assert [row["number"] for row in index] == list(range(SAMPLES))
    assert {row["room.kind"] for row in index} == {"kitchen", None} and index[0]["room.area"] == 12
    for row in (index[0], index[13], index[20]):
        with (pristine / row["shard"]).open("rb") as file:
            file.seek(row["offset"])
            assert file.read(len(row["key"])).decode() == row["key"]


def test_any_sample_can_be_read_by_its_place(pristine):
    samples = RenderedSamples(folder=pristine)
    in_order = list(read_samples(pristine))
    assert len(samples) == SAMPLES
    for place in (20, 0, -1, 7):
        found = samples[place]
        assert found["__key__"] == in_order[place]["__key__"]
        assert np.array_equal(found["flac"], in_order[place]["flac"])
    some = RenderedSamples(folder=pristine, extensions=("rgb.png",))[2]
    assert set(some) == {"__key__", "rgb.png", "json"}
    with pytest.raises(IndexError):
        samples[SAMPLES]
    with pytest.raises(DataSetError, match="has no part 'jpg'"):
        RenderedSamples(folder=pristine, extensions=("jpg",))[0]


def test_undecoded_samples_are_the_files(pristine):
    sample = next(read_samples(pristine, decode=False))
    with tarfile.open(pristine / "train-000000.tar") as tar:
        assert tar.extractfile("train-00000000.rgb.png").read() == sample["rgb.png"]


def test_a_torch_loader_shuffles_and_shares_out_by_place(pristine):
    torch = pytest.importorskip("torch")

    samples = RenderedSamples(folder=pristine, extensions=("flac",))
    order = torch.Generator().manual_seed(3)
    loader = torch.utils.data.DataLoader(
        samples, batch_size=5, shuffle=True, generator=order, num_workers=2, collate_fn=collate
    )
    batches = list(loader)
    assert batches[0][1].shape == (5, 2, 800)
    assert sorted(key for batch in batches for key in batch[0]) == [f"train-{n:08d}" for n in range(SAMPLES)]


def collate(samples):
    return [sample["__key__"] for sample in samples], np.stack([sample["flac"] for sample in samples])


def key(sample):
    return sample["__key__"]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 8 worker")
@pytest.mark.parametrize("workers", [0, 2, 8])  # eight are more than there are shards
def test_a_torch_stream_gives_every_sample_to_one_worker(pristine, workers):
    torch = pytest.importorskip("torch")
    from harken.render.torch_stream import SampleStream

    stream = SampleStream(pristine, shuffle=True, seed=1, buffer=6, decode=False, transform=key)
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=workers)
    first, again = list(loader), list(loader)
    assert sorted(first) == [f"train-{number:08d}" for number in range(SAMPLES)]
    assert first == again and first != sorted(first)
    stream.set_epoch(1)
    assert sorted(loader) == sorted(first) and list(loader) != first


def test_an_epoch_that_is_set_reaches_workers_that_persist(pristine):
    torch = pytest.importorskip("torch")
    from harken.render.torch_stream import SampleStream

    stream = SampleStream(pristine, shuffle=True, buffer=6, decode=False, transform=key)
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=2, persistent_workers=True)
    orders = []
    for epoch in (0, 1, 2, 1):
        stream.set_epoch(epoch)
        orders.append(list(loader))
    assert orders[1] == orders[3] and len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


RANK = """
import sys, torch.distributed, torch.utils.data
from harken.render.torch_stream import SampleStream
def key(sample): return sample["__key__"]
rank, ranks, folder, place = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=ranks)
for drop_last in (False, True):
    stream = SampleStream(folder, shuffle=True, decode=False, drop_last=drop_last, transform=key)
    loader = torch.utils.data.DataLoader(stream, batch_size=2, collate_fn=list)
    batches = list(loader)
    print(len(stream), len(batches), *sum(batches, []))
"""


def test_all_ranks_get_equally_many_samples_and_batches(pristine, tmp_path):
    pytest.importorskip("torch")
    ranks = 4
    command = [sys.executable, "-c", RANK]
    processes = [
        subprocess.Popen([*command, str(rank), str(ranks), str(pristine), str(tmp_path / "meet")], stdout=-1, text=True)
        for rank in range(ranks)
    ]
    lines = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    padded, dropped = ([line[k].split() for line in lines] for k in (0, 1))
    most, least = -(-SAMPLES // ranks), SAMPLES // ranks
    assert {tuple(line[:2]) for line in padded} == {(str(most), str(-(-most // 2)))}
    assert {tuple(line[:2]) for line in dropped} == {(str(least), str(-(-least // 2)))}
    every = [f"train-{number:08d}" for number in range(SAMPLES)]
    read = [name for line in padded for name in line[2:]]
    assert sorted(set(read)) == every and len(read) == most * ranks
    read = [name for line in dropped for name in line[2:]]
    assert len(read) == len(set(read)) == least * ranks


def test_a_stream_without_shuffling_is_in_order(pristine):
    pytest.importorskip("torch")
    from harken.render.torch_stream import SampleStream

    stream = SampleStream(pristine, decode=False, transform=key)
    assert list(stream) == [f"train-{number:08d}" for number in range(SAMPLES)] and len(stream) == SAMPLES


def test_a_whole_data_set_verifies(pristine, capsys):
    found = verify(pristine)
    assert found.passed and (found.shards, found.samples, found.splits) == (6, SAMPLES, ("train",))
    main(["render", "verify", str(pristine)])
    assert "Everything is whole." in capsys.readouterr().out


@pytest.mark.parametrize("cut", [1, 100, 512, 3000, 11_000])
def test_a_cut_off_shard_is_named(folder, cut):
    path = folder / "train-000003.tar"
    path.write_bytes(path.read_bytes()[:-cut])
    found = verify(folder)
    assert [problem for problem in found.problems if "train-000003.tar is cut off: " in problem] == list(found.problems)
    assert (found.shards, found.samples) == (5, 17)
    with pytest.raises(DataSetError, match=r"train-000003.tar' has \d+ bytes; its manifest says \d+"):
        list(read_samples(folder))


HARM = {
    "flipped": ("train-000001.tar is damaged: its checksum", lambda f: flip(f / "train-000001.tar")),
    "shard gone": ("train-000001.tar is missing", lambda f: (f / "train-000001.tar").unlink()),
    "stranger": ("train-000099.tar is not in a manifest", lambda f: (f / "train-000099.tar").touch()),
    "half-written": ("is half-written", lambda f: (f / ".x.partial").touch()),
    "index flipped": ("train.parquet is damaged", lambda f: flip(f / "train.parquet")),
    "index gone": ("train.parquet is missing", lambda f: (f / "train.parquet").unlink()),
    "manifest": ("train.manifest.json' is not a manifest", lambda f: (f / "train.manifest.json").write_text("{")),
}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("harm", HARM)
def test_damage_is_found_and_the_command_fails(folder, capsys, harm):
    message, do = HARM[harm]
    do(folder)
    if harm != "manifest":
        assert any(message in problem for problem in verify(folder).problems)
    with pytest.raises(SystemExit) as end:
        main(["render", "verify", str(folder)])
    assert end.value.code == 1
    assert message in capsys.readouterr().out


def test_a_shard_that_was_wrong_when_it_was_written_is_found(folder):
    """A flipped part whose checksums were all brought up to date: only decoding tells."""
    path = folder / "train-000000.tar"
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        info = tar.getmember("train-00000002.flac")
    content[info.offset_data : info.offset_data + 4] = b"calf"
    path.write_bytes(content)
    manifest = json.loads((folder / "train.manifest.json").read_text())
    manifest["shards"][0]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "train.manifest.json").write_text(json.dumps(manifest))
    assert any("sample train-00000002: Part 'flac'" in problem for problem in verify(folder).problems)
    assert verify(folder, decode=False).passed


def rewritten(folder, change):
    """Change a manifest."""
    path = folder / "train.manifest.json"
    manifest = json.loads(path.read_text())
    manifest = change(manifest) or manifest
    path.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))


HOSTILE = {
    "a list": (lambda m: [1], "it is list and no object"),
    "text": (lambda m: '"text"', "it is str and no object"),
    "nested": (lambda m: "[" * 100_000, "too deep"),
    "a key twice": (lambda m: '{"format": 2, "format": 2}', "occurs twice"),
    "NaN": (lambda m: '{"format": NaN}', "NaN"),
    "no shards": (lambda m: m.pop("shards") and None, "KeyError: 'shards'"),
    "no seed": (lambda m: m.pop("seed") and None, "not a manifest"),
    "one field more": (lambda m: m.update(more=1), "unexpected keyword argument 'more'"),
    "shards of text": (lambda m: m.update(shards="abc"), "not a manifest"),
    "a shard that is a list": (lambda m: m.update(shards=[[]]), "not a manifest"),
    "a shard without a size": (lambda m: m["shards"][0].pop("bytes") and None, "missing 1 required"),
    "a size of text": (lambda m: m["shards"][0].update(bytes="8"), "bytes is '8'; expected a whole number"),
    "a negative size": (lambda m: m["shards"][0].update(bytes=-8), "bytes is -8"),
    "samples of text": (lambda m: m.update(samples="8"), "samples is '8'"),
    "no samples a shard": (lambda m: m.update(samples_per_shard=0), "samples_per_shard is 0"),
    "settings that are a list": (lambda m: m.update(settings=[]), "settings is list; expected an object"),
    "a shard elsewhere": (lambda m: m["shards"][0].update(name="../train-000000.tar"), "a shard is called"),
    "a shard twice": (lambda m: m["shards"].append(m["shards"][0]), "a shard is called"),
    "an index elsewhere": (lambda m: m["index"].update(name="/etc/passwd"), "its index is called"),
    "an index that is a list": (lambda m: m.update(index=[3]), "not a manifest"),
    "another split": (lambda m: m.update(split="val"), "its split is 'val'"),
    "an older format": (lambda m: m.update(format=1), "has format 1; this version of Harken reads format 2. Render it"),
    "no format": (lambda m: m.pop("format") and None, "has format None"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_manifest_of_any_kind_is_refused_by_name(folder, what):
    change, message = HOSTILE[what]
    rewritten(folder, change)
    with pytest.raises(DataSetError, match=message) as found:
        next(read_samples(folder))
    assert "train.manifest.json'" in str(found.value)
    assert any("train.manifest.json'" in problem for problem in verify(folder).problems)
    with pytest.raises(DataSetError, match=r"train\.manifest\.json'"):
        render(Scenes(), folder, samples=SAMPLES, samples_per_shard=PER_SHARD, progress=False)


def replaced(folder, members):
    """Replace a shard by other members, and bring its checksums up to date."""
    path = folder / "train-000001.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    record = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    rewritten(folder, lambda manifest: manifest["shards"][1].update(record))


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


MEMBERS = {
    "a path": member("../../train-00000004.json"),
    "an absolute path": member("/tmp/train-00000004.json"),
    "no extension": member("train-00000004"),
    "a link": member("train-00000004.json", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": member("train-00000004.json", tarfile.LNKTYPE, "/etc/passwd"),
    "a device": member("train-00000004.json", tarfile.CHRTYPE),
    "a pipe": member("train-00000004.json", tarfile.FIFOTYPE),
    "a folder": member("train-00000004.json", tarfile.DIRTYPE),
}


@pytest.mark.parametrize("what", MEMBERS)
def test_members_with_paths_and_links_are_damage_and_lead_nowhere(folder, what):
    before = sorted(path.name for path in folder.parent.iterdir())
    replaced(folder, [(MEMBERS[what], b"")])
    assert any("is not part of a sample" in problem for problem in verify(folder).problems)
    with pytest.raises(DataSetError, match="is not part of a sample"):
        list(read_samples(folder))
    assert sorted(path.name for path in folder.parent.iterdir()) == before


def test_a_member_that_claims_more_than_the_file_holds_takes_no_memory(folder):
    path = folder / "train-000001.tar"
    info = member("train-00000004.json")
    info.size = 2**40
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    record = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    rewritten(folder, lambda manifest: manifest["shards"][1].update(record))
    with pytest.raises(DataSetError, match="is cut off"):
        list(read_samples(folder))


@pytest.mark.parametrize("content", [b"[]", b"[1" + b"," * 3, b"[" * 99_999, b'{"parts": [3]}'])
def test_json_of_any_kind_in_a_shard_is_damage(folder, content):
    replaced(folder, [(member(f"train-{number:08d}.json"), content) for number in range(4, 8)])
    problems = verify(folder).problems
    assert any("sample train-00000004: Part 'json'" in problem for problem in problems)
    with pytest.raises(DataSetError, match="sample train-00000004: Part 'json'"):
        list(read_samples(folder))


def test_an_index_that_leads_out_of_its_shards_is_refused(folder):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    good = parquet.read_table(folder / "train.parquet")
    for column, value in (("offset", -1), ("bytes", 2**60), ("bytes", 0), ("shard", "../x.tar"), ("key", None)):
        rows = good.to_pylist()
        rows[3][column] = value
        table = pa.Table.from_pylist(rows) if column != "key" else good.drop_columns(["key"])
        parquet.write_table(table, folder / "train.parquet")
        with pytest.raises(DataSetError, match=r"does not fit its shards. Delete train.parquet"):
            RenderedSamples(folder=folder)
    for content in (b"", b"no table", b"PAR1" + bytes(99) + b"PAR1"):
        (folder / "train.parquet").write_bytes(content)
        with pytest.raises(DataSetError, match=r"train\.parquet' cannot be read"):
            RenderedSamples(folder=folder)


@pytest.mark.parametrize("place", [slice(0, 3), "3", 1.0, None, (1, 2), np.zeros(2)])
def test_a_place_that_is_no_number_is_refused(pristine, place):
    with pytest.raises(ConfigurationError, match=r"The place of a sample is .*; expected a whole number"):
        RenderedSamples(folder=pristine)[place]
    assert RenderedSamples(folder=pristine)[np.int64(2)]["__key__"] == "train-00000002"


@pytest.mark.parametrize(
    "name",
    ["train-000002.tar", "train.manifest.json", "train.parquet", "README.md", "train-sheet.png", ".lock"],
)
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_made(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DataSetError, match=rf"{name}' is not a regular file"):
        render(Scenes(), tmp_path, samples=SAMPLES, samples_per_shard=PER_SHARD, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_there_is_nothing_to_read_where_nothing_is(tmp_path, pristine):
    with pytest.raises(DataSetError, match="no data set was rendered into that folder"):
        next(read_samples(tmp_path))
    with pytest.raises(DataSetError, match="it has the splits train"):
        next(read_samples(pristine, "test"))
    with pytest.raises(DataSetError, match="holds no data set"):
        verify(tmp_path)


def test_the_card_says_what_it_is_and_plays(pristine):
    text = (pristine / "README.md").read_text()
    for words in ("# scenes", "A bright square in noise", "Free.", "| train | 21 | 6 |", '"size": 24', "depth.npy"):
        assert words in text
    page = _Page((pristine / "train-sheet.html").read_text())
    # Of each of the first samples: two channels, an echo, two depths and an image; and two sounds to listen to.
    assert page.found["section"] == 12 and page.found["img"] == 12 * 6 and page.found["audio"] == 12 * 2


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found[tag] = self.found.get(tag, 0) + 1
