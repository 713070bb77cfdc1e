import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from render_recipes import Deadly, Failing, Scenes, contents

from harken.errors import DataSetError, HarkenWarning
from harken.render import read_samples, render
from harken.render.shards import Job, write_shard

SAMPLES, PER_SHARD = 33, 8


def rendered(recipe, folder, samples=SAMPLES, **options):
    render(recipe, folder, samples=samples, samples_per_shard=PER_SHARD, progress=False, **options)
    return contents(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What one process writes."""
    return rendered(Scenes(), tmp_path_factory.mktemp("undisturbed"))


def start(recipe, folder, workers, *, name):
    """Start a rendering in a process of its own, from a script as users write them."""
    script = folder.parent / f"{name}.py"
    script.write_text(
        f"import signal; import render_recipes; from harken.render import render\n"
        f"if __name__ == '__main__':\n"
        # Where tests run in a shell's background, interrupts are ignored, and that is inherited.
        f"    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"    recipe = render_recipes.{recipe}\n"
        f"    render(recipe, {str(folder)!r}, samples={SAMPLES}, samples_per_shard={PER_SHARD}, workers={workers})\n"
    )
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_rendering_continues_to_the_bytes_of_an_undisturbed_one(tmp_path, undisturbed, workers):
    process = start("Slow()", tmp_path, workers, name=f"killed{workers}")
    wait_for(lambda: (tmp_path / "train-000001.tar").exists())
    time.sleep(0.1)  # into the next shard
    process.kill()
    process.wait()
    if workers == 1:  # of several, each tidies up when it notices that it is an orphan
        assert list(tmp_path.glob(".*.partial"))
    assert not (tmp_path / "train-000004.tar").exists()
    before = len(list(tmp_path.glob("*.tar")))
    time.sleep(1.0)  # Workers notice that they are orphans: nothing new appears.
    assert len(list(tmp_path.glob("*.tar"))) == before
    with pytest.warns(HarkenWarning, match="did not end by itself; going on"):
        assert rendered(Scenes(), tmp_path) == undisturbed


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_a_killed_worker_is_replaced_and_its_shard_made_again(tmp_path, undisturbed):
    marks, folder = tmp_path / "marks", tmp_path / "set"
    marks.mkdir()
    recipe = Deadly(marks=marks)
    with pytest.warns(HarkenWarning, match=r"was killed \(SIGKILL\) while it made train-000000.tar \(samples 0–7\)"):
        assert rendered(recipe, folder, workers=2).keys() == undisturbed.keys()
    assert (folder / "train-000000.tar").read_bytes() == undisturbed["train-000000.tar"]
    assert len(list(marks.iterdir())) == 1


@pytest.mark.filterwarnings("ignore:Process .* was killed")
def test_a_shard_that_kills_every_worker_is_reported(tmp_path):
    marks, folder = tmp_path / "marks", tmp_path / "set"
    marks.mkdir()
    with pytest.raises(DataSetError, match=r"train-000000.tar \(samples 0–7\), as 2 did before it.*fewer workers"):
        rendered(Deadly(marks=marks, deaths=99), folder, workers=2)
    assert not (folder / "train-000000.tar").exists()
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sample_that_cannot_be_made_is_named_and_what_was_finished_stays(tmp_path, workers):
    with pytest.raises(DataSetError, match=r"Sample 5 of split 'train' .*'flac': the sound is NaN"):
        rendered(Failing(), tmp_path, workers=workers)
    assert not list(tmp_path.glob("train-000000.tar")) and not list(tmp_path.glob(".*"))
    job = Job(recipe=Failing(), folder=tmp_path, samples=SAMPLES, samples_per_shard=PER_SHARD)
    with pytest.raises(DataSetError, match=r"Sample 13 .*ZeroDivisionError: the thirteenth has no size"):
        write_shard(job, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_reported_and_the_run_continues_when_there_is_room(tmp_path, undisturbed, workers):
    size = sum(len(content) for name, content in undisturbed.items() if name.endswith(".tar"))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size // 2}", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        with pytest.raises(DataSetError, match=r"No space left while writing .*run the same command again"):
            rendered(Scenes(), disk, workers=workers)
        left = contents(disk)
        shards = [name for name in left if name.endswith(".tar")]
        assert 1 <= len(shards) <= 3
        assert all(left[name] == undisturbed[name] for name in shards)
        assert not [name for name in left if name.startswith(".")]
        subprocess.run(["mount", "-o", f"remount,size={size * 2 + 4_000_000}", str(disk)], check=True)
        assert rendered(Scenes(), disk) == undisturbed
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_that_may_not_grow_is_no_space(tmp_path):
    code = (
        "import resource, sys\n"
        "from render_recipes import Scenes; from harken.render import render\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        f"render(Scenes(), {str(tmp_path)!r}, samples=8, progress=False)\n"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert "DataSetError: No space left while writing" in done.stderr
    assert not list(tmp_path.glob("*.tar")) and not list(tmp_path.glob(".*"))


def test_interrupting_keeps_what_was_finished(tmp_path):
    process = start("Slow(seconds=60.0, since=16)", tmp_path, 2, name="interrupted")
    wait_for(lambda: (tmp_path / "train-000000.tar").exists() and (tmp_path / "train-000001.tar").exists())
    time.sleep(2.0)  # The worker has yet to report the shard; the next ones take minutes.
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert not list(tmp_path.glob(".*"))
    manifest = json.loads((tmp_path / "train.manifest.json").read_text())
    # The last shard may have been finished in the very moment; then it is made again.
    assert {shard["name"] for shard in manifest["shards"]} <= {path.name for path in tmp_path.glob("*.tar")}
    assert len(list(read_samples(tmp_path, incomplete=True))) >= 8
    with pytest.raises(DataSetError, match=r"is not finished: \d+ of 33 samples"):
        next(read_samples(tmp_path))


ENDINGS = {
    "SIGTERM": [signal.SIGTERM],
    "Ctrl-C twice": [signal.SIGINT, signal.SIGINT],
    "Ctrl-C three times": [signal.SIGINT] * 3,
}


@pytest.mark.filterwarnings("ignore:The run that wrote into:harken.errors.HarkenWarning")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_rendering_that_is_ended_goes_on_to_the_bytes_of_an_undisturbed_one(tmp_path, undisturbed, ending):
    folder = tmp_path / "set"
    process = start("Slow()", folder, 2, name="ended")
    wait_for(lambda: (folder / "train-000001.tar").exists())
    for number in ENDINGS[ending]:
        process.send_signal(number)
        time.sleep(0.05)
    process.wait(30)
    assert process.returncode != 0 and not (folder / "train-000004.tar").exists()
    if len(ENDINGS[ending]) == 1:  # a second one may interrupt the tidying
        assert not list(folder.glob(".*"))
    manifest = json.loads((folder / "train.manifest.json").read_text())
    assert {shard["name"] for shard in manifest["shards"]} <= {path.name for path in folder.glob("*.tar")}
    assert rendered(Scenes(), folder) == undisturbed


STRANGE = """
import os, resource, sys, warnings
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import render_recipes
from harken.render import RenderedSamples, read_samples, render, verify
if __name__ == "__main__":
    warnings.simplefilter("error")
    folder = os.fsdecode(bytes.fromhex(sys.argv[1]))
    render(render_recipes.Scenes(), folder, samples=33, samples_per_shard=8, workers=2)
    assert len(list(read_samples(folder))) == 33 and RenderedSamples(folder=folder)[32]["__key__"] == "train-00000032"
    found = verify(folder)
    print(found, file=sys.stderr)
    assert found.passed
"""


def test_64_files_an_ascii_locale_and_folders_of_any_name_change_nothing(tmp_path, undisturbed):
    folder = tmp_path / os.fsdecode("a folder – ü ".encode() + b"\xff")
    script = tmp_path / "strange.py"
    script.write_text(STRANGE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii"}
    environment |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, str(script), os.fsencode(folder).hex()]
    done = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert contents(folder) == undisturbed


def test_memory_does_not_grow_with_the_number_of_samples(tmp_path):
    code = (
        "import resource\n"
        "from render_recipes import Blocks; from harken.render import render\n"
        "peaks = []\n"
        "for samples in (20, 120):\n"
        f"    folder = {str(tmp_path)!r} + str(samples)\n"
        "    render(Blocks(), folder, samples=samples, samples_per_shard=20, progress=False)\n"
        "    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "print(peaks[1] - peaks[0])\n"
    )
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = sum(path.stat().st_size for path in Path(f"{tmp_path}120").glob("*.tar"))
    # A tenth of what was written; what is kept by mistake would be more than half of it.
    assert int(done.stdout) * 1024 < 0.1 * written
