"""γ of models and of people, and transfer."""

from __future__ import annotations

import math
from collections.abc import Callable

from theory.ledger.measures.printed_and_measured import training_of, within
from theory.ledger.quantities import Quantities, Quantity, over_seeds, range_of
from theory.ledger.recordings import Recordings
from theory.ledger.records import Measured, Ruling


def measure_gamma(name: str) -> Callable[[Recordings], Measured]:
    """Exponent of each run, and its verdict."""

    def measure(data: Recordings) -> Measured:
        records = data.records(name)
        fits = [data.fit(record) for record in records]
        verdicts = [str(fit["verdict"]["power_law"]).replace("_", " ") for fit in fits]
        slopes = [form["params"]["gamma"] for fit in fits for form in fit["forms"] if form["form"] == "power"]
        return Measured(
            (
                Quantity("runs in which a power law is supported", verdicts.count("supported")),
                Quantity("runs", len(fits)),
                over_seeds("log–log slope, a description and no exponent", slopes),
                range_of("near-binary patterns", [fit["trajectories"]["near_binary"] for fit in fits], "%"),
            ),
            f"{name}, seeds {', '.join(str(r.seed) for r in records)}: routing logs by cogfit fit",
            notes=tuple(f"seed {r.seed}: power law {v}" for r, v in zip(records, verdicts, strict=True)),
            trained=training_of(data, records),
        )

    return measure


def judge_gamma(printed: Quantities, measured: Measured) -> Ruling:
    """Compare γ where a power law holds."""
    (wanted,) = printed.values()
    held, runs, slope = measured.quantities[:3]
    where = f"a power law is supported in {held.value:.0f} of {runs.value:.0f} runs"
    if held.value == 0:
        binary = measured["near-binary patterns"]
        spread = f" ({binary.low:.0%} to {binary.high:.0%} by run)" if binary.high - binary.low >= 0.05 else ""
        steps = f"{binary.value:.0%} of the patterns switch once{spread}, and P(k) counts these switches"
        return Ruling("not reproduced", f"{where}, so there is no γ to compare; {steps}")
    if within(wanted.value, slope) and held.value == runs.value:
        return Ruling("reproduced", f"{where}, with γ = {slope.shown}")
    return Ruling(
        "reproduced under conditions" if within(wanted.value, slope) else "not reproduced",
        f"{where}; the slope is {slope.shown}",
    )


def measure_people(data: Recordings) -> Measured:
    """Exponents of people, set by set."""
    return Measured(
        tuple(data.population), "data/human, sets on practice with single subjects or teams; intervals over them"
    )


def judge_people(printed: Quantities, measured: Measured) -> Ruling:
    """Ask how many lie in the range."""
    (wanted,) = printed.values()
    inside = [
        quantity for quantity in measured.quantities if quantity.low <= wanted.high and quantity.high >= wanted.low
    ]
    means = [quantity.value for quantity in measured.quantities]
    share = f"{len(inside)} of {len(means)} conditions have an interval that meets {wanted.shown}"
    text = f"{share}; their means run from {min(means):.2g} to {max(means):.2g}"
    if len(inside) == len(means):
        return Ruling("reproduced", text)
    if inside:
        return Ruling("reproduced under conditions", f"{text}, depending on task, axis and floor")
    return Ruling("not reproduced", text)


def measure_transfer(data: Recordings) -> Measured:
    """Attention that frozen memory saves."""
    table = data.table("benchmarks/transfer.csv")
    quantities = []
    for known in sorted({float(k) for k, t in zip(table["known"], table["table"], strict=True) if t == "same"}):
        part = table[(table["known"] == known) & (table["table"] == "same")].set_index("start")
        base = part.loc["scratch"]
        frozen = [float(x) for x in str(part.loc["frozen", "spent_seeds"]).split()]
        scratch = [float(x) for x in str(base["spent_seeds"]).split()]
        saved = [1 - a / b for a, b in zip(frozen, scratch, strict=True)]
        quantities.append(over_seeds(f"attention saved where {known:.0%} of the values are known", saved, "%"))
        quantities.append(
            Quantity(f"accuracy there ({known:.0%} known)", float(str(part.loc["frozen", "accuracy"])), unit="%")
        )
    basis = "a small copy task, whole training; sources and transfers share their seed"
    unequal = "not equal: frozen models had the training of their source before"
    return Measured(tuple(quantities), basis, unequal=unequal)


def printed_transfer(data: Recordings) -> tuple[Quantity, ...]:
    """Attention saved as printed."""
    table = data.table("published/cram_transfer.csv")
    shares = [
        float(v) / 100
        for m, k, v in zip(table["model"], table["measure"], table["value"], strict=True)
        if (m, k) == ("CRAM", "reduction")
    ]
    return (
        Quantity("attention saved", math.nan, min(shares), max(shares), "%"),
        data.published("cram_transfer", "accuracy, Synthetic Copy", task="Synthetic Copy", measure="accuracy"),
    )


def judge_transfer(printed: Quantities, measured: Measured) -> Ruling:
    """Compare the share that is saved."""
    wanted = printed["attention saved"]
    savings = [quantity for quantity in measured.quantities if quantity.name.startswith("attention saved")]
    course = "; ".join(f"{quantity.value:.0%} {quantity.name.removeprefix('attention saved ')}" for quantity in savings)
    about = [quantity for quantity in savings if quantity.low <= wanted.high and quantity.high >= wanted.low]
    if len(about) == len(savings):
        return Ruling("reproduced", course)
    if about:
        return Ruling("reproduced under conditions", f"what is saved is the overlap of the two tasks: {course}")
    return Ruling("not reproduced", course)
