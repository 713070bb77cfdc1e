"""Run agents over episodes of active separation, and measure what they separated."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harken.agents.separation import make_separation_agent
from harken.envs.separation import SeparationEnv
from harken.errors import ConfigurationError, EpisodeError, SoundError
from harken.eval.records import EpisodeResult
from harken.metrics.separation import scale_invariant_sdr
from harken.sound.stft import istft, stft
from harken.tasks.heard import MAGNITUDES, Heard

__all__ = ["evaluate_separation", "run_separation_episode", "separated_waveform"]

LIMIT = 60.0
"""SI-SDR counted for an exact estimate [dB]: beyond what float32 magnitudes bring back."""

_TRANSFORM = {"n_fft": MAGNITUDES.n_fft, "hop": MAGNITUDES.hop, "window": MAGNITUDES.window}


def separated_waveform(magnitudes: np.ndarray, heard: Heard) -> np.ndarray:
    """Return the waveform of an estimate.

    A mono estimate takes the phase of the dry target, as Move2Hear's STFT distance does: the mixture has none for it,
    because the room lies between. A binaural estimate takes the mixture's.

    Args:
        magnitudes: ``(frequencies, frames, 1 or 2)`` linear.
        heard: The sound that it is an estimate of.

    Returns:
        ``(1 or 2, n)`` float64.
    """
    phases = heard.dry[None] if magnitudes.shape[2] == 1 else heard.mixture
    spectrum = stft(phases, **_TRANSFORM)
    unit = spectrum / np.maximum(np.abs(spectrum), np.finfo(np.float64).tiny)
    return istft(np.moveaxis(magnitudes, -1, 0) * unit, phases.shape[1], **_TRANSFORM)


def _si_sdr(magnitudes: np.ndarray, heard: Heard) -> float:
    """Return SI-SDR [dB], the mean of the channels; silence counts as −LIMIT."""
    truth = heard.dry[None] if magnitudes.shape[2] == 1 else heard.stems[heard.target]
    found = separated_waveform(magnitudes, heard)
    try:
        return float(scale_invariant_sdr(found, truth, limit=LIMIT).mean())
    except SoundError:
        if magnitudes.any():
            raise
        return -LIMIT


def run_separation_episode(env: SeparationEnv, agent: Any, number: int, *, name: str) -> EpisodeResult:
    """Run one episode of an environment's split.

    Args:
        env: The environment, made without a separator and with the sensors that the agent needs.
        agent: Has ``reset(seed)`` and ``act(observation)``, which returns move and estimate.
        number: Number of the episode.
        name: Name of the agent in the result.

    Returns:
        The result. Its measures, over the steps in which estimates count and the target sounds: ``si_sdr`` and
        ``stft_distance`` of the last estimate (Move2Hear's score), ``mean_si_sdr`` and ``mean_stft_distance`` over
        the steps (its sequel's), ``si_sdr_improvement`` and ``stft_improvement``, their means over the mixture at the
        same step, ``si_sdr_gained``, last less first: what moving brought; ``reward``, ``distance_to_target`` [m].

    Raises:
        ConfigurationError: The environment has a separator of its own.
        EpisodeError: The target is silent at all steps.
    """
    if env.separator is not None:
        raise ConfigurationError("The environment has a separator of its own; make it without to run an agent's.")
    observation, _ = env.reset(seed=number, options={"episode": number})
    agent.reset(number)
    total, done, info = 0.0, False, {}
    rows: list[tuple[float, float, float, float]] = []
    while not done:
        heard, searching = env.heard, env.task.searching
        action = agent.act(observation)
        observation, reward, _, done, info = env.step(action)
        total += reward
        if not searching and "quality" in info:
            kind = env.settings.estimate
            mixed = _si_sdr(heard.unprocessed(kind), heard)
            found = _si_sdr(action["estimate"], heard)
            rows.append((found, mixed, info["stft_distance"], info["mixture_stft_distance"]))
    episode = env.task.episode
    assert episode is not None
    if not rows:
        raise EpisodeError(f"Episode {episode.episode_id!r}: the target is silent at all steps. Leave its clip out.")
    found, mixed, distance, mixed_distance = np.array(rows).T
    return EpisodeResult(
        episode=episode.episode_id,
        index=number,
        agent=name,
        scene=episode.scene,
        sound=episode.sources[episode.target_index].sound,
        measures={
            "si_sdr": found[-1],
            "stft_distance": distance[-1],
            "mean_si_sdr": found.mean(),
            "mean_stft_distance": distance.mean(),
            "si_sdr_improvement": (found - mixed).mean(),
            "stft_improvement": (mixed_distance - distance).mean(),
            "si_sdr_gained": found[-1] - found[0],
            "reward": total,
            "distance_to_target": info["distance_to_target"],
        },
    )


def evaluate_separation(
    agents: Sequence[tuple[str, str]], environment: Mapping[str, Any], *, episodes: int, progress: bool = True
) -> dict[str, list[EpisodeResult]]:
    """Run scripted agents over the first episodes of a split, all over the same.

    Args:
        agents: Names of movers and separators, see `make_separation_agent`.
        environment: Arguments of `SeparationEnv`; sensors are chosen by the agents.
        episodes: How many.
        progress: Whether to show a progress bar.

    Returns:
        Results by agent, ``mover + separator``, for `harken.eval.summarise` and `format_table`.

    Raises:
        ConfigurationError: There are no agents or no episodes.
    """
    from tqdm import tqdm

    if not agents or episodes < 1:
        raise ConfigurationError(f"{len(agents)} agents over {episodes!r} episodes; expected at least one of each.")
    arguments = {name: value for name, value in environment.items() if name != "sensors"}
    settings = SeparationEnv(**arguments).settings
    made = {f"{mover} + {separator}": make_separation_agent(mover, separator, settings) for mover, separator in agents}
    sensors = tuple(dict.fromkeys(name for agent in made.values() for name in agent.sensors))
    env = SeparationEnv(**arguments, sensors=sensors)
    results: dict[str, list[EpisodeResult]] = {name: [] for name in made}
    with tqdm(total=episodes * len(made), unit="episode", disable=not progress) as bar:
        for number in range(episodes):
            for name, agent in made.items():  # all agents in one home, whose sound fields are then traced once
                results[name].append(run_separation_episode(env, agent, number, name=name))
                bar.update()
    return results
