"""Redundancy of attention, and a language model's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from theory.ledger.measures.printed_and_measured import LANGUAGE_MODEL, POINTS, REDUNDANCY, within
from theory.ledger.quantities import Quantities, Quantity
from theory.ledger.recordings import Recordings
from theory.ledger.records import Measured, Ruling
from theory.training.runs import read_document

if TYPE_CHECKING:
    import pandas as pd


def measure_redundancy(data: Recordings) -> Measured:
    """R of the model that is trained here."""
    table = data.table(f"runs/{REDUNDANCY}/redundancy.csv")
    whole = table[(table["unit"] == "layer") & (table["layer"] == 0) & (table["tokens"] == "all")]
    documents = int((read_document(data.folder / "runs" / REDUNDANCY) or {})["config"]["texts"]["parts"]["measured"])
    top, last = int(whole["r"].to_numpy().argmax()), len(whole) - 1
    steps = whole["step"].tolist()

    def quantity(name: str, column: str, row: int, unit: str = "") -> Quantity:
        value, low, high = (whole[c].to_numpy(float)[row] for c in (column, f"{column}_low", f"{column}_high"))
        return Quantity(name, float(value), float(low), float(high), unit, documents)

    printed = [data.number(name).value for name in ("redundancy_gpt2", "redundancy_gpt2_medium")]
    return Measured(
        (
            quantity("share of operations with R > 0.8, trained", "share", last, "%"),
            Quantity("mean of the two printed R", sum(printed) / 2, unit="%"),
            quantity("R, trained", "r", last),
            quantity("R, random weights", "r", 0),
            quantity("highest R", "r", top),
            Quantity("step of the highest R", steps[top], unit="steps"),
            Quantity("last step", steps[last], unit="steps"),
        ),
        f"a GPT-2 over bytes, trained from scratch for {steps[last]:,} steps; intervals over documents, one seed",
    )


def measure_language_model(data: Recordings) -> Measured:
    """R of a pre-trained model of GPT-2's size."""
    table = data.table(f"runs/{LANGUAGE_MODEL}/redundancy.csv")
    sizes = (read_document(data.folder / "runs" / LANGUAGE_MODEL) or {})["config"]["sizes"]
    whole = table[(table["layer"] == 0) & (table["tokens"] == "all")].set_index("unit")
    parts = table[(table["unit"] == "head") & (table["tokens"] == "all") & (table["head"] > 0)]
    heads = parts["r"]

    code = data.table(f"runs/{LANGUAGE_MODEL}/redundancy_code.csv")
    code = code[(code["layer"] == 0) & (code["tokens"] == "all")].set_index("unit")

    def quantity(name: str, unit: str, column: str, sign: str = "", table: pd.DataFrame = whole) -> Quantity:
        row = table.loc[[unit]]
        value, low, high = (float(row[c].to_numpy(float)[0]) for c in (column, f"{column}_low", f"{column}_high"))
        return Quantity(name, value, low, high, sign, int(sizes["documents"]))

    return Measured(
        (
            quantity("R of layers", "layer", "r"),
            quantity("share of operations with R > 0.8", "layer", "share", "%"),
            Quantity("R of a constant", float(whole.loc[["layer"], "r_constant"].to_numpy(float)[0])),
            Quantity("heads with R above 0.8", float((heads > 0.8).mean()), unit="%"),
            Quantity("heads with R from 0.5 to 0.8", float(((heads >= 0.5) & (heads <= 0.8)).mean()), unit="%"),
            quantity("R of layers, code", "layer", "r", table=code),
            quantity("share with R > 0.8, code", "layer", "share", "%", table=code),
        ),
        f"SmolLM2-135M on prose and on code, {parts['layer'].nunique()} of its 30 layers, ridge chosen on held-out "
        "documents; intervals over documents",
    )


def judge_language_model(printed: Quantities, measured: Measured) -> Ruling:
    """Compare the share of operations above 0.8."""
    share, mean = measured["share of operations with R > 0.8"], measured["R of layers"]
    found = f"{share.shown} of operations have R > 0.8, at a mean R of {mean.shown}"
    if within(printed["share of operations"].value, share) or within(printed["R, GPT-2 124M"].value, mean):
        return Ruling("reproduced", found)
    return Ruling("not reproduced", f"in this other model of GPT-2's size {found}; the weights of GPT-2 are not here")


_TEACHER = "linear teacher, R = 0.84"


def measure_width(data: Recordings) -> Measured:
    """R of probes of two widths for one true R."""
    table = data.table(f"runs/{LANGUAGE_MODEL}/controls.csv")
    known = table[table["control"] == _TEACHER]
    narrow, wide = int(known["width"].min()), int(known["width"].max())
    tokens = int(known["tokens"][known["width"] == wide].min())
    point = known[known["tokens"] == tokens].set_index("width")
    random = table[(table["control"] == "random weights") & table["share"].notna()].set_index("width")
    units = int((read_document(data.folder / "runs" / LANGUAGE_MODEL) or {})["config"]["sizes"]["control_documents"])

    def quantity(name: str, rows: pd.DataFrame, width: int) -> Quantity:
        value, low, high = (float(rows.loc[[width], column].iloc[0]) for column in ("r", "r_low", "r_high"))
        return Quantity(f"{name}, d = {width}", value, low, high, n=units)

    inside = [
        Quantity(f"R on the tokens of the fit, d = {width}", float(point.loc[[width], "r_in_sample"].iloc[0]))
        for width in (narrow, wide)
    ]
    return Measured(
        (
            *(quantity("R on other tokens", point, width) for width in (narrow, wide)),
            *inside,
            Quantity("tokens of the fit", tokens),
            *(quantity("R of random weights", random, width) for width in (narrow, wide)),
        ),
        "linear teachers of R = 0.84, and language models with random weights on prose; over documents",
    )


def judge_width(printed: Quantities, measured: Measured) -> Ruling:
    """Say what the width of a probe does to R."""
    other, own = ([q for q in measured.quantities if q.name.startswith(name)] for name in _SIDES)
    narrow, wide = (quantity.name.split(", ")[1] for quantity in other)
    return Ruling(
        "not testable here",
        f"the weights of GPT-2 are not here; where the true R is 0.84, probes of {narrow} and {wide} that were fitted "
        f"on {measured['tokens of the fit'].value:,.0f} tokens find {other[0].shown} and {other[1].shown} on other "
        f"tokens, {own[0].shown} and {own[1].shown} on those of the fit: models of two widths are compared on held-out "
        "text, with many tokens per input",
    )


_SIDES = ("R on other tokens", "R on the tokens of the fit")


def measure_in_context(data: Recordings) -> Measured:
    """P_episodic(k) of copy heads, on recurring lines."""
    curve = data.table(f"runs/{LANGUAGE_MODEL}/in_context.csv")
    contexts = int((read_document(data.folder / "runs" / LANGUAGE_MODEL) or {})["config"]["sizes"]["contexts"])
    part = curve[(curve["condition"] == "consistent") & (curve["window"] == "all")].set_index("exposure")

    def quantity(name: str, k: int) -> Quantity:
        names = ("p_episodic", "p_episodic_low", "p_episodic_high")
        value, low, high = (float(part.loc[[k], column].to_numpy(float)[0]) for column in names)
        return Quantity(name, value, low, high, n=contexts)

    last = int(part.index.max())
    fit = data.table(f"runs/{LANGUAGE_MODEL}/fits.csv").iloc[0]
    return Measured(
        (quantity("P_episodic(1)", 1), quantity("P_episodic at the last k", last), Quantity("last k", last)),
        "SmolLM2-135M: attention of copy heads to the earlier words of a name, lines in one context; over contexts",
        notes=(f"cogfit.fit, power law: {str(fit['verdict']).replace('_', ' ')}",),
    )


def judge_in_context(printed: Quantities, measured: Measured) -> Ruling:
    """Ask whether attention falls with repetitions."""
    first, last = measured["P_episodic(1)"], measured["P_episodic at the last k"]
    course = f"P_episodic is {first.shown} after one repetition and {last.shown} after {measured['last k'].value:.0f}"
    if last.high < first.low:
        return Ruling("reproduced under conditions", f"{course}: it falls within one context")
    where = "it grows" if last.low > first.high else "it does not fall"
    return Ruling("not reproduced", f"{course}: within one context {where}; nothing is consolidated without training")


def measure_course(data: Recordings) -> Measured:
    """R over the steps of training."""
    measured = measure_redundancy(data)
    figures = [_step_of(data.number(name).name) for name in ("redundancy_10k", "redundancy_300k")]
    return replace(
        measured,
        quantities=tuple(
            measured[name]
            for name in ("R, trained", "highest R", "step of the highest R", "last step", "R, random weights")
        )
        + tuple(Quantity(name, step, unit="steps") for name, step in zip(_FIGURES, figures, strict=True)),
    )


_FIGURES = ("step of the paper's first figure", "step of the paper's last figure")


def _step_of(name: str) -> int:
    """Step in the name of a figure, as "R at 10,000 steps"."""
    return int("".join(filter(str.isdecimal, name)))


def _too_short(measured: Measured, figure: str) -> Ruling | None:
    """Refuse to judge a run that ends before a figure of the paper."""
    last, needed = measured["last step"], measured[figure]
    if last.value >= needed.value:
        return None
    return Ruling(
        "not testable here",
        f"the recorded run ends at step {last.shown}, before step {needed.shown}, the {figure}; until then "
        f"{_course(measured)}, in one seed",
    )


def _course(measured: Measured) -> str:
    """How R goes, in words."""
    return (
        f"R is {measured['highest R'].shown} at step {measured['step of the highest R'].shown} and "
        f"{measured['R, trained'].shown} at step {measured['last step'].shown}"
    )


def judge_share(printed: Quantities, measured: Measured) -> Ruling:
    """Compare the share of redundant operations."""
    headline, share = printed["share of operations"], measured["share of operations with R > 0.8, trained"]
    if within(headline.value, share):
        return Ruling("reproduced", f"{share.shown} of operations have R > 0.8")
    if abs(measured["mean of the two printed R"].value - headline.value) < 0.005:
        return Ruling(
            "not reproduced",
            "the headline is the mean of two norm ratios and no share of operations; in the model recorded here "
            f"{share.shown} of operations have R > 0.8, at a mean R of {measured['R, trained'].shown}",
        )
    return Ruling("not reproduced", f"{share.shown} of operations have R > 0.8 here")


def judge_falls(printed: Quantities, measured: Measured) -> Ruling:
    """Ask whether R ever falls while training.

    In a run that reaches what the paper speaks of. That it does not fall is shown where a fall of two points can be
    excluded.
    """
    if short := _too_short(measured, _FIGURES[0]):
        return short
    top, end = measured["highest R"], measured["R, trained"]
    course = _course(measured)
    if end.high < top.low:
        return Ruling("not reproduced", f"{course}: it falls as this small model learns")
    if top.high - end.low < POINTS:
        return Ruling("reproduced", course)
    return Ruling("not reproduced", f"{course}: a fall of less than {100 * POINTS:g} points is not shown")


def judge_scratch(printed: Quantities, measured: Measured) -> Ruling:
    """Compare R at the end of training."""
    if short := _too_short(measured, _FIGURES[1]):
        return short
    wanted, end = printed["R at 300K steps"], measured["R, trained"]
    return Ruling("reproduced" if within(wanted.value, end) else "not reproduced", f"R ends at {end.shown}")
