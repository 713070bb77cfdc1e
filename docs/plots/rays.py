"""Plot what the number of rays costs in generated homes, and how far off the fast tier is with it.

python docs/plots/rays.py docs/images [--references FOLDER] [--homes 2]

Writes rays.png into the folder and prints the table. References that are not in --references are traced first, some
minutes a home.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from rays import PAIR_SHARE, Cost, costs, report

MEASURES = {"T20": "C0", "EDT": "C1", "C50": "C2", "DRR": "C4", "level": "C3"}


def plot(found: list[Cost]) -> plt.Figure:
    """Errors over the number of rays, of fields and pairs, and what they take."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    for axes, kind, share in ((left, "field", 1), (middle, "pair", PAIR_SHARE)):
        rays = np.array([cost.rays // share for cost in found])
        for name, colour in MEASURES.items():
            low, high = np.array([np.nanpercentile(cost.errors[kind][name], (50, 90)) for cost in found]).T
            axes.loglog(rays, low, "o-", color=colour, label=name)
            axes.loglog(rays, high, "--", color=colour, lw=1)
        axes.axhline(1.0, color="k", lw=0.8, alpha=0.5)
        axes.set(
            ylim=(0.02, 12), xlabel=f"rays {'of a field' if share == 1 else 'from each end of a pair'}", title=kind
        )
        axes.set_xticks(rays, [f"{count:,}" for count in rays], minor=False)
        axes.minorticks_off()
    left.set_ylabel("off the reference [JND]\nmedian (line), 90th percentile (dashed)")
    left.legend(ncols=2, loc="lower left")
    for name, marker in (("field", "o-"), ("pair", "s-"), ("first step", "^-")):
        right.loglog([c.rays for c in found], [c.milliseconds[name] for c in found], marker, label=name)
    right.set(xlabel="rays of a field", ylabel="time [ms]", title="one core")
    right.set_xticks([c.rays for c in found], [f"{c.rays:,}" for c in found], minor=False)
    right.minorticks_off()
    right.legend()
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--references", type=Path, help="folder in which references are kept")
    parser.add_argument("--homes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = costs(options.references or Path(temporary), homes=options.homes, seeds=options.seeds)
    report(found)
    plot(found).savefig(options.folder / "rays.png", dpi=110)


if __name__ == "__main__":
    main()
