"""Recall of hybrids of linear and full attention against their ratio.

Run ``python benchmarks/hybrids.py`` (``--help`` for the options; about a minute a model on one core); a cell is one
model. ``--page`` writes the table of docs/training.md. Models of four layers (N = 96, d = 32, 4 heads, so a state of
4 · 8² numbers in each layer) see the bindings of 32 keys with fresh values first and are then asked for them: nothing
can be known from the weights. They learn for 500 steps of 16 streams and are kept in ``runs/hybrids``. ``ratio``:
layers of linear attention for each layer of full attention (3 and 1), ``none`` without any, 0 for full attention in all
four.

Columns of results: ``accuracy`` at queries and ``mse`` of the dynamics on 256 fresh streams, ``attention`` (share of
tokens and layers that execute a row) and ``parameters``. Wang et al. 2025 (arXiv 2507.06457) say that recall rises with
the share of full attention while the loss of language modelling, here the dynamics, stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from command_line import is_page_asked
from grid import Cell, Study, filled, main, markdown, recorded

FOLDER = Path(__file__).resolve().parents[1] / "runs" / "hybrids"
_SETTINGS = {
    "data.length": 96, "data.layout": "header", "data.table": "fresh", "data.patterns": 32, "data.novel_keys": 48,
    "data.values": 8, "data.query_fraction": 0.4, "data.recurring_fraction": 1.0,
    "model.d_model": 32, "model.heads": 4, "model.layers": 4,
    "training.batch": 16, "training.steps": 500, "training.routing_every": 0, "training.evaluate_every": 100,
    "training.final_streams": 256,
}  # fmt: skip


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    import torch

    from theory.training.loop import train
    from theory.training.runs import load_record
    from theory.training.setup import load_setup

    torch.set_num_threads(1)
    ratio = None if cell["ratio"] == "none" else int(cell["ratio"])
    changes = {**_SETTINGS, "model.ratio": ratio, "training.seed": int(cell["model_seed"])}
    folder = FOLDER / f"{cell['kind']}-{cell['ratio']}" / f"seed{cell['model_seed']}"
    train(load_setup(f"{str(cell['kind']).replace('_', '-')}-n256", changes), folder, device="cpu")
    final = load_record(folder).final
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    columns = {"accuracy": "accuracy", "mse": "dynamics_mse", "attention": "attention"}
    return {name: float(final[key]) for name, key in columns.items()} | {"parameters": document["parameters"]}


# One model without linear layers is enough: it is the same for all kinds.
_RATIOS = [("gated_deltanet", "0")] + [
    (kind, ratio) for ratio in ("none", "3", "1") for kind in ("gated_deltanet", "hgrn2", "gla")
]
CELLS = [{"kind": kind, "ratio": ratio, "model_seed": seed} for seed in range(3) for kind, ratio in _RATIOS]
STUDY = Study("hybrids", (__doc__ or "").split("\n")[0], CELLS, measure, 1)


def table_of(rows: Sequence[Mapping[str, str]]) -> str:
    """Accuracy by kind and ratio, with its range over seeds, as it stands on the page."""

    def cell(kind: str, ratio: str, name: str, unit: str = "") -> str:
        found = [float(row[name]) for row in rows if (row["kind"], row["ratio"]) == (kind, ratio)]
        if not found:
            return "–"
        if not unit:
            return f"{fmean(found):.4f}"
        return f"{fmean(found):.1%} ({min(found):.1%} to {max(found):.1%})".replace("%", unit)

    lines = []
    for kind, ratio in _RATIOS:
        title = "full attention" if ratio == "0" else f"{kind.replace('_', '-')}, {SHARE[ratio]}"
        seeds = sum((row["kind"], row["ratio"]) == (kind, ratio) for row in rows)
        lines.append((title, str(seeds), cell(kind, ratio, "accuracy", " %"), cell(kind, ratio, "mse")))
    return markdown(("model", "seeds", "recall (range)", "dynamics MSE"), lines)


SHARE = {"none": "no full attention", "3": "3:1", "1": "1:1"}
PAGE = Path(__file__).resolve().parents[1] / "docs" / "training.md"

if __name__ == "__main__":
    if is_page_asked(__doc__):
        PAGE.write_text(
            filled(PAGE.read_text(encoding="utf-8"), "HYBRIDS", table_of(recorded(STUDY.name))), encoding="utf-8"
        )
    else:
        main(STUDY)
