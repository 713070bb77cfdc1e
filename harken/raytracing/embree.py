"""Embree 4 called from Numba, through the shared library inside the embreex wheel.

ctypes calls Embree's set-up functions; llvmlite makes the library's symbols visible to compiled code, where Numba calls
them by name in nopython mode. A whole light or sound path is then traced in one kernel without Python in between.
Called by name, and not by pointer, the kernels can be cached on disk.
"""

import ctypes
import functools
import importlib.util
import weakref
from pathlib import Path

import llvmlite.binding
import numpy as np
from numba import types

from harken.raytracing.jit import kernel

__all__ = [
    "AVAILABLE",
    "COHERENT",
    "build",
    "embree_closest",
    "embree_closest_4",
    "embree_closest_8",
    "embree_closest_16",
    "embree_occluded",
    "native_width",
]

# embree4/rtcore: enumerators that the set-up calls take.
_TRIANGLES, _BUFFER_INDEX, _BUFFER_VERTEX = 0, 0, 1
_FORMAT_UINT3, _FORMAT_FLOAT3 = 0x5003, 0x9003
_QUALITY_HIGH, _FLAG_ROBUST = 2, 1 << 2
_NATIVE_RAY8, _NATIVE_RAY16 = 33, 34

# Options of the device; "threads=1,isa=avx2" emulates a processor with AVX2 only.
_CONFIGURATION = b"threads=1"


def _library_path() -> Path | None:
    """Find libembree4 in the layouts that auditwheel (Linux), delocate (macOS) and delvewheel (Windows) leave."""
    spec = importlib.util.find_spec("embreex")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    folders = [package.parent / "embreex.libs", package / ".dylibs", package.parent / "embreex.dylibs", package]
    for folder in folders:
        for pattern in ("libembree4*.so*", "libembree4*.dylib", "embree4*.dll"):
            candidates = sorted(folder.glob(pattern))
            if candidates:
                return candidates[0]
    return None


def _load() -> ctypes.CDLL | None:
    path = _library_path()
    if path is None:
        return None
    try:
        for tbb in sorted(path.parent.glob("*tbb*")):
            ctypes.CDLL(str(tbb), mode=ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(str(path))
        llvmlite.binding.load_library_permanently(str(path))
    except (OSError, RuntimeError):
        return None
    return library


_library = _load()
AVAILABLE: bool = _library is not None
"""Whether Embree's library was found and loaded."""

_pointer = ctypes.c_void_p


def _declare(name: str, result: object, *arguments: object) -> None:
    function = getattr(_library, name)
    function.restype, function.argtypes = result, list(arguments)


if _library is not None:
    _declare("rtcNewDevice", _pointer, ctypes.c_char_p)
    _declare("rtcNewScene", _pointer, _pointer)
    _declare("rtcNewGeometry", _pointer, _pointer, ctypes.c_int)
    _declare(
        "rtcSetNewGeometryBuffer",
        _pointer,
        _pointer,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_size_t,
        ctypes.c_size_t,
    )
    _declare("rtcCommitGeometry", None, _pointer)
    _declare("rtcAttachGeometry", ctypes.c_uint, _pointer, _pointer)
    _declare("rtcReleaseGeometry", None, _pointer)
    _declare("rtcJoinCommitScene", None, _pointer)
    _declare("rtcReleaseScene", None, _pointer)
    _declare("rtcReleaseDevice", None, _pointer)
    _declare("rtcSetSceneBuildQuality", None, _pointer, ctypes.c_int)
    _declare("rtcSetSceneFlags", None, _pointer, ctypes.c_int)
    _declare("rtcGetDeviceProperty", ctypes.c_ssize_t, _pointer, ctypes.c_int)

_intersect1 = types.ExternalFunction("rtcIntersect1", types.void(*[types.voidptr] * 3))
_occluded1 = types.ExternalFunction("rtcOccluded1", types.void(*[types.voidptr] * 3))
_intersect4 = types.ExternalFunction("rtcIntersect4", types.void(*[types.voidptr] * 4))
_intersect8 = types.ExternalFunction("rtcIntersect8", types.void(*[types.voidptr] * 4))
_intersect16 = types.ExternalFunction("rtcIntersect16", types.void(*[types.voidptr] * 4))

COHERENT = (1 << 16, -1)
"""How RTCIntersectArguments begin where rays are alike, as int32: the flag that says so, all features; then zeros."""


@functools.cache
def native_width() -> int:
    """Return how many rays this processor casts at once: 16 with AVX-512, 8 with AVX and AVX2, otherwise 4.

    Wider packets work too, but are cast ray by ray.
    """
    assert _library is not None
    device = _library.rtcNewDevice(_CONFIGURATION)
    eight, sixteen = (_library.rtcGetDeviceProperty(device, which) for which in (_NATIVE_RAY8, _NATIVE_RAY16))
    _library.rtcReleaseDevice(device)
    return 16 if sixteen else 8 if eight else 4


def _release(library: ctypes.CDLL, scene: int, device: int) -> None:
    library.rtcReleaseScene(scene)
    library.rtcReleaseDevice(device)


def build(owner: object, vertices: np.ndarray, faces: np.ndarray, *, robust: bool = True) -> int:
    """Build Embree's tree over triangles.

    Args:
        owner: The object whose end of life releases the tree.
        vertices: ``(V, 3)`` positions [m].
        faces: ``(F, 3)`` indices into `vertices`.
        robust: Whether rays are guaranteed not to slip between two triangles along their shared edge. Without it,
            packets are cast in two thirds of the time, and one ray in several million slips through.

    Returns:
        The address of the RTCScene, which the kernels of this module take.
    """
    assert _library is not None
    device = _library.rtcNewDevice(_CONFIGURATION)
    scene, geometry = _library.rtcNewScene(device), _library.rtcNewGeometry(device, _TRIANGLES)
    _library.rtcSetSceneFlags(scene, _FLAG_ROBUST if robust else 0)
    _library.rtcSetSceneBuildQuality(scene, _QUALITY_HIGH)
    target = _library.rtcSetNewGeometryBuffer(geometry, _BUFFER_VERTEX, 0, _FORMAT_FLOAT3, 12, len(vertices))
    np.ctypeslib.as_array((ctypes.c_float * vertices.size).from_address(target))[:] = np.float32(vertices).ravel()
    target = _library.rtcSetNewGeometryBuffer(geometry, _BUFFER_INDEX, 0, _FORMAT_UINT3, 12, len(faces))
    np.ctypeslib.as_array((ctypes.c_uint * faces.size).from_address(target))[:] = np.uint32(faces).ravel()
    _library.rtcCommitGeometry(geometry)
    _library.rtcAttachGeometry(scene, geometry)
    _library.rtcReleaseGeometry(geometry)
    # rtcCommitScene would leave a thread of TBB that spins as long as the process lives: with one thread allowed it has
    # nothing to do, and is not put to sleep.
    _library.rtcJoinCommitScene(scene)
    weakref.finalize(owner, _release, _library, scene, device)
    return int(scene)


# RTCRayHit as 32-bit words: org 0-2, tnear 3, dir 4-6, time 7, tfar 8, mask 9, id 10, flags 11, Ng 12-14, u 15, v 16,
# primID 17, geomID 18, instID 19-20.
@kernel(inline="always")
def _load_ray(ray, ox, oy, oz, dx, dy, dz, near, far):
    words = ray.view(np.int32)
    ray[0], ray[1], ray[2], ray[3] = ox, oy, oz, near
    ray[4], ray[5], ray[6], ray[7] = dx, dy, dz, 0.0
    ray[8] = far
    words[9], words[10], words[11], words[17], words[18], words[19] = -1, 0, 0, -1, -1, -1


@kernel
def embree_closest(scene, ray, ox, oy, oz, dx, dy, dz, near, far):
    """Closest hit of one ray: ``(distance, triangle, u, v)``, triangle -1 where nothing is hit."""
    _load_ray(ray, ox, oy, oz, dx, dy, dz, near, far)
    _intersect1(scene, ray.ctypes, 0)
    return ray[8], ray.view(np.int32)[17], ray[15], ray[16]


@kernel
def embree_occluded(scene, ray, ox, oy, oz, dx, dy, dz, near, far):
    """Whether anything lies on the ray between `near` and `far`."""
    _load_ray(ray, ox, oy, oz, dx, dy, dz, near, far)
    _occluded1(scene, ray.ctypes, 0)
    return ray[8] < 0.0


@kernel
def embree_closest_4(scene, packet, valid, arguments):
    """Closest hits of the 4 rays in `packet` (RTCRayHit4 as float32 words), which the caller has filled."""
    _intersect4(valid.ctypes, scene, packet.ctypes, arguments.ctypes)


@kernel
def embree_closest_8(scene, packet, valid, arguments):
    """Closest hits of the 8 rays in `packet` (RTCRayHit8)."""
    _intersect8(valid.ctypes, scene, packet.ctypes, arguments.ctypes)


@kernel
def embree_closest_16(scene, packet, valid, arguments):
    """Closest hits of the 16 rays in `packet` (RTCRayHit16)."""
    _intersect16(valid.ctypes, scene, packet.ctypes, arguments.ctypes)
