"""Adaptive Retention: budgets and layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from theory.ledger.measures.printed_and_measured import POINTS
from theory.ledger.quantities import Quantities, Quantity, over_seeds
from theory.ledger.recordings import Recordings
from theory.ledger.records import Measured, Ruling, Trained

BUDGETS = "benchmarks/retention_budget.csv"

STREAMS, UPDATES = 4_000, 500
"""Streams that each model of the study of budgets was trained on, and updates."""

RECURRING, VALUES = 0.7, 8
"""Its task: the share of the queries for recurring patterns, and the values of a pattern."""

_STATED = (0.5, 0.3)  # budgets of the paper


def printed_budget(data: Recordings) -> tuple[Quantity, ...]:
    """Share of the performance kept, as printed."""
    where = {"table": "adaptive_retention_numbers", "name": "", "task": "abstract"}
    return tuple(
        Quantity(f"share of full performance at {b} %", data.published(**where, budget_percent=b).value / 100, unit="%")
        for b in (30, 50)
    )


def printed_layers(data: Recordings) -> tuple[Quantity, ...]:
    """Budgets of the layers, as printed."""
    budgets = data.table("published/adaptive_retention_layers.csv")["budget_percent"].to_numpy(float) / 100
    return (Quantity("budgets", math.nan, float(budgets.min()), float(budgets.max()), "%"),)


def printed_speed(data: Recordings) -> tuple[Quantity, ...]:
    """Speed-up as printed."""
    return (data.published("adaptive_retention_numbers", "speed-up", "×", task="throughput", measure="speed-up"),)


def measure_budget(data: Recordings) -> Measured:
    """Share of the performance that budgets keep."""
    table = data.table(BUDGETS)
    full = {str(row["selection"]): row for _, row in table.iterrows() if float(row["budget"]) == 1.0}
    shares, ranges, notes = [], [], []
    plateau = RECURRING + (1 - RECURRING) / VALUES
    # the budgets of the paper first: a table shows the beginning of what was measured
    for _, row in sorted(table.iterrows(), key=lambda item: float(item[1]["budget"]) not in _STATED):
        base = [float(x) for x in str(full[str(row["selection"])]["accuracy_seeds"]).split()]
        own = [float(x) for x in str(row["accuracy_seeds"]).split()]
        where = f"{100 * float(row['budget']):.0f} %, {row['selection']}"
        share = [a / b for a, b in zip(own, base, strict=True)]
        shares.append(over_seeds(f"share of full accuracy at {where}", share, ""))
        ranges.append(Quantity(f"accuracy of the seeds, {where}", math.nan, min(own), max(own), "%", len(own)))
        stuck = [x for x in own if abs(x - plateau) <= POINTS]
        if stuck:
            level = ", ".join(f"{100 * x:.1f}" for x in stuck)
            notes.append(
                f"{where}: {len(stuck)} of {len(own)} seeds stayed at {level} %, near the plateau of "
                f"{100 * plateau:.2f} % that knows what recurs and guesses novel answers"
            )
    return Measured(
        (*shares, *ranges),
        "retention models on small SRCD, trained for each budget (benchmarks/retention_budget.py); over seeds",
        notes=tuple(notes),
        trained=(Trained("retention_budget", STREAMS, UPDATES, ranges[0].n),),
    )


def judge_budget(printed: Quantities, measured: Measured) -> Ruling:
    """Ask whether 95 % are kept."""
    least = {name.split(" at ")[1]: quantity.value for name, quantity in printed.items()}
    tested = [
        (key, quantity, least[key])
        for quantity in measured.quantities
        for key in least
        if f" at {key}," in quantity.name
    ]
    text = "; ".join(f"{key}: {quantity.shown}" for key, quantity, _ in tested)
    # what happened to single seeds of the budgets that are judged
    notes = [note for note in measured.notes if note.startswith(tuple(f"{key}," for key in least))]
    return judge_kept(tested, "; ".join((text, *notes)))


def judge_kept(tested: Sequence[tuple[str, Quantity, float]], text: str) -> Ruling:
    """Judge by the intervals whether a share is kept.

    Parameters
    ----------
    tested : sequence of (str, Quantity, float)
        Budget, the share of the performance that it keeps, and the least that it is said to keep. It is kept where the
        whole interval says so, and lost where the whole interval lies below.
    text : str
        The numbers in words.

    Examples
    --------
    >>> judge_kept([("50 %", Quantity("share", 0.96, 0.9, 1.0), 0.95)], "0.96").outcome
    'not reproduced'
    """
    kept = [budget for budget, share, least in tested if share.low >= least]
    lost = [budget for budget, share, least in tested if share.high < least]
    rest = [budget for budget, *_ in tested if budget not in (*kept, *lost)]
    groups = {"kept at": kept, "lost at": lost, "not decided by the interval at": rest}
    decided = ", ".join(f"{words} {' and '.join(budgets)}" for words, budgets in groups.items() if budgets)
    reason = f"{decided}; share of the accuracy with all tokens, {text}"
    if len(kept) == len(tested):
        return Ruling("reproduced", reason)
    return Ruling("reproduced under conditions" if kept else "not reproduced", reason)


def measure_layers(data: Recordings) -> Measured:
    """Tokens kept by layer."""
    table = data.table("published/adaptive_retention_layers.csv")
    quantities = [
        Quantity(f"mean retention, {model}, budget {budget} %", float(part["retention_percent"].mean()) / 100, unit="%")
        for (model, budget), part in table.groupby(["model", "budget_percent"])
    ]
    return Measured(tuple(quantities), "arithmetic on the paper's own table")


def judge_layers(printed: Quantities, measured: Measured) -> Ruling:
    """Ask whether a layer exceeds its budget."""
    over = [quantity for quantity in measured.quantities if quantity.value > float(quantity.name.split()[-2]) / 100]
    text = "; ".join(
        f"{quantity.name.removeprefix('mean retention, ')}: {quantity.shown}" for quantity in measured.quantities
    )
    if not over:
        return Ruling("reproduced", text)
    return Ruling("not reproduced", f"by the paper's own table the layers keep more than the budget on average: {text}")


def printed_scores(data: Recordings) -> tuple[Quantity, ...]:
    """Scores on the tasks, as printed."""
    return tuple(
        data.published("adaptive_retention_numbers", f"{task} at {budget} %", task=task, budget_percent=budget)
        for task in ("SST-2", "IMDb", "ArXiv R1")
        for budget in (50, 30)
    )
