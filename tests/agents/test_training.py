"""Training: environments, imitation, checkpoints, and going on after a kill, bit by bit."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs harken[train]")
for package in ("sb3_contrib", "safetensors"):
    pytest.importorskip(package, reason="needs harken[train]")

from harken.agents import PolicyAgent  # noqa: E402
from harken.agents.training.checkpoint import load_policy, load_training, read_card, save_policy  # noqa: E402
from harken.agents.training.environments import ThreadVecEnv  # noqa: E402
from harken.agents.training.imitation import Imitation, TeacherDrives  # noqa: E402
from harken.agents.training.loop import check_same_settings, environment_arguments, train  # noqa: E402
from harken.agents.training.recurrent import EncoderPolicy, SequencePPO  # noqa: E402
from harken.agents.training.replay import Replay  # noqa: E402
from harken.agents.training.resuming import Resumable  # noqa: E402
from harken.agents.training.settings import ImitationSettings, PPOSettings, TrainSettings  # noqa: E402
from harken.envs import TaskEnv, WaypointActions  # noqa: E402
from harken.envs.drawing import HomePool  # noqa: E402
from harken.errors import ConfigurationError, StateError  # noqa: E402
from harken.eval import Evaluation, evaluate, judge_policy  # noqa: E402

POOL = HomePool(homes=2, together=2, episodes=4)
CONFIG = {
    "acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 36, "height": 36}}, "goals_per_home": 2,
}  # fmt: skip
SETTINGS = TrainSettings(
    environments=2,
    workers=1,
    pool=HomePool(homes=1, together=1, episodes=100),
    goals_per_home=2,
    imitation=ImitationSettings(steps=96, teacher_steps=64, rollout=16, batch=32),
    reinforcement=PPOSettings(steps=64, rollout=16, batch=32, epochs=2),
    evaluate_every=96,
    evaluation_episodes=1,
    checkpoint_every=32,
    device="cpu",
)

KINDS = {
    "av-nav": SETTINGS,
    "savi": replace(SETTINGS, agent="savi", task="semantic-audiogoal", sound="heard"),
}
"""A training of each network."""


def an_env(**more):
    return TaskEnv("audiogoal", pool=POOL, config=CONFIG, **more)


def test_threads_step_environments_as_one_after_the_other():
    from stable_baselines3.common.vec_env import DummyVecEnv

    kinds = ThreadVecEnv([an_env] * 3, threads=2), DummyVecEnv([an_env] * 3)
    seen = []
    for envs in kinds:
        envs.seed(7)
        seen.append([envs.reset()])
        rng = np.random.default_rng(0)
        for _ in range(12):
            observation, rewards, dones, infos = envs.step(rng.integers(4, size=3))
            seen[-1].append(observation)
            seen[-1].append(
                {"rewards": rewards, "dones": dones, "truncated": [i["TimeLimit.truncated"] for i in infos]}
            )
            ended = [info.get("terminal_observation") for info in infos]
            assert [end is not None for end in ended] == dones.tolist()
        envs.close()
    for one, other in zip(*seen, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_pool_returns_to_its_homes_and_goals():
    env = TaskEnv("pointgoal", pool=POOL, config={"goals_per_home": 2, "body": CONFIG["body"]}, sensors=("pose",))
    scenes, goals = [], {}
    env.reset(seed=3)
    for _ in range(24):
        env.reset()
        episode = env.task.episode
        scenes.append(episode.scene)
        goals.setdefault(episode.scene, set()).add(episode.goal_position)
    env.close()
    assert len(set(scenes)) == 2
    assert all(len(places) == 2 for places in goals.values())


def test_a_sequence_goes_on_from_where_it_was():
    env, other = Resumable(an_env()), Resumable(an_env())
    env.reset(seed=3)
    for _ in range(3):
        env.reset()
    for action in (1, 2, 1, 1):
        here, *_ = env.step(np.int64(action))
    snapshot = json.loads(json.dumps(env.snapshot()))
    there = other.restore(snapshot)
    assert all(np.array_equal(here[name], there[name]) for name in here)
    for _ in range(2):
        (one, _), (two, _) = env.reset(), other.reset()
        assert all(np.array_equal(one[name], two[name]) for name in one)
    env.close()
    other.close()


def test_the_teacher_acts_in_its_share_of_episodes():
    envs = TeacherDrives(ThreadVecEnv([lambda: an_env(sensors=("depth", "spectrogram", "oracle"))] * 2), share=1.0)
    envs.reset()
    done = 0
    for _ in range(200):
        _, rewards, dones, infos = envs.step(np.zeros(2, np.int64))  # the pupil would stop at once
        done += sum(dones)
        assert all(info["success"] for info, ended in zip(infos, dones, strict=True) if ended)
    assert done >= 2 and rewards.dtype == np.float32
    envs.close()
    with pytest.raises(ConfigurationError, match="oracle"):
        TeacherDrives(ThreadVecEnv([an_env]))
    with pytest.raises(ConfigurationError, match="oracle"):
        Imitation(EncoderPolicy, ThreadVecEnv([an_env]), device="cpu")


def test_imitation_learns_what_the_teacher_does():
    """Where the goal lies does not tell all of the way around furniture, but more than chance, which is a quarter."""

    def make():
        return TaskEnv("pointgoal", pool=POOL, config=CONFIG | {"acoustics": {}}, sensors=("pointgoal", "oracle"))

    envs = TeacherDrives(ThreadVecEnv([make] * 4), share=1.0)
    model = Imitation(
        EncoderPolicy, envs, n_steps=32, batch_size=64, n_epochs=4, learning_rate=5e-3, seed=0, device="cpu",
        policy_kwargs={"size": replace(SETTINGS.network, memory=64)},
    )  # fmt: skip
    agreement = []
    for chunk in range(16):
        model.learn(256, reset_num_timesteps=chunk == 0, log_interval=None)
        agreement.append(model.logger.name_to_value["train/agreement"])
    envs.close()
    assert np.mean(agreement[-6:]) > 0.42


def test_rollouts_are_learnt_from_again_and_after_an_interruption(tmp_path):
    space = gym.spaces.Dict(
        {"depth": gym.spaces.Box(0.0, 10.0, (4, 4, 1), np.float32), "oracle": gym.spaces.Discrete(4)}
    )

    def rollout(number):
        depth = np.full((2, 3, 4, 4, 1), 1 + number / 3, np.float32)
        return {"depth": depth, "oracle": np.full((2, 3, 1), number), "_returns": np.full((2, 3), 1 / 3, np.float32)}

    replay = Replay(tmp_path, rollouts=2)
    for number in range(4):
        replay.add(10 * number, space.spaces, rollout(number))
    np.random.seed(0)  # noqa: NPY002
    drawn = replay.draw(100)
    assert drawn["depth"].shape == (4, 3, 4, 4, 1) and drawn["oracle"].unique().tolist() == [2, 3]
    assert drawn["depth"].dtype == torch.float16 and drawn["_returns"].dtype == torch.float32  # these are not images
    assert replay.draw(1)["depth"].shape == (1, 3, 4, 4, 1)
    assert replay.all("oracle").flatten().tolist() == [2] * 6 + [3] * 6

    again = Replay(tmp_path, rollouts=2, steps=20)  # the checkpoint was written after 20 steps
    assert again.all("oracle").unique().tolist() == [1, 2]
    again.prune()
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["000000000010", "000000000020"]


def test_an_agent_is_told_what_it_did_and_hears_no_padding():
    arguments = environment_arguments(SETTINGS)
    assert arguments["sensors"] == ("depth", "spectrogram", "collision", "last_action")
    env = TaskEnv("audiogoal", **arguments)
    first, _ = env.reset(seed=0)
    assert first["spectrogram"].shape == (65, 7, 2) and first["last_action"] == 0
    for action in (2, 3, 1):
        observation, *_ = env.step(action)
        assert observation["last_action"] == 1 + action
    assert env.reset()[0]["last_action"] == 0
    env.close()
    asked = replace(SETTINGS, sensors=("depth",), size="published")
    assert environment_arguments(asked)["sensors"] == ("depth",)
    assert "observation_time" not in environment_arguments(asked)["config"]


def test_a_policy_is_written_and_read_without_what_teachers_see(tmp_path):
    envs = ThreadVecEnv([lambda: an_env(sensors=("depth", "spectrogram", "oracle"))])
    model = Imitation(EncoderPolicy, envs, device="cpu", policy_kwargs={"size": SETTINGS.network})
    save_policy(tmp_path / "policy.safetensors", model.policy, {"spl": 0.5})
    envs.close()
    policy = load_policy(tmp_path / "policy.safetensors")
    assert sorted(policy.observation_space.spaces) == ["depth", "spectrogram"]
    assert read_card(tmp_path / "policy.safetensors") == {"spl": 0.5}
    records = evaluate(
        Evaluation(agent=PolicyAgent(policy), arguments={"split": "val", "config": CONFIG}, episodes=1), progress=False
    )
    assert len(records) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no policy of Harken"),
        (b"\x10\0\0\0\0\0\0\0{}" + b" " * 14, "no policy of Harken"),
        (b"PK\x03\x04 a zip of somebody else", "no policy of Harken"),
    ],
)
def test_what_is_no_policy_is_an_error(tmp_path, content, message):
    path = tmp_path / "policy.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        load_policy(path)
    with pytest.raises(ConfigurationError):
        load_policy(tmp_path / "nothing.safetensors")


def test_a_checkpoint_for_other_sensors_is_an_error(tmp_path):
    train(replace(SETTINGS, evaluate_every=0, reinforcement=PPOSettings(steps=0)), tmp_path, progress=False)
    path = max(tmp_path.glob("checkpoint-*"))
    envs = ThreadVecEnv([lambda: an_env(sensors=("depth",))])
    model = SequencePPO(EncoderPolicy, envs, device="cpu", policy_kwargs={"size": SETTINGS.network})
    with pytest.raises(ConfigurationError, match="was trained with"):
        load_training(path, model)
    with pytest.raises(ConfigurationError, match="holds a policy alone"):
        load_training(tmp_path / "last.safetensors", model)
    envs.close()


def test_a_folder_of_other_settings_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(ConfigurationError, match="other settings"):
        train(SETTINGS, tmp_path, progress=False)


def test_another_number_of_workers_is_the_same_training(tmp_path):
    check_same_settings(SETTINGS, tmp_path)
    check_same_settings(replace(SETTINGS, workers=2), tmp_path)
    with pytest.raises(ConfigurationError, match="other settings: seed"):
        check_same_settings(replace(SETTINGS, seed=1), tmp_path)


def test_weights_that_are_no_numbers_stop_the_training(tmp_path):
    wild = replace(SETTINGS, imitation=replace(SETTINGS.imitation, learning_rate=1.0, steps=4096), evaluate_every=0)
    original = EncoderPolicy.evaluate_actions

    def broken(self, *arguments):
        values, logarithms, entropy = original(self, *arguments)
        return values * float("nan"), logarithms, entropy

    EncoderPolicy.evaluate_actions = broken
    try:
        with pytest.raises(StateError, match=r"Update 1 .* not finite"):
            train(wild, tmp_path, progress=False)
    finally:
        EncoderPolicy.evaluate_actions = original
    kept = load_policy(tmp_path / "last.safetensors")
    assert all(torch.isfinite(weights).all() for weights in kept.parameters())


def test_stages_that_are_not_whole_rollouts_go_on_alike(tmp_path):
    """Imitation ends at 64 of 40 steps; a training that stops in either stage goes on in that one."""
    odd = replace(
        SETTINGS,
        task="pointgoal",
        imitation=replace(SETTINGS.imitation, steps=40),
        reinforcement=replace(SETTINGS.reinforcement, steps=90),
        evaluate_every=32,
    )

    def judge(stops, policy, settings, steps):
        if steps == stops:
            raise KeyboardInterrupt
        return {"spl": 1.0 / steps}

    train(odd, tmp_path / "whole", judge=functools.partial(judge, 0), progress=False)
    for stops in (64, 96):
        with pytest.raises(KeyboardInterrupt):
            train(odd, tmp_path / "broken", judge=functools.partial(judge, stops), progress=False)
    train(odd, tmp_path / "broken", judge=functools.partial(judge, 0), progress=False)
    assert [line["stage"] for line in _lines(tmp_path / "whole") if "rate" in line] == [
        *["imitation"] * 2, *["reinforcement"] * 3
    ]  # fmt: skip
    for name in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes(), name


def test_rollouts_that_somebody_removed_are_missed(tmp_path):
    settings = replace(SETTINGS, task="pointgoal", imitation=replace(SETTINGS.imitation, steps=96), evaluate_every=32)

    def judge(policy, settings, steps):
        if steps == 64:
            raise KeyboardInterrupt
        return {"spl": 0.0}

    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path, judge=judge, progress=False)
    shutil.rmtree(tmp_path / "replay")
    with pytest.raises(StateError, match="holds 0 of the 1 rollouts"):
        train(settings, tmp_path, progress=False)


SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {folder!r})
from test_training import KINDS
from harken.agents.training.loop import train
from harken.eval import judge_policy
train(KINDS[sys.argv[2]], sys.argv[1], judge=judge_policy, progress=False)
"""


def _start(out, agent):
    script = SCRIPT.format(folder=os.path.dirname(__file__))
    return subprocess.Popen([sys.executable, "-c", script, str(out), agent], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("agent", KINDS)
def test_a_killed_training_goes_on_bit_by_bit(tmp_path, agent):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert _start(whole, agent).wait(300) == 0
    for least in (1, 3):
        process = _start(broken, agent)
        while process.poll() is None and len(_lines(broken)) < least:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with (broken / "curve.jsonl").open("a") as file:
            file.write('{"steps": 6')  # as if it had been killed while it wrote
    assert _start(broken, agent).wait(300) == 0
    for name in ("last.safetensors", "best.safetensors"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
    unlike = ("seconds", "rate", "time/environments", "time/actions", "time/learning")
    one, other = ([{k: v for k, v in line.items() if k not in unlike} for line in _lines(f)] for f in (whole, broken))
    assert one == other
    found = evaluate(Evaluation(agent=str(broken), environment=KINDS[agent].task, episodes=1), progress=False)
    assert len(found) == 1


def _lines(folder):
    path = folder / "curve.jsonl"
    whole = path.read_text().rpartition("\n")[0] if path.is_file() else ""
    return [json.loads(line) for line in whole.splitlines()]


def test_a_training_begins_with_the_weights_of_another(tmp_path):
    short = replace(SETTINGS, task="pointgoal", reinforcement=PPOSettings(steps=0), evaluate_every=0)
    train(replace(short, imitation=replace(short.imitation, steps=32)), tmp_path / "first", progress=False)
    still = replace(short.imitation, steps=32, learning_rate=0.0)
    train(replace(short, imitation=still, start=str(tmp_path / "first")), tmp_path / "second", progress=False)
    first, second = (load_policy(tmp_path / name / "last.safetensors").state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = replace(short, sensors=("pose",), start=str(tmp_path / "first"))
    with pytest.raises(ConfigurationError, match="do not fit this training"):
        train(other, tmp_path / "third", progress=False)
    with pytest.raises(ConfigurationError, match="nothing"):
        train(replace(short, start=str(tmp_path / "nothing")), tmp_path / "fourth", progress=False)


def test_an_evaluation_does_not_change_what_training_draws(tmp_path):
    short = replace(SETTINGS, task="pointgoal", reinforcement=PPOSettings(steps=0), evaluate_every=0)
    train(replace(short, imitation=replace(short.imitation, steps=32)), tmp_path, progress=False)
    policy, before = load_policy(tmp_path / "last.safetensors"), torch.get_rng_state()
    assert judge_policy(policy, short, 0)["steps"] > 0
    assert torch.equal(before, torch.get_rng_state())


def test_a_checkpoint_can_be_evaluated_as_it_was_trained(tmp_path):
    short = replace(SETTINGS, task="pointgoal", reinforcement=PPOSettings(steps=0), evaluate_every=0)
    train(replace(short, imitation=replace(short.imitation, steps=32)), tmp_path, progress=False)
    agent = PolicyAgent.load(max(tmp_path.glob("checkpoint-*")))
    assert agent.config["body"]["camera"] == {"width": 64, "height": 64} and not agent.deterministic
    assert PolicyAgent.load(tmp_path, deterministic=True).deterministic
    assert "oracle_distance" not in agent.config and "goals_per_home" not in agent.config


def test_the_teacher_of_a_training_goes_near_the_goal():
    env = TaskEnv("audiogoal", **environment_arguments(SETTINGS) | {"sensors": ("oracle",)})
    observation, _ = env.reset(seed=1)
    done = False
    while not done:
        observation, _, done, _, info = env.step(observation["oracle"])
    env.close()
    assert info["success"] and info["distance_to_goal"] < 0.4
    with pytest.raises(ConfigurationError, match="less than a step"):
        TaskEnv("audiogoal", config={"oracle_distance": 0.1})


@pytest.mark.parametrize("task", ["dynamic-audiogoal", "multi-goal"])
def test_tasks_on_a_grid_and_with_several_goals_are_trained_too(tmp_path, task):
    imitation, short = replace(SETTINGS.imitation, steps=32), PPOSettings(steps=32, rollout=16, batch=32, epochs=1)
    settings = replace(SETTINGS, task=task, sound="heard", imitation=imitation, reinforcement=short, evaluate_every=0)
    train(settings, tmp_path, progress=False)
    assert PolicyAgent.load(tmp_path).sensors


def test_a_task_without_a_goal_is_refused():
    with pytest.raises(ConfigurationError, match="has no goal to find"):
        environment_arguments(replace(SETTINGS, task="echo-explore"))
    assert "sound" not in environment_arguments(replace(SETTINGS, task="pointgoal"))
    assert environment_arguments(SETTINGS)["sound"] == "telephone"


class CountsThreads:
    """A model that says in how many threads torch computes."""

    observation_space = gym.spaces.Dict({"collision": gym.spaces.Box(0.0, 1.0, (1,), np.float32)})
    action_space = gym.spaces.Discrete(100)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return torch.get_num_threads(), state


def test_a_policy_acts_in_one_thread_and_gives_the_others_back():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        agent = PolicyAgent(CountsThreads())
        agent.reset(0)
        assert agent.act({"collision": np.zeros(1, np.float32)}) == 1, "more would spin while the environment steps"
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


class Doubts:
    """A model that stops with a probability, and else goes ahead or turns."""

    def __init__(self, env, stop, probability):
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self._probabilities = torch.full((int(env.action_space.n),), 0.0)
        self._probabilities[[action for action in range(4) if action != stop]] = (1.0 - probability) / 3
        self._probabilities[stop] = probability

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        if deterministic:
            return int(self._probabilities.argmax()), state
        return int(torch.multinomial(self._probabilities, 1)), state


@pytest.mark.parametrize("waypoints", [False, True], ids=["steps", "way points"])
@pytest.mark.parametrize(("probability", "stops"), [(0.24, False), (0.9, True)])
def test_an_agent_that_draws_stops_only_where_that_is_most_likely(waypoints, probability, stops):
    sensors = ("collision", "geometric_map") if waypoints else ("collision",)
    env = TaskEnv("pointgoal", split="val", sensors=sensors, config={"map": {"size": 16}} if waypoints else None)
    if waypoints:
        env = WaypointActions(env, shows_mask=True)
    stop = env.center if waypoints else 0
    agent = PolicyAgent(Doubts(env, stop, probability), deterministic=False)
    agent.fitted(env)
    agent.reset(0)
    observation, _ = env.reset(seed=0)
    drawn = [int(agent.act(observation)) for _ in range(200)]
    assert (stop in drawn) == stops and len(set(drawn)) >= 3, "it still draws"


def test_where_nothing_stops_every_action_is_drawn():
    env = WaypointActions(TaskEnv("echo-explore", split="val", sensors=("geometric_map",)), shows_mask=True)
    agent = PolicyAgent(Doubts(env, env.center, 0.24), deterministic=False)
    agent.fitted(env)
    agent.reset(0)
    observation = env.observation_space.sample()
    assert env.center in {int(agent.act(observation)) for _ in range(200)}, "a turn on the spot"
