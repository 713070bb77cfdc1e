"""What image sources cost in generated homes: the search per source, and a listener's update, in microseconds.

    python benchmarks/specular.py [--quick]

A listener walks within 5 m of the source at the height of a head, on the walkable floor. Times are the best of several
rounds, averaged over places and sources.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from harken.acoustics.paths.facets import Facets
from harken.acoustics.paths.image_sources import ImageSources
from harken.scene import HomeConfig, Scene, WalkableFloor, generate_home
from harken.sim import World

EARS = np.array([0.0, 1.5, 0.0])
REACH = 5.0


def home_of(triangles: int) -> Scene:
    """Return a generated home with about so many triangles: more rooms, then finer furniture."""
    rooms = (3, 3) if triangles < 20_000 else (3, 8)
    detail = 1.0
    for _ in range(8):
        home = generate_home(3, split="val", config=HomeConfig(rooms=rooms, detail=detail))
        if abs(len(home.faces) / triangles - 1) < 0.1:
            break
        detail = float(np.clip(detail * (triangles / len(home.faces)) ** 1.2, 0.25, 64))
    return home


def walk_near(floor: WalkableFloor, source: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return places of a listener near a source."""
    places: list[np.ndarray] = []
    while len(places) < count:
        place = np.float64(floor.random_point(rng)) + EARS
        if 0.5 < np.linalg.norm(place - source) < REACH:
            places.append(place)
    return places


def microseconds(work: Callable[[np.ndarray], object], places: list[np.ndarray], rounds: int) -> float:
    """Return the mean time of a call over all places, the best of several rounds."""
    spent = []
    for _ in range(rounds):
        start = time.perf_counter()
        for place in places:
            work(place)
        spent.append(time.perf_counter() - start)
    return 1e6 * min(spent) / len(places)


def measure(scene: Scene, order: int, *, sources: int, listeners: int, rounds: int) -> dict[str, float]:
    """Return means over sources: search and move [ms], sequences, paths, update [µs]."""
    facets, floor, rng = Facets.build(scene), World(scene=scene).floor, np.random.default_rng(0)
    rows = []
    for _ in range(sources):
        source = np.float64(floor.random_point(rng)) + EARS
        ImageSources(scene, facets, source, order=order)
        start = time.perf_counter()
        images = ImageSources(scene, facets, source, order=order)
        search = time.perf_counter() - start
        start = time.perf_counter()
        images.moved(source + 0.01)
        moved = time.perf_counter() - start
        places = walk_near(floor, source, listeners, rng)
        heard = np.mean([len(images.paths(place)) for place in places])
        update = microseconds(images.paths, places, rounds)
        rows.append([1e3 * search, 1e3 * moved, len(images.sequences), float(heard), update])
    means = np.array(rows).mean(0).tolist()
    return dict(zip(("search", "moved", "sequences", "paths", "update"), means, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    quick = parser.parse_args().quick
    sizes = (10_000,) if quick else (10_000, 20_000, 40_000)
    counts = {"sources": 2, "listeners": 10, "rounds": 2} if quick else {"sources": 12, "listeners": 60, "rounds": 9}
    print(f"{'triangles':>10}{'facets':>8}{'built':>9}{'order':>7}{'search':>10}{'moved':>9}", end="")
    print(f"{'sequences':>11}{'paths':>7}{'update':>10}")
    for size in sizes:
        scene = home_of(size)
        start = time.perf_counter()
        facets = Facets.build(scene)
        built = 1e3 * (time.perf_counter() - start)
        for order in (1, 2, 3):
            row = measure(scene, order, **counts)
            print(f"{len(scene.faces):>10,}{len(facets):>8}{built:>6.0f} ms{order:>7}", end="")
            print(f"{row['search']:>7.1f} ms{row['moved']:>6.2f} ms", end="")
            print(f"{row['sequences']:>11.0f}{row['paths']:>7.1f}{row['update']:>7.0f} µs")


if __name__ == "__main__":
    main()
