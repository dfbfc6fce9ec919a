"""Recorded practice and forgetting of facts: what the tables mean, and what they show. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError, nearest
from theory.lm.records import describe_fit
from theory.redundancy.tables import Array, ratio
from theory.training.runs import read_document

if TYPE_CHECKING:
    import pandas as pd

KIND = "language-model-facts"
"""``kind`` in the ``run.json`` of such a study."""

RECORDED = "lm-facts"
"""The study in ``data/runs``."""

PEAK_WITHIN = 32
"""Updates after the last session within which recall is still taken to rise (Chang et al. 2024: the local maximum)."""

LEVEL = 0.95

COLUMNS: Mapping[str, str] = {
    "run": "cell and seed",
    "step": "updates so far",
    "session": "sessions so far",
    "since": "updates since the last session; -1 before its end",
    "pattern": "number of the fact",
    "planned": "how often the fact is shown in all; 0: a control, never shown",
    "exposure": "how often it was shown so far",
    "recall": "probability of the word after the sentence, among all tokens",
    "recognition": "probability of the word against another word of the list, mean over the others",
    "nats": "surprise of the word",
    "recall_net": "recall less that of the controls at the same time",
    "recognition_net": "recognition less that of the controls at the same time",
    "error": "1 - recall",
    "mistaken": "1 - recognition",
    "delay": "updates since the local maximum of recall",
    "cell": "condition",
    "exposures": "how often the facts were shown in all",
    "curve": "practice: against earlier presentations; forgetting: against the delay",
    "outcome": "what is fitted",
    "points": "values of x that were fitted",
    "first": "the outcome at the first of them, mean over runs",
    "last": "the outcome at the last",
    "runs": "seeds",
    "verdict": "of cogfit.fit on whether it is a power law",
    "form": "the form that it reports",
    "forms": "forms that the data cannot tell from it",
    "gamma": "exponent of the form; empty where it has none",
    "gamma_low": "lower limit of gamma",
    "gamma_high": "upper limit of gamma",
}
"""What each column of a table means; ``_low`` and ``_high`` are limits of 95 % intervals over seeds."""

OUTCOMES = ("recall", "recognition", "nats", "recall_net", "recognition_net", "error", "mistaken")
"""What curves are made of."""

_NEEDED = ("run", "step", "session", "since", "pattern", "planned", "exposure", "recall", "recognition", "nats")


def read_study(folder: Path) -> dict[str, Any]:
    """Return the ``run.json`` of a study of facts.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    document = read_document(folder)
    hint = "cogfit theory lm practice makes one"
    if document is None or document.get("kind") != KIND:
        raise InputError("holds no study of practice and forgetting", path=folder, hint=hint)
    if not isinstance(document.get("units"), dict) or not document["units"]:
        raise InputError("has no finished unit yet", path=folder, hint=hint)
    return document


def cells_of(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Units of each cell, in the order of their seeds.

    Examples
    --------
    >>> cells_of({"units": {"main-0": {}, "prose-0": {}, "main-1": {}}})
    {'main': ['main-0', 'main-1'], 'prose': ['prose-0']}
    """
    cells: dict[str, list[str]] = {}
    for unit in document["units"]:
        cells.setdefault(unit.rpartition("-")[0], []).append(unit)
    return {cell: sorted(units, key=lambda unit: int(unit.rpartition("-")[2])) for cell, units in cells.items()}


def read_cell(folder: Path, cell: str) -> pd.DataFrame:
    """Rows of all seeds of a cell.

    Raises
    ------
    InputError
        If it was not measured, or a file cannot be read or holds something else.
    """
    import pandas as pd

    cells = cells_of(read_study(folder))
    if cell not in cells:
        raise InputError(f"no cell '{cell}'", path=folder, hint=nearest(cell, cells))
    return pd.concat([_read_unit(folder / f"{unit}.parquet") for unit in cells[cell]], ignore_index=True)


def _read_unit(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path) from None
    for column in _NEEDED:
        if column not in table:
            raise InputError("is not there", path=path, column=column)
        if column != "run" and not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError("holds what is no number", path=path, column=column)
    if not (table["planned"] == 0).any():
        raise InputError("holds no controls", path=path)
    return table


# ----------------------------------------------------------------------------------------------------------- curves


def _with_net(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Means over facts by key, beside and less those of the controls at the same time."""
    by = list(keys)
    means = rows[rows["planned"] > 0].groupby(by)[["recall", "recognition", "nats", "exposure"]].mean()
    controls = rows[rows["planned"] == 0].groupby(by)[["recall", "recognition"]].mean()
    for name in controls.columns:
        means[f"{name}_net"] = means[name] - controls[name]
    means["error"], means["mistaken"] = 1 - means["recall"], 1 - means["recognition"]
    return means.reset_index()


def practice_log(log: pd.DataFrame) -> pd.DataFrame:
    """Outcomes against earlier presentations.

    A row per run and presentation.

    Of the facts that are shown most often, just before they are shown again.

    Parameters
    ----------
    log : DataFrame
        Of a cell (:func:`read_cell`).
    """
    most = log["planned"].max()
    part = log[(log["since"] < 0) & log["planned"].isin((0, most))]
    curve = _with_net(part, ("run", "session"))
    return curve.drop(columns="session").astype({"exposure": int})


def forgetting_log(log: pd.DataFrame, exposures: int) -> pd.DataFrame:
    """Outcomes against the delay since the local maximum.

    A row per run and delay.

    The maximum is that of recall, in the mean over runs, within :data:`PEAK_WITHIN` updates of the last session.

    Parameters
    ----------
    log : DataFrame
        Of a cell (:func:`read_cell`).
    exposures : int
        How often the facts were shown.

    Raises
    ------
    InputError
        If no facts were shown that often.
    """
    part = log[(log["since"] >= 0) & log["planned"].isin((0, exposures))]
    if exposures == 0 or not (part["planned"] == exposures).any():
        known = ", ".join(str(e) for e in shown_exposures(log))
        raise InputError(f"no facts were shown {exposures} times", hint=f"they were shown {known} times")
    curve = _with_net(part, ("run", "since")).drop(columns="exposure")
    early = curve[curve["since"] <= PEAK_WITHIN].groupby("since")["recall"].mean()
    curve["delay"] = curve["since"] - int(str(early.idxmax()))
    return curve[curve["delay"] >= 0].reset_index(drop=True)


def shown_exposures(log: pd.DataFrame) -> list[int]:
    """How often facts of a cell were shown.

    Without the controls.
    """
    return sorted(int(e) for e in log["planned"].unique() if e > 0)


def over_runs(curve: pd.DataFrame, x: str, outcomes: Sequence[str] = OUTCOMES) -> pd.DataFrame:
    """Means over runs, with Student's intervals.

    Parameters
    ----------
    curve : DataFrame
        Of :func:`practice_log` or :func:`forgetting_log`.
    x : str
        ``"exposure"`` or ``"delay"``.
    outcomes : sequence of str
    """
    import pandas as pd

    table = {name: curve.pivot_table(name, index="run", columns=x) for name in outcomes}
    columns: dict[str, Any] = {x: next(iter(table.values())).columns.to_numpy()}
    for name, values in table.items():
        sample = values.to_numpy(float)
        for suffix, found in zip(("", "_low", "_high"), ratio(sample, np.ones_like(sample), LEVEL), strict=True):
            columns[name + suffix] = found
    return pd.DataFrame(columns)


def retained(curve: pd.DataFrame, delay: int, outcome: str = "recall_net") -> tuple[float, float, float, int]:
    """Share of the gain that is left after a delay.

    Of the gain at the local maximum, with an interval over runs, and the delay that was measured: the longest up to
    `delay`.
    """
    values = curve.pivot_table(outcome, index="run", columns="delay")
    measured = max(d for d in map(int, curve["delay"]) if d <= delay)
    part, whole = (values[d].to_numpy(float) for d in (measured, 0))
    value, low, high = (float(found) for found in ratio(part, whole, LEVEL))
    return value, low, high, measured


# ------------------------------------------------------------------------------------------------------------- fits


def fit_curve(curve: pd.DataFrame, x: str, outcome: str) -> Any:
    """Fit the mean over runs with every form.

    Runs are resampled as wholes.

    From the first presentation or update on: at zero a power law has no value, and at a maximum the value is high
    because it was chosen.

    Returns
    -------
    cogfit.FitResult
    """
    import cogfit

    part = curve[curve[x] >= 1]
    columns: list[Array] = [part[name].to_numpy(float) for name in (x, outcome)]
    measure = "error" if outcome in ("error", "mistaken") else "probability"
    return cogfit.fit(*columns, groups=part["run"].to_numpy(), axis=x, measure=measure)


def fit_row(curve: pd.DataFrame, x: str, outcome: str) -> dict[str, Any]:
    """What `cogfit.fit` says of a curve, and its ends."""
    means = curve[curve[x] >= 1].groupby(x)[outcome].mean()
    row: dict[str, Any] = {"outcome": outcome, "runs": curve["run"].nunique(), "points": len(means)}
    row |= {"first": means.iloc[0], "last": means.iloc[-1]}
    return row | describe_fit(fit_curve(curve, x, outcome))


# ------------------------------------------------------------------------------------------------------------ tables


def read_table(folder: Path, name: str, numbers: Sequence[str]) -> pd.DataFrame:
    """A table that sums a study up.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or holds something else.
    """
    import pandas as pd

    path = folder / f"{name}.csv"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path, hint="cogfit theory lm practice makes it") from None
    for column in ("cell", *numbers):
        if column not in table:
            raise InputError("is not there", path=path, column=column)
        if column != "cell" and not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError("holds what is no number", path=path, column=column)
    return table


def _value(row: Mapping[str, Any], name: str, digits: int = 2) -> str:
    """An estimate with its interval, if it has one."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    text = f"{row[name]:.{digits}f}"
    return f"{text} ({low:.{digits}f} to {high:.{digits}f})" if math.isfinite(high - low) else text


_SHOWN_EXPOSURES = (0, 1, 2, 4, 8, 16, 31)
_SHOWN_DELAYS = (0, 10, 100, 1_000)


def shown_tables(folder: Path) -> list[tuple[str, list[list[str]]]]:
    """Tables of a study for people.

    Titles and cells, header first.
    """
    read_study(folder)
    return [("Practice", _practice(folder)), ("Forgetting", _forgetting(folder)), ("Forms", _fits(folder))]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _practice(folder: Path) -> list[list[str]]:
    rows = [["cell", "shown before", "seeds", "recall", "net of controls", "recognition", "net of controls"]]
    names = ("recall", "recall_net", "recognition", "recognition_net")
    for row in _records(read_table(folder, "practice", ("exposure", "runs", *names))):
        if row["exposure"] in _SHOWN_EXPOSURES:
            cells = [_value(row, name) for name in names]
            rows.append([row["cell"], f"{row['exposure']}", f"{row['runs']}", *cells])
    return rows


def _forgetting(folder: Path) -> list[list[str]]:
    delays = [f"after {delay:,}" for delay in _SHOWN_DELAYS[1:]]
    rows = [["cell", "shown", "seeds", "recall at the maximum, net", *delays, "of it left, %"]]
    for cell, units in cells_of(read_study(folder)).items():
        log = read_cell(folder, cell)
        for exposures in shown_exposures(log):
            curve = forgetting_log(log, exposures)
            means = over_runs(curve, "delay", ("recall_net",))
            at = [means[means["delay"] <= delay].iloc[-1] for delay in _SHOWN_DELAYS]
            left = [100 * number for number in retained(curve, _SHOWN_DELAYS[-1])[:3]]
            share = dict(zip(("left", "left_low", "left_high"), left, strict=True))
            cells = [_value(row, "recall_net", 3) for row in _records(_frame(at))]
            rows.append([cell, f"{exposures}", f"{len(units)}", *cells, _value(share, "left", 0)])
    return rows


def _frame(rows: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))


def _fits(folder: Path) -> list[list[str]]:
    rows = [["curve", "cell", "shown", "outcome", "points", "first", "last", "power law", "form", "as good", "γ"]]
    for row in _records(read_table(folder, "fits", ("exposures", "points", "first", "last"))):
        gamma = "" if row["gamma"] != row["gamma"] else _value(row, "gamma")
        others = [form for form in str(row["forms"]).split() if form != row["form"]]
        ends = [f"{row['first']:.3f}", f"{row['last']:.3f}"]
        verdict = str(row["verdict"]).replace("_", " ")
        head = [row["curve"], row["cell"], f"{row['exposures']}", row["outcome"], f"{row['points']}"]
        rows.append([*head, *ends, verdict, row["form"], f"{len(others)}", gamma])
    return rows


def headlines(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Net recall at its maximum, and what is left.

    Returns
    -------
    dict
        From a name to value, lower and upper limit over seeds; without cells of one seed.
    """
    out = {}
    for cell in cells_of(read_study(folder)):
        log = read_cell(folder, cell)
        for exposures in shown_exposures(log):
            curve = forgetting_log(log, exposures)
            top = over_runs(curve[curve["delay"] == 0], "delay", ("recall_net",)).iloc[0]
            name = f"{cell}, shown {exposures} times"
            out[f"{name}: net recall"] = (
                float(top["recall_net"]),
                float(top["recall_net_low"]),
                float(top["recall_net_high"]),
            )
            value, low, high, delay = retained(curve, _SHOWN_DELAYS[-1])
            out[f"{name}: share left after {delay}"] = (value, low, high)
    return {name: triple for name, triple in out.items() if all(map(math.isfinite, triple))}
