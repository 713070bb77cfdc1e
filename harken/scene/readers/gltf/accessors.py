"""Accessors of glTF: arrays of numbers in a file's buffers, dense or sparse, checked against the file's size."""

import numpy as np

from harken.scene.readers.gltf.container import Entry
from harken.scene.readers.parts import short_name

__all__ = ["as_floats", "read_accessor"]

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_MOST_ZEROS = 10_000_000
"""Largest number of elements of an accessor without data in the file, all zero by definition."""


def read_accessor(accessor: Entry, size: int) -> np.ndarray:
    """Read an accessor in the file's own type.

    Args:
        accessor: The accessor.
        size: Numbers per element: 1 for indices, 3 for positions, 16 for matrices (by columns).

    Returns:
        ``(count, size)`` in the file's type. Sparse elements are put in place.

    Raises:
        SceneError: The accessor has another size, or its data is not in the file.
    """
    kind = accessor.text("type")
    if _SIZES.get(kind) != size:
        raise accessor.fault(f"its type is {short_name(kind)!r}; expected {size} numbers per element")
    dtype = _dtype(accessor)
    count = accessor.count("count")
    if count < 1:
        raise accessor.fault("count is 0; expected 1 or more")
    view = accessor.linked("bufferView", "bufferViews")
    sparse = accessor.child("sparse")
    if view is None:
        if count > _MOST_ZEROS:
            raise accessor.fault(f"it has {count} elements that the file does not hold; at most {_MOST_ZEROS} are read")
        values = np.zeros((count, size), dtype)
    else:
        values = _dense(accessor, view, dtype, count, size, accessor.count("byteOffset", 0))
    return values if sparse is None else _with_sparse(accessor, sparse, values)


def as_floats(accessor: Entry, values: np.ndarray) -> np.ndarray:
    """Return float64: whole numbers of a normalised accessor as 0…1 or −1…1 (glTF 2.0, §3.6.2.2), others as they are.

    Raises:
        SceneError: A value is not finite.
    """
    floats = values.astype(np.float64)
    if values.dtype.kind in "iu" and accessor.flag("normalized", False):
        floats = np.maximum(floats / np.iinfo(values.dtype).max, -1.0)
    bad = int((~np.isfinite(floats)).any(axis=1).sum())
    if bad:
        raise accessor.fault(f"{bad} of {len(floats)} elements are NaN or infinite; repair the mesh before loading")
    return floats


def _dtype(entry: Entry) -> np.dtype:
    component = entry.count("componentType")
    if component not in _COMPONENTS:
        raise entry.fault(f"componentType is {component}; expected one of {', '.join(map(str, _COMPONENTS))}")
    return np.dtype(_COMPONENTS[component])


def _dense(accessor: Entry, view: Entry, dtype: np.dtype, count: int, size: int, offset: int) -> np.ndarray:
    content, stride = accessor.document.view(view)
    element = dtype.itemsize * size
    stride = stride or element
    if stride < element:
        raise view.fault(f"byteStride is {stride}, less than the {element} bytes of an element")
    needed = offset + (count - 1) * stride + element
    if needed > len(content):
        raise accessor.fault(f"it needs {needed} bytes of {view.place}, which has {len(content)}")
    return np.ndarray((count, size), dtype, content, offset, (stride, dtype.itemsize)).copy()


def _with_sparse(accessor: Entry, sparse: Entry, values: np.ndarray) -> np.ndarray:
    count = sparse.count("count")
    where, what = sparse.child("indices"), sparse.child("values")
    if where is None or what is None:
        raise sparse.fault("indices or values are missing")
    if not 0 < count <= len(values):
        raise sparse.fault(f"count is {count}; expected from 1 to the {len(values)} elements of the accessor")
    views = [entry.linked("bufferView", "bufferViews") for entry in (where, what)]
    if views[0] is None or views[1] is None:
        raise sparse.fault("bufferView is missing")
    dtype = _dtype(where)
    if dtype.kind != "u":
        raise where.fault("componentType is none of an index")
    places = _dense(where, views[0], dtype, count, 1, where.count("byteOffset", 0))[:, 0]
    if int(places.max()) >= len(values):
        raise where.fault(f"it names element {int(places.max())} of {len(values)}")
    values[places] = _dense(what, views[1], values.dtype, count, values.shape[1], what.count("byteOffset", 0))
    return values
