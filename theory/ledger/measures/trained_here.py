"""Pre-trained models that are trained here: facts that a language model practises, tokens that an encoder keeps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from theory.ledger.measures.retention import judge_kept
from theory.ledger.quantities import Quantities, Quantity
from theory.ledger.recordings import Recordings
from theory.ledger.records import Measured, Ruling
from theory.lm import practice_records, retention_records

if TYPE_CHECKING:
    import pandas as pd

FACTS, RETENTION = practice_records.RECORDED, retention_records.RECORDED

MOST_SHOWN = 32
"""Presentations of the facts whose forgetting is told."""

LEAST_KEPT = 0.95
"""Share of the full performance that the paper states."""


def measure_forgetting(data: Recordings) -> Measured:
    """Measure forgetting of facts, and which form it has."""
    curves, fits = (data.table(f"runs/{FACTS}/{name}.csv") for name in ("forgetting", "fits"))
    main = curves[(curves["cell"] == "main") & (curves["exposures"] == MOST_SHOWN)].sort_values("delay")
    seeds = int(main["runs"].iloc[0])
    quantities = [
        _of_row(main.iloc[[place]], "recall_net", f"recall net of controls after {main['delay'].iloc[place]:,}", seeds)
        for place in (0, -1)
    ]
    own = fits[(fits["curve"] == "forgetting") & (fits["cell"] == "main") & fits["outcome"].str.endswith("_net")]
    verdicts = Counter(str(verdict).replace("_", " ") for verdict in own["verdict"])
    notes = (f"cogfit.fit of {len(own)} curves, power law: {', '.join(f'{n} {v}' for v, n in verdicts.most_common())}",)
    counts = {"curves": len(own), "power laws": verdicts["supported"], "refused": verdicts["not supported"]}
    quantities += [Quantity(name, n) for name, n in counts.items()]
    basis = "SmolLM2-135M, its last two layers trained on invented facts, then on other ones; intervals over seeds"
    return Measured(tuple(quantities), basis, notes=notes)


def _of_row(row: pd.DataFrame, column: str, name: str, n: int) -> Quantity:
    """A value of a table of one row, with its limits."""
    value, low, high = (float(row[f"{column}{end}"].to_numpy(float)[0]) for end in ("", "_low", "_high"))
    return Quantity(name, value, low, high, n=n)


def judge_forgetting(printed: Quantities, measured: Measured) -> Ruling:
    """Count the curves that are power laws.

    And those that refuse one.

    A curve that fits several forms decides nothing; where most do not decide and none is a power law, nothing is
    judged.
    """
    curves, laws, refused = (int(measured[name].value) for name in ("curves", "power laws", "refused"))
    text = f"{laws} of {curves} curves are found to be power laws, and {refused} refuse one ({measured.notes[0]})"
    scale = "; the paper follows all weights over tens of thousands of updates"
    if laws:
        return Ruling("reproduced" if laws == curves else "reproduced under conditions", f"{text}{scale}")
    if 2 * refused > curves:
        return Ruling("not reproduced", f"{text}{scale}")
    return Ruling("not testable here", f"{text}: they do not tell forms apart{scale}")


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
    return judge_kept([(budget, gates[budget], LEAST_KEPT) for budget in budgets], text)
