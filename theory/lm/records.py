"""Recorded studies of language models: what their tables mean, and how they are shown. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError
from theory.redundancy.tables import COLUMNS as REDUNDANCY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

KIND = "language-model"
"""``kind`` in the ``run.json`` of a study."""

RECORDED = "lm-smollm2"
"""The study in ``data/runs``."""

COLUMNS: Mapping[str, str] = {
    **{name: meaning for name, (_, meaning, _) in REDUNDANCY_COLUMNS.items()},
    "sink": "share of attention on the first token of the window, of tokens 64 and later",
    "copy": "share of the tokens copied from needles at which the head attends most to the token that is copied",
    "induction": "attention to what followed a random token the first time",
    "score": "what is scored; needle: how well needles are found",
    "quantity": "of the score",
    "units": "documents, needles or sequences: the unit of the interval",
    "estimate": "value",
    "above_0.1": "share of the heads above 0.1",
    "above_0.3": "share of the heads above 0.3",
    "above_0.5": "share of the heads above 0.5",
    "heads": "heads that put out nothing: none, those of the highest copy score (top), or as many others (random)",
    "count": "how many heads",
    "needles": "needles: the unit of the interval",
    "needle_exact": "share of the needles that are answered exactly, token by token",
    "needle_nats": "mean surprise of the answer's tokens in nats",
    "perplexity": "of the prose, needle and question left out",
    "condition": "consistent: a name keeps its word; shuffled: a new word each time",
    "window": "all lines of a context, or the last half (late)",
    "run": "context: the unit of the interval",
    "step": "line of the context",
    "pattern": "number of the name",
    "exposure": "times that the name was seen before in the context",
    "p_episodic": "attention of copy heads to the earlier words of the name, mean over heads",
    "p_other": "attention of copy heads to the words of other names, mean over heads",
    "correct": "whether the word's first token is the most likely one",
    "nats": "surprise of the word's first token",
    "points": "exposures that were fitted",
    "first": "p_episodic at the first of them",
    "last": "p_episodic at the last",
    "verdict": "of cogfit.fit on whether it is a power law",
    "form": "of the lowest AICc",
    "forms": "forms that the data cannot tell from it",
    "gamma": "exponent of the form; empty where it has none",
    "gamma_low": "lower limit of gamma",
    "gamma_high": "upper limit of gamma",
    "policy": "as in theory.policies, and copy-heads",
    "budget": "tokens that a head may keep or attend to",
    "nats_above_full": "surprise of the answer above that under full attention, needle by needle",
    "attended": "share of the tokens of full attention that a head attends to",
    "read": "share of keys and values that a group of heads reads",
    "kept_by_head": "share of the tokens that a head keeps at the end",
    "kept": "share of keys and values that no head of the group has let go, at the end",
    "kv_bytes_kept": "bytes of keys and values kept at the end, two bytes a number",
    "kv_bytes_read_per_token": "bytes of keys and values read per token, on average over the text",
    "documents": "documents that probes were fitted on",
    "r_heads": "mean of R over tokens × heads",
    "r2_heads": "explained variance over tokens × heads",
}
"""What each column of a table means; ``_low`` and ``_high`` are the limits of the interval."""


def describe_columns(frame: pd.DataFrame, meanings: Mapping[str, str]) -> list[dict[str, str]]:
    """Name, type and meaning of each column of a table."""
    kinds = {"i": "integer", "f": "number", "b": "boolean"}
    out = []
    for name in map(str, frame.columns):
        base = name.removesuffix("_low").removesuffix("_high")
        limit = "lower limit of " if name.endswith("_low") else "upper limit of " if name.endswith("_high") else ""
        meaning = meanings.get(name, f"{limit}{base}")
        kind = kinds.get(frame[name].dtype.kind, "string")
        out.append({"name": name, "type": kind, "meaning": meaning, "meaning_from": "code"})
    return out


NUMBERS: Mapping[str, tuple[str, ...]] = {
    "redundancy": ("layer", "r", "r_low", "r_high", "share", "share_low", "share_high", "r2", "r_constant"),
    "learning_curve": ("tokens", "r", "r_low", "r_high", "r2", "r_heads", "r2_heads"),
    "heads": ("layer", "head", "sink", "copy", "induction"),
    "scores": ("units", "estimate", "low", "high", "above_0.1", "above_0.3", "above_0.5"),
    "knock_out": ("count", "needle_exact", "needle_nats", "perplexity"),
    "context": ("exposure", "p_episodic"),
    "in_context": ("exposure", "p_episodic", "p_episodic_low", "p_episodic_high", "p_other", "correct"),
    "fits": ("points", "first", "last"),
    "policies": ("needle_exact", "nats_above_full", "perplexity", "attended", "read", "kept", "kept_by_head")
    + ("kv_bytes_kept", "kv_bytes_read_per_token"),
}
"""Columns of each table that must hold numbers."""

LABELS: Mapping[str, tuple[str, ...]] = {
    "redundancy": ("unit", "tokens"),
    "scores": ("score", "quantity"),
    "knock_out": ("heads",),
    "context": ("condition", "run"),
    "in_context": ("condition", "window"),
    "fits": ("condition", "window", "verdict", "form", "forms"),
    "policies": ("policy",),
}
"""Columns of each table that hold names."""


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """A table of a study.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or holds something else.
    """
    import pandas as pd

    path, hint = folder / f"{name}.csv", "cogfit theory lm study makes it"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path, hint=hint) from None
    for column in (*LABELS.get(name, ()), *NUMBERS[name]):
        if column not in table:
            raise InputError("is not there", path=path, column=column, hint=hint)
    for column in NUMBERS[name]:
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError("holds what is no number", path=path, column=column, hint=hint)
    if not len(table):
        raise InputError("is empty", path=path, hint=hint)
    return table


def read_study(folder: Path) -> dict[str, Any]:
    """Return the ``run.json`` of a study.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    from theory.training.runs import read_document

    document = read_document(folder)
    if document is None or document.get("kind") != KIND:
        raise InputError("holds no study of a language model", path=folder, hint="cogfit theory lm study makes one")
    if not isinstance(document.get("units"), dict):
        raise InputError("does not say which units were measured", path=folder / "run.json")
    return document


def shown_tables(folder: Path) -> list[tuple[str, list[list[str]]]]:
    """Tables of a study for people.

    Titles and cells, header first.
    """
    units = read_study(folder)["units"]
    return [(title, make(folder)) for unit, title, make in _SHOWN if unit in units]


def _value(row: Any, name: str, digits: int = 2) -> str:
    """An estimate with its interval."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    text = f"{row[name]:.{digits}f}"
    return text if low is None or low != low else f"{text} ({low:.{digits}f}–{high:.{digits}f})"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _layers(folder: Path) -> list[list[str]]:
    """R by layer, beside the sink share of its heads."""
    table = read_table(folder, "redundancy")
    sinks: Mapping[int, float] = {}
    if (folder / "heads.csv").exists():
        sinks = dict(read_table(folder, "heads").groupby("layer")["sink"].mean())
    rows = [["operations", "R", "R > 0.8, %", "R²", "R constant", "sink"]]
    whole = table[table["layer"] == 0]
    for (unit, tokens), title in _WHOLE.items():
        part = whole[(whole["unit"] == unit) & (whole["tokens"] == tokens)]
        rows += [_layer_row(title, row) for row in _records(part)]
    part = table[(table["unit"] == "layer") & (table["tokens"] == "all") & (table["layer"] > 0)]
    rows += [_layer_row(f"layer {row['layer']}", row, sinks.get(row["layer"])) for row in _records(part)]
    return rows


_WHOLE = {
    ("layer", "all"): "tokens × layers",
    ("layer", "later"): "without first tokens",
    ("head", "all"): "tokens × heads",
}


def _layer_row(title: str, row: Mapping[str, Any], sink: float | None = None) -> list[str]:
    percent = {name: 100 * row[name] for name in ("share", "share_low", "share_high")}
    shown = [_value(row, "r", 3), _value(percent, "share", 1), f"{row['r2']:.3f}", f"{row['r_constant']:.3f}"]
    return [title, *shown, "" if sink is None else f"{sink:.2f}"]


def _curve(folder: Path) -> list[list[str]]:
    rows = [["tokens to fit on", "R of layers", "R² of layers", "R of heads", "R² of heads"]]
    for row in _records(read_table(folder, "learning_curve")):
        is_limit = row["tokens"] == float("inf")
        tail = ["", "", ""] if is_limit else [f"{row[name]:.3f}" for name in ("r2", "r_heads", "r2_heads")]
        rows.append(["endless (extrapolated)" if is_limit else f"{row['tokens']:,.0f}", _value(row, "r", 3), *tail])
    return rows


def _scores(folder: Path) -> list[list[str]]:
    rows = [["score", "quantity", "value", "units", "heads > 0.1, %", "> 0.3", "> 0.5"]]
    for row in _records(read_table(folder, "scores")):
        shares = [row[f"above_{t}"] for t in ("0.1", "0.3", "0.5")]
        cells = ["" if share != share else f"{100 * share:.1f}" for share in shares]
        limits = {"estimate": row["estimate"], "estimate_low": row["low"], "estimate_high": row["high"]}
        rows.append([row["score"], row["quantity"], _value(limits, "estimate", 3), f"{row['units']}", *cells])
    return rows


def _knock_out(folder: Path) -> list[list[str]]:
    rows = [["heads without output", "needles exact", "nats of the answer", "perplexity of prose"]]
    for row in _records(read_table(folder, "knock_out")):
        title = "none" if row["heads"] == "none" else f"{row['heads']} {row['count']}"
        rows.append([title, _value(row, "needle_exact"), _value(row, "needle_nats"), _value(row, "perplexity", 1)])
    return rows


_EXPOSURES = (0, 1, 2, 4, 8, 12, 16)


def _in_context(folder: Path) -> list[list[str]]:
    rows = [["condition", "lines", "k", "P_episodic", "attention to other words", "correct"]]
    for row in _records(read_table(folder, "in_context")):
        if row["exposure"] in _EXPOSURES:
            cells = [_value(row, name) for name in ("p_episodic", "p_other", "correct")]
            rows.append([row["condition"], row["window"], f"{row['exposure']}", *cells])
    return rows


def _fits(folder: Path) -> list[list[str]]:
    rows = [["condition", "lines", "points", "first", "last", "power law", "form", "forms that fit as well"]]
    for row in _records(read_table(folder, "fits")):
        ends = [f"{row['first']:.2f}", f"{row['last']:.2f}"]
        verdict = str(row["verdict"]).replace("_", " ")
        rows.append(
            [row["condition"], row["window"], f"{row['points']}", *ends, verdict, row["form"], str(row["forms"])]
        )
    return rows


def _policies(folder: Path) -> list[list[str]]:
    header = [
        "policy",
        "needles exact",
        "nats above full",
        "perplexity",
        "attended, %",
        "KV read, %",
        "KV kept by head, %",
    ]
    rows = [[*header, "KV kept, %", "KV kept, MB", "KV read per token, MB"]]
    for row in _records(read_table(folder, "policies")):
        shares = [f"{100 * row[name]:.0f}" for name in ("attended", "read", "kept_by_head", "kept")]
        sizes = [f"{row[name] / 1e6:.2f}" for name in ("kv_bytes_kept", "kv_bytes_read_per_token")]
        answers = [_value(row, "needle_exact"), _value(row, "nats_above_full"), _value(row, "perplexity", 1)]
        rows.append([row["policy"], *answers, *shares, *sizes])
    return rows


_SHOWN: Sequence[tuple[str, str, Any]] = (
    ("redundancy", "Redundancy", _layers),
    ("redundancy", "Redundancy by the text of the probes", _curve),
    ("heads", "Heads", _scores),
    ("heads", "Without heads", _knock_out),
    ("context", "Repetition in context", _in_context),
    ("context", "Form of the curve in context", _fits),
    ("policies", "Policies", _policies),
)
"""Tables by unit: unit, title, function."""


def headlines(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Numbers that two studies are compared by, with intervals.

    Returns
    -------
    dict
        From a name to value, lower and upper limit; without what could not be measured.
    """
    out: dict[str, tuple[float, float, float]] = {}
    units = read_study(folder)["units"]
    if "redundancy" in units:
        table = read_table(folder, "redundancy")
        for row in _records(table[(table["layer"] == 0) & (table["tokens"] == "all")]):
            out[f"R of {row['unit']}s"] = (row["r"], row["r_low"], row["r_high"])
    if "heads" in units:
        for row in _records(read_table(folder, "scores")):
            out[f"{row['score']}: {row['quantity']}"] = (row["estimate"], row["low"], row["high"])
    if "context" in units:
        table = read_table(folder, "in_context")
        for row in _records(table[(table["window"] == "all") & table["exposure"].isin((1, 8))]):
            name = f"P_episodic({row['exposure']}), {row['condition']}"
            out[name] = (row["p_episodic"], row["p_episodic_low"], row["p_episodic_high"])
    if "policies" in units:
        for row in _records(read_table(folder, "policies")):
            limits = (row["nats_above_full"], row["nats_above_full_low"], row["nats_above_full_high"])
            out[f"{row['policy']}: nats above full"] = limits
    return {name: triple for name, triple in out.items() if not any(map(math.isnan, triple))}


def compare_studies(folder: Path, recorded: Path) -> list[list[str]]:
    """Headline numbers of a study beside the recorded ones.

    Header first; the last cell says whether the intervals meet.
    """
    mine, theirs = headlines(folder), headlines(recorded)
    rows = [["number", "here", "recorded", "intervals meet"]]
    for name in (name for name in mine if name in theirs):
        (a, low, high), (b, first, last) = mine[name], theirs[name]
        meet = low <= last and first <= high
        shown = (f"{v:.3f} ({lo:.3f}–{hi:.3f})" for v, lo, hi in ((a, low, high), (b, first, last)))
        rows.append([name, *shown, "yes" if meet else "NO"])
    return rows
