"""Adaptive Retention: budgets and layers."""

from __future__ import annotations

import math

from theory.ledger.quantities import Quantities, Quantity, over_seeds
from theory.ledger.recordings import Recordings
from theory.ledger.records import Measured, Ruling

BUDGETS = "benchmarks/retention_budget.csv"


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
    quantities = []
    for _, row in table.iterrows():
        base = [float(x) for x in str(full[str(row["selection"])]["accuracy_seeds"]).split()]
        own = [float(x) for x in str(row["accuracy_seeds"]).split()]
        share = [a / b for a, b in zip(own, base, strict=True)]
        name = f"share of full accuracy at {100 * float(row['budget']):.0f} %, {row['selection']}"
        quantities.append(over_seeds(name, share, ""))
    return Measured(
        tuple(quantities), "retention models on small SRCD, trained for each budget (benchmarks/retention_budget.py)"
    )


def judge_budget(printed: Quantities, measured: Measured) -> Ruling:
    """Ask whether 95 % are kept."""
    least = {name.split(" at ")[1]: quantity.value for name, quantity in printed.items()}
    tested = [
        (quantity, least[key]) for quantity in measured.quantities for key in least if f" at {key}," in quantity.name
    ]
    kept = [quantity for quantity, share in tested if quantity.value >= share]
    text = "; ".join(
        f"{quantity.name.removeprefix('share of full accuracy ')}: {quantity.value:.0%}" for quantity, _ in tested
    )
    if len(kept) == len(tested):
        return Ruling("reproduced", f"share of the accuracy with all tokens, {text}")
    if kept:
        return Ruling("reproduced under conditions", f"share of the accuracy with all tokens, {text}")
    return Ruling("not reproduced", f"where retrieval needs single tokens the budget costs accuracy: {text}")


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
