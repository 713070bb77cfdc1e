"""What Gymnasium's wrappers and Stable-Baselines3 expect of environments, and what they get."""

import functools

import gymnasium as gym
import numpy as np
import pytest

import harken  # noqa: F401  Registers the environments.
from harken.envs import StableBaselinesObservation, TaskEnv
from harken.envs.drawing import HomePool

SENSORS = ("depth", "pose")
STEPS = 5
CONFIG = {"max_steps": STEPS, "body": {"camera": {"width": 36, "height": 36}}}
POOL = HomePool(homes=1, together=1)
TURN, STOP = 2, 0


def made():
    """An environment without sound, whose episodes are cut off after five steps."""
    return TaskEnv("pointgoal", sensors=(*SENSORS, "pointgoal"), config=CONFIG, pool=POOL)


def flat():
    return StableBaselinesObservation(made())


def test_record_episode_statistics_counts_an_episode():
    env = gym.wrappers.RecordEpisodeStatistics(made())
    env.reset(seed=0)
    rewards = []
    for _ in range(STEPS):
        _, reward, terminated, truncated, info = env.step(np.int64(TURN))
        rewards.append(reward)
    assert truncated and not terminated
    assert info["episode"]["l"] == STEPS
    assert info["episode"]["r"] == pytest.approx(sum(rewards), abs=1e-5)
    env.close()


def test_async_vector_env_returns_what_sync_vector_env_does():
    kinds = {
        "sync": gym.vector.SyncVectorEnv([made] * 2, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP),
        "async": gym.vector.AsyncVectorEnv([made] * 2, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP),
    }
    seen = {}
    for name, envs in kinds.items():
        seen[name] = [(envs.reset(seed=3)[0], None)]
        for _ in range(STEPS):
            observation, rewards, terminated, truncated, infos = envs.step(np.full(2, TURN))
            seen[name].append((observation, rewards.tolist()))
        assert truncated.all() and not terminated.any()
        final = infos["final_obs"][1]
        assert all(final[sensor].shape == observation[sensor][1].shape for sensor in SENSORS)
        assert not np.array_equal(final["pose"], observation["pose"][1])  # another episode has begun
        assert infos["final_info"]["success"].tolist() == [0.0, 0.0]
        envs.close()
    for (one, ones), (other, others) in zip(seen["sync"], seen["async"], strict=True):
        assert ones == others
        assert all(np.array_equal(one[sensor], other[sensor]) for sensor in one)


@pytest.mark.parametrize("kind", ["DummyVecEnv", "SubprocVecEnv", "ThreadVecEnv"])
def test_vec_envs_tell_how_an_episode_ended(kind):
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    monitor = pytest.importorskip("stable_baselines3.common.monitor")
    if kind == "ThreadVecEnv":
        pytest.importorskip("sb3_contrib")
        from harken.agents.training.environments import ThreadVecEnv as chosen
    else:
        chosen = getattr(vec_env, kind)
    envs = chosen([functools.partial(_watched, monitor.Monitor)] * 2)
    envs.seed(3)
    envs.reset()
    for _ in range(STEPS):
        observation, _, dones, infos = envs.step(np.full(2, TURN))
    assert dones.all()
    for number, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True and info["is_success"] is False
        assert info["episode"]["l"] == STEPS and info["episode"]["success"] == 0.0
        assert set(info["terminal_observation"]) == set(observation)
        assert not np.array_equal(info["terminal_observation"]["pose"], observation["pose"][number])
    _, _, dones, infos = envs.step(np.full(2, STOP))
    assert dones.all() and not any(info["TimeLimit.truncated"] for info in infos)
    assert all(isinstance(info["is_success"], bool) for info in infos)
    envs.close()


def _watched(monitor):
    return monitor(flat(), info_keywords=("success", "spl"))


def test_vec_normalize_scales_the_sensors_that_it_is_given():
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    plain = vec_env.DummyVecEnv([flat] * 2)
    envs = vec_env.VecNormalize(plain, norm_obs_keys=["pose", "pointgoal"])
    envs.seed(0)
    envs.reset()
    for _ in range(4 * STEPS):
        observation, *_ = envs.step(np.full(2, TURN))
    original = envs.get_original_obs()
    assert observation["depth"].dtype == np.uint8 and np.array_equal(observation["depth"], original["depth"])
    statistics = envs.obs_rms["pointgoal"]
    expected = (original["pointgoal"] - statistics.mean) / np.sqrt(statistics.var + envs.epsilon)
    assert observation["pointgoal"] == pytest.approx(np.clip(expected, -10, 10), abs=1e-5)
    envs.close()


def test_vec_frame_stack_shows_the_last_moments():
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    envs = vec_env.VecFrameStack(vec_env.DummyVecEnv([flat]), n_stack=3)
    envs.seed(0)
    first = envs.reset()
    assert first["depth"].shape == (1, 36, 36, 3) and not first["depth"][..., :2].any()
    shown = [first["depth"][..., 2]]
    for _ in range(3):
        observation, *_ = envs.step(np.array([TURN]))
        shown.append(observation["depth"][..., 2])
    assert np.array_equal(observation["depth"], np.stack(shown[-3:], axis=-1))
    envs.close()


def test_eval_callback_finds_the_success_of_each_episode(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecTransposeImage

    model = sb3.PPO("MultiInputPolicy", flat(), n_steps=8, batch_size=8, seed=0, device="cpu")
    held_out = VecTransposeImage(DummyVecEnv([lambda: Monitor(flat())]))
    callback = EvalCallback(held_out, eval_freq=8, n_eval_episodes=2, log_path=str(tmp_path), verbose=0)
    model.learn(8, callback=callback)
    with np.load(tmp_path / "evaluations.npz") as written:
        assert written["successes"].shape == (1, 2)
