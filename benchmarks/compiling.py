"""How long compiling takes, from nothing: the demo as on a first run, and everything as `harken doctor --compile`.

Each part of `harken.compiling` is also compiled by itself in one process, with the kernels that take longest. Times are
wall-clock times; the processor is printed, because they depend on it.

    python benchmarks/compiling.py [--quick]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PART = """
import json, sys, time
from numba.core import event
from harken.compiling import compile_parts
from harken.raytracing.jit import Kernel, announcer, kernel_name

announcer.on_kernel = lambda name: None
open_now, own = [], {}

class Clock(event.Listener):
    def on_start(self, event):
        open_now.append([time.perf_counter(), 0.0])

    def on_end(self, event):
        start, within = open_now.pop()
        spent = time.perf_counter() - start
        if open_now:
            open_now[-1][1] += spent
        made = event.data["dispatcher"]
        name = kernel_name(made) if isinstance(made, Kernel) else "parts of Numba"
        times, seconds = own.get(name, (0, 0.0))
        own[name] = times + 1, seconds + spent - within

event.register("numba:compile", Clock())
start = time.perf_counter()
compile_parts([sys.argv[1]])
print(json.dumps({"seconds": time.perf_counter() - start, "own": own}))
"""


def processor() -> str:
    """Return the name of the processor, and whether it has AVX2 and AVX-512."""
    name, flags = platform.processor() or platform.machine(), ""
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
        lines = {key.strip(): value.strip() for key, value in lines.items()}
        name, flags = lines.get("model name", name), lines.get("flags", "")
    has = [label for flag, label in (("avx2", "AVX2"), ("avx512f", "AVX-512")) if flag in flags.split()]
    return f"{name}, {os.cpu_count()} cores, {' and '.join(has) or 'neither AVX2 nor AVX-512 known'}"


def run(folder: Path, *words: str) -> tuple[float, str]:
    """Run Python with an empty cache; returns the time that it took [s] and what it printed."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        start = time.perf_counter()
        environment = {**os.environ, "HARKEN_CACHE": cache}
        out = subprocess.run([sys.executable, *words], env=environment, check=True, capture_output=True, text=True)
        return time.perf_counter() - start, out.stdout


def compile_part(folder: Path, name: str) -> None:
    """Print what one part takes by itself."""
    _, printed = run(folder, "-c", PART, name)
    result = json.loads(printed.splitlines()[-1])
    own = result["own"]
    spent, variants = sum(seconds for _, seconds in own.values()), sum(times for times, _ in own.values())
    print(f"{name:12s} {result['seconds']:7.1f} s; {spent:.1f} s compile {variants} variants of {len(own)} kernels")
    for kernel, (times, seconds) in sorted(own.items(), key=lambda item: -item[1][1])[:5]:
        print(f"    {seconds:6.2f} s {times:4d} × {kernel}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small part only")
    quick = parser.parse_args().quick
    from harken.compiling import PARTS

    print(processor())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("sounds",) if quick else PARTS:
            compile_part(folder, part)
        if quick:
            return
        demo = ("-m", "harken.cli", "demo", "--episodes", "1", "--out", str(folder / "demo"))
        print(f"\nharken demo --episodes 1, from nothing   {run(folder, *demo)[0]:7.1f} s")
        everything = "from harken.compiling import compile_all; print(compile_all())"
        seconds, printed = run(folder, "-c", everything)
        print(f"harken doctor --compile, from nothing    {seconds:7.1f} s: {printed.strip()}")


if __name__ == "__main__":
    main()
