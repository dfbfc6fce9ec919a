"""How much faster a stack trains many small models than training them one by one, or in two processes.

    python benchmarks/ensemble_speed.py            16 models, N = 32, d = 16, batch 4, on a CPU with one thread
    python benchmarks/ensemble_speed.py --device cuda --models 256

Rounds of the three ways take turns, so that a busy machine slows all of them; ratios are medians over rounds, with the
smallest and the largest. Nothing is logged or evaluated in any of them. Writes ``data/benchmarks/ensemble_speed.csv``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from command_line import positive_whole, run_script

from theory.training.ensemble import Stacked
from theory.training.loop import Streams
from theory.training.reproducibility import deterministic, hardware
from theory.training.setup import Setup, load_setup
from theory.training.trainer import Single

OUT = Path(__file__).resolve().parents[1] / "data" / "benchmarks" / "ensemble_speed.csv"
PAIRS = {"data.patterns": 4, "data.novel_keys": 16, "data.query_fraction": 0.1}
HEADER = {"data.patterns": 4, "data.query_fraction": 0.5}
CONFIGS = {"cram-n256": PAIRS, "fast-weights-n256": HEADER, "transformer-n256": PAIRS, "mamba-n256": PAIRS}


def setups(config: str, models: int, length: int, width: int, batch: int) -> list[Setup]:
    """Members that differ in their seed."""
    size = {"data.length": length, "model.d_model": width, "training.batch": batch}
    return [load_setup(config, CONFIGS[config] | size | {"training.seed": seed}) for seed in range(models)]


def stacked(members: list[Setup], steps: int, device: torch.device) -> float:
    """Seconds for so many steps of all members in one stack."""
    with deterministic(0, device):
        learner = Stacked(members, device)
        streams = Streams([setup.data for setup in members], members[0].training.batch, 0, device)
        learner.advance(streams.sample(), attend_all=False, costs=1.0)
        return _timed(lambda: learner.advance(streams.sample(), attend_all=False, costs=1.0), steps, device)


def one_by_one(members: list[Setup], steps: int, device: torch.device) -> float:
    """Seconds for the same, one model after the other."""
    total = 0.0
    for setup in members:
        with deterministic(0, device):
            learner = Single(setup, device)
            streams = Streams([setup.data], setup.training.batch, 0, device)
            learner.advance(streams.sample(), attend_all=False, costs=1.0)

            def step(learner: Single = learner, streams: Streams = streams) -> Any:
                return learner.advance(streams.sample(), attend_all=False, costs=1.0)

            total += _timed(step, steps, device)
    return total


def _timed(step: Any, steps: int, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def _half(queue: Any, barrier: Any, members: list[Setup], steps: int, rounds: int) -> None:
    torch.set_num_threads(1)
    for _ in range(rounds):
        barrier.wait()
        queue.put(one_by_one(members, steps, torch.device("cpu")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--models", type=positive_whole, default=16)
    parser.add_argument("--length", type=positive_whole, default=32)
    parser.add_argument("--width", type=positive_whole, default=16)
    parser.add_argument("--batch", type=positive_whole, default=4)
    parser.add_argument("--steps", type=positive_whole, default=30)
    parser.add_argument("--rounds", type=positive_whole, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    rows = []
    for config in CONFIGS:
        members = setups(config, options.models, options.length, options.width, options.batch)
        alone = members if device.type == "cpu" else members[:4]
        context = multiprocessing.get_context("spawn")
        barrier, queue = context.Barrier(3), context.SimpleQueue()
        halves = [
            context.Process(
                target=_half, args=(queue, barrier, members[i::2], options.steps, options.rounds), daemon=True
            )
            for i in range(2 if device.type == "cpu" else 0)
        ]
        for process in halves:
            process.start()
        found: list[tuple[float, float, float]] = []
        for _ in range(options.rounds):
            fast = stacked(members, options.steps, device)
            slow = one_by_one(alone, options.steps, device) * len(members) / len(alone)
            pair = float("nan")
            if halves:
                barrier.wait()
                pair = max(queue.get(), queue.get())
            found.append((fast, slow, pair))
        for process in halves:
            process.join()
        ratios = [[slow / fast for fast, slow, _ in found], [pair / fast for fast, _, pair in found]]
        rows.append(
            {
                "config": config,
                "models": options.models,
                "length": options.length,
                "width": options.width,
                "batch": options.batch,
                **{
                    f"{name}_{kind}": round(f(values), 2)
                    for name, values in zip(("one_by_one", "two_processes"), ratios, strict=True)
                    for kind, f in (("median", statistics.median), ("least", min), ("most", max))
                },
                "device": hardware(device)["name"],
                "torch": torch.__version__,
            }
        )
        print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    raise SystemExit(run_script(main))
