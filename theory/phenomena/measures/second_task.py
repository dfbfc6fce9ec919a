"""What a second task makes models forget, from the recorded study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from theory.ledger.quantities import Quantity, over_seeds
from theory.ledger.recordings import Recordings
from theory.phenomena.records import Finding, Verdict

if TYPE_CHECKING:
    import pandas as pd

RECORD = "benchmarks/second_task.csv"
TUNING_FROM = 100
"""Model seeds from here on choose among candidates, and are not judged."""

_MOST = 0.5
_TRAINING = "1,280 on the first table, 960 on the second"
_PAIR = "models of one or two layers that hold a table of 32 bindings in their weights and go on with another one"


def _spread(found: list[Quantity], name: str, unit: str = "%") -> list[Quantity]:
    """The least and the greatest of several cases, under one name each."""
    ends = [min(found, key=lambda one: one.value), max(found, key=lambda one: one.value)]
    titles = (f"{name}, least ({ends[0].name})", f"greatest ({ends[1].name})")
    return [Quantity(title, q.value, q.low, q.high, unit, q.n) for title, q in zip(titles, ends, strict=True)]


# ------------------------------------------------------------------------------------------------------------ modules


def measure_few_modules_forget(data: Recordings) -> Finding:
    """Measure what comes back with a quarter of the modules."""
    table = data.table(RECORD)
    cases = {
        f"{kind}, {keys} keys": own
        for (kind, keys), own in table[table["question"] == "modules"].groupby(["kind", "keys"], sort=False)
    }

    def by_case(column: str) -> list[Quantity]:
        return [over_seeds(name, list(own[column]), "%") for name, own in cases.items()]

    few, sizes, random = by_case("few"), by_case("few_parameters"), by_case("random")
    carried = [one.low > _MOST for one in few]
    # a quarter that holds most of the parameters is a few modules in name only
    is_small = [one.high < _MOST for one in sizes]
    shown = [both for both in zip(carried, is_small, strict=True) if all(both)]
    large = list(dict.fromkeys(one.name.split(",")[0] for one, small in zip(sizes, is_small, strict=True) if not small))
    verdict: Verdict = (
        "not reproduced"
        if not any(carried)
        else "reproduced"
        if all(carried) and not large
        else "reproduced under conditions"
    )
    reasons = [
        f"in {len(shown)} of {len(cases)} cases the quarter brings back more than half and holds less than half of the "
        "parameters"
    ]
    reasons += [f"it holds more in {' and '.join(large)}"] if large else []
    return Finding(
        verdict,
        (
            *_spread(few, "forgetting that comes back with a quarter of the modules"),
            *_spread(sizes, "their share of the parameters"),
            *_spread(random, "with as many drawn at random"),
            *_spread(by_case("rest"), "with all others"),
            *_spread(by_case("moved"), "with the quarter that moved farthest"),
            *_spread(by_case("moved_share"), "share of the relative changes in that quarter"),
        ),
        f"{_PAIR}, of the same keys or of other ones; the modules that bring back most one by one, chosen on other "
        "streams than they are judged on; over seeds. A module is a part of a layer, not a single matrix. That "
        "training these modules alone on a few old examples is enough was not tested",
        "" if verdict != "reproduced under conditions" else "; ".join(reasons),
        _TRAINING,
    )


# ------------------------------------------------------------------------------------------------------------ refresh


def measure_unlearn_then_relearn(data: Recordings) -> Finding:
    """Compare what unlearning keeps of the first task."""
    cases = compare_cases(data)
    kept, learned, over_plain, over_twice = (list(column) for column in zip(*cases.values(), strict=True))
    gains = sum(plain.low > 0 and twice.low > 0 for plain, twice in zip(over_plain, over_twice, strict=True))
    return Finding(
        _judge_kept(kept, learned),
        (
            *_spread(kept, "first task, above the same training without unlearning", ""),
            *_spread(learned, "second task, above the same", ""),
            *_spread(over_plain, "accuracy over both tasks, above the best plain training", ""),
            *_spread(over_twice, "above the best with as many gradients", ""),
        ),
        f"{_PAIR}, of other keys, with one old stream in every batch or none; rates of learning and unlearning and its "
        "noise are chosen on three other seeds, for each way to train, by the accuracy over both tasks; paired over "
        "seeds. The inverse of the Fisher information is damped and the step clipped. Other methods that it is said to "
        "improve, more than two tasks and images were not tested",
        f"beside the same training without it, unlearning keeps more of the first task in "
        f"{sum(q.low > 0 for q in kept)} of {len(cases)} cases and learns less of the second in "
        f"{sum(q.high < 0 for q in learned)}; over both tasks it gains on the best plain training and on the best with "
        f"as many gradients in {gains} of {len(cases)}",
        f"{_TRAINING}, or twice as many",
    )


def _judge_kept(kept: Sequence[Quantity], learned: Sequence[Quantity]) -> Verdict:
    """Rule by what is kept of the first task; learning less of the second is a condition."""
    gains = [one.low > 0 for one in kept]
    if all(gains) and not any(one.high < 0 for one in learned):
        return "reproduced"
    if any(gains):
        return "reproduced under conditions"
    return "reversed" if all(one.high < 0 for one in kept) else "not reproduced"


def compare_cases(data: Recordings) -> dict[str, tuple[Quantity, Quantity, Quantity, Quantity]]:
    """Differences that unlearning makes, paired by seed, by case.

    Of the first and the second task to the same training without it, and of both to the best plain one and to the best
    plain one of as many gradients.
    """
    table = data.table(RECORD)
    table = table[table["question"] == "refresh"]
    table = table.assign(both=(table["old"] + table["new"]) / 2)
    names = {
        (kind, replay): f"{kind}, {'no' if replay == 0 else 'with'} replay"
        for kind, replay in table[["kind", "replay"]].drop_duplicates().itertuples(index=False)
    }
    return {
        name: _compared(table[(table["kind"] == kind) & (table["replay"] == replay)], name)
        for (kind, replay), name in names.items()
    }


def _compared(table: pd.DataFrame, name: str) -> tuple[Quantity, Quantity, Quantity, Quantity]:
    """Differences that unlearning makes in a case, paired by seed."""
    steps = int(table["steps"].min())
    refreshed = _best(table[table["unlearning"] > 0])
    plain = table[table["unlearning"] == 0]
    same = _arm(plain, {"steps": steps, "rate": refreshed["rate"].iloc[0]})
    tuned, twice = _best(plain[plain["steps"] == steps]), _best(plain[plain["steps"] == 2 * steps])

    def above(other: pd.DataFrame, column: str) -> Quantity:
        pairs = (refreshed.set_index("model_seed")[column] - other.set_index("model_seed")[column]).dropna()
        return over_seeds(name, list(pairs))

    return above(same, "old"), above(same, "new"), above(tuned, "both"), above(twice, "both")


_ARM = ["steps", "rate", "unlearning", "temperature"]


def _best(table: pd.DataFrame) -> pd.DataFrame:
    """Judged rows of the candidate that is best on the seeds of tuning, the first where some tie."""
    tuning = table[table["model_seed"] >= TUNING_FROM]
    means = tuning.groupby(_ARM, sort=False, as_index=False)["both"].mean()
    best = means.loc[means["both"].idxmax()]
    return _arm(table, {name: float(best[name]) for name in _ARM})


def _arm(table: pd.DataFrame, arm: dict[str, float]) -> pd.DataFrame:
    """Judged rows of a candidate."""
    is_own = (table[list(arm)] == list(arm.values())).all(axis=1)
    return table[is_own & (table["model_seed"] < TUNING_FROM)]
