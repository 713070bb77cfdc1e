"""Energy that rays leave in the cells that they cross.

A deposit adds 28 numbers to a row of memory that is seldom in a near cache: a field has megabytes, and rays cross it
anywhere and at any time. Deposits of all rays in flight are therefore queued, their rows asked for ahead, and added
together. Along the piece of a leg that lies in the grid, what is left per metre is linear in the way, since air takes
some tenths at most; all numbers of a row then come from two vectors of the leg.
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.fields.cells import SUBDIVISION
from harken.acoustics.fields.walks import PART, WAY
from harken.acoustics.tracing import BANDS, FAST
from harken.raytracing import kernel
from harken.raytracing.rows import prefetch, row_adder

__all__ = ["Deposits", "add_row", "leave_energy", "new_deposits", "settle"]

ALL_VISIBLE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Bits of a cell that no surface cuts."""

MOST = 512
"""Most deposits that are queued."""

ROW = 4 * BANDS
"""Numbers of a cell and time bin: energy and vector to where it comes from, of each band."""


add_row = row_adder(ROW)
"""``add_row(target, row, weight, source, other)`` adds a multiple of a row of 28 numbers to another."""


class Deposits(NamedTuple):
    """Deposits of the rays in flight that are not in the field yet, and scratch."""

    count: np.ndarray
    """``(1,)`` int64 number of deposits."""
    row: np.ndarray
    """``(MOST,)`` int64 row of the field of each."""
    lane: np.ndarray
    """``(MOST,)`` int64 lane of its ray."""
    share: np.ndarray
    """``(MOST, 2)`` float32 what `leg` is multiplied by: the way in the cell over its volume [1/m²], and that times its
    distance from the middle of the leg [1/m]."""
    leg: np.ndarray
    """``(lanes, 2, ROW)`` float32 what each ray carries at the middle of its leg, and what it loses per metre there."""
    part: np.ndarray
    """``(lanes,)`` int64 part of the rays that it belongs to."""
    walk: np.ndarray
    """``(4, 3)`` scratch: a position in cells, the cell, and per axis the next border and the way between two."""


def new_deposits(lanes: int) -> Deposits:
    """Return an empty queue for a number of rays in flight, for kernels to borrow."""
    return Deposits(
        np.zeros(1, np.int64),
        np.empty(MOST, np.int64),
        np.empty(MOST, np.int64),
        np.empty((MOST, 2), np.float32),
        np.empty((lanes, 2, ROW), np.float32),
        np.zeros(lanes, np.int64),
        np.empty((4, 3)),
    )


@kernel(fastmath=FAST)
def _visible_share(visible, p, cell, d, t, until):
    """Share of the way from `t` to `until` through a cell that its anchor sees, at four places along it."""
    count = 0
    for s in range(4):
        at = t + (s + 0.5) * 0.25 * (until - t)
        bit = 0
        for axis in range(3):
            part = int((p[axis] + d[axis] * at - cell[axis]) * SUBDIVISION)
            bit = bit * SUBDIVISION + min(max(part, 0), SUBDIVISION - 1)
        count += (visible >> np.uint64(bit)) & np.uint64(1)
    return np.float64(count) * 0.25


@kernel(fastmath=FAST)
def _clip(p, d, shape, reach):
    """Return the interval (near, far) of a ray from `p` along `d`, both in cells, that lies in a grid of `shape`."""
    near, far = 0.0, reach
    for axis in range(3):
        if abs(d[axis]) < 1e-9:
            if p[axis] < 0 or p[axis] >= shape[axis]:
                return 0.0, -1.0
        else:
            inverse = 1.0 / d[axis]
            a, b = -p[axis] * inverse, (shape[axis] - p[axis]) * inverse
            near, far = max(near, min(a, b)), min(far, max(a, b))
    return near, far


@kernel(fastmath=FAST)
def _carry(leg, ray, air, middle):
    """Write what a ray carries in the middle of a leg, and what it loses there per metre."""
    x, y, z = np.float32(-ray.d[0]), np.float32(-ray.d[1]), np.float32(-ray.d[2])
    for b in range(BANDS):
        loss = air[b] * middle  # at most some tenths, so three terms of the exponential are enough
        energy = np.float32(ray.energy[b] * (1.0 - loss * (1.0 - loss * (0.5 - loss * 0.16667))))
        leg[0, 4 * b], leg[0, 4 * b + 1] = energy, energy * x
        leg[0, 4 * b + 2], leg[0, 4 * b + 3] = energy * y, energy * z
        for i in range(4 * b, 4 * b + 4):
            leg[1, i] = -np.float32(air[b]) * leg[0, i]


@kernel(fastmath=FAST)
def leave_energy(deposits, lane, grid, bins, air, speed, ray, length, field, parts):
    """Queue what a ray leaves in the cells that are kept, along its next leg.

    Args:
        deposits: The queue.
        lane: Lane of the ray.
        grid: The cells.
        bins: The time bins.
        air: ``(bands,)`` energy attenuation of air [1/m].
        speed: Speed of sound [m/s].
        ray: The ray, before the leg.
        length: Length of the leg [m].
        field: ``(cells · bins, ROW)`` float32.
        parts: ``(PARTS, cells · bins, bands)`` float32, without rows where the rays' parts are not asked for.
    """
    size, index, lookup, o, d = grid.size, grid.index, bins.lookup, ray.o, ray.d
    p, cell, border, pace = deposits.walk[0], deposits.walk[1], deposits.walk[2], deposits.walk[3]
    # Most legs pass above or below all cells.
    low, high = o[1] - grid.origin[1], o[1] + d[1] * length - grid.origin[1]
    if max(low, high) <= 0.0 or min(low, high) >= index.shape[1] * size:
        return
    cells = 1.0 / size
    for axis in range(3):
        p[axis] = (o[axis] - grid.origin[axis]) * cells
    t, far = _clip(p, d, index.shape, length * cells)
    if far <= t:
        return
    for axis in range(3):
        cell[axis] = min(max(np.floor(p[axis] + d[axis] * (t + 1e-7)), 0), index.shape[axis] - 1)
        still = abs(d[axis]) < 1e-9
        inverse = 1e30 if still else 1.0 / d[axis]
        border[axis] = 1e30 if still else (cell[axis] + (1 if d[axis] > 0 else 0) - p[axis]) * inverse
        pace[axis] = abs(inverse)
    middle, steps, width = 0.5 * (t + far), 1.0 / (speed * bins.step), len(field) // len(grid.volume)
    _carry(deposits.leg[lane], ray, air, middle * size)
    deposits.part[lane] = int(ray.walk[PART])
    while t < far:
        axis = 0 if border[0] <= border[1] and border[0] <= border[2] else (1 if border[1] <= border[2] else 2)
        until = min(border[axis], far)
        number = index[int(cell[0]), int(cell[1]), int(cell[2])]
        at = int((ray.walk[WAY] + 0.5 * (t + until) * size) * steps)
        if number >= 0 and until > t and at < len(lookup):
            visible = grid.visible[number]
            share = 1.0 if visible == ALL_VISIBLE else _visible_share(visible, p, cell, d, t, until)
            if share > 0.0:
                weight = share * (until - t) * size / grid.volume[number]
                row = number * width + lookup[at]
                _queue(deposits, lane, row, weight, (0.5 * (t + until) - middle) * size, field, parts)
        t = until
        cell[axis] += 1.0 if d[axis] > 0 else -1.0
        border[axis] += pace[axis]
        if cell[axis] < 0 or cell[axis] >= index.shape[axis]:
            return


@kernel(fastmath=FAST)
def _queue(deposits, lane, row, weight, distance, field, parts):
    """Queue one deposit, and ask for the memory that it goes to."""
    if deposits.count[0] == MOST:
        settle(deposits, field, parts)
    n = deposits.count[0]
    deposits.count[0] = n + 1
    deposits.row[n], deposits.lane[n] = row, lane
    deposits.share[n, 0], deposits.share[n, 1] = np.float32(weight), np.float32(weight * distance)
    for i in range(0, ROW, 14):  # no more than a cache line from one to the next, and to the end
        prefetch(field, row, i)


@kernel(fastmath=FAST)
def settle(deposits, field, parts):
    """Add what is queued to the field, and to those of the rays' parts."""
    for n in range(deposits.count[0]):
        row, lane = deposits.row[n], deposits.lane[n]
        weight, slope, leg = deposits.share[n, 0], deposits.share[n, 1], deposits.leg[lane]
        add_row(field, row, weight, leg, 0)
        add_row(field, row, slope, leg, 1)
        if parts.shape[1] > 0:
            part = parts[deposits.part[lane], row]
            for b in range(BANDS):
                part[b] += weight * leg[0, 4 * b] + slope * leg[1, 4 * b]
    deposits.count[0] = 0
