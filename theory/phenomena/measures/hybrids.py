"""Recall of hybrids of linear and full attention, from the recorded study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.ledger.quantities import over_seeds
from theory.ledger.recordings import Recordings
from theory.phenomena.measures.margins import RELATIVE, is_same
from theory.phenomena.records import Finding

if TYPE_CHECKING:
    import pandas as pd

RECORD = "benchmarks/hybrids.csv"


def _by_seed(data: Recordings) -> pd.DataFrame:
    """Means over kinds by seed and ratio, of seeds whose models are all there."""
    table = data.table(RECORD)
    models = table.groupby("model_seed").size()
    whole = table[table["model_seed"].isin(models.index[models == models.max()])]
    return whole.pivot_table(["accuracy", "mse"], index="model_seed", columns="ratio")


def measure_recall_against_ratio(data: Recordings) -> Finding:
    """Compare recall and error across shares of full attention."""
    means = _by_seed(data)
    recall, error = means["accuracy"], means["mse"]
    gained = over_seeds("difference, 3:1 less none", list(recall["3"] - recall["none"]))
    more = over_seeds("1:1 less 3:1", list(recall["1"] - recall["3"]))
    change = over_seeds(
        "change of the error of the dynamics, none to 3:1, as a share", list(error["3"] / error["none"] - 1)
    )
    stays = is_same(change, RELATIVE)
    is_enough = "one layer of full attention in four is enough for this task, so that nothing more can be gained; "
    ratios = {"none": "no full attention", "3": "3:1", "1": "1:1", "0": "full attention only"}
    has_changed = change.low > RELATIVE or change.high < -RELATIVE
    open_ = "" if stays else f"that the error stays within {100 * RELATIVE:g} % is not shown; "
    return Finding(
        "reproduced under conditions" if gained.low > 0 and not has_changed else "not reproduced",
        (gained, more, change, *(over_seeds(f"recall, {title}", list(recall[key])) for key, title in ratios.items())),
        "models of four layers that are asked for 32 fresh bindings, means over gated DeltaNet, HGRN-2 and GLA; the "
        "dynamics of SRCD stand for the loss of language modelling; over seeds",
        (is_enough if recall["3"].min() > 0.99 else "") + open_ + "ratios above 3:1 need more layers",
        "8,000 each",
    )
