"""Recall of hybrids of linear and full attention against their ratio.

Run ``python benchmarks/hybrids.py`` (``--help`` for the options; about a minute a model on one core); a cell is one
model. ``--page`` writes the table of docs/training.md. Models of four layers (N = 96, d = 32, 4 heads, so a state of
4 · 8² numbers in each layer) see the bindings of 32 keys with fresh values first and are then asked for them: nothing
can be known from the weights. They learn for 500 steps of 16 streams and are kept in ``runs/hybrids``. ``ratio``:
layers of linear attention for each layer of full attention (3 and 1), ``none`` without any, 0 for full attention in all
four.

Columns of results: ``accuracy`` at queries and ``mse`` of the dynamics on 256 fresh streams, ``attention`` (share of
tokens and layers that execute a row) and ``parameters``. Chance is one of eight values. Five evaluations a run are too
few to say whether it had converged (``theory.training.convergence``), unless nothing is left to be gained. Wang et al.
2025 (arXiv 2507.06457) say that recall rises with the share of full attention while the loss of language modelling,
here the dynamics, stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from command_line import is_page_asked
from grid import Cell, Study, filled, main, markdown, recorded, wrapped

from theory.phenomena.measures.hybrids import EVALUATIONS, has_converged, is_chance

FOLDER = Path(__file__).resolve().parents[1] / "runs" / "hybrids"
_SETTINGS: dict[str, Any] = {
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


CHANCE = 1 / _SETTINGS["data.values"]
"""Recall of a model that guesses."""


def _of(rows: Sequence[Mapping[str, str]], kind: str, ratio: str, name: str) -> list[float]:
    return [float(row[name]) for row in rows if (row["kind"], row["ratio"]) == (kind, ratio)]


def title_of(kind: str, ratio: str) -> str:
    """A kind with its share of full attention, in words."""
    return "full attention" if ratio == "0" else f"{kind.replace('_', '-')}, {SHARE[ratio]}"


def table_of(rows: Sequence[Mapping[str, str]]) -> str:
    """Accuracy by kind and ratio, with its range over seeds, as it stands on the page."""
    lines = []
    for kind, ratio in _RATIOS:
        recall, error, size = (_of(rows, kind, ratio, name) for name in ("accuracy", "mse", "parameters"))
        shown = ["–"] * 4
        if recall:
            spread = f"{fmean(recall):.1%} ({min(recall):.1%} to {max(recall):.1%})".replace("%", " %")
            is_known = all(has_converged(value) for value in recall)
            shown = [spread, "yes" if is_known else "not known", f"{fmean(error):.4f}", f"{size[0]:,.0f}"]
        lines.append((title_of(kind, ratio), str(len(recall)), *shown))
    return markdown(("model", "seeds", "recall (range)", "converged", "dynamics MSE", "parameters"), lines)


def text_of(rows: Sequence[Mapping[str, str]]) -> str:
    """What the table can show, and what it cannot."""
    steps, evaluations = _SETTINGS["training.steps"], EVALUATIONS
    linear = {kind: _of(rows, kind, "none", "accuracy") for kind, ratio in _RATIOS if ratio == "none"}
    guessing = [kind for kind, recall in linear.items() if recall and is_chance(recall, CHANCE)]
    others = {kind: recall for kind, recall in linear.items() if recall and kind not in guessing}
    above = ", ".join(f"{kind.replace('_', '-')} at {fmean(recall):.0%}" for kind, recall in others.items())
    at_chance = " and ".join(kind.replace("_", "-") for kind in guessing) or "none"
    sizes = [int(_of(rows, kind, "none", "parameters")[0]) for kind in linear]
    full = int(_of(rows, "gated_deltanet", "0", "parameters")[0])
    whole = [min(_of(rows, kind, ratio, "accuracy")) for kind, ratio in _RATIOS if ratio != "none"]
    return wrapped(
        f"Chance is {CHANCE:.1%}, one of {_SETTINGS['data.values']} values. With full attention in one layer of four, "
        f"in two or in all, {min(whole):.1%} or more is recalled after {steps} steps: that is the ceiling of this "
        "task, so the ratios that have attention cannot be told apart. Without full attention, at chance after as many "
        f"steps: {at_chance}; above it: {above or 'none'}. Whether these would learn the task in more steps is not "
        f"known: {evaluations} evaluations a run are too few for a forecast, and the curves were not kept. So this "
        f"shows that one layer is enough, and not that it is needed. Size is not the reason: full attention has the "
        f"fewest parameters, {full:,}, beside {min(sizes):,} to {max(sizes):,} without any. The error of the dynamics, "
        f"compared at the same step, hardly changes."
    ).replace("%", " %")


SHARE = {"none": "no full attention", "3": "3:1", "1": "1:1"}
PAGE = Path(__file__).resolve().parents[1] / "docs" / "training.md"


def page(text: str) -> str:
    """The page with the table and what it shows."""
    rows = recorded(STUDY.name)
    return filled(text, "HYBRIDS", f"{table_of(rows)}\n{text_of(rows)}")


if __name__ == "__main__":
    if is_page_asked(__doc__):
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        main(STUDY)
