"""Statements that are tested on retrieval streams."""

from __future__ import annotations

from collections.abc import Callable

from theory.ledger.quantities import Quantity
from theory.ledger.recordings import Recordings
from theory.phenomena.records import Finding, Measure, Verdict
from theory.policies import find
from theory.policies.limits import traffic
from theory.policies.phenomena import Phenomenon, Ruled
from theory.policies.sample import Sample
from theory.policies.streams import Setting, mix

SEED = 0
_VERDICT: dict[Ruled, Verdict] = {
    "shown": "reproduced",
    "shown in part": "reproduced under conditions",
    "not shown": "not reproduced",
    "reversed": "reversed",
    "not testable": "not testable here",
}


def on_streams(check: Callable[[Setting, int], Phenomenon]) -> Measure:
    """Measure with a check of :mod:`theory.policies.phenomena`."""

    def measure(data: Recordings) -> Finding:
        return told_of(check(Setting(), SEED), check)

    return measure


def told_of(found: Phenomenon, check: Callable[[Setting, int], Phenomenon]) -> Finding:
    """Tell what a check found, for the page."""
    numbers = [Quantity(name, *mean) for name, mean in (found.cases or {"difference": found.difference}).items()]
    # what is counted in thousands is shown in full, as steps are
    numbers += [Quantity(name, value, unit="steps" if value >= 1000 else "") for name, value in found.numbers.items()]
    how = " ".join((check.__doc__ or "").split())
    told = find(found.policy).reads
    return Finding(_VERDICT[found.verdict], tuple(numbers), f"{found.claim}. {how}", found.reason, told=told)


_KEEP_ALL = ("recycled", "routing-transformer", "landmark", "hip", "hcam", "think-in-memory")
"""Policies that attend to a part and drop nothing."""


def measure_bytes_of_sparse_attention(data: Recordings) -> Finding:
    """Compare bytes read with those of full attention.

    Of policies that attend to a quarter of the stream and keep all of it; what they compare in order to choose counts.
    """
    sample = Sample.drawn(mix, Setting(), (8, 8), [SEED, 5])
    widths = (sample.seen.shape[1], sample.seen.key.shape[3], sample.seen.value.shape[2])
    read = {name: traffic(sample.play(find(name).policy(), 1 / 4), *widths).total for name in ("full", *_KEEP_ALL)}
    shares = {name: read[name] / read["full"] for name in _KEEP_ALL}
    less = [name for name in _KEEP_ALL if shares[name] < 1]
    verdict: Verdict = "reproduced" if len(less) == len(_KEEP_ALL) else "reproduced under conditions"
    return Finding(
        verdict if less else "not reproduced",
        tuple(
            Quantity(f"bytes read, share of full attention, {name}", share, unit="%") for name, share in shares.items()
        ),
        "bytes per token on SRCD streams, of policies that attend to a quarter of the stream and drop nothing; keys "
        "that are compared in order to choose are counted",
        f"{len(less)} of {len(_KEEP_ALL)} read less than full attention; it depends on how tokens are chosen",
    )
