"""Recorded studies of language models: what their tables mean, and how they are shown. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError
from theory.redundancy.tables import COLUMNS as REDUNDANCY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from cogfit import FitResult

KIND = "language-model"
"""``kind`` in the ``run.json`` of a study."""

RECORDED = "lm-smollm2"
"""The study in ``data/runs``."""

SINK_FROM = 64
"""Tokens before this one have too few others to attend to for a sink to show."""

TEACHER = "linear teacher"
"""How the names of controls of known R begin."""


class CannotBeAsked(InputError):
    """A model cannot answer what a unit asks; the others go on."""


COLUMNS: Mapping[str, str] = {
    **{name: meaning for name, (_, meaning, _) in REDUNDANCY_COLUMNS.items()},
    "sink": f"share of attention on the first token of the window, of tokens {SINK_FROM} and later",
    "copy": "share of the tokens copied from needles at which the head attends most to the token that is copied",
    "induction": "attention to what followed a random token the first time",
    "score": "what is scored; needle: how well needles are found",
    "quantity": "of the score",
    "units": "documents, needles or sequences: the unit of the interval",
    "estimate": "value",
    "above_0.1": "share of the heads above 0.1",
    "above_0.3": "share of the heads above 0.3",
    "above_0.5": "share of the heads above 0.5",
    "heads": "heads that are changed: none, those of the highest score (top, context), of the lowest (memory), as many "
    "others (random), all; or those that gain from more attention (up), from less (down), each its way",
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
    "prose_above_full": "surprise of a token of prose above that under full attention, needle by needle",
    "by": "depth: where the fact stands in the prose; question: which of the questions it answers",
    "band": "part of the prose, or number of the question",
    "facts": "facts in this band",
    "control": "shuffled text: tokens in random order; random weights: never trained; linear teacher: R is known",
    "width": "numbers that a probe reads of a token",
    "per_input": "tokens that the probes were fitted on, per input",
    "r_true": "R of the teacher itself",
    "r_in_sample": "R on the tokens that the probe was fitted on",
    "documents": "documents that probes were fitted on, or that were read",
    "later_sinks": "tokens after the first that get more than 5/N of the attention of N tokens, mean per head",
    "sink_heads": "share of the heads with such a token",
    "later_share": f"share of attention that they get, of tokens {SINK_FROM} and later",
    "task": "capitals of countries, or needles in prose",
    "place": "what attention is scaled to: the first token, an ordinary one (the ninth), or later sinks",
    "factor": "by which it is scaled where it gains; each its way: where it loses, by as much the other way",
    "chosen_change": "change of the surprise of answers in nats, on the questions that it was chosen on",
    "questions": "questions that it is judged on: the unit of the interval",
    "exact_before": "share of these answers that are exact",
    "exact_after": "the same with scaled attention",
    "nats_change": "change of their surprise in nats; negative is better",
    "best": "whether it is the best where it was chosen, for this task and place",
    "countries": "countries that are asked for: the unit of the interval",
    "answers_known": "share of the questions that are answered with the capital",
    "answers_told": "share that are answered with what the context says",
    "answer_nats": "surprise of the capital's first token in nats",
    "text": "whether the text is in the context",
    "distance": "between the segments, as thirds of the longest",
    "pairs": "pairs of segments",
    "order_right": "share of the pairs whose order is told, a liking for a letter cancelled; ties are half",
    "letter_right": "share of right letters",
    "kind": "single: said once, first; late: once, third; revised: replaced third; restored: the change taken back",
    "between": "turns about other people before the question",
    "conversations": "the unit of the interval",
    "turn_right": "share answered with the word that holds",
    "turn_wrong": "share answered with the word that does not (single: one that was never said of the person)",
    "turn_nats": "surprise of the right word in nats",
    "below_single": "share that is right of what is said once in the same place, less that of this kind",
    "above_none": "order_right less that without the text, pair by pair",
    "trained": "skill that is trained on random answers",
    "seed": "number of the draw",
    "updates": "until no more than a twentieth of the trained questions is answered",
    "asked": "skill that is asked for",
    "asked_questions": "questions: the unit of the interval",
    "still_right": "share of the questions, all of them answered before, that are still answered",
    "r_heads": "mean of R over tokens × heads",
    "r2_heads": "explained variance over tokens × heads",
}
"""What each column of a table means; ``_low`` and ``_high`` are the limits of the interval."""


def describe_fit(fit: FitResult) -> dict[str, Any]:
    """Columns of a table of fits."""
    low, high = fit.interval if fit.interval is not None else (None, None)
    return {
        "verdict": fit.verdict.power_law,
        "form": fit.form,
        "forms": " ".join(fit.indistinguishable_forms) or "none",
        "gamma": fit.gamma,
        "gamma_low": low,
        "gamma_high": high,
    }


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


_REDUNDANCY = ("layer", "r", "r_low", "r_high", "share", "share_low", "share_high", "r2", "r_constant")
_CURVE = ("tokens", "r", "r_low", "r_high", "r2", "r_heads", "r2_heads")

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "redundancy": _REDUNDANCY,
    "learning_curve": _CURVE,
    "redundancy_code": _REDUNDANCY,
    "learning_curve_code": _CURVE,
    "controls": ("width", "documents", "tokens", "per_input", "r", "r_low", "r_high", "r2", "r_constant", "share")
    + ("r_true", "r_in_sample"),
    "heads": ("layer", "head", "sink", "copy", "induction"),
    "scores": ("units", "estimate", "low", "high", "above_0.1", "above_0.3", "above_0.5"),
    "knock_out": ("count", "needle_exact", "needle_nats", "perplexity"),
    "context": ("exposure", "p_episodic"),
    "in_context": ("exposure", "p_episodic", "p_episodic_low", "p_episodic_high", "p_other", "correct"),
    "fits": ("points", "first", "last"),
    "policies": ("budget", "needle_exact", "nats_above_full", "perplexity", "prose_above_full", "attended", "read")
    + ("kept", "kept_by_head", "kv_bytes_kept", "kv_bytes_read_per_token"),
    "policies_places": ("budget", "facts", "needle_exact", "nats_above_full"),
    "later_sinks": ("layer", "later_sinks", "sink_heads", "later_share", "documents"),
    "tilts": ("factor", "chosen_change", "questions", "exact_before", "exact_after", "nats_change"),
    "windows": ("budget", "needle_exact", "nats_above_full", "prose_above_full"),
    "known": ("count", "countries", "answers_known", "answer_nats"),
    "conflicts": ("count", "countries", "answers_known", "answers_told", "answer_nats"),
    "order": ("pairs", "order_right", "letter_right", "above_none"),
    "turns": ("between", "conversations", "turn_right", "turn_wrong", "turn_nats", "below_single"),
    "skills": ("seed", "updates", "asked_questions", "still_right"),
}
"""Columns of each table that must hold numbers."""

LABELS: Mapping[str, tuple[str, ...]] = {
    "redundancy": ("unit", "tokens"),
    "redundancy_code": ("unit", "tokens"),
    "controls": ("control",),
    "scores": ("score", "quantity"),
    "knock_out": ("heads",),
    "context": ("condition", "run"),
    "in_context": ("condition", "window"),
    "fits": ("condition", "window", "verdict", "form", "forms"),
    "policies": ("policy",),
    "policies_places": ("policy", "by", "band"),
    "tilts": ("task", "place", "heads"),
    "windows": ("policy",),
    "known": ("heads",),
    "conflicts": ("heads",),
    "order": ("text", "distance"),
    "turns": ("kind",),
    "skills": ("trained", "asked"),
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


def measured_units(document: Mapping[str, Any]) -> set[str]:
    """Units of a study that have tables.

    All but those that the model could not be asked.
    """
    return {name for name, unit in document["units"].items() if "reason" not in unit}


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def headlines(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Numbers that two studies are compared by, with intervals.

    Returns
    -------
    dict
        From a name to value, lower and upper limit; without what could not be measured.
    """
    out: dict[str, tuple[float, float, float]] = {}
    units = measured_units(read_study(folder))
    for unit, table_name, text in (("redundancy", "redundancy", "prose"), ("code", "redundancy_code", "code")):
        if unit in units:
            table = read_table(folder, table_name)
            for row in records_of(table[(table["layer"] == 0) & (table["tokens"] == "all")]):
                out[f"R of {row['unit']}s, {text}"] = (row["r"], row["r_low"], row["r_high"])
    if "controls" in units:
        for row in records_of(read_table(folder, "controls")):
            name = f"R of {row['control']}, width {row['width']}, {row['documents']} documents"
            out[name] = (row["r"], row["r_low"], row["r_high"])
    if "heads" in units:
        for row in records_of(read_table(folder, "scores")):
            out[f"{row['score']}: {row['quantity']}"] = (row["estimate"], row["low"], row["high"])
    if "context" in units:
        table = read_table(folder, "in_context")
        for row in records_of(table[(table["window"] == "all") & table["exposure"].isin((1, 8))]):
            name = f"P_episodic({row['exposure']}), {row['condition']}"
            out[name] = (row["p_episodic"], row["p_episodic_low"], row["p_episodic_high"])
    if "policies" in units:
        for row in records_of(read_table(folder, "policies")):
            limits = (row["nats_above_full"], row["nats_above_full_low"], row["nats_above_full_high"])
            out[f"{row['policy']}, {row['budget']} tokens: nats above full"] = limits
    out |= _numbers_of_works(folder, units)
    return {name: triple for name, triple in out.items() if not any(map(math.isnan, triple))}


def _numbers_of_works(folder: Path, units: set[str]) -> dict[str, tuple[float, float, float]]:
    """Headline numbers of the units that test what other works say."""
    out: dict[str, tuple[float, float, float]] = {}
    for unit, table_name, title, columns in _OF_WORKS:
        for row in records_of(read_table(folder, table_name)) if unit in units else ():
            for column, quantity in columns.items():
                limits = (row[column], row[f"{column}_low"], row[f"{column}_high"])
                out[f"{quantity}, {title.format(**row)}"] = limits
    return out


_OF_WORKS: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    ("sinks", "later_sinks", "layer {layer}", {"later_sinks": "later sinks of a head"}),
    ("sinks", "tilts", "{task}, {place}, {heads}, × {factor}", {"nats_change": "nats of scaled attention"}),
    ("sinks", "windows", "{policy}, {budget} tokens", {"prose_above_full": "nats of prose above full"}),
    ("known", "known", "{heads} {count}, attention to the name cut", {"answers_known": "capitals"}),
    ("known", "conflicts", "{heads} {count}, pruned", {"answers_known": "the known", "answers_told": "the told"}),
    ("order", "order", "text {text}, {distance}", {"order_right": "order of segments"}),
    ("turns", "turns", "{kind}, {between} turns between", {"turn_right": "answers"}),
    ("skills", "skills", "{asked}, without {trained}, seed {seed}", {"still_right": "answers"}),
)
"""Unit, table, what a row is called, and the columns that are compared with what they are."""


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
