import numpy as np
import pytest

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.agents.separation import (
    MOVERS,
    SEPARATORS,
    SeparationAgent,
    SpatialMask,
    make_separation_agent,
)
from harken.envs import TaskEnv
from harken.errors import ConfigurationError, UnknownNameError
from harken.eval import Evaluation, evaluate, format_table, summarise
from harken.metrics.separation import TARGET_RMS
from harken.sound import spectrogram
from harken.tasks.heard import MAGNITUDES, separated_waveform
from harken.tasks.separation_rules import Move, SeparationSettings

SMALL = {"acoustics": {"rays": 100, "duration": 0.2}, "body": {"camera": {"width": 16, "height": 16}}}
CONFIG = {**SMALL, "max_steps": 4, "may_stand": True}
SETTINGS = SeparationSettings(may_stand=True)


def looking(**changes):
    """Return an observation of noise, at a pose."""
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, (2, 16_000)).astype(np.float32)
    given = {
        "waveform": waveform,
        "spectrogram": np.log1p(spectrogram(waveform, MAGNITUDES)),
        "mask": np.full((512, 32, 2), 0.5, np.float32),
        "depth": np.full((128, 128, 1), 5.0, np.float32),
        "pose": np.zeros(4, np.float32),
        "collision": np.zeros(1, np.float32),
    }
    return {**given, **changes}


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("mover", MOVERS)
def test_every_agent_moves_and_estimates_the_same_from_the_same(mover, separator):
    acts = []
    for _ in range(2):
        agent = make_separation_agent(mover, separator, SETTINGS)
        agent.reset(3)
        observation = {name: looking()[name] for name in agent.sensors}
        acts.append([agent.act(observation) for _ in range(3)])
    for one, other in zip(*acts, strict=True):
        assert one["move"] == other["move"] and one["estimate"].tobytes() == other["estimate"].tobytes()
        assert 0 <= one["move"] < 4 and (one["move"] == Move.STAND) == (mover == "stand")
        assert one["estimate"].shape == (512, 32, 1) and one["estimate"].dtype == np.float32
        assert np.sqrt(np.mean(one["estimate"] ** 2)) == pytest.approx(TARGET_RMS, rel=1e-4)


def test_binaural_estimates_keep_the_scale_of_the_mixture():
    agent = make_separation_agent("rotate", "oracle", SeparationSettings(estimate="binaural"))
    observation = looking()
    expected = 0.5 * np.expm1(observation["spectrogram"])
    np.testing.assert_allclose(agent.act(observation)["estimate"], expected, rtol=1e-6)


@pytest.mark.parametrize(("mover", "asked"), [("novelty", 1), ("proximity", 3)])
def test_while_it_searches_a_mask_is_made_only_for_movers_that_listen(mover, asked):
    class Counting:
        sensors, count = ("waveform",), 0

        def mask(self, observation):
            self.count += 1
            return observation["mask"]

    settings = SeparationSettings(search_steps=2, max_steps=3)
    separator = Counting()
    agent = SeparationAgent(make_separation_agent(mover, "oracle", settings).mover, separator, settings)
    for _ in range(2):  # the count of steps begins anew with an episode
        separator.count = 0
        agent.reset(0)
        estimates = [agent.act(looking())["estimate"] for _ in range(3)]
        assert separator.count == asked
        assert all(estimate.shape == settings.estimate_shape for estimate in estimates)


def through_head(samples, azimuth):
    filters, delays = HeadResponse.kemar(16_000).lookup(np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)]))
    ears = []
    for taps, delay in zip(filters, delays, strict=True):
        spectrum = np.fft.rfft(samples, 2 * len(samples)) * np.fft.rfft(taps, 2 * len(samples))
        shift = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * len(samples), 1 / 16_000) * float(delay))
        ears.append(np.fft.irfft(spectrum * shift)[: len(samples)])
    return np.array(ears, np.float32)


@pytest.mark.parametrize("sides", [(0.9, -0.9), (-0.7, 0.5)])
def test_the_spatial_mask_finds_the_stronger_of_two_sources_in_the_free_field(sides):
    rng = np.random.default_rng(1)
    time = np.arange(16_000) / 16_000
    # Harmonics that share few bins, the first 6 dB stronger.
    tones = [sum(np.sin(2 * np.pi * f * k * time + rng.uniform(0, 6)) for k in range(1, 20)) for f in (190.0, 287.0)]
    target, other = (through_head(g * tone, side) for g, tone, side in zip((0.04, 0.02), tones, sides, strict=True))
    mask = SpatialMask(SETTINGS).mask(looking(waveform=target + other))
    assert mask.shape == (512, 32, 2) and 0.0 <= mask.min() <= mask.max() <= 1.0
    kept = [float((mask * spectrogram(stem, MAGNITUDES) ** 2).sum()) for stem in (target, other)]
    whole = [float((spectrogram(stem, MAGNITUDES) ** 2).sum()) for stem in (target, other)]
    gain = 10 * np.log10(kept[0] / kept[1] * whole[1] / whole[0])
    assert gain > 3.0, f"the target is raised by {gain:.1f} dB over the other"


def test_silence_gives_a_mask_that_keeps_everything():
    assert (SpatialMask(SETTINGS).mask(looking(waveform=np.zeros((2, 16_000), np.float32))) == 1).all()


def walk(agent, steps, blocked=False):
    """Walk in an empty plane and return the places."""
    place, heading, places = np.zeros(2), 0.0, []
    agent.reset(0)
    for _ in range(steps):
        places.append(tuple(np.round(place).astype(int).tolist()))
        pose = np.array([*place, heading, 0.0], np.float32)
        collision = np.zeros(1, np.float32)
        move = agent.mover.move(looking(pose=pose, collision=collision), np.ones((512, 32, 2), np.float32))
        if move == Move.FORWARD:
            place = place + [np.cos(heading), np.sin(heading)]
        elif move in (Move.LEFT, Move.RIGHT):
            heading += np.pi / 2 if move == Move.LEFT else -np.pi / 2
    return places


def test_novelty_visits_new_places_and_proximity_stays_near():
    far = walk(make_separation_agent("novelty", "oracle", SETTINGS), 60)
    assert len(set(far)) > 25
    near = walk(make_separation_agent("proximity", "oracle", SETTINGS), 200)
    assert len(set(near)) > 1 and max(np.hypot(*place) for place in near) <= 1.001


def test_novelty_turns_away_from_what_is_in_its_way():
    mover = make_separation_agent("novelty", "oracle", SETTINGS).mover
    mover.reset(0)
    mask = np.ones((512, 32, 2), np.float32)
    assert mover.move(looking(), mask) == Move.FORWARD
    assert mover.move(looking(collision=np.ones(1, np.float32)), mask) in (Move.LEFT, Move.RIGHT)


@pytest.fixture(scope="module")
def results():
    arguments = {"split": "val", "config": CONFIG}
    return {
        agent: evaluate(
            Evaluation(agent=agent, environment="active-separation", arguments=arguments, episodes=2, recorded=0),
            progress=False,
        )
        for agent in ("stand+oracle", "direction+spatial", "rotate+unprocessed")
    }


def test_the_table_has_all_measures_and_the_oracle_beats_the_mixture(results):
    summary = {name: summarise(rows) for name, rows in results.items()}
    table = format_table(summary, ("si_sdr", "si_sdr_improvement", "stft_distance"))
    assert "stand+oracle" in table and "direction+spatial" in table
    for row in results["rotate+unprocessed"]:
        assert row.measures["si_sdr_improvement"] == pytest.approx(0.0, abs=1e-3)
        assert row.measures["stft_improvement"] == pytest.approx(0.0, abs=1e-5)
    for row in results["stand+oracle"]:
        assert row.measures["si_sdr_improvement"] >= 0.0 and row.measures["stft_improvement"] >= 0.0
        assert row.measures["si_sdr_gained"] == pytest.approx(0.0, abs=0.2), "nothing moved"
        assert row.measures["distance_to_target"] == 0.0


def test_the_waveform_of_the_truth_is_the_truth():
    env = TaskEnv("active-separation", split="val", sensors=("spectrogram",), config=SMALL)
    env.reset(seed=0)
    heard = env.task.heard
    found = separated_waveform(heard.mixture_magnitudes, heard)
    np.testing.assert_allclose(found[:, :15_500], heard.mixture[:, :15_500], atol=1e-4 * np.abs(heard.mixture).max())


def test_what_does_not_exist_is_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'novelty'"):
        make_separation_agent("noveltyy", "oracle", SETTINGS)
    with pytest.raises(UnknownNameError, match="Did you mean 'oracle'"):
        make_separation_agent("stand", "orcale", SETTINGS)
    with pytest.raises(ConfigurationError, match="may_stand"):
        make_separation_agent("stand", "oracle", SeparationSettings())
    with pytest.raises(ConfigurationError, match=r"9\.0 rad"):
        SpatialMask(SETTINGS, reach=9.0)
