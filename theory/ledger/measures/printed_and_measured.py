"""What the measures of several rows share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from theory.ledger.quantities import Quantities, Quantity, over_seeds
from theory.ledger.recordings import NotHere, Recordings
from theory.ledger.records import Measured, Ruling, Trained
from theory.training.runs import Record

REDUNDANCY = "redundancy-gpt2-bytes"
LANGUAGE_MODEL = "lm-smollm2"
HEADLINE = "cram-n256"
POINTS = 0.02
"""Two accuracies (as shares) that are nearer than this, or within our interval, count as the same."""


def within(value: float, quantity: Quantity, slack: float = 0.0) -> bool:
    """Whether a value lies in a quantity's interval.

    Or within ``slack`` of the number itself.
    """
    low, high = (q if math.isfinite(q) else quantity.value for q in (quantity.low, quantity.high))
    return low <= value <= high or abs(value - quantity.value) <= slack


def print_nothing(data: Recordings) -> tuple[Quantity, ...]:
    """No figure is printed."""
    return ()


def print_numbers(*names: str | tuple[str, str]) -> Callable[[Recordings], tuple[Quantity, ...]]:
    """Printed figures by identifier.

    Of data/published/cram_numbers.csv: identifiers, or pairs of identifier and name.
    """
    pairs = [(name, "") if isinstance(name, str) else name for name in names]
    return lambda data: tuple(data.number(*pair) for pair in pairs)


def print_table_1(model: str) -> Callable[[Recordings], tuple[Quantity, ...]]:
    """Printed figures of Table 1."""
    measures = (
        ("accuracy", "retrieval_accuracy", "%"),
        ("attention", "attention_operations", ""),
        ("dynamics MSE", "dynamics_mse", ""),
    )

    def printed(data: Recordings) -> tuple[Quantity, ...]:
        figures = [data.published("cram_table1", name, unit, model=model, measure=key) for name, key, unit in measures]
        return tuple(Quantity(q.name, q.value, unit="%") if q.name == "attention" else q for q in figures)

    return printed


def not_measured(reason: str) -> Callable[[Recordings], Measured]:
    """A measure that says why there is none."""

    def measure(data: Recordings) -> Measured:
        raise NotHere(reason)

    return measure


def never_judged(printed: Quantities, measured: Measured) -> Ruling:
    """The rule of a row without a measure."""
    raise AssertionError("a row that cannot be measured is not judged")


def basis_of(records: Sequence[Record]) -> str:
    """What records rest on, in words."""
    seeds = ", ".join(str(record.seed) for record in records)
    length = records[0].document["config"]["data"]["length"]
    streams = records[0].document["final"]["streams"]
    return f"{records[0].title}, seeds {seeds}, N = {length}; {streams:,} streams that it was not trained on"


def training_of(data: Recordings, *groups: Sequence[Record]) -> tuple[Trained, ...]:
    """How sets of runs were trained."""
    return tuple(
        Trained(
            records[0].title,
            records[0].streams,
            records[0].updates,
            len(records),
            tuple(how for record in records if (how := data.ending(record)) != "converged"),
        )
        for records in groups
        if records
    )


def final_figures(
    records: Sequence[Record], over: Callable[[str, Sequence[float], str], Quantity] = over_seeds
) -> tuple[Quantity, ...]:
    """Accuracy, attention, dynamics MSE at the end."""
    return tuple(
        over(name, [record.final[key] for record in records], unit)
        for name, key, unit in (
            ("accuracy", "accuracy", "%"),
            ("attention", "attention", "%"),
            ("dynamics MSE", "dynamics_mse", ""),
        )
    )
