"""Appearance of surfaces: colours, textures and baked light, packed for compiled code, and the shading itself."""

import threading
import weakref
from dataclasses import replace
from typing import Any

import numpy as np

from harken.errors import SceneError
from harken.raytracing import kernel
from harken.scene.doors import moved_objects, vacated
from harken.scene.scene import Appearance, Scene
from harken.vision.light import bake_light, light_again
from harken.vision.lightmap import LightGrid, interpolate_light, light_grid

__all__ = ["SKY", "mean_colors", "shade", "surface_arrays"]

SKY = np.array([206, 222, 238], np.uint8)
"""Colour (sRGB) where nothing is hit."""

RELIT = 0.4
"""How far from where a leaf was the light is computed again [m]."""

_LEVELS = 10


def _decode(values: np.ndarray) -> np.ndarray:
    """From sRGB 0–1 to linear (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _encode(values: np.ndarray) -> np.ndarray:
    """From linear to sRGB 0–1 (IEC 61966-2-1)."""
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _level_steps() -> np.ndarray:
    """Return the texels per pixel from which each level but the first is used: where log2 rounds to its number.

    Comparing takes a tenth of the logarithm's time. The steps lie where the logarithm in single precision passes one
    half, up to three units in the last place below the exact place.
    """
    level = np.arange(1, _LEVELS)
    near = (2.0 ** (level - 0.5)).astype(np.float32).view(np.int32)[:, None] + np.arange(-8, 8, dtype=np.int32)
    texels = near.view(np.float32)
    reached = np.log2(texels.astype(np.float64)).astype(np.float32) + np.float32(0.5) >= level[:, None]
    return texels[np.arange(len(level)), reached.argmax(1)]


_STEPS = _level_steps()
_LINEAR = _decode(np.arange(256) / 255).astype(np.float32)
_SRGB = np.round(255 * _encode(np.arange(4097) / 4096)).astype(np.uint8)

_lock = threading.RLock()
_baked: "weakref.WeakKeyDictionary[Scene, tuple[Any, ...]]" = weakref.WeakKeyDictionary()


_lit: "weakref.WeakKeyDictionary[Scene, tuple[LightGrid, np.ndarray]]" = weakref.WeakKeyDictionary()


def surface_arrays(scene: Scene) -> tuple[Any, ...]:
    """Return what `shade` takes as `surface`: computed once per scene and shared by its renderers."""
    with _lock:
        if scene not in _baked:
            _baked[scene] = _surface_arrays(scene)
        return _baked[scene]


def _surface_arrays(scene: Scene) -> tuple[Any, ...]:
    look = _checked_appearance(scene)
    pixels, table = _pack_textures(look)
    grid, light = _light(scene)
    return (
        np.ascontiguousarray(look.colors, np.uint8),
        np.ascontiguousarray(look.texture, np.int32),
        np.ascontiguousarray(look.uv, np.float32),
        _texel_density(scene, look),
        pixels,
        table,
        scene.normals,
        (grid.intervals, grid.start, grid.sample, light),
        (_LINEAR, _SRGB),
    )


def _light(scene: Scene) -> tuple[LightGrid, np.ndarray]:
    """Return where the light of a scene is sampled, and the light there.

    Where doors have moved, only leaves are lit, and what is near the places of those that rested elsewhere: baking
    everything again would take a second.
    """
    with _lock:
        if scene not in _lit:
            _lit[scene] = _new_light(scene)
        return _lit[scene]


def _new_light(scene: Scene) -> tuple[LightGrid, np.ndarray]:
    albedo = _LINEAR[mean_colors(scene)]
    if scene.bare is None:
        grid = light_grid(scene)
        return grid, bake_light(scene, grid, albedo)
    before, light = _light(scene.bare)
    gone = moved_objects(scene.doors, scene.door_states)
    stays = ~np.isin(scene.bare.instance, list(gone))
    kept = int(stays.sum())
    own = light_grid(replace(scene, faces=scene.faces[kept:], **_rows(scene, kept)))
    grid = LightGrid(
        intervals=np.concatenate([before.intervals[stays], own.intervals]),
        start=np.concatenate([before.start[stays], own.start + np.int32(len(before.sample))]),
        sample=np.concatenate([before.sample, own.sample + np.int32(len(light))]),
        positions=np.concatenate([before.positions, own.positions]),
        normals=np.concatenate([before.normals, own.normals]),
    )
    again = np.arange(len(grid.positions)) >= len(light)
    for low, high in vacated(scene):
        again |= ((grid.positions >= low - RELIT) & (grid.positions <= high + RELIT)).all(1)
    every = np.concatenate([light, np.zeros((len(own.positions), 2, 3), np.float32)])
    return grid, light_again(scene, grid, again, every, albedo)


def _rows(scene: Scene, first: int) -> dict[str, Any]:
    """Return what a scene of the triangles from `first` on has in place of the scene's own."""
    names = ("material", "category", "instance", "room")
    return {**{name: getattr(scene, name)[first:] for name in names}, "appearance": None, "bare": None, "doors": ()}


def _checked_appearance(scene: Scene) -> Appearance:
    """Return the scene's appearance; compiled code would read outside an array that is too short."""
    look, faces = scene.appearance, len(scene.faces)
    assert look is not None
    shapes = {"colors": (faces, 3, 3), "texture": (faces,), "uv": (faces, 3, 2)}
    for name, shape in shapes.items():
        if getattr(look, name).shape != shape:
            raise SceneError(
                f"{scene.name}: appearance.{name} has shape {getattr(look, name).shape}; expected {shape}."
            )
    for number, image in enumerate(look.textures):
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0 or image.dtype != np.uint8:
            raise SceneError(
                f"{scene.name}: texture {number} is {image.dtype} of shape {image.shape}; expected uint8 of shape "
                "(height, width, 3). Convert it to RGB before loading."
            )
    if look.texture.min() < -1 or look.texture.max() >= len(look.textures):
        raise SceneError(
            f"{scene.name}: texture indices run from {look.texture.min()} to {look.texture.max()}; expected -1 (none) "
            f"to {len(look.textures) - 1}."
        )
    return look


def mean_colors(scene: Scene) -> np.ndarray:
    """Return each triangle's mean colour ``(F, 3)`` uint8 (sRGB): its corners times the mean of its texture."""
    look = _checked_appearance(scene)
    corners = _LINEAR[look.colors].mean(1)
    textures = np.stack([np.ones(3, np.float32)] + [_LINEAR[image].mean((0, 1)) for image in look.textures])
    return np.round(255 * _encode(np.clip(corners * textures[look.texture + 1], 0.0, 1.0))).astype(np.uint8)


def _pack_textures(look: Appearance) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate textures and their mip levels: pixels ``(P, 3)``, and where each begins, its height and width."""
    table = np.zeros((max(len(look.textures), 1), _LEVELS, 3), np.int32)
    pixels, offset = [], 0
    for number, texture in enumerate(look.textures):
        level = np.ascontiguousarray(texture, np.uint8)
        for k in range(_LEVELS):
            pixels.append(level.reshape(-1, 3))
            table[number, k] = offset, level.shape[0], level.shape[1]
            offset += level.shape[0] * level.shape[1]
            level = _halve(level)
    return (np.concatenate(pixels) if pixels else np.zeros((1, 3), np.uint8)), table


def _halve(image: np.ndarray) -> np.ndarray:
    even = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 3)
    return np.round(blocks.mean((1, 3))).astype(np.uint8)


def _texel_density(scene: Scene, look: Appearance) -> np.ndarray:
    """``(F,)`` float32: texels per metre on each triangle, 0 without a texture."""
    sizes = np.array([0.0] + [image.shape[0] * image.shape[1] for image in look.textures])[look.texture + 1]
    a, b = look.uv[:, 1] - look.uv[:, 0], look.uv[:, 2] - look.uv[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    return np.sqrt(sizes * area / np.maximum(scene.areas, 1e-12)).astype(np.float32)


@kernel(inline="always")
def _bilinear(pixels, entry, linear, u, v):
    """Linear colour of an image at wrapping coordinates; (0, 0) is its bottom left."""
    offset, height, width = entry[0], entry[1], entry[2]
    x = (u - np.floor(u)) * width - np.float32(0.5)
    y = (np.float32(1.0) - (v - np.floor(v))) * height - np.float32(0.5)
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - np.float32(x0), y - np.float32(y0)
    # Comparisons in place of remainders, which would be half the cost of a pixel.
    x0 = x0 if 0 <= x0 < width else width - 1
    y0 = y0 if 0 <= y0 < height else height - 1
    x1 = x0 + 1 if x0 + 1 < width else 0
    y1 = y0 + 1 if y0 + 1 < height else 0
    red, green, blue = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for corner in range(4):
        texel = pixels[offset + (y1 if corner & 2 else y0) * width + (x1 if corner & 1 else x0)]
        weight = (fx if corner & 1 else np.float32(1.0) - fx) * (fy if corner & 2 else np.float32(1.0) - fy)
        red += weight * linear[texel[0]]
        green += weight * linear[texel[1]]
        blue += weight * linear[texel[2]]
    return red, green, blue


@kernel(inline="always")
def _corner_color(colors, linear, f, a, u, v):
    red = a * linear[colors[f, 0, 0]] + u * linear[colors[f, 1, 0]] + v * linear[colors[f, 2, 0]]
    green = a * linear[colors[f, 0, 1]] + u * linear[colors[f, 1, 1]] + v * linear[colors[f, 2, 1]]
    blue = a * linear[colors[f, 0, 2]] + u * linear[colors[f, 1, 2]] + v * linear[colors[f, 2, 2]]
    return red, green, blue


@kernel(inline="always")
def _level(texels_per_pixel, facing):
    """Mip level of the texture for a pixel; for oblique views, between the levels of its long and its short side."""
    stretched = texels_per_pixel / np.sqrt(max(facing, np.float32(0.1)))
    level = 0
    while level < _LEVELS - 1 and stretched >= _STEPS[level]:
        level += 1
    return level


@kernel
def shade(surface, frame, columns, rows, pixel, depth, triangle, barycentric, sky, image):
    """Colour an image.

    Args:
        surface: From `surface_arrays`.
        frame: Axes of the camera, as `cast_hits` takes them.
        columns: Shares of right and forward in the rays of each column.
        rows: Weight of the column's direction and share of up in the rays of each row.
        pixel: Width of a pixel on a surface: at distance 0 [m], and what each metre of distance adds to it.
        depth: Distances, from `cast_hits`.
        triangle: Triangles hit, from `cast_hits`.
        barycentric: Places on the triangles, from `cast_hits`.
        sky: ``(3,)`` uint8: colour where nothing is hit.
        image: ``(height, width, 3)`` uint8, filled.
    """
    colors, texture, uv, density, pixels, table, normals, lights, (linear, srgb) = surface
    intervals, start, sample, light = lights
    unit, top = np.float32(1.0), np.float32(4096.0)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            f = triangle[y, x]
            if f < 0:
                image[y, x, 0], image[y, x, 1], image[y, x, 2] = sky[0], sky[1], sky[2]
                continue
            s, up, ahead = rows[y, 0] * columns[x, 0], rows[y, 1], rows[y, 0] * columns[x, 1]
            facing, squared = np.float32(0.0), s * s + up * up + ahead * ahead
            for k in range(3):
                facing += normals[f, k] * (s * frame[0, k] + up * frame[1, k] + ahead * frame[2, k])
            u, v = barycentric[y, x, 0], barycentric[y, x, 1]
            a = unit - u - v
            red, green, blue = _corner_color(colors, linear, f, a, u, v)
            t = texture[f]
            if t >= 0:
                level = _level((pixel[0] + pixel[1] * depth[y, x]) * density[f], abs(facing) / np.sqrt(squared))
                tu = a * uv[f, 0, 0] + u * uv[f, 1, 0] + v * uv[f, 2, 0]
                tv = a * uv[f, 0, 1] + u * uv[f, 1, 1] + v * uv[f, 2, 1]
                r, g, b = _bilinear(pixels, table[t, level], linear, tu, tv)
                red, green, blue = red * r, green * g, blue * b
            r, g, b = interpolate_light(intervals, start, sample, light, f, 1 if facing > 0.0 else 0, u, v)
            image[y, x, 0] = srgb[int(top * min(red * r, unit) + np.float32(0.5))]
            image[y, x, 1] = srgb[int(top * min(green * g, unit) + np.float32(0.5))]
            image[y, x, 2] = srgb[int(top * min(blue * b, unit) + np.float32(0.5))]
