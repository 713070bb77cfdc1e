"""How a home is divided into rooms, on cells of one square metre.

Two schemes, both turned and mirrored at random: rows of rooms along a hall, and rooms around a living room. Room 0 is
the hub that every other room can open to.
"""

import numpy as np

__all__ = ["draw_cells", "draw_kinds"]

_WIDTHS = {
    "living_room": (4, 6),
    "kitchen": (3, 4),
    "dining_room": (3, 4),
    "bedroom": (3, 4),
    "bathroom": (2, 3),
    "office": (3, 3),
    "gym": (3, 4),
    "laundry_room": (2, 2),
}
_SMALL = ("bathroom", "laundry_room")


def draw_kinds(rng: np.random.Generator, count: int) -> list[str]:
    """Draw the kinds of `count` rooms; the first is the hub.

    Args:
        rng: Source of randomness.
        count: Number of rooms, 3–8.

    Returns:
        Kinds such as "bedroom"; a hall is always first, and without one the living room is.
    """
    chance_of_hall = {3: 0.0, 4: 0.0, 5: 0.5, 6: 0.8}.get(count, 1.0)
    kinds = ["hall"] if rng.random() < chance_of_hall else []
    kinds += ["living_room"]
    kinds += ["bedroom", "bathroom"] if count == 3 else ["kitchen", "bedroom", "bathroom"]
    extra = ["bedroom", "bedroom", "office", "dining_room", "gym", "laundry_room", "bathroom"]
    while len(kinds) < count:
        kinds.append(extra.pop(int(rng.integers(len(extra)))))
    return kinds


def draw_cells(rng: np.random.Generator, kinds: list[str]) -> np.ndarray | None:
    """Divide a home into rooms.

    Args:
        rng: Source of randomness.
        kinds: Kind of each room, the hub first.

    Returns:
        ``(nx, nz)`` int8 room of each cell, -1 outside; None where the draw did not work out.
    """
    cells = _along_hall(rng, kinds) if kinds[0] == "hall" else _around_living_room(rng, kinds)
    if cells is None:
        return None
    positions = np.argwhere(cells >= 0)
    (i0, k0), (i1, k1) = positions.min(0), positions.max(0) + 1
    cells = cells[i0:i1, k0:k1]
    cells = cells.T if rng.random() < 0.5 else cells
    cells = cells[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    return np.ascontiguousarray(cells)


def _along_hall(rng: np.random.Generator, kinds: list[str]) -> np.ndarray | None:
    """Two rows of rooms with a hall of 2 m between them."""
    widths = {room: int(rng.integers(*_WIDTHS[kinds[room]], endpoint=True)) for room in range(1, len(kinds))}
    rows: tuple[list[int], list[int]] = ([], [])
    for room in sorted(widths, key=lambda r: -widths[r]):
        min(rows, key=lambda row: sum(widths[r] for r in row)).append(room)
    for row in rows:
        rng.shuffle(row)
    _even_out(rng, kinds, rows, widths)
    depths = [int(rng.integers(4, 6)) if 1 in row else int(rng.integers(3, 5)) for row in rows]
    lengths = [sum(widths[r] for r in row) for row in rows]
    length, top = max(lengths), depths[0]
    if length > 13:
        return None
    cells = np.full((length, sum(depths) + 2), -1, np.int8)
    starts = []
    for index, row in enumerate(rows):
        at = 0
        for room in row:
            z = (0, top) if index == 0 else (top + 2, top + 2 + depths[1])
            cells[at : at + widths[room], z[0] : z[1]] = room
            starts.append(at)
            at += widths[room]
    last = max(at for at, room in zip(starts, rows[0] + rows[1], strict=True) if room in (rows[0][-1], rows[1][-1]))
    end = min(length, last + int(rng.integers(1, 3)))
    cells[:end, top : top + 2] = 0
    _fill_end(rng, cells, rows, lengths, end, top)
    for index, row in enumerate(rows):
        _shorten_small(rng, cells, kinds, row, top - 1 if index == 0 else top + 2, -1 if index == 0 else 1)
    return cells


def _even_out(
    rng: np.random.Generator, kinds: list[str], rows: tuple[list[int], list[int]], widths: dict[int, int]
) -> None:
    """Widen rooms of the shorter row, so that most outlines are nearly rectangles."""
    for _ in range(6):
        short, long = sorted(rows, key=lambda row: sum(widths[r] for r in row))
        gap = sum(widths[r] for r in long) - sum(widths[r] for r in short)
        if gap == 0 or (gap > 2 and rng.random() < 0.5):
            return
        room = short[int(rng.integers(len(short)))]
        widths[room] += 1 if widths[room] < (3 if kinds[room] in _SMALL else 5) else 0


def _fill_end(
    rng: np.random.Generator,
    cells: np.ndarray,
    rows: tuple[list[int], list[int]],
    lengths: list[int],
    end: int,
    top: int,
) -> None:
    """Give what lies beyond the end of the hall to the last room of a row, or leave it outside."""
    order = [0, 1] if rows[0][-1] == 1 else [1, 0] if rows[1][-1] == 1 else rng.permutation(2).tolist()
    for index in order:
        if lengths[index] > end and rng.random() < 0.85:
            cells[end : lengths[index], top : top + 2] = rows[index][-1]
            return


def _shorten_small(
    rng: np.random.Generator, cells: np.ndarray, kinds: list[str], row: list[int], inner: int, outward: int
) -> None:
    """Shorten bathrooms deeper than 3 m: a neighbour takes the outer cells, or the outline steps back."""
    for index, room in enumerate(row):
        if kinds[room] not in _SMALL:
            continue
        mask = cells == room
        depth = np.abs(np.arange(cells.shape[1]) - inner)
        mask &= (depth >= int(rng.integers(2, 4)))[None, :]
        mask &= ((np.arange(cells.shape[1]) - inner) * outward >= 0)[None, :]
        near = [row[i] for i in (index - 1, index + 1) if 0 <= i < len(row) and kinds[row[i]] not in _SMALL]
        cells[mask] = near[int(rng.integers(len(near)))] if near and rng.random() < 0.7 else -1


def _around_living_room(rng: np.random.Generator, kinds: list[str]) -> np.ndarray | None:
    """Rooms on up to three sides of the living room."""
    width, depth = int(rng.integers(4, 7)), int(rng.integers(4, 7))
    rooms = [int(room) for room in rng.permutation(np.arange(1, len(kinds)))]
    sides: list[list[int]] = [[], [], []]
    for room in rooms:
        free = [side for side in sides if len(side) < 2]
        if not free:
            return None
        free[int(rng.integers(len(free)))].append(room)
    cells = np.full((width + 8, depth + 4), -1, np.int8)
    x0, z0 = 4, 4
    cells[x0 : x0 + width, z0 : z0 + depth] = 0
    for index, side in enumerate(sides):
        if not side:
            continue
        least = 2 if all(kinds[room] in _SMALL for room in side) else 3
        across = int(rng.integers(least, least + 2))
        at = z0 if index < 2 else x0
        extents = _split(rng, depth if index < 2 else width, [kinds[room] for room in side])
        for room, extent in zip(side, extents, strict=True):
            if extent < (2 if kinds[room] in (*_SMALL, "kitchen") else 3):
                return None
            if index == 0:
                cells[x0 - across : x0, at : at + extent] = room
            elif index == 1:
                cells[x0 + width : x0 + width + across, at : at + extent] = room
            else:
                cells[at : at + extent, z0 - across : z0] = room
            at += extent
    return cells


def _split(rng: np.random.Generator, length: int, kinds: list[str]) -> list[int]:
    """Divide one side of the living room among one or two rooms."""
    if len(kinds) == 1:
        return [int(rng.integers(2, 4)) if kinds[0] in _SMALL else int(rng.integers(max(3, length - 1), length + 1))]
    first = 2 if kinds[0] in _SMALL else length - 2 if kinds[1] in _SMALL else int(length / 2 + rng.choice([0, 0.5]))
    return [first, length - first]
