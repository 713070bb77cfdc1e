"""What stands on a seam runs on anything that implements the seam, and on nothing else."""

import dataclasses
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from plain_world import PlainSimulator, Square
from toy_task import WallSettings, WallTask

from harken.agents import Agent, agents_for, make_agent
from harken.configs import from_mapping, to_mapping
from harken.envs import RecordVideo, TaskEnv, vector_env
from harken.errors import ConfigurationError, UnknownNameError
from harken.eval import Evaluation, evaluate
from harken.registration import TASKS
from harken.scene.ground import Ground
from harken.sim import SimulatorProtocol, WorldSettings
from harken.sim.worlds import load_world
from harken.tasks import Task

SMALL = {"body": {"camera": {"width": 32, "height": 32}}}


def on_plain(task, **arguments):
    config = {**SMALL, **arguments.pop("config", {})}
    return TaskEnv(task, split="val", simulator=PlainSimulator, config=config, **arguments)


def test_the_plain_world_implements_the_protocols_and_has_no_world():
    plain = PlainSimulator("x", WorldSettings())
    assert isinstance(plain, SimulatorProtocol) and not hasattr(plain, "world")
    for name in (n for n in vars(Ground) if not n.startswith("_")):
        assert hasattr(Square, name)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_and_environment_runs_on_any_simulator(name):
    env = on_plain(name, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        check_env(env, skip_render_check=True)
    env.reset(seed=1)
    assert isinstance(env.task, Task)
    assert env.render().dtype == np.uint8 and env.categories == ("unknown", "wall")
    everything = on_plain(name, sensors=tuple(env.task.sensors))
    observation, _ = everything.reset(seed=1)
    assert observation in everything.observation_space


@pytest.mark.parametrize("name", TASKS)
def test_every_agent_of_every_task_is_evaluated_by_one_evaluator_on_any_simulator(name, tmp_path):
    task = on_plain(name).task
    for agent in agents_for(task)[:4]:
        if agent.startswith("stand"):
            continue
        assert isinstance(make_agent(agent, task), Agent)
        arguments = {"split": "val", "simulator": PlainSimulator, "config": SMALL}
        what = Evaluation(agent=agent, environment=name, arguments=arguments, episodes=2, recorded=1, videos=tmp_path)
        first, second = evaluate(what, progress=False)
        assert first.has_media and not second.has_media and np.isfinite(list(second.measures.values())).all()
        assert (tmp_path / first.video).stat().st_size > 500
        if agent == "oracle":
            assert first.measures.get("success", 1.0) == 1.0


def test_videos_of_any_task_are_recorded(tmp_path):
    env = RecordVideo(on_plain("active-separation", separator=silence, render_mode="rgb_array"), tmp_path)
    env.reset(seed=0)
    for _ in range(3):
        env.step(0)
    env.close()
    assert (tmp_path / "episode-0.mp4").stat().st_size > 500


def silence(observation):
    return np.zeros((512, 32, 1), np.float32)


def test_a_task_of_somebody_elses_needs_one_file():
    settings = {"largest": 3}
    env = TaskEnv(WallTask, split="val", config=settings, eager=True, simulator=PlainSimulator, render_mode="rgb_array")
    check_env(env, skip_render_check=True)
    assert isinstance(env.task, Task) and env.settings == WallSettings(largest=3) and env.task.eager
    gym.register("toys/Wall-v0", entry_point=TaskEnv, vector_entry_point=vector_env, kwargs={"task": WallTask})
    made = gym.make("toys/Wall-v0", split="val", sensors=("depth", "bias"))
    observation, _ = made.reset(seed=0)
    assert set(observation) == {"depth", "bias"}
    *_, info = made.step(made.unwrapped.task.truth)
    assert info["is_success"] is True
    envs = gym.make_vec("toys/Wall-v0", 2, vectorization_mode="vector_entry_point", simulator=PlainSimulator)
    envs.reset(seed=0)
    envs.close()
    with pytest.raises(UnknownNameError, match="Did you mean 'eager'"):
        TaskEnv(WallTask, eagre=True)
    with pytest.raises(ConfigurationError, match="made already"):
        TaskEnv(WallTask(WallSettings(), "val"), config={"largest": 2})


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_agent_of_somebody_elses_is_found_by_module_and_class_and_runs_in_wrappers(wrapped):
    wrappers = ("gymnasium.wrappers:RecordEpisodeStatistics",) if wrapped else ()
    what = Evaluation(
        agent="toy_task:Counter",
        environment=TaskEnv,
        arguments={"task": WallTask, "split": "val", "simulator": PlainSimulator, "sensors": ("bias",)},
        wrappers=wrappers,
        episodes=6,
        recorded=0,
    )
    records = evaluate(what, progress=False)
    assert {record.agent for record in records} == {"toy_task:Counter"}
    assert any(record.measures["success"] for record in records)
    for agent, message in (("toy_task:Nobody", "There is no agent"), ("no.such:Agent", "There is no agent")):
        with pytest.raises(ConfigurationError, match=message):
            evaluate(dataclasses.replace(what, agent=agent), progress=False)
    with pytest.raises(ConfigurationError, match="not an agent; expected an object with"):
        evaluate(dataclasses.replace(what, agent=Square()), progress=False)
    with pytest.raises(ConfigurationError, match="does not"):
        evaluate(dataclasses.replace(what, arguments={**what.arguments, "sensors": ("depth",)}), progress=False)


CHANGES = {
    "body": {"forward_step": 0.5}, "propagation": "soundspaces2", "acoustics": {"rate": 8000}, "step_time": 0.5,
    "max_steps": 3, "max_depth": 3.0, "body.camera": {"camera": {"width": 8}}, "body.ear_height": {"ear_height": 0.7},
}  # fmt: skip
"""Settings that several tasks have, each with another value."""


@pytest.mark.parametrize("name", ["audiogoal", "active-separation", "echo-depth"])
@pytest.mark.parametrize("key", CHANGES)
def test_settings_that_tasks_share_act_or_are_refused(name, key):
    field, value = key.split(".")[0], CHANGES[key]
    if field not in to_mapping(on_plain(name).settings):
        with pytest.raises(UnknownNameError):
            on_plain(name, config={field: value})
        return
    seen = []
    for config in ({}, {field: {**SMALL["body"], **value} if field == "body" else value}):
        if name == "active-separation" and field == "acoustics" and config:
            with pytest.raises(ConfigurationError, match="step of"):  # too few samples for a spectrogram: refused
                on_plain(name, config={**config, "step_time": 0.03})
        made = []

        def remembering(scene, settings, made=made, **options):
            made.append(settings)
            return PlainSimulator(scene, settings, **options)

        env = TaskEnv(name, split="val", simulator=remembering, config={**SMALL, **config})
        env.reset(seed=3)
        env.simulator.place(np.zeros(3), 0.0)
        ended, steps = False, 0
        forward = {"audiogoal": 1, "active-separation": 0, "echo-depth": 1}[name]
        while not ended and steps < 5:
            action = forward
            if isinstance(env.action_space, gym.spaces.Dict):
                action = {
                    k: np.zeros(s.shape, s.dtype) for k, s in env.action_space.items() if isinstance(s, gym.spaces.Box)
                }
                action["move"] = forward
            _, _, terminated, truncated, _ = env.step(action)
            ended, steps = terminated or truncated, steps + 1
        space = f"{env.observation_space} {env.action_space}"
        sound = None if env.waveform is None else env.waveform.shape
        seen.append((made[0], steps, env.simulator.position.tolist(), space, env.task.step_time, sound))
    assert seen[0] != seen[1], f"{name}: {key} changes nothing"


def test_the_worlds_engine_is_a_setting_of_the_world_and_rewards_are_not():
    one = on_plain("active-separation", config={"propagation": "soundspaces2"}).task.world
    assert one.propagation == "soundspaces2" and one != on_plain("active-separation").task.world
    same = [on_plain("audiogoal", config=config).task.world for config in ({}, {"success_reward": 3, "max_steps": 9})]
    assert load_world("home:val:1", same[0]) is load_world("home:val:1", same[1])


def test_settings_with_lists_for_tuples_are_read():
    from harken.scene import HomeConfig

    assert from_mapping(HomeConfig, {"rooms": [3, 4]}).rooms == (3, 4)
    assert hash(from_mapping(HomeConfig, {"rooms": [3, 4]})) == hash(HomeConfig(rooms=(3, 4)))
