import io
import json
import os
import pickle
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.io import wavfile

from harken.acoustics import AcousticSettings, FastPropagation, ImpulseResponse, Listener, Propagation, Source
from harken.acoustics.engines import ResponseFolder, SoundSpaces1Propagation, write_responses
from harken.acoustics.engines.soundspaces1_graph import read_graph
from harken.acoustics.measures import interaural_level_difference
from harken.errors import ConfigurationError, HarkenWarning, MissingDependencyError, SoundError, UnknownNameError
from harken.scene import NavigationGraph, Scene, WalkableFloor, generate_home

networkx = pytest.importorskip("networkx")

RATE = 16_000
DATA = ("mp3d", "home")


def line_graph(count=3, spacing=1.0, height=0.0):
    """Nodes along +x."""
    nodes = np.array([[k * spacing, height, -0.5] for k in range(count)])
    neighbours = np.full((count, 4), -1, np.int32)
    neighbours[1:, 1], neighbours[:-1, 3] = np.arange(count - 1), np.arange(1, count)
    return NavigationGraph(nodes=nodes, neighbours=neighbours, spacing=spacing)


class Beacon:
    """An engine whose response tells who asked for what, and that counts."""

    rate = RATE

    def __init__(self, length=8, loudness=1.0):
        self.length, self.loudness, self.asked = length, loudness, 0

    def impulse_response(self, source, listener):
        self.asked += 1
        samples = np.zeros((2, self.length), np.float32)
        samples[:, 0] = self.loudness
        samples[:, 1:4] = source.position / 10
        samples[0, 4:7] = listener.position / 10
        samples[1, 4] = np.cos(listener.heading)
        samples[1, 5] = np.sin(listener.heading)
        return ImpulseResponse(samples=samples, rate=self.rate)


def write(folder, graph=None, propagation=None, **options):
    options = {"dataset": DATA[0], "scene": DATA[1], "progress": False, **options}
    return write_responses(folder, graph or line_graph(), propagation or Beacon(), **options)


def reopen(folder, **options):
    return ResponseFolder.open(folder / "binaural_rirs", folder / "metadata", *DATA, **options)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def home() -> Scene:
    return generate_home(3, split="train")


@pytest.fixture(scope="module")
def few_nodes(home):
    """Four neighbouring nodes of a home."""
    whole = NavigationGraph.build(WalkableFloor.build(home), spacing=1.0)
    kept = np.argsort(whole.distance_field(0), kind="stable")[:4]
    number = np.full(len(whole.nodes) + 1, -1, np.int32)
    number[kept] = np.arange(4)
    return NavigationGraph(nodes=whole.nodes[kept], neighbours=number[whole.neighbours[kept]], spacing=1.0)


@pytest.fixture(scope="module")
def engine(home):
    return FastPropagation(home, AcousticSettings(rate=RATE, duration=0.2, reverberation=False))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, few_nodes, engine):
    folder = tmp_path_factory.mktemp("data")
    return folder, write(folder, few_nodes, engine)


def test_what_was_rendered_is_heard_again(rendered, few_nodes, engine):
    responses = rendered[1]
    np.testing.assert_allclose(responses.points, few_nodes.nodes, atol=1e-6)
    again = SoundSpaces1Propagation(responses)
    assert isinstance(again, Propagation) and again.rate == RATE
    ears = few_nodes.nodes + [0, 1.5, 0]
    for source, receiver, quarter in ((0, 1, 0), (0, 1, 1), (2, 3, 2), (1, 0, 3), (1, 1, 0)):
        here = Listener(position=ears[receiver], heading=quarter * np.pi / 2)
        there = Source(position=ears[source])
        # Headings of a full turn apart are the same heading up to rounding.
        np.testing.assert_allclose(
            again.impulse_response(there, here).samples, engine.impulse_response(there, here).samples, atol=1e-5
        )


def test_the_layout_is_that_of_soundspaces(rendered):
    folder, _ = rendered
    scene = folder / "binaural_rirs" / "mp3d" / "home"
    assert sorted(path.name for path in scene.iterdir()) == ["0", "180", "270", "90"]
    assert sorted(path.name for path in (scene / "90").iterdir()) == [
        f"{receiver}_{source}.wav" for receiver in range(4) for source in range(4)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rate, samples = wavfile.read(scene / "90" / "1_0.wav")
    assert rate == RATE and samples.dtype == np.float32 and samples.shape == (3200, 2)


@pytest.mark.parametrize(("dataset", "height"), [("mp3d", 1.5), ("replica", 1.5528907), ("gibson", 1.5)])
def test_soundspaces_finds_its_nodes_by_the_coordinates_that_it_computes(tmp_path, few_nodes, dataset, height):
    beacon = Beacon()
    beacon.rate = 44_100 if dataset == "replica" else RATE
    write(tmp_path, few_nodes, beacon, dataset=dataset)
    metadata = tmp_path / "metadata" / dataset / "home"
    # What load_metadata and position_encoding of SoundSpaces do, restated.
    rows = np.loadtxt(metadata / "points.txt", delimiter="\t")
    points = [(row[1], row[3] - height, -row[2]) for row in rows]
    with open(metadata / "graph.pkl", "rb") as file:
        graph = pickle.load(file)
    assert isinstance(graph, networkx.Graph)
    for node, point in enumerate(points):
        assert graph.nodes[node]["point"] == pytest.approx(point, abs=1e-12)
        np.testing.assert_allclose(point, few_nodes.nodes[node], atol=1e-6)
    joined = {(a, int(b)) for a, row in enumerate(few_nodes.neighbours) for b in row if b >= 0}
    assert {(a, b) for a, b in graph.edges} == {(a, b) for a, b in joined if a < b}


def test_a_source_at_the_left_at_azimuth_0_is_at_the_right_at_180(rendered, few_nodes, engine):
    responses = write(rendered[0], few_nodes, engine)
    for receiver, row in enumerate(few_nodes.neighbours):
        for quarter, neighbour in enumerate(row):
            if neighbour < 0:
                continue
            # The neighbour lies at the heading quarter·90°, which is straight ahead at azimuth −quarter·90°.
            levels = [
                interaural_level_difference(
                    responses.response(receiver, neighbour, (turn - 90 * quarter) % 360).samples
                )
                for turn in (0, 90, 180, 270)
            ]
            assert levels[1] > 6.0, "facing 90° clockwise of it, it is at the left"
            assert levels[3] < -6.0, "facing 90° counter-clockwise of it, it is at the right"
            assert abs(levels[0]) < 1.0 and abs(levels[2]) < 1.0


def test_azimuth_is_clockwise_from_minus_z(tmp_path):
    responses = write(tmp_path)
    for azimuth, heading in ((0, 0.0), (90, -np.pi / 2), (180, np.pi), (270, np.pi / 2)):
        told = responses.response(2, 1, azimuth).samples
        np.testing.assert_allclose(told[1, 4:6], [np.cos(heading), np.sin(heading)], atol=1e-6)
        np.testing.assert_allclose(told[0, 1:4] * 10, [1, 1.5, -0.5], atol=1e-6, err_msg="source, row 1")
        np.testing.assert_allclose(told[0, 4:7] * 10, [2, 1.5, -0.5], atol=1e-6, err_msg="receiver, row 2")


def test_rendering_goes_on_where_it_stopped_and_ends_with_the_same_bytes(tmp_path):
    write(tmp_path / "whole")
    write(tmp_path / "broken")
    rirs = tmp_path / "broken" / "binaural_rirs" / "mp3d" / "home"
    (rirs / "0" / "1_2.wav").unlink()
    (rirs / "270" / "0_0.wav").unlink()
    counting = Beacon()
    write(tmp_path / "broken", propagation=counting)
    assert counting.asked == 2
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_a_rendering_that_dies_leaves_whole_files_only(tmp_path):
    class Dying(Beacon):
        def impulse_response(self, source, listener):
            if self.asked == 5:
                raise KeyboardInterrupt
            return super().impulse_response(source, listener)

    dying = Dying()
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, propagation=dying)
    files = [path for path in (tmp_path / "binaural_rirs").rglob("*") if path.is_file()]
    assert len(files) == 5
    assert all(wavfile.read(path)[1].shape == (8, 2) for path in files)


@pytest.mark.parametrize("change", [{"leading": 3}, {"encoding": "int16"}, {"headings": 8}, {"ear_height": 1.0}])
def test_a_rendering_with_other_settings_does_not_mix_with_what_is_there(tmp_path, change):
    write(tmp_path)
    with pytest.raises(SoundError, match="exists and differs"):
        write(tmp_path, **change)


def test_a_rendering_of_another_grid_or_engine_does_not_mix_with_what_is_there(tmp_path, few_nodes, engine):
    write(tmp_path)
    with pytest.raises(SoundError, match=r"points.txt' exists and differs"):
        write(tmp_path, line_graph(4))
    with pytest.raises(SoundError, match=r"harken.json' exists and differs"):
        write(tmp_path, propagation=engine)


def test_the_settings_are_kept_beside_the_points(rendered, home):
    told = json.loads((rendered[0] / "metadata" / "mp3d" / "home" / "harken.json").read_text())
    assert told["rate"] == RATE and told["propagation"]["settings"]["reverberation"] is False
    assert told["propagation"]["scene"] == home.fingerprint


def test_16_bits_hold_what_does_not_clip(tmp_path):
    responses = write(tmp_path / "fine", encoding="int16")
    assert wavfile.read(responses.path / "0" / "0_0.wav")[1].dtype == np.int16
    np.testing.assert_allclose(responses.response(1, 0, 90).samples[:, 0], 1.0, atol=1e-4)
    with pytest.raises(SoundError, match=r"would clip at 2\.00"):
        write(tmp_path / "loud", propagation=Beacon(loudness=2.0), encoding="int16")


def test_leading_silence_is_written_and_cut_but_sound_is_not(tmp_path):
    responses = write(tmp_path, leading=128)
    assert wavfile.read(responses.path / "0" / "0_0.wav")[1].shape == (136, 2)
    assert responses.strip == 128 and responses.response(0, 0, 0).samples.shape == (2, 8)
    assert reopen(tmp_path).response(0, 0, 0).samples.shape == (2, 136)
    with pytest.raises(SoundError, match="cutting them would lose sound"):
        reopen(tmp_path, strip=130).response(0, 0, 0)


def test_more_headings_than_soundspaces_has(tmp_path):
    propagation = SoundSpaces1Propagation(write(tmp_path, headings=8))
    listener = Listener(position=[1, 1.5, -0.5], heading=np.pi / 4)
    told = propagation.impulse_response(Source(position=[0, 1.5, -0.5]), listener).samples
    np.testing.assert_allclose(told[1, 4:6], np.sqrt(0.5), atol=1e-6)


@pytest.mark.parametrize("duration", [2 / RATE, 20 / RATE])
def test_responses_are_cut_or_padded_to_the_length_asked_for(tmp_path, duration):
    propagation = SoundSpaces1Propagation(write(tmp_path), duration=duration)
    place = [1, 1.5, -0.5]
    samples = propagation.impulse_response(Source(position=place), Listener(position=place)).samples
    assert samples.shape == (2, round(duration * RATE)) and samples[0, 0] == 1.0 and not samples[:, 8:].any()


@pytest.mark.parametrize(
    ("source", "listener", "error", "message"),
    [
        ([0.5, 1.5, -0.5], {}, SoundError, r"source .* 0.50 m from the nearest point, number 0"),
        ([0, 0, -0.5], {}, SoundError, "1.50 m from the nearest"),
        ([0, 1.5, -0.5], {"position": [1.2, 1.5, -0.5]}, SoundError, "listener .* 0.20 m"),
        ([0, 1.5, -0.5], {"heading": 0.1}, ConfigurationError, r"heading is 5.7°.*0, 270, 180, 90°"),
        ([0, 1.5, -0.5], {"format": "mono"}, ConfigurationError, "'binaural' only"),
    ],
)
def test_what_lies_between_the_points_is_an_error(tmp_path, source, listener, error, message):
    propagation = SoundSpaces1Propagation(write(tmp_path))
    with pytest.raises(error, match=message):
        propagation.impulse_response(Source(position=source), Listener(**{"position": [1, 1.5, -0.5], **listener}))


def test_a_heading_and_a_position_may_be_off_by_rounding(tmp_path):
    propagation = SoundSpaces1Propagation(write(tmp_path))
    listener = Listener(position=[1.0004, 1.5, -0.5], heading=5 * np.pi / 2 + 1e-6)
    told = propagation.impulse_response(Source(position=[2, 1.5528907, -0.5]), listener).samples
    assert told[1, 5] == pytest.approx(1.0), "heading 90° counter-clockwise"


def wav(samples, rate=RATE):
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no response"),
        (b"", "cannot be read as a wav"),
        (b"RIFF\x00\x00", "cannot be read as a wav"),
        (b"no sound at all", "cannot be read as a wav"),
        (wav(np.zeros((8, 2), np.float32))[:50], "cannot be read as a wav"),
        (wav(np.zeros((0, 2), np.float32)), "expected .n, 2., n > 0"),
        (wav(np.zeros(8, np.float32)), "expected .n, 2."),
        (wav(np.full((8, 2), np.nan, np.float32)), "not finite"),
        (wav(np.zeros((8, 2), np.uint8)), "unsigned"),
        (wav(np.zeros((8, 2), np.float32), 8000), "has 8000 Hz"),
    ],
)
def test_a_response_that_is_missing_or_damaged_is_an_error_and_never_silence(tmp_path, content, message):
    responses = write(tmp_path)
    path = responses.path / "90" / "2_1.wav"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SoundError, match=message):
        responses.response(2, 1, 90)


def test_an_azimuth_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UnknownNameError, match=r"azimuth '45'\..* Known: 0, 90, 180, 270"):
        write(tmp_path).response(0, 0, 45)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("points.txt", None, "points .* cannot be read"),
        ("points.txt", "", "points .* cannot be read"),
        ("points.txt", "0\t1\t2\n", "expected rows of number, x, y, z"),
        ("points.txt", "5\t1\t2\t3\n", "numbered from 0"),
        ("points.txt", "0\tnan\t2\t3\n", "numbered from 0"),
        ("points.txt", "zero\t1\t2\t3\n", "points .* cannot be read"),
        ("points.txt", "0\t1\t2\t3\n", "some that points.txt does not have"),
        ("points.txt", "0\t1\t2\t3\n1\t1\t2\t3\n2\t1\t2\t3\n", "puts nodes elsewhere"),
        ("graph.pkl", None, "graph .* cannot be read"),
        ("graph.pkl", "not a pickle", "is not a graph of SoundSpaces"),
        ("graph.pkl", "", "is not a graph of SoundSpaces"),
    ],
)
def test_metadata_that_are_missing_or_damaged_are_an_error(tmp_path, name, content, message):
    write(tmp_path)
    path = tmp_path / "metadata" / "mp3d" / "home" / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(SoundError, match=message):
        reopen(tmp_path)


def test_folders_without_responses_are_an_error(tmp_path):
    write(tmp_path)
    rirs = tmp_path / "binaural_rirs" / "mp3d" / "home"
    for path in rirs.rglob("*.wav"):
        path.unlink()
    with pytest.raises(SoundError, match="holds no responses"):
        reopen(tmp_path)
    for folder in rirs.iterdir():
        folder.rmdir()
    with pytest.raises(SoundError, match="no folders named by an azimuth"):
        reopen(tmp_path)
    rirs.rmdir()
    with pytest.raises(SoundError, match="cannot be read"):
        reopen(tmp_path)


def coordinates(kind):
    points = np.array([[0.0, 0.25, -1.5], [1.0, 0.25, -1.5], [2.0, 0.25, -1.5]])
    if kind == "numpy scalars":
        return points, [tuple(row) for row in points]
    if kind == "float32 scalars":
        return points, [tuple(row) for row in points.astype(np.float32)]
    return points, list(points) if kind == "numpy arrays" else [tuple(row.tolist()) for row in points]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["plain", "numpy scalars", "float32 scalars", "numpy arrays"])
def test_graphs_that_networkx_pickled_are_read_without_it(tmp_path, protocol, kind):
    points, places = coordinates(kind)
    graph = networkx.Graph()
    for node in (0, 2):
        graph.add_node(node, point=places[node])
    graph.add_edge(2, 0)
    # Looking at a graph leaves views of it in its state, which are pickled along.
    assert list(graph.nodes) and list(graph.edges) and list(graph.adj)
    path = tmp_path / "graph.pkl"
    path.write_bytes(pickle.dumps(graph, protocol=protocol))
    nodes, edges = read_graph(path, points)
    assert nodes.tolist() == [0, 2] and edges.tolist() == [[0, 2]]


def test_graphs_of_old_networkx_and_numpy_are_read(tmp_path):
    """networkx 2 kept its factories in the graph, and numpy 1 had its core elsewhere."""
    points, places = coordinates("numpy scalars")
    graph = networkx.Graph()
    for node, point in enumerate(places):
        graph.add_node(node, point=point)
    for factory in ("node_dict_factory", "adjlist_outer_dict_factory", "graph_attr_dict_factory"):
        graph.__dict__[factory] = dict
    content = pickle.dumps(graph, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"__builtin__" in content
    path = tmp_path / "graph.pkl"
    path.write_bytes(content)
    assert read_graph(path, points)[0].tolist() == [0, 1, 2]


class Run:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def malicious(*call, where="alone"):
    graph = networkx.Graph()
    run = Run(*call)
    if where == "alone":
        return pickle.dumps(run)
    graph.add_node(0, point=run if where == "point" else (0.0, 0.0, 0.0))
    graph.graph["extra"] = run if where == "attribute" else 0
    return pickle.dumps(graph)


@pytest.mark.parametrize("where", ["alone", "point", "attribute"])
@pytest.mark.parametrize(
    ("call", "named"),
    [
        ((os.system, "touch {}"), "posix.system"),
        ((eval, "open('{}', 'w')"), "builtins.eval"),
        ((exec, "open('{}', 'w')"), "builtins.exec"),
        ((open, "{}", "w"), "open"),
        ((__import__, "antigravity"), "builtins.__import__"),
        ((getattr, dict, "keys"), "builtins.getattr"),
        ((pickle.loads, b"N."), "pickle.loads"),
        ((np.load, "{}"), "numpy"),
        ((networkx.read_gpickle if hasattr(networkx, "read_gpickle") else networkx.read_gml, "{}"), "networkx"),
    ],
)
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path, call, named, where):
    bait, path = tmp_path / "bait", tmp_path / "graph.pkl"
    function, *arguments = call
    arguments = [text.format(bait) if isinstance(text, str) else text for text in arguments]
    path.write_bytes(malicious(function, *arguments, where=where))
    modules = set(sys.modules)
    with pytest.raises(SoundError, match=f"{named}.* runs code is not opened"):
        read_graph(path, np.zeros((1, 3)))
    assert not bait.exists() and "antigravity" not in set(sys.modules) - modules


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(np.array([print], dtype=object)),
        pickle.dumps(np.dtype([("a", "f8"), ("b", "O")])),
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
        b"\x80\x02cnetworkx.classes.graph\nGraph\n)\x81}X\x05\x00\x00\x00_nodecos\nsystem\nsb.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02Ppersistent\n.",
        b"\x80\x02\x82\x01.",
        b"N" + pickle.LONG_BINPUT + b"\xff\xff\xff\x0f.",
        b"Np268435455\n.",
        b"\x80\x05" + pickle.BYTEARRAY8 + (2**40).to_bytes(8, "little") + b".",
        b"\x80\x02" + pickle.LONG4 + b"\xff\xff\xff\x7f.",
        pickle.dumps(Run(str, [[0]]), protocol=2),
    ],
    ids=[
        "array of objects", "type with objects", "codec", "hidden name", "huge frame", "persistent", "extension",
        "huge number", "huge number in digits", "huge array of bytes", "huge integer", "call",
    ],
)  # fmt: skip
def test_other_tricks_of_pickles_are_refused(tmp_path, content):
    path = tmp_path / "graph.pkl"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(SoundError, match="is not a graph of SoundSpaces"):
        read_graph(path, np.zeros((1, 3)))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_graph_whose_nodes_share_one_table_of_neighbours_is_refused(tmp_path):
    graph = networkx.Graph()
    graph.add_nodes_from(range(3000), point=(0.0, 0.0, 0.0))
    shared = dict.fromkeys(range(3000))
    for node in range(3000):
        graph._adj[node] = shared
    path = tmp_path / "graph.pkl"
    path.write_bytes(pickle.dumps(graph))
    with pytest.raises(SoundError, match="more than 64 neighbours"):
        read_graph(path, np.zeros((3000, 3)))


def test_a_rate_that_soundspaces_does_not_expect_is_told(tmp_path):
    with pytest.warns(HarkenWarning, match="reads 'replica' at 44100 Hz"):
        write(tmp_path, dataset="replica")


def test_without_networkx_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingDependencyError, match="pip install networkx"):
        write(tmp_path)
    assert not (tmp_path / "binaural_rirs").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "../up"},
        {"scene": ""},
        {"scene": ".."},
        {"headings": 7},
        {"headings": 0},
        {"encoding": "flac"},
        {"leading": -1},
    ],
)
def test_impossible_requests_are_refused(tmp_path, change):
    with pytest.raises(ConfigurationError):
        write(tmp_path, **change)
    assert not list(tmp_path.iterdir())
