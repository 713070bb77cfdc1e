"""Doors in a simulator: what is heard, seen and walked on when they move."""

import itertools

import numpy as np
import pytest
from doorways import a_door, two_rooms

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.errors import ConfigurationError, SoundError, StateError, UnknownNameError
from harken.scene import AcousticMaterial, generate_home
from harken.sim import Simulator, SoundSource

HERE, THERE = np.array([1.2, 0.0, 1.0]), np.array([6.8, 0.0, 3.0])
FAST = AcousticSettings(duration=0.5, rays=2000)


def a_simulator(state="open", **options):
    return Simulator(two_rooms().with_doors([a_door()], {"door": state}), acoustics=FAST, **options)


def _levels(state, transmission=0.01, places=((6.0, 1.0), (7.0, 1.2), (7.2, 3.0), (5.5, 3.3), (6.4, 2.0))):
    """Mean level at places in the other room, and in the source's own [dB]."""
    material = AcousticMaterial(name="leaf", absorption=(0.1,), scattering=(0.1,), transmission=(transmission,))
    scene = two_rooms().with_doors([a_door(material=material)], {"door": state})
    source = Source(position=[1.0, 1.4, 1.0])
    x, z = np.meshgrid(np.arange(0.25, 8.0, 0.25), np.arange(0.25, 4.0, 0.25))
    ears = np.stack([x, np.full_like(x, 1.4), z], -1).reshape(-1, 3)
    ears = ears[np.abs(ears[:, 0] - 4.05) > 0.1]
    engine = FastPropagation(
        scene, AcousticSettings(duration=1.0), ears=ears[~scene.leaves[0].contains(ears, wider=0.05)]
    )

    def level(spots):
        heard = [engine.energy(source, Listener(position=[x, 1.4, z])).over_time(0.01)[3].sum() for x, z in spots]
        return 10 * np.log10(np.mean(heard))

    return level(places), level([(8.1 - x, 4 - z) for x, z in places if 8.1 - x > 2.2] + [(3.0, 3.2), (3.2, 1.0)])


@pytest.mark.parametrize("loss", [20.0, 30.0])
def test_a_closed_door_lets_through_what_its_leaf_does(loss):
    other, own = _levels("closed", 10 ** (-loss / 10))
    # A room of 4 × 2.6 × 4 m with α = 0.2: L1 - L2 = R - 10 lg S/A (ISO 10140-2, eq. 2).
    absorption = 0.2 * (2 * (16 + 10.4 + 10.4) - 1.8) + 0.1 * 1.8
    assert own - other == pytest.approx(loss - 10 * np.log10(1.8 / absorption), abs=1.0)


@pytest.mark.filterwarnings("ignore:Responses are cut")
def test_a_door_that_is_ajar_lies_between_open_and_closed():
    closed, ajar, opened = (_levels(state)[0] for state in ("closed", "ajar", "open"))
    assert closed + 6.0 < ajar < opened - 3.0


def test_a_state_is_the_same_whatever_was_before():
    def heard(states):
        simulator = a_simulator()
        for state in states:
            simulator.set_doors({"door": state})
        simulator.place(THERE, 0.5)
        tone = np.sin(np.arange(16_000)).astype(np.float32)
        simulator.set_sources([SoundSource(position=HERE + [0, 1.5, 0], samples=tone)])
        return simulator.hear(4000), simulator.see(("depth", "rgb"))

    (one, seen), (other, seen_too) = heard(["closed"]), heard(["ajar", "open", "closed", "ajar", "closed"])
    assert np.array_equal(one, other)
    assert all(np.array_equal(seen[name], seen_too[name]) for name in seen)


def test_sound_goes_over_from_one_state_into_the_other_without_a_click():
    simulator = a_simulator()
    simulator.place(THERE, 0.5)
    tone = 0.1 * np.sin(2 * np.pi * 500 * np.arange(16_000) / 16_000).astype(np.float32)
    simulator.set_sources([SoundSource(position=HERE + [0, 1.5, 0], samples=tone)])
    blocks = []
    for state in ("open", "open", "closed", "closed", "open", "open", "ajar", "ajar"):
        simulator.set_doors({"door": state})
        blocks.append(simulator.hear(4000))
    sound = np.concatenate(blocks, 1)[:, 4000:]
    steady, after = np.abs(blocks[1]).max(), np.abs(blocks[3]).max()
    assert after < 0.25 * steady
    # What is not the tone, 1.5 kHz and above, anywhere: window after window.
    for start in range(0, sound.shape[1] - 1024, 256):
        piece = sound[:, start : start + 1024] * np.blackman(1024)
        spectrum = np.abs(np.fft.rfft(piece)) ** 2
        assert spectrum[:, 96:].sum() < 1e-5 * np.abs(np.fft.rfft(np.blackman(1024) * steady)).max() ** 2


def test_a_closed_door_is_seen_and_cannot_be_walked_through():
    simulator = a_simulator()
    simulator.place([3.4, 0.0, 1.95], -np.pi / 2)
    through = simulator.see(("depth",))["depth"].max()
    assert simulator.door_ahead() == "door"
    simulator.set_doors({"door": "closed"})
    assert simulator.doors == {"door": "closed"}
    assert simulator.see(("depth",))["depth"][64, 64, 0] == pytest.approx(4.03 - 3.4, abs=0.01)
    assert through > 4.0
    assert simulator.move_forward(2.0) and simulator.position[0] < 4.03 - 0.15
    assert not np.isfinite(simulator.ground.distance(simulator.position, THERE))
    simulator.set_doors({"door": "open"})
    assert simulator.ground.distance(simulator.position, THERE) < 4.5


def test_doors_behind_the_body_or_far_away_are_out_of_reach():
    simulator = a_simulator()
    simulator.place([3.4, 0.0, 1.95], np.pi / 2)
    assert simulator.door_ahead() is None
    simulator.place([2.4, 0.0, 1.95], -np.pi / 2)
    assert simulator.door_ahead() is None


def test_a_leaf_does_not_move_into_a_body():
    simulator = a_simulator("closed")
    simulator.place([4.5, 0.0, 1.5], 0.0)  # where the leaf of the open door would stand
    with pytest.raises(StateError, match="in the way of 'door'"):
        simulator.set_doors({"door": "open"})
    assert simulator.doors == {"door": "closed"}
    simulator.set_doors({"door": "open"}, anyway=True)
    with pytest.raises(StateError, match="place"):
        simulator.turn(1.0)


def test_bad_requests_are_errors():
    simulator = a_simulator()
    with pytest.raises(UnknownNameError, match="door"):
        simulator.set_doors({"gate": "open"})
    with pytest.raises(UnknownNameError, match="ajar"):
        simulator.set_doors({"door": "wide"})
    with pytest.raises(ConfigurationError, match="mapping"):
        simulator.set_doors("closed")
    closed = two_rooms().with_doors([a_door()], {"door": "closed"})
    inside = Listener(position=[4.05, 1.0, 2.0])
    with pytest.raises(SoundError, match="inside the leaf of 'door'"):
        FastPropagation(closed).impulse_response(Source(position=[1.0, 1.4, 1.0]), inside)
    own = Simulator(closed, propagation=FastPropagation(closed, FAST))
    with pytest.raises(StateError, match="engine of one scene"):
        own.set_doors({"door": "open"})


def test_homes_open_and_close_without_end():
    home = generate_home(2, split="val")
    simulator = Simulator(home, acoustics=FAST)
    rng = np.random.default_rng(0)
    simulator.place(simulator.ground.random_point(rng), 0.0)
    place = simulator.ground.random_point(rng) + [0, 1.5, 0]
    noise = rng.standard_normal(8000).astype(np.float32)
    simulator.set_sources([SoundSource(position=place, samples=noise)])
    names = list(simulator.doors)
    for states in itertools.islice(itertools.product(("open", "ajar", "closed"), repeat=len(names)), 8):
        simulator.set_doors(dict(zip(names, states, strict=True)), anyway=True)
        simulator.place(simulator.ground.random_point(rng), 0.0)
        assert np.isfinite(simulator.hear(4000)).all()
    assert len(simulator._worlds) <= 4


def test_a_leaf_does_not_move_into_a_source():
    simulator = a_simulator()
    simulator.place(HERE, 0.0)
    simulator.set_sources([SoundSource(position=[4.05, 1.5, 2.0], samples=np.ones(100, np.float32))])
    with pytest.raises(StateError, match=r"A source sounds at .* in the way of 'door'"):
        simulator.set_doors({"door": "closed"})
    assert simulator.doors == {"door": "open"}
