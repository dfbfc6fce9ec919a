"""Recall of hybrids of linear and full attention, from the recorded study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from theory.ledger.quantities import Quantity, over_seeds
from theory.ledger.recordings import Recordings
from theory.phenomena.measures.margins import RELATIVE, is_same
from theory.phenomena.records import Finding, Verdict
from theory.training.convergence import GAIN, LEAST_EVALUATIONS

if TYPE_CHECKING:
    import pandas as pd

RECORD = "benchmarks/hybrids.csv"
CHANCE = 1 / 8
"""Recall of a model that guesses one of eight values."""

EVALUATIONS = 5
"""Of each run; their curves are not on record."""

_RATIOS = {"none": "no full attention", "3": "3:1", "1": "1:1", "0": "full attention only"}


def has_converged(recall: float) -> bool:
    """Whether a run is known to have converged.

    Nothing is left to gain, or a forecast is possible.
    """
    return 1 - recall < GAIN or EVALUATIONS >= LEAST_EVALUATIONS


def is_chance(recall: Sequence[float], chance: float = CHANCE) -> bool:
    """Whether recall over seeds cannot be told from guessing."""
    found = over_seeds("recall", list(recall))
    return found.low <= chance


def _whole(data: Recordings) -> pd.DataFrame:
    """Rows of the seeds whose models are all there."""
    table = data.table(RECORD)
    models = table.groupby("model_seed").size()
    return table[table["model_seed"].isin(models.index[models == models.max()])]


def measure_recall_against_ratio(data: Recordings) -> Finding:
    """Compare recall and error across shares of full attention."""
    table = _whole(data)
    means = table.pivot_table(["accuracy", "mse"], index="model_seed", columns="ratio")
    recall, error = means["accuracy"], means["mse"]
    gained = over_seeds("difference, 3:1 less none", list(recall["3"] - recall["none"]))
    more = over_seeds("1:1 less 3:1", list(recall["1"] - recall["3"]))
    change = over_seeds(
        "change of the error of the dynamics, none to 3:1, as a share", list(error["3"] / error["none"] - 1)
    )
    without = table[table["ratio"] == "none"]
    by_kind = {str(kind).replace("_", "-"): list(own["accuracy"]) for kind, own in without.groupby("kind", sort=False)}
    open_ = [] if is_same(change, RELATIVE) else [f"that the error stays within {100 * RELATIVE:g} % is not shown"]
    return Finding(
        _judge(list(without["accuracy"]), gained, change),
        (
            gained,
            more,
            change,
            *(over_seeds(f"recall, {title}", list(recall[key])) for key, title in _RATIOS.items()),
            *(over_seeds(f"recall of {kind} without", values) for kind, values in by_kind.items()),
            Quantity("chance", CHANCE),
        ),
        "models of four layers that are asked for 32 fresh bindings, means over gated DeltaNet, HGRN-2 and GLA; the "
        "dynamics of SRCD stand for the loss of language modelling; over seeds",
        "; ".join((*_reasons(table, by_kind), *open_)),
        "8,000 each",
    )


def _judge(without: Sequence[float], gained: Quantity, change: Quantity) -> Verdict:
    """Rule on the claim: models that may still climb cannot show that attention is missing."""
    if not all(map(has_converged, without)):
        return "not testable here"
    has_changed = change.low > RELATIVE or change.high < -RELATIVE
    return "reproduced under conditions" if gained.low > 0 and not has_changed else "not reproduced"


def _reasons(table: pd.DataFrame, by_kind: dict[str, list[float]]) -> Iterator[str]:
    """Why these models do not decide it."""
    unknown = [kind for kind, recall in by_kind.items() if not all(map(has_converged, recall))]
    if unknown:
        yield (
            f"without full attention {', '.join(unknown)} are not known to have converged in 500 steps: "
            f"{EVALUATIONS} evaluations each, which are not on record"
        )
    guessing = [kind for kind, recall in by_kind.items() if is_chance(recall)]
    if guessing:
        yield f"{' and '.join(guessing)} cannot be told from chance, {100 * CHANCE:.1f} %"
    if all(map(has_converged, table[table["ratio"] == "3"]["accuracy"])):
        yield "one layer of full attention in four is at the ceiling of this task, so that more cannot be gained"
    sizes = {ratio: [int(n) for n in own] for ratio, own in table.groupby("ratio")["parameters"]}
    yield (
        f"models without full attention have {min(sizes['none']):,} to {max(sizes['none']):,} parameters, "
        f"those with nothing else {min(sizes['0']):,}"
    )
    yield "ratios above 3:1 need more layers"
