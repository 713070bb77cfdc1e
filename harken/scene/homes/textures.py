"""Textures drawn from random numbers: wood, tiles, cloth, plaster, stone, bricks, books and pictures.

Most are nearly white and carry only the pattern; the finish's colour tints them. All wrap around without a seam except
pictures, rugs, books and the sky in the windows, which are shown once.
"""

from collections.abc import Callable

import numpy as np

from harken.errors import UnknownNameError

__all__ = ["draw_texture"]


def draw_texture(name: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a texture.

    Args:
        name: Name of the texture, such as "planks"; "art", "books" and "rug" may be followed by "_" and a number.
        rng: Source of randomness.

    Returns:
        ``(height, width, 3)`` uint8 image, 64–256 pixels a side.

    Raises:
        UnknownNameError: There is no such texture.
    """
    family = name if name in _TEXTURES else name.rsplit("_", 1)[0]
    if family not in _TEXTURES:
        raise UnknownNameError("texture", name, _TEXTURES)
    image = _TEXTURES[family](rng)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, 2)
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise from −1 to 1 that wraps around, with `cells` bumps along each axis."""
    grid = rng.uniform(-1, 1, cells)
    for axis in (0, 1):
        at = np.arange(shape[axis]) * (cells[axis] / shape[axis])
        low = at.astype(np.int64)
        share = at - low
        share = share * share * (3 - 2 * share)
        share = share[:, None] if axis == 0 else share
        grid = np.take(grid, low, axis) * (1 - share) + np.take(grid, (low + 1) % cells[axis], axis) * share
    return grid


def _layers(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int], octaves: int) -> np.ndarray:
    """Sum of noises of halving size and strength."""
    total = np.zeros(shape)
    for octave in range(octaves):
        total += _noise(rng, shape, (cells[0] << octave, cells[1] << octave)) * 0.5**octave
    return total


_MUTED = np.array(
    [
        (0.72, 0.64, 0.52),
        (0.55, 0.30, 0.26),
        (0.24, 0.32, 0.42),
        (0.86, 0.82, 0.74),
        (0.42, 0.48, 0.40),
        (0.78, 0.60, 0.36),
    ]
)


def _muted(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours ``(count, 3)`` that go together in a living room."""
    colors = _MUTED[rng.permutation(len(_MUTED))[np.arange(count) % len(_MUTED)]]
    return np.clip(colors + rng.uniform(-0.06, 0.06, (count, 3)), 0, 1)


def _grain(rng: np.random.Generator) -> np.ndarray:
    rings = _noise(rng, (128, 128), (24, 2)) + 0.5 * _noise(rng, (128, 128), (56, 3))
    fibres = _noise(rng, (128, 128), (96, 8))
    return 0.88 + 0.07 * rings + 0.03 * fibres


def _planks(rng: np.random.Generator) -> np.ndarray:
    height, width, boards = 128, 256, 8
    thickness = height // boards
    image = 0.86 + 0.05 * _noise(rng, (height, width), (64, 6)) + 0.03 * _noise(rng, (height, width), (96, 24))
    for board in range(boards):
        rows = slice(board * thickness, (board + 1) * thickness)
        ends = np.sort((rng.integers(width) + np.array([0, width // 2])) % width)
        tints = rng.uniform(-0.09, 0.09, 2)
        columns = np.arange(width)
        image[rows] += np.where((columns >= ends[0]) & (columns < ends[1]), tints[0], tints[1])[None, :]
        image[rows, ends] *= 0.72
        image[rows.start] *= 0.78
    return image


def _tiles(
    rng: np.random.Generator, across: int, up: int, shape: tuple[int, int], *, shifted: bool = False
) -> np.ndarray:
    """Tiles of slightly different shades with grout between them."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    row = y * up // height
    moved = (x + np.where(shifted & (row % 2 == 1), width // (2 * across), 0)) % width
    column = moved * across // width
    shade = 0.93 + rng.uniform(-0.04, 0.04, (up, across))[row, column]
    shade += 0.02 * _noise(rng, shape, (8, 8))
    grout = (moved * across % width < across * 1.5) | (y * up % height < up * 1.5)
    return np.where(grout, 0.72, shade)


def _floor_tiles(rng: np.random.Generator) -> np.ndarray:
    count = int(rng.choice([2, 3, 4]))
    image = _tiles(rng, count, count, (144, 144))
    if rng.random() < 0.2:
        y, x = np.mgrid[:144, :144] * 4 // 144
        image = _tiles(rng, 4, 4, (144, 144)) * np.where((x + y) % 2, 1.0, 0.62)
    return image


def _wall_tiles(rng: np.random.Generator) -> np.ndarray:
    return _tiles(rng, 4, 8, (128, 128), shifted=True) if rng.random() < 0.5 else _tiles(rng, 4, 3, (120, 128))


def _carpet(rng: np.random.Generator) -> np.ndarray:
    return 0.85 + 0.10 * rng.uniform(-1, 1, (96, 96)) + 0.06 * _noise(rng, (96, 96), (6, 6))


def _weave(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    threads = np.where((x // 2 + y // 2) % 2, 0.04, -0.04)
    return 0.9 + threads + 0.05 * rng.uniform(-1, 1, (64, 64)) + 0.03 * _noise(rng, (64, 64), (4, 4))


def _plaster(rng: np.random.Generator) -> np.ndarray:
    return 0.965 + 0.02 * _layers(rng, (128, 128), (4, 4), 3) + 0.012 * rng.uniform(-1, 1, (128, 128))


def _wallpaper(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:128, :128] / 128
    stripes = int(rng.integers(4, 9))
    pattern = np.sin(2 * np.pi * stripes * x) if rng.random() < 0.5 else None
    if pattern is None:
        pattern = np.sin(2 * np.pi * stripes * x) * np.sin(2 * np.pi * stripes * y)
    return 0.92 + 0.05 * np.sign(pattern) * (np.abs(pattern) > 0.3) + 0.01 * rng.uniform(-1, 1, (128, 128))


def _veins(rng: np.random.Generator, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    warp = _layers(rng, (size, size), (3, 3), 4)
    veins = np.abs(np.sin(2 * np.pi * (x + 2 * y) + 2.4 * warp))
    return 0.95 - 0.22 * np.exp(-(veins**2) / 0.012) + 0.03 * _layers(rng, (size, size), (4, 4), 2)


def _marble_tiles(rng: np.random.Generator) -> np.ndarray:
    image = _veins(rng, 160)
    image[::80] = image[:, ::80] = 0.78
    return image


def _stone(rng: np.random.Generator) -> np.ndarray:
    specks = rng.random((96, 96))
    image = 0.86 + 0.05 * _layers(rng, (96, 96), (6, 6), 3)
    return np.where(specks < 0.06, image - 0.2, np.where(specks > 0.95, image + 0.12, image))


def _brick(rng: np.random.Generator) -> np.ndarray:
    shape = (120, 192)
    wall = _tiles(rng, 4, 8, shape, shifted=True)
    y, x = np.mgrid[: shape[0], : shape[1]]
    row = y * 8 // shape[0]
    column = ((x + np.where(row % 2 == 1, 24, 0)) % 192) * 4 // 192
    colors = np.array([0.66, 0.36, 0.28]) + rng.uniform(-0.07, 0.07, (8, 4, 1)) + rng.uniform(-0.02, 0.02, (8, 4, 3))
    rough = 1 + 0.08 * rng.uniform(-1, 1, shape)[..., None]
    return np.where((wall < 0.75)[..., None], np.array([0.76, 0.73, 0.69]), colors[row, column]) * rough


def _acoustic(rng: np.random.Generator) -> np.ndarray:
    image = _tiles(rng, 2, 2, (128, 128))
    return np.where(rng.random((128, 128)) < 0.05, image - 0.25, image)


def _sky(rng: np.random.Generator) -> np.ndarray:
    height = np.linspace(0, 1, 96)[:, None, None]
    image = (1 - height) * np.array([0.62, 0.78, 0.94]) + height * np.array([0.90, 0.94, 0.96])
    clouds = np.clip(_layers(rng, (96, 96), (3, 2), 4), 0, 1)[..., None] * (1 - height)
    image = image + (1 - image) * 0.8 * clouds
    skyline = 0.80 + 0.10 * np.repeat(rng.random(12), 8)
    below = np.arange(96)[:, None] / 96 > skyline[None, :]
    image = np.where(below[..., None], np.array([0.55, 0.60, 0.63]), image)
    grass = np.arange(96)[:, None] / 96 > 0.93 + 0.02 * np.sin(np.arange(96) / 7)[None, :]
    return np.where(grass[..., None], np.array([0.40, 0.52, 0.34]), image)


def _sheen(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:64, :64] / 64
    return 0.86 + 0.12 * np.exp(-(((x + y - rng.uniform(0.7, 1.3)) / 0.18) ** 2))


def _books(rng: np.random.Generator) -> np.ndarray:
    image = np.full((64, 192, 3), 0.13)
    at = 0
    while at < 192:
        width, height = int(rng.integers(5, 12)), int(rng.integers(42, 62))
        color = rng.uniform(0.15, 0.85, 3) * rng.uniform(0.7, 1.0)
        image[64 - height :, at : at + width - 1] = color
        band = int(rng.integers(64 - height + 4, 58))
        image[band : band + 3, at : at + width - 1] = np.clip(color + 0.35, 0, 1)
        at += width
    return image


def _rug(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:128, :192]
    colors = _muted(rng, 4)
    rim = np.minimum.reduce([x, y, 191 - x, 127 - y])
    style = int(rng.integers(3))
    if style == 0:
        index = np.where(rim < 8, 1, np.where(rim < 12, 2, np.where(rim < 22, 3, 0)))
        diamond = (np.abs(x - 95.5) / 70 + np.abs(y - 63.5) / 40) * 4
        index = np.where((rim >= 22) & (diamond < 4), 1 + diamond.astype(np.int64) % 3, index)
    elif style == 1:
        index = (x // int(rng.integers(8, 24))) % 4
    else:
        index = np.where(rim < 6, 1, (((x // 16) + (y // 16)) % 2) * 2)
    return colors[index] + 0.05 * rng.uniform(-1, 1, (128, 192, 1))


def _art(rng: np.random.Generator) -> np.ndarray:
    """A picture: colour fields, a landscape, circles, or strokes."""
    style, size = int(rng.integers(4)), 80
    y, x = np.mgrid[:size, :size] / size
    image = np.broadcast_to(rng.uniform(0.6, 0.95, 3), (size, size, 3)).copy()
    if style == 0:
        for _ in range(7):
            x0, y0 = rng.random(2)
            inside = (abs(x - x0) < rng.uniform(0.05, 0.3)) & (abs(y - y0) < rng.uniform(0.05, 0.3))
            image[inside] = _muted(rng, 1)[0]
    elif style == 1:
        image = (1 - y[..., None]) * np.array([0.55, 0.72, 0.90]) + y[..., None] * np.array([0.96, 0.84, 0.70])
        for ridge in range(4):
            hills = 0.35 + 0.14 * ridge + 0.09 * _noise(rng, (size, 1), (5, 1))[:, 0]
            image[y > hills[None, :]] = np.array([0.38, 0.50, 0.46]) * (1 - 0.17 * ridge) + rng.uniform(0, 0.08, 3)
    elif style == 2:
        for _ in range(9):
            x0, y0 = rng.random(2)
            image[(x - x0) ** 2 + (y - y0) ** 2 < rng.uniform(0.05, 0.25) ** 2] = _muted(rng, 1)[0]
    else:
        strokes = _layers(rng, (size, size), (3, 3), 3)
        colors = _muted(rng, 5)
        image = colors[np.clip((strokes + 1) * 2.5, 0, 4).astype(np.int64)]
    return image


_TEXTURES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "acoustic": _acoustic,
    "art": _art,
    "books": _books,
    "brick": _brick,
    "carpet": _carpet,
    "floor_tiles": _floor_tiles,
    "grain": _grain,
    "marble": lambda rng: _veins(rng, 128),
    "marble_tiles": _marble_tiles,
    "planks": _planks,
    "plaster": _plaster,
    "rug": _rug,
    "sheen": _sheen,
    "sky": _sky,
    "stone": _stone,
    "wall_tiles": _wall_tiles,
    "wallpaper": _wallpaper,
    "weave": _weave,
}
