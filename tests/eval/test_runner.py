import dataclasses
import json

import numpy as np
import pytest

from harken.configs import load_preset
from harken.errors import ConfigurationError, FileError, StateError, UnknownNameError
from harken.eval import Evaluation, evaluate, summarise, write_results
from harken.tasks import NavigationSettings

FAST = {"acoustics": {"rays": 300, "duration": 0.5}}
ARGUMENTS = {"split": "val", "config": FAST}


def run(agent, **options):
    return evaluate(Evaluation(agent=agent, arguments=ARGUMENTS, **options), progress=False)


def outcomes(records):
    return [(r.episode, r.scene, dict(r.measures), r.positions.tobytes(), r.actions.tobytes()) for r in records]


def test_the_oracle_succeeds_and_the_random_agent_does_not():
    for agent, success in (("oracle", 1.0), ("random", 0.0)):
        summary = summarise(run(agent, episodes=6, recorded=0))
        assert summary["success"].mean == success


def test_results_do_not_depend_on_the_number_of_workers():
    one = run("follower", episodes=7, recorded=0, workers=1)
    two = run("follower", episodes=7, recorded=0, workers=2)
    assert outcomes(one) == outcomes(two)


def test_recorded_episodes_keep_pictures_and_sound():
    recorded, plain = run("oracle", episodes=2, recorded=1)
    steps = len(recorded.actions)
    assert recorded.has_media and not plain.has_media
    assert len(recorded.frames) == len(recorded.depth) == steps + 1
    assert recorded.audio.shape == (2, (steps + 1) * 4000) and np.abs(recorded.audio).max() > 0
    assert recorded.positions.shape == (steps + 1, 3) and len(recorded.plan_oracle) >= 2
    assert recorded.measures["reward"] == pytest.approx(recorded.rewards.sum())


def test_every_fifth_episode_can_be_taken():
    assert [r.index for r in run("random", episodes=3, every=5, recorded=0)] == [0, 5, 10]


def test_results_are_written_whole(tmp_path):
    records = run("oracle", episodes=3, recorded=1)
    settings = load_preset(NavigationSettings, "soundspaces2")
    summary = write_results(
        tmp_path / "out",
        {"oracle": records},
        title="Oracle",
        settings=settings,
        arguments={"split": "val"},
        command="harken eval audiogoal --agent oracle",
    )
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for name in ("success", "spl", "soft_spl", "sna", "distance_to_goal", "normalized_distance_to_goal"):
        assert metrics[name]["mean"] == pytest.approx(summary["oracle"][name].mean)
        assert metrics[name]["low"] <= metrics[name]["mean"] <= metrics[name]["high"]
    assert metrics["episodes"] == 3 and metrics["agent"] == "oracle"
    assert load_preset(NavigationSettings, tmp_path / "out" / "config.yaml") == settings
    assert len((tmp_path / "out" / "episodes.csv").read_text().splitlines()) == 4
    assert "<audio" in (tmp_path / "out" / "report.html").read_text()


def test_bad_evaluations_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'oracle'"):
        run("oracel", episodes=1)
    with pytest.raises(ConfigurationError, match="episodes is 0"):
        Evaluation(agent="oracle", episodes=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made or written"):
        write_results(
            tmp_path / "file" / "out",
            {"random": run("random", episodes=1, recorded=0)},
            title="",
            settings=NavigationSettings(),
            arguments={},
            command="",
        )


def test_a_worker_that_is_killed_ends_the_evaluation_with_a_word(tmp_path):
    import os
    import signal
    import threading
    import time

    def kill_one():
        for _ in range(600):
            time.sleep(0.1)
            children = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_worker(int(pid))]
            if children:
                os.kill(children[0], signal.SIGKILL)
                return

    def is_worker(pid):
        try:
            with open(f"/proc/{pid}/stat") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{pid}/cmdline") as file:
                return parent == os.getpid() and "spawn_main" in file.read()
        except OSError:
            return False

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(StateError, match=r"worker process was killed \(SIGKILL\) before its work was done"):
        run("random", episodes=60, recorded=0, workers=2)
    killer.join()


def test_a_policy_of_stable_baselines_runs_from_its_zip_with_the_wrappers_it_was_trained_in(tmp_path):
    algorithms = pytest.importorskip("stable_baselines3")
    from harken.envs import StableBaselinesObservation, TaskEnv

    sensors = ("collision", "pose", "depth")
    small = {**FAST, "body": {"camera": {"width": 36, "height": 36}}}
    env = StableBaselinesObservation(TaskEnv("audiogoal", split="val", sensors=sensors, config=small))
    model = algorithms.PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu")
    model.save(tmp_path / "policy.zip")
    arguments = {"split": "val", "config": small}
    what = Evaluation(agent=tmp_path / "policy.zip", arguments=arguments, episodes=2, recorded=0, trust=True)
    one, two = evaluate(what, progress=False), evaluate(what, progress=False)
    assert outcomes(one) == outcomes(two) and one[0].agent == "policy"
    env.reset(seed=0, options={"episode": 0})
    direct = model.predict(env.reset(seed=0, options={"episode": 0})[0], deterministic=True)[0]
    assert one[0].actions[0] == direct
    wrapped = dataclasses.replace(what, wrappers=("harken.envs:StableBaselinesObservation",))
    assert outcomes(evaluate(wrapped, progress=False)) == outcomes(one)
    with pytest.raises(ConfigurationError, match=r"policy\.zip holds pickles.*--trust"):
        evaluate(dataclasses.replace(what, trust=False), progress=False)
    other = dataclasses.replace(what, arguments={"split": "val", "config": FAST})
    with pytest.raises(ConfigurationError, match="Give the wrappers and settings"):
        evaluate(other, progress=False)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"text"])
def test_a_zip_that_is_no_policy_is_refused_without_running_anything(tmp_path, content):
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"bad\.zip is not a model of Stable-Baselines3"):
        run(str(tmp_path / "bad.zip"), episodes=1)
