"""Statements on models that are trained side by side, from recorded runs."""

from __future__ import annotations

from theory.ledger.quantities import Quantity, over_seeds
from theory.ledger.recordings import NotHere, Recordings
from theory.phenomena.measures.margins import SHARE
from theory.phenomena.records import Finding, Verdict
from theory.training.runs import Record

_MODELS = ("transmamba", "transformer")


def _converged(data: Recordings, kind: str) -> dict[int, Record]:
    """Runs by seed, of those that have converged."""
    return {
        record.seed: record
        for record in data.fairest(f"{kind}-n256")
        if data.ending(record) == "converged"
    }  # fmt: skip


def measure_prefix_of_attention(data: Recordings) -> Finding:
    """Compare TransMamba with a Transformer on as many streams."""
    runs = {kind: _converged(data, kind) for kind in _MODELS}
    seeds = sorted(set(runs["transmamba"]) & set(runs["transformer"]))
    if len(seeds) < 2:
        raise NotHere(f"{len(seeds)} seeds of both have converged; run first: make benchmark-equal")
    streams = {kind: sorted({record.streams for record in found.values()}) for kind, found in runs.items() if found}
    if streams["transmamba"] != streams["transformer"]:
        raise NotHere("they were not trained on as many streams; run first: make benchmark-equal")

    def over(kind: str, name: str, title: str) -> Quantity:
        return over_seeds(f"{title}, {kind}", [record.final[name] for record in runs[kind].values()], "%")

    pairs = [runs["transmamba"][seed].final["accuracy"] - runs["transformer"][seed].final["accuracy"] for seed in seeds]
    difference = over_seeds("accuracy of TransMamba less that of the Transformer", pairs, "%")
    numbers = [difference, *(over(kind, name, name) for name in ("accuracy", "attention") for kind in _MODELS)]
    chosen = data.fairest("transmamba-n256")[0].title
    return Finding(
        _as_good(difference),
        tuple(numbers),
        "models of this package on SRCD, paired by seed: attention for the first tokens of a stream, a recurrence for "
        f"the rest, and one set of weights for both; as good: the interval of the difference lies above minus "
        f"{100 * SHARE:g} points and reaches zero. As many streams are not as many updates: batches differ",
        _REASONS[_as_good(difference)],
        ", ".join(
            f"{kind} {counts[0]:,} in {counts[0] // runs[kind][seeds[0]].batch:,} updates"
            for kind, counts in streams.items()
        ),
        record=f"runs/{chosen}",
    )


def _as_good(difference: Quantity) -> Verdict:
    """Whether a difference is shown to be small.

    By its interval: one that is too wide to say so does not show it.
    """
    if not difference.low > -SHARE:  # nor where there is no interval
        return "not reproduced"
    return "reproduced" if difference.high >= 0 else "reproduced under conditions"


_REASONS: dict[Verdict, str] = {
    "reproduced": "",
    "reproduced under conditions": f"within {100 * SHARE:g} points of full attention, and below it",
    "not reproduced": f"a loss of less than {100 * SHARE:g} points is not shown",
}
