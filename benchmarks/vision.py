"""Images per second of the renderer on one core, next to raw Embree packets and to embreex's own Python call.

    python benchmarks/vision.py [--seconds 2] [--quick] [--isa avx2]

Raw packets are given their rays ready-made, in tiles of 4 × 4 pixels, and leave the distances where Embree puts them:
the most that Embree can do, for each width that it has. All rows are measured in turns within one run; compare rows,
not runs. `--isa` keeps Embree from using newer instructions than those named, in all rows but embreex's own, which
makes its device itself.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import trimesh

from harken.raytracing import embree, kernel
from harken.raytracing.packets import (
    DIRECTION_X,
    TRIANGLE,
    WIDTHS,
    begin_packets,
    cast_packet,
    embree_packets,
    packet_buffer,
    packet_width,
    word,
)
from harken.scene import AcousticMaterial, Appearance, Room, Scene
from harken.vision import Camera, Renderer
from harken.vision.surfaces import surface_arrays

WALL, HEIGHT, ROOM, DOOR = 0.1, 2.8, 4.0, 1.0
SIZE = 128


def box(lower: np.ndarray | tuple[float, ...], upper: np.ndarray | tuple[float, ...]) -> trimesh.Trimesh:
    return trimesh.creation.box(bounds=np.array([lower, upper]))


def build_house(pieces: int, subdivisions: int, seed: int = 0) -> Scene:
    """Build four by three rooms with doors between them and boxes and spheres in them.

    Args:
        pieces: Number of things; every other is a sphere of 20 · 4^subdivisions triangles.
        subdivisions: Fineness of the spheres.
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    width, depth = 4 * ROOM, 3 * ROOM
    parts = [box((-WALL, -WALL, -WALL), (width + WALL, 0, depth + WALL))]
    parts.append(box((-WALL, HEIGHT, -WALL), (width + WALL, HEIGHT + WALL, depth + WALL)))
    for across, along, length in ((0, 2, depth), (2, 0, width)):
        count = int((width if across == 0 else depth) / ROOM)
        for line in range(count + 1):
            for begin in np.arange(0.0, length, ROOM):
                door = rng.uniform(0.5, ROOM - DOOR - 0.5) if 0 < line < count else ROOM
                for start, end, bottom in (
                    (0.0, door, 0.0),
                    (door, min(door + DOOR, ROOM), 2.05),
                    (door + DOOR, ROOM, 0.0),
                ):
                    if end - start > 0:
                        lower, upper = np.zeros(3), np.zeros(3)
                        lower[[across, along, 1]] = line * ROOM - WALL / 2, begin + start, bottom
                        upper[[across, along, 1]] = line * ROOM + WALL / 2, begin + end, HEIGHT
                        parts.append(box(lower, upper))
    for number in range(pieces):
        radius = rng.uniform(0.15, 0.5)
        centre = rng.uniform([0.6, radius, 0.6], [width - 0.6, 1.2, depth - 0.6])
        if number % 2:
            parts.append(trimesh.creation.icosphere(subdivisions, radius).apply_translation(centre))
        else:
            parts.append(box(centre - radius, centre + radius))
    return scene_of(parts, rng)


def scene_of(parts: list[trimesh.Trimesh], rng: np.random.Generator) -> Scene:
    """Give every part a colour and a wooden texture, and every room a lamp."""
    vertices = np.concatenate([part.vertices for part in parts])
    before = np.cumsum([0] + [len(part.vertices) for part in parts])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, before[:-1], strict=True)])
    owner = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    rooms = tuple(
        Room(
            name=f"room {x} {z}",
            kind="room",
            polygon=np.array([[x, z], [x + 1, z], [x + 1, z + 1], [x, z + 1]], np.float32) * np.float32(ROOM),
            floor=0.0,
            ceiling=HEIGHT,
        )
        for x in range(4)
        for z in range(3)
    )
    return Scene(
        vertices=vertices,
        faces=faces,
        materials=(AcousticMaterial(name="plaster", absorption=(0.1,)),),
        material=np.zeros(len(faces), np.int32),
        categories=("unknown", "part"),
        category=np.ones(len(faces), np.int32),
        instance=owner + 1,
        rooms=rooms,
        appearance=Appearance(
            colors=np.repeat(rng.integers(100, 255, (len(parts), 1, 3)).astype(np.uint8)[owner], 3, 1),
            texture=np.zeros(len(faces), np.int32),
            uv=np.ascontiguousarray(vertices[faces][:, :, [0, 2]], np.float32),
            textures=(rng.integers(150, 255, (256, 256, 3)).astype(np.uint8),),
        ),
        name="benchmark house",
    )


@kernel
def cast_given(rays, origin, directions, hits):
    """Raw packets: nothing but copying ready-made directions and calling Embree."""
    packet, width, total = packet_buffer(), packet_width(rays), 0
    words = packet.view(np.int32)
    begin_packets(packet, width, origin[0], origin[1], origin[2], np.float32(0.0))
    for i in range(len(directions)):
        for first in range(0, 16, width):
            at = word(width, DIRECTION_X, first)
            packet[at : at + 3 * width] = directions[i, 3 * first : 3 * (first + width)]
        cast_packet(rays, packet, np.float32(np.inf))
        total += words[word(width, TRIANGLE, 0)]
    hits[0] = total


def camera_rays(heading: float) -> np.ndarray:
    """Directions ``(tiles, 16, 3)`` of a 90° camera, sixteen pixels in each tile."""
    steps = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = np.meshgrid(steps, -steps)
    sine, cosine = np.sin(heading), np.cos(heading)
    rays = np.stack([x * cosine - sine, y, -x * sine - cosine], -1).astype(np.float32)
    return np.ascontiguousarray(rays.reshape(SIZE // 4, 4, SIZE // 4, 4, 3).swapaxes(1, 2).reshape(-1, 16, 3))


def in_packets(rays: np.ndarray, width: int) -> np.ndarray:
    """Directions ``(tiles, 48)``: x, y and z of each packet's rays."""
    return np.ascontiguousarray(rays.reshape(len(rays), -1, width, 3).swapaxes(2, 3).reshape(len(rays), 48))


def peers(scene: Scene, headings: np.ndarray, place: np.ndarray) -> dict[str, Callable[[int], object]]:
    """What the renderer is measured against; nothing where Embree is missing."""
    if not embree.AVAILABLE:
        return {}
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    rays, hits = [camera_rays(heading) for heading in headings], np.zeros(1, np.int64)
    address = scene.triangles.image_data.scene

    def raw(width: int) -> Callable[[int], object]:
        packets, tiles_of_views = embree_packets(address, width), [in_packets(tiles, width) for tiles in rays]
        return lambda i: cast_given(packets, place, tiles_of_views[i % len(tiles_of_views)], hits)

    theirs = EmbreeScene()
    TriangleMesh(theirs, scene.vertices[scene.faces])
    origins = np.ascontiguousarray(np.broadcast_to(place, (SIZE * SIZE, 3)))
    flat = [np.ascontiguousarray(tiles.reshape(-1, 3)) for tiles in rays]
    native = embree.native_width()
    works = {f"raw packets of {width}{', native' * (width == native)}": raw(width) for width in WIDTHS[::-1]}
    works["embreex, Python"] = lambda i: theirs.run(origins, flat[i % len(flat)], query="DISTANCE")
    return works


def rates(works: dict[str, Callable[[int], object]], seconds: float) -> dict[str, float]:
    """Calls per second of each work: the best of several short turns, taken alternately."""
    turns = 5
    best = dict.fromkeys(works, 0.0)
    for work in works.values():
        work(0)
    for _ in range(turns):
        for name, work in works.items():
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < seconds / turns:
                work(count)
                count += 1
            best[name] = max(best[name], count / elapsed)
    return best


def main(seconds: float = 2.0, quick: bool = False) -> dict[int, dict[str, float]]:
    """Print a table of images per second.

    Args:
        seconds: Time spent on each row.
        quick: Use one small house, to see that everything runs.

    Returns:
        Images per second by row, for each number of triangles.
    """
    houses = [(8, 2)] if quick else [(60, 3), (116, 4)]
    camera, place = Camera(width=SIZE, height=SIZE), np.array([2.0, 1.5, 2.0], np.float32)
    headings = np.linspace(0.0, 2 * np.pi, 16, endpoint=False)
    results = {}
    for pieces, subdivisions in houses:
        scene = build_house(pieces, subdivisions)
        start = time.perf_counter()
        surface_arrays(scene)
        light = time.perf_counter() - start
        renderer = Renderer(scene)

        def view(*channels: str, renderer: Renderer = renderer) -> Callable[[int], object]:
            return lambda i: renderer.observe(camera, place, headings[i % len(headings)], channels=channels)

        works = peers(scene, headings, place)
        works |= {"depth": view("depth"), "depth, semantic": view("depth", "semantic"), "rgb": view("rgb")}
        works |= {"all channels": view("depth", "rgb", "semantic", "instance")}
        speeds = rates(works, seconds)
        fastest = max((rate for name, rate in speeds.items() if name.startswith("raw")), default=speeds["depth"])
        theirs = speeds.get("embreex, Python", speeds["depth"])
        print(f"\n{len(scene.faces):,} triangles, {SIZE}×{SIZE}; light computed in {light:.1f} s, once per scene")
        print(f"{'':24s}{'images/s':>10s}{'of raw':>10s}{'of embreex':>12s}")
        for name, rate in speeds.items():
            print(f"{name:24s}{rate:10,.0f}{rate / fastest:10.2f}{rate / theirs:12.2f}")
        results[len(scene.faces)] = speeds
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each row")
    parser.add_argument("--quick", action="store_true", help="a smoke run on a small house")
    parser.add_argument("--isa", help="newest instructions that Embree may use, such as avx2")
    arguments = parser.parse_args()
    if arguments.isa:
        embree._CONFIGURATION += f",isa={arguments.isa}".encode()
    main(0.1 if arguments.quick else arguments.seconds, arguments.quick)
