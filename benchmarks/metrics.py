"""Metrics of separation, depth and spatial sound: agreement with reference implementations, and speed beside them.

    python benchmarks/metrics.py [--seconds 2] [--quick]

Speeds are calls per second of processor time, measured in turns within one run. Linear algebra runs on one core where
threadpoolctl is installed; otherwise set OPENBLAS_NUM_THREADS=1.
References that are not installed are left out: pip install torch torchmetrics mir_eval fast_bss_eval pyemd.
"""

import argparse
import contextlib
import importlib
import time
import warnings
from collections.abc import Callable
from dataclasses import astuple
from types import ModuleType

import numpy as np
import scipy.linalg

from harken.acoustics.hearing.ambisonics import encode
from harken.metrics.depth import depth_metrics
from harken.metrics.separation import bss_eval, scale_invariant_sdr
from harken.metrics.spatial_audio import binaural_errors, energy_map_distance, morgado_distance

RATE = 16000
Work = Callable[[], object]


def installed(name: str) -> ModuleType | None:
    """Return a module, or None with a message where it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed: left out")
        return None
    if name == "torch":
        module.set_num_threads(1)
    return module


def rates(works: dict[str, Work], seconds: float) -> dict[str, float]:
    """Calls per second of processor time: the best of several short turns, taken alternately."""
    best = dict.fromkeys(works, 0.0)
    for work in works.values():
        work()
    for _ in range(3):
        for name, work in works.items():
            count, start = 0, time.process_time()
            while (elapsed := time.process_time() - start) < seconds / 3 or count == 0:
                work()
                count += 1
            best[name] = max(best[name], count / elapsed)
    return best


def table(title: str, works: dict[str, Work], differences: dict[str, str], seconds: float) -> dict[str, float]:
    """Print the speed of each work, ours first, and how far the others' values are from it."""
    speeds = rates(works, seconds)
    first = next(iter(speeds.values()))
    print(f"\n{title}\n{'':34s}{'calls/s':>10s}{'of ours':>9s}  difference from ours")
    for name, rate in speeds.items():
        print(f"{name:34s}{rate:10,.1f}{rate / first:9.2f}  {differences.get(name, '')}")
    return speeds


def voices(sources: int, samples: int, share: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets in float32 precision that fill a share of the band, and estimates with crosstalk, echoes and noise."""
    rng = np.random.default_rng(seed)
    spectra = np.fft.rfft(rng.standard_normal((sources, samples)))
    spectra[:, int(share * spectra.shape[1]) :] = 0
    targets = np.fft.irfft(spectra, samples).astype(np.float32).astype(np.float64)
    crosstalk = np.eye(sources) + 0.2 * rng.random((sources, sources))
    echoes = 0.1 * np.roll(targets, 17, axis=1)
    return targets, crosstalk @ targets + echoes + 0.03 * rng.standard_normal(targets.shape)


def by_orthogonal_projection(estimates: np.ndarray, targets: np.ndarray, taps: int) -> np.ndarray:
    """SDR, SIR and SAR from all delays and a QR decomposition: slow, without normal equations."""
    delays = [scipy.linalg.convolution_matrix(target, taps) for target in targets]
    whole = scipy.linalg.qr(np.hstack(delays), mode="economic")[0]
    result = []
    for j, estimate in enumerate(estimates):
        signal = np.pad(estimate, (0, taps - 1))
        own = scipy.linalg.qr(delays[j], mode="economic")[0]
        of_one, of_all = own @ (own.T @ signal), whole @ (whole.T @ signal)
        target, interference, rest = (np.square(x).sum() for x in (of_one, of_all - of_one, signal - of_all))
        result.append([target / (interference + rest), target / interference, (target + interference) / rest])
    return 10.0 * np.log10(np.array(result).T)


def separation(seconds: float, quick: bool) -> None:
    torch, torchmetrics = installed("torch"), installed("torchmetrics.functional.audio")
    targets, estimates = voices(16, RATE)
    works: dict[str, Work] = {"harken": lambda: scale_invariant_sdr(estimates, targets)}
    differences = {}
    if torch and torchmetrics:
        tensors = torch.from_numpy(estimates), torch.from_numpy(targets)
        measure = torchmetrics.scale_invariant_signal_distortion_ratio
        works["torchmetrics"] = lambda: measure(*tensors, zero_mean=True)
        worst = np.abs(works["torchmetrics"]().numpy() - scale_invariant_sdr(estimates, targets)).max()
        differences["torchmetrics"] = f"{worst:.1e} dB"
    table("SI-SDR, 16 waveforms of 1 s at 16 kHz", works, differences, seconds)

    peers = {"mir_eval": installed("mir_eval.separation"), "fast_bss_eval": torch and installed("fast_bss_eval")}
    cases = [(2, 1, 1.0), (2, 1, 0.5)] if quick else [(2, 1, 1.0), (2, 10, 1.0), (4, 4, 1.0), (2, 1, 0.5), (2, 1, 0.1)]
    for sources, duration, share in cases:
        for permutation in (False, True):
            compare_bss_eval(peers, (sources, duration, share), permutation, seconds, quick)


def compare_bss_eval(
    peers: dict[str, ModuleType | None], case: tuple[int, int, float], permutation: bool, seconds: float, quick: bool
) -> None:
    sources, duration, share = case
    targets, estimates = voices(sources, duration * RATE, share)
    ours = bss_eval(estimates, targets, permutation=permutation)
    ratios = np.array([ours.sdr(), ours.sir(), ours.sar()])
    works: dict[str, Work] = {"harken": lambda: bss_eval(estimates, targets, permutation=permutation)}
    differences = {}

    def worst(theirs: np.ndarray) -> str:
        return "SDR {:.0e}, SIR {:.0e}, SAR {:.0e} dB".format(*np.abs(np.asarray(theirs) - ratios).max(1))

    for name, peer in peers.items():
        if peer:
            pair = (targets, estimates)
            if name == "fast_bss_eval":
                # Its NumPy code does not run with NumPy 2; its torch code does.
                import torch

                pair = tuple(torch.from_numpy(values) for values in pair)
            works[name] = lambda peer=peer, pair=pair: peer.bss_eval_sources(*pair, compute_permutation=permutation)
            differences[name] = worst(np.array([np.asarray(ratio) for ratio in works[name]()[:3]]))
    if share < 1.0 and not permutation and not quick:
        print(f"\northogonal projection (QR): {worst(by_orthogonal_projection(estimates, targets, 512))} from ours")
    title = f"SDR, SIR, SAR: {sources} sources, {duration} s at 16 kHz, 512 taps"
    title += f", nothing above {share * RATE / 2000:g} kHz" if share < 1.0 else ""
    table(title + (", best order" if permutation else ""), works, differences, seconds)


def spatial(seconds: float) -> None:
    rng = np.random.default_rng(1)
    pair = 0.1 * rng.standard_normal((2, 2, 10 * RATE))
    table("binaural errors, 10 s at 16 kHz", {"harken": lambda: binaural_errors(*pair)}, {}, seconds)
    sounds = [
        encode(np.array([-np.sin(angle), 0.2, -np.cos(angle)]), 1)[:, None] * rng.standard_normal(4800)
        for angle in (0.2, 1.3)
    ]
    works: dict[str, Work] = {
        "harken, 96 directions": lambda: energy_map_distance(*sounds, rate=48000),
        "harken, as Morgado et al., 84": lambda: morgado_distance(*sounds, rate=48000),
    }
    differences = {}
    if pyemd := installed("pyemd"):
        turn, up = (
            np.radians(x.ravel()) for x in np.meshgrid(np.arange(-180.0, 180.0, 30.0), np.arange(-90.0, 91.0, 30.0))
        )
        mesh = np.stack([-np.sin(turn) * np.cos(up), np.sin(up), -np.cos(turn) * np.cos(up)], -1)
        angles = np.arccos(np.clip(mesh @ mesh.T, -1.0, 1.0))

        def theirs() -> float:
            maps = [np.sqrt(np.square(encode(mesh, 1) @ sound).mean(-1)) / len(mesh) for sound in sounds]
            return pyemd.emd(*maps, angles)

        works["pyemd, as Morgado et al., 84"] = theirs
        difference = abs(theirs() - morgado_distance(*sounds, rate=48000))
        differences["pyemd, as Morgado et al., 84"] = f"{difference:.1e} from Morgado's"
    table("earth mover's distance of energy maps, one frame", works, differences, seconds)


def depth(seconds: float) -> None:
    rng = np.random.default_rng(2)
    truth = rng.uniform(0.3, 12.0, (128, 128)) * (rng.random((128, 128)) > 0.1)
    estimate = np.maximum(truth * rng.uniform(0.7, 1.4, truth.shape), 0.1)
    errors = depth_metrics(estimate, truth)
    mask = truth > 0
    by_hand = np.sqrt(np.mean((estimate - truth)[mask] ** 2))
    print(
        f"\ndepth: RMSE {errors.rmse:.6f} m, straight from the definition {by_hand:.6f} m; "
        f"{len(astuple(errors))} fields"
    )
    table("depth errors, 128 × 128", {"harken": lambda: depth_metrics(estimate, truth)}, {}, seconds)


def main(seconds: float = 2.0, quick: bool = False) -> None:
    """Print all tables.

    Args:
        seconds: Time spent on each row.
        quick: Only the small cases, to see that everything runs.
    """
    pools = installed("threadpoolctl")
    with warnings.catch_warnings(), pools.threadpool_limits(1) if pools else contextlib.nullcontext():
        # mir_eval announces that its module will be removed.
        warnings.simplefilter("ignore")
        separation(seconds, quick)
        spatial(seconds)
        depth(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each row")
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds")
    arguments = parser.parse_args()
    main(0.05 if arguments.quick else arguments.seconds, arguments.quick)
