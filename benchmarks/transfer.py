"""What frozen memory saves on a copy task: CRAM with semantic memory and router of SRCD, beside training from scratch.

Run ``python benchmarks/transfer.py`` (``--help`` for the options; five minutes on one core). The sources, one per seed,
are small CRAMs trained on SRCD (N = 64, d = 32, 30 recurring patterns, 8 values, 70 % recurring); they are kept in
``runs/transfer``. The copy task has no dynamics and twice as many pairs to be recalled; a share ``known`` of its
queries asks for keys of the source, the others for novel keys with values that are new in every stream. ``table``: the
values of the source's keys are the ``same`` as there, ``new`` ones, or ``fresh`` in every stream.

``start``: ``frozen`` begins with the source's weights but a new output layer, and semantic memory, q̂, router and
embeddings stay as they are; ``unfrozen`` the same with everything learning; ``scratch`` begins at random, as the
sources did: all tokens attend for 100 steps, and the costs grow over 100 more. All learn for 300 steps of 8 streams.

Columns of results, means over ``repeats`` seeds with standard deviation ``_sd`` and each seed ``_seeds``: ``accuracy``,
``attention`` (share of the queries that attend) and ``charge`` (attention + V/(V−1) · errors without attention, per
query) at the end, on fresh streams with hard decisions; ``spent``: attention per query over the 300 steps. ``t3``: the
least charge of any learner that has seen the source's table (theorem T3: the share of the queries for values not yet
shown); ``memoryless``: of one that keeps nothing within a stream, as CRAM (T1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from grid import Cell, Study, main, markdown, missing

SOURCES = Path(__file__).resolve().parents[1] / "runs" / "transfer"
REPEATS, STEPS, SOURCE_STEPS, STREAMS = 5, 300, 600, 400
FROZEN = ["semantic", "quality", "router", "kind", "key", "value", "scalars"]
_SMALL = {
    "data": {"length": 64, "patterns": 30, "novel_keys": 64, "values": 8},
    "model": {"d_model": 32, "semantic_rank": 64},
    "training": {"batch": 8, "rate": 5e-3, "slow_rate": 1e-3},
}
_WARM_UP = {"attend_until": 100, "costs_from": 100, "costs_over": 100}
_COPY = {"query_fraction": 0.2, "dynamics": 0.0, "beta": 0.0, "noise": 0.0}


def sources(count: int) -> list[Path]:
    """Train the sources that are missing, as one stack."""
    from theory.training.ensemble import train_many
    from theory.training.setup import load_setup

    folders = [SOURCES / f"seed{seed}" for seed in range(count)]
    tables = _SMALL | {"data": _SMALL["data"] | {"query_fraction": 0.1}}
    tables |= {
        "training": _SMALL["training"] | _WARM_UP | {"steps": SOURCE_STEPS, "routing_every": 0, "evaluate_every": 200}
    }
    train_many(
        [
            load_setup("cram-n256", _dotted(tables | {"training": tables["training"] | {"seed": s}}))
            for s in range(count)
        ],
        folders,
        how="stacked",
        device="cpu",
    )
    return folders


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    import torch

    from theory.training.ensemble import Stacked
    from theory.training.loop import Streams, loop
    from theory.training.reproducibility import deterministic
    from theory.training.setup import load_setup

    class Spent:
        """An observer that counts what queries attend."""

        exposures = np.zeros(0, np.int64)

        def begin(self, step: int, exposures: Any, sizes: Any = None) -> None:
            self.attended = self.queries = 0

        def step(self, step: int, seen: Any, batch: Any) -> None:
            asked = batch.answer > 0
            self.attended += int(seen["attended"][asked].sum())
            self.queries += int(asked.sum())

        def evaluation(self, step: int, found: Any) -> None:
            pass

        def sync(self) -> dict[str, int]:
            return {}

        def finish(self) -> None:
            pass

    torch.set_num_threads(1)
    setups = [load_setup("cram-n256", _dotted(_target(cell, seed))) for seed in range(repeats)]
    first, cpu = setups[0].training, torch.device("cpu")
    spent = [Spent() for _ in setups]
    with deterministic(first.seed, cpu):
        learner = Stacked(setups, cpu)
        loop(learner, Streams([setup.data for setup in setups], first.batch, 1000, cpu), spent, setups)
    rows = [_tested(learner.member(i).eval(), setup.data) for i, setup in enumerate(setups)]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    found["spent"] = np.array([one.attended / one.queries for one in spent])
    out: dict[str, Any] = {}
    for name, values in found.items():
        seeds = " ".join(f"{v:.4g}" for v in values)
        out |= {name: float(values.mean()), f"{name}_sd": float(values.std(ddof=1)), f"{name}_seeds": seeds}
    return out | predicted(cell)


def _target(cell: Cell, seed: int) -> dict[str, Any]:
    table = {"same": {}, "new": {"table_seed": 1}, "fresh": {"table": "fresh"}}[str(cell["table"])]
    data = _SMALL["data"] | _COPY | table | {"recurring_fraction": float(cell["known"])}
    training = _SMALL["training"] | {
        "steps": STEPS,
        "evaluate_every": STEPS,
        "evaluation_streams": 1,
        "seed": 100 + seed,
    }
    if cell["start"] == "scratch":
        return {"data": data, "model": _SMALL["model"], "training": training | _WARM_UP}
    freeze = FROZEN if cell["start"] == "frozen" else []
    transfer = {"source": str(SOURCES / f"seed{seed}"), "freeze": freeze, "fresh": ["answer"]}
    free = {"attend_until": 0, "costs_from": 0}
    return {"data": data, "model": _SMALL["model"], "training": training | free, "transfer": transfer}


def _dotted(tables: dict[str, Any]) -> dict[str, Any]:
    return {f"{group}.{name}": value for group, table in tables.items() for name, value in table.items()}


def _tested(model: Any, task: Any) -> dict[str, float]:
    """Accuracy, attention and charge per query on fresh streams, with hard decisions."""
    import torch

    from theory.models import Sampler

    with torch.no_grad():
        batch = Sampler(task, 2**31).sample(STREAMS)
        output = model(batch.tokens)
    asked = batch.answer > 0
    right, attended = output.correct(batch)[asked], output.executed.any(-1)[asked]
    blind = float((~right & ~attended).float().mean())
    accuracy, attention = float(right.float().mean()), float(attended.float().mean())
    return {"accuracy": accuracy, "attention": attention, "charge": attention + task.values / (task.values - 1) * blind}


def predicted(cell: Cell) -> dict[str, float]:
    """Least charge per query of a learner that has seen the source's table: of any, and of a memoryless one."""
    from theory.bounds.t3_compulsory import expected_distinct
    from theory.tasks.retrieval import uniform

    known, queries = float(cell["known"]), int(_SMALL["data"]["length"] * _COPY["query_fraction"])
    if cell["table"] != "fresh":  # new values that stay the same are shown once in training
        return {"t3": 1.0 - known, "memoryless": 1.0 - known}
    distinct = float(expected_distinct(uniform(_SMALL["data"]["patterns"]), queries, known))
    return {"t3": 1.0 - known + distinct / queries, "memoryless": 1.0}


CELLS = [
    {"known": known, "table": table, "start": start}
    for known, table in ((1.0, "same"), (0.5, "same"), (0.0, "same"), (1.0, "new"), (1.0, "fresh"))
    for start in ("frozen", "unfrozen", "scratch")
]
STUDY = Study("transfer", (__doc__ or "").split("\n")[0], CELLS, measure, REPEATS)


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of docs/training.md."""
    scratch = {(row["known"], row["table"]): row for row in rows if row["start"] == "scratch"}

    def spread(row: Mapping[str, str], name: str) -> str:
        return f"{float(row[name]):.3f} ± {float(row[f'{name}_sd']):.3f}"

    def saved(row: Mapping[str, str], name: str) -> str:
        base = scratch.get((row["known"], row["table"]))
        if base is None or base is row or float(base[name]) < 0.01:
            return "–"
        return f"{100 * (1 - float(row[name]) / float(base[name])):.0f} %"

    own, source = (f"{_SMALL['training']['batch'] * steps:,}" for steps in (STEPS, SOURCE_STEPS))
    lines = [
        [row["known"], row["table"], row["start"], own if row["start"] == "scratch" else f"{source} + {own}",
         *(spread(row, name) for name in ("accuracy", "attention", "spent")),
         saved(row, "attention"), saved(row, "spent"), spread(row, "charge"),
         *(f"{float(row[name]):.3f}" for name in ("t3", "memoryless"))]
        for row in rows
    ]  # fmt: skip
    return markdown(("known", "table", "start", "streams", "accuracy", "attention at the end", "attention spent",
                     "saved at the end", "saved in all", "charge", "T3", "T3, memoryless"), lines)  # fmt: skip


if __name__ == "__main__":
    if missing(STUDY):  # which refuses wrong arguments before anything is trained
        sources(REPEATS)
    print(summary(main(STUDY)))
