"""Forecasts of real learning curves: from the first 60 % of the anchors to the last.

Run: python benchmarks/forecast_field.py [--split development|report] [--most 100] [--out FILE]
Curves of LCDB 1.0 (lcdb.py). The weights of the forms before any data, and what a form may miss by beyond the data,
were chosen on a third of the data sets (drawn with SEED); the table is of the others. All forms are continued, as no
test refuses any: a curve has 8 to 22 points here, on which a test refuses few and costs a second. Beside the average
stand every form alone, the form of the lowest AICc (all fitted by the batch engine) and the last value.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from grid import FOLDER, versions
from lcdb import LearningCurve, learning_curves
from numpy.typing import NDArray

from cogfit.curves.arrays import array_curve
from cogfit.engine.estimate import Estimate, Estimates, estimate_many
from cogfit.files import write_atomic
from cogfit.forecasting.answers import predict
from cogfit.forecasting.ensemble import Candidate, ensemble_of
from cogfit.forecasting.records import MOST_DISAGREEMENT
from cogfit.formulas.registry import candidate_forms
from cogfit.many.collection import Columns, from_table
from cogfit.native.blas import single_threaded

SEED = 20261129
SHARE = 0.6  # of the anchors, rounded up, that are fitted
WORST = 0.5  # an error counts as this much at most
FORMS = candidate_forms("x", "error")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """Forecast of the last anchor of one curve; `value` is what would be said if nothing were refused."""

    value: float
    low: float
    high: float
    is_answered: bool


def split(curves: Sequence[LearningCurve], name: str) -> list[LearningCurve]:
    """Curves of the data sets for development (a third), or of the others."""
    datasets = np.unique([curve.dataset for curve in curves])
    chosen = set(np.random.default_rng(SEED).permutation(datasets)[: datasets.size // 3].tolist())
    return [curve for curve in curves if (curve.dataset in chosen) == (name == "development")]


def first_anchors(curve: LearningCurve) -> int:
    """How many anchors are fitted."""
    return math.ceil(SHARE * curve.size.size - 1e-9)


@single_threaded()
def answer(curve: LearningCurve, fits: Sequence[Estimate]) -> Answer:
    """Forecast the last anchor of a curve by the average of all forms, which were fitted to the first."""
    n = first_anchors(curve)
    data = replace(array_curve(curve.size[:n], curve.error[:n]), measure="error")
    candidates = [
        Candidate(f, fit, fit.covariance) for f, fit in zip(FORMS, fits, strict=True) if fit.status != "failed"
    ]
    ensemble = ensemble_of(data, candidates, float(n))
    told = predict(ensemble, curve.size[-1:], 0.95, refuses=False)
    is_answered = bool(told.disagreement[0] <= MOST_DISAGREEMENT)
    return Answer(float(told.value[0]), float(told.low[0]), float(told.high[0]), is_answered)


def fit_forms(curves: Sequence[LearningCurve]) -> list[Estimates]:
    """Every form fitted to the first anchors of all curves, by the batch engine."""
    parts = [(number, curve, first_anchors(curve)) for number, curve in enumerate(curves)]
    table = pd.concat([pd.DataFrame({"curve": i, "x": c.size[:n], "y": c.error[:n]}) for i, c, n in parts])
    collection = from_table(table, Columns(("curve",), "x", "y", None, None))
    assert collection.labels["curve"].tolist() == list(range(len(curves)))
    return [estimate_many(form, collection.bundle) for form in FORMS]


def alone(curves: Sequence[LearningCurve], fits: Sequence[Estimates]) -> Iterator[tuple[str, Array]]:
    """Forecasts of every form by itself, of AICc's choice and of no change."""
    lowest, choice = np.full(len(curves), np.inf), np.full(len(curves), np.nan)
    for form, fit in zip(FORMS, fits, strict=True):
        values = np.array([form.evaluate(c.size[-1:], fit.params[i])[0] for i, c in enumerate(curves)])
        choice = np.where(fit.aicc < lowest, values, choice)
        lowest = np.fmin(lowest, fit.aicc)
        yield form.title, values
    yield "form of the lowest AICc", choice
    yield "last value", np.array([curve.error[first_anchors(curve) - 1] for curve in curves])


def row(name: str, values: Array, truth: Array) -> dict[str, str]:
    """Errors of one method."""
    error = np.minimum(np.abs(np.where(np.isfinite(values), values, np.inf) - truth), WORST)
    told = {"median": np.median(error), "mean": error.mean(), "percentile_90": np.quantile(error, 0.9)}
    return {"method": name, "curves": str(truth.size), **{key: f"{value:.4f}" for key, value in told.items()}}


def rows_of(curves: Sequence[LearningCurve]) -> list[dict[str, str]]:
    """The table."""
    truth = np.array([curve.error[-1] for curve in curves])
    answers, fits = [], fit_forms(curves)
    for number, curve in enumerate(curves, 1):
        answers.append(answer(curve, [fit.one(number - 1) for fit in fits]))
        if number % 200 == 0:
            print(f"{number:,} of {len(curves):,} curves", file=sys.stderr, flush=True)
    value, low, high = (np.array([getattr(item, key) for item in answers]) for key in ("value", "low", "high"))
    told = np.array([item.is_answered for item in answers])
    is_within = (low <= truth) & (truth <= high)
    share = {"covered": f"{is_within[told].mean():.4f}", "refused": str(int((~told).sum()))}
    share["width"] = f"{np.median((high - low)[told]):.4f}"
    everything = {"covered": f"{is_within.mean():.4f}", "refused": "0", "width": f"{np.median(high - low):.4f}"}
    blank = dict.fromkeys(share, "")
    return [
        row("average, where answered", value[told], truth[told]) | share,
        row("average, refusals ignored", value, truth) | everything,
        *(row(name, values, truth) | blank for name, values in alone(curves, fits)),
    ]


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--split", choices=("development", "report"), default="report", help="data sets")
    parser.add_argument("--most", type=int, help="curves, drawn at random; all by default")
    parser.add_argument("--out", type=Path, default=FOLDER / "forecast_field.csv", help="the table")
    options = parser.parse_args()
    curves = split(learning_curves(), options.split)
    if options.most is not None:
        drawn = np.random.default_rng(SEED).permutation(len(curves))[: options.most]
        curves = [curves[i] for i in sorted(drawn.tolist())]
    rows = rows_of(curves)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(options.out, buffer.getvalue())
    about = {
        "study": "forecast_field",
        "about": (__doc__ or "").split("\n")[0],
        "command": "python benchmarks/forecast_field.py",
        "split": options.split,
        "seed": SEED,
        "median_distance": float(np.median([c.size[-1] / c.size[first_anchors(c) - 1] for c in curves])),
        "versions": versions(),
    }
    write_atomic(options.out.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    print(buffer.getvalue())


if __name__ == "__main__":
    main()
