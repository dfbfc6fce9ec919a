"""Accuracy of Adaptive Retention against its budget, on a task that trains in seconds.

Run ``python benchmarks/retention_budget.py`` (``--help`` for the options; some minutes on one core). Models of one
layer (N = 64, d = 32) learn SRCD with 30 recurring patterns, 8 values and 70 % recurring queries, for 500 steps of 8
streams, one model per seed and budget; they are kept in ``runs/retention_budget``. ``selection``: tokens are kept by
the rule of the paper, the top M of the whole stream (``offline``). A budget of 1
keeps all tokens.

Columns of results, means over ``repeats`` seeds with standard deviation ``_sd`` and each seed ``_seeds``: ``accuracy``,
of recurring and novel queries too, and ``attention`` (share of tokens that execute a row) at the end, on fresh streams.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from grid import Cell, Study, main

FOLDER = Path(__file__).resolve().parents[1] / "runs" / "retention_budget"
REPEATS = 3
_SETTINGS = {
    "data.length": 64, "data.query_fraction": 0.1, "data.patterns": 30, "data.novel_keys": 64, "data.values": 8,
    "model.d_model": 32, "model.heads": 1, "training.batch": 8, "training.steps": 500, "training.rate": 5e-3,
    "training.routing_every": 0, "training.evaluate_every": 250,
}  # fmt: skip
COLUMNS = ("accuracy", "accuracy_recurring", "accuracy_novel", "attention")


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    import torch

    from theory.training.loop import train
    from theory.training.runs import load_record
    from theory.training.setup import load_setup

    torch.set_num_threads(1)
    own = {"model.budget": float(cell["budget"]), "model.selection": str(cell["selection"])}
    setups = [load_setup("retention-n256", {**_SETTINGS, **own, "training.seed": seed}) for seed in range(repeats)]
    folders = [FOLDER / f"{cell['selection']}-{cell['budget']}" / f"seed{seed}" for seed in range(repeats)]
    for setup, folder in zip(setups, folders, strict=True):
        train(setup, folder, device="cpu")
    out: dict[str, Any] = {}
    for name in COLUMNS:
        values = np.array([float(load_record(folder).final[name]) for folder in folders])
        seeds = " ".join(f"{v:.4g}" for v in values)
        out |= {name: float(values.mean()), f"{name}_sd": float(values.std(ddof=1)), f"{name}_seeds": seeds}
    return out


CELLS = [{"budget": b, "selection": how} for how in ("offline",) for b in (1.0, 0.5, 0.3, 0.1)]
STUDY = Study("retention_budget", (__doc__ or "").split("\n")[0], CELLS, measure, REPEATS)

if __name__ == "__main__":
    main(STUDY)
