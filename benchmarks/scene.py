"""Time to import Harken, generate a home, load and prepare a large mesh; memory of one environment. One core.

    python benchmarks/scene.py [--mesh FILE] [--quick]

Without ``--mesh`` the large mesh is a finely furnished home written to a file and read back. The floor is compared with
reading the same file by trimesh alone, the peer of the reader.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import trimesh

from harken.errors import HarkenWarning
from harken.scene import HomeConfig, Scene, WalkableFloor, generate_home


def best(command: str, runs: int) -> float:
    """Return the least wall-clock time of a Python command in a process of its own, less that of an empty one [s]."""
    times = []
    for source in ("pass", command):
        spent = []
        for _ in range(runs):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", source], check=True)
            spent.append(time.perf_counter() - start)
        times.append(min(spent))
    return times[1] - times[0]


MEMORY = """
import resource
import numpy as np
from harken.envs import TaskEnv
env = TaskEnv("audiogoal", split="val", sensors=("depth", "rgb", "waveform", "spectrogram"))
for episode in range(5):
    env.reset(options={"episode": episode})
    for step in range(20):
        env.step(np.int64(1 + step % 3))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def large_mesh(folder: Path, detail: float) -> Path:
    """Write a finely furnished home as a PLY file and return its path."""
    home = generate_home(5, split="val", config=HomeConfig(rooms=(7, 8), detail=detail))
    path = folder / "large.ply"
    # PLY files are z up: y up becomes (x, −z, y).
    vertices = home.vertices[:, [0, 2, 1]] * [1, -1, 1]
    trimesh.Trimesh(vertices, home.faces, process=False).export(path)
    return path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mesh", type=Path, help="a mesh of your own")
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else 5
    imported = best("import harken", runs)
    print(f"import harken                                   {imported:6.2f} s (Python's start left out)")
    generate_home(0)
    spent = []
    for seed in range(3 if arguments.quick else 30):
        start = time.perf_counter()
        generate_home(seed, split="val")
        spent.append(time.perf_counter() - start)
    slowest = f"slowest {max(spent):.2f} s"
    print(f"a home generated, median of {len(spent):2d}                  {np.median(spent):6.2f} s, {slowest}")
    WalkableFloor.build(generate_home(0))  # loads the kernels
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.mesh or large_mesh(Path(folder), 1.0 if arguments.quick else 8.0)
        start = time.perf_counter()
        trimesh.load(path)
        peer = time.perf_counter() - start
        warnings.simplefilter("ignore", HarkenWarning)  # the file has no labels
        start = time.perf_counter()
        scene = Scene.load(path)
        read = time.perf_counter() - start
        _ = scene.triangles.kernel_data
        built = time.perf_counter() - start - read
        floor = WalkableFloor.build(scene)
        total = time.perf_counter() - start
    print(f"{path.name}, {len(scene.faces):,} triangles: loaded and prepared {total:6.2f} s")
    parts = f"tree for rays {built:.2f} s, floor {total - read - built:.2f} s"
    print(f"    read {read:.2f} s (trimesh alone {peer:.2f} s), {parts}")
    print(f"    {floor.area:.0f} m² of floor in the largest of {len(floor.islands)} islands")
    # The first process may have to compile kernels, which takes memory once.
    first, memory = (
        float(subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True).stdout)
        for _ in range(2)
    )
    print(f"one environment, 5 episodes with rgb, depth, sound: peak memory {memory:.0f} MB ({first:.0f} MB at first)")


if __name__ == "__main__":
    main()
