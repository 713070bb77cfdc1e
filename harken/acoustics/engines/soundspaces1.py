"""SoundSpaces 1.0's folders of impulse responses: read, used as an engine, and rendered for any scene.

The layout is that of SoundSpaces' data (its ``soundspaces/README.md``, ``simulator.py`` and ``utils.py``):

- ``binaural_rirs/<dataset>/<scene>/<azimuth>/<receiver>_<source>.wav``: two channels, left first, float32. Receiver
  and source are numbers of points. The azimuth in degrees is clockwise from the mesh's +y axis, which is our −z, so
  that azimuth = −heading modulo 360.
- ``metadata/<dataset>/<scene>/points.txt``: per point its number and x, y, z, separated by tabs, in the mesh's frame
  with +z up. Source and receiver are at that height; the floor is 1.5 m below, in Replica 1.5528907 m. In our frame
  the point on the floor is (x, z − 1.5, −y).
- ``metadata/<dataset>/<scene>/graph.pkl``: a pickled networkx graph of the points that can be walked to; nodes have a
  ``point``, which is that on the floor.

The sampling rate is 44.1 kHz for Replica and 16 kHz for Matterport3D. Levels are kept as they are in the files, since
nothing documents what they are relative to. Replica's files begin with about 128 samples of silence (which VisualEchoes
cuts, ``getEchoes.py``); see the argument `strip`.
"""

import dataclasses
import io
import json
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.io import wavfile

from harken.acoustics.engines.soundspaces1_graph import read_graph
from harken.acoustics.protocol import ImpulseResponse, Listener, Propagation, Source, check_plain
from harken.errors import ConfigurationError, HarkenWarning, MissingDependencyError, SoundError, UnknownNameError
from harken.files import read_bytes, read_text, write_bytes, write_text
from harken.scene import NavigationGraph

__all__ = ["ResponseFolder", "SoundSpaces1Propagation", "write_responses"]

EAR_HEIGHTS = {"replica": 1.5528907}
"""Height of the points above the floor by data set [m]."""

LARGEST_RESPONSE = 256_000_000
"""Largest size of a response that is read [bytes]: 300 s of two channels at 48 kHz and 64 bits."""

OTHER_EAR_HEIGHT = 1.5
"""Height of the points above the floor in all other data sets [m]."""

RATES = {"replica": 44_100, "mp3d": 16_000}
"""Sampling rates that SoundSpaces' configurations expect [Hz]."""

RIGHT_ANGLE_TOLERANCE = np.radians(0.1)
"""Greatest difference between a heading and an azimuth that has responses [rad]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseFolder:
    """The impulse responses of one scene, and the points and the graph that they are for. Made by `open`."""

    path: Path
    """Folder that holds a folder per azimuth."""
    points: np.ndarray
    """``(n, 3)`` float64 all points, on the floor, in Harken's frame [m]."""
    ear_height: float
    """Height of sources and receivers above the points [m]."""
    nodes: np.ndarray
    """``(m,)`` int64 the points that can be walked to, ascending, between which there are responses."""
    edges: np.ndarray
    """``(k, 2)`` int64 pairs of points that are one step apart, ascending, each pair once."""
    azimuths: tuple[int, ...]
    """Azimuths that have responses [degrees], ascending."""
    rate: int
    """Sampling rate [Hz]."""
    strip: int = 0
    """Samples of silence that are cut from the front of every response."""

    @staticmethod
    def open(
        path_rirs: str | Path, path_metadata: str | Path, dataset: str, scene: str, *, strip: int = 0
    ) -> "ResponseFolder":
        """Open the responses of a scene.

        Args:
            path_rirs: The folder ``binaural_rirs``.
            path_metadata: The folder ``metadata``.
            dataset: Name of the data set, such as "replica" or "mp3d".
            scene: Name of the scene, such as "office_1".
            strip: Samples of silence to cut from the front of every response, such as 128.

        Raises:
            SoundError: A file is missing, unreadable, or has unexpected content. Code in ``graph.pkl`` is refused and
                never executed.
            ConfigurationError: `strip` is negative.
        """
        if strip < 0:
            raise ConfigurationError(f"strip is {strip!r}; expected 0 or more samples.")
        path, metadata = (
            Path(path_rirs).expanduser() / dataset / scene,
            Path(path_metadata).expanduser() / dataset / scene,
        )
        height = EAR_HEIGHTS.get(dataset, OTHER_EAR_HEIGHT)
        points = _read_points(metadata / "points.txt", height)
        nodes, edges = read_graph(metadata / "graph.pkl", points)
        azimuths = _find_azimuths(path)
        first = next(_responses_in(path / str(azimuths[0])), None)
        if first is None:
            raise SoundError(f"The folder {str(path / str(azimuths[0]))!r} holds no responses <receiver>_<source>.wav.")
        return ResponseFolder(
            path=path,
            points=points,
            ear_height=height,
            nodes=nodes,
            edges=edges,
            azimuths=azimuths,
            rate=_read_response(first)[0],
            strip=strip,
        )

    @property
    def ears(self) -> np.ndarray:
        """``(n, 3)`` float64 all points at the height of sources and receivers [m]."""
        return self.points + [0.0, self.ear_height, 0.0]

    def response(self, receiver: int, source: int, azimuth: int) -> ImpulseResponse:
        """Return a response.

        Args:
            receiver: Number of the point where the receiver is.
            source: Number of the point where the source is.
            azimuth: Where the receiver faces [degrees], one of `azimuths`.

        Raises:
            UnknownNameError: There are no responses for that azimuth.
            SoundError: The file is missing, unreadable, empty, not stereo or not finite, has another sampling rate, or
                `strip` would cut sound.
        """
        if azimuth not in self.azimuths:
            raise UnknownNameError("azimuth", azimuth, self.azimuths)
        path = self.path / str(azimuth) / f"{receiver}_{source}.wav"
        rate, samples = _read_response(path)
        if rate != self.rate:
            raise SoundError(f"{str(path)!r} has {rate} Hz and its folder {self.rate} Hz; expected one sampling rate.")
        cut = np.abs(samples[:, : self.strip]).max(initial=0.0)
        if cut > 1e-3 * np.abs(samples).max():
            raise SoundError(
                f"{str(path)!r}: the first {self.strip} samples are not silent, so cutting them would lose sound. "
                "Open the folder with a smaller strip, or 0."
            )
        return ImpulseResponse(samples=np.ascontiguousarray(samples[:, self.strip :]), rate=rate)


class SoundSpaces1Propagation:
    """Looks responses up in a folder, as SoundSpaces 1.0 does.

    Sources and listeners must be at points of the folder's graph, and listeners face an azimuth that it has. Anything
    else is an error, as is a file that is missing or cannot be read, which SoundSpaces treats as silence.

    Args:
        folder: The responses.
        duration: Length that responses are cut or padded to [s]; as in the files where not given.
        reach: Distance from a point within which a source or a listener counts as being there [m].
    """

    def __init__(self, folder: ResponseFolder, *, duration: float | None = None, reach: float = 0.1):
        if duration is not None and not 0.0 < duration <= 60.0:
            raise ConfigurationError(f"duration is {duration!r} s; expected more than 0 and at most 60 s, or None.")
        if not 0.0 < reach <= 10.0:
            raise ConfigurationError(f"reach is {reach!r} m; expected more than 0 and at most 10 m.")
        self.folder, self.duration, self.reach = folder, duration, reach
        self.rate = folder.rate
        self._places = folder.ears[folder.nodes]

    def impulse_response(self, source: Source, listener: Listener) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source.

        Args:
            source: The source, at a point.
            listener: The listener, binaural, at a point.

        Raises:
            SoundError: Source or listener is not at a point, or the response cannot be read.
            ConfigurationError: The listener is not binaural, the source is directional, or there are no responses for
                the listener's heading.
        """
        source, listener = check_plain(source, listener, ("binaural",), "A folder of SoundSpaces 1.0's responses")
        receiver = self._node(listener.position, "listener")
        response = self.folder.response(
            receiver, self._node(source.position, "source"), self._azimuth(listener.heading)
        )
        if self.duration is None:
            return response
        samples = np.zeros((2, round(self.duration * self.rate)), np.float32)
        part = response.samples[:, : samples.shape[1]]
        samples[:, : part.shape[1]] = part
        return ImpulseResponse(samples=samples, rate=self.rate)

    def _node(self, position: np.ndarray, what: str) -> int:
        distances = np.linalg.norm(self._places - position, axis=1)
        nearest = int(distances.argmin())
        if distances[nearest] > self.reach:
            raise SoundError(
                f"The {what} at {position.round(3).tolist()} is {distances[nearest]:.2f} m from the nearest point, "
                f"number {self.folder.nodes[nearest]} at {self._places[nearest].round(3).tolist()}; there are "
                f"responses within {self.reach:g} m of a point only. Move on the folder's graph, or use an engine that "
                "computes sound."
            )
        return int(self.folder.nodes[nearest])

    def _azimuth(self, heading: float) -> int:
        azimuths = np.array(self.folder.azimuths)
        off = np.angle(np.exp(1j * (np.radians(azimuths) + heading)))
        nearest = int(np.abs(off).argmin())
        if abs(off[nearest]) > RIGHT_ANGLE_TOLERANCE:
            raise ConfigurationError(
                f"The listener's heading is {np.degrees(heading):.1f}°; there are responses for headings of "
                f"{', '.join(str(-azimuth % 360) for azimuth in azimuths)}° only."
            )
        return int(azimuths[nearest])


def write_responses(
    folder: str | Path,
    graph: NavigationGraph,
    propagation: Propagation,
    *,
    dataset: str,
    scene: str,
    headings: int = 4,
    ear_height: float | None = None,
    encoding: Literal["float32", "int16"] = "float32",
    leading: int = 0,
    progress: bool = True,
) -> ResponseFolder:
    """Render the responses between all nodes of a graph in SoundSpaces 1.0's layout.

    Existing files are kept, so an interrupted rendering continues where it stopped. Each file is first written under
    another name, so existing files are complete. The same arguments give the same bytes.

    Args:
        folder: SoundSpaces' folder ``data``, in which ``binaural_rirs`` and ``metadata`` are made.
        graph: The nodes; node i becomes point i. SoundSpaces expects 0.5 m of spacing for Replica and 1 m for
            Matterport3D.
        propagation: What carries sound. Its sampling rate is the files'.
        dataset: Name of the data set; SoundSpaces knows "replica" and "mp3d", and reads all others as the latter.
        scene: Name of the scene.
        headings: Azimuths at equal angles, a divisor of 360; SoundSpaces has 4.
        ear_height: Height of sources and ears above the nodes [m]; by default what SoundSpaces takes for the data set.
        encoding: "float32" as the originals, or "int16" for half the size, with a full scale of 1.
        leading: Samples of silence to put in front of every response, such as 128 for code that cuts as many.
        progress: Whether a progress bar is shown.

    Returns:
        The folder, opened.

    Raises:
        MissingDependencyError: networkx, which writes the graph, is not installed.
        ConfigurationError: An argument is impossible.
        SoundError: What is there already is of another grid or other settings, or a response does not fit its encoding.
    """
    _check_request(dataset, scene, headings, encoding, leading)
    height = EAR_HEIGHTS.get(dataset, OTHER_EAR_HEIGHT)
    lift = height if ear_height is None else ear_height
    if RATES.get(dataset, propagation.rate) != propagation.rate:
        warnings.warn(
            f"SoundSpaces reads {dataset!r} at {RATES[dataset]} Hz and these responses have {propagation.rate} Hz. Set "
            "the propagation's rate, or RIR_SAMPLING_RATE in SoundSpaces' configuration.",
            HarkenWarning,
            stacklevel=2,
        )
    rirs, metadata = Path(folder).expanduser() / "binaural_rirs", Path(folder).expanduser() / "metadata"
    step = 360 // headings
    settings = {
        "rate": propagation.rate,
        "ear_height": lift,
        "encoding": encoding,
        "leading": leading,
        "azimuths": list(range(0, 360, step)),
        "propagation": _describe(propagation),
    }
    _write_metadata(metadata / dataset / scene, graph, height, settings)
    places = np.asarray(graph.nodes, np.float64) + [0.0, lift, 0.0]
    _render(rirs / dataset / scene, places, propagation, settings, progress)
    return ResponseFolder.open(rirs, metadata, dataset, scene, strip=leading)


def _check_request(dataset: str, scene: str, headings: int, encoding: str, leading: int) -> None:
    for what, name in (("data set", dataset), ("scene", scene)):
        if not name or name != Path(name).name or name in (".", ".."):
            raise ConfigurationError(f"The name of the {what} is {name!r}; expected the name of one folder.")
    if not 1 <= headings <= 360 or 360 % headings:
        raise ConfigurationError(f"headings is {headings!r}; expected a divisor of 360, such as 4.")
    if encoding not in _ENCODERS:
        raise UnknownNameError("encoding", encoding, _ENCODERS)
    if leading < 0:
        raise ConfigurationError(f"leading is {leading!r}; expected 0 or more samples.")


def _describe(propagation: Any) -> dict[str, Any]:
    """Describe an engine: its class, its settings and its scene."""
    description: dict[str, Any] = {"engine": type(propagation).__name__}
    settings = getattr(propagation, "settings", None)
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        description["settings"] = dataclasses.asdict(settings)
    scene = getattr(propagation, "scene", None)
    if hasattr(scene, "fingerprint"):
        description["scene"] = scene.fingerprint
    return description


def _write_metadata(folder: Path, graph: NavigationGraph, height: float, settings: dict[str, Any]) -> None:
    """Write points.txt, graph.pkl and the settings, or check that existing ones are the same."""
    x, y, z = np.asarray(graph.nodes, np.float64).T.tolist()
    rows = [f"{k}\t{x[k]!r}\t{-z[k]!r}\t{y[k] + height!r}\n" for k in range(len(x))]
    texts = {
        "points.txt": "".join(rows),
        "harken.json": json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n",
    }
    for name, text in texts.items():
        path = folder / name
        if path.exists() and read_text(path, error=SoundError) != text:
            raise SoundError(
                f"{str(path)!r} exists and differs: responses of another grid, engine or settings are there already. "
                "Write to another folder, or remove them."
            )
    pickled = _pickle_graph(graph, height)
    for name, text in texts.items():
        write_text(folder / name, text, error=SoundError)
    write_bytes(folder / "graph.pkl", pickled, error=SoundError)


def _pickle_graph(graph: NavigationGraph, height: float) -> bytes:
    try:
        import networkx
    except ImportError as error:
        raise MissingDependencyError("Writing graph.pkl needs networkx: pip install networkx.") from error
    network = networkx.Graph()
    for k, (x, y, z) in enumerate(np.asarray(graph.nodes, np.float64).tolist()):
        # SoundSpaces finds nodes by the coordinates that it computes from points.txt, and rounds them.
        network.add_node(k, point=(x, y + height - height, z))
    for k, row in enumerate(graph.neighbours.tolist()):
        network.add_edges_from((k, neighbour) for neighbour in row if neighbour >= 0)
    # Every Python that runs SoundSpaces reads protocol 2, and every numpy reads plain numbers.
    return pickle.dumps(network, protocol=2)


def _render(path: Path, places: np.ndarray, propagation: Propagation, settings: dict[str, Any], progress: bool) -> None:
    from tqdm import tqdm

    azimuths, count = settings["azimuths"], len(places)
    # The source changes slowest, because engines keep data per source.
    work = product(range(count), range(count), azimuths)
    for source, receiver, azimuth in tqdm(
        work, total=count * count * len(azimuths), unit="response", desc=path.name, disable=not progress
    ):
        file = path / str(azimuth) / f"{receiver}_{source}.wav"
        if file.exists():
            continue
        listener = Listener(position=places[receiver], heading=float(np.radians(-azimuth)))
        response = propagation.impulse_response(Source(position=places[source]), listener)
        samples = np.pad(response.samples, ((0, 0), (settings["leading"], 0)))
        buffer = io.BytesIO()
        wavfile.write(buffer, propagation.rate, _ENCODERS[settings["encoding"]](samples, file).T)
        write_bytes(file, buffer.getvalue(), lasting=False, error=SoundError)


def _as_float(samples: np.ndarray, path: Path) -> np.ndarray:
    return samples.astype(np.float32)


def _as_int16(samples: np.ndarray, path: Path) -> np.ndarray:
    loudest = np.abs(samples).max()
    if loudest > 1.0:
        raise SoundError(
            f"{str(path)!r} would clip at {loudest:.2f} times full scale; write float32, as the originals."
        )
    return np.round(samples * 32767.0).astype(np.int16)


_ENCODERS: dict[str, Callable[[np.ndarray, Path], np.ndarray]] = {"float32": _as_float, "int16": _as_int16}


def _read_response(path: Path) -> tuple[int, np.ndarray]:
    """Return the sampling rate [Hz] and the samples ``(2, n)`` float32 of a file."""
    if not path.exists():
        raise SoundError(
            f"There is no response {str(path)!r}. SoundSpaces' partial download has those between nodes of its graph."
        )
    content = read_bytes(path, largest=LARGEST_RESPONSE, error=SoundError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)  # such as that the file is cut off
            warnings.filterwarnings("ignore", "Chunk .non-data. not understood", wavfile.WavFileWarning)
            rate, samples = wavfile.read(io.BytesIO(content))
    except Exception as error:  # a damaged file may raise anything
        raise SoundError(f"The response {str(path)!r} cannot be read as a wav file ({error}).") from error
    if samples.ndim != 2 or samples.shape[1] != 2 or len(samples) == 0:
        raise SoundError(f"The response {str(path)!r} has samples of shape {samples.shape}; expected (n, 2), n > 0.")
    if samples.dtype.kind == "i":
        samples = samples / (2.0 ** (8 * samples.dtype.itemsize - 1) - 1)
    if samples.dtype.kind != "f" or not np.isfinite(samples).all():
        raise SoundError(f"The response {str(path)!r} holds samples that are not finite, or unsigned; it is damaged.")
    return int(rate), samples.T.astype(np.float32)


def _read_points(path: Path, height: float) -> np.ndarray:
    text = read_text(path, error=lambda message: SoundError(f"The points {str(path)!r} cannot be read: {message}"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rows = np.loadtxt(io.StringIO(text), delimiter="\t", ndmin=2)
    except (ValueError, UserWarning) as error:
        raise SoundError(f"The points {str(path)!r} cannot be read ({error}).") from error
    if rows.shape[1] != 4 or not np.isfinite(rows).all() or (rows[:, 0] != np.arange(len(rows))).any():
        raise SoundError(
            f"The points {str(path)!r} have the shape {rows.shape}; expected rows of number, x, y, z, numbered from 0."
        )
    return np.stack([rows[:, 1], rows[:, 3] - height, -rows[:, 2]], 1)


def _find_azimuths(path: Path) -> tuple[int, ...]:
    try:
        names = [entry.name for entry in os.scandir(path) if entry.is_dir() and entry.name.isdigit()]
    except OSError as error:
        raise SoundError(f"The responses {str(path)!r} cannot be read: {error.strerror or error}.") from error
    azimuths = sorted(int(name) for name in names if int(name) < 360)
    if not azimuths:
        raise SoundError(f"{str(path)!r} holds no folders named by an azimuth, such as 0, 90, 180 and 270.")
    return tuple(azimuths)


def _responses_in(path: Path) -> Iterator[Path]:
    with os.scandir(path) as entries:
        yield from (Path(entry.path) for entry in entries if entry.name.endswith(".wav") and entry.name[0] != ".")
