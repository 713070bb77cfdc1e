"""Plot what the models that come with Harken reached while they learnt, from their cards.

python docs/plots/learning_curves.py docs/images/learning_curves.png
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from harken.agents import list_models


def main(target: str) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    colors = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]
    axes.set_prop_cycle(color=[*colors[::2], *colors[1::2]])
    for model in list_models():
        steps, spl = zip(*model.card.curve, strict=True)
        label = f"{model.name}, {model.card.task}: {model.card.data.partition('sound: ')[2]}"
        axes.plot([step / 1000 for step in steps], spl, marker="o", ms=4, label=label)
    axes.set(xlabel="thousands of steps, or of way points", ylim=(0.0, 1.0))
    axes.set_ylabel("SPL in homes of the val split, 30 to 50 episodes")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
