"""Recurrent training on whole sequences, against sb3-contrib's own."""

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs harken[train]")
pytest.importorskip("sb3_contrib", reason="needs harken[train]")

from sb3_contrib import RecurrentPPO  # noqa: E402
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer  # noqa: E402
from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy  # noqa: E402

from harken.agents.networks import AvNavSize  # noqa: E402
from harken.agents.training.recurrent import (  # noqa: E402
    EncoderPolicy,
    GatedMemory,
    SequencePolicy,
    SequencePPO,
    run_fragments,
)
from harken.errors import ConfigurationError  # noqa: E402


class Flips(gym.Env):
    """Short episodes of random length in which the last action and a random number are seen."""

    observation_space = gym.spaces.Dict({"pose": gym.spaces.Box(-1e3, 1e3, (4,), np.float32)})
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(1, 9))
        return self._see(), {}

    def _see(self):
        return {"pose": self.np_random.normal(size=4).astype(np.float32)}

    def step(self, action):
        self.left -= 1
        return self._see(), float(action == 1), self.left == 0, False, {}


class Cell(Flips):
    """A bit is shown at the first step; the action that names it is worth one at the end of six steps."""

    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        gym.Env.reset(self, seed=seed)
        self.bit, self.left = int(self.np_random.integers(2)), 6
        return {"pose": np.full(4, 2.0 * self.bit - 1.0, np.float32)}, {}

    def step(self, action):
        self.left -= 1
        reward = float(self.left == 0 and action == self.bit)
        return {"pose": np.zeros(4, np.float32)}, reward, self.left == 0, False, {}


SMALL = AvNavSize(features=8, memory=16)


def test_fragments_give_what_single_steps_give():
    generator = torch.Generator().manual_seed(1)
    for memory in (torch.nn.LSTM(5, 7), GatedMemory(5, 7)):
        features = torch.randn(4, 31, 5, generator=generator)
        starts = torch.rand(4, 31, generator=generator) < 0.2
        states = tuple(torch.randn(1, 4, 7, generator=generator) for _ in range(2))
        outputs, after = run_fragments(features, states, starts, memory)
        now, stepped = states, []
        for step in range(31):
            kept = (~starts[:, step]).float()[:, None]
            output, now = memory(features[:, step][None], tuple(state * kept for state in now))
            stepped.append(output[0])
        torch.testing.assert_close(outputs, torch.stack(stepped, 1), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(after[0], now[0], atol=1e-6, rtol=1e-5)


def _gradients(model):
    """The gradients of one update over a whole rollout."""
    policy = model.policy
    grads = []
    policy.optimizer.step = lambda: grads.append([p.grad.clone() for p in policy.parameters() if p.grad is not None])
    model.batch_size, model.n_epochs, model.max_grad_norm = model.n_steps * model.n_envs, 1, 1e9
    model.train()
    return grads[0]


def test_gradients_are_those_of_sb3_contrib(monkeypatch):
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(Flips, n_envs=3, seed=4)
    arguments = {"n_steps": 40, "ent_coef": 0.1, "seed": 0, "policy_kwargs": {"lstm_hidden_size": 16}}
    theirs = RecurrentPPO("MultiInputLstmPolicy", envs, **arguments)
    theirs.learn(120)  # fills the buffer and updates once
    theirs._last_obs = None
    theirs.learn(120, reset_num_timesteps=False)
    ours = SequencePPO(SequencePolicy, envs, **arguments)
    ours.policy.load_state_dict(theirs.policy.state_dict())
    # One rollout, given to both.
    from stable_baselines3.common.callbacks import CallbackList

    theirs._setup_learn(10**6, None)
    theirs._last_episode_starts[:] = False
    states = tuple(tuple(torch.randn_like(s) for s in pair) for pair in theirs._last_lstm_states)
    theirs._last_lstm_states = type(theirs._last_lstm_states)(*states)
    callback = CallbackList([])
    callback.init_callback(theirs)
    assert theirs.collect_rollouts(envs, callback, theirs.rollout_buffer, 40)
    ours._setup_learn(10**6, None)
    for name in (
        "observations",
        "actions",
        "rewards",
        "episode_starts",
        "values",
        "log_probs",
        "advantages",
        "returns",
    ):
        setattr(ours.rollout_buffer, name, getattr(theirs.rollout_buffer, name))
    ours.rollout_buffer.full, ours.rollout_buffer._states = True, theirs._last_lstm_states.__class__(*states)
    ours.rollout_buffer.observations = {k: v.copy() for k, v in theirs.rollout_buffer.observations.items()}
    assert isinstance(theirs.rollout_buffer, RecurrentDictRolloutBuffer)
    monkeypatch.setattr(np.random, "randint", lambda high: 0)  # sb3-contrib cuts rollouts at a random place
    for one, other in zip(_gradients(ours), _gradients(theirs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_memory_learns_what_was_shown_six_steps_ago():
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(Cell, n_envs=8, seed=0)
    model = SequencePPO(
        EncoderPolicy, envs, n_steps=48, batch_size=192, n_epochs=4, learning_rate=3e-3, seed=0, gamma=1.0,
        policy_kwargs={"size": SMALL},
    )  # fmt: skip
    model.learn(48 * 8 * 40)
    assert np.mean([info["r"] for info in model.ep_info_buffer]) > 0.95


def test_the_same_seed_gives_the_same_weights():
    from stable_baselines3.common.env_util import make_vec_env

    weights = []
    for _ in range(2):
        envs = make_vec_env(Flips, n_envs=2, seed=0)
        model = SequencePPO(EncoderPolicy, envs, n_steps=16, batch_size=16, seed=3, policy_kwargs={"size": SMALL})
        model.learn(96)
        weights.append(model.policy.state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_a_model_is_saved_and_loaded_with_its_sizes(tmp_path):
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(Flips, n_envs=2, seed=0)
    model = SequencePPO(EncoderPolicy, envs, n_steps=16, batch_size=16, seed=3, policy_kwargs={"size": SMALL})
    model.save(tmp_path / "model.zip")
    again = SequencePPO.load(tmp_path / "model.zip")
    observation = Flips.observation_space.sample()
    assert again.policy.size == SMALL
    one, two = (m.predict(observation, deterministic=True) for m in (model, again))
    assert one[0] == two[0] and np.array_equal(one[1][0], two[1][0])


def test_a_policy_of_another_kind_is_refused():
    from stable_baselines3.common.env_util import make_vec_env

    with pytest.raises(ConfigurationError, match="SequencePolicy"):
        SequencePPO(RecurrentMultiInputActorCriticPolicy, make_vec_env(Flips, n_envs=1))
