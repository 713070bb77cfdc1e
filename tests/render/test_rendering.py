import json
import multiprocessing
import socket

import pytest
from render_recipes import Scenes, ScenesSettings, contents

from harken.cli import main
from harken.errors import ConfigurationError, DataSetError, HarkenWarning, UnknownNameError
from harken.files import locked
from harken.render import make_recipe, render, verify
from harken.render.recipes.clips import ClipsSettings

SAMPLES, PER_SHARD = 33, 8


def rendered(recipe, folder, samples=SAMPLES, **options):
    render(recipe, folder, samples=samples, samples_per_shard=PER_SHARD, progress=False, **options)
    return contents(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What one process writes."""
    return rendered(Scenes(), tmp_path_factory.mktemp("undisturbed"))


def test_the_folder_holds_shards_index_manifest_and_card(undisturbed):
    shards = [f"train-{shard:06d}.tar" for shard in range(5)]
    others = ["README.md", "train-sheet.html", "train-sheet.png", "train.manifest.json", "train.parquet"]
    assert sorted(undisturbed) == sorted(shards + others)


def test_two_processes_write_the_bytes_of_one(tmp_path, undisturbed):
    assert rendered(Scenes(), tmp_path, workers=2) == undisturbed


def test_rendering_again_changes_nothing(tmp_path, undisturbed):
    rendered(Scenes(), tmp_path)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.tar")}
    assert rendered(Scenes(), tmp_path) == undisturbed
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.tar")} == times


def test_more_samples_add_to_a_folder_and_fewer_are_refused(tmp_path, undisturbed):
    rendered(Scenes(), tmp_path, samples=12)
    assert rendered(Scenes(), tmp_path) == undisturbed
    with pytest.raises(DataSetError, match=r"holds 33 samples .* and 12 were asked for"):
        rendered(Scenes(), tmp_path, samples=12)
    assert contents(tmp_path) == undisturbed


def test_splits_share_a_folder_and_differ(tmp_path, undisturbed):
    rendered(Scenes(), tmp_path)
    both = rendered(Scenes(split="val"), tmp_path, samples=9)
    assert all(both[name] == undisturbed[name] for name in undisturbed if name != "README.md")
    assert both["val-000000.tar"] != both["train-000000.tar"]
    assert "| val | 9 | 2 |" in both["README.md"].decode()
    assert verify(tmp_path).passed


def test_another_configuration_is_refused_with_what_differs(tmp_path, undisturbed):
    rendered(Scenes(), tmp_path)
    refused = {
        "settings.size is 24 there and 25 now": Scenes(settings=ScenesSettings(size=25)),
        "seed is 0 there and 1 now": Scenes(seed=1),
        "recipe is 'scenes' there and 'clips' now": make_recipe("clips"),
        "settings.size is 24 there and 26 now; settings.angles": Scenes(
            split="val", settings=ScenesSettings(size=26, angles=(1.0,))
        ),
    }
    for message, recipe in refused.items():
        with pytest.raises(DataSetError, match=f"holds samples of other settings: .*{message}"):
            rendered(recipe, tmp_path)
    with pytest.raises(DataSetError, match="samples_per_shard is 8 there and 9 now"):
        render(Scenes(), tmp_path, samples=SAMPLES, samples_per_shard=9, progress=False)
    assert contents(tmp_path) == undisturbed


def test_tar_files_of_unknown_origin_are_not_overwritten(tmp_path):
    (tmp_path / "train-000000.tar").write_bytes(b"somebody's")
    with pytest.raises(DataSetError, match="no manifest: its origin is unknown"):
        rendered(Scenes(), tmp_path)
    assert (tmp_path / "train-000000.tar").read_bytes() == b"somebody's"


@pytest.mark.parametrize("harm", ["cut off", "flipped", "gone"])
def test_damaged_shards_are_made_again(tmp_path, undisturbed, harm):
    rendered(Scenes(), tmp_path)
    path = tmp_path / "train-000002.tar"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes({"cut off": content[:9000], "flipped": content, "gone": b""}[harm])
    if harm == "gone":
        path.unlink()
    with pytest.warns(HarkenWarning, match=r"train-000002.tar is (damaged|missing); it is made again"):
        assert rendered(Scenes(), tmp_path) == undisturbed


def hold(folder, started, done):
    with locked(folder):
        started.set()
        done.wait(30)


def test_two_runs_into_one_folder_are_refused_by_name(tmp_path, undisturbed):
    context = multiprocessing.get_context("spawn")
    started, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, started, done))
    process.start()
    assert started.wait(60)
    with pytest.raises(DataSetError, match=f"process {process.pid} on {socket.gethostname()}. Wait for it or end it"):
        rendered(Scenes(), tmp_path)
    assert contents(tmp_path).keys() == {".lock"}
    done.set()
    process.join()
    assert rendered(Scenes(), tmp_path) == undisturbed


def test_a_lock_of_another_machine_is_respected(tmp_path):
    (tmp_path / ".lock").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    with pytest.raises(DataSetError, match=r"on another machine, elsewhere. If that run is over, delete .*\.lock"):
        rendered(Scenes(), tmp_path)
    assert json.loads((tmp_path / ".lock").read_text())["host"] == "elsewhere"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda folder: make_recipe("clip"), UnknownNameError, "Did you mean 'clips'"),
        (lambda folder: make_recipe("clips", split="dev"), UnknownNameError, "Unknown split 'dev'"),
        (lambda folder: make_recipe("clips", seed=-1), ConfigurationError, "seed is -1"),
        (lambda folder: make_recipe("clips", settings=3), ConfigurationError, "expected ClipsSettings"),
        (
            lambda folder: ClipsSettings(duration=0.0),
            ConfigurationError,
            "duration is 0.0; expected",
        ),
        (lambda folder: render(Scenes(), folder, samples=0), ConfigurationError, "samples is 0"),
        (lambda folder: render(Scenes(), folder, samples=1, workers=0), ConfigurationError, "workers is 0"),
        (lambda folder: render(Scenes(split="x"), folder, samples=1), UnknownNameError, "Unknown split 'x'"),
        (lambda folder: render(Scenes(), __file__, samples=1), DataSetError, "cannot be made"),
    ],
)
def test_bad_input_is_refused(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(tmp_path)


def test_settings_come_from_a_file(tmp_path):
    (tmp_path / "clips.yaml").write_text("rate: 8000\n")
    assert make_recipe("clips", settings=tmp_path / "clips.yaml").settings == ClipsSettings(rate=8000)


def test_the_command_says_which_recipe_was_probably_meant(capsys):
    with pytest.raises(SystemExit) as end:
        main(["render", "clipz", "--out", "x", "--samples", "3"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(
        "harken: Unknown recipe 'clipz'. Did you mean 'clips'? Known: binaural-video,"
    )
