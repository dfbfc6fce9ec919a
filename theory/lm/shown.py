"""Tables of a recorded study, as people read them. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.lm.records import TEACHER, measured_units, read_study, read_table, records_of
from theory.redundancy.tables import ratio

if TYPE_CHECKING:
    import pandas as pd


def shown_tables(folder: Path) -> list[tuple[str, list[list[str]]]]:
    """Tables of a study for people.

    Titles and cells, header first.
    """
    document = read_study(folder)
    units = measured_units(document)
    shown = [(title, make(folder)) for needs, title, make in _SHOWN if needs <= units]
    reasons = [[name, unit["reason"]] for name, unit in document["units"].items() if "reason" in unit]
    return [*shown, *([("Not asked", [["unit", "why"], *reasons])] if reasons else [])]


def _value(row: Any, name: str, digits: int = 2) -> str:
    """An estimate with its interval."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    text = _number(row[name], digits)
    if low is None or low != low:
        return text
    between = " to " if low < 0 else "–"  # a dash beside a sign would be read as one more
    return f"{text} ({_number(low, digits)}{between}{_number(high, digits)})"


def _number(value: float, digits: int) -> str:
    """A number with a sign that is no hyphen; what rounds to zero has none."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _layers(folder: Path, name: str = "redundancy") -> list[list[str]]:
    """R of all layers, and of each beside the sink share of its heads on prose."""
    table = read_table(folder, name)
    sinks: Mapping[int, float] = {}
    if (folder / "heads.csv").exists():
        sinks = dict(read_table(folder, "heads").groupby("layer")["sink"].mean())
    rows = [["operations", "R", "R > 0.8, %", "R²", "R constant", "sink, prose"]]
    whole = table[table["layer"] == 0]
    for (unit, tokens), title in _WHOLE.items():
        part = whole[(whole["unit"] == unit) & (whole["tokens"] == tokens)]
        rows += [_layer_row(title, row) for row in records_of(part)]
    part = table[(table["unit"] == "layer") & (table["tokens"] == "all") & (table["layer"] > 0)]
    rows += [_layer_row(f"layer {row['layer']}", row, sinks.get(row["layer"])) for row in records_of(part)]
    return rows


_SINKS = (0.0, 0.1, 0.3, 0.5, 1.0)
"""Edges of the bands of sink share."""


def _by_sink(folder: Path) -> list[list[str]]:
    """R of the heads of each band of sink share, with intervals over heads."""
    table = read_table(folder, "redundancy")
    parts = table[(table["unit"] == "head") & (table["tokens"] == "all") & (table["head"] > 0)]
    both = parts.merge(read_table(folder, "heads"), on=["layer", "head"])
    rows = [["sink share of a head, prose", "heads", "R", "R²", "R constant"]]
    for low, high in pairwise(_SINKS):
        band = both[(both["sink"] >= low) & (both["sink"] < high)]
        if len(band) > 1:
            cells = [_mean(band[name]) for name in ("r", "r2", "r_constant")]
            rows.append([f"{low:g} to {high:g}", f"{len(band)}", *cells])
    ranks = both["sink"].rank().corr(both["r"].rank())
    return [*rows, ["rank correlation with R", f"{len(both)}", f"{ranks:.2f}", "", ""]]


def _mean(values: pd.Series[float]) -> str:
    """Mean of heads, with interval."""
    value, low, high = (float(x) for x in ratio(np.asarray(values, np.float64), np.ones(len(values)), 0.95))
    return f"{value:.3f} ({low:.3f}–{high:.3f})"


_WHOLE = {
    ("layer", "all"): "tokens × layers",
    ("layer", "later"): "without first tokens",
    ("head", "all"): "tokens × heads",
}


def _layer_row(title: str, row: Mapping[str, Any], sink: float | None = None) -> list[str]:
    percent = {name: 100 * row[name] for name in ("share", "share_low", "share_high")}
    shown = [_value(row, "r", 3), _value(percent, "share", 1), f"{row['r2']:.3f}", f"{row['r_constant']:.3f}"]
    return [title, *shown, "" if sink is None else f"{sink:.2f}"]


def _curve(folder: Path, name: str = "learning_curve") -> list[list[str]]:
    rows = [["tokens to fit on", "R of layers", "R² of layers", "R of heads", "R² of heads"]]
    for row in records_of(read_table(folder, name)):
        is_limit = row["tokens"] == float("inf")
        tail = ["", "", ""] if is_limit else [f"{row[name]:.3f}" for name in ("r2", "r_heads", "r2_heads")]
        rows.append(["endless (extrapolated)" if is_limit else f"{row['tokens']:,.0f}", _value(row, "r", 3), *tail])
    return rows


def _scores(folder: Path) -> list[list[str]]:
    rows = [["score", "quantity", "value", "units", "heads > 0.1, %", "> 0.3", "> 0.5"]]
    for row in records_of(read_table(folder, "scores")):
        shares = [row[f"above_{t}"] for t in ("0.1", "0.3", "0.5")]
        cells = ["" if share != share else f"{100 * share:.1f}" for share in shares]
        limits = {"estimate": row["estimate"], "estimate_low": row["low"], "estimate_high": row["high"]}
        rows.append([row["score"], row["quantity"], _value(limits, "estimate", 3), f"{row['units']}", *cells])
    return rows


def _knock_out(folder: Path) -> list[list[str]]:
    rows = [["heads without output", "needles exact", "nats of the answer", "perplexity of prose"]]
    for row in records_of(read_table(folder, "knock_out")):
        title = "none" if row["heads"] == "none" else f"{row['heads']} {row['count']}"
        rows.append([title, _value(row, "needle_exact"), _value(row, "needle_nats"), _value(row, "perplexity", 1)])
    return rows


_EXPOSURES = (0, 1, 2, 4, 8, 12, 16)


def _in_context(folder: Path) -> list[list[str]]:
    rows = [["condition", "lines", "k", "P_episodic", "attention to other words", "correct"]]
    for row in records_of(read_table(folder, "in_context")):
        if row["exposure"] in _EXPOSURES:
            cells = [_value(row, name) for name in ("p_episodic", "p_other", "correct")]
            rows.append([row["condition"], row["window"], f"{row['exposure']}", *cells])
    return rows


def _fits(folder: Path) -> list[list[str]]:
    rows = [["condition", "lines", "points", "first", "last", "power law", "form", "forms that fit as well"]]
    for row in records_of(read_table(folder, "fits")):
        ends = [f"{row['first']:.2f}", f"{row['last']:.2f}"]
        verdict = str(row["verdict"]).replace("_", " ")
        rows.append(
            [row["condition"], row["window"], f"{row['points']}", *ends, verdict, row["form"], str(row["forms"])]
        )
    return rows


_COSTS = ("attended", "read", "kept_by_head", "kept")


def _policies(folder: Path) -> list[list[str]]:
    header = ["policy", "budget", "answers exact", "nats above full", "perplexity", "prose: nats above full"]
    header += ["attended, %", "KV read, %", "KV kept by head, %", "KV kept, %", "KV kept, MB", "KV read per token, MB"]
    rows = [header]
    for row in records_of(read_table(folder, "policies")):
        shares = [f"{100 * row[name]:.0f}" for name in _COSTS]
        sizes = [f"{row[name] / 1e6:.2f}" for name in ("kv_bytes_kept", "kv_bytes_read_per_token")]
        answers = [_value(row, "needle_exact"), _value(row, "nats_above_full"), _value(row, "perplexity", 1)]
        rows.append([row["policy"], f"{row['budget']}", *answers, _value(row, "prose_above_full"), *shares, *sizes])
    return rows


def _places(folder: Path) -> list[list[str]]:
    """Nats above full attention: a row per policy and budget, a column per depth and question."""
    table = read_table(folder, "policies_places")
    bands = list(dict.fromkeys(zip(table["by"], table["band"].astype(str), strict=True)))
    rows = [["policy", "budget", *(band if by == "depth" else f"question {band}" for by, band in bands)]]
    for (policy, budget), part in table.groupby(["policy", "budget"], sort=False):
        cells = {(row["by"], str(row["band"])): _value(row, "nats_above_full", 1) for row in records_of(part)}
        rows.append([str(policy), f"{budget}", *(cells.get(band, "") for band in bands)])
    return rows


def _controls(folder: Path) -> list[list[str]]:
    """R by the text of the probes: a row per control, a column per amount of text."""
    table = read_table(folder, "controls")
    named = [(str(control), width, part) for (control, width), part in table.groupby(["control", "width"], sort=False)]
    own = int(table["width"][table["control"] == "shuffled text"].iloc[0])
    for name, title in (("learning_curve_code", "trained, code"), ("learning_curve", "trained, prose")):
        if (folder / f"{name}.csv").exists():
            curve = read_table(folder, name)
            named.insert(0, (title, own, curve))
    amounts = sorted({amount for *_, part in named for amount in part["tokens"] if amount != float("inf")})
    rows = [["operations", "width", *(f"R, {amount:,.0f} tokens" for amount in amounts), "R constant", "R true"]]
    for control, width, part in named:
        ends = [_last(part, name) for name in ("r_constant", "r_true")]
        rows.append([control, f"{width}", *_by_amount(part, "r", amounts), *ends])
        if control.startswith(TEACHER):
            inside = _by_amount(part, "r_in_sample", amounts)
            rows.append([f"{control}: on the tokens of the fit", f"{width}", *inside, "", ""])
    return rows


def _by_amount(part: pd.DataFrame, name: str, amounts: Sequence[float]) -> list[str]:
    cells = {row["tokens"]: _value(row, name, 3) for row in records_of(part)}
    return [cells.get(amount, "") for amount in amounts]


def _last(part: pd.DataFrame, name: str) -> str:
    value = part[name].iloc[-1] if name in part else float("nan")
    return "" if value != value else f"{value:.3f}"


_Columns = Mapping[str, str]


def _plain(folder: Path, name: str, labels: _Columns, values: _Columns, digits: int = 2) -> list[list[str]]:
    """A table as it is: labels, then values with their intervals; rows without any value are left out."""
    rows = [[*labels.values(), *values.values()]]
    for row in records_of(read_table(folder, name)):
        if row[next(iter(values))] == row[next(iter(values))]:
            cells = [_label(row[label]) for label in labels]
            rows.append([*cells, *(_value(row, value, digits) for value in values)])
    return rows


def _label(value: object) -> str:
    """A label as people read it."""
    return ("yes" if value else "no") if isinstance(value, bool | np.bool_) else str(value)


_later_sinks = partial(
    _plain,
    name="later_sinks",
    labels={"layer": "layer (0: all)"},
    values={"later_sinks": "later sinks of a head", "sink_heads": "heads with one", "later_share": "attention to them"},
)
_tilts = partial(
    _plain,
    name="tilts",
    labels={"task": "task", "place": "attention to", "heads": "heads", "factor": "factor", "best": "best where chosen"},
    values={"nats_change": "change in nats", "exact_before": "exact before", "exact_after": "after"},
)
_windows = partial(
    _plain,
    name="windows",
    labels={"policy": "policy", "budget": "budget"},
    values={"prose_above_full": "prose: nats above full", "nats_above_full": "answers: nats above full"},
)
_answers = {"answers_known": "the known capital", "answers_told": "the told one", "answer_nats": "nats of the known"}
_known = partial(
    _plain,
    name="known",
    labels={"heads": "heads cut off from the name", "count": "count"},
    values={name: title for name, title in _answers.items() if name != "answers_told"},
)
_conflicts = partial(
    _plain, name="conflicts", labels={"heads": "heads without output", "count": "count"}, values=_answers
)
_order = partial(
    _plain,
    name="order",
    labels={"text": "text", "distance": "distance", "pairs": "pairs"},
    values={"order_right": "order right", "above_none": "above none", "letter_right": "letter right"},
)
_turns = partial(
    _plain,
    name="turns",
    labels={"kind": "instruction", "between": "turns between"},
    values={"turn_right": "right", "turn_wrong": "what holds no longer", "below_single": "below one that stands alone"},
)
_skills = partial(
    _plain,
    name="skills",
    labels={"trained": "trained away", "seed": "seed", "updates": "updates", "asked": "asked for"},
    values={"still_right": "still right"},
)

_SHOWN: Sequence[tuple[set[str], str, Callable[[Path], list[list[str]]]]] = (
    ({"redundancy"}, "Redundancy", _layers),
    ({"redundancy"}, "Redundancy by the text of the probes", _curve),
    ({"redundancy", "heads"}, "Redundancy of heads by their sink share", _by_sink),
    ({"code"}, "Redundancy on code", partial(_layers, name="redundancy_code")),
    ({"code"}, "Redundancy on code by the text of the probes", partial(_curve, name="learning_curve_code")),
    ({"controls"}, "Controls of redundancy", _controls),
    ({"heads"}, "Heads", _scores),
    ({"heads"}, "Without heads", _knock_out),
    ({"context"}, "Repetition in context", _in_context),
    ({"context"}, "Form of the curve in context", _fits),
    ({"policies"}, "Policies", _policies),
    ({"policies"}, "Policies by depth and question: nats above full", _places),
    ({"sinks"}, "Sinks after the first token", _later_sinks),
    ({"sinks"}, "More or less attention to sinks", _tilts),
    ({"sinks"}, "A window with and without its sinks", _windows),
    ({"known"}, "Recall of capitals with attention to the name cut", _known),
    ({"known"}, "A context that contradicts, without some heads", _conflicts),
    ({"order"}, "Order of two segments", _order),
    ({"turns"}, "Instructions that change others", _turns),
    ({"skills"}, "Skills trained away with random answers", _skills),
)
"""Tables: the units that they need, title, function."""
