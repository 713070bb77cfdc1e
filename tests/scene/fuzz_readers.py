"""Damage valid scene files of every format at random and read them: every outcome is a scene or a HarkenError.

Each case is read in a child process with a limit of time and memory, so that hangs, crashes of the interpreter and
floods of memory are caught too. A case is its number and the seed, nothing else. By hand:

    python tests/scene/fuzz_readers.py --seconds 600 --seed 3
    python tests/scene/fuzz_readers.py --seed 3 --case 1234        # one case again, with its traceback
"""

import argparse
import json
import random
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "readers"))

import numpy as np
from PIL import Image
from scene_files import MTL, ROOM, SQUARE, GltfWriter, furnished, replica_like

from harken.errors import HarkenError, HarkenWarning
from harken.scene.readers.reading import read_scene

SECONDS_PER_CASE = 10.0
"""Processor time after which a case hangs. Valid files take hundredths of a second."""
_WAITING = 90.0
"""Time on the clock after which it hangs too, as where a pipe is read; busy machines are slow."""
MEMORY_PER_CASE = 400.0
"""What a case may take at most [MB]; the files are of kilobytes."""
_ADDRESS_SPACE = 3 << 30

_NUMBERS = [
    *("-1", "0", "1", "1.5", "2", "7", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295"),
    *("-2147483648", "1099511627776", "9007199254740993", "1e19", "1e38", "1e308", "-1e308", "1e-320", "1e999", "nan"),
    *("inf", "-0", "0x10", "1_0", "²", "e-5", "1e", "--1", "9" * 400, "9" * 5000),
]
_VALUES = [
    *(
        None,
        True,
        False,
        -1,
        0,
        1,
        3,
        1.5,
        255,
        65535,
        2**31,
        2**32 - 1,
        2**53,
        2**70,
        1e308,
        1e-320,
        "",
        "x",
        "x" * 5000,
    ),
    *("../../etc", "/dev/zero", "data:;base64,AAAA", "\0", [], [[]], {}, [0], [-1], [0, 0], [1e308] * 16, {"index": 0}),
]


def valid_files(folder: Path) -> list[tuple[str, dict[str, bytes]]]:
    """Return (name of the scene, content by name) of valid scenes of every format."""

    def taken(name: str) -> tuple[str, dict[str, bytes]]:
        found = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
        for file in folder.iterdir():
            file.unlink()
        return name, found

    scenes = []
    furnished(folder, ".glb")
    scenes.append(taken("home.glb"))
    furnished(folder, ".gltf")
    scenes.append(taken("home.gltf"))
    _featured(folder / "features.gltf")
    scenes.append(taken("features.gltf"))
    (folder / "room.obj").write_text(ROOM.replace("odd name_7", "plaster"))
    (folder / "room.mtl").write_text(MTL)
    (folder / "room.materials.json").write_text(json.dumps({"oak": {"absorption": [0.1, 0.2], "bands_hz": [100, 900]}}))
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)).save(folder / "oak.png")
    scenes.append(taken("room.obj"))
    for binary in (True, False):
        replica_like(folder / "scan.ply", binary=binary)
        classes = {"objects": [{"id": 7, "class_name": "floor"}, {"id": 9, "class_name": "ceiling"}]}
        (folder / "info_semantic.json").write_text(json.dumps(classes))
        scenes.append(taken("scan.ply"))
    (folder / "mixed.ply").write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile wall.png\nelement vertex 5\nproperty double x\nproperty double y\n"
        "property double z\nelement face 2\nproperty list uchar int vertex_indices\n"
        "property list uchar float texcoord\nproperty uchar texnumber\nend_header\n0 0 0\n4 0 0\n4 3 0\n1 1 0\n0 3 0\n"
        "5 0 1 2 3 4 10 0 0 1 0 1 1 0.2 0.2 0 1 0\n3 0 1 2 0 0\n"
    )
    Image.new("RGB", (9, 9), (5, 6, 7)).save(folder / "wall.png")
    scenes.append(taken("mixed.ply"))
    return scenes


def _featured(path: Path) -> None:
    """Write a glTF file with a sparse accessor, instances, a skin, a strip and a morph target."""
    writer = GltfWriter()
    entry = writer.mesh(mode=5, indices=(0, 1, 3, 2), material=0)
    entry["targets"] = [{"POSITION": writer.add(SQUARE)}]
    entry["attributes"]["TEXCOORD_0"] = writer.add(SQUARE[:, :2])
    entry["attributes"]["COLOR_0"] = writer.add(np.full((4, 4), 200, np.uint8), normalized=True)
    writer.header["meshes"][0]["weights"] = [0.5]
    writer.header["accessors"][0]["sparse"] = {
        "count": 2,
        "indices": {"bufferView": writer.view(np.array([1, 2], np.uint8).tobytes()), "componentType": 5121},
        "values": {"bufferView": writer.view(np.array([(5, 0, 0), (5, 2, 0)], np.float32).tobytes())},
    }
    other = writer.mesh()
    other["attributes"]["JOINTS_0"] = writer.add(np.array([(0, 1, 0, 0)] * 4, np.uint8))
    other["attributes"]["WEIGHTS_0"] = writer.add(np.array([(0.25, 0.75, 0, 0)] * 4, np.float32))
    places = {"TRANSLATION": writer.add(np.array([(0, 0, 0), (10, 0, 0)], np.float32))}
    inverse = writer.add(np.stack([np.eye(4).ravel()] * 2).astype(np.float32))
    writer.header["nodes"] = [
        {
            "name": "chair",
            "mesh": 0,
            "extensions": {"EXT_mesh_gpu_instancing": {"attributes": places}},
            "children": [1],
        },
        {"translation": [0, 4, 0], "rotation": [0, 0, 0, 1], "children": [2]},
        {"matrix": np.eye(4).ravel().tolist()},
        {"name": "wall", "mesh": 1, "skin": 0},
    ]
    writer.header |= {
        "scenes": [{"nodes": [0, 3]}],
        "skins": [{"joints": [1, 2], "inverseBindMatrices": inverse}],
        "materials": [{"name": "oak", "extras": {"acoustics": {"absorption": [0.1], "scattering": 0.2}}}],
        "extensionsUsed": ["EXT_mesh_gpu_instancing"],
    }
    writer.write(path)


def damage(files: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """Return the files with one to three changes in them."""
    files = dict(files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice(sorted(files))
        content = files[name]
        kinds = [_flip, _cut, _splice]
        if name.endswith((".obj", ".mtl", ".ply", ".gltf", ".json")):
            kinds += [_renumber] * 3
        if name.endswith((".gltf", ".json", ".glb")):
            kinds += [_restructure] * 5
        try:
            files[name] = rng.choice(kinds)(content, rng)
        except (ValueError, RecursionError):  # An earlier change left no JSON.
            files[name] = _flip(content, rng)
        if rng.random() < 0.01:
            files.pop(name)
            break
    return files


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _splice(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    end = min(end, start + rng.choice((1, 4, 30, 400)))
    place = rng.choice((b"", content[start:end] * 2, rng.randbytes(rng.choice((1, 4, 40))), content[:start][-60:]))
    return content[:start] + place + content[end:]


def _renumber(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"[-+.\w]*\d[-+.\w]*", content))
    if not found:
        return _flip(content, rng)
    match = rng.choice(found)
    return content[: match.start()] + rng.choice(_NUMBERS).encode() + content[match.end() :]


def _restructure(content: bytes, rng: random.Random) -> bytes:
    """Change the JSON of a file: replace, delete, double or move a value, or nest it deep."""
    binary = content[:4] == b"glTF" and len(content) > 20
    length = int.from_bytes(content[12:16], "little") if binary else len(content)
    tree = json.loads(content[20 : 20 + length] if binary else content)
    places = list(_places(tree))
    if not places:
        return _flip(content, rng)
    holder, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind == 0:
        holder.pop(key)
    elif kind == 1:
        other, there = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[there]))
    elif kind == 2 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif kind == 3:
        holder[key] = [holder[key]] * rng.choice((1, 2, 50))
    elif kind == 4 and isinstance(holder[key], int) and not isinstance(holder[key], bool):
        holder[key] += rng.choice((-3, -2, -1, 1, 2, 5, 100))
    else:
        holder[key] = rng.choice(_VALUES)
    text = json.dumps(tree)
    if rng.random() < 0.02:
        text = text.replace(":", ":" + "[" * 100_000, 1)
    changed = text.encode()
    if not binary:
        return changed
    changed += b" " * (-len(changed) % 4)
    rest = content[20 + length :]
    total = (20 + len(changed) + len(rest)).to_bytes(4, "little")
    return content[:8] + total + len(changed).to_bytes(4, "little") + content[16:20] + changed + rest


def _places(tree):
    """Yield every (container, key) of a JSON tree."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        for key in list(one) if isinstance(one, dict) else range(len(one)):
            yield one, key
            if isinstance(one[key], dict | list):
                waiting.append(one[key])


def try_case(scenes: list[tuple[str, dict[str, bytes]]], folder: Path, seed: int, number: int) -> str:
    """Write one damaged scene and read it; return "scene", the name of the error, or what went wrong."""
    rng = random.Random(f"{seed} {number}")
    name, files = scenes[number % len(scenes)]
    for file in folder.iterdir():
        file.unlink()
    for title, content in damage(files, rng).items():
        (folder / title).write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", HarkenWarning)
        try:
            read_scene(folder / name)
            outcome = "scene"
        except HarkenError as error:
            outcome = f"{type(error).__name__}"
            cause = error.__cause__
            if cause is not None and f"cannot be read ({type(cause).__name__}" in str(error):
                # Only the net of last resort caught it, which knows no place in the file.
                return f"FAULT: {type(cause).__name__}: {str(cause)[:200]}"
            if len(str(error)) > 2000:
                return "FAULT: a message of more than 2,000 characters"
            if name not in str(error) and not any(title in str(error) for title in files):
                return f"FAULT: the message names no file: {str(error)[:200]}"
        except BaseException:
            return "FAULT: " + traceback.format_exc(limit=-4).strip()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return outcome if grown < MEMORY_PER_CASE else f"FAULT: {grown:.0f} MB of memory"


@dataclass
class Fuzzed:
    """What came of it."""

    cases: int = 0
    """How many were read."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """How often each outcome occurred."""
    faults: list[str] = field(default_factory=list)
    """What must not happen, with the number of the case."""


def fuzz(*, seed: int, seconds: float, cases: int | None = None) -> Fuzzed:
    """Read damaged files until the time or the number of cases is over."""
    result = Fuzzed()
    end = time.monotonic() + seconds
    child: subprocess.Popen | None = None
    while (cases is None or result.cases < cases) and time.monotonic() < end:
        if child is None:
            child = subprocess.Popen(
                [sys.executable, __file__, "--child", "--seed", str(seed)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert child.stdout is not None and child.stdin is not None
            child.stdout.readline()  # It is ready: importing counts for no case.
        number = result.cases
        child.stdin.write(f"{number}\n".encode())
        child.stdin.flush()
        ready = select.select([child.stdout], [], [], _WAITING)[0]
        line = child.stdout.readline() if ready else b""
        if line:
            outcome = json.loads(line)
        else:
            status = _end(child, kill=not ready)
            hangs = not ready or status == -signal.SIGPROF
            outcome = "FAULT: it hangs" if hangs else f"FAULT: the interpreter ended with {status}"
            child = None
        result.cases += 1
        key = outcome.partition("\n")[0][:60]
        result.outcomes[key] = result.outcomes.get(key, 0) + 1
        if outcome.startswith("FAULT"):
            result.faults.append(f"case {number}: {outcome}")
    if child is not None:
        _end(child)
    return result


def _end(child: subprocess.Popen, *, kill: bool = False) -> int:
    """End a child and return its status."""
    if kill:
        child.kill()
    with child:  # It closes the pipes, and a child without input ends.
        pass
    return child.wait()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child or given.case is not None:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as place:
            scenes = valid_files(Path(folder))
            if given.case is not None:
                print(try_case(scenes, Path(place), given.seed, given.case))
                return
            resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
            print("ready", flush=True)
            for line in sys.stdin:
                signal.setitimer(signal.ITIMER_PROF, SECONDS_PER_CASE)  # Its signal ends the process.
                outcome = try_case(scenes, Path(place), given.seed, int(line))
                signal.setitimer(signal.ITIMER_PROF, 0.0)
                print(json.dumps(outcome), flush=True)
        return
    result = fuzz(seed=given.seed, seconds=given.seconds)
    for outcome, count in sorted(result.outcomes.items(), key=lambda one: -one[1]):
        print(f"{count:7d}  {outcome}")
    print(f"{result.cases} cases, {len(result.faults)} faults")
    for fault in result.faults[:20]:
        print(fault)
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
