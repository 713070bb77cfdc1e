"""Agents of depth from echoes over the episodes of a split; ``python -m harken.eval.echo_depth`` prints a table."""

import argparse
from collections.abc import Mapping
from typing import Any

from harken.agents.echo_depth import ECHO_AGENTS, make_echo_agent
from harken.envs.echo_depth import EchoDepthEnv
from harken.errors import ConfigurationError
from harken.eval.records import EpisodeResult
from harken.eval.statistics import format_table, summarise

__all__ = ["evaluate_echo_depth"]

MEASURES = ("rmse", "relative", "log10", "mae", "delta1", "delta2", "delta3")
COLUMNS = (*MEASURES, "reward")


def evaluate_echo_depth(
    agent: str, episodes: int, *, split: str = "test", config: Mapping[str, Any] | None = None, progress: bool = True
) -> list[EpisodeResult]:
    """Run an agent over the first episodes of a split.

    Args:
        agent: One of `harken.agents.echo_depth.ECHO_AGENTS`.
        episodes: Number of episodes.
        split: "train", "val" or "test".
        config: Settings that differ from the defaults.
        progress: Whether to show a progress bar.

    Returns:
        A result per episode: the errors of its estimates, averaged over its steps, and the sum of its rewards.

    Raises:
        UnknownNameError: There is no such agent, split or setting.
        ConfigurationError: The number of episodes is below 1.
    """
    from tqdm import tqdm

    if episodes < 1:
        raise ConfigurationError(f"episodes is {episodes!r}; expected at least 1.")
    settings = EchoDepthEnv(split=split, config=config).settings
    acting = make_echo_agent(agent, settings)
    env = EchoDepthEnv(split=split, config=settings, sensors=acting.sensors)
    results = []
    for number in tqdm(range(episodes), unit="episode", desc=agent, disable=not progress):
        observation, _ = env.reset(seed=number, options={"episode": number})
        acting.reset(number)
        rows: list[dict[str, float]] = []
        total, over = 0.0, False
        while not over:
            observation, reward, over, _, info = env.step(acting.act(observation))
            total += reward
            if info["pixels"]:
                rows.append({name: info[name] for name in MEASURES})
        measures = {name: sum(row[name] for row in rows) / len(rows) for name in MEASURES}
        scene, name = env.simulator.world.scene.name, f"{split}-{number}"
        results.append(
            EpisodeResult(
                episode=name, index=number, agent=agent, scene=scene, sound="", measures={**measures, "reward": total}
            )
        )
    return results


def main() -> None:
    """Print the table of the scripted agents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=500, help="number of episodes")
    parser.add_argument("--split", default="test", help="train, val or test")
    parser.add_argument("--rate", type=int, default=44_100, help="sampling rate of the echo [Hz]")
    options = parser.parse_args()
    config = {"variant": "passive", "echo": {"rate": options.rate}}
    rows = {
        name: summarise(evaluate_echo_depth(name, options.episodes, split=options.split, config=config))
        for name in ECHO_AGENTS
    }
    print(format_table(rows, COLUMNS, markdown=True))


if __name__ == "__main__":
    main()
