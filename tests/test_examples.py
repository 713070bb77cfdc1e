"""What README, the documentation and examples/ tell people to run does run."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
LINES_AT_MOST = 45


def blocks(path: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language in a Markdown file."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Return the subcommands of ``harken`` that are named anywhere, such as "eval"."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*TEXTS, ROOT / "Makefile"])
    return sorted(set(re.findall(r"(?:^|`|bin/)harken ([a-z]+)\b(?= -|`| FILE| audiogoal|\s|$)", text, re.MULTILINE)))


def run(arguments: list[str], folder: Path) -> str:
    """Run Python in a folder and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_example_fits_on_a_screen(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_AT_MOST


def test_hear_a_room_writes_sound_for_both_ears(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    run([str(ROOT / "examples" / "hear_a_room.py")], tmp_path)
    for number in (1, 2, 3):
        samples, rate = soundfile.read(tmp_path / f"heard_{number}.wav")
        assert samples.shape[1] == 2
        assert len(samples) > rate / 2
        assert np.isfinite(samples).all()
        assert (np.abs(samples).max(axis=0) > 1e-6).all()


def test_walk_and_hear_writes_a_video_with_stereo_sound(tmp_path):
    av = pytest.importorskip("av")
    run([str(ROOT / "examples" / "walk_and_hear.py"), ".", "8"], tmp_path)
    with av.open(str(tmp_path / "walk-0.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 1 + 8  # the start and every step
        assert film.streams.audio[0].channels == 2


def test_train_ppo_saves_a_model_that_loads(tmp_path):
    ppo = pytest.importorskip("stable_baselines3").PPO
    run([str(ROOT / "examples" / "train_ppo.py"), ".", "128"], tmp_path)
    assert ppo.load(tmp_path / "ppo_audiogoal.zip", device="cpu").num_timesteps == 128


def test_train_rllib_writes_weights(tmp_path):
    pytest.importorskip("ray.rllib", reason="needs harken[rllib]", exc_type=ImportError)
    from harken.agents import PolicyAgent

    run([str(ROOT / "examples" / "train_rllib.py"), "trained", "64", "1"], tmp_path)
    agent = PolicyAgent.load(tmp_path / "trained")
    assert set(agent.sensors) == {"depth", "spectrogram", "collision", "last_action"}


def test_watch_model_writes_a_video_with_stereo_sound(tmp_path):
    av = pytest.importorskip("av")
    pytest.importorskip("sb3_contrib", reason="needs harken[train]")
    from harken.agents.training import EncoderPolicy, TrainSettings
    from harken.agents.training.checkpoint import save_policy
    from harken.envs import TaskEnv

    config = {"body": {"camera": {"width": 64, "height": 64}}}
    space = TaskEnv("audiogoal", config=config).observation_space
    policy = EncoderPolicy(space, TaskEnv("audiogoal").action_space, lambda _: 0.0, size=TrainSettings().network)
    policy.action_net.bias.data[0] = 9.0  # stops at once
    save_policy(tmp_path / "ears.safetensors", policy, {"config": config})
    run([str(ROOT / "examples" / "watch_model.py"), "ears.safetensors", "videos"], tmp_path)
    with av.open(str(tmp_path / "videos" / "ears-0.mp4")) as film:
        assert film.streams.audio[0].channels == 2 and film.streams.video[0].frames >= 2


def test_texts_name_the_commands():
    assert {"demo", "eval", "scene", "doctor", "bench"} <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_command_in_the_text_exists(command, tmp_path):
    code = f"import sys; from harken.cli import main; sys.argv = ['harken', {command!r}, '--help']; sys.exit(main())"
    assert command in run(["-c", code], tmp_path)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [link for link in targets if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


def test_make_lists_its_targets_and_readme_names_two_of_them():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "lint", "types", "docs", "bench", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.findall(r"^make (\w+)", blocks(ROOT / "README.md", "bash")[0], re.MULTILINE) == ["demo", "test"]
