"""Interventions change one cause and nothing else."""

import numpy as np
import pytest

from harken.envs import TaskEnv
from harken.envs.interventions import INTERVENTIONS, Intervention
from harken.errors import ConfigurationError, UnknownNameError
from harken.sound.interaural import interaural_cues

FAST = {"acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 16, "height": 16}}}
SENSORS = ("depth", "waveform", "spectrogram", "interaural", "pose")
ACTIONS = (1, 2, 2, 1, 3, 1)


def _play(env):
    observations = [env.reset(seed=5, options={"episode": 2})[0]]
    observations += [env.step(np.int64(action))[0] for action in ACTIONS]
    env.close()
    return observations


@pytest.fixture(scope="module")
def untouched():
    return _play(TaskEnv("audiogoal", split="val", sensors=SENSORS, config=FAST))


@pytest.fixture(params=list(INTERVENTIONS))
def changed(request):
    return request.param, _play(
        Intervention(TaskEnv("audiogoal", split="val", sensors=SENSORS, config=FAST), request.param)
    )


def test_only_what_is_named_changes(untouched, changed):
    name, observations = changed
    touched = {"depth"} if name == "dark" else {"waveform", "spectrogram", "interaural"}
    for before, after in zip(untouched, observations, strict=True):
        for sensor in SENSORS:
            if sensor not in touched:
                assert np.array_equal(before[sensor], after[sensor]), (name, sensor)
    assert any(
        not np.array_equal(before[sensor], after[sensor])
        for before, after in zip(untouched, observations, strict=True)
        for sensor in touched
    )


def test_each_does_what_it_says(untouched, changed):
    name, observations = changed
    rate, step_samples = 16_000, 4_000
    for step, (before, after) in enumerate(zip(untouched, observations, strict=True)):
        if name in ("mute", "swap-ears"):  # the cues are those of the sound that is heard instead
            cues = interaural_cues(np.ascontiguousarray(after["waveform"][:, :step_samples]), rate)
            np.testing.assert_allclose(after["interaural"], cues.ravel(), atol=1e-4)
        if name == "dark":
            assert not after["depth"].any()
        if name == "mute":
            assert not after["waveform"].any() and not after["spectrogram"].any()
        if name == "swap-ears":
            assert np.array_equal(before["waveform"][::-1], after["waveform"])
            assert np.array_equal(before["spectrogram"][..., ::-1], after["spectrogram"])
        if name == "constant-sound":
            assert np.array_equal(after["spectrogram"], untouched[0]["spectrogram"])
        if name == "shuffle-time":
            earlier = [u["spectrogram"] for u in untouched[: step + 1]]
            assert any(np.array_equal(after["spectrogram"], one) for one in earlier)


def test_draws_repeat_with_the_seed(changed):
    name, observations = changed
    again = _play(Intervention(TaskEnv("audiogoal", split="val", sensors=SENSORS, config=FAST), name))
    for one, other in zip(observations, again, strict=True):
        assert all(np.array_equal(one[sensor], other[sensor]) for sensor in SENSORS)


def test_what_cannot_be_changed_is_an_error():
    env = TaskEnv("audiogoal", sensors=("pose",), config=FAST)
    with pytest.raises(ConfigurationError, match="changes waveform, spectrogram"):
        Intervention(env, "mute")
    with pytest.raises(UnknownNameError, match="swap-ears"):
        Intervention(env, "swap-eyes")
    env.close()
