"""Pre-trained models that are trained here: facts that a language model practises, tokens that an encoder keeps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from theory.ledger.quantities import Quantities, Quantity
from theory.ledger.recordings import Recordings
from theory.ledger.records import Measured, Ruling
from theory.lm import practice_records, retention_records

if TYPE_CHECKING:
    import pandas as pd

FACTS, RETENTION = practice_records.RECORDED, retention_records.RECORDED

LEAST_KEPT = 0.95
"""Share of the full performance that the paper states."""


def measure_practice(data: Recordings) -> Measured:
    """Recall of facts against their presentations."""
    practice, fits = (data.table(f"runs/{FACTS}/{name}.csv") for name in ("practice", "fits"))
    main = practice[practice["cell"] == "main"].sort_values("exposure")
    fit = fits[(fits["curve"] == "practice") & (fits["cell"] == "main") & (fits["outcome"] == "error")].iloc[0]
    seeds = int(main["runs"].iloc[0])
    quantities = [_of_row(main.iloc[[place]], "recall", f"recall after {k}", seeds) for k, place in ((1, 1), (31, -1))]
    value, low, high = (float(fit[name]) for name in ("gamma", "gamma_low", "gamma_high"))
    gamma = Quantity("γ of the error, under the form reported", value, low, high)
    verdict = str(fit["verdict"]).replace("_", " ")
    if math.isfinite(value):  # some forms have no exponent
        quantities.append(gamma)
    return Measured(
        tuple(quantities),
        "SmolLM2-135M, its last two layers trained on invented facts; intervals over seeds",
        notes=(f"cogfit.fit, power law: {verdict}; form: {fit['form']}",),
    )


def _of_row(row: pd.DataFrame, column: str, name: str, n: int) -> Quantity:
    """A value of a table of one row, with its limits."""
    value, low, high = (float(row[f"{column}{end}"].to_numpy(float)[0]) for end in ("", "_low", "_high"))
    return Quantity(name, value, low, high, n=n)


def judge_practice(printed: Quantities, measured: Measured) -> Ruling:
    """Ask for a power law and people's exponent."""
    course = f"recall rises from {measured['recall after 1'].shown} to {measured['recall after 31'].shown}"
    verdict = measured.notes[0]
    if "power law: supported" not in verdict:
        return Ruling("not reproduced", f"{course}, not found to be a power law ({verdict})")
    human, gamma = printed["γ of people"], measured["γ of the error, under the form reported"]
    if gamma.low <= human.high and human.low <= gamma.high:
        return Ruling("reproduced under conditions", f"{course}, as a power law with γ = {gamma.shown}")
    return Ruling("not reproduced", f"{course}, as a power law with γ = {gamma.shown}")


def measure_encoder(data: Recordings) -> Measured:
    """Share of full accuracy kept under a budget."""
    table = retention_records.accuracies(data.table(f"runs/{RETENTION}/answers.csv"))
    pages = int(data.table(f"runs/{RETENTION}/answers.csv")["page"].nunique())
    quantities = []
    for place in range(len(table)):
        row = table.iloc[[place]]
        way, budget = str(row["way"].iloc[0]), f"{100 * float(row['budget'].iloc[0]):.0f} %"
        if way == "full":
            quantities.append(_of_row(row, "accuracy", "accuracy with all tokens", pages))
        else:
            quantities.append(_of_row(row, "of_full", f"share of full accuracy at {budget}, {way}", pages))
    return Measured(
        tuple(quantities),
        "MiniLM, frozen, telling the ten sections of a text apart; intervals over pages, means over seeds",
    )


def judge_encoder(printed: Quantities, measured: Measured) -> Ruling:
    """Ask whether the gates keep 95 %."""
    budgets = [name.split(" at ")[1] for name in printed]
    gates = {budget: measured[f"share of full accuracy at {budget}, gates"] for budget in budgets}
    chance = {budget: measured[f"share of full accuracy at {budget}, random"] for budget in budgets}
    text = "; ".join(
        f"{budget}: {gates[budget].shown} by gates, {chance[budget].shown} at random" for budget in budgets
    )
    text = f"share of the accuracy with all tokens, {text}"
    if all(gates[budget].value >= LEAST_KEPT for budget in budgets):
        return Ruling("reproduced", text)
    if any(gates[budget].value >= LEAST_KEPT for budget in budgets):
        return Ruling("reproduced under conditions", text)
    return Ruling("not reproduced", text)
