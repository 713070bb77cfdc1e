"""The reverberation is one field of plane waves: what is heard of it at different places, turned and by two ears."""

import numpy as np
import pytest

from harken.acoustics import Ambisonics, Listener, microphone_array
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.receivers import Synthesizer
from harken.acoustics.tracing import TimeBins
from harken.scene import OCTAVE_BANDS

RATE, SPEED = 16_000, 343.2
BINS = TimeBins.build(1.0)
OCTAVES = (250.0, 500.0, 1000.0, 2000.0, 4000.0)
HEARING = Synthesizer(RATE, RATE, 0, SPEED)


def steady(vector=(0.0, 0.0, 0.0)):
    """Return a field with the energy one a second in every band, and a share of it from a direction."""
    field = np.zeros((len(BINS.widths), len(OCTAVE_BANDS), 4), np.float32)
    field[..., 0] = BINS.widths[:, None]
    field[..., 1:] = BINS.widths[:, None, None] * np.asarray(vector)
    return field


def tail(position, heading=0.0, *, kind="mono", source=1, field=None, hearing=HEARING):
    listener = Listener(position=position, heading=heading, format=kind)
    out = np.zeros((hearing.receiver(kind).channels, RATE), np.float32)
    hearing.add_tail(out, steady() if field is None else field, BINS.edges, listener, source=source)
    return out


class Coherence:
    """Coherence at lag 0 in octaves, over many pairs of signals."""

    def __init__(self):
        self.sums = np.zeros((3, len(OCTAVES)))

    def add(self, first, second):
        a, b = np.fft.rfft(first.astype(float)), np.fft.rfft(second.astype(float))
        frequencies = np.fft.rfftfreq(len(first), 1 / RATE)
        for i, octave in enumerate(OCTAVES):
            chosen = (frequencies >= octave / 2**0.5) & (frequencies < octave * 2**0.5)
            products = (a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2
            self.sums[:, i] += [product[chosen].sum() for product in products]

    @property
    def value(self):
        return self.sums[0] / np.sqrt(self.sums[1] * self.sums[2])


@pytest.mark.parametrize("distance", [0.05, 0.25, 0.5, 1.0, 2.0])
def test_tails_at_two_places_are_as_alike_as_in_a_diffuse_field(distance):
    rng, measured = np.random.default_rng(0), Coherence()
    for source in range(40):
        towards, place = rng.normal(size=3), rng.uniform(-10, 10, 3)
        towards *= distance / np.linalg.norm(towards)
        measured.add(tail(place, source=source)[0], tail(place + towards, source=source)[0])
    frequencies = np.geomspace(2**-0.5, 2**0.5, 201) * np.array(OCTAVES)[:, None]
    expected = np.average(np.sinc(2 * frequencies * distance / SPEED), axis=1, weights=frequencies[0])
    assert np.abs(measured.value - expected).max() < 0.05


def spectra_of(head, directions):
    """Return the transfer functions ``(n, 2, frequencies)`` of a head in directions."""
    frequencies = np.fft.rfftfreq(2048, 1 / RATE)
    rows = [head.lookup(direction) for direction in directions]
    filters, delays = (np.array([row[i] for row in rows], float) for i in range(2))
    return np.fft.rfft(filters, 2048) * np.exp(-2j * np.pi * frequencies * delays[..., None])


def coherence_of_head(first, second, weights):
    """Return the coherence that transfer functions ``(n, frequencies)`` have over all directions, by octave."""
    frequencies, result = np.fft.rfftfreq(2048, 1 / RATE), []
    cross, one, two = (
        weights @ product for product in (first * second.conj(), np.abs(first) ** 2, np.abs(second) ** 2)
    )
    for octave in OCTAVES:
        chosen = (frequencies >= octave / 2**0.5) & (frequencies < octave * 2**0.5)
        result.append(cross[chosen].real.sum() / np.sqrt(one[chosen].sum() * two[chosen].sum()))
    return np.array(result)


def test_ears_change_places_when_the_head_turns_round():
    rng = np.random.default_rng(1)
    swapped, own, between = Coherence(), Coherence(), Coherence()
    for source in range(40):
        place, heading = rng.uniform(-5, 5, 3), rng.uniform(0, 6)
        before = tail(place, heading, kind="binaural", source=source)
        after = tail(place, heading + np.pi, kind="binaural", source=source)
        swapped.add(before[0], after[1])
        own.add(before[0], after[0])
        between.add(before[0], before[1])
    head = HeadResponse.kemar(RATE)
    straight, turned = (spectra_of(head, head.directions * sign) for sign in ([1, 1, 1], [-1, 1, -1]))
    weights = head.solid_angles
    # The pinnae then look the other way, so that at high frequencies even the swapped ears differ.
    assert np.abs(swapped.value - coherence_of_head(straight[:, 0], turned[:, 1], weights)).max() < 0.1
    assert np.abs(own.value - coherence_of_head(straight[:, 0], turned[:, 0], weights)).max() < 0.08
    assert np.abs(between.value - coherence_of_head(straight[:, 0], straight[:, 1], weights)).max() < 0.08
    assert swapped.value[:2] == pytest.approx(1.0, abs=0.02)


def test_energy_is_that_of_the_field_in_every_octave():
    energy = np.zeros(len(OCTAVES))
    frequencies = np.fft.rfftfreq(RATE, 1 / RATE)
    for source in range(30):
        spectrum = np.abs(np.fft.rfft(tail((1, 1, 1), source=source)[0])) ** 2 / RATE * 2
        for i, octave in enumerate(OCTAVES[:4]):
            energy[i] += spectrum[(frequencies >= octave / 2**0.5) & (frequencies < octave * 2**0.5)].sum() / 30
    # White noise with the energy one in each octave band would have it in each octave of its spectrum's width.
    width = np.array(OCTAVES[:4]) * (2**0.5 - 2**-0.5) / (RATE / 2)
    assert 10 * np.log10(energy[:4] / width) == pytest.approx(np.zeros(4), abs=0.4)


def test_a_tail_depends_on_seed_source_and_place_only():
    same = [tail((1, 1, 1), kind="binaural", hearing=Synthesizer(RATE, RATE, 0, SPEED)).tobytes() for _ in range(2)]
    assert same[0] == same[1] == tail((1, 1, 1), kind="binaural").tobytes()
    others = [tail((1, 1, 1), source=2), tail((1, 1, 1), hearing=Synthesizer(RATE, RATE, 1, SPEED)), tail((9, 1, 1))]
    for other in others:
        assert abs(np.corrcoef(tail((1, 1, 1))[0], other[0])[0, 1]) < 0.05


def test_a_part_of_a_field_has_the_waves_that_it_has_in_the_whole():
    whole, parts = tail((1, 1, 1))[0], np.zeros((1, RATE), np.float32)
    middle = len(BINS.widths) // 2
    for low, high in ((0, middle), (middle, len(BINS.widths))):
        field = np.zeros_like(steady())
        field[low:high] = steady()[low:high]
        begin = max(low - 1, 0)
        listener = Listener(position=(1, 1, 1), format="mono")
        HEARING.add_tail(parts, field[begin:], BINS.edges[begin:], listener, before=begin, source=1)
    assert np.corrcoef(whole, parts[0])[0, 1] > 0.999


@pytest.mark.parametrize("towards", [(1.0, 0.0, 0.0), (0.0, 0.0, -1.0)])
def test_energy_from_one_direction_is_heard_from_there(towards):
    left, right = tail((0, 0, 0), kind="binaural", field=steady(towards))
    level = 10 * np.log10((right**2).sum() / (left**2).sum())
    assert level > 4.0 if towards[0] else abs(level) < 0.5
    first_order = tail((0, 0, 0), kind=Ambisonics(order=1), field=steady(towards))
    w, y, _, x = first_order  # left is +y, ahead is +x
    assert np.corrcoef(w, -y if towards[0] else x)[0, 1] > 0.999


def test_microphones_apart_hear_waves_at_their_times():
    pair, rng, measured = microphone_array("ear-pair"), np.random.default_rng(3), Coherence()
    spacing = float(np.linalg.norm(pair.positions[0] - pair.positions[1]))
    for source in range(40):
        measured.add(*tail(rng.uniform(-5, 5, 3), rng.uniform(0, 6), kind=pair, source=source))
    expected = [
        np.sinc(2 * np.linspace(octave / 2**0.5, octave * 2**0.5, 101) * spacing / SPEED).mean() for octave in OCTAVES
    ]
    assert np.abs(measured.value - expected).max() < 0.08
