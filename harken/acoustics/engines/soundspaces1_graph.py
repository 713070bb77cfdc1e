"""Read the graphs of SoundSpaces 1.0, which are pickles, without executing what they name.

A pickle is a program that names classes and functions and calls them. Here, each name that a networkx graph with numpy
coordinates may hold is replaced by an inert class of our own, and every other name is refused.
"""

import codecs
import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import SoundError
from harken.files import read_bytes
from harken.pickles import check_pickle

__all__ = ["read_graph"]

LARGEST_GRAPH = 256_000_000
"""Largest size of a graph.pkl that is read [bytes]; that of a large building has about a megabyte."""


_MOST_NEIGHBOURS = 64


def read_graph(path: Path, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a graph of SoundSpaces without executing what its pickle names.

    Args:
        path: The file ``graph.pkl``.
        points: ``(n, 3)`` the points that its nodes are numbers of, in the graph's frame [m].

    Returns:
        The nodes ``(m,)`` int64, ascending, and the edges ``(k, 2)`` int64, ascending, each once.

    Raises:
        SoundError: The file is missing or not such a graph, refers to code, or does not belong to the points.
    """

    def unread(message: str) -> SoundError:
        return SoundError(f"The graph {str(path)!r} cannot be read: {message}")

    content = io.BytesIO(read_bytes(path, largest=LARGEST_GRAPH, error=unread))
    try:
        check_pickle(content)
        graph = _GraphUnpickler(content).load()
        places, neighbours = graph.__dict__["_node"], graph.__dict__["_adj"]
        nodes = np.array(sorted(int(node) for node in places), np.int64)
        # A pickle may give all nodes one and the same table, which then has more edges than there is memory.
        if sum(len(row) for row in neighbours.values()) > _MOST_NEIGHBOURS * len(nodes):
            raise pickle.UnpicklingError(f"nodes have more than {_MOST_NEIGHBOURS} neighbours on average")
        if any(len(places[node]["point"]) != 3 for node in places):
            raise pickle.UnpicklingError("a node has a point that is not three numbers")
        edges = sorted({(min(a, b), max(a, b)) for a in neighbours for b in neighbours[a]})
        at = np.array([[float(value) for value in places[node]["point"]] for node in nodes.tolist()], np.float64)
    except Exception as error:  # a damaged pickle may raise anything
        raise SoundError(f"The graph {str(path)!r} is not a graph of SoundSpaces ({error}).") from error
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    if len(nodes) == 0 or nodes.min() < 0 or nodes.max() >= len(points) or not np.isin(pairs, nodes).all():
        raise SoundError(f"The graph {str(path)!r} has no nodes, or some that points.txt does not have.")
    if at.shape != (len(nodes), 3) or not np.abs(at - points[nodes]).max() < 0.01:
        raise SoundError(
            f"The graph {str(path)!r} puts nodes elsewhere than points.txt does: they do not belong together."
        )
    return nodes, pairs


class _Inert:
    """Stands for a class of networkx: it keeps its state and does nothing."""

    def __init__(self, *arguments: Any):
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)


class _Number:
    """Stands for numpy.dtype: it keeps the name and the order of bytes of plain numbers only."""

    def __init__(self, kind: Any = "", *options: Any):
        if kind not in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"):
            raise pickle.UnpicklingError(f"numbers of the type {kind!r} are not expected")
        self.type = np.dtype(kind)

    def __setstate__(self, state: tuple) -> None:
        self.type = self.type.newbyteorder("<" if state[1] == "|" else state[1])


class _Array:
    """Stands for numpy.ndarray: plain numbers, read from their bytes."""

    def __init__(self, *arguments: Any):
        self.values = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, number, column_major, content = state
        self.values = np.frombuffer(content, number.type).reshape(shape, order="F" if column_major else "C")

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values.tolist())


def _scalar(number: _Number, content: bytes) -> Any:
    return np.frombuffer(content, number.type, count=1)[0].item()


def _from_buffer(content: bytes, number: _Number, shape: tuple, order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, number, order == "F", content))
    return array


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoded as {encoding!r} is not expected")
    return codecs.latin_1_encode(text)[0]


_KNOWN: dict[tuple[str, str], Any] = {
    **{("builtins", kind.__name__): kind for kind in (dict, list, tuple, set, frozenset)},
    # Only the type is shown: the text of nested lists can be longer than memory.
    **{("builtins", kind.__name__): _Inert for kind in (int, float, str, bool)},
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "dtype"): _Number,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}
"""All names that a graph may use, and their replacements. Nothing of networkx or numpy is called."""


class _GraphUnpickler(pickle.Unpickler):
    """Read a pickled networkx graph without executing what it names."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement for a class or function, or refuse it."""
        module = {"__builtin__": "builtins"}.get(module, module)
        if module.startswith("networkx.classes.") and name.isidentifier():
            return _Inert
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise pickle.UnpicklingError(
            f"it names {module}.{name}, which no graph needs; a pickle that runs code is not opened"
        )
