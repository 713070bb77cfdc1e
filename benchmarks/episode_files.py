"""Time to read and write an episode file of SoundSpaces, and to turn its episodes into Harken's own. One core.

    python benchmarks/episode_files.py [--episodes N] [--quick]

The file is made first: AudioNav, one scene, as `harken.tasks.write_habitat_episodes` writes it. ``json`` is the peer:
the time that Python's own reader takes to unpack and parse the same file, with no check of what is in it.
"""

import argparse
import gc
import gzip
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harken.tasks import HabitatEpisode, HabitatEpisodes, read_habitat_episodes, to_episodes, write_habitat_episodes
from harken.tasks.habitat_episodes import HabitatGoal

SCENE = "mp3d/17DRP5sb8fy/17DRP5sb8fy.glb"


def made_episodes(count: int) -> HabitatEpisodes:
    """Return episodes of AudioNav at random places."""
    rng = np.random.default_rng(0)
    starts, goals = (rng.uniform(-10.0, 10.0, (count, 3)) for _ in range(2))
    half = 0.5 * rng.uniform(-np.pi, np.pi, count)
    distances = np.linalg.norm(goals - starts, axis=1).tolist()
    places = zip(starts.tolist(), goals.tolist(), np.sin(half).tolist(), np.cos(half).tolist(), distances, strict=True)
    return HabitatEpisodes(
        task="audionav",
        episodes=tuple(
            HabitatEpisode(
                episode_id=str(number),
                scene_id=f"data/scene_datasets/{SCENE}",
                start_position=(start[0], start[1], start[2]),
                start_rotation=(0.0, sine, 0.0, cosine),
                goals=(HabitatGoal(position=(goal[0], goal[1], goal[2]), radius=1e-5),),
                geodesic_distance=distance,
                num_action=30,
                sound="telephone",
                more={"start_room": None, "shortest_paths": None},
            )
            for number, (start, goal, sine, cosine, distance) in enumerate(places)
        ),
    )


def parsed(path: Path) -> None:
    """Unpack and parse a file with Python's own reader."""
    json.loads(gzip.decompress(path.read_bytes()))


def least(work: Callable[[], object], runs: int) -> float:
    """Return the least time of several runs [s]."""
    spent = []
    for _ in range(runs):
        gc.collect()
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent)


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100_000, help="number of episodes in the file")
    parser.add_argument("--quick", action="store_true", help="fewer episodes, one run")
    arguments = parser.parse_args()
    count, runs = (5_000, 1) if arguments.quick else (arguments.episodes, 3)
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder, "scene_datasets")
        mesh = scenes / SCENE
        mesh.parent.mkdir(parents=True)
        mesh.touch()
        path, again = Path(folder, "train.json.gz"), Path(folder, "again.json.gz")
        made = made_episodes(count)
        writing = least(lambda: write_habitat_episodes(path, made), 1)
        read = read_habitat_episodes(path)
        assert read == made
        rows = [
            ("read", least(lambda: read_habitat_episodes(path), runs)),
            ("json", least(lambda: parsed(path), runs)),
            ("to Harken's", least(lambda: to_episodes(read, scenes=scenes), runs)),
            ("write", min(writing, least(lambda: write_habitat_episodes(again, read), runs))),
        ]
        print(f"{count} episodes, {path.stat().st_size / 1e6:.1f} MB\n")
        print("| work | s |\n|---|---|")
        for name, seconds in rows:
            print(f"| {name} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
