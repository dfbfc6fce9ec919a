"""What a step of CRAM costs at the size of the paper: N = 2048, bounded buffer, novelty write, eviction, rank d/16.

    python benchmarks/paper_size.py                  every variant, a process each; a few minutes
    python benchmarks/paper_size.py --only printed --batch 8

Of each variant: CPU seconds of a step (one thread; draw streams, update, observe; median of ``--steps`` after a first
one), the largest memory of its process, and how many streams a unit of 90 minutes can train on. Writes
``data/benchmarks/paper_size.csv``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from command_line import positive_whole, run_script

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "data" / "benchmarks" / "paper_size.csv"
UNIT_MINUTES = 90
PAPER = "cram"
"""The configuration of the paper's size."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "printed": {},
    "printed, fast": {"model.compute": "fast"},
    "least novel leaves, fast": {"model.compute": "fast", "model.evict": "least_novel"},
    "buffer of 128, fast": {"model.compute": "fast", "model.capacity": 128},
    "no bound, all written, fast": {"model.compute": "fast", "model.capacity": 2048, "model.write": "all"},
    "queries only": {"model.routes": "queries"},
    "queries only, one layer": {"model.routes": "queries", "model.layers": 1},
}


def work(changes: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Measure one variant, in this process."""
    import torch

    from theory.training.loop import Streams
    from theory.training.reproducibility import deterministic, keep_freed_memory
    from theory.training.setup import load_setup
    from theory.training.trainer import Single

    torch.set_num_threads(1)
    keep_freed_memory()
    setup, cpu = load_setup(PAPER, dict(changes)), torch.device("cpu")
    seconds = []
    with deterministic(0, cpu):
        trainer = Single(setup, cpu)
        streams = Streams([setup.data], setup.training.batch, 0, cpu)
        for _ in range(steps + 1):
            begin = time.process_time()
            seen = trainer.advance(streams.sample(), attend_all=False, costs=1.0)
            seconds.append(time.process_time() - begin)
    cost = statistics.median(seconds[1:])
    return {
        "batch": setup.training.batch,
        "layers": setup.model.layers,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "cpu_seconds_per_step": round(cost, 3),
        "attended_last": round(float(seen["attention"][0]), 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "streams_in_90_minutes": int(60 * UNIT_MINUTES / cost) * setup.training.batch,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(VARIANTS))
    parser.add_argument("--batch", type=positive_whole, default=4)
    parser.add_argument("--steps", type=positive_whole, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(work(json.loads(options.work), options.steps)))
        return 0
    rows = []
    for name in options.only or VARIANTS:
        changes = {**VARIANTS[name], "training.batch": options.batch}
        command = [sys.executable, __file__, "--work", json.dumps(changes), "--steps", str(options.steps)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip()[-300:]}", file=sys.stderr)
            return 1
        rows.append({"variant": name, **json.loads(done.stdout)})
        print(rows[-1], flush=True)
    import torch

    from theory.training.reproducibility import choose_device, hardware

    table = pd.DataFrame(rows)
    table["processor"], table["torch"] = hardware(choose_device("cpu"))["name"], torch.__version__
    table.to_csv(options.out, index=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
