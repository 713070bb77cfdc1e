"""Way points as actions: masks, ways, rewards, the teacher, and what libraries expect."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from harken.envs import StableBaselinesObservation, TaskEnv, ThreadVectorEnv, WaypointActions
from harken.errors import ActionError, ConfigurationError
from harken.tasks.walk import Action

QUICK = {"acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 64, "height": 64}}}
SENSORS = ("geometric_map", "acoustic_map", "pose", "oracle")
CENTER = 40


def made(task="audiogoal", *, sensors=SENSORS, config=QUICK, preset=None, **more):
    return WaypointActions(TaskEnv(task, split="val", sensors=sensors, config=config, preset=preset), **more)


def played(env, seed, steps=8):
    """Return the bytes of everything an environment says while cells that are allowed are chosen."""
    said, rng = [pickle.dumps(env.reset(seed=seed))], np.random.default_rng(seed)
    for _ in range(steps):
        choices = [cell for cell in np.flatnonzero(env.action_masks()) if cell != CENTER]
        outcome = env.step(np.int64(rng.choice(choices)))
        said.append(pickle.dumps(outcome))
        if outcome[2] or outcome[3]:
            said.append(pickle.dumps(env.reset()))
    return said


def test_a_cell_is_gone_to_and_rewards_are_summed():
    env, plain = made(sensors=("pose",)), TaskEnv("audiogoal", split="val", sensors=("pose",), config=QUICK)
    start, info = env.reset(seed=0, options={"episode": 0})
    assert info["primitive_steps"] == 0 and info["action_mask"].dtype == np.int8
    chosen = next(cell for cell in (31, 22, 13, 4) if env.action_masks()[cell])  # straight ahead
    after, reward, _, _, info = env.step(chosen)
    ahead = (4 - chosen // 9) * 0.5
    assert after["pose"][:2] == pytest.approx([ahead, 0.0], abs=0.15)
    assert info["primitive_steps"] == info["steps"] == round(ahead / 0.25)
    plain.reset(seed=0, options={"episode": 0})
    outcomes = [plain.step(np.int64(Action.MOVE_FORWARD)) for _ in range(info["primitive_steps"])]
    assert reward == pytest.approx(sum(outcome[1] for outcome in outcomes))
    assert np.array_equal(after["pose"], outcomes[-1][0]["pose"]) and not np.array_equal(after["pose"], start["pose"])


@pytest.mark.parametrize(("cell", "expected"), [(39, (0.0, 0.5)), (41, (0.0, -0.5)), (31, (0.5, 0.0))])
def test_rows_go_ahead_and_columns_go_right(cell, expected):
    env = made("pointgoal", sensors=("pose",), config={"body": QUICK["body"]}, longest=40)
    env.reset(seed=0, options={"episode": 0})
    assert env.action_masks()[cell]
    observation, _, _, _, info = env.step(cell)
    assert observation["pose"][:2] == pytest.approx(expected, abs=0.13)
    assert info["primitive_steps"] == round(abs(np.arctan2(*expected[::-1])) / np.radians(10)) + 2


def test_what_is_known_to_be_occupied_is_masked():
    env = made()
    env.reset(seed=0, options={"episode": 0})
    before, task = env.action_masks(), env.unwrapped.task
    shown = task.maps.geometric
    x, y, _ = task.walk.pose(0.0)[:3]
    assert before[CENTER] and before.sum() > 40
    side = int(1.0 / shown.cell)
    i, j = int(x / shown.cell) + shown.half, int(y / shown.cell) + shown.half
    for a, b in ((slice(i - side, i + side), (j - side, j + side)), ((i - side, i + side), slice(j - side, j + side))):
        for k in b if isinstance(a, slice) else a:
            shown.flags[(a, k) if isinstance(a, slice) else (k, b)] |= 1
    _, _, _, _, info = env.step(np.flatnonzero(~before)[0] if (~before).any() else 4)
    inside = info["action_mask"].reshape(9, 9)
    assert inside[4, 4] == 1 and inside[0].sum() == 0 and inside[:, 8].sum() == 0, "walled in, nothing outside is left"


def test_an_agent_that_chooses_masked_cells_only_ends_at_the_limit():
    env = made(config={**QUICK, "max_steps": 12})
    env.reset(seed=0, options={"episode": 0})
    env.unwrapped.task.maps.geometric.flags[:] |= 1
    turned, ended = 0, False
    env.step(0)
    while not ended:
        masked = np.flatnonzero(~env.action_masks())
        assert len(masked) == 80
        _, reward, terminated, truncated, info = env.step(int(masked[turned % 80]))
        assert reward == pytest.approx(-0.01) and info["primitive_steps"] == 1
        turned, ended = turned + 1, terminated or truncated
    assert truncated and info["steps"] == 12 and info["path_length"] == 0.0
    strict = made(config=QUICK, masked="error")
    strict.reset(seed=0, options={"episode": 0})
    strict._mask[5] = False
    with pytest.raises(ActionError, match="masked"):
        strict.step(5)


@pytest.mark.parametrize(
    ("task", "preset"),
    [
        ("audiogoal", "soundspaces2"),
        ("audiogoal", "soundspaces1"),
        ("multi-goal", None),
        ("semantic-audiogoal", "savi"),
    ],
)
def test_the_teacher_of_way_points_finds_the_goal_about_as_directly_as_that_of_steps(task, preset):
    env, spl = made(task, preset=preset, sensors=("oracle",)), []
    for episode in range(3):
        observation, _ = env.reset(seed=episode, options={"episode": episode})
        ended = False
        while not ended:
            assert env.action_masks()[observation["oracle"]]
            observation, _, terminated, truncated, info = env.step(observation["oracle"])
            assert info["primitive_steps"] <= 10
            ended = terminated or truncated
        assert info["success"] == 1.0
        spl.append(info["spl"])
    assert np.mean(spl) > 0.9


@pytest.mark.parametrize(("task", "preset"), [("audiogoal", None), ("dynamic-audiogoal", "dav-nav")])
def test_detours_say_what_the_way_over_each_way_point_costs(task, preset):
    config = {key: value for key, value in QUICK.items() if preset is None or key != "body"}
    env = made(task, preset=preset, sensors=("oracle",), config=config, shows_detours=True, shows_mask=True)
    observation, _ = env.reset(seed=1, options={"episode": 1})
    ended = False
    while not ended:
        detours, mask, best = observation["waypoint_detours"], observation["action_mask"], observation["oracle"]
        assert env.observation_space.contains(observation)
        assert (detours[mask == 0] == 10.0).all() and detours.min() == 0.0
        # A tenth of what the others leave to be walked and of what counts as on the way at most.
        assert detours[best] < 0.6
        assert (best == CENTER) == (detours[CENTER] == 0.0)
        observation, _, terminated, truncated, info = env.step(int(np.argmin(detours)))
        ended = terminated or truncated
    assert info["success"] == 1.0


def test_detours_need_the_oracle():
    with pytest.raises(ConfigurationError, match="detours need the sensor 'oracle'"):
        made(sensors=("geometric_map",), shows_detours=True)


def test_a_task_without_a_stop_turns_in_the_middle():
    env = made("echo-explore", sensors=("pose", "geometric_map"), config={"echo": {"rays": 20}})
    env.reset(seed=0)
    observation, _, terminated, _, info = env.step(CENTER)
    assert not terminated and info["primitive_steps"] == 1
    assert observation["pose"][2] == pytest.approx(env.unwrapped.task.body.turn_angle)


@pytest.mark.parametrize("task", ["audiogoal", "echo-explore"])
def test_both_checkers_are_content_and_an_episode_survives_pickling(task):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    sensors = ("geometric_map", *(("acoustic_map",) if task == "audiogoal" else ()), "pose", "oracle")
    config = QUICK if task == "audiogoal" else {"echo": {"rays": 20}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        env = made(task, sensors=sensors, config=config, shows_mask=True)
        checker.check_env(StableBaselinesObservation(env))
        warnings.filterwarnings("ignore", ".*different from the unwrapped version")
        check_env(env, skip_render_check=True)
    env.reset(seed=3)
    env.step(3)
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(3):
        cell = int(np.flatnonzero(env.action_masks())[0])
        assert pickle.dumps(env.step(cell)) == pickle.dumps(copy.step(cell))


def test_two_runs_of_a_seed_are_equal_byte_for_byte():
    one, other = made(), made()
    first = played(one, 5)
    assert first == played(other, 5)
    assert first == played(other, 5), "and again in an environment that was used"
    assert first != played(other, 6)


def test_environments_in_threads_are_those_of_one_thread():
    said = []
    for threads in (1, 2):
        envs = ThreadVectorEnv([made] * 2, threads=threads)
        observation, _ = envs.reset(seed=1)
        said.append([{key: value.tobytes() for key, value in observation.items()}])
        for cell in (4, 13, 36):
            observation, rewards, *_ = envs.step(np.full(2, cell))
            said[-1].append({key: value.tobytes() for key, value in observation.items()} | {"r": rewards.tobytes()})
        envs.close()
    assert said[0] == said[1]


def test_maskable_ppo_takes_the_masks():
    contrib = pytest.importorskip("sb3_contrib")
    env = StableBaselinesObservation(made(sensors=("acoustic_map", "pose")))
    model = contrib.MaskablePPO("MultiInputPolicy", env, n_steps=4, batch_size=4, device="cpu", seed=0)
    model.learn(4)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: WaypointActions(TaskEnv("echo-depth")), ConfigurationError, "walking|draws no map"),
        (lambda: WaypointActions(gym.make("CartPole-v1")), ConfigurationError, "walking"),
        (lambda: made(cells=8), ConfigurationError, "odd"),
        (lambda: made(cell=-1.0), ConfigurationError, "cell"),
        (lambda: made(longest=0), ConfigurationError, "longest"),
        (lambda: made(masked="wait"), Exception, "wait"),
    ],
)
def test_what_cannot_be_is_an_error(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("cell", [81, -1, 3.5, True, None, "4"])
def test_a_cell_that_does_not_exist_is_an_error(cell):
    env = made(sensors=("pose",))
    env.reset(seed=0)
    with pytest.raises(ActionError, match="0 to 80"):
        env.step(cell)
