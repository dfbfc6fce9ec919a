"""Recorded Adaptive Retention on an encoder: what the tables mean, and what they show. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from theory.redundancy.tables import ratio
from theory.training.runs import read_document

if TYPE_CHECKING:
    import pandas as pd

KIND = "encoder-retention"
"""``kind`` in the ``run.json`` of such a study."""

RECORDED = "lm-retention"
"""The study in ``data/runs``."""

LEVEL = 0.95

COLUMNS: Mapping[str, str] = {
    "way": "how tokens are chosen: full, attention, random or gates",
    "budget": "share of the tokens that is kept in each layer",
    "seed": "of random choices, or of the training of the gates; -1 where nothing is random",
    "page": "page that is judged: the unit of the intervals",
    "section": "where it belongs",
    "passages": "passages of the page",
    "correct": "how many of them are told right",
    "layer": "from 1",
    "expected": "mean of p over the tokens of the judged pages: what the gates would keep on average",
    "above_half": "share of these tokens with p > 1/2",
}
"""What each column of a table means."""


def read_study(folder: Path) -> dict[str, Any]:
    """Return the ``run.json`` of a study of retention.

    Raises
    ------
    InputError
        If the folder holds none, or an unfinished one.
    """
    document, hint = read_document(folder), "cogfit theory lm retention makes one"
    if document is None or document.get("kind") != KIND:
        raise InputError("holds no study of retention", path=folder, hint=hint)
    if document.get("status") != "finished":
        raise InputError("is not finished", path=folder, hint="the command that began it goes on")
    return document


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """A table of a study: ``answers`` or ``layers``.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or holds something else.
    """
    import pandas as pd

    path = folder / f"{name}.csv"
    labels, numbers = _HELD[name]
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path, hint="cogfit theory lm retention makes it") from None
    for column in (*labels, *numbers):
        if column not in table:
            raise InputError("is not there", path=path, column=column)
    for column in numbers:
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError("holds what is no number", path=path, column=column)
    return table


_HELD: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "answers": (("way", "page", "section"), ("budget", "seed", "passages", "correct")),
    "layers": ((), ("budget", "seed", "layer", "expected", "above_half")),
}
"""Columns of each table: names, and numbers."""


def accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each way and budget.

    Means over seeds, with intervals over pages; the share is that of the same pages.

    Parameters
    ----------
    answers : DataFrame
        Of :func:`read_table`.

    Returns
    -------
    DataFrame
        ``way``, ``budget``, ``seeds``, then value, lower and upper limit of ``accuracy``, ``of_full`` and
        ``above_random`` (difference to random choice at that budget), and ``lowest``, ``highest``: of single seeds.
    """
    import pandas as pd

    per_page = answers.groupby(["way", "budget", "page"])[["correct", "passages"]].mean()
    full = _of(per_page, "full", 1.0)
    rows = []
    for (way, budget), part in answers.groupby(["way", "budget"]):
        own = _of(per_page, str(way), float(str(budget)))
        seeds = part.groupby("seed")[["correct", "passages"]].sum()
        single = (seeds["correct"] / seeds["passages"]).to_numpy(float)
        row: dict[str, Any] = {"way": way, "budget": budget, "seeds": len(single)}
        row |= {"lowest": single.min(), "highest": single.max()}
        row |= _triple("accuracy", own["correct"], own["passages"])
        row |= _triple("of_full", own["correct"], full["correct"])
        if way not in ("full", "random"):
            chance = _of(per_page, "random", float(str(budget)))
            row |= _triple("above_random", own["correct"] - chance["correct"], own["passages"])
        rows.append(row)
    order = {"full": 0, "gates": 1, "attention": 2, "random": 3}
    table = pd.DataFrame(rows)
    return table.sort_values(
        ["budget", "way"], key=lambda c: c.map(order) if c.name == "way" else -c, ignore_index=True
    )


def _of(per_page: pd.DataFrame, way: str, budget: float) -> pd.DataFrame:
    """Rows of a way and budget, by page."""
    found = per_page.reset_index()
    part = found[(found["way"] == way) & np.isclose(found["budget"], budget)]
    if part.empty:
        raise InputError(f"there are no answers of {way} at {budget:.0%}", hint="cogfit theory lm retention goes on")
    return part.set_index("page").sort_index()


def _triple(name: str, part: pd.Series[float], whole: pd.Series[float]) -> dict[str, float]:
    found = ratio(np.asarray(part, np.float64), np.asarray(whole, np.float64), LEVEL)
    return {f"{name}{suffix}": float(value) for suffix, value in zip(("", "_low", "_high"), found, strict=True)}


def by_layer(layers: pd.DataFrame) -> pd.DataFrame:
    """Retention of each layer, mean and range over seeds.

    ``budget``, ``layer``, ``expected``, ``expected_low``, ``expected_high`` (of single seeds) and ``above_half``.
    """
    groups = layers.groupby(["budget", "layer"])
    out = groups[["expected", "above_half"]].mean()
    out["expected_low"], out["expected_high"] = groups["expected"].min(), groups["expected"].max()
    return out.reset_index()


def shown_tables(folder: Path) -> list[tuple[str, list[list[str]]]]:
    """Tables of a study for people.

    Titles and cells, header first.
    """
    read_study(folder)
    answers, layers = accuracies(read_table(folder, "answers")), by_layer(read_table(folder, "layers"))
    return [("Accuracy", _accuracy_rows(answers)), ("Retention by layer", _layer_rows(layers))]


def _accuracy_rows(table: pd.DataFrame) -> list[list[str]]:
    rows = [["tokens kept, %", "chosen by", "accuracy, %", "seeds", "of full, %", "above random, points"]]
    for _, row in table.iterrows():
        span = "" if row["seeds"] < 2 else f" ({100 * row['lowest']:.1f}–{100 * row['highest']:.1f})"
        cells = [_percent(row, "accuracy"), f"{row['seeds']}{span}", _percent(row, "of_full")]
        above = "" if np.isnan(row["above_random"]) else _percent(row, "above_random")
        rows.append([f"{100 * row['budget']:.0f}", str(row["way"]), *cells, above])
    return rows


def _percent(row: pd.Series[Any], name: str) -> str:
    value, low, high = (100 * float(row[name + suffix]) for suffix in ("", "_low", "_high"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def _layer_rows(table: pd.DataFrame) -> list[list[str]]:
    rows = [["tokens kept, %", "layer", "mean of p, %", "over seeds", "tokens with p > ½, %"]]
    for _, row in table.iterrows():
        low, high = (100 * float(row[f"expected_{end}"]) for end in ("low", "high"))
        cells = [f"{100 * row['expected']:.1f}", f"{low:.1f}–{high:.1f}", f"{100 * row['above_half']:.1f}"]
        rows.append([f"{100 * row['budget']:.0f}", f"{row['layer']:.0f}", *cells])
    return rows


def headlines(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Accuracies and shares of the full one.

    With intervals over pages.
    """
    read_study(folder)
    out: dict[str, tuple[float, float, float]] = {}
    names: Sequence[str] = ("accuracy", "of_full")
    for _, row in accuracies(read_table(folder, "answers")).iterrows():
        for name in names:
            triple = tuple(float(row[name + suffix]) for suffix in ("", "_low", "_high"))
            out[f"{row['way']} at {row['budget']:.0%}: {name.replace('_', ' ')}"] = (triple[0], triple[1], triple[2])
    return out
